//! One season of one cell from its scenes: dekad composites by the largest value, their plain mean,
//! and how well it was seen; and many such seasons put together as a baseline. The season being
//! settled and every season it is compared with come from these very functions, so that both are
//! the same statistic. Never fills a dekad nobody saw. Used by `baseline` and by the index.

use chrono::NaiveDate;
use domain::season::Window;

use super::composite::{Seen, by_dekad, seen};
use super::score::seasonal_mean;
use crate::science::dekad::Dekad;
use crate::science::{count, whole};

/// Micro-NDVI in an NDVI of one: how means are kept.
const E6: f64 = 1e6;
/// Stored NDVI in an NDVI of one.
const E4: f64 = 1e4;

/// Vegetation of one season.
#[derive(Debug, Clone, PartialEq)]
pub struct Season {
    /// Largest value of each dekad the season touches; `None` without a scene.
    pub dekads: Vec<Option<f64>>,
    /// Their mean; `None` when the season was seen too rarely.
    pub mean: Option<f64>,
    /// Whether it was seen often enough.
    pub seen: Seen,
}

/// A season from valid scenes in any order. Scenes outside the window are not looked at, also where
/// the window opens or closes within a dekad.
#[must_use]
pub fn season(scenes: &[(NaiveDate, f64)], window: Window) -> Season {
    let mut within: Vec<(NaiveDate, f64)> = Vec::with_capacity(scenes.len());
    within.extend(scenes.iter().filter(|(day, _)| window.contains(*day)));
    let (first, last) = (Dekad::of(window.start), Dekad::of(window.last_day()));
    let (mut scratch, mut composites) = (Vec::new(), Vec::new());
    by_dekad(&within, (first, last), &mut scratch, &mut composites);
    let seen = seen(&composites);
    let dekads: Vec<Option<f64>> = composites.iter().map(|dekad| dekad.max).collect();
    let mean = match seen {
        Seen::Enough => seasonal_mean(&dekads),
        Seen::TooFew { .. } => None,
    };
    Season { dekads, mean, seen }
}

/// The mean of each dekad over the seasons that saw it; `None` for one that no season saw. Seasons
/// of one window of the year have the same number of dekads.
#[must_use]
pub fn dekad_means(seasons: &[Season]) -> Vec<Option<f64>> {
    let length = seasons.iter().map(|season| season.dekads.len()).max();
    let mean = |at: usize| {
        let values = || seasons.iter().filter_map(|s| s.dekads.get(at)?.as_ref());
        let known = values().count();
        (known > 0).then(|| values().fold(0.0, |sum, value| sum + value) / count(known))
    };
    (0..length.unwrap_or(0)).map(mean).collect()
}

/// An NDVI as means are kept: millionths, to the nearest. `None` for what is no NDVI.
#[must_use]
pub fn micro(ndvi: f64) -> Option<i32> {
    let is_ndvi = (-1.0..=1.0).contains(&ndvi);
    let micro = is_ndvi.then(|| whole(ndvi * E6)).flatten()?;
    i32::try_from(micro).ok()
}

/// An NDVI as it is stored of a scene, ten-thousandths, as a number.
#[must_use]
pub fn of_stored(ndvi_e4: i16) -> f64 {
    f64::from(ndvi_e4) / E4
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    fn window(first: &str, end: &str) -> Window {
        Window {
            start: day(first),
            end: day(end),
        }
    }

    #[test]
    fn a_season_is_the_mean_of_its_dekads_best_scenes() {
        let scenes = [
            (day("2020-03-25"), 0.5),
            (day("2020-03-02"), 0.1),
            (day("2020-03-09"), 0.3),
            (day("2020-03-14"), 0.4),
            (day("2020-02-29"), 0.9),
            (day("2020-04-01"), 0.9),
        ];
        let found = season(&scenes, window("2020-03-01", "2020-04-01"));
        assert_eq!(found.dekads, [Some(0.3), Some(0.4), Some(0.5)]);
        assert!((found.mean.unwrap() - 0.4).abs() < 1e-12);
        assert_eq!(found.seen, Seen::Enough);
    }

    #[test]
    fn a_season_that_clouds_hid_has_dekads_but_no_mean() {
        let scenes = [(day("2020-03-02"), 0.1), (day("2020-05-14"), 0.4)];
        let found = season(&scenes, window("2020-03-01", "2020-06-01"));
        assert_eq!(found.mean, None);
        assert_eq!(found.seen, Seen::TooFew { seen: 2, of: 9 });
        assert_eq!((found.dekads[0], found.dekads[7]), (Some(0.1), Some(0.4)));
    }

    #[test]
    fn a_season_over_the_new_year_counts_its_dekads_in_order() {
        let scenes = [
            (day("2021-01-05"), 0.3),
            (day("2020-12-25"), 0.2),
            (day("2021-01-12"), 0.4),
        ];
        let found = season(&scenes, window("2020-12-21", "2021-01-21"));
        assert_eq!(found.dekads, [Some(0.2), Some(0.3), Some(0.4)]);
    }

    #[test]
    fn scenes_of_a_cut_dekad_count_only_inside_the_window() {
        let scenes = [(day("2020-03-04"), 0.9), (day("2020-03-06"), 0.2)];
        let found = season(&scenes, window("2020-03-05", "2020-03-11"));
        assert_eq!(found.dekads, [Some(0.2)]);
    }

    #[test]
    fn a_dekads_mean_is_over_the_years_that_saw_it() {
        let of = |dekads: [Option<f64>; 3]| Season {
            dekads: dekads.to_vec(),
            mean: None,
            seen: Seen::Enough,
        };
        let seasons = [
            of([Some(0.2), None, None]),
            of([Some(0.4), Some(0.5), None]),
        ];
        let means = dekad_means(&seasons);
        assert!((means[0].unwrap() - 0.3).abs() < 1e-12);
        assert_eq!((means[1], means[2]), (Some(0.5), None));
        assert!(dekad_means(&[]).is_empty());
    }

    #[test]
    fn only_an_ndvi_is_kept_in_millionths() {
        assert_eq!(micro(0.250_719_6), Some(250_720));
        assert_eq!(micro(-1.0), Some(-1_000_000));
        assert_eq!((micro(1.01), micro(f64::NAN)), (None, None));
        assert!((of_stored(2_507) - 0.2507).abs() < 1e-12);
    }
}
