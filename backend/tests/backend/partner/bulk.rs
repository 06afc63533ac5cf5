//! Files of farmers: every good row once, every bad row named, ten thousand in seconds.
//! Uploads whole files over HTTP and counts what is stored.

use std::fmt::Write as _;

use axum::http::StatusCode;
use serde_json::{Value, json};
use sqlx::PgPool;

use super::house::House;
use super::seed::{farmer, letters, seed};

const BULK: &str = "/api/v1/farmers/bulk";
const DRY: &str = "/api/v1/farmers/bulk?dry_run=true";
const COUNT: &str = "select count(*) from farmers";

/// A file in which every hundredth row is wrong, each time in another way.
fn file(rows: u32) -> String {
    let mut csv =
        "phone,name,national_id,language,ward_code,consent_version,consent_obtained\n".to_owned();
    for number in 1..=rows {
        let (mut phone, mut name) = (
            format!("07{number:08}"),
            format!("Achieng {}", letters(number)),
        );
        let (mut id, mut ward) = (format!("{:08}", 30_000_000 + number), "0321");
        if number % 100 == 0 {
            match number / 100 % 4 {
                0 => "911".clone_into(&mut phone),
                1 => "7".clone_into(&mut name),
                2 => ward = "9999",
                _ => id = format!("{:08}", 30_000_000 + number - 1),
            }
        }
        writeln!(csv, "{phone},{name},{id},sw,{ward},2026-01,spoken").unwrap();
    }
    csv
}

