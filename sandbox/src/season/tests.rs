//! The close under tampering: a season in which everything agrees, and the same season with one
//! row of wallets, ledger or payouts altered. Never touches a server. Run by cargo.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::books::{Books, Wallets};
use super::close::{Expect, judge};
use super::report::Report;
use super::table::{self, Extras};

const ASHA: &str = "254720000000";
const BRIAN: &str = "254720000001";

/// Two farmers paid KES 844 each; one settled with KES 6,332, the other with nothing.
fn report() -> Value {
    json!({
        "farmers": 2,
        "policies": {"settled": 2},
        "premiums": {"posted_minor": 168_800, "currency": "KES"},
        "collected_minor": 168_800, "disbursed_minor": 633_200,
        "risks": [{"risk": "r", "state": "evaluated", "season": "MAM-1984", "product": "KE-MZ-PD-LR",
            "wards": [{"code": "0221", "name": "Karare"}], "policies": 2,
            "evaluation": {"id": "eva_1", "state": "approved", "rain": "162.12 mm",
                "weather": "63.32%", "payout": "63.32%", "confidence": 100, "stations": 2,
                "payouts": 1, "total_minor": 633_200, "cid": "bafk", "pinned": true}}],
        "payouts": {"planned": 1, "auto": 1, "paid": 1, "planned_minor": 633_200,
            "paid_minor": 633_200},
        "sms": [{"kind": "payout_paid", "state": "delivered", "count": 1}],
        "ledger": {"trial_balance": [{"currency": "KES", "debits_minor": 1, "credits_minor": 1,
            "difference_minor": 0}], "balanced": true, "pending_minor": 0},
        "invariants": {"checked": 12, "broken": 0, "names": [], "breaches": []}
    })
}

fn books() -> Books {
    let book = json!([
        {"entry": 1, "kind": "collect", "msisdn": ASHA, "amount_minor": 84_400, "reference": "D-1"},
        {"entry": 2, "kind": "collect", "msisdn": BRIAN, "amount_minor": 84_400, "reference": "D-2"},
        {"entry": 3, "kind": "disburse", "msisdn": ASHA, "amount_minor": 633_200, "reference": "MC1"}
    ]);
    let wallets: Wallets = serde_json::from_value(json!({
        "collected_minor": 168_800, "disbursed_minor": 633_200, "book": book,
        "phones": [{"msisdn": ASHA, "balance_minor": 2_000_000 - 84_400 + 633_200},
                   {"msisdn": BRIAN, "balance_minor": 2_000_000 - 84_400}]
    }))
    .unwrap();
    let inboxes = BTreeMap::from([
        (
            ASHA.to_owned(),
            vec!["MicroCrop: season over, ward 0221. Rain was 162 mm. You are paid KES 6,332 of KES \
                  10,000 by M-PESA, SG63."
                .to_owned()],
        ),
        (BRIAN.to_owned(), vec!["MicroCrop: msimu umeisha. Kwa hivyo hakuna fidia.".to_owned()]),
    ]);
    let counters = BTreeMap::from([("lost_replies".to_owned(), 3), ("repeats".to_owned(), 4)]);
    Books {
        wallets,
        inboxes,
        counters,
    }
}

fn read(report: Value) -> Report {
    serde_json::from_value(report).unwrap()
}

/// The lines of the closing table and whether the season came out right.
fn closed(report: Value, books: &Books, expect: Expect) -> (Vec<String>, bool) {
    let report = read(report);
    let verdict = judge(&report, books, expect);
    let extras = Extras {
        names_invariants: true,
        is_replay: true,
        kills: expect.kills,
    };
    (
        table::lines(&report, books, &verdict, extras),
        verdict.is_right(),
    )
}

#[test]
fn a_season_in_which_everything_agrees_is_right_and_says_so_in_the_agreed_lines() {
    let (lines, is_right) = closed(
        report(),
        &books(),
        Expect {
            kills: Some(2),
            ..Expect::default()
        },
    );
    assert!(is_right, "{lines:?}");
    for expected in [
        "trial balance: 0",
        "wallets = ledger: yes",
        "invariants: 12 checked, 0 broken",
        "payouts: planned 1, auto 1, approved 0, paid 1, refused 0, in doubt 0",
        "chaos: 2 kills, 3 lost replies, 4 repeats",
    ] {
        assert!(
            lines.iter().any(|line| line == expected),
            "{expected}: {lines:?}"
        );
    }
    let karare = lines
        .iter()
        .find(|line| line.starts_with("KARARE MAM-1984"))
        .unwrap();
    assert!(
        karare.contains("rain=162.12 mm") && karare.ends_with("payout=63.32%"),
        "{karare}"
    );
}

