//! An insured season made straight in the tables, for tests of what comes after the window has
//! closed: one risk with its final index run, and policies that are on risk with premiums posted.
//! Never part of a shipped binary (feature `testing`). Called by tests of workers and backend.

#![expect(
    clippy::disallowed_methods,
    reason = "fixtures are not worth a place in the query cache"
)]

use chrono::{DateTime, Utc};
use domain::id::{IndexRunId, PolicyId, ReceiptId, RiskId};
use domain::ledger::collected;
use domain::money::{Money, MoneyError};
use domain::msisdn::Msisdn;
use domain::premium::Verdict;
use domain::product::Product;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::error::StoreError;
use crate::products::{self, ProductVersion};
use crate::{Pii, ledger};

/// A single-phase rainfall deficit, trigger 278 mm, exit 95 mm.
const PRODUCT: &str = r#"
schema = 1
code = "KE-MZ-PD-LR"
crop = "maize"
currency = "KES"
sums_insured_kes = [3000, 5000, 10000]
release_auto_max_kes = 100000
capacity_kes_per_cell = 5000000
payout_min_kes = 10
name = { en = "Rain deficit", sw = "Upungufu wa mvua" }
season = { code = "MAM", sale = "01-15..02-28", cover = "03-01..05-31" }
payout = { function = "linear" }
[[phases]]
code = "season"
days = "03-01..05-31"
weight_bp = 10000
[settlement]
dataset = "weatherxm"
fallback = []
filled_days_max_bp = 1000
decide_after_days = 20
stations_min = 2
[[zones]]
code = "marsabit"
wards = ["0321"]
rate_bp = 2813
triggers = [{ phase = "season", trigger_mm = 278, exit_mm = 95 }]
"#;

/// What the season was like.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Policies on risk.
    pub policies: u32,
    /// Sum insured of each, shillings.
    pub sum_insured_kes: i64,
    /// Rain of the season, µm; 162,120 pays 63.32 %.
    pub rain_um: i64,
    /// Days nobody knows.
    pub missing_days: u32,
    /// Confidence of the index.
    pub confidence: i16,
    /// Whether the index is final.
    pub is_final: bool,
    /// Most that is released without people, shillings.
    pub release_auto_max_kes: i64,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            policies: 3,
            sum_insured_kes: 10_000,
            rain_um: 162_120,
            missing_days: 0,
            confidence: 95,
            is_final: true,
            release_auto_max_kes: 100_000,
        }
    }
}

/// What was made.
#[derive(Debug, Clone)]
pub struct Season {
    /// The risk.
    pub risk_id: RiskId,
    /// Its index run.
    pub run_id: IndexRunId,
    /// What was sold.
    pub version: ProductVersion,
    /// The policies, by id.
    pub policies: Vec<PolicyId>,
    /// The phone of each.
    pub phones: Vec<Msisdn>,
    /// When the window closes: 2026-05-31T21:00:00Z.
    pub closes_at: DateTime<Utc>,
}

fn id(kind: u128, number: u32) -> Uuid {
    // version and variant bits stand where a UUIDv7 has them
    Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0000 | (kind << 32) | u128::from(number))
}

fn overflow(error: MoneyError) -> StoreError {
    StoreError::Corrupt {
        table: "fixtures",
        column: "amount",
        id: error.to_string(),
    }
}

