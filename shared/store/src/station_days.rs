//! Local days of stations: what they are computed from (readings, replies, the provider's word) and
//! what they came to. Many stations and days are read and written by one statement; the caller has
//! locked the stations. Never changes a day that only decided risks rest on.
//! Called by the data-processor.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};
use domain::evidence::StationDay;
use domain::id::RiskId;
use domain::measure::RainUm;
use sqlx::PgConnection;

use crate::error::StoreError;

/// A station's UTC day.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UtcDate {
    /// Station.
    pub station_id: String,
    /// Which day.
    pub date: NaiveDate,
}

/// A stretch of time at a station.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// Station.
    pub station_id: String,
    /// Its first instant.
    pub from: DateTime<Utc>,
    /// Its last instant, or the first after it: see who takes it.
    pub until: DateTime<Utc>,
}

/// The last instant before a span, and the first one at or after its end, at which the station's
/// counter is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Neighbours {
    /// Before `from`.
    pub before: Option<DateTime<Utc>>,
    /// At or after `until`.
    pub after: Option<DateTime<Utc>>,
}

fn columns(spans: &[Span]) -> (Vec<&str>, Vec<DateTime<Utc>>, Vec<DateTime<Utc>>) {
    (
        spans.iter().map(|span| span.station_id.as_str()).collect(),
        spans.iter().map(|span| span.from).collect(),
        spans.iter().map(|span| span.until).collect(),
    )
}

/// The neighbours of each span, looked for within so many hours of it. A reading that its newest
/// revision refuses is none.
pub async fn list_neighbours(
    conn: &mut PgConnection,
    spans: &[Span],
    hours: i32,
) -> Result<Vec<Neighbours>, StoreError> {
    let (stations, from, until) = columns(spans);
    let rows = sqlx::query_as!(
        Neighbours,
        r#"-- station_days.list_neighbours
        select previous.observed_at as "before?", next.observed_at as "after?"
        from unnest($1::text[], $2::timestamptz[], $3::timestamptz[])
            with ordinality as given (station_id, since, until, place)
        left join lateral (
            select observed_at from observations as known
            where known.station_id = given.station_id and known.observed_at < given.since
              and known.observed_at >= given.since - make_interval(hours => $4)
              and known.counter_um is not null
              and not exists (
                  select 1 from observations as newer
                  where newer.station_id = known.station_id
                    and newer.observed_at = known.observed_at and newer.revision > known.revision
                    and newer.counter_um is null
              )
            order by observed_at desc limit 1
        ) as previous on true
        left join lateral (
            select observed_at from observations as known
            where known.station_id = given.station_id and known.observed_at >= given.until
              and known.observed_at <= given.until + make_interval(hours => $4)
              and known.counter_um is not null
              and not exists (
                  select 1 from observations as newer
                  where newer.station_id = known.station_id
                    and newer.observed_at = known.observed_at and newer.revision > known.revision
                    and newer.counter_um is null
              )
            order by observed_at limit 1
        ) as next on true
        order by given.place"#,
        &stations as _,
        &from,
        &until,
        hours,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows)
}

/// A reading of the counter, as its newest revision has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    /// When it was taken.
    pub at: DateTime<Utc>,
    /// The counter; `None` when the reading was refused.
    pub counter: Option<RainUm>,
}

/// The readings of each span, both ends included, by time.
pub async fn list_readings(
    conn: &mut PgConnection,
    spans: &[Span],
) -> Result<Vec<Vec<Reading>>, StoreError> {
    let (stations, from, until) = columns(spans);
    // arrays: one row a span is read several times faster than one a reading
    let rows = sqlx::query!(
        r#"-- station_days.list_readings
        select found.instants as "instants!", found.revisions as "revisions!",
               found.counters as "counters!: Vec<Option<i32>>"
        from unnest($1::text[], $2::timestamptz[], $3::timestamptz[])
            with ordinality as given (station_id, since, until, place)
        cross join lateral (
            select coalesce(array_agg(observed_at), '{}') as instants,
                   coalesce(array_agg(revision), '{}') as revisions,
                   coalesce(array_agg(counter_um), '{}') as counters
            from observations
            where observations.station_id = given.station_id
              and observations.observed_at between given.since and given.until
        ) as found
        order by given.place"#,
        &stations as _,
        &from,
        &until,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| newest(row.instants, row.revisions, row.counters))
        .collect())
}

