//! Back to a moment: rows written around one, the archive waited for as it is shipped (nothing is
//! forced to be archived), and a server that comes back by to-moment.sh, first to the moment and then
//! to the end of the archive, which tells what a disaster costs. Called by the drill's steps.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{bail, ensure};

use super::Report;
use super::books::Books;
use super::scripts::{Scripts, says};
use super::servers::{Postgres, Server, ticker};
use super::steps::{DATABASE, WRITABLE};
use crate::context::Context;
use crate::record::Record;
use crate::servers::database::{self, query};

/// Rows of their own, so that the product's books are nobody's but the product's.
const ROWS: &str = "microcrop_moments";
/// `archive_timeout` is a minute; an archive that takes this long does not work.
const ARCHIVED_SECONDS_MAX: u64 = 240;
/// The words that are there.
const WORDS: &str = "select coalesce(string_agg(word, ' ' order by at), 'nothing') from moments";

/// A moment, and what was written around it.
pub(super) struct Moments {
    url: String,
    /// The moment: after one row, before another.
    moment: String,
    /// The segment that holds the later row.
    segment: String,
    /// When that row was written.
    written: Instant,
    ticker: Option<Server>,
}

impl Moments {
    /// Writes the rows, and begins to write one a second.
    pub(super) fn begin(
        context: &Context,
        record: &mut Record,
        dir: &Path,
        postgres: &Postgres,
        report: &mut Report,
    ) -> anyhow::Result<Self> {
        report.begin("a row, a moment, another row")?;
        database::create(&postgres.url("postgres"), ROWS)?;
        let url = postgres.url(ROWS);
        query(&url, "create table ticks (at timestamptz not null)")?;
        query(
            &url,
            "create table moments (word text not null, at timestamptz not null)",
        )?;
        let ticker = ticker(context, record, dir, &url)?;
        let write = |word: &str| {
            query(
                &url,
                &format!("insert into moments values ('{word}', clock_timestamp())"),
            )
        };
        write("before")?;
        let moment = query(&url, "select clock_timestamp()")?;
        write("after")?;
        let segment = query(&url, "select pg_walfile_name(pg_current_wal_lsn())")?;
        report.shown(format!(
            "the moment is {moment}; a row a second from now on"
        ));
        Ok(Self {
            url,
            moment,
            segment,
            written: Instant::now(),
            ticker: Some(ticker),
        })
    }

    /// Waits until the later row has reached the archive, in its own time.
    pub(super) fn await_archived(
        &self,
        context: &Context,
        report: &mut Report,
    ) -> anyhow::Result<()> {
        report.begin("the change reaches the archive in its own time")?;
        let began = Instant::now();
        let question = format!(
            "select left(last_archived_wal, 24) >= '{}', archived_count, failed_count \
             from pg_stat_archiver",
            self.segment
        );
        loop {
            let said = query(&self.url, &question)?;
            if let Some(counts) = said.strip_prefix("t|") {
                let (archived, failed) = counts.split_once('|').unwrap_or((counts, "?"));
                ensure!(
                    failed == "0",
                    "{failed} segments were not taken by archive.sh"
                );
                report.shown(format!(
                    "{} s after it was written; {archived} segments archived, none failed",
                    self.written.elapsed().as_secs()
                ));
                return Ok(());
            }
            if began.elapsed() > Duration::from_secs(ARCHIVED_SECONDS_MAX) {
                bail!("not archived after {ARCHIVED_SECONDS_MAX} s: {said}");
            }
            context.interrupt.sleep(Duration::from_millis(250))?;
        }
    }

    /// The last moment at which the server still knew the time; nobody writes after it.
    pub(super) fn last_look(&mut self) -> anyhow::Result<String> {
        let now = query(&self.url, "select clock_timestamp()")?;
        self.ticker = None;
        Ok(now)
    }
}

