//! Money out, under everything that can go wrong: a season is observed, fails by the numbers, and
//! pays, while messages are lost, answers vanish, processes die and the database goes away. At the
//! end every policy is settled, every payout arrived once, and the books agree.

use chrono::{DateTime, TimeDelta, Utc};
use domain::invariants::{Facts, ProviderBooks};
use domain::payout::PayoutState;
use domain::policy::PolicyState;
use proptest::prelude::*;
use proptest::test_runner::{Config, FileFailurePersistence};
use simulation::op::Op;
use simulation::system::System;

use crate::support::{a_system, everybody_buys, run_async};

/// Operations that may happen while a season passes.
fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        12 => (1_u32..120).prop_map(|hours| Op::Advance { seconds: hours * 3_600 }),
        6 => Just(Op::Relay),
        8 => Just(Op::Sweep),
        20 => (0_u8..7).prop_map(|role| Op::Consume { role }),
        3 => (0_u8..7).prop_map(|role| Op::ConsumeThenCrash { role }),
        2 => (0_u8..7).prop_map(|role| Op::DropMessage { role }),
        2 => (0_u8..7).prop_map(|role| Op::RepeatMessage { role }),
        2 => (0_u8..7).prop_map(|role| Op::ReorderMessages { role }),
        4 => Just(Op::Providers),
        2 => Just(Op::CallbacksArrive),
        1 => Just(Op::CallbacksRepeat),
        1 => Just(Op::CallbacksNever),
        2 => Just(Op::Process),
        1 => (0_u8..60, 0_u8..40).prop_map(|(lost_percent, broken_percent)| {
            Op::ProvidersFail { lost_percent, broken_percent }
        }),
        1 => Just(Op::ProvidersHeal),
        1 => Just(Op::DatabaseDown),
        3 => Just(Op::DatabaseUp),
        1 => Just(Op::Restart),
    ]
}

/// Cases a push runs; more with `PROPTEST_CASES`.
const CASES: u32 = 4;

fn config() -> Config {
    Config {
        cases: std::option_env!("PROPTEST_CASES")
            .and_then(|n| n.parse().ok())
            .unwrap_or(CASES),
        max_shrink_iters: 20,
        failure_persistence: Some(Box::new(FileFailurePersistence::WithSource("regressions"))),
        ..Config::default()
    }
}

/// A month after the window closed, or from now if time has passed that: whatever is going to be
/// paid has been.
fn long_after(system: &System) -> DateTime<Utc> {
    let usual = "2026-06-30T00:00:00Z".parse().unwrap_or_default();
    (system.now() + TimeDelta::days(30)).max(usual)
}

async fn facts(system: &System) -> anyhow::Result<Facts> {
    let mut conn = system.pool().acquire().await?;
    Ok(store::facts::load(&mut conn, system.now(), ProviderBooks::default()).await?)
}

/// Where each risk with unsettled policies stands.
const UNSETTLED: &str = "-- seasons.unsettled
    select coalesce(string_agg(concat_ws(' ', r.risk_cell, r.state, 'frozen', r.stations_frozen_at,
               'check', r.next_check_at, 'dirty', r.index_dirty, 'run', r.final_index_run_id,
               'evaluation', e.state, e.holds::text), '; '), 'no risk')
    from risks r left join evaluations e on e.risk_id = r.id
    where exists (select 1 from policies p where p.risk_id = r.id and p.state = 'active')";

/// Everything that must be true when a season is over.
async fn is_over(system: &System) -> anyhow::Result<usize> {
    let broken = system.breaches_at_rest().await?;
    anyhow::ensure!(broken.is_empty(), "at rest: {broken:?}");
    let facts = facts(system).await?;
    let open = facts
        .policies
        .iter()
        .filter(|p| p.state == PolicyState::Active)
        .count();
    if open > 0 {
        let why = store::testing::text(system.pool(), UNSETTLED).await?;
        anyhow::bail!("{open} policies are not settled: {why}");
    }
    let unpaid: Vec<_> = facts
        .payouts
        .iter()
        .filter(|p| p.state != PayoutState::Paid)
        .collect();
    anyhow::ensure!(unpaid.is_empty(), "not paid: {unpaid:?}");
    Ok(facts.payouts.len())
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn whatever_happens_every_failed_season_is_paid_once(
        seed in any::<u64>(),
        ops in prop::collection::vec(op(), 150..400),
    ) {
        run_async(async {
            let mut system = a_system("seasons", seed, 4).await?;
            system.set_weather("drought", seed % 1_000).await?;
            everybody_buys(&mut system).await?;
            for (step, op) in ops.iter().enumerate() {
                system.perform(*op).await?;
                if step % 16 == 15 {
                    let broken = system.breaches().await?;
                    anyhow::ensure!(broken.is_empty(), "after step {step} {op:?}: {broken:?}");
                }
            }
            system.settle(long_after(&system)).await?;
            is_over(&system).await?;
            system.discard().await
        })
        .map_err(|error| TestCaseError::fail(format!("{error:#}")))?;
    }
}

#[test]
fn without_faults_a_drought_pays_and_a_good_season_does_not() {
    run_async(async {
        for (scenario, pays) in [("drought", true), ("good", false)] {
            let mut system = a_system(scenario, 7, 4).await?;
            system.set_weather(scenario, 7).await?;
            everybody_buys(&mut system).await?;
            system.settle(long_after(&system)).await?;
            let payouts = is_over(&system).await?;
            anyhow::ensure!((payouts > 0) == pays, "{scenario}: {payouts} payouts");
            system.discard().await?;
        }
        Ok(())
    })
    .expect("seasons end as their rain says");
}
