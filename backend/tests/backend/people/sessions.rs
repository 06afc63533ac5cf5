//! Signing in, staying in and being kept out, by our clock.
//! Time is moved by hand; nothing waits.

use axum::http::StatusCode;
use runtime::config::Environment;
use serde_json::{Value, json};
use sqlx::PgPool;

use super::house::{House, PASSWORD, person};

const ME: &str = "/api/v1/operator/me";

#[sqlx::test(migrations = "../migrations")]
async fn a_bearer_token_lasts_fifteen_minutes_and_a_session_twelve_hours(pool: PgPool) {
    let house = House::new(pool);
    let asha = house.enrol("Asha", "administrator").await;
    house.later(30);
    for who in ["Asha", "asha@example.com", " ASHA@example.com "] {
        let (status, session) = house
            .sign_in(who, PASSWORD, &house.code(&asha.secret))
            .await;
        assert_eq!(status, StatusCode::CREATED, "{who}: {session}");
        house.later(30);
    }
    let email = json!({ "email": "asha@example.com", "password": PASSWORD, "totp": house.code(&asha.secret) });
    let (status, session) = house.post("/api/v1/sessions", &email).await;
    assert_eq!(status, StatusCode::CREATED);
    let mut asha = person(&session, asha.secret);
    house.later(15 * 60 - 1);
    assert_eq!(house.get(ME, &asha.bearer).await.0, StatusCode::OK);
    house.later(1);
    assert_eq!(house.get(ME, &asha.bearer).await.1["code"], "token_expired");
    for _ in 0..2 {
        let (status, next) = house.refresh(&asha.refresh).await;
        assert_eq!(status, StatusCode::OK, "{next}");
        assert_eq!(next["session_expires_at"], session["session_expires_at"]);
        asha = person(&next, asha.secret);
        assert_eq!(house.get(ME, &asha.bearer).await.0, StatusCode::OK);
    }
    house.later(11 * 3_600 + 2_500);
    let last = house.refresh(&asha.refresh).await.1;
    // a bearer token never outlives its session
    assert_eq!(last["expires_at"], session["session_expires_at"]);
    house.later(200);
    let over = house.refresh(last["refresh_token"].as_str().unwrap()).await;
    assert_eq!(
        (over.0, &over.1["code"]),
        (StatusCode::UNAUTHORIZED, &json!("session_over"))
    );
}

#[sqlx::test(migrations = "../migrations")]
async fn a_code_is_good_once_and_only_near_its_time(pool: PgPool) {
    let house = House::new(pool);
    let asha = house.enrol("Asha", "administrator").await;
    // the code that confirmed the invitation is used
    assert_eq!(
        house.sign_in_rightly(&asha).await.0,
        StatusCode::UNAUTHORIZED
    );
    house.later(30);
    let code = house.code(&asha.secret);
    assert_eq!(
        house.sign_in("Asha", PASSWORD, &code).await.0,
        StatusCode::CREATED
    );
    assert_eq!(
        house.sign_in("Asha", PASSWORD, &code).await.0,
        StatusCode::UNAUTHORIZED
    );
    house.later(30);
    let slow = house.code(&asha.secret);
    house.later(30);
    assert_eq!(
        house.sign_in("Asha", PASSWORD, &slow).await.0,
        StatusCode::CREATED
    );
    let stale = house.code(&asha.secret);
    house.later(60);
    assert_eq!(
        house.sign_in("Asha", PASSWORD, &stale).await.0,
        StatusCode::UNAUTHORIZED
    );
}

#[sqlx::test(migrations = "../migrations")]
async fn five_misses_close_the_door_and_each_time_for_longer(pool: PgPool) {
    let house = House::new(pool);
    let asha = house.enrol("Asha", "administrator").await;
    for minutes in [15, 30, 60] {
        house.later(30);
        for _ in 0..5 {
            let wrong = house
                .sign_in("Asha", "wrong", &house.code(&asha.secret))
                .await;
            assert_eq!(wrong.0, StatusCode::UNAUTHORIZED);
        }
        house.later(minutes * 60 - 1);
        let closed = house.sign_in_rightly(&asha).await;
        assert_eq!(closed.0, StatusCode::UNAUTHORIZED, "{minutes}");
        house.later(1);
    }
    assert_eq!(house.sign_in_rightly(&asha).await.0, StatusCode::CREATED);
    // a success forgets: four more misses close nothing, and the next lock is the first again
    for _ in 0..4 {
        house.sign_in("Asha", PASSWORD, "000000").await;
    }
    house.later(30);
    assert_eq!(house.sign_in_rightly(&asha).await.0, StatusCode::CREATED);
    for _ in 0..5 {
        house.sign_in("Asha", PASSWORD, "000000").await;
    }
    house.later(15 * 60);
    assert_eq!(house.sign_in_rightly(&asha).await.0, StatusCode::CREATED);
    let locks = "select count(*) from audit_log where action = 'session.refused' and details ? 'locked_until'";
    assert_eq!(house.count(locks).await, 4);
}

#[sqlx::test(migrations = "../migrations")]
async fn guesses_at_once_are_counted_one_by_one(pool: PgPool) {
    let house = House::new(pool);
    let asha = house.enrol("Asha", "administrator").await;
    let guess = || house.sign_in("Asha", "wrong", "000000");
    tokio::join!(
        guess(),
        guess(),
        guess(),
        guess(),
        guess(),
        guess(),
        guess()
    );
    let counted = "select count(*) from audit_log where action = 'session.refused'";
    assert_eq!(house.count(counted).await, 5);
    house.later(30);
    assert_eq!(
        house.sign_in_rightly(&asha).await.0,
        StatusCode::UNAUTHORIZED
    );
}

