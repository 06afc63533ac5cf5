//! Loads what the invariants look at, in one snapshot and in bounded pages, and replays every
//! payout: what was observed is settled anew, must equal what was stored, and is applied again.
//! Never repairs, and leaves the judging to `domain::invariants`. Called by the operators' report,
//! the hourly sweep and the simulation.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use domain::invariants::{
    self, Breach, Facts, INVARIANTS, LedgerRow, LegRow, PayoutRow, PolicyRow, ProviderBooks,
    ReceiptRow, RiskRow,
};
use domain::money::Money;
use domain::payout::{LegState, PayoutState};
use domain::policy::PolicyState;
use domain::premium::ReceiptState;
use domain::product::Product;
use domain::season::Window;
use domain::settle::{Observed, Outcome, Settlement, settle};
use serde::Serialize;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::decode::{corrupt, json, money};
use crate::error::StoreError;

/// Rows read at once.
const PAGE: i64 = 2_000;

/// What a replay yields when the evaluation does not replay at all: no planned amount equals it.
const DOES_NOT_REPLAY: i64 = -1;

/// Makes the transaction see one instant and change nothing. Call it first in a transaction.
pub async fn snapshot(conn: &mut PgConnection) -> Result<(), StoreError> {
    sqlx::query!("-- facts.snapshot\nset transaction isolation level repeatable read, read only")
        .execute(conn)
        .await?;
    Ok(())
}

/// Everything the invariants look at, as of this transaction.
pub async fn load(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    books: ProviderBooks,
) -> Result<Facts, StoreError> {
    let replays = load_replays(conn).await?;
    let (payouts, legs) = load_payouts(conn, &replays).await?;
    Ok(Facts {
        policies: load_policies(conn).await?,
        receipts: load_receipts(conn).await?,
        payouts,
        legs,
        risks: load_risks(conn, now).await?,
        ledger: load_ledger(conn).await?,
        capacity_out_of_bounds: load_capacity(conn).await?,
        self_approved: load_self_approved(conn).await?,
        transfers_altered: load_altered(conn).await?,
        books,
    })
}

/// The invariants in numbers.
#[derive(Debug, Clone, Serialize)]
pub struct Invariants {
    /// How many were checked.
    pub checked: usize,
    /// How many of them do not hold.
    pub broken: usize,
    /// Each of them.
    pub names: Vec<InvariantLine>,
    /// Each row that breaks one.
    pub breaches: Vec<Breach>,
}

/// One invariant.
#[derive(Debug, Clone, Serialize)]
pub struct InvariantLine {
    /// `I1`….
    pub number: &'static str,
    /// What must hold.
    pub statement: &'static str,
    /// Whether there was enough to check it: the rails' books are told by who asks.
    pub checked: bool,
    /// Whether it holds.
    pub held: bool,
}

/// Runs the invariants and counts them.
#[must_use]
pub fn check(facts: &Facts) -> Invariants {
    let breaches = invariants::check(facts);
    let broken: BTreeSet<&str> = breaches.iter().map(|b| b.invariant.as_str()).collect();
    let books_told = facts.books.collected_minor.is_some() && facts.books.disbursed_minor.is_some();
    let names: Vec<_> = INVARIANTS
        .iter()
        .map(|(number, statement, _)| InvariantLine {
            number,
            statement,
            checked: *number != "I7" || books_told,
            held: !broken.contains(number),
        })
        .collect();
    Invariants {
        checked: names.iter().filter(|line| line.checked).count(),
        broken: broken.len(),
        names,
        breaches,
    }
}

/// One evaluation, ready to be applied to any sum insured again; `None` when what was stored is
/// not what its own inputs settle to.
struct Replay(Option<Settlement>);

impl Replay {
    fn payout(&self, insured: Money) -> i64 {
        let paid = self
            .0
            .as_ref()
            .and_then(|settlement| settlement.payout(insured).ok());
        paid.map_or(DOES_NOT_REPLAY, |money| money.minor)
    }
}

async fn load_replays(conn: &mut PgConnection) -> Result<BTreeMap<Uuid, Replay>, StoreError> {
    let mut replays = BTreeMap::new();
    let mut after = Uuid::nil();
    loop {
        let rows = sqlx::query!(
            r#"-- facts.load_replays
            select evaluations.id, evaluations.observed, evaluations.settlement, risks.zone,
                   product_versions.document
            from evaluations
            join risks on risks.id = evaluations.risk_id
            join product_versions on product_versions.id = risks.product_version_id
            where evaluations.id > $1 order by evaluations.id limit $2"#,
            after,
            PAGE,
        )
        .fetch_all(&mut *conn)
        .await?;
        let Some(last) = rows.last() else {
            return Ok(replays);
        };
        after = last.id;
        for row in rows {
            let stored: Settlement = json(row.settlement, "evaluations", "settlement", row.id)?;
            let observed: Observed = json(row.observed, "evaluations", "observed", row.id)?;
            let product: Product = json(row.document, "product_versions", "document", row.id)?;
            let anew =
                product
                    .zone(&row.zone)
                    .and_then(|zone| match settle(&product, zone, &observed) {
                        Ok(Outcome::Settled(settlement)) => Some(settlement),
                        _ => None,
                    });
            replays.insert(row.id, Replay(anew.filter(|anew| *anew == stored)));
        }
    }
}

