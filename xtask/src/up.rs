//! `cargo xtask up` and `down`: everything running in the background, on the documented ports where
//! they are free. Never takes a port from somebody else and never stops what it did not start.
//! Called by main.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use anyhow::ensure;
use serde_json::json;

use crate::cargo::build_binaries;
use crate::clock::{clock_start, write_clock};
use crate::context::Context;
use crate::environment::{Facts, shared, value};
use crate::process::Lifetime;
use crate::progress::print_line;
use crate::record::{Record, reap, turn};
use crate::servers::{Servers, Urls, database, stop_kept};
use crate::stack::{Plan, PortPlan, Stack, run_once, stop_recorded};

/// The database of the running system, on private or given servers alike.
const DATABASE: &str = "microcrop_up";

/// What a person may ask of `up`.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Options {
    /// Run on the system's time instead of a clock inside a sale window
    #[arg(long)]
    real_time: bool,
}

fn home(context: &Context) -> PathBuf {
    context.root.join("target/up")
}

fn record(context: &Context) -> PathBuf {
    context.state_dir().join("up.json")
}

/// Starts everything, or says that it runs already.
pub(crate) fn up(context: &Context, options: &Options) -> anyhow::Result<()> {
    let ports_file = home(context).join("ports.json");
    fs::create_dir_all(home(context))?;
    let lock = fs::File::create(home(context).join("lock"))?;
    ensure!(
        lock.try_lock().is_ok(),
        "another `up` of this checkout is on its way; wait for it"
    );
    let turn = turn(context)?;
    reap(&context.state_dir(), context.progress);
    drop(turn);
    if let Some(mut known) = Record::open(&record(context)) {
        if known.all_alive() {
            context.say("up", "already running");
            print_line(fs::read_to_string(&ports_file).unwrap_or_default().trim());
            return Ok(());
        }
        context.say("up", "some of its processes died; starting afresh");
        known.stop(context.progress);
    }
    Servers::check_given(context)?;
    let bin_dir = build_binaries(context)?;
    let urls = Servers::keep(context)?;
    database::drop_quietly(&urls.database, DATABASE)?;
    database::create(&urls.database, DATABASE)?;
    let urls = Urls {
        database: database::url_of(&urls.database, DATABASE)?,
        ..urls
    };
    let clock = home(context).join("clock");
    write_clock(&clock, &clock_start(None)?)?;
    let evidence_dir = home(context).join("evidence");
    fs::create_dir_all(&evidence_dir)?;
    let ports = PortPlan::documented()?;
    let env = shared(&Facts {
        urls: &urls,
        broker_prefix: &format!("up-{}.", crate::ports::random_hex(4)),
        addresses: &ports.addresses,
        clock: (!options.real_time).then_some(clock.as_path()),
        seed: 1,
        evidence_dir: &evidence_dir,
    })?;
    let mut plan = Plan {
        bin_dir,
        log_dir: home(context).join("logs"),
        env,
        ports,
        lifetime: Lifetime::Detached,
    };
    if plan.log_dir.exists() {
        fs::remove_dir_all(&plan.log_dir)?;
    }
    let page = with_page(&mut plan)?;
    drop(Stack::start(context, &plan, record(context))?);

    let backend = format!("http://127.0.0.1:{}", plan.ports.addresses.backend);
    let ussd = format!(
        "{backend}/api/ussd/{}",
        value(&plan.env, "AT_CALLBACK_TOKEN")
    );
    let ports = json!({
        "page": page,
        "backend": plan.ports.addresses.backend,
        "sandbox": plan.ports.addresses.sandbox,
        "metrics": plan.ports.metrics,
        "ussd": ussd,
        "database_url": urls.database,
        "redis_url": urls.redis,
        "rabbitmq_url": urls.rabbitmq,
        "clock": (!options.real_time).then(|| clock.display().to_string()),
    });
    fs::write(&ports_file, serde_json::to_vec_pretty(&ports)?)?;
    write_env_file(context, &plan.env)?;
    print_line(serde_json::to_string_pretty(&ports)?);
    context.say("up", format!("dial with: curl {ussd} -d sessionId=1 -d phoneNumber=+254700000001 -d serviceCode='*384*1#' -d text="));
    context.say(
        "up",
        format!("open {page} for phones, weather and the season's clock"),
    );
    context.say(
        "up",
        "logs in target/up/logs; variables in target/up/env; stop with `cargo xtask down`",
    );
    Ok(())
}

/// Lets the sandbox of a system serve the page, with two operators of its own, and gives the page's
/// address. The operators are made in the database, which is migrated for it.
pub(crate) fn with_page(plan: &mut Plan) -> anyhow::Result<String> {
    run_once(plan, "backend", &["migrate"])?;
    let mut tokens = Vec::new();
    for name in ["Asha", "Brian"] {
        let printed = run_once(
            plan,
            "backend",
            &["operator", "token", "--name", name, "--role", "approver"],
        )?;
        tokens.push(printed.lines().last().unwrap_or_default().to_owned());
    }
    plan.env
        .push(("OPERATOR_TOKENS".to_owned(), tokens.join(",")));
    plan.env
        .push(("SANDBOX_PAGE".to_owned(), "true".to_owned()));
    Ok(format!(
        "http://127.0.0.1:{}/",
        plan.ports.addresses.sandbox
    ))
}

/// The variables of the running system, so that a person can run one binary by hand beside it.
fn write_env_file(context: &Context, env: &[(String, String)]) -> anyhow::Result<()> {
    let lines: Vec<String> = env
        .iter()
        .map(|(name, value)| format!("export {name}='{value}'\n"))
        .collect();
    let file = home(context).join("env");
    fs::write(&file, lines.concat())?;
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600))?;
    Ok(())
}

/// Stops everything `up` and `servers start` left running in this checkout.
pub(crate) fn down(context: &Context) -> anyhow::Result<()> {
    let held = turn(context)?;
    reap(&context.state_dir(), context.progress);
    drop(held);
    let processes = stop_recorded(context, &record(context));
    if processes {
        // on given servers the database would stay; on private ones it goes with them
        if let Some(url) = &context.given.database_url
            && let Err(error) = database::drop_quietly(url, DATABASE)
        {
            context.say("down", format!("{DATABASE} not dropped: {error:#}"));
        }
    }
    let servers = stop_kept(context)?;
    for part in ["env", "ports.json", "clock"] {
        let _ = fs::remove_file(home(context).join(part));
    }
    if processes || servers {
        context.say("down", "nothing of this checkout is running");
    } else {
        context.say("down", "nothing was running");
    }
    Ok(())
}
