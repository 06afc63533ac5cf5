//! The supervisor: brings real servers, builds and runs the processes, checks the tree.
//! Never part of the product and knows none of its crates: it supervises processes.
//! Run as `cargo xtask <command>`; `.ci/run` calls nothing else.

mod bench;
mod browser;
mod cargo;
mod check;
mod clock;
mod context;
mod contract;
mod demo;
mod deploy;
mod docs;
mod environment;
mod http;
mod interrupt;
mod ports;
mod process;
mod progress;
mod record;
mod servers;
mod sqlx_cache;
mod stack;
mod testing;
mod tidy;
mod tools;
mod up;
mod vegetation;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use context::{Context, Given};
use progress::print_line;
use servers::Servers;

/// MicroCrop's one tool: run it, test it, check it.
#[derive(Parser)]
#[command(
    name = "cargo xtask",
    bin_name = "cargo xtask",
    version,
    about,
    after_help = "\
Start here
  cargo xtask demo              a whole insured season on real servers, in about a minute
  cargo xtask up                everything running, with a page of phones; `down` stops it
  cargo xtask test              every test; `test -p domain` for one crate
  cargo xtask check             what must be clean before a change lands

Servers (PostgreSQL 15+, Redis 7, RabbitMQ 3.10+)
  If DATABASE_URL, REDIS_URL or RABBITMQ_URL is set, that server is used as it is and never started
  or stopped. Otherwise private ones are started from installed programs on free ports, and gone
  afterwards; if the programs are missing they are installed from the system's packages (as root or
  by passwordless sudo) without starting any service. `servers start` keeps a set running, so that
  `test` and `check` need not wait for it.

Ctrl-C stops everything in order. What a killed command leaves behind, the next one ends."
)]
struct Cli {
    #[command(flatten)]
    given: Given,
    #[command(subcommand)]
    command: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Play a whole insured season and print the closing table
    #[command(after_help = "\
What happens
  The binaries are built, servers brought, the database migrated, all processes started on a manual
  clock, and `sandbox season` acts the farmers, partners and operators over HTTP: it dials, buys,
  lets the season pass and approves large payouts, then compares wallets, ledger and policies.
  The exit code is 0 only if everything is equal. Logs are in target/demo/logs, evidence bundles in
  target/demo/evidence (recompute one with `data-processor verify <bundle>`).

Examples
  cargo xtask demo
  cargo xtask demo --farmers 40 --scenario flood --seed 3
  cargo xtask demo --chaos --farmers 150 --seeds 7,8,9
  cargo xtask demo --farmers 20 --weather rain.csv.gz --points wards.csv --season MAM-1984,MAM-2007

Replay
  A date of the file is a local day (UTC+3). A column is used if its name, without case and
  punctuation, is a ward of --county (default: the county with most matches); the others are listed
  as unused. --points sets those wards' places first, so that each keeps a cell of its own. Only
  the rainfall phase contract is sold in a replay. Farmers are spread over the wards in turn, at
  least one a ward.

Chaos
  The driver asks for kills at points that follow from the seed: SIGKILL, back after half a second
  on the same port. RabbitMQ is stopped and started once (if it is ours). Without --chaos an exit
  nobody asked for fails the demo.")]
    Demo(demo::Options),
    /// Run everything in the background, on ports 3000 and 9090 if they are free
    #[command(after_help = "\
Prints the ports and writes them to target/up/ports.json, and the address of a page with phones to
dial, a season to play and a map to watch. Time stands still inside a sale window until the page's
Play moves it: the page is the one writer of target/up/clock. A second `up` finds everything running
and does nothing.")]
    Up(up::Options),
    /// Measure the backend against floors and a peer, and write docs/benchmarks.md
    #[command(after_help = "\
What happens
  Release binaries are built, private PostgreSQL and Redis started, 100,000 farmers seeded, and every
  contestant is loaded in turn, round after round, each alone on the first core. The table shows
  ratios; absolute figures belong to the machine. One wrong answer fails the run. Nothing else should
  run meanwhile. The peer needs node and npm, the flame graph perf; without them the page says so.

Examples
  cargo xtask bench
  cargo xtask bench --quick --rows ussd,memory --no-profile")]
    Bench(bench::Options),
    /// Stop what `up` and `servers start` left running
    Down,
    /// Drive the page of `up` in a headless browser, as a visitor would
    #[command(after_help = "\
What happens
  Chromium is used if installed; otherwise it is installed from the system's packages (as root or by
  passwordless sudo). playwright-core and axe-core, at the versions of tests/browser/package.json,
  are installed by npm into target/browser. A private system is started, and two visitors, one with
  a mouse and one with a keyboard alone, register, buy, pay, play a drought and read that they were
  paid. It fails on an error in the console, a request to another host, or an accessibility violation.
  Screenshots are in target/browser/screens.")]
    Browser(browser::Options),
    /// Hold the running API against its own description, and use it by a generated client
    #[command(after_help = "\
