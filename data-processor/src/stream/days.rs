//! Local days of stations from their readings: which days the recorded UTC days of a batch touch,
//! and what each comes to. A day follows from the readings within reach of it and from nothing else,
//! so that any order of arrival and any way of batching give the same rows. Never makes a missing
//! day dry. Called by the stream, and by the report of restatements, which only computes.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, NaiveDate, NaiveTime, TimeDelta, Utc};
use domain::evidence::StationDay;
use domain::season::{Window, day_of_interval_ending, day_starts_at, local_day, next_day};
use store::risks::{self, Days};
use store::station_days::{self, FetchedDay, Neighbours, Span, UtcDate};
use store::{Connection, StoreError, stations};

use crate::science::qc::{Quality, quality_flags};
use crate::science::rain::{Reading, SILENCE_DAYS_MAX, station_days as days_of};

/// How far a reading reaches, hours.
fn reach_hours() -> i32 {
    i32::try_from(SILENCE_DAYS_MAX.saturating_mul(24)).unwrap_or(i32::MAX)
}

/// Computes the local days that recorded UTC days touch, and asks for the indices that rest on them.
pub(super) async fn recompute(
    conn: &mut Connection,
    now: DateTime<Utc>,
    days: BTreeSet<UtcDate>,
) -> Result<(), StoreError> {
    let ids: BTreeSet<&str> = days.iter().map(|day| day.station_id.as_str()).collect();
    let ids: Vec<&str> = ids.into_iter().collect();
    let known: BTreeSet<String> = stations::lock(conn, &ids).await?.into_iter().collect();
    let days: Vec<UtcDate> = days
        .into_iter()
        .filter(|day| known.contains(&day.station_id))
        .collect();
    if days.is_empty() {
        return Ok(());
    }
    let spans: Vec<Span> = days.iter().map(span_of).collect();
    let neighbours = station_days::list_neighbours(conn, &spans, reach_hours()).await?;
    let windows = merged(
        days.iter()
            .zip(neighbours)
            .map(|(day, near)| (day.station_id.as_str(), touched(day.date, near))),
    );
    let computed = compute(conn, &windows).await?;
    // before they change: no risk is decided while days that it rests on are written
    let undecided = risks::lock_observed(conn, &days_in(&windows)).await?;
    let rows: Vec<(&str, &StationDay)> = windows
        .iter()
        .zip(&computed)
        .flat_map(|((station, _), days)| days.iter().map(move |day| (*station, day)))
        .collect();
    station_days::upsert(conn, now, &rows).await?;
    station_days::mark_computed(conn, now, &days).await?;
    risks::mark_dirty(conn, &undecided).await?;
    Ok(())
}

fn span_of(day: &UtcDate) -> Span {
    let begins = day.date.and_time(NaiveTime::MIN).and_utc();
    Span {
        station_id: day.station_id.clone(),
        from: begins,
        until: begins + TimeDelta::days(1),
    }
}

fn days_in<'a>(windows: &[(&'a str, Window)]) -> Vec<Days<'a>> {
    windows
        .iter()
        .map(|(station_id, window)| Days {
            station_id,
            first: window.start,
            last: window.last_day(),
        })
        .collect()
}

/// The local days whose rain may change when a UTC date is recorded: those it overlaps, and those
/// of a gap before or after it.
fn touched(utc_date: NaiveDate, near: Neighbours) -> Window {
    let first = near.before.map_or(utc_date, local_day);
    let last = near.after.map_or(utc_date, day_of_interval_ending);
    Window {
        start: first.min(utc_date),
        end: next_day(last.max(next_day(utc_date))),
    }
}

/// Windows of stations without overlaps: what two days touch is computed once.
fn merged<'a>(touched: impl Iterator<Item = (&'a str, Window)>) -> Vec<(&'a str, Window)> {
    let mut sorted: Vec<(&str, Window)> = touched.collect();
    sorted.sort_unstable_by_key(|(station, window)| (*station, window.start, window.end));
    let mut merged: Vec<(&str, Window)> = Vec::with_capacity(sorted.len());
    for (station, window) in sorted {
        match merged.last_mut() {
            Some((last, before)) if *last == station && window.start <= before.end => {
                before.end = before.end.max(window.end);
            }
            _ => merged.push((station, window)),
        }
    }
    merged
}

/// The local days of windows of stations, from everything that is recorded now.
pub(crate) async fn compute(
    conn: &mut Connection,
    windows: &[(&str, Window)],
) -> Result<Vec<Vec<StationDay>>, StoreError> {
    let whole = |(station, window): &(&str, Window)| Span {
        station_id: (*station).to_owned(),
        from: day_starts_at(window.start),
        until: day_starts_at(window.end),
    };
    let mut spans: Vec<Span> = windows.iter().map(whole).collect();
    // a reading at the very opening counts as before it
    let just_after: Vec<Span> = spans
        .iter()
        .map(|span| Span {
            from: span.from + TimeDelta::microseconds(1),
            ..span.clone()
        })
        .collect();
    let neighbours = station_days::list_neighbours(conn, &just_after, reach_hours()).await?;
    for (span, near) in spans.iter_mut().zip(neighbours) {
        span.from = near.before.unwrap_or(span.from);
        span.until = near.after.unwrap_or(span.until);
    }
    let readings = station_days::list_readings(conn, &spans).await?;
    let fetched = station_days::list_fetched(conn, &spans).await?;
    Ok(windows
        .iter()
        .zip(readings.into_iter().zip(fetched))
        .map(|((_, window), (readings, fetched))| local_days(*window, &readings, &fetched))
        .collect())
}

fn local_days(
    window: Window,
    readings: &[station_days::Reading],
    fetched: &BTreeMap<NaiveDate, FetchedDay>,
) -> Vec<StationDay> {
    let reply_of = |date: NaiveDate| {
        fetched
            .get(&date)
            .and_then(|day| day.reply_sha256.clone())
            .unwrap_or_default()
    };
    let readings: Vec<Reading> = readings
        .iter()
        .map(|reading| Reading {
            at: reading.at,
            counter_um: reading.counter.map(|counter| counter.0),
            reply: reply_of(reading.at.date_naive()),
        })
        .collect();
    let mut days = days_of(&readings, window);
    for day in &mut days {
        flag_quality(day, fetched);
    }
    days
}

/// Adds the flags of the provider's word on the two UTC dates of a local day.
fn flag_quality(day: &mut StationDay, fetched: &BTreeMap<NaiveDate, FetchedDay>) {
    let quality_of = |date: NaiveDate| {
        fetched
            .get(&date)
            .map_or_else(Quality::default, |fetched| Quality {
                data_e4: fetched.data_quality_e4,
                location_e4: fetched.location_quality_e4,
            })
    };
    let flags = quality_flags(day.day, quality_of);
    day.flags
        .extend(flags.into_iter().map(|flag| flag.as_str().to_owned()));
    day.flags.sort_unstable();
    day.flags.dedup();
}
