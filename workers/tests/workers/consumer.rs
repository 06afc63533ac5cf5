//! What the consumer makes of a handler's outcome, with the broker in memory and a real database.
//! Never leaves this machine. Run with the crate's tests.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up must fail")]

use std::sync::Mutex;

use chrono::TimeDelta;
use domain::event::{Envelope, Event};
use domain::id::{MessageId, PayoutId};
use runtime::broker::{Broker, Message};
use runtime::memory::InMemory;
use runtime::topology::{RETRIES_MAX, Role};
use sqlx::PgPool;
use uuid::Uuid;
use workers::consumer::{self, Handler, Outcome};
use workers::role::Context;

use crate::support::{context, message, morning};

const HEARD: &str = "payout.approved.v1";

/// Answers with what it was told to, in turn, and then with `Done`.
#[derive(Default)]
struct Scripted(Mutex<Vec<Outcome>>);

impl Scripted {
    fn once(outcome: Outcome) -> Self {
        Self(Mutex::new(vec![outcome]))
    }
}

impl Handler for Scripted {
    const ROLE: Role = Role::Payout;

    async fn handle(&self, _: &Message) -> Outcome {
        let next = self.0.lock().unwrap().pop();
        next.unwrap_or(Outcome::Done)
    }
}

struct Panicking;

impl Handler for Panicking {
    const ROLE: Role = Role::Payout;

    async fn handle(&self, message: &Message) -> Outcome {
        assert!(message.body.is_empty(), "a handler's mistake");
        Outcome::Done
    }
}

struct Decoding;

impl Handler for Decoding {
    const ROLE: Role = Role::Payout;

    async fn handle(&self, message: &Message) -> Outcome {
        consumer::decode(message).map(drop).into()
    }
}

fn world(pool: &PgPool) -> (Context, InMemory) {
    let memory = InMemory::new();
    memory.publish_all(&[message(1, HEARD)]);
    (
        context(pool.clone(), Broker::InMemory(memory.clone())),
        memory,
    )
}

async fn step<H: Handler>(context: &Context, handler: &H) -> Option<Outcome> {
    let mut consumer = context.broker.consume(Role::Payout, 1).await.unwrap();
    consumer::step(&mut consumer, handler, context)
        .await
        .unwrap()
}

#[sqlx::test(migrations = "../migrations")]
async fn a_done_message_is_gone_and_recorded_as_heard(pool: PgPool) {
    let (context, memory) = world(&pool);
    assert_eq!(
        step(&context, &Scripted::default()).await,
        Some(Outcome::Done)
    );
    assert_eq!(step(&context, &Scripted::default()).await, None);
    assert_eq!(memory.depth(Role::Payout).ready, 0);
    let mut conn = pool.acquire().await.unwrap();
    let first = consumer::first_time(&mut conn, &context, Role::Payout, &message(1, HEARD)).await;
    assert!(!first.unwrap());
}

#[sqlx::test(migrations = "../migrations")]
async fn a_message_that_fails_too_often_is_parked(pool: PgPool) {
    let (context, memory) = world(&pool);
    for _ in 0..RETRIES_MAX {
        let outcome = step(&context, &Scripted::once(Outcome::Retry("stale".into()))).await;
        assert_eq!(outcome, Some(Outcome::Retry("stale".into())));
        assert_eq!(memory.release_retries(), 1);
    }
    let outcome = step(&context, &Scripted::once(Outcome::Retry("stale".into()))).await;
    assert!(matches!(outcome, Some(Outcome::Park(_))));
    assert_eq!(memory.parked(Role::Payout).len(), 1);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_panic_costs_a_retry_and_not_the_process(pool: PgPool) {
    let (context, memory) = world(&pool);
    assert!(matches!(
        step(&context, &Panicking).await,
        Some(Outcome::Retry(_))
    ));
    assert_eq!(memory.depth(Role::Payout).retrying, 1);
}

#[sqlx::test(migrations = "../migrations")]
async fn an_undecodable_message_is_parked_at_once(pool: PgPool) {
    let (context, memory) = world(&pool);
    assert!(matches!(
        step(&context, &Decoding).await,
        Some(Outcome::Park(_))
    ));
    assert_eq!(memory.parked(Role::Payout).len(), 1);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_failing_world_gives_the_message_back_uncounted(pool: PgPool) {
    let (context, memory) = world(&pool);
    let away = Outcome::Pause("database is unavailable".into());
    assert_eq!(
        step(&context, &Scripted::once(away.clone())).await,
        Some(away)
    );
    let again = memory.consume(Role::Payout).take().unwrap();
    assert_eq!(again.retries, 0);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_lost_answer_brings_the_message_again(pool: PgPool) {
    let (context, memory) = world(&pool);
    memory.lose_acks(1);
    assert_eq!(
        step(&context, &Scripted::default()).await,
        Some(Outcome::Done)
    );
    assert_eq!(
        step(&context, &Scripted::default()).await,
        Some(Outcome::Done)
    );
    assert_eq!(step(&context, &Scripted::default()).await, None);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_running_consumer_pauses_recovers_and_stops_when_asked(pool: PgPool) {
    let (context, memory) = world(&pool);
    let handler = Scripted::once(Outcome::Pause("database is unavailable".into()));
    let watch = async {
        let mut was_unready = false;
        while memory.depth(Role::Payout).ready > 0
            || !was_unready
            || !context.health.unready_parts().is_empty()
        {
            was_unready |= !context.health.unready_parts().is_empty();
            tokio::task::yield_now().await;
        }
        context.lifecycle.stop();
    };
    let (ran, ()) = tokio::join!(consumer::run(&handler, &context), watch);
    ran.unwrap();
    assert_eq!(memory.depth(Role::Payout).ready, 0);
}

#[sqlx::test(migrations = "../migrations")]
async fn quiet_means_published_and_heard_by_everyone(pool: PgPool) {
    let (context, _) = world(&pool);
    let id = MessageId::from(Uuid::from_u128(9));
    let event = Event::PayoutApproved {
        payout_id: PayoutId::from(Uuid::from_u128(9)),
    };
    let mut conn = pool.acquire().await.unwrap();
    let bell = Envelope {
        id,
        event,
        traceparent: None,
    };
    store::outbox::push(&mut conn, morning(), &bell, morning())
        .await
        .unwrap();
    let pairs: Vec<_> = Role::pairs().collect();
    store::outbox::mark_published(&mut conn, morning(), &[id.uuid()])
        .await
        .unwrap();
    let hearers = ["payout", "outbound"];
    for (heard, role) in hearers.into_iter().enumerate() {
        let unheard = store::consumed::count_unheard(&mut conn, &pairs).await;
        assert_eq!(
            unheard.unwrap(),
            i64::try_from(hearers.len() - heard).unwrap()
        );
        let first = store::consumed::first_time(&mut conn, context.clock.now(), role, id).await;
        assert!(first.unwrap());
    }
    let unheard = store::consumed::count_unheard(&mut conn, &pairs).await;
    assert_eq!(unheard.unwrap(), 0);
    let later = morning() + TimeDelta::days(31);
    let purged = store::consumed::purge(&mut conn, later, 10).await;
    assert_eq!(purged.unwrap(), 2);
}
