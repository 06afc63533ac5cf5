//! Observes the weather: which stations stand around a risk when its first policy begins, and UTC
//! days of stations, many fetched side by side and written together. A reply is stored as it came
//! before anything is made of it; a reading that no gauge can give is kept as a fault and never as
//! rain. Must never judge rain and never choose stations: the data-processor does.
//! Heard on policy.activated and weather.due.

mod recording;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::{DateTime, Days, NaiveDate, TimeDelta, Utc};
use data_encoding::HEXLOWER;
use domain::cell::RiskCell;
use domain::event::{Envelope, Event};
use domain::id::RiskId;
use domain::money::BasisPoints;
use h3o::{LatLng, Resolution};
use providers::ProviderError;
use providers::weatherxm::{self, DayHistory, Fetched, Health, Observation, Station};
use runtime::broker::Message;
use runtime::telemetry::continue_trace;
use runtime::topology::Role;
use store::observations::{FetchState, Reading, UtcDay};
use store::stations::{self, Candidate};
use store::{Connection, StoreError, outbox, risks};
use tokio::sync::Semaphore;
use uuid::Uuid;

use self::recording::{Answer, Done, Recording};
use crate::consumer::{Handler, Outcome, decode, first_time};
use crate::role::Context;

/// How far from the centre of a cell a station may stand to be a candidate.
const RADIUS_M: u32 = 15_000;
/// Wait after a failed fetch.
const FETCH_AGAIN: TimeDelta = TimeDelta::minutes(15);
/// Wait for a day's quality, published once a day.
const ASK_AGAIN: TimeDelta = TimeDelta::days(1);
/// Days after which a day is taken without its quality, or as absent: the provider says that a
/// day's quality comes on the next, and late ones are tried up to the third.
const GIVE_UP_DAYS: u64 = 3;
/// How far ahead of our clock a station's may be.
const SKEW: TimeDelta = TimeDelta::minutes(5);
/// Days handled at once: some are fetched and parsed while others are written, many by one transaction.
const DAYS_AT_ONCE: u16 = 128;
/// Calls to the provider at once.
const CALLS_MAX: usize = 16;

/// The weather role.
#[derive(Debug, Clone)]
pub struct Weather {
    context: Context,
    provider: weatherxm::Client,
    calls: Arc<Semaphore>,
    recording: Recording,
}

/// What a fetch of a day came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// It is not due, or not known.
    Nothing,
    /// It is recorded for good.
    Recorded,
    /// Its samples are recorded; its quality is still to come.
    Unscored,
    /// The provider has no such day and will have none.
    Absent,
    /// It is fetched again later.
    Postponed,
}

/// The weather role over its settings.
#[must_use]
pub fn build(context: &Context) -> Weather {
    let settings = &context.settings.weatherxm;
    let key = providers::Secret::new(settings.weatherxm_api_key.expose());
    let config = weatherxm::Config::new(&settings.weatherxm_api_url, key);
    let provider = weatherxm::Client::new(context.http.clone(), config);
    Weather {
        context: context.clone(),
        provider,
        calls: Arc::new(Semaphore::new(CALLS_MAX)),
        recording: Recording::new(context),
    }
}

impl Handler for Weather {
    const ROLE: Role = Role::Weather;
    const AT_ONCE_MIN: u16 = DAYS_AT_ONCE;

    async fn handle(&self, message: &Message) -> Outcome {
        self.hear(message).await.unwrap_or_else(|outcome| outcome)
    }
}

impl Weather {
    async fn hear(&self, message: &Message) -> Result<Outcome, Outcome> {
        match decode(message)? {
            Event::PolicyActivated { risk_id, .. } if self.is_surveyed(risk_id).await? => {}
            Event::PolicyActivated { risk_id, .. } | Event::StationsDue { risk_id } => {
                self.survey(risk_id, Some(message)).await?;
            }
            Event::WeatherDue { station_day_id, .. }
                if self.fetch(station_day_id, Some(message)).await? != Step::Nothing =>
            {
                return Ok(Outcome::Heard);
            }
            _ => {}
        }
        Ok(Outcome::Done)
    }

