//! One account of the whole house at one instant: the operators' report and the demo's closing
//! table. Never changes anything; holds counts and sums, cells and wards, no person.
//! Called by `GET /api/v1/operator/report` inside a read-only snapshot.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use domain::id::{EvaluationId, RiskId};
use domain::index::PhaseSum;
use domain::invariants::{Facts, ProviderBooks};
use domain::measure::format_mm;
use domain::money::{BasisPoints, Fraction};
use domain::settle::{Observed, Settlement};
use serde::Serialize;
use sqlx::PgConnection;

use crate::decode::json;
use crate::error::StoreError;
use crate::facts::{self, Invariants};

/// Risks listed in a report; a house with more reads them page by page elsewhere.
const RISKS_MAX: i64 = 5_000;

/// The whole house in numbers.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// As of.
    pub at: DateTime<Utc>,
    /// Farmers registered.
    pub farmers: i64,
    /// Policies by state; every state stands here.
    pub policies: BTreeMap<String, i64>,
    /// Premiums posted.
    pub premiums: Premiums,
    /// Money that belongs to nobody's policy yet, minor units.
    pub suspense_minor: i64,
    /// What the ledger says was collected, minor units.
    pub collected_minor: i64,
    /// What the ledger says was paid out, minor units.
    pub disbursed_minor: i64,
    /// Risks with their decisions.
    pub risks: Vec<RiskLine>,
    /// Payouts.
    pub payouts: Payouts,
    /// Texts by kind and state.
    pub sms: Vec<SmsCount>,
    /// Ledger.
    pub ledger: Ledger,
    /// Invariants.
    pub invariants: Invariants,
}

/// Premiums posted in the ledger.
#[derive(Debug, Clone, Serialize)]
pub struct Premiums {
    /// Minor units.
    pub posted_minor: i64,
    /// Currency.
    pub currency: &'static str,
}

/// A ward with policies in a risk.
#[derive(Debug, Clone, Serialize)]
pub struct Ward {
    /// Code.
    pub code: String,
    /// Name.
    pub name: String,
}

/// A risk.
#[derive(Debug, Clone, Serialize)]
pub struct RiskLine {
    /// Printed id.
    pub risk: String,
    /// State.
    pub state: String,
    /// Cell.
    pub cell: String,
    /// Season key, `MAM-1984`.
    pub season: String,
    /// Product code.
    pub product: String,
    /// Zone.
    pub zone: String,
    /// Wards whose plots lie in it.
    pub wards: Vec<Ward>,
    /// Policies that were on risk.
    pub policies: i64,
    /// The decision, once there is one.
    pub evaluation: Option<EvaluationLine>,
}

/// A decision.
#[derive(Debug, Clone, Serialize)]
pub struct EvaluationLine {
    /// Printed id.
    pub id: String,
    /// Held or approved.
    pub state: String,
    /// Rain over all phases, µm.
    pub rain_um: i64,
    /// The same, as people write it.
    pub rain: String,
    /// Phase by phase.
    pub phases: Vec<PhaseSum>,
    /// Weather loss.
    pub weather: String,
    /// Vegetation loss.
    pub vegetation: Option<String>,
    /// Damage index.
    pub damage_index: Option<String>,
    /// Share of the sum insured that is paid, `63.32%`.
    pub payout: String,
    /// The same, exact.
    pub share: Fraction,
    /// 0 to 100.
    pub confidence: u8,
    /// Good stations.
    pub stations: u8,
    /// Why two people looked at it.
    pub holds: Vec<String>,
    /// Policies on risk.
    pub policies: i32,
    /// Payouts planned.
    pub payouts: i64,
    /// Owed together, minor units.
    pub total_minor: i64,
    /// Address of the evidence.
    pub cid: String,
    /// What stands in texts.
    pub short_code: String,
    /// Whether the evidence is on the network.
    pub pinned: bool,
    /// When it was decided.
    pub evaluated_at: DateTime<Utc>,
}

/// Payouts in numbers.
#[derive(Debug, Clone, Serialize)]
pub struct Payouts {
    /// Ever planned.
    pub planned: i64,
    /// Released without a person.
    pub auto: i64,
    /// Released by two people.
    pub approved: i64,
    /// Waiting for two people.
    pub held: i64,
    /// With the rail.
    pub sent: i64,
    /// Arrived.
    pub paid: i64,
    /// Finally refused.
    pub refused: i64,
    /// With the rail and not yet decided.
    pub in_doubt: i64,
    /// Legs a person must look at.
    pub needs_person: i64,
    /// Amount ever planned, minor units.
    pub planned_minor: i64,
    /// Amount of those paid, minor units.
    pub paid_minor: i64,
}

/// Texts of one kind in one state.
#[derive(Debug, Clone, Serialize)]
pub struct SmsCount {
    /// Kind.
    pub kind: String,
    /// State.
    pub state: String,
    /// How many.
    pub count: i64,
}

