//! From a rain counter to local days (UTC+3). Counters are whole micrometres before they are
//! subtracted; what fell between two samples belongs to the later one's local day, and a sample at
//! exactly 21:00:00Z closes the old day. A fall of the counter is a reset: rain since. What cannot
//! be told stays missing, never zero. Used by the stream.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, NaiveDate, Utc};
use domain::evidence::StationDay;
use domain::measure::RainUm;
use domain::season::{Window, day_of_interval_ending, day_starts_at, local_day, next_day};

use super::qc::{DAY_UM_MAX, Flag, is_too_fast};

/// The longest time between two samples over local midnight for which rain may be given to one
/// side, seconds.
pub const GAP_SECONDS_MAX: i64 = 3_600;

/// Seconds of a day.
const SECONDS_PER_DAY: i64 = 86_400;

/// The longest silence, days, over which a counter tells anything: after a longer one nothing is
/// known of the days between, even if it stood still. It also bounds how far a reading reaches, so
/// that what a day comes to does not depend on which of its readings arrived first.
pub const SILENCE_DAYS_MAX: i64 = 12;

/// One reading of the counter.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reading {
    /// When.
    pub at: DateTime<Utc>,
    /// The counter, µm; `None` when the reading was refused or held none.
    pub counter_um: Option<i32>,
    /// Digest of the raw reply it came in.
    pub reply: String,
}

#[derive(Debug, Default)]
struct Tally {
    rain_um: i64,
    is_lost: bool,
    samples: u32,
    resets: u32,
    flags: BTreeSet<Flag>,
    replies: BTreeSet<String>,
}

/// The local days of a window, from readings in any order. The readings must reach from the last
/// one at or before the window's opening to the first one at or after its close.
#[must_use]
pub fn station_days(readings: &[Reading], window: Window) -> Vec<StationDay> {
    let mut tallies: BTreeMap<NaiveDate, Tally> =
        window.days().map(|day| (day, Tally::default())).collect();
    let mut sorted: Vec<&Reading> = readings.iter().collect();
    sorted.sort();
    let mut known: Vec<(&Reading, RainUm)> = Vec::with_capacity(sorted.len());
    for reading in sorted {
        if let Some(counter) = reading.counter_um {
            known.push((reading, RainUm(counter)));
        }
        if let Some(tally) = tallies.get_mut(&day_of_interval_ending(reading.at)) {
            match reading.counter_um {
                Some(_) => tally.samples = tally.samples.saturating_add(1),
                None => {
                    tally.flags.insert(Flag::Refused);
                }
            }
            tally.replies.insert(reading.reply.clone());
        }
    }
    for pair in known.windows(2) {
        if let [before, after] = pair {
            count_interval(&mut tallies, *before, *after);
        }
    }
    let from = known.first().map(|(reading, _)| reading.at);
    let until = known.last().map(|(reading, _)| reading.at);
    tallies
        .into_iter()
        .map(|(day, tally)| {
            let is_enclosed = from.is_some_and(|from| from <= day_starts_at(day))
                && until.is_some_and(|until| until >= day_starts_at(next_day(day)));
            close(day, tally, is_enclosed)
        })
        .collect()
}

/// Gives the rain of (before, after] to its day, or loses the days it cannot be told apart between.
fn count_interval(
    tallies: &mut BTreeMap<NaiveDate, Tally>,
    (start, before): (&Reading, RainUm),
    (end, after): (&Reading, RainUm),
) {
    let seconds = end.at.signed_duration_since(start.at).num_seconds();
    let is_reset = after < before;
    let delta = if is_reset {
        after
    } else {
        RainUm(after.0.saturating_sub(before.0))
    };
    let (opening, closing) = (local_day(start.at), day_of_interval_ending(end.at));
    if seconds > SILENCE_DAYS_MAX * SECONDS_PER_DAY {
        for (_, tally) in tallies.range_mut(opening..=closing) {
            tally.is_lost = true;
        }
        return;
    }
    let is_long = seconds > GAP_SECONDS_MAX;
    if is_long && opening < closing {
        // a reset hides what fell before it: then nothing is known of either side
        let is_dry = delta == RainUm::DRY && !is_reset;
        for (_, tally) in tallies.range_mut(opening..=closing) {
            tally
                .flags
                .insert(if is_dry { Flag::Bridged } else { Flag::Lost });
            tally.is_lost |= !is_dry;
        }
    }
    if let Some(tally) = tallies.get_mut(&closing) {
        tally.rain_um = tally.rain_um.saturating_add(i64::from(delta.0));
        tally.replies.insert(start.reply.clone());
        if is_reset {
            tally.resets = tally.resets.saturating_add(1);
            tally.flags.insert(Flag::Reset);
        }
        if is_long && opening == closing {
            tally.flags.insert(Flag::Gap);
        }
        if is_too_fast(delta, seconds) {
            tally.flags.insert(Flag::Rate);
        }
    }
}

