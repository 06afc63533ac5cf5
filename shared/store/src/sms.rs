//! Texts: one row per subject, kind and language, written as sent before the gateway is called. A
//! call whose answer never came is doubtful and repeated at most once; reports only move forward.
//! Never holds a text in the clear. Called by the notify worker and by delivery reports.

use chrono::{DateTime, Utc};
use domain::i18n::Language;
use domain::id::{FarmerId, SmsId};
use domain::sms::SmsKind;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::error::{StoreError, one_row};

/// Calls of the gateway that may have sent a text: the first, and one after doubt.
pub const ATTEMPTS_MAX: i16 = 2;

/// Where a text stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SmsState {
    /// Written, not yet given to the gateway.
    Planned,
    /// Given to the gateway, or maybe.
    Sent,
    /// On the phone.
    Delivered,
    /// Not delivered.
    Failed,
    /// Not sent, because she opted out.
    Suppressed,
}

impl SmsState {
    fn parse(text: &str) -> Option<Self> {
        match text {
            "planned" => Some(Self::Planned),
            "sent" => Some(Self::Sent),
            "delivered" => Some(Self::Delivered),
            "failed" => Some(Self::Failed),
            "suppressed" => Some(Self::Suppressed),
            _ => None,
        }
    }
}

/// A text to write.
#[derive(Debug, Clone, Copy)]
pub struct NewSms<'a> {
    /// Id.
    pub id: SmsId,
    /// To whom.
    pub farmer_id: FarmerId,
    /// What it is about.
    pub subject_id: Uuid,
    /// Which message.
    pub kind: SmsKind,
    /// In which language.
    pub language: Language,
    /// The text, encrypted.
    pub text_cipher: &'a [u8],
    /// Segments it takes, 1 or 2.
    pub segments: i16,
    /// Written only to show that it was not sent.
    pub is_suppressed: bool,
}

/// A text.
#[derive(Debug, Clone)]
pub struct StoredSms {
    /// Id.
    pub id: SmsId,
    /// To whom.
    pub farmer_id: FarmerId,
    /// Which message, as stored.
    pub kind: String,
    /// The text, encrypted.
    pub text_cipher: Vec<u8>,
    /// Where it stands.
    pub state: SmsState,
    /// Calls that may have sent it.
    pub attempts: i16,
    /// Whether the last call's answer is unknown.
    pub is_doubtful: bool,
    /// When it is looked at again.
    pub next_check_at: Option<DateTime<Utc>>,
    /// When it was written.
    pub created_at: DateTime<Utc>,
}

/// Writes a text, due at once; `None` when this subject was told this already.
pub async fn plan(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    sms: NewSms<'_>,
) -> Result<Option<SmsId>, StoreError> {
    let written = sqlx::query_scalar!(
        "-- sms.plan
        insert into sms
            (id, farmer_id, subject_id, kind, language, text_cipher, segments, state, created_at,
             next_check_at, decided_at)
        values ($1, $2, $3, $4, $5, $6, $7,
                case when $9 then 'suppressed' else 'planned' end, $8,
                case when $9 then null else $8::timestamptz end,
                case when $9 then $8::timestamptz end)
        on conflict (subject_id, kind, language) do nothing
        returning id",
        sms.id.uuid(),
        sms.farmer_id.uuid(),
        sms.subject_id,
        sms.kind.as_str(),
        sms.language.as_str(),
        sms.text_cipher,
        sms.segments,
        now,
        sms.is_suppressed,
    )
    .fetch_optional(conn)
    .await?;
    Ok(written.map(SmsId::from))
}

/// A text, locked until the transaction ends.
pub async fn get_locked(conn: &mut PgConnection, id: SmsId) -> Result<StoredSms, StoreError> {
    let row = sqlx::query!(
        "-- sms.get_locked
        select id, farmer_id, kind, text_cipher, state, attempts, doubtful, next_check_at,
               created_at
        from sms where id = $1 for update",
        id.uuid(),
    )
    .fetch_one(conn)
    .await?;
    let state = SmsState::parse(&row.state).ok_or_else(|| StoreError::Corrupt {
        table: "sms",
        column: "state",
        id: id.to_string(),
    })?;
    Ok(StoredSms {
        id,
        farmer_id: row.farmer_id.into(),
        kind: row.kind,
        text_cipher: row.text_cipher,
        state,
        attempts: row.attempts,
        is_doubtful: row.doubtful,
        next_check_at: row.next_check_at,
        created_at: row.created_at,
    })
}

