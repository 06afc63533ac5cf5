//! Recomputing published evidence: from a bundle's stations and product to the shilling, line by
//! line, with nothing but the file. Trusts no line that follows from others.
//! Called by the `verify` command.

use std::collections::BTreeSet;
use std::fmt::Display;

use chrono::NaiveDate;
use domain::evidence::{BUNDLE_FORM, Bundle, CellDay, Check, ScheduleLine, cid};
use domain::money::Money;
use domain::season::Window;
use domain::settle::{HoldReason, Observed, Outcome, Settlement, settle};

use crate::index::{Engine, Inputs, compute};
use crate::rule::Siting;

/// A line of the bundle that says something else than its recomputation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Which line.
    pub line: String,
    /// What the bundle says.
    pub stated: String,
    /// What it should say.
    pub recomputed: String,
}

/// What verification found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Name of the bytes.
    pub cid: String,
    /// Share that the bundle says is paid: `63.32%`.
    pub payout: Option<String>,
    /// Lines that differ, in the order they were checked; empty when all agree.
    pub differences: Vec<Difference>,
}

impl Verdict {
    /// Whether every line agrees.
    #[must_use]
    pub fn agrees(&self) -> bool {
        self.differences.is_empty()
    }
}

#[derive(Debug, Default)]
struct Lines(Vec<Difference>);

impl Lines {
    fn compare<T: PartialEq + Display>(&mut self, line: impl Display, stated: &T, found: &T) {
        if stated != found {
            self.differs(line, stated, found);
        }
    }

    fn differs(&mut self, line: impl Display, stated: impl Display, recomputed: impl Display) {
        self.0.push(Difference {
            line: line.to_string(),
            stated: stated.to_string(),
            recomputed: recomputed.to_string(),
        });
    }
}

/// Verifies bytes against the name they go by and against themselves.
#[must_use]
pub fn verify(bytes: &[u8], named: Option<&str>) -> Verdict {
    let found = cid(bytes);
    let mut lines = Lines::default();
    if let Some(named) = named {
        lines.compare("cid", &named.to_owned(), &found);
    }
    let payout = match serde_json::from_slice::<Bundle>(bytes) {
        Ok(bundle) => {
            if bundle.bytes() != bytes {
                lines.differs("bytes", "not canonical JSON", "sorted keys without spaces");
            }
            recompute(&bundle, &mut lines);
            Some(bundle.settlement.share.basis_points().to_string())
        }
        Err(error) => {
            lines.differs("form", error, BUNDLE_FORM);
            None
        }
    };
    Verdict {
        cid: found,
        payout,
        differences: lines.0,
    }
}

fn recompute(bundle: &Bundle, lines: &mut Lines) {
    lines.compare("form", &bundle.form, &BUNDLE_FORM.to_owned());
    let Some(engine) = Engine::parse(&bundle.engine) else {
        lines.differs("engine", &bundle.engine, "a version this program knows");
        return;
    };
    lines.compare("product_hash", &bundle.product_hash, &bundle.product.hash());
    if let Err(error) = bundle.product.validate() {
        lines.differs("product", "invalid", error);
    }
    match bundle.product.cover_window(bundle.season_year) {
        Ok(window) => lines.compare("window", &text(bundle.window), &text(window)),
        Err(error) => lines.differs("window", text(bundle.window), error),
    }
    let Some(zone) = bundle.product.zone(&bundle.zone) else {
        lines.differs("zone", &bundle.zone, "a zone of the product");
        return;
    };
    check_inputs(bundle, lines);
    let inputs = Inputs {
        engine,
        product: &bundle.product,
        zone,
        cell: bundle.cell,
        season_year: bundle.season_year,
        window: bundle.window,
        siting: Siting::of(&bundle.stations),
        stations: &bundle.stations,
        grids: &bundle.grids,
        sensors: &bundle.sensors,
    };
    let computed = match compute(&inputs, bundle.window.last_day()) {
        Ok(computed) => computed,
        Err(error) => return lines.differs("phases", "not computable", error),
    };
    lines.compare("days", &bundle.days.len(), &computed.days.len());
    for (stated, found) in bundle.days.iter().zip(&computed.days) {
        let show = |day: &CellDay| {
            let rain = day
                .rain_um
                .map_or("missing".to_owned(), |um| format!("{} um", um.0));
            let factor = day
                .factor_e4
                .map_or(String::new(), |e4| format!(" x {e4}e-4"));
            format!("{} {rain} {}{factor}", day.day, day.source)
        };
        lines.compare(format!("days[{}]", found.day), &show(stated), &show(found));
    }
    compare_checks(&bundle.checks, &computed.checks, lines);
    let observed = computed.observed();
    compare_observed(&bundle.observed, &observed, lines);
    match settle(&bundle.product, zone, &observed) {
        Ok(Outcome::Settled(settlement)) => {
            compare_settlement(&bundle.settlement, &settlement, lines);
            compare_schedule(bundle, &settlement, lines);
        }
        Ok(Outcome::Deferred { missing_days }) => {
            lines.differs(
                "settlement",
                "a number",
                format!("{missing_days} days are missing"),
            );
        }
        Err(error) => lines.differs("settlement", "a number", error),
    }
}

