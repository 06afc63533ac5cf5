//! A station against its own climate: totals beyond the tail of their own month, extremes that
//! come again to the last digit, temperatures far from their own month. General rules with no
//! station in them; they flag and never drop. Used on a station's whole daily record.

use chrono::{Datelike, NaiveDate};

use super::qartod::Qartod;
use crate::science::count;
use crate::science::quantile::{Convention, median, quantile, sort};
use crate::science::spells::WET_DAY_MM;

/// Wet days, others than the one judged, that a month needs to speak for itself. With fewer, the
/// months on both sides are asked too; then the whole year.
pub const WET_DAYS_MIN: usize = 30;
/// Part of a month's wet days below which a total is not in the tail.
const TAIL_FROM: f64 = 0.75;
/// A total is suspect when so many as large are expected in the whole record of its month: one in
/// twenty. Chance alone then flags about one day in two records of any length.
pub const EXPECTED_MAX: f64 = 0.05;
/// Totals below this are nobody's extreme, mm.
const TAIL_MM_MIN: f64 = 20.0;
/// Part of all wet days above which a total is one of the station's extremes.
const EXTREME_FROM: f64 = 0.95;
/// Part of all wet days from which the tail of the year is fitted.
const YEAR_TAIL_FROM: f64 = 0.90;
/// An extreme is suspect when so many of it to the last digit have this chance.
pub const REPEAT_CHANCE_MAX: f64 = 0.005;
/// Values of a calendar month that a temperature is held against.
const TEMPERATURES_MIN: usize = 60;
/// So many robust standard deviations from the month's median are suspect (GHCN-Daily holds its
/// climatological outlier check at 6: Durre and others 2010).
pub const Z_MAX: f64 = 6.0;
/// From median absolute deviation to standard deviation of a normal distribution.
const MAD_TO_SD: f64 = 1.482_602_218_505_602;
/// Least standard deviation taken, °C: many stations report half degrees.
const SD_MIN: f64 = 0.5;

/// Type-7 quantile (linear between order statistics) of a sorted list from which the entries
/// `without` are left out; `None` of an empty one.
fn quantile_without(
    sorted: &[f64],
    without: &std::ops::Range<usize>,
    probability: f64,
) -> Option<f64> {
    let left = sorted.len().checked_sub(without.len())?;
    let at = |position: usize| {
        let shift = if position < without.start {
            0
        } else {
            without.len()
        };
        sorted.get(position.saturating_add(shift)).copied()
    };
    let place = probability * count(left.checked_sub(1)?);
    let mut lower: usize = 0;
    // the place is below u32, found without a cast
    let (mut low, mut high) = (0, left);
    while low < high {
        let middle = low.midpoint(high);
        if count(middle) <= place {
            lower = middle;
            low = middle.saturating_add(1);
        } else {
            high = middle;
        }
    }
    let below = at(lower)?;
    let above = at(lower.saturating_add(1)).unwrap_or(below);
    Some(below + (place - count(lower)) * (above - below))
}

/// Entries equal to a value in a sorted list.
fn equal(sorted: &[f64], value: f64) -> std::ops::Range<usize> {
    let from = sorted.partition_point(|v| *v < value);
    let until = sorted.partition_point(|v| *v <= value);
    from..until
}

/// An exponential tail: so many values above a threshold, at a mean excess.
#[derive(Debug, Clone, Copy)]
struct Tail {
    from: f64,
    above: f64,
    mean_excess: f64,
}

impl Tail {
    /// Of a sorted list without the entries that equal what is judged, so that an extreme that is
    /// reported twice does not vouch for itself.
    fn fit(sorted: &[f64], without: &std::ops::Range<usize>, part: f64) -> Option<Self> {
        let from = quantile_without(sorted, without, part)?;
        let (mut above, mut excess) = (0.0, 0.0);
        for (position, value) in sorted.iter().enumerate() {
            if *value > from && !without.contains(&position) {
                above += 1.0;
                excess += value - from;
            }
        }
        (above > 0.0).then(|| Self {
            from,
            above,
            mean_excess: excess / above,
        })
    }

