//! Observing the weather against the pretend provider, on a real database: stations once, days as
//! they are published, and nothing made of what no gauge can have measured.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up must fail")]

use chrono::{DateTime, Utc};
use domain::event::Event;
use domain::id::RiskId;
use runtime::broker::{Broker, Message};
use runtime::clock::Held;
use runtime::memory::InMemory;
use sandbox::{CallbackSink, World, serve::Local};
use serde_json::{Value, json};
use sqlx::PgPool;
use store::fixtures::{self, Plan};
use store::observations::plan_days;
use uuid::Uuid;
use workers::consumer::{Handler, Outcome};
use workers::role::Context;
use workers::settings::Settings;
use workers::weather::{self, Step, Weather};
use workers::{satellite, satellite::Satellite};

/// A risk without stations, and a provider who knows some.
struct Field {
    context: Context,
    weather: Weather,
    satellite: Satellite,
    time: Held,
    risk_id: RiskId,
    sandbox: Local,
}

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

impl Field {
    async fn new(pool: PgPool) -> Self {
        let mut context = crate::support::context(pool, Broker::InMemory(InMemory::new()));
        let time = context.clock.held_handle().unwrap();
        time.set(at("2026-03-12T02:00:00Z"));
        let seed = sandbox::Settings {
            seed: 7,
            ..sandbox::Settings::default()
        };
        let key = seed.credentials.weatherxm_api_key.clone();
        let world = World::new(context.clock.clone(), seed, CallbackSink::in_process());
        let sandbox = sandbox::serve::local(world).await.unwrap();
        let url = sandbox.url("/weatherxm/api/v1");
        let flags = [
            "--weatherxm-api-url",
            url.as_str(),
            "--weatherxm-api-key",
            key.as_str(),
        ];
        context.settings = Settings::from_flags(flags).unwrap().into();
        let mut conn = context.pool.acquire().await.unwrap();
        let plan = Plan {
            policies: 1,
            is_final: false,
            ..Plan::default()
        };
        let season = fixtures::season(&mut conn, &context.pii, plan)
            .await
            .unwrap();
        drop(conn);
        store::testing::change(
            &context.pool,
            "delete from risk_stations; update risks set stations_frozen_at = null",
        )
        .await
        .unwrap();
        let (weather, satellite) = (weather::build(&context), satellite::build(&context));
        Self {
            context,
            weather,
            satellite,
            time,
            risk_id: season.risk_id,
            sandbox,
        }
    }

    /// A field with its stations and one planned day of the nearest.
    async fn with_day(pool: PgPool) -> (Self, Uuid, String) {
        let field = Self::new(pool).await;
        field.weather.survey(field.risk_id, None).await.unwrap();
        let station = field
            .text("select station_id from risk_stations order by distance_m, station_id limit 1")
            .await;
        let (id, date) = (Uuid::from_u128(77), "2026-03-11".parse().unwrap());
        let mut conn = field.context.pool.acquire().await.unwrap();
        let due = [(id, date, at("2026-03-12T02:00:00Z"))];
        plan_days(&mut conn, &station, &due).await.unwrap();
        drop(conn);
        (field, id, station)
    }

    async fn sky(&self, setup: Value) {
        let answer = self
            .context
            .http
            .post(self.sandbox.url("/control/weather"))
            .json(&setup)
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status().as_u16(), 200);
    }

    async fn fetch(&self, id: Uuid) -> Step {
        self.weather.fetch(id, None).await.unwrap()
    }

    async fn count(&self, query: &'static str) -> i64 {
        store::testing::number(&self.context.pool, query)
            .await
            .unwrap()
    }

    async fn text(&self, query: &'static str) -> String {
        store::testing::text(&self.context.pool, query)
            .await
            .unwrap()
    }

    fn refused(&self, reason: &str) -> u64 {
        let counter = &self.context.metrics.rejected_inputs;
        counter.with_label_values(&["weatherxm", reason]).get()
    }
}

fn bell(number: u128, event: &Event) -> Message {
    Message {
        id: Uuid::from_u128(number),
        topic: event.topic().to_owned(),
        body: serde_json::to_vec(event).unwrap(),
        traceparent: None,
    }
}

const STATIONS_BELLS: &str = "select count(*) from outbox where topic = 'stations.recorded.v1'";
const DAY_BELLS: &str = "select count(*) from outbox where topic = 'observation.recorded.v1'";

