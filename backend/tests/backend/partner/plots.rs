//! Plots: placed by ward, by point or by outline, never outside their ward's part of the country.
//! Asks over HTTP only, with points and outlines of real wards.

use axum::http::StatusCode;
use serde_json::{Value, json};
use sqlx::PgPool;

use super::house::{House, Key};
use super::seed::seed;

const PLOTS: &str = "/api/v1/plots";

/// The codes of what is wrong with a plot, or "made".
async fn add(key: &Key<'_>, farmer: &str, more: Value) -> String {
    let mut plot = json!({ "farmer_id": farmer, "crop": "maize" });
    for (name, value) in more.as_object().unwrap() {
        plot[name] = value.clone();
    }
    let answer = key
        .post(PLOTS, &plot.to_string().len().to_string(), &plot)
        .await;
    if answer.status == StatusCode::CREATED {
        return "made".to_owned();
    }
    let body = answer.json();
    let code = &body["errors"][0]["code"];
    code.as_str().map_or_else(|| answer.code(), str::to_owned)
}

fn square(lon: f64, lat: f64, side: f64) -> Value {
    let ring = [
        [lon, lat],
        [lon + side, lat],
        [lon + side, lat + side],
        [lon, lat + side],
        [lon, lat],
    ];
    json!({ "type": "Polygon", "coordinates": [ring] })
}

#[sqlx::test(migrations = "../migrations")]
async fn a_plot_lies_where_its_ward_its_point_or_its_outline_says(pool: PgPool) {
    let house = House::new(pool).await;
    let key = house.partner("Ours").await;
    let our = seed(&house, &key, 1).await;
    let farmer = our.ids["farmer"].as_str();
    let by_ward = key
        .get(&format!("{PLOTS}/{}", our.ids["plot"]))
        .await
        .json();
    assert_eq!(by_ward["plot_cell"], "887a53a491fffff");
    assert_eq!(by_ward["acres"], json!(1.5));
    let kitui = json!({ "farmer_id": farmer, "crop": "beans", "acres": 2, "ward_code": "0700",
        "point": { "lat": -1.366_67, "lon": 38.016_67 }, "sown_on": "2026-03-10" });
    let by_point = key.post(PLOTS, "k1", &kitui).await;
    assert_eq!(by_point.status, StatusCode::CREATED, "{}", by_point.text());
    assert_eq!(by_point.member("located_by"), "point");
    assert_eq!(by_point.member("ward_code"), "0700");
    let read = key.get(by_point.header("location")).await;
    assert_eq!(read.body, by_point.body);
    let outline = json!({ "farmer_id": farmer, "crop": "beans", "ward_code": "0700",
        "polygon": square(38.0, -1.4, 0.001) });
    let by_outline = key.post(PLOTS, "k2", &outline).await;
    assert_eq!(
        by_outline.status,
        StatusCode::CREATED,
        "{}",
        by_outline.text()
    );
    let acres = by_outline.json()["acres"].as_f64().unwrap();
    assert!((3.0..3.1).contains(&acres), "{acres}");
    let stored = "select count(*) from information_schema.columns where table_name = 'plots'
                  and column_name similar to '%(lat|lon|point|polygon|geo)%'";
    assert_eq!(house.count(stored).await, 0, "coordinates are not kept");
}

#[sqlx::test(migrations = "../migrations")]
async fn a_plot_that_cannot_be_is_refused_with_the_reason(pool: PgPool) {
    let house = House::new(pool).await;
    let (key, theirs) = (house.partner("Ours").await, house.partner("Theirs").await);
    let our = seed(&house, &key, 1).await;
    let their = seed(&house, &theirs, 2).await;
    let farmer = our.ids["farmer"].as_str();
    let kitui = json!({ "lat": -1.366_67, "lon": 38.016_67 });
    for (more, code) in [
        (json!({}), "missing"),
        (json!({ "acres": 1.005 }), "out_of_range"),
        (json!({ "acres": 101 }), "out_of_range"),
        (json!({ "acres": 1, "crop": "tea" }), "malformed"),
        (json!({ "acres": 1, "ward_code": "9999" }), "unknown_ward"),
        (
            json!({ "acres": 1, "point": { "lat": 38.0, "lon": -1.3 } }),
            "outside_kenya",
        ),
        // her own ward is in Marsabit
        (json!({ "acres": 1, "point": kitui }), "far_from_ward"),
        (
            json!({ "acres": 9, "ward_code": "0700", "polygon": square(38.0, -1.4, 0.001) }),
            "area_mismatch",
        ),
        (
            json!({ "acres": 1, "point": kitui, "polygon": square(38.0, -1.4, 0.001) }),
            "ambiguous",
        ),
        (
            json!({ "polygon": { "type": "Point", "coordinates": [] } }),
            "malformed",
        ),
    ] {
        let named = more.to_string();
        assert_eq!(add(&key, farmer, more).await, code, "{named}");
    }
    let foreign = add(&key, &their.ids["farmer"], json!({ "acres": 1 })).await;
    assert_eq!(foreign, "unknown");
    for number in 2..=9 {
        let plot = json!({ "farmer_id": farmer, "crop": "maize", "acres": number });
        let made = key.post(PLOTS, &format!("n{number}"), &plot).await;
        assert_eq!(made.status, StatusCode::CREATED, "{}", made.text());
    }
    assert_eq!(add(&key, farmer, json!({ "acres": 1 })).await, "plots_full");
    let filtered = key.get(&format!("{PLOTS}?farmer={farmer}")).await.json();
    assert_eq!(filtered["items"].as_array().unwrap().len(), 9);
}
