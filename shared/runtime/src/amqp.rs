//! RabbitMQ: this file and `amqp/` are the only ones that may know lapin. Publishes persistent,
//! mandatory and confirmed, and counts nothing but a bare `Ack` as success (lapin's `is_ack()` is
//! also true of a returned message). A broken connection is replaced by a new one and the topology
//! declared again, so that even a broker that lost its disk is usable; lapin's own recovery is not
//! used, because a handshake that fails half-way leaves it waiting (seen with 4.12.3 behind a TCP
//! proxy). Called through `broker`.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use lapin::options::{
    BasicConsumeOptions, BasicPublishOptions, BasicQosOptions, ConfirmSelectOptions,
    ExchangeDeleteOptions, QueueDeleteOptions,
};
use lapin::protocol::{AMQPErrorKind, AMQPSoftError};
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::uri::AMQPUri;
use lapin::{
    BasicProperties, Channel, Confirmation, Connection, ConnectionProperties, ConnectionStatus,
    ErrorKind,
};
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep, timeout};

use crate::broker::{BrokerError, Confirm, Depth, Message};
use crate::topology::{Role, Topology};

mod consumer;
mod declare;

use consumer::Open;
pub use consumer::{RabbitConsumer, RabbitHandle};

/// Longest wait for the confirmation of a batch, and for a connection.
const CONFIRM_SECONDS_MAX: u64 = 5;
/// A process that could not reach the broker for this long ends.
pub const RECOVERY_SECONDS_MAX: u64 = 60;
/// Wait between two attempts to connect.
const RECONNECT: Duration = Duration::from_millis(500);
/// Heartbeats make a silently broken connection known after twice this.
const HEARTBEAT_SECONDS: u16 = 10;
/// AMQP's code for a persistent message.
const PERSISTENT: u8 = 2;
/// The header that carries the trace context.
const TRACEPARENT: &str = "traceparent";

/// A connection to RabbitMQ; clones share it.
#[derive(Debug, Clone)]
pub struct Rabbit(Arc<Inner>);

struct Inner {
    uri: AMQPUri,
    topology: Topology,
    roles: Vec<Role>,
    name: String,
    live: Mutex<Option<Live>>,
    status: std::sync::Mutex<Option<ConnectionStatus>>,
    consumers: AtomicU64,
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rabbit")
            .field("topology", &self.topology)
            .finish_non_exhaustive()
    }
}

#[derive(Clone)]
struct Live {
    connection: Arc<Connection>,
    publisher: Channel,
}

impl Live {
    fn is_usable(&self) -> bool {
        self.connection.status().connected() && self.publisher.status().connected()
    }
}

impl Rabbit {
    /// Connects, trying for up to 60 s, and declares the queues of all roles. `name` is shown in
    /// the broker's list of connections.
    pub async fn connect(url: &str, topology: Topology, name: &str) -> Result<Self, BrokerError> {
        Self::connect_for(url, topology, name, &Role::ALL).await
    }

    /// Like [`Rabbit::connect`], declaring the queues of `roles` only: tests.
    pub async fn connect_for(
        url: &str,
        topology: Topology,
        name: &str,
        roles: &[Role],
    ) -> Result<Self, BrokerError> {
        let mut uri: AMQPUri = url.parse().map_err(BrokerError::Unusable)?;
        uri.query.heartbeat.get_or_insert(HEARTBEAT_SECONDS);
        let rabbit = Self(Arc::new(Inner {
            uri,
            topology,
            roles: roles.to_vec(),
            name: name.to_owned(),
            live: Mutex::new(None),
            status: std::sync::Mutex::new(None),
            consumers: AtomicU64::new(0),
        }));
        let deadline = Instant::now() + Duration::from_secs(RECOVERY_SECONDS_MAX);
        loop {
            match rabbit.live().await {
                Ok(_) => return Ok(rabbit),
                Err(error) if is_final(&error) || Instant::now() > deadline => {
                    return Err(BrokerError::Unusable(error.to_string()));
                }
                Err(error) => {
                    tracing::info!(%error, "the broker is not there yet");
                    sleep(RECONNECT).await;
                }
            }
        }
    }

