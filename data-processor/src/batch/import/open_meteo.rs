//! Reads what Open-Meteo's archive answers, which is how ERA5 and ERA5-Land are had without an
//! account: JSON of one place or many, and its CSV export, daily sums or hours. An hour is what fell
//! in the sixty minutes before it. Never takes a forecast's or another variable's column. Called by
//! `given`.

use std::collections::BTreeMap;

use anyhow::{Context as _, bail, ensure};
use chrono::{DateTime, NaiveDate, NaiveDateTime, TimeDelta, Utc};
use serde::Deserialize;
use serde_json::Value;

use super::given::{Day, Format, Given, Series, daily, head_unit};
use super::place::Point;
use super::unit::Unit;
use crate::validate::series::{known, reading};

/// The daily and the hourly column, or what it begins with when models are named beside it.
const DAILY: &str = "precipitation_sum";
const HOURLY: &str = "precipitation";
/// East Africa Time, seconds.
const EAT_SECONDS: i32 = 10_800;
/// Hours of a day.
const DAY_HOURS: f64 = 24.0;

#[derive(Debug, Deserialize)]
struct Body {
    latitude: f64,
    longitude: f64,
    #[serde(default)]
    utc_offset_seconds: i32,
    #[serde(default)]
    daily_units: BTreeMap<String, Value>,
    daily: Option<BTreeMap<String, Value>>,
    #[serde(default)]
    hourly_units: BTreeMap<String, Value>,
    hourly: Option<BTreeMap<String, Value>>,
}

#[derive(Debug, Deserialize)]
struct Refused {
    reason: String,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Answer {
    Refused(Refused),
    Many(Vec<Body>),
    One(Box<Body>),
}

/// Reads the JSON answer, of one place or a list of them.
pub(crate) fn json(content: &[u8], asked: Option<Day>) -> anyhow::Result<Given> {
    // first as any JSON: a fault of the text is told with its line and column
    let value: Value = serde_json::from_slice(content).context("the JSON does not read")?;
    let answer = serde_json::from_value(value).context(
        "not an answer of Open-Meteo: expected latitude, longitude, and daily or hourly values",
    );
    let bodies = match answer? {
        Answer::Refused(refused) => bail!("Open-Meteo refused the request: {}", refused.reason),
        Answer::Many(bodies) => bodies,
        Answer::One(body) => vec![*body],
    };
    let mut read = Places::default();
    for body in &bodies {
        let point = Point {
            lat: body.latitude,
            lon: body.longitude,
        };
        let (own, found) = (declared(body.utc_offset_seconds)?, column_of(body)?);
        let times = found.times.iter().zip(found.values).enumerate();
        let at = |nth: usize| format!("{}.{}[{nth}]", found.section, found.name);
        let mut lines = Vec::with_capacity(found.times.len());
        for (nth, (time, value)) in times {
            let (Some(time), is_null) = (time.as_str(), value.is_null()) else {
                bail!("{}.time[{nth}] is not text", found.section);
            };
            let number = value.as_f64().and_then(known);
            ensure!(
                is_null || value.is_number(),
                "{}: {value} is no number",
                at(nth)
            );
            lines.push((time.to_owned(), number));
        }
        let steps = Steps {
            is_hourly: found.section == "hourly",
            offset_seconds: body.utc_offset_seconds,
            lines,
        };
        read.add(point, found.unit, own, asked, &steps)?;
    }
    read.given()
}

/// Reads the CSV export: a table of places, a blank line, a table of values (or two).
pub(crate) fn text(content: &[u8], asked: Option<Day>) -> anyhow::Result<Given> {
    let text = std::str::from_utf8(content).context("the file is not UTF-8")?;
    let sections = sections(text);
    let (places, tables) = sections.split_first().context("the file is empty")?;
    let places = points(places)?;
    // of a daily and an hourly table the daily one is what the provider itself summed
    let is =
        |table: &&Section<'_>, name: &str| table.heads().any(|head| bare(head).starts_with(name));
    let table = tables
        .iter()
        .find(|table| is(table, DAILY))
        .or_else(|| tables.iter().find(|table| is(table, HOURLY)))
        .context("no column precipitation_sum (daily) or precipitation (hourly): ask for one")?;
    let heads: Vec<&str> = table.heads().collect();
    let is_hourly = !heads.iter().any(|head| bare(head).starts_with(DAILY));
    let wanted = if is_hourly { HOURLY } else { DAILY };
    let value_at = one_of(&heads, wanted)?;
    let unit = head_unit(heads.get(value_at).copied().unwrap_or_default())?;
    let find = |name: &str| heads.iter().position(|head| bare(head) == name);
    let time_at = find("time").context("the table of values has no column `time`")?;
    let id_at = find("location_id");
    let mut lines: BTreeMap<String, Vec<(String, Option<f64>)>> = BTreeMap::new();
    for (line, row) in table.rows() {
        let fields: Vec<&str> = row.split(',').map(str::trim).collect();
        let field = |at: usize| fields.get(at).copied();
        let (Some(time), Some(value)) = (field(time_at), field(value_at)) else {
            bail!(
                "line {line}: {} fields where the head has {}",
                fields.len(),
                heads.len()
            );
        };
        let value = reading(value).with_context(|| format!("line {line}, column {wanted}"))?;
        let id = id_at.and_then(field).unwrap_or_default();
        lines
            .entry(id.to_owned())
            .or_default()
            .push((time.to_owned(), value));
    }
    let mut read = Places::default();
    for (id, lines) in lines {
        let (_, point, offset_seconds) = places
            .iter()
            .find(|(known, _, _)| id.is_empty() || *known == id)
            .with_context(|| format!("location_id {id} is not in the table of places"))?;
        let steps = Steps {
            is_hourly,
            offset_seconds: *offset_seconds,
            lines,
        };
        read.add(*point, unit, declared(*offset_seconds)?, asked, &steps)?;
    }
    read.given()
}

/// Values by time, before they are days.
struct Steps {
    is_hourly: bool,
    offset_seconds: i32,
    lines: Vec<(String, Option<f64>)>,
}

/// The places read so far; all must agree on unit and day.
#[derive(Default)]
struct Places {
    series: Vec<Series>,
    /// Unit and day, once a place has said them.
    said: Option<(Option<Unit>, Day)>,
}

impl Places {
    fn add(
        &mut self,
        point: Point,
        unit: Option<Unit>,
        own: Day,
        asked: Option<Day>,
        steps: &Steps,
    ) -> anyhow::Result<()> {
        // hours can be put into any day; a daily sum is what it is
        let day = asked.filter(|_| steps.is_hourly).unwrap_or(own);
        ensure!(
            self.said.is_none_or(|said| said == (unit, day)),
            "its places differ in unit or time zone: ask for them with one timezone"
        );
        self.said = Some((unit, day));
        let values = if steps.is_hourly {
            daily(&hours(steps, unit)?, day)?
        } else {
            days(steps)?
        };
        self.series.push(Series {
            name: format!("{},{}", point.lat, point.lon),
            point: Some(point),
            values,
        });
        Ok(())
    }

