//! The nights of a season: every risk's index made anew by relay and data-processor, and the closing
//! night, when damage decides each risk; with few and with many policies on the same risks and under
//! the same weather. Every figure is checked against what was seeded. Never pins anything.
//! Called by the bench.

use anyhow::{Context as _, ensure};
use serde_json::Value;

use super::Ground;
use super::measure::{RATE, SECONDS, Series, Window};
use super::rows::Comparison;
use super::system::{self, ask, copy_of, number};
use super::table::{Goal, Outcome};
use crate::servers::Servers;
use crate::stack::{Plan, Stack, run_once};

/// Risks, a cell each.
const CELLS: u32 = 5_000;
/// Policies on them.
const SIZES: [u32; 3] = [10_000, 100_000, 1_000_000];
/// The size whose fan-out is measured as well, and whose nights with sweeps as shipped.
const FANNED_OUT: u32 = 100_000;
/// As shipped, docs/config.md.
const SWEEP_SHIPPED_MS: &str = "5000";
/// Days of the window that have passed on the first night, and on the last.
const FIRST_NIGHT: u32 = 60;
const LAST_NIGHT: u32 = 92;
/// A night is long enough not to need more.
const ROUNDS_MAX: usize = 3;
/// What is aimed at for 100,000 policies on two cores.
const SECONDS_AIM: f64 = 10.0;
/// The largest number of policies against the smallest.
const GROWTH_MAX: f64 = 3.0;

/// A database with its processes' surroundings.
struct Site {
    policies: u32,
    plan: Plan,
    nights: Series,
    closings: Series,
}

/// Seeds, measures, checks.
pub(super) fn run(
    ground: &Ground,
    servers: &mut Servers,
    outcome: &mut Outcome,
) -> anyhow::Result<()> {
    let is_quick = ground.effort.rounds <= ROUNDS_MAX;
    let sizes: &[u32] = if is_quick { &SIZES[..2] } else { &SIZES };
    let mut sites = seed(ground, servers, sizes)?;
    let rounds = ground.effort.rounds.min(ROUNDS_MAX);
    for round in 0..rounds {
        let night = FIRST_NIGHT + u32::try_from(round)? + 1;
        let mut said = Vec::new();
        for turn in 0..sites.len() {
            let at = (turn + round) % sites.len();
            let Some(site) = sites.get_mut(at) else {
                continue;
            };
            let seconds = night_of(ground, site, night)?;
            said.push(format!("{} policies {seconds:.2} s", site.policies));
            site.nights
                .0
                .push(Window::of_pass(f64::from(CELLS), seconds));
        }
        let words = format!("night {} of {rounds}: {}", round + 1, said.join(", "));
        ground.say("nightly", words);
    }
    let shipped = as_shipped(ground, &mut sites, rounds)?;
    let mut fanned_out = None;
    let closings = if is_quick { 1 } else { rounds };
    for round in 0..closings {
        let mut said = Vec::new();
        for turn in 0..sites.len() {
            let at = (turn + round) % sites.len();
            let Some(site) = sites.get_mut(at) else {
                continue;
            };
            let index = night_of(ground, site, LAST_NIGHT)?;
            let decisions = decide(ground, site)?;
            said.push(format!(
                "{} policies {index:.2} + {decisions:.2} s",
                site.policies
            ));
            let window = Window::of_pass(f64::from(CELLS), index + decisions);
            site.closings.0.push(window);
            if round + 1 < closings {
                season(site, &["reopen"])?;
            } else if site.policies == FANNED_OUT {
                fanned_out = Some(fan_out(ground, site)?);
            }
        }
        ground.say(
            "nightly",
            format!(
                "closing night {} of {closings} (indices + decisions): {}",
                round + 1,
                said.join(", ")
            ),
        );
    }
    lines(outcome, &sites, |site| &site.nights, "Night, 5,000 indices");
    let what = format!("Night, sweeps as shipped: {} policies", grouped(FANNED_OUT));
    let mut line = alone(&shipped).line(&what, "s", SECONDS, (None, None));
    line.own_goal = Some(Goal::AtMost(SECONDS_AIM));
    outcome.lines.push(line);
    let what = "Closing night, 5,000 risks decided";
    lines(outcome, &sites, |site| &site.closings, what);
    if let Some(fanned_out) = &fanned_out {
        let what = format!("Fan-out of {} policies", grouped(FANNED_OUT));
        let line = alone(fanned_out).line(&what, "a second", RATE, (None, None));
        outcome.lines.push(line);
    }
    Ok(())
}

fn alone(ours: &Series) -> Comparison<'_> {
    Comparison {
        ours,
        floor: None,
        peer: None,
    }
}

/// Nights of [`FANNED_OUT`] policies with the relay's looks as far apart as shipped: what waits for
/// a look is in the seconds.
fn as_shipped(ground: &Ground, sites: &mut [Site], rounds: usize) -> anyhow::Result<Series> {
    let mut nights = Series::default();
    let site = sites.iter_mut().find(|site| site.policies == FANNED_OUT);
    let site = site.context("no such number of policies")?;
    let hurried = system::set(&mut site.plan, "SWEEP_INTERVAL_MS", SWEEP_SHIPPED_MS);
    for round in 0..rounds {
        let night = FIRST_NIGHT + u32::try_from(rounds + round)? + 1;
        let seconds = night_of(ground, site, night)?;
        ground.say("nightly", format!("sweeps as shipped: {seconds:.2} s"));
        nights.0.push(Window::of_pass(f64::from(CELLS), seconds));
    }
    if let Some(hurried) = hurried {
        system::set(&mut site.plan, "SWEEP_INTERVAL_MS", &hurried);
    }
    Ok(nights)
}

