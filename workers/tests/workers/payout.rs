//! Sending payouts through a pretend rail, on a real database: one disbursement whatever dies in
//! between, doubt ended by asking alone, and a ledger and invariants that notice tampering.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use chrono::TimeDelta;
use domain::invariants::ProviderBooks;
use domain::payout::ENQUIRE_AFTER_MINUTES;
use sandbox::Rates;
use sqlx::PgPool;
use store::fixtures::Plan;
use store::legs::{self, NeedsPerson};
use store::{facts, report};
use workers::payout::Step;

use crate::support::season::House;

/// When an unanswered leg is due to be looked at.
const LATER: TimeDelta = TimeDelta::minutes(ENQUIRE_AFTER_MINUTES);

async fn one_payout(pool: PgPool) -> House {
    let house = House::new(
        pool,
        Plan {
            policies: 1,
            ..Plan::default()
        },
    )
    .await;
    house.settle().await;
    house
}

async fn state(house: &House) -> (String, String) {
    let payout = house
        .text("select state from payouts order by id limit 1")
        .await;
    let leg = house
        .text("select state from payout_legs order by id limit 1")
        .await;
    (payout, leg)
}

#[sqlx::test(migrations = "../migrations")]
async fn a_released_payout_is_sent_once_however_often_the_bell_rings(pool: PgPool) {
    let house = one_payout(pool).await;
    let leg = house.leg().await;
    assert_eq!(house.payouts.send_leg(leg).await, Ok(Step::Acknowledged));
    assert_eq!(house.payouts.send_leg(leg).await, Ok(Step::Nothing));
    assert_eq!(house.payouts.check(leg).await, Ok(Step::Nothing));
    assert_eq!(state(&house).await, ("sent".to_owned(), "sent".to_owned()));
    house.pass(LATER).await;
    assert_eq!(house.disbursements(), 1);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_death_before_the_call_is_made_good_by_the_same_leg(pool: PgPool) {
    let house = one_payout(pool).await;
    let leg = house.leg().await;
    house.payouts.begin_sending(leg).await.unwrap().unwrap();
    // dies here: recorded as sent, never posted
    assert_eq!(house.payouts.check(leg).await, Ok(Step::Nothing));
    house.pass(LATER).await;
    assert_eq!(house.disbursements(), 0);
    assert_eq!(house.payouts.check(leg).await, Ok(Step::Acknowledged));
    house.pass(LATER).await;
    assert_eq!(house.disbursements(), 1);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_death_after_the_call_pays_once_and_asks(pool: PgPool) {
    let house = one_payout(pool).await;
    let leg = house.leg().await;
    let posting = house.payouts.begin_sending(leg).await.unwrap().unwrap();
    house.payouts.post(&posting).await.unwrap();
    // dies here: the acknowledgement is lost with the process
    house.pass(LATER).await;
    assert_eq!(house.payouts.check(leg).await, Ok(Step::Asked));
    house.pass(LATER).await;
    assert_eq!(house.disbursements(), 1);
    // only a callback, believed by the backend, ends it
    assert_eq!(state(&house).await, ("sent".to_owned(), "sent".to_owned()));
}

#[sqlx::test(migrations = "../migrations")]
async fn a_lost_reply_leaves_doubt_and_one_disbursement(pool: PgPool) {
    let house = one_payout(pool).await;
    let leg = house.leg().await;
    let posting = house.payouts.begin_sending(leg).await.unwrap().unwrap();
    // a first call fetches the token, so that the fault meets the payment
    house.payouts.post(&posting).await.unwrap();
    house
        .world
        .set_faults(
            Some(3),
            Rates {
                lost_reply: 1.0,
                ..Rates::default()
            },
        )
        .unwrap();
    let answer = house.payouts.post(&posting).await;
    assert!(answer.as_ref().unwrap_err().is_in_doubt(), "{answer:?}");
    assert_eq!(
        house.payouts.record_answer(&posting, answer).await,
        Ok(Step::InDoubt)
    );
    house.world.set_faults(Some(3), Rates::default()).unwrap();
    house.pass(LATER).await;
    assert_eq!(house.payouts.check(leg).await, Ok(Step::Asked));
    house.pass(LATER).await;
    assert_eq!(house.disbursements(), 1);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_rail_that_cannot_be_reached_provably_took_nothing(pool: PgPool) {
    let house = one_payout(pool).await;
    let leg = house.leg().await;
    assert_eq!(
        house.payouts_to_nowhere().send_leg(leg).await,
        Ok(Step::NotTaken)
    );
    assert_eq!(
        state(&house).await,
        ("approved".to_owned(), "planned".to_owned())
    );
    assert_eq!(house.payouts.check(leg).await, Ok(Step::Nothing));
    house.pass(TimeDelta::minutes(1)).await;
    assert_eq!(house.payouts.check(leg).await, Ok(Step::Acknowledged));
}

#[sqlx::test(migrations = "../migrations")]
async fn a_second_posting_that_fails_proves_nothing_about_the_first(pool: PgPool) {
    let house = one_payout(pool).await;
    let leg = house.leg().await;
    let posting = house.payouts.begin_sending(leg).await.unwrap().unwrap();
    house.payouts.post(&posting).await.unwrap();
    house.pass(LATER).await;
    assert_eq!(
        house.payouts_to_nowhere().check(leg).await,
        Ok(Step::InDoubt)
    );
    assert_eq!(state(&house).await, ("sent".to_owned(), "sent".to_owned()));
}

#[sqlx::test(migrations = "../migrations")]
async fn sending_waits_while_a_person_is_needed_for_our_account(pool: PgPool) {
    let house = House::new(
        pool,
        Plan {
            policies: 2,
            ..Plan::default()
        },
    )
    .await;
    house.settle().await;
    let mut conn = house.context.pool.acquire().await.unwrap();
    let first = house.leg().await;
    legs::flag(&mut conn, first, NeedsPerson::SendingPaused)
        .await
        .unwrap();
    assert_eq!(house.payouts.send_leg(first).await, Ok(Step::Paused));
    legs::unflag(&mut conn, first).await.unwrap();
    assert_eq!(house.payouts.send_leg(first).await, Ok(Step::Nothing));
    house.pass(TimeDelta::minutes(10)).await;
    assert_eq!(house.payouts.send_leg(first).await, Ok(Step::Acknowledged));
}

#[sqlx::test(migrations = "../migrations")]
async fn a_day_of_doubt_goes_to_a_person_and_never_to_a_second_payment(pool: PgPool) {
    let house = one_payout(pool).await;
    let leg = house.leg().await;
    house.payouts.send_leg(leg).await.unwrap();
    for _ in 0..30 {
        house.pass(TimeDelta::hours(1)).await;
        assert_eq!(house.payouts.check(leg).await, Ok(Step::Asked));
    }
    assert_eq!(
        house.text("select needs_person from payout_legs").await,
        "doubt"
    );
    assert_eq!(state(&house).await, ("sent".to_owned(), "sent".to_owned()));
    assert_eq!(house.disbursements(), 1);
    assert_eq!(house.count("select count(*) from payout_legs").await, 1);
}

async fn broken(house: &House) -> Vec<String> {
    let books = ProviderBooks {
        collected_minor: Some(3 * 84_400),
        disbursed_minor: Some(0),
    };
    let mut tx = house.context.pool.begin().await.unwrap();
    facts::snapshot(&mut tx).await.unwrap();
    let facts = facts::load(&mut tx, house.now(), books).await.unwrap();
    let checked = facts::check(&facts);
    assert_eq!(checked.checked, checked.names.len());
    checked
        .names
        .iter()
        .filter(|line| !line.held)
        .map(|line| line.number.to_owned())
        .collect()
}

#[sqlx::test(migrations = "../migrations")]
async fn a_changed_row_is_noticed_by_its_own_invariant(pool: PgPool) {
    let house = House::new(pool, Plan::default()).await;
    house.settle().await;
    assert_eq!(broken(&house).await, Vec::<String>::new());
    for (harm, mend, noticed) in [
        (
            "set session_replication_role = replica;
             update ledger_entries set amount_minor = amount_minor + 1 where side = 'credit';
             set session_replication_role = origin;",
            "set session_replication_role = replica;
             update ledger_entries set amount_minor = amount_minor - 1 where side = 'credit';
             set session_replication_role = origin;",
            "I2",
        ),
        (
            "set session_replication_role = replica;
             update ledger_transfers set amount_minor = amount_minor + 1 where kind = 'posted';
             set session_replication_role = origin;",
            "set session_replication_role = replica;
             update ledger_transfers set amount_minor = amount_minor - 1 where kind = 'posted';
             set session_replication_role = origin;",
            "I14",
        ),
        (
            "update payouts set amount_minor = amount_minor + 100;
             update payout_legs set amount_minor = amount_minor + 100;",
            "update payouts set amount_minor = amount_minor - 100;
             update payout_legs set amount_minor = amount_minor - 100;",
            "I10",
        ),
        (
            "update payout_legs set amount_minor = amount_minor + 100;",
            "update payout_legs set amount_minor = amount_minor - 100;",
            "I11",
        ),
        (
            "update evaluations set observed = jsonb_set(observed, '{phases,0,rain_um}', '162130');",
            "update evaluations set observed = jsonb_set(observed, '{phases,0,rain_um}', '162120');",
            "I10",
        ),
        (
            "update evaluations set holds = '{above_limit}';",
            "update evaluations set holds = '{}';",
            "I13",
        ),
    ] {
        house.tamper(harm).await;
        assert_eq!(broken(&house).await, [noticed], "{harm}");
        house.tamper(mend).await;
        assert_eq!(broken(&house).await, Vec::<String>::new(), "{mend}");
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn the_report_adds_up(pool: PgPool) {
    let house = House::new(pool, Plan::default()).await;
    house.settle().await;
    let mut tx = house.context.pool.begin().await.unwrap();
    facts::snapshot(&mut tx).await.unwrap();
    let report = report::assemble(&mut tx, house.now(), ProviderBooks::default())
        .await
        .unwrap();
    assert_eq!((report.farmers, report.policies["settled"]), (3, 3));
    assert_eq!((report.payouts.planned, report.payouts.auto), (3, 3));
    assert_eq!(report.premiums.posted_minor, 3 * 84_400);
    assert_eq!(report.ledger.pending_minor, 3 * 633_200);
    assert!(report.ledger.balanced);
    let risk = &report.risks[0];
    assert_eq!(
        (risk.season.as_str(), risk.wards[0].name.as_str()),
        ("MAM-2026", "KARARE")
    );
    let evaluation = risk.evaluation.as_ref().unwrap();
    assert_eq!(
        (evaluation.payout.as_str(), evaluation.rain.as_str()),
        ("63.32%", "162.12 mm")
    );
    assert_eq!(report.invariants.broken, 0);
    assert_eq!(report.invariants.checked, 13);
}
