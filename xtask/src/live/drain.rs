//! `cargo xtask drain`: a season during which every process is replaced again and again, each asked to
//! stop as its manifest asks. Never kills: that is chaos, which the demo has. The season's own driver
//! says whether the books are equal; here it is said what became of requests, messages and processes.
//! Called by main.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use serde_json::Value;

use super::nginx::Nginx;
use super::{PARTS, grace, tools};
use crate::cargo::build_binaries;
use crate::context::Context;
use crate::demo;
use crate::environment::value;
use crate::home::Home;
use crate::http;
use crate::ports::random_hex;
use crate::rows::Rows;
use crate::servers::{Servers, database};
use crate::stack::turns::{Replaced, Turn, Turns};
use crate::stack::{Plan, Stack};

/// The first backend, and the manifest of both.
const BACKEND: &str = "backend";
/// The second backend.
const SECOND: &str = "backend-2";
/// Everybody who is replaced, in this order, and the manifest that says how.
const ORDER: [(&str, &str); 9] = [
    ("relay", "workers"),
    ("payout", "workers"),
    (BACKEND, BACKEND),
    ("weather", "workers"),
    ("damage", "workers"),
    ("data-processor", "data-processor"),
    ("notify", "workers"),
    (SECOND, BACKEND),
    ("satellite", "workers"),
];
/// Queues are measured every five seconds; by then the last one has been.
const MEASURED_SECONDS_MAX: u64 = 15;

/// What a person may ask of `drain`.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Options {
    /// Farmers of the season
    #[arg(long, default_value_t = 150, value_parser = clap::value_parser!(u32).range(20..=2_000))]
    farmers: u32,
}

/// Plays the season, replaces everybody meanwhile, and shows what came of it.
pub(crate) fn run(context: &Context, options: &Options) -> anyhow::Result<()> {
    let held = Home::fresh(context, "drain", &PARTS)?;
    let home = held.dir.clone();
    tools(context)?;
    Servers::check_given(context)?;
    let bin_dir = build_binaries(context)?;
    let mut servers = Servers::own(context)?;
    let database = servers.fresh_database("drain")?;
    let mut plan = Plan::throwaway("drain", &home, bin_dir, &servers.urls.with(&database))?;
    let mut more = plan.ports.others();
    let (door, second) = (more.free()?, (more.free()?, more.free()?));
    let nginx = Nginx::render(
        &context.root,
        &home,
        &mut more,
        plan.ports.addresses.backend,
    )?;
    for name in ["BACKEND_URL", "PUBLIC_BASE_URL"] {
        plan.set(name, format!("http://127.0.0.1:{door}"));
    }
    // the data processor's messages are told of at this level only
    let told = format!(
        "{},data_processor::stream=debug",
        value(&plan.env, "RUST_LOG")
    );
    plan.set("RUST_LOG", told);
    let away = home.join("nginx/away");
    fs::create_dir_all(&away)?;
    nginx.add(
        "season.conf",
        &season_door(&nginx, &plan, door, second.0, &away)?,
    )?;
    let record = context
        .state_dir()
        .join(format!("drain-{}.json", random_hex(4)));
    let mut stack = Stack::start(context, &plan, record)?;
    add_second(&mut stack, &plan, second)?;
    // before anybody can be sent to it
    stack.await_ready()?;
    stack.add(nginx.launch()?, (door, "/health/ready"))?;
    stack.await_ready()?;
    stack.turns = Some(Turns::new(order(context, &away)?));
    context.say("drain", "everybody is replaced in turn from here on");

    let season = demo::play(context, options.farmers, &plan, &mut stack, &mut servers);
    context.interrupt.check()?;
    let ended = stack.end_turns();
    let mut rows = Rows::new("drain");
    rows.judge(
        "the season's books",
        season.map(|()| {
            format!(
                "{} farmers, wallets = ledger, nothing unfinished",
                options.farmers
            )
        }),
    );
    match ended {
        Ok(replaced) => processes(context, &mut rows, &replaced)?,
        Err(error) => rows.judge("the replacing", Err(error)),
    }
    requests(&nginx, &mut rows)?;
    messages(context, &plan, &database, &mut rows)?;
    let stayed_up = stack.fail_on_exit();
    drop(stack);
    servers.drop_database(&database)?;
    if let Err(error) = stayed_up {
        rows.judge("the processes", Err(error));
    }
    rows.close("")
}

