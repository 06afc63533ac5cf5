//! The backend's command line: serve, migrate, check-config, health, operators, audit.
//! Holds no handler and no rule; the only place where errors are `anyhow`.
//! Called by the container, by `cargo xtask` and by people.

use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use backend::app::{App, Parts};
use backend::door::Door;
use backend::{Config, limits, migrate, people, webhooks};
use clap::{Parser, Subcommand};
use domain::id::{ApiKeyId, OrganisationId};
use runtime::clock::Clock;
use runtime::config::{Environment, Faults, Need, Secret};
use runtime::ids::Ids;
use runtime::lifecycle::Lifecycle;
use runtime::metrics::Metrics;
use runtime::redis::Redis;
use runtime::{health, http, telemetry};
use store::Pii;
use tokio::net::TcpListener;

/// The system's allocator took 8 % of a USSD hop's time, this one takes 2 % (docs/benchmarks.md).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

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
    Migrate {
        /// The owner's address of the database, if DATABASE_URL is the processes' own, which owns
        /// nothing.
        #[arg(long, env = "MIGRATE_DATABASE_URL", hide_env_values = true)]
        owner_url: Option<Secret>,
    },
    /// Print the API's description, an OpenAPI document.
    Openapi {
        /// Print the table of refusals' codes instead.
        #[arg(long)]
        problems: bool,
    },
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
    /// Partners and their keys.
    Partner {
        /// What to do.
        #[command(subcommand)]
        command: PartnerCommand,
    },
    /// The log of what people and switches did.
    Audit {
        /// What to do.
        #[command(subcommand)]
        command: AuditCommand,
    },
}

#[derive(Debug, Clone, Subcommand)]
enum OperatorCommand {
    /// Invite a person and print the token, good for 72 hours, with which they choose a password.
    Invite {
        /// The person's address.
        #[arg(long)]
        email: String,
        /// operator, approver, auditor or administrator.
        #[arg(long)]
        role: String,
    },
    /// Print a bearer token for a person, who is recorded if new; refused in production.
    Token {
        /// The person's name, unique.
        #[arg(long)]
        name: String,
        /// operator, approver, auditor or administrator.
        #[arg(long)]
        role: String,
    },
}

#[derive(Debug, Clone, Subcommand)]
enum PartnerCommand {
    /// Add a partner and print its id.
    Create {
        /// Its name, unique.
        #[arg(long)]
        name: String,
        /// cooperative, lender or insurer.
        #[arg(long)]
        kind: String,
    },
    /// Make a key and print it; it is never shown again.
    Key {
        /// Id of the partner, as `partner create` printed it.
        #[arg(long)]
        organisation: OrganisationId,
        /// What the key is for.
        #[arg(long)]
        name: String,
        /// What it may do: scopes such as farmers:read with commas between, or all.
        #[arg(long, default_value = "all")]
        scopes: String,
    },
    /// End a key now.
    EndKey {
        /// Id of the partner.
        #[arg(long)]
        organisation: OrganisationId,
        /// Id of the key.
        #[arg(long)]
        key: ApiKeyId,
    },
}

#[derive(Debug, Clone, Subcommand)]
enum AuditCommand {
    /// Walk the log's chain: exit 0 if it is whole, else name the first broken line and exit 1.
    Verify,
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
    if let Command::Openapi { problems } = cli.command {
        let text = if problems {
            backend::openapi::problems::table()
        } else {
            backend::openapi::printed()
        };
        write!(std::io::stdout().lock(), "{text}")?;
        return Ok(());
    }
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
                Command::Migrate { owner_url } => bring_up_to_date(cli.config, owner_url).await,
                Command::Operator { command } => operator(cli.config, command).await,
                Command::Partner { command } => partner(cli.config, command).await,
                Command::Audit {
                    command: AuditCommand::Verify,
                } => audit_verify(cli.config).await,
                Command::Health => ask_health(&cli.config).await,
                Command::CheckConfig | Command::Openapi { .. } => Ok(()),
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
    store::login::check(&pool, common.environment == Environment::Production).await?;
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
    limits::count_from_zero(&app.metrics);
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
    let (door, life) = (Door::new(app), lifecycle.clone());
    lifecycle.spawn("http", async move { door.serve(listener, &life).await });
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

async fn bring_up_to_date(mut config: Config, owner_url: Option<Secret>) -> anyhow::Result<()> {
    if let Some(url) = owner_url {
        config.common.database_url = url;
    }
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

async fn operator(config: Config, command: OperatorCommand) -> anyhow::Result<()> {
    check_database(&config)?;
    let common = &config.common;
    let clock = Clock::parse(&common.time_mode, common.environment)?;
    let pool = connect(&config).await?;
    let (now, ids) = (clock.now(), Ids::system());
    let printed = match command {
        OperatorCommand::Invite { email, role } => {
            people::invite_from_command_line(&pool, now, &ids, &email, &role)
                .await?
                .to_string()
        }
        OperatorCommand::Token { name, role } => {
            backend::operator::issue_token(&pool, now, &ids, &config, &name, &role).await?
        }
    };
    writeln!(std::io::stdout().lock(), "{printed}")?;
    Ok(())
}

async fn partner(config: Config, command: PartnerCommand) -> anyhow::Result<()> {
    check_database(&config)?;
    let common = &config.common;
    let clock = Clock::parse(&common.time_mode, common.environment)?;
    let pool = connect(&config).await?;
    let (now, ids) = (clock.now(), Ids::system());
    let printed = backend::partner::command(&pool, now, &ids, command.into()).await?;
    writeln!(std::io::stdout().lock(), "{printed}")?;
    Ok(())
}

impl From<PartnerCommand> for backend::partner::Command {
    fn from(command: PartnerCommand) -> Self {
        match command {
            PartnerCommand::Create { name, kind } => Self::Create { name, kind },
            PartnerCommand::Key {
                organisation,
                name,
                scopes,
            } => Self::Key {
                organisation,
                name,
                scopes,
            },
            PartnerCommand::EndKey { organisation, key } => Self::EndKey { organisation, key },
        }
    }
}

async fn audit_verify(config: Config) -> anyhow::Result<()> {
    check_database(&config)?;
    let pool = connect(&config).await?;
    people::verify(&pool, &mut std::io::stdout()).await
}

async fn ask_health(config: &Config) -> anyhow::Result<()> {
    let url = format!(
        "http://127.0.0.1:{}/health/live",
        config.common.metrics_port
    );
    anyhow::ensure!(http::is_healthy(&url).await, "{url} does not answer 200");
    Ok(())
}
