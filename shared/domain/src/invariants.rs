//! What must hold of the whole system at any moment, numbered, as pure checks over plain rows.
//! The simulation runs them after each operation, the demo at its end, and production every hour.
//! Never repairs anything: a broken invariant is reported with the row that breaks it.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::payout::{LegState, PayoutState};
use crate::policy::PolicyState;
use crate::premium::ReceiptState;
use crate::season::Window;

/// A policy, as far as the invariants look at it.
#[derive(Debug, Clone)]
pub struct PolicyRow {
    /// Id.
    pub id: Uuid,
    /// State.
    pub state: PolicyState,
    /// Sum insured, minor units.
    pub sum_insured_minor: i64,
    /// Whether its premium stands posted in the ledger.
    pub premium_posted: bool,
    /// Days covered.
    pub window: Window,
    /// When it went on risk.
    pub activated_at: Option<DateTime<Utc>>,
    /// Risk it belongs to.
    pub risk_id: Option<Uuid>,
}

/// A receipt.
#[derive(Debug, Clone)]
pub struct ReceiptRow {
    /// Id.
    pub id: Uuid,
    /// State.
    pub state: ReceiptState,
    /// Net posted to premiums for it, minor units.
    pub posted_to_premiums_minor: i64,
    /// Net posted to suspense for it, minor units.
    pub posted_to_suspense_minor: i64,
    /// When it is looked at again.
    pub next_check_at: Option<DateTime<Utc>>,
}

/// A payout.
#[derive(Debug, Clone)]
pub struct PayoutRow {
    /// Id.
    pub id: Uuid,
    /// Policy it belongs to.
    pub policy_id: Uuid,
    /// Evaluation it follows from.
    pub evaluation_id: Uuid,
    /// State.
    pub state: PayoutState,
    /// Amount, minor units.
    pub amount_minor: i64,
    /// What replaying the evaluation gives for the policy's sum insured, minor units.
    pub replayed_minor: i64,
}

/// A leg of a payout.
#[derive(Debug, Clone)]
pub struct LegRow {
    /// Id.
    pub id: Uuid,
    /// Payout it is part of.
    pub payout_id: Uuid,
    /// State.
    pub state: LegState,
    /// Amount, minor units.
    pub amount_minor: i64,
    /// When it is looked at again.
    pub next_check_at: Option<DateTime<Utc>>,
}

/// A closed risk.
#[derive(Debug, Clone)]
pub struct RiskRow {
    /// Id.
    pub id: Uuid,
    /// Whether it has policies that were on risk.
    pub has_policies: bool,
    /// Whether its window and the days allowed for deciding have passed.
    pub overdue: bool,
    /// Number of evaluations.
    pub evaluations: u32,
    /// Whether it is recorded as waiting for people.
    pub held_or_deferred: bool,
}

/// One currency's ledger, posted entries only.
#[derive(Debug, Clone)]
pub struct LedgerRow {
    /// Currency code.
    pub currency: String,
    /// Sum of debits, minor units.
    pub debits_minor: i64,
    /// Sum of credits, minor units.
    pub credits_minor: i64,
    /// Net credit of the M-Pesa utility account, minor units: what we say we paid.
    pub utility_paid_minor: i64,
    /// Net debit of Swypt clearing, minor units: what we say was collected.
    pub collected_minor: i64,
}

/// What the providers' own books say, where they can be asked.
#[derive(Debug, Clone, Copy, Default)]
pub struct ProviderBooks {
    /// Collected from farmers, minor units.
    pub collected_minor: Option<i64>,
    /// Paid to farmers, minor units.
    pub disbursed_minor: Option<i64>,
}

/// Everything the checks look at.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// Policies.
    pub policies: Vec<PolicyRow>,
    /// Receipts.
    pub receipts: Vec<ReceiptRow>,
    /// Payouts.
    pub payouts: Vec<PayoutRow>,
    /// Legs.
    pub legs: Vec<LegRow>,
    /// Risks.
    pub risks: Vec<RiskRow>,
    /// Ledger per currency.
    pub ledger: Vec<LedgerRow>,
    /// Capacity rows whose reserved or bound exceed the limit or fall below zero.
    pub capacity_out_of_bounds: Vec<Uuid>,
    /// Held evaluations released by one and the same person as maker and checker.
    pub self_approved: Vec<Uuid>,
    /// Ledger transfers whose entries say something else.
    pub transfers_altered: Vec<Uuid>,
    /// Providers' books; compared only at rest, when nothing is in flight.
    pub books: ProviderBooks,
}

