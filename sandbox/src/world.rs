//! The world: one clock, one seed, one locked state shared by every twin, and the step that fires
//! what is due. The lock is never held while waiting for anybody.
//! Built by `serve`, by provider tests and by the simulation.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use runtime::clock::Clock;

use crate::callback::{Callback, CallbackSink};
use crate::earthsearch::Scenes;
use crate::faults::{Faults, Rates};
use crate::schedule::{Action, Schedule};
use crate::wallets::{Movement, MovementKind, PhoneSetup, Wallets};
use crate::{africastalking, mpesa, pinata, swypt, weatherxm};

/// Most events fired in one step: enough for any burst, small enough to notice a loop.
const EVENTS_PER_STEP_MAX: usize = 10_000;

/// Keys the product must show; the defaults are what the demo's processes are started with.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// Africa's Talking user name.
    pub at_username: String,
    /// Africa's Talking key.
    pub at_api_key: String,
    /// Swypt key.
    pub swypt_api_key: String,
    /// Swypt secret.
    pub swypt_secret_key: String,
    /// M-Pesa app key.
    pub mpesa_consumer_key: String,
    /// M-Pesa app secret.
    pub mpesa_consumer_secret: String,
    /// M-Pesa paying shortcode.
    pub mpesa_shortcode: String,
    /// WeatherXM key.
    pub weatherxm_api_key: String,
    /// Pinata bearer token.
    pub pinata_jwt: String,
}

impl Default for Credentials {
    fn default() -> Self {
        Self {
            at_username: "sandbox".to_owned(),
            at_api_key: "sandbox-at-key".to_owned(),
            swypt_api_key: "sandbox-swypt-key".to_owned(),
            swypt_secret_key: "sandbox-swypt-secret".to_owned(),
            mpesa_consumer_key: "sandbox-mpesa-key".to_owned(),
            mpesa_consumer_secret: "sandbox-mpesa-secret".to_owned(),
            mpesa_shortcode: "600992".to_owned(),
            weatherxm_api_key: "sandbox-weatherxm-key".to_owned(),
            pinata_jwt: "sandbox-pinata-jwt".to_owned(),
        }
    }
}

/// How a world is made.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// Decides every fault, delay and synthetic value.
    pub seed: u64,
    /// Keys the product must show.
    pub credentials: Credentials,
    /// The dialled code.
    pub service_code: Option<String>,
    /// Where USSD hops go.
    pub ussd_url: String,
    /// Where SMS delivery reports go; empty sends none.
    pub at_delivery_url: String,
    /// Where end-of-session notices go; empty sends none.
    pub at_events_url: String,
    /// Folder that keeps pinned objects; `None` keeps them in memory.
    pub pinata_folder: Option<std::path::PathBuf>,
}

/// What one step did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stepped {
    /// Events fired.
    pub fired: usize,
    /// Callbacks the product took.
    pub delivered: usize,
    /// Callbacks that did not arrive.
    pub undelivered: usize,
}

/// Everything that changes, behind one lock.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) wallets: Wallets,
    pub(crate) schedule: Schedule,
    pub(crate) faults: Faults,
    pub(crate) swypt: swypt::Orders,
    pub(crate) mpesa: mpesa::Disbursements,
    pub(crate) pinata: pinata::Objects,
    pub(crate) africastalking: africastalking::Messages,
    pub(crate) settings: Settings,
    /// Seed and start: ids differ between runs although faults do not.
    pub(crate) salt: String,
}

/// How late a late callback is, seconds: well past the first enquiry, two minutes after sending.
const LATE_CALLBACK_SECONDS: i64 = 630;
/// How long after a callback its repeat comes, seconds.
const REPEAT_CALLBACK_SECONDS: i64 = 30;
/// How much earlier than planned a callback that overtakes comes, seconds.
const OVERTAKE_SECONDS: i64 = 5;

