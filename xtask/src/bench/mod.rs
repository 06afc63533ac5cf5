//! `cargo xtask bench`: the backend against floors and a peer, the number work against Python
//! packages, and whole nights of the stream, in one run on one machine, as ratios, in one table.
//! Never judges an absolute time: those change with the machine and the hour. Called by main.
//!
//! Fairness: each contestant has the first core to itself, one core each; the generator, PostgreSQL
//! and Redis share the others. Rounds are interleaved (every contestant once a round, in turning
//! order), a ratio is taken inside a round, and the table shows the median over the rounds. The
//! stream's rows are about a whole machine: there nothing is pinned.

mod contestant;
mod ingest;
mod machine;
mod measure;
mod nightly;
mod page;
mod profile;
mod rows;
mod science;
mod system;
mod table;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};
use clap::ValueEnum as _;

use crate::cargo::{cargo, metadata, text};
use crate::clock::clock_start;
use crate::context::Context;
use crate::environment::{Facts, shared};
use crate::ports::Ports;
use crate::process::{Lifetime, which};
use crate::progress::print_line;
use crate::servers::{Servers, Urls, Wanted};
use crate::stack::{Plan, PortPlan, run_once};
use machine::Pinning;
use page::Page;

/// Farmers who can dial, each once in a window.
const FARMERS: u32 = 100_000;
/// Connections of the generator, each with one request under way.
const CONNECTIONS: u32 = 64;

/// What a person may ask of the bench.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Options {
    /// Fewer and shorter rounds, nothing written to docs/
    #[arg(long)]
    quick: bool,
    /// Only these rows; a page under docs/ is written if all of its rows are among them
    #[arg(long, value_delimiter = ',', value_name = "ROWS")]
    rows: Vec<rows::Row>,
    /// Leave the flame graph out
    #[arg(long)]
    no_profile: bool,
    /// Use the release binaries in this folder instead of building them
    #[arg(long, value_name = "DIR")]
    bin_dir: Option<PathBuf>,
}

impl Options {
    fn wants(&self, row: rows::Row) -> bool {
        self.rows.is_empty() || self.rows.contains(&row)
    }

    fn wants_any(&self, is_such: fn(rows::Row) -> bool) -> bool {
        let all = rows::Row::value_variants().iter().copied();
        all.filter(|row| self.wants(*row)).any(is_such)
    }

    /// Whether this run measures all of a page, in full.
    fn is_whole(&self, page: &Page) -> bool {
        !self.quick && page.rows().all(|row| self.wants(row))
    }

    /// Rounds, seconds of warm-up and seconds counted of one window.
    fn effort(&self) -> Effort {
        if self.quick {
            Effort {
                rounds: 3,
                warm_seconds: 1,
                seconds: 3,
            }
        } else {
            Effort {
                rounds: 7,
                warm_seconds: 1,
                seconds: 6,
            }
        }
    }
}

/// How much is measured.
#[derive(Clone, Copy, Debug)]
struct Effort {
    rounds: usize,
    warm_seconds: u32,
    seconds: u32,
}

/// Everything the rows need.
struct Ground {
    context: Context,
    effort: Effort,
    pinning: Pinning,
    /// Release binaries.
    bin_dir: PathBuf,
    /// Where the peer was installed; none without Node.
    peer_dir: Option<PathBuf>,
    /// The number peers, or why they do not take part.
    python: Result<science::Python, String>,
    /// `target/bench`.
    home: PathBuf,
    /// Of the rows that are served; empty without them.
    urls: Urls,
    /// The backend's variables.
    env: Vec<(String, String)>,
}

impl Ground {
    fn say(&self, part: &str, text: impl std::fmt::Display) {
        self.context.say(part, text);
    }
}

