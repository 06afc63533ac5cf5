//! Stations, fetched days, readings and local days: written once, and stale risks known by them.
//! Never decides what a day is worth. Run by cargo.

use std::collections::BTreeSet;

use chrono::TimeDelta;
use domain::evidence::StationDay;
use domain::id::RiskId;
use domain::measure::RainUm;
use sqlx::{PgPool, Row};
use store::observations::{self, Fetch, FetchState, Reading, Readings, Reply, UtcDay};
use store::station_days::{self, DayCounts, Neighbours, Span, UtcDate};
use store::{Connection, risks, stations};
use uuid::Uuid;

use super::observed::{
    a_day, an_observed_risk, at, candidate, date, decide, is_stale, now, planned, ranked, the_day,
};

#[sqlx::test(migrations = "../../migrations")]
async fn stations_are_chosen_once_and_stay_as_they_were_chosen(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    let risk = an_observed_risk(&mut conn).await;
    assert!(is_stale(
        &risks::mark_frozen(&mut conn, now(), &[risk]).await
    ));
    let mut moved = candidate("a", 9_000);
    moved.data_quality_e4 = Some(1);
    let newcomer = candidate("c", 100);
    stations::record_candidates(&mut conn, now(), risk, &[newcomer, moved])
        .await
        .unwrap();
    let again = stations::rank(&mut conn, &[ranked("a", 5)]).await.unwrap();
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
    let risk = an_observed_risk(&mut conn).await;
    let day = a_day(&mut conn).await;
    assert_eq!((day.state, day.attempts), (FetchState::Due, 0));
    let again = observations::plan_days(&mut conn, &[planned(Uuid::from_u128(6))]).await;
    assert_eq!(again.unwrap(), 0);
    assert!(
        observations::has_more_due(&mut conn, at("2026-03-06T02:00:00Z"), "a")
            .await
            .unwrap()
    );

    let unscored = Fetch {
        day: &day,
        state: FetchState::Due,
        next_check_at: Some(at("2026-03-07T02:00:00Z")),
        reply_sha256: Some("ab"),
        data_quality_e4: None,
        location_quality_e4: Some(10_000),
    };
    let fetches = [unscored];
    let once = observations::record_fetches(&mut conn, now(), &fetches).await;
    assert_eq!(once.unwrap(), BTreeSet::from([day.id]));
    let twice = observations::record_fetches(&mut conn, now(), &fetches).await;
    assert_eq!(
        twice.unwrap(),
        BTreeSet::new(),
        "the same fetch is not recorded twice"
    );
    assert!(
        !observations::has_more_due(&mut conn, at("2026-03-06T02:00:00Z"), "a")
            .await
            .unwrap()
    );

    let day = the_day(&mut conn, day.id).await;
    let scored = Fetch {
        day: &day,
        state: FetchState::Recorded,
        next_check_at: None,
        reply_sha256: None,
        data_quality_e4: Some(9_600),
        location_quality_e4: None,
    };
    let open = counts(&mut conn, risk).await;
    observations::record_fetches(&mut conn, now(), &[scored])
        .await
        .unwrap();
    let shut = counts(&mut conn, risk).await;
    let utc_date = UtcDate {
        station_id: "a".to_owned(),
        date: day.utc_date,
    };
    station_days::mark_computed(&mut conn, now(), &[utc_date])
        .await
        .unwrap();
    let counted = counts(&mut conn, risk).await;
    let days = |due, uncomputed| DayCounts {
        planned: 1,
        due,
        uncomputed,
    };
    assert_eq!((open, shut, counted), (days(1, 0), days(0, 1), days(0, 0)));
    let span = span("2026-03-05T00:00:00Z", "2026-03-05T23:45:00Z");
    let listed = station_days::list_fetched(&mut conn, &[span]).await;
    let fetched = listed.unwrap().remove(0).remove(&day.utc_date).unwrap();
    assert_eq!(
        fetched.reply_sha256.as_deref(),
        Some("ab"),
        "what a fetch did not say stays"
    );
    let quality = (fetched.data_quality_e4, fetched.location_quality_e4);
    assert_eq!(quality, (Some(9_600), Some(10_000)));
}

fn span(from: &str, until: &str) -> Span {
    Span {
        station_id: "a".to_owned(),
        from: at(from),
        until: at(until),
    }
}

async fn counts(conn: &mut Connection, risk: RiskId) -> DayCounts {
    let counted = station_days::count_unsettled(conn, &[risk]).await.unwrap();
    *counted.get(&risk).unwrap()
}

/// Stores bytes as a reply about a day; gives its revision when it is one.
async fn reply(conn: &mut Connection, day: &UtcDay, raw: &'static [u8]) -> Option<i16> {
    let sha256 = String::from_utf8_lossy(raw);
    let id = Uuid::from_bytes([raw[0]; 16]);
    let reply = Reply {
        id,
        station_id: &day.station_id,
        utc_date: day.utc_date,
        sha256: &sha256,
        raw,
    };
    let stored = observations::store_replies(conn, now(), &[reply]).await;
    stored.unwrap().remove(&id)
}

