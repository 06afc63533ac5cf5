//! Stations' UTC days as they are fetched: the work (which day is due), the raw replies and the
//! samples in them. Samples and replies are immutable; a later reply adds a revision. Many days are
//! written by one statement. Never turns a refused reading into a number.
//! Called by the weather worker, the data-processor and sweeps.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, NaiveDate, Utc};
use domain::measure::RainUm;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::decode::corrupt;
use crate::error::StoreError;

/// Where the fetching of a UTC day stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FetchState {
    /// It is to be fetched, perhaps again.
    Due,
    /// It is known, with its quality or because three days passed.
    Recorded,
    /// The provider has no such day, and three days passed.
    Absent,
}

impl FetchState {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Due => "due",
            Self::Recorded => "recorded",
            Self::Absent => "absent",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        [Self::Due, Self::Recorded, Self::Absent]
            .into_iter()
            .find(|state| state.as_str() == text)
    }
}

/// One UTC day of one station as work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UtcDay {
    /// Id of the row.
    pub id: Uuid,
    /// Station.
    pub station_id: String,
    /// Which day.
    pub utc_date: NaiveDate,
    /// Where it stands.
    pub state: FetchState,
    /// Fetches tried before.
    pub attempts: u32,
    /// When it is to be looked at next.
    pub next_check_at: Option<DateTime<Utc>>,
    /// Digest of the newest reply, lower-case hex.
    pub reply_sha256: Option<String>,
    /// Data quality of that day, 1e-4.
    pub data_quality_e4: Option<i16>,
    /// Location quality, 1e-4.
    pub location_quality_e4: Option<i16>,
}

/// A day that is to be fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedDay {
    /// Id of its row, if it is new.
    pub id: Uuid,
    /// Station.
    pub station_id: String,
    /// Which day.
    pub utc_date: NaiveDate,
    /// When it is fetched first.
    pub due_at: DateTime<Utc>,
}

/// Makes the fetching of days due, each at its own instant; days that are known to be fetched stay
/// as they are. Returns how many were new.
pub async fn plan_days(conn: &mut PgConnection, days: &[PlannedDay]) -> Result<u64, StoreError> {
    let ids: Vec<Uuid> = days.iter().map(|day| day.id).collect();
    let stations: Vec<String> = days.iter().map(|day| day.station_id.clone()).collect();
    let dates: Vec<NaiveDate> = days.iter().map(|day| day.utc_date).collect();
    let dues: Vec<DateTime<Utc>> = days.iter().map(|day| day.due_at).collect();
    let done = sqlx::query!(
        "-- observations.plan_days
        insert into station_utc_days (id, station_id, utc_date, state, next_check_at)
        select id, station_id, utc_date, 'due', due_at
        from unnest($1::uuid[], $2::text[], $3::date[], $4::timestamptz[])
            as given (id, station_id, utc_date, due_at)
        -- a fixed order, so that two risks with common stations cannot lock each other out
        order by station_id, utc_date
        on conflict (station_id, utc_date) do nothing",
        &ids,
        &stations,
        &dates,
        &dues,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}

/// Days of the work, in no order; those that are not known are left out.
pub async fn find_days(conn: &mut PgConnection, ids: &[Uuid]) -> Result<Vec<UtcDay>, StoreError> {
    let rows = sqlx::query!(
        "-- observations.find_days
        select id, station_id, utc_date, state, attempts, next_check_at, reply_sha256,
               data_quality_e4, location_quality_e4
        from station_utc_days where id = any($1)",
        ids,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(UtcDay {
                state: FetchState::parse(&row.state)
                    .ok_or_else(|| corrupt("station_utc_days", "state", row.id))?,
                id: row.id,
                station_id: row.station_id,
                utc_date: row.utc_date,
                attempts: u32::try_from(row.attempts).unwrap_or(0),
                next_check_at: row.next_check_at,
                reply_sha256: row.reply_sha256,
                data_quality_e4: row.data_quality_e4,
                location_quality_e4: row.location_quality_e4,
            })
        })
        .collect()
}

