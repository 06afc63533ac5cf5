//! Paying by B2C and asking about it, against the twin.
//! Never talks to the real provider. Run with the crate's tests.

use domain::money::Money;
use providers::mpesa::callback::{B2cResult, FoundStatus, QueueTimeout, StatusResult};
use providers::mpesa::codes::{CodeClass, classify};
use providers::mpesa::{B2cAck, B2cRequest, Client};
use providers::{ProviderError, Secret};
use sandbox::{B2cBehaviour, Rates};

use crate::world::{PHONE, http, lost_replies, mpesa_config, phone, town};

async fn pay(client: &Client, id: &str, shillings: i64) -> Result<B2cAck, ProviderError> {
    let phone = phone();
    let leg = B2cRequest {
        originator_id: id,
        phone: &phone,
        amount: Money::kes(shillings).unwrap(),
        remarks: "Crop payout",
        occasion: Some("Season MAM"),
    };
    client.send_b2c(&leg).await
}

#[tokio::test]
async fn a_payment_is_acknowledged_settled_and_called_back() {
    let town = town().await;
    let client = town.mpesa();
    let Ok(B2cAck::Accepted { conversation_id }) = pay(&client, "MC1", 1_500).await else {
        panic!("not accepted");
    };
    assert_eq!(town.world.totals(), (0, 0), "money moves when it settles");
    town.pass(6).await;
    assert_eq!(town.world.totals(), (0, 150_000));
    let callbacks = town.world.take_callbacks();
    let [callback] = callbacks.as_slice() else {
        panic!("one callback: {callbacks:?}")
    };
    assert_eq!(callback.path(), "/api/webhooks/mpesa/s3cret/b2c-result");
    let result = B2cResult::parse(&callback.body).unwrap();
    assert_eq!(classify(&result.result_code), CodeClass::Paid);
    assert_eq!(
        result.conversation_id.as_deref(),
        Some(conversation_id.as_str())
    );
    assert_eq!(result.originator_id.as_deref(), Some("MC1"));
    assert_eq!(result.amount, Money::kes(1_500).ok());
    assert_eq!(result.receiver, Some(phone()));
    assert!(result.receipt.is_some() && result.completed_at.is_some());
}

#[tokio::test]
async fn the_same_leg_again_is_an_enquiry_and_pays_once() {
    let town = town().await;
    let client = town.mpesa();
    assert!(matches!(
        pay(&client, "MC1", 1_500).await,
        Ok(B2cAck::Accepted { .. })
    ));
    assert_eq!(
        pay(&client, "MC1", 1_500).await,
        Ok(B2cAck::AlreadyAccepted)
    );
    town.pass(10).await;
    assert_eq!(
        pay(&client, "MC1", 1_500).await,
        Ok(B2cAck::AlreadyAccepted)
    );
    town.pass(10).await;
    assert_eq!(town.world.totals(), (0, 150_000));
}

#[tokio::test]
async fn a_lost_acknowledgement_is_doubt_and_the_money_still_moves() {
    let town = town().await;
    let client = town.mpesa();
    town.faults(lost_replies());
    let error = pay(&client, "MC1", 1_500).await.unwrap_err();
    assert!(error.is_in_doubt(), "{error}");
    town.faults(Rates::default());
    assert_eq!(
        pay(&client, "MC1", 1_500).await,
        Ok(B2cAck::AlreadyAccepted)
    );
    town.pass(10).await;
    assert_eq!(town.world.totals(), (0, 150_000));
}

#[tokio::test]
async fn a_server_error_is_doubt_and_a_full_gateway_is_not() {
    let town = town().await;
    let client = town.mpesa();
    town.faults(Rates {
        http_500: 1.0,
        ..Rates::default()
    });
    let error = pay(&client, "MC1", 1_500).await.unwrap_err();
    assert!(error.is_in_doubt(), "{error}");
    town.faults(Rates {
        http_429: 1.0,
        ..Rates::default()
    });
    let error = pay(&client, "MC2", 1_500).await.unwrap_err();
    assert_eq!(error.kind(), "transient", "{error}");
}

#[tokio::test]
async fn nobody_listening_proves_that_nothing_was_sent() {
    let client = Client::new(http(), mpesa_config("http://127.0.0.1:1"));
    let error = pay(&client, "MC1", 1_500).await.unwrap_err();
    assert_eq!((error.kind(), error.code()), ("transient", "connect"));
}

