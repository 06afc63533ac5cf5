//! A system of the product's own release processes over a database of its own, for the rows of the
//! stream: settings as shipped but for the sweeps, the clock shifted, seeded and asked through the bench binary.
//! Called by nightly and ingest.

use anyhow::Context as _;
use serde_json::Value;

use super::{Ground, shifted};
use crate::environment::{Facts, shared};
use crate::ports::random_hex;
use crate::process::Lifetime;
use crate::servers::{Servers, Urls, database};
use crate::stack::{Plan, PortPlan, Stack, run_once};

/// How its processes run.
pub(super) fn plan(
    ground: &Ground,
    servers: &Servers,
    url: &str,
    prefix: &str,
) -> anyhow::Result<Plan> {
    let ports = PortPlan::free()?;
    let urls = Urls {
        database: url.to_owned(),
        // none of these processes has one
        redis: "redis://127.0.0.1:1/0".to_owned(),
        rabbitmq: servers.urls.rabbitmq.clone(),
    };
    let mut env = shared(&Facts {
        urls: &urls,
        broker_prefix: prefix,
        addresses: &ports.addresses,
        clock: None,
        seed: 1,
        evidence_dir: &ground.home,
    })?;
    // as shipped, where a demo is in a hurry; but SWEEP_INTERVAL_MS stays short: a wait of seconds for
    // the next look would be the same for every contestant and hide what grows
    env.retain(|(name, _)| name != "RABBITMQ_RETRY_DELAY_MS");
    Ok(Plan {
        bin_dir: ground.bin_dir.clone(),
        log_dir: ground.home.join("logs").join(prefix.trim_end_matches('.')),
        env,
        ports,
        lifetime: Lifetime::WithUs,
    })
}

/// Replaces a variable; returns what it was, if it is one.
pub(super) fn set(plan: &mut Plan, name: &str, value: &str) -> Option<String> {
    let (_, old) = plan.env.iter_mut().find(|(known, _)| known == name)?;
    Some(std::mem::replace(old, value.to_owned()))
}

/// A database that begins as a copy of another, which nobody may be using.
pub(super) fn copy_of(
    servers: &mut Servers,
    purpose: &str,
    template: &str,
) -> anyhow::Result<String> {
    let url = servers.fresh_database(purpose)?;
    let (copy, from) = (database::name_of(&url)?, database::name_of(template)?);
    let admin = &servers.urls.database;
    database::query(admin, &format!("drop database \"{copy}\""))?;
    let statement = format!("create database \"{copy}\" template \"{from}\"");
    database::query(admin, &statement)?;
    Ok(url)
}

/// Runs a part of the bench binary to its end; returns what it said.
pub(super) fn ask(plan: &Plan, asked: &[&str]) -> anyhow::Result<Value> {
    let said = run_once(plan, "bench", asked)?;
    serde_json::from_str(&said).with_context(|| format!("`bench {}`: {said:?}", asked.join(" ")))
}

/// A number it said.
pub(super) fn number(said: &Value, name: &str) -> anyhow::Result<f64> {
    said.get(name)
        .and_then(Value::as_f64)
        .with_context(|| format!("no {name} in {said}"))
}

/// Starts some of the processes, with the machine's clock shifted so that it is `at` now.
pub(super) fn start(
    ground: &Ground,
    plan: &mut Plan,
    at: &str,
    names: &[&str],
) -> anyhow::Result<Stack> {
    let time_mode = shifted(at)?;
    set(plan, "TIME_MODE", &time_mode);
    let state = ground.context.state_dir();
    let record = state.join(format!("bench-{}.json", random_hex(4)));
    Stack::start_some(&ground.context, plan, record, names)
}
