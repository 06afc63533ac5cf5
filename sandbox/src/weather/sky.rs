//! The state of the sky: what plays, what was asked to go wrong, and the counters of stations at
//! any instant. A counter runs from 1 August to 31 July (local days) and then starts anew. Never
//! tells anything that lies after the instant it is asked at. Locked by the world.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::{DateTime, Datelike, NaiveDate, NaiveTime, TimeDelta, Utc};
use domain::cell::RiskCell;
use domain::season::{day_of_interval_ending, day_starts_at, next_day};

use super::fault::{Fault, FaultKind};
use super::replay::Replay;
use super::scenario::{self, Asked, Dice, Fate, QUARTER_SECONDS, QUARTERS, Scenario, rain_until};
use super::station::{IN_CELL_MAX, Station};
use super::wards;
use crate::draw;

/// What the counter jumps by over a day the file does not know, so that nobody takes it for dry.
const UNKNOWN_JUMP_UM: i64 = 1_000;
/// Counter years kept; beyond it all are made again when asked for.
const YEARS_KEPT_MAX: usize = 2_000;
/// Month in which a counter starts anew: no product covers it.
const COUNTER_MONTH: u32 = 8;

/// What plays.
#[derive(Debug, Clone)]
pub(crate) enum Source {
    /// Made up.
    Scenario(Scenario),
    /// A file.
    Replay(Arc<Replay>),
}

/// One sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sample {
    pub(crate) at: DateTime<Utc>,
    /// µm; `None` is left out of the answer.
    pub(crate) counter_um: Option<i64>,
}

/// A counter year of one series.
#[derive(Debug)]
struct Year {
    first: NaiveDate,
    rain: Vec<Option<i64>>,
    /// The counter when each day begins.
    before: Vec<i64>,
}

/// The sky.
#[derive(Debug)]
pub(crate) struct Sky {
    pub(crate) seed: Option<u64>,
    pub(crate) source: Source,
    /// Wards in the order their fates are dealt.
    pub(crate) wards: Vec<String>,
    pub(crate) stations_per_cell: u8,
    pub(crate) faults: Vec<Fault>,
    /// Stations that were moved: location quality 0.
    pub(crate) moved: BTreeSet<String>,
    /// Stations told of so far.
    pub(crate) handed_out: BTreeMap<String, Station>,
    years: BTreeMap<(String, i32), Arc<Year>>,
}

impl Default for Sky {
    fn default() -> Self {
        Self {
            seed: None,
            source: Source::Scenario(Scenario::default()),
            wards: Vec::new(),
            stations_per_cell: IN_CELL_MAX,
            faults: Vec::new(),
            moved: BTreeSet::new(),
            handed_out: BTreeMap::new(),
            years: BTreeMap::new(),
        }
    }
}

impl Sky {
    /// Forgets what was made from settings that have changed.
    pub(crate) fn forget(&mut self) {
        self.years.clear();
    }

    /// The stations in a cell.
    pub(crate) fn in_cell(&mut self, cell: RiskCell) -> Vec<Station> {
        let stations = match &self.source {
            Source::Replay(replay) if !replay.covers(cell) => Vec::new(),
            _ => Station::in_cell(cell, self.stations_per_cell),
        };
        self.remember(&stations);
        stations
    }

    /// The stations within some metres of a point that lies in `cell`.
    pub(crate) fn near(
        &mut self,
        world_seed: u64,
        cell: RiskCell,
        (lat, lon): (f64, f64),
        radius_m: f64,
    ) -> Vec<Station> {
        let mut stations = self.in_cell(cell);
        let is_covered = match &self.source {
            Source::Replay(replay) => replay.covers(cell),
            Source::Scenario(_) => true,
        };
        if is_covered {
            stations.extend(Station::around(cell, &self.seed_text(world_seed)));
        }
        stations.retain(|station| station.metres_to(lat, lon) <= radius_m);
        self.remember(&stations);
        stations
    }

    fn remember(&mut self, stations: &[Station]) {
        for station in stations {
            self.handed_out
                .entry(station.id.clone())
                .or_insert_with(|| station.clone());
        }
    }

