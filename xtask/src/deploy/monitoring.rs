//! What watches the system: rules and their tests, routes of alerts, dashboards, and whether every
//! metric they name exists. Never starts a server of theirs. Called by `deploy-check`.

use std::process::Command;

use super::kubernetes::with_extension;
use super::{Deploy, Row, tools};

/// What reads expressions.
const REQUIREMENTS: &str = "deploy/monitoring/checks/requirements.txt";
/// What the last `cargo xtask demo` measured, one file a process.
const SCRAPES: &str = "target/demo/metrics";
/// Where the routes of alerts must end, by severity.
const ROUTES: [(&str, &str); 2] = [("severity=page", "pages"), ("severity=ticket", "tickets")];

/// Every row about monitoring.
pub(super) fn check(deploy: &Deploy<'_>) -> anyhow::Result<Vec<Row>> {
    let bin = tools::python(deploy, "monitoring", REQUIREMENTS)?;
    let names = || {
        let mut command = Command::new(bin.join("python"));
        command
            .arg(deploy.path("deploy/monitoring/checks/names.py"))
            .arg(&deploy.context.root);
        command
    };
    let rules = tools::system(deploy, "promtool", "prometheus").and_then(|_| {
        let mut command = Command::new(deploy.path("deploy/monitoring/prometheus/check.sh"));
        let printed = tools::judge(deploy, &mut command)?;
        Ok(format!(
            "{} times SUCCESS",
            printed.matches("SUCCESS").count()
        ))
    });
    let mut rows = vec![
        Row::judged("Prometheus: configuration, rules, tests", "promtool", rules),
        Row::judged(
            "Alertmanager: configuration, routes",
            "amtool",
            routes(deploy),
        ),
        Row::judged(
            "alerts, tests, runbook, dashboards, metrics",
            "promql-parser",
            tools::judge(deploy, &mut names()).map(|printed| tools::last_line(&printed)),
        ),
    ];
    let scrapes = deploy.path(SCRAPES);
    let (artefact, tool) = ("metrics in a real scrape", "the running programs");
    rows.push(if scrapes.is_dir() {
        let judged = with_extension(&scrapes, "prom").and_then(|files| {
            let mut command = names();
            command.arg("--scrape").args(&files);
            tools::judge(deploy, &mut command).map(|printed| tools::last_line(&printed))
        });
        Row::judged(artefact, tool, judged)
    } else {
        Row::not_run(
            artefact,
            tool,
            "`cargo xtask dashboards` leaves one; it has not run here",
        )
    });
    rows.push(Row::not_run(
        "Grafana, Loki, promtail: start",
        "their programs",
        "in no package index; their YAML and JSON were read",
    ));
    Ok(rows)
}

fn routes(deploy: &Deploy<'_>) -> anyhow::Result<String> {
    let amtool = tools::system(deploy, "amtool", "prometheus-alertmanager")?;
    let folder = deploy.path("deploy/monitoring/alertmanager");
    for file in with_extension(&folder, "yml")? {
        tools::judge(deploy, Command::new(&amtool).arg("check-config").arg(file))?;
    }
    for (label, receiver) in ROUTES {
        let mut command = Command::new(&amtool);
        command
            .args(["config", "routes", "test", "--config.file"])
            .arg(folder.join("alertmanager.yml"))
            .arg(format!("--verify.receivers={receiver}"))
            .arg(label);
        tools::judge(deploy, &mut command)?;
    }
    Ok("2 configurations; pages wake, tickets wait".to_owned())
}
