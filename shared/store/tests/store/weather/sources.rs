//! Gridded rain, scenes and baselines: what is known stays as it was, and a contract gets the very
//! series it names, in its order.

use chrono::NaiveDate;
use domain::cell::RiskCell;
use domain::measure::RainUm;
use domain::product::Product;
use sqlx::PgPool;
use store::baselines::{self, Baseline, Of};
use store::grids::{self, Climate, GridDay};
use store::scenes::{self, Scene};
use store::sources;

use super::observed::{date, now};

const CELL: &str = "877a5c541ffffff";
const OTHER: &str = "877a63556ffffff";

/// The house's index in the second form, with satellites behind its stations.
fn product() -> Product {
    let house = include_str!("../../../../domain/testdata/products/house-second-form.toml");
    Product::from_toml(house).unwrap()
}

fn cell(text: &str) -> RiskCell {
    text.parse().unwrap()
}

fn grid_day(text: &str, rain_um: i32) -> GridDay {
    GridDay {
        cell: cell(CELL),
        day: date(text),
        rain_um: RainUm(rain_um),
    }
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_gridded_day_stays_as_it_was_and_a_difference_is_told(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    let days = [grid_day("2026-03-01", 0), grid_day("2026-03-02", 4_200)];
    let first = grids::record(&mut conn, "chirps-v3", &days).await.unwrap();
    assert_eq!((first.new, first.different), (2, 0));
    let again = [grid_day("2026-03-02", 4_300), grid_day("2026-03-03", 1)];
    let second = grids::record(&mut conn, "chirps-v3", &again).await.unwrap();
    assert_eq!((second.new, second.different), (1, 1));
    let elsewhere = grids::record(&mut conn, "chirps-v3.1", &again)
        .await
        .unwrap();
    assert_eq!(
        (elsewhere.new, elsewhere.different),
        (2, 0),
        "another dataset"
    );
    let window = domain::season::Window {
        start: date("2026-03-01"),
        end: date("2026-03-03"),
    };
    let names = ["chirps-v3".to_owned()];
    let found = grids::list(&mut conn, &names, &[cell(CELL)], window)
        .await
        .unwrap();
    let series = &found[&(names[0].clone(), cell(CELL))];
    let told: Vec<(NaiveDate, i32)> = series.iter().map(|(day, um)| (*day, um.0)).collect();
    assert_eq!(told, [(date("2026-03-01"), 0), (date("2026-03-02"), 4_200)]);
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_contract_gets_the_series_it_names_in_its_order(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    let product = product();
    let window = product.cover_window(2026).unwrap();
    grids::record(&mut conn, "era5-land", &[grid_day("2026-03-05", 7)])
        .await
        .unwrap();
    grids::record(&mut conn, "imerg-v7", &[grid_day("2026-03-05", 9)])
        .await
        .unwrap();
    let climate = Climate {
        first_year: 1991,
        last_year: 2020,
        dekads: vec![Some(12_000); 36],
    };
    for is_new in [true, false] {
        let done = grids::record_climate(&mut conn, now(), "era5-land", cell(CELL), &climate).await;
        assert_eq!(done.unwrap(), is_new);
    }
    let scene = |text: &str| {
        let scene = Scene {
            day: date(text),
            ndvi_e4: 3_100,
            valid_bp: 8_000,
            source: "sha256:00".to_owned(),
        };
        (cell(CELL), scene)
    };
    let scenes = [scene("2026-02-27"), scene("2026-03-09")];
    scenes::record(&mut conn, now(), "sentinel-2", &scenes)
        .await
        .unwrap();
    let of = Of {
        sensor: "sentinel-2".to_owned(),
        cell: cell(CELL),
        days: "03-01..05-31".to_owned(),
        first_year: 2008,
        last_year: 2019,
    };
    let baseline = Baseline {
        seasons: vec![Some(400_000), None],
        dekads: vec![Some(390_000); 9],
    };
    for is_new in [true, false] {
        let done = baselines::record(&mut conn, now(), &of, &baseline).await;
        assert_eq!(done.unwrap(), is_new);
    }
    let other_years = Of {
        last_year: 2020,
        ..of
    };
    baselines::record(&mut conn, now(), &other_years, &baseline)
        .await
        .unwrap();

    let cells = [cell(CELL), cell(OTHER)];
    let found = sources::list(&mut conn, &product, 2026, window, &cells)
        .await
        .unwrap();
    let here = &found[&cell(CELL)];
    let names: Vec<&str> = here.grids.iter().map(|g| g.dataset.as_str()).collect();
    assert_eq!(
        names,
        ["chirps-v3", "era5-land"],
        "imerg is not in the contract"
    );
    assert_eq!((here.grids[0].days.len(), here.grids[1].days.len()), (0, 1));
    assert_eq!(here.grids[1].climate_um.len(), 36);
    let sensors: Vec<&str> = here.sensors.iter().map(|s| s.sensor.as_str()).collect();
    assert_eq!(sensors, ["sentinel-2", "modis-terra"]);
    assert_eq!(
        here.sensors[0].scenes.len(),
        1,
        "only of the days that count"
    );
    assert_eq!(here.sensors[0].baseline.as_ref().unwrap().seasons.len(), 2);
    assert_eq!(here.sensors[1].baseline, None);
    let there = &found[&cell(OTHER)];
    assert!(there.grids.iter().all(|grid| grid.days.is_empty()));
    assert_eq!(
        there.sensors.len(),
        2,
        "nothing known is stated, not left out"
    );
}

#[sqlx::test(migrations = "../../migrations")]
async fn nobody_rewrites_what_settled(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    grids::record(&mut conn, "chirps-v3", &[grid_day("2026-03-01", 0)])
        .await
        .unwrap();
    #[expect(
        clippy::disallowed_methods,
        reason = "tampering is not worth a place in the query cache"
    )]
    let refused = sqlx::query("update grid_days set rain_um = 1")
        .execute(&mut *conn)
        .await;
    assert!(refused.is_err());
}
