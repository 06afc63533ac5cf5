//! The page's clock: plays the season by the next thing due, pauses it, and lets the minute pass
//! that a phone's payment needs. The one writer of the clock file while the page is served; it
//! reuses the season driver's way of moving and never skips work that is due.
//! Stepped by the sandbox's task, ordered about by the page's buttons.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;

use super::calendar::{Calendar, Pace, Phase, Standing, Stop, year_of};
use crate::World;
use crate::season::advance::Driver;
use crate::season::chaos::{Chaos, Stage};
use crate::season::clock::ClockFile;
use crate::season::net::Net;
use crate::season::report::Report;
use crate::season::say::Say;
use crate::wallets::StkBehaviour;

/// How long after an answered prompt the paused clock runs on: Swypt is asked within it, and the
/// text that says so arrives.
const MOMENT: TimeDelta = TimeDelta::seconds(70);
/// What is due closer together than this is met together in a moment.
const MOMENT_GRAIN: TimeDelta = TimeDelta::seconds(5);
/// Pause between looks when nothing is asked.
const IDLE_MS: u64 = 100;

/// What a step did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Played {
    /// Nobody wants time to pass.
    Nothing,
    /// Play waits for a person: a prompt is open on a phone.
    Waiting,
    /// Time moved; this long, in real time, until the next step.
    Moved(Duration),
}

impl Played {
    /// How long to wait before the next step.
    #[must_use]
    pub fn wait(self) -> Duration {
        match self {
            Self::Moved(pause) => pause,
            Self::Nothing | Self::Waiting => Duration::from_millis(IDLE_MS),
        }
    }
}

/// Why the clock stands, for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Note {
    /// A prompt is open.
    PromptOpen,
    /// Somebody dialled.
    PhoneInUse,
    /// The last day of sale, and nobody has bought.
    LastCall,
    /// The sale opens.
    SaleOpens,
    /// Everything is settled.
    SeasonOver,
    /// The days for deciding have passed, and something is not settled.
    Unsettled,
    /// Releases wait for two people.
    Held,
}

/// What people want of the clock, and how it stands.
#[derive(Debug, Clone, Default)]
pub(crate) struct Orders {
    pub(crate) is_playing: bool,
    pub(crate) pace: Pace,
    pub(crate) moment_until: Option<DateTime<Utc>>,
    pub(crate) is_moving: bool,
    pub(crate) note: Option<Note>,
    /// What went wrong at the last step.
    pub(crate) trouble: Option<String>,
}

/// The clock's hand.
#[derive(Debug)]
pub(crate) struct Player {
    file: String,
    driver: tokio::sync::Mutex<Driver>,
    orders: Mutex<Orders>,
}

/// How the product stands in a year, from its own report.
pub(crate) fn standing(report: &Report, year: i32) -> Standing {
    let covered: Vec<_> = report.risks.iter().filter(|r| r.policies > 0).collect();
    let payouts = &report.payouts;
    Standing {
        is_insured: covered
            .iter()
            .any(|risk| year_of(&risk.season) == Some(year)),
        is_settled: report.policies.active == 0
            && covered.iter().all(|risk| risk.evaluation.is_some())
            && payouts.planned == payouts.paid + payouts.refused,
    }
}

/// Whether a release waits for two people.
pub(crate) fn is_held(report: &Report) -> bool {
    let evaluations = report.risks.iter().filter_map(|r| r.evaluation.as_ref());
    report.payouts.held > 0 || evaluations.into_iter().any(|e| e.state == "held")
}

impl Player {
    /// Takes over the clock file.
    pub(crate) fn new(net: Net, file: &str) -> anyhow::Result<Self> {
        let clock = ClockFile::open(file, DateTime::UNIX_EPOCH)?;
        Ok(Self {
            file: file.to_owned(),
            driver: tokio::sync::Mutex::new(Driver {
                net,
                clock,
                chaos: Chaos::new(false, 0),
                say: Say::silent(),
                jumps: 0,
            }),
            orders: Mutex::default(),
        })
    }

    /// What is wanted now.
    pub(crate) fn orders(&self) -> Orders {
        self.change(|orders| orders.clone())
    }

    /// Play or pause, and how fast.
    pub(crate) fn order(&self, is_playing: Option<bool>, pace: Option<Pace>) {
        self.change(|orders| {
            orders.pace = pace.unwrap_or(orders.pace);
            if let Some(is_playing) = is_playing {
                orders.is_playing = is_playing;
                orders.note = None;
                orders.trouble = None;
            }
        });
    }

    /// Somebody takes up a phone: the season must not run away under the call.
    pub(crate) fn hold_for_call(&self) {
        self.change(|orders| {
            if orders.is_playing {
                orders.is_playing = false;
                orders.note = Some(Note::PhoneInUse);
            }
        });
    }

