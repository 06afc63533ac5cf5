//! The rows of the table: who takes part, what they are sent, what is hoped for. A goal that is
//! missed is shown as missed and fails nothing. Called by the bench.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use anyhow::{Context as _, ensure};
use clap::ValueEnum as _;

use super::contestant::{Contestant, Who};
use super::measure::{CPU, Figure, MEMORY, P50, P99, RATE, Series};
use super::table::{Goal, Line, Outcome};
use super::{FARMERS, Ground, profile};
use crate::environment::value;
use crate::http;
use crate::ports::Ports;
use crate::servers::database;

/// Conversations open at any time in the USSD row.
const SESSIONS: u32 = 2_500;
/// And in the memory row.
const SESSIONS_FOR_MEMORY: u32 = 10_000;
/// Callbacks of one contestant do not meet another's.
const CALLBACKS_APART: u64 = 100_000_000;
/// National IDs of enrolled farmers: above those of the seeded ones, and each window's its own.
const ENROLMENTS_FROM: u64 = 10_000_000;
const ENROLMENTS_APART: u64 = 1_000_000;
/// Ids the partner row asks for in turn.
const PARTNER_IDS: u32 = 10_000;

/// A row of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Row {
    /// A hop of the walk to a quote
    Ussd,
    /// Resident memory with many sessions open
    Memory,
    /// A partner's GET and POST
    Partner,
    /// A provider's callback stored
    Callbacks,
    /// The standardised precipitation index of many cells
    Spi,
    /// Rain of many cells from stations, summed over phases
    Grid,
    /// The index of every risk in a night, and the closing night
    Nightly,
    /// Station-days from recording to local days
    Ingest,
}

impl Row {
    /// Whether the backend is driven over HTTP.
    pub(super) fn is_served(self) -> bool {
        matches!(
            self,
            Self::Ussd | Self::Memory | Self::Partner | Self::Callbacks
        )
    }

    /// What it is called on the command line.
    pub(super) fn name(self) -> String {
        self.to_possible_value()
            .map_or_else(String::new, |value| value.get_name().to_owned())
    }

    /// Whether Python packages take part.
    pub(super) fn is_science(self) -> bool {
        matches!(self, Self::Spi | Self::Grid)
    }

    /// Whether data-processor and workers run over a broker.
    pub(super) fn is_streamed(self) -> bool {
        matches!(self, Self::Nightly | Self::Ingest)
    }
}

fn words(text: &[&str]) -> Vec<String> {
    text.iter().map(|word| (*word).to_owned()).collect()
}

/// The ceilings of the run, in words.
pub(super) fn ceilings(ground: &Ground) -> String {
    let of = |name: &str| value(&ground.env, name).to_owned();
    format!(
        "USSD {} a second (burst {}), callbacks without a token {}, API {}; as shipped: 600 (60), 50, \
         100; the ceiling of one phone (5 a second, burst 60) as shipped",
        of("USSD_RATE_PER_SECOND"),
        of("USSD_RATE_BURST"),
        of("WEBHOOK_RATE_PER_SECOND"),
        of("API_RATE_PER_SECOND"),
    )
}

/// Where a contestant takes hops.
fn ussd_path(ground: &Ground, who: Who) -> String {
    match who {
        Who::Backend => format!("/api/ussd/{}", value(&ground.env, "AT_CALLBACK_TOKEN")),
        _ => "/ussd".to_owned(),
    }
}

fn ussd_traffic(ground: &Ground, who: Who, sessions: u32) -> Vec<String> {
    words(&[
        "ussd",
        "--path",
        &ussd_path(ground, who),
        "--sessions",
        &sessions.to_string(),
        "--farmers",
        &FARMERS.to_string(),
    ])
}

/// Forgets every session, so that each window's farmers dial anew.
fn flush_redis(ground: &Ground) -> anyhow::Result<()> {
    let (_, address) = ground
        .urls
        .redis
        .split_once("://")
        .context("REDIS_URL is not a URL")?;
    let address = address.split('/').next().unwrap_or_default();
    let mut stream = TcpStream::connect(address)?;
    stream.write_all(b"FLUSHALL SYNC\r\n")?;
    let mut reply = [0_u8; 16];
    let read = stream.read(&mut reply)?;
    ensure!(
        reply
            .get(..read)
            .is_some_and(|bytes| bytes.starts_with(b"+OK")),
        "Redis does not forget"
    );
    Ok(())
}