#[tokio::test]
async fn a_dropped_token_is_renewed_and_wrong_credentials_send_nothing() {
    let town = town().await;
    let client = town.mpesa();
    assert!(pay(&client, "MC1", 10).await.is_ok());
    let (status, _) = town.control("mpesa", r#"{"drop_tokens":true}"#).await;
    assert_eq!(status, 200);
    assert!(matches!(
        pay(&client, "MC2", 10).await,
        Ok(B2cAck::Accepted { .. })
    ));

    let mut config = mpesa_config(&town.server.url("/mpesa"));
    config.consumer_secret = Secret::new("wrong");
    let error = pay(&Client::new(http(), config), "MC3", 10)
        .await
        .unwrap_err();
    assert_eq!((error.kind(), error.code()), ("transient", "400.008.01"));
}

#[tokio::test]
async fn a_bad_field_is_a_final_no() {
    let town = town().await;
    let mut config = mpesa_config(&town.server.url("/mpesa"));
    config.shortcode = "1".to_owned();
    let error = pay(&Client::new(http(), config), "MC1", 10)
        .await
        .unwrap_err();
    assert_eq!((error.kind(), error.code()), ("refused", "400.002.02"));
    let error = pay(&town.mpesa(), "MC2", 9).await.unwrap_err();
    assert_eq!((error.kind(), error.code()), ("refused", "amount"));
}

#[tokio::test]
async fn a_refused_payment_moves_nothing_and_says_why() {
    let town = town().await;
    let client = town.mpesa();
    town.phone(|setup| setup.b2c = Some(B2cBehaviour::Code("2040".to_owned())));
    pay(&client, "MC1", 1_500).await.unwrap();
    town.pass(10).await;
    let result = B2cResult::parse(&town.world.take_callbacks()[0].body).unwrap();
    assert_eq!(classify(&result.result_code), CodeClass::RefusedFinal);
    assert_eq!(result.amount, None);
    assert_eq!(town.world.totals(), (0, 0));
}

#[tokio::test]
async fn an_empty_float_is_for_now_and_not_for_ever() {
    let town = town().await;
    town.control("mpesa", r#"{"float_minor":1000}"#).await;
    pay(&town.mpesa(), "MC1", 1_500).await.unwrap();
    town.pass(10).await;
    let result = B2cResult::parse(&town.world.take_callbacks()[0].body).unwrap();
    assert_eq!(classify(&result.result_code), CodeClass::RefusedForNow);
}

#[tokio::test]
async fn a_result_can_overtake_its_acknowledgement() {
    let town = town().await;
    town.phone(|setup| setup.b2c = Some(B2cBehaviour::BeforeAck));
    pay(&town.mpesa(), "MC1", 1_500).await.unwrap();
    assert_eq!(
        town.world.take_callbacks().len(),
        1,
        "called back before the call returned"
    );
}

#[tokio::test]
async fn a_repeated_callback_is_the_same_event() {
    let town = town().await;
    town.faults(Rates {
        repeat_callback: 1.0,
        ..Rates::default()
    });
    pay(&town.mpesa(), "MC1", 1_500).await.unwrap();
    town.pass(60).await;
    let keys: Vec<_> = town
        .world
        .take_callbacks()
        .iter()
        .map(|callback| B2cResult::parse(&callback.body).unwrap().event_key())
        .collect();
    assert_eq!(keys.len(), 2);
    assert_eq!(keys[0], keys[1]);
    assert_eq!(town.world.totals(), (0, 150_000));
}

#[tokio::test]
async fn silence_is_ended_by_an_enquiry() {
    let town = town().await;
    let client = town.mpesa();
    town.phone(|setup| setup.b2c = Some(B2cBehaviour::Never));
    let Ok(B2cAck::Accepted { conversation_id }) = pay(&client, "MC1", 1_500).await else {
        panic!("not accepted");
    };
    town.pass(120).await;
    assert!(town.world.take_callbacks().is_empty());
    let ack = client.query_status("MC1").await.unwrap();
    town.pass(5).await;
    let callbacks = town.world.take_callbacks();
    assert_eq!(
        callbacks[0].path(),
        "/api/webhooks/mpesa/s3cret/status-result"
    );
    let status = StatusResult::parse(&callbacks[0].body).unwrap();
    assert_eq!(status.found, FoundStatus::Completed);
    assert_eq!(status.conversation_id, Some(ack.conversation_id));
    assert_eq!(status.subject_originator_id.as_deref(), Some("MC1"));
    assert_eq!(status.subject_conversation_id, Some(conversation_id));
    assert_eq!(status.amount, Money::kes(1_500).ok());
}

#[tokio::test]
async fn an_enquiry_about_the_unknown_or_the_moving_proves_nothing() {
    let town = town().await;
    let client = town.mpesa();
    client.query_status("MC-never-sent").await.unwrap();
    town.pass(5).await;
    let unknown = StatusResult::parse(&town.world.take_callbacks()[0].body).unwrap();
    assert_eq!(unknown.found, FoundStatus::Undetermined);

    town.phone(|setup| setup.b2c = Some(B2cBehaviour::Code("1".to_owned())));
    pay(&client, "MC1", 1_500).await.unwrap();
    town.pass(10).await;
    assert_eq!(town.world.take_callbacks().len(), 1);
    client.query_status("MC1").await.unwrap();
    town.pass(5).await;
    let failed = StatusResult::parse(&town.world.take_callbacks()[0].body).unwrap();
    assert_eq!(failed.found, FoundStatus::Failed);
}

#[tokio::test]
async fn a_queue_time_out_is_not_a_failure() {
    let town = town().await;
    town.phone(|setup| setup.b2c = Some(B2cBehaviour::QueueTimeout));
    pay(&town.mpesa(), "MC1", 1_500).await.unwrap();
    town.pass(10).await;
    let callbacks = town.world.take_callbacks();
    assert_eq!(
        callbacks[0].path(),
        "/api/webhooks/mpesa/s3cret/b2c-timeout"
    );
    let timeout = QueueTimeout::parse(&callbacks[0].body);
    assert_eq!(timeout.originator_id.as_deref(), Some("MC1"));
    assert_eq!(
        town.world.totals(),
        (0, 150_000),
        "the money moved all the same"
    );
}

#[tokio::test]
async fn every_movement_is_in_the_book() {
    let town = town().await;
    let client = town.mpesa();
    for nth in 1..=3 {
        pay(&client, &format!("MC{nth}"), 100 * nth).await.unwrap();
    }
    town.pass(10).await;
    let book = town.world.book();
    assert_eq!(book.len(), 3);
    assert!(book.iter().all(|movement| movement.msisdn == PHONE));
    let sum: i64 = book.iter().map(|movement| movement.amount_minor).sum();
    assert_eq!((0, sum), town.world.totals());
}
