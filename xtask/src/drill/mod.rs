//! `cargo xtask drill`: a season's books are insured, paid, backed up, lost and brought back, by the
//! scripts of deploy/ as an operator runs them, against servers that keep what they acknowledge. Never
//! uses a server that was given: those of a drill are destroyed. Called by main.

mod books;
mod damage;
mod moment;
mod scripts;
mod servers;
mod serving;
mod steps;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::cargo::build_binaries;
use crate::context::Context;
use crate::home::Home;
use crate::ports::random_hex;
use crate::process::is_root;
use crate::record::{Record, reap, turn};
use crate::rows::Rows;
use crate::servers::{Wanted, ensure_installed, install};
use crate::tools::python_packages;

/// What deploy/scripts/README.md promises: back within half an hour.
const RTO: Duration = Duration::from_mins(30);

/// Programs that the scripts call, and the packages that bring them.
const CLIENTS: [(&str, &str); 5] = [
    ("psql", "postgresql-client"),
    ("pg_basebackup", "postgresql-client"),
    ("redis-cli", "redis-tools"),
    ("jq", "jq"),
    ("curl", "curl"),
];

/// What a person may ask of the drill.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Options {
    /// Farmers of the season whose books are lost and brought back
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=5_000))]
    farmers: u32,
}

/// The rows of a drill, each with its time.
pub(super) struct Report {
    context: Context,
    rows: Rows,
    begun: Option<(String, Instant)>,
    /// From the disaster until everything served again.
    pub(super) restored_in: Option<Duration>,
}

impl Report {
    fn new(context: &Context) -> Self {
        Self {
            context: context.clone(),
            rows: Rows::new("drill"),
            begun: None,
            restored_in: None,
        }
    }

    /// A step begins; what happens until `shown` is its time.
    pub(super) fn begin(&mut self, what: &str) -> anyhow::Result<()> {
        self.context.interrupt.check()?;
        self.context.say("drill", what);
        self.begun = Some((what.to_owned(), Instant::now()));
        Ok(())
    }

    /// The step came out right.
    pub(super) fn shown(&mut self, said: impl Into<String>) {
        self.end(Ok(said.into()));
    }

    /// What cannot be shown on this machine, and why.
    pub(super) fn not_run(&mut self, what: &str, why: &str) {
        self.rows.not_run(what, why);
    }

    fn end(&mut self, judged: anyhow::Result<String>) {
        let begun = self.begun.take();
        let (what, began) =
            begun.unwrap_or_else(|| ("the drill itself".to_owned(), Instant::now()));
        let seconds = began.elapsed().as_secs_f32();
        self.rows.judge(&format!("{what} ({seconds:.1} s)"), judged);
    }

    /// Judges the whole and prints the line that decides.
    fn close(mut self, outcome: anyhow::Result<()>) -> anyhow::Result<()> {
        self.context.interrupt.check()?;
        if let Err(error) = outcome {
            self.end(Err(error));
        }
        let Some(took) = self.restored_in else {
            return self.rows.close("not restored");
        };
        let (took_seconds, allowed) = (took.as_secs(), RTO.as_secs());
        self.rows.check(
            "from the disaster until everything served again, within the RTO",
            took <= RTO,
            format!("{took_seconds} s of {allowed} s"),
        );
        self.rows
            .close(&format!("restored in {took_seconds} s (RTO {allowed} s)"))
    }
}

/// What is removed at the end, whatever happens.
struct Scratch {
    context: Context,
    record: Record,
    dir: PathBuf,
}

impl Scratch {
    /// A folder that PostgreSQL's own user can reach.
    fn make(context: &Context) -> anyhow::Result<Self> {
        let held = turn(context)?;
        reap(&context.state_dir(), context.progress);
        let id = random_hex(4);
        let dir = if is_root() {
            std::env::temp_dir().join(format!("microcrop-drill-{id}"))
        } else {
            context.state_dir().join(format!("drill-{id}"))
        };
        let path = context.state_dir().join(format!("drill-{id}.json"));
        let mut record = Record::create(path, true)?;
        drop(held);
        record.make_dir(&dir)?;
        Ok(Self {
            context: context.clone(),
            record,
            dir,
        })
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        self.record.stop(self.context.progress);
    }
}

/// Plays the whole drill and prints a row a step.
pub(crate) fn run(context: &Context, options: &Options) -> anyhow::Result<()> {
    let held = Home::fresh(context, "drill", &["logs", "evidence", "kept"])?;
    let programs = programs(context)?;
    let bin_dir = build_binaries(context)?;
    let mut report = Report::new(context);
    let mut scratch = Scratch::make(context)?;
    let place = steps::Place {
        context,
        options,
        home: held.dir.clone(),
        bin_dir,
        programs,
        dir: scratch.dir.clone(),
    };
    let outcome = place.play(&mut report, &mut scratch.record);
    drop(scratch);
    report.close(outcome)
}

/// Everything the scripts call; answers the folder of the stand-in's programs.
fn programs(context: &Context) -> anyhow::Result<PathBuf> {
    let wanted = Wanted {
        postgres: true,
        redis: true,
        rabbitmq: context.given.rabbitmq_url.is_none(),
    };
    ensure_installed(context, wanted)?;
    // the same client as in the image that makes backups; one in a home is out of PostgreSQL's reach
    let aws = if is_root() { "/usr/bin/aws" } else { "aws" };
    install::programs(context, &[&CLIENTS[..], &[(aws, "awscli")]].concat())?;
    python_packages(
        context,
        &context.root.join("deploy/scripts/requirements.txt"),
        &context.root.join("target/deploy-tools/s3"),
    )
}
