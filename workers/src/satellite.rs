//! Looks for vegetation scenes of a risk's cell over the days that its product reads, and keeps the
//! pixels as they are. A date is read once for all risks of its cell; every fault postpones, and a
//! scene is never made up. Without a source of scenes that is recorded as it is, so that the
//! product's rule for absent vegetation applies. Must never judge a pixel: the data-processor does.
//! Heard on scene.due.

use std::collections::BTreeMap;

use chrono::{DateTime, Days, NaiveDate, NaiveTime, TimeDelta, Utc};
use data_encoding::HEXLOWER;
use domain::cell::RiskCell;
use domain::event::{Envelope, Event};
use domain::id::RiskId;
use domain::product::Product;
use domain::season::Window;
use providers::ProviderError;
use providers::sentinel2::{self, COLLECTION, COLLECTION_OLD, Capture, Item, SENSOR};
use runtime::broker::Message;
use runtime::telemetry::continue_trace;
use runtime::topology::Role;
use serde_json::{Value, json};
use store::risks::{self, Risk};
use store::scene_checks::{self, SceneCheck, SceneEnd};
use store::scene_windows::{self, SceneWindow};
use store::{StoreError, outbox, products};

use crate::consumer::{Handler, Outcome, decode, first_time};
use crate::role::Context;

/// Wait after a failed search or read.
const AGAIN: TimeDelta = TimeDelta::minutes(15);
/// Hour of the day at which scenes are looked for, UTC: with the weather's days; a scene of the
/// morning is listed within half a day.
const HOUR_UTC: u32 = 2;
/// How far a search reaches back behind the one before: scenes may be listed late.
const LATE: TimeDelta = TimeDelta::days(10);
/// Dates read at once; more are read with the next bell.
const DATES_MAX: usize = 8;
/// Tiles of one pass that are compared; more do not meet in a place.
const TILES_MAX: usize = 4;

/// The satellite role.
#[derive(Debug, Clone)]
pub struct Satellite {
    context: Context,
    provider: Option<sentinel2::Client>,
}

/// What a check came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// It is not due, or over.
    Nothing,
    /// There is no source of scenes.
    Unconfigured,
    /// The product reads no scene of this sensor.
    Unneeded,
    /// So many dates were recorded; it is looked for again.
    Searched(usize),
    /// Something failed after so many dates were recorded; it is tried again soon.
    Postponed(usize),
    /// The product waits no longer.
    Over(SceneEnd),
}

/// The satellite role over its settings.
#[must_use]
pub fn build(context: &Context) -> Satellite {
    let url = &context.settings.sentinel2.sentinel2_api_url;
    let provider = (!url.is_empty())
        .then(|| sentinel2::Client::new(context.http.clone(), sentinel2::Config::new(url)));
    Satellite {
        context: context.clone(),
        provider,
    }
}

impl Handler for Satellite {
    const ROLE: Role = Role::Satellite;

    async fn handle(&self, message: &Message) -> Outcome {
        self.hear(message).await.into()
    }
}

impl Satellite {
    async fn hear(&self, message: &Message) -> Result<(), Outcome> {
        match decode(message)? {
            Event::SceneDue { risk_id } => self.check(risk_id, Some(message)).await.map(drop),
            _ => Ok(()),
        }
    }

    /// Begins anew for risks that were found to have no source of scenes, now that there is one;
    /// returns how many.
    pub async fn reopen(&self) -> Result<u64, StoreError> {
        if self.provider.is_none() {
            return Ok(0);
        }
        let now = self.context.clock.now();
        let mut conn = self.context.pool.acquire().await?;
        scene_checks::reopen(&mut conn, now).await
    }

