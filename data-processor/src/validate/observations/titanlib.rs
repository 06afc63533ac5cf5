//! The published cases of titanlib (MET Norway), read from its own files: buddy, isolation,
//! duplicate, metadata and range checks. Every case in a file must come out as printed.
//! Called by the families on observations.

use std::path::Path;

use anyhow::{Context, bail, ensure};
use serde_json::{Map, Value};

use super::{Found, Row, agreed, read, row, yaml};
use crate::science::qc::spatial::{
    Buddies, Known, Point, buddy, duplicates, isolated, out_of_range, without_metadata,
};

/// Checks with a file of cases each.
const CHECKS: [&str; 5] = [
    "buddy_check",
    "isolation_check",
    "duplicate_check",
    "metadata_check",
    "range_check",
];

pub(super) fn rows(data: &Path) -> Vec<Row> {
    CHECKS
        .into_iter()
        .map(|check| {
            let file = data.join("fixtures").join(format!("titanlib_{check}.yml"));
            let family = format!("titanlib {}", check.replace('_', " "));
            row(&family, cases(check, &file))
        })
        .collect()
}

/// Values of a case, odd or not, and how many cases.
fn cases(check: &str, file: &Path) -> anyhow::Result<Found> {
    let document = yaml::parse(&read(file)?)?;
    let (mut compared, mut misses, mut tests) = (0_usize, 0_usize, 0_usize);
    for set in document.as_array().context("no list of data sets")? {
        let dataset = set.get("dataset").context("a set without data")?;
        let base = set.get("base_args").and_then(Value::as_object);
        for test in set
            .get("tests")
            .and_then(Value::as_array)
            .context("a set without tests")?
        {
            let name = test
                .get("type")
                .or_else(|| set.get("base_test"))
                .and_then(Value::as_str)
                .context("a test without a type")?;
            ensure!(name == check, "a case of `{name}` among those of `{check}`");
            let mut args = base.cloned().unwrap_or_default();
            if let Some(own) = test.get("args").and_then(Value::as_object) {
                args.extend(own.clone());
            }
            let expected = numbers(test, "expected")?;
            let found = run(check, dataset, &args)?;
            ensure!(found.len() == expected.len(), "a case of another length");
            tests = tests.saturating_add(1);
            // an empty set agrees by being empty
            compared = compared.saturating_add(found.len().max(1));
            let wrong = found.iter().zip(&expected).filter(|(is_odd, printed)| {
                let printed = printed.is_some_and(|flag| flag > 0.5);
                **is_odd != printed
            });
            misses = misses.saturating_add(wrong.count());
        }
    }
    Ok(agreed(compared, misses, format!("{tests} cases")))
}

fn run(check: &str, dataset: &Value, args: &Map<String, Value>) -> anyhow::Result<Vec<bool>> {
    let points = points(dataset)?;
    let number = |name: &str| -> anyhow::Result<f64> {
        // titanlib takes some as a list of one
        let value = args
            .get(name)
            .with_context(|| format!("no argument `{name}`"))?;
        let one = value.as_array().and_then(|list| list.first());
        one.unwrap_or(value)
            .as_f64()
            .with_context(|| format!("`{name}` is no number"))
    };
    let optional = |name: &str| args.get(name).and_then(Value::as_f64);
    let many = |name: &str| {
        usize::try_from(crate::science::whole(number(name)?).unwrap_or(0)).context("negative")
    };
    let is_asked = |name: &str| args.get(name).and_then(Value::as_bool).unwrap_or(true);
    Ok(match check {
        "buddy_check" => {
            let gap = number("max_elev_diff")?;
            let terms = Buddies {
                radius_m: number("radius")?,
                buddies_min: many("num_min")?,
                threshold: number("threshold")?,
                // titanlib: none or less than none, and elevations are not looked at
                elevation_gap_m_max: (gap > 0.0).then_some(gap),
                gradient_per_m: number("elev_gradient")?,
                std_min: number("min_std")?,
                passes: u32::try_from(many("num_iterations")?)?,
            };
            buddy(&points, &numbers(dataset, "values")?, &terms)
        }
        "isolation_check" => isolated(
            &points,
            many("num_min")?,
            number("radius")?,
            optional("vertical_radius"),
        ),
        "duplicate_check" => duplicates(&points, number("radius")?, optional("vertical_range")),
        "metadata_check" => without_metadata(
            &points,
            Known {
                lat: is_asked("check_lat"),
                lon: is_asked("check_lon"),
                elevation: is_asked("check_elev"),
                land_share: is_asked("check_laf"),
            },
        ),
        "range_check" => {
            let limits = |name: &str| -> anyhow::Result<Vec<f64>> {
                let list = args.get(name).and_then(Value::as_array);
                let list = list.with_context(|| format!("no limits `{name}`"))?;
                list.iter()
                    .map(|limit| limit.as_f64().context("a limit is no number"))
                    .collect()
            };
            out_of_range(
                &numbers(dataset, "values")?,
                &limits("min")?,
                &limits("max")?,
            )
            .context("limits of another length")?
        }
        other => bail!("no check `{other}`"),
    })
}

/// A list of numbers, null where there is none.
fn numbers(of: &Value, name: &str) -> anyhow::Result<Vec<Option<f64>>> {
    let list = of.get(name).and_then(Value::as_array);
    let list = list.with_context(|| format!("no list `{name}`"))?;
    Ok(list.iter().map(Value::as_f64).collect())
}

fn points(dataset: &Value) -> anyhow::Result<Vec<Point>> {
    let (lats, lons) = (numbers(dataset, "lats")?, numbers(dataset, "lons")?);
    let elevations = numbers(dataset, "elevs")?;
    let land = numbers(dataset, "lafs").unwrap_or_default();
    let at = |list: &[Option<f64>], n: usize| list.get(n).copied().flatten();
    Ok((0..lats.len())
        .map(|n| Point {
            lat: at(&lats, n),
            lon: at(&lons, n),
            elevation_m: at(&elevations, n),
            land_share: at(&land, n),
        })
        .collect())
}
