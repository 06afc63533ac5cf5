//! Farmers: registered once per phone and per national ID, personal data sealed, PIN hashed.
//! Never returns a cipher nor logs a name. Called by the USSD shell, notify and the premium side.

use chrono::{DateTime, TimeDelta, Utc};
use domain::i18n::Language;
use domain::id::FarmerId;
use domain::msisdn::Msisdn;
use sqlx::PgConnection;

use crate::error::{StoreError, one_row};
use crate::pii::Pii;
use crate::plots::Plot;

/// Misses after which buying is locked.
pub const PIN_MISSES_MAX: i16 = 3;
/// How long it stays locked, hours.
pub const PIN_LOCK_HOURS: i64 = 24;
/// Plots read with a caller.
const PLOTS_MAX: i64 = 9;

/// A farmer to register; personal data already sealed.
#[derive(Debug, Clone)]
pub struct NewFarmer<'a> {
    /// Id.
    pub id: FarmerId,
    /// Keyed hash of the phone.
    pub phone_index: &'a [u8],
    /// Sealed phone, twelve digits.
    pub phone_cipher: &'a [u8],
    /// Sealed name.
    pub name_cipher: &'a [u8],
    /// Keyed hash of the national ID.
    pub national_id_index: &'a [u8],
    /// Sealed national ID.
    pub national_id_cipher: &'a [u8],
    /// Language.
    pub language: Language,
    /// Ward code.
    pub ward_code: &'a str,
    /// Argon2id string, if a PIN was chosen.
    pub pin_hash: Option<&'a str>,
    /// Version of the consent text agreed to.
    pub consent_version: &'a str,
}

/// What came of registering.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Registered {
    /// Written now.
    Fresh,
    /// The phone is registered already.
    PhoneTaken,
    /// The national ID is registered with another phone.
    NationalIdTaken,
}

/// Who is calling, with her plots.
#[derive(Debug, Clone)]
pub struct Caller {
    /// Id.
    pub id: FarmerId,
    /// Name, opened.
    pub name: String,
    /// Language.
    pub language: Language,
    /// Ward code.
    pub ward_code: String,
    /// Whether a PIN was chosen.
    pub has_pin: bool,
    /// When she registered.
    pub created_at: DateTime<Utc>,
    /// Her plots, oldest first.
    pub plots: Vec<Plot>,
}

/// How to reach a farmer.
#[derive(Debug, Clone)]
pub struct Contact {
    /// Phone, opened.
    pub phone: Msisdn,
    /// Language.
    pub language: Language,
    /// When she opted out of texts, if she did.
    pub sms_opted_out_at: Option<DateTime<Utc>>,
}

/// The PIN of a farmer and how it stands.
#[derive(Debug, Clone)]
pub struct PinState {
    /// Whose.
    pub id: FarmerId,
    /// Argon2id string.
    pub hash: Option<String>,
    /// Misses since the last success or lock.
    pub misses: i16,
    /// Until when buying is locked.
    pub locked_until: Option<DateTime<Utc>>,
}

impl PinState {
    /// Whether buying is locked at `now`.
    #[must_use]
    pub fn is_locked(&self, now: DateTime<Utc>) -> bool {
        self.locked_until.is_some_and(|until| now < until)
    }
}

/// Registers a farmer unless her phone or her national ID is known.
pub async fn insert(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    farmer: &NewFarmer<'_>,
) -> Result<Registered, StoreError> {
    let done = sqlx::query!(
        "-- farmers.insert
        insert into farmers
            (id, phone_index, phone_cipher, name_cipher, national_id_index, national_id_cipher,
             language, ward_code, pin_hash, consent_version, consented_at, created_at)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $11)
        on conflict do nothing",
        farmer.id.uuid(),
        farmer.phone_index,
        farmer.phone_cipher,
        farmer.name_cipher,
        farmer.national_id_index,
        farmer.national_id_cipher,
        farmer.language.as_str(),
        farmer.ward_code,
        farmer.pin_hash,
        farmer.consent_version,
        now,
    )
    .execute(&mut *conn)
    .await?;
    if done.rows_affected() == 1 {
        return Ok(Registered::Fresh);
    }
    let known = sqlx::query_scalar!(
        r#"-- farmers.exists_phone
        select exists (select 1 from farmers where phone_index = $1) as "exists!""#,
        farmer.phone_index,
    )
    .fetch_one(conn)
    .await?;
    Ok(if known {
        Registered::PhoneTaken
    } else {
        Registered::NationalIdTaken
    })
}

/// The farmer of a phone with her plots, in one statement.
pub async fn find_caller(
    conn: &mut PgConnection,
    pii: &Pii,
    phone_index: &[u8],
) -> Result<Option<Caller>, StoreError> {
    let callers = list_callers(conn, pii, &[phone_index.to_vec()]).await?;
    Ok(callers.into_iter().next().map(|(_, caller)| caller))
}