#[test]
fn one_altered_wallet_is_seen() {
    let mut books = books();
    books.wallets.phones[1].balance_minor += 100;
    let (lines, is_right) = closed(report(), &books, Expect::default());
    assert!(!is_right);
    assert!(
        lines.contains(&"wallets = ledger: no".to_owned()),
        "{lines:?}"
    );
    assert!(
        lines.iter().any(|line| line.contains("wallet ...001")),
        "{lines:?}"
    );
}

#[test]
fn one_altered_ledger_row_is_seen() {
    let mut altered = report();
    altered["collected_minor"] = json!(168_900);
    let (lines, is_right) = closed(altered, &books(), Expect::default());
    assert!(!is_right);
    assert!(
        lines.contains(&"wallets = ledger: no".to_owned()),
        "{lines:?}"
    );
    let mut lopsided = report();
    lopsided["ledger"]["balanced"] = json!(false);
    lopsided["ledger"]["trial_balance"][0]["difference_minor"] = json!(-100);
    let (lines, is_right) = closed(lopsided, &books(), Expect::default());
    assert!(!is_right);
    assert!(
        lines.contains(&"trial balance: 100".to_owned()),
        "{lines:?}"
    );
}

#[test]
fn one_altered_payout_is_seen() {
    let mut altered = report();
    altered["payouts"]["paid_minor"] = json!(633_300);
    let (lines, is_right) = closed(altered, &books(), Expect::default());
    assert!(!is_right);
    assert!(
        lines.contains(&"wallets = ledger: no".to_owned()),
        "{lines:?}"
    );
    let mut doubtful = report();
    doubtful["payouts"]["paid"] = json!(0);
    doubtful["payouts"]["in_doubt"] = json!(1);
    let (lines, is_right) = closed(doubtful, &books(), Expect::default());
    assert!(!is_right);
    assert!(
        lines.iter().any(|line| line.contains("payouts in doubt")),
        "{lines:?}"
    );
}

#[test]
fn a_broken_invariant_is_named_and_fails_the_season() {
    let mut altered = report();
    altered["invariants"] = json!({"checked": 12, "broken": 1,
        "names": [{"number": "I4", "statement": "a payout is at most the sum insured",
                   "held": false, "checked": true}],
        "breaches": [{"invariant": "I4", "subject": "pay_1", "fault": "12,000 of 10,000"}]});
    let (lines, is_right) = closed(altered, &books(), Expect::default());
    assert!(!is_right);
    assert!(lines.contains(&"invariants: 12 checked, 1 broken".to_owned()));
    assert!(
        lines
            .iter()
            .any(|line| line.contains("I4") && line.contains("BROKEN")),
        "{lines:?}"
    );
}

#[test]
fn a_payment_made_twice_is_seen_even_if_the_totals_agree() {
    let mut books = books();
    let twin = books.wallets.book[2].clone();
    books.wallets.book.push(twin);
    books.wallets.disbursed_minor += 633_200;
    books.wallets.phones[0].balance_minor += 633_200;
    let mut altered = report();
    altered["disbursed_minor"] = json!(1_266_400);
    altered["payouts"]["paid_minor"] = json!(1_266_400);
    let (lines, is_right) = closed(altered, &books, Expect::default());
    assert!(!is_right);
    assert!(
        lines
            .iter()
            .any(|line| line.contains("MC1 reached a wallet twice")),
        "{lines:?}"
    );
}

#[test]
fn a_farmer_who_was_not_told_is_seen() {
    let mut books = books();
    books.inboxes.insert(BRIAN.to_owned(), Vec::new());
    let (lines, is_right) = closed(report(), &books, Expect::default());
    assert!(!is_right);
    assert!(
        lines
            .iter()
            .any(|line| line.contains("1 farmers were told")),
        "{lines:?}"
    );
}

#[test]
fn a_drought_that_pays_nobody_by_two_people_is_not_what_was_asked_for() {
    let expect = Expect {
        must_release_both_ways: true,
        ..Expect::default()
    };
    let (lines, is_right) = closed(report(), &books(), expect);
    assert!(!is_right);
    assert!(
        lines
            .iter()
            .any(|line| line.contains("both by rule and by two people")),
        "{lines:?}"
    );
}
