//! Premiums through a pretend rail, on a real database: one prompt and one booking whatever dies,
//! repeats or goes missing in between; what does not fit waits in suspense and is told.

use chrono::TimeDelta;
use domain::ledger::Account;
use providers::Secret;
use providers::swypt;
use sandbox::{PhoneSetup, Rates, StkBehaviour};
use sqlx::PgPool;
use workers::consumer::Outcome;

use crate::support::market::{Market, PREMIUM};

const SOON: TimeDelta = TimeDelta::seconds(30);
const ONE_POLICY: &str = "select state from policies";
const ONE_RECEIPT: &str = "select state from receipts order by attempt desc limit 1";

fn lost_replies() -> Rates {
    Rates {
        lost_reply: 1.0,
        ..Rates::default()
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn a_paid_prompt_activates_its_policy_once(pool: PgPool) {
    let market = Market::open(pool).await;
    let (_, receipt) = market.buy().await;
    assert_eq!(market.look(receipt).await, Outcome::Done);
    assert_eq!(market.text(ONE_RECEIPT).await, "sent");
    market.pass(SOON).await;
    for _ in 0..3 {
        assert_eq!(market.look(receipt).await, Outcome::Done);
    }
    assert_eq!(market.text(ONE_RECEIPT).await, "accepted");
    assert_eq!(market.text(ONE_POLICY).await, "active");
    assert_eq!((market.prompts(), market.collections()), (1, 1));
    assert_eq!(market.bells("policy.activated.v1").await, 1);
    assert_eq!(market.balance(Account::SwyptClearing).await, PREMIUM);
    assert_eq!(market.balance(Account::Premiums).await, -PREMIUM);
    let bound = "select bound_minor from capacity where reserved_minor = 0";
    assert_eq!(market.count(bound).await, 300_000);
    let risks = "select count(*) from risks r join policies p on p.risk_id = r.id
                 where r.next_check_at = r.window_closes_at";
    assert_eq!(market.count(risks).await, 1);
    let released = "select count(*) from receipts
                    where deposit_hash like '0x%' and next_check_at is null";
    assert_eq!(market.count(released).await, 1);
    market.assert_sound().await;
}

#[sqlx::test(migrations = "../migrations")]
async fn two_policies_of_a_cell_share_one_risk_and_the_phone_is_asked_one_at_a_time(pool: PgPool) {
    let market = Market::open(pool).await;
    let ((_, first), (_, second)) = (market.buy().await, market.buy().await);
    market.look(first).await;
    market.look(second).await;
    assert_eq!(market.prompts(), 1);
    market.pass(SOON).await;
    market.look(first).await;
    market.look(second).await;
    assert_eq!(market.prompts(), 2);
    market.pass(SOON).await;
    market.look(second).await;
    assert_eq!(
        market
            .count("select count(*) from policies where state = 'active'")
            .await,
        2
    );
    assert_eq!(market.count("select count(*) from risks").await, 1);
    market.assert_sound().await;
}

#[sqlx::test(migrations = "../migrations")]
async fn a_lost_acknowledgement_is_found_in_the_history_and_never_prompted_again(pool: PgPool) {
    let market = Market::open(pool).await;
    let (_, receipt) = market.buy().await;
    market.faults(lost_replies());
    market.look(receipt).await;
    assert_eq!(market.text(ONE_RECEIPT).await, "sent");
    market.pass(SOON).await;
    market.look(receipt).await; // the history is lost too
    assert_eq!(market.text(ONE_RECEIPT).await, "sent");
    market.faults(Rates::default());
    market.pass(SOON).await;
    market.look(receipt).await;
    assert_eq!(market.text(ONE_RECEIPT).await, "accepted");
    assert_eq!((market.prompts(), market.collections()), (1, 1));
    market.assert_sound().await;
}

#[sqlx::test(migrations = "../migrations")]
async fn a_process_that_dies_before_the_call_asks_again_only_on_the_rails_evidence(pool: PgPool) {
    let market = Market::open(pool).await;
    let (_, receipt) = market.buy().await;
    let sent = market
        .premiums
        .mark_sent(market.now(), receipt)
        .await
        .unwrap();
    assert!(sent.is_some());
    // dead here: the bell comes again
    market.look(receipt).await;
    market.pass(SOON).await;
    market.look(receipt).await;
    assert_eq!(
        (market.prompts(), market.text(ONE_RECEIPT).await.as_str()),
        (0, "sent")
    );
    market.pass(TimeDelta::minutes(16)).await;
    market.look(receipt).await;
    assert_eq!(
        (market.prompts(), market.text(ONE_RECEIPT).await.as_str()),
        (1, "sent")
    );
    market.pass(SOON).await;
    market.look(receipt).await;
    assert_eq!(market.text(ONE_POLICY).await, "active");
    market.assert_sound().await;
}

#[sqlx::test(migrations = "../migrations")]
async fn a_rail_that_provably_took_nothing_is_asked_again_later(pool: PgPool) {
    let market = Market::open(pool).await;
    let (_, receipt) = market.buy().await;
    market.faults(Rates {
        http_429: 1.0,
        ..Rates::default()
    });
    market.look(receipt).await;
    assert_eq!(market.text(ONE_RECEIPT).await, "requested");
    market.look(receipt).await; // not due yet
    market.faults(Rates::default());
    market.pass(SOON).await;
    assert_eq!(
        market.sweep().await.rung.get("premium.check_due.v1"),
        Some(&1)
    );
    market.look(receipt).await;
    assert_eq!(
        (market.prompts(), market.text(ONE_RECEIPT).await.as_str()),
        (1, "sent")
    );
}

#[sqlx::test(migrations = "../migrations")]
async fn a_cancelled_prompt_frees_the_farmer_to_be_asked_again(pool: PgPool) {
    let market = Market::open(pool).await;
    let (policy, receipt) = market.buy().await;
    market.wallet(PhoneSetup {
        stk: Some(StkBehaviour::Cancel),
        ..PhoneSetup::default()
    });
    market.look(receipt).await;
    assert_eq!(market.ask(policy).await, None, "a prompt is out");
    market.pass(SOON).await;
    market.look(receipt).await;
    assert_eq!(market.text(ONE_RECEIPT).await, "refused");
    assert_eq!(market.bells("premium.refused.v1").await, 1);
    market.wallet(PhoneSetup {
        stk: Some(StkBehaviour::Pay),
        ..PhoneSetup::default()
    });
    let again = market.ask(policy).await.unwrap();
    market.look(again).await;
    market.pass(SOON).await;
    market.look(again).await;
    assert_eq!(market.text(ONE_POLICY).await, "active");
    market.assert_sound().await;
}

#[sqlx::test(migrations = "../migrations")]
async fn money_taken_twice_is_found_at_night_and_waits_in_suspense(pool: PgPool) {
    let market = Market::open(pool).await;
    let (_, receipt) = market.buy().await;
    market.wallet(PhoneSetup {
        stk: Some(StkBehaviour::Twice),
        ..PhoneSetup::default()
    });
    assert_eq!(
        market.premiums.reconcile().await.unwrap(),
        None,
        "not due before the night"
    );
    market.look(receipt).await;
    market.pass(SOON).await;
    market.look(receipt).await;
    market.pass(TimeDelta::minutes(2)).await;
    assert_eq!(market.collections(), 2);
    market.pass(TimeDelta::days(1)).await;
    let done = market.premiums.reconcile().await.unwrap().unwrap();
    assert_eq!((done.seen, done.booked), (2, 1));
    assert_eq!(
        market.premiums.reconcile().await.unwrap(),
        None,
        "once a night"
    );
    assert_eq!(market.balance(Account::Suspense).await, -PREMIUM);
    assert_eq!(market.balance(Account::SwyptClearing).await, 2 * PREMIUM);
    assert_eq!(market.bells("premium.suspended.v1").await, 1);
    market.pass(TimeDelta::days(1)).await;
    assert_eq!(
        market.premiums.reconcile().await.unwrap().unwrap().booked,
        0
    );
    market.assert_sound().await;
}

#[sqlx::test(migrations = "../migrations")]
async fn another_amount_than_the_premium_buys_nothing_and_the_policy_lapses(pool: PgPool) {
    let market = Market::open(pool).await;
    let (_, receipt) = market.buy().await;
    market.wallet(PhoneSetup {
        wrong_history: Some(true),
        ..PhoneSetup::default()
    });
    market.look(receipt).await;
    market.pass(SOON).await;
    market.look(receipt).await;
    assert_eq!(
        market.text("select suspense_reason from receipts").await,
        "mismatched"
    );
    assert_eq!(market.text(ONE_POLICY).await, "awaiting_premium");
    assert_eq!(market.bells("premium.suspended.v1").await, 1);
    assert_eq!(market.balance(Account::Suspense).await, -PREMIUM - 5_000);
    market.pass(TimeDelta::hours(24)).await;
    assert_eq!(market.sweep().await.lapsed, 1);
    assert_eq!(market.sweep().await.lapsed, 0);
    assert_eq!(market.text(ONE_POLICY).await, "lapsed");
    assert_eq!(
        market
            .count("select reserved_minor + bound_minor from capacity")
            .await,
        0
    );
    assert_eq!(market.bells("policy.lapsed.v1").await, 1);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_prompt_in_doubt_keeps_its_policy_and_late_money_still_buys_cover(pool: PgPool) {
    let market = Market::open(pool).await;
    let (_, receipt) = market.buy().await;
    market.wallet(PhoneSetup {
        stk: Some(StkBehaviour::Late),
        ..PhoneSetup::default()
    });
    market.look(receipt).await;
    market.pass(TimeDelta::hours(24)).await;
    market.look(receipt).await;
    assert_eq!(market.sweep().await.lapsed, 0);
    let told = "select count(*) from receipts where state = 'sent' and needs_person is not null
                and next_check_at is not null";
    assert_eq!(market.count(told).await, 1);
    market.pass(TimeDelta::hours(2)).await;
    market.look(receipt).await;
    assert_eq!(market.text(ONE_POLICY).await, "active");
    assert_eq!(
        market
            .count("select count(*) from receipts where needs_person is null")
            .await,
        1
    );
    market.assert_sound().await;
}

#[sqlx::test(migrations = "../migrations")]
async fn money_for_an_ended_policy_waits_in_suspense(pool: PgPool) {
    let market = Market::open(pool).await;
    let (_, receipt) = market.buy().await;
    market.look(receipt).await;
    market
        .tamper("update policies set state = 'cancelled', ended_at = bought_at")
        .await;
    market.pass(SOON).await;
    market.look(receipt).await;
    assert_eq!(
        market.text("select suspense_reason from receipts").await,
        "late"
    );
    assert_eq!(market.balance(Account::Suspense).await, -PREMIUM);
    assert_eq!(market.bells("policy.activated.v1").await, 0);
    assert_eq!(market.count("select count(*) from risks").await, 0);
    market.assert_sound().await;
}

#[sqlx::test(migrations = "../migrations")]
async fn an_unpaid_policy_is_not_prompted_after_its_time_and_lapses(pool: PgPool) {
    let market = Market::open(pool).await;
    let (_, receipt) = market.buy().await;
    market.pass(TimeDelta::hours(25)).await;
    market.look(receipt).await;
    assert_eq!(
        (market.prompts(), market.text(ONE_RECEIPT).await.as_str()),
        (0, "refused")
    );
    assert_eq!(market.sweep().await.lapsed, 1);
    market.assert_sound().await;
}

#[sqlx::test(migrations = "../migrations")]
async fn money_nobody_was_asked_for_is_booked_once_in_suspense(pool: PgPool) {
    let market = Market::open(pool).await;
    let stranger = PhoneSetup {
        msisdn: "254722000222".to_owned(),
        balance_kes: 1_000,
        ..PhoneSetup::default()
    };
    market.world.set_up_phone(stranger).unwrap();
    let keys = sandbox::Credentials::default();
    let config = swypt::Config::new(
        &market.url("/swypt/api"),
        Secret::new(keys.swypt_api_key),
        Secret::new(keys.swypt_secret_key),
        &market.context.settings.swypt.swypt_user_address,
        "0x833589fcd6edb6e08f4c7c32d4f71b54bda02913",
    );
    let rail = swypt::Client::new(market.context.http.clone(), config);
    let phone = "254722000222".parse().unwrap();
    rail.prompt(&phone, domain::money::Money::kes(500).unwrap())
        .await
        .unwrap();
    market.pass(SOON).await;
    assert_eq!(market.premiums.reconcile().await.unwrap(), None);
    for booked in [1, 0] {
        market.pass(TimeDelta::days(1)).await;
        assert_eq!(
            market.premiums.reconcile().await.unwrap().unwrap().booked,
            booked
        );
    }
    assert_eq!(market.balance(Account::Suspense).await, -50_000);
    market.assert_sound().await;
}

#[sqlx::test(migrations = "../migrations")]
async fn a_sweep_rings_for_what_is_due_and_not_for_what_rings_already(pool: PgPool) {
    let market = Market::open(pool).await;
    let (_, receipt) = market.buy().await;
    market.look(receipt).await;
    market.pass(SOON).await;
    let topic = "premium.check_due.v1";
    assert_eq!(market.sweep().await.rung.get(topic), Some(&1));
    assert_eq!(
        market.sweep().await.rung.get(topic),
        None,
        "it waits in the outbox"
    );
    market
        .tamper("update outbox set published_at = available_at")
        .await;
    assert_eq!(
        market.sweep().await.rung.get(topic),
        None,
        "it is on its way"
    );
    market.pass(TimeDelta::minutes(5)).await;
    assert_eq!(
        market.sweep().await.rung.get(topic),
        Some(&1),
        "it was lost"
    );
    let partitions = "select count(*) from pg_class where relname like 'observations_2026_0%'
                      and relkind = 'r'";
    assert_eq!(market.count(partitions).await, 4);
}
