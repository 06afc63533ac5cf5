//! Many cells, many days: weights of stations found once for each cell, applied to a whole matrix
//! of station-days with gaps, and summed over phases with a daily cap. A day that too few stations
//! know is counted missing, never made up, never dry. Sums run left to right, so that the result
//! is the same everywhere. Used by imports, baselines and back-tests.

use std::ops::Range;

use super::kriging::{Kriging, Variogram};
use super::near::{Limits, ON_SPOT_KM, Site, neighbours};
use super::place::Place;
use crate::science::count;

/// Days worked on at once: wide enough for the processor's registers.
const BLOCK: usize = 4;
/// A few days of a row; the last block of a row ends in days that are not asked for.
type Block = [f64; BLOCK];

/// Daily rain of many stations: a row a station, all of one length, gaps kept apart from numbers.
#[derive(Debug, Clone, Default)]
pub struct StationDays {
    days: usize,
    /// Rain, mm; 0 where it is not known.
    rain_mm: Vec<Block>,
    /// 1 where it is known, else 0.
    known: Vec<Block>,
    /// Whether a row has no gap.
    is_whole: Vec<bool>,
}

impl StationDays {
    /// Of rows of one length; longer ones are cut, shorter ones end in gaps.
    #[must_use]
    pub fn of<'a>(days: usize, rows: impl IntoIterator<Item = &'a [Option<f64>]>) -> Self {
        let mut matrix = Self {
            days,
            ..Self::default()
        };
        for row in rows {
            let row = row.get(..days).unwrap_or(row);
            matrix
                .is_whole
                .push(row.len() == days && row.iter().all(Option::is_some));
            for block in 0..matrix.blocks() {
                let from = block.saturating_mul(BLOCK);
                let day = |n: usize| row.get(from.saturating_add(n)).copied().flatten();
                let of_block: [Option<f64>; BLOCK] = std::array::from_fn(day);
                matrix.rain_mm.push(of_block.map(|mm| mm.unwrap_or(0.0)));
                let known = of_block.map(|mm| f64::from(u8::from(mm.is_some())));
                matrix.known.push(known);
            }
        }
        matrix
    }

    /// Days.
    #[must_use]
    pub fn days(&self) -> usize {
        self.days
    }

    /// Blocks of a row.
    fn blocks(&self) -> usize {
        self.days.div_ceil(BLOCK)
    }

    /// Rain, what is known, and whether all is; empty for a station there is not.
    fn row(&self, station: usize) -> (&[Block], &[Block], bool) {
        let from = station.saturating_mul(self.blocks());
        let row = from..from.saturating_add(self.blocks());
        (
            self.rain_mm.get(row.clone()).unwrap_or_default(),
            self.known.get(row).unwrap_or_default(),
            self.is_whole.get(station).copied().unwrap_or(false),
        )
    }
}

/// A phase of a contract in a series.
#[derive(Debug, Clone, PartialEq)]
pub struct Phase {
    /// Its days, positions in the series.
    pub days: Range<usize>,
    /// The most that counts of one day, mm.
    pub cap_mm: Option<f64>,
}

/// A cell's rain in one phase.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct PhaseRain {
    /// Sum over the days that are known, each at most the cap, mm: the least that can have fallen.
    pub known_mm: f64,
    /// Days that are not known.
    pub missing: u32,
}

impl PhaseRain {
    /// The phase's rain, mm; `None` when a day of it is missing.
    #[must_use]
    pub fn whole_mm(self) -> Option<f64> {
        (self.missing == 0).then_some(self.known_mm)
    }
}

/// Weights of stations for cells: for cell `c` the entries `offsets[c]..offsets[c + 1]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Weights {
    stations_min: usize,
    offsets: Vec<usize>,
    stations: Vec<usize>,
    shares: Vec<f64>,
    /// The station on the spot.
    on_spot: Vec<Option<usize>>,
    /// Kriging variance, mm².
    variances: Vec<Option<f64>>,
}

