//! A house product of the second form and a season under it, for tests: two stations, a gridded
//! dataset, a sensor with its baseline; and the bundle that such a season ends in.
//! Used by the tests of sources, vegetation and evidence.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up must fail")]

use chrono::{Days, NaiveDate};
use data_processor::index::{Computed, Engine, Inputs, compute};
use data_processor::rule::Siting;
use domain::evidence::{
    BUNDLE_FORM, Bundle, GridDay, GridEvidence, Place, Scene, ScheduleLine, SeasonsEvidence,
    SensorEvidence, StationDay, StationEvidence,
};
use domain::measure::RainUm;
use domain::money::Money;
use domain::product::Product;
use domain::season::Window;
use domain::settle::{Outcome, Settlement, settle};

/// Tiers of the house, 60 % weather, 40 % vegetation by z between -0.5 and -2; rain falls back to
/// CHIRPS and ERA5-Land.
pub(crate) const HOUSE: &str =
    include_str!("../../../shared/domain/testdata/products/house-second-form.toml");

/// Season that is settled.
pub(crate) const YEAR: i32 = 2026;

/// Everything that is known of one cell and season.
#[derive(Debug, Clone)]
pub(crate) struct Season {
    pub(crate) product: Product,
    pub(crate) siting: Siting,
    pub(crate) stations: Vec<StationEvidence>,
    pub(crate) grids: Vec<GridEvidence>,
    pub(crate) sensors: Vec<SensorEvidence>,
}

impl Season {
    /// Two stations that agree, 162.12 mm (W = 63.32 %), no gridded rain, no scene.
    pub(crate) fn of_rain() -> Self {
        Self::under(HOUSE)
    }

    pub(crate) fn under(document: &str) -> Self {
        let product = Product::from_toml(document).unwrap();
        let sensors = product.sensors().into_iter();
        let grids = product.grid_datasets().into_iter();
        Self {
            siting: Siting::InCell,
            stations: vec![station(1, &rain(162_120)), station(2, &rain(162_120))],
            grids: grids
                .map(|dataset| GridEvidence {
                    dataset,
                    days: vec![],
                    climate_um: vec![],
                })
                .collect(),
            sensors: sensors
                .map(|sensor| SensorEvidence {
                    sensor,
                    scenes: vec![],
                    baseline: None,
                })
                .collect(),
            product,
        }
    }

    pub(crate) fn window(&self) -> Window {
        self.product.cover_window(YEAR).unwrap()
    }

    /// As of the last day.
    pub(crate) fn computed(&self) -> Computed {
        self.computed_on(self.window().last_day())
    }

    pub(crate) fn computed_on(&self, as_of: NaiveDate) -> Computed {
        compute(&self.inputs(Engine::CURRENT), as_of).unwrap()
    }

