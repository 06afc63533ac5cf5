//! A real daily series played again: a date column, then one column a place, millimetres. A column
//! is used if its normalised name is a ward of the county (the one with most matches when none is
//! named); the date's day is the local day. A gap or a sentinel stays a gap, never zero.
//! Used by the weather twin and by whoever plans a replayed season.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use anyhow::{Context as _, bail, ensure};
use chrono::NaiveDate;
use domain::cell::{PlotCell, RiskCell};
use domain::measure::{RainUm, from_millimetres};
use h3o::{LatLng, Resolution};
use serde::Serialize;

use super::wards::{self, Ward, degrees};

/// A daily file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Daily {
    /// Names of its places, in the file's order.
    pub columns: Vec<String>,
    /// Rain of each place on each local day; `None` where the file has no plausible number.
    pub days: BTreeMap<NaiveDate, Vec<Option<RainUm>>>,
}

/// A column that is a ward.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Used {
    /// Name in the file.
    pub column: String,
    /// Code of the ward.
    pub ward: String,
    /// Its name.
    pub name: String,
    /// The cell that stands for it.
    pub plot_cell: PlotCell,
    /// Latitude of its point, degrees.
    pub lat: f64,
    /// Longitude of its point, degrees.
    pub lon: f64,
}

/// Which columns are wards, and which are not.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Matched {
    /// The county; empty when only cells were given.
    pub county: String,
    /// Columns that are its wards, in the file's order.
    pub used: Vec<Used>,
    /// The others.
    pub unused: Vec<String>,
}

/// Letters and digits of a name, upper case: `GUDAS/SORIADI` and `Gudas Soriadi` are one.
#[must_use]
pub fn normalised(name: &str) -> String {
    name.chars()
        .filter(|c| c.is_alphanumeric())
        .flat_map(char::to_uppercase)
        .collect()
}

/// Reads a daily file, `.csv` or `.csv.gz`.
pub fn load(path: &Path) -> anyhow::Result<Daily> {
    let file = std::fs::File::open(path)
        .with_context(|| format!("cannot read the weather file {}", path.display()))?;
    let is_packed = path.extension().is_some_and(|extension| extension == "gz");
    let content: Box<dyn Read> = if is_packed {
        Box::new(flate2::read::GzDecoder::new(file))
    } else {
        Box::new(file)
    };
    parse(content).with_context(|| format!("in the weather file {}", path.display()))
}

/// Reads the text of a daily file.
pub fn parse(content: impl Read) -> anyhow::Result<Daily> {
    let mut reader = csv::Reader::from_reader(content);
    let columns: Vec<String> = reader
        .headers()?
        .iter()
        .skip(1)
        .map(str::to_owned)
        .collect();
    ensure!(!columns.is_empty(), "it has no column but the date");
    let mut days = BTreeMap::new();
    for (nth, row) in reader.records().enumerate() {
        let row = row?;
        let line = nth.saturating_add(2);
        let Some(Ok(date)) = row.get(0).map(|text| text.trim().parse::<NaiveDate>()) else {
            bail!("line {line} does not begin with a date such as 1984-03-01");
        };
        let cells = row.iter().skip(1).map(|text| {
            // what is no number, or no rain (-9999), is a gap
            text.trim()
                .parse::<f64>()
                .ok()
                .and_then(|mm| from_millimetres(mm).ok())
        });
        ensure!(
            days.insert(date, cells.collect()).is_none(),
            "{date} stands twice (line {line})"
        );
    }
    Ok(Daily { columns, days })
}

/// Finds the wards among the columns, each with its point from `points` or from the shipped table.
/// Fails when none is found, or when two wards would share one risk cell.
pub fn match_wards(
    columns: &[String],
    points: Option<&Path>,
    county: Option<&str>,
) -> anyhow::Result<Matched> {
    match_table(columns, points, county, wards::all())
}

