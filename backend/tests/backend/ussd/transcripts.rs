//! Conversations from the first dial to the M-Pesa prompt, as the farmer reads them.
//! The snapshots are the reference for both languages.

use chrono::TimeDelta;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use super::phone::{ADD_PLOT, BUY, REGISTER, World};

const PHONE: &str = "+254712000001";

#[sqlx::test(migrations = "../migrations")]
async fn a_farmer_registers_and_buys_in_swahili(options: PgPoolOptions, connect: PgConnectOptions) {
    let world = World::new(options, connect).await;
    let register = REGISTER.replace("{id}", "12345678");
    let said = world
        .talk("S1", PHONE, &format!("{register}*{ADD_PLOT}*{BUY}"))
        .await;
    insta::assert_snapshot!("buys_in_swahili", said.join("\n----\n"));
}

#[sqlx::test(migrations = "../migrations")]
async fn a_farmer_registers_by_lists_and_buys_in_english(
    options: PgPoolOptions,
    connect: PgConnectOptions,
) {
    let world = World::new(options, connect).await;
    // Marsabit is county 10 and lies on the second page, Saku its third constituency
    let register = "1*Amina Hassan*7654321*1*98*10*3*2*1*1*1357*1357";
    let said = world
        .talk(
            "S1",
            PHONE,
            &format!("{register}*4*2*1*1*1*1*1*2*1*2*1*1357"),
        )
        .await;
    insta::assert_snapshot!("buys_in_english", said.join("\n----\n"));
}

#[sqlx::test(migrations = "../migrations")]
async fn a_registered_farmer_looks_around(options: PgPoolOptions, connect: PgConnectOptions) {
    let world = World::new(options, connect).await;
    world.farmer(PHONE).await;
    world.says("S2", PHONE, BUY).await;
    let mut said = Vec::new();
    for (session, inputs) in [("S3", "2*1*0*0*3*0"), ("S4", "5*0*6*1*7*1*0*00*0")] {
        said.extend(world.talk(session, PHONE, inputs).await);
    }
    let code = store::testing::text(&world.pool, "select short_code from policies")
        .await
        .unwrap();
    insta::assert_snapshot!(
        "looks_around",
        said.join("\n----\n").replace(&code, "(code)")
    );
}