    fn given(self) -> anyhow::Result<Given> {
        let (unit, day) = self.said.context("no place with values")?;
        Ok(Given {
            format: Format::OpenMeteo,
            unit,
            day: Some(day),
            series: self.series,
        })
    }
}

fn days(steps: &Steps) -> anyhow::Result<Vec<(NaiveDate, Option<f64>)>> {
    let mut days: Vec<(NaiveDate, Option<f64>)> = Vec::with_capacity(steps.lines.len());
    for (time, value) in &steps.lines {
        let day: NaiveDate = time
            .parse()
            .with_context(|| format!("time `{time}` is not a day such as 1984-03-01"))?;
        ensure!(
            days.last().is_none_or(|(before, _)| *before < day),
            "{day} is not after the day before it"
        );
        days.push((day, *value));
    }
    Ok(days)
}

/// Hours as instants, so that the sum of a day's hours is in the unit of a day.
fn hours(steps: &Steps, unit: Option<Unit>) -> anyhow::Result<Vec<(DateTime<Utc>, Option<f64>)>> {
    let offset = TimeDelta::seconds(steps.offset_seconds.into());
    let mut hours = Vec::with_capacity(steps.lines.len());
    for (time, value) in &steps.lines {
        let local = NaiveDateTime::parse_from_str(time, "%Y-%m-%dT%H:%M");
        let instant = local
            .ok()
            .and_then(|local| local.and_utc().checked_sub_signed(offset))
            .with_context(|| format!("time `{time}` is not an hour such as 1984-03-01T00:00"))?;
        // the sum of a day's hourly fluxes is 24 times their mean, which is the day's flux
        let share = if unit == Some(Unit::Flux) {
            DAY_HOURS
        } else {
            1.0
        };
        hours.push((instant, value.map(|value| value / share)));
    }
    Ok(hours)
}

/// What a file of this time zone means by a day.
fn declared(offset_seconds: i32) -> anyhow::Result<Day> {
    match offset_seconds {
        0 => Ok(Day::Utc),
        EAT_SECONDS => Ok(Day::Local),
        other => bail!(
            "its times are {other} seconds off UTC: ask for timezone=GMT or timezone=Africa/Nairobi"
        ),
    }
}

/// The column of rain of a JSON answer.
struct Column<'a> {
    section: &'static str,
    name: &'a str,
    unit: Option<Unit>,
    times: &'a [Value],
    values: &'a [Value],
}