/// [`match_wards`] over another table of wards.
pub(crate) fn match_table(
    columns: &[String],
    points: Option<&Path>,
    county: Option<&str>,
    table: &[Ward],
) -> anyhow::Result<Matched> {
    let points = match points {
        None => BTreeMap::new(),
        Some(path) => {
            let text = std::fs::read_to_string(path)
                .with_context(|| format!("cannot read the points file {}", path.display()))?;
            parse_points(&text).with_context(|| format!("in the points file {}", path.display()))?
        }
    };
    let matched = match_with(columns, &points, county, table)?;
    let mut cells: BTreeMap<RiskCell, &str> = BTreeMap::new();
    for used in &matched.used {
        if let Some(other) = cells.insert(used.plot_cell.risk_cell(), &used.column) {
            bail!(
                "{} and {other} lie in one cell; give each its own point",
                used.column
            );
        }
    }
    Ok(matched)
}

fn match_with(
    columns: &[String],
    points: &BTreeMap<String, (f64, f64)>,
    county: Option<&str>,
    wards: &[Ward],
) -> anyhow::Result<Matched> {
    let mut counties: BTreeMap<&str, BTreeMap<String, &Ward>> = BTreeMap::new();
    for ward in wards {
        counties
            .entry(&ward.county)
            .or_default()
            .insert(normalised(&ward.name), ward);
    }
    let count = |names: &BTreeMap<String, &Ward>| {
        columns
            .iter()
            .filter(|column| names.contains_key(&normalised(column)))
            .count()
    };
    let (county, names) = match county {
        Some(asked) => counties
            .iter()
            .find(|(county, _)| normalised(county) == normalised(asked))
            .with_context(|| format!("there is no county called {asked:?}"))?,
        // of equals the first by name
        None => counties
            .iter()
            .rev()
            .max_by_key(|(_, names)| count(names))
            .context("there are no wards")?,
    };
    let (mut used, mut unused) = (Vec::new(), Vec::new());
    for column in columns {
        match names.get(&normalised(column)) {
            None => unused.push(column.clone()),
            Some(ward) => used.push(place(column, ward, points)?),
        }
    }
    ensure!(
        !used.is_empty(),
        "no column is a ward of {county}; name the county the wards lie in"
    );
    Ok(Matched {
        county: (*county).to_owned(),
        used,
        unused,
    })
}

fn place(column: &str, ward: &Ward, points: &BTreeMap<String, (f64, f64)>) -> anyhow::Result<Used> {
    let (plot_cell, (lat, lon)) = match points.get(&normalised(column)) {
        None => (ward.plot_cell, (degrees(ward.lat_e6), degrees(ward.lon_e6))),
        Some((lat, lon)) => {
            let point = LatLng::new(*lat, *lon)
                .with_context(|| format!("the point of {column} is not on Earth"))?;
            (
                PlotCell::new(point.to_cell(Resolution::Eight))?,
                (*lat, *lon),
            )
        }
    };
    Ok(Used {
        column: column.to_owned(),
        ward: ward.code.clone(),
        name: ward.name.clone(),
        plot_cell,
        lat,
        lon,
    })
}

/// Points by normalised name, from a table with name, latitude and longitude.
fn parse_points(text: &str) -> anyhow::Result<BTreeMap<String, (f64, f64)>> {
    let mut points = BTreeMap::new();
    for (nth, row) in csv::Reader::from_reader(text.as_bytes())
        .records()
        .enumerate()
    {
        let row = row?;
        let number = |at: usize| row.get(at).and_then(|text| text.trim().parse::<f64>().ok());
        let (Some(name), Some(lat), Some(lon)) = (row.get(0), number(1), number(2)) else {
            bail!("line {} must be name, lat, lon", nth.saturating_add(2));
        };
        points.insert(normalised(name), (lat, lon));
    }
    Ok(points)
}

