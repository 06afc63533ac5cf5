//! Redis, which holds only what may be lost: USSD sessions and limiter counters.
//! Must never be asked for anything the business depends on; every caller must cope with an
//! error by going on without. Called by the backend.
//!
//! What is asked for at the same time goes out together, in one round trip: writes and deletions
//! in the order they were asked for, then the reads. A read therefore sees every write that this
//! process asked for before it; in a crowd two batches may be under way, and a write whose batch
//! the machine held up before sending it is then as good as lost.

use std::sync::Arc;
use std::time::Duration;

use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{FromRedisValue, RedisResult, Value};

use crate::lifecycle::Lifecycle;
use crate::metrics::Metrics;
use crate::together::{Limits, Together, Unanswered};

/// Longest wait for an answer: a farmer's hop must fit in a second.
const RESPONSE_MILLIS_MAX: u64 = 250;
/// Longest wait for a connection.
const CONNECT_MILLIS_MAX: u64 = 500;
/// What may wait for its turn, and what goes out at once: a write beyond the first is dropped and
/// counted, a read fails.
const LIMITS: Limits = Limits {
    waiting_max: 4_096,
    batch_max: 512,
    crowd_min: 8,
    batches_max: 2,
};

/// What can fail, as it is counted.
const OPERATIONS: [&str; 6] = ["get", "set", "set_dropped", "delete", "count", "ping"];

/// Redis could not be reached or did not answer in time.
#[derive(Debug, Clone, thiserror::Error)]
pub enum RedisError {
    /// The connection or the command failed.
    #[error("redis is unavailable: {0}")]
    Failed(#[from] redis::RedisError),
    /// It was not even asked.
    #[error("redis was not asked: {0}")]
    NotAsked(#[from] Unanswered),
}

/// Something to do; the value is the answer of a `Get` and empty otherwise.
enum Command {
    Get(String),
    Set {
        key: String,
        value: Vec<u8>,
        millis: u64,
    },
    Delete(String),
    Ping,
}

/// What came of a command.
type Done = Result<Option<Vec<u8>>, RedisError>;

/// A handle on Redis; clones share one multiplexed connection that reconnects by itself.
#[derive(Clone)]
pub struct Redis {
    manager: ConnectionManager,
    prefix: Arc<str>,
    commands: Together<Command, Done>,
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
        // known from the start, so that the first failure is an increase
        for op in OPERATIONS {
            metrics.redis_failures.with_label_values(&[op]);
        }
        let client = redis::Client::open(url)?;
        let manager = ConnectionManager::new_lazy_with_config(client, config)?;
        let (line, counted) = (manager.clone(), Arc::clone(&metrics));
        let commands = Together::new(lifecycle, LIMITS, move |commands| {
            run(line.clone(), Arc::clone(&counted), commands)
        });
        Ok(Self {
            manager,
            prefix: prefix.into(),
            commands,
            metrics,
        })
    }

    /// The values of `keys` in their order.
    pub async fn get_many(&self, keys: &[&str]) -> Result<Vec<Option<Vec<u8>>>, RedisError> {
        let reads = keys.iter().map(|key| self.get(key));
        futures_util::future::try_join_all(reads).await
    }

    /// The value of `key`.
    pub async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, RedisError> {
        self.command("get", Command::Get(self.key(key))).await
    }

    /// Stores `value` for `ttl` of real time.
    pub async fn set(&self, key: &str, value: &[u8], ttl: Duration) -> Result<(), RedisError> {
        let set = self.setting(key, value.to_vec(), ttl);
        self.command("set", set).await.map(drop)
    }

    /// Stores a value without waiting; a lost write is only counted.
    pub fn set_later(&self, key: &str, value: Vec<u8>, ttl: Duration) {
        if !self.commands.tell(self.setting(key, value, ttl)) {
            self.fail("set_dropped");
        }
    }

    /// Forgets `key`.
    pub async fn delete(&self, key: &str) -> Result<(), RedisError> {
        let delete = Command::Delete(self.key(key));
        self.command("delete", delete).await.map(drop)
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
        if counted.is_err() {
            self.fail("count");
        }
        Ok(counted.map(|(count,)| count)?)
    }

    /// Whether Redis answers; when it does, every write asked for before is done.
    pub async fn ping(&self) -> Result<(), RedisError> {
        self.command("ping", Command::Ping).await.map(drop)
    }

    async fn command(&self, op: &str, command: Command) -> Done {
        match self.commands.ask(command).await {
            Ok(done) => done,
            Err(unanswered) => {
                self.fail(op);
                Err(unanswered.into())
            }
        }
    }

    fn setting(&self, key: &str, value: Vec<u8>, ttl: Duration) -> Command {
        Command::Set {
            key: self.key(key),
            value,
            millis: millis(ttl),
        }
    }

    fn key(&self, key: &str) -> String {
        [&self.prefix, key].concat()
    }

    fn fail(&self, op: &str) {
        self.metrics.redis_failures.with_label_values(&[op]).inc();
    }
}

/// Runs a batch: one reply a write, one for all reads.
async fn run(
    mut manager: ConnectionManager,
    metrics: Arc<Metrics>,
    commands: Vec<Command>,
) -> Vec<Done> {
    let mut pipeline = redis::pipe();
    let mut keys: Vec<&str> = Vec::new();
    let mut ops: Vec<&str> = Vec::with_capacity(commands.len());
    for command in &commands {
        ops.push(match command {
            Command::Get(key) => {
                keys.push(key);
                "get"
            }
            Command::Set { key, value, millis } => {
                pipeline.pset_ex(key, value.as_slice(), *millis);
                "set"
            }
            Command::Delete(key) => {
                pipeline.del(key);
                "delete"
            }
            Command::Ping => {
                pipeline.cmd("PING");
                "ping"
            }
        });
    }
    if !keys.is_empty() {
        pipeline.cmd("MGET").arg(&keys);
    }
    // one write that Redis refuses must not take the others with it
    pipeline.ignore_errors();
    let replies: RedisResult<Vec<RedisResult<Value>>> = pipeline.query_async(&mut manager).await;
    let (mut written, read): (std::vec::IntoIter<_>, RedisResult<Vec<_>>) = match replies {
        Ok(mut replies) if !keys.is_empty() => {
            let last = replies.pop().unwrap_or(Ok(Value::Nil));
            let values =
                last.and_then(|value| Ok(<Vec<Option<Vec<u8>>>>::from_redis_value(value)?));
            (replies.into_iter(), values)
        }
        Ok(replies) => (replies.into_iter(), Ok(Vec::new())),
        Err(error) => (
            vec![Err(error.clone()); commands.len()].into_iter(),
            Err(error),
        ),
    };
    let mut values = read.map(Vec::into_iter);
    ops.into_iter()
        .map(|op| {
            let done = match (op, &mut values) {
                ("get", Ok(values)) => Ok(values.next().flatten()),
                ("get", Err(error)) => Err(error.clone()),
                _ => written.next().unwrap_or(Ok(Value::Nil)).map(|_| None),
            };
            if done.is_err() {
                metrics.redis_failures.with_label_values(&[op]).inc();
            }
            done.map_err(RedisError::from)
        })
        .collect()
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis())
        .unwrap_or(u64::MAX)
        .max(1)
}
