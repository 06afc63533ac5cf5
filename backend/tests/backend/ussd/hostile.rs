//! Wrong tokens, broken bodies, endless texts, too many hops, a closed channel.
//! Never logs nor keeps what a stranger sent: every answer is a screen, and a counter moves.

use axum::http::StatusCode;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use super::phone::{World, assert_screen};

const FORM: &str = "sessionId=S1&phoneNumber=%2B254712000001&text=";
const TOKEN: &str = "a-token-of-twenty-chars";

fn rejected(world: &World, reason: &str) -> u64 {
    world
        .metrics
        .rejected_inputs
        .with_label_values(&["ussd", reason])
        .get()
}

#[sqlx::test(migrations = "../migrations")]
async fn only_the_right_token_reaches_the_channel(
    options: PgPoolOptions,
    connect: PgConnectOptions,
) {
    let world = World::with_flags(options, connect, &["--at-callback-token", TOKEN]).await;
    let right = world.post(&format!("/api/ussd/{TOKEN}"), FORM).await;
    assert_screen(&right);
    assert!(right.text.starts_with("CON MicroCrop"));
    for path in [
        "/api/ussd",
        "/api/ussd/",
        "/api/ussd/a-token-of-twenty-charz",
        "/api/ussd/a",
        "/api/ussd/%00",
    ] {
        assert_eq!(
            world.post(path, FORM).await.status,
            StatusCode::NOT_FOUND,
            "{path}"
        );
    }
    assert!(rejected(&world, "token") >= 4);
}

#[sqlx::test(migrations = "../migrations")]
async fn an_unset_token_opens_only_the_plain_path(
    options: PgPoolOptions,
    connect: PgConnectOptions,
) {
    let world = World::new(options, connect).await;
    assert_eq!(
        world.post("/api/ussd/anything", FORM).await.status,
        StatusCode::NOT_FOUND
    );
    assert_screen(&world.post("/api/ussd", FORM).await);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_body_that_cannot_be_read_is_answered_by_a_screen(
    options: PgPoolOptions,
    connect: PgConnectOptions,
) {
    let world = World::new(options, connect).await;
    let bodies: Vec<Vec<u8>> = vec![
        Vec::new(),
        b"{\"sessionId\":1}".to_vec(),
        b"sessionId=S1&text=1".to_vec(),
        b"sessionId=&phoneNumber=%2B254712000001&text=".to_vec(),
        b"sessionId=S1&phoneNumber=hello&text=".to_vec(),
        b"sessionId=S1&phoneNumber=%2B255712000001&text=".to_vec(),
        b"sessionId=S1&sessionId=S2&phoneNumber=%2B254712000001&text=".to_vec(),
        vec![0xff, 0xfe, 0x00],
        format!(
            "sessionId={}&phoneNumber=%2B254712000001&text=",
            "s".repeat(500)
        )
        .into_bytes(),
    ];
    for body in &bodies {
        let answer = world.post("/api/ussd", body.clone()).await;
        assert_screen(&answer);
        assert!(answer.text.starts_with("END Hatukuweza"), "{}", answer.text);
    }
    assert_eq!(
        rejected(&world, "form"),
        u64::try_from(bodies.len()).unwrap()
    );
    let huge = world.post("/api/ussd", vec![b'a'; 200_000]).await;
    assert_screen(&huge);
    assert!(huge.text.starts_with("END "));
}

#[sqlx::test(migrations = "../migrations")]
async fn hostile_texts_are_only_wrong_input(options: PgPoolOptions, connect: PgConnectOptions) {
    let world = World::new(options, connect).await;
    let long = "9".repeat(3_000);
    let texts = [
        "*",
        "**",
        "1**",
        "1*'; drop table farmers;--",
        "1*\u{0}",
        "1*%00%ff",
        "1*\u{202e}\u{1f33d}",
        "#",
        "1*{name}*{0}",
        long.as_str(),
    ];
    for (n, text) in texts.into_iter().enumerate() {
        let said = world.hop(&format!("S{n}"), "+254712000001", text).await;
        assert!(said.starts_with("CON "), "{text}: {said}");
    }
    for text in ["1*".repeat(500), "8".repeat(9_000)] {
        let said = world.hop("L", "+254712000001", &text).await;
        assert!(said.starts_with("END "), "{said}");
    }
    assert_eq!(rejected(&world, "too_long"), 2);
    assert_eq!(world.count("select count(*) from farmers").await, 0);
}

#[sqlx::test(migrations = "../migrations")]
async fn one_phone_over_its_ceiling_hears_busy_and_others_do_not(
    options: PgPoolOptions,
    connect: PgConnectOptions,
) {
    let flags = [
        "--ussd-phone-rate-burst",
        "3",
        "--ussd-phone-rate-per-second",
        "1",
    ];
    let world = World::with_flags(options, connect, &flags).await;
    for _ in 0..3 {
        assert!(
            world
                .hop("S1", "+254712000001", "")
                .await
                .starts_with("CON ")
        );
    }
    let busy = world.hop("S1", "+254712000001", "").await;
    assert!(busy.starts_with("END Watu wengi wanapiga sasa."), "{busy}");
    assert!(
        world
            .hop("S2", "+254712000002", "")
            .await
            .starts_with("CON ")
    );
    assert_eq!(rejected(&world, "phone"), 1);
}

#[sqlx::test(migrations = "../migrations")]
async fn over_the_process_ceiling_everyone_hears_busy_with_200(
    options: PgPoolOptions,
    connect: PgConnectOptions,
) {
    let flags = ["--ussd-rate-burst", "2", "--ussd-rate-per-second", "1"];
    let world = World::with_flags(options, connect, &flags).await;
    let mut ended = 0;
    for n in 0..5 {
        let said = world.hop("S1", &format!("+25471200000{n}"), "").await;
        ended += i32::from(said.starts_with("END "));
    }
    assert!(ended >= 2);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_closed_channel_says_so(options: PgPoolOptions, connect: PgConnectOptions) {
    let world = World::with_flags(options, connect, &["--enable-ussd", "false"]).await;
    let said = world.hop("S1", "+254712000001", "").await;
    assert!(
        said.starts_with("END MicroCrop kwa simu imefungwa kwa sasa."),
        "{said}"
    );
    assert_screen(&world.post("/api/ussd", "nonsense").await);
}

#[sqlx::test(migrations = "../migrations")]
async fn without_redis_every_hop_is_replayed_from_its_text(
    options: PgPoolOptions,
    connect: PgConnectOptions,
) {
    let flags = ["--redis-url", "redis://127.0.0.1:1/0"];
    let world = World::with_flags(options, connect, &flags).await;
    let body = |text: &str| format!("sessionId=S1&phoneNumber=%2B254712000001&text={text}");
    let first = world.post("/api/ussd", body("1")).await;
    assert_screen(&first);
    assert!(first.text.starts_with("CON Type your full name"));
    let third = world
        .post("/api/ussd", body("1*Wanjiku+Kamau*12345678"))
        .await;
    assert_screen(&third);
    assert!(
        third.text.starts_with("CON Type the ward's 4-digit code"),
        "{}",
        third.text
    );
}
