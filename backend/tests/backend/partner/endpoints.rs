//! Endpoints and deliveries over the API: a secret is shown once, an address must be public, what
//! was missed is found and sent again, and what is disabled or deleted is told nothing.

use axum::body::Body;
use axum::http::StatusCode;
use chrono::{DateTime, TimeDelta};
use serde_json::{Value, json};
use sqlx::PgPool;

use super::house::{Answer, House, Key};

const ENDPOINTS: &str = "/api/v1/endpoints";
const DELIVERIES: &str = "/api/v1/deliveries";

fn wanted() -> Value {
    json!({
        "url": "https://hooks.example.org/microcrop",
        "description": "claims desk",
        "events": ["payout.paid", "payout.approved", "payout.paid"],
    })
}

/// An endpoint's path.
async fn made(key: &Key<'_>) -> String {
    let answer = key.post(ENDPOINTS, "make", &wanted()).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text());
    answer.header("location").to_owned()
}

/// Asks for a test; the delivery's path.
async fn tested(key: &Key<'_>, path: &str, once: &str) -> String {
    let answer = key.post(&format!("{path}/test"), once, &json!({})).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED, "{}", answer.text());
    format!("{DELIVERIES}/{}", answer.member("delivery_id"))
}

async fn change(key: &Key<'_>, path: &str, once: &str, body: Value) -> Answer {
    let version = key.get(path).await.header("etag").to_owned();
    key.patch(path, once, &version, &body).await
}

