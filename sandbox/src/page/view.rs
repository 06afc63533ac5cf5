//! Everything the page shows, as one JSON document of the present, and the map's unchanging part as
//! another. Read only. No secret is in it, and nobody's number but the page's own made-up ones.
//! Asked for by the page at most twice a second.

use axum::extract::State as Shared;
use axum::response::Response;
use domain::cell::RiskCell;
use serde_json::{Value, json};

use super::Page;
use super::calendar::{Calendar, Standing, year_of};
use super::clock::standing;
use super::events::place;
use super::land::{hexagon, middle, sold};
use super::watch::Seen;
use crate::MovementKind;
use crate::reply::json;
use crate::season::report::{Report, Risk};
use crate::wallets::Phone;
use crate::weather::wards;

/// Newest lines of what happened that are shown.
const LINES_SHOWN: usize = 60;

/// The map's unchanging part: where cover is sold.
pub(super) async fn map() -> Response {
    json(200, &json!({"sold": sold()}))
}

/// The present.
pub(super) async fn state(Shared(page): Shared<Page>) -> Response {
    page.look().await;
    let seen = page.0.watch.seen();
    let body = json!({
        "at": page.0.world.now(),
        "service_code": page.service_code(),
        "clock": clock(&page, seen.report.as_ref()),
        "sky": sky(&page),
        "phones": phones(&page),
        "cells": cells(&page, seen.report.as_ref()),
        "stations": page.stations(),
        "events": seen.events.lines.iter().rev().take(LINES_SHOWN).collect::<Vec<_>>(),
        "held": seen.held,
        "books": books(&page, &seen),
        "is_away": seen.is_away,
    });
    drop(seen);
    json(200, &body)
}

fn clock(page: &Page, report: Option<&Report>) -> Value {
    let now = page.0.world.now();
    let season = Calendar::at(now).map(|calendar| {
        let standing = report.map_or(Standing::default(), |r| standing(r, calendar.year));
        json!({"phase": calendar.phase(now, standing), "year": calendar.year,
               "is_settled": standing.is_settled || !standing.is_insured,
               "sale": {"opens": calendar.sale.opens_at(), "closes": calendar.sale.closes_at()},
               "cover": {"opens": calendar.cover.opens_at(), "closes": calendar.cover.closes_at()}})
    });
    match &page.0.player {
        None => json!({"is_manual": false, "season": season}),
        Some(player) => {
            let orders = player.orders();
            json!({"is_manual": true, "season": season, "playing": orders.is_playing,
                   "pace": orders.pace, "is_moving": orders.is_moving, "note": orders.note,
                   "trouble": orders.trouble})
        }
    }
}

fn sky(page: &Page) -> Value {
    let now = page.0.world.now();
    let is_free = Calendar::at(now).is_some_and(|calendar| calendar.is_sky_free(now));
    json!({"scenario": page.sky_name(), "is_free": is_free})
}

fn phones(page: &Page) -> Vec<Value> {
    let ours = page.phones();
    page.0.world.with(|state, _| {
        ours.iter()
            .filter_map(|number| {
                let phone = state.wallets.phones.get(number.digits())?;
                Some(shown(number.digits(), phone))
            })
            .collect()
    })
}

fn shown(digits: &str, phone: &Phone) -> Value {
    let prompt = phone.prompts.iter().find(|prompt| prompt.state == "open");
    let last = phone.prompts.last().map(|prompt| prompt.state);
    let screen = phone
        .ussd
        .as_ref()
        .and_then(|session| session.last_screen.get(4..));
    json!({"msisdn": digits, "balance_minor": phone.balance_minor, "sms": phone.sms,
           "prompt": prompt, "last_prompt": last, "screen": screen})
}

fn cells(page: &Page, report: Option<&Report>) -> Vec<Value> {
    let now = page.0.world.now();
    let season = Calendar::at(now);
    let risks = report.map_or(&[][..], |report| report.risks.as_slice());
    // a cover of an earlier year has ended, and its rain with it
    let is_of_now = |risk: &&Risk| season.is_some_and(|s| year_of(&risk.season) == Some(s.year));
    risks
        .iter()
        .filter(|risk| risk.policies > 0)
        .filter(is_of_now)
        .filter_map(|risk| {
            let cell: RiskCell = risk.cell.parse().ok()?;
            Some(covered(page, risk, cell, season))
        })
        .collect()
}

fn covered(page: &Page, risk: &Risk, cell: RiskCell, season: Option<Calendar>) -> Value {
    let rain = season.map_or_else(Vec::new, |season| page.rain(cell, season.cover));
    let dekads: Vec<Value> = rain
        .iter()
        .map(|dekad| {
            json!({"first": dekad.first, "last": dekad.last, "um": dekad.rain_um,
                   "is_over": dekad.is_over})
        })
        .collect();
    let (trigger_mm, exit_mm) = wards::terms_near(cell);
    let decided = risk.evaluation.as_ref().map(|evaluation| {
        json!({"state": evaluation.state, "rain": evaluation.rain, "payout": evaluation.payout,
               "confidence": evaluation.confidence, "stations": evaluation.stations,
               "short_code": evaluation.short_code, "cid": evaluation.cid,
               "total_minor": evaluation.total_minor})
    });
    json!({"cell": risk.cell, "place": place(risk), "product": risk.product,
           "season": risk.season, "policies": risk.policies,
           "hexagon": hexagon(cell.index()),
           "around": hexagon(cell.accumulation_cell().index()),
           "middle": middle(cell.index()),
           "dekads": dekads,
           "rain_um": rain.iter().map(|dekad| dekad.rain_um).sum::<i64>(),
           "trigger_mm": trigger_mm, "exit_mm": exit_mm, "decided": decided})
}

/// The ledger's word beside the wallets' own book.
fn books(page: &Page, seen: &Seen) -> Value {
    let (collected, disbursed) = page.0.world.with(|state, _| {
        (
            state.wallets.total(MovementKind::Collect),
            state.wallets.total(MovementKind::Disburse),
        )
    });
    let Some(report) = &seen.report else {
        return Value::Null;
    };
    let accounts: Vec<Value> = report
        .ledger
        .accounts
        .iter()
        .filter(|line| line.currency == "KES")
        .map(|line| json!({"account": line.name, "balance_minor": line.balance_minor}))
        .collect();
    json!({"accounts": accounts, "balanced": report.ledger.balanced,
           "collected_minor": report.collected_minor, "disbursed_minor": report.disbursed_minor,
           "wallets": {"collected_minor": collected, "disbursed_minor": disbursed},
           "policies": {"awaiting": report.policies.awaiting_premium,
                        "active": report.policies.active, "settled": report.policies.settled,
                        "lapsed": report.policies.lapsed},
           "invariants": {"checked": report.invariants.checked,
                          "broken": report.invariants.broken},
           "farmers": report.farmers,
           "payouts": {"planned": report.payouts.planned, "held": report.payouts.held,
                       "paid": report.payouts.paid, "refused": report.payouts.refused,
                       "paid_minor": report.payouts.paid_minor}})
}
