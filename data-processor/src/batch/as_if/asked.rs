//! What a person asked for: which contract and which rain, read and matched to one another. A place
//! is a ward of the zone by the letters of its name; nothing is guessed from coordinates.
//! Called by the commands that work on as-if years.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use anyhow::{Context as _, ensure};
use clap::Args;
use domain::product::{Product, Zone, ZoneTrigger};
use domain::season::YearlessWindow;

use super::Contract;
use crate::batch::report::progress;
use crate::validate::series::{Table, daily};

/// The products of this build.
const EMBEDDED: [&str; 7] = [
    include_str!("../../../../products/KE-MZ-PD-LR.toml"),
    include_str!("../../../../products/KE-MZ-DI-LR.toml"),
    include_str!("../../../../products/KE-MZ-GERM.toml"),
    include_str!("../../../../products/KE-MZ-PH-SR.toml"),
    include_str!("../../../../products/KE-MZ-VEG.toml"),
    include_str!("../../../../products/KE-MZ-WET.toml"),
    include_str!("../../../../products/KE-LV-FOR.toml"),
];
/// Wards of Kenya: `code,name,...`.
pub(crate) const WARDS: &str = include_str!("../../../../products/wards.csv");

/// Which contract.
#[derive(Debug, Clone, Args)]
pub struct Cover {
    /// Code of a shipped product, or a product file (*.toml).
    #[arg(long, value_name = "CODE|FILE", default_value = "KE-MZ-PD-LR")]
    pub product: String,
    /// Zone of the product for every place; by default each place is in the zone whose ward it is.
    /// To be given with a --place that is a ward of none.
    #[arg(long)]
    pub zone: Option<String>,
    /// Trigger of a contract to try out instead of the product's, whole mm; needs --exit.
    #[arg(long, value_name = "MM", requires = "exit")]
    pub trigger: Option<i32>,
    /// Exit of a contract to try out, whole mm.
    #[arg(long, value_name = "MM", requires = "trigger")]
    pub exit: Option<i32>,
    /// Day of sowing, for products that count from it; by default the product's own rule.
    #[arg(long, value_name = "MM-DD")]
    pub sown: Option<String>,
    /// Days of a contract to try out; may cross the new year.
    #[arg(long, value_name = "MM-DD..MM-DD", requires = "trigger")]
    pub window: Option<YearlessWindow>,
}

/// Which rain.
#[derive(Debug, Clone, Args)]
pub struct Rain {
    /// Daily rain, mm: `date,PLACE,PLACE,...`, plain or .gz; blank is missing.
    #[arg(long, value_name = "FILE")]
    pub rain: PathBuf,
    /// A place of the file, by name; may be given again. By default all that are wards of a zone.
    #[arg(long = "place", value_name = "NAME", conflicts_with = "all")]
    pub places: Vec<String>,
    /// Every place of the file, ward or not, all in --zone, or else in the product's first.
    #[arg(long)]
    pub all: bool,
}

/// Reads the contract, the rain file and which of its places are meant. The contract's product is
/// left with the zones that are asked for: the named one, the trial's, or those of the places.
pub fn read(cover: &Cover, rain: &Rain) -> anyhow::Result<(Contract, Table, Vec<usize>)> {
    let table = daily(&rain.rain)?;
    let mut product = product(&cover.product)?;
    if let Some((trigger, exit)) = cover.trigger.zip(cover.exit) {
        try_out(&mut product, cover.window, trigger, exit)?;
    } else {
        product.zones = if let Some(code) = &cover.zone {
            let zone = product.zone(code);
            let zone = zone.with_context(|| format!("{} has no zone `{code}`", product.code))?;
            vec![zone.clone()]
        } else {
            let zones = zones_of(&product, rain, &table);
            ensure_wards(&product, &zones, &rain.places)?;
            zones
        };
    }
    let contract = Contract {
        zone: product
            .zones
            .first()
            .context("the product has no zone")?
            .clone(),
        product,
        sown: cover.sown.as_deref().map(sown).transpose()?,
    };
    let chosen = choose(&contract, cover.trigger.is_some(), rain, &table)?;
    progress(&format!(
        "{}: {} days from {} to {}, {} of {} places",
        rain.rain.display(),
        table.days.len(),
        table
            .days
            .first()
            .map(ToString::to_string)
            .unwrap_or_default(),
        table
            .days
            .last()
            .map(ToString::to_string)
            .unwrap_or_default(),
        chosen.len(),
        table.names.len(),
    ));
    Ok((contract, table, chosen))
}

/// A day of sowing without a year, as a window of that one day.
fn sown(text: &str) -> anyhow::Result<YearlessWindow> {
    let day = format!("{text}..{text}").parse();
    day.with_context(|| format!("--sown `{text}` must be written MM-DD, such as 03-20"))
}

/// A shipped product by code, or a file.
pub fn product(name: &str) -> anyhow::Result<Product> {
    if name.contains(['/', '.']) {
        let text = std::fs::read_to_string(Path::new(name))
            .with_context(|| format!("cannot read the product file {name}"))?;
        return Product::from_toml(&text).with_context(|| format!("in the product file {name}"));
    }
    let mut codes = Vec::new();
    for text in EMBEDDED {
        let product = Product::from_toml(text)?;
        if product.code == name {
            return Ok(product);
        }
        codes.push(product.code);
    }
    let codes = codes.join(", ");
    anyhow::bail!("no product `{name}` is shipped ({codes}); a file is named by its path")
}

