//! Loads what the conversation asks for in a hop. During a replay it shows the world as it was
//! at that hop: what later hops of the same session have made is left out.
//! Must never load what was not asked for. Called by the handler.

use chrono::{DateTime, Utc};
use domain::index::{DayRain, phase_sum};
use domain::measure::RainUm;
use domain::season::{Window, local_day};
use domain::ussd::{
    Farmer, Need, POLICIES_MAX, Pin, PinCheck, Plot, SeasonSummary, View, WardCode,
};
use store::farmers::{self, PIN_MISSES_MAX};
use store::ussd::{DONE, Recorded};
use store::{Connection, StoreError, seasons};

use super::intents::{Hop, Kind};
use super::pins::PinError;
use crate::App;

/// A hop could not be served.
#[derive(Debug, thiserror::Error)]
pub(super) enum HopError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// PIN hashing failed.
    #[error(transparent)]
    Pin(#[from] PinError),
    /// The conversation asked for the same thing again: a fault of ours.
    #[error("the conversation is not satisfied with what it was shown")]
    Unsatisfied,
}

/// Loads one need into the view.
pub(super) async fn load(
    app: &App,
    hop: &Hop<'_>,
    now: DateTime<Utc>,
    need: Need,
    view: &mut View,
) -> Result<(), HopError> {
    match need {
        Need::PinCheck(pin) => view.pin = Some(check_pin(app, hop, now, &pin).await?),
        Need::Farmer => view.farmer = Some(find_farmer(app, hop).await?),
        Need::Policies => {
            let mut conn = app.pool.acquire().await.map_err(StoreError::from)?;
            let limit = i64::try_from(POLICIES_MAX).unwrap_or(i64::MAX);
            view.policies = Some(seasons::list_policies(&mut conn, hop.phone_index, limit).await?);
        }
        Need::Season(plot) => {
            let mut conn = app.pool.acquire().await.map_err(StoreError::from)?;
            let season = seasons::find(&mut conn, hop.phone_index, plot).await?;
            view.season = Some(match season {
                Some(season) => summarise(&mut conn, now, season).await?,
                None => None,
            });
        }
    }
    Ok(())
}

async fn find_farmer(app: &App, hop: &Hop<'_>) -> Result<Option<Farmer>, HopError> {
    let Some(caller) = app.ussd.callers.find(hop.phone_index).await? else {
        return Ok(None);
    };
    let recorded = if hop.replayed {
        let mut conn = app.pool.acquire().await.map_err(StoreError::from)?;
        store::ussd::list_by_session(&mut conn, hop.session_key).await?
    } else {
        Vec::new()
    };
    let later = |kind: Kind, r: &Recorded| {
        r.kind == kind.as_str() && r.outcome == DONE && r.hop >= hop.number
    };
    if recorded.iter().any(|r| later(Kind::Register, r)) {
        return Ok(None);
    }
    let ward = |code: &str| {
        WardCode::parse(code).map_err(|_| StoreError::Corrupt {
            table: "farmers or plots",
            column: "ward_code",
            id: caller.id.to_string(),
        })
    };
    let mut plots = Vec::new();
    for plot in &caller.plots {
        let made_later =
            |r: &Recorded| later(Kind::AddPlot, r) && r.subject_id == Some(plot.id.uuid());
        if !recorded.iter().any(made_later) {
            plots.push(Plot {
                id: plot.id,
                ward: ward(&plot.ward_code)?,
                crop: plot.crop,
                acres_e2: plot.acres_e2,
            });
        }
    }
    Ok(Some(Farmer {
        language: caller.language,
        ward: ward(&caller.ward_code)?,
        has_pin: caller.has_pin && !recorded.iter().any(|r| later(Kind::SetPin, r)),
        plots,
        name: caller.name,
    }))
}

/// The phase of a season that today is in (else the nearest to come, else the last) in numbers.
async fn summarise(
    conn: &mut Connection,
    now: DateTime<Utc>,
    season: seasons::Season,
) -> Result<Option<SeasonSummary>, HopError> {
    let product = store::products::get(conn, season.version).await?.product;
    let (today, year) = (local_day(now), season.season_year);
    let bound = |days: &domain::season::YearlessWindow| days.bind(year).ok();
    let mut phases: Vec<(Window, &domain::product::PhaseTerms)> = product
        .phases
        .iter()
        .filter_map(|p| Some((bound(&p.days)?, p)))
        .collect();
    phases.sort_by_key(|(window, _)| window.start);
    let current = phases
        .iter()
        .find(|(window, _)| today < window.end)
        .or(phases.last());
    let Some((window, phase)) = current else {
        return Ok(None);
    };
    let trigger = product.zone(&season.zone).and_then(|zone| {
        zone.triggers
            .iter()
            .find(|trigger| trigger.phase == phase.code)
    });
    let (Some(trigger), Ok(ward)) = (trigger, WardCode::parse(&season.ward_code)) else {
        return Ok(None);
    };
    let days: Vec<DayRain> = season
        .days
        .iter()
        .map(|(day, um)| DayRain {
            day: *day,
            rain_um: Some(RainUm(*um)),
        })
        .collect();
    let sum = phase_sum(&phase.code, *window, phase.daily_cap_mm, &days);
    let measured = season
        .days
        .iter()
        .map(|(day, _)| *day)
        .filter(|day| window.contains(*day));
    Ok(Some(SeasonSummary {
        ward,
        window: *window,
        measured_until: measured.max(),
        rain_um: sum.rain_um,
        normal_um: None,
        trigger_mm: trigger.trigger_whole(),
    }))
}

/// Compares a PIN with the farmer's; a miss counts once a hop, however often the hop is sent.
async fn check_pin(
    app: &App,
    hop: &Hop<'_>,
    now: DateTime<Utc>,
    pin: &Pin,
) -> Result<PinCheck, HopError> {
    let stored = {
        let mut conn = app.pool.acquire().await.map_err(StoreError::from)?;
        farmers::find_pin(&mut conn, hop.phone_index).await?
    };
    let Some(stored) = stored else {
        return Ok(PinCheck::Locked);
    };
    if stored.is_locked(now) {
        return Ok(PinCheck::Locked);
    }
    let hash = stored.hash.clone().unwrap_or_default();
    // the connection is given back while the hash is computed
    if !hash.is_empty() && app.ussd.pins.verify(hash, pin.digits()).await? {
        if stored.misses > 0 {
            let mut conn = app.pool.acquire().await.map_err(StoreError::from)?;
            farmers::clear_pin_misses(&mut conn, stored.id).await?;
        }
        return Ok(PinCheck::Right);
    }
    let mut tx = app.pool.begin().await.map_err(StoreError::from)?;
    let kind = Kind::PinMissed.as_str();
    let before = store::ussd::claim(&mut tx, now, hop.session_key, hop.number, kind).await?;
    let outcome = if let Some(recorded) = before {
        recorded.outcome
    } else {
        let after = farmers::miss_pin(&mut tx, now, stored.id).await?;
        let outcome = if after.is_locked(now) {
            "locked".to_owned()
        } else {
            PIN_MISSES_MAX.saturating_sub(after.misses).to_string()
        };
        store::ussd::conclude(&mut tx, hop.session_key, hop.number, kind, &outcome, None).await?;
        outcome
    };
    tx.commit().await.map_err(StoreError::from)?;
    Ok(outcome
        .parse()
        .map_or(PinCheck::Locked, |left| PinCheck::Wrong { left }))
}
