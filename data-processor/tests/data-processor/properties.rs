//! What must hold of every document in `products/` that rain settles, drafts included, through the
//! whole pure pipeline from stations' days to the shilling: no gain from a gap, no gain from rain
//! in a drought cover, bounds, and no sense of order. A new document is tested by being there.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up must fail")]

use std::path::Path;
use std::sync::LazyLock;

use chrono::{Days, NaiveDate};
use data_processor::index::{Computed, Engine, Inputs, compute};
use data_processor::rule::Siting;
use data_processor::verify::verify;
use domain::evidence::{
    BUNDLE_FORM, Bundle, GridDay, GridEvidence, Scene, ScheduleLine, SeasonsEvidence,
    SensorEvidence, StationDay, StationEvidence, stated,
};
use domain::measure::RainUm;
use domain::money::Money;
use domain::product::{Anchor, IndexTerms, Product, Zone};
use domain::season::Window;
use domain::settle::{Outcome, Settlement, settle};
use proptest::collection::vec;
use proptest::prelude::*;

const YEAR: i32 = 2026;
/// Days of a drawn season; no document covers more.
const DAYS: usize = 160;
const CELL: &str = "877a5c541ffffff";

static PRODUCTS: LazyLock<Vec<Product>> = LazyLock::new(|| {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../products");
    let mut paths: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|end| end == "toml"))
        .collect();
    paths.sort();
    let read = |path| Product::from_toml(&std::fs::read_to_string(path).unwrap()).unwrap();
    let shipped = paths.iter().map(read).filter(is_settled_by_rain);
    // and a house product with every fallback there is
    let house = Product::from_toml(super::house::HOUSE).unwrap();
    shipped.chain([house]).collect()
});

fn is_settled_by_rain(product: &Product) -> bool {
    product
        .phases
        .iter()
        .all(|phase| phase.index().is_of_rain())
}

/// A season as it is drawn: everything else follows from it and the document.
#[derive(Debug, Clone)]
struct Season {
    /// Rain by day from the cover's first on, µm.
    rain: Vec<i32>,
    /// Days that the leading station lacks, as parts of a thousand of the window.
    gaps: Vec<usize>,
    /// Stations in the cell, 0 to 2, or 3 to 5 around it.
    stations: u16,
    /// Whether the document's gridded datasets are at hand.
    has_grids: bool,
    /// NDVI of every scene, 1e-4, where the cell was seen.
    ndvi: Option<i16>,
    /// Which zone of the document.
    zone: usize,
}

/// Everything an index run is made from, for one document.
#[derive(Debug, Clone)]
struct Case<'a> {
    product: &'a Product,
    zone: &'a Zone,
    siting: Siting,
    stations: Vec<StationEvidence>,
    grids: Vec<GridEvidence>,
    sensors: Vec<SensorEvidence>,
}

impl<'a> Case<'a> {
    /// The season under a document: the one place that knows what the pipeline takes.
    fn of(product: &'a Product, season: &Season) -> Self {
        Self {
            product,
            zone: &product.zones[season.zone % product.zones.len()],
            siting: if season.stations > 2 {
                Siting::Around
            } else {
                Siting::InCell
            },
            stations: (1..=season.stations)
                .map(|rank| station(rank, product, season))
                .collect(),
            grids: (3..)
                .zip(product.grid_datasets())
                .map(|(seed, dataset)| GridEvidence {
                    dataset,
                    days: series(product, season, seed)
                        .filter(|_| season.has_grids)
                        .map(|(day, um)| GridDay {
                            day,
                            rain_um: RainUm(um),
                        })
                        .collect(),
                    climate_um: vec![Some(30_000 + 5_000 * seed); 36],
                })
                .collect(),
            sensors: product
                .sensors()
                .into_iter()
                .map(|sensor| sensed(sensor, product, season))
                .collect(),
        }
    }

    fn window(&self) -> Window {
        self.product.cover_window(YEAR).unwrap()
    }

