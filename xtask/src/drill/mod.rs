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

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{bail, ensure};

use crate::cargo::build_binaries;
use crate::context::Context;
use crate::ports::random_hex;
use crate::process::{is_root, which};
use crate::progress::print_line;
use crate::record::{Record, reap, turn};
use crate::servers::{Wanted, ensure_installed, install};
use crate::tools::python_packages;

/// What deploy/scripts/README.md promises: back within half an hour.
const RTO: Duration = Duration::from_mins(30);

/// Programs that the scripts call, and the packages that bring them.
const CLIENTS: [(&str, &str); 4] = [
    ("psql", "postgresql-client"),
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

/// One thing that was shown, or was not.
struct Row {
    what: String,
    seconds: f32,
    verdict: &'static str,
    said: String,
}

/// The rows of a drill, as they come.
pub(super) struct Report {
    context: Context,
    rows: Vec<Row>,
    begun: Option<(String, Instant)>,
    /// From the disaster until everything served again.
    pub(super) restored_in: Option<Duration>,
}

impl Report {
    fn new(context: &Context) -> Self {
        Self {
            context: context.clone(),
            rows: Vec::new(),
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
        self.end("shown", said.into());
    }

    /// What cannot be shown on this machine, and why.
    pub(super) fn not_run(&mut self, what: &str, why: &str) {
        self.begun = Some((what.to_owned(), Instant::now()));
        self.end("not run here", why.to_owned());
    }

    fn end(&mut self, verdict: &'static str, said: String) {
        let Some((what, began)) = self.begun.take() else {
            return;
        };
        self.rows.push(Row {
            what,
            seconds: began.elapsed().as_secs_f32(),
            verdict,
            said,
        });
    }

    /// Prints the table and the line that decides.
    fn close(mut self, outcome: anyhow::Result<()>) -> anyhow::Result<()> {
        if let Err(error) = &outcome {
            self.context.interrupt.check()?;
            self.context.say("drill", format!("FAILED: {error:#}"));
            if self.begun.is_none() {
                self.begun = Some(("the drill itself".to_owned(), Instant::now()));
            }
            let first = format!("{error:#}");
            self.end(
                "FAILED",
                first.lines().next().unwrap_or_default().to_owned(),
            );
        }
        print_line("");
        for row in &self.rows {
            print_line(format!(
                "{:55} {:6.1} s  {}: {}",
                row.what, row.seconds, row.verdict, row.said
            ));
        }
        let count = |verdict: &str| {
            self.rows
                .iter()
                .filter(|row| row.verdict == verdict)
                .count()
        };
        let restored = self.restored_in.map_or_else(
            || "not restored".to_owned(),
            |took| format!("restored in {} s", took.as_secs()),
        );
        print_line(format!(
            "drill: {} shown, {} failed, {restored} (RTO {} s)",
            count("shown"),
            count("FAILED"),
            RTO.as_secs()
        ));
        outcome?;
        match self.restored_in {
            Some(took) if took <= RTO => Ok(()),
            _ => bail!("it was not restored within {} s", RTO.as_secs()),
        }
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
    let home = context.root.join("target/drill");
    fs::create_dir_all(&home)?;
    let lock = fs::File::create(home.join("lock"))?;
    ensure!(
        lock.try_lock().is_ok(),
        "another drill of this checkout is running; wait for it"
    );
    for part in ["logs", "evidence", "kept"] {
        let dir = home.join(part);
        if dir.exists() {
            fs::remove_dir_all(&dir)?;
        }
        fs::create_dir_all(&dir)?;
    }
    let programs = programs(context)?;
    let bin_dir = build_binaries(context)?;
    let mut report = Report::new(context);
    let mut scratch = Scratch::make(context)?;
    let place = steps::Place {
        context,
        options,
        home,
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
    let mut missing: Vec<&str> = CLIENTS
        .iter()
        .filter(|(program, _)| which(program).is_none())
        .map(|(_, package)| *package)
        .collect();
    // the same client as in the image that makes backups; one in a home is out of PostgreSQL's reach
    let reachable = if is_root() {
        PathBuf::from("/usr/bin/aws").is_file()
    } else {
        which("aws").is_some()
    };
    if !reachable {
        missing.push("awscli");
    }
    if !missing.is_empty() {
        install::install(context, &missing)?;
    }
    python_packages(
        context,
        &context.root.join("deploy/scripts/requirements.txt"),
        &context.root.join("target/deploy-tools/s3"),
    )
}
