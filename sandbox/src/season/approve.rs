//! Two operators at their desks: releases that are held are approved by one and then by the other;
//! the first may not stand in for the second. Never changes an amount. Called by the stages.

use anyhow::{bail, ensure};
use serde::Deserialize;
use serde_json::json;

use super::net::{Net, Operator};

#[derive(Deserialize)]
struct Runs {
    runs: Vec<Run>,
}

#[derive(Deserialize)]
struct Run {
    evaluation: String,
    #[serde(default)]
    total_minor: i64,
}

/// What was approved.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Approved {
    pub(crate) runs: u32,
    pub(crate) payouts: i64,
    pub(crate) total_minor: i64,
}

/// Approves every held release, by two people.
pub(crate) async fn held_runs(net: &Net) -> anyhow::Result<Approved> {
    let held: Runs = net.ask("/api/v1/payout-runs?state=held").await?;
    let mut approved = Approved::default();
    for run in held.runs {
        let path = format!("/api/v1/payout-runs/{}/approve", run.evaluation);
        let made = net
            .order(
                Operator::Maker,
                "POST",
                &path,
                &json!({"reason": "index and stations checked"}),
            )
            .await?;
        ensure!(
            made.status == 200,
            "the first approval: {} {}",
            made.status,
            made.body
        );
        let alone = net
            .order(
                Operator::Maker,
                "POST",
                &path,
                &json!({"reason": "and once more"}),
            )
            .await?;
        if alone.status == 200 && alone.body["state"] == "approved" {
            bail!("{}: one operator alone released it", run.evaluation);
        }
        let checked = net
            .order(
                Operator::Checker,
                "POST",
                &path,
                &json!({"reason": "second pair of eyes"}),
            )
            .await?;
        ensure!(
            checked.status == 200 && checked.body["state"] == "approved",
            "the second approval: {} {}",
            checked.status,
            checked.body
        );
        approved.runs += 1;
        approved.payouts += checked.body["released"].as_i64().unwrap_or(0);
        approved.total_minor += run.total_minor;
    }
    Ok(approved)
}
