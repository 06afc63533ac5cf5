//! `cargo xtask up` and `down`: everything running in the background, on the documented ports where
//! they are free. Never takes a port from somebody else and never stops what it did not start.
//! Called by main.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

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

/// The code that the product's phones dial.
const SERVICE_CODE: &str = "*384*57#";

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
            let held = fs::read_to_string(&ports_file).unwrap_or_default();
            if let Some(words) = time_ignored(&held, options.real_time) {
                context.say("up", words);
            }
            print_line(held.trim());
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
    write_private(&ports_file, &serde_json::to_vec_pretty(&ports)?)?;
    write_env_file(context, &plan.env)?;
    print_line(serde_json::to_string_pretty(&ports)?);
    context.say("up", format!("dial with: {}", dial_command(&ussd)));
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
    write_private(&home(context).join("env"), lines.concat().as_bytes())
}

/// Writes what nobody else on this machine may read, not even for a moment: addresses with
/// passwords and tokens in them.
fn write_private(file: &Path, contents: &[u8]) -> anyhow::Result<()> {
    if let Err(error) = fs::remove_file(file)
        && error.kind() != std::io::ErrorKind::NotFound
    {
        return Err(error.into());
    }
    let mut made = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(file)?;
    made.write_all(contents)?;
    Ok(())
}

/// A call's first hop as the gateway sends it; `+` and `#` mean something else in a form.
fn dial_command(ussd: &str) -> String {
    format!(
        "curl {ussd} -d sessionId=1 --data-urlencode phoneNumber=+254700000001 \
         --data-urlencode 'serviceCode={SERVICE_CODE}' -d text="
    )
}

/// What to say of `--real-time` or its absence when a system of the other kind runs already.
fn time_ignored(ports: &str, real_time: bool) -> Option<&'static str> {
    let ports: serde_json::Value = serde_json::from_str(ports).ok()?;
    let runs_on_real_time = ports.get("clock")?.is_null();
    match (runs_on_real_time, real_time) {
        (false, true) => Some(
            "--real-time is ignored: what runs has a clock of its own; `cargo xtask down` first",
        ),
        (true, false) => Some(
            "what runs is on real time and its season cannot be played; for a clock of its own: \
             `cargo xtask down`, then `up`",
        ),
        _ => None,
    }
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

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_running_system_of_the_other_kind_of_time_is_named() {
        let own = r#"{"clock": "/somewhere/clock"}"#;
        let real = r#"{"clock": null}"#;
        assert_eq!(time_ignored(own, false), None);
        assert_eq!(time_ignored(real, true), None);
        assert!(time_ignored(own, true).is_some_and(|words| words.contains("ignored")));
        assert!(time_ignored(real, false).is_some());
        assert_eq!(time_ignored("", true), None, "nothing is known");
    }

    #[test]
    fn what_holds_a_token_is_for_its_owner_alone_even_if_it_was_not_before() {
        let name = format!("xtask-private-{}", std::process::id());
        let file = std::env::temp_dir().join(name);
        fs::write(&file, "old").unwrap();
        write_private(&file, b"new").unwrap();
        let mode = fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(fs::read(&file).unwrap(), b"new");
        fs::remove_file(&file).unwrap();
    }

    #[test]
    fn the_printed_call_survives_a_shell_and_a_form() {
        let command = dial_command("http://127.0.0.1:3000/api/ussd/t");
        assert!(command.contains("--data-urlencode phoneNumber=+254"));
        assert!(command.contains("--data-urlencode 'serviceCode=*384*57#'"));
    }
}
