//! What a process of the simulated system is made of: the workers' context and the backend's app,
//! both over one scratch database, one broker in memory and one clock. Starts nothing by itself.
//! Called by `system` at the beginning and at each restart.

use std::sync::Arc;

use anyhow::Context as _;
use backend::App;
use backend::app::Parts;
use runtime::broker::Broker;
use runtime::clock::Clock;
use runtime::health::Health;
use runtime::ids::Ids;
use runtime::lifecycle::Lifecycle;
use runtime::memory::InMemory;
use runtime::metrics::Metrics;
use runtime::redis::Redis;
use sandbox::serve::Local;
use store::Pii;
use store::testing::Scratch;
use workers::role::Context;

use crate::settings;
use crate::system::Servers;

pub(crate) fn redis_prefix(name: &str, generation: u32) -> String {
    format!("{name}:{generation}:")
}

pub(crate) fn context(
    scratch: &Scratch,
    servers: &Servers,
    sandbox: &Local,
    clock: &Clock,
    ids: &Ids,
    memory: &InMemory,
) -> anyhow::Result<Context> {
    let settings = settings::workers(&scratch.url, &servers.redis_url, &sandbox.base_url)
        .context("the simulation's own settings")?;
    let common = &settings.common;
    let pii = Pii::from_hex(
        common.encryption_key.expose(),
        common.pii_index_key.expose(),
    )?;
    Ok(Context {
        clock: clock.clone(),
        ids: ids.clone(),
        pool: scratch.pool.clone(),
        pii: Arc::new(pii),
        broker: Broker::InMemory(memory.clone()),
        http: runtime::http::client()?,
        metrics: Metrics::build()?,
        health: Health::new(),
        lifecycle: Lifecycle::new(),
        settings: Arc::new(settings),
    })
}

pub(crate) fn backend_app(
    scratch: &Scratch,
    servers: &Servers,
    context: &Context,
    prefix: &str,
) -> anyhow::Result<App> {
    let redis = Redis::open(
        &servers.redis_url,
        prefix,
        context.lifecycle.clone(),
        context.metrics.clone(),
    )?;
    Ok(App::new(Parts {
        pool: context.pool.clone(),
        redis,
        clock: context.clock.clone(),
        ids: context.ids.clone(),
        pii: context.pii.clone(),
        metrics: context.metrics.clone(),
        lifecycle: context.lifecycle.clone(),
        config: settings::backend(&scratch.url, &servers.redis_url)?,
    }))
}