/// One breach.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Breach {
    /// Number of the invariant, `I1`….
    pub invariant: String,
    /// The row that breaks it.
    pub subject: String,
    /// What is wrong, in words.
    pub fault: String,
}

type Check = fn(&Facts) -> Vec<(String, String)>;

/// Every invariant: number, statement, check.
pub const INVARIANTS: &[(&str, &str, Check)] = &[
    (
        "I1",
        "a payout's policy was on risk before its window closed",
        payout_needs_cover,
    ),
    (
        "I2",
        "debits equal credits in every currency",
        debits_equal_credits,
    ),
    (
        "I3",
        "a policy has at most one payout per evaluation that is not refused",
        one_payout,
    ),
    (
        "I4",
        "a policy's payouts do not exceed its sum insured",
        payout_within_sum_insured,
    ),
    (
        "I5",
        "collected money is in exactly one of premiums and suspense",
        receipt_in_one_place,
    ),
    (
        "I6",
        "a policy is on risk exactly when its premium is posted",
        active_means_posted,
    ),
    (
        "I7",
        "the rails' books equal the ledger",
        books_equal_ledger,
    ),
    (
        "I8",
        "whatever is with a rail has a next check",
        sent_has_next_check,
    ),
    (
        "I9",
        "a window that passed is evaluated once or waits for people",
        closed_is_evaluated,
    ),
    (
        "I10",
        "an evaluation replays to the payouts it planned",
        payouts_replay,
    ),
    ("I11", "legs add up to their payout", legs_add_up),
    (
        "I12",
        "capacity stays between nothing and its limit",
        capacity_in_bounds,
    ),
    (
        "I13",
        "nobody releases alone what two must release",
        two_people,
    ),
    (
        "I14",
        "a ledger transfer and its entries say the same",
        entries_agree,
    ),
];

/// Runs every invariant.
#[must_use]
pub fn check(facts: &Facts) -> Vec<Breach> {
    INVARIANTS
        .iter()
        .flat_map(|(number, _, check)| {
            check(facts).into_iter().map(|(subject, fault)| Breach {
                invariant: (*number).to_owned(),
                subject,
                fault,
            })
        })
        .collect()
}

fn payout_needs_cover(facts: &Facts) -> Vec<(String, String)> {
    let policies: BTreeMap<_, _> = facts.policies.iter().map(|p| (p.id, p)).collect();
    facts
        .payouts
        .iter()
        .filter(|payout| {
            !policies.get(&payout.policy_id).is_some_and(|policy| {
                matches!(policy.state, PolicyState::Active | PolicyState::Settled)
                    && policy
                        .activated_at
                        .is_some_and(|at| at < policy.window.closes_at())
            })
        })
        .map(|p| {
            (
                p.id.to_string(),
                "its policy was not on risk in the window".to_owned(),
            )
        })
        .collect()
}

fn debits_equal_credits(facts: &Facts) -> Vec<(String, String)> {
    facts
        .ledger
        .iter()
        .filter(|row| row.debits_minor != row.credits_minor)
        .map(|row| {
            let fault = format!("debits {} credits {}", row.debits_minor, row.credits_minor);
            (row.currency.clone(), fault)
        })
        .collect()
}

fn one_payout(facts: &Facts) -> Vec<(String, String)> {
    let mut seen = BTreeSet::new();
    facts
        .payouts
        .iter()
        .filter(|p| p.state != PayoutState::Refused)
        .filter(|p| !seen.insert((p.policy_id, p.evaluation_id)))
        .map(|p| {
            (
                p.id.to_string(),
                "a second payout for the same evaluation".to_owned(),
            )
        })
        .collect()
}

fn payout_within_sum_insured(facts: &Facts) -> Vec<(String, String)> {
    let mut totals: BTreeMap<Uuid, i64> = BTreeMap::new();
    for payout in facts
        .payouts
        .iter()
        .filter(|p| p.state != PayoutState::Refused)
    {
        let total = totals.entry(payout.policy_id).or_default();
        *total = total.saturating_add(payout.amount_minor);
    }
    facts
        .policies
        .iter()
        .filter(|p| {
            totals
                .get(&p.id)
                .is_some_and(|total| *total > p.sum_insured_minor)
        })
        .map(|p| {
            (
                p.id.to_string(),
                "payouts exceed the sum insured".to_owned(),
            )
        })
        .collect()
}

