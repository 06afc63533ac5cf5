//! What the real nginx lets through, refuses and adds, in front of the real backend: the documents'
//! limits for a stranger, none by address for a gateway it knows, its headers, its closed doors.
//! Never waits for a limit to recover by luck: every stranger has an address of her own.
//! The first part of `blue-green`.

use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};

use super::Ground;
use super::client::{Answer, Client};
use super::load::Load;
use crate::environment::value;
use crate::rows::Rows;

/// How long a stranger asks as fast as she can.
const FLOOD: Duration = Duration::from_secs(3);
/// Share of the rate that she must get at least: this machine has other work, and a pause at the very
/// end of a flood is lost to her.
const SHARE_MIN: f64 = 0.9;
/// Requests of a known gateway at once.
const CALLBACKS_AT_ONCE: u32 = 300;
/// Requests at once under the ceiling that everybody shares (120 a second and 24 at once above).
const API_AT_ONCE: u32 = 25;
/// Not a proxy of ours: what it says of somebody else's address is not believed.
const STRANGER_ON_LOOPBACK: &str = "127.0.0.9";

/// A route of the API, which strangers are answered 401.
const LISTED: &str = "/api/v1/policies";
const FORM: &str = "application/x-www-form-urlencoded";
const JSON: &str = "application/json";

/// A class of routes and what the documents allow one address of it.
struct Class {
    rate: f64,
    burst: u32,
}

const API: Class = Class {
    rate: 10.0,
    burst: 20,
};
const USSD: Class = Class {
    rate: 100.0,
    burst: 50,
};
const WEBHOOKS: Class = Class {
    rate: 50.0,
    burst: 20,
};

/// What came of asking as fast as possible.
#[derive(Debug, Default)]
struct Flood {
    seconds: f64,
    passed: u32,
    refused: u32,
    busy: u32,
    other: Vec<u16>,
    last_refusal: Option<Answer>,
}

impl Flood {
    fn sent(&self) -> u32 {
        let other = u32::try_from(self.other.len()).unwrap_or(u32::MAX);
        self.passed + self.refused + self.busy + other
    }

    fn count(&mut self, answer: Answer, wanted: u16) {
        if answer.header("x-microcrop-busy").is_some() && answer.status == 200 {
            self.busy += 1;
            self.last_refusal = Some(answer);
        } else if answer.status == wanted {
            self.passed += 1;
        // nginx's own page, and not the backend's problem document: whose limit it is, is what is looked at
        } else if answer.status == 429 && answer.body.contains("<center>nginx</center>") {
            self.refused += 1;
            self.last_refusal = Some(answer);
        } else {
            self.other.push(answer.status);
        }
    }

    /// The numbers, or an error when they are not those of the class.
    fn held_to(&self, class: &Class) -> anyhow::Result<String> {
        let at_once = f64::from(class.burst + 1);
        let (least, most) = (
            at_once + class.rate * self.seconds * SHARE_MIN,
            at_once + class.rate * self.seconds + 2.0,
        );
        let passed = f64::from(self.passed);
        let numbers = format!(
            "{} sent in {:.1} s, {} passed ({}/s + {} allow {most:.0}), {} refused with 429, {} told busy in words",
            self.sent(),
            self.seconds,
            self.passed,
            class.rate,
            class.burst,
            self.refused,
            self.busy
        );
        ensure!(self.other.is_empty(), "{numbers}; others: {:?}", self.other);
        ensure!(
            least <= passed && passed <= most && self.refused + self.busy > 0,
            "{numbers}; at least {least:.0} should pass"
        );
        Ok(numbers)
    }
}