    fn seed_text(&self, world_seed: u64) -> String {
        self.seed.unwrap_or(world_seed).to_string()
    }

    /// Ten-thousandths of data quality of a UTC day.
    pub(crate) fn data_quality_e4(
        &self,
        world_seed: u64,
        station: &Station,
        day: NaiveDate,
    ) -> u32 {
        let seed = self.seed_text(world_seed);
        let drawn = draw::below(900, &[&seed, "quality", &station.id, &day.to_string()]);
        // one of the distant stations is a poor one
        if !station.is_in_cell && station.nth == 4 {
            4_500 + drawn
        } else {
            9_050 + drawn
        }
    }

    /// Whether the place of a station is verified.
    pub(crate) fn is_placed(&self, station: &Station) -> bool {
        let never_placed = !station.is_in_cell && station.nth == 3;
        !never_placed && !self.moved.contains(&station.id)
    }

    /// What was asked to go wrong with a day of a station.
    pub(crate) fn faults_of(&self, station: &Station, day: NaiveDate) -> Vec<FaultKind> {
        let about = |fault: &&Fault| {
            fault.date == day && (fault.station == "*" || fault.station == station.id)
        };
        self.faults
            .iter()
            .filter(about)
            .map(|fault| fault.kind)
            .collect()
    }

    /// Whether there are data of a UTC day at all.
    pub(crate) fn has_day(&self, station: &Station, day: NaiveDate) -> bool {
        match &self.source {
            Source::Scenario(_) => true,
            Source::Replay(replay) => replay
                .extent(station.home)
                .is_some_and(|(first, last)| (first..=last).contains(&day)),
        }
    }

    /// The samples of a UTC day up to `now`, by time: one each quarter of an hour at the station's
    /// own minute, and one at local midnight.
    pub(crate) fn samples(
        &mut self,
        world_seed: u64,
        station: &Station,
        day: NaiveDate,
        now: DateTime<Utc>,
    ) -> Vec<Sample> {
        let start = day.and_time(NaiveTime::MIN).and_utc();
        let minute = TimeDelta::minutes(station.minute());
        let mut instants: Vec<DateTime<Utc>> = (0..QUARTERS)
            .filter_map(|quarter| i64::try_from(quarter).ok())
            .map(|quarter| start + TimeDelta::seconds(quarter * QUARTER_SECONDS) + minute)
            .collect();
        instants.push(day_starts_at(next_day(day)));
        instants.sort_unstable();
        instants.retain(|at| *at <= now);
        let resets = self.resets_of(station);
        instants
            .into_iter()
            .map(|at| {
                let reset = resets.iter().rev().find(|reset| **reset < at).copied();
                let counter = self.counter(world_seed, station, at);
                let since = reset.and_then(|reset| self.counter(world_seed, station, reset));
                // a counter that started anew in August is below what it was at an older reboot
                let counter_um = match (counter, since) {
                    (Some(counter), Some(since)) if counter >= since => Some(counter - since),
                    (counter, _) => counter,
                };
                Sample { at, counter_um }
            })
            .collect()
    }

    /// Instants at which the station rebooted, by time: its last sample before noon.
    fn resets_of(&self, station: &Station) -> Vec<DateTime<Utc>> {
        let mut resets: Vec<DateTime<Utc>> = self
            .faults
            .iter()
            .filter(|fault| fault.kind == FaultKind::Reset)
            .filter(|fault| fault.station == "*" || fault.station == station.id)
            .map(|fault| {
                let noon = fault.date.and_time(NaiveTime::MIN).and_utc() + TimeDelta::hours(12);
                noon - TimeDelta::minutes(15 - station.minute())
            })
            .collect();
        resets.sort_unstable();
        resets
    }

    /// The counter at an instant, µm, as if the station had never rebooted.
    fn counter(&mut self, world_seed: u64, station: &Station, at: DateTime<Utc>) -> Option<i64> {
        let day = day_of_interval_ending(at);
        let year = self.year(world_seed, station, counter_year(day));
        let place = usize::try_from(day.signed_duration_since(year.first).num_days()).ok()?;
        let (rain, before) = ((*year.rain.get(place)?)?, *year.before.get(place)?);
        let elapsed = at.signed_duration_since(day_starts_at(day)).num_seconds();
        let seed = self.seed_text(world_seed);
        Some(
            before
                + rain_until(
                    rain,
                    elapsed,
                    &[&seed, &station.home.to_string(), &day.to_string()],
                ),
        )
    }

