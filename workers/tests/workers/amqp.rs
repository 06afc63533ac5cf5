//! What we rely on RabbitMQ and lapin for, checked against a real broker: every test has its own
//! exchanges and queues and deletes them. Must never disturb other users of the broker.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up must fail")]

use std::time::{Duration, Instant};

use runtime::amqp::Rabbit;
use runtime::broker::{Broker, BrokerError, Confirm, Consumer, Delivery};
use runtime::topology::{Role, Topology};

use crate::support::{Proxy, message, settings};

const ROLES: [Role; 1] = [Role::Satellite];
const HEARD: &str = "scene.due.v1";
const DELAY_MS: u32 = 300;

fn topology(test: &str) -> Topology {
    Topology {
        prefix: format!("test-{test}-{}-", std::process::id()),
        retry_delay_ms: DELAY_MS,
    }
}

async fn rabbit(test: &str) -> Rabbit {
    let url = settings().common.rabbitmq_url;
    Rabbit::connect_for(url.expose(), topology(test), test, &ROLES)
        .await
        .unwrap()
}

/// The next message within ten seconds.
async fn next(consumer: &mut Consumer) -> Delivery {
    let deadline = Instant::now() + Duration::from_secs(10);
    while Instant::now() < deadline {
        if let Some(delivery) = consumer.next().await.unwrap() {
            return delivery;
        }
    }
    panic!("no message came");
}

#[tokio::test]
async fn a_message_nobody_hears_is_returned_and_never_counted_as_published() {
    let rabbit = rabbit("returned").await;
    let unheard = message(2, "payout.approved.v1");
    let batch = [message(1, HEARD), unheard, message(3, HEARD)];
    let confirms = rabbit.publish_all(&batch).await;
    assert_eq!(
        confirms,
        [Confirm::Published, Confirm::Returned, Confirm::Published]
    );
    rabbit.delete(&ROLES).await.unwrap();
}

#[tokio::test]
async fn a_rejected_message_comes_back_after_the_delay_with_its_count_and_identity() {
    let rabbit = rabbit("retry").await;
    let broker = Broker::Rabbit(rabbit.clone());
    let sent = message(7, HEARD);
    assert_eq!(
        broker.publish_all(std::slice::from_ref(&sent)).await,
        [Confirm::Published]
    );
    let mut consumer = broker.consume(Role::Satellite, 10).await.unwrap();
    for retries in 0..4 {
        let delivery = next(&mut consumer).await;
        assert_eq!(delivery.message, sent);
        assert_eq!(delivery.retries, retries);
        let rejected_at = Instant::now();
        delivery.retry().await.unwrap();
        if retries == 3 {
            break;
        }
        let again = next(&mut consumer).await;
        assert!(rejected_at.elapsed() >= Duration::from_millis(DELAY_MS.into()));
        // dropping it unanswered would leave it with this consumer: give it back, uncounted
        again.give_back().await.unwrap();
    }
    consumer.close().await;
    rabbit.delete(&ROLES).await.unwrap();
}

#[tokio::test]
async fn a_message_given_back_is_not_counted_and_a_parked_one_waits_for_a_person() {
    let rabbit = rabbit("park").await;
    let broker = Broker::Rabbit(rabbit.clone());
    broker.publish_all(&[message(1, HEARD)]).await;
    let mut consumer = broker.consume(Role::Satellite, 10).await.unwrap();
    next(&mut consumer).await.give_back().await.unwrap();
    let again = next(&mut consumer).await;
    assert!(again.redelivered);
    assert_eq!(again.retries, 0);
    again.park("cannot be decoded").await.unwrap();
    consumer.close().await;
    let depths = broker.depths(&ROLES).await.unwrap();
    assert_eq!(
        (depths[0].ready, depths[0].retrying, depths[0].parked),
        (0, 0, 1)
    );
    rabbit.delete(&ROLES).await.unwrap();
}

#[tokio::test]
async fn a_batch_takes_what_the_broker_has_sent_and_each_is_answered_by_itself() {
    let rabbit = rabbit("batch").await;
    let broker = Broker::Rabbit(rabbit.clone());
    let sent: Vec<_> = (1..=20).map(|number| message(number, HEARD)).collect();
    let confirms = broker.publish_all(&sent).await;
    assert!(confirms.iter().all(|one| *one == Confirm::Published));
    let mut consumer = broker.consume(Role::Satellite, 20).await.unwrap();
    let (mut heard, deadline) = (Vec::new(), Instant::now() + Duration::from_secs(10));
    while heard.len() < 20 && Instant::now() < deadline {
        let batch = consumer.next_batch(8).await.unwrap();
        assert!(batch.len() <= 8);
        for delivery in batch {
            heard.push(delivery.message.clone());
            if heard.len() == 3 {
                delivery.park("the third").await.unwrap();
            } else {
                delivery.ack().await.unwrap();
            }
        }
    }
    assert_eq!(heard, sent, "in their order");
    consumer.close().await;
    let depths = broker.depths(&ROLES).await.unwrap();
    assert_eq!((depths[0].ready, depths[0].parked), (0, 1));
    rabbit.delete(&ROLES).await.unwrap();
}

