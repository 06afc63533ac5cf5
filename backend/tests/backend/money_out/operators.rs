//! What operators may do and may not: two people release, one refines a ward, anyone with a token
//! reads the report; every change leaves a line in the log.

use axum::http::StatusCode;
use chrono::TimeDelta;
use domain::id::EvaluationId;
use serde_json::{Value, json};
use sqlx::PgPool;
use store::StoreError;
use store::approvals::{self, ApprovalStep};
use store::evaluations::EvaluationState::{Approved, Held};

use super::house::House;

async fn approve(house: &House, token: &str) -> (StatusCode, Value) {
    let path = format!("/api/v1/payout-runs/{}/approve", house.evaluation);
    house.send("POST", &path, Some(token), String::new()).await
}

#[sqlx::test(migrations = "../migrations")]
async fn two_operators_release_and_one_cannot(pool: PgPool) {
    let house = House::new(pool, Held).await;
    let (wanjiku, otieno) = (
        house.token("wanjiku", "operator").await,
        house.token("otieno", "approver").await,
    );
    let runs = house
        .send(
            "GET",
            "/api/v1/payout-runs?state=held",
            Some(&wanjiku),
            String::new(),
        )
        .await
        .1;
    assert_eq!(runs["runs"][0]["evaluation"], house.evaluation.to_string());
    assert_eq!(runs["runs"][0]["payout"], "63.32%");

    let (status, made) = approve(&house, &wanjiku).await;
    assert_eq!((status, &made["state"]), (StatusCode::OK, &json!("made")));
    let (status, again) = approve(&house, &wanjiku).await;
    assert_eq!(
        (status, &again["code"]),
        (StatusCode::CONFLICT, &json!("maker_cannot_check"))
    );
    assert_eq!(
        house
            .count("select count(*) from payouts where state = 'held'")
            .await,
        3
    );

    let (status, checked) = approve(&house, &otieno).await;
    assert_eq!(
        (status, &checked["state"]),
        (StatusCode::OK, &json!("approved"))
    );
    assert_eq!(checked["released"], 3);
    assert_eq!(
        house
            .count("select count(*) from payouts where state = 'approved'")
            .await,
        3
    );
    let bells = "select count(*) from outbox where topic = 'payout.approved.v1'";
    assert_eq!(house.count(bells).await, 3);
    assert_eq!(
        house
            .count("select count(*) from audit_log where action like 'payout_run.%'")
            .await,
        2
    );

    let (status, repeated) = approve(&house, &otieno).await;
    assert_eq!((status, &repeated["released"]), (StatusCode::OK, &json!(0)));
    let third = house.token("achieng", "operator").await;
    assert_eq!(approve(&house, &third).await.1["code"], "already_approved");
    assert_eq!(house.count(bells).await, 3);
}

#[sqlx::test(migrations = "../migrations")]
async fn only_an_approver_confirms_and_not_one_who_invited_or_was_invited(pool: PgPool) {
    let house = House::new(pool, Held).await;
    let administrator = house.token("asha", "administrator").await;
    assert_eq!(approve(&house, &administrator).await.1["state"], "made");
    for (name, role) in [("wanjiku", "operator"), ("baraka", "administrator")] {
        let token = house.token(name, role).await;
        let (status, refused) = approve(&house, &token).await;
        assert_eq!(
            (status, &refused["code"]),
            (StatusCode::FORBIDDEN, &json!("approver_needed")),
            "{role}"
        );
    }
    let approver = house.token("otieno", "approver").await;
    for invitation in [
        "update operators set invited_by = (select id from operators where name = 'asha')
         where name = 'otieno'",
        "update operators set invited_by = null where name = 'otieno';
         update operators set invited_by = (select id from operators where name = 'otieno')
         where name = 'asha'",
    ] {
        house.tamper(invitation).await;
        let (status, refused) = approve(&house, &approver).await;
        assert_eq!(
            (status, &refused["code"]),
            (StatusCode::CONFLICT, &json!("not_independent"))
        );
    }
    house.tamper("update operators set invited_by = null").await;
    assert_eq!(approve(&house, &approver).await.1["state"], "approved");
    assert_eq!(house.count("select count(*) from approvals").await, 2);
}

