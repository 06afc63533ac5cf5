//! smoke-tests.sh and health-check.sh against the running system: well, without Redis, without
//! PostgreSQL, and well again. Called by the drill's steps.

use std::path::Path;
use std::time::Duration;

use anyhow::ensure;

use super::Report;
use super::scripts::{Scripts, says, untimed};
use super::servers::{Postgres, Server, redis};
use super::steps::WRITABLE;
use crate::context::Context;
use crate::record::Record;
use crate::servers::database::query;
use crate::stack::Stack;

const SMOKE: &str = "ci-cd/scripts/smoke-tests.sh";
const HEALTH: &str = "ci-cd/scripts/health-check.sh";

/// A segment reaches the archive in seconds.
const ARCHIVED_SECONDS_MAX: u32 = 60;

/// All seven questions, and ten requests in a row, with no server missed.
pub(super) fn well(scripts: &Scripts, port: u16) -> anyhow::Result<String> {
    let address = format!("http://127.0.0.1:{port}");
    let health = scripts.run(0, HEALTH, &[&address], &[])?;
    let smoke = scripts.run(0, SMOKE, &[&address], &[])?;
    let words = |said: &str, of: &str| -> anyhow::Result<String> {
        Ok(untimed(says(said, of)?).to_owned())
    };
    Ok(format!(
        "{}; {}",
        words(&smoke, "7 of 7 passed")?,
        words(&health, "requests answered")?
    ))
}

/// What the system was brought back on.
pub(super) struct Servers<'a> {
    /// Who waits.
    pub(super) context: &'a Context,
    /// PostgreSQL.
    pub(super) postgres: &'a Postgres,
    /// Folder of the others.
    pub(super) dir: &'a Path,
    /// Redis' port.
    pub(super) redis_port: u16,
    /// The backend's port.
    pub(super) backend: u16,
}

impl Servers<'_> {
    /// Takes each away while the system runs: the scripts must say which. Answers both, back again.
    pub(super) fn away_and_back(
        &self,
        scripts: &Scripts,
        record: &mut Record,
        report: &mut Report,
        running: (Server, Server),
        mut ours: Stack,
    ) -> anyhow::Result<(Server, Server)> {
        let (postgres, cache) = running;
        let address = format!("http://127.0.0.1:{}", self.backend);
        report.begin("Redis stopped: both scripts name it")?;
        drop(cache);
        let smoke = scripts.run(1, SMOKE, &[&address], &[])?;
        says(&smoke, "6 of 7 passed")?;
        let failed = says(&smoke, "FAIL  redis")?.to_owned();
        // without Redis the house serves, and loses open screens: not well all the same
        let health = scripts.run(1, HEALTH, &[&address], &[])?;
        let missed = says(&health, "it serves, but without redis")?;
        report.shown(format!("`{failed}`; health-check `{missed}` (exit 1 both)"));
        let cache = redis(self.context, record, self.dir, self.redis_port)?;

        report.begin("PostgreSQL stopped: both scripts name it")?;
        drop(postgres);
        let smoke = scripts.run(1, SMOKE, &[&address], &[])?;
        says(&smoke, "FAIL  ready")?;
        let failed = says(&smoke, "FAIL  db")?.to_owned();
        let few = [("TRIES", "3"), ("PAUSE_SECONDS", "0.5")];
        let health = scripts.run(1, HEALTH, &[&address], &few)?;
        let refused = says(&health, "away: db")?;
        report.shown(format!("`{failed}`; `{refused}` (both exit 1)"));

        report.begin("both back: well again, and nothing was restarted")?;
        let postgres = self.postgres.start(self.context, record, &[], WRITABLE)?;
        let said = well(scripts, self.backend)?;
        ours.fail_on_exit()?;
        drop(ours);
        report.shown(said);

        report.begin("the restored server archives its own changes")?;
        let url = self.postgres.url("postgres");
        query(&url, "select pg_switch_wal()")?;
        let mut counts = String::new();
        for _ in 0..ARCHIVED_SECONDS_MAX {
            counts = query(
                &url,
                "select archived_count, failed_count from pg_stat_archiver",
            )?;
            if !counts.starts_with("0|") {
                break;
            }
            self.context.interrupt.sleep(Duration::from_secs(1))?;
        }
        let (archived, failed) = counts.split_once('|').unwrap_or_default();
        ensure!(
            archived != "0" && failed == "0",
            "{archived} segments archived, {failed} failed"
        );
        report.shown(format!(
            "segments taken: {archived}, refused: none: it does not meet those of the lost one"
        ));
        Ok((postgres, cache))
    }
}