/// Cells summed side by side: the sum of a phase is a chain of additions, each of which waits for
/// the one before, so several chains are worked on at once.
const LANES: usize = 4;

/// Room for the days of a few cells, made once and used for all.
#[derive(Debug, Clone, Default)]
pub struct Room {
    lanes: [Days; LANES],
}

/// A cell's days.
#[derive(Debug, Clone, Default)]
struct Days {
    /// How many.
    length: usize,
    /// Rain, mm; 0 where too few stations know it.
    rain_mm: Vec<Block>,
    /// 1 where enough know it, else 0.
    known: Vec<Block>,
    /// Days that are known.
    count: usize,
}

impl Days {
    fn rain_mm(&self) -> &[f64] {
        let all = self.rain_mm.as_flattened();
        all.get(..self.length).unwrap_or_default()
    }

    fn known(&self) -> &[f64] {
        let all = self.known.as_flattened();
        all.get(..self.length).unwrap_or_default()
    }
}

impl Weights {
    /// By inverse squared distance.
    #[must_use]
    pub fn inverse_distance(targets: &[Site], stations: &[Site], limits: &Limits) -> Self {
        Self::of(targets, stations, limits, |_, near| {
            let weights = near.iter().map(|(_, km)| 1.0 / (km * km)).collect();
            (weights, None)
        })
    }

    /// By ordinary kriging, negative weights cut off, with its variance. A cell whose system has
    /// no solution has no stations.
    #[must_use]
    pub fn kriging(
        targets: &[Site],
        stations: &[Site],
        limits: &Limits,
        variogram: Variogram,
    ) -> Self {
        Self::of(targets, stations, limits, |target, near| {
            let places: Vec<Place> = near
                .iter()
                .filter_map(|(index, _)| stations.get(*index).map(|site| site.place))
                .collect();
            match Kriging::of(variogram, target, &places) {
                Some(kriging) => (kriging.rain_weights(), Some(kriging.variance)),
                None => (Vec::new(), None),
            }
        })
    }

    fn of(
        targets: &[Site],
        stations: &[Site],
        limits: &Limits,
        weigh: impl Fn(Place, &[(usize, f64)]) -> (Vec<f64>, Option<f64>),
    ) -> Self {
        let mut found = Self {
            stations_min: limits.stations_min.max(1),
            offsets: vec![0],
            stations: Vec::new(),
            shares: Vec::new(),
            on_spot: Vec::new(),
            variances: Vec::new(),
        };
        for target in targets {
            let mut near = neighbours(*target, stations, limits);
            let on_spot = near
                .first()
                .filter(|(_, km)| *km < ON_SPOT_KM)
                .map(|(index, _)| *index);
            near.retain(|(_, km)| *km >= ON_SPOT_KM);
            let (weights, variance) = weigh(target.place, &near);
            for ((station, _), weight) in near.iter().zip(weights) {
                found.stations.push(*station);
                found.shares.push(weight);
            }
            found.offsets.push(found.stations.len());
            found.on_spot.push(on_spot);
            found.variances.push(if on_spot.is_some() {
                Some(0.0)
            } else {
                variance
            });
        }
        found
    }

    /// Cells.
    #[must_use]
    pub fn cells(&self) -> usize {
        self.on_spot.len()
    }

    /// Kriging variance of a cell with all its stations, mm²; `None` of inverse distance.
    #[must_use]
    pub fn variance(&self, cell: usize) -> Option<f64> {
        self.variances.get(cell).copied().flatten()
    }

