//! A healthy system breaks nothing, and each damage is noticed by its own invariant. Tests only;
//! run with the crate's.

use super::*;

/// Something that must not happen to a system.
type Damage = fn(&mut Facts);

fn id(n: u128) -> Uuid {
    Uuid::from_u128(n)
}

fn healthy() -> Facts {
    let window = "03-01..05-31"
        .parse::<crate::season::YearlessWindow>()
        .unwrap()
        .bind(2026)
        .unwrap();
    Facts {
        policies: vec![PolicyRow {
            id: id(1),
            state: PolicyState::Settled,
            sum_insured_minor: 1_000_000,
            premium_posted: true,
            window,
            activated_at: Some("2026-02-01T09:00:00Z".parse().unwrap()),
            risk_id: Some(id(2)),
        }],
        receipts: vec![ReceiptRow {
            id: id(3),
            state: ReceiptState::Accepted,
            posted_to_premiums_minor: 84_400,
            posted_to_suspense_minor: 0,
            next_check_at: None,
        }],
        payouts: vec![PayoutRow {
            id: id(4),
            policy_id: id(1),
            evaluation_id: id(5),
            state: PayoutState::Paid,
            amount_minor: 500_000,
            replayed_minor: 500_000,
        }],
        legs: vec![LegRow {
            id: id(6),
            payout_id: id(4),
            state: LegState::Paid,
            amount_minor: 500_000,
            next_check_at: None,
        }],
        risks: vec![RiskRow {
            id: id(2),
            has_policies: true,
            overdue: true,
            evaluations: 1,
            held_or_deferred: false,
        }],
        ledger: vec![LedgerRow {
            currency: "KES".to_owned(),
            debits_minor: 584_400,
            credits_minor: 584_400,
            utility_paid_minor: 500_000,
            collected_minor: 84_400,
        }],
        books: ProviderBooks {
            collected_minor: Some(84_400),
            disbursed_minor: Some(500_000),
        },
        ..Facts::default()
    }
}

#[test]
fn a_healthy_system_breaks_nothing() {
    assert_eq!(check(&healthy()), []);
}

/// One damage per invariant; each must be noticed by its own number.
#[test]
fn every_invariant_notices_its_own_breach() {
    let damages: Vec<(&str, Damage)> = vec![
        ("I1", |f| f.policies[0].activated_at = None),
        ("I2", |f| f.ledger[0].debits_minor += 1),
        ("I3", |f| {
            f.payouts.push(PayoutRow {
                id: id(9),
                ..f.payouts[0].clone()
            });
        }),
        ("I4", |f| f.policies[0].sum_insured_minor = 499_999),
        ("I5", |f| f.receipts[0].posted_to_premiums_minor = 0),
        ("I6", |f| f.policies[0].premium_posted = false),
        ("I7", |f| f.books.disbursed_minor = Some(500_001)),
        ("I8", |f| f.legs[0].state = LegState::Sent),
        ("I9", |f| f.risks[0].evaluations = 0),
        ("I10", |f| f.payouts[0].replayed_minor += 100),
        ("I11", |f| f.legs[0].amount_minor -= 100),
        ("I12", |f| f.capacity_out_of_bounds.push(id(7))),
        ("I13", |f| f.self_approved.push(id(8))),
        ("I14", |f| f.transfers_altered.push(id(9))),
    ];
    assert_eq!(damages.len(), INVARIANTS.len());
    for (number, damage) in damages {
        let mut facts = healthy();
        damage(&mut facts);
        let broken = check(&facts);
        assert!(
            broken.iter().any(|b| b.invariant == number),
            "{number}: {broken:?}"
        );
    }
}
