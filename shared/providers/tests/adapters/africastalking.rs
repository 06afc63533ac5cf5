//! Sending texts and hearing about them, against the twin.
//! Never talks to the real provider. Run with the crate's tests.

use domain::msisdn::Msisdn;
use providers::Secret;
use providers::africastalking::delivery::{DeliveryStatus, Report};
use providers::africastalking::sms::{Client, Config};
use sandbox::Rates;

use crate::world::{PHONE, http, lost_replies, phone, town};

#[tokio::test]
async fn a_text_arrives_and_its_reports_follow() {
    let town = town().await;
    let sent = town
        .sms()
        .send(&phone(), "Umelipwa KES 1,500")
        .await
        .unwrap();
    assert_eq!(town.world.texts(PHONE), ["Umelipwa KES 1,500"]);
    town.pass(10).await;
    let reports: Vec<_> = town
        .world
        .take_callbacks()
        .iter()
        .map(|callback| Report::parse(&callback.body).unwrap())
        .collect();
    let [first, last] = reports.as_slice() else {
        panic!("two reports: {reports:?}")
    };
    assert_eq!(
        (first.status, last.status),
        (DeliveryStatus::Sent, DeliveryStatus::Delivered)
    );
    assert!(
        reports
            .iter()
            .all(|report| report.message_id == sent.message_id)
    );
}

#[tokio::test]
async fn reports_that_come_out_of_order_still_end_delivered() {
    let town = town().await;
    town.faults(Rates {
        reorder: 1.0,
        repeat_callback: 1.0,
        ..Rates::default()
    });
    town.sms().send(&phone(), "hello").await.unwrap();
    town.pass(120).await;
    let mut stands = DeliveryStatus::Sent;
    let callbacks = town.world.take_callbacks();
    assert_eq!(callbacks.len(), 4, "each twice");
    for callback in callbacks {
        let status = Report::parse(&callback.body).unwrap().status;
        if status.advances(stands) {
            stands = status;
        }
    }
    assert_eq!(stands, DeliveryStatus::Delivered);
}

#[tokio::test]
async fn each_magic_number_fails_in_its_own_way() {
    let town = town().await;
    let send = async |number: &str| {
        let phone = Msisdn::parse(number).unwrap();
        town.sms().send(&phone, "hello").await
    };
    let invalid = send("254722000403").await.unwrap_err();
    assert_eq!((invalid.kind(), invalid.code()), ("refused", "403"));
    let broke = send("254722000405").await.unwrap_err();
    assert_eq!(
        (broke.kind(), broke.code()),
        ("transient", "InsufficientBalance")
    );
    let broken = send("254722000500").await.unwrap_err();
    assert_eq!((broken.kind(), broken.code()), ("in_doubt", "http_500"));
    assert!(send("254722000999").await.is_ok());
    town.pass(10).await;
    let last = town.world.take_callbacks().pop().unwrap();
    let report = Report::parse(&last.body).unwrap();
    assert_eq!(report.status, DeliveryStatus::Failed);
    assert_eq!(report.failure_reason.as_deref(), Some("UserIsInactive"));
}

#[tokio::test]
async fn a_lost_answer_is_doubt_although_the_text_arrived() {
    let town = town().await;
    town.faults(lost_replies());
    let error = town.sms().send(&phone(), "hello").await.unwrap_err();
    assert!(error.is_in_doubt(), "{error}");
    assert_eq!(town.world.texts(PHONE), ["hello"]);
}

#[tokio::test]
async fn a_wrong_key_is_plain_text_and_no_verdict_on_the_text() {
    let town = town().await;
    let config = Config::new(&town.server.url("/at"), "sandbox", Secret::new("wrong"));
    let error = Client::new(http(), config)
        .send(&phone(), "hello")
        .await
        .unwrap_err();
    assert_eq!((error.kind(), error.code()), ("transient", "http_401"));
    assert!(town.world.texts(PHONE).is_empty());
}
