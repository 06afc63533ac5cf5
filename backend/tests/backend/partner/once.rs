//! A change asked for twice happens once: replay, another body, a twin in flight, a refusal.
//! Twins are made by holding the first one's transaction open, never by timing.

use axum::body::Body;
use axum::http::StatusCode;
use serde_json::json;
use sqlx::PgPool;

use super::house::House;
use super::seed::farmer;

const FARMERS: &str = "/api/v1/farmers";
const COUNT: &str = "select count(*) from farmers";

#[sqlx::test(migrations = "../migrations")]
async fn a_repeated_change_gets_the_first_answer(pool: PgPool) {
    let house = House::new(pool).await;
    let key = house.partner("Ours").await;
    let first = key.post(FARMERS, "once-1", &farmer(1)).await;
    assert_eq!(first.status, StatusCode::CREATED, "{}", first.text());
    assert_eq!(first.header("idempotent-replayed"), "");
    let again = key.post(FARMERS, "once-1", &farmer(1)).await;
    assert_eq!(again.status, StatusCode::CREATED);
    assert_eq!(again.header("idempotent-replayed"), "true");
    assert_eq!(again.body, first.body);
    for name in ["etag", "location"] {
        assert_eq!(again.header(name), first.header(name));
        assert!(!again.header(name).is_empty());
    }
    assert_eq!(house.count(COUNT).await, 1);
    let clear = "select count(*) from idempotency_keys
                 where position('Wanjiku'::bytea in response_cipher) > 0";
    assert_eq!(house.count(clear).await, 0, "answers are sealed");
}

#[sqlx::test(migrations = "../migrations")]
async fn a_key_used_for_another_request_is_refused(pool: PgPool) {
    let house = House::new(pool).await;
    let key = house.partner("Ours").await;
    key.post(FARMERS, "once-1", &farmer(1)).await;
    let other = key.post(FARMERS, "once-1", &farmer(2)).await;
    assert_eq!(other.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(other.code(), "idempotency_key_reused");
    let elsewhere = json!({ "code": "G", "name": "Group" });
    let elsewhere = key.post("/api/v1/groups", "once-1", &elsewhere).await;
    assert_eq!(elsewhere.code(), "idempotency_key_reused");
    assert_eq!(house.count(COUNT).await, 1);
    let stranger = house.partner("Theirs").await;
    let theirs = stranger.post(FARMERS, "once-1", &farmer(2)).await;
    assert_eq!(
        theirs.status,
        StatusCode::CREATED,
        "keys are each partner's own"
    );
}

#[sqlx::test(migrations = "../migrations")]
async fn a_change_without_a_key_is_refused(pool: PgPool) {
    let house = House::new(pool).await;
    let key = house.partner("Ours").await;
    let request = key
        .request("POST", FARMERS)
        .header("content-type", "application/json");
    let answer = house
        .send(request.body(Body::from(farmer(1).to_string())).unwrap())
        .await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert_eq!(answer.code(), "idempotency_key_required");
    for malformed in ["", "with space", &"k".repeat(65)] {
        let answer = key.post(FARMERS, malformed, &farmer(1)).await;
        assert_eq!(answer.code(), "idempotency_key_malformed", "{malformed}");
    }
    assert_eq!(house.count(COUNT).await, 0);
}

#[sqlx::test(migrations = "../migrations")]
async fn of_twins_in_flight_one_enrols_and_the_other_hears_the_same(pool: PgPool) {
    let house = House::new(pool).await;
    let key = house.partner("Ours").await;
    let wanted = farmer(1);
    let (one, other) = tokio::join!(
        key.post(FARMERS, "once-1", &wanted),
        key.post(FARMERS, "once-1", &wanted),
    );
    assert_eq!(
        (one.status, other.status),
        (StatusCode::CREATED, StatusCode::CREATED)
    );
    assert_eq!(one.body, other.body);
    let mut replayed = [one, other].map(|answer| answer.header("idempotent-replayed").to_owned());
    replayed.sort();
    assert_eq!(replayed, ["", "true"]);
    assert_eq!(house.count(COUNT).await, 1);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_twin_waits_for_the_first_to_end(pool: PgPool) {
    let house = House::new(pool).await;
    let key = house.partner("Ours").await;
    // the first holds its key, has not committed, and then fails
    let mut first = store::tenancy::begin(&house.app.pool, key.organisation)
        .await
        .unwrap();
    let now = house.app.clock.now();
    let claimed =
        store::idempotency::claim(&mut first, now, key.organisation, "once-1", &[1; 32]).await;
    assert_eq!(claimed.unwrap(), store::idempotency::Claim::Fresh);
    let wanted = farmer(1);
    let twin = key.post(FARMERS, "once-1", &wanted);
    let fail_first = async {
        let waiting = "select count(*) from pg_stat_activity
                       where datname = current_database() and wait_event_type = 'Lock'";
        while house.count(waiting).await == 0 {
            tokio::task::yield_now().await;
        }
        drop(first);
    };
    let (twin, ()) = tokio::join!(twin, fail_first);
    assert_eq!(twin.status, StatusCode::CREATED, "{}", twin.text());
    assert_eq!(twin.header("idempotent-replayed"), "");
    assert_eq!(house.count(COUNT).await, 1);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_refusal_is_not_kept_so_the_mended_request_may_keep_its_key(pool: PgPool) {
    let house = House::new(pool).await;
    let key = house.partner("Ours").await;
    let mut wrong = farmer(1);
    wrong["phone"] = json!("911");
    let refused = key.post(FARMERS, "once-1", &wrong).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    let mended = key.post(FARMERS, "once-1", &farmer(1)).await;
    assert_eq!(mended.status, StatusCode::CREATED);
}
