//! The backend's command line: serve, migrate, check-config, health, operator token.
//! Holds no handler and no rule; the only place where errors are `anyhow`.
//! Called by the container, by `cargo xtask` and by people.

use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use backend::app::{App, Parts, build};
use backend::{Config, migrate, webhooks};
use clap::{Parser, Subcommand};
use runtime::clock::Clock;
use runtime::config::{Faults, Need};
use runtime::ids::Ids;
use runtime::lifecycle::Lifecycle;
use runtime::metrics::Metrics;
use runtime::redis::Redis;
use runtime::{health, http, telemetry};
use store::Pii;
use tokio::net::TcpListener;

/// Answers farmers, providers and operators over HTTP.
///
/// Every flag is also the environment variable shown beside it. `serve` runs until SIGTERM or
/// SIGINT and finishes what is in flight within 25 s.
#[derive(Debug, Parser)]
#[command(name = "backend", version)]
struct Cli {
    #[command(flatten)]
    config: Config,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Clone, Subcommand)]
enum Command {
    /// Serve until asked to stop.
    Serve,
    /// Bring the database up to date: migrations, products, wards. May be repeated.
    Migrate,
    /// Report every fault of the configuration and exit 1 if there is one.
    CheckConfig,
    /// Ask the running process whether it is alive: exit 0 if so, for container health checks.
    Health,
    /// People who may release money and correct wards.
    Operator {
        /// What to do.
        #[command(subcommand)]
        command: OperatorCommand,
    },
}

#[derive(Debug, Clone, Subcommand)]
enum OperatorCommand {
    /// Print a bearer token for a person, who is recorded if new.
    Token {
        /// The person's name, unique.
        #[arg(long)]
        name: String,
        /// operator, approver, auditor or administrator.
        #[arg(long)]
        role: String,
    },
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error = format!("{error:#}"), "exiting");
            // logging may not have started
            let _ = writeln!(std::io::stderr().lock(), "backend: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> anyhow::Result<()> {
    if matches!(cli.command, Command::CheckConfig) {
        cli.config.check()?;
        writeln!(std::io::stdout().lock(), "configuration is in order")?;
        return Ok(());
    }
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(async {
            match cli.command {
                Command::Serve => serve(cli.config).await,
                Command::Migrate => bring_up_to_date(cli.config).await,
                Command::Operator {
                    command: OperatorCommand::Token { name, role },
                } => operator_token(cli.config, &name, &role).await,
                Command::Health => ask_health(&cli.config).await,
                Command::CheckConfig => Ok(()),
            }
        })
}

async fn serve(config: Config) -> anyhow::Result<()> {
    config.check()?;
    let common = &config.common;
    telemetry::init(common.log_format, &common.log_filter)?;
    let clock = Clock::parse(&common.time_mode, common.environment)?;
    let lifecycle = Lifecycle::new();
    lifecycle.obey_signals()?;
    let metrics = Metrics::build()?;
    let redis_url = common.redis_url.expose();
    let redis = Redis::open(redis_url, "microcrop:", lifecycle.clone(), metrics.clone())
        .context("REDIS_URL cannot be used")?;
    let pool = connect(&config).await?;
    let pii = Pii::from_hex(
        common.encryption_key.expose(),
        common.pii_index_key.expose(),
    )?;
    let (port, metrics_port) = (config.port, common.metrics_port);
    let app = App::new(Parts {
        pool,
        redis,
        clock,
        ids: Ids::system(),
        pii: Arc::new(pii),
        metrics,
        lifecycle: lifecycle.clone(),
        config,
    });
    app.metrics
        .build_info
        .with_label_values(&[env!("CARGO_PKG_VERSION"), "backend"])
        .set(1);
    health::serve(
        metrics_port,
        app.health.clone(),
        app.metrics.clone(),
        &lifecycle,
    )
    .await
    .context("METRICS_PORT cannot be used")?;
    let listener = TcpListener::bind(("0.0.0.0", port))
        .await
        .context("PORT cannot be used")?;
    tracing::info!(address = %listener.local_addr()?, "listening");
    let processing = app.clone();
    lifecycle.spawn("webhooks", async move {
        webhooks::process::run(&processing).await
    });
    let (router, stopping) = (build(app), lifecycle.clone());
    lifecycle.spawn("http", async move {
        let stop = async move { stopping.stopping().await };
        axum::serve(listener, router)
            .with_graceful_shutdown(stop)
            .await
    });
    lifecycle.finish().await?;
    Ok(())
}

async fn connect(config: &Config) -> anyhow::Result<store::Pool> {
    let common = &config.common;
    let url = common.database_url.expose();
    store::connect(
        url,
        common.db_pool_min.min(common.db_pool_max),
        common.db_pool_max,
    )
    .await
    .context("DATABASE_URL cannot be used")
}

/// The part of the configuration that commands against the database need.
fn check_database(config: &Config) -> anyhow::Result<()> {
    let mut faults = Faults::new();
    config.common.check(&[Need::Database], &mut faults);
    faults.into_result()?;
    Ok(())
}

async fn bring_up_to_date(config: Config) -> anyhow::Result<()> {
    check_database(&config)?;
    let common = &config.common;
    telemetry::init(common.log_format, &common.log_filter)?;
    let clock = Clock::parse(&common.time_mode, common.environment)?;
    let pool = connect(&config).await?;
    let documents = migrate::Documents::load(config.products_dir.as_deref())?;
    let summary = migrate::run(&pool, clock.now(), &Ids::system(), &documents).await?;
    write!(std::io::stdout().lock(), "{summary}")?;
    Ok(())
}

async fn operator_token(config: Config, name: &str, role: &str) -> anyhow::Result<()> {
    check_database(&config)?;
    let common = &config.common;
    let clock = Clock::parse(&common.time_mode, common.environment)?;
    let pool = connect(&config).await?;
    let token =
        backend::operator::issue_token(&pool, clock.now(), &Ids::system(), &config, name, role)
            .await?;
    writeln!(std::io::stdout().lock(), "{token}")?;
    Ok(())
}

async fn ask_health(config: &Config) -> anyhow::Result<()> {
    let url = format!(
        "http://127.0.0.1:{}/health/live",
        config.common.metrics_port
    );
    anyhow::ensure!(http::is_healthy(&url).await, "{url} does not answer 200");
    Ok(())
}
