//! What the commands' tests share: a small rain file, and a command run as a person runs it. Writes
//! below the system's temporary folder only, and takes its files away again.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use chrono::NaiveDate;
use clap::{Args, Command, FromArgMatches};
use serde_json::Value;

/// Years 2001 to 2012 at two places: all rain of a season falls on 10 April, 30 mm more each year,
/// and TURBI has half of KARARE's. The day `missing` has no reading.
pub(crate) fn rain(name: &str, missing: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("rain-{}-{name}.csv", std::process::id()));
    let first = NaiveDate::from_ymd_opt(2001, 1, 1).unwrap();
    let row = |day: NaiveDate| {
        let date = day.to_string();
        let year: f64 = date.get(2..4).unwrap().parse().unwrap();
        let is_wet = date.ends_with("-04-10");
        let mm = if is_wet { 100.0 + 30.0 * year } else { 0.0 };
        let fields = if date == missing {
            ",".to_owned()
        } else {
            format!("{mm},{}", mm / 2.0)
        };
        format!("{date},{fields}\n")
    };
    let days = first.iter_days().take(365 * 12 + 3).map(row);
    let text: String = std::iter::once("date,KARARE,TURBI\n".to_owned())
        .chain(days)
        .collect();
    std::fs::write(&path, text).unwrap();
    path
}

/// NDVI of the same two places and years by `of` the year, each eighth day of March to May.
pub(crate) fn vegetation(name: &str, of: impl Fn(i32) -> f64) -> PathBuf {
    let path = std::env::temp_dir().join(format!("ndvi-{}-{name}.csv", std::process::id()));
    let mut text = "date,KARARE,TURBI\n".to_owned();
    for year in 2001..=2012 {
        let first = NaiveDate::from_ymd_opt(year, 3, 1).unwrap();
        for day in first.iter_days().step_by(8).take(12) {
            let ndvi = of(year);
            writeln!(text, "{day},{ndvi},{ndvi}").unwrap();
        }
    }
    std::fs::write(&path, text).unwrap();
    path
}

/// Runs a command on the file and gives back its JSON and its picture.
pub(crate) fn answer<A: Args + FromArgMatches>(
    rain: &Path,
    flags: &[&str],
    run: fn(&A) -> anyhow::Result<ExitCode>,
) -> anyhow::Result<(Value, String)> {
    let (json, svg) = (rain.with_extension("json"), rain.with_extension("svg"));
    let mut words = vec!["x".to_owned()];
    for (flag, path) in [("--rain", rain), ("--json", &json), ("--svg", &svg)] {
        words.extend([flag.to_owned(), path.display().to_string()]);
    }
    words.extend(flags.iter().map(|flag| (*flag).to_owned()));
    let found = A::augment_args(Command::new("x"))
        .try_get_matches_from(words)
        .and_then(|matches| A::from_arg_matches(&matches))
        .map_err(anyhow::Error::from)
        .and_then(|asked| run(&asked))
        .and_then(|_| {
            let report = serde_json::from_str(&std::fs::read_to_string(&json)?)?;
            Ok((report, std::fs::read_to_string(&svg)?))
        });
    for path in [rain, &json, &svg] {
        let _ = std::fs::remove_file(path);
    }
    found
}

/// A number of a report, by its JSON pointer.
pub(crate) fn number(report: &Value, pointer: &str) -> f64 {
    report.pointer(pointer).and_then(Value::as_f64).unwrap()
}