#[sqlx::test(migrations = "../migrations")]
async fn the_same_hop_gets_the_same_answer_and_changes_nothing_twice(
    options: PgPoolOptions,
    connect: PgConnectOptions,
) {
    let world = World::new(options, connect).await;
    world.farmer(PHONE).await;
    let (mut text, mut last) = (String::new(), String::new());
    for input in BUY.split('*') {
        text = if text.is_empty() {
            input.to_owned()
        } else {
            format!("{text}*{input}")
        };
        last = world.hop("S2", PHONE, &text).await;
        assert_eq!(world.hop("S2", PHONE, &text).await, last);
    }
    assert!(last.starts_with("END Ombi la M-PESA la KES 844"), "{last}");
    // and from nothing but the text, as after a restart of Redis
    world.forget(PHONE).await;
    assert_eq!(world.hop("S2", PHONE, &text).await, last);
    world.forget(PHONE).await;
    let quote = world.hop("S2", PHONE, "1*2*1").await;
    assert!(quote.contains("Mchango KES 844"), "{quote}");
    assert_eq!(world.count("select count(*) from policies").await, 1);
    assert_eq!(world.count("select count(*) from receipts").await, 1);
    assert_eq!(world.count("select count(*) from plots").await, 1);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_flush_of_redis_at_any_hop_is_not_noticed(
    options: PgPoolOptions,
    connect: PgConnectOptions,
) {
    let world = World::new(options, connect).await;
    let inputs = format!("{}*{ADD_PLOT}*{BUY}", REGISTER.replace("{id}", "12345678"));
    let undisturbed = world
        .talk("S1", "+254712000009", &inputs.replace("12345678", "999999"))
        .await;
    let mut disturbed = vec![world.hop("S1", PHONE, "").await];
    let parts: Vec<&str> = inputs.split('*').collect();
    for end in 1..=parts.len() {
        world.forget(PHONE).await;
        disturbed.push(world.hop("S1", PHONE, &parts[..end].join("*")).await);
    }
    assert_eq!(disturbed, undisturbed);
    assert_eq!(world.count("select count(*) from farmers").await, 2);
    assert_eq!(world.count("select count(*) from plots").await, 2);
    assert_eq!(world.count("select count(*) from policies").await, 2);
    assert_eq!(world.count("select count(*) from receipts").await, 2);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_call_that_broke_off_is_taken_up_within_a_day(
    options: PgPoolOptions,
    connect: PgConnectOptions,
) {
    let world = World::new(options, connect).await;
    world.farmer(PHONE).await;
    world.talk("S2", PHONE, "1*2*1*1*2").await;
    world.advance(TimeDelta::hours(23));
    let said = world.talk("S3", PHONE, "8*1*2580").await;
    assert!(said[0].starts_with(
        "CON Karibu tena Wanjiku. Ulikuwa unanunua Upungufu wa mvua KES 3,000.\n8. Endelea"
    ));
    assert!(said[1].starts_with("CON Swali 2:"), "{}", said[1]);
    assert!(said[3].starts_with("END Ombi la M-PESA"), "{}", said[3]);
    // what has ended is not offered again
    assert!(
        world
            .says("S4", PHONE, "")
            .await
            .starts_with("CON MicroCrop: karibu Wanjiku")
    );
    world.talk("S5", PHONE, "1*1*1").await;
    world.advance(TimeDelta::hours(25));
    assert!(
        world
            .says("S6", PHONE, "")
            .await
            .starts_with("CON MicroCrop: karibu Wanjiku")
    );
}

#[sqlx::test(migrations = "../migrations")]
async fn taking_up_what_redis_has_lost_starts_from_the_menu(
    options: PgPoolOptions,
    connect: PgConnectOptions,
) {
    let world = World::new(options, connect).await;
    world.farmer(PHONE).await;
    world.talk("S2", PHONE, "1*2*1*1*2").await;
    world.talk("S3", PHONE, "8*1").await;
    world.forget(PHONE).await;
    // the PIN she types now must not land on another screen
    let said = world.hop("S3", PHONE, "8*1*2580").await;
    assert!(said.starts_with("CON MicroCrop: karibu Wanjiku"), "{said}");
    assert!(
        world
            .hop("S3", PHONE, "8*1*2580*1")
            .await
            .starts_with("CON Mahindi, wadi 0234. Bima:")
    );
    assert_eq!(world.count("select count(*) from policies").await, 0);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_session_id_belongs_to_one_phone(options: PgPoolOptions, connect: PgConnectOptions) {
    let world = World::new(options, connect).await;
    world.farmer(PHONE).await;
    world.farmer("+254712000002").await;
    world.talk("S2", PHONE, "1*2*1*1*2*1").await;
    let said = world.hop("S2", "+254712000002", "1*2*1*1*2*1*1111").await;
    assert!(said.starts_with("CON PIN si sahihi, bado 2."), "{said}");
    assert!(
        world
            .hop("S2", PHONE, "1*2*1*1*2*1*2580")
            .await
            .starts_with("END Ombi la M-PESA")
    );
    assert!(
        world
            .hop("S2", "+254712000002", "1*2*1*1*2*1*1111*2580")
            .await
            .starts_with("END Ombi")
    );
    assert_eq!(world.count("select count(*) from policies").await, 2);
}

#[sqlx::test(migrations = "../migrations")]
async fn my_season_tells_rain_so_far_and_the_trigger(
    options: PgPoolOptions,
    connect: PgConnectOptions,
) {
    let world = World::new(options, connect).await;
    world.farmer(PHONE).await;
    world.says("S2", PHONE, BUY).await;
    let on_risk = "insert into risks (id, product_version_id, zone, risk_cell, season_year, \
                   window_start, window_end, window_closes_at, state, created_at) \
                   select id, product_version_id, zone, risk_cell, season_year, window_start, \
                   window_end, window_end, 'open', bought_at from policies; \
                   update policies set risk_id = id, activated_at = bought_at, state = 'active'";
    let rain = "insert into cell_days (risk_id, day, rain_um, source, computed_at) \
                select id, '2026-03-01'::date + n, case when n = 4 then null else 10500 end, \
                case when n = 4 then 'missing' else 'primary' end, created_at \
                from risks, generate_series(0, 9) as n";
    world.change(on_risk).await;
    world.advance(TimeDelta::days(40));
    let dry = world.says("S3", PHONE, "3").await;
    assert_eq!(
        dry,
        "CON Wadi 0234: mvua bado haijapimwa.\n\
         Kinga 1 Mac-31 Mei hulipa mvua ikiwa chini ya mm 278.\n0. Rudi"
    );
    world.change(rain).await;
    let wet = world.says("S4", PHONE, "3").await;
    assert_eq!(
        wet,
        "CON Wadi 0234, 1 Mac-10 Mac: mvua mm 95.\n\
         Bima hulipa mvua ikiwa chini ya mm 278 hadi 31 Mei.\n0. Rudi"
    );
    assert!(
        world
            .says("S5", PHONE, "2")
            .await
            .contains("1. Mahindi 0234 3,000 hai\n")
    );
}