    /// Records the stations around a risk; says how many, or `None` when they are frozen or could
    /// not be asked for and are looked for again. While no good one was found, that is every day.
    pub async fn survey(
        &self,
        risk_id: RiskId,
        message: Option<&Message>,
    ) -> Result<Option<usize>, Outcome> {
        let mut conn = self
            .context
            .pool
            .acquire()
            .await
            .map_err(StoreError::from)?;
        let risk = risks::find(&mut conn, risk_id).await?;
        let Some(risk) = risk.filter(|risk| risk.stations_frozen_at.is_none()) else {
            return Ok(None);
        };
        drop(conn);
        let found = self.candidates(risk.cell).await;
        let now = self.context.clock.now();
        let mut tx = self.context.pool.begin().await.map_err(StoreError::from)?;
        if let Some(message) = message
            && !first_time(&mut tx, &self.context, Role::Weather, message).await?
        {
            return Ok(None);
        }
        let risk = risks::lock(&mut tx, risk_id).await?;
        if risk.is_none_or(|risk| risk.stations_frozen_at.is_some()) {
            return Ok(None);
        }
        let recorded = match &found {
            Ok(candidates) => {
                stations::record_candidates(&mut tx, now, risk_id, candidates).await?;
                risks::postpone_stations(&mut tx, risk_id, now + ASK_AGAIN).await?;
                self.ring(&mut tx, Event::StationsRecorded { risk_id }, message)
                    .await?;
                Some(candidates.len())
            }
            Err(error) => {
                tracing::warn!(risk.id = %risk_id, %error, "stations not found out");
                risks::postpone_stations(&mut tx, risk_id, now + FETCH_AGAIN).await?;
                None
            }
        };
        tx.commit().await.map_err(StoreError::from)?;
        Ok(recorded)
    }

    /// Whether a risk's surroundings were looked at before, good stations or not.
    async fn is_surveyed(&self, risk_id: RiskId) -> Result<bool, StoreError> {
        let mut conn = self.context.pool.acquire().await?;
        let candidates = stations::list_candidates(&mut conn, risk_id).await?;
        Ok(!candidates.is_empty())
    }

    /// The stations of a cell and around its centre, with their quality.
    async fn candidates(&self, cell: RiskCell) -> Result<Vec<Candidate>, ProviderError> {
        let centre = LatLng::from(cell.index());
        let (lat, lon) = (udeg(centre.lat()), udeg(centre.lng()));
        let (context, provider) = (&self.context, &self.provider);
        let own = provider.cell_stations(cell);
        let own = context.timed(weatherxm::NAME, "cell", own).await;
        let near = provider.stations_near(lat, lon, RADIUS_M);
        let near = context.timed(weatherxm::NAME, "near", near).await;
        let mut found: BTreeMap<String, Station> = BTreeMap::new();
        for listed in [own, near] {
            for station in known(listed)?.unwrap_or_default() {
                found.entry(station.id.clone()).or_insert(station);
            }
        }
        let mut candidates = Vec::with_capacity(found.len());
        for station in found.into_values() {
            let health = provider.health(&station.id);
            let health = known(context.timed(weatherxm::NAME, "health", health).await)?;
            candidates.extend(candidate(centre, station, health.as_ref()));
        }
        candidates.sort_by(|a, b| (a.distance_m, &a.id).cmp(&(b.distance_m, &b.id)));
        let ground = candidates
            .iter()
            .find_map(|candidate| candidate.elevation_dm);
        for candidate in &mut candidates {
            candidate.elevation_gap_dm = candidate
                .elevation_dm
                .zip(ground)
                .and_then(|(elevation, ground)| elevation.checked_sub(ground));
        }
        Ok(candidates)
    }

