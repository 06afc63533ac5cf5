//! What pages people is measured from the rows, and what nobody needs any more is forgotten, on a
//! real database under a held clock.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use chrono::{DateTime, TimeDelta, Utc};
use runtime::broker::Broker;
use runtime::clock::Clock;
use runtime::memory::InMemory;
use sqlx::PgPool;
use store::fixtures::Plan;
use store::idempotency;
use workers::damage::Decided;
use workers::sweeps::{self, Swept};

use crate::support::season::House;

/// What the gauge shows after measuring; empty when it shows nothing.
async fn shown(house: &House, gauge: &str) -> String {
    sweeps::measure(&house.context).await.unwrap();
    let text = house.context.metrics.render();
    let value = text
        .lines()
        .find_map(|line| line.strip_prefix(gauge)?.strip_prefix(' '));
    value.unwrap_or_default().to_owned()
}

/// The same at `instant`, before or after what the house has lived through.
async fn shown_at(house: &mut House, instant: DateTime<Utc>, gauge: &str) -> String {
    house.context.clock = Clock::held(instant);
    shown(house, gauge).await
}

#[sqlx::test(migrations = "../migrations")]
async fn money_is_owed_from_the_evaluation_until_the_last_payout_ends(pool: PgPool) {
    let house = House::new(pool, Plan::default()).await;
    let gauge = "payout_unpaid_oldest_seconds";
    assert_eq!(shown(&house, gauge).await, "0");
    let decided = house.damage.decide(None, house.season.risk_id).await;
    let Ok(Decided::Evaluated(id)) = decided else {
        panic!("{decided:?}");
    };
    house.time.advance(TimeDelta::hours(1));
    // nothing is planned yet, and all of it is owed
    assert_eq!(shown(&house, gauge).await, "3600");
    while house.damage.fan_out(None, id).await.unwrap().more {}
    house.time.advance(TimeDelta::days(5) - TimeDelta::hours(1));
    assert_eq!(shown(&house, gauge).await, "432000");
    house
        .tamper(
            "update payouts set state = 'paid'
             where id in (select id from payouts order by id limit 2)",
        )
        .await;
    assert_eq!(shown(&house, gauge).await, "432000");
    assert_eq!(shown(&house, "payouts{state=\"paid\"}").await, "2");
    house
        .tamper("update payouts set state = 'refused' where state <> 'paid'")
        .await;
    assert_eq!(shown(&house, gauge).await, "0");
}

#[sqlx::test(migrations = "../migrations")]
async fn a_season_that_pays_nothing_owes_nothing(pool: PgPool) {
    let plan = Plan {
        rain_um: 300_000,
        ..Plan::default()
    };
    let house = House::new(pool, plan).await;
    let decided = house.damage.decide(None, house.season.risk_id).await;
    assert!(matches!(decided, Ok(Decided::Evaluated(_))), "{decided:?}");
    house.time.advance(TimeDelta::days(1));
    assert_eq!(shown(&house, "payout_unpaid_oldest_seconds").await, "0");
}

#[sqlx::test(migrations = "../migrations")]
async fn evaluations_are_counted_by_state_and_an_empty_state_is_zero(pool: PgPool) {
    let flags = ["--enable-auto-payouts", "false"];
    let house = House::with_flags(pool, Plan::default(), &flags).await;
    let (held, approved) = (
        "evaluations{state=\"held\"}",
        "evaluations{state=\"approved\"}",
    );
    assert_eq!(shown(&house, held).await, "0");
    house.settle().await;
    assert_eq!(shown(&house, held).await, "1");
    assert_eq!(shown(&house, approved).await, "0");
    house
        .tamper("update evaluations set state = 'approved'")
        .await;
    assert_eq!(shown(&house, held).await, "0");
    assert_eq!(shown(&house, approved).await, "1");
}

#[sqlx::test(migrations = "../migrations")]
async fn a_closed_window_is_waited_for_until_it_is_decided(pool: PgPool) {
    let mut house = House::new(pool, Plan::default()).await;
    let gauge = "window_unevaluated_oldest_seconds";
    let closes_at = house.season.closes_at;
    let late = closes_at + TimeDelta::hours(3);
    assert_eq!(shown_at(&mut house, late, gauge).await, "10800");
    // waiting for people is waiting
    house.tamper("update risks set state = 'held'").await;
    assert_eq!(shown_at(&mut house, late, gauge).await, "10800");
    let early = closes_at - TimeDelta::hours(1);
    assert_eq!(shown_at(&mut house, early, gauge).await, "0");
    assert_eq!(shown_at(&mut house, late, gauge).await, "10800");
    house.settle().await;
    assert_eq!(shown_at(&mut house, late, gauge).await, "0");
}

