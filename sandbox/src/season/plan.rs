//! The plan of a season, made before anything happens: its days, its wards, its farmers. Follows
//! from the seed and the shipped tables alone; equal arguments give equal plans.
//! Made by the stages; nothing in it changes afterwards.

use std::collections::BTreeMap;

use anyhow::Context as _;
use chrono::{DateTime, TimeDelta, Utc};
use domain::product::Product;
use domain::quote::sale_window_of;
use domain::season::{Window, day_starts_at};

use super::SeasonArgs;
use super::fields::{self, Match, Point, Ward};
use super::people::{Farmer, draw_of, pay};
use crate::draw;

/// Shillings in every wallet when it is opened; the close reckons from them.
pub(crate) const OPENING_KES: i64 = 20_000;
/// Farmers a ward needs so that some releases pass the limit for one pair of eyes.
const FARMERS_PER_WARD: u32 = 25;
/// Most wards of a season that is not a replay.
const WARDS_MAX: u32 = 8;

/// What a rain file gives.
#[derive(Debug, Clone)]
pub(crate) struct Replay {
    /// The county whose wards the columns name.
    pub(crate) county: String,
    pub(crate) used: Vec<Match>,
    pub(crate) unused: Vec<String>,
    /// Points by normalised name.
    pub(crate) points: BTreeMap<String, Point>,
}

/// A season to be lived.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) sale: Window,
    pub(crate) cover: Window,
    /// Nine in the morning in Nairobi on the day the sale opens.
    pub(crate) opens_at: DateTime<Utc>,
    pub(crate) wards: Vec<Ward>,
    pub(crate) farmers: Vec<Farmer>,
    pub(crate) replay: Option<Replay>,
}

/// Makes the plan.
pub(crate) fn make(args: &SeasonArgs) -> anyhow::Result<Plan> {
    let wards = fields::wards(&args.products)?;
    let mut products = fields::products(&args.products)?;
    products.retain(|product| product.season.code == args.season.code);
    let replay = replay(args, &wards)?;
    if replay.is_some() {
        products.retain(fields::is_phase_contract);
    }
    let first = products
        .first()
        .with_context(|| format!("no product is sold for the season {}", args.season))?;
    let sale = sale_window_of(first, args.season.year)?;
    let cover = products
        .iter()
        .filter_map(|product| product.cover_window(args.season.year).ok())
        .max_by_key(|window| window.end)
        .context("no product covers any day of that year")?;
    let chosen = match &replay {
        Some(replay) => replay.used.iter().map(|used| used.ward.clone()).collect(),
        None => spread(args, &products, &wards)?,
    };
    let farmers = farmers(args, &products, &chosen)?;
    Ok(Plan {
        sale,
        cover,
        opens_at: day_starts_at(sale.start) + TimeDelta::hours(9),
        wards: chosen,
        farmers,
        replay,
    })
}

fn replay(args: &SeasonArgs, wards: &[Ward]) -> anyhow::Result<Option<Replay>> {
    let Some(weather) = &args.weather else {
        return Ok(None);
    };
    let columns = fields::columns(weather)?;
    let (county, used, unused) = fields::matches(&columns, wards, args.county.as_deref())?;
    let points = args
        .points
        .as_deref()
        .map(fields::points)
        .transpose()?
        .unwrap_or_default();
    Ok(Some(Replay {
        county,
        used,
        unused,
        points,
    }))
}

/// Wards for a season of scenario weather: from every zone in turn, chosen by the seed, as many as
/// the farmers can fill.
fn spread(args: &SeasonArgs, products: &[Product], wards: &[Ward]) -> anyhow::Result<Vec<Ward>> {
    let zones: Vec<&Vec<String>> = products
        .first()
        .map(|product| product.zones.iter().map(|zone| &zone.wards).collect())
        .unwrap_or_default();
    let count = (args.farmers.get() / FARMERS_PER_WARD)
        .clamp(2, WARDS_MAX)
        .min(args.farmers.get());
    let seed = args.seed.to_string();
    let mut chosen: Vec<Ward> = Vec::new();
    for slot in 0..count {
        let zone_count = u32::try_from(zones.len()).unwrap_or(1).max(1);
        let zone = usize::try_from(slot % zone_count)?;
        let codes = zones.get(zone).context("a product must have zones")?;
        let size = u32::try_from(codes.len())?;
        let start = draw::below(size, &[&seed, "wards", &zone.to_string()]);
        // a step of 3 wanders through a zone's constituencies
        let at = usize::try_from((start + slot / zone_count * 3) % size.max(1))?;
        let code = codes.get(at).context("a zone must have wards")?;
        let ward = wards
            .iter()
            .find(|ward| &ward.code == code)
            .with_context(|| format!("ward {code} of a product is not in wards.csv"))?;
        if !chosen.contains(ward) {
            chosen.push(ward.clone());
        }
    }
    Ok(chosen)
}

fn farmers(args: &SeasonArgs, products: &[Product], wards: &[Ward]) -> anyhow::Result<Vec<Farmer>> {
    let ward_count = u32::try_from(wards.len())?.max(1);
    // at least one a ward
    let count = args.farmers.get().max(ward_count);
    let mut farmers = Vec::new();
    for index in 0..count {
        let slot = index % ward_count;
        let ward = wards
            .get(usize::try_from(slot)?)
            .context("a season needs wards")?;
        let (product, sum) = choice(args.seed, index, slot, products)?;
        let cover = (product.name.en.clone(), product.name.sw.clone());
        farmers.push(Farmer::new(
            args.seed,
            index,
            &ward.code,
            cover,
            sum,
            pay(index, count),
        )?);
    }
    Ok(farmers)
}

/// What a farmer wants. In every other pair of wards a co-operative advises the rain deficit cover
/// at the highest sum, so that its release needs two people; elsewhere people buy what they like.
fn choice(
    seed: u64,
    index: u32,
    slot: u32,
    products: &[Product],
) -> anyhow::Result<(&Product, u32)> {
    let phase = products
        .iter()
        .find(|product| fields::is_phase_contract(product));
    let house = products
        .iter()
        .find(|product| !fields::is_phase_contract(product));
    let is_advised = (slot / 2).is_multiple_of(2);
    let (wants_phase, sum) = if is_advised {
        let sum = if draw_of(seed, index, "sum", 100) < 85 {
            2
        } else {
            1
        };
        (draw_of(seed, index, "cover", 100) < 85, sum)
    } else {
        (
            draw_of(seed, index, "cover", 100) < 40,
            draw_of(seed, index, "sum", 2),
        )
    };
    let product = if wants_phase {
        phase.or(house)
    } else {
        house.or(phase)
    };
    Ok((product.context("a season needs a product")?, sum))
}
