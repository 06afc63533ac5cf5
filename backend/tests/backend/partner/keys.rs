//! Keys: what each may do, how long, how it is replaced, and what is written of it.
//! Every route of the table is asked with and without its scope.

use axum::body::Body;
use axum::http::{Request, StatusCode};
use backend::routes::{Auth, table};
use chrono::TimeDelta;
use serde_json::json;
use sqlx::PgPool;
use store::api_keys::Scope;

use super::house::House;

const KEYS: &str = "/api/v1/api-keys";

#[sqlx::test(migrations = "../migrations")]
async fn every_route_needs_the_scope_of_its_row(pool: PgPool) {
    let house = House::new(pool).await;
    for scope in Scope::ALL {
        let others: Vec<_> = Scope::ALL
            .iter()
            .filter(|other| *other != scope)
            .map(|other| other.as_str())
            .collect();
        let routes: Vec<_> = table()
            .into_iter()
            .filter(|route| route.auth == Auth::Partner(*scope))
            .collect();
        if routes.is_empty() {
            continue;
        }
        let partner = house.partner(scope.as_str()).await;
        let key = house.key(partner.organisation, &others.join(",")).await;
        for route in routes {
            let path = route.path.replace(['{', '}'], "");
            let request = key.request(route.method, &path).body(Body::from("{}"));
            let answer = house.send(request.unwrap()).await;
            assert_eq!(answer.status, StatusCode::FORBIDDEN, "{route:?}");
            assert_eq!(answer.code(), "missing_scope", "{route:?}");
        }
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn a_key_that_is_wrong_or_missing_or_ended_is_nobodys(pool: PgPool) {
    let house = House::new(pool).await;
    let mut key = house.partner("Ours").await;
    let whole = key.secret.clone();
    for wrong in [
        String::new(),
        "mck_abcdefgh_secret".to_owned(),
        format!("{whole}a"),
        whole.chars().rev().collect(),
        format!("mck_abcdefgh_{}", "a".repeat(52)),
    ] {
        key.secret = wrong;
        let answer = key.get("/api/v1/organisation").await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{}", key.secret);
        assert_eq!(answer.code(), "unauthorised");
    }
    key.secret = whole.clone();
    assert_eq!(key.get("/api/v1/organisation").await.status, StatusCode::OK);
    let plain = Request::get("/api/v1/organisation").header("x-api-key", whole);
    let plain = house.send(plain.body(Body::empty()).unwrap()).await;
    assert_eq!(plain.member("name"), "Ours");

    let id = key.all(KEYS, 10).await[0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let ended = key
        .post(&format!("{KEYS}/{id}/end"), "k1", &json!({}))
        .await;
    assert_eq!(ended.status, StatusCode::OK, "{}", ended.text());
    let after = key.get("/api/v1/organisation").await;
    assert_eq!(after.status, StatusCode::UNAUTHORIZED);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_rotated_key_goes_on_for_its_grace_and_no_longer(pool: PgPool) {
    let house = House::new(pool).await;
    let old = house.partner("Ours").await;
    let id = old.all(KEYS, 10).await[0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let path = format!("{KEYS}/{id}/rotate");
    let rotated = old
        .post(&path, "k1", &json!({ "grace_seconds": 600 }))
        .await;
    assert_eq!(rotated.status, StatusCode::CREATED, "{}", rotated.text());
    assert_eq!(rotated.member("rotated_from"), id);
    let mut new = old.clone();
    new.secret = rotated.member("secret");
    house.time.advance(TimeDelta::seconds(599));
    assert_eq!(old.get("/api/v1/organisation").await.status, StatusCode::OK);
    assert_eq!(new.get("/api/v1/organisation").await.status, StatusCode::OK);
    house.time.advance(TimeDelta::seconds(1));
    let late = old.get("/api/v1/organisation").await;
    assert_eq!(late.status, StatusCode::UNAUTHORIZED);
    assert_eq!(new.get("/api/v1/organisation").await.status, StatusCode::OK);
    let again = new.post(&path, "k2", &json!({})).await;
    assert_eq!(again.code(), "key_ended");
    let long = json!({ "grace_seconds": 604_801 });
    assert_eq!(new.post(&path, "k3", &long).await.code(), "invalid");
}

#[sqlx::test(migrations = "../migrations")]
async fn a_key_is_shown_once_and_stored_as_its_hash(pool: PgPool) {
    let house = House::new(pool).await;
    let key = house.partner("Ours").await;
    let wanted = json!({ "name": "branch office", "scopes": ["farmers:read", "farmers:read"] });
    let first = key.post(KEYS, "k1", &wanted).await;
    assert_eq!(first.status, StatusCode::CREATED, "{}", first.text());
    let secret = first.member("secret");
    assert_eq!(first.json()["scopes"], json!(["farmers:read"]));
    let replayed = key.post(KEYS, "k1", &wanted).await;
    assert_eq!(replayed.header("idempotent-replayed"), "true");
    assert_eq!(replayed.member("id"), first.member("id"));
    assert_eq!(replayed.json()["secret"], json!(null));
    let listed = key.get(KEYS).await;
    assert!(!listed.text().contains(&secret));
    let hashed = "select count(*) from api_keys where length(key_hash) = 32";
    assert_eq!(house.count(hashed).await, 2);
    let noted = "select count(*) from audit_log where action = 'api_key.created'";
    assert_eq!(house.count(noted).await, 2);
    let leaked = format!("select count(*) from audit_log where details::text like '%{secret}%'");
    let leaked = store::testing::number_behind(&house.app.pool, key.organisation, leaked).await;
    assert!(leaked.is_err(), "a partner cannot read the log at all");
}

#[sqlx::test(migrations = "../migrations")]
async fn a_key_hands_on_no_more_than_it_has(pool: PgPool) {
    let house = House::new(pool).await;
    let whole = house.partner("Ours").await;
    let weak = house
        .key(whole.organisation, "keys:write,keys:read,farmers:read")
        .await;
    let wanted = json!({ "name": "more", "scopes": ["farmers:read", "farmers:write"] });
    let refused = weak.post(KEYS, "k1", &wanted).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    let keys = whole.all(KEYS, 10).await;
    let is_strong = |key: &&serde_json::Value| whole.secret.contains(key["hint"].as_str().unwrap());
    let strong = keys.iter().find(is_strong).unwrap()["id"].as_str().unwrap();
    let stolen = weak
        .post(&format!("{KEYS}/{strong}/rotate"), "k2", &json!({}))
        .await;
    assert_eq!(stolen.status, StatusCode::FORBIDDEN);
    assert_eq!(whole.get(KEYS).await.status, StatusCode::OK);
    let unknown = json!({ "name": "more", "scopes": ["everything"] });
    assert_eq!(weak.post(KEYS, "k3", &unknown).await.code(), "invalid");
}

#[sqlx::test(migrations = "../migrations")]
async fn use_is_noted_at_most_once_a_minute(pool: PgPool) {
    let house = House::new(pool).await;
    let key = house.partner("Ours").await;
    let noted = async || key.all(KEYS, 10).await[0]["last_used_at"].clone();
    assert_eq!(noted().await, json!("2026-02-02T09:00:00Z"));
    house.time.advance(TimeDelta::seconds(59));
    assert_eq!(noted().await, json!("2026-02-02T09:00:00Z"));
    house.time.advance(TimeDelta::seconds(1));
    assert_eq!(noted().await, json!("2026-02-02T09:01:00Z"));
}

#[sqlx::test(migrations = "../migrations")]
async fn a_suspended_partner_is_told_so_until_it_is_let_in_again(pool: PgPool) {
    let house = House::new(pool).await;
    let key = house.partner("Ours").await;
    house
        .change("update organisations set state = 'suspended'")
        .await;
    let answer = key.get("/api/v1/organisation").await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    assert_eq!(answer.code(), "organisation_suspended");
    house
        .change("update organisations set state = 'active'")
        .await;
    assert_eq!(key.get("/api/v1/organisation").await.status, StatusCode::OK);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_key_hears_how_much_is_left_and_429_when_nothing_is(pool: PgPool) {
    let flags = ["--api-rate-per-second", "1", "--api-rate-burst", "2"];
    let house = House::with(pool, &flags).await;
    let key = house.partner("Ours").await;
    let first = key.get("/api/v1/organisation").await;
    assert_eq!(first.header("ratelimit-limit"), "2");
    assert_eq!(first.header("ratelimit-remaining"), "1");
    assert_eq!(first.header("ratelimit-reset"), "1");
    key.get("/api/v1/organisation").await;
    let busy = key.get("/api/v1/organisation").await;
    assert_eq!(busy.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(busy.code(), "too_many_requests");
    assert_eq!(busy.header("ratelimit-remaining"), "0");
    assert!(busy.header("retry-after").parse::<u64>().unwrap() >= 1);
    // what is no credential buys no counter of its own
    for (name, value) in [("authorization", "Basic 1"), ("authorization", "Basic 2")] {
        let request = Request::builder()
            .uri("/api/v1/organisation")
            .header(name, value)
            .header("x-api-key", &key.secret);
        let answer = house.send(request.body(Body::empty()).unwrap()).await;
        assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS, "{value}");
    }
    let other = house.key(key.organisation, "organisation:read").await;
    let other = other.get("/api/v1/organisation").await;
    assert_eq!(other.status, StatusCode::OK);
}
