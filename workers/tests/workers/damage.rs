//! Deciding closed risks and fanning out to their policies, on a real database: once under
//! repeated and concurrent bells, resumed after a crash, held when people must look.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use chrono::TimeDelta;
use domain::event::Event;
use futures_util::future::join_all;
use runtime::broker::Message;
use runtime::clock::Clock;
use serde_json::json;
use sqlx::PgPool;
use store::fixtures::Plan;
use uuid::Uuid;
use workers::consumer::{Handler, Outcome};
use workers::damage::{self, Decided};

use crate::support::season::House;

fn bell(number: u128, event: &Event) -> Message {
    Message {
        id: Uuid::from_u128(number),
        topic: event.topic().to_owned(),
        body: serde_json::to_vec(event).unwrap(),
        traceparent: None,
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn concurrent_bells_make_one_evaluation(pool: PgPool) {
    let house = House::new(pool, Plan::default()).await;
    let event = Event::WindowClosed {
        risk_id: house.season.risk_id,
    };
    let messages: Vec<_> = (1..=4).map(|number| bell(number, &event)).collect();
    let heard = join_all(messages.iter().map(|message| house.damage.handle(message))).await;
    assert!(
        heard.iter().all(|outcome| *outcome == Outcome::Done),
        "{heard:?}"
    );
    assert_eq!(house.count("select count(*) from evaluations").await, 1);
    let bells = "select count(*) from outbox where topic = 'evaluation.recorded.v1'";
    assert_eq!(house.count(bells).await, 1);
    assert_eq!(house.text("select state from risks").await, "evaluated");
    assert_eq!(
        house.text("select state from evaluations").await,
        "approved"
    );
    // 63.32 % of 10,000 thrice, each rounded once
    assert_eq!(
        house.count("select total_minor from evaluations").await,
        3 * 633_200
    );
}

#[sqlx::test(migrations = "../migrations")]
async fn nothing_is_decided_before_the_window_closes(pool: PgPool) {
    let house = House::new(pool, Plan::default()).await;
    let mut early = house.context.clone();
    early.clock = Clock::held(house.season.closes_at - TimeDelta::milliseconds(1));
    let decided = damage::build(&early)
        .decide(None, house.season.risk_id)
        .await;
    assert_eq!(decided, Ok(Decided::NotYet));
    assert_eq!(house.count("select count(*) from evaluations").await, 0);
    house.settle().await;
}

#[sqlx::test(migrations = "../migrations")]
async fn nothing_is_decided_before_the_index_is_final(pool: PgPool) {
    let plan = Plan {
        is_final: false,
        ..Plan::default()
    };
    let house = House::new(pool, plan).await;
    let risk = house.season.risk_id;
    assert_eq!(house.damage.decide(None, risk).await, Ok(Decided::NotYet));
    assert_eq!(
        house
            .count("select count(*) from risks where next_check_at is not null and index_dirty")
            .await,
        1,
        "what the calendar alone makes final rings no bell: its index is asked for anew"
    );
    assert_eq!(house.count("select count(*) from evaluations").await, 0);
}

#[sqlx::test(migrations = "../migrations")]
async fn missing_days_are_waited_for_and_then_handed_to_people(pool: PgPool) {
    let plan = Plan {
        missing_days: 1,
        ..Plan::default()
    };
    let house = House::new(pool, plan).await;
    let risk = house.season.risk_id;
    assert_eq!(house.damage.decide(None, risk).await, Ok(Decided::Deferred));
    assert_eq!(house.text("select state from risks").await, "deferred");
    house.time.advance(TimeDelta::days(20));
    assert_eq!(house.damage.decide(None, risk).await, Ok(Decided::Held));
    assert_eq!(house.damage.decide(None, risk).await, Ok(Decided::Held));
    assert_eq!(house.count("select count(*) from evaluations").await, 0);
    assert_eq!(
        house
            .count("select count(*) from risks where next_check_at is not null")
            .await,
        0
    );
}

#[sqlx::test(migrations = "../migrations")]
async fn a_number_that_comes_after_the_days_for_deciding_is_held(pool: PgPool) {
    let plan = Plan {
        missing_days: 1,
        ..Plan::default()
    };
    let house = House::new(pool, plan).await;
    house.time.advance(TimeDelta::days(20));
    let risk = house.season.risk_id;
    assert_eq!(house.damage.decide(None, risk).await, Ok(Decided::Held));
    let found = "update index_runs set missing_days = 0,
                 phases = jsonb_set(phases, '{0,missing_days}', '0')";
    house.tamper(found).await;
    house.settle().await;
    let state = "select state || ' ' || array_to_string(holds, ',') from evaluations";
    assert_eq!(house.text(state).await, "held decided_late");
    assert_eq!(house.text("select state from risks").await, "evaluated");
    let held = "select count(*) from payouts where state = 'held'";
    assert_eq!(house.count(held).await, 3);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_fan_out_cut_in_the_middle_is_finished_by_the_next_bell(pool: PgPool) {
    let house = House::new(
        pool,
        Plan {
            policies: 503,
            ..Plan::default()
        },
    )
    .await;
    let risk = house.season.risk_id;
    let Decided::Evaluated(id) = house.damage.decide(None, risk).await.unwrap() else {
        panic!("not decided");
    };
    let first = house.damage.fan_out(None, id).await.unwrap();
    assert_eq!((first.settled, first.planned, first.more), (500, 500, true));
    // the process dies here; the bell it rang, and the one it was hearing, both come
    let event = Event::EvaluationRecorded { evaluation_id: id };
    for number in [1, 2, 2] {
        assert_eq!(
            house.damage.handle(&bell(number, &event)).await,
            Outcome::Done
        );
    }
    assert_eq!(
        house
            .count("select count(*) from payouts where state = 'held'")
            .await,
        503
    );
    assert_eq!(house.count("select count(*) from payout_legs").await, 503);
    let pending = "select count(*) from ledger_transfers where kind = 'pending'";
    assert_eq!(house.count(pending).await, 503);
    assert_eq!(
        house
            .count("select count(*) from policies where state = 'settled'")
            .await,
        503
    );
    let told = "select count(*) from outbox where topic = 'policy.settled.v1'";
    assert_eq!(house.count(told).await, 503);
    let done = "select count(*) from evaluations where fanned_out_at is not null";
    assert_eq!(house.count(done).await, 1);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_release_above_the_limit_or_without_confidence_is_held(pool: PgPool) {
    let plan = Plan {
        release_auto_max_kes: 18_995,
        confidence: 79,
        ..Plan::default()
    };
    let house = House::new(pool, plan).await;
    house.settle().await;
    let holds = house
        .text("select array_to_string(holds, ',') from evaluations")
        .await;
    assert_eq!(holds, "low_confidence,above_limit");
    assert_eq!(
        house
            .count("select count(*) from payouts where state = 'held'")
            .await,
        3
    );
    let bells = "select count(*) from outbox where topic = 'payout.approved.v1'";
    assert_eq!(house.count(bells).await, 0);
}

#[sqlx::test(migrations = "../migrations")]
async fn switching_automatic_payouts_off_holds_everything(pool: PgPool) {
    let flags = ["--enable-auto-payouts", "false"];
    let house = House::with_flags(pool, Plan::default(), &flags).await;
    house.settle().await;
    assert_eq!(
        house
            .text("select array_to_string(holds, ',') from evaluations")
            .await,
        "switched_off"
    );
    assert_eq!(
        house
            .count("select count(*) from payouts where state = 'held'")
            .await,
        3
    );
}

#[sqlx::test(migrations = "../migrations")]
async fn a_good_season_settles_everybody_and_owes_nobody(pool: PgPool) {
    let house = House::new(
        pool,
        Plan {
            rain_um: 300_000,
            ..Plan::default()
        },
    )
    .await;
    house.settle().await;
    assert_eq!(house.count("select count(*) from payouts").await, 0);
    assert_eq!(
        house
            .count("select count(*) from policies where state = 'settled'")
            .await,
        3
    );
    let told = "select count(*) from outbox where topic = 'policy.settled.v1'";
    assert_eq!(house.count(told).await, 3);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_large_payout_travels_in_legs_the_rail_can_carry(pool: PgPool) {
    let plan = Plan {
        policies: 1,
        sum_insured_kes: 400_000,
        rain_um: 0,
        ..Plan::default()
    };
    let house = House::new(pool, plan).await;
    house.settle().await;
    let legs = "select string_agg(amount_minor::text, ',' order by leg) from payout_legs";
    assert_eq!(house.text(legs).await, "25000000,15000000");
}

#[sqlx::test(migrations = "../migrations")]
async fn a_policy_is_never_owed_more_than_its_sum_insured(pool: PgPool) {
    let house = House::new(
        pool,
        Plan {
            rain_um: 0,
            ..Plan::default()
        },
    )
    .await;
    house.settle().await;
    let more = store::testing::change(&house.context.pool, "alter table payouts drop constraint payouts_policy_id_evaluation_id_key;
         insert into payouts (id, policy_id, evaluation_id, amount_minor, currency, state, planned_at)
         select gen_random_uuid(), policy_id, evaluation_id, 100, currency, 'held', planned_at
         from payouts limit 1;").await
    .unwrap_err();
    let said = std::error::Error::source(&more).map(ToString::to_string);
    assert!(
        said.is_some_and(|text| text.contains("exceed its sum insured")),
        "{more}"
    );
}

#[sqlx::test(migrations = "../migrations")]
async fn evidence_is_pinned_under_the_address_it_was_given(pool: PgPool) {
    let house = House::new(pool, Plan::default()).await;
    let risk = house.season.risk_id;
    let Decided::Evaluated(id) = house.damage.decide(None, risk).await.unwrap() else {
        panic!("not decided");
    };
    house.control("pinata", json!({ "wrong_cid": true })).await;
    assert_eq!(house.damage.pin(id).await, Ok(false));
    let waiting = "select count(*) from evaluations where next_check_at > evaluated_at";
    assert_eq!(house.count(waiting).await, 1);
    house.control("pinata", json!({ "wrong_cid": false })).await;
    assert_eq!(house.damage.pin(id).await, Ok(true));
    assert_eq!(house.damage.pin(id).await, Ok(true));
    let pinned =
        "select count(*) from evaluations where pinned_at is not null and next_check_at is null";
    assert_eq!(house.count(pinned).await, 1);
}
