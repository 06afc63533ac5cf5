//! The life of a worker process: parse, check, connect, consume, drain, exit code. The same for
//! every role, so that a binary is only its name. Must hold no role's work: a new role is one arm
//! of `start`. Called by `src/bin/*.rs`.

use std::fmt;
use std::future::Future;
use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use providers::ProviderError;
use runtime::amqp::Rabbit;
use runtime::broker::Broker;
use runtime::clock::Clock;
use runtime::config::Environment;
use runtime::health::{self, Health};
use runtime::ids::Ids;
use runtime::lifecycle::Lifecycle;
use runtime::metrics::Metrics;
use runtime::topology::Topology;
use runtime::{http, telemetry};
use store::{Pii, Pool};
use tokio::time::Instant;

use crate::consumer::{self, Handler};
use crate::settings::Settings;
use crate::{damage, docs, notify, outbound, payout, premium, relay, satellite, sweeps, weather};

/// How often the relay measures backlog and queues, and a resting loop shows life.
const MEASURE: Duration = Duration::from_secs(5);
/// How often the relay measures what pages people.
const HALF_MINUTE: Duration = Duration::from_secs(30);
/// How often old rows are forgotten, and lost bells looked for.
const TEN_MINUTES: Duration = Duration::from_mins(10);
/// How often the invariants are audited.
const HOUR: Duration = Duration::from_hours(1);

/// A worker binary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Process {
    /// Fetches weather stations and their days.
    Weather,
    /// Fetches satellite scenes.
    Satellite,
    /// Decides closed windows and plans payouts.
    Damage,
    /// Asks for premiums and sends payouts.
    Payout,
    /// Sends texts to farmers and webhooks to partners.
    Notify,
    /// Rings bells and looks at the calendar.
    Relay,
}

impl Process {
    /// The name of the binary.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Weather => "weather",
            Self::Satellite => "satellite",
            Self::Damage => "damage",
            Self::Payout => "payout",
            Self::Notify => "notify",
            Self::Relay => "relay",
        }
    }

    /// The private port when `METRICS_PORT` is not set: one pod shares one network.
    const fn metrics_port(self) -> &'static str {
        match self {
            Self::Weather => "9092",
            Self::Satellite => "9093",
            Self::Damage => "9094",
            Self::Payout => "9095",
            Self::Notify => "9096",
            Self::Relay => "9097",
        }
    }

    const fn about(self) -> &'static str {
        match self {
            Self::Weather => {
                "Fetches weather stations and their daily records for every cell under cover"
            }
            Self::Satellite => "Fetches satellite scenes for every cell under cover",
            Self::Damage => {
                "Decides closed seasons, publishes their evidence and plans the payouts"
            }
            Self::Payout => "Asks farmers' phones for premiums and sends released payouts",
            Self::Notify => "Sends text messages to farmers and webhooks to partners",
            Self::Relay => {
                "Publishes committed events to the broker and looks for work that has become due"
            }
        }
    }
}

impl fmt::Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Every flag is also the environment variable shown beside it. Without a command the process runs
/// until SIGTERM or SIGINT, finishes what is in flight within 25 s and exits 0; it exits 1 when a
/// part of it fails for good, so that its supervisor starts it anew.
#[derive(Debug, Parser)]
struct Cli {
    #[command(flatten)]
    settings: Settings,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Clone, Copy, Subcommand)]
enum Command {
    /// Report every fault of the configuration and exit 1 if there is one.
    CheckConfig,
    /// Ask the running process whether it is alive: exit 0 if so, for container health checks.
    Health,
    /// Print a generated document.
    #[command(hide = true)]
    Docs {
        /// Which one.
        part: docs::Part,
    },
}

/// What a role's handlers are built from; cloning it is cheap.
#[derive(Debug, Clone)]
pub struct Context {
    /// The time.
    pub clock: Clock,
    /// Identifiers and randomness.
    pub ids: Ids,
    /// The database.
    pub pool: Pool,
    /// Decrypts and indexes personal data.
    pub pii: Arc<Pii>,
    /// The broker.
    pub broker: Broker,
    /// The client for providers.
    pub http: http::Client,
    /// Counters and gauges.
    pub metrics: Arc<Metrics>,
    /// Liveness and readiness.
    pub health: Health,
    /// Tasks and signals.
    pub lifecycle: Lifecycle,
    /// All settings.
    pub settings: Arc<Settings>,
}

