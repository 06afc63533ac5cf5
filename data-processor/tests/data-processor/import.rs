//! `import` and `baseline` against a real database, as the process that owns nothing: once is once,
//! what is known stays, and open risks hear of new days. Run by cargo.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on should stop there"
)]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use chrono::{DateTime, NaiveDate, Utc};
use clap::Parser;
use data_processor::batch::baseline::{Baseline, State, baseline};
use data_processor::batch::import::{BATCH_ROWS, Import, Report, import};
use data_processor::batch::{baseline as baselines, import as imports};
use domain::id::{ProductVersionId, RiskId};
use domain::product::Product;
use runtime::clock::Clock;
use runtime::ids::Ids;
use sqlx::PgPool;
use store::testing::{as_process, change, number};
use store::{Pool, products};

/// The cell of 2.39406, 37.952321, and its neighbourhood's.
const CELL: &str = "877a5c541ffffff";
const OTHER: &str = "877a63556ffffff";

#[derive(Debug, Parser)]
struct Importing {
    #[command(flatten)]
    import: Import,
}

#[derive(Debug, Parser)]
struct Computing {
    #[command(flatten)]
    baseline: Baseline,
}

fn now() -> DateTime<Utc> {
    "2026-04-10T09:00:00Z".parse().unwrap()
}

fn day(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

/// A file of the test's own; each test gives another name.
fn file(name: &str, text: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("import-{}-{name}", std::process::id()));
    std::fs::write(&path, text).unwrap();
    path
}

async fn read(pool: &Pool, path: &Path, what: &str) -> anyhow::Result<Report> {
    let path = path.display();
    let asked = format!("import {what} --file {path}");
    let asked = Importing::try_parse_from(asked.split(' ')).unwrap();
    let is_dry = what.contains("--dry-run");
    let pool = (!is_dry).then_some(pool);
    import(&asked.import, pool, &Clock::held(now()), &Ids::system()).await
}

async fn rain(pool: &Pool, name: &str, text: &str) -> Report {
    let path = file(name, text);
    let read = read(pool, &path, "rain --dataset chirps-v3 --unit mm").await;
    std::fs::remove_file(path).unwrap();
    read.unwrap()
}

async fn compute(pool: &Pool, what: &str) -> anyhow::Result<baselines::Report> {
    let asked = format!("baseline {what}");
    let asked = Computing::try_parse_from(asked.split(' ')).unwrap();
    baseline(&asked.baseline, pool, &Clock::held(now())).await
}

/// A daily file of the cells: the n-th day has n mod 7 mm.
fn daily(cells: &[&str], first: &str, days: usize) -> String {
    let mut text = format!("date,{}\n", cells.join(","));
    for (n, day) in day(first).iter_days().take(days).enumerate() {
        let value = format!(",{}", n % 7);
        writeln!(text, "{day}{}", value.repeat(cells.len())).unwrap();
    }
    text
}

