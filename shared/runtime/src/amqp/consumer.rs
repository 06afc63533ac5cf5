//! Consuming from RabbitMQ and answering: the half of `amqp` that belongs to workers. Must never
//! answer before the effect is committed (callers see to it) and never idle silently: what cannot
//! recover within 60 s is reported, and the process ends. Called through `broker::Consumer`.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{FutureExt, StreamExt};
use lapin::options::{BasicAckOptions, BasicCancelOptions, BasicNackOptions, BasicRejectOptions};
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{Acker, Channel, Connection};
use tokio::time::{Instant, sleep, timeout};
use uuid::Uuid;

use super::{
    CONFIRM_SECONDS_MAX, RECONNECT, RECOVERY_SECONDS_MAX, Rabbit, TRACEPARENT, declare, publish,
};
use crate::broker::{BrokerError, Confirm, Delivery, Handle, Message};
use crate::topology::Role;

/// How long a consumer waits for a message before it shows that it is alive.
const IDLE: Duration = Duration::from_secs(1);

pub(super) struct Open {
    pub(super) connection: Arc<Connection>,
    pub(super) channel: Channel,
    pub(super) parking: Channel,
    pub(super) stream: lapin::Consumer,
}

impl Open {
    fn is_usable(&self) -> bool {
        self.connection.status().connected()
            && self.channel.status().connected()
            && self.parking.status().connected()
    }
}

/// A subscription over AMQP.
pub struct RabbitConsumer {
    rabbit: Rabbit,
    role: Role,
    prefetch: u16,
    open: Option<Open>,
    lost_since: Option<Instant>,
}

impl std::fmt::Debug for RabbitConsumer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RabbitConsumer")
            .field("role", &self.role)
            .finish_non_exhaustive()
    }
}

impl RabbitConsumer {
    pub(super) fn new(rabbit: Rabbit, role: Role, prefetch: u16) -> Self {
        Self {
            rabbit,
            role,
            prefetch,
            open: None,
            lost_since: None,
        }
    }

    pub(super) fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// Whose queue it is.
    #[must_use]
    pub fn role(&self) -> Role {
        self.role
    }

    /// The next message, or `None` after about a second without one. `Err` after 60 s without a
    /// working subscription.
    pub async fn next(&mut self) -> Result<Option<Delivery>, BrokerError> {
        let Some(open) = self.open.as_mut() else {
            self.reopen().await?;
            return Ok(None);
        };
        match timeout(IDLE, open.stream.next()).await {
            Ok(came) => Ok(self.received(came)),
            Err(_) if !open.is_usable() => {
                self.open = None;
                Ok(None)
            }
            Err(_) => Ok(None),
        }
    }

    /// A message that the broker has sent already; never waits.
    pub(crate) fn take_ready(&mut self) -> Option<Delivery> {
        let came = self.open.as_mut()?.stream.next().now_or_never()?;
        self.received(came)
    }

    /// What the subscription gave; an end or a fault of it makes the next call subscribe anew.
    fn received(
        &mut self,
        came: Option<Result<lapin::message::Delivery, lapin::Error>>,
    ) -> Option<Delivery> {
        match came {
            Some(Ok(delivery)) => {
                let topology = &self.rabbit.0.topology;
                let (work, parked) = (topology.work(self.role), topology.parked(self.role));
                let parking = &self.open.as_ref()?.parking;
                return Some(received(delivery, &work, parked, parking));
            }
            Some(Err(error)) => {
                tracing::warn!(role = %self.role, %error, "the consumer was interrupted");
            }
            None => tracing::warn!(role = %self.role, "the consumer's stream ended"),
        }
        self.open = None;
        None
    }

    /// Stops consuming; what was not answered returns to the queue, and what was does not.
    pub async fn close(mut self) {
        let Some(open) = self.open.take() else {
            return;
        };
        let limit = Duration::from_secs(CONFIRM_SECONDS_MAX);
        let settled = timeout(limit, self.settle(&open)).await;
        if !matches!(settled, Ok(Ok(()))) {
            tracing::debug!(role = %self.role, "the last answers may come again");
        }
        for channel in [open.channel, open.parking] {
            let closed = timeout(limit, channel.close(200, "consumer closed".into())).await;
            if !matches!(closed, Ok(Ok(()))) {
                tracing::debug!(role = %self.role, "the channel was already gone");
            }
        }
    }

    /// Waits until every answer has reached the queue. A quorum queue takes 32 commands of a channel at
    /// a time; the channel keeps the others until it has heard of those, and forgets them when it is
    /// closed: what was done would come again. Ending the subscription goes through the queue's log
    /// behind the 32; by the answer to the question after it the channel has passed the others on.
    async fn settle(&self, open: &Open) -> Result<(), lapin::Error> {
        let options = BasicCancelOptions::default();
        open.channel
            .basic_cancel(open.stream.tag(), options)
            .await?;
        let work = self.rabbit.0.topology.work(self.role);
        declare::length(&open.channel, work).await.map(drop)
    }

