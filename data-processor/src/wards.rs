//! Makes `products/wards.csv`: every ward of Kenya with a cell of its own. A ward without a point
//! of its own gets a free cell (resolution 7) around its constituency's point, nearest ring first;
//! its plot cell is the centre child of that cell. Deterministic: wards in code order, cells of a
//! ring in index order. Never draws, never asks anybody. Called by the `wards` command.

use std::collections::{BTreeMap, BTreeSet};

use domain::cell::PlotCell;
use h3o::{CellIndex, LatLng, Resolution};
use serde::{Deserialize, Serialize};

use crate::science::whole;

/// Rings walked around a point before giving up: 30 rings are 2,791 cells, more than Kenya's wards.
const RINGS_MAX: u32 = 30;
/// Length of a ward's code.
const CODE_LENGTH: usize = 4;

/// Why the table could not be made.
#[derive(Debug, thiserror::Error)]
pub enum WardsError {
    /// A table does not read as CSV with the expected columns.
    #[error("{table} does not read: {source}")]
    Table {
        /// Which table.
        table: &'static str,
        /// What the reader said.
        source: csv::Error,
    },
    /// A ward's code is not four digits after its prefix.
    #[error("ward code `{0}` must end in four digits, such as KEW-0234")]
    Code(String),
    /// Two wards share a code.
    #[error("ward code `{0}` stands twice")]
    Twice(String),
    /// Neither the constituency nor the county of a ward has a point.
    #[error("ward {code}: neither constituency `{constituency}` nor county `{county}` has a point")]
    NoPoint {
        /// Its code.
        code: String,
        /// Its constituency.
        constituency: String,
        /// Its county.
        county: String,
    },
    /// A point is not on Earth.
    #[error("point of `{0}` is not a latitude and a longitude in degrees")]
    Point(String),
    /// Every cell around a point is taken.
    #[error("no free cell within {RINGS_MAX} rings of the point of `{0}`")]
    Full(String),
    /// The result could not be written.
    #[error("the table cannot be written: {0}")]
    Output(String),
}

#[derive(Debug, Deserialize)]
struct HierarchyLine {
    ward_code: String,
    ward: String,
    constituency: String,
    county: String,
}

#[derive(Debug, Deserialize)]
struct PointLine {
    entity_type: String,
    name: String,
    latitude: f64,
    longitude: f64,
}

/// One line of the table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WardLine {
    /// Four digits.
    pub code: String,
    /// Name; names repeat.
    pub name: String,
    /// Constituency.
    pub constituency: String,
    /// County.
    pub county: String,
    /// Cell of resolution 8 that stands for the ward.
    pub plot_cell: String,
    /// `constituency` until somebody knows the ward's own point.
    pub precision: &'static str,
    /// Latitude of the cell's centre, millionths of a degree.
    pub lat_e6: i32,
    /// Longitude of the cell's centre, millionths of a degree.
    pub lon_e6: i32,
}

/// The lines of the table, in code order.
pub fn lines(hierarchy: &str, centroids: &str) -> Result<Vec<WardLine>, WardsError> {
    let mut wards: Vec<HierarchyLine> = read("hierarchy", hierarchy)?;
    for ward in &mut wards {
        ward.ward_code = code(&ward.ward_code)?;
    }
    wards.sort_by(|a, b| a.ward_code.cmp(&b.ward_code));
    let points: BTreeMap<(String, String), (f64, f64)> = read::<PointLine>("centroids", centroids)?
        .into_iter()
        .map(|line| {
            (
                (line.entity_type, line.name),
                (line.latitude, line.longitude),
            )
        })
        .collect();
    let mut taken = BTreeSet::new();
    let mut lines: Vec<WardLine> = Vec::with_capacity(wards.len());
    for ward in wards {
        if lines.last().is_some_and(|last| last.code == ward.ward_code) {
            return Err(WardsError::Twice(ward.ward_code));
        }
        let point = |kind: &str, name: &str| points.get(&(kind.to_owned(), name.to_owned()));
        let (lat, lon) = point("constituency", &ward.constituency)
            .or_else(|| point("county", &ward.county))
            .copied()
            .ok_or_else(|| WardsError::NoPoint {
                code: ward.ward_code.clone(),
                constituency: ward.constituency.clone(),
                county: ward.county.clone(),
            })?;
        let bad_point = || WardsError::Point(ward.constituency.clone());
        let origin = LatLng::new(lat, lon)
            .map_err(|_| bad_point())?
            .to_cell(Resolution::Seven);
        let cell =
            free_cell(origin, &taken).ok_or_else(|| WardsError::Full(ward.constituency.clone()))?;
        taken.insert(cell);
        let plot = cell
            .center_child(Resolution::Eight)
            .and_then(|child| PlotCell::new(child).ok())
            .ok_or_else(bad_point)?;
        let centre = LatLng::from(plot.index());
        lines.push(WardLine {
            code: ward.ward_code,
            name: ward.ward,
            constituency: ward.constituency,
            county: ward.county,
            plot_cell: plot.to_string(),
            precision: "constituency",
            lat_e6: millionths(centre.lat()).ok_or(WardsError::Point(plot.to_string()))?,
            lon_e6: millionths(centre.lng()).ok_or(WardsError::Point(plot.to_string()))?,
        });
    }
    Ok(lines)
}

