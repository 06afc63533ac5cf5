//! Stations, fetched days, readings and local days: written once, and stale risks known by them.
//! Never decides what a day is worth. Run by cargo.

use chrono::TimeDelta;
use domain::evidence::StationDay;
use domain::measure::RainUm;
use sqlx::{PgPool, Row};
use store::observations::{self, DayCounts, Fetch, FetchState, Reading, UtcDay};
use store::{Connection, risks, stations};
use uuid::Uuid;

use super::observed::{a_day, an_observed_risk, at, candidate, date, decide, is_stale, now};

#[sqlx::test(migrations = "../../migrations")]
async fn stations_are_chosen_once_and_stay_as_they_were_chosen(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    let risk = an_observed_risk(&mut conn).await;
    assert!(is_stale(&risks::mark_frozen(&mut conn, now(), risk).await));
    let mut moved = candidate("a", 9_000);
    moved.data_quality_e4 = Some(1);
    let newcomer = candidate("c", 100);
    stations::record_candidates(&mut conn, now(), risk, &[newcomer, moved])
        .await
        .unwrap();
    let again = stations::rank(&mut conn, risk, &[("a".to_owned(), 5)])
        .await
        .unwrap();
    assert_eq!(again, 0);
    let listed = stations::list_candidates(&mut conn, risk).await.unwrap();
    assert_eq!(
        listed[1],
        candidate("a", 300),
        "what was frozen did not move"
    );
    assert_eq!(
        listed[2],
        candidate("b", 500),
        "what is not known stays not known"
    );
    let window = risks::find(&mut conn, risk).await.unwrap().unwrap().window;
    let frozen = stations::list_frozen(&mut conn, risk, window)
        .await
        .unwrap();
    let ranks: Vec<_> = frozen
        .iter()
        .map(|s| (s.id.as_str(), s.rank, s.distance_m))
        .collect();
    assert_eq!(ranks, [("a", 1, 300), ("b", 2, 500)]);
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_day_is_planned_once_and_each_fetch_of_it_recorded_once(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    an_observed_risk(&mut conn).await;
    let day = a_day(&mut conn).await;
    assert_eq!((day.state, day.attempts), (FetchState::Due, 0));
    let other_id = [(Uuid::from_u128(6), day.utc_date, now())];
    assert_eq!(
        observations::plan_days(&mut conn, "a", &other_id)
            .await
            .unwrap(),
        0
    );
    assert!(
        observations::has_more_due(&mut conn, at("2026-03-06T02:00:00Z"), "a")
            .await
            .unwrap()
    );

    let unscored = Fetch {
        state: FetchState::Due,
        next_check_at: Some(at("2026-03-07T02:00:00Z")),
        reply_sha256: Some("ab"),
        data_quality_e4: None,
        location_quality_e4: Some(10_000),
    };
    observations::record_fetch(&mut conn, now(), &day, &unscored)
        .await
        .unwrap();
    let twin = observations::record_fetch(&mut conn, now(), &day, &unscored).await;
    assert!(is_stale(&twin), "the same fetch is not recorded twice");
    assert!(
        !observations::has_more_due(&mut conn, at("2026-03-06T02:00:00Z"), "a")
            .await
            .unwrap()
    );

    let day = observations::find_day(&mut conn, day.id)
        .await
        .unwrap()
        .unwrap();
    let scored = Fetch {
        state: FetchState::Recorded,
        next_check_at: None,
        reply_sha256: None,
        data_quality_e4: Some(9_600),
        location_quality_e4: None,
    };
    let stations = ["a".to_owned(), "b".to_owned()];
    let (first, last) = (date("2026-03-05"), date("2026-03-05"));
    let open = observations::count_unsettled(&mut conn, &stations, first, last)
        .await
        .unwrap();
    observations::record_fetch(&mut conn, now(), &day, &scored)
        .await
        .unwrap();
    let shut = observations::count_unsettled(&mut conn, &stations, first, last)
        .await
        .unwrap();
    observations::mark_computed(&mut conn, now(), "a", first)
        .await
        .unwrap();
    let counted = observations::count_unsettled(&mut conn, &stations, first, last)
        .await
        .unwrap();
    let days = |due, uncomputed| DayCounts {
        planned: 1,
        due,
        uncomputed,
    };
    assert_eq!((open, shut, counted), (days(1, 0), days(0, 1), days(0, 0)));
    let fetched = observations::list_fetched(&mut conn, "a", first, last)
        .await
        .unwrap()
        .remove(0);
    assert!(fetched.is_settled);
    assert_eq!(
        fetched.reply_sha256.as_deref(),
        Some("ab"),
        "what a fetch did not say stays"
    );
    let quality = (fetched.data_quality_e4, fetched.location_quality_e4);
    assert_eq!(quality, (Some(9_600), Some(10_000)));
}

/// Stores bytes as a reply about a day; gives its revision when it is one.
async fn reply(conn: &mut Connection, day: &UtcDay, raw: &'static [u8]) -> Option<i16> {
    let sha256 = String::from_utf8_lossy(raw);
    let id = Uuid::from_bytes([raw[0]; 16]);
    observations::store_reply(conn, now(), id, day, raw, &sha256)
        .await
        .unwrap()
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_reply_adds_a_revision_only_where_it_says_something_else(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    an_observed_risk(&mut conn).await;
    let day = a_day(&mut conn).await;
    let reading = |minutes: i64, counter: Option<i32>, fault: Option<&str>| Reading {
        at: at("2026-03-05T12:00:00Z") + TimeDelta::minutes(minutes),
        counter: counter.map(RainUm),
        fault: fault.map(str::to_owned),
    };
    let first = [
        reading(0, Some(1_000), None),
        reading(15, None, Some("implausible")),
        reading(30, Some(3_000), None),
    ];
    assert_eq!(reply(&mut conn, &day, b"one").await, Some(1));
    let inserted = observations::insert_batch(&mut conn, &day, 1, &first).await;
    assert_eq!(inserted.unwrap(), 3);
    assert_eq!(
        reply(&mut conn, &day, b"one").await,
        None,
        "the same bytes are no revision"
    );
    assert_eq!(reply(&mut conn, &day, b"two").await, Some(2));
    let mut second = first.to_vec();
    second[1] = reading(15, Some(2_000), None);
    second.push(reading(45, Some(4_000), None));
    assert_eq!(
        observations::insert_batch(&mut conn, &day, 2, &second)
            .await
            .unwrap(),
        2
    );
    assert_eq!(
        observations::insert_batch(&mut conn, &day, 2, &second)
            .await
            .unwrap(),
        0
    );
    let (from, until) = (at("2026-03-05T00:00:00Z"), at("2026-03-06T00:00:00Z"));
    let newest = observations::list_between(&mut conn, "a", from, until)
        .await
        .unwrap();
    assert_eq!(newest, second);

    let changed = sqlx::query("update observations set counter_um = 0")
        .execute(&mut *conn)
        .await;
    assert!(changed.unwrap_err().to_string().contains("never changed"));
}

#[sqlx::test(migrations = "../../migrations")]
async fn the_neighbours_of_a_day_are_readings_that_hold_a_number(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    an_observed_risk(&mut conn).await;
    let day = a_day(&mut conn).await;
    let readings: Vec<Reading> = [
        ("2026-03-01T20:00:00Z", Some(1)),
        ("2026-03-04T23:45:00Z", None),
        ("2026-03-06T00:00:00Z", Some(2)),
    ]
    .map(|(instant, um)| Reading {
        at: at(instant),
        counter: um.map(RainUm),
        fault: um.is_none().then(|| "implausible".to_owned()),
    })
    .to_vec();
    observations::insert_batch(&mut conn, &day, 1, &readings)
        .await
        .unwrap();
    let (begins, ends) = (at("2026-03-05T00:00:00Z"), at("2026-03-06T00:00:00Z"));
    let found = observations::find_neighbours(&mut conn, "a", begins, ends)
        .await
        .unwrap();
    assert_eq!(found, (Some(readings[0].at), Some(readings[2].at)));
}

fn station_day(rain_um: Option<i32>) -> StationDay {
    StationDay {
        day: date("2026-03-05"),
        rain_um: rain_um.map(RainUm),
        samples: 97,
        resets: 1,
        flags: vec!["gap".to_owned(), "reset".to_owned()],
        replies: vec!["ab".repeat(32)],
    }
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_local_day_changes_until_a_risk_that_rests_on_it_is_decided(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    let risk = an_observed_risk(&mut conn).await;
    let write = |rain_um| [station_day(rain_um)];
    for (rain_um, changed) in [(None, 1), (None, 0), (Some(4_500), 1), (Some(4_500), 0)] {
        let days = write(rain_um);
        let written = observations::upsert_station_days(&mut conn, now(), "a", &days).await;
        assert_eq!(written.unwrap(), changed, "{rain_um:?}");
    }
    decide(&mut conn).await;
    let late = observations::upsert_station_days(&mut conn, now(), "a", &write(Some(9_999))).await;
    assert_eq!(late.unwrap(), 0, "its evidence is published");
    let mut outside = station_day(Some(7));
    outside.day = date("2026-06-01");
    let elsewhere = observations::upsert_station_days(&mut conn, now(), "a", &[outside]).await;
    assert_eq!(
        elsewhere.unwrap(),
        1,
        "the day after the window rests on nothing"
    );
    let window = risks::find(&mut conn, risk).await.unwrap().unwrap().window;
    let frozen = stations::list_frozen(&mut conn, risk, window)
        .await
        .unwrap();
    assert_eq!(frozen[0].days, [station_day(Some(4_500))]);
    assert_eq!(frozen[1].days, []);
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_risk_becomes_stale_once_and_only_by_its_own_days_and_stations(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    let risk = an_observed_risk(&mut conn).await;
    let frozen = risks::find(&mut conn, risk).await.unwrap().unwrap();
    assert!(
        frozen.index_dirty,
        "its stations may have been observed before"
    );
    risks::mark_clean(&mut conn, risk).await.unwrap();
    let newcomer = [candidate("c", 900)];
    stations::record_candidates(&mut conn, now(), risk, &newcomer)
        .await
        .unwrap();
    for (station, first, last) in [
        ("a", "2026-02-27", "2026-02-28"),
        ("a", "2026-06-01", "2026-06-02"),
        ("c", "2026-03-05", "2026-03-06"),
    ] {
        let marked = risks::mark_dirty(&mut conn, station, date(first), date(last)).await;
        assert_eq!(marked.unwrap(), [], "{station} {first}");
    }
    let (first, last) = (date("2026-02-28"), date("2026-03-01"));
    assert_eq!(
        risks::mark_dirty(&mut conn, "b", first, last)
            .await
            .unwrap(),
        [risk]
    );
    assert_eq!(
        risks::mark_dirty(&mut conn, "a", first, last)
            .await
            .unwrap(),
        [],
        "it is already"
    );
    assert!(
        risks::find(&mut conn, risk)
            .await
            .unwrap()
            .unwrap()
            .index_dirty
    );
    risks::mark_clean(&mut conn, risk).await.unwrap();
    decide(&mut conn).await;
    assert_eq!(
        risks::mark_dirty(&mut conn, "a", first, last)
            .await
            .unwrap(),
        []
    );
    let decided = risks::find(&mut conn, risk).await.unwrap().unwrap();
    assert!(decided.is_decided);
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_day_recorded_while_the_index_is_computed_is_counted_by_the_next(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    let risk = an_observed_risk(&mut conn).await;
    drop(conn);
    let mut computing = pool.begin().await.unwrap();
    risks::lock(&mut computing, risk).await.unwrap();
    risks::mark_clean(&mut computing, risk).await.unwrap();

    // the mark is still on for everybody else: it must not be taken for a mark that stays
    let mut recording = pool.begin().await.unwrap();
    let (first, last) = (date("2026-05-30"), date("2026-05-31"));
    let mut marking = Box::pin(risks::mark_dirty(&mut recording, "a", first, last));
    let early = tokio::select! {
        biased;
        marked = &mut marking => Some(marked),
        () = somebody_waits(&pool) => None,
    };
    computing.commit().await.unwrap();
    let marked = match early {
        Some(marked) => marked,
        None => marking.as_mut().await,
    };
    drop(marking);
    recording.commit().await.unwrap();
    assert_eq!(marked.unwrap(), [risk]);
    let mut conn = pool.acquire().await.unwrap();
    let after = risks::find(&mut conn, risk).await.unwrap().unwrap();
    assert!(after.index_dirty, "the day is not counted yet");
}

/// Until some connection to this database waits for a row.
async fn somebody_waits(pool: &PgPool) {
    const WAITING: &str = "-- testing.waiting
        select count(*) from pg_stat_activity
        where datname = current_database() and wait_event_type = 'Lock'";
    loop {
        let row = sqlx::raw_sql(WAITING).fetch_one(pool).await.unwrap();
        if row.get::<i64, _>(0) > 0 {
            return;
        }
    }
}
