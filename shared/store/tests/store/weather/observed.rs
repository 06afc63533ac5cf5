//! An open risk with its stations and a day of one of them, for the tests beside it.
//! Must hold no test.

use chrono::Utc;
use chrono::{DateTime, NaiveDate};
use domain::id::{ProductVersionId, RiskId};
use domain::product::Product;
use store::observations::{self, PlannedDay, UtcDay};
use store::stations::{self, Candidate, Ranked};
use store::{Connection, StoreError, products, risks};
use uuid::Uuid;

pub(crate) const CELL: &str = "877a5c541ffffff";
pub(crate) const PRODUCT: &str = include_str!("../../../../../products/KE-MZ-PD-LR.toml");

pub(crate) fn now() -> DateTime<Utc> {
    "2026-02-01T09:00:00Z".parse().unwrap()
}

pub(crate) fn date(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

pub(crate) fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

pub(crate) fn risk_id() -> RiskId {
    RiskId::from_parts(1, [1; 10])
}

/// An open risk of March to May 2026.
pub(crate) async fn a_risk(conn: &mut Connection) -> RiskId {
    let version = ProductVersionId::from_parts(1, [1; 10]);
    let product = Product::from_toml(PRODUCT).unwrap();
    products::publish(conn, now(), version, &product)
        .await
        .unwrap();
    sqlx::query(
        "insert into risks (id, product_version_id, zone, risk_cell, season_year, window_start,
             window_end, window_closes_at, state, created_at)
         values ($1, $2, 'marsabit', $3, 2026, '2026-03-01', '2026-06-01',
             '2026-05-31T21:00:00Z', 'open', $4)",
    )
    .bind(risk_id().uuid())
    .bind(version.uuid())
    .bind(CELL)
    .bind(now())
    .execute(conn)
    .await
    .unwrap();
    risk_id()
}

pub(crate) async fn decide(conn: &mut Connection) {
    sqlx::query("update risks set state = 'evaluated' where id = $1")
        .bind(risk_id().uuid())
        .execute(conn)
        .await
        .unwrap();
}

pub(crate) fn candidate(id: &str, distance_m: i32) -> Candidate {
    Candidate {
        id: id.to_owned(),
        name: format!("Calm {id}"),
        cell: CELL.parse().unwrap(),
        lat_e6: 2_394_060,
        lon_e6: 37_952_321,
        elevation_dm: (id != "b").then_some(13_450),
        distance_m,
        elevation_gap_dm: (id != "b").then_some(0),
        data_quality_e4: Some(9_500),
        location_quality_e4: Some(10_000),
    }
}

pub(crate) fn ranked(station_id: &str, rank: i16) -> Ranked {
    Ranked {
        risk_id: risk_id(),
        station_id: station_id.to_owned(),
        rank,
    }
}

/// A risk observed by `a` and confirmed by `b`.
pub(crate) async fn an_observed_risk(conn: &mut Connection) -> RiskId {
    let risk = a_risk(conn).await;
    let both = [candidate("a", 300), candidate("b", 500)];
    stations::record_candidates(conn, now(), risk, &both)
        .await
        .unwrap();
    let ranked = [ranked("a", 1), ranked("b", 2)];
    assert_eq!(stations::rank(conn, &ranked).await.unwrap(), 2);
    risks::mark_frozen(conn, now(), &[risk]).await.unwrap();
    risk
}

/// The fifth of March at station `a`, due.
pub(crate) async fn a_day(conn: &mut Connection) -> UtcDay {
    let id = Uuid::from_u128(5);
    observations::plan_days(conn, &[planned(id)]).await.unwrap();
    the_day(conn, id).await
}

pub(crate) fn planned(id: Uuid) -> PlannedDay {
    PlannedDay {
        id,
        station_id: "a".to_owned(),
        utc_date: date("2026-03-05"),
        due_at: at("2026-03-06T02:00:00Z"),
    }
}

/// A day that is known.
pub(crate) async fn the_day(conn: &mut Connection, id: Uuid) -> UtcDay {
    let mut found = observations::find_days(conn, &[id]).await.unwrap();
    found.pop().unwrap()
}

pub(crate) fn is_stale<T>(result: &Result<T, StoreError>) -> bool {
    matches!(result, Err(StoreError::Stale { .. }))
}