    /// Stations of a cell with their weights.
    fn of_cell(&self, cell: usize) -> impl Iterator<Item = (usize, f64)> + '_ {
        let from = self.offsets.get(cell).copied().unwrap_or(0);
        let until = self
            .offsets
            .get(cell.saturating_add(1))
            .copied()
            .unwrap_or(from);
        let stations = self.stations.get(from..until).unwrap_or_default();
        let weights = self.shares.get(from..until).unwrap_or_default();
        stations.iter().copied().zip(weights.iter().copied())
    }

    /// A cell's rain of each day into `days`.
    fn fill(&self, cell: usize, matrix: &StationDays, days: &mut Days) {
        days.length = matrix.days;
        days.rain_mm.resize(matrix.blocks(), [0.0; BLOCK]);
        days.known.resize(matrix.blocks(), [0.0; BLOCK]);
        let used = self.of_cell(cell).count();
        // the usual numbers of stations, each with a loop of its own
        let is_done = match used {
            _ if used < self.stations_min => false,
            1 => self.blend::<1>(cell, matrix, days),
            2 => self.blend::<2>(cell, matrix, days),
            3 => self.blend::<3>(cell, matrix, days),
            4 => self.blend::<4>(cell, matrix, days),
            5 => self.blend::<5>(cell, matrix, days),
            _ => false,
        };
        if !is_done {
            self.blend_many(cell, matrix, days);
        }
        if let Some(station) = self.on_spot.get(cell).copied().flatten() {
            let (rain, known, _) = matrix.row(station);
            let found = days.rain_mm.iter_mut().zip(&mut days.known);
            for ((found, known_here), (rain, known)) in found.zip(rain.iter().zip(known)) {
                let of_block = found.iter_mut().zip(known_here).zip(rain.iter().zip(known));
                for ((mm, is_known), (rain, known)) in of_block {
                    if *known > 0.0 {
                        (*mm, *is_known) = (*rain, 1.0);
                    }
                }
            }
        }
        days.count = days.known().iter().filter(|known| **known > 0.0).count();
    }

    /// Blends `N` stations; `false`, and nothing done, when the matrix lacks one of them.
    fn blend<const N: usize>(&self, cell: usize, matrix: &StationDays, days: &mut Days) -> bool {
        let mut rows: [(&[Block], &[Block], f64); N] = [(&[], &[], 0.0); N];
        let mut are_whole = true;
        for (row, (station, weight)) in rows.iter_mut().zip(self.of_cell(cell)) {
            let (rain, known, is_whole) = matrix.row(station);
            *row = (rain, known, weight);
            are_whole &= is_whole;
        }
        let length = days.rain_mm.len();
        if rows
            .iter()
            .any(|(rain, known, _)| rain.len() != length || known.len() != length)
        {
            return false;
        }
        if are_whole {
            // no gap anywhere: the weights of a day are those of every day
            let weights = rows.iter().fold(0.0, |sum, (_, _, weight)| sum + weight);
            for (block, found) in days.rain_mm.iter_mut().enumerate() {
                let mut weighed = [0.0; BLOCK];
                for (rain, _, weight) in rows {
                    for (sum, mm) in weighed.iter_mut().zip(rain[block]) {
                        *sum += weight * mm;
                    }
                }
                *found = weighed.map(|sum| sum / weights);
            }
            days.known.fill([1.0; BLOCK]);
            return true;
        }
        let least = count(self.stations_min);
        let found = days.rain_mm.iter_mut().zip(&mut days.known);
        for (block, (found, known_here)) in found.enumerate() {
            let of_block = rows.map(|(rain, known, weight)| (&rain[block], &known[block], weight));
            (*found, *known_here) = blend_block(&of_block, least);
        }
        true
    }

    /// Blends any number of stations, block by block.
    fn blend_many(&self, cell: usize, matrix: &StationDays, days: &mut Days) {
        let rows: Vec<(&[Block], &[Block], f64)> = self
            .of_cell(cell)
            .map(|(station, weight)| {
                let (rain, known, _) = matrix.row(station);
                (rain, known, weight)
            })
            .collect();
        let least = count(self.stations_min);
        let found = days.rain_mm.iter_mut().zip(&mut days.known);
        for (block, (found, known_here)) in found.enumerate() {
            let of_block: Vec<(&Block, &Block, f64)> = rows
                .iter()
                .filter_map(|(rain, known, w)| Some((rain.get(block)?, known.get(block)?, *w)))
                .collect();
            (*found, *known_here) = blend_block(&of_block, least);
        }
    }

    /// The rain of a cell on every day, mm, into `rain_mm` (cleared first).
    pub fn daily(
        &self,
        cell: usize,
        matrix: &StationDays,
        room: &mut Room,
        rain_mm: &mut Vec<Option<f64>>,
    ) {
        let [days, ..] = &mut room.lanes;
        self.fill(cell, matrix, days);
        rain_mm.clear();
        let found = days.rain_mm().iter().zip(days.known());
        rain_mm.extend(found.map(|(mm, known)| (*known > 0.0).then_some(*mm)));
    }

    /// Sums of every cell in every phase: `sums` holds the phases of cell 0, then of cell 1 and so
    /// on, and is filled as far as it reaches. A day outside the series is missing.
    pub fn phase_sums(
        &self,
        matrix: &StationDays,
        phases: &[Phase],
        room: &mut Room,
        sums: &mut [PhaseRain],
    ) {
        let of_cell = phases.len().max(1);
        let groups = sums.chunks_mut(of_cell.saturating_mul(LANES));
        for (group, sums) in groups.enumerate() {
            let first = group.saturating_mul(LANES);
            for (lane, days) in room.lanes.iter_mut().enumerate() {
                self.fill(first.saturating_add(lane), matrix, days);
            }
            for (number, phase) in phases.iter().enumerate() {
                let found = phase_rain(phase, &room.lanes);
                let of_phase = sums.iter_mut().skip(number).step_by(of_cell);
                for (sum, found) in of_phase.zip(found) {
                    *sum = found;
                }
            }
        }
    }
}

