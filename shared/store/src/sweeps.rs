//! What the calendar makes due that no other file lists: closed windows, stale indices, days to
//! fetch, scenes to look for; what is counted over risks and their decisions; the lock that lets
//! one process at a time look; and the partitions that observations will need. Never rings itself.
//! Called by sweeps.

use chrono::{DateTime, Datelike, Months, NaiveDate, Utc};
use domain::id::RiskId;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::error::StoreError;

/// Key of the advisory lock of sweeps; any number that nothing else uses.
const LOCK_KEY: i64 = 0x006d_6373_7765_6570;

/// Takes the sweeps' lock until the transaction ends; `false` when another process has it.
pub async fn try_lock(conn: &mut PgConnection) -> Result<bool, StoreError> {
    let locked = sqlx::query_scalar!(
        r#"-- sweeps.try_lock
        select pg_try_advisory_xact_lock($1) as "locked!""#,
        LOCK_KEY,
    )
    .fetch_one(conn)
    .await?;
    Ok(locked)
}

/// Risks whose window has passed, or that were to be looked at again, and are not decided; and
/// those handed to people that have a number now.
pub async fn list_closed_risks(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<RiskId>, StoreError> {
    let ids = sqlx::query_scalar!(
        "-- sweeps.list_closed_risks
        select id from risks
        where (next_check_at <= $1 and state in ('open', 'deferred'))
           or (state = 'held' and not index_dirty and exists (
                  select 1 from index_runs
                  where index_runs.id = risks.final_index_run_id and missing_days = 0))
        order by next_check_at limit $2",
        now,
        limit,
    )
    .fetch_all(conn)
    .await?;
    Ok(ids.into_iter().map(RiskId::from).collect())
}

/// Risks with observations that their index does not count yet.
pub async fn list_dirty_risks(
    conn: &mut PgConnection,
    limit: i64,
) -> Result<Vec<RiskId>, StoreError> {
    let ids = sqlx::query_scalar!(
        "-- sweeps.list_dirty_risks
        select id from risks where index_dirty order by id limit $1",
        limit,
    )
    .fetch_all(conn)
    .await?;
    Ok(ids.into_iter().map(RiskId::from).collect())
}

/// Risks whose stations are to be looked for: without them no day of theirs is ever fetched.
pub async fn list_stations_due(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<RiskId>, StoreError> {
    let ids = sqlx::query_scalar!(
        "-- sweeps.list_stations_due
        select id from risks where stations_check_at <= $1 order by stations_check_at limit $2",
        now,
        limit,
    )
    .fetch_all(conn)
    .await?;
    Ok(ids.into_iter().map(RiskId::from).collect())
}

/// Risks whose scenes are due.
pub async fn list_scenes_due(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<RiskId>, StoreError> {
    let ids = sqlx::query_scalar!(
        "-- sweeps.list_scenes_due
        select risk_id from scene_checks where next_check_at <= $1 order by next_check_at limit $2",
        now,
        limit,
    )
    .fetch_all(conn)
    .await?;
    Ok(ids.into_iter().map(RiskId::from).collect())
}

/// A station's UTC day to fetch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StationDayDue {
    /// Id of its row.
    pub id: Uuid,
    /// Station.
    pub station_id: String,
    /// Which day.
    pub utc_date: NaiveDate,
}

/// Days recorded whose local days nobody has computed: their bell was lost or put aside.
pub async fn list_uncomputed_days(
    conn: &mut PgConnection,
    limit: i64,
) -> Result<Vec<StationDayDue>, StoreError> {
    let days = sqlx::query_as!(
        StationDayDue,
        "-- sweeps.list_uncomputed_days
        select id, station_id, utc_date from station_utc_days
        where computed_at is null and state <> 'due' order by id limit $1",
        limit,
    )
    .fetch_all(conn)
    .await?;
    Ok(days)
}

/// Days to fetch, oldest first.
pub async fn list_station_days_due(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<StationDayDue>, StoreError> {
    let days = sqlx::query_as!(
        StationDayDue,
        "-- sweeps.list_station_days_due
        select id, station_id, utc_date from station_utc_days where next_check_at <= $1
        order by next_check_at, utc_date, station_id limit $2",
        now,
        limit,
    )
    .fetch_all(conn)
    .await?;
    Ok(days)
}

/// Policies by state.
pub async fn count_policies(conn: &mut PgConnection) -> Result<Vec<(String, i64)>, StoreError> {
    let rows = sqlx::query!(
        r#"-- sweeps.count_policies
        select state, count(*) as "policies!" from policies group by state order by state"#,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| (row.state, row.policies))
        .collect())
}

/// Evaluations by state.
pub async fn count_evaluations(conn: &mut PgConnection) -> Result<Vec<(String, i64)>, StoreError> {
    let rows = sqlx::query!(
        r#"-- sweeps.count_evaluations
        select state, count(*) as "evaluations!" from evaluations group by state order by state"#,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| (row.state, row.evaluations))
        .collect())
}

/// When the oldest window closed that is not decided although people are insured in it, whether
/// it waits for days or for people.
pub async fn oldest_undecided_at(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
) -> Result<Option<DateTime<Utc>>, StoreError> {
    let oldest = sqlx::query_scalar!(
        "-- sweeps.oldest_undecided_at
        select min(window_closes_at) from risks
        where window_closes_at <= $1 and state <> 'evaluated'
          and exists (select 1 from policies
                      where policies.risk_id = risks.id and policies.state = 'active')",
        now,
    )
    .fetch_one(conn)
    .await?;
    Ok(oldest)
}

/// Makes the monthly partitions of observations from the month of `now` to `months` later; returns
/// how many were missing. A month that the default partition already holds rows of is left there.
pub async fn ensure_partitions(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    months: u32,
) -> Result<usize, StoreError> {
    let Some(this_month) = now.date_naive().with_day(1) else {
        return Ok(0);
    };
    let mut made = 0;
    for ahead in 0..=months {
        let Some(month) = this_month.checked_add_months(Months::new(ahead)) else {
            continue;
        };
        // our processes own no table, so the database makes it for them
        let is_new = sqlx::query_scalar!(
            r#"-- sweeps.ensure_partition
            select make_observations_partition($1) as "is_new!""#,
            month,
        )
        .fetch_one(&mut *conn)
        .await?;
        made += usize::from(is_new);
    }
    Ok(made)
}

/// Since when the oldest leg has been with the rail.
pub async fn oldest_leg_sent_at(
    conn: &mut PgConnection,
) -> Result<Option<DateTime<Utc>>, StoreError> {
    let at = sqlx::query_scalar!(
        r#"-- sweeps.oldest_leg_sent_at
        select min(sent_at) from payout_legs where state = 'sent'"#,
    )
    .fetch_one(conn)
    .await?;
    Ok(at)
}

/// When the newest reading was taken at a station that observes a window which runs on `today`, a
/// local day; the beginning of the oldest such window while there is none, `None` without windows.
/// Only the partitions of those windows are looked into.
pub async fn newest_observation_at(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    today: NaiveDate,
) -> Result<Option<DateTime<Utc>>, StoreError> {
    let newest = sqlx::query_scalar!(
        "-- sweeps.newest_observation_at
        with watched as (
            select risk_stations.station_id,
                   min(risks.window_start)::timestamp at time zone 'Africa/Nairobi' as since
            from risks join risk_stations on risk_stations.risk_id = risks.id
            where risks.window_start <= $2 and risks.window_closes_at > $1
              and risk_stations.rank is not null
            group by risk_stations.station_id
        )
        select coalesce(max(newest.observed_at), min(watched.since))
        from watched left join lateral (
            select observed_at from observations
            where observations.station_id = watched.station_id
              and observations.observed_at >= watched.since
            order by observed_at desc limit 1
        ) as newest on true",
        now,
        today,
    )
    .fetch_one(conn)
    .await?;
    Ok(newest)
}
