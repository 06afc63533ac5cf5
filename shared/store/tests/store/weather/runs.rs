//! Runs of an index, rain of a cell and absent scenes: unique by what they say.
//! Never decides what a run pays. Run by cargo.

use domain::evidence::CellDay;
use domain::id::IndexRunId;
use domain::index::PhaseSum;
use domain::measure::RainUm;
use sqlx::PgPool;
use store::index_runs::{self, NewRun};
use store::{risks, scenes};

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
        is_final: true,
        manifest_hash: hash,
        engine_version: "engine",
    };
    let (first, is_new) = index_runs::record(&mut conn, now(), &run(1, "aa"))
        .await
        .unwrap();
    assert!(is_new);
    let repeated = index_runs::record(&mut conn, now(), &run(2, "aa"))
        .await
        .unwrap();
    assert_eq!(repeated, (first, false));
    assert!(risks::set_final(&mut conn, risk, first).await.unwrap());
    assert!(
        !risks::set_final(&mut conn, risk, first).await.unwrap(),
        "its bell rings once"
    );
    let (later, _) = index_runs::record(&mut conn, now(), &run(3, "bb"))
        .await
        .unwrap();
    decide(&mut conn).await;
    assert!(
        !risks::set_final(&mut conn, risk, later).await.unwrap(),
        "it is decided"
    );
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
    };
    let mut days = [
        day("2026-03-01", Some(0), "primary"),
        day("2026-03-02", None, "missing"),
    ];
    assert_eq!(
        index_runs::upsert_cell_days(&mut conn, now(), risk, &days)
            .await
            .unwrap(),
        2
    );
    assert_eq!(
        index_runs::upsert_cell_days(&mut conn, now(), risk, &days)
            .await
            .unwrap(),
        0
    );
    days[1] = day("2026-03-02", Some(700), "second");
    assert_eq!(
        index_runs::upsert_cell_days(&mut conn, now(), risk, &days)
            .await
            .unwrap(),
        1
    );
    let window = risks::find(&mut conn, risk).await.unwrap().unwrap().window;
    let inputs = store::bundles::load_inputs(&mut conn, risk, window)
        .await
        .unwrap();
    assert_eq!(inputs.days, days);
    assert!(
        scenes::record_unconfigured(&mut conn, now(), risk)
            .await
            .unwrap()
    );
    assert!(
        !scenes::record_unconfigured(&mut conn, now(), risk)
            .await
            .unwrap()
    );
}