/// The ledger in numbers.
#[derive(Debug, Clone, Serialize)]
pub struct Ledger {
    /// Per currency.
    pub trial_balance: Vec<TrialBalance>,
    /// Whether every difference is nothing.
    pub balanced: bool,
    /// Per account.
    pub accounts: Vec<AccountLine>,
    /// Reserved and not yet ended, minor units.
    pub pending_minor: i64,
}

/// Debits against credits of one currency.
#[derive(Debug, Clone, Serialize)]
pub struct TrialBalance {
    /// Currency.
    pub currency: String,
    /// Debits, minor units.
    pub debits_minor: i64,
    /// Credits, minor units.
    pub credits_minor: i64,
    /// Debits less credits: nothing.
    pub difference_minor: i64,
}

/// One account.
#[derive(Debug, Clone, Serialize)]
pub struct AccountLine {
    /// Account.
    pub account: String,
    /// Currency.
    pub currency: String,
    /// Debits less credits, minor units.
    pub balance_minor: i64,
}

/// The report as of this transaction.
pub async fn assemble(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    books: ProviderBooks,
) -> Result<Report, StoreError> {
    let facts = facts::load(conn, now, books).await?;
    let ledger = load_ledger(conn, &facts).await?;
    let credit = |account: &str| {
        let line = ledger
            .accounts
            .iter()
            .find(|l| l.account == account && l.currency == "KES");
        line.map_or(0, |l| l.balance_minor.saturating_neg())
    };
    let kes = facts.ledger.iter().find(|row| row.currency == "KES");
    Ok(Report {
        at: now,
        farmers: count_farmers(conn).await?,
        policies: count_policies(&facts),
        premiums: Premiums {
            posted_minor: credit("premiums"),
            currency: "KES",
        },
        suspense_minor: credit("suspense"),
        collected_minor: kes.map_or(0, |row| row.collected_minor),
        disbursed_minor: kes.map_or(0, |row| row.utility_paid_minor),
        risks: load_risks(conn).await?,
        payouts: load_payouts(conn).await?,
        sms: count_sms(conn).await?,
        invariants: facts::check(&facts),
        ledger,
    })
}

fn count_policies(facts: &Facts) -> BTreeMap<String, i64> {
    use domain::policy::PolicyState::{Active, AwaitingPremium, Cancelled, Lapsed, Settled};
    let mut counts: BTreeMap<String, i64> = [AwaitingPremium, Active, Settled, Lapsed, Cancelled]
        .map(|state| (state.as_str().to_owned(), 0))
        .into();
    for policy in &facts.policies {
        let count = counts.entry(policy.state.as_str().to_owned()).or_default();
        *count = count.saturating_add(1);
    }
    counts
}

async fn count_farmers(conn: &mut PgConnection) -> Result<i64, StoreError> {
    let count = sqlx::query_scalar!(
        r#"-- report.count_farmers
        select count(*) as "count!" from farmers"#,
    )
    .fetch_one(conn)
    .await?;
    Ok(count)
}

async fn load_ledger(conn: &mut PgConnection, facts: &Facts) -> Result<Ledger, StoreError> {
    let accounts = sqlx::query_as!(
        AccountLine,
        r#"-- report.load_accounts
        select account, currency,
               sum(case side when 'debit' then amount_minor else -amount_minor end)::bigint
                   as "balance_minor!"
        from ledger_entries group by account, currency order by currency, account"#,
    )
    .fetch_all(&mut *conn)
    .await?;
    let pending_minor = sqlx::query_scalar!(
        r#"-- report.sum_pending
        select coalesce(sum(pending.amount_minor), 0)::bigint as "minor!"
        from ledger_transfers as pending
        where pending.kind = 'pending' and not exists (
            select 1 from ledger_transfers as ended where ended.pending_id = pending.id)"#,
    )
    .fetch_one(conn)
    .await?;
    let trial_balance: Vec<_> = facts
        .ledger
        .iter()
        .map(|row| TrialBalance {
            currency: row.currency.clone(),
            debits_minor: row.debits_minor,
            credits_minor: row.credits_minor,
            difference_minor: row.debits_minor.saturating_sub(row.credits_minor),
        })
        .collect();
    let balanced = trial_balance.iter().all(|line| line.difference_minor == 0);
    Ok(Ledger {
        trial_balance,
        balanced,
        accounts,
        pending_minor,
    })
}

