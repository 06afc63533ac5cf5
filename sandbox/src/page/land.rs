//! The land of the page: hexagons of cells as polygons, where cover is sold, the rain that fell on
//! a cell so far, and which sky was chosen. Never tells the future: sums end at the world's clock.
//! Read by the view and the events.

use std::collections::BTreeSet;
use std::sync::PoisonError;

use chrono::{DateTime, NaiveDate, Utc};
use domain::cell::RiskCell;
use domain::season::{Window, day_starts_at, next_dekad, previous_day};
use h3o::{CellIndex, LatLng};
use serde_json::{Value, json};

use super::Page;
use super::calendar::Calendar;
use crate::weather::scenario::Scenario;
use crate::weather::sky::{Sky, Source};
use crate::weather::station::Station;
use crate::weather::wards;

/// What was chosen for the sky, and the order in which a drought's fates are dealt.
#[derive(Debug)]
pub(crate) struct Skies {
    pub(crate) chosen: Scenario,
    /// Insured wards, first come first: the first fares worst in a drought.
    pub(crate) wards: Vec<String>,
}

impl Default for Skies {
    fn default() -> Self {
        Self {
            chosen: Scenario::Drought,
            wards: Vec::new(),
        }
    }
}

/// Ten days of a cover, or what has passed of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Dekad {
    pub(crate) first: NaiveDate,
    pub(crate) last: NaiveDate,
    pub(crate) rain_um: i64,
    pub(crate) is_over: bool,
}

impl Page {
    /// Chooses the sky; refused once rain that counts may have been measured.
    pub(crate) fn choose_sky(&self, scenario: Scenario) -> Result<(), &'static str> {
        let now = self.0.world.now();
        if !Calendar::at(now).is_some_and(|calendar| calendar.is_sky_free(now)) {
            return Err("the season has begun; its sky cannot be changed any more");
        }
        let skies = self.0.skies.lock();
        skies.unwrap_or_else(PoisonError::into_inner).chosen = scenario;
        self.apply_sky();
        Ok(())
    }

    /// Learns which wards are insured; while the sky is free they are dealt their fates in order.
    pub(crate) fn learn_wards(&self, codes: impl Iterator<Item = String>) {
        let mut skies = self.0.skies.lock().unwrap_or_else(PoisonError::into_inner);
        let known = skies.wards.len();
        for code in codes {
            if !skies.wards.contains(&code) {
                skies.wards.push(code);
            }
        }
        let has_more = skies.wards.len() > known;
        drop(skies);
        let now = self.0.world.now();
        if has_more && Calendar::at(now).is_some_and(|calendar| calendar.is_sky_free(now)) {
            self.apply_sky();
        }
    }

    /// Puts what was chosen overhead, unless a file is replayed there.
    pub(crate) fn apply_sky(&self) {
        let skies = self.0.skies.lock().unwrap_or_else(PoisonError::into_inner);
        self.0.world.with_weather(|weather| {
            if let Source::Scenario(_) = weather.sky.source {
                weather.sky.source = Source::Scenario(skies.chosen);
                weather.sky.wards.clone_from(&skies.wards);
                weather.sky.forget();
            }
        });
    }

    /// What plays: a scenario's name, or `replay`.
    pub(crate) fn sky_name(&self) -> Value {
        self.0
            .world
            .with_weather(|weather| match &weather.sky.source {
                Source::Scenario(scenario) => json!(scenario),
                Source::Replay(_) => json!("replay"),
            })
    }

    /// The rain that fell on a cell so far within a window, ten days by ten days.
    pub(crate) fn rain(&self, cell: RiskCell, window: Window) -> Vec<Dekad> {
        let (seed, now) = self.0.world.with(|state, now| (state.settings.seed, now));
        let Some(station) = Station::in_cell(cell, 1).pop() else {
            return Vec::new();
        };
        self.0
            .world
            .with_weather(|weather| dekads(&mut weather.sky, seed, &station, window, now))
    }

    /// The stations the product was told of.
    pub(crate) fn stations(&self) -> Vec<Value> {
        self.0.world.with_weather(|weather| {
            weather
                .sky
                .handed_out
                .values()
                .map(|station| {
                    json!({"name": station.name(), "at": [round(station.lon), round(station.lat)],
                           "cell": station.home.to_string(), "in_cell": station.is_in_cell})
                })
                .collect()
        })
    }
}