/// Builds, seeds, measures, prints, and writes the pages of docs/ that were measured whole.
pub(crate) fn run(context: &Context, options: &Options) -> anyhow::Result<()> {
    let home = context.root.join("target/bench");
    fs::create_dir_all(&home)?;
    let logs = home.join("logs");
    if logs.exists() {
        fs::remove_dir_all(&logs)?;
    }
    fs::create_dir_all(&logs)?;
    let (served, science, streamed) = (
        options.wants_any(rows::Row::is_served),
        options.wants_any(rows::Row::is_science),
        options.wants_any(rows::Row::is_streamed),
    );
    let bin_dir = match &options.bin_dir {
        Some(dir) => {
            context.say("build", format!("left out; using {}", dir.display()));
            dir.canonicalize()?
        }
        None => build(context, served || streamed, streamed)?,
    };
    let peer_dir = if served {
        install_peer(context, &home)?
    } else {
        None
    };
    let python = if science {
        science::install(context, &home)?
    } else {
        Err("no row asked for them".to_owned())
    };
    // servers and the generator inherit it; contestants are put on their own core one by one
    let pinning = Pinning::apply(context)?;
    let mut ground = Ground {
        context: context.clone(),
        effort: options.effort(),
        pinning,
        bin_dir,
        peer_dir,
        python,
        home,
        urls: Urls::default(),
        env: Vec::new(),
    };
    let facts = machine::facts(&ground);
    for (name, fact) in &facts {
        ground.say("machine", format!("{name}: {fact}"));
    }
    if served {
        let mut page = Page::doors();
        let servers = serve(&mut ground, options, &mut page.outcome)?;
        finish(&ground, options, &page, &[facts.clone(), servers].concat())?;
    }
    if science || streamed {
        let mut page = Page::engine();
        if options.wants(rows::Row::Spi) {
            science::spi(&ground, &mut page.outcome)?;
        }
        if options.wants(rows::Row::Grid) {
            science::grid(&ground, &mut page.outcome)?;
        }
        let servers = if streamed {
            stream(&ground, options, &mut page.outcome)?
        } else {
            Vec::new()
        };
        finish(&ground, options, &page, &[facts, servers].concat())?;
    }
    Ok(())
}

