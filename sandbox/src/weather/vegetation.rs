//! How green a cell is on a day: what the rain of the weeks before lets grow, on the same sky that
//! the stations stand under. The years before the world began are made up, some good and some bad,
//! so that there is something to compare a season with. Never asks the sky for tomorrow's rain.
//! Used by the twin of the scene catalogue.

use chrono::{Datelike, NaiveDate};
use domain::cell::RiskCell;

use super::scenario::{self, Asked, Fate, Scenario};
use super::sky::{Sky, Source};
use super::wards;
use crate::draw;

/// Days between two passes of a pair of satellites.
const PASS_DAYS: i32 = 5;
/// Rain of this many days counts, up to as many before the day as it takes to grow.
const RAIN_DAYS: usize = 45;
const GROW_DAYS: usize = 5;
/// Days of a rainy season.
const SEASON_DAYS: i64 = 92;
/// NDVI of bare ground, and what the greenest adds.
const BARE: f64 = 0.15;
const GREEN: f64 = 0.55;
/// How fast rain turns to green: at 1.3 times a trigger's rain it is 0.79 of the greenest.
const RESPONSE: f64 = 1.2;
/// Share of a cell under trees, percent, and their NDVI whatever the season, 1e-4.
pub(crate) const TREES_PERCENT: u32 = 3;
pub(crate) const TREES_E4: i32 = 7_778;

/// What a satellite sees on a pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Look {
    pub(crate) day: NaiveDate,
    /// Which pass, counted from nowhere.
    pub(crate) number: i32,
    /// Share of the cell under cloud, percent.
    pub(crate) cloud_percent: u32,
    /// Share of the whole scene under cloud, percent.
    pub(crate) scene_cloud_percent: u32,
}

/// A sky to ask, the world's seed and the year in which the world began.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ground<'a> {
    pub(crate) sky: &'a Sky,
    pub(crate) world_seed: u64,
    pub(crate) first_year: i32,
}

impl Ground<'_> {
    fn seed(&self) -> String {
        self.sky.seed.unwrap_or(self.world_seed).to_string()
    }

    /// The pass over a cell on a day, if there is one. No two in a row are too clouded, so that
    /// every dekad of a season is seen.
    pub(crate) fn look(&self, cell: RiskCell, day: NaiveDate) -> Option<Look> {
        let (seed, around) = (self.seed(), cell.accumulation_cell().to_string());
        let phase = i32::try_from(draw::below(5, &["pass", &around])).ok()?;
        let number = day.num_days_from_ce() + phase;
        if number % PASS_DAYS != 0 {
            return None;
        }
        let number = number / PASS_DAYS;
        let drawn = |what, limit| draw::below(limit, &[&seed, what, &around, &day.to_string()]);
        let is_clouded = number % 2 == 0 && drawn("clouded", 100) < 50;
        Some(Look {
            day,
            number,
            cloud_percent: if is_clouded {
                50 + drawn("cloud", 51)
            } else {
                drawn("cloud", 21)
            },
            scene_cloud_percent: if is_clouded {
                40 + drawn("scene", 56)
            } else {
                2 + drawn("scene", 20)
            },
        })
    }

    /// NDVI of the open ground of a cell (all but its trees) on each day of a year, 1e-4.
    pub(crate) fn open_ground_e4(&self, cell: RiskCell, year: i32) -> Vec<i32> {
        let Some((first, last)) =
            NaiveDate::from_ymd_opt(year - 1, 1, 1).zip(NaiveDate::from_ymd_opt(year, 12, 31))
        else {
            return Vec::new();
        };
        let days: Vec<NaiveDate> = first.iter_days().take_while(|day| *day <= last).collect();
        let (trigger, rain) = self.rain(cell, &days);
        let usual = trigger * 1_000 * i64::try_from(RAIN_DAYS).unwrap_or(0) / SEASON_DAYS;
        let usual = f64::from(i32::try_from(usual.max(1)).unwrap_or(i32::MAX));
        let start = days.iter().position(|day| day.year() == year).unwrap_or(0);
        (start..days.len())
            .map(|at| {
                let until = at.saturating_sub(GROW_DAYS);
                let from = until.saturating_sub(RAIN_DAYS);
                let fallen: i64 = rain.get(from..until).unwrap_or_default().iter().sum();
                let wet = f64::from(i32::try_from(fallen).unwrap_or(i32::MAX)) / usual;
                whole((BARE + GREEN * (1.0 - (-RESPONSE * wet).exp())) * 1e4)
            })
            .collect()
    }

    /// NDVI of a whole cell on a day, 1e-4, of which `open` is that of its open ground.
    pub(crate) fn whole_cell_e4(open: i32) -> i32 {
        let trees = i32::try_from(TREES_PERCENT).unwrap_or(0);
        (open * (100 - trees) + TREES_E4 * trees + 50) / 100
    }

    /// The trigger of a cell, mm, and its rain on days that hold whole seasons, µm.
    fn rain(&self, cell: RiskCell, days: &[NaiveDate]) -> (i64, Vec<i64>) {
        let (seed, terms) = (self.seed(), wards::terms_near(cell));
        let asked = |scenario, fate| Asked {
            seed: &seed,
            scenario,
            fate,
            terms,
            cell,
        };
        let mut rain = vec![0; days.len()];
        let mut from = 0;
        for year in days.chunk_by(|a, b| a.year() == b.year()) {
            let name = year.first().map(Datelike::year).unwrap_or_default();
            let (scenario, fate) = match &self.sky.source {
                Source::Scenario(scenario) if name >= self.first_year => {
                    let is_home = |code: &String| {
                        wards::find(code).is_some_and(|ward| ward.plot_cell.risk_cell() == cell)
                    };
                    let place = self.sky.wards.iter().position(is_home);
                    (*scenario, Fate::of(place, &seed, cell))
                }
                _ => past(&seed, cell, name),
            };
            let made = scenario::rain(&asked(scenario, fate), year);
            for (at, um) in made.into_iter().enumerate() {
                let known = match (&self.sky.source, year.get(at)) {
                    (Source::Replay(replay), Some(day)) => replay.rain(cell, *day),
                    _ => None,
                };
                if let Some(place) = rain.get_mut(from + at) {
                    *place = known.map_or(um, |known| i64::from(known.0));
                }
            }
            from += year.len();
        }
        (i64::from(terms.0), rain)
    }
}

