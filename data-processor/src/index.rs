//! One risk's index, from its stations' days to an index run: cell days by the contract's rule,
//! phase sums, confidence, and the hash of everything they follow from. Pure; the same inputs give
//! the same hash whatever order they arrived in. Called by `stream` and by `verify`.

mod checks;
mod engine;
mod error;
mod settled;
pub(crate) mod vegetation;

use chrono::{DateTime, NaiveDate, Utc};
use data_encoding::HEXLOWER;
use domain::cell::RiskCell;
use domain::evidence::{
    CellDay, Check, GridEvidence, SensorEvidence, StationDay, StationEvidence, canonical_json,
    in_order,
};
use domain::index::{DayRain, PhaseSum, phase_sums};
use domain::product::{Product, Zone, ZoneTrigger};
use domain::season::{SeasonError, Window, local_day, previous_day};
use domain::settle::Observed;
use serde_json::json;
use sha2::{Digest, Sha256};

use self::checks::Judged;
pub use self::engine::Engine;
pub use self::vegetation::awaited_until;
use crate::rule::{Siting, cell_days, known};
use crate::science::confidence::{Observing, Pair, confidence, confidence_kriged};

/// Name of the number work that new runs are computed with.
pub const ENGINE_VERSION: &str = Engine::CURRENT.as_str();

/// What an index is computed from.
#[derive(Debug, Clone, Copy)]
pub struct Inputs<'a> {
    /// Version of the number work.
    pub engine: Engine,
    /// The product.
    pub product: &'a Product,
    /// The zone whose triggers apply.
    pub zone: &'a Zone,
    /// The cell.
    pub cell: RiskCell,
    /// Year the cover begins in.
    pub season_year: i32,
    /// Days covered.
    pub window: Window,
    /// Where the stations stand.
    pub siting: Siting,
    /// Stations by rank, with their days.
    pub stations: &'a [StationEvidence],
    /// Gridded rain of the cell, in the product's order.
    pub grids: &'a [GridEvidence],
    /// Vegetation of the cell, in the product's order.
    pub sensors: &'a [SensorEvidence],
}

/// An index as of a day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Computed {
    /// Rain of the cell on each day of the window; days to come are missing.
    pub days: Vec<CellDay>,
    /// Phase sums over the whole window.
    pub phases: Vec<PhaseSum>,
    /// Days up to `as_of` without a number.
    pub missing_days: u32,
    /// 0 to 100, over the days up to `as_of`.
    pub confidence: u8,
    /// Good stations.
    pub stations: u8,
    /// What vegetation was measured as, thousandths of the product's measure; `None` while the
    /// season runs, and when no sensor saw enough of it.
    pub vegetation_milli: Option<i64>,
    /// Whether that is of the contract's own sensor, and of none that it falls back on.
    pub is_vegetation_own: bool,
    /// Standard error of the index that decides, basis points, where it is known.
    pub index_se_bp: Option<u16>,
    /// What quality control found odd, by station and day.
    pub checks: Vec<Check>,
    /// Hash over every input.
    pub manifest_hash: String,
}

impl Computed {
    /// Whether a clear scene of the contract's own sensor is still waited for: until then no other
    /// sensor's figure settles, and no season counts as unseen.
    #[must_use]
    pub fn awaits_vegetation(
        &self,
        product: &Product,
        season_year: i32,
        now: DateTime<Utc>,
    ) -> bool {
        !self.is_vegetation_own
            && awaited_until(product, season_year).is_some_and(|until| now < until)
    }

    /// What the evaluator reads.
    #[must_use]
    pub fn observed(&self) -> Observed {
        Observed {
            vegetation_milli: self.vegetation_milli,
            index_se_bp: self.index_se_bp,
            ..Observed::of_rain(self.phases.clone(), self.stations, self.confidence)
        }
    }
}

/// The last local day of the window that has passed; `None` before the window's first day has.
#[must_use]
pub fn as_of(window: Window, now: DateTime<Utc>) -> Option<NaiveDate> {
    let yesterday = previous_day(local_day(now));
    (yesterday >= window.start).then(|| yesterday.min(window.last_day()))
}

/// Computes the index of a risk as of a day.
pub fn compute(inputs: &Inputs<'_>, as_of: NaiveDate) -> Result<Computed, SeasonError> {
    compute_under(inputs, &inputs.product.hash(), as_of)
}

