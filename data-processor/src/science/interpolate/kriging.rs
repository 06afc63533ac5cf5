//! Ordinary kriging with an exponential variogram: the estimate of least variance from a handful
//! of stations, and that variance. A system that has no solution gives none; nothing is forced.
//! Used for cells around which stations stand, and for how far they can be relied on.

use super::place::{Place, haversine_km};

/// A pivot smaller than this part of the sill leaves the system without a solution.
const PIVOT_MIN: f64 = 1e-12;

/// Exponential variogram: nugget + sill (1 - e^(-h / range)), and 0 at no distance.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Variogram {
    /// Half the variance between two gauges side by side, mm².
    pub nugget: f64,
    /// What distance adds to it in the end (the partial sill), mm².
    pub sill: f64,
    /// Distance at which 1 - 1/e of that is reached, km.
    pub range_km: f64,
}

impl Variogram {
    /// Half the expected squared difference at a distance, km, between two places.
    #[must_use]
    pub fn at(self, km: f64) -> f64 {
        self.nugget + self.sill * (1.0 - libm::exp(-km / self.range_km))
    }

    /// Half the squared difference of places so far apart that nothing is known: nugget and sill.
    #[must_use]
    pub fn total(self) -> f64 {
        self.nugget + self.sill
    }
}

/// Solves a system of equations in place by elimination with partial pivoting; `rows` holds each
/// row of coefficients followed by its right side. Fixed order of operations.
#[must_use]
fn solve(rows: &mut [Vec<f64>], pivot_min: f64) -> Option<Vec<f64>> {
    let size = rows.len();
    for column in 0..size {
        let pivot = (column..size).reduce(|best, row| {
            let of = |row: usize| entry(rows, row, column).abs();
            if of(row) > of(best) { row } else { best }
        })?;
        if entry(rows, pivot, column).abs() <= pivot_min {
            return None;
        }
        rows.swap(column, pivot);
        let leading = rows.get(column)?.clone();
        let head = *leading.get(column)?;
        for row in rows.iter_mut().skip(column.saturating_add(1)) {
            let factor = row.get(column)? / head;
            for (here, there) in row.iter_mut().zip(&leading).skip(column) {
                *here -= factor * there;
            }
        }
    }
    let mut solution = vec![0.0; size];
    for column in (0..size).rev() {
        let row = rows.get(column)?;
        let mut rest = *row.get(size)?;
        for (coefficient, known) in row.iter().zip(&solution).skip(column.saturating_add(1)) {
            rest -= coefficient * known;
        }
        *solution.get_mut(column)? = rest / row.get(column)?;
    }
    Some(solution)
}

fn entry(rows: &[Vec<f64>], row: usize, column: usize) -> f64 {
    rows.get(row)
        .and_then(|row| row.get(column))
        .copied()
        .unwrap_or(0.0)
}

/// How much each station counts, and the variance that leaves.
#[derive(Debug, Clone, PartialEq)]
pub struct Kriging {
    /// Weights in the order of the stations; they add up to one and may be negative.
    pub weights: Vec<f64>,
    /// Kriging variance, mm².
    pub variance: f64,
}

impl Kriging {
    /// Of a target among stations. `None` without stations, or when the system has no solution
    /// (two stations in one place and no nugget).
    #[must_use]
    pub fn of(variogram: Variogram, target: Place, stations: &[Place]) -> Option<Self> {
        if stations.is_empty() {
            return None;
        }
        let to_target: Vec<f64> = stations
            .iter()
            .map(|place| {
                let km = haversine_km(target, *place);
                if km > 0.0 { variogram.at(km) } else { 0.0 }
            })
            .collect();
        let mut rows: Vec<Vec<f64>> = stations
            .iter()
            .enumerate()
            .map(|(this, place)| {
                let between = stations.iter().enumerate().map(|(other, there)| {
                    if this == other {
                        0.0
                    } else {
                        variogram.at(haversine_km(*place, *there))
                    }
                });
                between
                    .chain([1.0])
                    .chain(to_target.get(this).copied())
                    .collect()
            })
            .collect();
        rows.push(stations.iter().map(|_| 1.0).chain([0.0, 1.0]).collect());
        let mut weights = solve(&mut rows, PIVOT_MIN * variogram.total().max(1.0))?;
        let multiplier = weights.pop()?;
        let variance = weights
            .iter()
            .zip(&to_target)
            .fold(0.0, |sum, (weight, gamma)| sum + weight * gamma)
            + multiplier;
        Some(Self {
            weights,
            // a station on the spot leaves none; rounding must not leave less
            variance: variance.max(0.0),
        })
    }