/// Runs every contestant once a round, in turning order; returns a series for each.
fn rounds(
    ground: &Ground,
    part: &str,
    contestants: &mut [Contestant],
    mut traffic: impl FnMut(&Contestant, usize) -> Vec<String>,
) -> anyhow::Result<Vec<Series>> {
    let mut series = vec![Series::default(); contestants.len()];
    for round in 0..ground.effort.rounds {
        let mut said = Vec::new();
        for turn in 0..contestants.len() {
            let at = (turn + round) % contestants.len();
            let (Some(contestant), Some(series)) = (contestants.get_mut(at), series.get_mut(at))
            else {
                continue;
            };
            flush_redis(ground)?;
            let sent = traffic(contestant, round);
            let window = contestant.load(ground, &sent)?;
            said.push(format!(
                "{} {:.0}/s",
                contestant.who.name(),
                window.per_second
            ));
            series.0.push(window);
        }
        ground.say(
            part,
            format!(
                "round {} of {}: {}",
                round + 1,
                ground.effort.rounds,
                said.join(", ")
            ),
        );
    }
    Ok(series)
}

fn take_part(ground: &Ground, whos: &[Who]) -> Vec<Who> {
    whos.iter()
        .copied()
        .filter(|who| *who != Who::Peer || ground.peer_dir.is_some())
        .collect()
}

fn find<'a>(contestants: &[Contestant], series: &'a [Series], who: Who) -> Option<&'a Series> {
    let at = contestants.iter().position(|one| one.who == who)?;
    series.get(at)
}

/// One line of the table: a figure of ours, of a floor and of the peer.
pub(super) struct Comparison<'a> {
    /// Ours.
    pub(super) ours: &'a Series,
    /// The floor's, if there is one.
    pub(super) floor: Option<&'a Series>,
    /// The peer's, if it took part.
    pub(super) peer: Option<&'a Series>,
}

impl Comparison<'_> {
    /// With the goals against the floor and against the peer.
    pub(super) fn line(
        &self,
        what: &str,
        unit: &'static str,
        figure: Figure,
        goals: (Option<Goal>, Option<Goal>),
    ) -> Line {
        let ratio = |other: Option<&Series>| other.map(|other| self.ours.ratio(other, figure));
        Line {
            what: what.to_owned(),
            unit,
            ours: self.ours.median(figure),
            floor: self.floor.map(|series| series.median(figure)),
            peer: self.peer.map(|series| series.median(figure)),
            to_floor: ratio(self.floor),
            to_peer: ratio(self.peer),
            floor_goal: goals.0,
            peer_goal: goals.1,
            own_goal: None,
        }
    }
}

/// A hop of the walk: dial, `1`, `1*1`, `1*1*1`, 2,500 conversations open.
pub(super) fn ussd(
    ground: &Ground,
    outcome: &mut Outcome,
    with_profile: bool,
) -> anyhow::Result<()> {
    let whos = [
        Who::Backend,
        Who::FloorPipelined,
        Who::FloorSeparate,
        Who::Peer,
    ];
    let mut ports = Ports::default();
    let mut contestants = take_part(ground, &whos)
        .into_iter()
        .map(|who| Contestant::start(ground, &mut ports, who, &[]))
        .collect::<anyhow::Result<Vec<_>>>()?;
    let series = rounds(ground, "ussd", &mut contestants, |contestant, _| {
        ussd_traffic(ground, contestant.who, SESSIONS)
    })?;
    let get = |who| find(&contestants, &series, who);
    let ours = get(Who::Backend).context("the backend did not take part")?;
    let best = Comparison {
        ours,
        floor: get(Who::FloorPipelined),
        peer: get(Who::Peer),
    };
    let plain = Comparison {
        floor: get(Who::FloorSeparate),
        ..best
    };
    let rate_goals = (Some(Goal::AtLeast(0.70)), Some(Goal::AtLeast(10.0)));
    outcome.lines.extend([
        best.line(
            "USSD hops (floor: one pipelined round trip)",
            "a second",
            RATE,
            rate_goals,
        ),
        plain.line(
            "USSD hops (floor: GET, then SET)",
            "a second",
            RATE,
            (None, None),
        ),
        best.line(
            "USSD hop, 99th percentile",
            "µs",
            P99,
            (Some(Goal::AtMost(2.0)), None),
        ),
        best.line("USSD hop, median", "µs", P50, (None, None)),
        best.line("USSD hop, CPU of the process", "µs", CPU, (None, None)),
    ]);
    let core = ground.pinning.contestant.unwrap_or_default();
    for (contestant, series) in contestants.iter().zip(&series) {
        let (own, others) = series.busy(usize::try_from(core).unwrap_or_default());
        outcome.notes.push(format!(
            "USSD, {}: {} hops answered and compared in the counted windows; its core {:.0} % busy, \
             the others {:.0} %.",
            contestant.who.name(),
            series.0.iter().map(|window| window.requests).sum::<u64>(),
            own * 100.0,
            others * 100.0,
        ));
    }
    if with_profile {
        let backend = contestants
            .iter_mut()
            .find(|one| one.who == Who::Backend)
            .context("the backend did not take part")?;
        flush_redis(ground)?;
        let traffic = ussd_traffic(ground, Who::Backend, SESSIONS);
        outcome.profile = Some(profile::record(ground, backend, &traffic)?);
    }
    Ok(())
}

