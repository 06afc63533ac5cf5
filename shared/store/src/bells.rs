//! Which bells are already ringing: a sweep rings for a row only when no bell for it waits in the
//! outbox, none was published lately and not yet heard, and none was parked lately. Reads only; it saves work, nothing
//! depends on it. Called by sweeps.

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::error::StoreError;

/// A bell published and not heard within this is rung again: its message may be lost. Seconds of
/// our clock, above the longest retry delay.
const HEARD_SECONDS_MAX: i64 = 120;

/// After a bell was parked its subject is let alone for this long, so that what only a person can
/// mend does not fill the parked queue. Seconds of our clock.
const PARKED_SECONDS: i64 = 3_600;

/// The subjects for which nothing rings, in their order. `consumer` is who hears the topic.
pub async fn list_quiet(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    topic: &str,
    consumer: &str,
    subjects: &[Uuid],
) -> Result<Vec<Uuid>, StoreError> {
    if subjects.is_empty() {
        return Ok(Vec::new());
    }
    let quiet = sqlx::query_scalar!(
        r#"-- bells.list_quiet
        select due.subject as "subject!"
        from unnest($3::uuid[]) with ordinality as due (subject, place)
        where not exists (
            select 1 from outbox
            where outbox.topic = $1 and outbox.subject_id = due.subject
              and (outbox.published_at is null
                   or (outbox.published_at > $4
                       and not exists (
                           select 1 from consumed
                           where consumed.consumer = $2 and consumed.message_id = outbox.id
                       ))
                   or exists (
                       select 1 from consumed
                       where consumed.consumer = $2 and consumed.message_id = outbox.id
                         and consumed.parked and consumed.consumed_at > $5
                   ))
        )
        order by due.place"#,
        topic,
        consumer,
        subjects,
        now - TimeDelta::seconds(HEARD_SECONDS_MAX),
        now - TimeDelta::seconds(PARKED_SECONDS),
    )
    .fetch_all(conn)
    .await?;
    Ok(quiet)
}