    /// Fetches a station's UTC day that is due. Days that are fetched at the same time are read and
    /// written together; each of them succeeds or fails by itself.
    pub async fn fetch(&self, id: Uuid, message: Option<&Message>) -> Result<Step, Outcome> {
        let now = self.context.clock.now();
        let day = self.recording.find(id).await?;
        let is_due = |day: &UtcDay| {
            day.state == FetchState::Due && day.next_check_at.is_some_and(|at| at <= now)
        };
        let Some(day) = day.filter(is_due) else {
            return Ok(Step::Nothing);
        };
        let answer = {
            // never closed: a failure to wait would only mean one more call at once
            let _turn = self.calls.acquire().await;
            let history = self.provider.history(&day.station_id, day.utc_date);
            let timed = self.context.timed(weatherxm::NAME, "history", history);
            timed.await
        };
        match answer {
            Ok(fetched) => self.record(day, fetched, message).await,
            Err(ProviderError::Refused {
                code,
                message: reason,
            }) => {
                tracing::warn!(station = day.station_id, date = %day.utc_date, code, reason, "no such day");
                self.miss(day, message).await
            }
            Err(error) => {
                tracing::warn!(station = day.station_id, date = %day.utc_date, %error, "day not fetched");
                let done = unread(day, FetchState::Due, Some(now + FETCH_AGAIN));
                self.finish(done, message).await?;
                Ok(Step::Postponed)
            }
        }
    }

    async fn record(
        &self,
        day: UtcDay,
        fetched: Fetched<DayHistory>,
        message: Option<&Message>,
    ) -> Result<Step, Outcome> {
        let now = self.context.clock.now();
        let health = fetched.value.health.as_ref();
        let data_quality_e4 = health.and_then(|health| score(health.data_quality));
        let is_settled = data_quality_e4.is_some() || is_given_up(day.utc_date, now);
        let done = Done {
            state: if is_settled {
                FetchState::Recorded
            } else {
                FetchState::Due
            },
            next_check_at: (!is_settled).then(|| now + ASK_AGAIN),
            data_quality_e4,
            location_quality_e4: health.and_then(|health| score(health.location_quality)),
            reply: Some(Answer {
                readings: self.readings(&day, &fetched.value),
                sha256: HEXLOWER.encode(&fetched.sha256),
                raw: fetched.raw,
            }),
            bell: None,
            heard: None,
            day,
        };
        self.finish(done, message).await?;
        Ok(if is_settled {
            Step::Recorded
        } else {
            Step::Unscored
        })
    }

    /// The provider says that there is no such day: it may come late, but not for ever.
    async fn miss(&self, day: UtcDay, message: Option<&Message>) -> Result<Step, Outcome> {
        let now = self.context.clock.now();
        let is_absent = is_given_up(day.utc_date, now);
        let done = if is_absent {
            unread(day, FetchState::Absent, None)
        } else {
            unread(day, FetchState::Due, Some(now + ASK_AGAIN))
        };
        self.finish(done, message).await?;
        Ok(if is_absent {
            Step::Absent
        } else {
            Step::Postponed
        })
    }

    /// Has a fetch written; a bell rings when there is something to compute with.
    async fn finish(&self, mut done: Done, message: Option<&Message>) -> Result<(), Outcome> {
        if done.reply.is_some() || done.state != FetchState::Due {
            let event = Event::ObservationRecorded {
                station_day_id: done.day.id,
                station_id: done.day.station_id.clone(),
                utc_date: done.day.utc_date,
            };
            done.bell = Some(self.envelope(event, message));
        }
        done.heard = message.map(|message| message.id.into());
        self.recording.write(done).await
    }

    /// The readings of a reply that belong to its day, one an instant.
    fn readings(&self, day: &UtcDay, history: &DayHistory) -> Vec<Reading> {
        let latest = self.context.clock.now() + SKEW;
        let mut seen = BTreeSet::new();
        let mut readings = Vec::with_capacity(history.observations.len());
        for observation in &history.observations {
            if observation.at > latest {
                self.refuse("future");
            } else if observation.at.date_naive() != day.utc_date {
                self.refuse("foreign_day");
            } else if !seen.insert(observation.at) {
                self.refuse("duplicate");
            } else {
                if observation.is_counter_implausible {
                    self.refuse("implausible_counter");
                }
                readings.push(reading(observation));
            }
        }
        for _ in 0..history.unreadable {
            self.refuse("unreadable");
        }
        readings
    }

