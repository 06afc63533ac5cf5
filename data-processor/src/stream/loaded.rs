//! Everything the indices of a batch of risks follow from, read by a handful of statements whatever
//! the number of risks: products, stations with their days, gridded rain, vegetation. The one place
//! where an index's inputs are put together from rows. Reads only.
//! Called by the stream and by the report of restatements.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use domain::cell::RiskCell;
use domain::evidence::{self, StationEvidence};
use domain::id::{ProductVersionId, RiskId};
use domain::season::Window;
use store::products::ProductVersion;
use store::risks::Risk;
use store::sources::Sources;
use store::{Connection, StoreError, products, sources, stations};

use crate::index::{Engine, Inputs};
use crate::rule::Siting;

/// What gridded datasets and sensors are asked by: the same for all risks of a product and season.
type Asked = (ProductVersionId, i32, Window);

/// What some risks' indices follow from.
#[derive(Debug)]
pub(crate) struct Loaded {
    products: BTreeMap<ProductVersionId, ProductVersion>,
    observers: BTreeMap<RiskId, Vec<StationEvidence>>,
    sources: HashMap<Asked, BTreeMap<RiskCell, Sources>>,
    nothing: Sources,
}

impl Loaded {
    /// Reads what the indices of these risks follow from.
    pub(crate) async fn read(conn: &mut Connection, risks: &[Risk]) -> Result<Self, StoreError> {
        let versions: BTreeSet<ProductVersionId> = risks.iter().map(|risk| risk.version).collect();
        let versions: Vec<ProductVersionId> = versions.into_iter().collect();
        let products = products::list(conn, &versions).await?;
        let windows: Vec<(RiskId, Window)> =
            risks.iter().map(|risk| (risk.id, risk.window)).collect();
        let mut observing = stations::list_observers(conn, &windows).await?;
        let mut observers = BTreeMap::new();
        let mut asked: HashMap<Asked, BTreeSet<RiskCell>> = HashMap::new();
        for risk in risks {
            let found = observing.remove(&risk.id).unwrap_or_default();
            let stations = match products.get(&risk.version) {
                Some(version) => evidence::stated(found, &version.product),
                None => found,
            };
            observers.insert(risk.id, stations);
            asked
                .entry((risk.version, risk.season_year, risk.window))
                .or_default()
                .insert(risk.cell);
        }
        let mut sources = HashMap::new();
        for ((version, season_year, window), cells) in asked {
            let Some(product) = products.get(&version).map(|version| &version.product) else {
                continue;
            };
            let cells: Vec<RiskCell> = cells.into_iter().collect();
            let found = sources::list(conn, product, season_year, window, &cells).await?;
            sources.insert((version, season_year, window), found);
        }
        Ok(Self {
            products,
            observers,
            sources,
            nothing: Sources::default(),
        })
    }

    /// The product that covers a risk.
    pub(crate) fn product(&self, risk: &Risk) -> Result<&ProductVersion, StoreError> {
        self.products
            .get(&risk.version)
            .ok_or_else(|| corrupt("product_version_id", risk.id))
    }

    /// The stations of a risk, with their days.
    pub(crate) fn stations(&self, risk: &Risk) -> &[StationEvidence] {
        self.observers.get(&risk.id).map_or(&[], Vec::as_slice)
    }

    /// What the index of a risk is computed from, as it is recorded.
    pub(crate) fn inputs<'a>(&'a self, risk: &Risk) -> Result<Inputs<'a>, StoreError> {
        self.inputs_over(risk, self.stations(risk))
    }

    /// What the index of a risk would be computed from if its stations' days were these.
    pub(crate) fn inputs_over<'a>(
        &'a self,
        risk: &Risk,
        stations: &'a [StationEvidence],
    ) -> Result<Inputs<'a>, StoreError> {
        let product = &self.product(risk)?.product;
        let beside = self
            .sources
            .get(&(risk.version, risk.season_year, risk.window))
            .and_then(|cells| cells.get(&risk.cell))
            .unwrap_or(&self.nothing);
        Ok(Inputs {
            engine: Engine::CURRENT,
            product,
            zone: product
                .zone(&risk.zone)
                .ok_or_else(|| corrupt("zone", risk.id))?,
            cell: risk.cell,
            season_year: risk.season_year,
            window: risk.window,
            siting: Siting::of(stations),
            stations,
            grids: &beside.grids,
            sensors: &beside.sensors,
        })
    }
}

pub(crate) fn corrupt(column: &'static str, risk_id: RiskId) -> StoreError {
    StoreError::Corrupt {
        table: "risks",
        column,
        id: risk_id.to_string(),
    }
}
