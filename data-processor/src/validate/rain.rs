//! Families of rain: contracts that others have published, and forty years of a real place. Each
//! published figure is compared with what the number work and, where money follows, the integers
//! of `domain` make of the same input. Reads below the folder it is given. Called by `validate`.

use std::path::Path;

use super::{Outcome, vectors};

mod contracts;
mod integers;
mod karare;
mod starts;

/// All rain families below the data folder.
pub fn rows(data: &Path) -> Outcome {
    let vectors = vectors::read(data)?;
    let mut rows = contracts::rows(&vectors)?;
    rows.extend(karare::rows(data, &vectors)?);
    rows.extend(integers::rows(data)?);
    Ok(rows)
}
