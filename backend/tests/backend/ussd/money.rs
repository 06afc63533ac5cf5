//! What a purchase writes, when it writes nothing, and what a second one does.
//! No prompt is ever sent by a hop: a purchase only writes and rings.

use axum::http::StatusCode;
use chrono::TimeDelta;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use super::phone::{BUY, World};

const PHONE: &str = "+254712000001";

#[sqlx::test(migrations = "../migrations")]
async fn a_purchase_writes_policy_capacity_receipt_and_bell_together(
    options: PgPoolOptions,
    connect: PgConnectOptions,
) {
    let world = World::new(options, connect).await;
    world.farmer(PHONE).await;
    assert_eq!(world.count("select count(*) from outbox").await, 0);
    world.says("S2", PHONE, BUY).await;
    let waiting = "select count(*) from policies p join quotes q on q.id = p.quote_id \
                   join receipts r on r.policy_id = p.id \
                   where p.state = 'awaiting_premium' and r.state = 'requested' \
                     and r.amount_minor = 84400 and q.premium_minor = 84400 \
                     and p.risk_cell = (select risk_cell from plots)";
    assert_eq!(world.count(waiting).await, 1);
    assert_eq!(
        world.count("select reserved_minor from capacity").await,
        300_000
    );
    let bell = "select count(*) from outbox o join receipts r on r.id = o.subject_id \
                where o.topic = 'premium.requested.v1'";
    assert_eq!(world.count(bell).await, 1);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_second_purchase_resumes_the_first_and_its_open_prompt(
    options: PgPoolOptions,
    connect: PgConnectOptions,
) {
    let world = World::new(options, connect).await;
    world.farmer(PHONE).await;
    world.says("S2", PHONE, BUY).await;
    // another sum insured: the purchase that stands keeps its own premium
    let said = world.says("S3", PHONE, "1*2*3*1*2*1*2580").await;
    assert!(said.starts_with("END Ombi la M-PESA la KES 844 "), "{said}");
    assert_eq!(world.count("select count(*) from policies").await, 1);
    assert_eq!(world.count("select count(*) from receipts").await, 1);
    assert_eq!(world.count("select count(*) from outbox").await, 1);
    assert_eq!(
        world.count("select reserved_minor from capacity").await,
        300_000
    );
}

#[sqlx::test(migrations = "../migrations")]
async fn two_calls_at_once_buy_once(options: PgPoolOptions, connect: PgConnectOptions) {
    let world = World::new(options, connect).await;
    world.farmer(PHONE).await;
    let (one, two) = tokio::join!(world.hop("S2", PHONE, BUY), world.hop("S3", PHONE, BUY));
    for said in [one, two] {
        assert!(said.starts_with("END Ombi la M-PESA la KES 844 "), "{said}");
    }
    assert_eq!(world.count("select count(*) from policies").await, 1);
    assert_eq!(world.count("select count(*) from receipts").await, 1);
}

#[sqlx::test(migrations = "../migrations")]
async fn three_wrong_pins_lock_a_day_even_when_sent_twice(
    options: PgPoolOptions,
    connect: PgConnectOptions,
) {
    let world = World::new(options, connect).await;
    world.farmer(PHONE).await;
    let to_pin = "1*2*1*1*2*1";
    world.talk("S2", PHONE, to_pin).await;
    let wrong = format!("{to_pin}*1111");
    let said = world.hop("S2", PHONE, &wrong).await;
    assert!(said.starts_with("CON PIN si sahihi, bado 2."), "{said}");
    world.forget(PHONE).await;
    assert_eq!(
        world.hop("S2", PHONE, &wrong).await,
        said,
        "a repeated miss counts once"
    );
    world.hop("S2", PHONE, &format!("{wrong}*2222")).await;
    let locked = world.hop("S2", PHONE, &format!("{wrong}*2222*3333")).await;
    assert!(locked.starts_with("END PIN imekosewa"), "{locked}");
    assert!(
        world
            .says("S3", PHONE, BUY)
            .await
            .starts_with("END PIN imekosewa")
    );
    world.advance(TimeDelta::hours(24));
    assert!(
        world
            .says("S4", PHONE, BUY)
            .await
            .starts_with("END Ombi la M-PESA")
    );
    assert_eq!(world.count("select count(*) from policies").await, 1);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_seeded_farmer_without_a_pin_chooses_one_as_she_buys(
    options: PgPoolOptions,
    connect: PgConnectOptions,
) {
    let world = World::new(options, connect).await;
    world.farmer(PHONE).await;
    world.change("update farmers set pin_hash = null").await;
    let inputs = "1*2*1*1*2*1*4711*4711";
    let said = world.says("S2", PHONE, inputs).await;
    assert!(said.starts_with("END Ombi la M-PESA"), "{said}");
    world.forget(PHONE).await;
    assert_eq!(world.hop("S2", PHONE, inputs).await, said);
    assert_eq!(
        world
            .count("select count(*) from farmers where pin_hash like '$argon2id$%'")
            .await,
        1
    );
    // and the next one asks for it
    assert!(
        world
            .says("S3", PHONE, "1*1*1*1*2*1*4711")
            .await
            .starts_with("END Ombi la M-PESA la KES 802 ")
    );
    assert_eq!(world.count("select count(*) from policies").await, 2);
}

#[sqlx::test(migrations = "../migrations")]
async fn nothing_is_sold_after_the_close_or_beyond_capacity(
    options: PgPoolOptions,
    connect: PgConnectOptions,
) {
    let world = World::new(options, connect).await;
    world.farmer(PHONE).await;
    world.says("S2", PHONE, BUY).await;
    let full =
        "update capacity set limit_minor = reserved_minor; update policies set state = 'lapsed'";
    world.change(full).await;
    let sold_out = world.says("S3", PHONE, BUY).await;
    assert!(
        sold_out.starts_with("END Bima hii imeisha eneo lako."),
        "{sold_out}"
    );
    world.forget(PHONE).await;
    assert_eq!(
        world.hop("S3", PHONE, BUY).await,
        sold_out,
        "a refusal is repeated too"
    );
    // 28 February 21:00Z is the local midnight at which the sale closes
    let close: chrono::DateTime<chrono::Utc> = "2026-02-28T21:00:00Z".parse().unwrap();
    world.talk("S4", PHONE, "1*2*1*1*2*1").await;
    world.advance(close - world.now());
    let said = world.hop("S4", PHONE, "1*2*1*1*2*1*2580").await;
    assert!(
        said.starts_with("END Mauzo ya bima hii yamefungwa."),
        "{said}"
    );
    assert!(
        world
            .says("S5", PHONE, "1")
            .await
            .starts_with("CON Leo hakuna bima ya Mahindi")
    );
    assert_eq!(world.count("select count(*) from receipts").await, 1);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_national_id_registers_once_and_the_database_keeps_no_plain_text(
    options: PgPoolOptions,
    connect: PgConnectOptions,
) {
    let world = World::new(options, connect).await;
    world.farmer(PHONE).await;
    let id = PHONE.trim_start_matches("+2547");
    let said = world
        .says(
            "S2",
            "+254712000002",
            &format!("1*Other Person*{id}*0234*1*1*1111*1111"),
        )
        .await;
    assert!(
        said.starts_with("END This ID is registered with another phone number."),
        "{said}"
    );
    // as text, or as bytes that read so; four digits alone stand in many a hash by chance
    let plain = "select count(*) from farmers f, jsonb_each_text(to_jsonb(f)) as held, \
                 (values ('Wanjiku'), ('712000001'), ('2580')) as secret(plain) \
                 where held.value = plain or position(encode(convert_to(plain, 'UTF8'), 'hex') in held.value) > 0 \
                    or (length(plain) > 4 and position(plain in held.value) > 0)";
    assert_eq!(world.count(plain).await, 0);
}

#[sqlx::test(migrations = "../migrations")]
async fn without_a_database_she_is_told_and_can_go_on_later(
    options: PgPoolOptions,
    connect: PgConnectOptions,
) {
    let world = World::new(options, connect).await;
    world.farmer(PHONE).await;
    world.talk("S2", PHONE, "1*2*1*1*2*1").await;
    world.process.close().await;
    // ordinary hops need no database
    assert!(
        world
            .hop("S2", PHONE, "1*2*1*1*2*1*00")
            .await
            .starts_with("CON MicroCrop: karibu")
    );
    world.talk("S2", PHONE, "1*2*1*1*2*1").await;
    let said = world.hop("S2", PHONE, "1*2*1*1*2*1*2580").await;
    assert!(
        said.starts_with("END Samahani, kuna hitilafu kwetu."),
        "{said}"
    );
    let answer = world
        .post(
            "/api/ussd",
            "sessionId=S9&phoneNumber=%2B254712000077&text=",
        )
        .await;
    assert_eq!(answer.status, StatusCode::OK);
    assert!(answer.text.starts_with("END Samahani"), "{}", answer.text);
}
