//! The relay over a real database: what is committed is rung at least once, what is not confirmed
//! is rung again, nothing is rung early.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up must fail")]

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use domain::event::{Envelope, Event};
use domain::id::{MessageId, PayoutId};
use runtime::broker::Broker;
use runtime::memory::InMemory;
use runtime::topology::Role;
use sqlx::PgPool;
use store::outbox;
use uuid::Uuid;
use workers::relay::{self, Relayed};
use workers::role::Context;

use crate::support::{context, morning};

fn bell(number: u128) -> Envelope {
    Envelope {
        id: MessageId::from(Uuid::from_u128(number)),
        event: Event::PayoutApproved {
            payout_id: PayoutId::from(Uuid::from_u128(number)),
        },
        traceparent: None,
    }
}

async fn ring_at(pool: &PgPool, number: u128, at: DateTime<Utc>) {
    let mut tx = pool.begin().await.unwrap();
    outbox::push(&mut tx, morning(), &bell(number), at)
        .await
        .unwrap();
    tx.commit().await.unwrap();
}

fn world(pool: &PgPool) -> (Context, InMemory) {
    let memory = InMemory::new();
    (
        context(pool.clone(), Broker::InMemory(memory.clone())),
        memory,
    )
}

async fn step(context: &Context) -> Relayed {
    relay::step(
        &context.pool,
        &context.broker,
        context.clock.now(),
        &context.metrics,
    )
    .await
    .unwrap()
}

fn heard(memory: &InMemory) -> Vec<u128> {
    let mut consumer = memory.consume(Role::Payout);
    let deliveries: Vec<_> = std::iter::from_fn(|| consumer.take()).collect();
    deliveries
        .iter()
        .map(|delivery| delivery.message.id.as_u128())
        .collect()
}