    /// Looks for the scenes of a risk that is due.
    pub async fn check(&self, risk_id: RiskId, message: Option<&Message>) -> Result<Step, Outcome> {
        let Some(provider) = &self.provider else {
            self.finish(risk_id, Next::Unconfigured, message).await?;
            return Ok(Step::Unconfigured);
        };
        let now = self.context.clock.now();
        let mut conn = self
            .context
            .pool
            .acquire()
            .await
            .map_err(StoreError::from)?;
        let found = scene_checks::find_open(&mut conn, risk_id).await?;
        let is_due = |check: &SceneCheck| check.next_check_at.is_none_or(|at| at <= now);
        let Some(check) = found.filter(is_due) else {
            return Ok(Step::Nothing);
        };
        let Some(risk) = risks::find(&mut conn, risk_id).await? else {
            return Ok(Step::Nothing);
        };
        let product = products::get(&mut conn, risk.version).await?.product;
        let Some(wanted) = Wanted::of(&product, &risk)? else {
            drop(conn);
            self.finish(risk_id, Next::End(SceneEnd::Unneeded), message)
                .await?;
            return Ok(Step::Unneeded);
        };
        let known = scene_windows::list_days(&mut conn, SENSOR, risk.cell, wanted.days).await?;
        drop(conn);
        let (opens, closes) = (wanted.days.start, wanted.days.last_day());
        if now.date_naive() < opens {
            let next = Next::Search(looked_for_at(opens));
            self.finish(risk_id, next, message).await?;
            return Ok(Step::Searched(0));
        }
        let since = check.checked_at.map_or(midnight(opens), |at| at - LATE);
        let from = since.max(midnight(opens));
        let until = now.min(looked_until(closes));
        let items = if from <= until {
            let search = provider.search(risk.cell, from, until);
            self.context.timed(sentinel2::NAME, "search", search).await
        } else {
            Ok(Vec::new())
        };
        let is_over = now >= wanted.over_at || risk.is_decided;
        let is_given_up = now >= wanted.over_at + LATE || risk.is_decided;
        let mut dates: BTreeMap<NaiveDate, Vec<Item>> = BTreeMap::new();
        let mut failed = None;
        match items {
            Ok(items) => {
                for item in items {
                    let day = item.day();
                    if wanted.days.contains(day) && !known.contains(&day) {
                        dates.entry(day).or_default().push(item);
                    }
                }
            }
            Err(error) => failed = Some(error),
        }
        let is_more = dates.len() > DATES_MAX;
        let mut recorded = 0;
        for (day, items) in dates.into_iter().take(DATES_MAX) {
            match self.capture(provider, risk.cell, &items).await {
                Ok(Some((item, capture))) => {
                    recorded += usize::from(self.record(risk.cell, item, &capture, message).await?);
                }
                Ok(None) => {
                    tracing::warn!(%day, cell = %risk.cell, "no scene of this date is readable");
                }
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        let (next, step) = match failed {
            Some(error) if !is_given_up => {
                tracing::warn!(risk.id = %risk_id, %error, "scenes not looked for to the end");
                (Next::Again(now + AGAIN), Step::Postponed(recorded))
            }
            _ if is_more => (Next::Again(now), Step::Searched(recorded)),
            _ if is_over => {
                let end = if known.is_empty() && recorded == 0 {
                    SceneEnd::Absent
                } else {
                    SceneEnd::Recorded
                };
                (Next::End(end), Step::Over(end))
            }
            _ => {
                let next = looked_for_at(now.date_naive()).min(wanted.over_at.max(now + AGAIN));
                (Next::Search(next), Step::Searched(recorded))
            }
        };
        self.finish(risk_id, next, message).await?;
        Ok(step)
    }

    /// The best readable picture of a date: of the newer collection, else of the older; where
    /// several tiles of a pass show the cell, the one with most clear land. A failure that may pass
    /// is one of the whole date, so that a hiccup never decides which picture counts.
    async fn capture<'a>(
        &self,
        provider: &sentinel2::Client,
        cell: RiskCell,
        items: &'a [Item],
    ) -> Result<Option<(&'a Item, Capture)>, ProviderError> {
        for collection in [COLLECTION, COLLECTION_OLD] {
            let of_collection = items.iter().filter(|item| item.collection == collection);
            let mut best: Option<(&Item, Capture)> = None;
            for item in of_collection.take(TILES_MAX) {
                let read = provider.capture(item, cell);
                match self.context.timed(sentinel2::NAME, "capture", read).await {
                    Ok(capture) => {
                        let is_better = best
                            .as_ref()
                            .is_none_or(|(_, held)| capture.land_pixels() > held.land_pixels());
                        if is_better {
                            best = Some((item, capture));
                        }
                    }
                    Err(ProviderError::Refused { code, message }) => {
                        tracing::warn!(item = item.id, code, message, "scene not readable");
                        self.refuse(&code);
                    }
                    Err(error) => return Err(error),
                }
            }
            if best.is_some() {
                return Ok(best);
            }
        }
        Ok(None)
    }

    /// The transaction after a date was read; `false` when somebody else read it before.
    async fn record(
        &self,
        cell: RiskCell,
        item: &Item,
        capture: &Capture,
        message: Option<&Message>,
    ) -> Result<bool, Outcome> {
        let now = self.context.clock.now();
        let id = self.context.ids.uuid(now);
        let Some(window) = scene_window(id, cell, item, capture) else {
            self.refuse("layout");
            return Ok(false);
        };
        let mut tx = self.context.pool.begin().await.map_err(StoreError::from)?;
        let is_new = scene_windows::record(&mut tx, now, &window).await?;
        if is_new {
            let event = Event::SceneCaptured {
                scene_window_id: id,
                risk_cell: cell,
                day: window.day,
            };
            let trace = message.and_then(|message| message.traceparent.as_deref());
            let envelope = Envelope {
                id: self.context.ids.mint(now),
                event,
                traceparent: Some(continue_trace(trace, &self.context.ids)),
            };
            outbox::push(&mut tx, now, &envelope, now).await?;
        }
        tx.commit().await.map_err(StoreError::from)?;
        Ok(is_new)
    }

    /// The last transaction of a check.
    async fn finish(
        &self,
        risk_id: RiskId,
        next: Next,
        message: Option<&Message>,
    ) -> Result<(), Outcome> {
        let now = self.context.clock.now();
        let mut tx = self.context.pool.begin().await.map_err(StoreError::from)?;
        if let Some(message) = message {
            first_time(&mut tx, &self.context, Role::Satellite, message).await?;
        }
        match next {
            Next::Search(at) => scene_checks::postpone(&mut tx, risk_id, at, Some(now)).await?,
            Next::Again(at) => scene_checks::postpone(&mut tx, risk_id, at, None).await?,
            Next::End(end) => {
                scene_checks::end(&mut tx, now, risk_id, end).await?;
            }
            Next::Unconfigured => {
                scene_checks::record_unconfigured(&mut tx, now, risk_id).await?;
            }
        }
        tx.commit().await.map_err(StoreError::from)?;
        Ok(())
    }

    fn refuse(&self, reason: &str) {
        self.context
            .metrics
            .rejected_inputs
            .with_label_values(&[sentinel2::NAME, reason])
            .inc();
    }
}

/// What becomes of a check.
#[derive(Debug, Clone, Copy)]
enum Next {
    /// Looked for to the end; again at an instant.
    Search(DateTime<Utc>),
    /// Not to the end; again at an instant.
    Again(DateTime<Utc>),
    End(SceneEnd),
    Unconfigured,
}

/// The scenes that a product reads of a risk.
#[derive(Debug, Clone, Copy)]
struct Wanted {
    /// UTC dates.
    days: Window,
    /// Until when a scene is waited for.
    over_at: DateTime<Utc>,
}

impl Wanted {
    /// `None` when the product reads none of this sensor.
    fn of(product: &Product, risk: &Risk) -> Result<Option<Self>, StoreError> {
        let Some(terms) = &product.vegetation else {
            return Ok(None);
        };
        if !product.sensors().iter().any(|sensor| sensor == SENSOR) {
            return Ok(None);
        }
        let days = terms.days.bind(risk.season_year);
        let days = days.map_err(|_| StoreError::Corrupt {
            table: "risks",
            column: "season_year",
            id: risk.id.to_string(),
        })?;
        Ok(Some(Self {
            days,
            over_at: midnight(days.end) + Days::new(terms.wait_days.into()),
        }))
    }
}

fn midnight(day: NaiveDate) -> DateTime<Utc> {
    day.and_time(NaiveTime::MIN).and_utc()
}

/// When the scenes of a date are looked for first: early on the next.
fn looked_for_at(day: NaiveDate) -> DateTime<Utc> {
    midnight(day) + TimeDelta::hours(24) + TimeDelta::hours(HOUR_UTC.into())
}

/// The last second of a date.
fn looked_until(day: NaiveDate) -> DateTime<Utc> {
    midnight(day) + TimeDelta::days(1) - TimeDelta::seconds(1)
}

/// The row of a capture; `None` when it is larger than a row holds.
fn scene_window(
    id: uuid::Uuid,
    cell: RiskCell,
    item: &Item,
    capture: &Capture,
) -> Option<SceneWindow> {
    let grid = &capture.grid;
    Some(SceneWindow {
        id,
        sensor: SENSOR.to_owned(),
        cell,
        day: item.day(),
        item_id: item.id.clone(),
        collection: item.collection.clone(),
        taken_at: item.at,
        baseline: item.baseline.clone(),
        offset_dn: i16::try_from(capture.offset_dn).ok()?,
        epsg: i32::try_from(grid.epsg).ok()?,
        west_m: grid.west_m,
        north_m: grid.north_m,
        pixel_m: i16::try_from(grid.pixel_m).ok()?,
        width: i16::try_from(grid.width).ok()?,
        height: i16::try_from(grid.height).ok()?,
        pixels: capture.pixels.pack(),
        sha256: HEXLOWER.encode(&capture.pixels.sha256()),
        files: files(item, capture),
    })
}

/// The files a capture was read from, with what was read of each.
fn files(item: &Item, capture: &Capture) -> Value {
    let bands = [("red", &item.red), ("nir", &item.nir), ("scl", &item.scl)];
    let told = bands.into_iter().filter_map(|(band, asset)| {
        let asset = asset.as_ref()?;
        let parts: Vec<Value> = capture
            .reads
            .iter()
            .filter(|read| read.band == band)
            .map(|read| {
                json!({"start": read.start, "length": read.length,
                       "sha256": HEXLOWER.encode(&read.sha256)})
            })
            .collect();
        let file = json!({"href": asset.href, "checksum": asset.checksum, "parts": parts});
        Some((band.to_owned(), file))
    });
    Value::Object(told.collect())
}