/// A block's rain where at least `least` stations know it, and where that is.
fn blend_block(rows: &[(&Block, &Block, f64)], least: f64) -> (Block, Block) {
    let mut weighed = [0.0; BLOCK];
    let mut weights = [0.0; BLOCK];
    let mut stations = [0.0; BLOCK];
    for (rain, known, weight) in rows {
        for day in 0..BLOCK {
            weighed[day] += weight * rain[day];
            weights[day] += weight * known[day];
            stations[day] += known[day];
        }
    }
    let (mut rain, mut known) = ([0.0; BLOCK], [0.0; BLOCK]);
    for day in 0..BLOCK {
        // those that know may count for nothing (kriging); 0 / 0 is made and thrown away
        let is_enough = stations[day] >= least && weights[day] > 0.0;
        let mm = weighed[day] / weights[day];
        rain[day] = if is_enough { mm } else { 0.0 };
        known[day] = if is_enough { 1.0 } else { 0.0 };
    }
    (rain, known)
}

/// The phase's rain in each lane. A missing day has 0, and is counted.
fn phase_rain(phase: &Phase, lanes: &[Days; LANES]) -> [PhaseRain; LANES] {
    let length = lanes.iter().map(|of| of.length).min().unwrap_or(0);
    let until = phase.days.end.min(length);
    let days = phase.days.start.min(until)..until;
    let cap = phase.cap_mm.unwrap_or(f64::INFINITY);
    let rain = lanes.each_ref().map(|of| &of.rain_mm()[days.clone()]);
    let mut sums = [0.0; LANES];
    for day in 0..days.len() {
        for (sum, rain) in sums.iter_mut().zip(rain) {
            let mm = rain[day];
            *sum += if mm < cap { mm } else { cap };
        }
    }
    let mut found = [PhaseRain::default(); LANES];
    for ((found, known_mm), of) in found.iter_mut().zip(sums).zip(lanes) {
        let known = if of.count == of.length {
            days.len()
        } else {
            let of_phase = of.known()[days.clone()].iter();
            of_phase.filter(|known| **known > 0.0).count()
        };
        let missing = phase.days.len().saturating_sub(known);
        *found = PhaseRain {
            known_mm,
            missing: u32::try_from(missing).unwrap_or(u32::MAX),
        };
    }
    found
}

#[cfg(test)]
mod tests;
