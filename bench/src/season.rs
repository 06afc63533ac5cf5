//! A season of many risks for the nights of `cargo xtask bench`: the same weather whatever the number
//! of policies, brought day by day by COPY; then waits until the product has counted it and checks
//! every figure against what was seeded. Owner's connection; never computes what the product computes.
//! Called by xtask, each part prints one JSON line.

mod seed;

use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow, bail, ensure};
use chrono::{DateTime, Days, NaiveDate, TimeDelta, Utc};
use clap::{Args, Subcommand};
use domain::id::RiskId;
use domain::index::PhaseSum;
use domain::money::Money;
use domain::product::Product;
use domain::season::Window;
use domain::settle::{Observed, Outcome, settle};
use serde_json::{Value, json};
use sqlx::{Connection as _, PgConnection, Row as _};
use tokio::time::sleep;
use uuid::Uuid;

use self::seed::{bring, policies, weather};

/// Sold in every zone; one phase over the whole window.
const PRODUCT: &str = "KE-MZ-PD-LR";
/// Of the seeded season.
const YEAR: i32 = 2026;
/// Nothing takes longer that ends at all.
const PATIENCE: Duration = Duration::from_mins(20);
/// Between two looks: 1 % of a second's worth of one core.
const LOOK: Duration = Duration::from_millis(20);
/// Between two looks at tables that are read whole.
const LOOK_AT_ALL: Duration = Duration::from_millis(250);

/// Which database, and what to do.
#[derive(Args)]
pub struct Options {
    /// The migrated database, as its owner
    #[arg(long, env = "MIGRATE_DATABASE_URL")]
    database_url: String,
    #[command(subcommand)]
    part: Part,
}

#[derive(Subcommand)]
enum Part {
    /// Risks with frozen stations and the days of the first nights
    Weather {
        /// Risks, a cell each
        #[arg(long)]
        cells: u32,
        /// Local days of the window that have passed
        #[arg(long)]
        nights: u32,
    },
    /// Policies, spread evenly over the risks
    Policies {
        /// How many
        #[arg(long)]
        count: u32,
    },
    /// The instant at which so many local days of the window have passed, and two hours more
    Instant {
        /// How many
        #[arg(long)]
        nights: u32,
    },
    /// Bring the days up to this night, make every index due, wait until all are counted
    Night {
        /// Local days of the window that have passed
        #[arg(long)]
        nights: u32,
    },
    /// Wait until every risk is decided
    Decided,
    /// Leave publishing and its retries out of the fan-out
    Unpublished,
    /// Wait until every policy is settled
    Settled,
    /// Undo the closing night
    Reopen,
}

/// Does it.
pub fn run(options: &Options) -> anyhow::Result<()> {
    let said = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(part(options))?;
    println!("{said}");
    Ok(())
}

async fn part(options: &Options) -> anyhow::Result<Value> {
    let mut conn = PgConnection::connect(&options.database_url).await?;
    let season = Season::load(&mut conn).await?;
    match options.part {
        Part::Weather { cells, nights } => weather(&mut conn, &season, cells, nights).await,
        Part::Policies { count } => policies(&mut conn, &season, count).await,
        Part::Instant { nights } => Ok(json!({ "at": season.after(nights).to_rfc3339() })),
        Part::Night { nights } => night(&mut conn, &season, nights).await,
        Part::Decided => decided(&mut conn, &season).await,
        Part::Unpublished => unpublished(&mut conn).await,
        Part::Settled => settled(&mut conn).await,
        Part::Reopen => reopen(&mut conn).await,
    }
}

/// What is covered.
struct Season {
    version: Uuid,
    product: Product,
    zone: String,
    ward: String,
    window: Window,
}

impl Season {
    async fn load(conn: &mut PgConnection) -> anyhow::Result<Self> {
        let row = sqlx::query(
            "select id, document from product_versions where code = $1 and retired_at is null",
        )
        .bind(PRODUCT)
        .fetch_one(conn)
        .await
        .with_context(|| format!("{PRODUCT} is not on sale; run `backend migrate` first"))?;
        let document: Value = row.try_get("document")?;
        let product: Product = serde_json::from_value(document)?;
        let zone = product.zones.first().context("a product without zones")?;
        let ward = zone.wards.first().context("a zone without wards")?;
        ensure!(
            product.phases.len() == 1,
            "{PRODUCT} has several phases; the check of the nights knows one over the window"
        );
        Ok(Self {
            version: row.try_get("id")?,
            zone: zone.code.clone(),
            ward: ward.clone(),
            window: product.cover_window(YEAR)?,
            product,
        })
    }

    /// Two hours after the last of so many days: everything of them has been recorded.
    fn after(&self, nights: u32) -> DateTime<Utc> {
        let day = self.window.start + Days::new(nights.into());
        domain::season::day_starts_at(day) + TimeDelta::hours(2)
    }

    /// When everything was sold and frozen: a week before the window.
    fn sold_at(&self) -> DateTime<Utc> {
        self.window.opens_at() - TimeDelta::days(7)
    }
}