    /// Tries once to subscribe; `Err` when that has failed for 60 s.
    pub(super) async fn reopen(&mut self) -> Result<(), BrokerError> {
        let lost_since = *self.lost_since.get_or_insert_with(Instant::now);
        match self.rabbit.open(self.role, self.prefetch).await {
            Ok(open) => {
                tracing::info!(role = %self.role, "consuming");
                self.open = Some(open);
                self.lost_since = None;
            }
            Err(_) if lost_since.elapsed() > Duration::from_secs(RECOVERY_SECONDS_MAX) => {
                return Err(BrokerError::Lost(RECOVERY_SECONDS_MAX));
            }
            Err(error) => {
                tracing::debug!(role = %self.role, %error, "not consuming yet");
                sleep(RECONNECT).await;
            }
        }
        Ok(())
    }
}

/// The answer to one delivery over AMQP.
pub struct RabbitHandle {
    acker: Acker,
    parking: Channel,
    parked: String,
}

impl std::fmt::Debug for RabbitHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RabbitHandle")
    }
}

impl RabbitHandle {
    pub(crate) async fn ack(self) -> Result<(), BrokerError> {
        settled(self.acker.ack(BasicAckOptions::default()).await)
    }

    pub(crate) async fn reject(self) -> Result<(), BrokerError> {
        settled(
            self.acker
                .reject(BasicRejectOptions { requeue: false })
                .await,
        )
    }

    pub(crate) async fn give_back(self) -> Result<(), BrokerError> {
        settled(
            self.acker
                .nack(BasicNackOptions {
                    requeue: true,
                    multiple: false,
                })
                .await,
        )
    }

    /// Publishes to the parked queue first and acknowledges only when that is confirmed, so that
    /// a message is never in neither.
    pub(crate) async fn park(self, message: &Message, reason: &str) -> Result<(), BrokerError> {
        let mut headers = FieldTable::default();
        headers.insert("reason".into(), AMQPValue::LongString(reason.into()));
        let limit = Duration::from_secs(CONFIRM_SECONDS_MAX);
        let published = publish(&self.parking, "", self.parked.clone(), message, headers);
        match timeout(limit, published).await {
            Ok(Confirm::Published) => self.ack().await,
            _ => self.give_back().await,
        }
    }
}

fn settled(answer: Result<bool, lapin::Error>) -> Result<(), BrokerError> {
    match answer {
        Ok(true) => Ok(()),
        Ok(false) => Err(BrokerError::Failed(
            "its channel is gone, the message will come again".to_owned(),
        )),
        Err(error) => Err(BrokerError::Failed(error.to_string())),
    }
}

fn received(
    delivery: lapin::message::Delivery,
    work: &str,
    parked: String,
    parking: &Channel,
) -> Delivery {
    let properties = &delivery.properties;
    let text = |value: &Option<ShortString>| value.as_ref().map(|text| text.as_str().to_owned());
    let headers = properties.headers().as_ref();
    let message = Message {
        // a foreign message without an id decodes to nil and is parked by its undecodable topic
        id: text(properties.message_id())
            .and_then(|id| Uuid::try_parse(&id).ok())
            .unwrap_or_default(),
        topic: text(properties.kind()).unwrap_or_else(|| delivery.routing_key.as_str().to_owned()),
        body: delivery.data,
        traceparent: headers.and_then(|headers| long_text(headers, TRACEPARENT)),
    };
    Delivery {
        message,
        retries: headers.map_or(0, |headers| rejections(headers, work)),
        redelivered: delivery.redelivered,
        handle: Handle::Rabbit(RabbitHandle {
            acker: delivery.acker,
            parking: parking.clone(),
            parked,
        }),
    }
}

/// How often the broker has taken this message out of `work` because we rejected it.
fn rejections(headers: &FieldTable, work: &str) -> u32 {
    let deaths = headers.inner().get("x-death").and_then(AMQPValue::as_array);
    let deaths = deaths.map_or(&[][..], |deaths| deaths.as_slice());
    deaths
        .iter()
        .filter_map(AMQPValue::as_field_table)
        .filter(|death| long_text(death, "queue").as_deref() == Some(work))
        .filter(|death| long_text(death, "reason").as_deref() == Some("rejected"))
        .filter_map(|death| {
            death
                .inner()
                .get("count")
                .and_then(AMQPValue::as_long_long_int)
        })
        .filter_map(|count| u32::try_from(count).ok())
        .sum()
}

fn long_text(table: &FieldTable, key: &str) -> Option<String> {
    match table.inner().get(key)? {
        AMQPValue::LongString(text) => String::from_utf8(text.as_bytes().to_vec()).ok(),
        AMQPValue::ShortString(text) => Some(text.as_str().to_owned()),
        _ => None,
    }
}
