//! When a callback of M-Pesa is believed and what it then does: once, on our own evidence, for
//! our own amount.

use axum::http::StatusCode;
use chrono::TimeDelta;
use serde_json::{Value, json};
use sqlx::PgPool;
use store::evaluations::EvaluationState::Approved;
use store::legs::{self, Pause};

use super::house::{House, PAYOUT_KES};

fn result(conversation: &str, originator: &str, code: &Value, amount: i64) -> Value {
    let mut result = json!({
        "ResultType": 0, "ResultCode": code, "ResultDesc": "told",
        "OriginatorConversationID": originator, "ConversationID": conversation,
        "TransactionID": "SG632NMUAB",
    });
    if *code == json!(0) {
        result["ResultParameters"] = json!({ "ResultParameter": [
            { "Key": "TransactionAmount", "Value": amount },
            { "Key": "TransactionReceipt", "Value": "SG632NMUAB" },
            { "Key": "ReceiverPartyPublicName", "Value": "254700000001 - JANE DOE" },
        ]});
    }
    json!({ "Result": result })
}

fn status(enquiry: &str, originator: &str, word: &str, amount: i64) -> Value {
    json!({ "Result": {
        "ResultType": 0, "ResultCode": 0, "ResultDesc": "told",
        "OriginatorConversationID": "enquiry", "ConversationID": enquiry, "TransactionID": "T",
        "ResultParameters": { "ResultParameter": [
            { "Key": "ReceiptNo", "Value": "SG632NMUAB" },
            { "Key": "OriginatorConversationID", "Value": originator },
            { "Key": "Amount", "Value": amount },
            { "Key": "TransactionStatus", "Value": word },
        ]},
    }})
}

async fn outcome(house: &House) -> String {
    house
        .text("select outcome from provider_events order by received_at desc, id desc limit 1")
        .await
}

#[sqlx::test(migrations = "../migrations")]
async fn a_result_ends_its_leg_once_however_often_it_comes(pool: PgPool) {
    let house = House::new(pool, Approved).await;
    let (_, originator) = house.sent(Some("AG_1")).await;
    let body = result("AG_1", &originator, &json!(0), PAYOUT_KES);
    for _ in 0..2 {
        assert_eq!(house.call_back("b2c-result", &body).await, StatusCode::OK);
        house.process().await;
    }
    assert_eq!(house.leg_state().await, "paid");
    assert_eq!(
        house
            .count("select count(*) from payouts where state = 'paid'")
            .await,
        1
    );
    let posted = "select count(*) from ledger_transfers where kind = 'post_pending'";
    assert_eq!(house.count(posted).await, 1);
    let moved =
        "select sum(amount_minor)::bigint from ledger_entries where account = 'mpesa_utility'";
    assert_eq!(house.count(moved).await, PAYOUT_KES * 100);
    let bells = "select count(*) from outbox where topic = 'payout.paid.v1'";
    assert_eq!(house.count(bells).await, 1);
    assert_eq!(
        house
            .count("select repeats::bigint from provider_events")
            .await,
        1
    );
    assert_eq!(
        house
            .text("select rail_receipt from payout_legs where state = 'paid'")
            .await,
        "SG632NMUAB"
    );
}

#[sqlx::test(migrations = "../migrations")]
async fn a_result_before_its_acknowledgement_waits_for_it(pool: PgPool) {
    let house = House::new(pool, Approved).await;
    let (leg, originator) = house.sent(None).await;
    let body = result("AG_1", &originator, &json!(0), PAYOUT_KES);
    house.call_back("b2c-result", &body).await;
    assert_eq!(house.process().await.postponed, 1);
    assert_eq!(house.leg_state().await, "sent");
    let mut conn = house.conn().await;
    legs::record_acknowledgement(&mut conn, leg, "AG_1")
        .await
        .unwrap();
    drop(conn);
    house.time.advance(TimeDelta::seconds(30));
    assert_eq!(house.process().await.done, 1);
    assert_eq!(house.leg_state().await, "paid");
}

#[sqlx::test(migrations = "../migrations")]
async fn a_result_under_another_conversation_is_not_believed(pool: PgPool) {
    let house = House::new(pool, Approved).await;
    let (_, originator) = house.sent(Some("AG_1")).await;
    let forged = result("AG_2", &originator, &json!(0), PAYOUT_KES);
    assert_eq!(house.call_back("b2c-result", &forged).await, StatusCode::OK);
    house.process().await;
    assert_eq!(
        (house.leg_state().await, outcome(&house).await),
        ("sent".into(), "disbelieved".into())
    );
    let entries = "select count(*) from ledger_entries where account = 'mpesa_utility'";
    assert_eq!(house.count(entries).await, 0);
}

