//! Dry days, dry spells and dry blocks of a window. A run is clipped at the window's edges; a
//! missing day breaks it and counts to the missing budget, and is never dry. Never decides whether
//! too much is missing: it says how much. Used by products, season starts and back-tests.

use chrono::NaiveDate;
use domain::season::Window;

/// Rain from which a day is wet, mm (ETCCDI, WMO: 1.0). Below it a revision of a third of a
/// millimetre between two versions of a dataset turns dry days wet.
pub const WET_DAY_MM: f64 = 1.0;

/// Days of a pentad.
const PENTAD_DAYS: usize = 5;
/// Half a micrometre, mm. A sum this near a threshold reaches it: readings are whole micrometres at
/// the finest, and 4.41 + 0.06 + 5.68 + 4.8 + 0.02 + 0.03 of them is 15 mm, not a little less.
const HALF_UM: f64 = 0.000_5;

/// The part of a daily series inside a window.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Clipped<'a> {
    /// The days of the window that the series has.
    pub days: &'a [Option<f64>],
    /// Days of the window that it does not reach: missing, like a gap.
    pub absent: u32,
}

impl Clipped<'_> {
    /// Days of the window without a number, absent or missing.
    #[must_use]
    pub fn missing(&self) -> u32 {
        self.absent.saturating_add(missing(self.days))
    }
}

/// Clips a daily series that begins on `first` to a window.
#[must_use]
pub fn clip(rain: &[Option<f64>], first: NaiveDate, window: Window) -> Clipped<'_> {
    let position = |day: NaiveDate| {
        let offset = day.signed_duration_since(first).num_days();
        usize::try_from(offset).unwrap_or(0).min(rain.len())
    };
    let days = rain
        .get(position(window.start)..position(window.end))
        .unwrap_or_default();
    Clipped {
        days,
        absent: window.day_count().saturating_sub(length(days.len())),
    }
}

/// Days without a number.
#[must_use]
pub fn missing(rain: &[Option<f64>]) -> u32 {
    length(rain.iter().filter(|day| day.is_none()).count())
}

/// Whether `missing` of `days` is within a budget in basis points of the days.
#[must_use]
pub fn is_within_budget(missing: u32, days: u32, budget_bp: u32) -> bool {
    u64::from(missing).saturating_mul(10_000) <= u64::from(days).saturating_mul(budget_bp.into())
}

/// Dry and wet days of a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Days {
    /// Days with less than the threshold: none, trace or drizzle.
    pub dry: u32,
    /// Days at or above it.
    pub wet: u32,
    /// Days without a number.
    pub missing: u32,
    /// Longest run of dry days: CDD.
    pub longest_dry: u32,
}

/// Counts dry and wet days; dry is `P < wet_mm`.
#[must_use]
pub fn days(rain: &[Option<f64>], wet_mm: f64) -> Days {
    let mut days = Days::default();
    let mut run = 0_u32;
    for day in rain {
        let (count, after) = match day {
            Some(mm) if *mm < wet_mm => (&mut days.dry, run.saturating_add(1)),
            Some(_) => (&mut days.wet, 0),
            None => (&mut days.missing, 0),
        };
        *count = count.saturating_add(1);
        run = after;
        days.longest_dry = days.longest_dry.max(run);
    }
    days
}

/// Runs that are long enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Spells {
    /// Maximal runs of at least the length asked.
    pub count: u32,
    /// Sum of their lengths, in days or pentads.
    pub total: u32,
    /// Days or pentads without a number.
    pub missing: u32,
}

impl Spells {
    fn close(&mut self, run: u32, least: u32) {
        if run >= least.max(1) {
            self.count = self.count.saturating_add(1);
            self.total = self.total.saturating_add(run);
        }
    }
}

/// Maximal dry runs of at least `least` days (10, 14 and 20 are usual), and their days.
#[must_use]
pub fn dry_spells(rain: &[Option<f64>], wet_mm: f64, least: u32) -> Spells {
    spells_of(rain.iter().map(|day| day.map(|mm| mm < wet_mm)), least)
}

