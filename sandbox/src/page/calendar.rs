//! Where in the insured year an instant lies, and how far the season plays in one step. Pure: no
//! clock is read here and nothing is moved. Used by the page's clock and shown by its view.

use chrono::{DateTime, Datelike, NaiveDate, TimeDelta, Utc};
use domain::quote::sale_window_of;
use domain::season::{Window, day_starts_at, local_day, next_day, next_dekad};
use serde::{Deserialize, Serialize};

use crate::season::chaos::Stage;
use crate::weather::wards;

/// Days after the cover's end within which everything is decided, people included.
const DECIDE_DAYS_MAX: i64 = 26;
/// The sky may not change from this long before the cover begins: the first sample is older.
const SKY_FIXED_HOURS: i64 = 24;

/// How fast the season plays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Pace {
    /// A day a step.
    Slow,
    /// Ten days a step, with time to read.
    #[default]
    Steady,
    /// Ten days a step, as fast as the product works.
    Fast,
}

impl Pace {
    /// Real milliseconds between two steps.
    pub(crate) fn pause_ms(self) -> u64 {
        match self {
            Self::Slow => 600,
            Self::Steady => 1_500,
            Self::Fast => 50,
        }
    }
}

/// A part of the insured year.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Phase {
    /// Nothing is on sale yet.
    BeforeSale,
    /// Cover can be bought.
    Sale,
    /// Rain counts.
    Growing,
    /// The season is over and not everything is settled.
    Deciding,
    /// Everything is settled.
    Over,
}

/// The insured year around an instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Calendar {
    pub(crate) year: i32,
    pub(crate) sale: Window,
    pub(crate) cover: Window,
}

/// What is known of the product when the next step is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Standing {
    /// Somebody has bought.
    pub(crate) is_insured: bool,
    /// Every risk is decided, and every shilling is where it belongs.
    pub(crate) is_settled: bool,
}

/// Why the clock stops by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    /// The sale opens.
    SaleOpens,
    /// The last day of sale, and nobody has bought.
    LastCall,
}

/// One step of play.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Leg {
    pub(crate) target: DateTime<Utc>,
    /// Things closer together than this are met together.
    pub(crate) grain: TimeDelta,
    pub(crate) stage: Stage,
    pub(crate) stop: Option<Stop>,
}

/// The year of a season's key, `MAM-2026`.
pub(crate) fn year_of(season: &str) -> Option<i32> {
    season.rsplit('-').next()?.parse().ok()
}

/// Nine in the morning in Nairobi.
fn morning(day: NaiveDate) -> DateTime<Utc> {
    day_starts_at(day) + TimeDelta::hours(9)
}

impl Calendar {
    /// The year of the first product; `None` only if its document could not be read.
    pub(crate) fn at(now: DateTime<Utc>) -> Option<Self> {
        let (year, product) = (local_day(now).year(), wards::product()?);
        Some(Self {
            year,
            sale: sale_window_of(product, year).ok()?,
            cover: product.cover_window(year).ok()?,
        })
    }

    pub(crate) fn phase(&self, now: DateTime<Utc>, standing: Standing) -> Phase {
        if now < self.sale.opens_at() {
            Phase::BeforeSale
        } else if now < self.sale.closes_at() {
            Phase::Sale
        } else if now < self.cover.closes_at() {
            Phase::Growing
        } else if now < self.decided_by() && standing.is_insured && !standing.is_settled {
            Phase::Deciding
        } else {
            Phase::Over
        }
    }

    fn decided_by(&self) -> DateTime<Utc> {
        self.cover.closes_at() + TimeDelta::days(DECIDE_DAYS_MAX)
    }

    /// Whether the sky can still be chosen: rain already measured must not change.
    pub(crate) fn is_sky_free(&self, now: DateTime<Utc>) -> bool {
        now < self.cover.opens_at() - TimeDelta::hours(SKY_FIXED_HOURS)
    }

