//! What is due now and what comes next, over every kind of work: how a season driver knows that
//! nothing moves, and to which instant it may jump. Reads only.
//! Called by the backend's /internal/idle and by the simulation.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use crate::error::StoreError;

/// The state of rest of the whole system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Idle {
    /// Work that is due, by kind; kinds without any are left out.
    pub work_now: BTreeMap<String, i64>,
    /// The next instant at which money or a message waits for something.
    pub next_urgent: Option<DateTime<Utc>>,
    /// The next instant of the calendar: weather, windows, lapses, reconciliation, and what waits
    /// for a person and is only looked at to be sure.
    pub next_routine: Option<DateTime<Utc>>,
}

impl Idle {
    /// Whether nothing is due.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.work_now.is_empty()
    }
}

/// Looks at everything; `pairs` lists every topic with each of its consumers.
pub async fn look(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    pairs: &[(&str, &str)],
) -> Result<Idle, StoreError> {
    let mut work_now = count_due(conn, now).await?;
    let unheard = crate::consumed::count_unheard(conn, pairs).await?;
    if unheard > 0 {
        work_now.insert("messages".to_owned(), unheard);
    }
    let next = sqlx::query!(
        r#"-- idle.next
        select
            least(
                (select min(next_check_at) from receipts
                 where next_check_at > $1 and needs_person is null),
                (select min(next_check_at) from payout_legs
                 where next_check_at > $1 and needs_person is null),
                (select min(next_check_at) from sms where next_check_at > $1),
                -- one that is under way is due again when its claim runs out
                (select min(greatest(next_attempt_at, claimed_until)) from deliveries
                 where state = 'pending' and greatest(next_attempt_at, claimed_until) > $1
                   and organisation_id in (select id from organisations where state = 'active')),
                (select min(next_check_at) from provider_events
                 where processed_at is null and next_check_at > $1),
                (select min(available_at) from outbox
                 where published_at is null and available_at > $1),
                (select min(next_check_at) from evaluations where next_check_at > $1)
            ) as urgent,
            least(
                (select min(next_check_at) from receipts
                 where next_check_at > $1 and needs_person is not null),
                (select min(next_check_at) from payout_legs
                 where next_check_at > $1 and needs_person is not null),
                (select min(next_check_at) from station_utc_days where next_check_at > $1),
                (select min(next_check_at) from rail_checks where next_check_at > $1),
                (select min(lapses_at) from policies
                 where state = 'awaiting_premium' and lapses_at > $1),
                (select min(next_check_at) from risks where next_check_at > $1),
                (select min(stations_check_at) from risks where stations_check_at > $1),
                (select min(window_closes_at) from risks
                 where state = 'open' and window_closes_at > $1),
                (select min(next_check_at) from scene_checks where next_check_at > $1)
            ) as routine"#,
        now,
    )
    .fetch_one(conn)
    .await?;
    Ok(Idle {
        work_now,
        next_urgent: next.urgent,
        next_routine: next.routine,
    })
}

async fn count_due(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
) -> Result<BTreeMap<String, i64>, StoreError> {
    let rows = sqlx::query!(
        r#"-- idle.count_due
        select kind as "kind!", due as "due!" from (
            select 'outbox' as kind, count(*) as due from outbox
            where published_at is null and available_at <= $1
            union all
            select 'provider_events', count(*) from provider_events
            where processed_at is null and next_check_at <= $1
            union all
            select 'receipts', count(*) from receipts where next_check_at <= $1
            union all
            select 'legs', count(*) from payout_legs where next_check_at <= $1
            union all
            select 'sms', count(*) from sms where next_check_at <= $1
            union all
            -- one that waits for an earlier one of its subject, or that is under way, is not due
            select 'deliveries', count(*) from deliveries d
            where state = 'pending' and greatest(next_attempt_at, claimed_until) <= $1
              and organisation_id in (select id from organisations where state = 'active')
              and not exists (
                  select 1 from deliveries earlier
                  where earlier.endpoint_id = d.endpoint_id
                    and earlier.subject_id = d.subject_id and earlier.state = 'pending'
                    and (earlier.occurred_at, earlier.sequence) < (d.occurred_at, d.sequence)
              )
            union all
            select 'evaluations', count(*) from evaluations where next_check_at <= $1
            union all
            select 'risks', count(*) from risks
            where (next_check_at <= $1 and state in ('open', 'deferred'))
               or (state = 'held' and not index_dirty and exists (
                      select 1 from index_runs
                      where index_runs.id = risks.final_index_run_id and missing_days = 0))
            union all
            select 'uncomputed_days', count(*) from station_utc_days
            where computed_at is null and state <> 'due'
            union all
            select 'stations', count(*) from risks where stations_check_at <= $1
            union all
            select 'indices', count(*) from risks where index_dirty
            union all
            select 'station_days', count(*) from station_utc_days where next_check_at <= $1
            union all
            select 'scenes', count(*) from scene_checks where next_check_at <= $1
            union all
            select 'rail_checks', count(*) from rail_checks where next_check_at <= $1
            union all
            select 'lapses', count(*) from policies p
            where state = 'awaiting_premium' and lapses_at <= $1
              and not exists (
                  select 1 from receipts r where r.policy_id = p.id and r.state = 'sent'
              )
        ) as counted
        where due > 0"#,
        now,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (row.kind, row.due)).collect())
}
