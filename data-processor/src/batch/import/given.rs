//! What a file says, before anything is known of cells: its series, its unit, what it means by a
//! day. Reads the bytes, unpacks them, tells one shape from another and hands over to its reader.
//! Never writes; a file that is not understood is refused with the place where it went wrong.
//! Called by `import`.

use std::io::Read as _;
use std::path::Path;

use anyhow::{Context as _, bail, ensure};
use chrono::{DateTime, Days, NaiveDate, TimeDelta, Utc};
use clap::ValueEnum;
use data_encoding::HEXLOWER;
use domain::season::day_of_interval_ending;
use flate2::read::GzDecoder;
use sha2::{Digest as _, Sha256};

use super::place::Point;
use super::unit::{Unit, of_head};
use super::{nasa_power, open_meteo, table};
use crate::science::sources::DayBoundary;

/// Most bytes of a file once unpacked: what is read stands in memory as a whole, so that a fault
/// in its last line is found before its first is written.
const BYTES_MAX: u64 = 1 << 30;
/// Hours of a day.
const HOURS: u32 = 24;
/// First hour, UTC, that a gauge's day is measured from.
const GAUGE_HOUR_UTC: i64 = 6;

/// Shapes of files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// By what the file begins with.
    Auto,
    /// `date,PLACE,PLACE,...`, a line a day.
    WideCsv,
    /// `date,place,value`, a line a value.
    LongCsv,
    /// Open-Meteo, JSON or its CSV export, daily or hourly: ERA5, ERA5-Land and others.
    OpenMeteo,
    /// NASA POWER, a point's days, JSON or CSV.
    NasaPower,
}

impl Format {
    /// As it is written in a report.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::WideCsv => "wide-csv",
            Self::LongCsv => "long-csv",
            Self::OpenMeteo => "open-meteo",
            Self::NasaPower => "nasa-power",
        }
    }
}

/// What a day of a file means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Day {
    /// 00 to 24 h in Kenya (UTC+3).
    Local,
    /// 00 to 24 h UTC: CHIRPS, ERA5.
    Utc,
    /// A gauge read at 06 h UTC of the day it is written under.
    Gauge,
}

impl Day {
    pub(crate) const fn boundary(self) -> DayBoundary {
        match self {
            Self::Local => DayBoundary::Local,
            Self::Utc => DayBoundary::Utc,
            Self::Gauge => DayBoundary::Gauge,
        }
    }
}

/// One place's values by day, days rising.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Series {
    /// As the file names it.
    pub(crate) name: String,
    /// Where the file says it lies.
    pub(crate) point: Option<Point>,
    /// In the file's unit; `None` is missing.
    pub(crate) values: Vec<(NaiveDate, Option<f64>)>,
}

/// A file as read.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Given {
    /// Its shape.
    pub(crate) format: Format,
    /// Its unit, where it declares one.
    pub(crate) unit: Option<Unit>,
    /// What it means by a day, where it declares that.
    pub(crate) day: Option<Day>,
    /// Its places.
    pub(crate) series: Vec<Series>,
}

/// The bytes of a file.
#[derive(Debug, Clone)]
pub(crate) struct Content {
    /// Unpacked, without a byte order mark.
    pub(crate) bytes: Vec<u8>,
    /// Digest of the file as it lies there, lower-case hex.
    pub(crate) sha256: String,
}

/// Reads a file, plain or packed by gzip.
pub(crate) fn content(path: &Path) -> anyhow::Result<Content> {
    let shown = path.display();
    let raw = std::fs::read(path).with_context(|| format!("cannot read {shown}"))?;
    let sha256 = HEXLOWER.encode(&Sha256::digest(&raw));
    let mut bytes = raw;
    if bytes.starts_with(&[0x1f, 0x8b]) {
        let mut unpacked = Vec::new();
        GzDecoder::new(bytes.as_slice())
            .take(BYTES_MAX.saturating_add(1))
            .read_to_end(&mut unpacked)
            .with_context(|| format!("{shown} does not unpack: fetch it again"))?;
        bytes = unpacked;
    }
    ensure!(
        u64::try_from(bytes.len()).is_ok_and(|length| length <= BYTES_MAX),
        "{shown} is larger than 1 GiB unpacked: cut it by years and import the parts"
    );
    if let Some(rest) = bytes.strip_prefix(b"\xef\xbb\xbf") {
        bytes = rest.to_vec();
    }
    Ok(Content { bytes, sha256 })
}