#[sqlx::test(migrations = "../migrations")]
async fn what_names_no_leg_or_is_no_result_is_kept_and_does_nothing(pool: PgPool) {
    let house = House::new(pool, Approved).await;
    house.sent(Some("AG_1")).await;
    let unknown = result("AG_9", "MCAAAAAAAAAAAAAAAAAA", &json!(0), PAYOUT_KES);
    for (kind, body, word) in [
        ("b2c-result", unknown.clone(), "unknown"),
        ("b2c-result", json!({ "Result": {} }), "malformed"),
        ("status-result", json!({ "no": "result" }), "malformed"),
        (
            "status-result",
            status("AG_Q", "MCAAAAAAAAAAAAAAAAAA", "Completed", 1),
            "unknown",
        ),
        ("b2c-timeout", json!({ "anything": 1 }), "unknown"),
    ] {
        house.time.advance(TimeDelta::seconds(1));
        assert_eq!(house.call_back(kind, &body).await, StatusCode::OK);
        house.process().await;
        assert_eq!(outcome(&house).await, word, "{kind}");
    }
    assert_eq!(house.count("select count(*) from provider_events").await, 5);
    assert_eq!(house.leg_state().await, "sent");
    let wrong = "/api/webhooks/mpesa/another-token-012345/b2c-result";
    assert_eq!(
        house.send("POST", wrong, None, unknown.to_string()).await.0,
        StatusCode::NOT_FOUND
    );
    assert_eq!(house.count("select count(*) from provider_events").await, 5);
}

#[sqlx::test(migrations = "../migrations")]
async fn another_amount_is_never_paid_and_goes_to_a_person(pool: PgPool) {
    let house = House::new(pool, Approved).await;
    let (leg, originator) = house.sent(Some("AG_1")).await;
    let body = result("AG_1", &originator, &json!(0), PAYOUT_KES - 1);
    house.call_back("b2c-result", &body).await;
    house.process().await;
    assert_eq!(outcome(&house).await, "amount_mismatch");
    let mut conn = house.conn().await;
    legs::record_enquiry(&mut conn, leg, "AG_Q").await.unwrap();
    drop(conn);
    // from here on no evidence ends it by itself
    house.time.advance(TimeDelta::seconds(1));
    house
        .call_back(
            "status-result",
            &status("AG_Q", &originator, "Completed", PAYOUT_KES),
        )
        .await;
    house.process().await;
    assert_eq!(
        (house.leg_state().await, outcome(&house).await),
        ("sent".into(), "left_to_person".into())
    );
}

#[sqlx::test(migrations = "../migrations")]
async fn a_status_answer_counts_under_its_own_conversation_only(pool: PgPool) {
    let house = House::new(pool, Approved).await;
    let (leg, originator) = house.sent(None).await;
    let mut conn = house.conn().await;
    legs::record_enquiry(&mut conn, leg, "AG_Q").await.unwrap();
    drop(conn);
    let answers = [
        ("AG_X", originator.as_str(), "Completed", "sent"),
        ("AG_Q", "MCAAAAAAAAAAAAAAAAAA", "Completed", "sent"),
    ];
    for (enquiry, subject, word, state) in answers {
        let body = status(enquiry, subject, word, PAYOUT_KES);
        house.call_back("status-result", &body).await;
        house.process().await;
        assert_eq!(house.leg_state().await, state, "{enquiry} {subject}");
        house.tamper("delete from provider_events").await;
    }
    house
        .call_back(
            "status-result",
            &status("AG_Q", &originator, "Completed", PAYOUT_KES),
        )
        .await;
    house.process().await;
    assert_eq!(house.leg_state().await, "paid");
    // the payment's own result comes at last, under a conversation nobody acknowledged to us
    house.time.advance(TimeDelta::seconds(1));
    house
        .call_back(
            "b2c-result",
            &result("AG_1", &originator, &json!(0), PAYOUT_KES),
        )
        .await;
    house.process().await;
    assert_eq!(outcome(&house).await, "decided_otherwise");
    assert_eq!(
        house
            .count("select count(*) from outbox where topic = 'payout.paid.v1'")
            .await,
        1
    );
}

