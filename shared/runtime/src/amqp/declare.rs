//! Declares the exchanges, queues and bindings of `topology` on a broker; doing it again is
//! harmless, with other arguments it is refused. Must never delete anything. Called at every new
//! connection.

use lapin::options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, Connection, ExchangeKind};

use crate::topology::{Argument, Role, Topology};

/// Declares everything `roles` need.
pub(super) async fn all(
    connection: &Connection,
    topology: &Topology,
    roles: &[Role],
) -> Result<(), lapin::Error> {
    let channel = connection.create_channel().await?;
    exchange(&channel, topology.events(), ExchangeKind::Topic).await?;
    exchange(&channel, topology.retry_exchange(), ExchangeKind::Direct).await?;
    for role in roles {
        let (work, retry) = (topology.work(*role), topology.retry(*role));
        // the ends of the paths first, so that nothing is dead-lettered into a void
        queue(
            &channel,
            topology.parked(*role),
            topology.parked_arguments(),
        )
        .await?;
        queue(&channel, retry.clone(), topology.retry_arguments(*role)).await?;
        bind(&channel, retry.clone(), topology.retry_exchange(), retry).await?;
        queue(&channel, work.clone(), topology.work_arguments(*role)).await?;
        for topic in role.topics() {
            bind(
                &channel,
                work.clone(),
                topology.events(),
                (*topic).to_owned(),
            )
            .await?;
        }
    }
    channel.close(200, "declared".into()).await
}

/// Messages ready in a queue.
pub(super) async fn length(channel: &Channel, name: String) -> Result<u32, lapin::Error> {
    let options = QueueDeclareOptions::durable().passive();
    let state = channel
        .queue_declare(name.into(), options, FieldTable::default())
        .await?;
    Ok(state.message_count())
}

async fn exchange(channel: &Channel, name: String, kind: ExchangeKind) -> Result<(), lapin::Error> {
    let options = ExchangeDeclareOptions {
        durable: true,
        ..Default::default()
    };
    channel
        .exchange_declare(name.into(), kind, options, FieldTable::default())
        .await
}

async fn queue(
    channel: &Channel,
    name: String,
    arguments: Vec<(&'static str, Argument)>,
) -> Result<(), lapin::Error> {
    let mut table = FieldTable::default();
    for (key, value) in arguments {
        let value = match value {
            Argument::Text(text) => AMQPValue::LongString(text.into()),
            Argument::Number(number) => AMQPValue::LongLongInt(i64::from(number)),
        };
        table.insert(key.into(), value);
    }
    channel
        .queue_declare(name.into(), QueueDeclareOptions::durable(), table)
        .await
        .map(drop)
}

async fn bind(
    channel: &Channel,
    queue: String,
    exchange: String,
    key: String,
) -> Result<(), lapin::Error> {
    let options = QueueBindOptions::default();
    channel
        .queue_bind(
            queue.into(),
            exchange.into(),
            key.into(),
            options,
            FieldTable::default(),
        )
        .await
}