/// Reads a file's series in the shape asked for.
pub(crate) fn read(
    path: &Path,
    content: Vec<u8>,
    format: Format,
    day: Option<Day>,
) -> anyhow::Result<Given> {
    let format = match format {
        Format::Auto => told(&content).with_context(|| path.display().to_string())?,
        asked => asked,
    };
    let is_json = first_letter(&content).is_some_and(|c| b"{[".contains(&c));
    let named = || format!("{} as {}", path.display(), format.as_str());
    let given = match format {
        Format::OpenMeteo if is_json => open_meteo::json(&content, day),
        Format::OpenMeteo => open_meteo::text(&content, day),
        Format::NasaPower if is_json => nasa_power::json(&content),
        Format::NasaPower => nasa_power::text(&content),
        Format::LongCsv => table::long(&content),
        Format::Auto | Format::WideCsv => table::wide(content, path),
    };
    let given = given.with_context(named)?;
    ensure!(
        given.series.iter().any(|series| !series.values.is_empty()),
        "{}: no line of values",
        path.display()
    );
    Ok(given)
}

fn first_letter(content: &[u8]) -> Option<u8> {
    content.iter().copied().find(|c| !c.is_ascii_whitespace())
}

/// Which shape a file has, by what it begins with.
fn told(content: &[u8]) -> anyhow::Result<Format> {
    let Some(first) = first_letter(content) else {
        bail!("the file is empty");
    };
    let head = content.get(..content.len().min(4_096)).unwrap_or_default();
    let head = String::from_utf8_lossy(head).to_lowercase();
    if b"{[".contains(&first) {
        // a POWER answer is a GeoJSON feature; keys may stand in any order, so the whole is asked
        let text = String::from_utf8_lossy(content);
        return Ok(
            if text.contains("\"parameter\"") && text.contains("\"geometry\"") {
                Format::NasaPower
            } else {
                Format::OpenMeteo
            },
        );
    }
    let line = head.lines().next().unwrap_or_default();
    let fields: Vec<&str> = line.split(',').map(str::trim).collect();
    Ok(if head.contains("-begin header-") {
        Format::NasaPower
    } else if fields.contains(&"latitude") && fields.contains(&"utc_offset_seconds") {
        Format::OpenMeteo
    } else if table::is_long(&fields) {
        Format::LongCsv
    } else {
        Format::WideCsv
    })
}

/// What a day means, of a file that may declare it, beside what was asked for.
pub(crate) fn agreed(declared: Option<Day>, asked: Option<Day>) -> anyhow::Result<Day> {
    if let (Some(declared), Some(asked)) = (declared, asked) {
        ensure!(
            declared == asked,
            "the file's days are {declared:?} days, and --day says {asked:?}: leave --day out"
        );
    }
    // CHIRPS and ERA5, which most files without a word about it come from
    Ok(declared.or(asked).unwrap_or(Day::Utc))
}

/// Sums hours to days: each value is what fell in the hour that ends at its instant. A day with
/// less than its 24 hours is missing, never less rain. The days are as a daily file would write
/// them: a gauge's is the one of its reading.
pub(crate) fn daily(
    hours: &[(DateTime<Utc>, Option<f64>)],
    day: Day,
) -> anyhow::Result<Vec<(NaiveDate, Option<f64>)>> {
    let mut days: Vec<(NaiveDate, f64, u32)> = Vec::new();
    let mut before = None;
    for (ends, value) in hours {
        ensure!(
            before.is_none_or(|before| before < *ends),
            "the hour {ends} is not after the hour before it"
        );
        before = Some(*ends);
        let reported = match day {
            Day::Local => day_of_interval_ending(*ends),
            Day::Utc => utc_day(*ends, TimeDelta::zero()),
            Day::Gauge => utc_day(*ends, TimeDelta::hours(GAUGE_HOUR_UTC))
                .checked_add_days(Days::new(1))
                .unwrap_or(NaiveDate::MAX),
        };
        if days.last().is_none_or(|(last, _, _)| *last != reported) {
            days.push((reported, 0.0, 0));
        }
        if let (Some((_, sum, known)), Some(value)) = (days.last_mut(), value) {
            *sum += value;
            *known = known.saturating_add(1);
        }
    }
    let close = |(day, sum, known)| (day, (known == HOURS).then_some(sum));
    Ok(days.into_iter().map(close).collect())
}