/// Planned, or sent and doubtful → Sent, doubtful until the gateway answers; looked at again at
/// `next_check_at` in case it never does.
pub async fn mark_sent(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    id: SmsId,
    next_check_at: DateTime<Utc>,
) -> Result<(), StoreError> {
    let done = sqlx::query!(
        "-- sms.mark_sent
        update sms set state = 'sent', attempts = attempts + 1, doubtful = true, sent_at = $2,
               next_check_at = $3
        where id = $1 and attempts < $4
          and (state = 'planned' or (state = 'sent' and doubtful))",
        id.uuid(),
        now,
        next_check_at,
        ATTEMPTS_MAX,
    )
    .execute(conn)
    .await?;
    one_row(done.rows_affected(), "sms", id)
}

/// The gateway took it under its own id: nothing is due until its report comes.
pub async fn record_taken(
    conn: &mut PgConnection,
    id: SmsId,
    provider_id: &str,
) -> Result<(), StoreError> {
    let done = sqlx::query!(
        "-- sms.record_taken
        update sms set provider_id = $2, doubtful = false, next_check_at = null
        where id = $1 and state = 'sent'",
        id.uuid(),
        provider_id,
    )
    .execute(conn)
    .await?;
    one_row(done.rows_affected(), "sms", id)
}

/// Sent → Planned: the gateway provably did not take it, and that call does not count.
pub async fn mark_unsent(
    conn: &mut PgConnection,
    id: SmsId,
    next_check_at: DateTime<Utc>,
    failure: &str,
) -> Result<(), StoreError> {
    let done = sqlx::query!(
        "-- sms.mark_unsent
        update sms set state = 'planned', attempts = attempts - 1, doubtful = false,
               next_check_at = $2, failure = $3
        where id = $1 and state = 'sent'",
        id.uuid(),
        next_check_at,
        failure,
    )
    .execute(conn)
    .await?;
    one_row(done.rows_affected(), "sms", id)
}

/// Planned or Sent → Failed.
pub async fn fail(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    id: SmsId,
    failure: &str,
) -> Result<(), StoreError> {
    let done = sqlx::query!(
        "-- sms.fail
        update sms set state = 'failed', failure = $3, decided_at = $2, next_check_at = null,
               doubtful = false
        where id = $1 and state in ('planned', 'sent')",
        id.uuid(),
        now,
        failure,
    )
    .execute(conn)
    .await?;
    one_row(done.rows_affected(), "sms", id)
}

/// Nothing more is done about a text that stays doubtful after its resend.
pub async fn leave_doubtful(conn: &mut PgConnection, id: SmsId) -> Result<(), StoreError> {
    let done = sqlx::query!(
        "-- sms.leave_doubtful
        update sms set next_check_at = null where id = $1 and state = 'sent' and doubtful",
        id.uuid(),
    )
    .execute(conn)
    .await?;
    one_row(done.rows_affected(), "sms", id)
}

/// What a report meets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reported {
    /// It moved the text forward.
    Moved,
    /// The text stands there already, or further.
    OldNews,
    /// No text has that id, or not yet.
    Unknown,
}

/// Applies a final report; a text that is delivered or failed stays so.
pub async fn record_report(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    provider_id: &str,
    is_delivered: bool,
    failure: Option<&str>,
) -> Result<Reported, StoreError> {
    let done = sqlx::query!(
        "-- sms.record_report
        update sms set state = case when $3 then 'delivered' else 'failed' end, decided_at = $2,
               failure = case when $3 then failure else $4 end, next_check_at = null,
               doubtful = false
        where provider_id = $1 and state = 'sent'",
        provider_id,
        now,
        is_delivered,
        failure,
    )
    .execute(&mut *conn)
    .await?;
    if done.rows_affected() == 1 {
        return Ok(Reported::Moved);
    }
    Ok(if is_known(conn, provider_id).await? {
        Reported::OldNews
    } else {
        Reported::Unknown
    })
}

/// Whether a text has this id of the gateway.
pub async fn is_known(conn: &mut PgConnection, provider_id: &str) -> Result<bool, StoreError> {
    let known = sqlx::query_scalar!(
        r#"-- sms.is_known
        select exists (select 1 from sms where provider_id = $1) as "known!""#,
        provider_id,
    )
    .fetch_one(conn)
    .await?;
    Ok(known)
}

/// Texts due at `now`, oldest first.
pub async fn list_due(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<SmsId>, StoreError> {
    let ids = sqlx::query_scalar!(
        "-- sms.list_due
        select id from sms where next_check_at <= $1 order by next_check_at limit $2",
        now,
        limit,
    )
    .fetch_all(conn)
    .await?;
    Ok(ids.into_iter().map(SmsId::from).collect())
}
