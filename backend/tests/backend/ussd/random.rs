//! Three hundred conversations of people who type anything, one scripted to the premium in ten.
//! Runs from a fixed seed, so that a failure repeats.

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngSeed, TestRunner};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use super::phone::{ADD_PLOT, BUY, REGISTER, World};

const SESSIONS: usize = 300;
const SCRIPTED_EVERY: usize = 10;
const PHONES: usize = 40;

/// What a person might type, sense and nonsense.
fn input() -> impl Strategy<Value = String> {
    let known = [
        "2580",
        "1111",
        "0234",
        "1503",
        "0.5",
        "12345678",
        "Wanjiku Kamau",
        "98",
        "00",
        "0",
    ];
    prop_oneof![
        10 => "[1-6]",
        3 => prop::sample::select(known.to_vec()).prop_map(str::to_owned),
        1 => "[0-9]{0,9}",
        1 => "\\PC{0,40}",
        1 => "[89]",
    ]
}

#[sqlx::test(migrations = "../migrations")]
async fn three_hundred_conversations_never_leave_the_screen(
    options: PgPoolOptions,
    connect: PgConnectOptions,
) {
    let world = World::new(options, connect).await;
    let config = Config {
        rng_seed: RngSeed::Fixed(7),
        ..Config::default()
    };
    let mut runner = TestRunner::new(config);
    let typed = prop::collection::vec(input(), 0..14);
    let mut reached = 0;
    for n in 0..SESSIONS {
        let session = format!("S{n}");
        if n % SCRIPTED_EVERY == 0 {
            let phone = format!("+2547130{n:05}");
            let script = format!(
                "{}*{ADD_PLOT}*{BUY}",
                REGISTER.replace("{id}", &format!("30{n:05}"))
            );
            let said = world.says(&session, &phone, &script).await;
            assert!(said.starts_with("END Ombi la M-PESA la KES 844 "), "{said}");
            reached += 1;
            continue;
        }
        // few phones, so that conversations break off, resume and meet registered farmers
        let phone = format!("+2547120{:05}", n % PHONES);
        let inputs = typed.new_tree(&mut runner).unwrap().current();
        let mut text = String::new();
        let mut said = world.hop(&session, &phone, "").await;
        for input in inputs {
            if said.starts_with("END ") {
                break;
            }
            text = if text.is_empty() {
                input
            } else {
                format!("{text}*{input}")
            };
            said = world.hop(&session, &phone, &text).await;
            assert_eq!(world.hop(&session, &phone, &text).await, said, "{text:?}");
        }
    }
    assert_eq!(reached, SESSIONS / SCRIPTED_EVERY);
    assert!(world.count("select count(*) from policies").await >= 30);
    let orphans = "select count(*) from policies p where not exists \
                   (select 1 from receipts r where r.policy_id = p.id)";
    assert_eq!(world.count(orphans).await, 0);
}
