//! Composites: the scenes of a dekad become one value, by the largest (classical, clouds are dark)
//! and by the median (robust to haze). Both are kept, the product names which one it reads. Says
//! when a season was seen too rarely. Used by the vegetation index.

use chrono::NaiveDate;

use crate::science::dekad::Dekad;
use crate::science::quantile;

/// Least share of a season's dekads with a valid scene; below it the next sensor is asked.
pub const DEKADS_SEEN_MIN_BP: u32 = 7_000;

/// One dekad of a cell.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Composite {
    /// Which dekad.
    pub dekad: Dekad,
    /// Largest value; `None` without a scene.
    pub max: Option<f64>,
    /// Median value; `None` without a scene.
    pub median: Option<f64>,
    /// Valid scenes in it.
    pub scenes: u32,
}

/// Composites of the dekads `first` to `last`, both included, from the valid values of a cell by
/// date, in any order. `out` is the caller's and is cleared; so is `scratch`.
pub fn by_dekad(
    scenes: &[(NaiveDate, f64)],
    (first, last): (Dekad, Dekad),
    scratch: &mut Vec<f64>,
    out: &mut Vec<Composite>,
) {
    out.clear();
    for dekad in first.to(last) {
        let window = dekad.window();
        scratch.clear();
        scratch.extend(
            scenes
                .iter()
                .filter(|(day, _)| window.contains(*day))
                .map(|(_, value)| *value),
        );
        quantile::sort(scratch);
        out.push(Composite {
            dekad,
            max: scratch.last().copied(),
            median: quantile::median(scratch),
            scenes: u32::try_from(scratch.len()).unwrap_or(u32::MAX),
        });
    }
}

/// How well a season was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// Enough dekads hold a valid scene.
    Enough,
    /// Too few do: the fallback sensor is asked.
    TooFew {
        /// Dekads with a valid scene.
        seen: u32,
        /// Dekads of the season.
        of: u32,
    },
}

/// Whether at least [`DEKADS_SEEN_MIN_BP`] of the dekads hold a valid scene. A season without a
/// dekad was not seen.
#[must_use]
pub fn seen(season: &[Composite]) -> Seen {
    let length = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    let of = length(season.len());
    let seen = length(season.iter().filter(|dekad| dekad.scenes > 0).count());
    let is_enough = u64::from(seen).saturating_mul(10_000)
        >= u64::from(of).saturating_mul(DEKADS_SEEN_MIN_BP.into());
    if is_enough && of > 0 {
        Seen::Enough
    } else {
        Seen::TooFew { seen, of }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dekad(number: u32) -> Dekad {
        Dekad::new(2020, number).unwrap()
    }

    fn composites(scenes: &[(&str, f64)], first: u32, last: u32) -> Vec<Composite> {
        let scenes: Vec<(NaiveDate, f64)> = scenes
            .iter()
            .map(|(day, value)| (format!("2020-{day}").parse().unwrap(), *value))
            .collect();
        let (mut scratch, mut out) = (vec![9.0], Vec::new());
        by_dekad(&scenes, (dekad(first), dekad(last)), &mut scratch, &mut out);
        out
    }

    #[test]
    fn the_largest_and_the_median_are_both_kept() {
        // haze on the 28th, and the leap day in the same dekad
        let out = composites(
            &[
                ("02-29", 0.62),
                ("02-21", 0.60),
                ("02-28", 0.20),
                ("03-01", 0.64),
                ("03-31", 0.70),
            ],
            6,
            8,
        );
        let told: Vec<_> = out.iter().map(|c| (c.max, c.median, c.scenes)).collect();
        assert_eq!(
            told,
            [
                (Some(0.62), Some(0.60), 3),
                (Some(0.64), Some(0.64), 1),
                (None, None, 0)
            ]
        );
    }

    #[test]
    fn a_season_seen_in_less_than_seven_dekads_of_ten_asks_the_next_sensor() {
        let scene = |n: u32| {
            let day = dekad(n).first_day();
            (day.format("%m-%d").to_string(), 0.5)
        };
        let with = |dekads: u32| {
            let scenes: Vec<(String, f64)> = (7..7 + dekads).map(scene).collect();
            let scenes: Vec<(&str, f64)> = scenes.iter().map(|(d, v)| (d.as_str(), *v)).collect();
            seen(&composites(&scenes, 7, 16))
        };
        assert_eq!(with(7), Seen::Enough);
        assert_eq!(with(6), Seen::TooFew { seen: 6, of: 10 });
        assert_eq!(seen(&[]), Seen::TooFew { seen: 0, of: 0 });
    }
}