/// Open risks of March to May 2026 in both cells, computed.
async fn risks(pool: &Pool) {
    let version = ProductVersionId::from_parts(1, [1; 10]);
    let text = include_str!("../../../products/KE-MZ-PD-LR.toml");
    let mut conn = pool.acquire().await.unwrap();
    products::publish(
        &mut conn,
        now(),
        version,
        &Product::from_toml(text).unwrap(),
    )
    .await
    .unwrap();
    for (n, cell) in [CELL, OTHER].into_iter().enumerate() {
        let id = RiskId::from_parts(1, [u8::try_from(n).unwrap(); 10]).uuid();
        let version = version.uuid();
        let sql = format!(
            "insert into risks (id, product_version_id, zone, risk_cell, season_year, window_start,
                 window_end, window_closes_at, state, created_at, index_dirty)
             values ('{id}', '{version}', 'marsabit', '{cell}', 2026, '2026-03-01', '2026-06-01',
                 '2026-05-31T21:00:00Z', 'open', '2026-02-01T09:00:00Z', false)"
        );
        change(pool, sql).await.unwrap();
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn a_file_is_imported_once_and_told_so(owner: PgPool) {
    let pool = as_process(&owner);
    let text = daily(&[CELL, OTHER, "NOWHERE"], "2020-03-01", 40);
    let first = rain(&pool, "once.csv", &text).await;
    let written = first.written.unwrap();
    assert_eq!((written.new, written.same, written.different), (80, 0, 0));
    assert!(!first.is_known);
    assert_eq!(first.unused, ["NOWHERE"]);
    let again = rain(&pool, "once.csv", &text).await;
    let written = again.written.unwrap();
    assert_eq!((written.new, written.same, written.different), (0, 80, 0));
    assert!(again.is_known);
    let files = "select count(*) from imports where rows_new = 80 and first_day = '2020-03-01'";
    assert_eq!(number(&owner, files).await.unwrap(), 1);
    let sum = "select sum(rain_um)::bigint from grid_days";
    let of_cell: usize = (0..40).map(|n| n % 7).sum();
    let both = i64::try_from(of_cell * 2_000).unwrap();
    assert_eq!(number(&owner, sum).await.unwrap(), both);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_file_that_says_something_else_is_counted_and_changes_nothing(owner: PgPool) {
    let pool = as_process(&owner);
    let head = format!("date,{CELL}\n");
    rain(
        &pool,
        "one.csv",
        &format!("{head}2020-03-01,1\n2020-03-02,2\n"),
    )
    .await;
    let other = format!("{head}2020-03-01,1\n2020-03-02,2.001\n2020-03-03,3\n");
    let report = rain(&pool, "other.csv", &other).await;
    let written = report.written.unwrap();
    assert_eq!((written.new, written.same, written.different), (1, 1, 1));
    let kept = "select rain_um::bigint from grid_days where day = '2020-03-02'";
    assert_eq!(number(&owner, kept).await.unwrap(), 2_000);
    let code = run_again(&owner, &other).await;
    assert_eq!(code, format!("{:?}", std::process::ExitCode::from(2)));
    let anew = file("anew.csv", &other);
    let renamed = read(&pool, &anew, "rain --dataset chirps-v3.1")
        .await
        .unwrap();
    assert_eq!(
        renamed.written.unwrap().new,
        3,
        "another name is another dataset"
    );
    std::fs::remove_file(anew).unwrap();
}

/// The exit code of the command itself, with the address of the test's database.
async fn run_again(owner: &PgPool, text: &str) -> String {
    let options = owner.connect_options();
    let url = format!(
        "postgres://{}@{}:{}/{}",
        options.get_username(),
        options.get_host(),
        options.get_port(),
        options.get_database().unwrap()
    );
    let path = file("again.csv", text);
    let asked = [
        "import",
        "rain",
        "--dataset",
        "chirps-v3",
        "--database-url",
        &url,
        "--file",
        path.to_str().unwrap(),
    ];
    let asked = Importing::try_parse_from(asked).unwrap();
    let code = imports::run(&asked.import).await.unwrap();
    std::fs::remove_file(path).unwrap();
    format!("{code:?}")
}

#[sqlx::test(migrations = "../migrations")]
async fn new_days_mark_the_open_risks_of_their_cells_and_known_ones_do_not(owner: PgPool) {
    let pool = as_process(&owner);
    risks(&owner).await;
    let dirty = "select count(*) from risks where index_dirty";
    let before = rain(&pool, "before.csv", &daily(&[CELL], "2025-03-01", 92)).await;
    assert_eq!(before.written.unwrap().risks, 0, "a season that is past");
    let text = daily(&[CELL], "2026-03-20", 20);
    let inside = rain(&pool, "inside.csv", &text).await;
    assert_eq!(inside.written.unwrap().risks, 1);
    assert_eq!(number(&owner, dirty).await.unwrap(), 1);
    change(&owner, "update risks set index_dirty = false")
        .await
        .unwrap();
    let again = rain(&pool, "inside.csv", &text).await;
    assert_eq!(again.written.unwrap().risks, 0, "nothing is new");
    assert_eq!(number(&owner, dirty).await.unwrap(), 0);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_repeat_goes_on_where_the_first_was_cut_off(owner: PgPool) {
    let pool = as_process(&owner);
    let days = BATCH_ROWS + 500;
    let whole = daily(&[CELL], "1990-01-01", days);
    let lines: Vec<&str> = whole.lines().take(4_001).collect();
    let part = lines.join("\n");
    rain(&pool, "part.csv", &part).await;
    let written = rain(&pool, "whole.csv", &whole).await.written.unwrap();
    assert_eq!(written.batches, 2);
    assert_eq!((written.new, written.same), (6_500, 4_000));
    let rows = "select count(*) from grid_days";
    assert_eq!(
        number(&owner, rows).await.unwrap(),
        i64::try_from(days).unwrap()
    );
}

#[sqlx::test(migrations = "../migrations")]
async fn what_is_refused_or_only_looked_at_writes_nothing(owner: PgPool) {
    let pool = as_process(&owner);
    let good = file("dry.csv", &daily(&[CELL], "2020-03-01", 10));
    let looked = read(&pool, &good, "rain --dataset chirps-v3 --dry-run")
        .await
        .unwrap();
    assert!(looked.written.is_none() && looked.rows == 10);
    // the fault is in the last line: not one row is in
    let text = format!("{}2020-05-01,wet\n", daily(&[CELL], "2020-03-01", 30));
    let bad = file("bad.csv", &text);
    let refused = read(&pool, &bad, "rain --dataset chirps-v3")
        .await
        .unwrap_err();
    let told = format!("{refused:#}");
    assert!(
        told.contains(":32, column 877a5c541ffffff") && told.contains("`wet`"),
        "{told}"
    );
    let small = file(
        "metres.csv",
        &daily(&[CELL], "2019-01-01", 400).replace(',', ",0.00"),
    );
    let small_text = std::fs::read_to_string(&small)
        .unwrap()
        .replace(",0.00877", ",877");
    std::fs::write(&small, small_text).unwrap();
    let refused = read(&pool, &small, "rain --dataset era5-land")
        .await
        .unwrap_err();
    assert!(format!("{refused:#}").contains("--unit m"), "{refused:#}");
    let metres = read(&pool, &small, "rain --dataset era5-land --unit m")
        .await
        .unwrap();
    assert_eq!(metres.written.unwrap().new, 400);
    let rows = "select count(*) from grid_days where dataset = 'chirps-v3'";
    assert_eq!(number(&owner, rows).await.unwrap(), 0);
    for path in [good, bad, small] {
        std::fs::remove_file(path).unwrap();
    }
}

/// NDVI of the n-th dekad of every March to May of the years, a scene a dekad.
fn ndvi(years: std::ops::RangeInclusive<i32>) -> String {
    let mut text = format!("date,{CELL}\n");
    for year in years {
        for (n, date) in [
            "03-05", "03-15", "03-25", "04-05", "04-15", "04-25", "05-05", "05-15",
        ]
        .into_iter()
        .enumerate()
        {
            let value =
                0.2 + 0.01 * f64::from(year - 2000) + 0.001 * f64::from(u8::try_from(n).unwrap());
            writeln!(text, "{year}-{date},{value:.4}").unwrap();
        }
    }
    text
}

#[sqlx::test(migrations = "../migrations")]
async fn a_vegetation_baseline_is_kept_once_and_never_changes(owner: PgPool) {
    let pool = as_process(&owner);
    risks(&owner).await;
    let scenes = file("ndvi.csv", &ndvi(2001..=2011));
    let what = "vegetation --sensor modis-terra";
    let report = read(&pool, &scenes, what).await.unwrap();
    assert_eq!(report.written.unwrap().new, 88);
    let source = "select count(*) from scenes where source like 'sha256:%' and valid_bp = 10000";
    assert_eq!(number(&owner, source).await.unwrap(), 88);

    let asked = "vegetation --sensor modis-terra --days 03-01..05-31 --first 2001 --last 2011";
    let first = compute(&pool, asked).await.unwrap();
    assert_eq!((first.count(State::New), first.risks), (1, 1));
    let cell = &first.cells[0];
    // eight dekads of nine: 0.21 to 0.217, whose mean is 0.2135
    assert_eq!(cell.seasons[0], Some(213_500));
    assert_eq!((cell.seasons.len(), cell.dekads.len()), (11, 9));
    assert_eq!((cell.dekads[0], cell.dekads[8]), (Some(260_000), None));
    let again = compute(&pool, asked).await.unwrap();
    assert_eq!((again.count(State::Known), again.risks), (1, 0));

    let greener = file("greener.csv", &format!("date,{CELL}\n2005-05-25,0.9\n"));
    read(&pool, &greener, what).await.unwrap();
    let other = compute(&pool, asked).await.unwrap();
    assert_eq!((other.count(State::Different), other.risks), (1, 0));
    let kept = "select count(*) from baselines where dekads->8 = 'null'::jsonb";
    let rows = number(&owner, kept).await.unwrap();
    assert_eq!(rows, 1, "the first one stays");
    std::fs::remove_file(scenes).unwrap();
    std::fs::remove_file(greener).unwrap();
}

#[sqlx::test(migrations = "../migrations")]
async fn a_baseline_of_few_or_unfinished_seasons_is_refused_with_the_reason(owner: PgPool) {
    let pool = as_process(&owner);
    let scenes = file("few.csv", &ndvi(2003..=2011));
    read(&pool, &scenes, "vegetation --sensor modis-terra")
        .await
        .unwrap();
    std::fs::remove_file(scenes).unwrap();
    let asked =
        |years: &str| format!("vegetation --sensor modis-terra --days 03-01..05-31 {years}");
    let report = compute(&pool, &asked("--first 2001 --last 2011"))
        .await
        .unwrap();
    assert_eq!(report.count(State::Refused), 1);
    let reason = report.cells[0].reason.as_deref().unwrap();
    assert!(reason.contains("9 of 11 seasons"), "{reason}");
    let rows = "select count(*) from baselines";
    assert_eq!(number(&owner, rows).await.unwrap(), 0);
    for (years, told) in [
        ("--first 2001 --last 2009", "fewer than 10"),
        ("--first 2010 --last 2026", "not over"),
    ] {
        let refused = compute(&pool, &asked(years)).await.unwrap_err().to_string();
        assert!(refused.contains(told), "{refused}");
    }
    let none = "vegetation --sensor viirs --days 03-01..05-31 --first 2001 --last 2011";
    let refused = compute(&pool, none).await.unwrap_err().to_string();
    assert!(refused.contains("import them first"), "{refused}");
}

#[sqlx::test(migrations = "../migrations")]
async fn a_climate_is_the_mean_of_whole_dekads_and_is_kept_once(owner: PgPool) {
    let pool = as_process(&owner);
    risks(&owner).await;
    rain(
        &pool,
        "climate.csv",
        &daily(&[CELL, OTHER], "2000-01-01", 4_018),
    )
    .await;
    let asked = "rain --dataset chirps-v3 --first 2001 --last 2010";
    let first = compute(&pool, asked).await.unwrap();
    let evidence = "its evidence states the climate, so its index must count it";
    assert_eq!((first.count(State::New), first.risks), (2, 2), "{evidence}");
    assert_eq!(first.cells[0].dekads.len(), 36);
    let year: i64 = first.cells[0].dekads.iter().flatten().sum();
    assert!((1_090_000..1_100_000).contains(&year), "3 mm a day: {year}");
    let again = compute(&pool, asked).await.unwrap();
    assert_eq!((again.count(State::Known), again.risks), (2, 0));
    let other = compute(&pool, "rain --dataset chirps-v3 --first 2000 --last 2010").await;
    assert_eq!(other.unwrap().count(State::Different), 2);
    let kept = "select count(*) from rain_climates where first_year = 2001";
    assert_eq!(number(&owner, kept).await.unwrap(), 2);
    let few = compute(&pool, "rain --dataset chirps-v3 --first 2001 --last 2012")
        .await
        .unwrap();
    assert_eq!(
        few.count(State::Different),
        2,
        "whole in ten of twelve years"
    );
    let late = compute(&pool, "rain --dataset chirps-v3 --first 2005 --last 2016")
        .await
        .unwrap();
    assert_eq!(late.count(State::Refused), 2);
}
