//! Where the places of a file lie: a cell of its own, a point of a table, a ward of a county, or
//! the file's own coordinates, in that order. Nothing outside Kenya, no two places in one cell
//! unless they are asked to be averaged, and no place left out without being named. Called by
//! `import`.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, bail, ensure};
use chrono::NaiveDate;
use domain::cell::{PlotCell, RiskCell};
use h3o::{LatLng, Resolution};

use super::given::Series;
use crate::batch::as_if::{WARDS, normalised};
use crate::science::count;

/// Degrees that Kenya lies within.
const LAT: (f64, f64) = (-4.8, 5.1);
const LON: (f64, f64) = (33.9, 41.9);
/// Places named when there are too many to name all.
const NAMED: usize = 3;

/// A point, degrees.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Point {
    /// North.
    pub(crate) lat: f64,
    /// East.
    pub(crate) lon: f64,
}

impl Point {
    /// The cell it lies in; refuses what is not in Kenya.
    pub(crate) fn cell(self, name: &str) -> anyhow::Result<RiskCell> {
        let Self { lat, lon } = self;
        let within = |value: f64, (low, high): (f64, f64)| (low..=high).contains(&value);
        if within(lon, LAT) && within(lat, LON) {
            bail!("{name}: {lat}, {lon} is latitude and longitude swapped; write latitude first");
        }
        ensure!(
            within(lat, LAT) && within(lon, LON),
            "{name}: {lat}, {lon} is not in Kenya (latitude {} to {}, longitude {} to {})",
            LAT.0,
            LAT.1,
            LON.0,
            LON.1
        );
        let point = LatLng::new(lat, lon).with_context(|| format!("{name}: {lat}, {lon}"))?;
        Ok(RiskCell::new(point.to_cell(Resolution::Seven))?)
    }
}

/// How places are found.
#[derive(Debug, Clone, Default)]
pub(crate) struct By {
    /// The cell of the one place of the file.
    pub(crate) cell: Option<RiskCell>,
    /// The point of the one place of the file.
    pub(crate) point: Option<Point>,
    /// Points by normalised name.
    pub(crate) points: BTreeMap<String, Point>,
    /// Cells of wards by normalised name.
    pub(crate) wards: BTreeMap<String, RiskCell>,
}

impl By {
    /// Reads the table of points and the wards of a county.
    pub(crate) fn read(
        cell: Option<RiskCell>,
        point: Option<Point>,
        points: Option<&Path>,
        county: Option<&str>,
    ) -> anyhow::Result<Self> {
        if let Some(cell) = cell {
            let centre = LatLng::from(cell.index());
            let (lat, lon) = (centre.lat(), centre.lng());
            Point { lat, lon }.cell(&format!("cell {cell}"))?;
        }
        let points = match points {
            None => BTreeMap::new(),
            Some(path) => {
                let text = std::fs::read_to_string(path)
                    .with_context(|| format!("cannot read {}", path.display()))?;
                parse_points(&text).with_context(|| path.display().to_string())?
            }
        };
        let wards = county.map(wards_of).transpose()?.unwrap_or_default();
        Ok(Self {
            cell,
            point,
            points,
            wards,
        })
    }

    /// Where a place lies, if anything says so.
    fn find(&self, series: &Series) -> anyhow::Result<Option<RiskCell>> {
        if let Some(cell) = self.cell {
            return Ok(Some(cell));
        }
        let key = normalised(&series.name);
        if let Some(point) = self.point.as_ref().or_else(|| self.points.get(&key)) {
            return point.cell(&series.name).map(Some);
        }
        if let Some(cell) = self.wards.get(&key) {
            return Ok(Some(*cell));
        }
        match (series.name.parse::<RiskCell>(), series.point) {
            (Ok(cell), _) => {
                let centre = LatLng::from(cell.index());
                let (lat, lon) = (centre.lat(), centre.lng());
                Point { lat, lon }.cell(&series.name).map(|_| Some(cell))
            }
            (Err(_), Some(point)) => point.cell(&series.name).map(Some),
            (Err(_), None) => Ok(None),
        }
    }
}

/// Places with their cells.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Placed {
    /// Those that have one, in the file's order.
    pub(crate) used: Vec<(RiskCell, Series)>,
    /// Names of those that have none.
    pub(crate) unused: Vec<String>,
    /// Points that no place of the file has the name of.
    pub(crate) points_unused: usize,
}

/// Finds the cell of each series.
pub(crate) fn place(series: Vec<Series>, by: &By) -> anyhow::Result<Placed> {
    ensure!(
        (by.cell.is_none() && by.point.is_none()) || series.len() == 1,
        "--cell and --lat --lon are for a file of one place; this one has {}: give --points",
        series.len()
    );
    let names: Vec<String> = series.iter().map(|one| normalised(&one.name)).collect();
    let mut placed = Placed {
        used: Vec::with_capacity(series.len()),
        unused: Vec::new(),
        points_unused: by
            .points
            .keys()
            .filter(|name| !names.contains(name))
            .count(),
    };
    for one in series {
        match by.find(&one)? {
            Some(cell) => placed.used.push((cell, one)),
            None => placed.unused.push(one.name),
        }
    }
    ensure!(
        !placed.used.is_empty(),
        "no place of the file has a cell ({}): give --points FILE (name,lat,lon), --county NAME, \
         or --cell for a file of one place",
        some_of(&placed.unused)
    );
    Ok(placed)
}