fn text(window: Window) -> String {
    format!("{}..{}", window.start, window.last_day())
}

fn compare_observed(stated: &Observed, found: &Observed, lines: &mut Lines) {
    lines.compare("observed.phases", &stated.phases.len(), &found.phases.len());
    for (a, b) in stated.phases.iter().zip(&found.phases) {
        let line = format!("observed.phases[{}]", b.phase);
        lines.compare(format!("{line}.phase"), &a.phase, &b.phase);
        lines.compare(format!("{line}.rain_um"), &a.rain_um, &b.rain_um);
        lines.compare(
            format!("{line}.missing_days"),
            &a.missing_days,
            &b.missing_days,
        );
        let shown = |milli: Option<i64>| milli.map_or("none".to_owned(), |milli| milli.to_string());
        let (stated, found) = (shown(a.index_milli), shown(b.index_milli));
        lines.compare(format!("{line}.index_milli"), &stated, &found);
        let (stated, found) = (format!("{:?}", a.start), format!("{:?}", b.start));
        lines.compare(format!("{line}.start"), &stated, &found);
    }
    lines.compare("observed.stations", &stated.stations, &found.stations);
    lines.compare("observed.confidence", &stated.confidence, &found.confidence);
    let shown = |milli: Option<i64>| milli.map_or("none".to_owned(), |milli| milli.to_string());
    let (a, b) = (
        shown(stated.vegetation_milli),
        shown(found.vegetation_milli),
    );
    lines.compare("observed.vegetation_milli", &a, &b);
    let (a, b) = (
        stated.index_se_bp.map(i64::from),
        found.index_se_bp.map(i64::from),
    );
    lines.compare("observed.index_se_bp", &shown(a), &shown(b));
}

fn compare_checks(stated: &[Check], found: &[Check], lines: &mut Lines) {
    let show = |check: &Check| {
        let tests = check.tests.join(", ");
        format!("{} {} {}: {tests}", check.station, check.day, check.flag)
    };
    let (stated, found): (BTreeSet<String>, BTreeSet<String>) = (
        stated.iter().map(show).collect(),
        found.iter().map(show).collect(),
    );
    for line in stated.difference(&found) {
        lines.differs("checks", line, "nothing odd there");
    }
    for line in found.difference(&stated) {
        lines.differs("checks", "not stated", line);
    }
}

fn compare_settlement(stated: &Settlement, found: &Settlement, lines: &mut Lines) {
    let show =
        |bp: Option<domain::money::BasisPoints>| bp.map_or("none".to_owned(), |b| b.to_string());
    let fraction = |f: domain::money::Fraction| format!("{}/{}", f.numerator(), f.denominator());
    lines.compare(
        "settlement.weather",
        &fraction(stated.weather),
        &fraction(found.weather),
    );
    lines.compare(
        "settlement.weather_bp",
        &stated.weather_bp,
        &found.weather_bp,
    );
    let (a, b) = (show(stated.vegetation_bp), show(found.vegetation_bp));
    lines.compare("settlement.vegetation_bp", &a, &b);
    let (a, b) = (show(stated.damage_index_bp), show(found.damage_index_bp));
    lines.compare("settlement.damage_index_bp", &a, &b);
    lines.compare(
        "settlement.share",
        &fraction(stated.share),
        &fraction(found.share),
    );
    let (a, b) = (
        format!("{:?}", stated.distance_bp),
        format!("{:?}", found.distance_bp),
    );
    lines.compare("settlement.distance_bp", &a, &b);
    lines.compare(
        "settlement.payout_min",
        &stated.payout_min,
        &found.payout_min,
    );
    // what the release adds depends on the day and on the sum over all policies, which no bundle names
    let measured = |holds: &[HoldReason]| {
        let own = holds.iter().filter(|hold| !hold.is_of_release());
        format!("{:?}", own.collect::<Vec<_>>())
    };
    lines.compare(
        "settlement.holds",
        &measured(&stated.holds),
        &measured(&found.holds),
    );
}