    /// Whether the connection stands at this moment.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        let status = self.0.status.lock().unwrap_or_else(PoisonError::into_inner);
        status.as_ref().is_some_and(ConnectionStatus::connected)
    }

    /// Publishes a batch and waits for all confirmations together. Takes 10 s at most: 5 to connect
    /// anew when that is needed, 5 for the confirmations.
    pub async fn publish_all(&self, messages: &[Message]) -> Vec<Confirm> {
        let unconfirmed = || vec![Confirm::NotConfirmed; messages.len()];
        let live = match self.live().await {
            Ok(live) => live,
            Err(error) => {
                tracing::debug!(%error, "nothing could be published");
                return unconfirmed();
            }
        };
        let exchange = self.0.topology.events();
        let all = join_all(messages.iter().map(|message| {
            let (key, headers) = (message.topic.clone(), FieldTable::default());
            publish(&live.publisher, &exchange, key, message, headers)
        }));
        let limit = Duration::from_secs(CONFIRM_SECONDS_MAX);
        timeout(limit, all).await.unwrap_or_else(|_| unconfirmed())
    }

    /// Starts consuming.
    pub async fn consume(&self, role: Role, prefetch: u16) -> Result<RabbitConsumer, BrokerError> {
        let mut consumer = RabbitConsumer::new(self.clone(), role, prefetch);
        while !consumer.is_open() {
            consumer.reopen().await?;
        }
        Ok(consumer)
    }

    /// Ready, retrying and parked messages of each role.
    pub async fn depths(&self, roles: &[Role]) -> Result<Vec<Depth>, BrokerError> {
        let topology = &self.0.topology;
        let count = async {
            let channel = self.live().await?.connection.create_channel().await?;
            let mut depths = Vec::with_capacity(roles.len());
            for role in roles {
                depths.push(Depth {
                    role: *role,
                    ready: declare::length(&channel, topology.work(*role)).await?,
                    retrying: declare::length(&channel, topology.retry(*role)).await?,
                    parked: declare::length(&channel, topology.parked(*role)).await?,
                });
            }
            channel.close(200, "counted".into()).await?;
            Ok(depths)
        };
        bounded(count)
            .await
            .map_err(|error| BrokerError::Failed(error.to_string()))
    }

    /// Deletes the queues of `roles` and the exchanges: the end of a test.
    pub async fn delete(&self, roles: &[Role]) -> Result<(), BrokerError> {
        let topology = &self.0.topology;
        let delete = async {
            let channel = self.live().await?.connection.create_channel().await?;
            let options = QueueDeleteOptions::default();
            for role in roles {
                for queue in [
                    topology.work(*role),
                    topology.retry(*role),
                    topology.parked(*role),
                ] {
                    channel.queue_delete(queue.into(), options).await?;
                }
            }
            for exchange in [topology.events(), topology.retry_exchange()] {
                channel
                    .exchange_delete(exchange.into(), ExchangeDeleteOptions::default())
                    .await?;
            }
            Ok(())
        };
        bounded(delete)
            .await
            .map_err(|error| BrokerError::Failed(error.to_string()))
    }

    /// The standing connection, or a new one with the topology declared.
    async fn live(&self) -> Result<Live, lapin::Error> {
        let mut slot = self.0.live.lock().await;
        if let Some(live) = slot.as_ref().filter(|live| live.is_usable()) {
            return Ok(live.clone());
        }
        *slot = None;
        let live = bounded(async {
            let properties =
                ConnectionProperties::default().with_connection_name(self.0.name.as_str().into());
            let connection = Connection::connect_uri(self.0.uri.clone(), properties).await?;
            declare::all(&connection, &self.0.topology, &self.0.roles).await?;
            let publisher = connection.create_channel().await?;
            publisher
                .confirm_select(ConfirmSelectOptions::default())
                .await?;
            Ok(Live {
                connection: Arc::new(connection),
                publisher,
            })
        })
        .await?;
        let status = live.connection.status().clone();
        *self.0.status.lock().unwrap_or_else(PoisonError::into_inner) = Some(status);
        *slot = Some(live.clone());
        Ok(live)
    }

    async fn open(&self, role: Role, prefetch: u16) -> Result<Open, lapin::Error> {
        let live = self.live().await?;
        bounded(async {
            let channel = live.connection.create_channel().await?;
            channel
                .basic_qos(prefetch, BasicQosOptions::default())
                .await?;
            let parking = live.connection.create_channel().await?;
            parking
                .confirm_select(ConfirmSelectOptions::default())
                .await?;
            let number = self.0.consumers.fetch_add(1, Ordering::Relaxed);
            let tag = format!("{}-{role}-{}-{number}", self.0.name, std::process::id());
            let (queue, options) = (self.0.topology.work(role), BasicConsumeOptions::default());
            let stream = channel
                .basic_consume(queue.into(), tag.into(), options, FieldTable::default())
                .await?;
            Ok(Open {
                connection: live.connection.clone(),
                channel,
                parking,
                stream,
            })
        })
        .await
    }
}