    fn compute(&self) -> Computed {
        let inputs = Inputs {
            engine: Engine::CURRENT,
            product: self.product,
            zone: self.zone,
            cell: CELL.parse().unwrap(),
            season_year: YEAR,
            window: self.window(),
            siting: self.siting,
            stations: &self.stations,
            grids: &self.grids,
            sensors: &self.sensors,
        };
        compute(&inputs, self.window().last_day()).unwrap()
    }

    fn settled(&self, computed: &Computed) -> Option<Settlement> {
        match settle(self.product, self.zone, &computed.observed()).unwrap() {
            Outcome::Settled(settlement) => Some(settlement),
            Outcome::Deferred { missing_days } => {
                assert!(missing_days > 0);
                None
            }
        }
    }

    /// What each sum on offer is paid; `None` while there is no number.
    fn schedule(&self, computed: &Computed) -> Option<Vec<ScheduleLine>> {
        let settlement = self.settled(computed)?;
        let line = |kes: &i64| {
            let sum_insured = Money::kes(*kes).unwrap();
            ScheduleLine {
                sum_insured,
                payout: settlement.payout(sum_insured).unwrap(),
            }
        };
        Some(self.product.sums_insured_kes.iter().map(line).collect())
    }

    fn payout(&self) -> (Option<i64>, Computed) {
        let computed = self.compute();
        let largest = self.schedule(&computed);
        (
            largest.map(|lines| lines.last().unwrap().payout.minor),
            computed,
        )
    }

    fn bundle(&self, computed: Computed) -> Option<Vec<u8>> {
        let settlement = self.settled(&computed)?;
        let schedule = self.schedule(&computed)?;
        let bundle = Bundle {
            form: BUNDLE_FORM.to_owned(),
            engine: Engine::CURRENT.as_str().to_owned(),
            product: self.product.clone(),
            product_hash: self.product.hash(),
            zone: self.zone.code.clone(),
            cell: CELL.parse().unwrap(),
            season_year: YEAR,
            window: self.window(),
            stations: stated(self.stations.clone(), self.product),
            grids: self.grids.clone(),
            sensors: self.sensors.clone(),
            observed: computed.observed(),
            checks: computed.checks,
            days: computed.days,
            settlement,
            schedule,
        };
        Some(bundle.bytes())
    }
}

/// A scene every fifth day, against a baseline of 0.25 to 0.53.
fn sensed(sensor: String, product: &Product, season: &Season) -> SensorEvidence {
    let days = product
        .vegetation
        .iter()
        .map(|terms| terms.days.bind(YEAR).unwrap());
    let days = days
        .flat_map(|window| window.days().step_by(5))
        .zip(season.ndvi.into_iter().cycle());
    SensorEvidence {
        sensor,
        scenes: days
            .map(|(day, ndvi_e4)| Scene {
                day,
                ndvi_e4,
                valid_bp: 9_500,
                source: "drawn".to_owned(),
            })
            .collect(),
        baseline: Some(SeasonsEvidence {
            seasons: (0..15).map(|n| Some(250_000 + 20_000 * n)).collect(),
            dekads: vec![Some(390_000); 9],
        }),
    }
}

/// The drawn rain as another instrument tells it: other amounts, and days moved.
fn series<'a>(
    product: &Product,
    season: &'a Season,
    seed: i64,
) -> impl Iterator<Item = (NaiveDate, i32)> + use<'a> {
    let shift = usize::try_from(seed - 1).unwrap();
    let part = i32::try_from(seed % 4 + 6).unwrap();
    let days: Vec<NaiveDate> = product.cover_window(YEAR).unwrap().days().collect();
    days.into_iter().enumerate().map(move |(at, day)| {
        let um = season.rain[(at + shift) % DAYS];
        (day, if seed == 1 { um } else { um / 10 * part })
    })
}

