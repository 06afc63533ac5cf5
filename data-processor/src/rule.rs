//! The contract's rules over stations: which observe a risk, and what its cell's rain is on each
//! day. Pure: the index role and the verifier use the same functions on the same inputs.
//! Never yields a number for a day that no rule gives one.

use chrono::NaiveDate;
use domain::cell::RiskCell;
use domain::evidence::{CellDay, StationDay, StationEvidence};
use domain::measure::RainUm;
use domain::money::BasisPoints;
use domain::season::Window;
use store::stations::Candidate;

use crate::science::interpolate::{
    DISTANCE_M_MAX, ELEVATION_GAP_DM_MAX, STATIONS_MAX, STATIONS_MIN, inverse_distance,
};
use crate::science::qc::{DATA_QUALITY_E4_MIN, LOCATION_QUALITY_E4};

/// Stations used inside the cell: one leads, one confirms and fills.
const IN_CELL_MAX: usize = 2;

/// Whether stations stand in the cell or around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Siting {
    /// In the cell: the nearest leads.
    InCell,
    /// Around it: interpolated.
    Around,
}

impl Siting {
    /// Where the stations of a risk stand: no cell has more than [`IN_CELL_MAX`] of its own, and
    /// around it fewer than [`STATIONS_MIN`] are never frozen. It follows from how they were frozen,
    /// so that a station which is carried off in mid-season changes nothing, and a bundle need not
    /// state it.
    #[must_use]
    pub fn of(stations: &[StationEvidence]) -> Self {
        if stations.len() > IN_CELL_MAX {
            Self::Around
        } else {
            Self::InCell
        }
    }
}

/// The stations of a risk in their order: the two nearest good ones in the cell, else three to
/// five good ones around it, else none.
#[must_use]
pub fn rank(cell: RiskCell, candidates: &[Candidate]) -> Vec<String> {
    let mut good: Vec<&Candidate> = candidates
        .iter()
        .filter(|c| c.data_quality_e4.is_some_and(|q| q >= DATA_QUALITY_E4_MIN))
        .filter(|c| {
            c.location_quality_e4
                .is_some_and(|q| q >= LOCATION_QUALITY_E4)
        })
        .collect();
    good.sort_by(|a, b| (a.distance_m, &a.id).cmp(&(b.distance_m, &b.id)));
    let names =
        |chosen: Vec<&Candidate>| chosen.into_iter().map(|c| c.id.clone()).collect::<Vec<_>>();
    let inside: Vec<_> = good
        .iter()
        .copied()
        .filter(|c| c.cell == cell)
        .take(IN_CELL_MAX)
        .collect();
    if !inside.is_empty() {
        return names(inside);
    }
    let around: Vec<_> = good
        .into_iter()
        .filter(|c| c.distance_m <= DISTANCE_M_MAX)
        .filter(|c| {
            c.elevation_gap_dm
                .is_some_and(|gap| gap.abs() <= ELEVATION_GAP_DM_MAX)
        })
        .take(STATIONS_MAX)
        .collect();
    if around.len() < STATIONS_MIN {
        Vec::new()
    } else {
        names(around)
    }
}

/// Rain of the cell on every day of the window, from stations whose days rise.
#[must_use]
pub fn cell_days(
    siting: Siting,
    stations: &[StationEvidence],
    window: Window,
    filled_max: BasisPoints,
) -> Vec<CellDay> {
    match siting {
        Siting::InCell => in_cell(stations, window, filled_max),
        Siting::Around => around(stations, window),
    }
}

/// The primary's day; else the second's, while the days so filled stay within the contract's share
/// of the window; else nothing. Beyond that share no day is filled at all: days are not picked.
fn in_cell(stations: &[StationEvidence], window: Window, filled_max: BasisPoints) -> Vec<CellDay> {
    let of_rank = |rank: u16| stations.iter().find(|s| s.rank == rank);
    let (primary, second) = (of_rank(1), of_rank(2));
    let rain = |station: Option<&StationEvidence>, day| {
        station.and_then(|s: &StationEvidence| known(&s.days, day))
    };
    let gaps = window
        .days()
        .filter(|day| rain(primary, *day).is_none() && rain(second, *day).is_some())
        .count();
    let limit = window
        .day_count()
        .saturating_mul(u32::from(filled_max.get()))
        .div_euclid(10_000);
    let may_fill = u32::try_from(gaps).is_ok_and(|gaps| gaps <= limit);
    window
        .days()
        .map(|day| {
            let (rain_um, source) = match (rain(primary, day), rain(second, day)) {
                (Some(rain), _) => (Some(rain), "primary"),
                (None, Some(rain)) if may_fill => (Some(rain), "second"),
                (None, _) => (None, "missing"),
            };
            CellDay {
                day,
                rain_um,
                source: source.to_owned(),
                factor_e4: None,
            }
        })
        .collect()
}

fn around(stations: &[StationEvidence], window: Window) -> Vec<CellDay> {
    window
        .days()
        .map(|day| {
            let mut known_on_day: Vec<(u32, RainUm)> = stations
                .iter()
                .filter_map(|s| known(&s.days, day).map(|rain| (s.distance_m, rain)))
                .collect();
            known_on_day.sort_unstable();
            let rain_um = inverse_distance(&known_on_day);
            let source = if rain_um.is_some() {
                "interpolated"
            } else {
                "missing"
            };
            CellDay {
                day,
                rain_um,
                source: source.to_owned(),
                factor_e4: None,
            }
        })
        .collect()
}

