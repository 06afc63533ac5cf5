//! The vectors of `fixtures/vectors.json`, and the count of a comparison. A name that is not there,
//! or no number, is an error and so a failed family; a value not computed is an infinite deviation.
//! Called by the families of `validate`.

use std::path::Path;

use anyhow::{Context, anyhow};
use serde_json::Value;

use super::Row;

/// Half of the last digit of a value printed with so many decimals, and a little for its own
/// rounding: the most a right answer can be off what is printed.
#[must_use]
pub fn half_digit(decimals: u8) -> f64 {
    let unit = (0..decimals).fold(1.0, |unit, _| unit / 10.0);
    0.500_001 * unit
}

/// Reads the vectors below the data folder.
pub fn read(data: &Path) -> anyhow::Result<Value> {
    let path = data.join("fixtures/vectors.json");
    let text = std::fs::read_to_string(&path)
        .with_context(|| format!("cannot read {}", path.display()))?;
    serde_json::from_str(&text).with_context(|| path.display().to_string())
}

/// The value at a JSON pointer: `/karare_mam/totals_mm`.
pub fn at<'a>(vectors: &'a Value, pointer: &str) -> anyhow::Result<&'a Value> {
    vectors
        .pointer(pointer)
        .ok_or_else(|| anyhow!("vectors.json holds no {pointer}"))
}

/// The number at a JSON pointer.
pub fn number(vectors: &Value, pointer: &str) -> anyhow::Result<f64> {
    at(vectors, pointer)?
        .as_f64()
        .ok_or_else(|| anyhow!("vectors.json: {pointer} is not a number"))
}

/// The list of numbers at a JSON pointer.
pub fn numbers(vectors: &Value, pointer: &str) -> anyhow::Result<Vec<f64>> {
    let list = at(vectors, pointer)?.as_array();
    list.and_then(|list| list.iter().map(Value::as_f64).collect())
        .ok_or_else(|| anyhow!("vectors.json: {pointer} is not a list of numbers"))
}

/// The rows of numbers at a JSON pointer; names in them are left out.
pub fn table(vectors: &Value, pointer: &str) -> anyhow::Result<Vec<Vec<f64>>> {
    let wrong = || anyhow!("vectors.json: {pointer} is not a table of numbers");
    let rows = at(vectors, pointer)?.as_array().ok_or_else(wrong)?;
    rows.iter()
        .map(|row| {
            let row = row.as_array().ok_or_else(wrong)?;
            let cells = row.iter().filter(|cell| !cell.is_string());
            cells
                .map(|cell| cell.as_f64().ok_or_else(wrong))
                .collect::<anyhow::Result<Vec<f64>>>()
        })
        .collect()
}

/// The numbers at a JSON pointer with the keys they stand under, as numbers: years, probabilities.
pub fn keyed(vectors: &Value, pointer: &str) -> anyhow::Result<Vec<(f64, f64)>> {
    let wrong = || anyhow!("vectors.json: {pointer} is not a table of numbers");
    let members = at(vectors, pointer)?.as_object().ok_or_else(wrong)?;
    members
        .iter()
        .map(|(key, value)| {
            let key: f64 = key.parse().map_err(|_| wrong())?;
            Ok((key, value.as_f64().ok_or_else(wrong)?))
        })
        .collect()
}

/// What a family has compared so far.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Compared {
    /// Values compared.
    pub values: usize,
    /// Largest deviation, or number of mismatches.
    pub deviation: f64,
}

impl Compared {
    /// Compares a number; one that was not computed, or is none, deviates without bound.
    pub fn near(&mut self, found: Option<f64>, expected: f64) {
        self.values = self.values.saturating_add(1);
        let off = found.map_or(f64::INFINITY, |found| (found - expected).abs());
        // a NaN would be lost by a maximum
        let off = if off.is_nan() { f64::INFINITY } else { off };
        self.deviation = self.deviation.max(off);
    }

    /// Counts a mismatch of what must be equal.
    pub fn same<T: PartialEq>(&mut self, found: &T, expected: &T) {
        self.values = self.values.saturating_add(1);
        if found != expected {
            self.deviation += 1.0;
        }
    }

    /// The row of the family.
    #[must_use]
    pub fn row(self, family: &str, tolerance: f64, note: impl Into<String>) -> Row {
        Row {
            family: family.to_owned(),
            compared: self.values,
            deviation: self.deviation,
            tolerance,
            note: note.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_computed_fails_its_family() {
        for bad in [None, Some(f64::NAN), Some(f64::INFINITY)] {
            let mut compared = Compared::default();
            compared.near(Some(1.0), 1.0);
            compared.near(bad, 1.0);
            compared.near(Some(1.0), 1.0);
            let row = compared.row("any", 1e9, "");
            assert_eq!(row.compared, 3);
            assert!(row.deviation.is_infinite());
        }
    }

    #[test]
    fn mismatches_are_counted() {
        let mut compared = Compared::default();
        compared.same(&1, &1);
        compared.same(&"a", &"b");
        compared.same(&Some(2), &None);
        assert!((compared.deviation - 2.0).abs() < 1e-12);
        assert!((half_digit(3) - 0.000_5).abs() < 1e-8);
    }

    #[test]
    fn a_vector_that_is_not_there_is_an_error() {
        let vectors = serde_json::json!({"a": {"1981": 2.5}, "b": [1, 2], "c": [["x", 3]]});
        assert_eq!(keyed(&vectors, "/a").unwrap(), [(1981.0, 2.5)]);
        assert_eq!(numbers(&vectors, "/b").unwrap(), [1.0, 2.0]);
        assert_eq!(table(&vectors, "/c").unwrap(), [[3.0]]);
        assert!(number(&vectors, "/a").is_err());
        assert!(numbers(&vectors, "/c").is_err());
        assert!(at(&vectors, "/d").is_err());
        assert!(read(Path::new("/nowhere")).is_err());
    }
}