    /// A payment was answered: its minute passes even while the season is paused.
    pub(crate) fn let_a_moment_pass(&self, now: DateTime<Utc>) {
        self.change(|orders| orders.moment_until = Some(now + MOMENT));
    }

    fn change<T>(&self, work: impl FnOnce(&mut Orders) -> T) -> T {
        work(&mut self.orders.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Stops play and says why, unless a person has stopped it meanwhile: hers is the reason then.
    fn stop(&self, note: Note) {
        self.change(|orders| {
            if orders.is_playing {
                orders.is_playing = false;
                orders.note = Some(note);
            }
        });
    }

    /// Whether the season may run on: somebody plays it, and nobody is asked for a PIN.
    fn may_play(&self, world: &World) -> bool {
        self.change(|orders| orders.is_playing) && !is_asking(world)
    }

    /// One moment, one leg of play, or nothing.
    pub(crate) async fn step(&self, world: &World) -> Played {
        let orders = self.orders();
        if let Some(until) = orders.moment_until {
            let moved = self
                .move_to(until, MOMENT_GRAIN, Stage::Paying, || true)
                .await
                .map(drop);
            self.change(|orders| {
                // a later moment may have been asked for meanwhile
                orders.moment_until = orders.moment_until.filter(|later| *later > until);
            });
            return self.told(moved, Duration::from_millis(IDLE_MS));
        }
        if !orders.is_playing {
            return Played::Nothing;
        }
        if is_asking(world) {
            self.change(|orders| orders.note = Some(Note::PromptOpen));
            return Played::Waiting;
        }
        let moved = self.play(world, orders.pace).await;
        self.told(moved, Duration::from_millis(orders.pace.pause_ms()))
    }

    fn told(&self, moved: anyhow::Result<()>, pause: Duration) -> Played {
        if let Err(error) = moved {
            tracing::warn!(%error, "the page's clock stopped");
            self.change(|orders| {
                orders.is_playing = false;
                orders.note = None;
                orders.trouble = Some(format!("{error:#}"));
            });
        }
        Played::Moved(pause)
    }

    async fn play(&self, world: &World, pace: Pace) -> anyhow::Result<()> {
        let now = world.now();
        let report = self.report().await?;
        let Some(calendar) = Calendar::at(now) else {
            anyhow::bail!("the product's calendar cannot be read");
        };
        let before = standing(&report, calendar.year);
        if is_held(&report) {
            self.stop(Note::Held);
            return Ok(());
        }
        let Some(leg) = calendar.leg(now, pace, before) else {
            self.stop(over(before));
            return Ok(());
        };
        // the report took its time: a phone may have been picked up
        if !self.may_play(world) {
            return Ok(());
        }
        self.change(|orders| {
            if orders.is_playing {
                orders.note = None;
            }
        });
        let (report, at) = self
            .move_to(leg.target, leg.grain, leg.stage, || self.may_play(world))
            .await?;
        let after = standing(&report, calendar.year);
        let is_over = calendar.phase(at, after) == Phase::Over;
        let note = match leg.stop.filter(|_| at >= leg.target) {
            Some(Stop::LastCall) => Some(Note::LastCall),
            Some(Stop::SaleOpens) => Some(Note::SaleOpens),
            None if is_held(&report) => Some(Note::Held),
            None if is_over => Some(over(after)),
            None => None,
        };
        if let Some(note) = note {
            self.stop(note);
        }
        Ok(())
    }

    async fn report(&self) -> anyhow::Result<Report> {
        let driver = self.driver.lock().await;
        driver.net.ask("/api/v1/operator/report").await
    }

    /// Moves as the season driver does while `may_go_on`, and says how the product stands then, and
    /// when that is.
    async fn move_to(
        &self,
        target: DateTime<Utc>,
        grain: TimeDelta,
        stage: Stage,
        may_go_on: impl Fn() -> bool + Send,
    ) -> anyhow::Result<(Report, DateTime<Utc>)> {
        self.change(|orders| orders.is_moving = true);
        let mut driver = self.driver.lock().await;
        let moved = async {
            // a person may have moved the file by hand before the page was served
            driver.clock = ClockFile::open(&self.file, DateTime::UNIX_EPOCH)?;
            driver
                .advance_while(target, grain, stage, may_go_on)
                .await?;
            let report = driver.net.ask("/api/v1/operator/report").await?;
            Ok((report, driver.clock.now()))
        };
        let moved = moved.await;
        self.change(|orders| orders.is_moving = false);
        moved
    }
}

/// Why play ends when the insured year does.
fn over(standing: Standing) -> Note {
    if standing.is_insured && !standing.is_settled {
        Note::Unsettled
    } else {
        Note::SeasonOver
    }
}

/// Whether a phone waits for its owner to answer a prompt.
fn is_asking(world: &World) -> bool {
    world.with(|state, _| {
        state.wallets.phones.values().any(|phone| {
            phone.stk == StkBehaviour::Ask && phone.prompts.iter().any(|p| p.state == "open")
        })
    })
}
