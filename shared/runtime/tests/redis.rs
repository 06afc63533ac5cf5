//! What we rely on Redis for, checked against a real one under keys of each test's own, and that
//! its absence is an error within the time a farmer can wait.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up must fail")]

use std::time::{Duration, Instant};

use clap::Parser;
use runtime::config::Common;
use runtime::lifecycle::Lifecycle;
use runtime::metrics::Metrics;
use runtime::redis::Redis;

const TTL: Duration = Duration::from_secs(30);

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    common: Common,
}

fn open(url: Option<&str>, test: &str, life: &Lifecycle) -> Redis {
    let given = Cli::parse_from(["test"]).common.redis_url;
    let prefix = format!("test-{test}-{}:", std::process::id());
    let url = url.unwrap_or(given.expose());
    Redis::open(url, &prefix, life.clone(), Metrics::build().unwrap()).unwrap()
}

#[tokio::test]
async fn several_values_are_read_in_one_round_trip_in_their_order() {
    let redis = open(None, "get", &Lifecycle::new());
    redis.set("a", b"one", TTL).await.unwrap();
    redis.set("c", b"three", TTL).await.unwrap();
    let values = redis.get_many(&["a", "b", "c"]).await.unwrap();
    assert_eq!(
        values,
        [Some(b"one".to_vec()), None, Some(b"three".to_vec())]
    );
    redis.delete("a").await.unwrap();
    assert_eq!(redis.get("a").await.unwrap(), None);
}

#[tokio::test]
async fn a_write_nobody_waits_for_is_finished_before_the_process_ends() {
    let life = Lifecycle::new();
    let redis = open(None, "later", &life);
    redis.set_later("k", b"v".to_vec(), TTL);
    life.stop();
    life.finish().await.unwrap();
    // nothing is asked any more in a life that has ended
    let later = open(None, "later", &Lifecycle::new());
    assert_eq!(later.get("k").await.unwrap(), Some(b"v".to_vec()));
}

#[tokio::test]
async fn a_read_sees_the_write_asked_for_before_it_and_everyone_their_own_value() {
    let redis = open(None, "order", &Lifecycle::new());
    for round in 0..20_u8 {
        let reads = (0..40_u8).map(|n| {
            let (redis, key) = (redis.clone(), format!("k{n}"));
            redis.set_later(&key, vec![round, n], TTL);
            async move { redis.get(&key).await.unwrap() }
        });
        let values = futures_util::future::join_all(reads).await;
        let expected: Vec<_> = (0..40_u8).map(|n| Some(vec![round, n])).collect();
        assert_eq!(values, expected);
    }
}

#[tokio::test]
async fn a_write_that_redis_refuses_does_not_take_the_reads_beside_it_along() {
    let redis = open(None, "refused", &Lifecycle::new());
    redis.set("good", b"1", TTL).await.unwrap();
    // a time to live that Redis cannot hold
    let (refused, read) = tokio::join!(
        redis.set("bad", b"2", Duration::from_millis(u64::MAX)),
        redis.get("good")
    );
    assert!(refused.is_err());
    assert_eq!(read.unwrap(), Some(b"1".to_vec()));
}

#[tokio::test]
async fn more_writes_than_may_wait_are_dropped_and_counted() {
    let metrics = Metrics::build().unwrap();
    // port 1 answers nobody
    let url = "redis://127.0.0.1:1/0";
    let redis = Redis::open(url, "test-full:", Lifecycle::new(), metrics.clone()).unwrap();
    for _ in 0..5_000 {
        redis.set_later("k", b"v".to_vec(), TTL);
    }
    let dropped = metrics.redis_failures.with_label_values(&["set_dropped"]);
    assert_eq!(dropped.get(), 5_000 - 4_096);
    assert!(redis.get("k").await.is_err());
}

#[tokio::test]
async fn a_counter_counts_up_within_its_window() {
    let redis = open(None, "count", &Lifecycle::new());
    for expected in 1..=3 {
        assert_eq!(redis.count("hits", TTL).await.unwrap(), expected);
    }
}

#[tokio::test]
async fn an_absent_redis_is_an_error_soon_enough_for_a_farmer() {
    // port 1 answers nobody
    let redis = open(Some("redis://127.0.0.1:1/0"), "absent", &Lifecycle::new());
    let asked = Instant::now();
    assert!(redis.ping().await.is_err());
    assert!(redis.get_many(&["a"]).await.is_err());
    assert!(asked.elapsed() < Duration::from_secs(2));
}
