//! Money in, under everything that can go wrong: farmers dial, buy and pay while messages are lost,
//! answers vanish, processes die and the database goes away. After each operation no invariant may
//! be broken; at the end every farmer who paid is on risk, once, and the books agree.

use domain::invariants::ProviderBooks;
use domain::policy::PolicyState;
use proptest::prelude::*;
use proptest::test_runner::{Config, FileFailurePersistence};
use simulation::op::Op;
use simulation::system::System;

use crate::support::{a_system, ending, everybody_buys, run_async};

/// Operations that may happen while premiums are collected.
fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        35 => (0_u8..4).prop_map(|farmer| Op::Dial { farmer }),
        2 => (0_u8..4).prop_map(|farmer| Op::DialAgain { farmer }),
        1 => (0_u8..4).prop_map(|farmer| Op::HangUp { farmer }),
        4 => (1_u32..900).prop_map(|seconds| Op::Advance { seconds }),
        6 => Just(Op::Relay),
        3 => Just(Op::Sweep),
        8 => (0_u8..7).prop_map(|role| Op::Consume { role }),
        2 => (0_u8..7).prop_map(|role| Op::ConsumeThenCrash { role }),
        1 => (0_u8..7).prop_map(|role| Op::DropMessage { role }),
        1 => (0_u8..7).prop_map(|role| Op::RepeatMessage { role }),
        1 => (0_u8..7).prop_map(|role| Op::ReorderMessages { role }),
        6 => Just(Op::Providers),
        2 => Just(Op::CallbacksArrive),
        1 => Just(Op::CallbacksRepeat),
        1 => Just(Op::CallbacksNever),
        2 => Just(Op::Process),
        1 => (0_u8..60, 0_u8..40).prop_map(|(lost_percent, broken_percent)| {
            Op::ProvidersFail { lost_percent, broken_percent }
        }),
        1 => Just(Op::ProvidersHeal),
        1 => Just(Op::RedisFlush),
        1 => Just(Op::DatabaseDown),
        3 => Just(Op::DatabaseUp),
        1 => Just(Op::Restart),
    ]
}

/// Cases a push runs; more with `PROPTEST_CASES`.
const CASES: u32 = 8;

fn config() -> Config {
    Config {
        cases: std::option_env!("PROPTEST_CASES")
            .and_then(|n| n.parse().ok())
            .unwrap_or(CASES),
        max_shrink_iters: 60,
        failure_persistence: Some(Box::new(FileFailurePersistence::WithSource("regressions"))),
        ..Config::default()
    }
}

/// Number of policies on risk.
async fn active_policies(system: &System) -> anyhow::Result<i64> {
    let mut conn = system.pool().acquire().await?;
    let facts = store::facts::load(&mut conn, system.now(), ProviderBooks::default()).await?;
    let active = facts
        .policies
        .iter()
        .filter(|p| p.state == PolicyState::Active)
        .count();
    Ok(i64::try_from(active)?)
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn whatever_happens_money_is_booked_once_and_cover_follows_it(
        seed in any::<u64>(),
        ops in prop::collection::vec(op(), 400..700),
    ) {
        run_async(async {
            let mut system = a_system("premiums", seed, 4).await?;
            for (step, op) in ops.iter().enumerate() {
                system.perform(*op).await?;
                if step % 8 == 7 {
                    let broken = system.breaches().await?;
                    anyhow::ensure!(broken.is_empty(), "after step {step} {op:?}: {broken:?}");
                }
            }
            system.settle(ending()).await?;
            let broken = system.breaches_at_rest().await?;
            anyhow::ensure!(broken.is_empty(), "at rest: {broken:?}");
            system.discard().await
        })
        .map_err(|error| TestCaseError::fail(format!("{error:#}")))?;
    }
}

#[test]
fn without_faults_every_farmer_who_pays_is_on_risk() {
    run_async(async {
        let mut system = a_system("calm", 7, 4).await?;
        everybody_buys(&mut system).await?;
        let active = active_policies(&system).await?;
        anyhow::ensure!(active == 4, "{active} of 4 policies are active");
        let broken = system.breaches_at_rest().await?;
        anyhow::ensure!(broken.is_empty(), "{broken:?}");
        system.discard().await
    })
    .expect("a calm season sells four policies");
}
