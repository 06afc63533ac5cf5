//! The dashboards as Grafana reads them, and what a panel asks. Never changes one. A panel that asks
//! for what only a cluster measures is told apart by the names of its metrics. Called by `dashboards`.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, ensure};
use serde::Deserialize;

/// Beginnings of the names of metrics that a cluster's own programs publish: kube-state-metrics,
/// cAdvisor, the kubelet and the ingress controller.
const OF_A_CLUSTER: [&str; 4] = ["kube_", "container_", "kubelet_", "nginx_ingress_"];

/// One dashboard.
#[derive(Debug, Deserialize)]
pub(crate) struct Board {
    /// File name without its ending.
    #[serde(skip)]
    pub(crate) name: String,
    /// Title.
    pub(crate) title: String,
    /// What it is about.
    #[serde(default)]
    pub(crate) description: String,
    /// Its panels, rows (which are headings) included.
    pub(crate) panels: Vec<Panel>,
}

/// One panel.
#[derive(Debug, Deserialize)]
pub(crate) struct Panel {
    /// Number in its dashboard.
    pub(crate) id: u32,
    /// `row`, `stat` or `timeseries`.
    #[serde(rename = "type")]
    kind: String,
    /// Title.
    pub(crate) title: String,
    /// What a reader should know.
    #[serde(default)]
    pub(crate) description: String,
    /// What it asks.
    #[serde(default, rename = "targets")]
    pub(crate) queries: Vec<Query>,
    #[serde(default, rename = "fieldConfig")]
    field: Field,
}

/// One query of a panel.
#[derive(Debug, Deserialize)]
pub(crate) struct Query {
    /// As it stands, with Grafana's variables.
    pub(crate) expr: String,
    /// How a series is called, with `{{label}}`.
    #[serde(default, rename = "legendFormat")]
    pub(crate) legend: String,
}

#[derive(Debug, Default, Deserialize)]
struct Field {
    #[serde(default)]
    defaults: Defaults,
}

#[derive(Debug, Default, Deserialize)]
struct Defaults {
    #[serde(default)]
    unit: String,
}

impl Panel {
    /// A heading asks nothing.
    pub(crate) fn is_heading(&self) -> bool {
        self.kind == "row"
    }

    /// Grafana's name of the unit.
    pub(crate) fn unit(&self) -> &str {
        &self.field.defaults.unit
    }
}

/// Whether something that an expression asks for is measured by a cluster only.
pub(crate) fn asks_a_cluster(expr: &str) -> bool {
    names(expr).any(is_of_a_cluster)
}

/// The words of an expression that may be names of metrics.
fn names(expr: &str) -> impl Iterator<Item = &str> {
    expr.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == ':'))
}

fn is_of_a_cluster(name: &str) -> bool {
    OF_A_CLUSTER.iter().any(|start| name.starts_with(start))
}

/// Every dashboard of a folder, by name.
pub(crate) fn read_all(folder: &Path) -> anyhow::Result<Vec<Board>> {
    let mut boards = Vec::new();
    let entries = fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_none_or(|ending| ending != "json") {
            continue;
        }
        let text = fs::read_to_string(&path)?;
        let mut board: Board =
            serde_json::from_str(&text).with_context(|| path.display().to_string())?;
        let stem = path.file_stem().unwrap_or_default();
        board.name = stem.to_string_lossy().into_owned();
        boards.push(board);
    }
    boards.sort_by(|one, other| one.name.cmp(&other.name));
    ensure!(
        !boards.is_empty(),
        "{} holds no dashboard",
        folder.display()
    );
    Ok(boards)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panel_of_the_cluster_is_known_by_its_metrics() {
        let of = asks_a_cluster;
        assert!(of("sum(kube_job_status_failed{namespace=~\"$namespace\"})"));
        assert!(of("rate(container_cpu_usage_seconds_total[5m])"));
        assert!(of(
            "sum by (status) (rate(nginx_ingress_controller_requests[5m]))"
        ));
        assert!(!of("sum(rate(nginx_http_requests_total[5m]))"));
        assert!(!of("sum by (process) (up{job=\"microcrop\"})"));
    }

    #[test]
    fn a_panel_is_read_with_its_unit_and_queries() {
        let text = r#"{"title": "API", "panels": [
            {"id": 1, "type": "row", "title": "At a glance"},
            {"id": 2, "type": "stat", "title": "p95", "fieldConfig": {"defaults": {"unit": "s"}},
             "targets": [{"expr": "up", "legendFormat": "{{process}}"}]}]}"#;
        let board: Board = serde_json::from_str(text).unwrap();
        let [row, panel] = board.panels.as_slice() else {
            panic!("two panels");
        };
        assert!(row.is_heading() && !panel.is_heading());
        assert_eq!(panel.unit(), "s");
        assert_eq!(panel.queries.first().unwrap().legend, "{{process}}");
    }
}