/// What the rest is recomputed from, where it can be seen to be impossible.
fn check_inputs(bundle: &Bundle, lines: &mut Lines) {
    // the first products had no place for scenes: their vegetation followed from nothing stated
    if let Some(stated) = bundle.observed.vegetation_bp {
        lines.differs(
            "observed.vegetation_bp",
            stated,
            "none: a measure is stated instead",
        );
    }
    let datasets: Vec<&str> = bundle.grids.iter().map(|g| g.dataset.as_str()).collect();
    let due = bundle.product.grid_datasets();
    lines.compare("grids", &datasets.join(", "), &due.join(", "));
    let sensors: Vec<&str> = bundle.sensors.iter().map(|s| s.sensor.as_str()).collect();
    let due = bundle.product.sensors();
    lines.compare("sensors", &sensors.join(", "), &due.join(", "));
    for grid in &bundle.grids {
        let days = grid.days.iter().map(|d| (d.day, d.rain_um.0 >= 0));
        check_days(&format!("grids[{}]", grid.dataset), days, lines);
    }
    for sensor in &bundle.sensors {
        let days = sensor.scenes.iter();
        let days = days.map(|s| (s.day, s.ndvi_e4.abs() <= 10_000 && s.valid_bp <= 10_000));
        check_days(&format!("sensors[{}]", sensor.sensor), days, lines);
    }
    let mut seen = BTreeSet::new();
    for (rank, station) in (1_u16..).zip(&bundle.stations) {
        let name = format!("stations[{}]", station.id);
        if !seen.insert(&station.id) {
            lines.differs(&name, "named twice", "once");
        }
        lines.compare(format!("{name}.rank"), &station.rank, &rank);
        let mut before = None;
        for day in &station.days {
            let line = format!("{name}.days[{}]", day.day);
            if before.is_some_and(|before| before >= day.day) {
                lines.differs(&line, "out of order", "each day once, in order");
            }
            if day.day < bundle.window.start || day.day >= bundle.window.end {
                lines.differs(&line, "outside the window", text(bundle.window));
            }
            if day.rain_um.is_some_and(|rain| rain.0 < 0) {
                lines.differs(&line, "negative rain", "at least 0 um");
            }
            before = Some(day.day);
        }
    }
}

/// Days in order, each once, each with a possible value.
fn check_days(name: &str, days: impl Iterator<Item = (NaiveDate, bool)>, lines: &mut Lines) {
    let mut before = None;
    for (day, is_possible) in days {
        let line = format!("{name}.days[{day}]");
        if before.is_some_and(|before| before >= day) {
            lines.differs(&line, "out of order", "each day once, in order");
        }
        if !is_possible {
            lines.differs(
                &line,
                "an impossible value",
                "rain of at least 0, NDVI of -1 to 1",
            );
        }
        before = Some(day);
    }
}

fn compare_schedule(bundle: &Bundle, settlement: &Settlement, lines: &mut Lines) {
    let due: Vec<ScheduleLine> = bundle
        .product
        .sums_insured_kes
        .iter()
        .filter_map(|kes| Money::kes(*kes).ok())
        .filter_map(|sum_insured| {
            settlement
                .payout(sum_insured)
                .ok()
                .map(|payout| ScheduleLine {
                    sum_insured,
                    payout,
                })
        })
        .collect();
    lines.compare("schedule", &bundle.schedule.len(), &due.len());
    for (stated, found) in bundle.schedule.iter().zip(&due) {
        let line = format!("schedule[{}]", found.sum_insured);
        lines.compare(
            format!("{line}.sum_insured"),
            &stated.sum_insured,
            &found.sum_insured,
        );
        lines.compare(format!("{line}.payout"), &stated.payout, &found.payout);
    }
}