fn newest(
    instants: Vec<DateTime<Utc>>,
    revisions: Vec<i16>,
    counters: Vec<Option<i32>>,
) -> Vec<Reading> {
    let mut all: Vec<(DateTime<Utc>, i16, Option<i32>)> = instants
        .into_iter()
        .zip(revisions)
        .zip(counters)
        .map(|((at, revision), counter)| (at, revision, counter))
        .collect();
    // the newest revision of an instant comes first, and the others of it are left out
    all.sort_unstable_by_key(|(at, revision, _)| (*at, std::cmp::Reverse(*revision)));
    all.dedup_by_key(|(at, ..)| *at);
    all.into_iter()
        .map(|(at, _, counter)| Reading {
            at,
            counter: counter.map(RainUm),
        })
        .collect()
}

/// What is known of the fetching of a UTC day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchedDay {
    /// Digest of the newest reply.
    pub reply_sha256: Option<String>,
    /// Data quality of that day, 1e-4.
    pub data_quality_e4: Option<i16>,
    /// Location quality, 1e-4.
    pub location_quality_e4: Option<i16>,
}

/// The fetched days of each span, the UTC dates of both ends included, by date.
pub async fn list_fetched(
    conn: &mut PgConnection,
    spans: &[Span],
) -> Result<Vec<BTreeMap<NaiveDate, FetchedDay>>, StoreError> {
    let stations: Vec<&str> = spans.iter().map(|span| span.station_id.as_str()).collect();
    let first: Vec<NaiveDate> = spans.iter().map(|span| span.from.date_naive()).collect();
    let last: Vec<NaiveDate> = spans.iter().map(|span| span.until.date_naive()).collect();
    let rows = sqlx::query!(
        r#"-- station_days.list_fetched
        select given.place as "place!", known.utc_date as "utc_date!", known.reply_sha256,
               known.data_quality_e4, known.location_quality_e4
        from unnest($1::text[], $2::date[], $3::date[])
            with ordinality as given (station_id, first, last, place)
        cross join lateral (
            select utc_date, reply_sha256, data_quality_e4, location_quality_e4
            from station_utc_days
            where station_utc_days.station_id = given.station_id
              and station_utc_days.utc_date between given.first and given.last
            limit 1000
        ) as known"#,
        &stations as _,
        &first,
        &last,
    )
    .fetch_all(conn)
    .await?;
    let mut found = vec![BTreeMap::new(); spans.len()];
    for row in rows {
        // places are counted from one
        let place = usize::try_from(row.place).unwrap_or(0).saturating_sub(1);
        if let Some(days) = found.get_mut(place) {
            let day = FetchedDay {
                reply_sha256: row.reply_sha256,
                data_quality_e4: row.data_quality_e4,
                location_quality_e4: row.location_quality_e4,
            };
            days.insert(row.utc_date, day);
        }
    }
    Ok(found)
}