/// Rain of a local day at a cell's first station, µm: three days of ten are wet, and some cells get
/// four times as much as others, so that there are full, partial and no payouts.
fn rain_um(cell: u32, day: NaiveDate) -> i64 {
    let number = u64::try_from(day.signed_duration_since(NaiveDate::default()).num_days());
    let mixed = mix(u64::from(cell) << 32 | number.unwrap_or_default());
    if mixed % 10 >= 3 {
        return 0;
    }
    let fallen = i64::try_from((mixed >> 8) % 20_000).unwrap_or_default() + 500;
    fallen * (40 + i64::from(cell % 100)) / 90
}

/// Spreads a number over 64 bits (splitmix64).
pub fn mix(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The random part of an id that is the same in every database of the run.
pub fn id(kind: u8, number: u32) -> [u8; 10] {
    let mut bytes = [kind; 10];
    bytes[..8].copy_from_slice(&mix(u64::from(kind) << 32 | u64::from(number)).to_be_bytes());
    bytes
}

fn risk_id(season: &Season, cell: u32) -> RiskId {
    let made = u64::try_from(season.sold_at().timestamp_millis()).unwrap_or_default();
    RiskId::from_parts(made, id(1, cell))
}

async fn night(conn: &mut PgConnection, season: &Season, nights: u32) -> anyhow::Result<Value> {
    bring(conn, season, nights).await?;
    let is_last = nights >= season.window.day_count();
    let began = Instant::now();
    let due = sqlx::query("update risks set index_dirty = true")
        .execute(&mut *conn)
        .await?
        .rows_affected();
    until(
        conn,
        LOOK,
        "select not exists (select 1 from risks where index_dirty)",
    )
    .await?;
    if is_last {
        // the bells of the decisions are out: deciding them is another process's
        until(
            conn,
            LOOK,
            "select not exists (select 1 from outbox where topic = 'index.final.v1'
                                and published_at is null)",
        )
        .await?;
    }
    let seconds = began.elapsed().as_secs_f64();
    let as_of = season.window.start + Days::new(u64::from(nights.min(season.window.day_count())))
        - Days::new(1);
    let rows = sqlx::query(
        "select distinct on (risk_id) risk_id, as_of_day, phases, final
         from index_runs order by risk_id, computed_at desc, id desc",
    )
    .fetch_all(conn)
    .await?;
    ensure!(
        u64::try_from(rows.len())? == due,
        "{} risks of {due} have an index",
        rows.len()
    );
    let mut found = std::collections::BTreeMap::new();
    for row in rows {
        let (id, day): (Uuid, NaiveDate) = (row.try_get(0)?, row.try_get(1)?);
        let phases: Vec<PhaseSum> = serde_json::from_value(row.try_get(2)?)?;
        let is_final: bool = row.try_get(3)?;
        ensure!(
            day == as_of && is_final == is_last,
            "risk {id}: as of {day}, final {is_final}; expected {as_of}, {is_last}"
        );
        found.insert(
            id,
            phases.first().context("an index without phases")?.rain_um,
        );
    }
    for cell in 0..u32::try_from(due)? {
        let expected = rain_until(season, cell, as_of);
        let id = risk_id(season, cell).uuid();
        ensure!(
            found.get(&id) == Some(&expected),
            "risk {id} has {:?} µm, and {expected} fell",
            found.get(&id)
        );
    }
    Ok(json!({ "risks": due, "seconds": seconds }))
}

/// Rain of the phase's days up to one.
fn rain_until(season: &Season, cell: u32, last: NaiveDate) -> i64 {
    let cap = season
        .product
        .phases
        .first()
        .and_then(|phase| phase.daily_cap_mm);
    let cap = cap.map_or(i64::MAX, |mm| i64::from(mm) * 1_000);
    let days = season.window.days().filter(|day| *day <= last);
    days.map(|day| rain_um(cell, day).min(cap)).sum()
}

