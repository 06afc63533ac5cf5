//! Which consumer has handled which message. The row is inserted in the effect's transaction:
//! a concurrent twin waits for that transaction and then learns that it came second. It is an
//! optimisation; state guards remain the truth. Called by workers and data-processor.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use domain::id::MessageId;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::StoreError;

/// Records that `consumer` handles the message; `false` when it already has. A message that was
/// parked and comes again was given back by a person: it is handled.
pub async fn first_time(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    consumer: &str,
    message_id: MessageId,
) -> Result<bool, StoreError> {
    let first = first_times(conn, now, consumer, &[message_id]).await?;
    Ok(first.contains(&message_id))
}

/// Records that `consumer` handles these messages; gives those it has not handled before, like
/// [`first_time`].
pub async fn first_times(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    consumer: &str,
    messages: &[MessageId],
) -> Result<BTreeSet<MessageId>, StoreError> {
    let ids: Vec<Uuid> = messages.iter().map(|id| id.uuid()).collect();
    let first = sqlx::query_scalar!(
        r#"-- consumed.first_times
        insert into consumed (consumer, message_id, consumed_at)
        -- in a fixed order, so that two batches with common messages cannot lock each other out
        select $1, message_id, $3
        from (select distinct message_id from unnest($2::uuid[]) as ids (message_id)) as given
        order by message_id
        on conflict (consumer, message_id) do update
            set parked = false, consumed_at = excluded.consumed_at
            where consumed.parked
        returning message_id"#,
        consumer,
        &ids,
        now,
    )
    .fetch_all(conn)
    .await?;
    Ok(first.into_iter().map(MessageId::from).collect())
}

/// Records that `consumer` heard the message and put it aside for a person.
pub async fn park(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    consumer: &str,
    message_id: MessageId,
) -> Result<(), StoreError> {
    sqlx::query!(
        r#"-- consumed.park
        insert into consumed (consumer, message_id, consumed_at, parked) values ($1, $2, $3, true)
        on conflict do nothing"#,
        consumer,
        message_id.uuid(),
        now,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// How many published bells one of their hearers has not handled yet. `pairs` lists every topic
/// with each of its consumers. Zero together with an empty backlog means that nothing is under way.
pub async fn count_unheard(
    conn: &mut PgConnection,
    pairs: &[(&str, &str)],
) -> Result<i64, StoreError> {
    let topics: Vec<String> = pairs.iter().map(|(topic, _)| (*topic).to_owned()).collect();
    let consumers: Vec<String> = pairs
        .iter()
        .map(|(_, consumer)| (*consumer).to_owned())
        .collect();
    let unheard = sqlx::query_scalar!(
        r#"-- consumed.count_unheard
        select count(*) as "count!"
        from outbox
        join unnest($1::text[], $2::text[]) as pairs (topic, consumer) on pairs.topic = outbox.topic
        where outbox.published_at is not null
          and not exists (
              select 1 from consumed
              where consumed.consumer = pairs.consumer and consumed.message_id = outbox.id
          )"#,
        &topics,
        &consumers,
    )
    .fetch_one(conn)
    .await?;
    Ok(unheard)
}

/// Forgets up to `limit` rows older than `before`; returns how many.
pub async fn purge(
    conn: &mut PgConnection,
    before: DateTime<Utc>,
    limit: i64,
) -> Result<u64, StoreError> {
    let purged = sqlx::query!(
        r#"-- consumed.purge
        delete from consumed
        where (consumer, message_id) in (
            select consumer, message_id from consumed where consumed_at < $1 limit $2
        )"#,
        before,
        limit,
    )
    .execute(conn)
    .await?;
    Ok(purged.rows_affected())
}
