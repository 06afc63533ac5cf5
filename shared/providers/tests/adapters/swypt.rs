//! Collecting by prompt, asking, releasing and reading history, against the twin.
//! Never talks to the real provider. Run with the crate's tests.

use domain::money::Money;
use providers::swypt::{Client, OrderState, QuoteKind};
use providers::{ProviderError, Secret};
use sandbox::{Rates, StkBehaviour};

use crate::world::{PHONE, Town, http, lost_replies, phone, town};

fn kes(shillings: i64) -> Money {
    Money::kes(shillings).unwrap()
}

async fn state_after(town: &Town, behaviour: StkBehaviour) -> OrderState {
    town.phone(|setup| setup.stk = Some(behaviour));
    let client = town.swypt();
    let order = client.prompt(&phone(), kes(250)).await.unwrap();
    town.pass(60).await;
    client.order_status(&order.order_id).await.unwrap().state
}

#[tokio::test]
async fn a_prompt_is_pending_then_collected_released_and_in_the_history() {
    let town = town().await;
    let client = town.swypt();
    let order = client.prompt(&phone(), kes(250)).await.unwrap();
    let pending = client.order_status(&order.order_id).await.unwrap();
    assert_eq!(
        (pending.state, pending.phone),
        (OrderState::Pending, Some(phone()))
    );
    let early = client.deposit(&order.order_id).await.unwrap_err();
    assert_eq!(
        (early.kind(), early.code()),
        ("transient", "being_processed")
    );
    assert_eq!(
        client.history(1).await.unwrap().rows[0].receipt,
        None,
        "not yet money"
    );

    town.pass(30).await;
    assert_eq!(town.world.totals(), (25_000, 0));
    let OrderState::Collected { receipt } =
        client.order_status(&order.order_id).await.unwrap().state
    else {
        panic!("not collected");
    };
    assert!(receipt.is_some());
    let deposit = client.deposit(&order.order_id).await.unwrap();
    let row = client.history(1).await.unwrap().rows.remove(0);
    assert_eq!(row.order_id, order.order_id);
    assert_eq!(row.amount, kes(250));
    assert_eq!(row.phone, Some(phone()));
    assert_eq!((row.receipt, row.hash), (receipt, deposit.hash));
}

#[tokio::test]
async fn releasing_again_is_success_with_the_same_hash() {
    let town = town().await;
    let client = town.swypt();
    let order = client.prompt(&phone(), kes(250)).await.unwrap();
    town.pass(30).await;
    let first = client.deposit(&order.order_id).await.unwrap();
    assert!(first.hash.is_some());
    assert_eq!(client.deposit(&order.order_id).await.unwrap(), first);
}

#[tokio::test]
async fn a_lost_release_is_found_by_releasing_again() {
    let town = town().await;
    let client = town.swypt();
    let order = client.prompt(&phone(), kes(250)).await.unwrap();
    town.pass(30).await;
    town.faults(lost_replies());
    assert!(
        client
            .deposit(&order.order_id)
            .await
            .unwrap_err()
            .is_in_doubt()
    );
    town.faults(Rates::default());
    assert!(
        client
            .deposit(&order.order_id)
            .await
            .unwrap()
            .hash
            .is_some()
    );
}

#[tokio::test]
async fn a_lost_prompt_is_doubt_and_its_order_is_in_the_history() {
    let town = town().await;
    let client = town.swypt();
    town.faults(lost_replies());
    let error = client.prompt(&phone(), kes(250)).await.unwrap_err();
    assert!(error.is_in_doubt(), "{error}");
    town.faults(Rates::default());
    town.pass(30).await;
    let rows = client.history(1).await.unwrap().rows;
    assert_eq!(rows.len(), 1);
    assert_eq!(
        (rows[0].amount, rows[0].phone.clone()),
        (kes(250), Some(phone()))
    );
}

#[tokio::test]
async fn what_the_farmer_does_with_the_prompt_is_what_the_status_says() {
    let cancelled = state_after(&town().await, StkBehaviour::Cancel).await;
    assert_eq!(
        cancelled,
        OrderState::Failed {
            reason: "Request cancelled by user".to_owned()
        }
    );
    let short = state_after(&town().await, StkBehaviour::Short).await;
    assert_eq!(
        short,
        OrderState::Failed {
            reason: "Insufficient balance".to_owned()
        }
    );
    let never = state_after(&town().await, StkBehaviour::Never).await;
    assert_eq!(never, OrderState::Pending);

    let town = town().await;
    assert_eq!(
        state_after(&town, StkBehaviour::Late).await,
        OrderState::Pending
    );
    town.pass(25 * 3_600).await;
    assert_eq!(town.world.totals(), (25_000, 0), "late money is money");
}

#[tokio::test]
async fn an_empty_wallet_fails_and_nothing_is_booked() {
    let town = town().await;
    let client = town.swypt();
    let order = client.prompt(&phone(), kes(9_000)).await.unwrap();
    town.pass(30).await;
    let state = client.order_status(&order.order_id).await.unwrap().state;
    assert!(matches!(state, OrderState::Failed { .. }), "{state:?}");
    assert_eq!(town.world.totals(), (0, 0));
    let error = client.deposit(&order.order_id).await.unwrap_err();
    assert_eq!((error.kind(), error.code()), ("refused", "payment_failed"));
}

