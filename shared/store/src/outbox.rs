//! Bells waiting to be rung. A bell is pushed in the transaction of the change it announces, so
//! that neither can exist without the other; the relay claims by "not yet published", never by a
//! cursor, because a cursor loses transactions that commit late. Called by every store module that
//! announces something (`push`), by the relay and by sweeps.

use chrono::{DateTime, Utc};
use domain::event::{Envelope, Event};
use sqlx::postgres::PgListener;
use sqlx::types::Json;
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use crate::StoreError;

/// The notification channel on which commits wake the relay.
const CHANNEL: &str = "outbox";

/// A bell claimed for publication, locked until the end of the transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claimed {
    /// Identity on the wire.
    pub id: Uuid,
    /// Routing key.
    pub topic: String,
    /// JSON of the event.
    pub body: String,
    /// W3C trace context.
    pub traceparent: Option<String>,
}

/// How far behind the relay is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backlog {
    /// Bells due and not published.
    pub due: i64,
    /// Since when the oldest of them has been due.
    pub oldest_at: Option<DateTime<Utc>>,
    /// When the next bell that is not yet due will be.
    pub next_at: Option<DateTime<Utc>>,
}

/// Adds a bell to be rung at `available_at` or as soon as the transaction commits, whichever is
/// later; a bell due now also wakes the relay at commit.
pub async fn push(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    envelope: &Envelope,
    available_at: DateTime<Utc>,
) -> Result<(), StoreError> {
    push_all(conn, now, std::slice::from_ref(envelope), available_at).await
}

/// Adds bells like [`push`], all of them by one statement.
pub async fn push_all(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    envelopes: &[Envelope],
    available_at: DateTime<Utc>,
) -> Result<(), StoreError> {
    if envelopes.is_empty() {
        return Ok(());
    }
    let all = || envelopes.iter();
    let ids: Vec<Uuid> = all().map(|envelope| envelope.id.uuid()).collect();
    let topics: Vec<&str> = all().map(|envelope| envelope.event.topic()).collect();
    let subjects: Vec<Uuid> = all().map(|envelope| envelope.event.subject()).collect();
    let bodies: Vec<Json<&Event>> = all().map(|envelope| Json(&envelope.event)).collect();
    let traces: Vec<Option<&str>> = all()
        .map(|envelope| envelope.traceparent.as_deref())
        .collect();
    sqlx::query!(
        r#"-- outbox.push
        with pushed as (
            insert into outbox (id, topic, subject_id, body, traceparent, created_at, available_at)
            select id, topic, subject_id, body, traceparent, $6, $7
            from unnest($1::uuid[], $2::text[], $3::uuid[], $4::jsonb[], $5::text[])
                as given (id, topic, subject_id, body, traceparent)
            returning available_at
        ), due as (
            select 1 from pushed where pushed.available_at <= $6 limit 1
        )
        select count(woken) as "woken!" from due, lateral pg_notify($8, '') as woken"#,
        &ids,
        &topics as _,
        &subjects,
        &bodies as _,
        &traces as _,
        now,
        available_at,
        CHANNEL,
    )
    .fetch_one(conn)
    .await?;
    Ok(())
}

