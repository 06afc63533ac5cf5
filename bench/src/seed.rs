//! Registered farmers with one plot each, by COPY, sealed and indexed as the backend reads them.
//! Never hashes a PIN: the walk ends before one is asked. Called once, after `backend migrate`.

use anyhow::{Context as _, anyhow};
use chrono::{DateTime, Utc};
use clap::Args;
use data_encoding::HEXLOWER;
use domain::cell::PlotCell;
use domain::id::{FarmerId, PlotId};
use domain::msisdn::Msisdn;
use sqlx::{Connection as _, PgConnection, Row as _};
use store::Pii;

use crate::walk::{WALK, phone};

/// Rows in one chunk of COPY.
const CHUNK_ROWS: u32 = 2_000;

/// Where to put how many, under which keys.
#[derive(Args)]
pub struct Options {
    /// The migrated database
    #[arg(long, env = "DATABASE_URL")]
    database_url: String,
    /// The backend's
    #[arg(long, env = "ENCRYPTION_KEY")]
    encryption_key: String,
    /// The backend's
    #[arg(long, env = "PII_INDEX_KEY")]
    pii_index_key: String,
    /// Farmers to make
    #[arg(long)]
    farmers: u32,
    /// When they registered
    #[arg(long)]
    at: DateTime<Utc>,
}

/// Writes them.
pub fn run(options: &Options) -> anyhow::Result<()> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(fill(options))
}

async fn fill(options: &Options) -> anyhow::Result<()> {
    let pii = Pii::from_hex(&options.encryption_key, &options.pii_index_key)?;
    let mut conn = PgConnection::connect(&options.database_url).await?;
    let cell: String = sqlx::query("select plot_cell from wards where code = $1")
        .bind(&WALK.ward)
        .fetch_one(&mut conn)
        .await
        .context("the ward of the walk is not in the database; run `backend migrate` first")?
        .try_get(0)?;
    let plot_cell: PlotCell = cell.parse().map_err(|error| anyhow!("{error:?}"))?;
    let risk_cell = plot_cell.risk_cell();
    let at = options.at.to_rfc3339();
    let unix_ms = u64::try_from(options.at.timestamp_millis())?;

    let mut farmers = conn
        .copy_in_raw(
            "copy farmers (id, phone_index, phone_cipher, name_cipher, national_id_index,
                           national_id_cipher, language, ward_code, consent_version, consented_at,
                           created_at) from stdin",
        )
        .await?;
    let mut chunk = String::new();
    for number in 1..=options.farmers {
        let msisdn = Msisdn::parse(&phone(number))?;
        let national_id = format!("{number:08}");
        let seal = |kind: u8, plain: &str| -> anyhow::Result<String> {
            Ok(bytea(&pii.seal(nonce(kind, number), plain.as_bytes())?))
        };
        let row = [
            farmer_id(unix_ms, number).uuid().to_string(),
            bytea(&pii.phone_index(&msisdn)),
            seal(0, msisdn.digits())?,
            seal(1, &format!("{} Bench", WALK.name(number)))?,
            bytea(&pii.national_id_index(&national_id)),
            seal(2, &national_id)?,
            "en".to_owned(),
            WALK.ward.clone(),
            "bench".to_owned(),
            at.clone(),
            at.clone(),
        ];
        chunk.push_str(&row.join("\t"));
        chunk.push('\n');
        if number % CHUNK_ROWS == 0 {
            farmers
                .send(std::mem::take(&mut chunk).into_bytes())
                .await?;
        }
    }
    farmers
        .send(std::mem::take(&mut chunk).into_bytes())
        .await?;
    let written = farmers.finish().await?;

    let mut plots = conn
        .copy_in_raw(
            "copy plots (id, farmer_id, ward_code, plot_cell, risk_cell, acres_e2, crop, created_at)
             from stdin",
        )
        .await?;
    for number in 1..=options.farmers {
        let row = [
            PlotId::from_parts(unix_ms, random(2, number))
                .uuid()
                .to_string(),
            farmer_id(unix_ms, number).uuid().to_string(),
            WALK.ward.clone(),
            plot_cell.to_string(),
            risk_cell.to_string(),
            "50".to_owned(),
            "maize".to_owned(),
            at.clone(),
        ];
        chunk.push_str(&row.join("\t"));
        chunk.push('\n');
        if number % CHUNK_ROWS == 0 {
            plots.send(std::mem::take(&mut chunk).into_bytes()).await?;
        }
    }
    plots.send(chunk.into_bytes()).await?;
    plots.finish().await?;
    // as autovacuum would have done long before a hundred thousand farmers dial
    for statement in ["vacuum analyze farmers", "vacuum analyze plots"] {
        sqlx::raw_sql(statement).execute(&mut conn).await?;
    }
    println!("{}", serde_json::json!({ "farmers": written }));
    Ok(())
}

fn farmer_id(unix_ms: u64, number: u32) -> FarmerId {
    FarmerId::from_parts(unix_ms, random(1, number))
}

/// COPY's text form of bytes.
fn bytea(bytes: &[u8]) -> String {
    format!("\\\\x{}", HEXLOWER.encode(bytes))
}

/// Never twice the same under one key.
fn nonce(kind: u8, number: u32) -> [u8; 12] {
    let mut nonce = [kind; 12];
    nonce[8..].copy_from_slice(&number.to_be_bytes());
    nonce
}

/// Spread over an index as random ids are (a multiplicative hash), and the same in every run.
fn random(kind: u8, number: u32) -> [u8; 10] {
    let mixed = (u64::from(number) + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut bytes = [kind; 10];
    bytes[..8].copy_from_slice(&mixed.to_be_bytes());
    bytes
}