/// A line a size; the largest beside the smallest.
fn lines(outcome: &mut Outcome, sites: &[Site], of: fn(&Site) -> &Series, what: &str) {
    let smallest = sites.first();
    for site in sites {
        let is_last = site.policies == SIZES[SIZES.len() - 1];
        let floor = smallest.filter(|_| is_last);
        let compared = Comparison {
            ours: of(site),
            floor: floor.map(of),
            peer: None,
        };
        let mut named = format!("{what}: {} policies", grouped(site.policies));
        if let Some(floor) = floor {
            named = format!("{named} (floor: {} policies)", grouped(floor.policies));
        }
        let growth = floor.map(|_| Goal::AtMost(GROWTH_MAX));
        let mut line = compared.line(&named, "s", SECONDS, (growth, None));
        line.own_goal = (site.policies == 100_000).then_some(Goal::AtMost(SECONDS_AIM));
        outcome.lines.push(line);
    }
}

fn grouped(number: u32) -> String {
    super::table::number(f64::from(number))
}

/// The weather once, and a copy of it for each number of policies.
fn seed(ground: &Ground, servers: &mut Servers, sizes: &[u32]) -> anyhow::Result<Vec<Site>> {
    let weather = servers.fresh_database("bench_weather")?;
    let plan = system::plan(ground, servers, &weather, "bench-weather.")?;
    ground.say("migrate", "tables and products");
    run_once(&plan, "backend", &["migrate"])?;
    let (cells, nights) = (CELLS.to_string(), FIRST_NIGHT.to_string());
    ground.say(
        "seed",
        format!("{CELLS} risks, two stations each, {FIRST_NIGHT} days, by COPY"),
    );
    let asked = ["season", "weather", "--cells", &cells, "--nights", &nights];
    ask(&plan, &asked)?;
    let mut sites = Vec::new();
    for policies in sizes.iter().copied() {
        let url = copy_of(servers, &format!("bench_{policies}"), &weather)?;
        let site = Site {
            policies,
            plan: system::plan(ground, servers, &url, &format!("bench-{policies}."))?,
            nights: Series::default(),
            closings: Series::default(),
        };
        ground.say("seed", format!("{policies} policies on the same risks"));
        season(&site, &["policies", "--count", &policies.to_string()])?;
        sites.push(site);
    }
    Ok(sites)
}

/// A part of the season's seed or checks; returns what it said.
fn season(site: &Site, asked: &[&str]) -> anyhow::Result<Value> {
    ask(&site.plan, &[&["season"], asked].concat())
}

/// Processes of a site with the clock after so many days of the window.
fn start(ground: &Ground, site: &mut Site, nights: u32, names: &[&str]) -> anyhow::Result<Stack> {
    let said = season(site, &["instant", "--nights", &nights.to_string()])?;
    let at = said.get("at").and_then(Value::as_str);
    let at = at.context("no instant")?;
    system::start(ground, &mut site.plan, at, names)
}

/// All risks are due at once: seconds until each has an index with the night's day.
fn night_of(ground: &Ground, site: &mut Site, nights: u32) -> anyhow::Result<f64> {
    let mut stack = start(ground, site, nights, &["data-processor", "relay"])?;
    let said = season(site, &["night", "--nights", &nights.to_string()]);
    stack.fail_on_exit()?;
    number(&said?, "seconds")
}

/// The bells of the final indices have been published and the relay is gone: seconds from the first
/// decision to the last, each with its evidence. The fan-out waits for the relay.
fn decide(ground: &Ground, site: &mut Site) -> anyhow::Result<f64> {
    let mut stack = start(ground, site, LAST_NIGHT, &["damage"])?;
    let said = season(site, &["decided"]);
    stack.fail_on_exit()?;
    let said = said?;
    let policies = number(&said, "policies")?;
    ensure!(
        (policies - f64::from(site.policies)).abs() < 0.5,
        "{policies} policies were counted in the decisions on {}",
        site.policies
    );
    number(&said, "seconds")
}

/// Policies settled a second, payouts planned with their legs and reserved money.
fn fan_out(ground: &Ground, site: &mut Site) -> anyhow::Result<Series> {
    season(site, &["unpublished"])?;
    let mut stack = start(ground, site, LAST_NIGHT, &["damage", "relay"])?;
    let said = season(site, &["settled"]);
    stack.fail_on_exit()?;
    let said = said?;
    let (policies, seconds) = (number(&said, "policies")?, number(&said, "seconds")?);
    ground.say(
        "nightly",
        format!(
            "fan-out: {policies} policies settled, {} payouts planned in {seconds:.1} s",
            number(&said, "payouts")?
        ),
    );
    Ok(Series(vec![Window::of_pass(policies, seconds)]))
}
