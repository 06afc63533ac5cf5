//! Rain of the cell under the fallback order of the second form's contracts: one source leads a
//! block of phases that touch, few missing days are filled from the next, and each day says where
//! it is from. Never fills what the rule leaves missing. Called by `index`.

use chrono::NaiveDate;
use domain::evidence::{CellDay, GridEvidence, Place, StationEvidence};
use domain::measure::{RainUm, from_millimetres};
use domain::money::BasisPoints;
use domain::product::{Product, SourceKind};
use domain::season::{SeasonError, Window};

use super::Inputs;
use crate::rule::{Siting, known};
use crate::science::interpolate::kriging::{Kriging, Variogram};
use crate::science::interpolate::{self, STATIONS_MIN};
use crate::science::sources::{self, Climatology, Offered, SettledDay, Source};
use crate::science::whole;

/// Micrometres in a millimetre.
const UM: f64 = 1_000.0;
/// Parts of a factor as evidence states it.
const E4: f64 = 10_000.0;
/// Thousandths in a unit.
const MILLI: f64 = 1_000.0;
/// No climate: nothing is scaled by it.
const UNKNOWN: Climatology = [None; 36];

/// A source with a name and its days.
struct Named<'a> {
    name: &'a str,
    source: Source,
    days: Vec<Option<f64>>,
    climate: Climatology,
}

/// Rain of every day of the window; days after `as_of` are missing.
pub(super) fn days(inputs: &Inputs<'_>, as_of: NaiveDate) -> Result<Vec<CellDay>, SeasonError> {
    let named = offered(inputs);
    let mut days = Vec::new();
    for block in blocks(inputs.product, inputs.season_year, inputs.window)? {
        let filled_max = inputs.product.settlement.filled_days_max_bp;
        settle_block((inputs.window, block), as_of, &named, filled_max, &mut days);
    }
    Ok(days)
}

/// What the stations and the gridded datasets offer, over the whole window, in the order of the
/// contract.
fn offered<'a>(inputs: &Inputs<'a>) -> Vec<Named<'a>> {
    let mut named = Vec::new();
    match inputs.siting {
        Siting::InCell => {
            for (rank, name) in [(1_u16, "primary"), (2, "second")] {
                named.extend(inputs.stations.iter().find(|s| s.rank == rank).map(|s| {
                    Named {
                        name,
                        source: Source::StationInCell,
                        days: inputs
                            .window
                            .days()
                            .map(|day| known(&s.days, day).map(mm))
                            .collect(),
                        climate: UNKNOWN,
                    }
                }));
            }
        }
        Siting::Around if inputs.product.is_kriged() => named.push(kriged(inputs)),
        Siting::Around => named.push(Named {
            name: "interpolated",
            source: Source::StationsAround,
            days: inputs
                .window
                .days()
                .map(|day| {
                    let mut here: Vec<(u32, RainUm)> = inputs
                        .stations
                        .iter()
                        .filter_map(|s| known(&s.days, day).map(|rain| (s.distance_m, rain)))
                        .collect();
                    here.sort_unstable();
                    interpolate::inverse_distance(&here).map(mm)
                })
                .collect(),
            climate: UNKNOWN,
        }),
    }
    named.extend(inputs.grids.iter().map(|grid| of_grid(grid, inputs.window)));
    named
}

fn mm(rain: RainUm) -> f64 {
    f64::from(rain.0) / UM
}

fn of_grid(grid: &GridEvidence, window: Window) -> Named<'_> {
    let mut climate = UNKNOWN;
    for (mean, um) in climate.iter_mut().zip(&grid.climate_um) {
        *mean = um
            .and_then(|um| i32::try_from(um).ok())
            .map(|um| f64::from(um) / UM);
    }
    Named {
        name: &grid.dataset,
        source: match SourceKind::of(&grid.dataset) {
            Some(SourceKind::Chirps) => Source::Chirps,
            Some(SourceKind::Reanalysis) => Source::Reanalysis,
            _ => Source::OtherSatellite,
        },
        days: window
            .days()
            .map(|day| {
                let at = grid.days.binary_search_by_key(&day, |d| d.day).ok()?;
                grid.days.get(at).map(|d| mm(d.rain_um))
            })
            .collect(),
        climate,
    }
}

/// The variogram of the contract, mm² and km.
pub(super) fn variogram(product: &Product) -> Option<Variogram> {
    let float = |milli: i64| {
        i32::try_from(milli)
            .ok()
            .map(|milli| f64::from(milli) / MILLI)
    };
    let terms = product.settlement.variogram?;
    Some(Variogram {
        nugget: float(terms.nugget_mm2.milli())?,
        sill: float(terms.sill_mm2.milli())?,
        range_km: float(terms.range_km.milli())?,
    })
}