    fn refuse(&self, reason: &str) {
        self.context
            .metrics
            .rejected_inputs
            .with_label_values(&[weatherxm::NAME, reason])
            .inc();
    }

    async fn ring(
        &self,
        conn: &mut Connection,
        event: Event,
        message: Option<&Message>,
    ) -> Result<(), StoreError> {
        let now = self.context.clock.now();
        outbox::push(conn, now, &self.envelope(event, message), now).await
    }

    fn envelope(&self, event: Event, message: Option<&Message>) -> Envelope {
        let trace = message.and_then(|message| message.traceparent.as_deref());
        Envelope {
            id: self.context.ids.mint(self.context.clock.now()),
            event,
            traceparent: Some(continue_trace(trace, &self.context.ids)),
        }
    }
}

/// What the provider answered; `None` when it knows no such thing.
fn known<T>(answer: Result<Fetched<T>, ProviderError>) -> Result<Option<T>, ProviderError> {
    match answer {
        Ok(fetched) => Ok(Some(fetched.value)),
        Err(ProviderError::Refused { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

fn candidate(centre: LatLng, station: Station, health: Option<&Health>) -> Option<Candidate> {
    let degrees = |udeg: i32| f64::from(udeg) / 1e6;
    let point = LatLng::new(
        degrees(station.latitude_udeg),
        degrees(station.longitude_udeg),
    )
    .ok()?;
    let cell = match station.cell {
        Some(cell) => cell,
        None => RiskCell::new(point.to_cell(Resolution::Seven)).ok()?,
    };
    let data_quality = health
        .and_then(|health| health.data_quality)
        .or(station.data_quality);
    Some(Candidate {
        name: station.name.unwrap_or_else(|| station.id.clone()),
        id: station.id,
        cell,
        lat_e6: station.latitude_udeg,
        lon_e6: station.longitude_udeg,
        elevation_dm: station
            .elevation_m
            .and_then(|metres| metres.checked_mul(10)),
        distance_m: whole(centre.distance_m(point))?,
        elevation_gap_dm: None,
        data_quality_e4: score(data_quality),
        location_quality_e4: health.and_then(|health| score(health.location_quality)),
    })
}

/// The provider's number is as good as whole metres.
fn whole(metres: f64) -> Option<i32> {
    format!("{metres:.0}").parse().ok()
}

#[expect(
    clippy::expect_used,
    reason = "the centre of a cell is within 180 degrees, and 180 000 000 is an i32"
)]
fn udeg(degrees: f64) -> i32 {
    format!("{:.0}", degrees * 1e6)
        .parse()
        .expect("degrees of a cell's centre")
}

fn score(points: Option<BasisPoints>) -> Option<i16> {
    i16::try_from(points?.get()).ok()
}

fn reading(observation: &Observation) -> Reading {
    let fault = match observation.rain_counter {
        Some(_) => None,
        None if observation.is_counter_implausible => Some("implausible".to_owned()),
        None => Some("absent".to_owned()),
    };
    Reading {
        at: observation.at,
        counter: observation.rain_counter,
        fault,
    }
}

fn unread(day: UtcDay, state: FetchState, next_check_at: Option<DateTime<Utc>>) -> Done {
    Done {
        day,
        state,
        next_check_at,
        data_quality_e4: None,
        location_quality_e4: None,
        reply: None,
        bell: None,
        heard: None,
    }
}

fn is_given_up(utc_date: NaiveDate, now: DateTime<Utc>) -> bool {
    utc_date
        .checked_add_days(Days::new(GIVE_UP_DAYS))
        .is_none_or(|last| last <= now.date_naive())
}
