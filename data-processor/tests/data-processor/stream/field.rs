//! Three stations that observe three risks, and a season of them with everything a station can do
//! wrong; the index role hears of it as it is told to. Must hold no test.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up must fail")]

use chrono::{DateTime, Days, NaiveDate, NaiveTime, TimeDelta, Utc};
use data_processor::batch::restatements::{self, Restatement};
use data_processor::stream::{self, Context, Outcome};
use domain::event::Event;
use domain::id::RiskId;
use domain::measure::RainUm;
use runtime::broker::{Broker, Message};
use runtime::clock::Clock;
use runtime::health::Health;
use runtime::ids::Ids;
use runtime::lifecycle::Lifecycle;
use runtime::memory::InMemory;
use runtime::metrics::Metrics;
use runtime::topology::Role;
use sqlx::PgPool;
use store::Pool;
use store::observations::{self, Fetch, FetchState, PlannedDay, Reading, Readings, Reply};
use uuid::Uuid;

/// UTC days of each station in a faulty season, and those of a whole one.
const DAYS: u64 = 40;
const DAYS_OF_ALL: u64 = 94;
const STATIONS: [&str; 3] = ["station-a", "station-b", "station-c"];
/// Risks by number.
pub(crate) const RISKS: [u128; 3] = [1, 2, 3];

pub(crate) fn risk(number: u128) -> RiskId {
    Uuid::from_u128(number).into()
}