    pub(crate) fn inputs(&self, engine: Engine) -> Inputs<'_> {
        Inputs {
            engine,
            product: &self.product,
            zone: &self.product.zones[0],
            cell: "877a5c541ffffff".parse().unwrap(),
            season_year: YEAR,
            window: self.window(),
            siting: self.siting,
            stations: &self.stations,
            grids: &self.grids,
            sensors: &self.sensors,
        }
    }

    /// What it pays; `None` while days are missing.
    pub(crate) fn settled(&self) -> Option<Settlement> {
        let observed = self.computed().observed();
        match settle(&self.product, &self.product.zones[0], &observed).unwrap() {
            Outcome::Settled(settlement) => Some(settlement),
            Outcome::Deferred { .. } => None,
        }
    }

    /// The evidence of a season that has a number.
    pub(crate) fn bundle(&self) -> Bundle {
        let computed = self.computed();
        let settlement = self.settled().unwrap();
        let schedule = self.product.sums_insured_kes.iter().map(|kes| {
            let sum_insured = Money::kes(*kes).unwrap();
            ScheduleLine {
                sum_insured,
                payout: settlement.payout(sum_insured).unwrap(),
            }
        });
        Bundle {
            form: BUNDLE_FORM.to_owned(),
            engine: Engine::CURRENT.as_str().to_owned(),
            product_hash: self.product.hash(),
            zone: "zone".to_owned(),
            cell: "877a5c541ffffff".parse().unwrap(),
            season_year: YEAR,
            window: self.window(),
            stations: self.stations.clone(),
            grids: self.grids.clone(),
            sensors: self.sensors.clone(),
            checks: computed.checks.clone(),
            observed: computed.observed(),
            days: computed.days,
            schedule: schedule.collect(),
            settlement,
            product: self.product.clone(),
        }
    }

    /// Takes days of a station away, counted from the first.
    pub(crate) fn lose(&mut self, rank: usize, days: impl IntoIterator<Item = usize>) {
        for day in days {
            self.stations[rank - 1].days[day].rain_um = None;
        }
    }

    /// What the n-th gridded dataset has on every day.
    pub(crate) fn grid(&mut self, n: usize, rain: &[i32]) {
        let days = self.window().days().zip(rain);
        self.grids[n].days = days
            .map(|(day, um)| GridDay {
                day,
                rain_um: RainUm(*um),
            })
            .collect();
    }

    /// The n-th sensor sees this NDVI (1e-4) every fifth day, `valid_bp` of the ground, against a
    /// baseline of 0.40 with a standard deviation of 0.05 or so.
    pub(crate) fn sees(&mut self, n: usize, ndvi_e4: i16, valid_bp: u16) {
        let start = self.window().start;
        self.sensors[n].scenes = (0..19)
            .map(|fifth| Scene {
                day: start + Days::new(fifth * 5),
                ndvi_e4,
                valid_bp,
                source: format!("sha256:{}", "ab".repeat(32)),
            })
            .filter(|scene| self.product.cover_window(YEAR).unwrap().contains(scene.day))
            .collect();
        self.sensors[n].baseline = Some(baseline());
    }

    pub(crate) fn sources(&self) -> Vec<String> {
        self.computed()
            .days
            .into_iter()
            .map(|day| day.source)
            .collect()
    }
}

/// Twelve seasons of 0.34 to 0.46: mean 0.40, standard deviation 0.0406.
pub(crate) fn baseline() -> SeasonsEvidence {
    let seasons = (0..12).map(|n| Some(340_000 + n * 120_000 / 11)).collect();
    SeasonsEvidence {
        seasons,
        dekads: vec![Some(400_000); 9],
    }
}

/// A season's daily rain of that total: every fifth day is wet.
pub(crate) fn rain(total_um: i32) -> Vec<i32> {
    let wet: Vec<i32> = (0..92)
        .map(|n| if n % 5 == 0 { 3 + n % 4 } else { 0 })
        .collect();
    let weight: i32 = wet.iter().sum();
    let mut days: Vec<i32> = wet.iter().map(|w| total_um / weight * w).collect();
    days[0] += total_um - days.iter().sum::<i32>();
    days
}

pub(crate) fn station(rank: u16, rain: &[i32]) -> StationEvidence {
    let window = Product::from_toml(HOUSE)
        .unwrap()
        .cover_window(YEAR)
        .unwrap();
    StationEvidence {
        id: format!("station-{rank}"),
        rank,
        distance_m: 300 * u32::from(rank),
        data_quality_e4: 9_800,
        location_quality_e4: 10_000,
        place: None,
        days: window
            .days()
            .zip(rain)
            .map(|(day, um)| StationDay {
                day,
                rain_um: Some(RainUm(*um)),
                samples: 96,
                resets: 0,
                flags: vec![],
                replies: vec!["ab".repeat(32)],
            })
            .collect(),
    }
}

/// A place some way from the cell's centre (2.34 N, 37.99 E or so), by millionths of a degree.
pub(crate) fn place(north_e6: i32, east_e6: i32) -> Place {
    let cell: domain::cell::RiskCell = "877a5c541ffffff".parse().unwrap();
    let centre = h3o::LatLng::from(cell.index());
    let e6 = |degrees: f64| data_processor::science::whole(degrees * 1e6).unwrap();
    Place {
        lat_e6: i32::try_from(e6(centre.lat())).unwrap() + north_e6,
        lon_e6: i32::try_from(e6(centre.lng())).unwrap() + east_e6,
    }
}
