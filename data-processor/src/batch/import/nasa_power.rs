//! Reads what NASA POWER answers for the days of a point: GeoJSON, and CSV under its header. Its
//! days are those of local solar time unless it says UTC: in Kenya within 40 minutes of ours. Never
//! reads hours, months or another parameter than corrected precipitation. Called by `given`.

use std::collections::BTreeMap;

use anyhow::{Context as _, bail, ensure};
use chrono::NaiveDate;
use serde::Deserialize;

use super::given::{Day, Format, Given, Series};
use super::place::Point;
use super::unit::{Unit, of_head};
use crate::validate::series::{known, reading};

/// Precipitation corrected by gauges: the one parameter that is rain.
const PARAMETER: &str = "PRECTOTCORR";

#[derive(Debug, Deserialize)]
struct Feature {
    geometry: Geometry,
    properties: Properties,
    header: Header,
    #[serde(default)]
    parameters: BTreeMap<String, Described>,
}

#[derive(Debug, Deserialize)]
struct Geometry {
    coordinates: Vec<f64>,
}

#[derive(Debug, Deserialize)]
struct Properties {
    parameter: BTreeMap<String, BTreeMap<String, Option<f64>>>,
}

#[derive(Debug, Deserialize)]
struct Header {
    fill_value: Option<f64>,
    time_standard: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Described {
    units: String,
}

/// Reads the GeoJSON answer.
pub(crate) fn json(content: &[u8]) -> anyhow::Result<Given> {
    let feature: Feature = serde_json::from_slice(content)
        .context("not a daily point of NASA POWER, or the JSON does not read")?;
    let [lon, lat, ..] = feature.geometry.coordinates[..] else {
        bail!("geometry.coordinates must be longitude, latitude and altitude");
    };
    let values = feature
        .properties
        .parameter
        .get(PARAMETER)
        .with_context(|| {
            let known: Vec<&str> = feature
                .properties
                .parameter
                .keys()
                .map(String::as_str)
                .collect();
            format!(
                "no properties.parameter.{PARAMETER} (there is {}): ask for it",
                known.join(", ")
            )
        })?;
    let unit = feature
        .parameters
        .get(PARAMETER)
        .map(|one| Unit::parse(&one.units));
    let fill = feature.header.fill_value;
    let mut days = Vec::with_capacity(values.len());
    for (key, value) in values {
        let day = NaiveDate::parse_from_str(key, "%Y%m%d")
            .ok()
            .filter(|_| key.len() == 8);
        let day = day.with_context(|| {
            format!("`{key}` is not a day such as 20200301: ask for the daily, not the hourly or monthly, values")
        })?;
        days.push((day, filled(*value, fill)));
    }
    given(
        Point { lat, lon },
        unit.transpose()?,
        feature.header.time_standard.as_deref(),
        days,
    )
}

/// Reads the CSV answer: a header that says where and in what, then `YEAR,MO,DY,PRECTOTCORR` or
/// `YEAR,DOY,PRECTOTCORR`.
pub(crate) fn text(content: &[u8]) -> anyhow::Result<Given> {
    let text = std::str::from_utf8(content).context("the file is not UTF-8")?;
    let mut lines = text.lines().enumerate();
    let mut about = About::default();
    let is_closed = lines.by_ref().any(|(_, line)| {
        about.hear(line);
        line.trim().eq_ignore_ascii_case("-END HEADER-")
    });
    ensure!(is_closed, "no line -END HEADER-: the file is cut short");
    let unit = about.unit.map(|line| of_head(&line)).transpose()?.flatten();
    let point = about
        .lat
        .zip(about.lon)
        .map(|(lat, lon)| Point { lat, lon })
        .context("the header names no latitude and longitude")?;
    let (_, heads) = lines.next().context("no table after the header")?;
    let heads: Vec<&str> = heads.split(',').map(str::trim).collect();
    let column = |name: &str| {
        heads
            .iter()
            .position(|head| head.eq_ignore_ascii_case(name))
    };
    let year = column("YEAR").context("no column YEAR")?;
    let (month, in_month, of_year) = (column("MO"), column("DY"), column("DOY"));
    let value = column(PARAMETER).with_context(|| format!("no column {PARAMETER}: ask for it"))?;
    let mut days: Vec<(NaiveDate, Option<f64>)> = Vec::new();
    for (nth, row) in lines.filter(|(_, row)| !row.trim().is_empty()) {
        let line = nth.saturating_add(1);
        let fields: Vec<&str> = row.split(',').map(str::trim).collect();
        let number = |at: usize| fields.get(at).and_then(|text| text.parse::<u32>().ok());
        let years = fields.get(year).and_then(|text| text.parse::<i32>().ok());
        let day = match (month.zip(in_month), of_year) {
            (Some((month, day)), _) => years
                .zip(number(month).zip(number(day)))
                .and_then(|(year, (month, day))| NaiveDate::from_ymd_opt(year, month, day)),
            (None, Some(day)) => years
                .zip(number(day))
                .and_then(|(year, day)| NaiveDate::from_yo_opt(year, day)),
            (None, None) => bail!("no columns MO and DY, and no DOY: ask for the daily values"),
        };
        let day = day.with_context(|| format!("line {line}: `{row}` has no date"))?;
        ensure!(
            days.last().is_none_or(|(before, _)| *before < day),
            "line {line}: {day} is not after the line before it"
        );
        let text = fields.get(value).copied().unwrap_or_default();
        let value = reading(text).with_context(|| format!("line {line}, column {PARAMETER}"))?;
        days.push((day, filled(value, about.fill)));
    }
    given(point, unit, about.standard, days)
}

/// What the header of a CSV says.
#[derive(Debug, Default)]
struct About {
    lat: Option<f64>,
    lon: Option<f64>,
    fill: Option<f64>,
    standard: Option<&'static str>,
    unit: Option<String>,
}

impl About {
    fn hear(&mut self, line: &str) {
        let lower = line.to_lowercase();
        let after = |word: &str| {
            let (_, rest) = lower.split_once(word)?;
            rest.trim_start_matches([' ', ':'])
                .split_whitespace()
                .next()?
                .parse::<f64>()
                .ok()
        };
        if lower.starts_with("location") {
            self.lat = after("latitude");
            self.lon = after("longitude");
        } else if lower.starts_with("dates") {
            self.standard = [" in lst", " in utc"]
                .into_iter()
                .find(|said| lower.contains(said))
                .map(|said| said.trim_start_matches(" in "));
        } else if lower.contains("missing source data") {
            self.fill = lower
                .rsplit(':')
                .next()
                .and_then(|text| text.trim().parse().ok());
        } else if line.starts_with(PARAMETER) {
            self.unit = Some(line.to_owned());
        }
    }
}

fn filled(value: Option<f64>, fill: Option<f64>) -> Option<f64> {
    let is_fill = |value: &f64| fill.is_some_and(|fill| fill.total_cmp(value).is_eq());
    value.filter(|value| !is_fill(value)).and_then(known)
}

fn given(
    point: Point,
    unit: Option<Unit>,
    standard: Option<&str>,
    values: Vec<(NaiveDate, Option<f64>)>,
) -> anyhow::Result<Given> {
    let day = match standard.map(str::to_lowercase).as_deref() {
        None | Some("lst") => Day::Local,
        Some("utc") => Day::Utc,
        Some(other) => bail!("time standard `{other}` is neither LST nor UTC"),
    };
    Ok(Given {
        format: Format::NasaPower,
        unit,
        day: Some(day),
        series: vec![Series {
            name: format!("{},{}", point.lat, point.lon),
            point: Some(point),
            values,
        }],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const JSON: &str = r#"{"type":"Feature",
        "geometry":{"type":"Point","coordinates":[36.82,-1.29,1668.2]},
        "properties":{"parameter":{"PRECTOTCORR":
            {"20200301":5.34,"20200302":0.0,"20200303":-999.0,"20200304":null}}},
        "header":{"title":"NASA/POWER Source Native Resolution Daily Data","fill_value":-999.0,
            "time_standard":"LST","start":"20200301","end":"20200304"},
        "parameters":{"PRECTOTCORR":{"units":"mm/day","longname":"Precipitation Corrected"}}}"#;

    const CSV: &str = "-BEGIN HEADER-\n\
        NASA/POWER Source Native Resolution Daily Data \n\
        Dates (month/day/year): 03/01/2020 through 03/04/2020 in LST\n\
        Location: latitude  -1.29   longitude 36.82 \n\
        elevation from MERRA-2: Average for 0.5 x 0.625 degree lat/lon region = 1668.2 meters\n\
        The value for missing source data that cannot be computed or is outside of the sources availability range: -999 \n\
        parameter(s): \n\
        PRECTOTCORR     MERRA-2 Precipitation Corrected (mm/day) \n\
        -END HEADER-\n\
        YEAR,MO,DY,PRECTOTCORR\n2020,3,1,5.34\n2020,3,2,0.0\n2020,3,3,-999.0\n2020,3,4,-999\n";

    fn refusal(read: anyhow::Result<Given>) -> String {
        format!("{:#}", read.unwrap_err())
    }

    #[test]
    fn both_shapes_say_the_same() {
        let (one, other) = (
            json(JSON.as_bytes()).unwrap(),
            text(CSV.as_bytes()).unwrap(),
        );
        assert_eq!(one, other);
        assert_eq!((one.unit, one.day), (Some(Unit::Mm), Some(Day::Local)));
        assert_eq!(
            one.series[0].point,
            Some(Point {
                lat: -1.29,
                lon: 36.82
            })
        );
        let values: Vec<_> = one.series[0].values.iter().map(|(_, mm)| *mm).collect();
        assert_eq!(values, [Some(5.34), Some(0.0), None, None]);
    }

    #[test]
    fn an_older_header_and_days_of_the_year_are_read() {
        let old = CSV
            .replace(" in LST", "")
            .replace("latitude", "Latitude")
            .replace("MO,DY", "DOY")
            .replace("2020,3,1,", "2020,61,")
            .replace("2020,3,2,", "2020,62,")
            .replace("2020,3,3,", "2020,63,")
            .replace("2020,3,4,", "2020,64,");
        assert_eq!(
            text(old.as_bytes()).unwrap(),
            json(JSON.as_bytes()).unwrap()
        );
        let utc = json(JSON.replace("LST", "UTC").as_bytes()).unwrap();
        assert_eq!(utc.day, Some(Day::Utc));
    }

    #[test]
    fn another_fill_value_is_missing_too() {
        let other = JSON.replace("-999.0", "-99.0");
        assert_eq!(json(other.as_bytes()).unwrap().series[0].values[2].1, None);
    }

    #[test]
    fn what_is_wrong_is_told_with_where() {
        let of = |from: &str, to: &str| refusal(json(JSON.replace(from, to).as_bytes()));
        assert!(of("PRECTOTCORR", "T2M").contains("there is T2M"));
        assert!(of("20200302", "2020030200").contains("daily, not the hourly"));
        assert!(of("20200302", "202003").contains("daily, not the hourly"));
        assert!(of("mm/day", "mm/month").contains("mm/month"));
        assert!(of("LST", "MARS").contains("LST nor UTC"));
        assert!(
            of("\"header\":", "oops").contains("line "),
            "{}",
            of("\"header\":", "oops")
        );
        let of = |from: &str, to: &str| refusal(text(CSV.replace(from, to).as_bytes()));
        assert!(of("-END HEADER-", "").contains("cut short"));
        assert!(of("2020,3,2,0.0", "2020,3,2,wet").contains("line 12, column PRECTOTCORR"));
        assert!(of("2020,3,2,0.0", "2020,3,32,0.0").contains("line 12"));
        assert!(of("2020,3,2,0.0", "2020,3,1,0.0").contains("not after"));
        assert!(of("Location", "Place").contains("no latitude"));
        assert!(of("PRECTOTCORR\n", "T2M\n").contains("no column PRECTOTCORR"));
    }
}