#[sqlx::test(migrations = "../migrations")]
async fn the_database_itself_refuses_one_person_twice(pool: PgPool) {
    let house = House::new(pool, Held).await;
    house.token("wanjiku", "operator").await;
    let mut conn = house.conn().await;
    let id = store::operators::ensure(
        &mut conn,
        house.app.clock.now(),
        house.app.ids.mint(house.app.clock.now()),
        "wanjiku",
        store::operators::OperatorRole::Operator,
    )
    .await
    .unwrap()
    .id;
    let now = house.app.clock.now();
    approvals::add(&mut conn, now, house.evaluation, ApprovalStep::Made, id, "")
        .await
        .unwrap();
    let alone = approvals::release(&mut conn, now, house.evaluation).await;
    assert!(matches!(alone, Err(StoreError::Stale { .. })), "{alone:?}");
    let twice = approvals::add(
        &mut conn,
        now,
        house.evaluation,
        ApprovalStep::Checked,
        id,
        "",
    )
    .await;
    assert!(
        matches!(twice, Err(StoreError::Conflict { .. })),
        "{twice:?}"
    );
}

#[sqlx::test(migrations = "../migrations")]
async fn only_operators_with_a_good_token_get_in(pool: PgPool) {
    let house = House::new(pool, Held).await;
    let report = "/api/v1/operator/report";
    for (token, code) in [(None, "unauthorised"), (Some("a.b.c"), "unauthorised")] {
        let (status, problem) = house.send("GET", report, token, String::new()).await;
        assert_eq!(
            (status, &problem["code"]),
            (StatusCode::UNAUTHORIZED, &json!(code))
        );
    }
    let auditor = house.token("auditor", "auditor").await;
    assert_eq!(
        house
            .send("GET", report, Some(&auditor), String::new())
            .await
            .0,
        StatusCode::OK
    );
    assert_eq!(approve(&house, &auditor).await.0, StatusCode::FORBIDDEN);

    let gone = house.token("gone", "operator").await;
    house
        .tamper("update operators set ended_at = created_at where name = 'gone'")
        .await;
    assert_eq!(
        house
            .send("GET", report, Some(&gone), String::new())
            .await
            .0,
        StatusCode::UNAUTHORIZED
    );

    house.time.advance(TimeDelta::hours(13));
    let late = house
        .send("GET", report, Some(&auditor), String::new())
        .await
        .1;
    assert_eq!(late["code"], "token_expired");
}

