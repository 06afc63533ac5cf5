//! What a person asked for: which contract and which rain, read and matched to one another. A place
//! is a ward of the zone by the letters of its name; nothing is guessed from coordinates.
//! Called by the commands that work on as-if years.

use std::path::{Path, PathBuf};

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
const WARDS: &str = include_str!("../../../../products/wards.csv");

/// Which contract.
#[derive(Debug, Clone, Args)]
pub struct Cover {
    /// Code of a shipped product, or a product file (*.toml).
    #[arg(long, value_name = "CODE|FILE", default_value = "KE-MZ-PD-LR")]
    pub product: String,
    /// Zone of the product; by default the first that has a place of the rain file.
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
    /// A place of the file, by name; may be given again. By default all that are wards of the zone.
    #[arg(long = "place", value_name = "NAME", conflicts_with = "all")]
    pub places: Vec<String>,
    /// Every place of the file, wards of the zone or not.
    #[arg(long)]
    pub all: bool,
}

/// Reads the contract, the rain file and which of its places are meant.
pub fn read(cover: &Cover, rain: &Rain) -> anyhow::Result<(Contract, Table, Vec<usize>)> {
    let table = daily(&rain.rain)?;
    let mut product = product(&cover.product)?;
    let zone = match &cover.zone {
        Some(code) => product
            .zone(code)
            .with_context(|| format!("{} has no zone `{code}`", product.code))?
            .clone(),
        None => first_zone(&product, &table)
            .context("the product has no zone")?
            .clone(),
    };
    let sown = cover.sown.as_deref().map(sown).transpose()?;
    let mut contract = Contract {
        zone,
        product: product.clone(),
        sown,
    };
    if let Some((trigger, exit)) = cover.trigger.zip(cover.exit) {
        try_out(&mut product, cover.window, trigger, exit)?;
        let zone = product.zones.first().context("no zone")?.clone();
        contract = Contract {
            product,
            zone,
            sown,
        };
    }
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
fn normalised(name: &str) -> String {
    let letters = name.chars().filter(|c| c.is_alphanumeric());
    letters.flat_map(char::to_uppercase).collect()
}

fn ward_names(zone: &Zone) -> Vec<String> {
    let rows = WARDS.lines().skip(1).map(|line| line.split(','));
    rows.filter_map(|mut fields| fields.next().zip(fields.next()))
        .filter(|(code, _)| zone.wards.iter().any(|ward| ward == code))
        .map(|(_, name)| normalised(name))
        .collect()
}

pub(super) fn first_zone<'a>(product: &'a Product, table: &Table) -> Option<&'a Zone> {
    let has_place = |zone: &&Zone| {
        let wards = ward_names(zone);
        let mut names = table.names.iter();
        names.any(|name| wards.contains(&normalised(name)))
    };
    let mut zones = product.zones.iter();
    zones.find(has_place).or(product.zones.first())
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
    let wards = ward_names(&contract.zone);
    let chosen: Vec<usize> = places()
        .filter(|(_, name)| wards.contains(&normalised(name)))
        .map(|(at, _)| at)
        .collect();
    ensure!(
        !chosen.is_empty(),
        "no place of the rain file is a ward of zone {}: name one with --place, or all with --all",
        contract.zone.code
    );
    Ok(chosen)
}
