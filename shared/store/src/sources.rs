//! What an index may rest on beside stations, as evidence: gridded rain and vegetation of cells, for
//! one product and season. The index role and the decision read it by this one function, so that a
//! bundle states the very rows its numbers follow from. Never chooses among them.

use std::collections::BTreeMap;

use domain::cell::RiskCell;
use domain::evidence::{GridDay, GridEvidence, Scene, SeasonsEvidence, SensorEvidence};
use domain::product::Product;
use domain::season::Window;
use sqlx::PgConnection;

use crate::decode::corrupt;
use crate::error::StoreError;
use crate::{baselines, grids, scenes};

/// What gridded datasets and sensors say of a cell, each in the product's order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sources {
    /// Gridded rain within the window.
    pub grids: Vec<GridEvidence>,
    /// Vegetation within the days that count, and its baseline.
    pub sensors: Vec<SensorEvidence>,
}

/// The sources of some cells under one product and season. A cell that nothing is known of is in
/// the answer with empty series, so that its evidence says that nothing was.
pub async fn list(
    conn: &mut PgConnection,
    product: &Product,
    season_year: i32,
    window: Window,
    cells: &[RiskCell],
) -> Result<BTreeMap<RiskCell, Sources>, StoreError> {
    let (datasets, sensors) = (product.grid_datasets(), product.sensors());
    let mut found: BTreeMap<RiskCell, Sources> = cells
        .iter()
        .map(|cell| (*cell, Sources::default()))
        .collect();
    if !datasets.is_empty() {
        let mut days = grids::list(conn, &datasets, cells, window).await?;
        let mut climates = grids::list_climates(conn, &datasets, cells).await?;
        for (cell, sources) in &mut found {
            sources.grids = datasets
                .iter()
                .map(|dataset| {
                    let key = (dataset.clone(), *cell);
                    let series = days.remove(&key).unwrap_or_default().into_iter();
                    GridEvidence {
                        dataset: dataset.clone(),
                        days: series
                            .map(|(day, rain_um)| GridDay { day, rain_um })
                            .collect(),
                        climate_um: climates
                            .remove(&key)
                            .map(|climate| climate.dekads)
                            .unwrap_or_default(),
                    }
                })
                .collect();
        }
    }
    let Some(terms) = &product.vegetation else {
        return Ok(found);
    };
    let days = terms.days.bind(season_year).map_err(|error| {
        let id = format!("{}: {error}", product.code);
        corrupt("product_versions", "document", id)
    })?;
    let years = (terms.baseline_first, terms.baseline_last);
    let mut seen = scenes::list(conn, &sensors, cells, days).await?;
    let mut known = baselines::list(conn, &sensors, cells, &terms.days.to_string(), years).await?;
    for (cell, sources) in &mut found {
        sources.sensors = sensors
            .iter()
            .map(|sensor| {
                let key = (sensor.clone(), *cell);
                let scenes = seen.remove(&key).unwrap_or_default().into_iter();
                SensorEvidence {
                    sensor: sensor.clone(),
                    scenes: scenes
                        .map(|scene| Scene {
                            day: scene.day,
                            ndvi_e4: scene.ndvi_e4,
                            valid_bp: scene.valid_bp,
                            source: scene.source,
                        })
                        .collect(),
                    baseline: known.remove(&key).map(|baseline| SeasonsEvidence {
                        seasons: baseline.seasons,
                        dekads: baseline.dekads,
                    }),
                }
            })
            .collect();
    }
    Ok(found)
}