#[tokio::test]
async fn closing_a_consumer_gives_back_what_it_did_not_answer() {
    let rabbit = rabbit("close").await;
    let broker = Broker::Rabbit(rabbit.clone());
    broker
        .publish_all(&[message(1, HEARD), message(2, HEARD)])
        .await;
    let mut first = broker.consume(Role::Satellite, 10).await.unwrap();
    let unanswered = next(&mut first).await;
    first.close().await;
    assert!(
        unanswered.ack().await.is_err(),
        "an answer on a closed channel must not look like one"
    );
    let mut second = broker.consume(Role::Satellite, 10).await.unwrap();
    let mut seen = [
        next(&mut second).await.message.id,
        next(&mut second).await.message.id,
    ];
    seen.sort();
    assert_eq!(seen, [message(1, HEARD).id, message(2, HEARD).id]);
    second.close().await;
    rabbit.delete(&ROLES).await.unwrap();
}

#[tokio::test]
async fn what_was_answered_before_a_close_never_comes_again() {
    // far more than a quorum queue takes of a channel at a time, which is 32
    const MANY: u16 = 1_000;
    let rabbit = rabbit("answered").await;
    let broker = Broker::Rabbit(rabbit.clone());
    let sent: Vec<_> = (1..=u128::from(MANY))
        .map(|number| message(number, HEARD))
        .collect();
    let confirms = broker.publish_all(&sent).await;
    assert!(confirms.iter().all(|one| *one == Confirm::Published));
    let mut first = broker.consume(Role::Satellite, MANY).await.unwrap();
    let mut came = Vec::new();
    while came.len() < sent.len() {
        came.push(next(&mut first).await);
    }
    for delivery in came {
        delivery.ack().await.unwrap();
    }
    first.close().await;
    let mut second = broker.consume(Role::Satellite, MANY).await.unwrap();
    let again = second.next().await.unwrap();
    assert!(again.is_none(), "an answered message came again");
    second.close().await;
    rabbit.delete(&ROLES).await.unwrap();
}

#[tokio::test]
async fn declaring_again_is_harmless_and_another_delay_is_refused() {
    let rabbit = rabbit("declare").await;
    let url = settings().common.rabbitmq_url;
    Rabbit::connect_for(url.expose(), topology("declare"), "again", &ROLES)
        .await
        .unwrap();
    let other = Topology {
        retry_delay_ms: DELAY_MS + 1,
        ..topology("declare")
    };
    let refused = Rabbit::connect_for(url.expose(), other.clone(), "other", &ROLES).await;
    assert!(matches!(refused, Err(BrokerError::Unusable(_))));
    rabbit.delete(&ROLES).await.unwrap();
    // the refused start had declared its retry queue before it met the work queue
    let leftovers = Rabbit::connect_for(url.expose(), other, "leftovers", &ROLES)
        .await
        .unwrap();
    leftovers.delete(&ROLES).await.unwrap();
}

#[tokio::test]
async fn consumer_and_publisher_survive_a_broken_connection() {
    let direct = rabbit("broken").await;
    let url = settings().common.rabbitmq_url;
    let (_, rest) = url.expose().split_once('@').unwrap();
    let (target, _) = rest.split_once('/').unwrap();
    let proxy = Proxy::to(target).await;
    let through = url.expose().replace(target, &proxy.address().to_string());
    let broker = Broker::Rabbit(
        Rabbit::connect_for(&through, topology("broken"), "through", &ROLES)
            .await
            .unwrap(),
    );
    broker.publish_all(&[message(1, HEARD)]).await;
    let mut consumer = broker.consume(Role::Satellite, 10).await.unwrap();
    let before = next(&mut consumer).await;

    proxy.cut();
    let confirms = broker.publish_all(&[message(2, HEARD)]).await;
    assert_eq!(confirms, [Confirm::NotConfirmed]);
    assert!(
        before.ack().await.is_err(),
        "an answer that cannot arrive must not look like one"
    );
    proxy.mend();

    let after = next(&mut consumer).await;
    assert_eq!(after.message.id, message(1, HEARD).id);
    assert!(after.redelivered);
    after.ack().await.unwrap();
    let mut published = false;
    for _ in 0..20 {
        published = broker.publish_all(&[message(3, HEARD)]).await == [Confirm::Published];
        if published {
            break;
        }
        consumer.next().await.unwrap();
    }
    assert!(published, "the publisher did not recover");
    assert!(broker.is_connected());
    consumer.close().await;
    direct.delete(&ROLES).await.unwrap();
}
