//! Farmers of a partner: enrolled with consent, found, listed, corrected, and never twice.
//! Asks over HTTP only, as a partner's program would.

use axum::body::Body;
use axum::http::StatusCode;
use chrono::TimeDelta;
use serde_json::{Value, json};
use sqlx::PgPool;

use super::house::House;
use super::seed::{farmer, seed};

const FARMERS: &str = "/api/v1/farmers";

fn faults(answer: &Value) -> Vec<(String, String)> {
    let text = |fault: &Value, name: &str| fault[name].as_str().unwrap().to_owned();
    let faults = answer["errors"].as_array().unwrap();
    faults
        .iter()
        .map(|fault| (text(fault, "field"), text(fault, "code")))
        .collect()
}

#[sqlx::test(migrations = "../migrations")]
async fn a_farmer_is_enrolled_with_her_consent_and_read_back(pool: PgPool) {
    let house = House::new(pool).await;
    let key = house.partner("Ours").await;
    let our = seed(&house, &key, 1).await;
    let mut wanted = farmer(1);
    wanted["agent"] = json!("AG-1");
    wanted["group"] = json!(our.ids["group"]);
    wanted["consent"]["at"] = json!("2026-02-01T12:00:00+03:00");
    let made = key.post(FARMERS, "k1", &wanted).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text());
    let read = key.get(made.header("location")).await;
    assert_eq!(read.body, made.body);
    assert_eq!(read.header("etag"), "\"1\"");
    let body = read.json();
    assert_eq!(body["phone"], "+254700000001");
    assert_eq!(body["national_id"], "*****001");
    assert_eq!(body["agent_id"], our.ids["agent"].as_str());
    assert_eq!(body["group_id"], our.ids["group"].as_str());
    let consent =
        json!({ "version": "2026-01", "obtained": "paper", "at": "2026-02-01T09:00:00Z" });
    assert_eq!(body["consent"], consent);
    let clear = "select count(*) from farmers where pin_hash is not null
        or position('Wanjiku'::bytea in name_cipher) > 0 or position('2547'::bytea in phone_cipher) > 0";
    assert_eq!(house.count(clear).await, 0);
}

#[sqlx::test(migrations = "../migrations")]
async fn everything_wrong_with_a_farmer_is_said_at_once(pool: PgPool) {
    let house = House::new(pool).await;
    let key = house.partner("Ours").await;
    let theirs = house.partner("Theirs").await;
    let their = seed(&house, &theirs, 2).await;
    let wrong = json!({
        "phone": "911", "name": "7", "national_id": "1", "language": "fr", "ward_code": "9999",
        "group": their.ids["group"], "agent": "AG-2",
        "consent": { "version": "1999", "obtained": "ussd", "at": "2026-02-02T09:00:01Z" }
    });
    let answer = key.post(FARMERS, "k1", &wrong).await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    let expected = [
        ("phone", "malformed"),
        ("name", "malformed"),
        ("national_id", "malformed"),
        ("language", "malformed"),
        ("ward_code", "unknown_ward"),
        ("group", "unknown"),
        ("agent", "unknown"),
        ("consent.version", "unknown_version"),
    ];
    let expected = expected.map(|(field, code)| (field.to_owned(), code.to_owned()));
    assert_eq!(faults(&answer.json()), expected);
    for (consent, code) in [
        (
            json!({ "version": "2026-01", "obtained": "ussd" }),
            "malformed",
        ),
        (
            json!({ "version": "2026-01", "obtained": "paper", "at": "2026-02-02T09:00:01Z" }),
            "in_the_future",
        ),
        (json!({ "version": "2026-01" }), "missing"),
    ] {
        let mut wanted = farmer(1);
        wanted["consent"] = consent;
        let answer = key.post(FARMERS, "k1", &wanted).await;
        assert_eq!(faults(&answer.json())[0].1, code);
    }
    let unknown = json!({ "phone": "0712000001", "pin": "1234" });
    let unknown = key.post(FARMERS, "k1", &unknown).await;
    assert_eq!(
        unknown.status,
        StatusCode::BAD_REQUEST,
        "a partner sets no PIN"
    );
}