fn receipt_in_one_place(facts: &Facts) -> Vec<(String, String)> {
    facts
        .receipts
        .iter()
        .filter(|r| match r.state {
            ReceiptState::Accepted => r.posted_to_premiums_minor <= 0,
            ReceiptState::Suspended => {
                r.posted_to_premiums_minor != 0 || r.posted_to_suspense_minor <= 0
            }
            _ => r.posted_to_premiums_minor != 0,
        })
        .map(|r| {
            let fault = format!(
                "state {} but premiums {} suspense {}",
                r.state.as_str(),
                r.posted_to_premiums_minor,
                r.posted_to_suspense_minor
            );
            (r.id.to_string(), fault)
        })
        .collect()
}

fn active_means_posted(facts: &Facts) -> Vec<(String, String)> {
    facts
        .policies
        .iter()
        .filter(|p| {
            let on_risk = matches!(p.state, PolicyState::Active | PolicyState::Settled);
            on_risk != p.premium_posted && p.state != PolicyState::Cancelled
        })
        .map(|p| {
            let fault = format!(
                "state {} premium posted {}",
                p.state.as_str(),
                p.premium_posted
            );
            (p.id.to_string(), fault)
        })
        .collect()
}

fn books_equal_ledger(facts: &Facts) -> Vec<(String, String)> {
    let Some(kes) = facts.ledger.iter().find(|row| row.currency == "KES") else {
        return Vec::new();
    };
    let pairs = [
        (
            "collected",
            facts.books.collected_minor,
            kes.collected_minor,
        ),
        (
            "disbursed",
            facts.books.disbursed_minor,
            kes.utility_paid_minor,
        ),
    ];
    pairs
        .into_iter()
        .filter_map(|(name, book, ledger)| match book {
            Some(book) if book != ledger => {
                Some((name.to_owned(), format!("rail {book} ledger {ledger}")))
            }
            _ => None,
        })
        .collect()
}

fn sent_has_next_check(facts: &Facts) -> Vec<(String, String)> {
    let legs = facts
        .legs
        .iter()
        .filter(|l| l.state == LegState::Sent && l.next_check_at.is_none())
        .map(|l| {
            (
                l.id.to_string(),
                "leg is sent and never looked at again".to_owned(),
            )
        });
    let receipts = facts
        .receipts
        .iter()
        .filter(|r| r.state == ReceiptState::Sent && r.next_check_at.is_none())
        .map(|r| {
            (
                r.id.to_string(),
                "receipt is sent and never looked at again".to_owned(),
            )
        });
    legs.chain(receipts).collect()
}

fn closed_is_evaluated(facts: &Facts) -> Vec<(String, String)> {
    facts
        .risks
        .iter()
        .filter(|r| {
            r.evaluations > 1
                || (r.has_policies && r.overdue && r.evaluations == 0 && !r.held_or_deferred)
        })
        .map(|r| (r.id.to_string(), format!("{} evaluations", r.evaluations)))
        .collect()
}

fn payouts_replay(facts: &Facts) -> Vec<(String, String)> {
    facts
        .payouts
        .iter()
        .filter(|p| p.amount_minor != p.replayed_minor)
        .map(|p| {
            let fault = format!("planned {} replays to {}", p.amount_minor, p.replayed_minor);
            (p.id.to_string(), fault)
        })
        .collect()
}

fn legs_add_up(facts: &Facts) -> Vec<(String, String)> {
    let mut totals: BTreeMap<Uuid, i64> = BTreeMap::new();
    for leg in &facts.legs {
        let total = totals.entry(leg.payout_id).or_default();
        *total = total.saturating_add(leg.amount_minor);
    }
    facts
        .payouts
        .iter()
        .filter(|p| p.state != PayoutState::Refused)
        .filter(|p| totals.get(&p.id).copied().unwrap_or(0) != p.amount_minor)
        .map(|p| {
            (
                p.id.to_string(),
                "legs do not add up to the payout".to_owned(),
            )
        })
        .collect()
}

fn capacity_in_bounds(facts: &Facts) -> Vec<(String, String)> {
    facts
        .capacity_out_of_bounds
        .iter()
        .map(|id| {
            (
                id.to_string(),
                "reserved and bound exceed the limit".to_owned(),
            )
        })
        .collect()
}

fn two_people(facts: &Facts) -> Vec<(String, String)> {
    facts
        .self_approved
        .iter()
        .map(|id| {
            (
                id.to_string(),
                "maker and checker are the same operator".to_owned(),
            )
        })
        .collect()
}

fn entries_agree(facts: &Facts) -> Vec<(String, String)> {
    let altered = facts.transfers_altered.iter();
    altered
        .map(|id| (id.to_string(), "its entries differ from it".to_owned()))
        .collect()
}

#[cfg(test)]
mod tests;