/// Prints the table of a page and writes it, under docs/ if it was measured whole.
fn finish(
    ground: &Ground,
    options: &Options,
    page: &Page,
    facts: &[(&'static str, String)],
) -> anyhow::Result<()> {
    print_line(page.outcome.table());
    let (text, file) = (page.text(ground, facts), page.file());
    fs::write(ground.home.join(file), &text)?;
    if options.is_whole(page) {
        fs::write(ground.context.root.join("docs").join(file), &text)?;
        profile::publish(ground, &page.outcome)?;
        ground.say("bench", format!("docs/{file} written"));
    } else {
        let words =
            format!("not all of it in full: target/bench/{file} written, docs/ left as it is");
        ground.say("bench", words);
    }
    Ok(())
}

/// The rows that are driven over HTTP, over their own PostgreSQL and Redis; returns what they were.
fn serve(
    ground: &mut Ground,
    options: &Options,
    outcome: &mut table::Outcome,
) -> anyhow::Result<machine::Facts> {
    let wanted = Wanted {
        postgres: true,
        redis: true,
        rabbitmq: false,
    };
    let mut servers = Servers::own_only(&ground.context, wanted)?;
    ground.urls = Urls {
        database: servers.fresh_database("bench")?,
        redis: servers.urls.redis.clone(),
        // nothing of what is measured rings a bell; the address only has to be one
        rabbitmq: "amqp://127.0.0.1:1/%2f".to_owned(),
    };
    ground.env = prepare(ground)?;
    ground.say("ceilings", rows::ceilings(ground));
    if options.wants(rows::Row::Ussd) {
        rows::ussd(ground, outcome, !options.no_profile)?;
    }
    if options.wants(rows::Row::Memory) {
        rows::memory(ground, outcome)?;
    }
    if options.wants(rows::Row::Partner) {
        rows::partner(ground, outcome)?;
    }
    if options.wants(rows::Row::Callbacks) {
        rows::callbacks(ground, outcome)?;
    }
    servers.check_alive()?;
    Ok(machine::servers(&servers.urls))
}

/// The rows of the stream, over their own PostgreSQL and RabbitMQ, all cores for everybody.
fn stream(
    ground: &Ground,
    options: &Options,
    outcome: &mut table::Outcome,
) -> anyhow::Result<machine::Facts> {
    ground.pinning.lift()?;
    let wanted = Wanted {
        postgres: true,
        redis: false,
        rabbitmq: true,
    };
    let mut servers = Servers::own_only(&ground.context, wanted)?;
    if options.wants(rows::Row::Nightly) {
        nightly::run(ground, &mut servers, outcome)?;
    }
    if options.wants(rows::Row::Ingest) {
        ingest::run(ground, &mut servers, outcome)?;
    }
    servers.check_alive()?;
    Ok(machine::servers(&servers.urls))
}

/// What takes part as it is shipped, symbols kept: they are not loaded, and the flame graph needs
/// them.
fn build(context: &Context, backend: bool, stream: bool) -> anyhow::Result<PathBuf> {
    // binary by binary: linking one takes a minute, and the workers have more than take part
    let mut wanted = vec![("bench", "bench")];
    wanted.extend(backend.then_some(("backend", "backend")));
    if stream {
        wanted.push(("data-processor", "data-processor"));
        wanted.extend(["weather", "damage", "relay"].map(|role| ("workers", role)));
    }
    let binaries: Vec<&str> = wanted.iter().map(|(_, binary)| *binary).collect();
    context.say(
        "build",
        format!(
            "{}, release (the first time takes many minutes)",
            binaries.join(", ")
        ),
    );
    let mut command = cargo(context);
    command.args(["build", "--release"]);
    for (package, binary) in wanted {
        command.args(["-p", package, "--bin", binary]);
    }
    command.env("CARGO_PROFILE_RELEASE_STRIP", "none");
    context
        .run_ok(&mut command)
        .context("the release binaries do not build")?;
    let metadata = metadata(&context.root)?;
    Ok(PathBuf::from(text(&metadata, "target_directory")).join("release"))
}

/// The peer's packages, in `target/bench/node`; none where Node is missing, which the table says.
fn install_peer(context: &Context, home: &Path) -> anyhow::Result<Option<PathBuf>> {
    if which("node").is_none() || which("npm").is_none() {
        context.say("peer", "not measured: node and npm are not installed");
        return Ok(None);
    }
    let (from, dir) = (context.root.join("bench/peer"), home.join("node"));
    fs::create_dir_all(&dir)?;
    let lock = fs::read(from.join("package-lock.json"))?;
    let is_fresh = fs::read(dir.join("installed.json")).is_ok_and(|known| known == lock);
    for file in ["package.json", "package-lock.json", "server.js"] {
        fs::copy(from.join(file), dir.join(file))
            .with_context(|| format!("cannot copy bench/peer/{file}"))?;
    }
    if !is_fresh {
        context.say("peer", "npm ci");
        let mut command = crate::process::dies_with_us("npm");
        command
            .args([
                "ci",
                "--ignore-scripts",
                "--no-audit",
                "--no-fund",
                "--loglevel=error",
            ])
            .current_dir(&dir);
        context.run_ok(&mut command)?;
        fs::write(dir.join("installed.json"), lock)?;
    }
    Ok(Some(dir))
}

/// Tables, products, farmers; returns the backend's environment.
fn prepare(ground: &Ground) -> anyhow::Result<Vec<(String, String)>> {
    let (context, home, urls) = (&ground.context, &ground.home, &ground.urls);
    let start = clock_start(None)?;
    let ports = PortPlan::free()?;
    let mut env = shared(&Facts {
        urls,
        broker_prefix: "bench.",
        addresses: &ports.addresses,
        clock: None,
        seed: 1,
        evidence_dir: home,
    })?;
    // a million a second is no ceiling; the rest is as shipped, logs included
    for (name, value) in &mut env {
        if name == "TIME_MODE" {
            *value = shifted(&start)?;
        }
        if matches!(
            name.as_str(),
            "USSD_RATE_PER_SECOND"
                | "USSD_RATE_BURST"
                | "WEBHOOK_RATE_PER_SECOND"
                | "WEBHOOK_RATE_BURST"
                | "API_RATE_PER_SECOND"
                | "API_RATE_BURST"
        ) {
            "1000000".clone_into(value);
        }
    }
    let plan = Plan {
        bin_dir: ground.bin_dir.clone(),
        log_dir: home.join("logs"),
        env: env.clone(),
        ports,
        lifetime: Lifetime::WithUs,
    };
    context.say("migrate", "tables and products");
    run_once(&plan, "backend", &["migrate"])?;
    context.say(
        "seed",
        format!("{FARMERS} farmers with a plot each, by COPY"),
    );
    let count = FARMERS.to_string();
    // the owner's: nobody may copy rows in under row-level security
    let owner = ["--database-url", &urls.database];
    let seed = ["seed", "--farmers", &count, "--at", &start];
    let seeded = run_once(&plan, "bench", &[&seed[..], &owner].concat())?;
    ensure!(
        seeded.contains(&count),
        "the seed wrote something else: {seeded}"
    );
    crate::servers::database::query(
        &urls.database,
        "create table bench_callbacks (id uuid primary key, key text not null unique,
            body bytea not null, received_at timestamptz not null);
         create table bench_farmers (id uuid primary key, phone text not null unique,
            name text not null, national_id text not null unique, language text not null,
            ward_code text not null references wards (code), created_at timestamptz not null)",
    )?;
    Ok(env)
}

/// The machine's time, shifted so that it is `start` now: inside a sale window, and as cheap to ask
/// as in production.
fn shifted(start: &str) -> anyhow::Result<String> {
    let seconds = |instant: &str| -> anyhow::Result<i64> {
        let mut date = Command::new("date");
        let out = date.args(["-u", "-d", instant, "+%s"]).output()?;
        let text = String::from_utf8(out.stdout)?;
        text.trim()
            .parse()
            .with_context(|| format!("`date -d {instant}` says {text:?}"))
    };
    Ok(format!("system{:+}", seconds(start)? - seconds("now")?))
}

/// A port for a contestant.
fn port(ports: &mut Ports) -> anyhow::Result<u16> {
    ports.free().context("a contestant has no port")
}