#[sqlx::test(migrations = "../migrations")]
async fn a_window_in_which_nobody_is_insured_is_not_waited_for(pool: PgPool) {
    let plan = Plan {
        policies: 0,
        ..Plan::default()
    };
    let house = House::new(pool, plan).await;
    house.time.advance(TimeDelta::days(1));
    let shown = shown(&house, "window_unevaluated_oldest_seconds").await;
    assert_eq!(shown, "0");
}

#[sqlx::test(migrations = "../migrations")]
async fn observations_age_while_a_window_runs(pool: PgPool) {
    let mut house = House::new(pool, Plan::default()).await;
    let gauge = "observation_age_hours{source=\"stations\"}";
    let third_of_march = "2026-03-02T21:00:00Z".parse().unwrap();
    // none at all: since the window began on 1 March, local time
    assert_eq!(shown_at(&mut house, third_of_march, gauge).await, "48");
    house
        .tamper(
            "insert into observations (station_id, observed_at, revision, utc_date) values
                 ('station-a', '2026-03-01T03:00:00Z', 1, '2026-03-01'),
                 ('station-b', '2026-03-02T03:00:00Z', 1, '2026-03-02'),
                 ('elsewhere', '2026-03-02T20:00:00Z', 1, '2026-03-02')",
        )
        .await;
    assert_eq!(shown_at(&mut house, third_of_march, gauge).await, "18");
    let closes_at = house.season.closes_at;
    assert_eq!(shown_at(&mut house, closes_at, gauge).await, "0");
    assert_eq!(shown_at(&mut house, third_of_march, gauge).await, "18");
    let sale = "2026-02-20T00:00:00Z".parse().unwrap();
    assert_eq!(shown_at(&mut house, sale, gauge).await, "0");
}

#[sqlx::test(migrations = "../migrations")]
async fn intents_and_answers_to_partners_are_forgotten_after_a_week_and_that_is_rest(pool: PgPool) {
    let broker = Broker::InMemory(InMemory::new());
    let context = crate::support::context(pool, broker);
    let (clock, ids, now) = (&context.clock, &context.ids, context.clock.now());
    // the partitions of the coming months
    sweeps::step(&context.pool, clock, ids).await.unwrap();
    let mut conn = context.pool.acquire().await.unwrap();
    for (hop, age) in [(1, TimeDelta::days(8)), (2, TimeDelta::days(6))] {
        let claimed = store::ussd::claim(&mut conn, now - age, &[7; 32], hop, "buy").await;
        assert_eq!(claimed.unwrap(), None);
    }
    let organisation = "insert into organisations (id, name, kind, state, created_at) values
        ('018f0000-0000-7000-8000-000000000001', 'Kilimo', 'cooperative', 'active', '2026-01-01')";
    store::testing::change(&context.pool, organisation)
        .await
        .unwrap();
    let organisation = uuid::Uuid::from_u128(0x018f_0000_0000_7000_8000_0000_0000_0001).into();
    for (key, age) in [("old", TimeDelta::days(8)), ("new", TimeDelta::days(6))] {
        let hash = [7; 32];
        let claimed = idempotency::claim(&mut conn, now - age, organisation, key, &hash).await;
        assert_eq!(claimed.unwrap(), idempotency::Claim::Fresh);
    }
    let swept = sweeps::step(&context.pool, clock, ids).await.unwrap();
    let forgot = Swept {
        purged: 2,
        ..Swept::default()
    };
    assert_eq!(swept, forgot);
    assert!(swept.is_empty());
    let kept = store::ussd::list_by_session(&mut conn, &[7; 32])
        .await
        .unwrap();
    let hops: Vec<i16> = kept.iter().map(|intent| intent.hop).collect();
    assert_eq!(hops, [2]);
    let left = "select count(*) from idempotency_keys where key = 'new'";
    let left = store::testing::number(&context.pool, left).await;
    assert_eq!(left.unwrap(), 1);
}
