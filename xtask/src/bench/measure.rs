//! Windows, series of them, medians and ratios inside a round. Pure: never starts anything.
//! Called by the rows and the table.

use anyhow::ensure;
use serde::Deserialize;

/// What the generator saw in one window.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Window {
    /// Answers.
    pub(super) requests: u64,
    /// Answers a second.
    pub(super) per_second: f64,
    /// Median time to an answer, microseconds.
    pub(super) p50_us: f64,
    /// The time 99 of 100 answers do not exceed, microseconds.
    pub(super) p99_us: f64,
    /// Answers that said busy, over the whole run.
    busy: u64,
    /// Answers that were not the expected ones, over the whole run.
    wrong: u64,
    first_wrong: Option<String>,
    /// CPU time of the contestant's process an answer, microseconds.
    pub(super) cpu_us_per_request: Option<f64>,
    /// Resident memory at the end, KiB.
    pub(super) rss_kib: Option<f64>,
    /// Share of each core that was busy with anything.
    pub(super) cores_busy: Vec<f64>,
}

impl Window {
    /// Of work that came in passes rather than answers: what a pass of `seconds` did.
    pub(super) fn of_pass(done: f64, seconds: f64) -> Self {
        Self {
            requests: 1,
            per_second: done / seconds,
            p50_us: seconds * 1e6,
            ..Self::default()
        }
    }

    /// Refuses a window in which anything was answered wrongly, or nothing was.
    pub(super) fn check(&self, who: &str) -> anyhow::Result<()> {
        ensure!(
            self.wrong == 0,
            "{who} gave {} wrong answers, the first:\n{}",
            self.wrong,
            self.first_wrong.as_deref().unwrap_or_default()
        );
        ensure!(
            self.busy == 0,
            "{who} said busy {} times: a ceiling was hit",
            self.busy
        );
        ensure!(self.requests > 0, "{who} answered nothing in the window");
        Ok(())
    }
}

/// A figure of a window.
pub(super) type Figure = fn(&Window) -> f64;

/// Answers a second.
pub(super) const RATE: Figure = |window| window.per_second;
/// Median time, microseconds.
pub(super) const P50: Figure = |window| window.p50_us;
/// Time of a pass, seconds.
pub(super) const SECONDS: Figure = |window| window.p50_us / 1e6;
/// 99th percentile, microseconds.
pub(super) const P99: Figure = |window| window.p99_us;
/// CPU an answer, microseconds.
pub(super) const CPU: Figure = |window| window.cpu_us_per_request.unwrap_or_default();
/// Resident memory, MiB.
pub(super) const MEMORY: Figure = |window| window.rss_kib.unwrap_or_default() / 1_024.0;

/// One contestant's windows, one a round.
#[derive(Clone, Debug, Default)]
pub(super) struct Series(pub(super) Vec<Window>);

impl Series {
    /// The middle one.
    pub(super) fn median(&self, figure: Figure) -> f64 {
        median(self.0.iter().map(figure).collect())
    }

    /// The middle of the ratios to another contestant's windows of the same rounds.
    pub(super) fn ratio(&self, other: &Self, figure: Figure) -> f64 {
        let pairs = self.0.iter().zip(&other.0);
        median(
            pairs
                .map(|(ours, theirs)| figure(ours) / figure(theirs))
                .filter(|ratio| ratio.is_finite())
                .collect(),
        )
    }

    /// How busy the contestants' core was with anything, and the others on average.
    pub(super) fn busy(&self, core: usize) -> (f64, f64) {
        let own = |window: &Window| window.cores_busy.get(core).copied().unwrap_or_default();
        let others = |window: &Window| {
            let shares = window.cores_busy.iter().enumerate();
            let (mut sum, mut count) = (0.0, 0.0);
            for (_, share) in shares.filter(|(at, _)| *at != core) {
                sum += share;
                count += 1.0;
            }
            sum / f64::max(count, 1.0)
        };
        (
            median(self.0.iter().map(own).collect()),
            median(self.0.iter().map(others).collect()),
        )
    }
}

/// The middle value; of an even number, the mean of the two in the middle; of none, 0.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let half = values.len() / 2;
    let at = |place: usize| values.get(place).copied().unwrap_or_default();
    if values.len() % 2 == 1 {
        at(half)
    } else {
        f64::midpoint(at(half.saturating_sub(1)), at(half))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(rates: &[f64]) -> Series {
        let windows = rates.iter().map(|rate| Window {
            per_second: *rate,
            requests: 1,
            ..Window::default()
        });
        Series(windows.collect())
    }

    #[test]
    fn a_ratio_is_taken_inside_a_round() {
        // the machine halved in the second round; the ratio did not change
        let (ours, floor) = (series(&[80.0, 40.0, 80.0]), series(&[100.0, 50.0, 100.0]));
        assert!((ours.ratio(&floor, RATE) - 0.8).abs() < 1e-9);
        assert!((ours.median(RATE) - 80.0).abs() < 1e-9);
        assert!(median(Vec::new()).abs() < 1e-9);
        assert!((median(vec![4.0, 1.0, 2.0, 3.0]) - 2.5).abs() < 1e-9);
    }

    #[test]
    fn a_wrong_or_busy_answer_spoils_the_window() {
        let right = Window {
            requests: 5,
            ..Window::default()
        };
        assert!(right.check("x").is_ok());
        let busy = Window {
            busy: 1,
            ..right.clone()
        };
        let wrong = Window { wrong: 1, ..right };
        assert!(busy.check("x").is_err());
        assert!(wrong.check("x").is_err());
        assert!(Window::default().check("x").is_err());
    }
}