fn dekads(
    sky: &mut Sky,
    seed: u64,
    station: &Station,
    window: Window,
    now: DateTime<Utc>,
) -> Vec<Dekad> {
    let mut found = Vec::new();
    let mut first = window.start;
    let Some(mut before) = counter_when(sky, seed, station, first, now) else {
        return found;
    };
    while first < window.end && day_starts_at(first) < now {
        let end = next_dekad(first).min(window.end);
        let (after, is_over) = match counter_when(sky, seed, station, end, now) {
            Some(after) => (after, true),
            None => (latest(sky, seed, station, now).unwrap_or(before), false),
        };
        found.push(Dekad {
            first,
            last: previous_day(end),
            rain_um: after.saturating_sub(before).max(0),
            is_over,
        });
        before = after;
        first = end;
    }
    found
}

/// The counter at the instant a local day begins; `None` when that is still to come.
fn counter_when(
    sky: &mut Sky,
    seed: u64,
    station: &Station,
    day: NaiveDate,
    now: DateTime<Utc>,
) -> Option<i64> {
    let at = day_starts_at(day);
    let samples = sky.samples(seed, station, at.date_naive(), now);
    let sample = samples.into_iter().find(|sample| sample.at == at)?;
    sample.counter_um
}

fn latest(sky: &mut Sky, seed: u64, station: &Station, now: DateTime<Utc>) -> Option<i64> {
    let today = now.date_naive();
    [today, previous_day(today)]
        .into_iter()
        .find_map(|day| sky.samples(seed, station, day, now).last()?.counter_um)
}

/// The hexagon of a cell: longitude and latitude of its corners, degrees.
pub(crate) fn hexagon(index: CellIndex) -> Vec<[f64; 2]> {
    index
        .boundary()
        .iter()
        .map(|corner| [round(corner.lng()), round(corner.lat())])
        .collect()
}

/// The middle of a cell.
pub(crate) fn middle(index: CellIndex) -> [f64; 2] {
    let centre = LatLng::from(index);
    [round(centre.lng()), round(centre.lat())]
}

/// The large hexagons in which anything is on sale.
pub(crate) fn sold() -> Vec<Value> {
    let product = wards::product();
    let codes = product
        .into_iter()
        .flat_map(|product| &product.zones)
        .flat_map(|zone| &zone.wards);
    let cells: BTreeSet<_> = codes
        .filter_map(|code| wards::find(code))
        .map(|ward| ward.plot_cell.risk_cell().accumulation_cell())
        .collect();
    cells
        .into_iter()
        .map(|cell| json!(hexagon(cell.index())))
        .collect()
}

/// Five decimals: a metre.
fn round(degrees: f64) -> f64 {
    (degrees * 1e5).round() / 1e5
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rain_of_ten_days_ends_at_the_clock_and_adds_up() {
        let cell = wards::find("0234").unwrap().plot_cell.risk_cell();
        let station = Station::in_cell(cell, 1).pop().unwrap();
        let mut sky = Sky::default();
        let product = wards::product().unwrap();
        let cover = product.cover_window(2026).unwrap();
        let mut sum = |now: &str| {
            let now = now.parse().unwrap();
            let found = dekads(&mut sky, 7, &station, cover, now);
            let rain: i64 = found.iter().map(|dekad| dekad.rain_um).sum();
            let over = found.iter().filter(|dekad| dekad.is_over).count();
            (found.len(), over, rain)
        };
        assert_eq!(sum("2026-02-20T06:00:00Z"), (0, 0, 0));
        assert_eq!(sum("2026-03-05T06:00:00Z").0, 1);
        let (count, over, half) = sum("2026-04-15T06:00:00Z");
        assert_eq!((count, over), (5, 4));
        let (count, over, whole) = sum("2026-06-01T06:00:00Z");
        assert_eq!((count, over), (9, 9));
        // the usual scenario is a good one: more than the trigger's 278 mm
        assert!(
            half > 0 && whole > half && whole > 278_000,
            "{half} {whole}"
        );
    }

    #[test]
    fn a_cell_is_six_corners_around_its_middle() {
        let cell = wards::find("0234").unwrap().plot_cell.risk_cell();
        let corners = hexagon(cell.index());
        let [lon, lat] = middle(cell.index());
        assert_eq!(corners.len(), 6);
        for [x, y] in corners {
            assert!((x - lon).abs() < 0.03 && (y - lat).abs() < 0.03);
        }
        assert!(sold().len() > 20);
    }
}