/// Writes local days of stations, each at most once; a day that only decided risks rest on stays as
/// it was, because their evidence is published. Returns how many changed.
pub async fn upsert(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    days: &[(&str, &StationDay)],
) -> Result<u64, StoreError> {
    let count = |n: u32| i32::try_from(n).unwrap_or(i32::MAX);
    let stations: Vec<&str> = days.iter().map(|(station, _)| *station).collect();
    let dates: Vec<NaiveDate> = days.iter().map(|(_, day)| day.day).collect();
    let rain: Vec<Option<i32>> = days
        .iter()
        .map(|(_, day)| day.rain_um.map(|rain| rain.0))
        .collect();
    let samples: Vec<i32> = days.iter().map(|(_, day)| count(day.samples)).collect();
    let resets: Vec<i32> = days.iter().map(|(_, day)| count(day.resets)).collect();
    // arrays of arrays must be rectangular in SQL: the lists travel as text and are split there
    let flags: Vec<String> = days.iter().map(|(_, day)| day.flags.join(",")).collect();
    let replies: Vec<String> = days.iter().map(|(_, day)| day.replies.join(",")).collect();
    let done = sqlx::query!(
        "-- station_days.upsert
        insert into station_days
            (station_id, day, rain_um, samples, resets, flags, replies, computed_at)
        select given.station_id, given.day, given.rain_um, given.samples, given.resets,
               string_to_array(given.flags, ','), string_to_array(given.replies, ','), $8
        from unnest($1::text[], $2::date[], $3::integer[], $4::integer[], $5::integer[],
                    $6::text[], $7::text[])
            as given (station_id, day, rain_um, samples, resets, flags, replies)
        -- a row that says the same is left alone before it costs a lock
        where not exists (
            select 1 from station_days as same
            where same.station_id = given.station_id and same.day = given.day
              and (same.rain_um, same.samples, same.resets, same.flags, same.replies)
                  is not distinct from
                  (given.rain_um, given.samples, given.resets,
                   string_to_array(given.flags, ','), string_to_array(given.replies, ','))
            offset 0
        )
        and not exists (
            select 1 from risk_stations join risks on risks.id = risk_stations.risk_id
            where risk_stations.station_id = given.station_id and risk_stations.rank is not null
              and given.day >= risks.window_start and given.day < risks.window_end
            having bool_and(risks.state = 'evaluated')
        )
        on conflict (station_id, day) do update set
            rain_um = excluded.rain_um, samples = excluded.samples, resets = excluded.resets,
            flags = excluded.flags, replies = excluded.replies, computed_at = excluded.computed_at",
        &stations as _,
        &dates,
        &rain as _,
        &samples,
        &resets,
        &flags,
        &replies,
        now,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}

/// Records that the local days of these UTC days count what is recorded of them.
pub async fn mark_computed(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    days: &[UtcDate],
) -> Result<(), StoreError> {
    let stations: Vec<&str> = days.iter().map(|day| day.station_id.as_str()).collect();
    let dates: Vec<NaiveDate> = days.iter().map(|day| day.date).collect();
    sqlx::query!(
        "-- station_days.mark_computed
        with locked as (
            select known.id from unnest($1::text[], $2::date[]) as given (station_id, utc_date)
            cross join lateral (
                select id from station_utc_days
                where station_utc_days.station_id = given.station_id
                  and station_utc_days.utc_date = given.utc_date
                limit 1
            ) as known
        ), ordered as (
            select id from station_utc_days
            where id = any(array(select id from locked)) order by id for no key update
        )
        update station_utc_days set computed_at = $3
        where id = any(array(select id from ordered))",
        &stations as _,
        &dates,
        now,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The UTC days of a risk's stations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DayCounts {
    /// Planned at all.
    pub planned: i64,
    /// Still to be fetched, or fetched again.
    pub due: i64,
    /// Recorded, but not yet counted by their local days.
    pub uncomputed: i64,
}

/// How the UTC days that the windows of these risks touch stand at their stations.
pub async fn count_unsettled(
    conn: &mut PgConnection,
    risks: &[RiskId],
) -> Result<BTreeMap<RiskId, DayCounts>, StoreError> {
    let ids: Vec<uuid::Uuid> = risks.iter().map(|id| id.uuid()).collect();
    let rows = sqlx::query!(
        r#"-- station_days.count_unsettled
        select risks.id, sum(counted.planned)::bigint as "planned!",
               sum(counted.due)::bigint as "due!", sum(counted.uncomputed)::bigint as "uncomputed!"
        from risks
        join risk_stations on risk_stations.risk_id = risks.id and risk_stations.rank is not null
        cross join lateral (
            select count(*) as planned, count(*) filter (where state = 'due') as due,
                   count(*) filter (where state <> 'due' and computed_at is null) as uncomputed
            from station_utc_days
            where station_utc_days.station_id = risk_stations.station_id
              and station_utc_days.utc_date >= risks.window_start - 1
              and station_utc_days.utc_date < risks.window_end
        ) as counted
        where risks.id = any($1)
        group by risks.id"#,
        &ids,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| {
            let counts = DayCounts {
                planned: row.planned,
                due: row.due,
                uncomputed: row.uncomputed,
            };
            (RiskId::from(row.id), counts)
        })
        .collect())
}
