//! The shipped table of wards with the triggers of their zones: where a cell lies, and how little
//! rain is a loss there. Read only; the backend has its own copy in its database.
//! Used by replays and scenarios.

use std::path::Path;
use std::sync::LazyLock;

use anyhow::Context as _;
use domain::cell::{PlotCell, RiskCell};
use domain::product::{Product, ZoneTrigger};
use h3o::LatLng;
use serde::Deserialize;

const WARDS: &str = include_str!("../../../products/wards.csv");
/// Both products have the same zones and triggers.
const PRODUCT: &str = include_str!("../../../products/KE-MZ-PD-LR.toml");
/// Trigger and exit where nothing is sold, mm: an ordinary semi-arid ward.
const TRIGGER_ELSEWHERE_MM: (i32, i32) = (200, 80);

static TABLE: LazyLock<Vec<Ward>> = LazyLock::new(|| {
    let mut reader = csv::Reader::from_reader(WARDS.as_bytes());
    reader.deserialize().filter_map(Result::ok).collect()
});
static TERMS: LazyLock<Option<Product>> = LazyLock::new(|| Product::from_toml(PRODUCT).ok());

/// A ward.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Ward {
    /// Four digits.
    pub(crate) code: String,
    /// Name.
    pub(crate) name: String,
    /// County.
    pub(crate) county: String,
    /// The cell that stands for it.
    pub(crate) plot_cell: PlotCell,
    /// Latitude, millionths of a degree.
    pub(crate) lat_e6: i32,
    /// Longitude, millionths of a degree.
    pub(crate) lon_e6: i32,
}

/// The wards of another table of the same form.
pub(crate) fn read(path: &Path) -> anyhow::Result<Vec<Ward>> {
    let mut reader = csv::Reader::from_path(path)
        .with_context(|| format!("cannot read the wards in {}", path.display()))?;
    let wards: Result<Vec<Ward>, _> = reader.deserialize().collect();
    wards.with_context(|| format!("in the wards of {}", path.display()))
}

/// Every ward, in code order.
pub(crate) fn all() -> &'static [Ward] {
    &TABLE
}

/// The product whose calendar and zones stand for all.
pub(crate) fn product() -> Option<&'static Product> {
    TERMS.as_ref()
}

/// A ward by code.
pub(crate) fn find(code: &str) -> Option<&'static Ward> {
    all().iter().find(|ward| ward.code == code)
}

/// Trigger and exit of the ward nearest to a cell, mm over all phases.
pub(crate) fn terms_near(cell: RiskCell) -> (i32, i32) {
    let centre = LatLng::from(cell.index());
    let distance = |ward: &Ward| {
        let point = LatLng::new(degrees(ward.lat_e6), degrees(ward.lon_e6)).ok();
        point.map_or(f64::MAX, |point| centre.distance_km(point))
    };
    let nearest = all()
        .iter()
        .min_by(|a, b| distance(a).total_cmp(&distance(b)));
    let zone = nearest.and_then(|ward| TERMS.as_ref()?.zone_of_ward(&ward.code));
    zone.map_or(TRIGGER_ELSEWHERE_MM, |zone| {
        let sum = |of: fn(&ZoneTrigger) -> i32| zone.triggers.iter().map(of).sum();
        (
            sum(ZoneTrigger::trigger_whole),
            sum(ZoneTrigger::exit_whole),
        )
    })
}

/// Millionths of a degree in degrees.
pub(crate) fn degrees(millionths: i32) -> f64 {
    f64::from(millionths) / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_ward_has_a_risk_cell_of_its_own_and_zones_have_their_triggers() {
        let cells: std::collections::BTreeSet<_> = all()
            .iter()
            .map(|ward| ward.plot_cell.risk_cell())
            .collect();
        assert_eq!((all().len(), cells.len()), (1_450, 1_450));
        let terms = |code| terms_near(find(code).unwrap().plot_cell.risk_cell());
        assert_eq!(terms("0234"), (278, 95), "Karare, Marsabit");
        assert_eq!(terms("0331"), (150, 50), "Kitui");
        assert_eq!(terms("0001"), TRIGGER_ELSEWHERE_MM, "Mombasa");
    }
}
