//! The legs a payout travels in. A leg's originator id is stored before the rail is called and is
//! never used for anything else; `sent` is left only on the rail's evidence.
//! Never plans another attempt by itself: a person does. Called by the damage and payout workers,
//! by the rail's callbacks and by operators' routes.

use chrono::{DateTime, Utc};
use domain::id::{LegId, PayoutId};
use domain::ledger;
use domain::money::Money;
use domain::payout::LegState;
use sqlx::PgConnection;

use crate::decode::{corrupt, money};
use crate::error::{StoreError, one_row};
pub use crate::needs_person::NeedsPerson;
use crate::payouts::{self, Payout};

/// Which calls of the rail wait for a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pause {
    /// None.
    None,
    /// Nothing is sent: our account was found short or barred, and every leg would fail alike.
    Sending,
    /// Nothing is sent or asked: our credential is locked (8006), and each call locks it longer.
    Everything,
}

/// A leg to be planned.
#[derive(Debug, Clone, Copy)]
pub struct NewLeg<'a> {
    /// Id.
    pub id: LegId,
    /// Payout it is part of.
    pub payout_id: PayoutId,
    /// Its number in the payout, from 1.
    pub leg: u16,
    /// Which attempt, from 1.
    pub attempt: u16,
    /// The rail's idempotency key, `MC` and 18 characters.
    pub originator_id: &'a str,
    /// How much it carries.
    pub amount: Money,
}

/// A leg.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leg {
    /// Id.
    pub id: LegId,
    /// Payout it is part of.
    pub payout_id: PayoutId,
    /// Its number in the payout.
    pub leg: u16,
    /// Which attempt.
    pub attempt: u16,
    /// The rail's idempotency key.
    pub originator_id: String,
    /// How much it carries.
    pub amount: Money,
    /// Where it stands.
    pub state: LegState,
    /// Conversation of the rail's acknowledgement over our own TLS call.
    pub conversation_id: Option<String>,
    /// Conversation of the newest status enquiry's acknowledgement.
    pub status_conversation_id: Option<String>,
    /// Enquiries made.
    pub enquiries: u32,
    /// When it was given to the rail.
    pub sent_at: Option<DateTime<Utc>>,
    /// When it is looked at next.
    pub next_check_at: Option<DateTime<Utc>>,
    /// Why a person must look at it.
    pub needs_person: Option<NeedsPerson>,
}

struct Row {
    id: uuid::Uuid,
    payout_id: uuid::Uuid,
    leg: i16,
    attempt: i16,
    originator_id: String,
    amount_minor: i64,
    currency: String,
    state: String,
    conversation_id: Option<String>,
    status_conversation_id: Option<String>,
    enquiries: i32,
    sent_at: Option<DateTime<Utc>>,
    next_check_at: Option<DateTime<Utc>>,
    needs_person: Option<String>,
}

impl TryFrom<Row> for Leg {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let broken = |column| corrupt("payout_legs", column, row.id);
        let needs_person = row
            .needs_person
            .map(|text| NeedsPerson::parse(&text).ok_or_else(|| broken("needs_person")))
            .transpose()?;
        Ok(Self {
            id: row.id.into(),
            payout_id: row.payout_id.into(),
            leg: u16::try_from(row.leg).map_err(|_| broken("leg"))?,
            attempt: u16::try_from(row.attempt).map_err(|_| broken("attempt"))?,
            originator_id: row.originator_id,
            amount: money(row.amount_minor, &row.currency, "payout_legs", row.id)?,
            state: LegState::parse(&row.state).ok_or_else(|| broken("state"))?,
            conversation_id: row.conversation_id,
            status_conversation_id: row.status_conversation_id,
            enquiries: u32::try_from(row.enquiries).map_err(|_| broken("enquiries"))?,
            sent_at: row.sent_at,
            next_check_at: row.next_check_at,
            needs_person,
        })
    }
}

/// Plans a leg and reserves its money in the ledger; nothing when that attempt exists already.
pub async fn plan(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    new: &NewLeg<'_>,
) -> Result<(), StoreError> {
    let number = |n: u16| i16::try_from(n).unwrap_or(i16::MAX);
    sqlx::query!(
        r#"-- legs.plan
        insert into payout_legs
            (id, payout_id, leg, attempt, originator_id, amount_minor, currency, state, planned_at)
        values ($1, $2, $3, $4, $5, $6, $7, 'planned', $8)
        on conflict (payout_id, leg, attempt) do nothing"#,
        new.id.uuid(),
        new.payout_id.uuid(),
        number(new.leg),
        number(new.attempt),
        new.originator_id,
        new.amount.minor,
        new.amount.currency.code(),
        now,
    )
    .execute(&mut *conn)
    .await?;
    let pending = ledger::payout_planned(new.payout_id, new.leg, new.attempt, new.amount);
    crate::ledger::post(conn, now, &pending).await?;
    Ok(())
}

