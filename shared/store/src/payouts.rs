//! What each policy is owed by an evaluation, from planned to paid. Its legs are in `legs`.
//! Never decides an amount, and never pays twice: one row per policy and evaluation, and the sum
//! insured caps them in SQL. Called by the damage and payout workers and by operators' routes.

use chrono::{DateTime, Utc};
use domain::event::{Envelope, Event};
use domain::id::{EvaluationId, FarmerId, MessageId, PayoutId, PolicyId};
use domain::ledger;
use domain::money::Money;
use domain::payout::{LegState, PayoutState, state_of_legs};
use sqlx::PgConnection;

use crate::decode::{corrupt, money};
use crate::error::{StoreError, one_row};
use crate::legs::{self, Leg, NeedsPerson};

/// A payout to be planned.
#[derive(Debug, Clone, Copy)]
pub struct NewPayout {
    /// Id.
    pub id: PayoutId,
    /// Whom it is owed to.
    pub policy_id: PolicyId,
    /// Why.
    pub evaluation_id: EvaluationId,
    /// How much.
    pub amount: Money,
    /// Approved when its evaluation is, else held.
    pub state: PayoutState,
}

/// A payout, locked until the transaction ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Payout {
    /// Id.
    pub id: PayoutId,
    /// Whom it is owed to.
    pub policy_id: PolicyId,
    /// Why.
    pub evaluation_id: EvaluationId,
    /// How much.
    pub amount: Money,
    /// Where it stands.
    pub state: PayoutState,
}

/// Who receives a payout.
#[derive(Debug, Clone)]
pub struct Recipient {
    /// The farmer.
    pub farmer_id: FarmerId,
    /// Her phone, encrypted.
    pub phone_cipher: Vec<u8>,
}

/// How many payouts stand in a state, and since when the oldest does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateCount {
    /// State.
    pub state: String,
    /// How many.
    pub payouts: i64,
}

/// How a leg ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending<'a> {
    /// The rail says it arrived.
    Paid {
        /// The rail's receipt.
        receipt: Option<&'a str>,
        /// The rail's code.
        code: &'a str,
    },
    /// The rail says that no money moved and none will under this id.
    Refused {
        /// The rail's code.
        code: &'a str,
        /// Who must see to it.
        needs: NeedsPerson,
    },
}