/// The farmers of these phones with their plots, in one statement, each beside its keyed hash;
/// strangers are left out.
pub async fn list_callers(
    conn: &mut PgConnection,
    pii: &Pii,
    phone_indexes: &[Vec<u8>],
) -> Result<Vec<(Vec<u8>, Caller)>, StoreError> {
    let rows = sqlx::query!(
        r#"-- farmers.list_callers
        select f.phone_index, f.id, f.name_cipher, f.language, f.ward_code,
               f.pin_hash is not null as "has_pin!",
               f.created_at, p.id as "plot_id?", p.ward_code as "plot_ward?",
               p.plot_cell as "plot_cell?", p.acres_e2 as "acres_e2?", p.crop as "crop?"
        from farmers f
        left join lateral (
            select * from plots where farmer_id = f.id order by created_at, id limit $2
        ) p on true
        where f.phone_index = any($1)
        order by f.id, p.created_at, p.id"#,
        phone_indexes,
        PLOTS_MAX,
    )
    .fetch_all(conn)
    .await?;
    let mut callers: Vec<(Vec<u8>, Caller)> = Vec::with_capacity(phone_indexes.len());
    for row in rows {
        let id = FarmerId::from(row.id);
        if callers.last().is_none_or(|(_, caller)| caller.id != id) {
            let caller = Caller {
                id,
                name: pii.open_text(&row.name_cipher)?,
                language: language(row.id, &row.language)?,
                ward_code: row.ward_code,
                has_pin: row.has_pin,
                created_at: row.created_at,
                plots: Vec::new(),
            };
            callers.push((row.phone_index, caller));
        }
        if let (Some(plot_id), Some(ward_code), Some(cell), Some(acres_e2), Some(crop)) = (
            row.plot_id,
            row.plot_ward,
            row.plot_cell,
            row.acres_e2,
            row.crop,
        ) {
            let plot = Plot::decode(plot_id.into(), id, ward_code, &cell, acres_e2, &crop)?;
            if let Some((_, caller)) = callers.last_mut() {
                caller.plots.push(plot);
            }
        }
    }
    Ok(callers)
}

/// The id of a phone's farmer.
pub async fn find_id(
    conn: &mut PgConnection,
    phone_index: &[u8],
) -> Result<Option<FarmerId>, StoreError> {
    let id = sqlx::query_scalar!(
        "-- farmers.find_id
        select id from farmers where phone_index = $1",
        phone_index,
    )
    .fetch_optional(conn)
    .await?;
    Ok(id.map(FarmerId::from))
}

/// How to reach a farmer.
pub async fn get_contact(
    conn: &mut PgConnection,
    pii: &Pii,
    id: FarmerId,
) -> Result<Contact, StoreError> {
    let row = sqlx::query!(
        "-- farmers.get_contact
        select phone_cipher, language, sms_opted_out_at from farmers where id = $1",
        id.uuid(),
    )
    .fetch_one(conn)
    .await?;
    let digits = pii.open_text(&row.phone_cipher)?;
    let phone = Msisdn::parse(&digits).map_err(|_| corrupt("phone_cipher", id))?;
    let language = language(id.uuid(), &row.language)?;
    Ok(Contact {
        phone,
        language,
        sms_opted_out_at: row.sms_opted_out_at,
    })
}

/// The PIN of a phone's farmer.
pub async fn find_pin(
    conn: &mut PgConnection,
    phone_index: &[u8],
) -> Result<Option<PinState>, StoreError> {
    let row = sqlx::query!(
        "-- farmers.find_pin
        select id, pin_hash, pin_misses, pin_locked_until from farmers where phone_index = $1",
        phone_index,
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| PinState {
        id: row.id.into(),
        hash: row.pin_hash,
        misses: row.pin_misses,
        locked_until: row.pin_locked_until,
    }))
}

/// Counts a miss; the third locks and starts the count again.
pub async fn miss_pin(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    id: FarmerId,
) -> Result<PinState, StoreError> {
    let until = now
        .checked_add_signed(TimeDelta::hours(PIN_LOCK_HOURS))
        .unwrap_or(now);
    let row = sqlx::query!(
        "-- farmers.miss_pin
        update farmers set
            pin_locked_until = case when pin_misses + 1 >= $2 then $3 else pin_locked_until end,
            pin_misses = case when pin_misses + 1 >= $2 then 0 else pin_misses + 1 end
        where id = $1
        returning pin_hash, pin_misses, pin_locked_until",
        id.uuid(),
        i32::from(PIN_MISSES_MAX),
        until,
    )
    .fetch_one(conn)
    .await?;
    Ok(PinState {
        id,
        hash: row.pin_hash,
        misses: row.pin_misses,
        locked_until: row.pin_locked_until,
    })
}

/// Forgets misses after a right PIN.
pub async fn clear_pin_misses(conn: &mut PgConnection, id: FarmerId) -> Result<(), StoreError> {
    let done = sqlx::query!(
        "-- farmers.clear_pin_misses
        update farmers set pin_misses = 0 where id = $1",
        id.uuid(),
    )
    .execute(conn)
    .await?;
    one_row(done.rows_affected(), "farmer", id)
}

/// Sets the first PIN; stale when there is one.
pub async fn set_pin(
    conn: &mut PgConnection,
    id: FarmerId,
    pin_hash: &str,
) -> Result<(), StoreError> {
    let done = sqlx::query!(
        "-- farmers.set_pin
        update farmers set pin_hash = $2 where id = $1 and pin_hash is null",
        id.uuid(),
        pin_hash,
    )
    .execute(conn)
    .await?;
    one_row(done.rows_affected(), "farmer", id)
}

/// Changes the language of a phone's farmer; says whether there is one.
pub async fn set_language(
    conn: &mut PgConnection,
    phone_index: &[u8],
    language: Language,
) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "-- farmers.set_language
        update farmers set language = $2, version = version + 1 where phone_index = $1",
        phone_index,
        language.as_str(),
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Records that a phone wants no more texts; says whether there is such a farmer.
pub async fn opt_out(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    phone_index: &[u8],
) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "-- farmers.opt_out
        update farmers set sms_opted_out_at = coalesce(sms_opted_out_at, $2) where phone_index = $1",
        phone_index,
        now,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

fn language(id: uuid::Uuid, text: &str) -> Result<Language, StoreError> {
    Language::parse(text).ok_or_else(|| corrupt("language", FarmerId::from(id)))
}

fn corrupt(column: &'static str, id: FarmerId) -> StoreError {
    StoreError::Corrupt {
        table: "farmers",
        column,
        id: id.to_string(),
    }
}
