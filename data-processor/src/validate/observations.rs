//! Families on observations: the spatial checks of titanlib, the odd days of real Kenyan stations,
//! the CHIRPS series under quality control, interpolation and cells. A file that cannot be read
//! fails its family and no other. Only reads. Called by `validate`.

mod cells;
mod rain;
mod stations;
mod titanlib;
mod yaml;

use std::path::Path;

use anyhow::Context;

use super::{Outcome, Row};

/// The families on observations.
pub fn rows(data: &Path) -> Outcome {
    let mut rows = titanlib::rows(data);
    rows.extend(stations::rows(data));
    rows.extend(rain::rows(data));
    rows.extend(cells::rows(data));
    Ok(rows)
}

/// What a family found.
struct Found {
    compared: usize,
    deviation: f64,
    tolerance: f64,
    note: String,
}

/// The family's row; one that could not be made compares nothing, and so fails.
fn row(family: &str, found: anyhow::Result<Found>) -> Row {
    let found = found.unwrap_or_else(|error| Found {
        compared: 0,
        deviation: f64::INFINITY,
        tolerance: 0.0,
        note: format!("{error:#}"),
    });
    Row {
        family: family.to_owned(),
        compared: found.compared,
        deviation: found.deviation,
        tolerance: found.tolerance,
        note: found.note,
    }
}

/// A family of yes and no: `misses` of `compared`.
fn agreed(compared: usize, misses: usize, note: String) -> Found {
    Found {
        compared,
        deviation: crate::science::count(misses),
        tolerance: 0.0,
        note,
    }
}

fn read(path: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_its_file_every_family_fails_by_name() {
        let rows = rows(Path::new("nowhere")).unwrap();
        assert!(rows.len() > 12);
        for row in &rows {
            assert!(row.compared == 0 && row.note.contains("nowhere"), "{row:?}");
        }
    }
}
