//! Families of the climate indices: standardised rain and water balance, evapotranspiration, the
//! crop's water, and the worked examples of FAO-56. A file that cannot be read fails its own family
//! and no other. Reads only below the folder it is given. Called by `validate`.

mod evapotranspiration;
mod files;
mod paper56;
mod standardised;
mod water;

use std::path::Path;

use super::vectors::Compared;
use super::{Outcome, Row};

/// A family's values and what a reader should know, or why it could not be compared.
type Found = anyhow::Result<(Compared, String)>;

/// All rows.
///
/// # Errors
/// None: what cannot be read is a row that fails.
pub fn rows(data: &Path) -> Outcome {
    let mut rows = standardised::rows(data);
    rows.extend(evapotranspiration::rows(data));
    rows.extend(water::rows(data));
    rows.extend(paper56::rows());
    Ok(rows)
}

/// The row of a family; one that could not be compared fails with its reason.
fn family(name: &str, tolerance: f64, found: Found) -> Row {
    match found {
        Ok((compared, note)) => compared.row(name, tolerance, note),
        Err(error) => Row {
            family: name.to_owned(),
            compared: 0,
            deviation: f64::INFINITY,
            tolerance,
            note: format!("{error:#}"),
        },
    }
}

/// Compares two series place by place; a length that differs is a deviation without bound.
fn compare(found: &[Option<f64>], published: &[Option<f64>]) -> Compared {
    let mut compared = Compared::default();
    if found.len() != published.len() {
        compared.near(None, 0.0);
    }
    for (found, published) in found.iter().zip(published) {
        match published {
            // an endless score must be endless the same way
            Some(published) if published.is_infinite() => {
                let is_same = *found == Some(*published);
                compared.near(is_same.then_some(0.0), 0.0);
            }
            Some(published) => compared.near(*found, *published),
            // what is missing must be missing
            None if found.is_some() => compared.near(None, 0.0),
            None => {}
        }
    }
    compared
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_must_be_a_gap_and_an_endless_score_endless() {
        let published = [Some(1.0), None, Some(f64::NEG_INFINITY)];
        let same = compare(&[Some(1.25), None, Some(f64::NEG_INFINITY)], &published);
        assert_eq!((same.values, same.deviation), (2, 0.25));
        for wrong in [
            [None, None, Some(f64::NEG_INFINITY)],
            [Some(1.0), Some(0.0), Some(f64::NEG_INFINITY)],
            [Some(1.0), None, Some(-3.09)],
        ] {
            assert!(compare(&wrong, &published).deviation.is_infinite());
        }
        assert!(compare(&published[..2], &published).deviation.is_infinite());
    }

    #[test]
    fn a_folder_without_files_fails_every_family_that_needs_one() {
        let rows = rows(Path::new("/nowhere")).unwrap();
        let (without, with): (Vec<_>, Vec<_>) = rows.iter().partition(|row| row.compared == 0);
        assert!(
            without
                .iter()
                .all(|row| !row.holds() && row.note.contains("cannot read"))
        );
        assert!(without.len() > 15);
        // the worked examples need no file
        assert!(
            with.iter()
                .all(|row| row.holds() && row.family.starts_with("FAO-56"))
        );
    }
}