/// A station's day among its days, which rise.
pub(crate) fn day_of(days: &[StationDay], day: NaiveDate) -> Option<&StationDay> {
    let at = days.partition_point(|known| known.day < day);
    days.get(at).filter(|known| known.day == day)
}

/// Rain of a day in a station's days, which rise.
pub(crate) fn known(days: &[StationDay], day: NaiveDate) -> Option<RainUm> {
    day_of(days, day).and_then(|known| known.rain_um)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CELL: &str = "877a63556ffffff";
    const ELSEWHERE: &str = "877a48826ffffff";

    fn candidate(id: &str, cell: &str, distance_m: i32) -> Candidate {
        Candidate {
            id: id.to_owned(),
            name: id.to_owned(),
            cell: cell.parse().unwrap(),
            lat_e6: 0,
            lon_e6: 0,
            elevation_dm: None,
            distance_m,
            elevation_gap_dm: Some(0),
            data_quality_e4: Some(9_000),
            location_quality_e4: Some(10_000),
        }
    }

    #[test]
    fn the_nearest_good_station_of_the_cell_leads() {
        let mut bad = candidate("a", CELL, 1);
        bad.data_quality_e4 = Some(7_999);
        let mut moved = candidate("b", CELL, 2);
        moved.location_quality_e4 = Some(0);
        let candidates = [
            bad,
            moved,
            candidate("e", CELL, 900),
            candidate("d", CELL, 500),
            candidate("c", CELL, 500),
            candidate("f", ELSEWHERE, 10),
        ];
        assert_eq!(rank(CELL.parse().unwrap(), &candidates), ["c", "d"]);
    }

    #[test]
    fn around_the_cell_three_are_needed_and_five_are_enough() {
        let mut candidates: Vec<_> = (0..7)
            .map(|n| candidate(&n.to_string(), ELSEWHERE, 5_000 + n))
            .collect();
        let cell = CELL.parse().unwrap();
        assert_eq!(rank(cell, &candidates), ["0", "1", "2", "3", "4"]);
        candidates[1].distance_m = 15_001;
        candidates[0].elevation_gap_dm = Some(3_001);
        candidates.truncate(4);
        assert!(rank(cell, &candidates).is_empty());
    }

    fn station(rank: u16, distance_m: u32, rain: &[Option<i32>]) -> StationEvidence {
        let start = NaiveDate::from_ymd_opt(2026, 3, 1).unwrap();
        let days = start
            .iter_days()
            .zip(rain)
            .map(|(day, um)| StationDay {
                day,
                rain_um: um.map(RainUm),
                samples: 96,
                resets: 0,
                flags: vec![],
                replies: vec![],
            })
            .collect();
        StationEvidence {
            id: rank.to_string(),
            rank,
            distance_m,
            data_quality_e4: 9_000,
            location_quality_e4: 10_000,
            place: None,
            days,
        }
    }

    fn ten_days() -> Window {
        let start = NaiveDate::from_ymd_opt(2026, 3, 1).unwrap();
        Window {
            start,
            end: start + chrono::Days::new(10),
        }
    }

    #[test]
    fn the_second_station_fills_one_day_in_ten_or_none() {
        let tenth = BasisPoints::new(1_000).unwrap();
        let mut gaps = vec![Some(1); 10];
        gaps[3] = None;
        let second = station(2, 20, &[Some(5); 10]);
        let one_gap = [station(1, 10, &gaps), second.clone()];
        let days = cell_days(Siting::InCell, &one_gap, ten_days(), tenth);
        assert_eq!(
            (days[3].rain_um, days[3].source.as_str()),
            (Some(RainUm(5)), "second")
        );
        assert_eq!(days[0].source, "primary");
        gaps[7] = None;
        let two_gaps = [station(1, 10, &gaps), second];
        let days = cell_days(Siting::InCell, &two_gaps, ten_days(), tenth);
        for gap in [3, 7] {
            assert_eq!(
                (days[gap].rain_um, days[gap].source.as_str()),
                (None, "missing")
            );
        }
    }

    #[test]
    fn where_stations_stand_follows_from_how_many_were_frozen() {
        const { assert!(IN_CELL_MAX < STATIONS_MIN) };
        let frozen: Vec<_> = (1..=5).map(|rank| station(rank, 10, &[Some(1)])).collect();
        let siting = |count: usize| Siting::of(&frozen[..count]);
        assert_eq!([0, 1, 2].map(siting), [Siting::InCell; 3]);
        assert_eq!([3, 4, 5].map(siting), [Siting::Around; 3]);
    }

    #[test]
    fn a_day_is_found_among_rising_days_with_gaps() {
        let mut days = station(1, 10, &[Some(1), Some(2), None, Some(4)]).days;
        days.remove(1);
        let on = |day| NaiveDate::from_ymd_opt(2026, 3, day).unwrap();
        let found = [28, 1, 2, 3, 4, 5].map(|day| known(&days, on(day)).map(|rain| rain.0));
        assert_eq!(found, [None, Some(1), None, None, Some(4), None]);
        assert!(
            day_of(&days, on(3)).is_some(),
            "a day without rain is a day"
        );
    }

    #[test]
    fn without_stations_every_day_is_missing() {
        for siting in [Siting::InCell, Siting::Around] {
            let days = cell_days(siting, &[], ten_days(), BasisPoints::WHOLE);
            assert!(
                days.iter()
                    .all(|d| d.rain_um.is_none() && d.source == "missing")
            );
        }
    }
}