/// How a cell fared in a year before the world began: three years of ten are bad ones.
fn past(seed: &str, cell: RiskCell, year: i32) -> (Scenario, Fate) {
    let chance = draw::below(10, &[seed, "past", &cell.to_string(), &year.to_string()]);
    match chance {
        0 => (Scenario::Drought, Fate::Total),
        1 => (Scenario::Drought, Fate::Large),
        2 => (Scenario::Drought, Fate::Medium),
        3 => (Scenario::Drought, Fate::None),
        _ => (Scenario::Good, Fate::None),
    }
}

fn whole(value: f64) -> i32 {
    format!("{value:.0}").parse().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell() -> RiskCell {
        wards::find("0234").unwrap().plot_cell.risk_cell()
    }

    fn playing(scenario: Scenario) -> Sky {
        let mut sky = Sky::default();
        sky.wards.push("0234".to_owned());
        sky.source = Source::Scenario(scenario);
        sky
    }

    fn season(scenario: Scenario) -> i32 {
        let sky = playing(scenario);
        let ground = Ground {
            sky: &sky,
            world_seed: 7,
            first_year: 2026,
        };
        let year = ground.open_ground_e4(cell(), 2026);
        assert_eq!(year.len(), 365);
        // April and May
        year[90..151].iter().sum::<i32>() / 61
    }

    #[test]
    fn a_failed_season_is_brown_and_a_good_one_green() {
        let (failed, good) = (season(Scenario::Drought), season(Scenario::Good));
        assert!((1_600..3_200).contains(&failed), "{failed}");
        assert!((4_800..7_000).contains(&good), "{good}");
    }

    #[test]
    fn the_past_is_the_same_whatever_plays_now_and_every_dekad_is_seen() {
        let (drought, good) = (playing(Scenario::Drought), playing(Scenario::Good));
        let of = |sky| Ground {
            sky,
            world_seed: 7,
            first_year: 2026,
        };
        let past = |sky| of(sky).open_ground_e4(cell(), 2021);
        assert_eq!(past(&drought), past(&good));
        let first = NaiveDate::from_ymd_opt(2025, 1, 1).unwrap();
        let clear: Vec<NaiveDate> = first
            .iter_days()
            .take(365)
            .filter(|day| {
                let look = of(&good).look(cell(), *day);
                look.is_some_and(|look| look.cloud_percent < 40)
            })
            .collect();
        let gap = clear.windows(2).map(|pair| (pair[1] - pair[0]).num_days());
        assert_eq!(gap.max(), Some(10));
    }
}