async fn load_payouts(
    conn: &mut PgConnection,
    replays: &BTreeMap<Uuid, Replay>,
) -> Result<(Vec<PayoutRow>, Vec<LegRow>), StoreError> {
    let (mut payouts, mut legs) = (Vec::new(), Vec::new());
    let mut after = Uuid::nil();
    loop {
        let rows = sqlx::query!(
            r#"-- facts.load_payouts
            select payouts.id, payouts.policy_id, payouts.evaluation_id, payouts.state,
                   payouts.amount_minor, policies.sum_insured_minor, policies.currency
            from payouts join policies on policies.id = payouts.policy_id
            where payouts.id > $1 order by payouts.id limit $2"#,
            after,
            PAGE,
        )
        .fetch_all(&mut *conn)
        .await?;
        let Some(last) = rows.last() else {
            return Ok((payouts, legs));
        };
        after = last.id;
        let ids: Vec<Uuid> = rows.iter().map(|row| row.id).collect();
        for row in rows {
            let insured = money(
                row.sum_insured_minor,
                &row.currency,
                "policies",
                row.policy_id,
            )?;
            payouts.push(PayoutRow {
                id: row.id,
                policy_id: row.policy_id,
                evaluation_id: row.evaluation_id,
                state: PayoutState::parse(&row.state)
                    .ok_or_else(|| corrupt("payouts", "state", row.id))?,
                amount_minor: row.amount_minor,
                replayed_minor: replays
                    .get(&row.evaluation_id)
                    .map_or(DOES_NOT_REPLAY, |replay| replay.payout(insured)),
            });
        }
        legs.append(&mut load_legs(conn, &ids).await?);
    }
}

/// The newest attempt of each leg: earlier ones were refused and moved nothing.
async fn load_legs(conn: &mut PgConnection, payouts: &[Uuid]) -> Result<Vec<LegRow>, StoreError> {
    let rows = sqlx::query!(
        r#"-- facts.load_legs
        select distinct on (payout_id, leg) id, payout_id, state, amount_minor, next_check_at
        from payout_legs where payout_id = any($1) order by payout_id, leg, attempt desc"#,
        payouts,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(LegRow {
                id: row.id,
                payout_id: row.payout_id,
                state: LegState::parse(&row.state)
                    .ok_or_else(|| corrupt("payout_legs", "state", row.id))?,
                amount_minor: row.amount_minor,
                next_check_at: row.next_check_at,
            })
        })
        .collect()
}

async fn load_policies(conn: &mut PgConnection) -> Result<Vec<PolicyRow>, StoreError> {
    let mut policies = Vec::new();
    let mut after = Uuid::nil();
    loop {
        let rows = sqlx::query!(
            r#"-- facts.load_policies
            select id, state, sum_insured_minor, window_start, window_end, activated_at, risk_id,
                   exists (
                       select 1 from receipts
                       join ledger_transfers on ledger_transfers.subject_id = receipts.id
                       join ledger_entries on ledger_entries.transfer_id = ledger_transfers.id
                       where receipts.policy_id = policies.id
                         and ledger_entries.account = 'premiums'
                         and ledger_entries.side = 'credit'
                   ) as "premium_posted!"
            from policies where id > $1 order by id limit $2"#,
            after,
            PAGE,
        )
        .fetch_all(&mut *conn)
        .await?;
        let Some(last) = rows.last() else {
            return Ok(policies);
        };
        after = last.id;
        for row in rows {
            policies.push(PolicyRow {
                id: row.id,
                state: PolicyState::parse(&row.state)
                    .ok_or_else(|| corrupt("policies", "state", row.id))?,
                sum_insured_minor: row.sum_insured_minor,
                premium_posted: row.premium_posted,
                window: Window {
                    start: row.window_start,
                    end: row.window_end,
                },
                activated_at: row.activated_at,
                risk_id: row.risk_id,
            });
        }
    }
}

async fn load_receipts(conn: &mut PgConnection) -> Result<Vec<ReceiptRow>, StoreError> {
    let mut receipts = Vec::new();
    let mut after = Uuid::nil();
    loop {
        let rows = sqlx::query!(
            r#"-- facts.load_receipts
            select receipts.id, receipts.state, receipts.next_check_at,
                   posted.premiums as "premiums!", posted.suspense as "suspense!"
            from receipts, lateral (
                select coalesce(sum(net) filter (where account = 'premiums'), 0)::bigint as premiums,
                       coalesce(sum(net) filter (where account = 'suspense'), 0)::bigint as suspense
                from (
                    select ledger_entries.account,
                           case ledger_entries.side when 'credit' then ledger_entries.amount_minor
                                else -ledger_entries.amount_minor end as net
                    from ledger_transfers
                    join ledger_entries on ledger_entries.transfer_id = ledger_transfers.id
                    where ledger_transfers.subject_id = receipts.id
                ) as entries
            ) as posted
            where receipts.id > $1 order by receipts.id limit $2"#,
            after,
            PAGE,
        )
        .fetch_all(&mut *conn)
        .await?;
        let Some(last) = rows.last() else {
            return Ok(receipts);
        };
        after = last.id;
        for row in rows {
            receipts.push(ReceiptRow {
                id: row.id,
                state: ReceiptState::parse(&row.state)
                    .ok_or_else(|| corrupt("receipts", "state", row.id))?,
                posted_to_premiums_minor: row.premiums,
                posted_to_suspense_minor: row.suspense,
                next_check_at: row.next_check_at,
            });
        }
    }
}

