//! Names of rain sources in a product's fallback order and what they stand for. A gridded dataset
//! is named with its version (`chirps-v3`): reprocessed data are another source. Never asks a
//! source. Read by the rules of documents, the index role and verification.

use super::{IndexTerms, Product, ProductError, fault};

/// What a name in `settlement.fallback` stands for, in the order in which sources are asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SourceKind {
    /// `weatherxm-second`: the second station of the cell.
    Second,
    /// `weatherxm-idw` or `weatherxm-kriged`: three or more stations around the cell.
    Around,
    /// `chirps-…`: satellite rain held against gauges.
    Chirps,
    /// `imerg-…`, `arc2…`, `tamsat-…`.
    OtherSatellite,
    /// `era5-…`, `nasa-power…`.
    Reanalysis,
}

/// Name of rain kriged from stations around the cell.
pub const KRIGED: &str = "weatherxm-kriged";

/// Beginnings of the names of gridded datasets.
const GRIDS: [(&str, SourceKind); 6] = [
    ("chirps-", SourceKind::Chirps),
    ("imerg-", SourceKind::OtherSatellite),
    ("arc2", SourceKind::OtherSatellite),
    ("tamsat-", SourceKind::OtherSatellite),
    ("era5-", SourceKind::Reanalysis),
    ("nasa-power", SourceKind::Reanalysis),
];

impl SourceKind {
    /// What a name stands for; `None` when it is not known.
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        match name {
            "weatherxm-second" => Some(Self::Second),
            "weatherxm-idw" | KRIGED => Some(Self::Around),
            _ => GRIDS
                .iter()
                .find(|(start, _)| name.starts_with(start))
                .map(|(_, kind)| *kind),
        }
    }

    /// Whether it is a gridded dataset.
    #[must_use]
    pub fn is_grid(self) -> bool {
        self >= Self::Chirps
    }
}

impl Product {
    /// Gridded datasets that may stand in for stations, in the order in which they are asked; none
    /// in schema 1.
    #[must_use]
    pub fn grid_datasets(&self) -> Vec<String> {
        let fallback = self.settlement.fallback.iter();
        fallback
            .filter(|name| self.schema > 1 && SourceKind::of(name).is_some_and(SourceKind::is_grid))
            .cloned()
            .collect()
    }

    /// Sensors of the vegetation part, in the order in which they are asked.
    #[must_use]
    pub fn sensors(&self) -> Vec<String> {
        self.vegetation.as_ref().map_or_else(Vec::new, |terms| {
            let first = std::iter::once(&terms.sensor);
            first.chain(&terms.fallback).cloned().collect()
        })
    }

    /// Whether rain around the cell is kriged.
    #[must_use]
    pub fn is_kriged(&self) -> bool {
        self.settlement.variogram.is_some()
    }

    /// Every source is known, and stands where its kind is asked.
    pub(super) fn validate_sources(&self) -> Result<(), ProductError> {
        let settlement = &self.settlement;
        let is_of_rain = |index: &IndexTerms| index.is_of_rain();
        if self.phases.iter().any(|phase| is_of_rain(phase.index())) {
            let mut before = SourceKind::Second;
            for name in &settlement.fallback {
                let Some(kind) = SourceKind::of(name) else {
                    let rule = format!(
                        "`{name}` is not known: name weatherxm-second, weatherxm-idw, weatherxm-kriged or a \
                         dataset such as chirps-v3, imerg-v7, era5-land"
                    );
                    return Err(fault("settlement.fallback", rule));
                };
                if kind < before {
                    let rule = format!(
                        "`{name}` stands too late: stations, then CHIRPS, other satellites, reanalysis"
                    );
                    return Err(fault("settlement.fallback", rule));
                }
                before = kind;
            }
        }
        let names_kriging = settlement.fallback.iter().any(|name| name == KRIGED);
        match &settlement.variogram {
            None if names_kriging => Err(fault(
                "settlement.variogram",
                "is needed by weatherxm-kriged",
            )),
            Some(_) if !names_kriging => Err(fault(
                "settlement.variogram",
                "is for weatherxm-kriged, which settlement.fallback does not name",
            )),
            Some(terms) => {
                let figures = [
                    (terms.nugget_mm2.milli(), 0),
                    (terms.sill_mm2.milli(), 1),
                    (terms.range_km.milli(), 1),
                ];
                if figures
                    .iter()
                    .any(|(milli, least)| !(*least..=10_000_000).contains(milli))
                {
                    return Err(fault(
                        "settlement.variogram",
                        "needs nugget_mm2 >= 0, sill_mm2 > 0 and range_km > 0, each at most 10000",
                    ));
                }
                Ok(())
            }
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::product::tests::house;

    fn with(fallback: &[&str]) -> Product {
        let mut product = house();
        product.schema = 2;
        product.settlement.fallback = fallback.iter().map(|&name| name.to_owned()).collect();
        product
    }

    #[test]
    fn gridded_datasets_are_asked_in_their_order() {
        let product = with(&["weatherxm-second", "chirps-v3", "imerg-v7", "era5-land"]);
        assert_eq!(product.validate_sources(), Ok(()));
        assert_eq!(
            product.grid_datasets(),
            ["chirps-v3", "imerg-v7", "era5-land"]
        );
        let first = Product {
            schema: 1,
            ..product
        };
        assert_eq!(first.grid_datasets(), Vec::<String>::new());
    }

    #[test]
    fn an_unknown_or_misplaced_source_is_refused_by_name() {
        for (fallback, said) in [
            (
                &["era5-land", "chirps-v3"][..],
                "`chirps-v3` stands too late",
            ),
            (&["radar"][..], "`radar` is not known"),
            (&["weatherxm-kriged"][..], "needed by weatherxm-kriged"),
        ] {
            let fault = with(fallback).validate_sources().unwrap_err().to_string();
            assert!(fault.contains(said), "{fault}");
        }
    }
}
