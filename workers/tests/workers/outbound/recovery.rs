//! How a partner recovers: what was given up is found again, an endpoint that was mended begins
//! anew, secrets that sign are not lost, and that an endpoint is disabled is told to the others.

use chrono::TimeDelta;
use domain::id::EndpointId;
use sqlx::PgPool;
use store::deliveries::{self, Replay};

use super::partner::Partner;
use super::receiver::{Receiver, Seen};
use super::sending::{STATE, expected, rotate};

#[sqlx::test(migrations = "../migrations")]
async fn what_was_given_up_with_its_endpoint_is_replayed_since_then(pool: PgPool) {
    let partner = Partner::open(pool).await;
    partner.receiver.answer(500);
    partner.test().await;
    partner.step().await;
    // what happened before waits still when the endpoint is disabled
    partner.pass(TimeDelta::hours(1));
    partner.receiver.answer(410);
    assert_eq!(partner.step().await.failed, 1);
    let (_, disabled_at) = partner.found().await.disabled.unwrap();
    partner.receiver.answer(200);
    partner.pass(TimeDelta::hours(1));
    partner.enable_at(&partner.receiver.url()).await;
    assert_eq!(partner.replay(disabled_at, false).await, 1);
    assert_eq!(partner.drain().await, 1);
}

#[sqlx::test(migrations = "../migrations")]
async fn an_endpoint_that_nothing_waited_for_was_not_failing_meanwhile(pool: PgPool) {
    let partner = Partner::open(pool).await;
    partner.receiver.answer(503);
    partner.test().await;
    partner.step().await;
    assert!(partner.found().await.failing_since.is_some());
    while let (0, Some(next)) = partner.due().await {
        partner.house.time.set(next);
        partner.step().await;
    }
    assert_eq!(partner.found().await.failing_since, None);
    partner.pass(TimeDelta::days(60));
    partner.test().await;
    assert_eq!(partner.step().await.failed, 1);
    assert_eq!(partner.house.text(STATE).await, "enabled");
    partner.receiver.answer(200);
    partner.pass(TimeDelta::seconds(5));
    assert_eq!(partner.drain().await, 1);
}

#[sqlx::test(migrations = "../migrations")]
async fn another_address_has_not_failed_yet(pool: PgPool) {
    let partner = Partner::open(pool).await;
    partner.receiver.answer(500);
    partner.test().await;
    partner.step().await;
    assert!(partner.found().await.failing_since.is_some());
    partner.pass(TimeDelta::days(6));
    let moved = format!("{}/moved", partner.receiver.url());
    partner.enable_at(&moved).await;
    assert_eq!(partner.found().await.failing_since, None);
    assert_eq!(partner.step().await.failed, 1);
    assert_eq!(partner.house.text(STATE).await, "enabled");
}

#[sqlx::test(migrations = "../migrations")]
async fn a_replay_goes_on_where_the_one_before_it_ended_and_in_order(pool: PgPool) {
    let partner = Partner::open(pool).await;
    let since = partner.now();
    for _ in 0..5 {
        partner.test().await;
        partner.pass(TimeDelta::seconds(1));
    }
    assert_eq!(partner.drain().await, 5);
    let ids = |seen: Vec<Seen>| -> Vec<String> { seen.into_iter().map(|seen| seen.id).collect() };
    let first = ids(partner.receiver.take());
    let mut replay = Replay {
        since,
        with_delivered: true,
        after: None,
        limit: 2,
    };
    for expected in [2, 2, 1] {
        let mut conn = partner.house.context.pool.acquire().await.unwrap();
        let replayed =
            deliveries::replay_since(&mut conn, partner.now(), partner.endpoint, &replay);
        let (replayed, last) = replayed.await.unwrap();
        drop(conn);
        assert_eq!(replayed, expected);
        replay.after = last;
        // they are delivered before it is asked again
        assert_eq!(i64::try_from(partner.drain().await), Ok(expected));
    }
    assert_eq!(ids(partner.receiver.take()), first);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_second_rotation_in_a_day_leaves_the_secret_in_use_signing(pool: PgPool) {
    let partner = Partner::open(pool).await;
    let mut secrets = vec![partner.secret.clone()];
    for _ in 0..3 {
        secrets.insert(0, rotate(&partner).await.unwrap());
        partner.pass(TimeDelta::hours(1));
    }
    assert_eq!(rotate(&partner).await, None);
    // three hours after the first of three rotations, an hour apart
    for (wait, signing) in [(0, 4), (21, 3), (1, 2), (1, 1)] {
        partner.pass(TimeDelta::hours(wait));
        partner.test().await;
        assert_eq!(partner.drain().await, 1);
        let seen = partner.receiver.take().remove(0);
        let secrets: Vec<&str> = secrets.iter().take(signing).map(String::as_str).collect();
        assert_eq!(seen.signature, expected(&partner, &secrets, &seen));
    }
    assert!(rotate(&partner).await.is_some());
}

#[sqlx::test(migrations = "../migrations")]
async fn endpoints_that_end_at_once_are_told_to_the_one_that_is_left(pool: PgPool) {
    let partner = Partner::open(pool).await;
    let left = Receiver::open().await;
    let url = partner.receiver.url();
    let (second, _) = partner.add_endpoint(partner.organisation, &url).await;
    partner
        .add_endpoint(partner.organisation, &left.url())
        .await;
    partner.receiver.answer(410);
    partner.test().await;
    partner.test_of(partner.organisation, second).await;
    assert_eq!(partner.step().await.failed, 2);
    partner.receiver.take();
    partner.drain().await;
    assert_eq!(partner.receiver.take(), []);
    let seen = left.take();
    let mut told: Vec<EndpointId> = Vec::new();
    for seen in seen {
        assert_eq!(seen.kind(), "endpoint.disabled");
        let data = &seen.data()["data"];
        assert_eq!(data["disabled_by"], "gone");
        told.push(data["endpoint_id"].as_str().unwrap().parse().unwrap());
    }
    // one may have heard of the other before it ended itself, and was told nothing of it any more
    told.sort_unstable();
    let mut both = [partner.endpoint, second];
    both.sort_unstable();
    assert_eq!(told, both);
    let kept = "select count(*) from deliveries where kind = 'endpoint.disabled'
                and state = 'pending'";
    assert_eq!(partner.house.count(kept).await, 0);
}