/// The same under a product whose hash is known: a document is hashed once for all of its risks.
pub(crate) fn compute_under(
    inputs: &Inputs<'_>,
    product_hash: &str,
    as_of: NaiveDate,
) -> Result<Computed, SeasonError> {
    let stations = in_order(inputs.stations);
    let inputs = &Inputs {
        stations: &stations,
        ..*inputs
    };
    let filled_max = inputs.product.settlement.filled_days_max_bp;
    let days = if inputs.product.schema == 1 {
        cell_days(inputs.siting, inputs.stations, inputs.window, filled_max)
    } else {
        settled::days(inputs, as_of)?
    };
    let rain: Vec<DayRain> = days
        .iter()
        .map(|d| DayRain {
            day: d.day,
            rain_um: d.rain_um,
        })
        .collect();
    let phases = phase_sums(inputs.product, inputs.season_year, &rain)?;
    let past: Vec<&CellDay> = days.iter().filter(|d| d.day <= as_of).collect();
    let unknown = past.iter().filter(|d| d.rain_um.is_none()).count();
    let observing_all_along = |station: &&StationEvidence| {
        let knows = station
            .days
            .iter()
            .filter(|d| d.day <= as_of && d.rain_um.is_some())
            .count();
        let share = usize::from(10_000_u16.saturating_sub(filled_max.get()));
        knows > 0 && knows.saturating_mul(10_000) >= past.len().saturating_mul(share)
    };
    // a station that knows less than the contract lets it miss did not observe the season
    let observers: Vec<StationEvidence> = inputs
        .stations
        .iter()
        .filter(observing_all_along)
        .cloned()
        .collect();
    let stations = u8::try_from(observers.len()).unwrap_or(u8::MAX);
    let judged = match inputs.engine {
        Engine::One => Vec::new(),
        Engine::Two => checks::judge(inputs, as_of),
    };
    let observed_by = Inputs {
        stations: &observers,
        ..*inputs
    };
    let observing = observing(&observed_by, &judged, &past, as_of, stations);
    let vegetation = match &inputs.product.vegetation {
        Some(terms) => vegetation::measure(terms, inputs.season_year, inputs.sensors, as_of)?,
        None => None,
    };
    Ok(Computed {
        confidence: relied_on(&observed_by, &observing),
        missing_days: count(unknown),
        index_se_bp: match inputs.engine {
            Engine::One => None,
            Engine::Two => error::index_se_bp(&observed_by, &days, vegetation)?,
        },
        vegetation_milli: vegetation.map(|measured| measured.milli),
        is_vegetation_own: vegetation.is_some_and(|measured| measured.is_own),
        checks: judged.iter().flat_map(checks::Judged::checks).collect(),
        phases,
        stations,
        manifest_hash: manifest(inputs, product_hash),
        days,
    })
}

/// Confidence, by distance or by what kriging leaves uncertain.
fn relied_on(inputs: &Inputs<'_>, observing: &Observing) -> u8 {
    let stations: Vec<&StationEvidence> = inputs.stations.iter().collect();
    let kriged = settled::variogram(inputs.product)
        .filter(|_| inputs.siting == Siting::Around)
        .map(|variogram| (settled::kriging(inputs, &stations), variogram.total()));
    match kriged {
        Some((Some(kriging), total)) => confidence_kriged(observing, kriging.variance, total),
        // too few stations for it: nothing is known of the place by them
        Some((None, total)) => confidence_kriged(observing, total, total),
        None => confidence(observing),
    }
}

fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

fn observing(
    inputs: &Inputs<'_>,
    judged: &[Judged<'_>],
    past: &[&CellDay],
    as_of: NaiveDate,
    stations: u8,
) -> Observing {
    let leading = inputs.stations.iter().min_by_key(|s| s.rank);
    let is_good = |day: &StationDay, judged: Option<&Judged<'_>>| {
        day.flags.iter().all(|flag| flag == "reset") && judged.is_none_or(|j| j.is_good(day.day))
    };
    let days_good = leading.map_or(0, |s| {
        let judged = judged.iter().find(|judged| judged.rank() == s.rank);
        s.days
            .iter()
            .filter(|d| d.day <= as_of && d.rain_um.is_some() && is_good(d, judged))
            .count()
    });
    Observing {
        days: count(past.len()),
        days_known: count(past.iter().filter(|d| d.rain_um.is_some()).count()),
        days_good: count(days_good),
        pair: pair(inputs, as_of),
        distance_m: match inputs.siting {
            Siting::InCell => None,
            Siting::Around => leading.map(|s| s.distance_m),
        },
        stations,
    }
}

/// The two leading stations over the days both know, against the triggers' sum.
fn pair(inputs: &Inputs<'_>, as_of: NaiveDate) -> Option<Pair> {
    let mut ranked: Vec<&StationEvidence> = inputs.stations.iter().collect();
    ranked.sort_by_key(|s| s.rank);
    let [first, second, ..] = ranked.as_slice() else {
        return None;
    };
    let (mut first_um, mut second_um) = (0_i64, 0_i64);
    for day in first
        .days
        .iter()
        .filter(|d| d.day <= as_of && inputs.window.contains(d.day))
    {
        if let (Some(a), Some(b)) = (day.rain_um, known(&second.days, day.day)) {
            first_um += i64::from(a.0);
            second_um += i64::from(b.0);
        }
    }
    // thousandths of a millimetre are micrometres
    let trigger_um = inputs.zone.triggers.iter().map(ZoneTrigger::trigger_milli);
    Some(Pair {
        first_um,
        second_um,
        trigger_um: trigger_um.sum(),
    })
}

/// SHA-256 over everything the numbers follow from.
fn manifest(inputs: &Inputs<'_>, product_hash: &str) -> String {
    let mut everything = json!({
        "engine": inputs.engine.as_str(),
        "product": product_hash,
        "zone": inputs.zone.code,
        "season_year": inputs.season_year,
        "siting": match inputs.siting {
            Siting::InCell => "in_cell",
            Siting::Around => "around",
        },
        "stations": inputs.stations,
    });
    if inputs.engine > Engine::One {
        everything["cell"] = json!(inputs.cell);
        everything["grids"] = json!(inputs.grids);
        everything["sensors"] = json!(inputs.sensors);
    }
    HEXLOWER.encode(&Sha256::digest(canonical_json(&everything)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_to_come_are_not_counted_against_the_observers() {
        let start = NaiveDate::from_ymd_opt(2026, 3, 1).unwrap();
        let window = Window {
            start,
            end: start + chrono::Days::new(92),
        };
        let at = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
        assert_eq!(as_of(window, at("2026-03-01T20:59:00Z")), None);
        assert_eq!(as_of(window, at("2026-03-01T21:00:00Z")), Some(start));
        assert_eq!(
            as_of(window, at("2026-09-01T00:00:00Z")),
            Some(window.last_day())
        );
    }
}