/// A door for the season: both backends, none of the public limits (the driver types faster than a
/// county and reads what is internal), and, like a cluster's Service, a backend that leaves gets no new
/// request from the moment its file is there.
fn season_door(
    nginx: &Nginx,
    plan: &Plan,
    door: u16,
    second: u16,
    away: &Path,
) -> anyhow::Result<String> {
    let first = plan.ports.addresses.backend;
    let (settings, away) = (nginx.proxy_settings()?, away.display());
    Ok(format!(
        "upstream season_{BACKEND} {{ server 127.0.0.1:{first}; keepalive 32; }}
upstream season_{SECOND} {{ server 127.0.0.1:{second}; keepalive 32; }}
split_clients $request_id $season_turn {{ 50% {BACKEND}; * {SECOND}; }}
server {{
    listen 127.0.0.1:{door};
    server_name season;
    open_file_cache off;
    client_max_body_size 5m;
    set $to $season_turn;
    if (-f {away}/{BACKEND}) {{ set $to {SECOND}; }}
    if (-f {away}/{SECOND}) {{ set $to {BACKEND}; }}
    location / {{
        proxy_pass http://season_$to;
        {settings}
        proxy_read_timeout 65s;
    }}
}}
"
    ))
}

fn add_second(
    stack: &mut Stack,
    plan: &Plan,
    (port, metrics_port): (u16, u16),
) -> anyhow::Result<()> {
    let mut launch = stack.launch_of(BACKEND)?.clone();
    SECOND.clone_into(&mut launch.name);
    launch.log = plan.log_dir.join(format!("{SECOND}.log"));
    for (name, value) in [("PORT", port), ("METRICS_PORT", metrics_port)] {
        launch.env.retain(|(known, _)| known != name);
        launch.env.push((name.to_owned(), value.to_string()));
    }
    stack.add(launch, (port, "/health/ready"))
}

fn order(context: &Context, away: &Path) -> anyhow::Result<Vec<Turn>> {
    ORDER
        .iter()
        .map(|(name, app)| {
            let grace = grace::of(&context.root, app)?;
            Ok(Turn {
                name: (*name).to_owned(),
                away: (*app == BACKEND).then(|| away.join(name)),
                leave: grace.leave,
                drain: grace.drain,
                is_hub: *name == "relay",
            })
        })
        .collect()
}

/// A row for everybody: how often replaced, how long the slowest drain took.
fn processes(context: &Context, rows: &mut Rows, replaced: &[Replaced]) -> anyhow::Result<()> {
    for (name, app) in ORDER {
        let own: Vec<&Replaced> = replaced.iter().filter(|one| one.name == name).collect();
        let slowest = own.iter().map(|one| one.drained).max().unwrap_or_default();
        let at_work = own.iter().filter(|one| one.was_at_work).count();
        let grace = grace::of(&context.root, app)?;
        rows.check(
            &format!("{name} asked to stop"),
            !own.is_empty() && slowest <= grace.drain,
            format!(
                "{} times{}, each ended with 0, the slowest in {:.2} s of {} s",
                own.len(),
                match grace.leave.as_secs() {
                    0 => format!(", {at_work} of them in the middle of work"),
                    seconds => format!(", {seconds} s after it left the balancer"),
                },
                slowest.as_secs_f32(),
                grace.drain.as_secs()
            ),
        );
    }
    Ok(())
}