impl Context {
    /// A call of a provider, measured by its outcome.
    pub async fn timed<T>(
        &self,
        provider: &str,
        operation: &str,
        call: impl Future<Output = Result<T, ProviderError>>,
    ) -> Result<T, ProviderError> {
        let started = Instant::now();
        let answer = call.await;
        let outcome = answer.as_ref().map_or_else(ProviderError::kind, |_| "ok");
        self.metrics
            .provider_call_seconds
            .with_label_values(&[provider, operation, outcome])
            .observe(started.elapsed().as_secs_f64());
        answer
    }
}

/// Runs a worker binary from its command line to its exit code.
#[must_use]
pub fn run(process: Process) -> ExitCode {
    let cli = match parse(process) {
        Ok(cli) => cli,
        Err(error) => error.exit(),
    };
    let done = match cli.command {
        Some(Command::CheckConfig) => check(process, &cli.settings),
        Some(Command::Health) => ask_health(&cli.settings),
        Some(Command::Docs { part }) => print(&docs::markdown(part)),
        None => serve(process, cli.settings),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            if tracing::dispatcher::has_been_set() {
                tracing::error!(error = format!("{error:#}"), "exiting");
            } else {
                // nobody is left to tell when standard error is closed
                drop(writeln!(std::io::stderr().lock(), "{process}: {error:#}"));
            }
            ExitCode::FAILURE
        }
    }
}

fn parse(process: Process) -> Result<Cli, clap::Error> {
    let command = Cli::command()
        .name(process.name())
        .about(process.about())
        .version(env!("CARGO_PKG_VERSION"))
        .mut_arg("metrics_port", |arg| {
            arg.default_value(process.metrics_port())
        });
    Cli::from_arg_matches(&command.get_matches())
}

fn check(process: Process, settings: &Settings) -> anyhow::Result<()> {
    settings.check(process)?;
    writeln!(
        std::io::stdout().lock(),
        "{process}: configuration is complete"
    )?;
    Ok(())
}

fn print(document: &str) -> anyhow::Result<()> {
    Ok(std::io::stdout().lock().write_all(document.as_bytes())?)
}

fn ask_health(settings: &Settings) -> anyhow::Result<()> {
    let url = format!(
        "http://127.0.0.1:{}/health/live",
        settings.common.metrics_port
    );
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    anyhow::ensure!(
        runtime.block_on(http::is_healthy(&url)),
        "{url} does not answer that it is alive"
    );
    Ok(())
}

fn serve(process: Process, settings: Settings) -> anyhow::Result<()> {
    settings.check(process)?;
    telemetry::init(settings.common.log_format, &settings.common.log_filter)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let context = connect(process, settings).await?;
        start(process, &context)?;
        tracing::info!(
            role = process.name(),
            manual_clock = context.clock.is_manual(),
            "started"
        );
        context.lifecycle.finish().await?;
        tracing::info!(role = process.name(), "stopped");
        Ok(())
    })
}

/// Everything a role needs, connected and serving its private port.
async fn connect(process: Process, settings: Settings) -> anyhow::Result<Context> {
    let common = &settings.common;
    let lifecycle = Lifecycle::new();
    lifecycle.obey_signals()?;
    let (health, metrics) = (Health::new(), Metrics::build()?);
    metrics
        .build_info
        .with_label_values(&[env!("CARGO_PKG_VERSION"), process.name()])
        .set(1);
    health::serve(
        common.metrics_port,
        health.clone(),
        metrics.clone(),
        &lifecycle,
    )
    .await
    .with_context(|| format!("METRICS_PORT {} cannot be used", common.metrics_port))?;
    let clock = Clock::parse(&common.time_mode, common.environment)?;
    let pii = Pii::from_hex(
        common.encryption_key.expose(),
        common.pii_index_key.expose(),
    )?;
    let pool = store::connect(
        common.database_url.expose(),
        common.db_pool_min,
        common.db_pool_max,
    )
    .await
    .context("DATABASE_URL cannot be used")?;
    store::login::check(&pool, common.environment == Environment::Production).await?;
    let topology = Topology {
        prefix: common.broker_prefix.clone(),
        retry_delay_ms: common.rabbitmq_retry_delay_ms,
    };
    let rabbit = Rabbit::connect(common.rabbitmq_url.expose(), topology, process.name())
        .await
        .context("RABBITMQ_URL cannot be used")?;
    Ok(Context {
        clock,
        ids: Ids::system(),
        pool,
        pii: Arc::new(pii),
        broker: Broker::Rabbit(rabbit),
        http: http::client()?,
        metrics,
        health,
        lifecycle,
        settings: Arc::new(settings),
    })
}