#[sqlx::test(migrations = "../migrations")]
async fn a_stranger_hears_what_a_person_hears(pool: PgPool) {
    let house = House::new(pool);
    house.enrol("Asha", "administrator").await;
    let stranger = house.sign_in("Nobody", PASSWORD, "123456").await;
    assert_eq!(stranger.1["code"], "sign_in_refused");
    for number in 0..7 {
        let known = house.sign_in("Asha", "wrong", "123456").await;
        assert_eq!(known, stranger, "miss {number}");
    }
    // somebody with a name but no password, as drivers have, is a stranger too
    let app = &house.app;
    let now = house.now();
    backend::operator::issue_token(&app.pool, now, &app.ids, &app.config, "Driver", "operator")
        .await
        .unwrap();
    assert_eq!(house.sign_in("Driver", "", "").await, stranger);
    assert_eq!(
        house.post("/api/v1/sessions", &json!({})).await.0,
        StatusCode::BAD_REQUEST
    );
}

#[sqlx::test(migrations = "../migrations")]
async fn a_refresh_token_that_comes_twice_ends_the_whole_session(pool: PgPool) {
    let house = House::new(pool);
    let asha = house.enrol("Asha", "administrator").await;
    let next = person(&house.refresh(&asha.refresh).await.1, asha.secret.clone());
    let last = person(&house.refresh(&next.refresh).await.1, asha.secret.clone());
    let stolen = house.refresh(&asha.refresh).await;
    assert_eq!(
        (stolen.0, &stolen.1["code"]),
        (StatusCode::UNAUTHORIZED, &json!("session_over"))
    );
    for bearer in [&asha.bearer, &next.bearer, &last.bearer] {
        assert_eq!(house.get(ME, bearer).await.0, StatusCode::UNAUTHORIZED);
    }
    assert_eq!(
        house.refresh(&last.refresh).await.0,
        StatusCode::UNAUTHORIZED
    );
    let log = "select count(*) from audit_log where action = 'session.reused'";
    assert_eq!(house.count(log).await, 1);
    // other sessions of the same person go on
    house.later(30);
    assert_eq!(house.sign_in_rightly(&asha).await.0, StatusCode::CREATED);
}

#[sqlx::test(migrations = "../migrations")]
async fn of_two_refreshes_at_once_one_wins_and_the_session_is_lost(pool: PgPool) {
    let house = House::new(pool);
    let asha = house.enrol("Asha", "administrator").await;
    let (one, two) = tokio::join!(house.refresh(&asha.refresh), house.refresh(&asha.refresh));
    let mut statuses = [one.0.as_u16(), two.0.as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 401]);
    let winner = if one.0 == StatusCode::OK {
        one.1
    } else {
        two.1
    };
    let bearer = winner["access_token"].as_str().unwrap();
    assert_eq!(house.get(ME, bearer).await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(house.text("select ended_why from sessions").await, "reused");
}

#[sqlx::test(migrations = "../migrations")]
async fn signing_out_ends_bearer_tokens_too_and_tells_strangers_nothing(pool: PgPool) {
    let house = House::new(pool);
    let asha = house.enrol("Asha", "administrator").await;
    let sign_out = "/api/v1/sessions/sign-out";
    for token in [asha.refresh.as_str(), &asha.refresh, "mcr_unknown"] {
        let body = json!({ "refresh_token": token });
        assert_eq!(
            house.post(sign_out, &body).await,
            (StatusCode::NO_CONTENT, Value::Null)
        );
    }
    assert_eq!(
        house.get(ME, &asha.bearer).await.0,
        StatusCode::UNAUTHORIZED
    );
    assert_eq!(
        house.refresh(&asha.refresh).await.0,
        StatusCode::UNAUTHORIZED
    );
    let log = "select count(*) from audit_log where action = 'session.ended'";
    assert_eq!(house.count(log).await, 1);
}

#[sqlx::test(migrations = "../migrations")]
async fn sessions_of_long_ago_are_forgotten(pool: PgPool) {
    let house = House::new(pool);
    let asha = house.enrol("Asha", "administrator").await;
    house.refresh(&asha.refresh).await;
    house.later(31 * 86_400);
    assert_eq!(house.sign_in_rightly(&asha).await.0, StatusCode::CREATED);
    assert_eq!(house.count("select count(*) from sessions").await, 1);
    assert_eq!(house.count("select count(*) from refresh_tokens").await, 1);
}

#[sqlx::test(migrations = "../migrations")]
async fn production_neither_makes_nor_takes_tokens_of_the_command_line(pool: PgPool) {
    let house = House::new(pool.clone());
    let app = &house.app;
    let now = house.now();
    let token =
        backend::operator::issue_token(&app.pool, now, &app.ids, &app.config, "Driver", "auditor")
            .await
            .unwrap();
    assert_eq!(house.get(ME, &token).await.0, StatusCode::OK);

    let strict = House::in_environment(pool, "production");
    let app = &strict.app;
    assert_eq!(app.config.common.environment, Environment::Production);
    let refused =
        backend::operator::issue_token(&app.pool, now, &app.ids, &app.config, "Driver", "auditor")
            .await
            .unwrap_err()
            .to_string();
    assert!(refused.contains("backend operator invite"), "{refused}");
    assert_eq!(strict.get(ME, &token).await.0, StatusCode::UNAUTHORIZED);
    let asha = strict.enrol("Asha", "administrator").await;
    assert_eq!(strict.get(ME, &asha.bearer).await.0, StatusCode::OK);
}
