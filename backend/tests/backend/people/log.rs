//! The log is whole however it was written, and shows every way of rewriting it.
//! Each way of damaging it is tried as the owner of the tables, who could.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use axum::http::StatusCode;
use backend::people;
use domain::id::OrganisationId;
use serde_json::json;
use sqlx::PgPool;
use store::audit::{self, Line};
use store::{MIGRATOR, Pool};

use super::house::House;

/// What `backend audit verify` says: its output, or its error.
async fn verify(pool: &Pool) -> Result<String, String> {
    let mut out = Vec::new();
    match people::verify(pool, &mut out).await {
        Ok(()) => Ok(String::from_utf8(out).unwrap()),
        Err(error) => Err(error.to_string()),
    }
}

/// Writes `count` lines, with what a careless canonical form would confuse.
async fn write(house: &House, count: i64) {
    let mut conn = house.app.acquire().await.unwrap();
    for number in 0..count {
        let line = Line {
            id: house.app.ids.uuid(house.now()),
            actor: "a test",
            action: "line.written",
            subject: "Ng’ang’a, 3:x,",
            details: json!({ "n": number, "z": [1.5, 1e30, -0.0], "a": { "é": null, "\n": true } }),
        };
        audit::record(&mut conn, house.now(), &line).await.unwrap();
        house.time.advance(chrono::TimeDelta::microseconds(1));
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn a_log_nobody_touched_is_whole(pool: PgPool) {
    let house = House::new(pool);
    let empty = verify(&house.app.pool).await.unwrap();
    assert!(
        empty.starts_with("audit: 0 lines, chain whole\n"),
        "{empty}"
    );
    write(&house, 1_003).await;
    let whole = verify(&house.app.pool).await.unwrap();
    let expected = "audit: 1000 of 1003 lines\naudit: 1003 of 1003 lines\naudit: 1003 lines, chain whole\naudit: end ";
    assert!(whole.starts_with(expected), "{whole}");
}

#[sqlx::test(migrations = "../migrations")]
async fn every_way_of_rewriting_it_is_found(pool: PgPool) {
    let house = House::new(pool);
    write(&house, 6).await;
    let rewriting = [
        ("update audit_log set actor = 'somebody' where sequence = 2", "line 2 was altered"),
        ("update audit_log set details = '{\"n\": 7}' where sequence = 3", "line 3 was altered"),
        ("update audit_log set recorded_at = recorded_at + interval '1 microsecond' where sequence = 1", "line 1 was altered"),
        ("update audit_log set subject_id = '', action = action || subject_id where sequence = 4", "line 4 was altered"),
        ("delete from audit_log where sequence = 4", "line 4 is missing"),
        ("delete from audit_log where sequence = 1", "line 1 is missing"),
        ("delete from audit_log where sequence = 6", "line 6 is missing"),
        ("delete from audit_log", "line 1 is missing"),
        ("update audit_log set sequence = 100 where sequence = 2; update audit_log set sequence = 2 where sequence = 3;
          update audit_log set sequence = 3 where sequence = 100", "line 2 does not follow"),
        ("delete from audit_log where sequence = 5; update audit_log set sequence = 5 where sequence = 6;
          update audit_head set sequence = 5", "line 5 does not follow"),
        // a careful hand that mends the line's own hash is found at the next line
        ("update audit_log set actor = 'somebody' where sequence = 2;
          update audit_log set hash = audit_hash(audit_log) where sequence = 2", "line 3 does not follow"),
        // and at the last line by the recorded end
        ("update audit_log set actor = 'somebody' where sequence = 6;
          update audit_log set hash = audit_hash(audit_log) where sequence = 6", "line 6 is not the recorded end"),
        ("update audit_head set sequence = 5, hash = (select hash from audit_log where sequence = 5)", "line 6 was added"),
    ];
    for (sql, expected) in rewriting {
        let saved = "create table kept as select * from audit_log; create table kept_head as select * from audit_head;
                     alter table audit_log disable trigger user";
        house.tamper(saved).await;
        house.tamper(sql).await;
        let broken = verify(&house.app.pool).await.unwrap_err();
        assert!(broken.contains(expected), "{sql}: {broken}");
        let restored = "delete from audit_log; insert into audit_log select * from kept;
                        update audit_head set sequence = kept_head.sequence, hash = kept_head.hash from kept_head;
                        alter table audit_log enable trigger user; drop table kept, kept_head";
        house.tamper(restored).await;
        assert!(verify(&house.app.pool).await.is_ok(), "{sql}");
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn the_database_refuses_to_rewrite_it(pool: PgPool) {
    let house = House::new(pool);
    write(&house, 1).await;
    for sql in [
        "update audit_log set actor = 'x'",
        "delete from audit_log",
        "truncate audit_log",
        "delete from audit_head",
        "truncate audit_head",
        "set role microcrop_app; update audit_head set sequence = 0",
        "set role microcrop_app; delete from audit_log",
    ] {
        let refused = store::testing::change(&house.owner, sql).await;
        assert!(refused.is_err(), "{sql}");
        let reset = store::testing::change(&house.owner, "reset role").await;
        assert!(reset.is_ok());
    }
    assert!(verify(&house.app.pool).await.is_ok());
}

#[sqlx::test(migrations = "../migrations")]
async fn writers_at_once_make_one_chain_and_a_line_of_a_failed_deed_leaves_no_gap(pool: PgPool) {
    let house = House::new(pool);
    let ten = || async {
        for number in 0..10 {
            let mut tx = house.app.pool.begin().await.unwrap();
            let now = house.now();
            let line = Line {
                id: house.app.ids.uuid(now),
                actor: "a test",
                action: "line.written",
                subject: "",
                details: json!({}),
            };
            audit::record(&mut tx, now, &line).await.unwrap();
            if number % 3 == 0 {
                tx.rollback().await.unwrap();
            } else {
                tx.commit().await.unwrap();
            }
        }
    };
    tokio::join!(ten(), ten(), ten());
    let whole = verify(&house.app.pool).await.unwrap();
    assert!(whole.contains("audit: 18 lines, chain whole"), "{whole}");
}

#[sqlx::test(migrations = "../migrations")]
async fn a_partners_deed_is_chained_though_a_partner_has_no_right_over_the_chain(pool: PgPool) {
    let house = House::new(pool);
    let now = house.now();
    let organisation: OrganisationId = house.app.ids.mint(now);
    let mut tx = store::tenancy::begin(&house.app.pool, organisation)
        .await
        .unwrap();
    let line = Line {
        id: house.app.ids.uuid(now),
        actor: "a partner",
        action: "farmer.enrolled",
        subject: "",
        details: json!({}),
    };
    audit::record(&mut tx, now, &line).await.unwrap();
    assert!(audit::head(&mut tx).await.is_err());
    tx.rollback().await.unwrap();
    let mut tx = store::tenancy::begin(&house.app.pool, organisation)
        .await
        .unwrap();
    audit::record(&mut tx, now, &line).await.unwrap();
    tx.commit().await.unwrap();
    let whole = verify(&house.app.pool).await.unwrap();
    assert!(whole.contains("audit: 1 lines, chain whole"), "{whole}");
}

#[sqlx::test(migrations = false)]
async fn lines_from_before_the_chain_are_chained_by_the_migration(pool: PgPool) {
    store::testing::migrate_before(&pool, 13).await.unwrap();
    let lines = "insert into audit_log (id, actor, action, subject_id, details, recorded_at)
                 select gen_random_uuid(), 'a', 'b', n::text, '{\"k\": [1.50, \"é\"]}',
                        timestamptz '2026-01-01' - n * interval '1 second'
                 from generate_series(1, 5) n";
    store::testing::change(&pool, lines).await.unwrap();
    MIGRATOR.run(&pool).await.unwrap();
    let whole = verify(&pool).await.unwrap();
    assert!(whole.contains("audit: 5 lines, chain whole"), "{whole}");
    let first = "select subject_id from audit_log where sequence = 1";
    assert_eq!(store::testing::text(&pool, first).await.unwrap(), "5");
    assert!(
        store::testing::change(&pool, "delete from audit_log")
            .await
            .is_err()
    );
}

#[sqlx::test(migrations = "../migrations")]
async fn auditors_read_it_newest_first_and_in_parts(pool: PgPool) {
    let house = House::new(pool);
    let auditor = house.enrol("Chebet", "auditor").await;
    write(&house, 5).await;
    let total = house.count("select count(*) from audit_log").await;
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let path = format!("/api/v1/operator/audit?limit=4{cursor}");
        let (status, part) = house.get(&path, &auditor.bearer).await;
        assert_eq!(status, StatusCode::OK, "{part}");
        let items = part["items"].as_array().unwrap().clone();
        assert!((1..=4).contains(&items.len()));
        seen.extend(items);
        match part["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    let places: Vec<i64> = seen
        .iter()
        .map(|line| line["sequence"].as_i64().unwrap())
        .collect();
    let expected: Vec<i64> = (1..=total).rev().collect();
    assert_eq!(places, expected);
    // each line names the hash of the one before it, so a reader can hold the parts together
    for pair in seen.windows(2) {
        assert_eq!(pair[0]["previous_hash"], pair[1]["hash"]);
    }
    assert_eq!(seen[0]["details"]["n"], 4);
    for (query, code) in [
        ("limit=0", "limit_out_of_range"),
        ("limit=201", "limit_out_of_range"),
        ("cursor=!", "malformed"),
    ] {
        let path = format!("/api/v1/operator/audit?{query}");
        assert_eq!(house.get(&path, &auditor.bearer).await.1["code"], code);
    }
}
