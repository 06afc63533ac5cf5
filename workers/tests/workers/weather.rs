//! Observing the weather against the pretend provider, on a real database: stations once, days as
//! they are published, and nothing made of what no gauge can have measured.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up must fail")]

use chrono::{DateTime, Utc};
use domain::event::Event;
use domain::id::RiskId;
use futures_util::future::join_all;
use runtime::broker::Message;
use runtime::clock::Held;
use sandbox::serve::Local;
use serde_json::{Value, json};
use sqlx::PgPool;
use store::observations::{PlannedDay, plan_days};
use uuid::Uuid;
use workers::consumer::{Handler, Outcome};
use workers::role::Context;
use workers::weather::{self, Step, Weather};
use workers::{satellite, satellite::Satellite};

use crate::support::site::{Site, tell};

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
        let Site {
            context,
            time,
            risk_id,
            sandbox,
        } = Site::new(pool, "2026-03-12T02:00:00Z", |sandbox, seed| {
            let (url, key) = (
                sandbox.url("/weatherxm/api/v1"),
                &seed.credentials.weatherxm_api_key,
            );
            let flags = ["--weatherxm-api-url", &url, "--weatherxm-api-key", key];
            flags.map(str::to_owned).to_vec()
        })
        .await;
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
            risk_id,
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
        let id = Uuid::from_u128(77);
        field.plan(id, &station, "2026-03-11").await;
        (field, id, station)
    }

    /// Makes a day due now.
    async fn plan(&self, id: Uuid, station: &str, date: &str) {
        let mut conn = self.context.pool.acquire().await.unwrap();
        let day = PlannedDay {
            id,
            station_id: station.to_owned(),
            utc_date: date.parse().unwrap(),
            due_at: at("2026-03-12T02:00:00Z"),
        };
        plan_days(&mut conn, &[day]).await.unwrap();
    }

    async fn sky(&self, setup: Value) {
        let url = self.sandbox.url("/control/weather");
        tell(&self.context, url, &setup).await;
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
async fn days_fetched_side_by_side_are_written_each_for_itself(pool: PgPool) {
    let (field, first, station) = Field::with_day(pool).await;
    let ids: Vec<Uuid> = (0..12).map(|n| Uuid::from_u128(100 + n)).collect();
    for (n, id) in ids.iter().enumerate() {
        field
            .plan(*id, &station, &format!("2026-02-{:02}", n + 10))
            .await;
    }
    let bell = |number: usize, id: Uuid| {
        let event = Event::WeatherDue {
            station_day_id: id,
            station_id: station.clone(),
            utc_date: "2026-02-10".parse().unwrap(),
        };
        bell(u128::try_from(number).unwrap(), &event)
    };
    let all = [&ids[..], &[first, first, Uuid::from_u128(9)]].concat();
    let bells: Vec<Message> = (1..).zip(&all).map(|(n, id)| bell(n, *id)).collect();
    let outcomes = join_all(bells.iter().map(|bell| field.weather.handle(bell))).await;
    let count = |wanted: fn(&Outcome) -> bool| outcomes.iter().filter(|one| wanted(one)).count();
    assert_eq!(count(|one| *one == Outcome::Heard), 13, "{outcomes:?}");
    // the second fetch of one day is tried again and then finds nothing due; an unknown day is none
    assert_eq!(count(|one| matches!(one, Outcome::Retry(_))), 1);
    assert_eq!(count(|one| *one == Outcome::Done), 1);
    assert_eq!(
        field.count("select count(*) from weather_replies").await,
        13
    );
    assert_eq!(field.count(DAY_BELLS).await, 13);
    let settled = "select count(*) from station_utc_days where state = 'recorded' and attempts = 1";
    assert_eq!(field.count(settled).await, 13);
    let heard = "select count(*) from consumed where consumer = 'weather'";
    assert_eq!(field.count(heard).await, 13);
    let samples = "select count(distinct utc_date) from observations";
    assert_eq!(field.count(samples).await, 13);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_day_the_database_refuses_does_not_hold_up_its_neighbours(pool: PgPool) {
    let (field, id, station) = Field::with_day(pool).await;
    let other = Uuid::from_u128(78);
    field.plan(other, &station, "2026-03-10").await;
    let refusal = "alter table weather_replies add constraint no_tenth
                   check (utc_date <> '2026-03-10')";
    store::testing::change(&field.context.pool, refusal)
        .await
        .unwrap();
    let (good, refused) = tokio::join!(
        field.weather.fetch(id, None),
        field.weather.fetch(other, None)
    );
    assert_eq!(good, Ok(Step::Recorded));
    assert!(matches!(refused, Err(Outcome::Retry(_))), "{refused:?}");
    let untouched = "select count(*) from station_utc_days
                     where utc_date = '2026-03-10' and state = 'due' and attempts = 0";
    assert_eq!(field.count(untouched).await, 1);
    assert_eq!(field.count(DAY_BELLS).await, 1);
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