/// One series a cell. Places that share one are refused, or averaged where that is asked for: on
/// the days that all of them know.
pub(crate) fn one_a_cell(
    placed: Vec<(RiskCell, Series)>,
    is_mean: bool,
) -> anyhow::Result<BTreeMap<RiskCell, Series>> {
    let mut cells: BTreeMap<RiskCell, Vec<Series>> = BTreeMap::new();
    for (cell, series) in placed {
        cells.entry(cell).or_default().push(series);
    }
    let shared: Vec<String> = cells
        .iter()
        .filter(|(_, members)| members.len() > 1)
        .map(|(cell, members)| {
            let names: Vec<&str> = members.iter().map(|one| one.name.as_str()).collect();
            format!("{} (cell {cell})", names.join(" and "))
        })
        .collect();
    ensure!(
        is_mean || shared.is_empty(),
        "{} lie in one cell: give each its own point, take one out, or average them with \
         --mean-in-cell",
        shared.join(", ")
    );
    Ok(cells
        .into_iter()
        .map(|(cell, members)| (cell, mean(members)))
        .collect())
}

fn mean(mut members: Vec<Series>) -> Series {
    if members.len() == 1
        && let Some(only) = members.pop()
    {
        return only;
    }
    let n = members.len();
    let names: Vec<&str> = members.iter().map(|one| one.name.as_str()).collect();
    let name = names.join(" + ");
    let mut days: BTreeMap<NaiveDate, (f64, usize)> = BTreeMap::new();
    for (day, value) in members.iter().flat_map(|one| &one.values) {
        let entry = days.entry(*day).or_default();
        if let Some(value) = value {
            *entry = (entry.0 + value, entry.1.saturating_add(1));
        }
    }
    let close = |(day, (sum, known))| (day, (known == n).then(|| sum / count(n)));
    Series {
        name,
        point: None,
        values: days.into_iter().map(close).collect(),
    }
}

/// The first few names of many.
pub(crate) fn some_of(names: &[String]) -> String {
    let named = names.iter().take(NAMED).cloned().collect::<Vec<_>>();
    match names.len().saturating_sub(NAMED) {
        0 => named.join(", "),
        more => format!("{} and {more} more", named.join(", ")),
    }
}

/// Points by normalised name: a head, then name, latitude and longitude a line.
fn parse_points(text: &str) -> anyhow::Result<BTreeMap<String, Point>> {
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let heads: Vec<String> = reader
        .headers()?
        .iter()
        .map(|head| head.trim().to_lowercase())
        .collect();
    let column = |names: &[&str]| heads.iter().position(|head| names.contains(&head.as_str()));
    let lat = column(&["lat", "latitude"]).context("line 1: no column lat")?;
    let lon = column(&["lon", "lng", "long", "longitude"]).context("line 1: no column lon")?;
    let name = (0..heads.len())
        .find(|at| *at != lat && *at != lon)
        .context("line 1: no column with the names")?;
    let mut points = BTreeMap::new();
    for record in reader.records() {
        let record = record?;
        let line = record.position().map_or(0, csv::Position::line);
        let number = |at: usize| {
            record
                .get(at)
                .and_then(|text| text.trim().parse::<f64>().ok())
        };
        let (Some(name), Some(lat), Some(lon)) = (record.get(name), number(lat), number(lon))
        else {
            bail!("line {line}: latitude or longitude is no number");
        };
        let point = Point { lat, lon };
        point.cell(name).with_context(|| format!("line {line}"))?;
        ensure!(
            points.insert(normalised(name), point).is_none(),
            "line {line}: {name} stands twice"
        );
    }
    Ok(points)
}