/// Nothing said to the broker waits longer than 5 s for its answer.
async fn bounded<T>(
    work: impl Future<Output = Result<T, lapin::Error>>,
) -> Result<T, lapin::Error> {
    let timed_out = || lapin::Error::from(std::io::Error::from(std::io::ErrorKind::TimedOut));
    let limit = Duration::from_secs(CONFIRM_SECONDS_MAX);
    timeout(limit, work)
        .await
        .unwrap_or_else(|_| Err(timed_out()))
}

/// Whether trying again cannot help: wrong password, or queues with other arguments.
fn is_final(error: &lapin::Error) -> bool {
    let ErrorKind::ProtocolError(said) = error.kind() else {
        return false;
    };
    let soft = |kind| *said.kind() == AMQPErrorKind::Soft(kind);
    soft(AMQPSoftError::PRECONDITIONFAILED) || soft(AMQPSoftError::ACCESSREFUSED)
}

async fn publish(
    channel: &Channel,
    exchange: &str,
    key: String,
    message: &Message,
    mut headers: FieldTable,
) -> Confirm {
    let topic = ShortString::try_new(message.topic.clone());
    let (Ok(key), Ok(topic)) = (ShortString::try_new(key), topic) else {
        return Confirm::Returned;
    };
    if let Some(traceparent) = &message.traceparent {
        let value = AMQPValue::LongString(traceparent.as_str().into());
        headers.insert(TRACEPARENT.into(), value);
    }
    let properties = BasicProperties::default()
        .with_message_id(message.id.to_string().into())
        .with_type(topic)
        .with_content_type("application/json".into())
        .with_delivery_mode(PERSISTENT)
        .with_headers(headers);
    let options = BasicPublishOptions {
        mandatory: true,
        immediate: false,
    };
    let sent = channel
        .basic_publish(exchange.into(), key, options, &message.body, properties)
        .await;
    let confirm = match sent {
        Ok(confirm) => confirm.await,
        Err(error) => Err(error),
    };
    match confirm {
        Ok(Confirmation::Ack(None)) => Confirm::Published,
        Ok(Confirmation::Ack(Some(_))) => Confirm::Returned,
        Ok(Confirmation::Nack(_)) => Confirm::Nacked,
        Ok(Confirmation::NotRequested) => {
            tracing::error!("a message was published on a channel without confirms");
            Confirm::NotConfirmed
        }
        Err(error) => {
            tracing::debug!(%error, "a message was not confirmed");
            Confirm::NotConfirmed
        }
    }
}
