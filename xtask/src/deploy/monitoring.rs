//! What watches the system: rules and their tests, routes of alerts, dashboards, and whether every
//! metric they name exists in a scrape of the running system. Never calls a name known that nothing told.
//! Called by `deploy-check`.

use std::path::PathBuf;
use std::process::Command;

use super::environment::binaries;
use super::files::with_extension;
use super::{Deploy, Row, tools};
use crate::dashboards::Season;
use crate::home::Home;

/// What reads expressions.
const REQUIREMENTS: &str = "deploy/monitoring/checks/requirements.txt";
/// A season in which everything that is measured happens.
const FARMERS: u32 = 20;
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
    rows.push(Row::judged(
        "metrics in a real scrape",
        "the running programs",
        scrape(deploy).and_then(|files| {
            let mut command = names();
            command.arg("--scrape").args(&files);
            tools::judge(deploy, &mut command).map(|printed| tools::last_line(&printed))
        }),
    ));
    rows.push(Row::not_run(
        "Grafana, Loki, promtail: start",
        "their programs",
        "in no package index; their YAML and JSON were read",
    ));
    Ok(rows)
}

/// What all processes, PostgreSQL, Redis, RabbitMQ and nginx tell at the end of a season, a file each.
fn scrape(deploy: &Deploy<'_>) -> anyhow::Result<Vec<PathBuf>> {
    let home = Home::fresh(
        deploy.context,
        "deploy-check/season",
        &["logs", "evidence", "nginx", "metrics"],
    )?;
    let folder = home.dir.join("metrics");
    let season = Season {
        farmers: FARMERS,
        home: &home.dir,
        bin_dir: binaries(deploy)?,
    };
    season.scrape(deploy.context, &folder)?;
    with_extension(&folder, "prom")
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