#[sqlx::test(migrations = "../migrations")]
async fn many_activations_record_the_stations_of_a_risk_once(pool: PgPool) {
    let field = Field::new(pool).await;
    for number in 1..=3 {
        let event = Event::PolicyActivated {
            policy_id: Uuid::from_u128(5).into(),
            risk_id: field.risk_id,
        };
        assert_eq!(
            field.weather.handle(&bell(number, &event)).await,
            Outcome::Done
        );
    }
    assert_eq!(field.count(STATIONS_BELLS).await, 1);
    let inside = "select count(*) from risk_stations join stations on id = station_id
                  where risk_cell = '877a63556ffffff' and distance_m < 1500
                    and location_quality_e4 = 10000 and data_quality_e4 > 8000";
    assert_eq!(field.count(inside).await, 2);
    let far = "select count(*) from risk_stations where distance_m > 15000";
    assert_eq!(field.count(far).await, 0);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_provider_that_is_down_leaves_the_stations_for_later(pool: PgPool) {
    let field = Field::new(pool).await;
    field.sky(json!({"status": 500})).await;
    let answer = field.weather.survey(field.risk_id, None).await;
    assert_eq!(answer.unwrap(), None);
    assert_eq!(field.count(STATIONS_BELLS).await, 0);
    let later = "select count(*) from risks where stations_check_at is not null";
    assert_eq!(field.count(later).await, 1);
    field.sky(json!({"status": 0})).await;
    assert!(field.weather.survey(field.risk_id, None).await.unwrap() >= Some(2));
}

#[sqlx::test(migrations = "../migrations")]
async fn a_scored_day_is_recorded_once_with_its_raw_reply(pool: PgPool) {
    let (field, id, _) = Field::with_day(pool).await;
    assert_eq!(field.fetch(id).await, Step::Recorded);
    assert_eq!(field.fetch(id).await, Step::Nothing);
    assert_eq!(field.count("select count(*) from weather_replies").await, 1);
    let same = "select count(*) from weather_replies r join station_utc_days d
                on d.reply_sha256 = r.sha256
                where encode(sha256(r.raw), 'hex') = r.sha256 and d.state = 'recorded'";
    assert_eq!(field.count(same).await, 1);
    let samples = "select count(*) from observations where counter_um is not null";
    assert!(field.count(samples).await >= 96);
    assert_eq!(
        field
            .count("select count(*) from observations where fault is not null")
            .await,
        0
    );
    assert_eq!(field.count(DAY_BELLS).await, 1);
}

#[sqlx::test(migrations = "../migrations")]
async fn concurrent_bells_record_a_day_once(pool: PgPool) {
    let (field, id, _) = Field::with_day(pool).await;
    let (one, other) = tokio::join!(field.weather.fetch(id, None), field.weather.fetch(id, None));
    assert!([one, other].contains(&Ok(Step::Recorded)));
    assert_eq!(field.fetch(id).await, Step::Nothing);
    assert_eq!(field.count(DAY_BELLS).await, 1);
    assert_eq!(field.count("select count(*) from weather_replies").await, 1);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_day_waits_for_its_quality_and_is_taken_without_it_after_three_days(pool: PgPool) {
    let (field, id, _) = Field::with_day(pool).await;
    field.sky(json!({"quality_delay_days": 9})).await;
    assert_eq!(field.fetch(id).await, Step::Unscored);
    assert_eq!(field.fetch(id).await, Step::Nothing);
    field.time.set(at("2026-03-13T02:00:00Z"));
    assert_eq!(field.fetch(id).await, Step::Unscored);
    field.time.set(at("2026-03-14T02:00:00Z"));
    assert_eq!(field.fetch(id).await, Step::Recorded);
    let unscored = "select count(*) from station_utc_days
                    where state = 'recorded' and data_quality_e4 is null";
    assert_eq!(field.count(unscored).await, 1);
    // the same samples came three times and are kept once
    let twice = "select count(*) from (select 1 from observations
                 group by station_id, observed_at having count(*) > 1) as twice";
    assert_eq!(field.count(twice).await, 0);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_failed_fetch_is_tried_again_in_a_quarter_of_an_hour(pool: PgPool) {
    let (field, id, _) = Field::with_day(pool).await;
    field.sky(json!({"status": 429})).await;
    assert_eq!(field.fetch(id).await, Step::Postponed);
    assert_eq!(field.count(DAY_BELLS).await, 0);
    field.sky(json!({"status": 0})).await;
    assert_eq!(field.fetch(id).await, Step::Nothing);
    field.time.set(at("2026-03-12T02:15:00Z"));
    assert_eq!(field.fetch(id).await, Step::Recorded);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_day_that_never_was_is_absent_after_three_days_and_never_dry(pool: PgPool) {
    let (field, id, station) = Field::with_day(pool).await;
    let fault = json!({"station": station, "date": "2026-03-11", "kind": "absent"});
    field.sky(json!({"faults": [fault]})).await;
    assert_eq!(field.fetch(id).await, Step::Postponed);
    field.time.set(at("2026-03-14T02:00:00Z"));
    assert_eq!(field.fetch(id).await, Step::Absent);
    assert_eq!(field.count("select count(*) from observations").await, 0);
    assert_eq!(field.count(DAY_BELLS).await, 1);
}

#[sqlx::test(migrations = "../migrations")]
async fn impossible_samples_are_counted_and_never_become_rain(pool: PgPool) {
    let (field, id, station) = Field::with_day(pool).await;
    let fault = |kind| json!({"station": station, "date": "2026-03-11", "kind": kind});
    field
        .sky(json!({"faults": [fault("negative"), fault("duplicate"), fault("future")]}))
        .await;
    assert_eq!(field.fetch(id).await, Step::Recorded);
    for reason in ["duplicate", "future", "implausible_counter"] {
        assert!(field.refused(reason) > 0, "{reason}");
    }
    let faulty = "select count(*) from observations
                  where fault = 'implausible' and counter_um is null";
    assert!(field.count(faulty).await > 0);
    let ahead = "select count(*) from observations where observed_at >= '2026-03-12'";
    assert_eq!(field.count(ahead).await, 0);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_scene_without_a_source_is_recorded_as_such(pool: PgPool) {
    let field = Field::new(pool).await;
    let event = Event::SceneDue {
        risk_id: field.risk_id,
    };
    for number in 1..=2 {
        assert_eq!(
            field.satellite.handle(&bell(number, &event)).await,
            Outcome::Done
        );
    }
    assert_eq!(
        field.text("select state from scene_checks").await,
        "unconfigured"
    );
}