#[sqlx::test(migrations = "../migrations")]
async fn a_pending_or_unknown_word_proves_nothing(pool: PgPool) {
    let house = House::new(pool, Approved).await;
    let (leg, originator) = house.sent(Some("AG_1")).await;
    let mut conn = house.conn().await;
    legs::record_enquiry(&mut conn, leg, "AG_Q").await.unwrap();
    drop(conn);
    house
        .call_back("status-result", &status("AG_Q", &originator, "Pending", 0))
        .await;
    house
        .call_back("b2c-result", &result("AG_1", &originator, &json!(4242), 0))
        .await;
    house.process().await;
    assert_eq!(house.leg_state().await, "sent");
    assert_eq!(
        house
            .count("select count(*) from payout_legs where needs_person is not null")
            .await,
        0
    );
}

#[sqlx::test(migrations = "../migrations")]
async fn a_final_refusal_gives_the_money_back_and_tells_the_farmer(pool: PgPool) {
    let house = House::new(pool, Approved).await;
    let (_, originator) = house.sent(Some("AG_1")).await;
    house
        .call_back(
            "b2c-result",
            &result("AG_1", &originator, &json!("SFC_IC0003"), 0),
        )
        .await;
    house.process().await;
    assert_eq!(house.leg_state().await, "refused");
    assert_eq!(
        house
            .count("select count(*) from payouts where state = 'refused'")
            .await,
        1
    );
    assert_eq!(
        house
            .count("select count(*) from ledger_transfers where kind = 'void_pending'")
            .await,
        1
    );
    assert_eq!(
        house
            .count("select count(*) from outbox where topic = 'payout.refused.v1'")
            .await,
        1
    );
    let hers = "select count(*) from payout_legs where concerns_farmer";
    assert_eq!(house.count(hers).await, 1);
    let mut conn = house.conn().await;
    assert_eq!(legs::pause(&mut conn).await.unwrap(), Pause::None);
}

#[sqlx::test(migrations = "../migrations")]
async fn troubles_of_our_own_account_pause_sending_and_spare_the_farmer(pool: PgPool) {
    let house = House::new(pool, Approved).await;
    let (_, originator) = house.sent(Some("AG_1")).await;
    house
        .call_back("b2c-result", &result("AG_1", &originator, &json!(1), 0))
        .await;
    house.process().await;
    assert_eq!(house.leg_state().await, "refused");
    assert_eq!(
        house
            .count("select count(*) from outbox where topic = 'payout.refused.v1'")
            .await,
        0
    );
    let hers = "select count(*) from payout_legs where concerns_farmer";
    assert_eq!(house.count(hers).await, 0);
    let mut conn = house.conn().await;
    assert_eq!(legs::pause(&mut conn).await.unwrap(), Pause::Sending);
    drop(conn);
    house
        .tamper("update payout_legs set result_code = '8006' where state = 'refused'")
        .await;
    let mut conn = house.conn().await;
    assert_eq!(legs::pause(&mut conn).await.unwrap(), Pause::Everything);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_rail_that_contradicts_itself_is_a_persons_case(pool: PgPool) {
    let house = House::new(pool, Approved).await;
    let (_, originator) = house.sent(Some("AG_1")).await;
    for code in [json!(2040), json!(0)] {
        house.time.advance(TimeDelta::seconds(1));
        house
            .call_back(
                "b2c-result",
                &result("AG_1", &originator, &code, PAYOUT_KES),
            )
            .await;
        house.process().await;
    }
    assert_eq!(house.leg_state().await, "refused");
    assert_eq!(outcome(&house).await, "contradicted");
    assert_eq!(
        house
            .text("select needs_person from payout_legs where state = 'refused'")
            .await,
        "contradicted"
    );
}

#[sqlx::test(migrations = "../migrations")]
async fn a_queue_time_out_only_has_the_leg_looked_at(pool: PgPool) {
    let house = House::new(pool, Approved).await;
    let (_, originator) = house.sent(Some("AG_1")).await;
    house
        .call_back("b2c-timeout", &result("AG_1", &originator, &json!(17), 0))
        .await;
    house.process().await;
    assert_eq!(
        (house.leg_state().await, outcome(&house).await),
        ("sent".into(), "noted".into())
    );
    let mut conn = house.conn().await;
    assert_eq!(
        legs::list_due(&mut conn, house.app.clock.now(), 10)
            .await
            .unwrap()
            .len(),
        1
    );
}