#[sqlx::test(migrations = "../migrations")]
async fn a_transaction_that_commits_late_is_not_lost(pool: PgPool) {
    let (context, memory) = world(&pool);
    let mut late = pool.begin().await.unwrap();
    outbox::push(&mut late, morning(), &bell(1), morning())
        .await
        .unwrap();
    ring_at(&pool, 2, morning()).await;
    assert_eq!(
        step(&context).await,
        Relayed {
            published: 1,
            failed: 0
        }
    );
    late.commit().await.unwrap();
    assert_eq!(
        step(&context).await,
        Relayed {
            published: 1,
            failed: 0
        }
    );
    assert_eq!(step(&context).await, Relayed::default());
    assert_eq!(heard(&memory), [2, 1]);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_bell_rolled_back_is_never_rung(pool: PgPool) {
    let (context, memory) = world(&pool);
    let mut tx = pool.begin().await.unwrap();
    outbox::push(&mut tx, morning(), &bell(1), morning())
        .await
        .unwrap();
    tx.rollback().await.unwrap();
    assert_eq!(step(&context).await, Relayed::default());
    assert!(heard(&memory).is_empty());
}

#[sqlx::test(migrations = "../migrations")]
async fn an_unconfirmed_bell_stays_and_is_rung_again(pool: PgPool) {
    let (context, memory) = world(&pool);
    ring_at(&pool, 1, morning()).await;
    memory.lose_confirms(1);
    assert_eq!(
        step(&context).await,
        Relayed {
            published: 0,
            failed: 1
        }
    );
    let mut conn = pool.acquire().await.unwrap();
    assert_eq!(outbox::backlog(&mut conn, morning()).await.unwrap().due, 1);
    memory.set_down(true);
    assert_eq!(
        step(&context).await,
        Relayed {
            published: 0,
            failed: 1
        }
    );
    memory.set_down(false);
    assert_eq!(
        step(&context).await,
        Relayed {
            published: 1,
            failed: 0
        }
    );
    assert_eq!(
        heard(&memory),
        [1, 1],
        "a doubled bell is harmless, a lost one is not"
    );
}

#[sqlx::test(migrations = "../migrations")]
async fn a_bell_is_rung_when_it_is_due_and_not_before(pool: PgPool) {
    let (context, memory) = world(&pool);
    let due = morning() + TimeDelta::minutes(2);
    ring_at(&pool, 1, due).await;
    assert_eq!(step(&context).await, Relayed::default());
    let mut conn = pool.acquire().await.unwrap();
    let backlog = outbox::backlog(&mut conn, morning()).await.unwrap();
    assert_eq!((backlog.due, backlog.next_at), (0, Some(due)));
    assert!(
        outbox::exists_unpublished(&mut conn, "payout.approved.v1", Uuid::from_u128(1))
            .await
            .unwrap()
    );
    context.clock.held_handle().unwrap().set(due);
    assert_eq!(
        step(&context).await,
        Relayed {
            published: 1,
            failed: 0
        }
    );
    assert!(
        !outbox::exists_unpublished(&mut conn, "payout.approved.v1", Uuid::from_u128(1))
            .await
            .unwrap()
    );
    assert_eq!(heard(&memory), [1]);
}

#[sqlx::test(migrations = "../migrations")]
async fn two_relays_never_ring_the_same_bell_at_once(pool: PgPool) {
    let (context, memory) = world(&pool);
    ring_at(&pool, 1, morning()).await;
    ring_at(&pool, 2, morning()).await;
    let mut other = pool.begin().await.unwrap();
    assert_eq!(
        outbox::claim_batch(&mut other, morning(), 1)
            .await
            .unwrap()
            .len(),
        1
    );
    assert_eq!(
        step(&context).await,
        Relayed {
            published: 1,
            failed: 0
        }
    );
    other.rollback().await.unwrap();
    assert_eq!(
        step(&context).await,
        Relayed {
            published: 1,
            failed: 0
        }
    );
    assert_eq!(heard(&memory), [2, 1]);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_commit_wakes_the_relay(pool: PgPool) {
    let mut listener = outbox::Listener::connect(&pool).await.unwrap();
    ring_at(&pool, 1, morning()).await;
    let heard = tokio::time::timeout(Duration::from_secs(10), listener.heard()).await;
    heard.expect("the notification did not come").unwrap();
}

#[sqlx::test(migrations = "../migrations")]
async fn a_bell_the_broker_lost_is_rung_again_under_its_own_id(pool: PgPool) {
    let (context, memory) = world(&pool);
    let time = context.clock.held_handle().unwrap();
    ring_at(&pool, 1, morning()).await;
    ring_at(&pool, 2, morning()).await;
    step(&context).await;
    time.advance(TimeDelta::minutes(16));
    assert_eq!(
        relay::ring_again(&context).await.unwrap(),
        0,
        "they wait at the broker"
    );
    assert!(memory.drop_one(Role::Payout, &context.ids));
    assert!(memory.drop_one(Role::Payout, &context.ids));
    let mut conn = pool.acquire().await.unwrap();
    let (role, second) = (Role::Payout.name(), MessageId::from(Uuid::from_u128(2)));
    store::consumed::first_time(&mut conn, time.now(), role, second)
        .await
        .unwrap();
    assert_eq!(relay::ring_again(&context).await.unwrap(), 1);
    step(&context).await;
    assert_eq!(heard(&memory), [1]);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_parked_message_is_let_alone_and_handled_when_a_person_gives_it_back(pool: PgPool) {
    let (context, _) = world(&pool);
    let now = context.clock.now();
    ring_at(&pool, 1, morning()).await;
    step(&context).await;
    let (role, id) = (Role::Payout.name(), Uuid::from_u128(1));
    let mut conn = pool.acquire().await.unwrap();
    store::consumed::park(&mut conn, now, role, id.into())
        .await
        .unwrap();
    let ids = [id];
    for (minutes, rings) in [(59, 0), (61, 1)] {
        let at = now + TimeDelta::minutes(minutes);
        let quiet = store::bells::list_quiet(&mut conn, at, "payout.approved.v1", role, &ids);
        assert_eq!(quiet.await.unwrap().len(), rings, "after {minutes} minutes");
    }
    for is_first in [true, false] {
        let first = store::consumed::first_time(&mut conn, now, role, id.into());
        assert_eq!(first.await.unwrap(), is_first);
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn old_bells_are_forgotten_and_waiting_ones_are_not(pool: PgPool) {
    let (context, _) = world(&pool);
    ring_at(&pool, 1, morning()).await;
    step(&context).await;
    ring_at(&pool, 2, morning() + TimeDelta::days(90)).await;
    context
        .clock
        .held_handle()
        .unwrap()
        .advance(TimeDelta::days(8));
    relay::purge(&context).await.unwrap();
    let kept: Vec<Uuid> = sqlx::query_scalar!("select id from outbox")
        .fetch_all(&pool)
        .await
        .unwrap();
    assert_eq!(kept, [Uuid::from_u128(2)]);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_running_relay_rings_what_is_committed_and_stops_when_asked(pool: PgPool) {
    let (context, memory) = world(&pool);
    let watch = async {
        ring_at(&pool, 1, morning()).await;
        while memory.depth(Role::Payout).ready == 0 {
            tokio::task::yield_now().await;
        }
        context.lifecycle.stop();
    };
    let (ran, ()) = tokio::join!(relay::run(&context), watch);
    ran.unwrap();
    assert_eq!(heard(&memory), [1]);
}
