//! What is known of the ground before a season: the product documents and the table of wards that
//! the backend is shipped with, and which columns of a daily rain file are wards of a county.
//! Never asks the backend: a farmer has these on a poster. Read by the plan.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, ensure};
use domain::product::{PayoutTerms, Product};
use serde::Deserialize;

/// A ward of the shipped table.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Ward {
    /// Four digits.
    pub(crate) code: String,
    /// Its name; names repeat over counties.
    pub(crate) name: String,
    /// Its county.
    pub(crate) county: String,
}

/// A point of a ward, as the points file gives it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Point {
    pub(crate) lat: f64,
    pub(crate) lon: f64,
}

/// A column of a rain file that names a ward.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Match {
    pub(crate) column: String,
    pub(crate) ward: Ward,
}

/// Letters and digits of a name, upper case: `GUDAS/SORIADI` and `Gudas Soriadi` are one.
pub(crate) fn normalised(name: &str) -> String {
    name.chars()
        .filter(|c| c.is_alphanumeric())
        .flat_map(char::to_uppercase)
        .collect()
}

/// Every product document of a folder that is sold, by code; drafts are left out.
pub(crate) fn products(folder: &Path) -> anyhow::Result<Vec<Product>> {
    let mut found = Vec::new();
    let listed = std::fs::read_dir(folder)
        .with_context(|| format!("cannot list the products in {}", folder.display()))?;
    for entry in listed {
        let path = entry?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "toml")
        {
            let text = std::fs::read_to_string(&path)?;
            let product = Product::from_toml(&text)
                .with_context(|| format!("in the product {}", path.display()))?;
            if !product.is_draft() {
                found.push(product);
            }
        }
    }
    found.sort_by(|a, b| a.code.cmp(&b.code));
    ensure!(
        !found.is_empty(),
        "no product document in {} that is sold (drafts are not)",
        folder.display()
    );
    Ok(found)
}

/// The table of wards beside the products.
pub(crate) fn wards(folder: &Path) -> anyhow::Result<Vec<Ward>> {
    let path = folder.join("wards.csv");
    let mut reader =
        csv::Reader::from_path(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let wards: Result<Vec<Ward>, _> = reader.deserialize().collect();
    wards.with_context(|| format!("in {}", path.display()))
}

/// Whether a product is the continuous phase contract.
pub(crate) fn is_phase_contract(product: &Product) -> bool {
    matches!(product.payout, PayoutTerms::Linear)
}

/// The columns that are wards of the county (the one with most matches when none is named), in the
/// file's order, and the columns left unused.
pub(crate) fn matches(
    columns: &[String],
    wards: &[Ward],
    county: Option<&str>,
) -> anyhow::Result<(String, Vec<Match>, Vec<String>)> {
    let mut by_county: BTreeMap<&str, BTreeMap<String, &Ward>> = BTreeMap::new();
    for ward in wards {
        by_county
            .entry(&ward.county)
            .or_default()
            .insert(normalised(&ward.name), ward);
    }
    let found = |names: &BTreeMap<String, &Ward>| -> Vec<Match> {
        let matching = |column: &String| {
            let ward = names.get(&normalised(column))?;
            Some(Match {
                column: column.clone(),
                ward: (*ward).clone(),
            })
        };
        columns.iter().filter_map(matching).collect()
    };
    let (county, used) = match county {
        Some(asked) => by_county
            .iter()
            .find(|(county, _)| normalised(county) == normalised(asked))
            .map(|(county, names)| (*county, found(names)))
            .with_context(|| format!("there is no county called {asked:?}"))?,
        None => by_county
            .iter()
            .map(|(county, names)| (*county, found(names)))
            .max_by_key(|(_, used)| used.len())
            .context("there are no wards")?,
    };
    ensure!(
        !used.is_empty(),
        "no column of the weather file is a ward of {county}; name the right one by --county"
    );
    let unused = columns
        .iter()
        .filter(|column| !used.iter().any(|m| &m.column == *column))
        .cloned()
        .collect();
    Ok((county.to_owned(), used, unused))
}

/// Points by normalised name, from a table with name, lat and lon.
pub(crate) fn points(path: &Path) -> anyhow::Result<BTreeMap<String, Point>> {
    let mut reader =
        csv::Reader::from_path(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut points = BTreeMap::new();
    for (nth, row) in reader.records().enumerate() {
        let row = row.with_context(|| format!("in {}", path.display()))?;
        let number = |at: usize| row.get(at).and_then(|text| text.trim().parse::<f64>().ok());
        let (Some(name), Some(lat), Some(lon)) = (row.get(0), number(1), number(2)) else {
            anyhow::bail!("{}: row {} must be name, lat, lon", path.display(), nth + 2);
        };
        points.insert(normalised(name), Point { lat, lon });
    }
    Ok(points)
}

/// The columns of a daily file after its date column; the file may be gzipped.
pub(crate) fn columns(path: &Path) -> anyhow::Result<Vec<String>> {
    use std::io::Read;
    let file = std::fs::File::open(path)
        .with_context(|| format!("cannot read the weather file {}", path.display()))?;
    let is_packed = path.extension().is_some_and(|extension| extension == "gz");
    let content: Box<dyn Read> = if is_packed {
        Box::new(flate2::read::GzDecoder::new(file))
    } else {
        Box::new(file)
    };
    let mut reader = csv::Reader::from_reader(content);
    let header = reader
        .headers()
        .with_context(|| format!("in {}", path.display()))?;
    Ok(header.iter().skip(1).map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ward(code: &str, name: &str, county: &str) -> Ward {
        Ward {
            code: code.to_owned(),
            name: name.to_owned(),
            county: county.to_owned(),
        }
    }

    #[test]
    fn columns_are_wards_of_the_county_with_most_matches() {
        let wards = [
            ward("0001", "Township", "Isiolo"),
            ward("0221", "Karare", "Marsabit"),
            ward("0222", "North Horr", "Marsabit"),
        ];
        let columns = ["KARARE", "NORTH-HORR", "TOWNSHIP", "SONGA"].map(str::to_owned);
        let (county, used, unused) = matches(&columns, &wards, None).unwrap();
        assert_eq!(county, "Marsabit");
        assert_eq!(
            used.iter()
                .map(|m| m.ward.code.as_str())
                .collect::<Vec<_>>(),
            ["0221", "0222"]
        );
        assert_eq!(unused, ["TOWNSHIP", "SONGA"]);
        let (_, used, _) = matches(&columns, &wards, Some("isiolo")).unwrap();
        assert_eq!(used.len(), 1);
        assert!(matches(&columns, &wards, Some("Atlantis")).is_err());
    }
}
