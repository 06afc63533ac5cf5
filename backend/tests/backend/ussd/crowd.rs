//! Many at the same time: those who dial together share round trips, never answers; a session that
//! was lost or is unreadable is healed from the text whoever else is talking.

use futures_util::future::join_all;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use super::phone::{ADD_PLOT, World};

const NAMES: [&str; 6] = ["Atieno", "Barasa", "Chebet", "Dida", "Ekiru", "Fatuma"];

fn phone(index: usize) -> String {
    format!("+25471200000{index}")
}

/// Six farmers of different names, and nobody with the seventh number.
async fn village(options: PgPoolOptions, connect: PgConnectOptions) -> World {
    let world = World::new(options, connect).await;
    for (index, name) in NAMES.iter().enumerate() {
        let register = format!("2*{name} Kamau*1200000{index}*0234*1*1*2580*2580*{ADD_PLOT}");
        world
            .says(&format!("R{index}"), &phone(index), &register)
            .await;
    }
    world
}

#[sqlx::test(migrations = "../migrations")]
async fn farmers_who_dial_together_are_each_greeted_by_their_own_name(
    options: PgPoolOptions,
    connect: PgConnectOptions,
) {
    let world = village(options, connect).await;
    for round in 0..5 {
        // every phone dials twice at once, in two sessions
        let dials = (0..2 * (NAMES.len() + 1)).map(|caller| {
            let (world, index) = (&world, caller % (NAMES.len() + 1));
            async move {
                let session = format!("D{round}-{caller}");
                (index, world.hop(&session, &phone(index), "").await)
            }
        });
        for (index, said) in join_all(dials).await {
            match NAMES.get(index) {
                Some(name) => assert!(
                    said.starts_with(&format!("CON MicroCrop: karibu {name}\n")),
                    "{said}"
                ),
                None => assert!(said.contains("1. English\n2. Kiswahili"), "{said}"),
            }
        }
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn sessions_lost_in_the_middle_of_a_crowd_are_healed_from_the_text(
    options: PgPoolOptions,
    connect: PgConnectOptions,
) {
    let world = village(options, connect).await;
    let walk = |index: usize, forgets: bool| {
        let world = &world;
        async move {
            let (session, phone) = (format!("W{index}{forgets}"), phone(index));
            let mut said = Vec::new();
            for text in ["", "1", "1*1", "1*1*1"] {
                if forgets {
                    world.forget(&phone).await;
                }
                said.push(world.hop(&session, &phone, text).await);
            }
            said
        }
    };
    let kept = join_all((0..NAMES.len()).map(|index| walk(index, false))).await;
    let lost = join_all((0..NAMES.len()).map(|index| walk(index, true))).await;
    assert_eq!(kept, lost);
    assert!(kept.iter().all(|said| said[3].contains("KES")), "{kept:?}");
}

#[sqlx::test(migrations = "../migrations")]
async fn a_record_nobody_can_read_is_the_same_as_none(
    options: PgPoolOptions,
    connect: PgConnectOptions,
) {
    let world = village(options, connect).await;
    let phone = phone(0);
    let before = world.talk("U", &phone, "1*1").await;
    let number = domain::msisdn::Msisdn::parse(&phone).unwrap();
    let key = data_encoding::HEXLOWER.encode(&world.pii.phone_index(&number));
    let json = world.pii.seal([9; 12], br#"{"session_id":"U"}"#).unwrap();
    for unreadable in [b"not sealed".to_vec(), json] {
        let ttl = std::time::Duration::from_mins(1);
        world
            .redis
            .set(&format!("ussd:{key}"), &unreadable, ttl)
            .await
            .unwrap();
        assert_eq!(world.hop("U", &phone, "1*1").await, before[2]);
    }
}