/// What a fetch of a day came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetch<'a> {
    /// The day as it was before.
    pub day: &'a UtcDay,
    /// Where the day stands now.
    pub state: FetchState,
    /// When it is looked at again; `None` when it is settled.
    pub next_check_at: Option<DateTime<Utc>>,
    /// Digest of the reply, if there was one.
    pub reply_sha256: Option<&'a str>,
    /// Data quality of that day.
    pub data_quality_e4: Option<i16>,
    /// Location quality.
    pub location_quality_e4: Option<i16>,
}

/// Records fetches, at most one of a day. Returns the days whose fetch was recorded: another fetch
/// was recorded meanwhile of those that are missing. What a reply did not say stays as it was.
pub async fn record_fetches(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    fetches: &[Fetch<'_>],
) -> Result<BTreeSet<Uuid>, StoreError> {
    let ids: Vec<Uuid> = fetches.iter().map(|fetch| fetch.day.id).collect();
    let attempts: Vec<i32> = fetches
        .iter()
        .map(|fetch| i32::try_from(fetch.day.attempts).unwrap_or(i32::MAX))
        .collect();
    let states: Vec<String> = fetches
        .iter()
        .map(|fetch| fetch.state.as_str().to_owned())
        .collect();
    let checks: Vec<Option<DateTime<Utc>>> =
        fetches.iter().map(|fetch| fetch.next_check_at).collect();
    let replies: Vec<Option<String>> = fetches
        .iter()
        .map(|fetch| fetch.reply_sha256.map(str::to_owned))
        .collect();
    let data: Vec<Option<i16>> = fetches.iter().map(|fetch| fetch.data_quality_e4).collect();
    let places: Vec<Option<i16>> = fetches
        .iter()
        .map(|fetch| fetch.location_quality_e4)
        .collect();
    let recorded = sqlx::query_scalar!(
        "-- observations.record_fetches
        with locked as (
            select id from station_utc_days where id = any($1) order by id for no key update
        )
        update station_utc_days as known
        set state = given.state, attempts = known.attempts + 1,
            next_check_at = given.next_check_at,
            reply_sha256 = coalesce(given.reply_sha256, known.reply_sha256),
            data_quality_e4 = coalesce(given.data_quality_e4, known.data_quality_e4),
            location_quality_e4 = coalesce(given.location_quality_e4, known.location_quality_e4),
            recorded_at = case when given.state = 'due' then known.recorded_at else $8 end,
            computed_at = null
        from unnest($1::uuid[], $2::integer[], $3::text[], $4::timestamptz[], $5::text[],
                    $6::smallint[], $7::smallint[])
            as given (id, attempts, state, next_check_at, reply_sha256, data_quality_e4,
                      location_quality_e4)
        join locked on locked.id = given.id
        where known.id = given.id and known.attempts = given.attempts and known.state = 'due'
        returning known.id",
        &ids,
        &attempts,
        &states,
        &checks as _,
        &replies as _,
        &data as _,
        &places as _,
        now,
    )
    .fetch_all(conn)
    .await?;
    Ok(recorded.into_iter().collect())
}

/// A raw reply about a station's UTC day.
#[derive(Debug, Clone, Copy)]
pub struct Reply<'a> {
    /// Id of its row, if it is new.
    pub id: Uuid,
    /// Station.
    pub station_id: &'a str,
    /// Which day.
    pub utc_date: NaiveDate,
    /// Digest of the bytes, lower-case hex.
    pub sha256: &'a str,
    /// The bytes as they came.
    pub raw: &'a [u8],
}