/// Makes the season.
pub async fn season(conn: &mut PgConnection, pii: &Pii, plan: Plan) -> Result<Season, StoreError> {
    let broken = |column| StoreError::Corrupt {
        table: "fixtures",
        column,
        id: String::new(),
    };
    let bought_at: DateTime<Utc> = "2026-02-01T09:00:00Z"
        .parse()
        .map_err(|_| broken("bought_at"))?;
    let mut product = Product::from_toml(PRODUCT).map_err(|_| broken("product"))?;
    product.release_auto_max_kes = plan.release_auto_max_kes;
    let window = product.cover_window(2026).map_err(|_| broken("window"))?;
    let version_id = id(1, 1);
    products::publish(conn, bought_at, version_id.into(), &product).await?;
    let (risk, run) = (id(2, 1), id(3, 1));
    sqlx::query(
        "insert into wards (code, name, constituency, county, plot_cell, precision, updated_at)
         values ('0321', 'KARARE', 'SAKU', 'MARSABIT', '887a635567fffff', 'ward', $1)
         on conflict do nothing",
    )
    .bind(bought_at)
    .execute(&mut *conn)
    .await?;
    sqlx::query(
        "insert into risks (id, product_version_id, zone, risk_cell, season_year, window_start,
             window_end, window_closes_at, state, created_at)
         values ($1, $2, 'marsabit', '877a63556ffffff', 2026, $3, $4, $5, 'open', $6)",
    )
    .bind(risk)
    .bind(version_id)
    .bind(window.start)
    .bind(window.end)
    .bind(window.closes_at())
    .bind(bought_at)
    .execute(&mut *conn)
    .await?;
    weather(conn, risk, run, &plan, window.closes_at()).await?;

    let (mut policies, mut phones) = (Vec::new(), Vec::new());
    for number in 1..=plan.policies {
        let phone = Msisdn::parse(&format!("2547{number:08}")).map_err(|_| broken("phone"))?;
        policies.push(policy(conn, pii, &plan, (number, &phone), bought_at).await?);
        phones.push(phone);
    }
    let version = products::get(conn, version_id.into()).await?;
    Ok(Season {
        risk_id: risk.into(),
        run_id: run.into(),
        version,
        policies,
        phones,
        closes_at: window.closes_at(),
    })
}

async fn weather(
    conn: &mut PgConnection,
    risk: Uuid,
    run: Uuid,
    plan: &Plan,
    at: DateTime<Utc>,
) -> Result<(), StoreError> {
    for (rank, station) in [(1_i16, "station-a"), (2, "station-b")] {
        sqlx::query(
            "insert into stations (id, name, risk_cell, lat_e6, lon_e6, seen_at)
             values ($1, $1, '877a63556ffffff', 2330000, 37990000, $2)",
        )
        .bind(station)
        .bind(at)
        .execute(&mut *conn)
        .await?;
        sqlx::query(
            "insert into risk_stations (risk_id, station_id, distance_m, elevation_gap_dm,
                 data_quality_e4, location_quality_e4, rank, recorded_at)
             values ($1, $2, 500, 0, 9000, 10000, $3, $4)",
        )
        .bind(risk)
        .bind(station)
        .bind(rank)
        .bind(at)
        .execute(&mut *conn)
        .await?;
        sqlx::query(
            "insert into station_days
                 (station_id, day, rain_um, samples, resets, flags, replies, computed_at)
             select $1, day::date, 1000, 96, 0, '{}', '{}', $2
             from generate_series('2026-03-01'::date, '2026-05-31'::date, '1 day') as day",
        )
        .bind(station)
        .bind(at)
        .execute(&mut *conn)
        .await?;
    }
    sqlx::query(
        "insert into cell_days (risk_id, day, rain_um, source, computed_at)
         select $1, day::date, 1000, 'primary', $2
         from generate_series('2026-03-01'::date, '2026-05-31'::date, '1 day') as day",
    )
    .bind(risk)
    .bind(at)
    .execute(&mut *conn)
    .await?;
    let phases = serde_json::json!([{
        "phase": "season", "rain_um": plan.rain_um, "missing_days": plan.missing_days,
    }]);
    sqlx::query(
        "insert into index_runs (id, risk_id, as_of_day, phases, stations, missing_days,
             confidence, final, manifest_hash, engine_version, computed_at)
         values ($1, $2, '2026-05-31', $3, 2, $4, $5, $6, 'manifest', 'engine-1', $7)",
    )
    .bind(run)
    .bind(risk)
    .bind(phases)
    .bind(i32::try_from(plan.missing_days).unwrap_or(i32::MAX))
    .bind(plan.confidence)
    .bind(plan.is_final)
    .bind(at)
    .execute(&mut *conn)
    .await?;
    if plan.is_final {
        sqlx::query(
            "update risks set final_index_run_id = $2, stations_frozen_at = $3 where id = $1",
        )
        .bind(risk)
        .bind(run)
        .bind(at)
        .execute(conn)
        .await?;
    }
    Ok(())
}

