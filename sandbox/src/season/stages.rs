//! The season, stage after stage, and its close. Each stage says what it did; the first thing that
//! goes wrong ends the season with its name. Never decides whether the numbers are right: the
//! close does. Called by `run`.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context as _, ensure};
use chrono::{DateTime, Datelike, TimeDelta, Utc};
use domain::season::{day_starts_at, next_dekad};
use serde_json::{Value, json};

use super::advance::Driver;
use super::books::{self, Books};
use super::chaos::{Chaos, Stage};
use super::clock::ClockFile;
use super::close::{self, Expect, kes};
use super::farmer::AtHandset;
use super::look::{At, look};
use super::net::Net;
use super::people::{Farmer, Pay};
use super::plan::{self, OPENING_KES, Plan};
use super::report::Report;
use super::say::{self, Say};
use super::table::{self, Extras};
use super::{Closed, Scenario, SeasonArgs, approve, gather, weather};

/// How late a late payer is: hours, but well before an unpaid policy lapses.
const LATE_SECONDS: u32 = 2 * 3_600;
/// An hour past the instant at which an unpaid policy without a prompt lapses.
const DAY_LATE_SECONDS: u32 = 25 * 3_600;
/// Prompts are answered within 20 s, doubled 40 s later.
const RINGING: TimeDelta = TimeDelta::seconds(70);
/// Steps of time while nothing is expected but slow answers.
const COARSE: TimeDelta = TimeDelta::minutes(20);
/// From this many farmers on some releases are too large for one pair of eyes.
const BOTH_WAYS_FARMERS: u32 = 100;
/// Farmers who look at their season and at their cover.
const CURIOUS: usize = 5;
/// Times that farmers whose prompt never worked dial once more.
const REDIAL_ROUNDS: u32 = 3;
/// Days after a window's end until everything is decided, two people included.
const DECIDE_DAYS_MAX: i64 = 25;
/// Instants after the decision at which operators look in, seconds.
const DESK_SECONDS: [i64; 12] = [
    0, 10, 30, 60, 180, 300, 900, 1_800, 3_600, 14_400, 86_400, 259_200,
];
/// Past the latest callback: late ones come after 10.5 minutes, repeats 30 s later.
const CALLBACKS_OVER_SECONDS: i64 = 900;

/// Lives the season, or only its close.
pub(super) async fn live(args: &SeasonArgs) -> anyhow::Result<bool> {
    if args.only_close {
        let closed = close_only(args).await?;
        closed.lines.iter().for_each(|text| say::line(text));
        return Ok(closed.is_right);
    }
    let net = Net::new(args)?;
    let plan = plan::make(args)?;
    let mut clock = ClockFile::open(&args.clock, plan.opens_at)?;
    clock.set(plan.opens_at.max(clock.now()))?;
    ensure!(
        clock.now() < plan.sale.closes_at(),
        "the clock is at {}, after the sale of {}",
        clock.now(),
        args.season
    );
    let chaos = Chaos::new(args.chaos, args.seed);
    let mut driver = Driver {
        net,
        clock,
        chaos,
        say: Say::start(),
        jumps: 0,
    };
    prepare(&driver, args, &plan).await?;
    dialling(&mut driver, args, &plan).await?;
    paying(&mut driver, args, &plan).await?;
    growing(&mut driver, &plan).await?;
    deciding(&mut driver, &plan).await?;
    releasing(&mut driver).await?;
    look_at_policies(&driver, &plan).await?;
    let is_drought = args.scenario == Scenario::Drought && plan.replay.is_none();
    let count = |is: fn(Pay) -> bool| {
        i64::try_from(plan.farmers.iter().filter(|farmer| is(farmer.pay)).count())
    };
    let expect = Expect {
        must_release_both_ways: is_drought && args.farmers.get() >= BOTH_WAYS_FARMERS,
        must_pay: is_drought,
        // under chaos a prompt may fail for good, and its policy lapses as it should
        covered: if args.chaos {
            None
        } else {
            Some(count(Pay::is_covered)?)
        },
        // a prompt nobody answered stays in doubt, and its policy waits for a person
        awaiting: if args.chaos {
            None
        } else {
            Some(count(|pay| pay == Pay::Never)?)
        },
        kills: args.chaos.then(|| driver.chaos.kills()),
    };
    let (closed, saved) = closing(&driver.net, args, expect).await?;
    let text = format!(
        "{} jumps of the clock to {}; {saved} bundles in {}",
        driver.jumps,
        driver.clock.now(),
        args.evidence_dir.display()
    );
    driver.say.progress("closing", &text);
    closed.lines.iter().for_each(|text| say::line(text));
    Ok(closed.is_right)
}