    /// The estimate from the stations' values, in their order.
    #[must_use]
    pub fn estimate(&self, values: &[f64]) -> f64 {
        self.weights
            .iter()
            .zip(values)
            .fold(0.0, |sum, (weight, value)| sum + weight * value)
    }

    /// Weights of which none is negative, adding up to one: what rain, which is never negative, is
    /// interpolated with (Deutsch 1996: negative weights to zero, the rest rescaled).
    #[must_use]
    pub fn rain_weights(&self) -> Vec<f64> {
        let kept = self.weights.iter().map(|w| w.max(0.0));
        let total: f64 = kept.clone().sum();
        kept.map(|weight| weight / total).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VARIOGRAM: Variogram = Variogram {
        nugget: 5.0,
        sill: 40.0,
        range_km: 30.0,
    };
    const TARGET: Place = Place {
        lat: -1.375,
        lon: 37.985,
    };

    fn stations() -> Vec<Place> {
        [(-1.30, 37.90), (-1.50, 38.05), (-1.38, 38.20)]
            .map(|(lat, lon)| Place { lat, lon })
            .to_vec()
    }

    #[test]
    fn the_published_vector_is_met() {
        let kriging = Kriging::of(VARIOGRAM, TARGET, &stations()).unwrap();
        for (found, published) in kriging
            .weights
            .iter()
            .zip([0.475_317, 0.344_903, 0.179_780])
        {
            assert!((found - published).abs() < 5e-7, "{found}");
        }
        let estimate = kriging.estimate(&[12.0, 4.0, 0.0]);
        assert!((estimate - 7.083_421).abs() < 5e-7, "{estimate}");
        assert!((kriging.variance - 23.931_454).abs() < 5e-7);
    }

    #[test]
    fn a_station_on_the_spot_is_taken_as_it_is() {
        let mut places = stations();
        places.push(TARGET);
        let kriging = Kriging::of(VARIOGRAM, TARGET, &places).unwrap();
        assert!((kriging.estimate(&[12.0, 4.0, 0.0, 9.0]) - 9.0).abs() < 1e-9);
        assert!(kriging.variance.abs() < 1e-9);
    }

    #[test]
    fn stations_in_one_place_need_a_nugget() {
        let twice = [stations()[0], stations()[0]];
        let without = Variogram {
            nugget: 0.0,
            ..VARIOGRAM
        };
        assert_eq!(Kriging::of(without, TARGET, &twice), None);
        let with = Kriging::of(VARIOGRAM, TARGET, &twice).unwrap();
        assert!((with.weights[0] - 0.5).abs() < 1e-12);
        assert_eq!(Kriging::of(VARIOGRAM, TARGET, &[]), None);
    }

    #[test]
    fn rain_is_interpolated_without_negative_weights() {
        let kriging = Kriging {
            weights: vec![0.8, 0.4, -0.2],
            variance: 1.0,
        };
        let weights = kriging.rain_weights();
        assert!((weights[0] - 2.0 / 3.0).abs() < 1e-12 && weights[2].abs() < 1e-12);
        assert!((weights.iter().sum::<f64>() - 1.0).abs() < 1e-12);
    }
}