/// What nginx says of every request of the season: farmers', operators', providers'.
fn requests(nginx: &Nginx, rows: &mut Rows) -> anyhow::Result<()> {
    let logged = nginx.logged()?;
    let text = |line: &Value, name: &str| {
        line.get(name)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    let mut bad = BTreeMap::new();
    for line in &logged {
        let (status, upstream) = (text(line, "status"), text(line, "upstream_status"));
        // 499: whoever asked did not wait for the answer
        let is_right = status == upstream && !status.starts_with('5') && status != "499";
        if !is_right {
            let what = format!(
                "{} {} {status} (backend: {upstream})",
                text(line, "method"),
                text(line, "path")
            );
            *bad.entry(what).or_insert(0_u32) += 1;
        }
    }
    let told: Vec<String> = bad
        .iter()
        .map(|(what, count)| format!("{count}x {what}"))
        .collect();
    rows.check(
        "requests of the season while backends were replaced",
        bad.is_empty() && !logged.is_empty(),
        format!(
            "{} answered by a backend at the first try, {} not; {}",
            logged.len(),
            bad.values().sum::<u32>(),
            told.join(", ")
        ),
    );
    Ok(())
}

/// Nothing waits, nothing is parked, nothing was handled twice.
fn messages(context: &Context, plan: &Plan, database: &str, rows: &mut Rows) -> anyhow::Result<()> {
    let count = |statement: &str| -> anyhow::Result<u64> {
        let text = database::query(database, statement)?;
        text.parse().with_context(|| format!("psql says {text:?}"))
    };
    let waiting = count("select count(*) from outbox where published_at is null")?;
    let heard = count("select count(*) from consumed where not parked")?;
    let parked = count("select count(*) from consumed where parked")?;
    let idle = http::body(plan.ports.addresses.backend, "/internal/idle").unwrap_or_default();
    let idle: Value = serde_json::from_str(&idle).unwrap_or_default();
    let is_idle = idle.get("idle").and_then(Value::as_bool) == Some(true);
    rows.check(
        "messages: none lost",
        is_idle && waiting == 0 && parked == 0 && heard > 0,
        format!(
            "{heard} heard (old ones are forgotten), {waiting} unpublished, {parked} parked, work left: {}",
            idle.get("work_now").unwrap_or(&Value::Null)
        ),
    );
    let (queued, parked) = queues(context, plan)?;
    rows.check(
        "queues are empty",
        queued == 0 && parked == 0,
        format!("{queued} waiting or to be tried again, {parked} parked"),
    );
    let mut handled = Handled::default();
    for (name, _) in ORDER {
        let log = plan.log_dir.join(format!("{name}.log"));
        handled.read(
            &fs::read_to_string(&log).with_context(|| format!("cannot read {}", log.display()))?,
        );
    }
    rows.check(
        "messages: none handled twice",
        handled.twice.is_empty() && !handled.once.is_empty(),
        format!(
            "{} handled, {} of them finished after their process was asked to stop, {} twice {:?}",
            handled.once.len(),
            handled.after_asked,
            handled.twice.len(),
            handled.twice.iter().take(5).collect::<Vec<_>>()
        ),
    );
    Ok(())
}

/// Messages in all queues, and parked ones, as the relay has measured them.
fn queues(context: &Context, plan: &Plan) -> anyhow::Result<(u64, u64)> {
    let port = plan
        .ports
        .metrics
        .get("relay")
        .copied()
        .context("the relay has no port")?;
    let until = Instant::now() + Duration::from_secs(MEASURED_SECONDS_MAX);
    loop {
        let text = http::body(port, "/metrics").context("the relay shows no metrics")?;
        let (queued, parked) = (
            sum(&text, "queued_messages{"),
            sum(&text, "parked_messages{"),
        );
        if let (Some(queued), Some(parked)) = (queued, parked)
            && (queued + parked == 0 || Instant::now() > until)
        {
            return Ok((queued, parked));
        }
        ensure!(
            Instant::now() <= until,
            "the relay has not measured its queues"
        );
        context.interrupt.sleep(Duration::from_millis(200))?;
    }
}

/// The sum of a gauge over its labels; nothing when it was never set.
fn sum(metrics: &str, name: &str) -> Option<u64> {
    let mut values = metrics
        .lines()
        .filter(|line| line.contains(name) && !line.starts_with('#'))
        .map(|line| line.rsplit_once(' ')?.1.parse::<u64>().ok())
        .peekable();
    values.peek()?;
    values.sum()
}

/// Who handled which message, from the logs.
#[derive(Debug, Default)]
struct Handled {
    once: BTreeSet<(String, String)>,
    twice: Vec<String>,
    after_asked: u32,
}

impl Handled {
    fn read(&mut self, log: &str) {
        let mut is_asked = false;
        for line in log.lines() {
            let Ok(line) = serde_json::from_str::<Value>(line) else {
                continue;
            };
            let text = |name: &str| {
                line.get(name)
                    .and_then(Value::as_str)
                    .unwrap_or_default()
                    .to_owned()
            };
            match text("message").as_str() {
                "started" | "listening" => is_asked = false,
                words if words.starts_with("asked to stop") => is_asked = true,
                "message" if text("outcome") == "done" => {
                    self.after_asked += u32::from(is_asked);
                    let who = (text("role"), text("id"));
                    if !self.once.insert(who.clone()) {
                        self.twice
                            .push(format!("{} {} {}", who.0, text("topic"), who.1));
                    }
                }
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_handled_twice_by_one_role_is_found_and_by_two_roles_is_not() {
        let line = |role: &str, id: &str| {
            format!(r#"{{"message":"message","role":"{role}","id":"{id}","outcome":"done"}}"#)
        };
        let log = [
            line("payout", "1"),
            r#"{"message":"asked to stop, finishing what is in flight"}"#.to_owned(),
            line("payout", "2"),
            r#"{"message":"started"}"#.to_owned(),
            line("premium", "2"),
        ];
        let mut handled = Handled::default();
        handled.read(&log.join("\n"));
        assert_eq!(
            (handled.once.len(), handled.twice.len(), handled.after_asked),
            (3, 0, 1)
        );
        handled.read(&line("payout", "1"));
        assert_eq!(handled.twice.len(), 1);
    }

    #[test]
    fn a_gauge_is_summed_over_its_labels_and_absent_until_set() {
        let text = "# TYPE queued_messages gauge\nqueued_messages{role=\"a\"} 2\nqueued_messages{role=\"b\"} 1\n";
        assert_eq!(sum(text, "queued_messages{"), Some(3));
        assert_eq!(sum(text, "parked_messages{"), None);
    }
}