/// Shows all of it.
pub(super) fn show(ground: &Ground<'_>, rows: &mut Rows) -> anyhow::Result<()> {
    let door = ground.nginx.door;
    let hop = |client: &mut Client, nth: u32| client.post(&ussd(ground), FORM, &dial(nth));
    let callback = |client: &mut Client, nth: u32| {
        client.post(&webhook(ground), JSON, &result(u64::from(nth)))
    };
    conversation(ground, rows)?;

    // a credential each: the backend's own ceiling is by credential, and not what is looked at
    let list = |client: &mut Client, nth: u32| client.get_as(LISTED, &format!("nobody-{nth}"));
    let api = flood(Client::new(door, "203.0.113.10"), 401, list)?;
    rows.judge("nginx, API, a stranger", api.held_to(&API));
    let words = flood(Client::new(door, "203.0.113.11"), 200, hop)?;
    let judged = words.held_to(&USSD).and_then(|numbers| {
        ensure!(words.refused == 0, "a farmer was shown a 429: {numbers}");
        Ok(numbers)
    });
    rows.judge("nginx, USSD, a stranger: never a 429", judged);
    let stored = flood(Client::new(door, "203.0.113.12"), 200, callback)?;
    rows.judge("nginx, webhooks, a stranger", stored.held_to(&WEBHOOKS));

    let gateway = ground.gateways.first().context("no gateway is known")?;
    let mut client = Client::new(door, gateway);
    let mut known = Flood::default();
    for nth in 0..CALLBACKS_AT_ONCE {
        known.count(callback(&mut client, 1_000_000 + nth)?, 200);
    }
    rows.check(
        "nginx, webhooks, a known gateway is never cut off",
        known.passed == CALLBACKS_AT_ONCE,
        format!("{CALLBACKS_AT_ONCE} at once, {} passed", known.passed),
    );
    let mut known = Flood::default();
    for nth in 0..API_AT_ONCE {
        known.count(list(&mut client, 1_000_000 + nth)?, 401);
    }
    rows.check(
        "nginx, API, a known gateway has no limit by address",
        known.passed == API_AT_ONCE,
        format!("{API_AT_ONCE} at once, {} passed", known.passed),
    );
    recover(ground)?;
    rows.judge(
        "nginx believes no stranger who says to be a gateway",
        forged(ground, gateway),
    );
    recover(ground)?;
    headers(ground, rows, [api.last_refusal, words.last_refusal])?;
    closed_doors(ground, rows)
}

/// Lets the ceiling that everybody shares recover, which 24 at once take up for 0.2 s.
fn recover(ground: &Ground<'_>) -> anyhow::Result<()> {
    ground.context.interrupt.sleep(Duration::from_millis(500))
}

/// Asks for `FLOOD`, as fast as one connection can.
fn flood(
    mut client: Client,
    wanted: u16,
    mut ask: impl FnMut(&mut Client, u32) -> anyhow::Result<Answer>,
) -> anyhow::Result<Flood> {
    let (began, mut flood) = (Instant::now(), Flood::default());
    let mut nth = 0;
    while began.elapsed() < FLOOD {
        flood.count(ask(&mut client, nth)?, wanted);
        nth += 1;
    }
    flood.seconds = began.elapsed().as_secs_f64();
    Ok(flood)
}

fn ussd(ground: &Ground<'_>) -> String {
    format!("/api/ussd/{}", value(&ground.plan.env, "AT_CALLBACK_TOKEN"))
}

/// Where M-Pesa's results are posted.
pub(super) fn webhook(ground: &Ground<'_>) -> String {
    let token = value(&ground.plan.env, "MPESA_CALLBACK_TOKEN");
    format!("/api/webhooks/mpesa/{token}/b2c-result")
}

/// The first hop of a phone nobody has registered.
fn dial(nth: u32) -> String {
    format!(
        "sessionId=ATUid_flood{nth:08}&serviceCode=%2A384%2A57%23&phoneNumber=%2B2547{:08}&networkCode=63902&text=",
        90_000_000 + nth
    )
}

/// A result of M-Pesa about a payment nobody asked for: new, well formed, to be kept.
fn result(nth: u64) -> String {
    format!(
        r#"{{"Result":{{"ResultType":0,"ResultCode":0,"ResultDesc":"ok","OriginatorConversationID":"flood{nth}","ConversationID":"AG_flood_{nth}","TransactionID":"SF{nth:08}"}}}}"#
    )
}

/// A conversation of four hops from an ordinary address, each screen the expected one.
fn conversation(ground: &Ground<'_>, rows: &mut Rows) -> anyhow::Result<()> {
    let mut load = Load::ussd(ground, 10, 2, 1)?;
    load.connections = (1, 0);
    load.from = vec!["203.0.113.9".to_owned()];
    let report = load.start(ground)?.finish(ground)?;
    rows.check(
        "nginx passes a farmer's conversation: dial, cover, sum, quote",
        report.is_right() && report.requests == 4,
        report.to_string(),
    );
    Ok(())
}