    fn year(&mut self, world_seed: u64, station: &Station, year: i32) -> Arc<Year> {
        // stations in a cell share one series
        let key = if station.is_in_cell {
            station.home.to_string()
        } else {
            station.id.clone()
        };
        if let Some(known) = self.years.get(&(key.clone(), year)) {
            return known.clone();
        }
        if self.years.len() >= YEARS_KEPT_MAX {
            self.years.clear();
        }
        let made = Arc::new(self.make_year(world_seed, station, year));
        self.years.insert((key, year), made.clone());
        made
    }

    fn make_year(&self, world_seed: u64, station: &Station, year: i32) -> Year {
        let first = NaiveDate::from_ymd_opt(year, COUNTER_MONTH, 1).unwrap_or_default();
        let days: Vec<NaiveDate> = first
            .iter_days()
            .take_while(|day| counter_year(*day) == year)
            .collect();
        let seed = self.seed_text(world_seed);
        let mut rain: Vec<Option<i64>> = match &self.source {
            Source::Replay(replay) => days
                .iter()
                .map(|day| {
                    replay
                        .rain(station.home, *day)
                        .map(|rain| i64::from(rain.0))
                })
                .collect(),
            Source::Scenario(scenario) => {
                let home = station.home;
                let is_home = |code: &String| {
                    wards::find(code).is_some_and(|ward| ward.plot_cell.risk_cell() == home)
                };
                let place = self.wards.iter().position(is_home);
                let asked = Asked {
                    seed: &seed,
                    scenario: *scenario,
                    fate: Fate::of(place, &seed, home),
                    terms: wards::terms_near(home),
                    cell: home,
                };
                scenario::rain(&asked, &days)
                    .into_iter()
                    .map(Some)
                    .collect()
            }
        };
        if !station.is_in_cell {
            for (day, um) in days.iter().zip(&mut rain) {
                let mut dice = Dice::new(&[&seed, "distance", &station.id, &day.to_string()]);
                let percent = dice.between(70, 130);
                *um = um.map(|um| um * percent / 100);
            }
        }
        let mut sum = 0;
        let before = rain
            .iter()
            .map(|um| {
                let start = sum;
                sum += um.unwrap_or(UNKNOWN_JUMP_UM);
                start
            })
            .collect();
        Year {
            first,
            rain,
            before,
        }
    }
}