/// Judges what is there, whoever lived it.
pub(super) async fn close_only(args: &SeasonArgs) -> anyhow::Result<Closed> {
    let (closed, _) = closing(&Net::new(args)?, args, Expect::default()).await?;
    Ok(closed)
}

/// Wallets, weather, points of wards, faults.
async fn prepare(driver: &Driver, args: &SeasonArgs, plan: &Plan) -> anyhow::Result<()> {
    let phones: Vec<Value> = plan.farmers.iter().map(wallet).collect();
    driver.net.set("/control/phones", &json!(phones)).await?;
    driver.say.progress(
        "wallets",
        &format!("{} opened with KES {OPENING_KES}", phones.len()),
    );
    weather::set_up(driver, args, plan).await?;
    if let Some(folder) = &args.history {
        weather::import_history(driver, folder).await?;
    }
    if driver.chaos.is_on() {
        driver
            .net
            .set("/control/faults", &driver.chaos.faults())
            .await?;
        driver
            .say
            .progress("chaos", "the outside world loses, repeats and delays");
    }
    Ok(())
}

fn wallet(farmer: &Farmer) -> Value {
    let (stk, late_seconds) = match farmer.pay {
        Pay::AtOnce => ("pay", None),
        Pay::WrongHistory => ("over", None),
        Pay::Late => ("late", Some(LATE_SECONDS)),
        Pay::DayLate => ("late", Some(DAY_LATE_SECONDS)),
        Pay::Twice => ("twice", None),
        Pay::Never => ("never", None),
        Pay::Cancels => ("cancel", None),
        Pay::Short => ("short", None),
    };
    json!({"msisdn": farmer.phone.digits(), "balance_kes": OPENING_KES, "stk": stk,
           "late_seconds": late_seconds})
}

/// Everybody dials; those whose call dropped dial again before the hour is over.
async fn dialling(driver: &mut Driver, args: &SeasonArgs, plan: &Plan) -> anyhow::Result<()> {
    let handset = |farmer| AtHandset::new(farmer, args.seed, !args.chaos);
    let first = gather::dial(driver, plan.farmers.iter().map(handset).collect()).await?;
    let (bought, mut tally, dropped) = (first.bought, first.tally, first.hung_up);
    let start = driver.clock.now();
    driver.say.progress(
        "dialling",
        &format!("{bought} bought, {} calls dropped half-way", dropped.len()),
    );
    ring_out(driver, start).await?;
    driver
        .advance_to(start + TimeDelta::minutes(40), COARSE, Stage::Paying)
        .await?;
    let second = gather::dial(driver, dropped).await?;
    tally.add(second.tally);
    driver.settle().await?;
    let text = format!(
        "{} bought in {} hops: {} mistyped, {} dropped, {} resumed, {} hops repeated, {} wrong \
         PINs, {} hops posted again, {} calls redialled",
        bought + second.bought,
        tally.hops,
        tally.mistyped,
        tally.dropped,
        tally.resumed,
        tally.repeated,
        tally.wrong_pins,
        tally.reposts,
        tally.redialled
    );
    driver.say.progress("dialling", &text);
    Ok(())
}

/// Prompts ring and are answered: the minute after buying, closely watched.
async fn ring_out(driver: &mut Driver, start: DateTime<Utc>) -> anyhow::Result<()> {
    driver
        .advance_to(start + RINGING, TimeDelta::seconds(5), Stage::Paying)
        .await
}

/// Prompts are answered, payments found, unpaid policies lapse.
async fn paying(driver: &mut Driver, args: &SeasonArgs, plan: &Plan) -> anyhow::Result<()> {
    let start = driver.clock.now();
    let at = |seconds: i64| start + TimeDelta::seconds(seconds);
    ring_out(driver, start).await?;
    driver
        .advance_to(at(3 * 3_600), COARSE, Stage::Paying)
        .await?;
    for round in 1..=REDIAL_ROUNDS {
        let unpaid = uncovered(driver, plan).await?;
        if unpaid.is_empty() {
            break;
        }
        driver.say.progress(
            "paying",
            &format!("{} dial again for a new prompt", unpaid.len()),
        );
        let handsets = unpaid
            .into_iter()
            .map(|farmer| AtHandset::again(farmer, args.seed, round));
        gather::dial(driver, handsets.collect()).await?;
        let soon = driver.clock.now();
        ring_out(driver, soon).await?;
        driver
            .advance_to(soon + TimeDelta::hours(1), COARSE, Stage::Paying)
            .await?;
    }
    driver
        .advance_to(at(50 * 3_600), TimeDelta::hours(6), Stage::Paying)
        .await?;
    let report = report(&driver.net).await?;
    let policies = &report.policies;
    driver.say.progress(
        "paying",
        &format!(
            "{} active, {} awaiting, {} lapsed; premiums {}, suspense {}",
            policies.active,
            policies.awaiting_premium,
            policies.lapsed,
            kes(report.premiums.posted_minor),
            kes(report.suspense_minor)
        ),
    );
    ensure!(policies.active > 0, "no policy became active");
    Ok(())
}

