//! A station's UTC days as they are fetched: the work (which day is due), the raw replies and the
//! samples in them, and the local days computed from those. Samples and replies are immutable; a
//! later reply adds a revision. Never turns a refused reading into a number.
//! Called by the weather worker, the data-processor and sweeps.

use chrono::{DateTime, NaiveDate, Utc};
use domain::evidence::StationDay;
use domain::measure::RainUm;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::error::{StoreError, one_row};

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

/// Makes the fetching of a station's days due, each at its own instant; days that are known to be
/// fetched stay as they are. Returns how many were new.
pub async fn plan_days(
    conn: &mut PgConnection,
    station_id: &str,
    days: &[(Uuid, NaiveDate, DateTime<Utc>)],
) -> Result<u64, StoreError> {
    let ids: Vec<Uuid> = days.iter().map(|(id, ..)| *id).collect();
    let dates: Vec<NaiveDate> = days.iter().map(|(_, date, _)| *date).collect();
    let dues: Vec<DateTime<Utc>> = days.iter().map(|(.., due)| *due).collect();
    let done = sqlx::query!(
        "-- observations.plan_days
        insert into station_utc_days (id, station_id, utc_date, state, next_check_at)
        select id, $1, utc_date, 'due', due_at
        from unnest($2::uuid[], $3::date[], $4::timestamptz[]) as given (id, utc_date, due_at)
        on conflict (station_id, utc_date) do nothing",
        station_id,
        &ids,
        &dates,
        &dues,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}

/// A day of the work.
pub async fn find_day(conn: &mut PgConnection, id: Uuid) -> Result<Option<UtcDay>, StoreError> {
    let row = sqlx::query!(
        "-- observations.find_day
        select id, station_id, utc_date, state, attempts, next_check_at, reply_sha256,
               data_quality_e4, location_quality_e4
        from station_utc_days where id = $1",
        id,
    )
    .fetch_optional(conn)
    .await?;
    row.map(|row| {
        Ok(UtcDay {
            state: FetchState::parse(&row.state).ok_or_else(|| StoreError::Corrupt {
                table: "station_utc_days",
                column: "state",
                id: id.to_string(),
            })?,
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
    .transpose()
}

/// What a fetch came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetch<'a> {
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

/// Records a fetch of a day that was tried `attempts` times before; stale when another fetch was
/// recorded meanwhile. What the reply did not say stays as it was.
pub async fn record_fetch(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    day: &UtcDay,
    fetch: &Fetch<'_>,
) -> Result<(), StoreError> {
    let done = sqlx::query!(
        "-- observations.record_fetch
        update station_utc_days
        set state = $3, attempts = attempts + 1, next_check_at = $4,
            reply_sha256 = coalesce($5, reply_sha256),
            data_quality_e4 = coalesce($6, data_quality_e4),
            location_quality_e4 = coalesce($7, location_quality_e4),
            recorded_at = case when $3 = 'due' then recorded_at else $8 end,
            computed_at = null
        where id = $1 and attempts = $2 and state = 'due'",
        day.id,
        i32::try_from(day.attempts).unwrap_or(i32::MAX),
        fetch.state.as_str(),
        fetch.next_check_at,
        fetch.reply_sha256,
        fetch.data_quality_e4,
        fetch.location_quality_e4,
        now,
    )
    .execute(conn)
    .await?;
    one_row(done.rows_affected(), "station day", day.id)
}

/// Stores a raw reply unless the newest one of that day is the same; gives its revision when new.
pub async fn store_reply(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    id: Uuid,
    day: &UtcDay,
    raw: &[u8],
    sha256: &str,
) -> Result<Option<i16>, StoreError> {
    let revision = sqlx::query_scalar!(
        "-- observations.store_reply
        insert into weather_replies (id, station_id, utc_date, revision, sha256, raw, fetched_at)
        select $1, $2, $3, newest.revision + 1, $4, $5, $6
        from (
            select coalesce(max(revision), 0)::smallint as revision,
                   (array_agg(sha256 order by revision desc))[1] as sha256
            from weather_replies where station_id = $2 and utc_date = $3
        ) as newest
        where newest.sha256 is distinct from $4
        returning revision",
        id,
        day.station_id,
        day.utc_date,
        sha256,
        raw,
        now,
    )
    .fetch_optional(conn)
    .await?;
    Ok(revision)
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

/// Inserts the readings of a reply that are new or say something else than the newest revision.
/// Returns how many.
pub async fn insert_batch(
    conn: &mut PgConnection,
    day: &UtcDay,
    revision: i16,
    readings: &[Reading],
) -> Result<u64, StoreError> {
    let instants: Vec<DateTime<Utc>> = readings.iter().map(|reading| reading.at).collect();
    let counters: Vec<Option<i32>> = readings
        .iter()
        .map(|reading| reading.counter.map(|counter| counter.0))
        .collect();
    let faults: Vec<Option<String>> = readings
        .iter()
        .map(|reading| reading.fault.clone())
        .collect();
    let done = sqlx::query!(
        "-- observations.insert_batch
        insert into observations (station_id, observed_at, revision, utc_date, counter_um, fault)
        select $1, given.observed_at, $2::smallint, $3, given.counter_um, given.fault
        from unnest($4::timestamptz[], $5::integer[], $6::text[])
            as given (observed_at, counter_um, fault)
        left join lateral (
            select counter_um, fault from observations
            where observations.station_id = $1
              and observations.observed_at = given.observed_at and $2::smallint > 1
            order by revision desc limit 1
        ) as known on true
        where $2::smallint = 1 or (known.counter_um, known.fault)
            is distinct from (given.counter_um, given.fault)
        on conflict (station_id, observed_at, revision) do nothing",
        day.station_id,
        revision,
        day.utc_date,
        &instants,
        &counters as _,
        &faults as _,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}

/// The readings of a station from `from` to `until`, both included, newest revision each, by time.
pub async fn list_between(
    conn: &mut PgConnection,
    station_id: &str,
    from: DateTime<Utc>,
    until: DateTime<Utc>,
) -> Result<Vec<Reading>, StoreError> {
    let rows = sqlx::query!(
        "-- observations.list_between
        select distinct on (observed_at) observed_at, counter_um, fault from observations
        where station_id = $1 and observed_at between $2 and $3
        order by observed_at, revision desc",
        station_id,
        from,
        until,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| Reading {
            at: row.observed_at,
            counter: row.counter_um.map(RainUm),
            fault: row.fault,
        })
        .collect())
}

/// The last instant before `before`, and the first at or after `from`, at which the station's
/// counter is known.
pub async fn find_neighbours(
    conn: &mut PgConnection,
    station_id: &str,
    before: DateTime<Utc>,
    from: DateTime<Utc>,
) -> Result<(Option<DateTime<Utc>>, Option<DateTime<Utc>>), StoreError> {
    let row = sqlx::query!(
        "-- observations.find_neighbours
        select
            (select observed_at from observations
             where station_id = $1 and observed_at < $2 and counter_um is not null
             order by observed_at desc limit 1) as previous,
            (select observed_at from observations
             where station_id = $1 and observed_at >= $3 and counter_um is not null
             order by observed_at limit 1) as next",
        station_id,
        before,
        from,
    )
    .fetch_one(conn)
    .await?;
    Ok((row.previous, row.next))
}

/// What is known of the fetching of some UTC days of a station, by date.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchedDay {
    /// Which day.
    pub utc_date: NaiveDate,
    /// Whether it will not change any more.
    pub is_settled: bool,
    /// Digest of the newest reply.
    pub reply_sha256: Option<String>,
    /// Data quality of that day, 1e-4.
    pub data_quality_e4: Option<i16>,
    /// Location quality, 1e-4.
    pub location_quality_e4: Option<i16>,
}

/// The fetched days of a station from `first` to `last`, both included.
pub async fn list_fetched(
    conn: &mut PgConnection,
    station_id: &str,
    first: NaiveDate,
    last: NaiveDate,
) -> Result<Vec<FetchedDay>, StoreError> {
    let rows = sqlx::query_as!(
        FetchedDay,
        r#"-- observations.list_fetched
        select utc_date, state <> 'due' as "is_settled!", reply_sha256, data_quality_e4,
               location_quality_e4
        from station_utc_days
        where station_id = $1 and utc_date between $2 and $3
        order by utc_date limit 1000"#,
        station_id,
        first,
        last,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows)
}

/// Records that the local days of a station's UTC day count what is recorded of it; the caller has
/// locked the station.
pub async fn mark_computed(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    station_id: &str,
    utc_date: NaiveDate,
) -> Result<(), StoreError> {
    sqlx::query!(
        "-- observations.mark_computed
        update station_utc_days set computed_at = $3 where station_id = $1 and utc_date = $2",
        station_id,
        utc_date,
        now,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The days of some stations in a range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DayCounts {
    /// Planned at all.
    pub planned: i64,
    /// Still to be fetched, or fetched again.
    pub due: i64,
    /// Recorded, but not yet counted by their local days.
    pub uncomputed: i64,
}

/// How the days of these stations between `first` and `last` stand.
pub async fn count_unsettled(
    conn: &mut PgConnection,
    stations: &[String],
    first: NaiveDate,
    last: NaiveDate,
) -> Result<DayCounts, StoreError> {
    let counts = sqlx::query_as!(
        DayCounts,
        r#"-- observations.count_unsettled
        select count(*) as "planned!", count(*) filter (where state = 'due') as "due!",
               count(*) filter (where state <> 'due' and computed_at is null) as "uncomputed!"
        from station_utc_days
        where station_id = any($1) and utc_date between $2 and $3"#,
        stations,
        first,
        last,
    )
    .fetch_one(conn)
    .await?;
    Ok(counts)
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

/// Writes local days of a station, which the caller has locked; a day that only decided risks rest
/// on stays as it was, because their evidence is published. Returns how many changed.
pub async fn upsert_station_days(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    station_id: &str,
    days: &[StationDay],
) -> Result<u64, StoreError> {
    let dates: Vec<NaiveDate> = days.iter().map(|day| day.day).collect();
    let rain: Vec<Option<i32>> = days
        .iter()
        .map(|day| day.rain_um.map(|rain| rain.0))
        .collect();
    let count = |n: u32| i32::try_from(n).unwrap_or(i32::MAX);
    let samples: Vec<i32> = days.iter().map(|day| count(day.samples)).collect();
    let resets: Vec<i32> = days.iter().map(|day| count(day.resets)).collect();
    // arrays of arrays must be rectangular in SQL: the lists travel as text and are split there
    let flags: Vec<String> = days.iter().map(|day| day.flags.join(",")).collect();
    let replies: Vec<String> = days.iter().map(|day| day.replies.join(",")).collect();
    let done = sqlx::query!(
        "-- observations.upsert_station_days
        insert into station_days
            (station_id, day, rain_um, samples, resets, flags, replies, computed_at)
        select $1, day, rain_um, samples, resets, string_to_array(flags, ','),
               string_to_array(replies, ','), $2
        from unnest($3::date[], $4::integer[], $5::integer[], $6::integer[], $7::text[], $8::text[])
            as given (day, rain_um, samples, resets, flags, replies)
        where not exists (
            select 1 from risk_stations join risks on risks.id = risk_stations.risk_id
            where risk_stations.station_id = $1 and risk_stations.rank is not null
              and given.day >= risks.window_start and given.day < risks.window_end
            having bool_and(risks.state = 'evaluated')
        )
        on conflict (station_id, day) do update set
            rain_um = excluded.rain_um, samples = excluded.samples, resets = excluded.resets,
            flags = excluded.flags, replies = excluded.replies, computed_at = excluded.computed_at
        where (station_days.rain_um, station_days.samples, station_days.resets, station_days.flags,
               station_days.replies)
            is distinct from (excluded.rain_um, excluded.samples, excluded.resets, excluded.flags,
                              excluded.replies)",
        station_id,
        now,
        &dates,
        &rain as _,
        &samples,
        &resets,
        &flags,
        &replies,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}