/// What the twin plays: rain by risk cell and local day.
#[derive(Debug, Clone, Default)]
pub(crate) struct Replay {
    series: BTreeMap<RiskCell, BTreeMap<NaiveDate, Option<RainUm>>>,
}

impl Replay {
    /// The series of the used columns.
    pub(crate) fn new(daily: &Daily, matched: &Matched) -> Self {
        let place_of = |column: &str| daily.columns.iter().position(|name| name == column);
        let series = matched.used.iter().filter_map(|used| {
            let place = place_of(&used.column)?;
            let rain = |row: &Vec<Option<RainUm>>| row.get(place).copied().flatten();
            let days = daily
                .days
                .iter()
                .map(|(date, row)| (*date, rain(row)))
                .collect();
            Some((used.plot_cell.risk_cell(), days))
        });
        Self {
            series: series.collect(),
        }
    }

    /// Whether the file knows this cell.
    pub(crate) fn covers(&self, cell: RiskCell) -> bool {
        self.series.contains_key(&cell)
    }

    /// Rain of a day; `None` where the file has no number.
    pub(crate) fn rain(&self, cell: RiskCell, day: NaiveDate) -> Option<RainUm> {
        self.series.get(&cell)?.get(&day).copied().flatten()
    }

    /// First and last day of the file.
    pub(crate) fn extent(&self, cell: RiskCell) -> Option<(NaiveDate, NaiveDate)> {
        let days = self.series.get(&cell)?;
        Some((*days.keys().next()?, *days.keys().next_back()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_and_sentinels_stay_gaps() {
        let daily = parse("date,KARARE,SONGA\n1984-03-01,1.2345,-9999\n1984-03-02,,0\n".as_bytes())
            .unwrap();
        let rain: Vec<_> = daily.days.values().flatten().copied().collect();
        assert_eq!(rain, [Some(RainUm(1_235)), None, None, Some(RainUm(0))]);
        assert!(parse("date,A\nyesterday,1\n".as_bytes()).is_err());
        assert!(parse("date,A\n1984-03-01,1\n1984-03-01,2\n".as_bytes()).is_err());
    }

    #[test]
    fn columns_are_wards_of_the_county_with_most_matches() {
        let columns = ["KARARE", "NORTH-HORR", "TOWNSHIP", "EL GADE"].map(str::to_owned);
        let matched = match_wards(&columns, None, None).unwrap();
        assert_eq!(matched.county, "Marsabit");
        assert_eq!(
            matched
                .used
                .iter()
                .map(|u| u.ward.as_str())
                .collect::<Vec<_>>(),
            ["0234", "0229"]
        );
        assert_eq!(matched.unused, ["TOWNSHIP", "EL GADE"]);
        assert!(match_wards(&columns, None, Some("atlantis")).is_err());
        assert!(
            match_wards(&columns, None, Some("Nairobi")).is_err(),
            "no ward of it is named"
        );
    }

    #[test]
    fn a_point_moves_its_ward_and_two_wards_never_share_a_cell() {
        let columns = ["KARARE", "NORTH HORR"].map(str::to_owned);
        let points = |text: &str| parse_points(text).unwrap();
        let with = points("sublocation,lat,lon\nkarare,2.2,37.8\n");
        let moved = match_with(&columns, &with, None, wards::all()).unwrap();
        let here = LatLng::new(2.2, 37.8).unwrap().to_cell(Resolution::Eight);
        assert_eq!(moved.used[0].plot_cell.index(), here);
        assert!(parse_points("name,lat,lon\nkarare,2.2\n").is_err());
        let dir = std::env::temp_dir().join(format!("points-{}.csv", std::process::id()));
        std::fs::write(&dir, "name,lat,lon\nKarare,2.2,37.8\nNorth Horr,2.2,37.8\n").unwrap();
        let shared = match_wards(&columns, Some(&dir), None)
            .unwrap_err()
            .to_string();
        std::fs::remove_file(&dir).unwrap();
        assert!(shared.contains("one cell"), "{shared}");
    }
}