async fn load_payouts(conn: &mut PgConnection) -> Result<Payouts, StoreError> {
    let row = sqlx::query!(
        r#"-- report.load_payouts
        select count(*) as "planned!",
               count(*) filter (where state not in ('planned', 'held') and people is null) as "auto!",
               count(*) filter (where state not in ('planned', 'held') and people >= 2) as "approved!",
               count(*) filter (where state = 'held') as "held!",
               count(*) filter (where state = 'sent') as "sent!",
               count(*) filter (where state = 'paid') as "paid!",
               count(*) filter (where state = 'refused') as "refused!",
               coalesce(sum(amount_minor), 0)::bigint as "planned_minor!",
               coalesce(sum(amount_minor) filter (where state = 'paid'), 0)::bigint as "paid_minor!",
               (select count(*) from payout_legs where needs_person is not null) as "needs_person!"
        from payouts left join (
            select evaluation_id, count(distinct operator_id) as people
            from approvals group by evaluation_id
        ) as released on released.evaluation_id = payouts.evaluation_id"#,
    )
    .fetch_one(conn)
    .await?;
    Ok(Payouts {
        planned: row.planned,
        auto: row.auto,
        approved: row.approved,
        held: row.held,
        sent: row.sent,
        paid: row.paid,
        refused: row.refused,
        in_doubt: row.sent,
        needs_person: row.needs_person,
        planned_minor: row.planned_minor,
        paid_minor: row.paid_minor,
    })
}

async fn count_sms(conn: &mut PgConnection) -> Result<Vec<SmsCount>, StoreError> {
    let rows = sqlx::query_as!(
        SmsCount,
        r#"-- report.count_sms
        select kind, state, count(*) as "count!" from sms group by kind, state order by kind, state"#,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows)
}

async fn load_risks(conn: &mut PgConnection) -> Result<Vec<RiskLine>, StoreError> {
    let mut wards = load_wards(conn).await?;
    let mut evaluations = load_evaluations(conn).await?;
    let rows = sqlx::query!(
        r#"-- report.load_risks
        select risks.id, risks.state, risks.risk_cell, risks.season_year, risks.zone,
               product_versions.code,
               product_versions.document -> 'season' ->> 'code' as season_code,
               (select count(*) from policies where policies.risk_id = risks.id
                and policies.state in ('active', 'settled')) as "policies!"
        from risks join product_versions on product_versions.id = risks.product_version_id
        order by risks.season_year, product_versions.code, risks.id limit $1"#,
        RISKS_MAX,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| RiskLine {
            risk: RiskId::from(row.id).to_string(),
            state: row.state,
            cell: row.risk_cell,
            season: format!(
                "{}-{}",
                row.season_code.unwrap_or_default(),
                row.season_year
            ),
            product: row.code,
            zone: row.zone,
            wards: wards.remove(&row.id).unwrap_or_default(),
            policies: row.policies,
            evaluation: evaluations.remove(&row.id),
        })
        .collect())
}

async fn load_wards(
    conn: &mut PgConnection,
) -> Result<BTreeMap<uuid::Uuid, Vec<Ward>>, StoreError> {
    let rows = sqlx::query!(
        r#"-- report.load_wards
        select distinct policies.risk_id as "risk_id!", wards.code, wards.name
        from policies join plots on plots.id = policies.plot_id
        join wards on wards.code = plots.ward_code
        where policies.risk_id is not null order by wards.code"#,
    )
    .fetch_all(conn)
    .await?;
    let mut wards: BTreeMap<_, Vec<Ward>> = BTreeMap::new();
    for row in rows {
        wards.entry(row.risk_id).or_default().push(Ward {
            code: row.code,
            name: row.name,
        });
    }
    Ok(wards)
}

async fn load_evaluations(
    conn: &mut PgConnection,
) -> Result<BTreeMap<uuid::Uuid, EvaluationLine>, StoreError> {
    let rows = sqlx::query!(
        r#"-- report.load_evaluations
        select id, risk_id, state, observed, settlement, holds, policies, total_minor, cid,
               short_code, pinned_at, evaluated_at,
               (select count(*) from payouts where payouts.evaluation_id = evaluations.id)
                   as "payouts!"
        from evaluations order by id limit $1"#,
        RISKS_MAX,
    )
    .fetch_all(conn)
    .await?;
    let mut lines = BTreeMap::new();
    for row in rows {
        let observed: Observed = json(row.observed, "evaluations", "observed", row.id)?;
        let settlement: Settlement = json(row.settlement, "evaluations", "settlement", row.id)?;
        let rain_um = observed
            .phases
            .iter()
            .fold(0_i64, |sum, phase| sum.saturating_add(phase.rain_um));
        let points = |bp: BasisPoints| bp.to_string();
        lines.insert(
            row.risk_id,
            EvaluationLine {
                id: EvaluationId::from(row.id).to_string(),
                state: row.state,
                rain_um,
                rain: format_mm(rain_um),
                phases: observed.phases,
                weather: points(settlement.weather_bp),
                vegetation: settlement.vegetation_bp.map(points),
                damage_index: settlement.damage_index_bp.map(points),
                payout: points(settlement.share.basis_points()),
                share: settlement.share,
                confidence: observed.confidence,
                stations: observed.stations,
                holds: row.holds,
                policies: row.policies,
                payouts: row.payouts,
                total_minor: row.total_minor,
                cid: row.cid,
                short_code: row.short_code,
                pinned: row.pinned_at.is_some(),
                evaluated_at: row.evaluated_at,
            },
        );
    }
    Ok(lines)
}