/// Starts the loops of a process.
fn start(process: Process, context: &Context) -> anyhow::Result<()> {
    match process {
        Process::Damage => consume(context, damage::build(context)),
        Process::Notify => {
            consume(context, notify::build(context));
            start_outbound(context)?;
        }
        Process::Payout => {
            let premiums = premium::build(context);
            consume(context, payout::build(context));
            consume(context, premiums.clone());
            every(context, "reconcile", sweep_interval(context), move |_| {
                let premiums = premiums.clone();
                async move { premiums.reconcile().await.map(drop) }
            });
        }
        Process::Relay => start_relay(context),
        Process::Weather => consume(context, weather::build(context)),
        Process::Satellite => {
            let satellite = satellite::build(context);
            consume(context, satellite.clone());
            every(context, "scenes", TEN_MINUTES, move |_| {
                let satellite = satellite.clone();
                async move { satellite.reopen().await.map(drop) }
            });
        }
    }
    Ok(())
}

/// Webhooks are written by one loop and sent by another; neither waits for a text, nor a text for
/// them.
fn start_outbound(context: &Context) -> anyhow::Result<()> {
    let outbound = outbound::build(context)?;
    consume(context, outbound.clone());
    let sending = outbound.clone();
    context
        .lifecycle
        .spawn("webhooks", async move { sending.run().await });
    every(context, "webhooks kept", TEN_MINUTES, move |_| {
        let outbound = outbound.clone();
        async move {
            outbound.catch_up().await?;
            outbound.purge().await.map(drop)
        }
    });
    Ok(())
}

/// Exactly one role publishes and looks at the calendar; several replicas share the work.
fn start_relay(context: &Context) {
    let own = context.clone();
    context
        .lifecycle
        .spawn("relay", async move { relay::run(&own).await });
    every(
        context,
        "sweeps",
        sweep_interval(context),
        |own| async move { sweeps::run_once(&own).await },
    );
    every(context, "queues", MEASURE, |own| async move {
        relay::measure(&own).await
    });
    every(context, "measure", HALF_MINUTE, |own| async move {
        sweeps::measure(&own).await
    });
    every(context, "purge", TEN_MINUTES, |own| async move {
        relay::purge(&own).await
    });
    every(context, "unheard", TEN_MINUTES, |own| async move {
        relay::ring_again(&own).await.map(drop)
    });
    every(context, "audit", HOUR, |own| async move {
        sweeps::audit(&own).await
    });
}

/// Due work is looked for in real time, whatever the clock.
fn sweep_interval(context: &Context) -> Duration {
    Duration::from_millis(context.settings.common.sweep_interval_ms.into())
}

/// Consumes a role's queue for as long as the process lives.
pub fn consume<H: Handler + 'static>(context: &Context, handler: H) {
    let own = context.clone();
    context.lifecycle.spawn(H::ROLE.name(), async move {
        consumer::run(&handler, &own).await
    });
}

/// Runs a bounded piece of periodic work for as long as the process lives; a failure is logged,
/// counted and followed by the next round.
pub fn every<F, Work, E>(context: &Context, name: &'static str, interval: Duration, work: F)
where
    F: Fn(Context) -> Work + Send + Sync + 'static,
    Work: Future<Output = Result<(), E>> + Send,
    E: std::error::Error + 'static,
{
    let own = context.clone();
    // known from the start, so that the first failure is an increase
    let faults = &context.metrics.faults;
    faults.with_label_values(&[name, "failed"]);
    context.lifecycle.spawn(name, async move {
        loop {
            own.health.beat(name);
            if let Err(error) = work(own.clone()).await {
                tracing::warn!(
                    work = name,
                    error = consumer::chain(&error),
                    "a round failed"
                );
                own.metrics
                    .faults
                    .with_label_values(&[name, "failed"])
                    .inc();
            }
            if !rest(&own, name, interval).await {
                return Ok::<(), E>(());
            }
        }
    });
}

/// Waits, showing life every few seconds; says whether to go on.
async fn rest(context: &Context, name: &str, interval: Duration) -> bool {
    let mut left = interval;
    while !left.is_zero() {
        let nap = left.min(MEASURE);
        if !context.lifecycle.pause(nap).await {
            return false;
        }
        context.health.beat(name);
        left = left.saturating_sub(nap);
    }
    true
}