impl State {
    /// Schedules a callback for `at`, subject to its faults; one that overtakes comes earlier, but
    /// not before `earliest`.
    pub(crate) fn call_back(
        &mut self,
        at: DateTime<Utc>,
        earliest: DateTime<Utc>,
        key: &str,
        callback: Callback,
    ) {
        let fault = self.faults.callback(callback.provider, callback.kind, key);
        if fault.is_never {
            self.faults.count("never");
            return;
        }
        let mut at = at;
        if fault.is_late {
            self.faults.count("late");
            at += TimeDelta::seconds(LATE_CALLBACK_SECONDS);
        } else if fault.is_reordered && earliest < at {
            self.faults.count("reordered");
            at = (at - TimeDelta::seconds(OVERTAKE_SECONDS)).max(earliest);
        }
        if fault.is_repeated {
            self.faults.count("repeats");
            let again = at + TimeDelta::seconds(REPEAT_CALLBACK_SECONDS);
            self.schedule.add(again, Action::Deliver(callback.clone()));
        }
        self.schedule.add(at, Action::Deliver(callback));
    }
}

#[derive(Debug)]
struct Inner {
    clock: Clock,
    sink: CallbackSink,
    state: Mutex<State>,
    in_flight: AtomicUsize,
    weather: Mutex<weatherxm::Weather>,
}

/// Counts a delivery as finished when dropped.
struct InFlight<'a>(&'a AtomicUsize);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// What became of the next due event.
enum Fired {
    /// None was due.
    Nothing,
    /// It changed the world and calls nobody.
    Quietly,
    /// It calls the product.
    Calling(Callback),
}

/// A pretend world; clones share it.
#[derive(Debug, Clone)]
pub struct World(Arc<Inner>);

impl World {
    /// A world at the clock's time, with no faults and no phones.
    #[must_use]
    pub fn new(clock: Clock, settings: Settings, sink: CallbackSink) -> Self {
        let state = State {
            faults: Faults::new(settings.seed),
            salt: format!("{}/{}", settings.seed, clock.now().to_rfc3339()),
            settings,
            ..State::default()
        };
        let weather = weatherxm::Weather {
            scenes: Scenes::since(clock.now()),
            ..weatherxm::Weather::default()
        };
        Self(Arc::new(Inner {
            clock,
            sink,
            state: Mutex::new(state),
            in_flight: AtomicUsize::new(0),
            weather: Mutex::new(weather),
        }))
    }

    /// The world's present instant.
    #[must_use]
    pub fn now(&self) -> DateTime<Utc> {
        self.0.clock.now()
    }

    /// Fires everything that is due, in order, and delivers the callbacks among it.
    pub async fn step(&self) -> Stepped {
        let now = self.now();
        let mut stepped = Stepped::default();
        while stepped.fired < EVENTS_PER_STEP_MAX {
            let fired = self.fire(now);
            stepped.fired += usize::from(!matches!(fired, Fired::Nothing));
            let callback = match fired {
                Fired::Nothing => break,
                Fired::Quietly => continue,
                Fired::Calling(callback) => callback,
            };
            // a caller that goes away in the middle must not leave the world waiting for ever
            let in_flight = InFlight(&self.0.in_flight);
            let taken = self.0.sink.deliver(callback).await;
            drop(in_flight);
            if taken {
                stepped.delivered += 1;
            } else {
                stepped.undelivered += 1;
                self.with(|state, _| state.faults.count("callbacks_undelivered"));
            }
        }
        stepped
    }

    /// Steps every 20 ms of real time while `go_on` says so: the pause must wait and say whether
    /// to continue (`runtime::lifecycle::Lifecycle::pause`).
    pub async fn run<P, F>(&self, pause: P)
    where
        P: Fn(Duration) -> F,
        F: Future<Output = bool>,
    {
        while pause(Duration::from_millis(20)).await {
            self.step().await;
        }
    }

    /// The earliest scheduled instant, and how many events are due and not finished.
    #[must_use]
    pub fn next_due(&self) -> (Option<DateTime<Utc>>, usize) {
        self.with(|state, now| {
            let overdue = state.schedule.overdue(now) + self.0.in_flight.load(Ordering::Acquire);
            (state.schedule.next_due(), overdue)
        })
    }