#[sqlx::test(migrations = "../migrations")]
async fn of_ten_thousand_rows_the_good_are_enrolled_once_and_the_bad_are_named(pool: PgPool) {
    let house = House::new(pool).await;
    let key = house.partner("Ours").await;
    let csv = file(10_000);
    let send =
        async |path: &str, once: &str| key.post_as(path, once, "text/csv", csv.clone()).await;

    let dry = send(DRY, "dry").await;
    assert_eq!(dry.status, StatusCode::OK, "{}", dry.text());
    let dry = dry.json();
    assert_eq!(
        (&dry["dry_run"], &dry["rows"]),
        (&json!(true), &json!(10_000))
    );
    assert_eq!(
        (&dry["enrolled"], &dry["refused"]),
        (&json!(9_900), &json!(100))
    );
    let errors = dry["errors"].as_array().unwrap();
    let rows: Vec<_> = errors
        .iter()
        .map(|error| error["row"].as_u64().unwrap())
        .collect();
    assert_eq!(rows, (1..=100).map(|n| n * 100).collect::<Vec<_>>());
    let expected = [
        ("name", "malformed"),
        ("ward_code", "unknown_ward"),
        ("national_id", "repeated_in_file"),
        ("phone", "malformed"),
    ];
    for (error, (field, code)) in errors.iter().zip(expected) {
        assert_eq!(
            (&error["field"], &error["code"]),
            (&json!(field), &json!(code))
        );
        assert!(!error["reason"].as_str().unwrap().is_empty());
    }
    assert_eq!(house.count(COUNT).await, 0, "a dry run changes nothing");

    let real = send(BULK, "file-1").await;
    assert_eq!(real.status, StatusCode::OK, "{}", real.text());
    assert_eq!(real.json()["enrolled"], 9_900);
    assert_eq!(
        real.json()["errors"],
        dry["errors"],
        "a dry run foretells the real one"
    );
    assert_eq!(real.json()["farmers"].as_array().unwrap().len(), 9_900);
    assert_eq!(house.count(COUNT).await, 9_900);

    let replayed = send(BULK, "file-1").await;
    assert_eq!(replayed.header("idempotent-replayed"), "true");
    assert_eq!(replayed.body, real.body);
    let again = send(BULK, "file-2").await.json();
    assert_eq!(
        (&again["enrolled"], &again["refused"]),
        (&json!(0), &json!(10_000))
    );
    assert_eq!(again["errors"][0]["code"], "already_enrolled");
    assert_eq!(house.count(COUNT).await, 9_900);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_row_of_anothers_farmer_is_refused_without_saying_whose(pool: PgPool) {
    let house = House::new(pool).await;
    let (ours, theirs) = (house.partner("Ours").await, house.partner("Theirs").await);
    theirs.post("/api/v1/farmers", "k1", &farmer(2)).await;
    ours.post("/api/v1/farmers", "k1", &farmer(3)).await;
    let file = json!({ "farmers": [farmer(1), farmer(2), farmer(3)] });
    for path in [DRY, BULK] {
        let answer = ours.post(path, "k2", &file).await;
        let body = answer.json();
        assert_eq!(body["enrolled"], 1, "{body}");
        let found = |at: usize| {
            (
                body["errors"][at]["row"].clone(),
                body["errors"][at]["code"].clone(),
            )
        };
        assert_eq!(found(0), (json!(2), json!("already_insured_elsewhere")));
        assert_eq!(found(1), (json!(3), json!("already_enrolled")));
        assert!(!answer.text().contains("Theirs"));
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn json_rows_keep_the_rules_of_single_farmers(pool: PgPool) {
    let house = House::new(pool).await;
    let key = house.partner("Ours").await;
    let our = seed(&house, &key, 1).await;
    let mut grouped = farmer(1);
    grouped["group"] = json!("GR-1");
    grouped["agent"] = json!(our.ids["agent"]);
    let mut shaped = farmer(2);
    shaped["phone"] = json!(712_000_002);
    let file = json!({ "farmers": [grouped, shaped, 7, farmer(1)] });
    let body = key.post(BULK, "k1", &file).await.json();
    assert_eq!(body["enrolled"], 1, "{body}");
    let rows: Vec<&Value> = body["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| &e["row"])
        .collect();
    // the last row repeats both the phone and the ID of the first
    assert_eq!(rows, [&json!(2), &json!(3), &json!(4), &json!(4)]);
    let id = body["farmers"][0]["id"].as_str().unwrap();
    let read = key.get(&format!("/api/v1/farmers/{id}")).await;
    assert_eq!(read.member("group_id"), our.ids["group"]);
    assert_eq!(read.member("agent_id"), our.ids["agent"]);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_file_that_is_too_large_or_no_file_is_refused_whole(pool: PgPool) {
    let house = House::new(pool).await;
    let key = house.partner("Ours").await;
    let long = key.post_as(BULK, "k1", "text/csv", file(10_001)).await;
    assert_eq!(long.code(), "too_many_rows");
    let heavy = key
        .post_as(BULK, "k1", "text/csv", vec![b'a'; 5 * 1024 * 1024 + 1])
        .await;
    assert_eq!(heavy.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(heavy.code(), "too_large");
    let kind = key.post_as(BULK, "k1", "application/pdf", "x").await;
    assert_eq!(kind.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    let headless = key.post_as(BULK, "k1", "text/csv", "1,2,3\n").await;
    assert_eq!(headless.code(), "unknown_column");
    let keyless = key.post_as(BULK, "", "text/csv", file(1)).await;
    assert_eq!(keyless.code(), "idempotency_key_malformed");
    assert_eq!(house.count(COUNT).await, 0);
}

#[sqlx::test(migrations = "../migrations")]
async fn what_could_enrol_by_mistake_is_refused_whole(pool: PgPool) {
    let house = House::new(pool).await;
    let key = house.partner("Ours").await;
    let misspelt = format!("{BULK}?dryRun=true");
    let refused = key.post_as(&misspelt, "m", "text/csv", file(1)).await;
    assert_eq!(
        refused.status,
        StatusCode::BAD_REQUEST,
        "{}",
        refused.text()
    );
    // a quote left open makes one row of all that follow
    let open = file(3).replacen("Achieng", "\"Achieng", 1);
    let refused = key.post_as(BULK, "q", "text/csv", open).await;
    assert_eq!(refused.code(), "line_break_in_cell", "{}", refused.text());
    assert!(refused.text().contains("line 2"), "{}", refused.text());
    let long = format!("{{\"farmers\": [{}0]}}", "0,".repeat(1_000_000));
    let refused = key.post_as(BULK, "l", "application/json", long).await;
    assert_eq!(refused.code(), "too_many_rows", "{}", refused.text());
    let nul = file(1).replacen("0321", "\\\u{0}32", 1);
    let refused = key.post_as(BULK, "n", "text/csv", nul).await;
    assert_eq!(refused.code(), "unstorable", "{}", refused.text());
    assert_eq!(house.count(COUNT).await, 0);
}

#[sqlx::test(migrations = "../migrations")]
async fn each_run_is_written_down_with_the_key_that_made_it(pool: PgPool) {
    let house = House::new(pool).await;
    let key = house.partner("Ours").await;
    key.post_as(DRY, "dry", "text/csv", file(3)).await;
    key.post_as(BULK, "real", "text/csv", file(3)).await;
    let noted =
        "select string_agg(action || ' ' || (details ->> 'enrolled'), ', ' order by sequence)
                 from audit_log where actor like 'key_%' and action like 'farmers.%'";
    let noted = store::testing::text(&house.owner, noted).await.unwrap();
    assert_eq!(noted, "farmers.checked 3, farmers.enrolled 3");
}