/// Cells of a county's wards by normalised name. A name that two wards of it have is left out.
fn wards_of(county: &str) -> anyhow::Result<BTreeMap<String, RiskCell>> {
    let mut reader = csv::Reader::from_reader(WARDS.as_bytes());
    let mut wards: BTreeMap<String, Option<RiskCell>> = BTreeMap::new();
    for record in reader.records() {
        let record = record?;
        let (name, own, cell) = (record.get(1), record.get(3), record.get(4));
        if normalised(own.unwrap_or_default()) != normalised(county) {
            continue;
        }
        let cell: PlotCell = cell.unwrap_or_default().parse()?;
        let name = normalised(name.unwrap_or_default());
        let known = wards.contains_key(&name);
        wards.insert(name, (!known).then(|| cell.risk_cell()));
    }
    ensure!(!wards.is_empty(), "there is no county called {county}");
    let unique = wards
        .into_iter()
        .filter_map(|(name, cell)| Some((name, cell?)));
    Ok(unique.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(name: &str, point: Option<(f64, f64)>, values: &[Option<f64>]) -> Series {
        let first: NaiveDate = "1984-03-01".parse().unwrap();
        Series {
            name: name.to_owned(),
            point: point.map(|(lat, lon)| Point { lat, lon }),
            values: first.iter_days().zip(values.iter().copied()).collect(),
        }
    }

    fn refusal<T: std::fmt::Debug>(found: anyhow::Result<T>) -> String {
        format!("{:#}", found.unwrap_err())
    }

    #[test]
    fn points_outside_kenya_and_swapped_ones_are_refused_and_said_so() {
        let cell = |lat, lon| Point { lat, lon }.cell("KARARE");
        assert_eq!(
            cell(2.394_06, 37.952_321).unwrap().to_string(),
            "877a5c541ffffff"
        );
        assert!(refusal(cell(37.952, 2.394)).contains("swapped"));
        for (lat, lon) in [
            (0.0, 0.0),
            (52.5, 13.4),
            (f64::NAN, 37.0),
            (2.0, 33.8),
            (5.2, 37.0),
        ] {
            assert!(
                refusal(cell(lat, lon)).contains("not in Kenya"),
                "{lat} {lon}"
            );
        }
    }

    #[test]
    fn a_table_of_points_is_read_by_its_heads() {
        let points = parse_points("sublocation,lat,lon\nGUDAS/SORIADI,2.1,37.5\n").unwrap();
        assert_eq!(
            points["GUDASSORIADI"],
            Point {
                lat: 2.1,
                lon: 37.5
            }
        );
        let other = parse_points("longitude,latitude,name\n37.5,2.1,Gudas Soriadi\n").unwrap();
        assert_eq!(points, other);
        let swapped = refusal(parse_points("name,lat,lon\nA,37.5,2.1\n"));
        assert!(
            swapped.contains("line 2") && swapped.contains("swapped"),
            "{swapped}"
        );
        assert!(refusal(parse_points("name,lat,lon\nA,2.1,x\n")).contains("line 2"));
        assert!(refusal(parse_points("name,lat,lon\nA,2.1,37\na,2.1,37\n")).contains("twice"));
        assert!(refusal(parse_points("name,y,x\n")).contains("no column lat"));
    }

    #[test]
    fn places_without_a_cell_are_named_not_dropped() {
        let by = By {
            wards: wards_of("marsabit").unwrap(),
            ..By::default()
        };
        let file = vec![
            series("KARARE", None, &[Some(1.0)]),
            series("TOWNSHIP", None, &[Some(1.0)]),
        ];
        let placed = place(file.clone(), &by).unwrap();
        assert_eq!(placed.used.len(), 1);
        assert_eq!(placed.unused, ["TOWNSHIP"]);
        let none = refusal(place(file.clone(), &By::default()));
        assert!(
            none.contains("--points") && none.contains("KARARE, TOWNSHIP"),
            "{none}"
        );
        assert!(refusal(wards_of("atlantis")).contains("no county"));
        let one = By {
            cell: "877a5c541ffffff".parse().ok(),
            ..By::default()
        };
        assert!(refusal(place(file, &one)).contains("file of one place"));
    }

    #[test]
    fn a_point_goes_before_a_ward_and_a_named_cell_before_the_files_own_point() {
        let mut by = By {
            wards: wards_of("Marsabit").unwrap(),
            ..By::default()
        };
        let ward = by.find(&series("karare", None, &[])).unwrap().unwrap();
        let point = Point {
            lat: 2.2,
            lon: 37.8,
        };
        let cell = point.cell("KARARE").unwrap();
        assert_ne!(ward, cell);
        by.points.insert("KARARE".to_owned(), point);
        assert_eq!(by.find(&series("Karare", None, &[])).unwrap(), Some(cell));
        let named = series(&cell.to_string(), None, &[]);
        assert_eq!(By::default().find(&named).unwrap(), Some(cell));
        let own = series("somewhere", Some((2.2, 37.8)), &[]);
        assert_eq!(By::default().find(&own).unwrap(), Some(cell));
        by.cell = Some(ward);
        assert_eq!(by.find(&own).unwrap(), Some(ward));
    }

    #[test]
    fn two_places_in_a_cell_are_refused_or_averaged_over_the_days_both_know() {
        let cell: RiskCell = "877a5c541ffffff".parse().unwrap();
        let both = vec![
            (cell, series("A", None, &[Some(1.0), Some(2.0), None])),
            (cell, series("B", None, &[Some(3.0), None, None])),
        ];
        let refused = refusal(one_a_cell(both.clone(), false));
        assert!(
            refused.contains("A and B") && refused.contains("--mean-in-cell"),
            "{refused}"
        );
        let mean = one_a_cell(both, true).unwrap();
        let values: Vec<_> = mean[&cell].values.iter().map(|(_, v)| *v).collect();
        assert_eq!(values, [Some(2.0), None, None]);
        assert_eq!(mean[&cell].name, "A + B");
    }
}