    /// How far play goes next; nowhere once everything is settled.
    pub(crate) fn leg(&self, now: DateTime<Utc>, pace: Pace, standing: Standing) -> Option<Leg> {
        let today = local_day(now);
        let stepped = match pace {
            Pace::Slow => morning(next_day(today)),
            Pace::Steady | Pace::Fast => morning(next_dekad(today)),
        };
        let leg = |target: DateTime<Utc>, grain, stage| Leg {
            target,
            grain,
            stage,
            stop: None,
        };
        Some(match self.phase(now, standing) {
            Phase::BeforeSale => Leg {
                stop: Some(Stop::SaleOpens),
                ..leg(morning(self.sale.start), TimeDelta::days(3), Stage::Growing)
            },
            Phase::Sale if !standing.is_insured && now < morning(self.sale.last_day()) => {
                let last_call = morning(self.sale.last_day());
                let target = stepped.min(last_call);
                Leg {
                    stop: (target == last_call).then_some(Stop::LastCall),
                    ..leg(target, TimeDelta::hours(6), Stage::Growing)
                }
            }
            Phase::Sale => {
                let target = stepped.min(morning(self.cover.start));
                leg(target, TimeDelta::hours(6), Stage::Growing)
            }
            Phase::Growing => {
                let target = stepped.min(morning(self.cover.end));
                leg(target, TimeDelta::days(3), Stage::Growing)
            }
            Phase::Deciding => leg(
                morning(next_day(today)),
                TimeDelta::hours(2),
                Stage::Deciding,
            ),
            Phase::Over => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn target(now: &str, pace: Pace, standing: Standing) -> (String, Option<Stop>) {
        let now = at(now);
        let calendar = Calendar::at(now).unwrap();
        let leg = calendar.leg(now, pace, standing).unwrap();
        assert!(leg.target > now, "{now} {leg:?}");
        (leg.target.format("%Y-%m-%dT%H:%M").to_string(), leg.stop)
    }

    const INSURED: Standing = Standing {
        is_insured: true,
        is_settled: false,
    };
    const SETTLED: Standing = Standing {
        is_insured: true,
        is_settled: true,
    };

    #[test]
    fn play_goes_by_days_or_by_ten_days_and_meets_every_boundary() {
        let (slow, steady) = (Pace::Slow, Pace::Steady);
        let stands = |now, pace, standing| target(now, pace, standing).0;
        assert_eq!(
            stands("2026-01-15T06:00:00Z", slow, INSURED),
            "2026-01-16T06:00"
        );
        assert_eq!(
            stands("2026-01-15T06:00:00Z", steady, INSURED),
            "2026-01-21T06:00"
        );
        assert_eq!(
            stands("2026-02-21T06:00:00Z", steady, INSURED),
            "2026-03-01T06:00"
        );
        assert_eq!(
            stands("2026-05-21T06:00:00Z", Pace::Fast, INSURED),
            "2026-06-01T06:00"
        );
        // after the season a day at a time, however fast it plays
        assert_eq!(
            stands("2026-06-01T06:00:00Z", steady, INSURED),
            "2026-06-02T06:00"
        );
    }

    #[test]
    fn the_clock_stops_for_the_last_day_of_sale_only_while_nobody_has_bought() {
        let nobody = Standing::default();
        let last_call = ("2026-02-28T06:00".to_owned(), Some(Stop::LastCall));
        assert_eq!(
            target("2026-02-21T06:00:00Z", Pace::Steady, nobody),
            last_call
        );
        assert_eq!(
            target("2026-02-28T06:00:00Z", Pace::Steady, nobody),
            ("2026-03-01T06:00".to_owned(), None)
        );
    }

    #[test]
    fn play_begins_with_the_sale_and_ends_when_all_is_settled() {
        assert_eq!(
            target("2026-01-02T06:00:00Z", Pace::Steady, SETTLED),
            ("2026-01-15T06:00".to_owned(), Some(Stop::SaleOpens))
        );
        let now = at("2026-06-05T06:00:00Z");
        let calendar = Calendar::at(now).unwrap();
        assert!(calendar.leg(now, Pace::Steady, SETTLED).is_none());
        assert_eq!(calendar.phase(now, INSURED), Phase::Deciding);
        let late = at("2026-07-05T06:00:00Z");
        assert_eq!(
            calendar.phase(late, INSURED),
            Phase::Over,
            "no day without end"
        );
    }

    #[test]
    fn the_sky_is_fixed_before_the_first_sample_counts() {
        let free = |text| Calendar::at(at(text)).unwrap().is_sky_free(at(text));
        assert!(free("2026-01-15T06:00:00Z"));
        assert!(free("2026-02-27T20:59:00Z"));
        assert!(!free("2026-02-27T21:00:00Z"));
        assert!(!free("2026-06-10T06:00:00Z"));
    }
}