/// The UTC day, begun so much later than midnight, of the interval that ends at an instant.
fn utc_day(ends: DateTime<Utc>, begins: TimeDelta) -> NaiveDate {
    let inside = TimeDelta::nanoseconds(1).checked_add(&begins);
    inside
        .and_then(|back| ends.checked_sub_signed(back))
        .unwrap_or(ends)
        .date_naive()
}

/// The unit of the head of a column, if it names one, with the column in what goes wrong.
pub(crate) fn head_unit(head: &str) -> anyhow::Result<Option<Unit>> {
    of_head(head).with_context(|| format!("column `{head}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    #[test]
    fn shapes_are_told_by_what_a_file_begins_with() {
        for (text, format) in [
            ("date,KARARE,SONGA\n", Format::WideCsv),
            ("date,place,rain_mm\n", Format::LongCsv),
            ("date,cell,value\n", Format::LongCsv),
            ("-BEGIN HEADER-\nNASA/POWER", Format::NasaPower),
            (
                "latitude,longitude,elevation,utc_offset_seconds,timezone\n",
                Format::OpenMeteo,
            ),
            ("{\"latitude\":1,\"longitude\":37}", Format::OpenMeteo),
            ("[{\"latitude\":1}]", Format::OpenMeteo),
            (
                "{\"type\":\"Feature\",\"geometry\":{},\"properties\":{\"parameter\":{}}}",
                Format::NasaPower,
            ),
        ] {
            assert_eq!(told(text.as_bytes()).unwrap(), format, "{text}");
        }
        assert!(told(b" \n").is_err());
    }

    #[test]
    fn hours_belong_to_the_day_they_fell_in_and_a_day_with_an_hour_missing_is_missing() {
        let start: DateTime<Utc> = "2020-03-01T01:00:00Z".parse().unwrap();
        let hour = |n: i32| start + TimeDelta::hours(n.into());
        let hours: Vec<_> = (0..72)
            .map(|n| (hour(n), Some(f64::from(n / 24 + 1))))
            .collect();
        // UTC days: 24 hours of 1 mm, of 2 mm, of 3 mm
        let days = daily(&hours, Day::Utc).unwrap();
        assert_eq!(days[0], (day("2020-03-01"), Some(24.0)));
        assert_eq!(days[2], (day("2020-03-03"), Some(72.0)));
        // a local day has three hours of the UTC day before it: 3 * 1 + 21 * 2
        let days = daily(&hours, Day::Local).unwrap();
        assert_eq!(
            days[0],
            (day("2020-03-01"), None),
            "begins at 00 UTC: three hours short"
        );
        assert_eq!(days[1], (day("2020-03-02"), Some(45.0)));
        // read at 06 UTC on the 2nd: 18 hours of the 1st and 6 of the 2nd, written under the 2nd
        let days = daily(&hours, Day::Gauge).unwrap();
        assert_eq!(days[0], (day("2020-03-01"), None));
        assert_eq!(days[1], (day("2020-03-02"), Some(30.0)));
        assert_eq!(
            Day::Gauge.boundary().local_day(days[1].0),
            day("2020-03-01")
        );
        let mut gap = hours.clone();
        gap[30].1 = None;
        assert_eq!(daily(&gap, Day::Utc).unwrap()[1], (day("2020-03-02"), None));
        gap.swap(3, 4);
        assert!(daily(&gap, Day::Utc).is_err());
    }

    #[test]
    fn days_that_contradict_the_file_are_refused() {
        assert_eq!(agreed(None, None).unwrap(), Day::Utc);
        assert_eq!(agreed(Some(Day::Local), None).unwrap(), Day::Local);
        assert!(agreed(Some(Day::Local), Some(Day::Gauge)).is_err());
    }
}