#[sqlx::test(migrations = "../migrations")]
async fn nobody_is_enrolled_twice_and_nobody_hears_by_whom(pool: PgPool) {
    let house = House::new(pool).await;
    let (ours, theirs) = (house.partner("Ours").await, house.partner("Theirs").await);
    ours.post(FARMERS, "k1", &farmer(1)).await;
    let mut same_id = farmer(2);
    same_id["national_id"] = farmer(1)["national_id"].clone();
    for (once, wanted) in [("k2", farmer(1)), ("k3", same_id)] {
        let own = ours.post(FARMERS, once, &wanted).await;
        assert_eq!(own.status, StatusCode::CONFLICT);
        assert_eq!(own.code(), "already_enrolled");
        let other = theirs.post(FARMERS, once, &wanted).await;
        assert_eq!(other.status, StatusCode::CONFLICT);
        assert_eq!(other.code(), "already_insured_elsewhere");
        assert!(!other.text().contains("Ours"));
    }
    house
        .change("update farmers set organisation_id = null")
        .await;
    let direct = ours.post(FARMERS, "k4", &farmer(1)).await;
    assert_eq!(direct.code(), "already_insured_elsewhere");
}

#[sqlx::test(migrations = "../migrations")]
async fn a_correction_needs_the_version_it_corrects(pool: PgPool) {
    let house = House::new(pool).await;
    let key = house.partner("Ours").await;
    let made = key.post(FARMERS, "k1", &farmer(1)).await;
    let path = made.header("location").to_owned();
    let wanted = json!({ "name": "Akinyi Odhiambo", "language": "en", "ward_code": "0322" });
    let request = key
        .request("PATCH", &path)
        .header("idempotency-key", "k2")
        .body(Body::from(wanted.to_string()));
    let blind = house.send(request.unwrap()).await;
    assert_eq!(blind.status, StatusCode::PRECONDITION_REQUIRED);
    assert_eq!(blind.code(), "precondition_required");
    for stale in ["\"7\"", "*", "1", "W/\"1\""] {
        let answer = key.patch(&path, "k3", stale, &wanted).await;
        assert_eq!(answer.status, StatusCode::PRECONDITION_FAILED, "{stale}");
    }
    let done = key.patch(&path, "k4", "\"1\"", &wanted).await;
    assert_eq!(done.status, StatusCode::OK, "{}", done.text());
    assert_eq!(done.header("etag"), "\"2\"");
    assert_eq!(done.member("name"), "Akinyi Odhiambo");
    let again = key.patch(&path, "k4", "\"1\"", &wanted).await;
    assert_eq!(again.header("idempotent-replayed"), "true");
    let late = key.patch(&path, "k5", "\"1\"", &wanted).await;
    assert_eq!(late.status, StatusCode::PRECONDITION_FAILED);
    let phone = json!({ "phone": "0712000009" });
    let phone = key.patch(&path, "k6", "\"2\"", &phone).await;
    assert_eq!(
        phone.status,
        StatusCode::BAD_REQUEST,
        "money goes to her phone"
    );
}

#[sqlx::test(migrations = "../migrations")]
async fn a_farmer_joins_one_group_of_her_own_partner_and_leaves_it(pool: PgPool) {
    let house = House::new(pool).await;
    let (ours, theirs) = (house.partner("Ours").await, house.partner("Theirs").await);
    let our = seed(&house, &ours, 1).await;
    let their = seed(&house, &theirs, 2).await;
    let made = ours.post(FARMERS, "k1", &farmer(1)).await;
    let path = made.header("location").to_owned();
    let foreign = json!({ "group_id": their.ids["group"] });
    let foreign = ours.patch(&path, "k2", "\"1\"", &foreign).await;
    assert_eq!(faults(&foreign.json())[0].0, "group_id");
    let joins = json!({ "group_id": our.ids["group"] });
    let joined = ours.patch(&path, "k3", "\"1\"", &joins).await;
    assert_eq!(joined.member("group_id"), our.ids["group"]);
    let renamed = json!({ "language": "en" });
    let renamed = ours.patch(&path, "k4", "\"2\"", &renamed).await;
    assert_eq!(
        renamed.member("group_id"),
        our.ids["group"],
        "left out is left"
    );
    let left = json!({ "group_id": null });
    let left = ours.patch(&path, "k5", "\"3\"", &left).await;
    assert_eq!(left.json()["group_id"], json!(null));
}

