//! Exports: whole, in pages, of one partner, and never a formula.
//! Reads the files as a spreadsheet would.

use axum::http::StatusCode;
use serde_json::json;
use sqlx::PgPool;

use super::house::House;
use super::seed::{letters, seed};

#[sqlx::test(migrations = "../migrations")]
async fn an_export_has_every_row_of_its_partner_and_of_nobody_else(pool: PgPool) {
    let house = House::new(pool).await;
    let (ours, theirs) = (house.partner("Ours").await, house.partner("Theirs").await);
    let our = seed(&house, &ours, 1).await;
    seed(&house, &theirs, 2).await;
    // more than two pages
    let rows: Vec<_> = (1_001..=2_100).map(super::seed::farmer).collect();
    let file = json!({ "farmers": rows });
    let sent = ours.post("/api/v1/farmers/bulk", "k1", &file).await;
    assert_eq!(sent.json()["enrolled"], 1_100, "{}", sent.text());
    let export = ours.get("/api/v1/exports/farmers.csv").await;
    assert_eq!(export.status, StatusCode::OK);
    assert_eq!(export.header("content-type"), "text/csv; charset=utf-8");
    assert!(export.header("content-disposition").contains("farmers.csv"));
    let lines: Vec<_> = export.text().lines().collect();
    assert_eq!(lines.len(), 1_102, "a header, the seeded one and the file");
    let last = format!("Wanjiku {}", letters(2_100));
    assert!(export.text().contains(&last));
    for file in ["policies", "payouts"] {
        let export = ours.get(&format!("/api/v1/exports/{file}.csv")).await;
        assert_eq!(export.text().lines().count(), 2, "{file}");
        assert!(export.text().contains(&our.ids["policy"]), "{file}");
    }
    let noted = "select count(*) from audit_log where action = 'export.taken'";
    assert_eq!(house.count(noted).await, 3);
}

#[sqlx::test(migrations = "../migrations")]
async fn no_cell_of_an_export_computes(pool: PgPool) {
    let house = House::new(pool).await;
    let key = house.partner("Ours").await;
    let our = seed(&house, &key, 1).await;
    let nonce = house.app.ids.bytes();
    let name = house
        .app
        .pii
        .seal(nonce, b"=HYPERLINK(\"http://x\",\"y\")")
        .unwrap();
    let hex = data_encoding::HEXLOWER.encode(&name);
    house
        .change(format!(
            "update farmers set name_cipher = decode('{hex}', 'hex')"
        ))
        .await;
    house
        .change("update policies set zone = '@z', short_code = '-1+1'")
        .await;
    let farmers = key.get("/api/v1/exports/farmers.csv").await;
    assert!(
        farmers.text().contains("\"'=HYPERLINK(\"\"http"),
        "{}",
        farmers.text()
    );
    let policies = key.get("/api/v1/exports/policies.csv").await;
    assert!(policies.text().contains(",'-1+1,"), "{}", policies.text());
    assert!(policies.text().contains(",'@z,"));
    for export in [farmers, policies] {
        for cell in export
            .text()
            .lines()
            .skip(1)
            .flat_map(|line| line.split(','))
        {
            let plain = cell.trim_start_matches('"');
            assert!(
                !plain.starts_with(['=', '+', '-', '@', '\t', '\r']),
                "{cell}"
            );
        }
    }
    assert!(!our.ids.is_empty());
}

#[sqlx::test(migrations = "../migrations")]
async fn an_export_shows_no_more_than_the_key_may_read(pool: PgPool) {
    let house = House::new(pool).await;
    let ours = house.partner("Ours").await;
    let exporter = house
        .key(ours.organisation, "exports:read,payouts:read")
        .await;
    for (file, expected) in [
        ("farmers", StatusCode::FORBIDDEN),
        ("policies", StatusCode::FORBIDDEN),
        ("payouts", StatusCode::OK),
    ] {
        let answer = exporter.get(&format!("/api/v1/exports/{file}.csv")).await;
        assert_eq!(answer.status, expected, "{file}");
    }
}
