//! Traffic through nginx at a steady rate, by the bench's generator, which compares every screen: the
//! target of farmers, and what goes on while backends are switched. Never judges a time; a request that
//! was not answered right is what counts. Used by limits and switch.

use std::fmt;
use std::io::Read as _;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use serde::Deserialize;

use super::Ground;
use super::limits::webhook;
use crate::environment::value;
use crate::process::dies_with_us;
use crate::rows::Rows;
use crate::servers::database;

/// Share of the rate that must be reached: the generator leaves out what it could not send in time on a
/// machine with other work. The scripts under deploy/ci-cd/load ask for as much.
const REACHED_MIN: f64 = 0.95;
/// A load that is told to end does so within the longest answer.
const END_SECONDS_MAX: u64 = 30;
/// Connections of farmers, and how many of them are opened anew for each request. With what the generator
/// makes up for at once (16) they are fewer than the ceilings let through at once (60): a pause of this
/// machine, after which everything that waited is answered together, is no crowd at the door.
const CONNECTIONS: (u32, u32) = (40, 12);
/// Hops of a conversation of the generator.
const HOPS: u32 = 4;

/// Farmers who dial in a load: each once, and those under way at the end have begun too.
pub(super) fn dialling(rate: u32, seconds: u32, sessions: u32) -> u32 {
    rate * seconds / HOPS + sessions
}

/// Farmers who dial in the documents' target.
pub(super) fn farmers_wanted(rate: u32, seconds: u32) -> u32 {
    dialling(rate, seconds, rate)
}

/// What to send.
pub(super) struct Load {
    rate: u32,
    seconds: u32,
    /// Kept ones, and how many of them are opened anew for each request.
    pub(super) connections: (u32, u32),
    /// Addresses the requests say they came from, in turn.
    pub(super) from: Vec<String>,
    until_told: bool,
    traffic: Vec<String>,
}

/// A load under way; dropping it ends it.
pub(super) struct Running {
    child: Child,
    /// When it must have ended by itself.
    until: Instant,
}

/// What came of it.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Report {
    /// Requests sent.
    pub(super) requests: u64,
    per_second: f64,
    p50_us: u32,
    p99_us: u32,
    max_us: u32,
    /// Answers that said busy.
    pub(super) busy: u64,
    /// Answers that were not the expected ones.
    pub(super) wrong: u64,
    /// Requests without an answer.
    pub(super) failed: u64,
    resent: u64,
    first_bad: Option<String>,
    /// When the first and the last request was not answered right, milliseconds after the beginning.
    bad_ms: Option<(u64, u64)>,
}

impl Report {
    /// Whether every request was answered as it must be.
    pub(super) fn is_right(&self) -> bool {
        self.requests > 0 && self.bad() == 0
    }

    /// Requests that were not.
    pub(super) fn bad(&self) -> u64 {
        self.busy + self.wrong + self.failed
    }

    /// Seconds from the first request that was not answered right to the last.
    pub(super) fn bad_seconds(&self) -> f64 {
        let (from, until) = self.bad_ms.unwrap_or_default();
        Duration::from_millis(until.saturating_sub(from)).as_secs_f64()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = |us: u32| f64::from(us) / 1_000.0;
        write!(
            f,
            "{} requests, {:.1} a second, {} wrong, {} busy, {} unanswered, {} sent again on a new connection; p50 {:.1} ms, p99 {:.1} ms, longest {:.0} ms",
            self.requests,
            self.per_second,
            self.wrong,
            self.busy,
            self.failed,
            self.resent,
            ms(self.p50_us),
            ms(self.p99_us),
            ms(self.max_us)
        )?;
        match &self.first_bad {
            Some(first) => write!(f, "; the first that was not right: {first}"),
            None => Ok(()),
        }
    }
}

impl Load {
    /// Farmers who dial and walk to a quote, from the gateways' addresses.
    pub(super) fn ussd(
        ground: &Ground<'_>,
        rate: u32,
        seconds: u32,
        sessions: u32,
    ) -> anyhow::Result<Self> {
        let farmers = if sessions == 1 {
            1
        } else {
            dialling(rate, seconds, sessions)
        };
        let skip = ground.fresh_farmers(farmers)?;
        let path = format!("/api/ussd/{}", value(&ground.plan.env, "AT_CALLBACK_TOKEN"));
        Ok(Self {
            rate,
            seconds,
            connections: CONNECTIONS,
            from: ground.gateways.clone(),
            until_told: false,
            traffic: [
                "ussd",
                "--path",
                &path,
                "--sessions",
                &sessions.to_string(),
                "--farmers",
                &farmers.to_string(),
                "--skip",
                &skip.to_string(),
            ]
            .map(str::to_owned)
            .to_vec(),
        })
    }

