//! Texts through a pretend gateway, on a real database: one text per subject, doubt resent once,
//! refusals that look like success noticed, and who opted out left alone.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use chrono::TimeDelta;
use domain::event::Event;
use sandbox::{PhoneSetup, Rates, StkBehaviour};
use sqlx::PgPool;
use workers::consumer::Outcome;

use crate::support::market::Market;

const STATE: &str = "select state from sms";
const SOON: TimeDelta = TimeDelta::seconds(30);
const AFTER_DOUBT: TimeDelta = TimeDelta::minutes(10);

/// A policy whose premium is paid, and the bell that says so.
async fn activated(market: &Market) -> Event {
    let (policy_id, receipt) = market.buy().await;
    market.look(receipt).await;
    market.pass(SOON).await;
    market.look(receipt).await;
    let risk_id = market.text("select risk_id::text from policies").await;
    let risk_id = uuid::Uuid::parse_str(&risk_id).unwrap().into();
    Event::PolicyActivated { policy_id, risk_id }
}

/// The bell of the one text.
async fn due(market: &Market) -> Event {
    let id = market.text("select id::text from sms").await;
    Event::SmsDue {
        sms_id: uuid::Uuid::parse_str(&id).unwrap().into(),
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn a_policy_is_told_of_once_however_often_the_bell_rings(pool: PgPool) {
    let market = Market::open(pool).await;
    let event = activated(&market).await;
    for _ in 0..3 {
        assert_eq!(market.tell(event.clone()).await, Outcome::Done);
    }
    let texts = market.world.texts(market.phone.digits());
    assert_eq!(texts.len(), 1);
    assert!(
        texts[0].contains("premium KES 844 received"),
        "{}",
        texts[0]
    );
    assert_eq!(market.text(STATE).await, "sent");
    assert_eq!(
        market
            .count("select count(*) from sms where provider_id like 'ATX%'")
            .await,
        1
    );
}

#[sqlx::test(migrations = "../migrations")]
async fn a_lost_answer_is_resent_once_and_then_left(pool: PgPool) {
    let market = Market::open(pool).await;
    let event = activated(&market).await;
    market.faults(Rates {
        lost_reply: 1.0,
        ..Rates::default()
    });
    market.tell(event).await;
    let due = due(&market).await;
    market.tell(due.clone()).await; // not due yet
    assert_eq!(market.world.texts(market.phone.digits()).len(), 1);
    for _ in 0..3 {
        market.pass(AFTER_DOUBT).await;
        market.tell(due.clone()).await;
    }
    assert_eq!(market.world.texts(market.phone.digits()).len(), 2);
    let left = "select count(*) from sms where doubtful and next_check_at is null and attempts = 2";
    assert_eq!(market.count(left).await, 1);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_text_written_by_a_process_that_died_is_sent_by_the_next(pool: PgPool) {
    let market = Market::open(pool).await;
    let event = activated(&market).await;
    market.faults(Rates {
        http_429: 1.0,
        ..Rates::default()
    });
    market.tell(event).await;
    assert_eq!(market.text(STATE).await, "planned");
    market.faults(Rates::default());
    market.pass(SOON).await;
    assert_eq!(market.sweep().await.rung.get("sms.due.v1"), Some(&1));
    market.tell(due(&market).await).await;
    assert_eq!(market.text(STATE).await, "sent");
    assert_eq!(market.count("select attempts::bigint from sms").await, 1);
}

/// A text about a lapse to a phone without a wallet: the gateway's magic numbers act on those.
async fn lapsed(pool: PgPool, phone: &str) -> Market {
    let market = Market::without_wallet(pool, phone).await;
    let (policy_id, _) = market.buy().await;
    market.pass(TimeDelta::hours(24)).await;
    assert_eq!(market.sweep().await.lapsed, 1);
    market.tell(Event::PolicyLapsed { policy_id }).await;
    market
}

#[sqlx::test(migrations = "../migrations")]
async fn a_success_without_recipients_is_no_success_and_is_tried_again(pool: PgPool) {
    // 201, no recipients, `InsufficientBalance` in the message
    let market = lapsed(pool, "0711000405").await;
    assert_eq!(market.text(STATE).await, "planned");
    assert_eq!(
        market.text("select failure from sms").await,
        "InsufficientBalance"
    );
    assert_eq!(market.world.texts(market.phone.digits()).len(), 0);
    market.pass(SOON).await;
    assert_eq!(market.sweep().await.rung.get("sms.due.v1"), Some(&1));
}

#[sqlx::test(migrations = "../migrations")]
async fn a_recipient_that_is_refused_fails_for_good(pool: PgPool) {
    let market = lapsed(pool, "0711000403").await;
    assert_eq!(market.text(STATE).await, "failed");
    market.pass(TimeDelta::days(1)).await;
    assert_eq!(market.sweep().await.rung.get("sms.due.v1"), None);
}

#[sqlx::test(migrations = "../migrations")]
async fn money_that_does_not_fit_is_told_with_its_reason(pool: PgPool) {
    let market = Market::open(pool).await;
    let (_, receipt_id) = market.buy().await;
    market.wallet(PhoneSetup {
        stk: Some(StkBehaviour::Twice),
        ..PhoneSetup::default()
    });
    market.premiums.reconcile().await.unwrap();
    market.look(receipt_id).await;
    market.pass(SOON).await;
    market.look(receipt_id).await;
    market.pass(TimeDelta::days(1)).await;
    market.premiums.reconcile().await.unwrap();
    market.tell(Event::PremiumSuspended { receipt_id }).await;
    let texts = market.world.texts(market.phone.digits());
    assert!(
        texts[0].contains("KES 844, but your cover was already paid"),
        "{}",
        texts[0]
    );
}

#[sqlx::test(migrations = "../migrations")]
async fn who_opted_out_still_learns_of_her_own_contract(pool: PgPool) {
    let market = Market::open(pool).await;
    let event = activated(&market).await;
    market
        .tamper("update farmers set sms_opted_out_at = created_at")
        .await;
    market.tell(event).await;
    assert_eq!(market.text(STATE).await, "sent");
}
