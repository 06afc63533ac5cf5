//! The close: compares what the system says about itself with the outside world's own books, and
//! says everything that is unequal. A pure function of both; never repairs, rounds or forgives.
//! Called by the stages, by the close alone, and by tests that tamper with its inputs.

use std::collections::{BTreeMap, BTreeSet};

use super::books::{Books, Kind};
use super::plan::OPENING_KES;
use super::report::Report;

/// What this season must have shown.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Expect {
    /// Payouts released by rule, by two people, and paid: each at least one.
    pub(crate) must_release_both_ways: bool,
    /// At least one payout paid.
    pub(crate) must_pay: bool,
    /// Farmers whose payment makes a policy; `None` when unknown.
    pub(crate) covered: Option<i64>,
    /// Policies whose prompt nobody ever answered; `None` when unknown.
    pub(crate) awaiting: Option<i64>,
    /// Kills made, when there was chaos.
    pub(crate) kills: Option<u32>,
}

/// The outcome.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// Sum over currencies of what debits and credits differ by, cents.
    pub(crate) trial_balance_minor: i64,
    /// Whether wallets, ledger and payouts agree.
    pub(crate) are_wallets_equal: bool,
    /// Everything that is wrong, in words.
    pub(crate) faults: Vec<String>,
}

impl Verdict {
    pub(crate) fn is_right(&self) -> bool {
        self.faults.is_empty()
    }
}

/// Judges a season.
pub(crate) fn judge(report: &Report, books: &Books, expect: Expect) -> Verdict {
    let trial_balance_minor = report
        .ledger
        .trial_balance
        .iter()
        .map(|row| row.difference_minor.abs())
        .sum();
    let mut faults = Vec::new();
    if trial_balance_minor != 0 || !report.ledger.balanced {
        faults.push(format!(
            "ledger: debits and credits differ by {trial_balance_minor} cents"
        ));
    }
    let unequal = compare_money(report, books);
    let are_wallets_equal = unequal.is_empty();
    faults.extend(unequal);
    faults.extend(broken(report));
    faults.extend(unfinished(report));
    faults.extend(untold(report, books));
    faults.extend(unmet(report, books, expect));
    Verdict {
        trial_balance_minor,
        are_wallets_equal,
        faults,
    }
}

/// Wallets against ledger and payouts: totals, each wallet by the book, each payment once.
fn compare_money(report: &Report, books: &Books) -> Vec<String> {
    let mut faults = Vec::new();
    let mut equal = |what: &str, ours: i64, theirs: i64| {
        if ours != theirs {
            faults.push(format!("{what}: {} and {}", kes(ours), kes(theirs)));
        }
    };
    let of = |kind: Kind| {
        books
            .wallets
            .book
            .iter()
            .filter(move |entry| entry.kind == kind)
    };
    let sum = |kind: Kind| of(kind).map(|entry| entry.amount_minor).sum::<i64>();
    equal(
        "collected, by ledger and wallets",
        report.collected_minor,
        books.wallets.collected_minor,
    );
    equal(
        "disbursed, by ledger and wallets",
        report.disbursed_minor,
        books.wallets.disbursed_minor,
    );
    equal(
        "collected, by total and book",
        books.wallets.collected_minor,
        sum(Kind::Collect),
    );
    equal(
        "disbursed, by total and book",
        books.wallets.disbursed_minor,
        sum(Kind::Disburse),
    );
    equal(
        "paid payouts and money that reached wallets",
        report.payouts.paid_minor,
        sum(Kind::Disburse),
    );
    let mut balances: BTreeMap<&str, i64> = BTreeMap::new();
    for entry in &books.wallets.book {
        let signed = match entry.kind {
            Kind::Collect => -entry.amount_minor,
            Kind::Disburse => entry.amount_minor,
        };
        *balances.entry(&entry.msisdn).or_default() += signed;
    }
    for wallet in &books.wallets.phones {
        let moved = balances.get(wallet.msisdn.as_str()).copied().unwrap_or(0);
        let what = format!("wallet {}, by balance and book", masked(&wallet.msisdn));
        equal(&what, wallet.balance_minor, OPENING_KES * 100 + moved);
    }
    let mut seen = BTreeSet::new();
    for entry in of(Kind::Disburse) {
        if !seen.insert(entry.reference.as_str()) {
            faults.push(format!(
                "payment {} reached a wallet twice",
                entry.reference
            ));
        }
    }
    let payments = count(seen.len());
    if payments != report.payouts.paid {
        let paid = report.payouts.paid;
        faults.push(format!(
            "{paid} payouts are paid, but {payments} payments reached wallets"
        ));
    }
    faults
}

fn broken(report: &Report) -> Vec<String> {
    let mut faults: Vec<String> = report
        .invariants
        .breaches
        .iter()
        .map(|b| {
            format!(
                "invariant {} broken: {} {}",
                b.invariant, b.subject, b.fault
            )
        })
        .collect();
    if report.invariants.broken > 0 && faults.is_empty() {
        faults.push(format!("{} invariants broken", report.invariants.broken));
    }
    if report.invariants.checked == 0 {
        faults.push("no invariant was checked".to_owned());
    }
    faults
}

