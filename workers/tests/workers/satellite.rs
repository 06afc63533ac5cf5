//! Looking for scenes against the pretend catalogue, on a real database: each date once, the
//! newer collection first, every fault a postponement, and nothing made up where nothing was seen.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up must fail")]

use chrono::{DateTime, NaiveDate, Utc};
use domain::event::Event;
use domain::id::RiskId;
use domain::product::Product;
use runtime::broker::Message;
use runtime::clock::Held;
use sandbox::serve::Local;
use serde_json::{Value, json};
use sqlx::PgPool;
use store::scene_checks::SceneEnd;
use uuid::Uuid;
use workers::consumer::{Handler, Outcome};
use workers::role::Context;
use workers::satellite::{self, Satellite, Step};

use crate::support::site::{Site, tell};

/// Reads Sentinel-2 from March to May, and waits ten days for it.
const PRODUCT: &str =
    include_str!("../../../shared/domain/testdata/products/house-second-form.toml");

/// A risk in Kitui whose product reads vegetation, and a catalogue.
struct Field {
    context: Context,
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
        } = Site::new(pool, "2026-04-01T02:00:00Z", |sandbox, _| {
            let url = sandbox.url("/earthsearch/v1");
            vec!["--sentinel2-api-url".to_owned(), url]
        })
        .await;
        let satellite = satellite::build(&context);
        let field = Self {
            context,
            satellite,
            time,
            risk_id,
            sandbox,
        };
        let (product, version) = (Product::from_toml(PRODUCT).unwrap(), Uuid::from_u128(77));
        let document = serde_json::to_string(&product).unwrap();
        field
            .change(format!(
                "insert into product_versions (id, hash, code, document, created_at)
                 values ('{version}', '{}', 'TEST', $doc${document}$doc$, '2026-01-01Z');
                 update risks set product_version_id = '{version}';
                 insert into scene_checks (risk_id, state, next_check_at)
                 select id, 'due', '2026-02-01' from risks",
                product.hash()
            ))
            .await;
        field
    }

    async fn change(&self, sql: String) {
        store::testing::change(&self.context.pool, sql)
            .await
            .unwrap();
    }

    async fn scenes(&self, setup: Value) {
        let url = self.sandbox.url("/control/scenes");
        tell(&self.context, url, &setup).await;
    }

    async fn spoil(&self, day: NaiveDate, kind: &str) {
        self.scenes(json!({"faults": [{"date": day, "kind": kind}]}))
            .await;
    }

    async fn check(&self) -> Step {
        self.satellite.check(self.risk_id, None).await.unwrap()
    }

    /// Checks until nothing is left to read now.
    async fn check_all(&self) -> usize {
        let mut all = 0;
        loop {
            match self.check().await {
                Step::Searched(count) => all += count,
                Step::Nothing => return all,
                other => panic!("{other:?}"),
            }
        }
    }

    /// The last date of March that has a scene.
    async fn date(&self) -> NaiveDate {
        let found = self.count("select count(*) from scene_windows").await;
        assert_eq!(found, 0, "asked before anything is recorded");
        let provider = providers::sentinel2::Client::new(
            self.context.http.clone(),
            providers::sentinel2::Config::new(&self.sandbox.url("/earthsearch/v1")),
        );
        let cell = "877a63556ffffff".parse().unwrap();
        let (from, until) = (at("2026-03-08T00:00:00Z"), at("2026-03-31T00:00:00Z"));
        provider
            .search(cell, from, until)
            .await
            .unwrap()
            .pop()
            .unwrap()
            .day()
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
        counter.with_label_values(&["sentinel2", reason]).get()
    }
}

const WINDOWS: &str = "select count(*) from scene_windows";
const BELLS: &str = "select count(*) from outbox where topic = 'scene.captured.v1'";
const NEXT: &str = "select to_char(next_check_at at time zone 'utc', 'YYYY-MM-DD HH24:MI')
                    from scene_checks";

