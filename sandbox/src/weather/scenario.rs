//! Rain made up: a year of local days for a cell, from seed, scenario and the ward's triggers.
//! Whole micrometres throughout, so that a season's total is met exactly. Never a shared stream of
//! chance. Used by the sky.

use chrono::{Datelike, NaiveDate};
use domain::cell::RiskCell;
use serde::{Deserialize, Serialize};

use crate::draw;

/// Quarters of an hour in a day.
pub(crate) const QUARTERS: usize = 96;
/// Length of a quarter, seconds.
pub(crate) const QUARTER_SECONDS: i64 = 900;

/// What the sky does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Scenario {
    /// The rains fail in most cells, in different measure.
    Drought,
    /// More rain than any trigger everywhere.
    #[default]
    Good,
    /// Several times that.
    Flood,
}

/// How a cell fares in a drought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    Total,
    Large,
    Medium,
    Small,
    None,
}

/// The fates of the wards of a drought in turn: any two in a row pay, any four hold one that pays
/// nothing and one that just pays.
const FATES: [Fate; 8] = [
    Fate::Total,
    Fate::Large,
    Fate::None,
    Fate::Small,
    Fate::Total,
    Fate::Medium,
    Fate::Large,
    Fate::Total,
];

impl Fate {
    /// Of the ward at a place in a list, or of a cell by chance.
    pub(crate) fn of(place: Option<usize>, seed: &str, cell: RiskCell) -> Self {
        let chance = draw::below(8, &[seed, "fate", &cell.to_string()]);
        let place = place.or(usize::try_from(chance).ok()).unwrap_or(0);
        FATES
            .get(place % FATES.len())
            .copied()
            .unwrap_or(Self::Total)
    }
}

/// Chance as a stream of its own: splitmix64.
#[derive(Debug, Clone)]
pub(crate) struct Dice(u64);

impl Dice {
    /// A stream that depends on every part.
    pub(crate) fn new(parts: &[&str]) -> Self {
        let mut first = [0; 8];
        for (byte, drawn) in first.iter_mut().zip(draw::digest(parts)) {
            *byte = drawn;
        }
        Self(u64::from_be_bytes(first))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number in `0..limit`; 0 when `limit` is not positive.
    pub(crate) fn below(&mut self, limit: i64) -> i64 {
        let limit = u64::try_from(limit).unwrap_or(0);
        let drawn = self.next().checked_rem(limit).unwrap_or(0);
        i64::try_from(drawn).unwrap_or(0)
    }

    /// A number in `from..=to`.
    pub(crate) fn between(&mut self, from: i64, to: i64) -> i64 {
        from + self.below(to - from + 1)
    }
}

/// What is asked of the sky.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked<'a> {
    pub(crate) seed: &'a str,
    pub(crate) scenario: Scenario,
    pub(crate) fate: Fate,
    /// Trigger and exit, mm.
    pub(crate) terms: (i32, i32),
    pub(crate) cell: RiskCell,
}

/// Rain of each of `days`, µm: the two rainy seasons (March to May, October to December) as the
/// scenario has them, showers in between.
pub(crate) fn rain(asked: &Asked<'_>, days: &[NaiveDate]) -> Vec<i64> {
    let cell = asked.cell.to_string();
    let mut rain = vec![0; days.len()];
    for (name, months) in [("long", 3..=5), ("short", 10..=12)] {
        let season: Vec<usize> = (0..days.len())
            .filter(|at| {
                days.get(*at)
                    .is_some_and(|day| months.contains(&day.month()))
            })
            .collect();
        let Some(year) = season
            .first()
            .and_then(|at| days.get(*at))
            .map(Datelike::year)
        else {
            continue;
        };
        let mut dice = Dice::new(&[asked.seed, "season", name, &year.to_string(), &cell]);
        let total = season_total(asked, &mut dice);
        for (at, um) in season
            .iter()
            .zip(spread(total, season.len(), asked.scenario, &mut dice))
        {
            if let Some(day) = rain.get_mut(*at) {
                *day = um;
            }
        }
    }
    for (day, um) in days.iter().zip(&mut rain) {
        let is_dry_season = !matches!(day.month(), 3..=5 | 10..=12);
        let mut dice = Dice::new(&[asked.seed, "shower", &day.to_string(), &cell]);
        if is_dry_season && dice.below(100) < 4 {
            *um = dice.between(100, 6_000);
        }
    }
    rain
}

/// Rain of a whole season, µm.
fn season_total(asked: &Asked<'_>, dice: &mut Dice) -> i64 {
    let (trigger, exit) = (
        i64::from(asked.terms.0) * 1_000,
        i64::from(asked.terms.1) * 1_000,
    );
    let permille = |um: i64, from: i64, to: i64, dice: &mut Dice| {
        um * dice.between(from, to) / 1_000 + dice.below(1_000)
    };
    let losing = |from: i64, to: i64, dice: &mut Dice| {
        trigger - (trigger - exit) * dice.between(from, to) / 1_000 - dice.below(1_000)
    };
    match (asked.scenario, asked.fate) {
        (Scenario::Good, _) => permille(trigger, 1_100, 1_600, dice),
        (Scenario::Flood, _) => permille(trigger, 2_500, 3_500, dice),
        (Scenario::Drought, Fate::Total) => permille(exit, 250, 900, dice),
        (Scenario::Drought, Fate::Large) => losing(620, 880, dice),
        (Scenario::Drought, Fate::Medium) => losing(360, 550, dice),
        (Scenario::Drought, Fate::Small) => losing(12, 50, dice),
        (Scenario::Drought, Fate::None) => permille(trigger, 1_020, 1_150, dice),
    }
}