async fn load_risks(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
) -> Result<Vec<RiskRow>, StoreError> {
    let mut risks = Vec::new();
    let mut after = Uuid::nil();
    loop {
        // a day's grace: the sweep that hands an undecided risk to people is not a second hand
        let rows = sqlx::query!(
            r#"-- facts.load_risks
            select risks.id, risks.state in ('held', 'deferred') as "waits!",
                   risks.window_closes_at + make_interval(days => 1
                       + (product_versions.document -> 'settlement' ->> 'decide_after_days')::int)
                       < $2 as "overdue!",
                   exists (select 1 from policies where policies.risk_id = risks.id
                           and policies.state in ('active', 'settled')) as "has_policies!",
                   (select count(*) from evaluations where evaluations.risk_id = risks.id)
                       as "evaluations!"
            from risks join product_versions on product_versions.id = risks.product_version_id
            where risks.id > $1 order by risks.id limit $3"#,
            after,
            now,
            PAGE,
        )
        .fetch_all(&mut *conn)
        .await?;
        let Some(last) = rows.last() else {
            return Ok(risks);
        };
        after = last.id;
        risks.extend(rows.into_iter().map(|row| RiskRow {
            id: row.id,
            has_policies: row.has_policies,
            overdue: row.overdue,
            evaluations: u32::try_from(row.evaluations).unwrap_or(u32::MAX),
            held_or_deferred: row.waits,
        }));
    }
}

async fn load_ledger(conn: &mut PgConnection) -> Result<Vec<LedgerRow>, StoreError> {
    let rows = sqlx::query!(
        r#"-- facts.load_ledger
        select currency,
               coalesce(sum(amount_minor) filter (where side = 'debit'), 0)::bigint as "debits!",
               coalesce(sum(amount_minor) filter (where side = 'credit'), 0)::bigint as "credits!",
               coalesce(sum(case side when 'credit' then amount_minor else -amount_minor end)
                        filter (where account = 'mpesa_utility'), 0)::bigint as "utility_paid!",
               coalesce(sum(case side when 'debit' then amount_minor else -amount_minor end)
                        filter (where account = 'swypt_clearing'), 0)::bigint as "collected!"
        from ledger_entries group by currency order by currency"#,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| LedgerRow {
            currency: row.currency,
            debits_minor: row.debits,
            credits_minor: row.credits,
            utility_paid_minor: row.utility_paid,
            collected_minor: row.collected,
        })
        .collect())
}

async fn load_capacity(conn: &mut PgConnection) -> Result<Vec<Uuid>, StoreError> {
    let rows = sqlx::query_scalar!(
        r#"-- facts.load_capacity
        select id from capacity
        where reserved_minor < 0 or bound_minor < 0 or reserved_minor + bound_minor > limit_minor
        order by id limit 1000"#,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows)
}

/// Transfers whose entries, or whose pending transfer, say something else. Entries that do not
/// balance among themselves are the trial balance's to notice.
async fn load_altered(conn: &mut PgConnection) -> Result<Vec<Uuid>, StoreError> {
    let rows = sqlx::query_scalar!(
        r#"-- facts.load_altered
        select transfers.id
        from ledger_transfers transfers
        left join ledger_transfers pending on pending.id = transfers.pending_id
        cross join lateral (
            select count(*) as written,
                   coalesce(sum(case side when 'debit' then amount_minor
                                          else -amount_minor end), 0) as difference,
                   count(*) filter (
                       where amount_minor = transfers.amount_minor
                         and currency = transfers.currency
                         and account = case side when 'debit' then transfers.debit_account
                                            else transfers.credit_account end) as alike
            from ledger_entries where transfer_id = transfers.id
        ) entries
        where (entries.difference = 0
               and (entries.written <> entries.alike
                    or entries.written
                       <> case when transfers.kind in ('posted', 'post_pending') then 2 else 0 end))
           or pending.amount_minor <> transfers.amount_minor
           or pending.debit_account <> transfers.debit_account
           or pending.credit_account <> transfers.credit_account
        order by transfers.id limit 1000"#,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows)
}

/// Released although they had to be held, without two different people.
async fn load_self_approved(conn: &mut PgConnection) -> Result<Vec<Uuid>, StoreError> {
    let rows = sqlx::query_scalar!(
        r#"-- facts.load_self_approved
        select id from evaluations
        where state = 'approved' and cardinality(holds) > 0
          and (select count(distinct operator_id) from approvals
               where approvals.evaluation_id = evaluations.id) < 2
        order by id limit 1000"#,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows)
}
