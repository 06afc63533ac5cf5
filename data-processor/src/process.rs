//! The life of the streaming process: check, connect, consume, drain, exit. Holds no number work.
//! Started by `main`.

use anyhow::Context as _;
use clap::Args;
use runtime::amqp::Rabbit;
use runtime::broker::Broker;
use runtime::clock::Clock;
use runtime::config::{Common, Environment, Faults, Need};
use runtime::health::{self, Health};
use runtime::ids::Ids;
use runtime::lifecycle::Lifecycle;
use runtime::metrics::Metrics;
use runtime::telemetry;
use runtime::topology::Topology;

use crate::stream::{self, Context};

/// Loops that consume side by side; a station's days are computed under its row's lock.
const LOOPS: [&str; 3] = ["index-1", "index-2", "index-3"];

/// Settings of the streaming process.
#[derive(Debug, Clone, Args)]
pub struct Settings {
    /// Servers, time, logs.
    #[command(flatten)]
    pub common: Common,
}

impl Settings {
    /// Everything that keeps the process from running with these settings.
    pub fn check(&self) -> Result<(), Faults> {
        let mut faults = Faults::new();
        self.common
            .check(&[Need::Database, Need::Broker], &mut faults);
        faults.into_result()
    }
}

/// Runs until asked to stop. Fails when a part of it fails for good.
pub async fn run(settings: &Settings) -> anyhow::Result<()> {
    let common = &settings.common;
    telemetry::init(common.log_format, &common.log_filter)?;
    let lifecycle = Lifecycle::new();
    lifecycle.obey_signals()?;
    let (health, metrics) = (Health::new(), Metrics::build()?);
    metrics
        .build_info
        .with_label_values(&[env!("CARGO_PKG_VERSION"), "data-processor"])
        .set(1);
    health::serve(
        common.metrics_port,
        health.clone(),
        metrics.clone(),
        &lifecycle,
    )
    .await
    .with_context(|| format!("METRICS_PORT {} cannot be used", common.metrics_port))?;
    let url = common.database_url.expose();
    let pool = store::connect(url, common.db_pool_min, common.db_pool_max)
        .await
        .context("DATABASE_URL cannot be used")?;
    store::login::check(&pool, common.environment == Environment::Production).await?;
    let topology = Topology {
        prefix: common.broker_prefix.clone(),
        retry_delay_ms: common.rabbitmq_retry_delay_ms,
    };
    let rabbit = Rabbit::connect(common.rabbitmq_url.expose(), topology, "data-processor")
        .await
        .context("RABBITMQ_URL cannot be used")?;
    let context = Context {
        clock: Clock::parse(&common.time_mode, common.environment)?,
        ids: Ids::system(),
        pool,
        broker: Broker::Rabbit(rabbit),
        metrics,
        health,
        lifecycle: lifecycle.clone(),
    };
    for name in LOOPS {
        let own = context.clone();
        let prefetch = common.rabbitmq_prefetch;
        lifecycle.spawn(name, async move { stream::run(&own, name, prefetch).await });
    }
    tracing::info!(manual_clock = context.clock.is_manual(), "started");
    lifecycle.finish().await?;
    tracing::info!("stopped");
    Ok(())
}
