//! What goes wrong with a station's day on demand: impossible weather, silence, reboots. Spoils
//! what was measured; never what is measured next. Asked for by `POST /control/weather`.

use chrono::{DateTime, NaiveDate, NaiveTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::sky::Sample;

/// What goes wrong with one UTC day of a station.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum FaultKind {
    /// A negative counter in the afternoon.
    Negative,
    /// The station reboots at noon UTC: its counter starts anew, for good.
    Reset,
    /// A sample comes twice, and another twice with two values.
    Duplicate,
    /// A sample of the day after tomorrow.
    Future,
    /// Samples without a counter for two hours.
    Missing,
    /// No samples from 06:00 to 10:00 UTC.
    Silent,
    /// No samples from 19:00 to 23:00 UTC, over local midnight.
    SilentNight,
    /// No such day: 404.
    Absent,
}

/// A fault on demand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Fault {
    /// Station, or `*`.
    pub(crate) station: String,
    /// UTC day.
    pub(crate) date: NaiveDate,
    /// What.
    pub(crate) kind: FaultKind,
}

/// What was asked to go wrong with a day's samples.
pub(crate) fn spoil(
    mut samples: Vec<Sample>,
    faults: &[FaultKind],
    date: NaiveDate,
    now: DateTime<Utc>,
) -> Vec<Sample> {
    let hour = |at: DateTime<Utc>| {
        at.signed_duration_since(date.and_time(NaiveTime::MIN).and_utc())
            .num_hours()
    };
    for fault in faults {
        let at = samples.iter().position(|sample| hour(sample.at) == 14);
        match fault {
            FaultKind::Negative => {
                if let Some(sample) = at.and_then(|at| samples.get_mut(at)) {
                    sample.counter_um = Some(-9_999_000);
                }
            }
            FaultKind::Duplicate => {
                let later = samples.iter().copied().find(|sample| hour(sample.at) == 16);
                samples.extend(later);
                if let Some(sample) = at.and_then(|at| samples.get(at)).copied() {
                    let other = sample.counter_um.map(|um| um + 5_000);
                    samples.push(Sample {
                        counter_um: other,
                        ..sample
                    });
                }
            }
            FaultKind::Future => {
                let counter_um = samples.last().and_then(|last| last.counter_um);
                samples.push(Sample {
                    at: now + TimeDelta::days(2),
                    counter_um,
                });
            }
            FaultKind::Missing => {
                for sample in samples.iter_mut().filter(|s| (8..10).contains(&hour(s.at))) {
                    sample.counter_um = None;
                }
            }
            FaultKind::Silent => samples.retain(|s| !(6..10).contains(&hour(s.at))),
            FaultKind::SilentNight => samples.retain(|s| !(19..23).contains(&hour(s.at))),
            FaultKind::Reset | FaultKind::Absent => {}
        }
    }
    samples
}
