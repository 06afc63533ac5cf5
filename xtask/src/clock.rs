//! The manual clock of a private system: one RFC 3339 instant in a file, replaced by rename.
//! Never moved by xtask once the processes run: the season driver is its one writer then.
//! Called by demo and up.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, bail};

/// The instant a run starts at: nine in the morning in Nairobi on the day its sale opens. The
/// driver moves the clock on from there; a season of the year after this code was written stands
/// for "now" so that a run is the same whenever it is made.
pub(crate) fn clock_start(season: Option<&str>) -> anyhow::Result<String> {
    let season = season.unwrap_or("MAM-2026");
    let (name, year) = season
        .split_once('-')
        .with_context(|| format!("{season:?} is not a season such as MAM-1984"))?;
    let year: u16 = year
        .parse()
        .ok()
        .filter(|year| (1900..=2200).contains(year))
        .with_context(|| format!("{season:?} has no year"))?;
    // the sale windows of products/*.toml open on these days
    let day = match name {
        "MAM" => "01-15",
        "OND" => "08-15",
        _ => bail!("{season:?}: the seasons are MAM (long rains) and OND (short rains)"),
    };
    Ok(format!("{year}-{day}T06:00:00Z"))
}

/// Puts an instant into a clock file by rename, as every writer of it must.
pub(crate) fn write_clock(file: &Path, instant: &str) -> anyhow::Result<()> {
    let fresh = file.with_extension("tmp");
    fs::write(&fresh, format!("{instant}\n"))?;
    fs::rename(&fresh, file)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_season_starts_when_its_sale_opens() {
        assert_eq!(
            clock_start(Some("MAM-1984")).unwrap(),
            "1984-01-15T06:00:00Z"
        );
        assert!(clock_start(Some("1984")).is_err());
        assert!(clock_start(Some("XYZ-1984")).is_err());
    }
}