/// The RiskExplorer form: rain in 5-day pentads counted from the window's first day, dry below
/// `dry_below_mm` a pentad; runs of at least `least` pentads, and the sum of their lengths. A rest
/// of fewer than five days at the end is no pentad; a pentad with a missing day is missing.
#[must_use]
pub fn dry_pentads(rain: &[Option<f64>], dry_below_mm: f64, least: u32) -> Spells {
    let pentads = rain.chunks_exact(PENTAD_DAYS).map(|pentad| {
        pentad
            .iter()
            .try_fold(0.0, |sum, day| day.map(|mm| sum + mm))
            .map(|sum| sum < dry_below_mm - HALF_UM)
    });
    spells_of(pentads, least)
}

fn spells_of(is_dry: impl Iterator<Item = Option<bool>>, least: u32) -> Spells {
    let mut spells = Spells::default();
    let mut run = 0_u32;
    for unit in is_dry {
        if unit == Some(true) {
            run = run.saturating_add(1);
            continue;
        }
        spells.close(run, least);
        run = 0;
        if unit.is_none() {
            spells.missing = spells.missing.saturating_add(1);
        }
    }
    spells.close(run, least);
    spells
}

/// How many blocks a window has when the step is not one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlockCount {
    /// Every block that fits: `floor((days − length) / step) + 1`.
    EveryStart,
    /// The open BimaPima engine's `floor((days − length + 1) / step)`, which leaves out a last
    /// block when the step is above one. The same at step 1.
    Bimapima,
}

/// Sliding blocks of days, each dry enough to be a loss or not.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Blocks {
    /// Days of a block, at least 1.
    pub length: u32,
    /// Days from one block's start to the next, at least 1.
    pub step: u32,
    /// A block is a loss below this, mm.
    pub trigger_mm: f64,
    /// A day's rain counts at most this much, mm.
    pub daily_cap_mm: Option<f64>,
    /// How blocks are counted.
    pub count: BlockCount,
}

/// What the blocks of a window show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BlockLoss {
    /// Blocks in the window.
    pub blocks: u32,
    /// Blocks that are a loss beyond doubt.
    pub loss: u32,
    /// Blocks that a missing day leaves undecided: dry so far, and the day might have been wet.
    pub undecided: u32,
    /// Days of the window without a number.
    pub missing: u32,
}

impl Blocks {
    /// Number of blocks in a window of `days` days.
    #[must_use]
    pub fn number(&self, days: u32) -> u32 {
        let room = days.saturating_add(1).saturating_sub(self.length.max(1));
        let step = self.step.max(1);
        match self.count {
            BlockCount::EveryStart => room.div_ceil(step),
            BlockCount::Bimapima => room.checked_div(step).unwrap_or(0),
        }
    }

    /// Counts loss blocks. A block with a missing day is no loss when what is known already
    /// reaches the trigger, else undecided.
    #[must_use]
    pub fn losses(&self, rain: &[Option<f64>]) -> BlockLoss {
        let mut found = BlockLoss {
            blocks: self.number(length(rain.len())),
            missing: missing(rain),
            ..BlockLoss::default()
        };
        let (wide, step) = (index(self.length.max(1)), index(self.step.max(1)));
        let starts = (0..rain.len()).step_by(step).take(index(found.blocks));
        for start in starts {
            let block = rain
                .get(start..start.saturating_add(wide))
                .unwrap_or_default();
            let known: f64 = block.iter().flatten().fold(0.0, |sum, mm| {
                sum + self.daily_cap_mm.map_or(*mm, |cap| mm.min(cap))
            });
            if known >= self.trigger_mm - HALF_UM {
                continue;
            }
            let is_whole = block.iter().all(Option::is_some);
            let counter = if is_whole {
                &mut found.loss
            } else {
                &mut found.undecided
            };
            *counter = counter.saturating_add(1);
        }
        found
    }
}

/// A length as a number of days; no window has 2^32.
fn length(days: usize) -> u32 {
    u32::try_from(days).unwrap_or(u32::MAX)
}

/// A number of days as a position.
fn index(days: u32) -> usize {
    usize::try_from(days).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests;