fn station(rank: u16, product: &Product, season: &Season) -> StationEvidence {
    let length = usize::try_from(product.cover_window(YEAR).unwrap().day_count()).unwrap();
    let is_gap = |at: usize| rank == 1 && season.gaps.iter().any(|gap| gap * length / 1_000 == at);
    let days = series(product, season, rank.into()).enumerate();
    StationEvidence {
        id: format!("station-{rank}"),
        rank,
        distance_m: 400 + 700 * u32::from(rank),
        data_quality_e4: 9_700,
        location_quality_e4: 10_000,
        place: None,
        days: days
            .map(|(at, (day, um))| StationDay {
                day,
                rain_um: (!is_gap(at)).then_some(RainUm(um)),
                samples: 96,
                resets: 0,
                flags: vec![],
                replies: vec![],
            })
            .collect(),
    }
}

/// Mostly dry days, some wet, few torrents; gaps from none to half the season.
fn any_season() -> impl Strategy<Value = Season> {
    let day = prop_oneof![
        5 => Just(0),
        3 => 0..15_000_i32,
        1 => 0..120_000_i32,
    ];
    let gaps = prop_oneof![
        2 => vec(0_usize..1_000, 0..1),
        3 => vec(0_usize..1_000, 1..10),
        1 => vec(0_usize..1_000, 10..70),
    ];
    (
        (vec(day, DAYS), gaps, 1_u16..=2, any::<bool>()),
        (proptest::option::of(2_000_i16..6_000), 0_usize..100),
    )
        .prop_map(|((rain, gaps, stations, has_grids), (ndvi, zone))| Season {
            rain,
            gaps,
            stations,
            has_grids,
            ndvi,
            zone,
        })
}

/// Whether any day of the cell is from elsewhere than the leading station.
fn is_switched(computed: &Computed) -> bool {
    let sources = computed.days.iter().map(|day| day.source.as_str());
    sources
        .into_iter()
        .any(|source| !["primary", "missing"].contains(&source))
}

/// Whether more rain can only pay more: covers of wet days and wettest runs.
fn is_of_excess_rain(product: &Product) -> bool {
    let mut phases = product.phases.iter();
    phases.any(|phase| {
        matches!(
            phase.index(),
            IndexTerms::Rx { .. } | IndexTerms::WetDays { .. }
        )
    })
}