/// The table as CSV.
pub fn generate(hierarchy: &str, centroids: &str) -> Result<String, WardsError> {
    let output = |error: &dyn std::fmt::Display| WardsError::Output(error.to_string());
    let mut writer = csv::Writer::from_writer(Vec::new());
    for line in lines(hierarchy, centroids)? {
        writer.serialize(line).map_err(|error| output(&error))?;
    }
    let bytes = writer.into_inner().map_err(|error| output(&error))?;
    String::from_utf8(bytes).map_err(|error| output(&error))
}

fn read<T: for<'de> Deserialize<'de>>(
    table: &'static str,
    text: &str,
) -> Result<Vec<T>, WardsError> {
    csv::Reader::from_reader(text.trim_start_matches('\u{feff}').as_bytes())
        .deserialize()
        .collect::<Result<_, _>>()
        .map_err(|source| WardsError::Table { table, source })
}

/// `KEW-0234` is ward 0234.
fn code(text: &str) -> Result<String, WardsError> {
    let digits = text.rsplit_once('-').map_or(text, |(_, digits)| digits);
    if digits.len() == CODE_LENGTH && digits.chars().all(|c| c.is_ascii_digit()) {
        Ok(digits.to_owned())
    } else {
        Err(WardsError::Code(text.to_owned()))
    }
}

/// The nearest cell nobody has: ring by ring, in index order within a ring.
fn free_cell(origin: CellIndex, taken: &BTreeSet<CellIndex>) -> Option<CellIndex> {
    if !taken.contains(&origin) {
        return Some(origin);
    }
    (1..=RINGS_MAX).find_map(|rings| {
        let disk: Vec<(CellIndex, u32)> = origin.grid_disk_distances(rings);
        disk.into_iter()
            .filter(|(cell, distance)| *distance == rings && !taken.contains(cell))
            .map(|(cell, _)| cell)
            .min()
    })
}

/// Degrees in whole millionths.
fn millionths(degrees: f64) -> Option<i32> {
    whole(degrees * 1e6).and_then(|millionths| i32::try_from(millionths).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HIERARCHY: &str = "\
ward_code,ward,const_code,constituency,sub_county,county_code,county
KEW-0003,Airport,KE001001,Changamwe,Changamwe,KE001,Mombasa
KEW-0001,Port Reitz,KE001001,Changamwe,Changamwe,KE001,Mombasa
KEW-0002,\"Kipevu, upper\",KE001001,Changamwe,Changamwe,KE001,Mombasa
KEW-0004,Elsewhere,KE001009,Nowhere,Nowhere,KE001,Mombasa
";
    const CENTROIDS: &str = "\u{feff}entity_type,name,latitude,longitude
county,Mombasa,-3.990448,39.70113
constituency,Changamwe,-4.017337,39.591634
";

    #[test]
    fn each_ward_gets_a_cell_of_its_own_near_the_best_point_known() {
        let lines = lines(HIERARCHY, CENTROIDS).unwrap();
        let origin = LatLng::new(-4.017_337, 39.591_634)
            .unwrap()
            .to_cell(Resolution::Seven);
        let county = LatLng::new(-3.990_448, 39.701_13)
            .unwrap()
            .to_cell(Resolution::Seven);
        let cells: Vec<PlotCell> = lines.iter().map(|l| l.plot_cell.parse().unwrap()).collect();
        let at: Vec<_> = cells.iter().map(|cell| cell.risk_cell().index()).collect();
        assert_eq!(
            lines.iter().map(|l| l.code.as_str()).collect::<Vec<_>>(),
            ["0001", "0002", "0003", "0004"]
        );
        assert_eq!(at[0], origin, "the first ward has the point's own cell");
        assert_eq!(origin.grid_distance(at[1]), Ok(1));
        assert_eq!(origin.grid_distance(at[2]), Ok(1));
        assert_eq!(
            at[3], county,
            "an unknown constituency falls back to its county"
        );
        assert_eq!(at.iter().collect::<BTreeSet<_>>().len(), 4);
        assert_eq!((lines[0].lat_e6, lines[0].lon_e6), (-4_015_229, 39_601_103));
    }

    #[test]
    fn the_order_of_the_input_does_not_matter_and_names_may_hold_commas() {
        let mut shuffled: Vec<_> = HIERARCHY.lines().collect();
        shuffled[1..].reverse();
        let table = generate(HIERARCHY, CENTROIDS).unwrap();
        assert_eq!(table, generate(&shuffled.join("\n"), CENTROIDS).unwrap());
        assert!(
            table.contains("0002,\"Kipevu, upper\",Changamwe,Mombasa,887b59b"),
            "{table}"
        );
    }

    #[test]
    fn a_broken_table_is_refused_with_its_reason() {
        let refused = |hierarchy: String| lines(&hierarchy, CENTROIDS).unwrap_err().to_string();
        assert!(refused(HIERARCHY.replace("KEW-0003", "KEW-003")).contains("four digits"));
        assert!(refused(HIERARCHY.replace("KEW-0003", "KEW-0001")).contains("twice"));
        assert!(refused(HIERARCHY.replace("Mombasa", "Atlantis")).contains("Atlantis"));
        assert!(refused("a,b\n1,2\n".to_owned()).contains("hierarchy"));
    }
}
