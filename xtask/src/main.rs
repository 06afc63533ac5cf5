//! The supervisor: brings real servers, builds and runs the processes, checks the tree.
//! Never part of the product and knows none of its crates: it supervises processes.
//! Run as `cargo xtask <command>`; `.ci/run` calls nothing else.

mod bench;
mod browser;
mod cargo;
mod check;
mod clock;
mod compose;
mod context;
mod contract;
mod dashboards;
mod demo;
mod deploy;
mod docs;
mod drill;
mod environment;
mod home;
mod http;
mod interrupt;
mod live;
mod ports;
mod process;
mod progress;
mod record;
mod rows;
mod season;
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
    /// Measure the backend against floors and a peer, and write docs/benchmarks*.md
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
  programs' own configuration, and so on: a row for each artefact, with the tool and its verdict. A
  season of twenty farmers is played, to see whether every metric that is asked for is told.
  Nothing is deployed and no cloud, cluster or image registry is asked. Tools are installed once, from
  the usual package indexes, into target/deploy-tools. It fails when a row failed; what cannot be
  proven on this machine says why.

Examples
  cargo xtask deploy-check
  cargo xtask deploy-check --full
  cargo xtask deploy-check --only kubernetes,secrets")]
    DeployCheck(deploy::Options),
    /// Start docker-compose.yml for real, play a season against it, and remove everything
    #[command(after_help = "\
What happens
  No engine and no registry of images are needed: podman, runc and netavark are installed from the
  system's packages if absent (Debian 12 or 13), Docker Compose from PyPI; root file systems of
  Debian 12 are made by debootstrap once and kept in target/deploy-tools/compose. The release programs are built (the first time takes many
  minutes), images are made of them by the stages of the Dockerfiles from their base on, and weighed
  against the 150 MB allowed. The three servers and nginx are Debian's, under the names that docker-compose.yml asks for
  (deploy/docker/stand-ins). The stack is started by `docker compose up --wait`, on the documented
  ports where they are free; a season is played against it over HTTP; then it is taken down, and
  containers, volumes, networks and their rules are gone. Needs root. Logs are in target/compose/logs.

Examples
  cargo xtask compose-up
  cargo xtask compose-up --images-only
  cargo xtask compose-up --bin-dir target/debug      # with the programs of an earlier demo, in minutes")]
    ComposeUp(compose::Options),
    /// Ask every panel of every dashboard during a season, with pictures of the answers
    #[command(after_help = "\
What happens
  The binaries are built, private servers brought, all processes started, and beside them a real
  Prometheus, with the configuration and rules of deploy/monitoring and the exporters of PostgreSQL,
  Redis and RabbitMQ (installed from the system's packages if absent). A season is played; then every
  query of every panel of deploy/monitoring/dashboards is asked over the season's minutes. It fails
  when a query has no number. Panels about what only a cluster measures (kube_*, container_*,
  kubelet_*) are named and not asked for more. Pictures and index.html are in target/dashboards.

Examples
  cargo xtask dashboards
  cargo xtask dashboards --farmers 200")]
    Dashboards(dashboards::Options),
    /// Lose a season's books and bring them back by the scripts of deploy/, timed
    #[command(after_help = "\
What happens
  A PostgreSQL that keeps what it acknowledges and archives its changes, a Redis, RabbitMQ and a
  stand-in for S3 are started; a small season is played; backup.sh sends a backup to two regions. Then
  PostgreSQL's data and Redis are destroyed, and restore.sh brings them into empty servers: every
  table, the trial balance, the audit chain and old evidence must be equal, and smoke-tests.sh and
  health-check.sh pass, and name Redis and PostgreSQL when those are stopped. to-moment.sh goes back to
  a moment from a base backup and archived changes, and does not try one within a base backup; damaged
  archives must be refused; the second region must do without the first. Given servers are never used, RabbitMQ apart. What each script said is in
  target/drill/logs (results in .out, words in .log). It takes some minutes, of which one is
  PostgreSQL's archive_timeout.

Examples
  cargo xtask drill
  cargo xtask drill --farmers 200")]
    Drill(drill::Options),
    /// Switch between two backends behind the real nginx under load, and hold nginx to its limits
    #[command(after_help = "\
What happens
  A release backend and the nginx of deploy/docker/nginx are started on free ports of loopback. Shown,
  a row each with its numbers: what an ordinary address may ask of the API, of USSD and of the
  webhooks, and that known gateways are not cut off; headers on every answer; 500 key presses a second
  for half a minute, each screen compared; then deploy-blue-green.sh while farmers press keys and
  M-Pesa reports: a good build takes over, two bad ones are refused, one that dies is taken back from.
  It fails when a request was lost where none may be. About four minutes; logs are in
  target/blue-green.

Examples
  cargo xtask blue-green
  cargo xtask blue-green --bin-dir target/release
  cargo xtask blue-green --rate 200 --seconds 10")]
    BlueGreen(live::Options),
    /// Replace every process in turn all through a season, and lose nothing
    #[command(after_help = "\
What happens
  The season of `demo` is played on real servers while one process after another is asked to stop
  (SIGTERM), drains, and is started again, round after round: six workers, the data processor, and two
  backends behind nginx, each taken out of the balancer first, as long before as its manifest says.
  Each must end with 0 within the grace period of its manifest; no request may be answered by a
  failure, no message lost or handled twice, and the season's books must be equal in the end. Logs are
  in target/drain.

Examples
  cargo xtask drain
  cargo xtask drain --farmers 40")]
    Drain(live::drain::Options),
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
        Task::BlueGreen(options) => live::run(context, options),
        Task::Drain(options) => live::drain::run(context, options),
        Task::ComposeUp(options) => compose::run(context, options),
        Task::Dashboards(options) => dashboards::run(context, options),
        Task::Drill(options) => drill::run(context, options),
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