#[test]
fn the_documents_that_rain_settles_are_all_here() {
    let shipped = PRODUCTS.iter().take(PRODUCTS.len() - 1);
    let codes: Vec<&str> = shipped.map(|product| product.code.as_str()).collect();
    let expected = [
        "KE-MZ-DI-LR",
        "KE-MZ-GERM",
        "KE-MZ-PD-LR",
        "KE-MZ-PH-SR",
        "KE-MZ-VEG",
        "KE-MZ-WET",
    ];
    assert_eq!(codes, expected);
    let longest = PRODUCTS
        .iter()
        .map(|product| product.cover_window(YEAR).unwrap().day_count());
    assert!(longest.max().unwrap() < u32::try_from(DAYS).unwrap());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// What the leading station lost is filled by a source that is named, or there is no number, or
    /// all that decides was known and it is the very number. Never one from the days that are left.
    #[test]
    fn a_gap_of_the_leading_station_pays_nobody_more(season in any_season()) {
        for product in PRODUCTS.iter() {
            let whole = Season { gaps: vec![], ..season.clone() };
            let (before, _) = Case::of(product, &whole).payout();
            let (after, computed) = Case::of(product, &season).payout();
            prop_assert!(before.is_some(), "{}", product.code);
            prop_assert!(
                is_switched(&computed) || after.is_none() || after == before,
                "{}: {before:?} became {after:?} without a switch", product.code
            );
            // alone it has nobody to switch to
            let alone = Season { stations: 1, has_grids: false, ..season.clone() };
            let (after, computed) = Case::of(product, &alone).payout();
            prop_assert!(!is_switched(&computed));
            prop_assert!(after.is_none() || after == before, "{}", product.code);
        }
    }

    #[test]
    fn a_wetter_day_never_helps_a_drought_cover_nor_hurts_a_flood_cover(
        season in any_season(),
        (at, more) in (0_usize..1_000, 0_i32..80_000),
    ) {
        for product in PRODUCTS.iter() {
            // an onset may move with the rain, and the phases with it
            let mut phases = product.phases.iter();
            if phases.any(|phase| matches!(phase.anchor(), Anchor::Onset { .. })) {
                continue;
            }
            let drier = Case::of(product, &season);
            let mut wetter = drier.clone();
            let days = &mut wetter.stations[0].days;
            let day = at * days.len() / 1_000;
            if let Some(rain) = &mut days[day].rain_um {
                rain.0 += more;
            }
            let ((before, _), (after, _)) = (drier.payout(), wetter.payout());
            prop_assert_eq!(before.is_some(), after.is_some(), "{}", product.code);
            if is_of_excess_rain(product) {
                prop_assert!(after >= before, "{}: {before:?} {after:?}", product.code);
            } else {
                prop_assert!(after <= before, "{}: {before:?} {after:?}", product.code);
            }
        }
    }

    #[test]
    fn every_payout_lies_between_nothing_and_the_sum_insured(
        season in any_season(),
        stations in 0_u16..=5,
    ) {
        let season = Season { stations, ..season };
        for product in PRODUCTS.iter() {
            let case = Case::of(product, &season);
            for line in case.schedule(&case.compute()).iter().flatten() {
                let within = 0..=line.sum_insured.minor;
                prop_assert!(within.contains(&line.payout.minor), "{}: {line:?}", product.code);
            }
        }
    }

    /// Stations and their days in any order: the same manifest, numbers and bytes, and the bytes
    /// verify.
    #[test]
    fn no_order_of_stations_or_days_changes_a_byte(
        season in any_season(),
        stations in 1_u16..=5,
        seed in any::<u64>(),
    ) {
        let season = Season { stations, ..season };
        for product in PRODUCTS.iter() {
            let straight = Case::of(product, &season);
            let mut shuffled = straight.clone();
            shuffle(&mut shuffled.stations, seed);
            for station in &mut shuffled.stations {
                shuffle(&mut station.days, seed ^ u64::from(station.rank));
            }
            let (one, other) = (straight.compute(), shuffled.compute());
            prop_assert_eq!(&one, &other, "{}", &product.code);
            let (one, other) = (straight.bundle(one), shuffled.bundle(other));
            prop_assert_eq!(&one, &other, "{}", &product.code);
            if let Some(bytes) = one {
                prop_assert_eq!(verify(&bytes, None).differences, [], "{}", &product.code);
            }
        }
    }
}

/// Another order, the same for a seed.
fn shuffle<T>(list: &mut [T], seed: u64) {
    let length = u64::try_from(list.len()).unwrap();
    for at in 0..list.len() {
        let other = seed
            .wrapping_mul(u64::try_from(at).unwrap() + 3)
            .rotate_left(23)
            % length;
        list.swap(at, usize::try_from(other).unwrap());
    }
}

/// Two of three stations are too few to interpolate, so that the satellite leads all season: the
/// evidence has no interpolated day, and must verify all the same.
#[test]
fn stations_around_that_never_sufficed_are_evidence_too() {
    let product = PRODUCTS.last().unwrap();
    let season = Season {
        rain: (0..160).map(|day| day % 7 * 1_000).collect(),
        gaps: (0..500).collect(),
        stations: 3,
        has_grids: true,
        ndvi: None,
        zone: 0,
    };
    let case = Case::of(product, &season);
    let computed = case.compute();
    assert!(computed.days.iter().all(|day| day.source == "chirps-v3"));
    let bytes = case.bundle(computed).unwrap();
    assert_eq!(verify(&bytes, None).differences, []);
}

#[test]
fn a_day_outside_the_cover_is_nobodys_business() {
    let season = Season {
        rain: vec![2_000; DAYS],
        gaps: vec![],
        stations: 2,
        has_grids: false,
        ndvi: None,
        zone: 0,
    };
    for product in PRODUCTS.iter() {
        let case = Case::of(product, &season);
        let mut longer = case.clone();
        for station in &mut longer.stations {
            let mut eve = station.days[0].clone();
            eve.day = eve.day - Days::new(1);
            eve.rain_um = Some(RainUm(300_000));
            station.days.insert(0, eve);
        }
        assert_eq!(case.payout().0, longer.payout().0, "{}", product.code);
    }
}
