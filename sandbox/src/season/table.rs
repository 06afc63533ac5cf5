//! The closing table, written for a person and for a reader of exact lines. Computes nothing but
//! sums of what it prints. Called by the stages after the verdict.

use std::collections::BTreeMap;

use super::books::Books;
use super::close::{Verdict, kes};
use super::report::{Report, Risk};

/// What else the table says.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Extras {
    /// Name every invariant.
    pub(crate) names_invariants: bool,
    /// One line a ward and season.
    pub(crate) is_replay: bool,
    /// Kills made, when there was chaos.
    pub(crate) kills: Option<u32>,
}

/// Every line of the table.
pub(crate) fn lines(
    report: &Report,
    books: &Books,
    verdict: &Verdict,
    extras: Extras,
) -> Vec<String> {
    let policies = &report.policies;
    let mut out = vec![
        String::new(),
        format!("farmers: {}", report.farmers),
        format!(
            "policies: settled {}, active {}, awaiting premium {}, lapsed {}, cancelled {}",
            policies.settled,
            policies.active,
            policies.awaiting_premium,
            policies.lapsed,
            policies.cancelled
        ),
        format!(
            "premiums: posted {}, in suspense {}",
            kes(report.premiums.posted_minor),
            kes(report.suspense_minor)
        ),
    ];
    out.extend(risks(report));
    if extras.is_replay {
        out.extend(replayed(report));
    }
    out.push(texts(report));
    out.push(format!(
        "wallets: collected {}, disbursed {}; ledger: collected {}, disbursed {}",
        kes(books.wallets.collected_minor),
        kes(books.wallets.disbursed_minor),
        kes(report.collected_minor),
        kes(report.disbursed_minor)
    ));
    out.extend(invariants(report, extras.names_invariants));
    let payouts = &report.payouts;
    out.push(format!("trial balance: {}", verdict.trial_balance_minor));
    out.push(format!(
        "wallets = ledger: {}",
        if verdict.are_wallets_equal {
            "yes"
        } else {
            "no"
        }
    ));
    out.push(format!(
        "invariants: {} checked, {} broken",
        report.invariants.checked, report.invariants.broken
    ));
    out.push(format!(
        "payouts: planned {}, auto {}, approved {}, paid {}, refused {}, in doubt {}",
        payouts.planned,
        payouts.auto,
        payouts.approved,
        payouts.paid,
        payouts.refused,
        payouts.in_doubt
    ));
    if let Some(kills) = extras.kills {
        let seen = |name: &str| books.counters.get(name).copied().unwrap_or(0);
        out.push(format!(
            "chaos: {kills} kills, {} lost replies, {} repeats",
            seen("lost_replies"),
            seen("repeats")
        ));
    }
    out.extend(
        verdict
            .faults
            .iter()
            .map(|fault| format!("unequal: {fault}")),
    );
    out
}

fn risks(report: &Report) -> Vec<String> {
    let mut rows = vec![format!(
        "{:<24} {:<13} {:>8} {:>12} {:>8} {:>8} {:>8} {:>5} {:>7} {:>16}",
        "ward", "product", "policies", "rain", "W", "DI", "payout", "conf", "payouts", "total"
    )];
    let mut shown: Vec<&Risk> = report.risks.iter().collect();
    shown.sort_by_key(|risk| (ward_name(risk), risk.product.clone()));
    for risk in shown {
        let Some(evaluation) = &risk.evaluation else {
            rows.push(format!(
                "{:<24} {:<13} {:>8} {}",
                ward_name(risk),
                risk.product,
                risk.policies,
                risk.state
            ));
            continue;
        };
        rows.push(format!(
            "{:<24} {:<13} {:>8} {:>12} {:>8} {:>8} {:>8} {:>5} {:>7} {:>16}",
            ward_name(risk),
            risk.product,
            risk.policies,
            evaluation.rain,
            evaluation.weather,
            evaluation.damage_index.as_deref().unwrap_or("-"),
            evaluation.payout,
            evaluation.confidence,
            evaluation.payouts,
            kes(evaluation.total_minor)
        ));
    }
    rows
}

fn ward_name(risk: &Risk) -> String {
    risk.wards
        .iter()
        .map(|ward| format!("{} {}", ward.code, ward.name))
        .collect::<Vec<_>>()
        .join(", ")
}

/// One line a ward and season, ending with the share paid.
fn replayed(report: &Report) -> Vec<String> {
    let mut rows = Vec::new();
    for risk in &report.risks {
        for ward in &risk.wards {
            let name = ward.name.to_uppercase();
            rows.push(match &risk.evaluation {
                Some(evaluation) => format!(
                    "{name} {} rain={} policies={} stations={} confidence={} payouts={} payout={}",
                    risk.season,
                    evaluation.rain,
                    risk.policies,
                    evaluation.stations,
                    evaluation.confidence,
                    evaluation.payouts,
                    evaluation.payout
                ),
                None => format!("{name} {} undecided ({})", risk.season, risk.state),
            });
        }
    }
    rows.sort();
    rows
}

fn texts(report: &Report) -> String {
    let mut by_kind: BTreeMap<&str, BTreeMap<&str, i64>> = BTreeMap::new();
    for row in &report.sms {
        *by_kind
            .entry(&row.kind)
            .or_default()
            .entry(&row.state)
            .or_default() += row.count;
    }
    let kinds: Vec<String> = by_kind
        .into_iter()
        .map(|(kind, states)| {
            let states: Vec<String> = states
                .into_iter()
                .map(|(state, count)| format!("{count} {state}"))
                .collect();
            format!("{kind} {}", states.join(" + "))
        })
        .collect();
    format!(
        "sms: {}",
        if kinds.is_empty() {
            "none".to_owned()
        } else {
            kinds.join(", ")
        }
    )
}

fn invariants(report: &Report, names_all: bool) -> Vec<String> {
    report
        .invariants
        .names
        .iter()
        .filter(|invariant| names_all || !invariant.held)
        .map(|invariant| {
            let state = match (invariant.checked, invariant.held) {
                (false, _) => "not checked",
                (true, true) => "held",
                (true, false) => "BROKEN",
            };
            format!("  {} {}: {state}", invariant.number, invariant.statement)
        })
        .collect()
}
