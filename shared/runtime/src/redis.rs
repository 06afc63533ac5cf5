//! Redis, which holds only what may be lost: USSD sessions and limiter counters.
//! Must never be asked for anything the business depends on; every caller must cope with an
//! error by going on without. Called by the backend.

use std::sync::Arc;
use std::time::Duration;

use redis::AsyncCommands;
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use tokio::sync::Semaphore;

use crate::lifecycle::Lifecycle;
use crate::metrics::Metrics;

/// Longest wait for an answer: a farmer's hop must fit in a second.
const RESPONSE_MILLIS_MAX: u64 = 250;
/// Longest wait for a connection.
const CONNECT_MILLIS_MAX: u64 = 500;
/// Writes under way that nobody waits for; beyond it they are dropped and counted.
const ERRANDS_MAX: usize = 4096;

/// Redis could not be reached or did not answer in time.
#[derive(Debug, thiserror::Error)]
#[error("redis is unavailable: {0}")]
pub struct RedisError(#[from] redis::RedisError);

/// A handle on Redis; clones share one multiplexed connection that reconnects by itself.
#[derive(Clone)]
pub struct Redis {
    manager: ConnectionManager,
    prefix: Arc<str>,
    lifecycle: Lifecycle,
    errands: Arc<Semaphore>,
    metrics: Arc<Metrics>,
}

impl Redis {
    /// Prepares a connection that is opened at the first use, so that a process starts without
    /// Redis. `prefix` goes in front of every key.
    pub fn open(
        url: &str,
        prefix: &str,
        lifecycle: Lifecycle,
        metrics: Arc<Metrics>,
    ) -> Result<Self, RedisError> {
        let config = ConnectionManagerConfig::new()
            .set_number_of_retries(1)
            .set_min_delay(Duration::from_millis(50))
            .set_max_delay(Duration::from_millis(500))
            .set_response_timeout(Some(Duration::from_millis(RESPONSE_MILLIS_MAX)))
            .set_connection_timeout(Some(Duration::from_millis(CONNECT_MILLIS_MAX)));
        let client = redis::Client::open(url)?;
        Ok(Self {
            manager: ConnectionManager::new_lazy_with_config(client, config)?,
            prefix: prefix.into(),
            lifecycle,
            errands: Arc::new(Semaphore::new(ERRANDS_MAX)),
            metrics,
        })
    }

    /// The values of `keys` in their order, in one round trip.
    pub async fn get_many(&self, keys: &[&str]) -> Result<Vec<Option<Vec<u8>>>, RedisError> {
        let mut pipeline = redis::pipe();
        for key in keys {
            pipeline.get(self.key(key));
        }
        self.counted("get", pipeline.query_async(&mut self.manager.clone()).await)
    }

    /// The value of `key`.
    pub async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, RedisError> {
        self.counted("get", self.manager.clone().get(self.key(key)).await)
    }

    /// Stores `value` for `ttl` of real time.
    pub async fn set(&self, key: &str, value: &[u8], ttl: Duration) -> Result<(), RedisError> {
        self.set_many(&[(key, value)], ttl).await
    }

    /// Stores several values for `ttl` in one round trip.
    pub async fn set_many(
        &self,
        entries: &[(&str, &[u8])],
        ttl: Duration,
    ) -> Result<(), RedisError> {
        let mut pipeline = redis::pipe();
        for (key, value) in entries {
            pipeline
                .pset_ex(self.key(key), *value, millis(ttl))
                .ignore();
        }
        self.counted("set", pipeline.query_async(&mut self.manager.clone()).await)
    }

    /// Stores several values without waiting; a lost write is only counted.
    pub fn set_many_later(&self, entries: Vec<(String, Vec<u8>)>, ttl: Duration) {
        let Ok(permit) = self.errands.clone().try_acquire_owned() else {
            self.metrics
                .redis_failures
                .with_label_values(&["set_dropped"])
                .inc();
            return;
        };
        let redis = self.clone();
        self.lifecycle.spawn_errand(async move {
            let borrowed: Vec<_> = entries
                .iter()
                .map(|(key, value)| (key.as_str(), value.as_slice()))
                .collect();
            if let Err(error) = redis.set_many(&borrowed, ttl).await {
                tracing::debug!(%error, "a session write was lost");
            }
            drop(permit);
        });
    }

    /// Forgets `key`.
    pub async fn delete(&self, key: &str) -> Result<(), RedisError> {
        self.counted("delete", self.manager.clone().del(self.key(key)).await)
    }

    /// Adds one to a counter that forgets itself `window` after its first increment; returns
    /// the new count.
    pub async fn count(&self, key: &str, window: Duration) -> Result<u64, RedisError> {
        let key = self.key(key);
        let mut pipeline = redis::pipe();
        pipeline
            .cmd("SET")
            .arg(&key)
            .arg(0)
            .arg("PX")
            .arg(millis(window))
            .arg("NX")
            .ignore();
        pipeline.incr(&key, 1);
        let counted: Result<(u64,), _> = pipeline.query_async(&mut self.manager.clone()).await;
        self.counted("count", counted).map(|(count,)| count)
    }

    /// Whether Redis answers.
    pub async fn ping(&self) -> Result<(), RedisError> {
        self.counted(
            "ping",
            redis::cmd("PING")
                .query_async(&mut self.manager.clone())
                .await,
        )
    }

    fn key(&self, key: &str) -> String {
        format!("{}{key}", self.prefix)
    }

    fn counted<T>(&self, op: &str, result: Result<T, redis::RedisError>) -> Result<T, RedisError> {
        if result.is_err() {
            self.metrics.redis_failures.with_label_values(&[op]).inc();
        }
        Ok(result?)
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis())
        .unwrap_or(u64::MAX)
        .max(1)
}