/// Claims up to `limit` bells due at `now`, oldest first, skipping those another relay holds.
pub async fn claim_batch(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<Claimed>, StoreError> {
    let claimed = sqlx::query_as!(
        Claimed,
        r#"-- outbox.claim_batch
        select id, topic, body::text as "body!", traceparent
        from outbox
        where published_at is null and available_at <= $1
        order by available_at, id
        limit $2
        for update skip locked"#,
        now,
        limit,
    )
    .fetch_all(conn)
    .await?;
    Ok(claimed)
}

/// Records that the broker confirmed these bells, claimed in the same transaction.
pub async fn mark_published(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    ids: &[Uuid],
) -> Result<u64, StoreError> {
    let marked = sqlx::query!(
        r#"-- outbox.mark_published
        update outbox set published_at = $1 where id = any($2) and published_at is null"#,
        now,
        ids,
    )
    .execute(conn)
    .await?;
    Ok(marked.rows_affected())
}

/// Puts bells that nobody can hear behind the others, so that they do not block the head.
pub async fn defer(
    conn: &mut PgConnection,
    until: DateTime<Utc>,
    ids: &[Uuid],
) -> Result<u64, StoreError> {
    let deferred = sqlx::query!(
        r#"-- outbox.defer
        update outbox set available_at = $1 where id = any($2) and published_at is null"#,
        until,
        ids,
    )
    .execute(conn)
    .await?;
    Ok(deferred.rows_affected())
}

/// Whether a bell of this topic about this subject still waits: sweeps do not push it twice.
pub async fn exists_unpublished(
    conn: &mut PgConnection,
    topic: &str,
    subject_id: Uuid,
) -> Result<bool, StoreError> {
    let exists = sqlx::query_scalar!(
        r#"-- outbox.exists_unpublished
        select exists (
            select 1 from outbox where topic = $1 and subject_id = $2 and published_at is null
        ) as "exists!""#,
        topic,
        subject_id,
    )
    .fetch_one(conn)
    .await?;
    Ok(exists)
}

/// Rings once more for bells published between `from` and `until` that one of `pairs`, a topic with
/// its consumer, never heard: their messages are lost. Under their own ids, so that whoever did hear
/// does nothing again. Returns how many.
pub async fn ring_again(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    pairs: &[(&str, &str)],
    (from, until): (DateTime<Utc>, DateTime<Utc>),
    limit: i64,
) -> Result<u64, StoreError> {
    let (topics, consumers): (Vec<String>, Vec<String>) = pairs
        .iter()
        .map(|(topic, consumer)| ((*topic).to_owned(), (*consumer).to_owned()))
        .unzip();
    let rung = sqlx::query!(
        r#"-- outbox.ring_again
        update outbox set published_at = null, available_at = $1
        where id in (
            select outbox.id from outbox
            join unnest($2::text[], $3::text[]) as pairs (topic, consumer)
                on pairs.topic = outbox.topic
            where outbox.published_at between $4 and $5
              and not exists (
                  select 1 from consumed
                  where consumed.consumer = pairs.consumer and consumed.message_id = outbox.id
              )
            order by outbox.published_at limit $6
        )"#,
        now,
        &topics,
        &consumers,
        from,
        until,
        limit,
    )
    .execute(conn)
    .await?;
    Ok(rung.rows_affected())
}

/// What is due and not published, and what comes next.
pub async fn backlog(conn: &mut PgConnection, now: DateTime<Utc>) -> Result<Backlog, StoreError> {
    let backlog = sqlx::query_as!(
        Backlog,
        r#"-- outbox.backlog
        select
            count(*) filter (where available_at <= $1) as "due!",
            min(available_at) filter (where available_at <= $1) as oldest_at,
            min(available_at) filter (where available_at > $1) as next_at
        from outbox
        where published_at is null"#,
        now,
    )
    .fetch_one(conn)
    .await?;
    Ok(backlog)
}

/// Forgets up to `limit` bells published before `before`; returns how many.
pub async fn purge(
    conn: &mut PgConnection,
    before: DateTime<Utc>,
    limit: i64,
) -> Result<u64, StoreError> {
    let purged = sqlx::query!(
        r#"-- outbox.purge
        delete from outbox
        where id in (select id from outbox where published_at < $1 limit $2)"#,
        before,
        limit,
    )
    .execute(conn)
    .await?;
    Ok(purged.rows_affected())
}

/// Hears commits that pushed a bell due at once.
#[derive(Debug)]
pub struct Listener(PgListener);

impl Listener {
    /// Takes one connection of the pool for as long as it lives.
    pub async fn connect(pool: &PgPool) -> Result<Self, StoreError> {
        let mut listener = PgListener::connect_with(pool).await?;
        listener.listen(CHANNEL).await?;
        Ok(Self(listener))
    }

    /// Waits for a commit; several may be heard as one. Reconnects by itself; dropping the wait
    /// loses at most a wake-up, which the poll makes good.
    pub async fn heard(&mut self) -> Result<(), StoreError> {
        self.0.recv().await?;
        // one wake-up is enough for everything already committed
        while self.0.next_buffered().is_some() {}
        Ok(())
    }
}