async fn policy(
    conn: &mut PgConnection,
    pii: &Pii,
    plan: &Plan,
    (number, phone): (u32, &Msisdn),
    at: DateTime<Utc>,
) -> Result<PolicyId, StoreError> {
    let [farmer, plot, quote, policy, receipt] = [4, 5, 6, 7, 8].map(|kind| id(kind, number));
    let insured = Money::kes(plan.sum_insured_kes).map_err(overflow)?;
    let premium = Money::kes(844).map_err(overflow)?;
    let nonce = |kind: u8| {
        let mut nonce = [kind; 12];
        nonce[..4].copy_from_slice(&number.to_be_bytes());
        nonce
    };
    let national_id = format!("{:08}", 30_000_000_u32.saturating_add(number));
    sqlx::query(
        "insert into farmers (id, phone_index, phone_cipher, name_cipher, national_id_index,
             national_id_cipher, language, ward_code, consent_version, consented_at, created_at)
         values ($1, $2, $3, $4, $5, $6, 'en', '0321', '1', $7, $7)",
    )
    .bind(farmer)
    .bind(pii.phone_index(phone))
    .bind(pii.seal(nonce(1), phone.digits().as_bytes())?)
    .bind(pii.seal(nonce(2), b"Wanjiku")?)
    .bind(pii.national_id_index(&national_id))
    .bind(pii.seal(nonce(3), national_id.as_bytes())?)
    .bind(at)
    .execute(&mut *conn)
    .await?;
    sqlx::query(
        "insert into plots (id, farmer_id, ward_code, plot_cell, risk_cell, acres_e2, crop, created_at)
         values ($1, $2, '0321', '887a635567fffff', '877a63556ffffff', 100, 'maize', $3)",
    )
    .bind(plot)
    .bind(farmer)
    .bind(at)
    .execute(&mut *conn)
    .await?;
    sqlx::query(
        "insert into quotes (id, farmer_id, plot_id, product_version_id, season_year, zone,
             sum_insured_minor, premium_minor, currency, created_at, expires_at)
         values ($1, $2, $3, $4, 2026, 'marsabit', $5, $6, 'KES', $7, $7)",
    )
    .bind(quote)
    .bind(farmer)
    .bind(plot)
    .bind(id(1, 1))
    .bind(insured.minor)
    .bind(premium.minor)
    .bind(at)
    .execute(&mut *conn)
    .await?;
    sqlx::query(
        "insert into policies (id, farmer_id, plot_id, quote_id, product_version_id, season_year,
             zone, risk_cell, accumulation_cell, risk_id, window_start, window_end, sale_closes_at,
             sum_insured_minor, premium_minor, currency, state, short_code, bought_at, lapses_at,
             activated_at)
         values ($1, $2, $3, $4, $5, 2026, 'marsabit', '877a63556ffffff', '857a6357fffffff', $6,
             '2026-03-01', '2026-06-01', '2026-02-28T21:00:00Z', $7, $8, 'KES', 'active', $9, $10,
             $10, $10)",
    )
    .bind(policy)
    .bind(farmer)
    .bind(plot)
    .bind(quote)
    .bind(id(1, 1))
    .bind(id(2, 1))
    .bind(insured.minor)
    .bind(premium.minor)
    .bind(format!("POL{number:05}"))
    .bind(at)
    .execute(&mut *conn)
    .await?;
    sqlx::query(
        "insert into receipts (id, policy_id, farmer_id, attempt, rail, amount_minor, currency,
             state, collected_minor, prompted_at, created_at, decided_at)
         values ($1, $2, $3, 1, 'swypt', $4, 'KES', 'accepted', $4, $5, $5, $5)",
    )
    .bind(receipt)
    .bind(policy)
    .bind(farmer)
    .bind(premium.minor)
    .bind(at)
    .execute(&mut *conn)
    .await?;
    let transfer = collected(ReceiptId::from(receipt), Verdict::Accept, premium);
    ledger::post(conn, at, &transfer).await?;
    Ok(policy.into())
}
