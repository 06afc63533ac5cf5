//! Brings a database up to date: migrations, then product versions by hash, then wards that are
//! not known yet. Never changes a published version, never publishes a draft and never moves a
//! refined ward: may be run by every deployment. Called by `backend migrate` and by tests.

use std::fmt;
use std::path::Path;

use chrono::{DateTime, Utc};
use domain::product::Product;
use domain::quote::{QuoteError, may_be_sold};
use runtime::ids::Ids;
use serde::Deserialize;
use store::wards::Ward;
use store::{Pool, StoreError};

/// Built in, by file name; a test keeps this list equal to the folder. Drafts too: one that was sold
/// before is to be told of.
const PRODUCTS: &[(&str, &str)] = &[
    (
        "KE-LV-FOR.toml",
        include_str!("../../products/KE-LV-FOR.toml"),
    ),
    (
        "KE-MZ-DI-LR.toml",
        include_str!("../../products/KE-MZ-DI-LR.toml"),
    ),
    (
        "KE-MZ-GERM.toml",
        include_str!("../../products/KE-MZ-GERM.toml"),
    ),
    (
        "KE-MZ-PD-LR.toml",
        include_str!("../../products/KE-MZ-PD-LR.toml"),
    ),
    (
        "KE-MZ-PH-SR.toml",
        include_str!("../../products/KE-MZ-PH-SR.toml"),
    ),
    (
        "KE-MZ-VEG.toml",
        include_str!("../../products/KE-MZ-VEG.toml"),
    ),
    (
        "KE-MZ-WET.toml",
        include_str!("../../products/KE-MZ-WET.toml"),
    ),
];
/// Built in: the wards of Kenya with the cell of each.
const WARDS: &str = include_str!("../../products/wards.csv");
/// Name of the wards' table in a folder of documents.
const WARDS_FILE: &str = "wards.csv";

/// Why a database could not be brought up to date.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// A document cannot be read or breaks a rule.
    #[error("{file}: {fault}")]
    Document {
        /// Which file.
        file: String,
        /// What is wrong with it.
        fault: String,
    },
    /// The database refused a migration.
    #[error("migration failed")]
    Migration(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Everything that is published, read and valid.
#[derive(Debug, Clone)]
pub struct Documents {
    products: Vec<Product>,
    wards: Vec<Ward>,
}

#[derive(Deserialize)]
struct WardLine {
    code: String,
    name: String,
    constituency: String,
    county: String,
    plot_cell: String,
}

impl Documents {
    /// From a folder of `*.toml` and `wards.csv`, or those built in.
    pub fn load(folder: Option<&Path>) -> Result<Self, MigrateError> {
        match folder {
            None => Self::parse(PRODUCTS.iter().copied(), WARDS),
            Some(folder) => Self::read(folder),
        }
    }

    fn read(folder: &Path) -> Result<Self, MigrateError> {
        let unreadable = |path: &Path, error: std::io::Error| MigrateError::Document {
            file: path.display().to_string(),
            fault: error.to_string(),
        };
        let entries = std::fs::read_dir(folder).map_err(|error| unreadable(folder, error))?;
        let mut texts = Vec::new();
        for entry in entries {
            let path = entry.map_err(|error| unreadable(folder, error))?.path();
            if path
                .extension()
                .is_some_and(|extension| extension == "toml")
            {
                let text =
                    std::fs::read_to_string(&path).map_err(|error| unreadable(&path, error))?;
                texts.push((path.display().to_string(), text));
            }
        }
        texts.sort();
        let path = folder.join(WARDS_FILE);
        let wards = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => WARDS.to_owned(),
            Err(error) => return Err(unreadable(&path, error)),
        };
        Self::parse(
            texts
                .iter()
                .map(|(file, text)| (file.as_str(), text.as_str())),
            &wards,
        )
    }

    fn parse<'a>(
        products: impl Iterator<Item = (&'a str, &'a str)>,
        wards: &str,
    ) -> Result<Self, MigrateError> {
        let wrong = |file: &str, fault: String| MigrateError::Document {
            file: file.to_owned(),
            fault,
        };
        let products = products
            .map(|(file, text)| {
                let product =
                    Product::from_toml(text).map_err(|fault| wrong(file, fault.to_string()))?;
                match may_be_sold(&product) {
                    Ok(()) | Err(QuoteError::Draft) => Ok(product),
                    Err(fault) => Err(wrong(file, fault.to_string())),
                }
            })
            .collect::<Result<_, _>>()?;
        Ok(Self {
            products,
            wards: read_wards(wards)?,
        })
    }
}

