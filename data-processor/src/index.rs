//! One risk's index, from its stations' days to an index run: cell days by the contract's rule,
//! phase sums, confidence, and the hash of everything they follow from. Pure; the same inputs give
//! the same hash whatever order they arrived in. Called by `stream` and by `verify`.

use chrono::{DateTime, NaiveDate, Utc};
use data_encoding::HEXLOWER;
use domain::evidence::{CellDay, StationEvidence, canonical_json};
use domain::index::{DayRain, PhaseSum, phase_sums};
use domain::product::{Product, Zone, ZoneTrigger};
use domain::season::{SeasonError, Window, local_day, previous_day};
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::rule::{Siting, cell_days};
use crate::science::confidence::{Observing, Pair, confidence};

/// Version of the number work; changes whenever the same inputs would give another number.
pub const ENGINE_VERSION: &str = "microcrop-index-1";

/// What an index is computed from.
#[derive(Debug, Clone, Copy)]
pub struct Inputs<'a> {
    /// The product.
    pub product: &'a Product,
    /// The zone whose triggers apply.
    pub zone: &'a Zone,
    /// Year the cover begins in.
    pub season_year: i32,
    /// Days covered.
    pub window: Window,
    /// Where the stations stand.
    pub siting: Siting,
    /// Stations by rank, with their days.
    pub stations: &'a [StationEvidence],
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
    /// Hash over every input.
    pub manifest_hash: String,
}

/// The last local day of the window that has passed; `None` before the window's first day has.
#[must_use]
pub fn as_of(window: Window, now: DateTime<Utc>) -> Option<NaiveDate> {
    let yesterday = previous_day(local_day(now));
    (yesterday >= window.start).then(|| yesterday.min(window.last_day()))
}

/// Computes the index of a risk as of a day.
pub fn compute(inputs: &Inputs<'_>, as_of: NaiveDate) -> Result<Computed, SeasonError> {
    let filled_max = inputs.product.settlement.filled_days_max_bp;
    let days = cell_days(inputs.siting, inputs.stations, inputs.window, filled_max);
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
    Ok(Computed {
        confidence: confidence(&observing(
            &Inputs {
                stations: &observers,
                ..*inputs
            },
            &past,
            as_of,
            stations,
        )),
        missing_days: count(unknown),
        phases,
        stations,
        manifest_hash: manifest(inputs),
        days,
    })
}

fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

fn observing(inputs: &Inputs<'_>, past: &[&CellDay], as_of: NaiveDate, stations: u8) -> Observing {
    let leading = inputs.stations.iter().min_by_key(|s| s.rank);
    let is_good = |flags: &[String]| flags.iter().all(|flag| flag == "reset");
    let days_good = leading.map_or(0, |s| {
        s.days
            .iter()
            .filter(|d| d.day <= as_of && d.rain_um.is_some() && is_good(&d.flags))
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
        let other = second
            .days
            .iter()
            .find(|d| d.day == day.day)
            .and_then(|d| d.rain_um);
        if let (Some(a), Some(b)) = (day.rain_um, other) {
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
fn manifest(inputs: &Inputs<'_>) -> String {
    let everything = json!({
        "engine": ENGINE_VERSION,
        "product": inputs.product.hash(),
        "zone": inputs.zone.code,
        "season_year": inputs.season_year,
        "siting": match inputs.siting {
            Siting::InCell => "in_cell",
            Siting::Around => "around",
        },
        "stations": inputs.stations,
    });
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