    /// How many values as large are expected among those the tail was fitted to.
    fn expected(self, value: f64) -> f64 {
        self.above * libm::exp(-(value - self.from) / self.mean_excess)
    }
}

/// The wet days of a station, by month and season and together.
#[derive(Debug, Clone)]
pub struct RainClimate {
    /// January first; each sorted.
    months: Vec<Vec<f64>>,
    /// The month and the two beside it; each sorted.
    seasons: Vec<Vec<f64>>,
    /// All, sorted.
    year: Vec<f64>,
    /// Usual distance between neighbouring large totals, mm: how finely the gauge is read.
    resolution: Option<f64>,
}

impl RainClimate {
    /// From a daily record that begins on `first`.
    #[must_use]
    pub fn of(first: NaiveDate, rain_mm: &[Option<f64>]) -> Self {
        let mut months = vec![Vec::new(); 12];
        for (day, mm) in first.iter_days().zip(rain_mm) {
            if let (Some(mm), Some(month)) = (mm, months.get_mut(month0(day)))
                && *mm >= WET_DAY_MM
            {
                month.push(*mm);
            }
        }
        let joined = |parts: &[usize]| {
            let mut all: Vec<f64> = parts
                .iter()
                .filter_map(|n| months.get(*n))
                .flatten()
                .copied()
                .collect();
            sort(&mut all);
            all
        };
        let seasons = (0..12)
            .map(|n: usize| {
                let before = n.checked_sub(1).unwrap_or(11);
                let after = if n == 11 { 0 } else { n.saturating_add(1) };
                joined(&[before, n, after])
            })
            .collect();
        let year = joined(&[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
        for month in &mut months {
            sort(month);
        }
        let resolution = resolution(&year);
        Self {
            months,
            seasons,
            year,
            resolution,
        }
    }

    /// Type-7 quantile of all wet days, mm; `None` without any.
    #[must_use]
    pub fn quantile(&self, probability: f64) -> Option<f64> {
        quantile(&self.year, probability, Convention::Linear)
    }

    /// The first of month, season and year with enough wet days besides those equal to `mm`.
    fn peers(&self, day: NaiveDate, mm: f64) -> Option<&[f64]> {
        let month = month0(day);
        [
            self.months.get(month)?,
            self.seasons.get(month)?,
            &self.year,
        ]
        .into_iter()
        .find(|list| list.len().saturating_sub(equal(list, mm).len()) >= WET_DAYS_MIN)
        .map(Vec::as_slice)
    }

    /// How many days as wet as `mm` are expected in the record in the day's own month: an
    /// exponential tail fitted above the 75th percentile of the other wet days. `None` where too
    /// few are known.
    #[must_use]
    pub fn expected(&self, day: NaiveDate, mm: f64) -> Option<f64> {
        let peers = self.peers(day, mm)?;
        let tail = Tail::fit(peers, &equal(peers, mm), TAIL_FROM)?;
        Some(tail.expected(mm))
    }

    /// Suspect when fewer than one in twenty as large is expected in the whole record.
    #[must_use]
    pub fn tail(&self, day: NaiveDate, mm: f64) -> Qartod {
        if mm < TAIL_MM_MIN {
            return Qartod::Good;
        }
        self.expected(day, mm)
            .map_or(Qartod::NotEvaluated, |expected| {
                Qartod::suspect_if(expected < EXPECTED_MAX)
            })
    }

    /// Chance of at least so many equal totals as the record has of `mm`, given how many as large
    /// are expected (tail above the 90th percentile of the others) and how finely the gauge is
    /// read: Poisson. `None` where too few are known.
    #[must_use]
    pub fn repeat_chance(&self, mm: f64) -> Option<f64> {
        let same = equal(&self.year, mm);
        if self.year.len().saturating_sub(same.len()) < WET_DAYS_MIN {
            return None;
        }
        let tail = Tail::fit(&self.year, &same, YEAR_TAIL_FROM)?;
        let half = self.resolution? / 2.0;
        let expected = tail.expected(mm - half) - tail.expected(mm + half);
        let (mut term, mut fewer) = (libm::exp(-expected), 0.0);
        for k in 0..same.len() {
            fewer += term;
            term *= expected / count(k.saturating_add(1));
        }
        Some((1.0 - fewer).max(0.0))
    }

    /// Suspect when one of the station's own extremes comes again, to the last digit, more often
    /// than chance has it.
    #[must_use]
    pub fn repeat(&self, mm: f64) -> Qartod {
        let same = equal(&self.year, mm);
        let Some(extreme) = quantile_without(&self.year, &same, EXTREME_FROM) else {
            return Qartod::NotEvaluated;
        };
        if same.len() < 2 || mm <= extreme {
            return Qartod::Good;
        }
        self.repeat_chance(mm)
            .map_or(Qartod::NotEvaluated, |chance| {
                Qartod::suspect_if(chance < REPEAT_CHANCE_MAX)
            })
    }
}

/// Median distance between neighbouring distinct totals above the 90th percentile.
fn resolution(sorted: &[f64]) -> Option<f64> {
    let from = quantile(sorted, YEAR_TAIL_FROM, Convention::Linear)?;
    let mut distances: Vec<f64> = sorted
        .iter()
        .zip(sorted.iter().skip(1))
        .filter(|(low, high)| **low > from && high > low)
        .map(|(low, high)| high - low)
        .collect();
    sort(&mut distances);
    median(&distances)
}

fn month0(day: NaiveDate) -> usize {
    usize::try_from(day.month0()).unwrap_or(0)
}

/// Medians and robust standard deviations of a temperature by calendar month.
#[derive(Debug, Clone)]
pub struct TemperatureClimate {
    months: [Option<(f64, f64)>; 12],
}

impl TemperatureClimate {
    /// From a daily record, °C, that begins on `first`.
    #[must_use]
    pub fn of(first: NaiveDate, celsius: &[Option<f64>]) -> Self {
        let mut values = vec![Vec::new(); 12];
        for (day, value) in first.iter_days().zip(celsius) {
            if let (Some(value), Some(month)) = (value, values.get_mut(month0(day))) {
                month.push(*value);
            }
        }
        let mut months = [None; 12];
        for (month, values) in months.iter_mut().zip(&mut values) {
            if values.len() < TEMPERATURES_MIN {
                continue;
            }
            sort(values);
            *month = median(values).and_then(|middle| {
                let mut apart: Vec<f64> = values.iter().map(|v| (v - middle).abs()).collect();
                sort(&mut apart);
                let deviation = median(&apart)?;
                Some((middle, (MAD_TO_SD * deviation).max(SD_MIN)))
            });
        }
        Self { months }
    }

    /// Robust standard deviations from the day's own month; `None` with fewer than 60 values in it.
    #[must_use]
    pub fn z(&self, day: NaiveDate, celsius: f64) -> Option<f64> {
        let (middle, deviation) = (*self.months.get(month0(day))?)?;
        Some((celsius - middle) / deviation)
    }

    /// Suspect beyond six of them.
    #[must_use]
    pub fn outlier(&self, day: NaiveDate, celsius: f64) -> Qartod {
        self.z(day, celsius).map_or(Qartod::NotEvaluated, |z| {
            Qartod::suspect_if(z.abs() > Z_MAX)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ten years in which every third day is wet, by an exponential law of mean 8 mm read to a
    /// tenth, in a fixed order.
    fn record() -> (NaiveDate, Vec<Option<f64>>) {
        let first = NaiveDate::from_ymd_opt(2010, 1, 1).unwrap();
        let rain = (0..3_653_u32)
            .map(|n| {
                let uniform = f64::from(n.wrapping_mul(7_919) % 3_643 + 1) / 3_644.0;
                let mm = 1.0 - 8.0 * libm::log(uniform);
                Some(if n % 3 == 0 {
                    libm::round(mm * 10.0) / 10.0
                } else {
                    0.0
                })
            })
            .collect();
        (first, rain)
    }

    #[test]
    fn quantiles_leave_out_what_is_judged() {
        let sorted = [1.0, 2.0, 3.0, 3.0, 10.0];
        let of = |without: std::ops::Range<usize>, p| quantile_without(&sorted, &without, p);
        assert_eq!(of(0..0, 0.5), Some(3.0));
        assert_eq!(of(2..4, 0.5), Some(2.0));
        assert_eq!(of(0..0, 1.0), Some(10.0));
        assert_eq!(of(4..5, 1.0), Some(3.0));
        assert_eq!(of(0..0, 0.125), Some(1.5));
        assert_eq!(of(0..5, 0.5), None);
        assert_eq!(equal(&sorted, 3.0), 2..4);
    }

    #[test]
    fn a_total_far_beyond_its_month_is_suspect_and_the_rest_of_the_record_is_not() {
        let (first, mut rain) = record();
        let clean = RainClimate::of(first, &rain);
        // one in twenty a month by chance alone
        let odd = |climate: &RainClimate, rain: &[Option<f64>]| {
            let days = first.iter_days().zip(rain.iter().flatten());
            days.filter(|(day, mm)| climate.tail(*day, **mm).is_odd())
                .count()
        };
        assert!(odd(&clean, &rain) <= 1, "{}", odd(&clean, &rain));
        rain[501] = Some(140.0);
        let climate = RainClimate::of(first, &rain);
        let day = first + chrono::Days::new(501);
        assert_eq!(climate.tail(day, 140.0), Qartod::Suspect);
        // twice the same impossible day does not make it possible
        rain[510] = Some(140.0);
        assert_eq!(
            RainClimate::of(first, &rain).tail(day, 140.0),
            Qartod::Suspect
        );
    }

    #[test]
    fn an_extreme_that_comes_again_to_the_last_digit_is_suspect() {
        let (first, mut rain) = record();
        let clean = RainClimate::of(first, &rain);
        let odd = |climate: &RainClimate, rain: &[Option<f64>]| {
            rain.iter()
                .flatten()
                .filter(|mm| climate.repeat(**mm).is_odd())
                .count()
        };
        assert_eq!(odd(&clean, &rain), 0);
        for day in [100, 1_000, 2_000] {
            rain[day] = Some(48.3);
        }
        assert_eq!(odd(&RainClimate::of(first, &rain), &rain), 3);
        // an ordinary total may come as often as it likes
        assert_eq!(clean.repeat(5.0), Qartod::Good);
    }

    #[test]
    fn with_few_wet_days_nothing_is_said() {
        let first = NaiveDate::from_ymd_opt(2020, 1, 1).unwrap();
        let climate = RainClimate::of(first, &[Some(2.0), Some(90.0), None, Some(90.0)]);
        assert_eq!(climate.tail(first, 90.0), Qartod::NotEvaluated);
        assert_eq!(climate.repeat(90.0), Qartod::NotEvaluated);
        assert_eq!(RainClimate::of(first, &[]).quantile(0.9), None);
        assert_eq!(
            RainClimate::of(first, &[]).repeat(90.0),
            Qartod::NotEvaluated
        );
    }

    #[test]
    fn a_night_of_three_degrees_does_not_belong_to_a_desert() {
        let first = NaiveDate::from_ymd_opt(2020, 8, 1).unwrap();
        let nights: Vec<Option<f64>> = (0..800_u32)
            .map(|n| Some(24.0 + f64::from(n % 5) * 0.5))
            .collect();
        let climate = TemperatureClimate::of(first, &nights);
        assert_eq!(climate.outlier(first, 3.0), Qartod::Suspect);
        assert_eq!(climate.outlier(first, 22.0), Qartod::Good);
        let short = TemperatureClimate::of(first, &[Some(24.0); 20]);
        assert_eq!(short.outlier(first, 3.0), Qartod::NotEvaluated);
    }
}