/// Plans a payout; `false` when the policy has one for this evaluation already.
pub async fn plan(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    payout: &NewPayout,
) -> Result<bool, StoreError> {
    let approved_at = (payout.state == PayoutState::Approved).then_some(now);
    let done = sqlx::query!(
        r#"-- payouts.plan
        insert into payouts
            (id, policy_id, evaluation_id, amount_minor, currency, state, planned_at, approved_at)
        values ($1, $2, $3, $4, $5, $6, $7, $8)
        on conflict (policy_id, evaluation_id) do nothing"#,
        payout.id.uuid(),
        payout.policy_id.uuid(),
        payout.evaluation_id.uuid(),
        payout.amount.minor,
        payout.amount.currency.code(),
        payout.state.as_str(),
        now,
        approved_at,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Locks a payout. Locked before any of its legs, always.
pub async fn lock(conn: &mut PgConnection, id: PayoutId) -> Result<Option<Payout>, StoreError> {
    let row = sqlx::query!(
        r#"-- payouts.lock
        select policy_id, evaluation_id, amount_minor, currency, state
        from payouts where id = $1 for update"#,
        id.uuid(),
    )
    .fetch_optional(conn)
    .await?;
    row.map(|row| {
        Ok(Payout {
            id,
            policy_id: row.policy_id.into(),
            evaluation_id: row.evaluation_id.into(),
            amount: money(row.amount_minor, &row.currency, "payouts", id.uuid())?,
            state: PayoutState::parse(&row.state).ok_or_else(|| corrupt("payouts", "state", id))?,
        })
    })
    .transpose()
}

/// Moves a payout from one state to the next.
pub async fn set_state(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    id: PayoutId,
    from: PayoutState,
    to: PayoutState,
) -> Result<(), StoreError> {
    let decided_at = matches!(to, PayoutState::Paid | PayoutState::Refused).then_some(now);
    let done = sqlx::query!(
        r#"-- payouts.set_state
        update payouts set state = $3, decided_at = $4 where id = $1 and state = $2"#,
        id.uuid(),
        from.as_str(),
        to.as_str(),
        decided_at,
    )
    .execute(conn)
    .await?;
    one_row(done.rows_affected(), "payout", id)
}

/// Approves up to `limit` held payouts of an evaluation, which the caller has locked and released.
pub async fn release_batch(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    evaluation: EvaluationId,
    limit: i64,
) -> Result<Vec<PayoutId>, StoreError> {
    let rows = sqlx::query_scalar!(
        r#"-- payouts.release_batch
        update payouts set state = 'approved', approved_at = $2
        where id in (select id from payouts where evaluation_id = $1 and state = 'held'
                     order by id limit $3 for update)
        returning id"#,
        evaluation.uuid(),
        now,
        limit,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(PayoutId::from).collect())
}

/// Ends a leg that the caller has locked with its payout: leg, ledger, payout and, when the payout
/// is decided by it, the bell. Returns the payout's state.
pub async fn end_leg(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    (payout, leg): (&Payout, &Leg),
    ending: Ending<'_>,
    bell: MessageId,
) -> Result<PayoutState, StoreError> {
    let (state, code, receipt, needs) = match ending {
        Ending::Paid { receipt, code } => (LegState::Paid, code, receipt, None),
        Ending::Refused { code, needs } => (LegState::Refused, code, None, Some(needs)),
    };
    let done = sqlx::query!(
        r#"-- payouts.end_leg
        update payout_legs
        set state = $2, result_code = $3, rail_receipt = $4, needs_person = $5, decided_at = $6,
            next_check_at = null, concerns_farmer = $7
        where id = $1 and state = 'sent'"#,
        leg.id.uuid(),
        state.as_str(),
        code,
        receipt,
        needs.map(NeedsPerson::as_str),
        now,
        needs.is_some_and(NeedsPerson::concerns_farmer),
    )
    .execute(&mut *conn)
    .await?;
    one_row(done.rows_affected(), "payout leg", leg.id)?;
    let transfer = match ending {
        Ending::Paid { .. } => ledger::payout_paid,
        Ending::Refused { .. } => ledger::payout_refused,
    };
    let transfer = transfer(payout.id, leg.leg, leg.attempt, leg.amount);
    crate::ledger::post(conn, now, &transfer).await?;

    let next = refresh(conn, now, payout).await?;
    let event = match next {
        PayoutState::Paid => Some(Event::PayoutPaid {
            payout_id: payout.id,
        }),
        PayoutState::Refused => {
            let legs = legs::list(conn, payout.id).await?;
            let hers = |leg: &Leg| leg.needs_person.is_some_and(NeedsPerson::concerns_farmer);
            let tell = legs.iter().any(hers);
            tell.then_some(Event::PayoutRefused {
                payout_id: payout.id,
            })
        }
        _ => None,
    };
    if let Some(event) = event {
        let envelope = Envelope {
            id: bell,
            event,
            traceparent: None,
        };
        crate::outbox::push(conn, now, &envelope, now).await?;
    }
    Ok(next)
}

/// Makes a payout's state what its legs say it is; returns it.
pub async fn refresh(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    payout: &Payout,
) -> Result<PayoutState, StoreError> {
    let states: Vec<LegState> = legs::list(conn, payout.id)
        .await?
        .iter()
        .map(|leg| leg.state)
        .collect();
    let next = state_of_legs(&states);
    if next != payout.state {
        set_state(conn, now, payout.id, payout.state, next).await?;
    }
    Ok(next)
}

/// Who receives a payout.
pub async fn get_recipient(conn: &mut PgConnection, id: PayoutId) -> Result<Recipient, StoreError> {
    let row = sqlx::query!(
        r#"-- payouts.get_recipient
        select farmers.id, farmers.phone_cipher
        from payouts join policies on policies.id = payouts.policy_id
        join farmers on farmers.id = policies.farmer_id
        where payouts.id = $1"#,
        id.uuid(),
    )
    .fetch_one(conn)
    .await?;
    Ok(Recipient {
        farmer_id: row.id.into(),
        phone_cipher: row.phone_cipher,
    })
}

/// Released payouts with a leg that nobody has begun to send and that does not wait for a time.
pub async fn list_unsent(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<PayoutId>, StoreError> {
    let rows = sqlx::query_scalar!(
        r#"-- payouts.list_unsent
        select id from payouts
        where state in ('approved', 'sent') and approved_at <= $1
          and exists (select 1 from payout_legs
                      where payout_legs.payout_id = payouts.id
                        and payout_legs.state = 'planned' and payout_legs.next_check_at is null)
        order by approved_at, id limit $2"#,
        now,
        limit,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(PayoutId::from).collect())
}

/// When the oldest evaluation was made that still owes money: a payout of it is neither paid nor
/// refused, or policies that it pays are not settled yet.
pub async fn oldest_owed_at(conn: &mut PgConnection) -> Result<Option<DateTime<Utc>>, StoreError> {
    let oldest = sqlx::query_scalar!(
        "-- payouts.oldest_owed_at
        select min(evaluated_at) from evaluations
        where (fanned_out_at is null and total_minor > 0)
           or id in (select evaluation_id from payouts
                     where state in ('planned', 'held', 'approved', 'sent'))",
    )
    .fetch_one(conn)
    .await?;
    Ok(oldest)
}

/// How many payouts stand in each state.
pub async fn count_by_state(conn: &mut PgConnection) -> Result<Vec<StateCount>, StoreError> {
    let rows = sqlx::query_as!(
        StateCount,
        r#"-- payouts.count_by_state
        select state, count(*) as "payouts!" from payouts group by state order by state"#,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows)
}
