//! Runs of an index, rain of a cell and absent scenes: unique by what they say.
//! Never decides what a run pays. Run by cargo.

use domain::evidence::CellDay;
use domain::id::IndexRunId;
use domain::index::PhaseSum;
use domain::measure::RainUm;
use sqlx::PgPool;
use store::index_runs::{self, NewRun};
use store::{Connection, risks, scene_checks};

use super::observed::{a_risk, an_observed_risk, date, decide, now};

#[sqlx::test(migrations = "../../migrations")]
async fn the_same_inputs_make_one_run_and_one_run_settles(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    let risk = an_observed_risk(&mut conn).await;
    let phases = [PhaseSum::of_rain("season", 162_120, 0)];
    let run = |n: u8, hash: &'static str| NewRun {
        id: IndexRunId::from_parts(1, [n; 10]),
        risk_id: risk,
        as_of_day: date("2026-05-31"),
        phases: &phases,
        stations: 2,
        missing_days: 0,
        confidence: 98,
        vegetation_milli: Some(-1_250),
        index_se_bp: Some(310),
        checks: &[],
        is_final: true,
        manifest_hash: hash,
        engine_version: "engine",
    };
    let record = async |conn: &mut Connection, run| {
        let recorded = index_runs::record(conn, now(), &[run]).await;
        recorded.unwrap().remove(0)
    };
    let settle = async |conn: &mut Connection, run| {
        let settled = risks::set_final(conn, &[(risk, Some(run))]).await;
        settled.unwrap()
    };
    let (first, is_new) = record(&mut conn, run(1, "aa")).await;
    assert!(is_new);
    let repeated = record(&mut conn, run(2, "aa")).await;
    assert_eq!(repeated, (first, false));
    assert_eq!(settle(&mut conn, first).await, [risk]);
    assert_eq!(settle(&mut conn, first).await, [], "its bell rings once");
    let mut unsettle = async || risks::set_final(&mut conn, &[(risk, None)]).await.unwrap();
    assert_eq!(
        unsettle().await,
        [risk],
        "what is known now settles nothing"
    );
    assert_eq!(unsettle().await, []);
    assert_eq!(settle(&mut conn, first).await, [risk], "and then again");
    let (later, _) = record(&mut conn, run(3, "bb")).await;
    decide(&mut conn).await;
    assert_eq!(settle(&mut conn, later).await, [], "it is decided");
    let settled = risks::find(&mut conn, risk)
        .await
        .unwrap()
        .unwrap()
        .final_index_run_id;
    assert_eq!(settled, Some(first));
}

#[sqlx::test(migrations = "../../migrations")]
async fn cell_days_and_absent_scenes_are_written_where_they_changed(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    let risk = a_risk(&mut conn).await;
    let day = |text: &str, rain_um: Option<i32>, source: &str| CellDay {
        day: date(text),
        rain_um: rain_um.map(RainUm),
        source: source.to_owned(),
        factor_e4: None,
    };
    let write = async |conn: &mut Connection, days: &[CellDay]| {
        let days: Vec<_> = days.iter().map(|day| (risk, day)).collect();
        let written = index_runs::upsert_cell_days(conn, now(), &days).await;
        written.unwrap()
    };
    let mut days = [
        day("2026-03-01", Some(0), "primary"),
        day("2026-03-02", None, "missing"),
    ];
    assert_eq!(write(&mut conn, &days).await, 2);
    assert_eq!(write(&mut conn, &days).await, 0);
    days[1] = CellDay {
        factor_e4: Some(12_500),
        ..day("2026-03-02", Some(700), "chirps-v3")
    };
    assert_eq!(write(&mut conn, &days).await, 1);
    let subject = store::evaluations::lock_subject(&mut conn, risk).await;
    let subject = subject.unwrap().unwrap();
    let inputs = store::bundles::load_inputs(&mut conn, &subject)
        .await
        .unwrap();
    assert_eq!(inputs.days, days);
    assert!(
        scene_checks::record_unconfigured(&mut conn, now(), risk)
            .await
            .unwrap()
    );
    assert!(
        !scene_checks::record_unconfigured(&mut conn, now(), risk)
            .await
            .unwrap()
    );
}