/// Somebody who is no proxy of ours writes a gateway's address into the header.
fn forged(ground: &Ground<'_>, gateway: &str) -> anyhow::Result<String> {
    let url = format!("http://127.0.0.1:{}{LISTED}?[1-60]", ground.nginx.door);
    let out = Command::new("curl")
        .args(["--silent", "--max-time", "20"])
        .args(["--interface", STRANGER_ON_LOOPBACK])
        .args(["--header", &format!("X-Forwarded-For: {gateway}")])
        .args(["--header", "Authorization: Bearer nobody"])
        .args([
            "--output",
            "/dev/null",
            "--write-out",
            "%{http_code}\n",
            &url,
        ])
        .stdin(Stdio::null())
        .output()
        .context("cannot run curl")?;
    let statuses = String::from_utf8_lossy(&out.stdout).into_owned();
    let count = |status: &str| statuses.lines().filter(|line| *line == status).count();
    let (passed, refused) = (count("401"), count("429"));
    let numbers = format!(
        "60 at once, {passed} passed, {refused} refused, {} otherwise",
        statuses.lines().count() - passed - refused
    );
    ensure!(
        passed > 0 && refused > 0 && passed + refused == 60,
        "{numbers}"
    );
    Ok(numbers)
}

/// Every answer carries what headers.conf says, refusals and apologies too.
fn headers(
    ground: &Ground<'_>,
    rows: &mut Rows,
    refusals: [Option<Answer>; 2],
) -> anyhow::Result<()> {
    let text = fs::read_to_string(ground.home.join("nginx/headers.conf"))?;
    let wanted: Vec<(&str, Option<&str>)> = text.lines().filter_map(header).collect();
    ensure!(
        wanted.len() >= 5,
        "headers.conf adds {} headers",
        wanted.len()
    );
    let mut client = Client::new(ground.nginx.door, "203.0.113.13");
    let mut answers = Vec::new();
    for (path, status) in [
        ("/api/version", 200),
        (LISTED, 401),
        ("/health/ready", 200),
        ("/nowhere", 404),
    ] {
        let answer = client.get(path)?;
        ensure!(
            answer.status == status,
            "{path} was answered {}",
            answer.status
        );
        answers.push(answer);
    }
    answers.push(client.post(&ussd(ground), FORM, &dial(5_000_000))?);
    answers.extend(refusals.into_iter().flatten());
    let mut faults = Vec::new();
    for answer in &answers {
        for (name, value) in &wanted {
            let found = answer.header(name);
            if found.is_none() || value.is_some_and(|value| found != Some(value)) {
                faults.push(format!("{}: {name} is {found:?}", answer.status));
            }
        }
        if answer.header("server") != Some("nginx") {
            faults.push(format!("{}: it tells its version", answer.status));
        }
    }
    let statuses: Vec<String> = answers
        .iter()
        .map(|answer| answer.status.to_string())
        .collect();
    rows.check(
        "nginx, security headers on every answer",
        faults.is_empty() && answers.len() == 7,
        format!(
            "{} headers on answers {}; {}",
            wanted.len(),
            statuses.join(" "),
            faults.join(", ")
        ),
    );
    Ok(())
}

/// `add_header NAME VALUE always;`: the name, and the value unless it is computed.
fn header(line: &str) -> Option<(&str, Option<&str>)> {
    let (name, rest) = line.trim().strip_prefix("add_header ")?.split_once(' ')?;
    let value = rest.trim_end().strip_suffix(" always;")?;
    Some((
        name,
        value
            .strip_prefix('"')
            .and_then(|value| value.strip_suffix('"')),
    ))
}

/// What the backend serves to supervisors only is not there.
fn closed_doors(ground: &Ground<'_>, rows: &mut Rows) -> anyhow::Result<()> {
    let mut client = Client::new(ground.nginx.door, "203.0.113.14");
    let paths = [
        "/metrics",
        "/internal/idle",
        "/internal/../internal/idle",
        "/status",
    ];
    let mut found = Vec::new();
    for path in paths {
        found.push(client.get(path)?.status);
    }
    rows.check(
        "nginx opens no private door",
        found.iter().all(|status| *status == 404),
        format!("{} answered {found:?}", paths.join(" ")),
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_held_to_rate_and_burst() {
        let flood = |passed, refused| Flood {
            seconds: 3.0,
            passed,
            refused,
            ..Flood::default()
        };
        assert!(flood(51, 900).held_to(&API).is_ok());
        assert!(flood(60, 900).held_to(&API).is_err(), "more than allowed");
        assert!(flood(40, 900).held_to(&API).is_err(), "less than allowed");
        assert!(flood(51, 0).held_to(&API).is_err(), "nothing refused");
    }

    #[test]
    fn a_header_of_the_configuration_is_read() {
        let line = "add_header X-Frame-Options \"DENY\" always;";
        assert_eq!(header(line), Some(("X-Frame-Options", Some("DENY"))));
        let computed = "add_header Content-Security-Policy $policy_added always;";
        assert_eq!(header(computed), Some(("Content-Security-Policy", None)));
        assert_eq!(header("# add_header"), None);
    }
}