/// A total spread over days, a few of them wet, exactly.
fn spread(total: i64, days: usize, scenario: Scenario, dice: &mut Dice) -> Vec<i64> {
    let wet_percent = match scenario {
        Scenario::Drought => 24,
        Scenario::Good => 40,
        Scenario::Flood => 60,
    };
    let mut weights: Vec<i64> = (0..days)
        .map(|_| {
            // cubed: many small rains, few large ones
            let size = dice.between(1, 100);
            if dice.below(100) < wet_percent {
                size * size * size / 100 + 50
            } else {
                0
            }
        })
        .collect();
    if weights.iter().all(|weight| *weight == 0)
        && let Some(middle) = weights.get_mut(days / 2)
    {
        *middle = 1;
    }
    portions(total, &weights)
}

/// A total split by weights, whole units, nothing lost.
fn portions(total: i64, weights: &[i64]) -> Vec<i64> {
    let sum: i64 = weights.iter().sum();
    let (mut weighed, mut given) = (0, 0);
    weights
        .iter()
        .map(|weight| {
            weighed += weight;
            let upto = i128::from(total) * i128::from(weighed) / i128::from(sum.max(1));
            let upto = i64::try_from(upto).unwrap_or(total);
            let portion = upto - given;
            given = upto;
            portion
        })
        .collect()
}

/// How much of a day's rain has fallen after some seconds of it: storms in the afternoon, each a
/// few quarters long, whole micrometres.
pub(crate) fn rain_until(total: i64, elapsed_seconds: i64, parts: &[&str]) -> i64 {
    if total == 0 {
        return 0;
    }
    let mut dice = Dice::new(parts);
    let mut weights = vec![0_i64; QUARTERS];
    for _ in 0..dice.between(1, 3) {
        let (start, length) = (dice.between(44, 84), dice.between(2, 10));
        for quarter in start..start + length {
            if let Some(weight) = usize::try_from(quarter)
                .ok()
                .and_then(|quarter| weights.get_mut(quarter))
            {
                *weight += dice.between(1, 9);
            }
        }
    }
    let mut fallen = 0;
    for (quarter, um) in (0_i64..).zip(portions(total, &weights)) {
        let within = (elapsed_seconds - quarter * QUARTER_SECONDS).clamp(0, QUARTER_SECONDS);
        fallen += um * within / QUARTER_SECONDS;
    }
    fallen
}

#[cfg(test)]
mod tests {
    use super::*;

    fn year() -> Vec<NaiveDate> {
        let first = NaiveDate::from_ymd_opt(2025, 8, 1).unwrap();
        first.iter_days().take(365).collect()
    }

    fn long_rains(scenario: Scenario, fate: Fate) -> i64 {
        let cell = "877a63556ffffff".parse().unwrap();
        let asked = Asked {
            seed: "7",
            scenario,
            fate,
            terms: (278, 95),
            cell,
        };
        let days = year();
        let rain = rain(&asked, &days);
        assert!(
            rain.iter().all(|um| (0..250_000).contains(um)),
            "no day is beyond belief"
        );
        let in_season = |day: &NaiveDate| (3..=5).contains(&day.month());
        days.iter()
            .zip(rain)
            .filter(|(day, _)| in_season(day))
            .map(|(_, um)| um)
            .sum()
    }

    #[test]
    fn each_fate_pays_what_it_promises() {
        let paid = |fate| {
            let share = domain::index::deficit(long_rains(Scenario::Drought, fate), 278, 95);
            share.unwrap().basis_points().get()
        };
        assert_eq!(paid(Fate::Total), 10_000);
        assert!((6_200..=8_900).contains(&paid(Fate::Large)));
        assert!((3_600..=5_600).contains(&paid(Fate::Medium)));
        assert!((100..=600).contains(&paid(Fate::Small)));
        assert_eq!(paid(Fate::None), 0);
    }

    #[test]
    fn other_scenarios_pay_nothing_whatever_the_fate() {
        for fate in FATES {
            assert!(long_rains(Scenario::Good, fate) > 300_000);
            assert!(long_rains(Scenario::Flood, fate) > 690_000);
        }
    }

    #[test]
    fn nothing_is_lost_in_splitting() {
        assert_eq!(portions(10, &[1, 1, 1]), [3, 3, 4]);
        assert_eq!(portions(7, &[0, 5, 0, 2]).iter().sum::<i64>(), 7);
        assert_eq!(portions(0, &[1, 2]), [0, 0]);
    }
}