    /// Callbacks queued by an in-process sink, oldest first.
    #[must_use]
    pub fn take_callbacks(&self) -> Vec<Callback> {
        self.0.sink.take()
    }

    /// Sets the fault rates, and the seed they are drawn from if given.
    pub fn set_faults(&self, seed: Option<u64>, rates: Rates) -> Result<(), String> {
        rates.check()?;
        self.with(|state, _| {
            state.faults.rates = rates;
            state.faults.seed = seed.unwrap_or(state.faults.seed);
        });
        Ok(())
    }

    /// What was injected and seen so far, by name.
    #[must_use]
    pub fn counters(&self) -> std::collections::BTreeMap<&'static str, u64> {
        self.with(|state, _| state.faults.counters())
    }

    /// Opens or changes a wallet.
    pub fn set_up_phone(&self, setup: PhoneSetup) -> Result<(), String> {
        let phone =
            domain::msisdn::Msisdn::parse(&setup.msisdn).map_err(|error| error.to_string())?;
        if setup.balance_kes < 0 {
            return Err("balance_kes must not be negative".to_owned());
        }
        self.with(|state, _| state.wallets.set_up(phone.digits(), setup));
        Ok(())
    }

    /// Cents collected from and disbursed to all wallets so far.
    #[must_use]
    pub fn totals(&self) -> (i64, i64) {
        self.with(|state, _| {
            (
                state.wallets.total(MovementKind::Collect),
                state.wallets.total(MovementKind::Disburse),
            )
        })
    }

    /// Every movement so far.
    #[must_use]
    pub fn book(&self) -> Vec<Movement> {
        self.with(|state, _| state.wallets.book.clone())
    }

    /// Texts received by a phone of these twelve digits, oldest first.
    #[must_use]
    pub fn texts(&self, digits: &str) -> Vec<String> {
        self.with(|state, _| {
            let phone = state.wallets.phones.get(digits);
            phone.map_or_else(Vec::new, |phone| {
                phone.sms.iter().map(|s| s.text.clone()).collect()
            })
        })
    }

    /// Changes or reads the state at the present instant; `work` must not wait.
    pub(crate) fn with<T>(&self, work: impl FnOnce(&mut State, DateTime<Utc>) -> T) -> T {
        let now = self.now();
        let mut state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        work(&mut state, now)
    }

    /// Changes or reads the weather; `work` must not wait.
    pub(crate) fn with_weather<T>(&self, work: impl FnOnce(&mut weatherxm::Weather) -> T) -> T {
        let mut weather = self
            .0
            .weather
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        work(&mut weather)
    }

    /// The HTTP client of the callback sink, if it has one.
    pub(crate) fn http(&self) -> Option<&runtime::http::Client> {
        match &self.0.sink {
            CallbackSink::Http(client) => Some(client),
            CallbackSink::InProcess(_) => None,
        }
    }

    /// Fires the next due event.
    fn fire(&self, now: DateTime<Utc>) -> Fired {
        self.with(|state, _| {
            let Some((due, action)) = state.schedule.pop_due(now) else {
                return Fired::Nothing;
            };
            match action {
                Action::AnswerPrompt { order_id } => {
                    swypt::answer_prompt(state, &order_id, due);
                    Fired::Quietly
                }
                Action::CollectAgain { order_id } => {
                    swypt::collect_again(state, &order_id, due);
                    Fired::Quietly
                }
                Action::Settle { originator_id } => {
                    mpesa::settle(state, &originator_id, due);
                    Fired::Quietly
                }
                Action::AnswerEnquiry(enquiry) => {
                    mpesa::answer_enquiry(state, &enquiry, due);
                    Fired::Quietly
                }
                Action::Deliver(callback) => {
                    state.faults.count("callbacks");
                    self.0.in_flight.fetch_add(1, Ordering::AcqRel);
                    Fired::Calling(callback)
                }
            }
        })
    }
}