/// Farmers who meant to pay and have no certificate yet.
async fn uncovered<'a>(driver: &Driver, plan: &'a Plan) -> anyhow::Result<Vec<&'a Farmer>> {
    let books = books::fetch(&driver.net).await?;
    let is_told = |farmer: &&Farmer| {
        let texts = books.inboxes.get(farmer.phone.digits());
        texts
            .into_iter()
            .flatten()
            .any(|text| text.contains(" is on.") || text.contains(" imeanza."))
    };
    // who pays a day late has a prompt to answer still
    let meant_to = |farmer: &&Farmer| farmer.pay.is_covered() && farmer.pay != Pay::DayLate;
    Ok(plan
        .farmers
        .iter()
        .filter(meant_to)
        .filter(|farmer| !is_told(farmer))
        .collect())
}

/// The season passes, ten days at a time.
async fn growing(driver: &mut Driver, plan: &Plan) -> anyhow::Result<()> {
    let mut day = plan.cover.start;
    loop {
        let target = morning(day).min(plan.cover.closes_at());
        driver
            .advance_to(target, TimeDelta::days(3), Stage::Growing)
            .await?;
        driver
            .say
            .progress("growing", &format!("{}", day.format("%-d %B %Y")));
        // two of the three months of the long rains are measured
        if day.month() == 5 && day.day() == 1 {
            look_at_seasons(driver, plan).await?;
        }
        if day >= plan.cover.end {
            return Ok(());
        }
        day = next_dekad(day).min(plan.cover.end);
    }
}

/// The first farmers whose cover is on for certain.
fn curious(plan: &Plan) -> impl Iterator<Item = &Farmer> {
    let insured = plan
        .farmers
        .iter()
        .filter(|farmer| farmer.pay == Pay::AtOnce);
    insured.take(CURIOUS)
}

/// A few farmers ask how their season stands.
async fn look_at_seasons(driver: &Driver, plan: &Plan) -> anyhow::Result<()> {
    for farmer in curious(plan) {
        look(driver, farmer, At::Season).await?;
    }
    Ok(())
}

/// A few farmers ask what became of their cover: whoever got money sees how much.
async fn look_at_policies(driver: &Driver, plan: &Plan) -> anyhow::Result<()> {
    let books = books::fetch(&driver.net).await?;
    for farmer in curious(plan) {
        let screen = look(driver, farmer, At::Policy).await?;
        let paid = books.disbursed_to(farmer.phone.digits());
        let amount = domain::money::grouped(u64::try_from(paid / 100)?);
        ensure!(
            paid == 0 || screen.contains(&format!("KES {amount}")),
            "farmer {} got {} and her phone says {screen:?}",
            farmer.index,
            kes(paid)
        );
    }
    Ok(())
}

/// Windows close; each day the numbers firm up, until every risk is decided.
async fn deciding(driver: &mut Driver, plan: &Plan) -> anyhow::Result<()> {
    for days in 0..=DECIDE_DAYS_MAX {
        let target = morning(plan.cover.end) + TimeDelta::days(days);
        driver
            .advance_to(target, TimeDelta::hours(2), Stage::Deciding)
            .await?;
        let report = report(&driver.net).await?;
        let covered = report.risks.iter().filter(|risk| risk.policies > 0);
        let (decided, open): (Vec<_>, Vec<_>) = covered.partition(|risk| risk.evaluation.is_some());
        let text = format!(
            "day {days} after the season: {} risks decided, {} open, {} payouts planned",
            decided.len(),
            open.len(),
            report.payouts.planned
        );
        driver.say.progress("deciding", &text);
        // beyond the third day no rain is measured any more: what is open then waits for vegetation, or for people
        if open.is_empty() {
            return Ok(());
        }
    }
    Ok(())
}