/// Kriging of the cell's centre from these stations; `None` with fewer than three, or with one
/// whose place is not stated.
pub(super) fn kriging(inputs: &Inputs<'_>, stations: &[&StationEvidence]) -> Option<Kriging> {
    if stations.len() < STATIONS_MIN {
        return None;
    }
    let places: Option<Vec<interpolate::place::Place>> =
        stations.iter().map(|s| s.place.map(of_place)).collect();
    let centre = h3o::LatLng::from(inputs.cell.index());
    let target = interpolate::place::Place {
        lat: centre.lat(),
        lon: centre.lng(),
    };
    Kriging::of(variogram(inputs.product)?, target, &places?)
}

fn of_place(place: Place) -> interpolate::place::Place {
    interpolate::place::Place {
        lat: f64::from(place.lat_e6) / 1e6,
        lon: f64::from(place.lon_e6) / 1e6,
    }
}

fn kriged<'a>(inputs: &Inputs<'a>) -> Named<'a> {
    let mut weights: Vec<(Vec<u16>, Option<Vec<f64>>)> = Vec::new();
    let days = inputs
        .window
        .days()
        .map(|day| {
            let here: Vec<(&StationEvidence, f64)> = inputs
                .stations
                .iter()
                .filter_map(|s| known(&s.days, day).map(|rain| (s, mm(rain))))
                .collect();
            let ranks: Vec<u16> = here.iter().map(|(s, _)| s.rank).collect();
            // the same stations have the same weights on every day
            let same = weights.iter().find(|(of, _)| *of == ranks);
            let of_these = if let Some((_, of_these)) = same {
                of_these.clone()
            } else {
                let stations: Vec<&StationEvidence> = here.iter().map(|(s, _)| *s).collect();
                let of_these = kriging(inputs, &stations).map(|k| k.rain_weights());
                weights.push((ranks, of_these.clone()));
                of_these
            }?;
            let sum = of_these
                .iter()
                .zip(&here)
                .fold(0.0, |sum, (weight, (_, mm))| sum + weight * mm);
            // to the micrometre, as every reading: fills and factors start from what is stated
            from_millimetres(sum).ok().map(self::mm)
        })
        .collect();
    Named {
        name: "kriged",
        source: Source::StationsAround,
        days,
        climate: UNKNOWN,
    }
}

/// The window cut into stretches that are settled on one source each: phases that share a day or
/// touch the search for the season's start are one stretch, and so are the days between.
fn blocks(product: &Product, season_year: i32, window: Window) -> Result<Vec<Window>, SeasonError> {
    let mut stretches = Vec::with_capacity(product.phases.len() + 1);
    for phase in &product.phases {
        stretches.push(phase.days.bind(season_year)?);
    }
    if let Some(onset) = &product.season.onset {
        stretches.push(onset.search.bind(season_year)?);
    }
    stretches.sort_by_key(|stretch| (stretch.start, stretch.end));
    let mut merged: Vec<Window> = Vec::new();
    for stretch in stretches {
        let (start, end) = (stretch.start.max(window.start), stretch.end.min(window.end));
        match merged.last_mut() {
            _ if start >= end => {}
            Some(last) if start < last.end => last.end = last.end.max(end),
            _ => merged.push(Window { start, end }),
        }
    }
    let mut blocks = Vec::with_capacity(merged.len().saturating_mul(2));
    let mut from = window.start;
    let rest = Window {
        start: window.end,
        end: window.end,
    };
    for stretch in merged.into_iter().chain([rest]) {
        blocks.push(Window {
            start: from,
            end: stretch.start,
        });
        from = stretch.end;
        blocks.push(stretch);
    }
    blocks.retain(|block| block.start < block.end);
    Ok(blocks)
}

fn settle_block(
    (window, block): (Window, Window),
    as_of: NaiveDate,
    named: &[Named<'_>],
    filled_max: BasisPoints,
    out: &mut Vec<CellDay>,
) {
    let offset = |day: NaiveDate| {
        usize::try_from(day.signed_duration_since(window.start).num_days()).unwrap_or(0)
    };
    let length = block.days().filter(|day| *day <= as_of).count();
    let from = offset(block.start);
    let offers: Vec<Offered<'_>> = named
        .iter()
        .map(|one| Offered {
            source: one.source,
            rain_mm: one
                .days
                .get(from..from.saturating_add(length))
                .unwrap_or_default(),
            climatology: &one.climate,
        })
        .collect();
    let settled = sources::settle(block.start, length, &offers, filled_max);
    let missing = SettledDay::MISSING;
    let known = settled.days.iter().chain(std::iter::repeat(&missing));
    out.extend(block.days().zip(known).map(|(day, settled)| {
        let rain_um = settled.rain_mm.and_then(|mm| from_millimetres(mm).ok());
        let name = settled
            .offer
            .and_then(|at| named.get(at))
            .map(|one| one.name);
        CellDay {
            day,
            rain_um,
            source: rain_um.and(name).unwrap_or("missing").to_owned(),
            factor_e4: whole(settled.factor * E4)
                .and_then(|e4| u16::try_from(e4).ok())
                .filter(|e4| *e4 != 10_000),
        }
    }));
}
