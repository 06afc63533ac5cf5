//! Callbacks of Africa's Talking: kept before they are believed, counted when they repeat, and
//! moving texts forward only.

use axum::http::StatusCode;
use chrono::TimeDelta;
use sqlx::PgPool;

use super::house::{House, TOKEN};

const STORED: &str = "select count(*) from provider_events";
const OUTCOME: &str =
    "select outcome from provider_events order by received_at desc, id desc limit 1";
const SMS: &str = "select state from sms";
const PHONE: &str = "0711000111";

#[sqlx::test(migrations = "../migrations")]
async fn a_repeat_is_counted_and_not_stored_again(pool: PgPool) {
    let house = House::new(pool);
    for _ in 0..3 {
        let body = "id=ATXid_1&status=Success&phoneNumber=%2B254711000111";
        assert_eq!(house.call_back("sms-delivery", body).await, StatusCode::OK);
    }
    assert_eq!(house.count(STORED).await, 1);
    assert_eq!(
        house
            .count("select repeats::bigint from provider_events")
            .await,
        2
    );
}

#[sqlx::test(migrations = "../migrations")]
async fn a_wrong_token_or_kind_is_told_nothing_and_stores_nothing(pool: PgPool) {
    let house = House::new(pool);
    let body = "id=ATXid_1&status=Success";
    for path in [
        "/api/webhooks/africastalking/a-callback-token-0124/sms-delivery".to_owned(),
        "/api/webhooks/africastalking//sms-delivery".to_owned(),
        format!("/api/webhooks/africastalking/{TOKEN}/teleport"),
        format!("/api/webhooks/mpesa/{TOKEN}/teleport"),
        format!("/api/webhooks/nobody/{TOKEN}/sms-delivery"),
    ] {
        assert_eq!(
            house.post(&path, body).await.status,
            StatusCode::NOT_FOUND,
            "{path}"
        );
    }
    assert_eq!(house.count(STORED).await, 0);
}

#[sqlx::test(migrations = "../migrations")]
async fn what_cannot_be_read_is_refused_with_the_reason_and_kept(pool: PgPool) {
    let house = House::new(pool);
    let path = format!("/api/webhooks/africastalking/{TOKEN}/sms-delivery");
    let answer = house.post(&path, "id=ATXid_1&status=Teleported").await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert_eq!(answer.json()["code"], "malformed");
    assert!(answer.json()["detail"].as_str().unwrap().contains("status"));
    let mpesa = format!("/api/webhooks/mpesa/{TOKEN}/b2c-result");
    assert_eq!(
        house.post(&mpesa, "<xml/>").await.status,
        StatusCode::BAD_REQUEST
    );
    assert_eq!(
        house
            .count(
                "select count(*) from provider_events where outcome = 'malformed'
                            and processed_at is not null"
            )
            .await,
        2
    );
    let huge = house.post(&mpesa, vec![b'a'; 100_000]).await;
    assert_eq!(huge.status, StatusCode::PAYLOAD_TOO_LARGE);
}

#[sqlx::test(migrations = "../migrations")]
async fn reports_move_a_text_forward_only(pool: PgPool) {
    let house = House::new(pool);
    house.texted(PHONE).await;
    for (status, state) in [
        ("Submitted", "sent"),
        ("Success", "delivered"),
        ("Sent", "delivered"),
        ("Failed", "delivered"),
    ] {
        house
            .call_back("sms-delivery", &format!("id=ATXid_1&status={status}"))
            .await;
        assert_eq!(house.process().await, (1, 0));
        assert_eq!(house.text(SMS).await, state, "{status}");
    }
    let old = "select count(*) from provider_events where outcome = 'old_news'";
    assert_eq!(house.count(old).await, 1, "failed after delivered");
}

#[sqlx::test(migrations = "../migrations")]
async fn a_report_that_overtakes_its_answer_waits_for_it(pool: PgPool) {
    let house = House::new(pool);
    house
        .call_back("sms-delivery", "id=ATXid_1&status=Success")
        .await;
    assert_eq!(house.process().await, (0, 1));
    assert_eq!(house.process().await, (0, 0), "not due yet");
    house.texted(PHONE).await;
    house.time.advance(TimeDelta::minutes(1));
    assert_eq!(house.process().await, (1, 0));
    assert_eq!(house.text(SMS).await, "delivered");
    house
        .call_back("sms-delivery", "id=ATXid_9&status=Success")
        .await;
    for _ in 0..9 {
        house.process().await;
        house.time.advance(TimeDelta::minutes(16));
    }
    assert_eq!(house.text(OUTCOME).await, "unknown_message");
}

#[sqlx::test(migrations = "../migrations")]
async fn an_opt_out_is_kept_for_its_phone(pool: PgPool) {
    let house = House::new(pool);
    house.texted(PHONE).await;
    house
        .call_back(
            "sms-opt-out",
            "senderId=MICROCROP&phoneNumber=%2B254711000111",
        )
        .await;
    house.process().await;
    let out = "select count(*) from farmers where sms_opted_out_at is not null";
    assert_eq!(house.count(out).await, 1);
}

#[sqlx::test(migrations = "../migrations")]
async fn what_a_farmer_typed_is_never_stored(pool: PgPool) {
    let house = House::new(pool);
    let body = "date=2026-03-04&sessionId=ATUid_1&serviceCode=%2A384%23&networkCode=63902\
                &phoneNumber=%2B254711000111&status=Success&input=1%2A2%2A4321&lastAppResponse=END";
    assert_eq!(house.call_back("ussd-events", body).await, StatusCode::OK);
    assert_eq!(house.process().await, (1, 0));
    let hex = house
        .text("select encode(raw_cipher, 'hex') from provider_events")
        .await;
    let raw = data_encoding::HEXLOWER.decode(hex.as_bytes()).unwrap();
    let kept = house.app.pii.open_text(&raw).unwrap();
    assert!(kept.contains("ATUid_1") && !kept.contains("4321"), "{kept}");
}

#[sqlx::test(migrations = "../migrations")]
async fn switched_off_webhooks_are_stored_and_not_processed(pool: PgPool) {
    let house = House::with(pool, &["--enable-webhooks", "false"]);
    house.texted(PHONE).await;
    house
        .call_back("sms-delivery", "id=ATXid_1&status=Success")
        .await;
    assert_eq!(house.process().await, (0, 0));
    assert_eq!(
        (house.count(STORED).await, house.text(SMS).await.as_str()),
        (1, "sent")
    );
}

#[sqlx::test(migrations = "../migrations")]
async fn what_cannot_be_stored_is_asked_for_again(pool: PgPool) {
    let house = House::new(pool.clone());
    pool.close().await;
    let status = house
        .call_back("sms-delivery", "id=ATXid_1&status=Success")
        .await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
}