async fn decided(conn: &mut PgConnection, season: &Season) -> anyhow::Result<Value> {
    until(
        conn,
        LOOK_AT_ALL,
        "select (select count(*) from evaluations) = (select count(*) from risks)",
    )
    .await?;
    let span: f64 = sqlx::query(
        "select extract(epoch from max(evaluated_at) - min(evaluated_at))::float8 from evaluations",
    )
    .fetch_one(&mut *conn)
    .await?
    .try_get(0)?;
    let insured = sqlx::query(
        "select risk_id, sum_insured_minor, count(*) from policies where state <> 'lapsed'
         group by risk_id, sum_insured_minor",
    )
    .fetch_all(&mut *conn)
    .await?;
    let mut exposures: std::collections::BTreeMap<Uuid, Vec<(i64, i64)>> =
        std::collections::BTreeMap::new();
    for row in insured {
        let of_risk = exposures.entry(row.try_get(0)?).or_default();
        of_risk.push((row.try_get(1)?, row.try_get(2)?));
    }
    let rows =
        sqlx::query("select risk_id, policies, total_minor, length(bundle) from evaluations")
            .fetch_all(conn)
            .await?;
    let mut totals = std::collections::BTreeMap::new();
    let (mut policies, mut bytes) = (0_i64, 0_i64);
    for row in &rows {
        totals.insert(row.try_get::<Uuid, _>(0)?, row.try_get::<i64, _>(2)?);
        policies += i64::from(row.try_get::<i32, _>(1)?);
        bytes += i64::from(row.try_get::<i32, _>(3)?);
    }
    let zone = season.product.zone(&season.zone).context("the zone")?;
    let phase = &season.product.phases.first().context("the phase")?.code;
    let mut owed = 0_i64;
    for cell in 0..u32::try_from(rows.len())? {
        let id = risk_id(season, cell).uuid();
        let rain = rain_until(season, cell, season.window.last_day());
        let phases = vec![PhaseSum::of_rain(phase, rain, 0)];
        let observed = Observed::of_rain(phases, 2, 100);
        let Outcome::Settled(settlement) = settle(&season.product, zone, &observed)? else {
            bail!("risk {id} cannot be decided from what was seeded");
        };
        let mut expected = 0_i64;
        for (insured, count) in exposures.get(&id).into_iter().flatten() {
            expected += settlement.payout(Money::kes_minor(*insured))?.minor * count;
        }
        ensure!(
            totals.get(&id) == Some(&expected),
            "risk {id} owes {:?}, expected {expected}",
            totals.get(&id)
        );
        owed += expected;
    }
    Ok(json!({
        "risks": rows.len(), "seconds": span, "policies": policies, "owed_minor": owed,
        "evidence_bytes": bytes,
    }))
}

/// Publishing waits for a provider, and there is none here.
async fn unpublished(conn: &mut PgConnection) -> anyhow::Result<Value> {
    sqlx::raw_sql(
        "update evaluations set next_check_at = null;
         delete from outbox where topic = 'evidence.due.v1' and published_at is null",
    )
    .execute(conn)
    .await?;
    Ok(json!({}))
}

async fn settled(conn: &mut PgConnection) -> anyhow::Result<Value> {
    until(
        conn,
        LOOK_AT_ALL,
        "select not exists (select 1 from evaluations where fanned_out_at is null)",
    )
    .await?;
    let row = sqlx::query(
        "select count(*), extract(epoch from max(settled_at) - min(settled_at))::float8,
                (select coalesce(sum(amount_minor), 0)::bigint from payouts),
                (select coalesce(sum(total_minor), 0)::bigint from evaluations),
                (select count(*) from policies where state = 'active'),
                (select count(*) from payouts)
         from policies where state = 'settled'",
    )
    .fetch_one(conn)
    .await?;
    let (planned, owed): (i64, i64) = (row.try_get(2)?, row.try_get(3)?);
    let left: i64 = row.try_get(4)?;
    ensure!(
        planned == owed && left == 0,
        "payouts of {planned} were planned, {owed} are owed; {left} policies are not settled"
    );
    let (policies, seconds): (i64, f64) = (row.try_get(0)?, row.try_get(1)?);
    let payouts: i64 = row.try_get(5)?;
    Ok(json!({ "policies": policies, "seconds": seconds, "payouts": payouts }))
}

async fn reopen(conn: &mut PgConnection) -> anyhow::Result<Value> {
    let mut tx = conn.begin().await?;
    sqlx::raw_sql(
        "update risks set state = 'open', final_index_run_id = null,
                          next_check_at = window_closes_at;
         delete from evaluations; delete from outbox; delete from consumed;
         delete from index_runs where final",
    )
    .execute(&mut *tx)
    .await?;
    tx.commit().await?;
    for table in ["risks", "evaluations", "outbox", "consumed", "index_runs"] {
        vacuum(conn, table).await?;
    }
    Ok(json!({}))
}

/// As autovacuum would have done long before.
async fn vacuum(conn: &mut PgConnection, table: &str) -> anyhow::Result<()> {
    let statement = format!("vacuum analyze {table}");
    sqlx::raw_sql(sqlx::AssertSqlSafe(statement))
        .execute(conn)
        .await?;
    Ok(())
}

async fn count(conn: &mut PgConnection, statement: &'static str) -> anyhow::Result<i64> {
    Ok(sqlx::query(statement).fetch_one(conn).await?.try_get(0)?)
}

/// Waits until a statement says true.
async fn until(
    conn: &mut PgConnection,
    look: Duration,
    statement: &'static str,
) -> anyhow::Result<()> {
    let began = Instant::now();
    loop {
        let is_done: bool = sqlx::query(statement)
            .fetch_one(&mut *conn)
            .await?
            .try_get(0)?;
        if is_done {
            return Ok(());
        }
        if began.elapsed() > PATIENCE {
            return Err(anyhow!("not after {} s: {statement}", PATIENCE.as_secs()));
        }
        sleep(look).await;
    }
}