#[sqlx::test(migrations = "../migrations")]
async fn a_secret_is_shown_once_and_stored_sealed(pool: PgPool) {
    let house = House::new(pool).await;
    let key = house.partner("Ours").await;
    let first = key.post(ENDPOINTS, "once", &wanted()).await;
    assert_eq!(first.status, StatusCode::CREATED, "{}", first.text());
    let secret = first.member("secret");
    assert!(secret.starts_with("whsec_"));
    assert_eq!(
        first.json()["events"],
        json!(["payout.approved", "payout.paid"])
    );
    let again = key.post(ENDPOINTS, "once", &wanted()).await;
    assert_eq!(again.header("idempotent-replayed"), "true");
    assert_eq!(again.json()["secret"], Value::Null);
    assert_eq!(again.json()["id"], first.json()["id"]);
    let shown = key.get(first.header("location")).await;
    assert_eq!(shown.header("etag"), "\"1\"");
    assert!(!shown.text().contains("secret\":"));
    let clear = format!(
        "select 1 / (1 - count(*)) from endpoints where position('{secret}'::bytea in secret_cipher) > 0"
    );
    house.change(clear).await;
    assert_eq!(house.count("select count(*) from endpoints").await, 1);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_rotated_secret_is_new_and_the_old_one_lasts_a_day(pool: PgPool) {
    let house = House::new(pool).await;
    let key = house.partner("Ours").await;
    let first = key.post(ENDPOINTS, "once", &wanted()).await;
    let path = format!("{}/rotate-secret", first.header("location"));
    let rotated = key.post(&path, "rotate", &json!({})).await;
    assert_eq!(rotated.status, StatusCode::OK, "{}", rotated.text());
    assert_ne!(rotated.member("secret"), first.member("secret"));
    let ends_at: DateTime<chrono::Utc> = rotated.member("old_secret_ends_at").parse().unwrap();
    assert_eq!(ends_at, house.time.now() + TimeDelta::hours(24));
    let again = key.post(&path, "rotate", &json!({})).await;
    assert_eq!(again.json()["secret"], Value::Null);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_fourth_rotation_in_a_day_is_refused_because_three_old_secrets_sign(pool: PgPool) {
    let house = House::new(pool).await;
    let key = house.partner("Ours").await;
    let path = format!("{}/rotate-secret", made(&key).await);
    for number in 0..3 {
        let rotated = key
            .post(&path, &format!("rotate-{number}"), &json!({}))
            .await;
        assert_eq!(rotated.status, StatusCode::OK, "{}", rotated.text());
        house.time.advance(TimeDelta::hours(1));
    }
    let fourth = key.post(&path, "rotate-3", &json!({})).await;
    assert_eq!(fourth.status, StatusCode::CONFLICT);
    assert_eq!(fourth.code(), "too_many_secrets");
    house.time.advance(TimeDelta::hours(21));
    let later = key.post(&path, "rotate-4", &json!({})).await;
    assert_eq!(later.status, StatusCode::OK, "{}", later.text());
}

#[sqlx::test(migrations = "../migrations")]
async fn outside_development_an_address_must_be_public_and_https(pool: PgPool) {
    let flags = ["--environment", "staging"];
    let house = House::with(pool, &flags).await;
    let key = house.partner("Ours").await;
    for (number, url) in [
        "http://hooks.example.org/",
        "https://localhost/",
        "https://127.0.0.1/",
        "https://10.0.0.7/",
        "https://169.254.169.254/latest/meta-data/",
        "https://[::1]/",
        "https://postgres:5432/",
        "https://user:word@example.org/",
        "not an address",
    ]
    .into_iter()
    .enumerate()
    {
        let mut body = wanted();
        body["url"] = json!(url);
        let answer = key.post(ENDPOINTS, &format!("make-{number}"), &body).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{url}");
        assert_eq!(answer.json()["errors"][0]["field"], "url", "{url}");
    }
    let path = made(&key).await;
    let moved = change(&key, &path, "move", json!({ "url": "https://10.0.0.7/" })).await;
    assert_eq!(moved.status, StatusCode::UNPROCESSABLE_ENTITY);
}

#[sqlx::test(migrations = "../migrations")]
async fn events_must_be_known_and_endpoints_are_ten_at_most(pool: PgPool) {
    let house = House::new(pool).await;
    let key = house.partner("Ours").await;
    for (number, events) in [
        json!([]),
        json!(["policy.settled"]),
        json!(["endpoint.tested"]),
    ]
    .into_iter()
    .enumerate()
    {
        let mut body = wanted();
        body["events"] = events;
        let answer = key.post(ENDPOINTS, &format!("wrong-{number}"), &body).await;
        assert_eq!(answer.json()["errors"][0]["field"], "events");
    }
    for number in 0..10 {
        let answer = key
            .post(ENDPOINTS, &format!("make-{number}"), &wanted())
            .await;
        assert_eq!(answer.status, StatusCode::CREATED);
    }
    let eleventh = key.post(ENDPOINTS, "make-10", &wanted()).await;
    assert_eq!(eleventh.status, StatusCode::CONFLICT);
    assert_eq!(eleventh.code(), "too_many_endpoints");
    assert_eq!(key.all(ENDPOINTS, 3).await.len(), 10);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_change_needs_the_version_it_changes(pool: PgPool) {
    let house = House::new(pool).await;
    let key = house.partner("Ours").await;
    let path = made(&key).await;
    let body = json!({ "description": "another desk" });
    let changed = key.patch(&path, "change-1", "\"1\"", &body).await;
    assert_eq!(changed.status, StatusCode::OK, "{}", changed.text());
    assert_eq!(changed.header("etag"), "\"2\"");
    assert_eq!(changed.member("description"), "another desk");
    assert_eq!(changed.member("url"), "https://hooks.example.org/microcrop");
    let stale = key.patch(&path, "change-2", "\"1\"", &body).await;
    assert_eq!(stale.status, StatusCode::PRECONDITION_FAILED);
}

#[sqlx::test(migrations = "../migrations")]
async fn disabling_gives_up_what_waits_and_a_replay_brings_it_back(pool: PgPool) {
    let house = House::new(pool).await;
    let key = house.partner("Ours").await;
    let path = made(&key).await;
    let delivery = tested(&key, &path, "test-1").await;
    assert_eq!(key.get(&delivery).await.member("state"), "pending");
    let off = change(&key, &path, "off", json!({ "enabled": false })).await;
    assert_eq!(off.status, StatusCode::OK, "{}", off.text());
    assert_eq!(off.member("disabled_by"), "partner");
    let shown = key.get(&delivery).await;
    assert_eq!(shown.member("state"), "failed");
    assert_eq!(shown.member("failure"), "endpoint_disabled");
    for (again, body) in [
        (format!("{path}/test"), json!({})),
        (
            format!("{path}/replay"),
            json!({ "since": "2026-01-01T00:00:00Z" }),
        ),
        (format!("{delivery}/replay"), json!({})),
    ] {
        let answer = key
            .post(&again, &format!("off-{}", again.len()), &body)
            .await;
        assert_eq!(answer.code(), "endpoint_disabled", "{again}");
    }
    let on = change(&key, &path, "on", json!({ "enabled": true })).await;
    assert_eq!(on.json()["disabled_by"], Value::Null);
    let since = json!({ "since": "2026-01-01T00:00:00Z" });
    let replayed = key
        .post(&format!("{path}/replay"), "replay-1", &since)
        .await;
    assert_eq!(replayed.json(), json!({ "replayed": 1, "complete": true }));
    let shown = key.get(&delivery).await;
    assert_eq!(shown.member("state"), "pending");
    assert_eq!(shown.json()["replays"], 1);
    let one = key
        .post(&format!("{delivery}/replay"), "replay-2", &json!({}))
        .await;
    assert_eq!(one.status, StatusCode::ACCEPTED, "{}", one.text());
    assert_eq!(one.json()["replays"], 2);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_replay_of_very_many_goes_on_where_it_ended(pool: PgPool) {
    let house = House::new(pool).await;
    let key = house.partner("Ours").await;
    let path = made(&key).await;
    let first = tested(&key, &path, "test").await;
    house
        .change(
            "update deliveries set state = 'delivered', next_attempt_at = null,
                 decided_at = created_at;
             insert into deliveries (id, endpoint_id, organisation_id, event_id, kind, subject_id,
                 body, state, occurred_at, decided_at, created_at)
             select gen_random_uuid(), endpoint_id, organisation_id, gen_random_uuid(), kind,
                 subject_id, body, state, occurred_at, decided_at, created_at
             from deliveries cross join generate_series(1, 10000)",
        )
        .await;
    let replay = format!("{path}/replay");
    let mut body = json!({ "since": "2026-01-01T00:00:00Z", "delivered": true });
    let most = key.post(&replay, "replay-1", &body).await.json();
    assert_eq!(most["replayed"], 10_000);
    assert_eq!(most["complete"], false);
    // they arrive at once
    house
        .change(
            "update deliveries set state = 'delivered', next_attempt_at = null,
                 decided_at = created_at",
        )
        .await;
    body["after"] = most["after"].clone();
    let rest = key.post(&replay, "replay-2", &body).await;
    assert_eq!(rest.json(), json!({ "replayed": 1, "complete": true }));
    let again = "select count(*) from deliveries where replays <> 1";
    assert_eq!(house.count(again).await, 0);
    body["after"] = json!(first.rsplit('/').next().unwrap());
    let other = key.post(ENDPOINTS, "make-other", &wanted()).await;
    let replay = format!("{}/replay", other.header("location"));
    let strange = key.post(&replay, "replay-3", &body).await;
    assert_eq!(strange.json()["errors"][0]["field"], "after");
}

#[sqlx::test(migrations = "../migrations")]
async fn deliveries_are_listed_by_page_and_by_filter(pool: PgPool) {
    let house = House::new(pool).await;
    let key = house.partner("Ours").await;
    let path = made(&key).await;
    for number in 0..5 {
        tested(&key, &path, &format!("test-{number}")).await;
        house.time.advance(TimeDelta::hours(1));
    }
    house
        .change(
            "update deliveries set state = 'delivered', next_attempt_at = null, decided_at = created_at
             where occurred_at < '2026-02-02T11:00:00Z'",
        )
        .await;
    assert_eq!(key.all(DELIVERIES, 2).await.len(), 5);
    let count = async |query: &str| {
        let answer = key.get(&format!("{DELIVERIES}?{query}")).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
        answer.json()["items"].as_array().unwrap().len()
    };
    assert_eq!(count("state=delivered").await, 2);
    assert_eq!(count("state=pending").await, 3);
    assert_eq!(
        count("event=endpoint.tested&since=2026-02-02T12:00:00Z").await,
        2
    );
    assert_eq!(count("event=payout.paid").await, 0);
    let id = path.rsplit('/').next().unwrap();
    assert_eq!(count(&format!("endpoint={id}")).await, 5);
    for wrong in ["state=lost", "event=x", "since=yesterday", "endpoint=pol_1"] {
        let answer = key.get(&format!("{DELIVERIES}?{wrong}")).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{wrong}");
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn a_deleted_endpoint_is_gone_with_its_deliveries_and_the_log_says_who_did_it(pool: PgPool) {
    let house = House::new(pool).await;
    let key = house.partner("Ours").await;
    let path = made(&key).await;
    let delivery = tested(&key, &path, "test").await;
    let request = key
        .request("DELETE", &path)
        .header("idempotency-key", "delete");
    let deleted = house.send(request.body(Body::empty()).unwrap()).await;
    assert_eq!(deleted.status, StatusCode::OK, "{}", deleted.text());
    for gone in [&path, &delivery] {
        assert_eq!(key.get(gone).await.status, StatusCode::NOT_FOUND);
    }
    let noted = "select count(*) from audit_log
                 where action in ('endpoint.created', 'endpoint.deleted') and actor like 'key_%'";
    assert_eq!(house.count(noted).await, 2);
}