fn close(day: NaiveDate, mut tally: Tally, is_enclosed: bool) -> StationDay {
    let sum = i32::try_from(tally.rain_um).ok().map(RainUm);
    let rain_um = sum.filter(|_| is_enclosed && !tally.is_lost);
    if rain_um.is_some_and(|rain| rain.0 > DAY_UM_MAX) {
        tally.flags.insert(Flag::Heavy);
    }
    StationDay {
        day,
        rain_um,
        samples: tally.samples,
        resets: tally.resets,
        flags: tally
            .flags
            .into_iter()
            .map(|flag| flag.as_str().to_owned())
            .collect(),
        replies: tally.replies.into_iter().collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    /// `03-04T21:00 1.250` a line: an instant of March 2026, UTC, and a counter in millimetres.
    fn readings(text: &str) -> Vec<Reading> {
        text.lines()
            .map(str::trim)
            .filter(|line| !line.is_empty())
            .map(|line| {
                let (instant, counter) = line.split_once(' ').unwrap();
                let counter = counter.parse().ok();
                Reading {
                    at: at(&format!("2026-{instant}:00Z")),
                    counter_um: counter.map(|mm| domain::measure::from_millimetres(mm).unwrap().0),
                    reply: instant.split_once('T').unwrap().0.to_owned(),
                }
            })
            .collect()
    }

    fn days(text: &str, first: &str, last: &str) -> Vec<StationDay> {
        let window = Window {
            start: day(first),
            end: next_day(day(last)),
        };
        station_days(&readings(text), window)
    }

    fn rain(text: &str, first: &str, last: &str) -> Vec<Option<i32>> {
        days(text, first, last)
            .into_iter()
            .map(|day| day.rain_um.map(|rain| rain.0))
            .collect()
    }

    fn has(day: &StationDay, flag: Flag) -> bool {
        day.flags.iter().any(|name| name == flag.as_str())
    }

    #[test]
    fn the_sample_at_local_midnight_closes_the_old_day() {
        let counted = rain(
            "03-04T20:50 1.0
             03-04T21:00 3.0
             03-04T21:10 7.0
             03-05T21:00 7.5
             03-06T21:00 7.5",
            "2026-03-05",
            "2026-03-06",
        );
        assert_eq!(counted, [Some(4_500), Some(0)]);
    }

    #[test]
    fn without_a_sample_at_midnight_the_later_sample_has_it() {
        let day = |first: &str| {
            rain(
                &format!("{first}\n03-05T21:20 6.0\n03-05T22:00 6.0"),
                "2026-03-05",
                "2026-03-06",
            )
        };
        // 40 minutes over midnight: the rain belongs to the day of the later sample
        assert_eq!(day("03-04T21:00 1.0\n03-05T20:40 2.0"), [Some(1_000), None]);
    }

    #[test]
    fn a_long_silence_over_midnight_is_dry_only_if_the_counter_stood_still() {
        let with = |later: &str| {
            let text =
                format!("03-04T21:00 1.0\n03-05T19:00 2.0\n03-05T23:00 {later}\n03-06T21:00 9.0");
            days(&text, "2026-03-05", "2026-03-06")
        };
        let dry = with("2.0");
        assert_eq!(dry[0].rain_um, Some(RainUm(1_000)));
        assert_eq!(dry[1].rain_um, Some(RainUm(7_000)));
        assert!(has(&dry[0], Flag::Bridged));
        let lost = with("2.1");
        assert_eq!((lost[0].rain_um, lost[1].rain_um), (None, None));
        assert!(has(&lost[1], Flag::Lost));
        let rebooted = with("0.0");
        assert_eq!((rebooted[0].rain_um, rebooted[1].rain_um), (None, None));
    }

    #[test]
    fn a_silence_of_more_than_twelve_days_tells_nothing_even_if_the_counter_stood_still() {
        let dry = |last: &str| {
            rain(
                &format!("03-04T21:00 1.0\n{last} 1.0\n03-31T21:00 1.0"),
                "2026-03-05",
                "2026-03-18",
            )
        };
        assert_eq!(dry("03-16T21:00")[..12], [Some(0); 12]);
        assert_eq!(dry("03-16T21:15"), [None; 14]);
    }

    #[test]
    fn a_silence_inside_a_day_loses_nothing() {
        let days = days(
            "03-04T21:00 1.0\n03-05T03:00 1.5\n03-05T12:00 4.0\n03-05T21:00 4.0",
            "2026-03-05",
            "2026-03-05",
        );
        assert_eq!(days[0].rain_um, Some(RainUm(3_000)));
        assert!(has(&days[0], Flag::Gap));
        assert_eq!(days[0].samples, 3);
    }

    #[test]
    fn a_fallen_counter_is_a_reset_and_counts_what_fell_since() {
        // the provider's own example: a counter falls to 0 at a reboot and goes on
        let days = days(
            "03-04T21:00 410.2
                 03-05T06:00 412.7
                 03-05T06:15 0.0
                 03-05T06:30 0.6
                 03-05T21:00 1.1",
            "2026-03-05",
            "2026-03-05",
        );
        assert_eq!(days[0].rain_um, Some(RainUm(3_600)));
        assert_eq!(days[0].resets, 1);
        let jumped = rain(
            "03-04T21:00 99999.9\n03-05T06:00 2.5\n03-05T21:00 2.5",
            "2026-03-05",
            "2026-03-05",
        );
        assert_eq!(jumped, [Some(2_500)], "the counter fell at its maximum");
    }

    #[test]
    fn what_is_not_enclosed_by_samples_is_missing() {
        assert_eq!(rain("", "2026-03-05", "2026-03-05"), [None]);
        assert_eq!(
            rain(
                "03-05T10:00 1.0\n03-05T21:00 1.0",
                "2026-03-05",
                "2026-03-05"
            ),
            [None]
        );
        assert_eq!(
            rain(
                "03-04T21:00 1.0\n03-05T20:45 1.0",
                "2026-03-05",
                "2026-03-05"
            ),
            [None]
        );
        assert_eq!(
            rain("03-04T21:00 -\n03-05T21:00 1.0", "2026-03-05", "2026-03-05"),
            [None]
        );
    }

    #[test]
    fn a_refused_reading_is_stepped_over_and_flagged() {
        let days = days(
            "03-04T21:00 1.0\n03-05T10:00 -\n03-05T10:15 2.0\n03-05T21:00 2.0",
            "2026-03-05",
            "2026-03-05",
        );
        assert_eq!(days[0].rain_um, Some(RainUm(1_000)));
        assert!(has(&days[0], Flag::Refused));
    }

    #[test]
    fn rain_faster_than_a_gauge_can_measure_is_flagged_and_kept() {
        let days = days(
            "03-04T21:00 0.0\n03-05T10:00 0.0\n03-05T10:01 20.0\n03-05T21:00 20.0",
            "2026-03-05",
            "2026-03-05",
        );
        assert_eq!(days[0].rain_um, Some(RainUm(20_000)));
        assert!(has(&days[0], Flag::Rate));
    }

    #[test]
    fn a_day_names_the_replies_it_was_computed_from() {
        let both = days(
            "03-04T21:00 1.0\n03-05T09:00 2.0\n03-05T21:00 2.0",
            "2026-03-05",
            "2026-03-05",
        );
        assert_eq!(both[0].replies, ["03-04", "03-05"]);
        assert_eq!(both[0].flags, ["gap"]);
    }
}
