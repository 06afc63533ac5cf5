//! Readers of the fixtures of climate-indices and SPEI-R, and of the Kenyan season totals. An empty
//! field, `NA` and `nan` are missing; a field that is neither number nor missing is an error. Called
//! by the families of `climate`.

use std::path::Path;

use anyhow::{Context, anyhow};

/// Numbers of climate-indices: rows of a year, or one a line; row after row. And the decimals they
/// are printed with, trailing zeros apart: some files are rounded further than they show.
pub(super) fn climate_indices(data: &Path, name: &str) -> anyhow::Result<(Vec<Option<f64>>, u8)> {
    let text = text(data, &format!("fixtures/climate_indices_{name}.csv"))?;
    let mut values = Vec::new();
    let mut decimals = 0;
    for field in text.lines().flat_map(|line| line.split(',')) {
        let value = number(field).with_context(|| name.to_owned())?;
        if let (Some(_), Some((_, fraction))) = (value, field.trim().split_once('.')) {
            let kept = fraction.trim_end_matches('0').len();
            decimals = decimals.max(u8::try_from(kept).unwrap_or(u8::MAX));
        }
        values.push(value);
    }
    Ok((values, decimals))
}

/// Numbers of SPEI-R: a header line, then one a line; an empty string is missing.
pub(super) fn spei_r(data: &Path, name: &str) -> anyhow::Result<Vec<Option<f64>>> {
    let text = text(data, &format!("fixtures/SPEI_R_{name}.csv"))?;
    let lines = text.lines().skip(1);
    lines
        .map(|line| number(line).with_context(|| name.to_owned()))
        .collect()
}

/// A table of SPEI-R: a header of names, then a row a line, by spaces; columns by name.
pub(super) fn table(
    data: &Path,
    name: &str,
    columns: &[&str],
) -> anyhow::Result<Vec<Vec<Option<f64>>>> {
    let text = text(data, &format!("fixtures/SPEI_R_{name}.txt"))?;
    let mut lines = text.lines();
    let header = lines.next().unwrap_or_default();
    let names: Vec<&str> = header
        .split_whitespace()
        .map(|name| name.trim_matches('"'))
        .collect();
    let places = places(&names, columns)?;
    let rows = lines.filter(|line| !line.trim().is_empty());
    rows.map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        pick(&fields, &places).with_context(|| name.to_owned())
    })
    .collect()
}

/// Columns of a file of Kenya, by name.
pub(super) fn kenya(
    data: &Path,
    name: &str,
    columns: &[&str],
) -> anyhow::Result<Vec<Vec<Option<f64>>>> {
    let path = format!("kenya/{name}");
    let text = text(data, &path)?;
    let mut lines = text.lines();
    let names: Vec<&str> = lines.next().unwrap_or_default().split(',').collect();
    let places = places(&names, columns)?;
    lines
        .map(|line| {
            let fields: Vec<&str> = line.split(',').collect();
            pick(&fields, &places).with_context(|| path.clone())
        })
        .collect()
}

fn text(data: &Path, name: &str) -> anyhow::Result<String> {
    let path = data.join(name);
    std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
}

fn places(names: &[&str], columns: &[&str]) -> anyhow::Result<Vec<usize>> {
    let place = |column: &&str| {
        let found = names.iter().position(|name| name == column);
        found.ok_or_else(|| anyhow!("there is no column {column}"))
    };
    columns.iter().map(place).collect()
}

fn pick(fields: &[&str], places: &[usize]) -> anyhow::Result<Vec<Option<f64>>> {
    let field = |place: &usize| number(fields.get(*place).copied().unwrap_or_default());
    places.iter().map(field).collect()
}

fn number(field: &str) -> anyhow::Result<Option<f64>> {
    let field = field.trim().trim_matches('"');
    if field.is_empty() || field == "NA" || field.eq_ignore_ascii_case("nan") {
        return Ok(None);
    }
    let number: f64 = field
        .parse()
        .map_err(|_| anyhow!("{field} is not a number"))?;
    Ok(Some(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_is_told_from_wrong() {
        for missing in ["", "\"\"", " NA ", "nan", "NaN"] {
            assert_eq!(number(missing).unwrap(), None, "{missing}");
        }
        assert_eq!(number("-inf").unwrap(), Some(f64::NEG_INFINITY));
        assert_eq!(number(" 1.5").unwrap(), Some(1.5));
        assert!(number("1,5").is_err());
        assert!(places(&["a", "b"], &["c"]).is_err());
    }
}