fn column_of(body: &Body) -> anyhow::Result<Column<'_>> {
    let sections = [
        ("daily", DAILY, &body.daily, &body.daily_units),
        ("hourly", HOURLY, &body.hourly, &body.hourly_units),
    ];
    for (section, wanted, values, units) in sections {
        let Some(columns) = values else { continue };
        let heads: Vec<&str> = columns.keys().map(String::as_str).collect();
        if !heads.iter().any(|head| head.starts_with(wanted)) {
            continue;
        }
        let name = heads
            .get(one_of(&heads, wanted)?)
            .copied()
            .unwrap_or_default();
        let list = |key: &str| {
            let list = columns.get(key).and_then(Value::as_array);
            list.with_context(|| format!("{section}.{key} is not a list"))
        };
        let (times, values) = (list("time")?, list(name)?);
        ensure!(
            times.len() == values.len(),
            "{section}.time has {} entries and {section}.{name} has {}",
            times.len(),
            values.len()
        );
        let unit = units.get(name).and_then(Value::as_str);
        return Ok(Column {
            section,
            name,
            unit: unit.map(Unit::parse).transpose()?,
            times,
            values,
        });
    }
    bail!("no daily.precipitation_sum and no hourly.precipitation: ask for one of them");
}

/// The one column of a name, or of the name and one model.
fn one_of(heads: &[&str], wanted: &str) -> anyhow::Result<usize> {
    if let Some(exact) = heads.iter().position(|head| bare(head) == wanted) {
        return Ok(exact);
    }
    let of_model = |head: &str| {
        bare(head)
            .strip_prefix(wanted)
            .is_some_and(|rest| rest.starts_with('_'))
    };
    let mut found = heads.iter().enumerate().filter(|(_, head)| of_model(head));
    match (found.next(), found.next()) {
        (Some((at, _)), None) => Ok(at),
        (Some((_, one)), Some((_, other))) => {
            bail!("{one} and {other}: ask for one model, and import each under its own name")
        }
        (None, _) => bail!("no column {wanted}"),
    }
}

/// A head without its unit: `precipitation_sum (mm)`.
fn bare(head: &str) -> &str {
    head.split('(').next().unwrap_or_default().trim()
}

/// Lines between blank lines, each with its number in the file.
struct Section<'a>(Vec<(usize, &'a str)>);

impl<'a> Section<'a> {
    fn heads(&self) -> impl Iterator<Item = &'a str> {
        let head = self.0.first().map_or("", |(_, line)| *line);
        head.split(',').map(str::trim)
    }

    fn rows(&self) -> impl Iterator<Item = (usize, &'a str)> {
        self.0.iter().skip(1).copied()
    }
}

fn sections(text: &str) -> Vec<Section<'_>> {
    let mut sections: Vec<Section<'_>> = Vec::new();
    let mut is_open = false;
    for (nth, line) in text.lines().enumerate() {
        let is_blank = line.trim().is_empty();
        if !is_blank && !is_open {
            sections.push(Section(Vec::new()));
        }
        is_open = !is_blank;
        if let Some(section) = sections.last_mut().filter(|_| is_open) {
            section.0.push((nth.saturating_add(1), line.trim()));
        }
    }
    sections
}

/// The table of places: id (empty when there is none), point, seconds off UTC.
fn points(section: &Section<'_>) -> anyhow::Result<Vec<(String, Point, i32)>> {
    let heads: Vec<&str> = section.heads().collect();
    let at = |name: &str| {
        let found = heads.iter().position(|head| *head == name);
        found.with_context(|| format!("line 1: no column `{name}`"))
    };
    let (lat, lon, offset) = (at("latitude")?, at("longitude")?, at("utc_offset_seconds")?);
    let id = at("location_id").ok();
    let read = |(line, row): (usize, &str)| {
        let fields: Vec<&str> = row.split(',').map(str::trim).collect();
        let number = |at: usize| fields.get(at).and_then(|text| text.parse::<f64>().ok());
        let seconds = fields.get(offset).and_then(|text| text.parse().ok());
        let (Some(lat), Some(lon), Some(seconds)) = (number(lat), number(lon), seconds) else {
            bail!("line {line}: latitude, longitude or utc_offset_seconds is no number");
        };
        let id = id
            .and_then(|at| fields.get(at).copied())
            .unwrap_or_default();
        Ok((id.to_owned(), Point { lat, lon }, seconds))
    };
    section.rows().map(read).collect()
}

#[cfg(test)]
mod tests;