/// Stores raw replies, at most one of a day, unless the newest one of that day is the same; gives
/// the revisions of those that are new, by the id of the row.
pub async fn store_replies(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    replies: &[Reply<'_>],
) -> Result<BTreeMap<Uuid, i16>, StoreError> {
    let ids: Vec<Uuid> = replies.iter().map(|reply| reply.id).collect();
    let stations: Vec<String> = replies
        .iter()
        .map(|reply| reply.station_id.to_owned())
        .collect();
    let dates: Vec<NaiveDate> = replies.iter().map(|reply| reply.utc_date).collect();
    let digests: Vec<String> = replies
        .iter()
        .map(|reply| reply.sha256.to_owned())
        .collect();
    let raw: Vec<&[u8]> = replies.iter().map(|reply| reply.raw).collect();
    let stored = sqlx::query!(
        "-- observations.store_replies
        insert into weather_replies (id, station_id, utc_date, revision, sha256, raw, fetched_at)
        select given.id, given.station_id, given.utc_date,
               (coalesce(newest.revision, 0) + 1)::smallint, given.sha256, given.raw, $6
        from unnest($1::uuid[], $2::text[], $3::date[], $4::text[], $5::bytea[])
            as given (id, station_id, utc_date, sha256, raw)
        left join lateral (
            select revision, sha256 from weather_replies
            where weather_replies.station_id = given.station_id
              and weather_replies.utc_date = given.utc_date
            order by revision desc limit 1
        ) as newest on true
        where newest.sha256 is distinct from given.sha256
        returning id, revision",
        &ids,
        &stations,
        &dates,
        &digests,
        &raw as _,
        now,
    )
    .fetch_all(conn)
    .await?;
    Ok(stored
        .into_iter()
        .map(|row| (row.id, row.revision))
        .collect())
}

/// One reading of the counter, or why there is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    /// When it was taken.
    pub at: DateTime<Utc>,
    /// The counter, µm.
    pub counter: Option<RainUm>,
    /// Why the reading was refused.
    pub fault: Option<String>,
}

/// The readings of one reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Readings<'a> {
    /// Station.
    pub station_id: &'a str,
    /// Which UTC day they all are of.
    pub utc_date: NaiveDate,
    /// Revision of the reply.
    pub revision: i16,
    /// One an instant.
    pub readings: &'a [Reading],
}

/// Inserts the readings of replies that are new or say something else than the newest revision.
/// Returns how many. The caller has just stored the replies: a revision's readings are written once,
/// and looking for a conflict at each of them would cost more than writing it.
pub async fn insert_batch(
    conn: &mut PgConnection,
    replies: &[Readings<'_>],
) -> Result<u64, StoreError> {
    let all = || {
        replies
            .iter()
            .flat_map(|reply| reply.readings.iter().map(move |reading| (reply, reading)))
    };
    let stations: Vec<&str> = all().map(|(reply, _)| reply.station_id).collect();
    let instants: Vec<DateTime<Utc>> = all().map(|(_, reading)| reading.at).collect();
    let revisions: Vec<i16> = all().map(|(reply, _)| reply.revision).collect();
    let dates: Vec<NaiveDate> = all().map(|(reply, _)| reply.utc_date).collect();
    let counters: Vec<Option<i32>> = all()
        .map(|(_, reading)| reading.counter.map(|counter| counter.0))
        .collect();
    let faults: Vec<Option<&str>> = all().map(|(_, reading)| reading.fault.as_deref()).collect();
    let done = sqlx::query!(
        "-- observations.insert_batch
        insert into observations (station_id, observed_at, revision, utc_date, counter_um, fault)
        select given.station_id, given.observed_at, given.revision, given.utc_date,
               given.counter_um, given.fault
        from unnest($1::text[], $2::timestamptz[], $3::smallint[], $4::date[], $5::integer[],
                    $6::text[])
            as given (station_id, observed_at, revision, utc_date, counter_um, fault)
        where given.revision = 1 or (
            select (known.counter_um, known.fault)
                is distinct from (given.counter_um, given.fault)
            from observations as known
            where known.station_id = given.station_id and known.observed_at = given.observed_at
            order by known.revision desc limit 1
        ) is not false",
        &stations as _,
        &instants,
        &revisions,
        &dates,
        &counters as _,
        &faults as _,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}

/// Whether more days of a station wait to be fetched now.
pub async fn has_more_due(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    station_id: &str,
) -> Result<bool, StoreError> {
    let more = sqlx::query_scalar!(
        r#"-- observations.has_more_due
        select exists (
            select 1 from station_utc_days where station_id = $1 and next_check_at <= $2
        ) as "more!""#,
        station_id,
        now,
    )
    .fetch_one(conn)
    .await?;
    Ok(more)
}