What happens
  A backend is started on a database of its own, with ceilings raised. A client is generated from
  docs/openapi.json, compiled and used against it. Then schemathesis, at the version of
  tests/contract/requirements.txt, sends generated requests with a partner's key and an operator's
  token, and again with neither. It fails on a 5xx, an undocumented status, a broken check, or an
  operation that never answered 2xx with the key. What is excepted, and why, is in
  tests/contract/schemathesis.toml. Reports are in target/contract.

Examples
  cargo xtask contract
  cargo xtask contract --max-examples 200 --seed 7")]
    Contract(contract::Options),
    /// Run every test on real servers and print the counts
    Test(testing::Options),
    /// Check formatting, lints, tidiness, licences, the query cache and the generated documents
    Check,
    /// Check the rules of the house that no compiler knows
    Tidy,
    /// Hold everything under deploy/ against the tools that know its kind
    #[command(after_help = "\
What happens
  Manifests are rendered and held against strict schemas, the cluster's own admission rules and the
  programs' own configuration, and so on: a row for each artefact, with the tool and its verdict.
  Nothing is deployed and no cloud, cluster or image registry is asked. Tools are installed once, from
  the usual package indexes, into target/deploy-tools. It fails when a row failed; what cannot be
  proven on this machine says why.

Examples
  cargo xtask deploy-check
  cargo xtask deploy-check --full
  cargo xtask deploy-check --only kubernetes,secrets")]
    DeployCheck(deploy::Options),
    /// Regenerate .sqlx, the offline query cache
    Sqlx,
    /// Regenerate docs/queues.md, docs/metrics.md, docs/config.md, docs/openapi.json and the codes
    /// of docs/api.md
    Docs,
    /// Keep servers running for this checkout
    Servers {
        #[command(subcommand)]
        action: ServersAction,
    },
}

#[derive(Subcommand)]
enum ServersAction {
    /// Start them, or find them running, and print `export` lines for a shell
    Start,
    /// Stop them
    Stop,
    /// Say whether they run
    Status,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let context = match Context::new(cli.given) {
        Ok(context) => context,
        Err(error) => {
            eprintln!("error: {error:#}");
            return ExitCode::FAILURE;
        }
    };
    match run(&context, &cli.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.is::<interrupt::Interrupted>() || context.interrupt.is_set() => {
            context.say("xtask", "interrupted; everything it started is stopped");
            ExitCode::from(130)
        }
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(context: &Context, task: &Task) -> anyhow::Result<()> {
    match task {
        Task::Demo(options) => demo::run(context, options),
        Task::Up(options) => up::up(context, options),
        Task::Bench(options) => bench::run(context, options),
        Task::Down => up::down(context),
        Task::Browser(options) => browser::run(context, options),
        Task::Contract(options) => contract::run(context, options),
        Task::Test(options) => testing::run(context, options),
        Task::Check => check::run(context),
        Task::Tidy => tidy::run(context),
        Task::DeployCheck(options) => deploy::run(context, options),
        Task::Sqlx => sqlx_cache::regenerate(context),
        Task::Docs => docs::regenerate(context),
        Task::Servers { action } => serve(context, action),
    }
}

fn serve(context: &Context, action: &ServersAction) -> anyhow::Result<()> {
    match action {
        ServersAction::Start => {
            let urls = Servers::keep(context)?;
            print_line(format!("export DATABASE_URL='{}'", urls.database));
            print_line(format!("export REDIS_URL='{}'", urls.redis));
            print_line(format!("export RABBITMQ_URL='{}'", urls.rabbitmq));
        }
        ServersAction::Stop => {
            if !servers::stop_kept(context)? {
                context.say("servers", "none were kept by this checkout");
            }
        }
        ServersAction::Status => match servers::kept(context) {
            Some(urls) => print_line(serde_json::to_string_pretty(&urls)?),
            None => anyhow::bail!("no servers are kept by this checkout"),
        },
    }
    Ok(())
}
