//! Station-days through the whole path: weather, relay, RabbitMQ and data-processor, from the bell
//! that a day is due until its local days are computed, against a bare COPY of the rows that are
//! written on the way. Every local day is compared. Never pins anything. Called by the bench.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};

use super::measure::{RATE, Series, Window};
use super::rows::Comparison;
use super::system::{ask, copy_of, number, plan, set, start};
use super::table::{Goal, Outcome};
use super::{Ground, port};
use crate::http;
use crate::ports::{Ports, random_hex};
use crate::process::{Launch, Lifetime, Process, StopBy};
use crate::progress::{Progress, tail};
use crate::record::{Record, Recorded};
use crate::servers::Servers;
use crate::stack::run_once;

/// Stations and UTC days of each, in a whole run and in a quick one.
const WHOLE: (u32, u32) = (200, 30);
const QUICK: (u32, u32) = (100, 10);
/// A round is long enough not to need more.
const ROUNDS_MAX: usize = 3;
/// The day after the last, and two more, so that every day is published.
const AT: &str = "2026-04-03T06:00:00Z";
/// Observations a second that the growth of the product asks for.
const NEEDED: f64 = 1_000.0;
/// The twin answers at once or not at all.
const READY_SECONDS_MAX: u64 = 10;

/// Measures and checks.
pub(super) fn run(
    ground: &Ground,
    servers: &mut Servers,
    outcome: &mut Outcome,
) -> anyhow::Result<()> {
    let (stations, days) = if ground.effort.rounds <= ROUNDS_MAX {
        QUICK
    } else {
        WHOLE
    };
    let size = [
        "--stations".to_owned(),
        stations.to_string(),
        "--days".to_owned(),
        days.to_string(),
    ];
    let size: Vec<&str> = [&["ingest"][..], &size.each_ref().map(String::as_str)].concat();
    let asked = |part: &[&str]| -> Vec<String> {
        let words = size.iter().chain(part);
        words.map(|word| (*word).to_owned()).collect()
    };
    let said = |plan: &_, part: &[&str]| {
        let words = asked(part);
        ask(plan, &words.iter().map(String::as_str).collect::<Vec<_>>())
    };
    let empty = servers.fresh_database("bench_stations")?;
    let seeded = plan(ground, servers, &empty, "bench-stations.")?;
    run_once(&seeded, "backend", &["migrate"])?;
    said(&seeded, &["stations"])?;
    let twin = Twin::start(ground)?;
    let dir = ground.home.join("ingest");
    let dir = dir.display().to_string();
    let mut series = vec![Series::default(); 3];
    let rounds = ground.effort.rounds.min(ROUNDS_MAX);
    for round in 0..rounds {
        let url = copy_of(servers, "bench_ingest", &empty)?;
        let mut plan = plan(ground, servers, &url, &format!("bench-ingest-{round}."))?;
        set(
            &mut plan,
            "WEATHERXM_API_URL",
            &format!("http://127.0.0.1:{}", twin.port),
        );
        let names = ["data-processor", "weather", "relay"];
        let mut stack = start(ground, &mut plan, AT, &names)?;
        let recorded = said(&plan, &["recorded"]);
        stack.fail_on_exit()?;
        let mut found = vec![recorded?];
        drop(stack);
        said(&plan, &["dump", "--dir", &dir])?;
        servers.drop_database(&url)?;
        for connections in ["1", "2"] {
            let url = copy_of(servers, "bench_copy", &empty)?;
            let plan = self::plan(ground, servers, &url, "bench-copy.")?;
            let part = ["copy", "--dir", &dir, "--connections", connections];
            found.push(said(&plan, &part)?);
            servers.drop_database(&url)?;
        }
        let mut words = Vec::new();
        for (series, said) in series.iter_mut().zip(&found) {
            let (samples, seconds) = (number(said, "samples")?, number(said, "seconds")?);
            words.push(format!("{:.0}/s", samples / seconds));
            series.0.push(Window::of_pass(samples, seconds));
        }
        ground.say(
            "ingest",
            format!(
                "round {} of {rounds}: ours, COPY by one and by two connections: {}",
                round + 1,
                words.join(", ")
            ),
        );
        if round == 0 {
            let compared = found.first().map(|said| number(said, "compared"));
            outcome.notes.push(format!(
                "Ingest: {stations} stations, {days} UTC days each, 96 observations a day; {:.0} local \
                 days compared each round.",
                compared.context("nothing was said")??
            ));
        }
    }
    let [ours, one, two] = series.as_slice() else {
        return Ok(());
    };
    for (floor, words, goal) in [
        (one, "COPY, one connection", Some(Goal::AtLeast(0.5))),
        (two, "COPY, two connections", None),
    ] {
        let compared = Comparison {
            ours,
            floor: Some(floor),
            peer: None,
        };
        let what = format!("Observations recorded, relayed, computed (floor: {words})");
        let mut line = compared.line(&what, "a second", RATE, (goal, None));
        line.own_goal = goal.map(|_| Goal::AtLeast(NEEDED));
        outcome.lines.push(line);
    }
    Ok(())
}

/// The provider's twin; dropping it stops it.
struct Twin {
    port: u16,
    process: Process,
    record: Record,
    progress: Progress,
}

impl Twin {
    fn start(ground: &Ground) -> anyhow::Result<Self> {
        let port = port(&mut Ports::default())?;
        let log = ground.home.join("logs/weather-twin.log");
        let asked = ["ingest", "serve", "--port", &port.to_string()];
        let launch = Launch {
            name: "weather-twin".to_owned(),
            program: ground.bin_dir.join("bench"),
            args: asked.iter().map(Into::into).collect(),
            env: Vec::new(),
            dir: ground.context.root.clone(),
            user: None,
            lifetime: Lifetime::WithUs,
            stop: StopBy::Kill,
            log: log.clone(),
        };
        let state = ground.context.state_dir();
        let mut record = Record::create(state.join(format!("bench-{}.json", random_hex(4))), true)?;
        let process = launch.launch()?;
        record.add_process(Recorded {
            name: launch.name,
            identity: process.identity.clone(),
            stop: StopBy::Kill,
        })?;
        let twin = Self {
            port,
            process,
            record,
            progress: ground.context.progress,
        };
        let began = Instant::now();
        while http::status(port, "/health/live") != Some(200) {
            ensure!(
                began.elapsed() < Duration::from_secs(READY_SECONDS_MAX),
                "the weather twin does not answer; its log ends:\n{}",
                tail(&log, 10)
            );
            ground.context.interrupt.sleep(Duration::from_millis(50))?;
        }
        Ok(twin)
    }
}

impl Drop for Twin {
    fn drop(&mut self) {
        self.process.kill_now();
        self.record.stop(self.progress);
    }
}