/// Operators approve, money goes out, doubt ends, everybody is told.
async fn releasing(driver: &mut Driver) -> anyhow::Result<()> {
    let start = driver.clock.now();
    let mut told = String::new();
    for seconds in DESK_SECONDS {
        let target = start + TimeDelta::seconds(seconds);
        let grain = TimeDelta::seconds((seconds / 12).max(5));
        driver.advance_to(target, grain, Stage::Releasing).await?;
        let approved = approve::held_runs(&driver.net).await?;
        if approved.runs > 0 {
            let text = format!(
                "two operators approved {} releases, {} payouts, {}",
                approved.runs,
                approved.payouts,
                kes(approved.total_minor)
            );
            driver.say.progress("releasing", &text);
            // a blow in the middle of paying
            driver.chaos.jumped(Stage::Releasing).await?;
        }
        let report = report(&driver.net).await?;
        let payouts = &report.payouts;
        let text = format!(
            "planned {}, auto {}, approved {}, held {}, paid {}, refused {}, in doubt {}",
            payouts.planned,
            payouts.auto,
            payouts.approved,
            payouts.held,
            payouts.paid,
            payouts.refused,
            payouts.in_doubt
        );
        if text != told {
            driver.say.progress("releasing", &text);
            told = text;
        }
        let is_over = approved.runs == 0
            && payouts.held == 0
            && payouts.in_doubt == 0
            && payouts.sent == 0
            && payouts.planned == payouts.paid + payouts.refused
            && report.policies.active == 0;
        if is_over && seconds >= CALLBACKS_OVER_SECONDS {
            break;
        }
        if seconds >= CALLBACKS_OVER_SECONDS && driver.chaos.is_on() {
            // healed: from here everything must come to its end
            driver
                .net
                .set("/control/faults", &json!({"rates": {}}))
                .await?;
        }
    }
    driver.settle().await?;
    Ok(())
}

/// Fetches, compares and leaves the evidence; gives the closing table and how many bundles there are.
async fn closing(net: &Net, args: &SeasonArgs, expect: Expect) -> anyhow::Result<(Closed, usize)> {
    let books = books::fetch(net).await?;
    let path = format!(
        "/api/v1/operator/report?collected_minor={}&disbursed_minor={}",
        books.wallets.collected_minor, books.wallets.disbursed_minor
    );
    let report: Report = net.ask(&path).await?;
    let mut verdict = close::judge(&report, &books, expect);
    let (saved, faults) = save_evidence(net, &report, &args.evidence_dir).await?;
    verdict.faults.extend(faults);
    let extras = Extras {
        names_invariants: args.keep,
        is_replay: args.weather.is_some(),
        kills: expect.kills,
    };
    let mut lines = table::lines(&report, &books, &verdict, extras);
    lines.extend(fallen(&books));
    let is_right = verdict.is_right();
    Ok((Closed { lines, is_right }, saved))
}

/// What the network saw us do wrong without it being money.
fn fallen(books: &Books) -> Vec<String> {
    ["ussd_repeat_differs", "ussd_screens_too_long"]
        .into_iter()
        .filter_map(|name| {
            let count = books.counters.get(name).filter(|count| **count > 0)?;
            Some(format!("note: {name} {count}"))
        })
        .collect()
}

/// Leaves each evaluation's bundle as `<cid>.json`; gives how many, and what is wrong with them.
async fn save_evidence(
    net: &Net,
    report: &Report,
    folder: &Path,
) -> anyhow::Result<(usize, Vec<String>)> {
    std::fs::create_dir_all(folder)
        .with_context(|| format!("cannot make the folder {}", folder.display()))?;
    let evaluations = report
        .risks
        .iter()
        .filter_map(|risk| risk.evaluation.as_ref());
    let cids: BTreeSet<&str> = evaluations
        .filter(|e| e.pinned)
        .filter_map(|e| e.cid.as_deref())
        .collect();
    let mut faults = Vec::new();
    for cid in &cids {
        match net.pinned(cid).await {
            Ok(bytes) if domain::evidence::cid(&bytes) == **cid => {
                std::fs::write(folder.join(format!("{cid}.json")), bytes)?;
            }
            Ok(_) => faults.push(format!("the gateway's bytes of {cid} are other bytes")),
            Err(error) => faults.push(format!("{error:#}")),
        }
    }
    Ok((cids.len(), faults))
}

async fn report(net: &Net) -> anyhow::Result<Report> {
    net.ask("/api/v1/operator/report").await
}

/// Nine in the morning in Nairobi.
fn morning(day: chrono::NaiveDate) -> DateTime<Utc> {
    day_starts_at(day) + TimeDelta::hours(9)
}
