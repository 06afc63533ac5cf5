//! The policy scan of manifests and of Terraform by checkov, whose waivers, each with its reason, are in
//! `checkov.yaml` beside the other checks of a folder. Never runs unless asked: it takes minutes to
//! install. Called by the checks of this folder.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, ensure};
use serde_json::Value;

use super::{Deploy, Row, tools};

/// The version of checkov.
const REQUIREMENTS: &str = "deploy/kubernetes/checks/checkov.txt";

/// Scans a folder under the waivers of `checks`.
pub(super) fn scan(
    deploy: &Deploy<'_>,
    artefact: &str,
    folder: &Path,
    checks: &str,
) -> anyhow::Result<Row> {
    let tool = "checkov";
    if !deploy.full() {
        let why = "minutes to install; with --full";
        return Ok(Row::not_run(artefact, tool, why));
    }
    let bin = tools::python(deploy, tool, REQUIREMENTS)?;
    let mut command = Command::new(bin.join(tool));
    command
        .arg("--directory")
        .arg(folder)
        .arg("--config-file")
        .arg(deploy.path(checks).join("checkov.yaml"))
        .args(["--output", "json"]);
    let judged = tools::judge(deploy, &mut command).and_then(|printed| counted(&printed));
    Ok(Row::judged(artefact, tool, judged))
}

/// The numbers of a report that found something to look at.
fn counted(report: &str) -> anyhow::Result<String> {
    let report: Value = serde_json::from_str(report).context("checkov's report")?;
    let count = |name: &str| report["summary"][name].as_u64().unwrap_or_default();
    ensure!(count("passed") > 0, "checkov looked at nothing");
    ensure!(
        count("parsing_errors") == 0,
        "checkov could not read everything"
    );
    Ok(format!(
        "{} passed, {} failed, {} waived with a reason",
        count("passed"),
        count("failed"),
        count("skipped")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scan_of_nothing_proves_nothing() {
        let report = |passed: u32, unread: u32| {
            format!(
                r#"{{"summary": {{"passed": {passed}, "failed": 0, "skipped": 2, "parsing_errors": {unread}}}}}"#
            )
        };
        assert_eq!(
            counted(&report(7, 0)).unwrap(),
            "7 passed, 0 failed, 2 waived with a reason"
        );
        assert!(counted(&report(0, 0)).is_err());
        assert!(counted(&report(7, 1)).is_err());
        assert!(counted("Traceback").is_err());
    }
}