#[sqlx::test(migrations = "../migrations")]
async fn what_is_not_held_needs_no_release(pool: PgPool) {
    let house = House::new(pool, Approved).await;
    let token = house.token("wanjiku", "operator").await;
    assert_eq!(approve(&house, &token).await.1["code"], "not_held");
    for unknown in [
        EvaluationId::from_parts(1, [9; 10]).to_string(),
        "nonsense".to_owned(),
    ] {
        let path = format!("/api/v1/payout-runs/{unknown}/approve");
        let (status, problem) = house.send("POST", &path, Some(&token), String::new()).await;
        assert_eq!(
            (status, &problem["code"]),
            (StatusCode::NOT_FOUND, &json!("unknown_evaluation"))
        );
    }
    let path = format!("/api/v1/payout-runs/{}/approve", house.evaluation);
    let garbled = house
        .send("POST", &path, Some(&token), "{".to_owned())
        .await;
    assert_eq!(garbled.0, StatusCode::BAD_REQUEST);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_person_has_a_refused_payout_tried_again_under_a_new_id(pool: PgPool) {
    let house = House::new(pool, Approved).await;
    let token = house.token("wanjiku", "approver").await;
    let path = format!("/api/v1/payouts/{}/retry", house.payouts[0]);
    let why = json!({ "reason": "float topped up" }).to_string();
    let early = house.send("POST", &path, Some(&token), why.clone()).await.1;
    assert_eq!(early["code"], "not_refused");

    let (_, originator) = house.sent(Some("AG_1")).await;
    let body = json!({ "Result": {
        "ResultCode": 1, "ConversationID": "AG_1", "OriginatorConversationID": originator,
    }});
    house.call_back("b2c-result", &body).await;
    house.process().await;
    let silent = house.send("POST", &path, Some(&token), String::new()).await;
    assert_eq!(silent.1["code"], "reason_missing");
    let (status, retried) = house.send("POST", &path, Some(&token), why.clone()).await;
    assert_eq!(
        (status, &retried["attempts"]),
        (StatusCode::OK, &json!(2)),
        "{retried}"
    );
    assert_eq!(
        house
            .count("select count(distinct originator_id) from payout_legs")
            .await,
        4
    );
    let mut conn = house.conn().await;
    assert_eq!(
        store::legs::pause(&mut conn).await.unwrap(),
        store::legs::Pause::None
    );
    drop(conn);
    assert_eq!(
        house.send("POST", &path, Some(&token), why).await.1["code"],
        "not_refused"
    );
    let report = house
        .send(
            "GET",
            "/api/v1/operator/report",
            Some(&token),
            String::new(),
        )
        .await
        .1;
    assert_eq!(report["invariants"]["broken"], 0, "{report}");
}

#[sqlx::test(migrations = "../migrations")]
async fn a_payout_the_rail_contradicts_itself_about_is_never_tried_again(pool: PgPool) {
    let house = House::new(pool, Approved).await;
    let token = house.token("wanjiku", "approver").await;
    let (_, originator) = house.sent(Some("AG_1")).await;
    for (path, code) in [("b2c-result", 1), ("status-result", 0), ("b2c-result", 0)] {
        let body = json!({ "Result": {
            "ResultCode": code, "ConversationID": "AG_1", "OriginatorConversationID": originator,
            "TransactionID": format!("SG{code}"),
            "ResultParameters": { "ResultParameter": [
                { "Key": "TransactionAmount", "Value": 6332 },
                { "Key": "TransactionReceipt", "Value": "SG0" },
            ]},
        }});
        house.call_back(path, &body).await;
        house.process().await;
    }
    let flags = "select count(*) from payout_legs where needs_person = 'contradicted'";
    assert_eq!(house.count(flags).await, 1);
    let path = format!("/api/v1/payouts/{}/retry", house.payouts[0]);
    let why = json!({ "reason": "float topped up" }).to_string();
    let (status, problem) = house.send("POST", &path, Some(&token), why).await;
    assert_eq!(
        (status, &problem["code"]),
        (StatusCode::CONFLICT, &json!("contradicted")),
        "{problem}"
    );
    let again = "select count(*) from payout_legs where attempt > 1";
    assert_eq!(house.count(again).await, 0);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_wards_point_is_refined_and_logged(pool: PgPool) {
    let house = House::new(pool, Approved).await;
    let token = house.token("wanjiku", "operator").await;
    let put = |code: &str, body: Value| {
        let path = format!("/api/v1/operator/wards/{code}");
        let (token, body) = (token.clone(), body.to_string());
        let house = &house;
        async move { house.send("PUT", &path, Some(&token), body).await }
    };
    let point = json!({ "lat": 2.13, "lon": 37.88 });
    let (status, refined) = put("0321", point.clone()).await;
    assert_eq!(
        (status, &refined["precision"]),
        (StatusCode::OK, &json!("ward"))
    );
    let stored = house
        .text("select plot_cell from wards where code = '0321'")
        .await;
    assert_eq!(refined["plot_cell"], stored.as_str());
    assert_eq!(put("9999", point).await.1["code"], "unknown_ward");
    assert_eq!(
        put("0321", json!({ "lat": 37.88, "lon": 2.13 })).await.1["code"],
        "point_outside_kenya"
    );
    assert_eq!(
        put("0321", json!({ "lat": "north" })).await.0,
        StatusCode::BAD_REQUEST
    );
    assert_eq!(
        house
            .count("select count(*) from audit_log where action = 'ward.refined'")
            .await,
        1
    );
}

#[sqlx::test(migrations = "../migrations")]
async fn the_report_compares_the_ledger_with_the_rails_own_books(pool: PgPool) {
    let house = House::new(pool, Approved).await;
    let token = house.token("wanjiku", "operator").await;
    let show = async |books: &str| {
        let path = format!("/api/v1/operator/report{books}");
        house
            .send("GET", &path, Some(&token), String::new())
            .await
            .1["invariants"]
            .clone()
    };
    assert_eq!(
        (&show("").await["checked"], &show("").await["broken"]),
        (&json!(13), &json!(0))
    );
    let right = show("?collected_minor=253200&disbursed_minor=0").await;
    assert_eq!(
        (&right["checked"], &right["broken"]),
        (&json!(14), &json!(0))
    );
    let wrong = show("?collected_minor=253200&disbursed_minor=100").await;
    assert_eq!(
        (&wrong["broken"], &wrong["breaches"][0]["invariant"]),
        (&json!(1), &json!("I7"))
    );
}

#[sqlx::test(migrations = "../migrations")]
async fn a_token_is_issued_to_the_same_person_again_and_never_for_a_role_nobody_knows(
    pool: PgPool,
) {
    let house = House::new(pool, Approved).await;
    house.token("wanjiku", "operator").await;
    house.token("wanjiku", "approver").await;
    assert_eq!(house.count("select count(*) from operators").await, 1);
    assert_eq!(house.text("select role from operators").await, "approver");
    let app = &house.app;
    let now = app.clock.now();
    let refused =
        backend::operator::issue_token(&app.pool, now, &app.ids, &app.config, "x", "king").await;
    assert!(
        refused
            .unwrap_err()
            .to_string()
            .contains("operator, approver")
    );
}