#[sqlx::test(migrations = "../migrations")]
async fn every_date_since_the_season_began_is_recorded_once_and_rings_once(pool: PgPool) {
    let field = Field::new(pool).await;
    let recorded = field.check_all().await;
    assert!((4..=7).contains(&recorded), "{recorded} passes in March");
    assert_eq!(field.text(NEXT).await, "2026-04-02 02:00");
    let windows = field.count(WINDOWS).await;
    assert_eq!(usize::try_from(windows), Ok(recorded));
    assert_eq!(field.count(BELLS).await, windows);
    let good = "select count(*) from scene_windows
                where sensor = 'sentinel-2' and risk_cell = '877a63556ffffff' and offset_dn = 1000
                  and collection = 'sentinel-2-c1-l2a' and day between '2026-03-01' and '2026-03-31'
                  and pixel_m = 20 and length(sha256) = 64
                  and jsonb_array_length(files->'red'->'parts') > 0";
    assert_eq!(field.count(good).await, windows);
    // ten days later only what is new
    field.time.set(at("2026-04-11T02:00:00Z"));
    let more = field.check_all().await;
    assert!((1..=3).contains(&more), "{more}");
    assert_eq!(field.count(WINDOWS).await, field.count(BELLS).await);
}

#[sqlx::test(migrations = "../migrations")]
async fn concurrent_and_repeated_bells_record_a_date_once(pool: PgPool) {
    let field = Field::new(pool).await;
    let event = Event::SceneDue {
        risk_id: field.risk_id,
    };
    let bell = |number| Message {
        id: Uuid::from_u128(number),
        topic: event.topic().to_owned(),
        body: serde_json::to_vec(&event).unwrap(),
        traceparent: None,
    };
    let (one, other) = (bell(1), bell(2));
    let done = tokio::join!(field.satellite.handle(&one), field.satellite.handle(&other));
    assert_eq!(done, (Outcome::Done, Outcome::Done));
    assert_eq!(field.satellite.handle(&one).await, Outcome::Done);
    let windows = field.count(WINDOWS).await;
    assert!(windows >= 4);
    assert_eq!(field.count(BELLS).await, windows);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_catalogue_in_trouble_postpones_and_records_nothing(pool: PgPool) {
    let field = Field::new(pool).await;
    field.scenes(json!({"status": 502})).await;
    assert_eq!(field.check().await, Step::Postponed(0));
    assert_eq!(field.text(NEXT).await, "2026-04-01 02:15");
    assert_eq!(field.count(WINDOWS).await, 0);
    field.scenes(json!({"status": 0})).await;
    assert_eq!(field.check().await, Step::Nothing, "not due yet");
    field.time.set(at("2026-04-01T02:15:00Z"));
    assert!(field.check_all().await >= 4);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_file_that_breaks_off_postpones_its_date_and_no_other(pool: PgPool) {
    let field = Field::new(pool).await;
    let date = field.date().await;
    field.spoil(date, "truncated").await;
    let Step::Postponed(others) = field.check().await else {
        panic!("one date failed");
    };
    assert!(others >= 3, "{others}");
    let known = field
        .count("select count(distinct day) from scene_windows")
        .await;
    assert_eq!(usize::try_from(known), Ok(others));
    field.scenes(json!({"faults": []})).await;
    field.time.set(at("2026-04-01T02:15:00Z"));
    assert_eq!(field.check_all().await, 1, "the date that was missing");
}

#[sqlx::test(migrations = "../migrations")]
async fn what_the_newer_collection_lacks_or_spoilt_is_read_from_the_older(pool: PgPool) {
    let field = Field::new(pool).await;
    let date = field.date().await;
    for kind in ["gap", "missing", "corrupt"] {
        field.spoil(date, kind).await;
        field
            .change(
                "truncate scene_windows;
                 update scene_checks set checked_at = null, next_check_at = '2026-03-01'"
                    .to_owned(),
            )
            .await;
        field.check_all().await;
        let old = "select count(*) from scene_windows
                   where collection = 'sentinel-2-l2a' and offset_dn = 0";
        assert_eq!(field.count(old).await, 1, "{kind}");
    }
    assert!(field.refused("http_404") > 0 && field.refused("unreadable") > 0);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_scene_whose_offset_is_in_doubt_is_never_recorded(pool: PgPool) {
    let field = Field::new(pool).await;
    let all = {
        let date = field.date().await;
        field.spoil(date, "wrong_flag").await;
        field.check_all().await
    };
    assert!(field.refused("offset") > 0);
    field.scenes(json!({"faults": []})).await;
    field.time.set(at("2026-04-02T02:00:00Z"));
    let more = field.check_all().await;
    assert!(
        more >= 1,
        "it is read when the catalogue has mended it, after {all}"
    );
}

#[sqlx::test(migrations = "../migrations")]
async fn of_two_tiles_of_a_pass_the_one_that_shows_more_is_kept(pool: PgPool) {
    let field = Field::new(pool).await;
    let date = field.date().await;
    field.spoil(date, "edge").await;
    field.check_all().await;
    let cut = "select count(*) from scene_windows where item_id like 'S2__T37MAA%'";
    assert_eq!(field.count(cut).await, 0);
}

#[sqlx::test(migrations = "../migrations")]
async fn nothing_is_asked_before_the_days_that_count(pool: PgPool) {
    let field = Field::new(pool).await;
    field
        .change("update risks set season_year = 2027".to_owned())
        .await;
    field.scenes(json!({"status": 502})).await;
    assert_eq!(field.check().await, Step::Searched(0));
    assert_eq!(field.text(NEXT).await, "2027-03-02 02:00");
}

#[sqlx::test(migrations = "../migrations")]
async fn the_looking_ends_with_the_wait_and_says_what_came_of_it(pool: PgPool) {
    let field = Field::new(pool).await;
    field.check_all().await;
    field.time.set(at("2026-06-11T02:00:00Z"));
    let mut step = field.check().await;
    while matches!(step, Step::Searched(_)) {
        step = field.check().await;
    }
    assert_eq!(step, Step::Over(SceneEnd::Recorded));
    assert_eq!(field.check().await, Step::Nothing);
    assert_eq!(
        field.text("select state from scene_checks").await,
        "recorded"
    );
    let beyond = "select count(*) from scene_windows where day > '2026-05-31'";
    assert_eq!(field.count(beyond).await, 0);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_season_that_nobody_saw_is_absent_and_never_made_up(pool: PgPool) {
    let field = Field::new(pool).await;
    let first: NaiveDate = "2026-03-01".parse().unwrap();
    let all: Vec<Value> = first
        .iter_days()
        .take(92)
        .map(|day| json!({"date": day, "kind": "absent"}))
        .collect();
    field.scenes(json!({"faults": all})).await;
    assert_eq!(field.check().await, Step::Searched(0));
    field.time.set(at("2026-06-11T02:00:00Z"));
    assert_eq!(field.check().await, Step::Over(SceneEnd::Absent));
    assert_eq!(field.count(WINDOWS).await, 0);
    assert_eq!(field.text("select state from scene_checks").await, "absent");
}

#[sqlx::test(migrations = "../migrations")]
async fn a_product_without_vegetation_asks_for_none_and_a_new_source_reopens(pool: PgPool) {
    let field = Field::new(pool).await;
    field
        .change(
            "update risks set product_version_id =
                 (select id from product_versions where code <> 'TEST' limit 1);
             update scene_checks set state = 'unconfigured', next_check_at = null"
                .to_owned(),
        )
        .await;
    assert_eq!(field.check().await, Step::Nothing);
    assert_eq!(field.satellite.reopen().await.unwrap(), 1);
    assert_eq!(field.check().await, Step::Unneeded);
    assert_eq!(
        field.text("select state from scene_checks").await,
        "unneeded"
    );
}