/// What a closed season must not leave behind.
fn unfinished(report: &Report) -> Vec<String> {
    let payouts = &report.payouts;
    let mut faults: Vec<String> = [
        ("policies still active", report.policies.active),
        ("payouts held", payouts.held),
        ("payouts in doubt", payouts.in_doubt.max(payouts.sent)),
        ("cents pending in the ledger", report.ledger.pending_minor),
    ]
    .into_iter()
    .filter(|(_, count)| *count != 0)
    .map(|(what, count)| format!("{count} {what}"))
    .collect();
    let released = payouts.auto + payouts.approved;
    if payouts.planned != released || released != payouts.paid + payouts.refused {
        faults.push(format!(
            "payouts: planned {}, released {released}, paid or refused {}",
            payouts.planned,
            payouts.paid + payouts.refused
        ));
    }
    for risk in report.risks.iter().filter(|risk| risk.policies > 0) {
        let ward = risk.wards.first().map_or("?", |ward| ward.code.as_str());
        match &risk.evaluation {
            None => faults.push(format!(
                "risk {} in ward {ward} is {}",
                risk.product, risk.state
            )),
            Some(evaluation) if evaluation.cid.is_none() => {
                faults.push(format!("{} has no evidence bundle", evaluation.id));
            }
            Some(evaluation) if !evaluation.pinned => {
                faults.push(format!("the evidence of {} is not pinned", evaluation.id));
            }
            Some(_) => {}
        }
    }
    faults
}

/// Every farmer of a settled policy was told, paid or unpaid, and what she was told is what came.
fn untold(report: &Report, books: &Books) -> Vec<String> {
    let mut faults = Vec::new();
    let mut told = 0_usize;
    for (msisdn, texts) in &books.inboxes {
        let told_of_season: BTreeSet<&str> = texts
            .iter()
            .map(String::as_str)
            .filter(|text| is_season_text(text))
            .collect();
        told += usize::from(!told_of_season.is_empty());
        let came = books.disbursed_to(msisdn);
        let said: i64 = told_of_season
            .iter()
            .filter_map(|text| paid_minor(text))
            .sum();
        if said != came {
            faults.push(format!(
                "phone {} was told of {} and got {}",
                masked(msisdn),
                kes(said),
                kes(came)
            ));
        }
    }
    if count(told) != report.policies.settled {
        faults.push(format!(
            "{} policies are settled, but {told} farmers were told so",
            report.policies.settled
        ));
    }
    faults
}

/// What this season should have shown and did not.
fn unmet(report: &Report, books: &Books, expect: Expect) -> Vec<String> {
    let payouts = &report.payouts;
    let mut faults = Vec::new();
    if expect.must_release_both_ways && (payouts.auto == 0 || payouts.approved == 0) {
        faults.push(format!(
            "payouts must be released both by rule and by two people, not {} and {}",
            payouts.auto, payouts.approved
        ));
    }
    if (expect.must_pay || expect.must_release_both_ways) && payouts.paid == 0 {
        faults.push("nobody was paid".to_owned());
    }
    if let Some(covered) = expect
        .covered
        .filter(|covered| *covered != report.policies.settled)
    {
        let settled = report.policies.settled;
        faults.push(format!(
            "{covered} farmers paid in time, but {settled} policies are settled"
        ));
    }
    if let Some(awaiting) = expect
        .awaiting
        .filter(|n| *n != report.policies.awaiting_premium)
    {
        let found = report.policies.awaiting_premium;
        faults.push(format!(
            "{awaiting} prompts were left unanswered, but {found} policies wait"
        ));
    }
    if let Some(kills) = expect.kills {
        let seen = |name: &str| books.counters.get(name).copied().unwrap_or(0);
        for (what, number) in [
            ("process was killed", u64::from(kills)),
            ("reply was lost", seen("lost_replies")),
            ("callback was repeated", seen("repeats")),
        ] {
            if number == 0 {
                faults.push(format!("chaos: no {what}"));
            }
        }
    }
    faults
}

/// Whether a text closes the season, in either language.
fn is_season_text(text: &str) -> bool {
    text.contains("season over") || text.contains("msimu umeisha")
}

/// Cents a text says were paid; `None` when it says that nothing is.
fn paid_minor(text: &str) -> Option<i64> {
    let rest = ["You are paid KES ", "Umelipwa KES "]
        .iter()
        .find_map(|words| text.split_once(words).map(|(_, rest)| rest))?;
    let number: String = rest
        .chars()
        .take_while(|c| c.is_ascii_digit() || *c == ',')
        .filter(|c| *c != ',')
        .collect();
    number.parse::<i64>().ok()?.checked_mul(100)
}

/// A number of things as the report counts them.
fn count(things: usize) -> i64 {
    i64::try_from(things).unwrap_or(i64::MAX)
}

/// An amount in shillings.
pub(super) fn kes(minor: i64) -> String {
    let sign = if minor < 0 { "-" } else { "" };
    let (whole, cents) = (minor.unsigned_abs() / 100, minor.unsigned_abs() % 100);
    let whole = domain::money::grouped(whole);
    if cents == 0 {
        format!("KES {sign}{whole}")
    } else {
        format!("KES {sign}{whole}.{cents:02}")
    }
}

/// A number by its last three digits.
fn masked(msisdn: &str) -> String {
    let tail: String = msisdn.chars().skip(9).collect();
    format!("...{tail}")
}