/// The year in which the counter of a day started.
fn counter_year(day: NaiveDate) -> i32 {
    if day.month() >= COUNTER_MONTH {
        day.year()
    } else {
        day.year() - 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::weather::replay::{self, Matched, Used};
    use domain::measure::RainUm;

    fn date(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    fn cell() -> RiskCell {
        wards::find("0234").unwrap().plot_cell.risk_cell()
    }

    fn late() -> DateTime<Utc> {
        "2030-01-01T00:00:00Z".parse().unwrap()
    }

    fn at_midnights(sky: &mut Sky, station: &Station, day: NaiveDate) -> i64 {
        let midnight = |sky: &mut Sky, date: NaiveDate| {
            let samples = sky.samples(7, station, date, late());
            let at = day_starts_at(next_day(date));
            samples
                .iter()
                .find(|sample| sample.at == at)
                .unwrap()
                .counter_um
                .unwrap()
        };
        midnight(sky, day) - midnight(sky, day.pred_opt().unwrap())
    }

    #[test]
    fn a_day_has_97_samples_that_never_fall_and_its_midnights_enclose_its_rain() {
        let mut sky = Sky::default();
        let station = Station::in_cell(cell(), 2).remove(1);
        let mut last = 0;
        for day in date("2026-03-01").iter_days().take(92) {
            let samples = sky.samples(7, &station, day, late());
            assert_eq!(samples.len(), 97);
            for sample in samples {
                assert!(sample.counter_um.unwrap() >= last);
                last = sample.counter_um.unwrap();
            }
        }
    }

    #[test]
    fn both_stations_of_a_cell_see_the_same_days() {
        let mut sky = Sky {
            source: Source::Scenario(Scenario::Drought),
            ..Sky::default()
        };
        let [first, second] = Station::in_cell(cell(), 2).try_into().unwrap();
        let mut total = 0;
        for day in date("2026-03-01").iter_days().take(92) {
            let rain = at_midnights(&mut sky, &first, day);
            assert_eq!(rain, at_midnights(&mut sky, &second, day));
            total += rain;
        }
        assert!(total > 0);
    }

    #[test]
    fn the_future_is_not_told() {
        let mut sky = Sky::default();
        let station = Station::in_cell(cell(), 1).remove(0);
        let now = "2026-03-05T10:00:00Z".parse().unwrap();
        assert!(
            sky.samples(7, &station, date("2026-03-05"), now)
                .iter()
                .all(|s| s.at <= now)
        );
        assert!(sky.samples(7, &station, date("2026-03-06"), now).is_empty());
    }

    #[test]
    fn a_reboot_loses_no_rain() {
        let mut sky = Sky {
            source: Source::Scenario(Scenario::Flood),
            ..Sky::default()
        };
        let station = Station::in_cell(cell(), 1).remove(0);
        let rain = |samples: &[Sample]| {
            let counters: Vec<i64> = samples.iter().filter_map(|s| s.counter_um).collect();
            let deltas = counters.windows(2).map(|pair| {
                if pair[1] >= pair[0] {
                    pair[1] - pair[0]
                } else {
                    pair[1]
                }
            });
            (
                deltas.sum::<i64>(),
                counters.windows(2).filter(|p| p[1] < p[0]).count(),
            )
        };
        let day = date("2026-04-10");
        let (whole, none) = rain(&sky.samples(7, &station, day, late()));
        sky.faults = vec![Fault {
            station: "*".to_owned(),
            date: day,
            kind: FaultKind::Reset,
        }];
        let (again, one) = rain(&sky.samples(7, &station, day, late()));
        assert_eq!((whole, none, one), (again, 0, 1));
        let next = sky.samples(7, &station, date("2026-04-11"), late());
        assert!(next[0].counter_um.unwrap() < 200_000, "it stays reset");
    }

    #[test]
    fn a_replayed_day_is_met_to_the_micrometre_and_a_gap_has_no_counter() {
        let daily = replay::parse(
            "date,KARARE\n2026-03-01,1.234\n2026-03-02,\n2026-03-03,40.5\n".as_bytes(),
        )
        .unwrap();
        let used = Used {
            column: "KARARE".to_owned(),
            ward: "0234".to_owned(),
            name: "Karare".to_owned(),
            plot_cell: wards::find("0234").unwrap().plot_cell,
            lat: 2.0,
            lon: 37.9,
        };
        let matched = Matched {
            county: "Marsabit".to_owned(),
            used: vec![used],
            unused: vec![],
        };
        let replay = Replay::new(&daily, &matched);
        assert_eq!(
            replay.rain(cell(), date("2026-03-03")),
            Some(RainUm(40_500))
        );
        let mut sky = Sky {
            source: Source::Replay(Arc::new(replay)),
            ..Sky::default()
        };
        let station = sky.in_cell(cell()).remove(0);
        let gap = sky.samples(7, &station, date("2026-03-02"), late());
        assert!(
            gap.iter().filter(|s| s.counter_um.is_some()).count() < 15,
            "only after 21:00Z"
        );
        let third = sky.samples(7, &station, date("2026-03-03"), late());
        let midnight = third
            .iter()
            .find(|s| s.at == day_starts_at(date("2026-03-04")))
            .unwrap();
        // 212 days from August to February are not in the file
        let jumps = (212 + 1) * UNKNOWN_JUMP_UM;
        assert_eq!(midnight.counter_um, Some(jumps + 1_234 + 40_500));
        let elsewhere = wards::find("0001").unwrap().plot_cell.risk_cell();
        assert_eq!(sky.in_cell(elsewhere), []);
    }
}