pub(crate) fn date(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

fn now() -> DateTime<Utc> {
    "2026-06-10T09:00:00Z".parse().unwrap()
}

/// What a fetch of a day brought.
#[derive(Debug, Clone)]
pub(crate) struct Fetched {
    pub(crate) station: &'static str,
    pub(crate) date: NaiveDate,
    /// Counted from one.
    revision: u8,
    /// A later one of the same day comes after it.
    is_last: bool,
    readings: Vec<Reading>,
}

impl Fetched {
    /// The next reply about the same day, with every reading from the n-th on refused.
    pub(crate) fn refused_from(&self, n: usize) -> Self {
        let mut anew = self.clone();
        anew.revision += 1;
        for reading in anew.readings.iter_mut().skip(n) {
            reading.counter = None;
            reading.fault = Some("implausible".to_owned());
        }
        anew
    }
}

fn id_of(station: &str, date: NaiveDate) -> Uuid {
    let station = STATIONS.iter().position(|known| *known == station).unwrap();
    let day = date.signed_duration_since(first_date()).num_days();
    Uuid::from_u128(
        0x1000 + 0x100 * u128::try_from(station).unwrap() + u128::try_from(day).unwrap(),
    )
}

fn first_date() -> NaiveDate {
    date("2026-02-28")
}

/// A whole season of the three stations in which nothing goes wrong: two millimetres a day.
pub(crate) fn calm_season() -> Vec<Fetched> {
    let days = (0..DAYS_OF_ALL).map(|day| (day, first_date() + Days::new(day)));
    let all = days.flat_map(|(day, date)| {
        STATIONS.map(|station| Fetched {
            station,
            date,
            revision: 1,
            is_last: true,
            readings: (0..48)
                .map(|n| Reading {
                    at: date.and_time(NaiveTime::MIN).and_utc() + TimeDelta::minutes(30 * n),
                    counter: Some(RainUm(
                        i32::try_from(day).unwrap() * 2_000 + i32::try_from(n).unwrap() * 41,
                    )),
                    fault: None,
                })
                .collect(),
        })
    });
    all.collect()
}

/// Forty days of three stations, by day: `a` is read every half hour, reboots, is silent for three
/// days while it rains and for fifteen while it does not, and corrects a day; `b` refuses a day's
/// readings and lacks days altogether; `c` is read every three hours.
pub(crate) fn season() -> Vec<Fetched> {
    let mut all = Vec::new();
    for day in 0..DAYS {
        let date = first_date() + Days::new(day);
        for station in STATIONS {
            let readings = readings(station, day, date);
            let is_corrected = station == "station-a" && day == 9;
            let first = Fetched {
                station,
                date,
                revision: 1,
                is_last: !is_corrected,
                readings,
            };
            if is_corrected {
                let mut second = first.clone();
                (second.revision, second.is_last) = (2, true);
                second.readings[4].counter = None;
                second.readings[5].counter = second.readings[6].counter;
                all.push(first);
                all.push(second);
            } else {
                all.push(first);
            }
        }
    }
    all
}

fn readings(station: &str, day: u64, date: NaiveDate) -> Vec<Reading> {
    let is_silent = match station {
        "station-a" => (5..8).contains(&day) || (14..29).contains(&day),
        "station-b" => day == 11 || (20..23).contains(&day),
        _ => false,
    };
    if is_silent {
        return Vec::new();
    }
    let minutes = if station == "station-c" { 180 } else { 30 };
    let begins = date.and_time(NaiveTime::MIN).and_utc();
    // it stood still while it was silent for long, and rebooted once
    let risen = match (station, day) {
        ("station-a", 29..) => i32::try_from(day).unwrap() * 4_000 - 15 * 4_000,
        ("station-b", 13..) => i32::try_from(day).unwrap() * 4_000 - 13 * 4_000,
        _ => i32::try_from(day).unwrap() * 4_000,
    };
    (0..24 * 60 / minutes)
        .map(|n| {
            let is_refused = station == "station-b" && day == 17 || n == 7 && day.is_multiple_of(3);
            let so_far = i32::try_from(n * minutes).unwrap() * 4_000 / (24 * 60);
            Reading {
                at: begins + TimeDelta::minutes(n * minutes + 10),
                counter: (!is_refused).then_some(RainUm(risen + so_far)),
                fault: is_refused.then(|| "implausible".to_owned()),
            }
        })
        .collect()
}

/// The index role with its tables and its queue.
pub(crate) struct Field {
    pub(crate) context: Context,
    pub(crate) broker: InMemory,
}

impl Field {
    pub(crate) async fn new(pool: PgPool) -> Self {
        let broker = InMemory::new();
        let context = Context {
            clock: Clock::held(now()),
            ids: Ids::seeded(1),
            pool,
            broker: Broker::InMemory(broker.clone()),
            metrics: Metrics::build().unwrap(),
            health: Health::new(),
            lifecycle: Lifecycle::new(),
        };
        let pii = store::Pii::from_hex(&"1f".repeat(32), &"2e".repeat(32)).unwrap();
        let plan = store::fixtures::Plan {
            is_final: false,
            ..store::fixtures::Plan::default()
        };
        let mut conn = context.pool.acquire().await.unwrap();
        store::fixtures::season(&mut conn, &pii, plan)
            .await
            .unwrap();
        drop(conn);
        let field = Self { context, broker };
        field
            .change(
                "insert into stations (id, name, risk_cell, lat_e6, lon_e6, seen_at)
                 values ('station-c', 'c', '877a63556ffffff', 2330000, 37990000, '2026-02-01Z');
                 insert into risks (id, product_version_id, zone, risk_cell, season_year,
                     window_start, window_end, window_closes_at, state, stations_frozen_at,
                     created_at)
                 select ('00000000-0000-0000-0000-00000000000' || n)::uuid, product_version_id,
                     zone, (array['its own', '877a5c541ffffff', '877a48826ffffff'])[n],
                     2026, window_start, window_end, window_closes_at, 'open', created_at,
                     created_at
                 from risks, generate_series(1, 3) as n;
                 insert into risk_stations (risk_id, station_id, distance_m, elevation_gap_dm,
                     data_quality_e4, location_quality_e4, rank, recorded_at)
                 select ('00000000-0000-0000-0000-00000000000' || given.risk)::uuid,
                     'station-' || given.station, 500, 0, 9000, 10000, given.rank, '2026-02-01Z'
                 from (values (1, 'a', 1), (1, 'b', 2), (2, 'b', 1), (2, 'c', 2), (3, 'a', 1),
                              (3, 'b', 2), (3, 'c', 3)) as given (risk, station, rank);
                 delete from index_runs;
                 delete from cell_days;
                 delete from risk_stations where risk_id not in (select id from risks
                     where id::text like '00000000-%');
                 update policies set risk_id = '00000000-0000-0000-0000-000000000001';
                 delete from risks where id::text not like '00000000-%';
                 update risks set risk_cell = '877a63556ffffff' where risk_cell = 'its own';",
            )
            .await;
        field.reset().await;
        field
    }

    pub(crate) async fn change(&self, sql: &str) {
        store::testing::change(&self.context.pool, sql)
            .await
            .unwrap();
    }

    pub(crate) async fn count(&self, sql: &'static str) -> i64 {
        store::testing::number(&self.context.pool, sql)
            .await
            .unwrap()
    }

    /// Nothing was ever fetched; every day is due.
    pub(crate) async fn reset(&self) {
        self.change(
            "update risks set final_index_run_id = null, index_dirty = false, state = 'open';
             truncate station_days, cell_days, observations, weather_replies, station_utc_days,
                 consumed, outbox;
             delete from index_runs;",
        )
        .await;
        self.plan(DAYS).await;
    }

    /// So many days of each station are due.
    pub(crate) async fn plan(&self, count: u64) {
        let mut days = Vec::new();
        for station in STATIONS {
            for day in 0..count {
                let utc_date = first_date() + Days::new(day);
                days.push(PlannedDay {
                    id: id_of(station, utc_date),
                    station_id: station.to_owned(),
                    utc_date,
                    due_at: now(),
                });
            }
        }
        let mut conn = self.context.pool.acquire().await.unwrap();
        observations::plan_days(&mut conn, &days).await.unwrap();
    }

    /// A pool that is closed instead of the one that works, which is given.
    pub(crate) async fn without_database(&mut self) -> Pool {
        let options = self.context.pool.connect_options().as_ref().clone();
        let closed = sqlx::postgres::PgPoolOptions::new().connect_lazy_with(options);
        closed.close().await;
        std::mem::replace(&mut self.context.pool, closed)
    }

    /// Writes what a fetch brought, as the weather role does.
    pub(crate) async fn record(&self, fetched: &Fetched) {
        let mut conn = self.context.pool.acquire().await.unwrap();
        let id = id_of(fetched.station, fetched.date);
        let day = observations::find_days(&mut conn, &[id])
            .await
            .unwrap()
            .pop()
            .unwrap();
        let sha256 = format!("{}-{}-{}", fetched.station, fetched.date, fetched.revision);
        let is_absent = fetched.readings.is_empty();
        let fetch = Fetch {
            day: &day,
            state: match (fetched.is_last, is_absent) {
                (false, _) => FetchState::Due,
                (true, false) => FetchState::Recorded,
                (true, true) => FetchState::Absent,
            },
            next_check_at: None,
            reply_sha256: (!is_absent).then_some(&sha256),
            data_quality_e4: (!is_absent).then_some(9_000),
            location_quality_e4: (!is_absent).then_some(10_000),
        };
        let recorded = observations::record_fetches(&mut conn, now(), &[fetch]).await;
        assert_eq!(recorded.unwrap().len(), 1);
        if is_absent {
            return;
        }
        let reply = Reply {
            id: self.context.ids.uuid(now()),
            station_id: fetched.station,
            utc_date: fetched.date,
            sha256: &sha256,
            raw: sha256.as_bytes(),
        };
        let stored = observations::store_replies(&mut conn, now(), &[reply])
            .await
            .unwrap();
        let readings = Readings {
            station_id: fetched.station,
            utc_date: fetched.date,
            revision: stored[&reply.id],
            readings: &fetched.readings,
        };
        observations::insert_batch(&mut conn, &[readings])
            .await
            .unwrap();
    }

    /// Writes a later reply about a day that was settled.
    pub(crate) async fn record_anew(&self, fetched: &Fetched) {
        let id = id_of(fetched.station, fetched.date);
        self.change(&format!(
            "update station_utc_days set state = 'due' where id = '{id}'"
        ))
        .await;
        self.record(fetched).await;
    }

    /// The bell of a recorded day.
    pub(crate) fn hear_day(&self, fetched: &Fetched) {
        self.hear(&Event::ObservationRecorded {
            station_day_id: id_of(fetched.station, fetched.date),
            station_id: fetched.station.to_owned(),
            utc_date: fetched.date,
        });
    }

    pub(crate) fn hear(&self, event: &Event) {
        self.hear_bytes(event.topic(), &serde_json::to_vec(event).unwrap());
    }

    pub(crate) fn hear_bytes(&self, topic: &str, body: &[u8]) {
        self.broker.publish_all(&[Message {
            id: self.context.ids.uuid(now()),
            topic: topic.to_owned(),
            body: body.to_vec(),
            traceparent: None,
        }]);
    }

    pub(crate) async fn step(&self) -> Vec<Outcome> {
        let mut queue = self.context.broker.consume(Role::Index, 1).await.unwrap();
        stream::step(&self.context, &mut queue).await.unwrap()
    }

    /// Handles what waits, then computes the indices that it made stale.
    pub(crate) async fn drain(&self) {
        loop {
            let outcomes = self.step().await;
            assert!(
                outcomes.iter().all(|outcome| *outcome == Outcome::Done),
                "{outcomes:?}"
            );
            let mut conn = self.context.pool.acquire().await.unwrap();
            let dirty = store::sweeps::list_dirty_risks(&mut conn, 10)
                .await
                .unwrap();
            if outcomes.is_empty() && dirty.is_empty() {
                return;
            }
            if outcomes.is_empty() {
                for risk_id in dirty {
                    self.hear(&Event::IndexDue { risk_id });
                }
            }
        }
    }

    /// A whole season without a fault is recorded and computed.
    pub(crate) async fn live_through(&self) -> Vec<Fetched> {
        self.plan(DAYS_OF_ALL).await;
        let fetched = calm_season();
        for one in &fetched {
            self.record(one).await;
            self.hear_day(one);
        }
        self.drain().await;
        fetched
    }

    /// Everything that was fetched arrives in an order, in batches and with repetitions that the
    /// seed chooses; only the revisions of one day keep their order.
    pub(crate) async fn arrive(&self, fetched: &[Fetched], seed: u64) {
        let ids = Ids::seeded(seed);
        let mut order: Vec<&Fetched> = fetched.iter().collect();
        for at in (1..order.len()).rev() {
            let below = u64::try_from(at).unwrap() + 1;
            order.swap(at, usize::try_from(ids.below(below)).unwrap());
        }
        let key = |one: &Fetched| (one.station, one.date);
        let mut corrected: Vec<usize> = (0..order.len())
            .filter(|n| {
                order
                    .iter()
                    .filter(|one| key(one) == key(order[*n]))
                    .count()
                    > 1
            })
            .collect();
        corrected.sort_by_key(|n| order[*n].revision);
        let (first, second) = (corrected[0], corrected[1]);
        if first > second {
            order.swap(first, second);
        }
        let mut since = 0;
        for one in order {
            self.record(one).await;
            for _ in 0..=ids.below(2) {
                self.hear_day(one);
            }
            if ids.below(5) == 0 {
                self.hear(&Event::IndexDue {
                    risk_id: risk(RISKS[usize::try_from(ids.below(3)).unwrap()]),
                });
            }
            self.broker.reorder(Role::Index, &ids);
            if ids.below(3) == 0 {
                self.broker.repeat_one(Role::Index, &ids);
            }
            since += 1;
            if since > ids.below(40) {
                since = 0;
                let outcomes = self.step().await;
                assert!(outcomes.iter().all(|outcome| *outcome == Outcome::Done));
            }
        }
        self.drain().await;
    }

    /// Decides the risks that have a number on their index as it stands, for nothing.
    pub(crate) async fn decide(&self) {
        self.change(
            "insert into evaluations (id, risk_id, index_run_id, observed, settlement,
                 share_numerator, share_denominator, weather_bp, holds, policies, total_minor,
                 currency, state, cid, short_code, bundle, evaluated_at)
             select risks.id, risks.id, final_index_run_id, '{}',
                 '{\"weather\": [0, 1], \"weather_bp\": 0, \"vegetation_bp\": null,
                   \"damage_index_bp\": null, \"share\": [0, 1], \"distance_bp\": null,
                   \"payout_min\": {\"minor\": 0, \"currency\": \"KES\"}, \"holds\": []}',
                 0, 1, 0, '{}', 0, 0, 'KES', 'approved', risks.id::text, risks.id::text, '',
                 '2026-06-09Z'
             from risks join index_runs on index_runs.id = final_index_run_id
             where index_runs.missing_days = 0;
             update risks set state = 'evaluated'",
        )
        .await;
    }

    /// What decided risks would be paid today.
    pub(crate) async fn restated(&self) -> Vec<Restatement> {
        let mut conn = self.context.pool.acquire().await.unwrap();
        let page = restatements::page(&mut conn, Some(2026), None)
            .await
            .unwrap();
        assert_eq!(page.last, None, "there is one page");
        page.restated
    }

    /// Every row that must not depend on the order of things, as text.
    pub(crate) async fn rows(&self) -> String {
        let mut rows = Vec::new();
        for sql in [
            "select concat_ws('|', station_id, day, coalesce(rain_um::text, '-'), samples, resets,
                              array_to_string(flags, ','), array_to_string(replies, ','))
             from station_days order by station_id, day",
            "select concat_ws('|', risk_id, day, coalesce(rain_um::text, '-'), source,
                              coalesce(factor_e4::text, '-'))
             from cell_days order by risk_id, day",
            "select concat_ws('|', 'final', risks.id, manifest_hash, as_of_day, phases,
                              missing_days, stations, confidence)
             from risks join index_runs on index_runs.id = final_index_run_id order by risks.id",
        ] {
            rows.extend(
                store::testing::texts(&self.context.pool, sql)
                    .await
                    .unwrap(),
            );
        }
        rows.join("\n")
    }
}