/// Turns a product into a single deficit phase over the days asked for.
pub(super) fn try_out(
    product: &mut Product,
    window: Option<YearlessWindow>,
    trigger_mm: i32,
    exit_mm: i32,
) -> anyhow::Result<()> {
    ensure!(
        0 <= exit_mm && exit_mm <= trigger_mm,
        "a trial contract needs 0 <= exit <= trigger, found exit {exit_mm}, trigger {trigger_mm}"
    );
    // the season's rain of the shipped contract is the pattern
    *product = Product::from_toml(EMBEDDED[0])?;
    "try-out".clone_into(&mut product.code);
    product.zones.truncate(1);
    if let Some(window) = window {
        product.season.cover = window;
        for phase in &mut product.phases {
            phase.days = window;
        }
    }
    for zone in &mut product.zones {
        "try-out".clone_into(&mut zone.code);
        for terms in &mut zone.triggers {
            *terms = ZoneTrigger::of_rain(&terms.phase, trigger_mm, exit_mm);
        }
    }
    Ok(())
}

/// Letters and digits of a name, upper case: `LOG LOGO` and `Log Logo` are one.
pub(crate) fn normalised(name: &str) -> String {
    let letters = name.chars().filter(|c| c.is_alphanumeric());
    letters.flat_map(char::to_uppercase).collect()
}

/// Counties and names of the wards by code, names as [`normalised`].
static WARD: LazyLock<BTreeMap<&str, (&str, String)>> = LazyLock::new(|| {
    let rows = WARDS.lines().skip(1).map(|line| line.split(','));
    rows.filter_map(|mut fields| {
        let (code, name) = fields.next().zip(fields.next())?;
        // after the constituency
        Some((code, (fields.nth(1)?, normalised(name))))
    })
    .collect()
});

/// The county of the zone's ward that has the place's name, by its letters.
fn county_of(zone: &Zone, place: &str) -> Option<&'static str> {
    let place = normalised(place);
    let wards = zone.wards.iter().filter_map(|code| WARD.get(code.as_str()));
    wards
        .filter(|(_, name)| *name == place)
        .map(|(county, _)| *county)
        .next()
}

/// Whether a place is a ward of the zone, by the letters of its name.
pub(super) fn has_ward(zone: &Zone, place: &str) -> bool {
    county_of(zone, place).is_some()
}

/// The zones that the places asked for are wards of, in the product's order; the product's first
/// where they are wards of none. Names repeat, so that only the county counts which has most of
/// them. With every place of a file it is the first zone alone.
pub(super) fn zones_of(product: &Product, rain: &Rain, table: &Table) -> Vec<Zone> {
    let names = if rain.places.is_empty() {
        &table.names
    } else {
        &rain.places
    };
    let of = |zone: &Zone| names.iter().find_map(|name| county_of(zone, name));
    let mut places: BTreeMap<&str, usize> = BTreeMap::new();
    for zone in &product.zones {
        for county in names.iter().filter_map(|name| county_of(zone, name)) {
            let number = places.entry(county).or_default();
            *number = number.saturating_add(1);
        }
    }
    // of equals the first by name
    let most = places.iter().rev().max_by_key(|(_, number)| **number);
    let county = most.map(|(county, _)| *county);
    let has_place = |zone: &&Zone| county.is_some() && of(zone) == county;
    let mut zones: Vec<Zone> = product.zones.iter().filter(has_place).cloned().collect();
    if zones.is_empty() {
        zones.extend(product.zones.first().cloned());
    }
    if rain.all {
        zones.truncate(1);
    }
    zones
}

/// A place that is asked for by name has the terms of its own zone, and is never given another's
/// unasked: which of several it should have is to be said.
pub(super) fn ensure_wards(
    product: &Product,
    zones: &[Zone],
    places: &[String],
) -> anyhow::Result<()> {
    let is_stray = |place: &&String| !zones.iter().any(|zone| has_ward(zone, place));
    let Some(stray) = places.iter().find(is_stray) else {
        return Ok(());
    };
    let codes = |zones: &[Zone]| {
        let codes = zones.iter().map(|zone| zone.code.as_str());
        codes.collect::<Vec<_>>().join(", ")
    };
    ensure!(
        product.zones.len() == 1,
        "`{stray}` is no ward of {}: say with --zone which terms of {} it has, one of {}",
        codes(zones),
        product.code,
        codes(&product.zones)
    );
    Ok(())
}

pub(super) fn choose(
    contract: &Contract,
    is_trial: bool,
    rain: &Rain,
    table: &Table,
) -> anyhow::Result<Vec<usize>> {
    let places = || table.names.iter().enumerate();
    if !rain.places.is_empty() {
        let find = |asked: &String| {
            places()
                .find(|(_, name)| normalised(name) == normalised(asked))
                .map(|(at, _)| at)
                .with_context(|| format!("the rain file has no place `{asked}`"))
        };
        return rain.places.iter().map(find).collect();
    }
    if rain.all || is_trial {
        return Ok(places().map(|(at, _)| at).collect());
    }
    let zones = &contract.product.zones;
    let chosen: Vec<usize> = places()
        .filter(|(_, name)| zones.iter().any(|zone| has_ward(zone, name)))
        .map(|(at, _)| at)
        .collect();
    ensure!(
        !chosen.is_empty(),
        "no place of the rain file is a ward of zone {}: name one with --place, or all with --all",
        contract.zone.code
    );
    Ok(chosen)
}