#[sqlx::test(migrations = "../migrations")]
async fn pages_are_complete_and_stay_so_when_rows_arrive(pool: PgPool) {
    let house = House::new(pool).await;
    let key = house.partner("Ours").await;
    for number in 1..=23 {
        key.post(FARMERS, &format!("k{number}"), &farmer(number))
            .await;
        house.time.advance(TimeDelta::seconds(1));
    }
    let all = key.all(FARMERS, 200).await;
    assert_eq!(all.len(), 23);
    assert_eq!(key.all(FARMERS, 5).await, all);
    assert_eq!(key.all(FARMERS, 23).await, all);
    let first = key.get(&format!("{FARMERS}?limit=20")).await.json();
    key.post(FARMERS, "late", &farmer(24)).await;
    let cursor = first["next_cursor"].as_str().unwrap();
    let rest = key
        .get(&format!("{FARMERS}?limit=20&cursor={cursor}"))
        .await
        .json();
    let rest = rest["items"].as_array().unwrap();
    assert_eq!(rest.len(), 4, "three of old and the new one");
    assert_eq!(rest[..3], all[20..]);
    for wrong in ["limit=0", "limit=201", "limit=x", "cursor=nonsense"] {
        let answer = key.get(&format!("{FARMERS}?{wrong}")).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{wrong}");
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn filters_find_a_ward_a_group_and_a_time(pool: PgPool) {
    let house = House::new(pool).await;
    let key = house.partner("Ours").await;
    let our = seed(&house, &key, 1).await;
    house.time.advance(TimeDelta::hours(1));
    let mut elsewhere = farmer(1);
    elsewhere["ward_code"] = json!("0700");
    key.post(FARMERS, "k1", &elsewhere).await;
    for (filter, count) in [
        ("ward=0700".to_owned(), 1),
        ("ward=0322".to_owned(), 0),
        (format!("group={}", our.ids["group"]), 1),
        ("created_from=2026-02-02T10:00:00Z".to_owned(), 1),
        ("created_before=2026-02-02T10:00:00Z".to_owned(), 1),
        ("created_from=2026-02-02T09:00:00Z".to_owned(), 2),
        ("created_from=2026-02-02T10:00:01Z".to_owned(), 0),
    ] {
        let page = key.get(&format!("{FARMERS}?{filter}")).await.json();
        assert_eq!(page["items"].as_array().unwrap().len(), count, "{filter}");
    }
    let wrong = key.get(&format!("{FARMERS}?created_from=yesterday")).await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
}

#[sqlx::test(migrations = "../migrations")]
async fn an_agent_is_corrected_and_ended_and_then_enrols_nobody(pool: PgPool) {
    let house = House::new(pool).await;
    let key = house.partner("Ours").await;
    let our = seed(&house, &key, 1).await;
    let path = format!("/api/v1/agents/{}", our.ids["agent"]);
    let taken = json!({ "code": "AG-1", "name": "Somebody Else" });
    let taken = key.post("/api/v1/agents", "k0", &taken).await;
    assert_eq!(taken.code(), "code_taken");
    let ended = key
        .patch(&path, "k1", "\"1\"", &json!({ "ended": true }))
        .await;
    assert_eq!(ended.status, StatusCode::OK, "{}", ended.text());
    assert_eq!(ended.member("ended_at"), "2026-02-02T09:00:00Z");
    let mut wanted = farmer(1);
    wanted["agent"] = json!("AG-1");
    let refused = key.post(FARMERS, "k2", &wanted).await;
    assert_eq!(faults(&refused.json())[0].0, "agent");
    let clear = "select count(*) from agents where position('Otieno'::bytea in name_cipher) > 0";
    assert_eq!(house.count(clear).await, 0);
}