/// Resident memory at the end of a window with 10,000 conversations open; a fresh process each.
pub(super) fn memory(ground: &Ground, outcome: &mut Outcome) -> anyhow::Result<()> {
    let whos = take_part(ground, &[Who::Backend, Who::FloorPipelined, Who::Peer]);
    let mut series = vec![Series::default(); whos.len()];
    let count = ground.effort.rounds.min(3);
    for round in 0..count {
        let mut said = Vec::new();
        for (who, series) in whos.iter().zip(&mut series) {
            flush_redis(ground)?;
            let mut contestant = Contestant::start(ground, &mut Ports::default(), *who, &[])?;
            let traffic = ussd_traffic(ground, *who, SESSIONS_FOR_MEMORY);
            let window = contestant.load(ground, &traffic)?;
            said.push(format!("{} {:.1} MiB", who.name(), MEMORY(&window)));
            series.0.push(window);
        }
        ground.say(
            "memory",
            format!("round {} of {count}: {}", round + 1, said.join(", ")),
        );
    }
    let get = |who| {
        let at = whos.iter().position(|one| *one == who)?;
        series.get(at)
    };
    let compared = Comparison {
        ours: get(Who::Backend).context("the backend did not take part")?,
        floor: get(Who::FloorPipelined),
        peer: get(Who::Peer),
    };
    let mut line = compared.line("Memory, 10,000 sessions open", "MiB", MEMORY, (None, None));
    line.own_goal = Some(Goal::AtMost(64.0));
    outcome.lines.push(line);
    Ok(())
}

/// Callbacks stored: M-Pesa's result, each a new one, answered once it is committed.
pub(super) fn callbacks(ground: &Ground, outcome: &mut Outcome) -> anyhow::Result<()> {
    let mut ports = Ports::default();
    // storing is what a provider waits for; processing is another process's worth of work
    let stored_only = [("ENABLE_WEBHOOKS", "false")];
    let mut contestants = take_part(ground, &[Who::Backend, Who::FloorRows, Who::Peer])
        .into_iter()
        .map(|who| Contestant::start(ground, &mut ports, who, &stored_only))
        .collect::<anyhow::Result<Vec<_>>>()?;
    let token = value(&ground.env, "MPESA_CALLBACK_TOKEN");
    let path = |who| match who {
        Who::Backend => format!("/api/webhooks/mpesa/{token}/b2c-result"),
        _ => "/callbacks".to_owned(),
    };
    let mut first = 0_u64;
    let mut next = || {
        first = first.saturating_add(CALLBACKS_APART);
        first.to_string()
    };
    let series = rounds(ground, "callbacks", &mut contestants, |contestant, _| {
        let path = path(contestant.who);
        words(&[
            "requests",
            "--path",
            &path,
            "--body",
            "b2c-result",
            "--first",
            &next(),
        ])
    })?;
    let get = |who| find(&contestants, &series, who);
    let compared = Comparison {
        ours: get(Who::Backend).context("the backend did not take part")?,
        floor: get(Who::FloorRows),
        peer: get(Who::Peer),
    };
    let stored = database::query(
        &ground.urls.database,
        "select count(*) from provider_events",
    )?;
    let answered: u64 = compared.ours.0.iter().map(|window| window.requests).sum();
    let stored: u64 = stored.parse().unwrap_or_default();
    ensure!(
        stored >= answered,
        "the backend answered {answered} callbacks but stored {stored}"
    );
    outcome.lines.extend([
        compared.line("Callbacks stored", "a second", RATE, (None, None)),
        compared.line("Callback, 99th percentile", "µs", P99, (None, None)),
        compared.line("Callback, CPU of the process", "µs", CPU, (None, None)),
    ]);
    Ok(())
}