/// Inserts the readings of one reply; gives how many were new or said something else.
async fn insert(conn: &mut Connection, day: &UtcDay, revision: i16, readings: &[Reading]) -> u64 {
    let reply = Readings {
        station_id: &day.station_id,
        utc_date: day.utc_date,
        revision,
        readings,
    };
    let inserted = observations::insert_batch(conn, &[reply]).await;
    inserted.unwrap()
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
    assert_eq!(insert(&mut conn, &day, 1, &first).await, 3);
    assert_eq!(
        reply(&mut conn, &day, b"one").await,
        None,
        "the same bytes are no revision"
    );
    assert_eq!(reply(&mut conn, &day, b"two").await, Some(2));
    let mut second = first.to_vec();
    second[1] = reading(15, Some(2_000), None);
    second.push(reading(45, Some(4_000), None));
    assert_eq!(insert(&mut conn, &day, 2, &second).await, 2);
    assert_eq!(insert(&mut conn, &day, 2, &second).await, 0);
    let spans = [
        span("2026-03-05T00:00:00Z", "2026-03-06T00:00:00Z"),
        span("2026-03-05T12:15:00Z", "2026-03-05T12:30:00Z"),
        span("2026-03-06T00:00:00Z", "2026-03-07T00:00:00Z"),
    ];
    let listed = station_days::list_readings(&mut conn, &spans)
        .await
        .unwrap();
    let newest: Vec<_> = second
        .iter()
        .map(|reading| station_days::Reading {
            at: reading.at,
            counter: reading.counter,
        })
        .collect();
    assert_eq!(listed, [newest.clone(), newest[1..3].to_vec(), vec![]]);

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
    insert(&mut conn, &day, 1, &readings).await;
    let spans = [
        span("2026-03-05T00:00:00Z", "2026-03-06T00:00:00Z"),
        span("2026-03-01T20:00:00Z", "2026-03-06T00:15:00Z"),
    ];
    let near = |before: Option<usize>, after: Option<usize>| Neighbours {
        before: before.map(|n| readings[n].at),
        after: after.map(|n| readings[n].at),
    };
    let listed = async |conn: &mut Connection, hours| {
        let found = station_days::list_neighbours(conn, &spans, hours).await;
        found.unwrap()
    };
    let found = listed(&mut conn, 288).await;
    assert_eq!(found, [near(Some(0), Some(2)), near(None, None)]);
    let within_an_hour = listed(&mut conn, 1).await;
    assert_eq!(within_an_hour[0], near(None, Some(2)), "that is too far");
    let refused = Reading {
        counter: None,
        ..readings[0].clone()
    };
    insert(&mut conn, &day, 2, &[refused]).await;
    let found = listed(&mut conn, 288).await;
    assert_eq!(
        found[0],
        near(None, Some(2)),
        "the newest revision refuses it"
    );
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

fn days_of_a(days: &[StationDay]) -> Vec<(&str, &StationDay)> {
    days.iter().map(|day| ("a", day)).collect()
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_local_day_changes_until_a_risk_that_rests_on_it_is_decided(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    let risk = an_observed_risk(&mut conn).await;
    let write = |rain_um| [station_day(rain_um)];
    for (rain_um, changed) in [(None, 1), (None, 0), (Some(4_500), 1), (Some(4_500), 0)] {
        let days = write(rain_um);
        let written = station_days::upsert(&mut conn, now(), &days_of_a(&days)).await;
        assert_eq!(written.unwrap(), changed, "{rain_um:?}");
    }
    decide(&mut conn).await;
    let late = write(Some(9_999));
    let late = station_days::upsert(&mut conn, now(), &days_of_a(&late)).await;
    assert_eq!(late.unwrap(), 0, "its evidence is published");
    let mut outside = station_day(Some(7));
    outside.day = date("2026-06-01");
    let elsewhere = station_days::upsert(&mut conn, now(), &[("a", &outside)]).await;
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

/// Marks what rests on days of a station, as the index role does.
async fn mark(conn: &mut Connection, station_id: &str, first: &str, last: &str) -> Vec<RiskId> {
    let days = risks::Days {
        station_id,
        first: date(first),
        last: date(last),
    };
    let undecided = risks::lock_observed(conn, &[days]).await.unwrap();
    risks::mark_dirty(conn, &undecided).await.unwrap()
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
    risks::mark_clean(&mut conn, &[risk]).await.unwrap();
    let newcomer = [candidate("c", 900)];
    stations::record_candidates(&mut conn, now(), risk, &newcomer)
        .await
        .unwrap();
    for (station, first, last) in [
        ("a", "2026-02-27", "2026-02-28"),
        ("a", "2026-06-01", "2026-06-02"),
        ("c", "2026-03-05", "2026-03-06"),
    ] {
        let marked = mark(&mut conn, station, first, last).await;
        assert_eq!(marked, [], "{station} {first}");
    }
    let (first, last) = ("2026-02-28", "2026-03-01");
    assert_eq!(mark(&mut conn, "b", first, last).await, [risk]);
    assert_eq!(mark(&mut conn, "a", first, last).await, [], "it is already");
    assert!(
        risks::find(&mut conn, risk)
            .await
            .unwrap()
            .unwrap()
            .index_dirty
    );
    risks::mark_clean(&mut conn, &[risk]).await.unwrap();
    decide(&mut conn).await;
    assert_eq!(mark(&mut conn, "a", first, last).await, []);
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
    risks::mark_clean(&mut computing, &[risk]).await.unwrap();

    // the mark is still on for everybody else: it must not be taken for a mark that stays
    let mut recording = pool.begin().await.unwrap();
    let mut marking = Box::pin(mark(&mut recording, "a", "2026-05-30", "2026-05-31"));
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
    assert_eq!(marked, [risk]);
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