    /// Results of M-Pesa, each a new one, from the gateways' addresses.
    pub(super) fn callbacks(ground: &Ground<'_>, rate: u32, seconds: u32, first: u64) -> Self {
        Self {
            rate,
            seconds,
            connections: (16, 8),
            from: ground.gateways.clone(),
            until_told: false,
            traffic: [
                "requests",
                "--path",
                &webhook(ground),
                "--body",
                "b2c-result",
                "--first",
                &first.to_string(),
            ]
            .map(str::to_owned)
            .to_vec(),
        }
    }

    /// Lasts until it is told to end, and its seconds at most.
    pub(super) fn until_told(mut self) -> Self {
        self.until_told = true;
        self
    }

    /// Begins. Main thread only, like every child of ours.
    pub(super) fn start(&self, ground: &Ground<'_>) -> anyhow::Result<Running> {
        let mut command = dies_with_us(&ground.generator);
        command
            .args(["pace", "--port", &ground.nginx.door.to_string()])
            .args(["--rate", &self.rate.to_string()])
            .args(["--seconds", &self.seconds.to_string()])
            .args(["--connections", &self.connections.0.to_string()])
            .args(["--fresh", &self.connections.1.to_string()])
            .args(["--forwarded-for", &self.from.join(",")]);
        if self.until_told {
            command.arg("--until-stdin-ends");
        }
        let child = command
            .args(&self.traffic)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot run the load generator")?;
        let seconds = u64::from(self.seconds) + END_SECONDS_MAX;
        Ok(Running {
            child,
            until: Instant::now() + Duration::from_secs(seconds),
        })
    }
}

impl Running {
    /// Tells it to end, if it waits for that, and reads what came of it.
    pub(super) fn end(mut self, ground: &Ground<'_>) -> anyhow::Result<Report> {
        drop(self.child.stdin.take());
        let until = Instant::now() + Duration::from_secs(END_SECONDS_MAX);
        while self.child.try_wait()?.is_none() {
            ensure!(Instant::now() < until, "the load did not end");
            ground.context.interrupt.sleep(Duration::from_millis(50))?;
        }
        self.read()
    }

    /// Waits for its time to be over, and reads what came of it.
    pub(super) fn finish(mut self, ground: &Ground<'_>) -> anyhow::Result<Report> {
        while self.child.try_wait()?.is_none() {
            ensure!(Instant::now() < self.until, "the load did not end");
            ground.context.interrupt.sleep(Duration::from_millis(50))?;
        }
        self.read()
    }

    /// An error when it has ended before it was told to.
    pub(super) fn still_runs(&mut self) -> anyhow::Result<()> {
        let ended = self.child.try_wait()?;
        ensure!(ended.is_none(), "the load ended too early: {ended:?}");
        Ok(())
    }

    /// One line, far below what a pipe holds.
    fn read(&mut self) -> anyhow::Result<Report> {
        let status = self.child.wait()?;
        let mut line = String::new();
        if let Some(out) = &mut self.child.stdout {
            out.read_to_string(&mut line)?;
        }
        ensure!(status.success(), "the load generator ended with {status}");
        serde_json::from_str(&line).with_context(|| format!("the load generator said {line:?}"))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Callbacks kept so far.
pub(super) fn stored(ground: &Ground<'_>) -> anyhow::Result<u64> {
    let count = database::query(&ground.database, "select count(*) from provider_events")?;
    count
        .parse()
        .with_context(|| format!("psql says {count:?}"))
}

/// The documents' target of farmers, through nginx, from addresses of gateways.
pub(super) fn target(ground: &Ground<'_>, rows: &mut Rows) -> anyhow::Result<()> {
    let (rate, seconds) = (ground.options.rate, ground.options.seconds);
    ground.say(
        "load",
        format!("{rate} key presses a second for {seconds} s, by {rate} farmers at a time"),
    );
    let report = Load::ussd(ground, rate, seconds, rate)?
        .start(ground)?
        .finish(ground)?;
    let reached = report.per_second / f64::from(rate);
    // a rate that was reached, and for as long
    let wanted = f64::from(rate) * f64::from(seconds) * REACHED_MIN;
    let is_long = f64::from(u32::try_from(report.requests)?) >= wanted;
    rows.check(
        &format!("{rate} USSD requests a second for {seconds} s through nginx, from gateways"),
        report.is_right() && is_long && reached >= REACHED_MIN,
        report.to_string(),
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_request_that_was_not_answered_right_is_enough() {
        let line = r#"{"requests": 10, "seconds": 1.0, "per_second": 10.0, "p50_us": 900, "p99_us": 2000,
            "max_us": 3000, "busy": 0, "wrong": 0, "failed": 0, "resent": 1, "reopened": 2, "missed": 0,
            "first_bad": null, "bad_ms": null}"#;
        let report: Report = serde_json::from_str(line).unwrap();
        assert!(report.is_right());
        let failed = Report {
            failed: 1,
            bad_ms: Some((500, 2_500)),
            ..report
        };
        assert!(!failed.is_right());
        assert!((failed.bad_seconds() - 2.0).abs() < 1e-9);
        assert!(
            !Report::default().is_right(),
            "nothing sent is nothing shown"
        );
    }
}