#[tokio::test]
async fn doubled_money_shows_as_an_order_nobody_asked_for() {
    let town = town().await;
    town.phone(|setup| setup.stk = Some(StkBehaviour::Twice));
    let client = town.swypt();
    let order = client.prompt(&phone(), kes(250)).await.unwrap();
    town.pass(20).await;
    town.pass(60).await;
    assert_eq!(town.world.totals(), (50_000, 0));
    let rows = client.history(1).await.unwrap().rows;
    assert_eq!(rows.len(), 2);
    let strange = rows
        .iter()
        .find(|row| row.order_id != order.order_id)
        .unwrap();
    assert_eq!(
        (strange.amount, strange.receipt.is_some()),
        (kes(250), true)
    );
}

#[tokio::test]
async fn a_wrong_history_shows_another_amount_than_was_taken() {
    let town = town().await;
    town.phone(|setup| setup.wrong_history = Some(true));
    let client = town.swypt();
    client.prompt(&phone(), kes(250)).await.unwrap();
    town.pass(30).await;
    assert_eq!(client.history(1).await.unwrap().rows[0].amount, kes(300));
    assert_eq!(town.world.totals(), (25_000, 0));
}

#[tokio::test]
async fn a_ringing_phone_takes_no_second_prompt() {
    let town = town().await;
    let client = town.swypt();
    client.prompt(&phone(), kes(250)).await.unwrap();
    let error = client.prompt(&phone(), kes(250)).await.unwrap_err();
    assert_eq!((error.kind(), error.code()), ("refused", "prompt_not_sent"));
}

#[tokio::test]
async fn history_is_paged_newest_first() {
    let town = town().await;
    let client = town.swypt();
    assert_eq!(
        client.history(1).await.unwrap().rows.len(),
        0,
        "empty comes as an error"
    );
    for _ in 0..3 {
        client.prompt(&phone(), kes(1)).await.unwrap();
        town.pass(61).await;
    }
    let page = client.history(1).await.unwrap();
    assert_eq!((page.rows.len(), page.pages, page.unreadable), (3, 1, 0));
    assert!(page.rows[0].created_at > page.rows[2].created_at);
    assert_eq!(client.history(2).await.unwrap().rows.len(), 0);
}

#[tokio::test]
async fn wrong_keys_and_unknown_orders_are_told_apart() {
    let town = town().await;
    let mut config = town.swypt_config();
    config.secret_key = Secret::new("wrong");
    let error = Client::new(http(), config)
        .prompt(&phone(), kes(250))
        .await
        .unwrap_err();
    assert_eq!((error.kind(), error.code()), ("transient", "credentials"));
    let error = town.swypt().order_status("D-nope0-XX").await.unwrap_err();
    assert_eq!((error.kind(), error.code()), ("refused", "order_not_found"));
    let error = town.swypt().deposit("D-nope0-XX").await.unwrap_err();
    assert_eq!((error.kind(), error.code()), ("refused", "order_not_found"));
    let error = town
        .swypt()
        .prompt(&phone(), kes(10_001))
        .await
        .unwrap_err();
    assert_eq!((error.kind(), error.code()), ("refused", "amount"));
}

#[tokio::test]
async fn a_server_error_is_doubt_only_where_something_may_have_happened() {
    let town = town().await;
    let client = town.swypt();
    town.faults(Rates {
        http_500: 1.0,
        ..Rates::default()
    });
    let prompt: ProviderError = client.prompt(&phone(), kes(250)).await.unwrap_err();
    assert!(prompt.is_in_doubt(), "{prompt}");
    let read = client.history(1).await.unwrap_err();
    assert_eq!(read.kind(), "transient", "{read}");
}

#[tokio::test]
async fn a_quote_tells_the_limits() {
    let town = town().await;
    let client = town.swypt();
    let onramp = client.quote(QuoteKind::Onramp, "5000").await.unwrap();
    assert_eq!((onramp.min, onramp.max), (Some(kes(1)), Some(kes(10_000))));
    let offramp = client.quote(QuoteKind::Offramp, "0.2").await.unwrap();
    assert_eq!(offramp.output.exact(2), Some(2_589));
}

#[tokio::test]
async fn control_refuses_what_it_does_not_understand() {
    let town = town().await;
    for (path, body) in [
        ("phones", "{}"),
        ("phones", r#"[{"msisdn":"12"}]"#),
        ("phones", r#"[{"msisdn":"0711000111","stk":"maybe"}]"#),
        ("phones", r#"[{"msisdn":"0711000111","b2c":"code:"}]"#),
        ("faults", r#"{"rates":{"lost_reply":2}}"#),
        ("faults", r#"{"rates":{"unheard_of":0.1}}"#),
        ("wallets/0711000111/adjust", "{}"),
    ] {
        let (status, answer) = town.control(path, body).await;
        assert_eq!(status, 400, "{path} {body} -> {answer}");
        assert!(answer.contains("error"), "{answer}");
    }
    let (status, answer) = town
        .control(&format!("wallets/{PHONE}/adjust"), r#"{"minor":-100}"#)
        .await;
    assert_eq!(
        (status, answer.as_str()),
        (200, r#"{"balance_minor":499900}"#)
    );
}