/// Locks a leg together with its payout, the payout first.
pub async fn lock(conn: &mut PgConnection, id: LegId) -> Result<Option<(Payout, Leg)>, StoreError> {
    let payout_id = sqlx::query_scalar!(
        r#"-- legs.find_payout
        select payout_id from payout_legs where id = $1"#,
        id.uuid(),
    )
    .fetch_optional(&mut *conn)
    .await?;
    let Some(payout_id) = payout_id else {
        return Ok(None);
    };
    let Some(payout) = payouts::lock(conn, payout_id.into()).await? else {
        return Ok(None);
    };
    let row = sqlx::query_as!(
        Row,
        r#"-- legs.lock
        select id, payout_id, leg, attempt, originator_id, amount_minor, currency, state,
               conversation_id, status_conversation_id, enquiries, sent_at, next_check_at,
               needs_person
        from payout_legs where id = $1 for update"#,
        id.uuid(),
    )
    .fetch_one(conn)
    .await?;
    Ok(Some((payout, row.try_into()?)))
}

/// The newest attempt of each leg of a payout, by number.
pub async fn list(conn: &mut PgConnection, payout: PayoutId) -> Result<Vec<Leg>, StoreError> {
    let rows = sqlx::query_as!(
        Row,
        r#"-- legs.list
        select distinct on (leg)
               id, payout_id, leg, attempt, originator_id, amount_minor, currency, state,
               conversation_id, status_conversation_id, enquiries, sent_at, next_check_at,
               needs_person
        from payout_legs where payout_id = $1 order by leg, attempt desc"#,
        payout.uuid(),
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(Leg::try_from).collect()
}

/// The leg whose payment was acknowledged under this conversation.
pub async fn find_by_conversation(
    conn: &mut PgConnection,
    conversation: &str,
) -> Result<Option<LegId>, StoreError> {
    let id = sqlx::query_scalar!(
        r#"-- legs.find_by_conversation
        select id from payout_legs where conversation_id = $1"#,
        conversation,
    )
    .fetch_optional(conn)
    .await?;
    Ok(id.map(LegId::from))
}

/// The leg whose newest status enquiry was acknowledged under this conversation.
pub async fn find_by_status_conversation(
    conn: &mut PgConnection,
    conversation: &str,
) -> Result<Option<LegId>, StoreError> {
    let id = sqlx::query_scalar!(
        r#"-- legs.find_by_status_conversation
        select id from payout_legs where status_conversation_id = $1"#,
        conversation,
    )
    .fetch_optional(conn)
    .await?;
    Ok(id.map(LegId::from))
}

/// The leg sent under this originator id.
pub async fn find_by_originator(
    conn: &mut PgConnection,
    originator_id: &str,
) -> Result<Option<LegId>, StoreError> {
    let id = sqlx::query_scalar!(
        r#"-- legs.find_by_originator
        select id from payout_legs where originator_id = $1"#,
        originator_id,
    )
    .fetch_optional(conn)
    .await?;
    Ok(id.map(LegId::from))
}

/// Planned → sent, before the rail is called.
pub async fn mark_sent(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    id: LegId,
    next_check_at: DateTime<Utc>,
) -> Result<(), StoreError> {
    let done = sqlx::query!(
        r#"-- legs.mark_sent
        update payout_legs set state = 'sent', sent_at = $2, next_check_at = $3
        where id = $1 and state = 'planned'"#,
        id.uuid(),
        now,
        next_check_at,
    )
    .execute(conn)
    .await?;
    one_row(done.rows_affected(), "payout leg", id)
}

/// Sent → planned: the rail provably never took it.
pub async fn mark_unsent(
    conn: &mut PgConnection,
    id: LegId,
    next_check_at: DateTime<Utc>,
) -> Result<(), StoreError> {
    let done = sqlx::query!(
        r#"-- legs.mark_unsent
        update payout_legs set state = 'planned', sent_at = null, next_check_at = $2
        where id = $1 and state = 'sent' and conversation_id is null and enquiries = 0"#,
        id.uuid(),
        next_check_at,
    )
    .execute(conn)
    .await?;
    one_row(done.rows_affected(), "payout leg", id)
}

/// Looks at a leg, planned or sent, again later.
pub async fn postpone(
    conn: &mut PgConnection,
    id: LegId,
    next_check_at: DateTime<Utc>,
) -> Result<(), StoreError> {
    let done = sqlx::query!(
        r#"-- legs.postpone
        update payout_legs set next_check_at = $2 where id = $1 and state in ('planned', 'sent')"#,
        id.uuid(),
        next_check_at,
    )
    .execute(conn)
    .await?;
    one_row(done.rows_affected(), "payout leg", id)
}

/// Counts an enquiry that is about to be made.
pub async fn begin_enquiry(
    conn: &mut PgConnection,
    id: LegId,
    next_check_at: DateTime<Utc>,
) -> Result<(), StoreError> {
    let done = sqlx::query!(
        r#"-- legs.begin_enquiry
        update payout_legs set enquiries = enquiries + 1, next_check_at = $2
        where id = $1 and state = 'sent'"#,
        id.uuid(),
        next_check_at,
    )
    .execute(conn)
    .await?;
    one_row(done.rows_affected(), "payout leg", id)
}

/// Records the conversation the rail acknowledged a leg under, unless one is recorded or the leg
/// has been decided meanwhile.
pub async fn record_acknowledgement(
    conn: &mut PgConnection,
    id: LegId,
    conversation: &str,
) -> Result<(), StoreError> {
    sqlx::query!(
        r#"-- legs.record_acknowledgement
        update payout_legs set conversation_id = $2
        where id = $1 and state = 'sent' and conversation_id is null"#,
        id.uuid(),
        conversation,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Records the conversation a status enquiry was acknowledged under; the newest replaces the last.
pub async fn record_enquiry(
    conn: &mut PgConnection,
    id: LegId,
    conversation: &str,
) -> Result<(), StoreError> {
    sqlx::query!(
        r#"-- legs.record_enquiry
        update payout_legs set status_conversation_id = $2 where id = $1 and state = 'sent'"#,
        id.uuid(),
        conversation,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Asks a person to look at a leg; the first reason stands, unless the new one bars evidence.
pub async fn flag(
    conn: &mut PgConnection,
    id: LegId,
    reason: NeedsPerson,
) -> Result<(), StoreError> {
    sqlx::query!(
        r#"-- legs.flag
        update payout_legs set needs_person = $2 where id = $1 and (needs_person is null or $3)"#,
        id.uuid(),
        reason.as_str(),
        reason.bars_evidence(),
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Whether the rail's word on any attempt at a leg contradicts what is booked of it: then the money
/// may have gone out already, and nothing more is sent for it.
pub async fn is_contradicted(
    conn: &mut PgConnection,
    payout: PayoutId,
    leg: u16,
) -> Result<bool, StoreError> {
    let contradicted = sqlx::query_scalar!(
        r#"-- legs.is_contradicted
        select exists (
            select 1 from payout_legs
            where payout_id = $1 and leg = $2
              and needs_person = any($3)
        ) as "contradicted!""#,
        payout.uuid(),
        i16::try_from(leg).unwrap_or(i16::MAX),
        &NeedsPerson::contradictions(),
    )
    .fetch_one(conn)
    .await?;
    Ok(contradicted)
}

/// Takes the leg off the list of what people must look at: one of them has. A contradiction about
/// money stays.
pub async fn unflag(conn: &mut PgConnection, id: LegId) -> Result<(), StoreError> {
    sqlx::query!(
        r#"-- legs.unflag
        update payout_legs set needs_person = null
        where id = $1 and needs_person <> all($2)"#,
        id.uuid(),
        &NeedsPerson::contradictions(),
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Which calls wait for a person.
pub async fn pause(conn: &mut PgConnection) -> Result<Pause, StoreError> {
    let row = sqlx::query!(
        r#"-- legs.pause
        select count(*) as "legs!", coalesce(bool_or(result_code = '8006'), false) as "locked!"
        from payout_legs where needs_person = 'sending_paused'"#,
    )
    .fetch_one(conn)
    .await?;
    Ok(match (row.legs, row.locked) {
        (0, _) => Pause::None,
        (_, false) => Pause::Sending,
        (_, true) => Pause::Everything,
    })
}

/// Legs due to be looked at: sent ones to be asked about, planned ones that waited.
pub async fn list_due(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<LegId>, StoreError> {
    let rows = sqlx::query_scalar!(
        r#"-- legs.list_due
        select id from payout_legs where next_check_at <= $1
        order by next_check_at, id limit $2"#,
        now,
        limit,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(LegId::from).collect())
}