fn read_wards(text: &str) -> Result<Vec<Ward>, MigrateError> {
    let wrong = |line: usize, fault: String| MigrateError::Document {
        file: WARDS_FILE.to_owned(),
        fault: format!("line {line}: {fault}"),
    };
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let lines = reader.deserialize::<WardLine>();
    lines
        .enumerate()
        .map(|(index, line)| {
            let number = index.saturating_add(2);
            let line = line.map_err(|error| wrong(number, error.to_string()))?;
            let cell = line
                .plot_cell
                .parse()
                .map_err(|_| wrong(number, format!("`{}` is no H3 cell", line.plot_cell)))?;
            Ok(Ward {
                code: line.code,
                name: line.name,
                constituency: line.constituency,
                county: line.county,
                cell,
            })
        })
        .collect()
}

/// What was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// Each product's code, the start of its hash, and whether it was new.
    pub products: Vec<(String, String, bool)>,
    /// Each draft's code, and the hash of the version of that code that was published before and
    /// stays on sale.
    pub drafts: Vec<(String, Option<String>)>,
    /// Wards inserted now.
    pub wards_new: u64,
    /// Wards in the documents.
    pub wards_known: usize,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "migrations  up to date")?;
        for (code, hash, is_new) in &self.products {
            let state = if *is_new { "published" } else { "unchanged" };
            writeln!(f, "product     {code} {hash} {state}")?;
        }
        for (code, on_sale) in &self.drafts {
            match on_sale {
                None => writeln!(f, "draft, not on sale: {code}")?,
                Some(hash) => writeln!(
                    f,
                    "draft, but on sale: {code}: the version that was published before stays on sale; \
                     to end its sale, run in the database\n    \
                     update product_versions set retired_at = now() where hash = '{hash}';"
                )?,
            }
        }
        writeln!(
            f,
            "wards       {} known, {} new",
            self.wards_known, self.wards_new
        )
    }
}

/// Applies migrations and publishes documents; repeating it changes nothing.
pub async fn run(
    pool: &Pool,
    now: DateTime<Utc>,
    ids: &Ids,
    documents: &Documents,
) -> Result<Summary, MigrateError> {
    store::pool::migrate(pool)
        .await
        .map_err(|error| MigrateError::Migration(Box::new(error)))?;
    let mut tx = pool.begin().await.map_err(StoreError::from)?;
    let mut products = Vec::new();
    let (drafts, sold): (Vec<&Product>, Vec<&Product>) =
        documents.products.iter().partition(|p| p.is_draft());
    for product in sold {
        let is_new = store::products::publish(&mut tx, now, ids.mint(now), product).await?;
        let hash = product.hash().chars().take(12).collect();
        products.push((product.code.clone(), hash, is_new));
    }
    let on_sale = store::products::list_on_sale(&mut tx).await?;
    let drafts = drafts.into_iter().map(|draft| {
        let sold = on_sale.iter().find(|v| v.product.code == draft.code);
        (draft.code.clone(), sold.map(|v| v.hash.clone()))
    });
    let drafts = drafts.collect();
    let wards_new = store::wards::insert_missing(&mut tx, now, &documents.wards).await?;
    tx.commit().await.map_err(StoreError::from)?;
    Ok(Summary {
        products,
        drafts,
        wards_new,
        wards_known: documents.wards.len(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_document_of_the_folder_is_built_in_and_valid() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../products");
        let mut found: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| Path::new(name).extension().is_some_and(|end| end == "toml"))
            .collect();
        found.sort();
        let built_in: Vec<&str> = PRODUCTS.iter().map(|(file, _)| *file).collect();
        assert_eq!(found, built_in);
        let documents = Documents::load(None).unwrap();
        let read = Documents::load(Some(Path::new(folder))).unwrap();
        assert_eq!(documents.products, read.products);
    }

    #[test]
    fn every_insured_ward_exists_and_of_marsabit_those_with_a_series_are_insured() {
        let documents = Documents::load(None).unwrap();
        for product in &documents.products {
            let is_insured = |code: &str| product.zone_of_ward(code).is_some();
            for ward in product.zones.iter().flat_map(|zone| &zone.wards) {
                assert!(
                    documents.wards.iter().any(|known| known.code == *ward),
                    "{ward}"
                );
            }
            if product.is_draft() {
                continue;
            }
            let found: Vec<&str> = documents
                .wards
                .iter()
                .filter(|ward| ward.county == "Marsabit" && is_insured(&ward.code))
                .map(|ward| ward.code.as_str())
                .collect();
            let expected = [
                "0228", "0229", "0230", "0231", "0232", "0233", "0234", "0236", "0239", "0240",
            ];
            assert_eq!(found, expected, "{}", product.code);
            assert_eq!(product.zone("marsabit").unwrap().wards, ["0234"]);
        }
    }

    #[test]
    fn every_sum_insured_may_be_sold_in_every_zone() {
        for product in Documents::load(None).unwrap().products {
            for zone in &product.zones {
                for kes in &product.sums_insured_kes {
                    let sum = domain::money::Money::kes(*kes).unwrap();
                    domain::quote::premium(&product, &zone.code, sum).unwrap();
                }
            }
        }
    }
}