/// A server that comes back from the archive.
pub(super) struct Recovered<'a> {
    /// Who waits.
    pub(super) context: &'a Context,
    /// Its folder, absent.
    pub(super) home: PathBuf,
    /// Its port.
    pub(super) port: u16,
    /// The scripts.
    pub(super) scripts: &'a Scripts,
}

impl Recovered<'_> {
    /// A moment within a base backup: its files are not of one piece before it has ended, so the one
    /// before it is taken, and where there is none it is said. `known` is a server that knows the time.
    pub(super) fn inside(
        &self,
        report: &mut Report,
        known: &Postgres,
        [first, second]: [&str; 2],
    ) -> anyhow::Result<()> {
        report.begin("to-moment.sh: a moment within a base backup")?;
        let at = |stamp: &str| {
            let question = format!("select to_timestamp('{stamp}', 'YYYYMMDD\"T\"HH24MISS')");
            query(&known.url("postgres"), &question)
        };
        let postgres = Postgres::at(&self.home, self.port, self.scripts.env())?;
        let said = self.to_moment(1, &postgres, &at(first)?)?;
        let refused = says(&said, &format!("within the base backup {first}"))?.to_owned();
        ensure!(
            !postgres.data.exists(),
            "a data folder was made of a moment that cannot be reached"
        );
        let said = self.to_moment(0, &postgres, &at(second)?)?;
        says(&said, &format!("base backup {first} is in"))?;
        postgres.destroy()?;
        report.shown(format!(
            "exit 1, `{refused}`; within the second, the first one is taken"
        ));
        Ok(())
    }

    /// Runs the script; answers what it said if it ended with `code`.
    fn to_moment(&self, code: i32, postgres: &Postgres, moment: &str) -> anyhow::Result<String> {
        let mut command = postgres.as_its_user("timeout");
        command
            .arg("900")
            .arg(self.scripts.path("scripts/restore/to-moment.sh"))
            .arg(&postgres.data)
            .arg(moment);
        let said = self.scripts.finish(code, "to-moment.sh", command, &[])?;
        Ok(said.all())
    }

    /// To the moment, and on to the end.
    pub(super) fn show(
        &self,
        record: &mut Record,
        report: &mut Report,
        moments: &Moments,
        before: &Books,
        disaster_at: &str,
    ) -> anyhow::Result<()> {
        report.begin("to-moment.sh: one row there, the later one not")?;
        let moment = &moments.moment;
        let postgres = Postgres::at(&self.home, self.port, self.scripts.env())?;
        self.to_moment(0, &postgres, moment)?;
        let paused = ("select pg_get_wal_replay_pause_state()", "paused");
        let server = postgres.start(self.context, record, &[], paused)?;
        let url = postgres.url(ROWS);
        let words = query(&url, WORDS)?;
        ensure!(words == "before", "at {moment} there is: {words}");
        let last = query(&url, "select max(at) from ticks")?;
        let late = format!("select count(*) from ticks where at > '{moment}'");
        ensure!(query(&url, &late)? == "0", "a later row is there: {last}");
        report.shown(format!(
            "at {moment}: `{words}`; the last row a second is of {last}"
        ));
        drop(server);

        report.begin("on to the end of the archive: what the disaster cost")?;
        let open = ["recovery_target_time=", "recovery_target_action=promote"];
        let server = postgres.start(self.context, record, &open, WRITABLE)?;
        let words = query(&url, WORDS)?;
        ensure!(words == "before after", "in the end there is: {words}");
        let loss = query(
            &url,
            &format!(
                "select round(extract(epoch from timestamptz '{disaster_at}' - max(at))::numeric, 1) \
                 from ticks"
            ),
        )?;
        let equal = Books::read(&postgres.url(DATABASE))?.equal(before)?;
        report.shown(format!(
            "{loss} s of changes lost, at most archive_timeout (60 s) and sending one; {equal}"
        ));
        drop(server);
        Ok(())
    }
}