/// A partner's GET and POST. A backend without these routes leaves the row out and says so.
pub(super) fn partner(ground: &Ground, outcome: &mut Outcome) -> anyhow::Result<()> {
    let mut ports = Ports::default();
    let whos = take_part(ground, &[Who::Backend, Who::FloorRows, Who::Peer]);
    let mut contestants = whos
        .into_iter()
        .map(|who| Contestant::start(ground, &mut ports, who, &[]))
        .collect::<anyhow::Result<Vec<_>>>()?;
    let backend = contestants
        .iter()
        .find(|one| one.who == Who::Backend)
        .context("the backend did not take part")?;
    if http::status(backend.port, "/api/v1/farmers") == Some(404) {
        let note = "Partner API: not measured, this backend has no `/api/v1/farmers`.";
        ground.say("partner", note);
        outcome.notes.push(note.to_owned());
        return Ok(());
    }
    let key = partner_key(ground)?;
    let ids = ground.home.join("farmers.txt");
    let written = database::query(
        &ground.urls.database,
        &format!(
            "select id from farmers where organisation_id is not null order by id limit {PARTNER_IDS}"
        ),
    )?;
    fs::write(&ids, &written)?;
    let ids = ids.display().to_string();
    let bearer = format!("Authorization: Bearer {key}");
    let found = rounds(ground, "partner GET", &mut contestants, |contestant, _| {
        let path = match contestant.who {
            Who::Backend => "/api/v1/farmers/far_{id32}",
            _ => "/farmers/{id}",
        };
        let common = ["requests", "--method", "GET", "--path", path, "--ids", &ids];
        words(&[&common[..], &["--header", &bearer]].concat())
    })?;
    let mut first = ENROLMENTS_FROM;
    let added = rounds(ground, "partner POST", &mut contestants, |contestant, _| {
        first = first.saturating_add(ENROLMENTS_APART);
        let path = match contestant.who {
            Who::Backend => "/api/v1/farmers",
            _ => "/farmers",
        };
        let body = r#"{"phone":"+2541{n8}","name":"Bench Farmer","national_id":"{n8}","language":"en","ward_code":"0234","consent":{"version":"2026-01","obtained":"paper"}}"#;
        let first = first.to_string();
        let common = [
            "requests", "--path", path, "--body", body, "--first", &first,
        ];
        let status = ["--status", "201", "--header", &bearer];
        let once = ["--header", "Idempotency-Key: bench-{n}"];
        words(&[&common[..], &status, &once].concat())
    })?;
    for (what, series) in [
        ("Partner GET, one farmer", &found),
        ("Partner POST, one farmer", &added),
    ] {
        let get = |who| find(&contestants, series, who);
        let compared = Comparison {
            ours: get(Who::Backend).context("the backend did not take part")?,
            floor: get(Who::FloorRows),
            peer: get(Who::Peer),
        };
        outcome.lines.extend([
            compared.line(what, "a second", RATE, (None, None)),
            compared.line(
                &format!("{what}: CPU of the process"),
                "µs",
                CPU,
                (None, None),
            ),
        ]);
    }
    Ok(())
}

/// A partner and its key, in SQL: a throwaway database's key is nobody's secret. Every seeded farmer
/// becomes this partner's.
fn partner_key(ground: &Ground) -> anyhow::Result<String> {
    let organisation = "01900000-0000-7000-8000-000000000001";
    let key = format!("mck_benchkey_{}", "a".repeat(52));
    database::query(
        &ground.urls.database,
        &format!(
            "insert into organisations (id, name, kind, state, created_at)
             values ('{organisation}', 'Bench', 'cooperative', 'active', now());
             insert into api_keys (id, organisation_id, name, hint, key_hash, scopes, created_at)
             values (gen_random_uuid(), '{organisation}', 'bench', 'benchkey', sha256('{key}'),
                     array['farmers:read', 'farmers:write'], now() - interval '1000 days');
             update farmers set organisation_id = '{organisation}';
             update plots set organisation_id = '{organisation}'"
        ),
    )?;
    // by themselves: vacuum refuses to be part of a transaction
    for table in ["farmers", "plots"] {
        database::query(&ground.urls.database, &format!("vacuum analyze {table}"))?;
    }
    Ok(key)
}
