//! Bühlmann credibility: how far a place's own record is believed against the mean of all places.
//! Never believes a record more than it deserves: places that differ no more than chance would
//! make them differ get no weight of their own. Called by `validate` and by rate setting.

use super::burn::{mean, variance};
use super::count;

/// What a set of places with equally long records teaches.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Credibility {
    /// Mean over all places and years.
    pub grand: f64,
    /// Mean variance between years within a place.
    pub within: f64,
    /// Variance between the places' true means; 0 when the data show none.
    pub between: f64,
    /// `within / between`; `None` when `between` is 0.
    pub k: Option<f64>,
    /// Weight of a place's own mean, `n / (n + k)`, 0 to 1.
    pub weight: f64,
}

impl Credibility {
    /// Of one record a place, all of the same length (Bühlmann 1967, unbiased estimators).
    /// `None` for fewer than two places, fewer than two years, or unequal lengths.
    #[must_use]
    pub fn of(places: &[Vec<f64>]) -> Option<Self> {
        let years = places.first()?.len();
        if places.len() < 2 || places.iter().any(|place| place.len() != years) {
            return None;
        }
        let means: Vec<f64> = places
            .iter()
            .map(|place| mean(place))
            .collect::<Option<_>>()?;
        let variances: Vec<f64> = places
            .iter()
            .map(|place| variance(place))
            .collect::<Option<_>>()?;
        let within = mean(&variances)?;
        let between = (variance(&means)? - within / count(years)).max(0.0);
        let k = (between > 0.0).then(|| within / between);
        Some(Self {
            grand: mean(&means)?,
            within,
            between,
            k,
            weight: k.map_or(0.0, |k| count(years) / (count(years) + k)),
        })
    }

    /// A place's mean, drawn towards the grand mean.
    #[must_use]
    pub fn blend(&self, own: f64) -> f64 {
        self.weight * own + (1.0 - self.weight) * self.grand
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hand_worked_case() {
        // two places, three years: means 2 and 6, variances 1 and 1; between 8 − 1/3
        let found = Credibility::of(&[vec![1.0, 2.0, 3.0], vec![5.0, 6.0, 7.0]]).unwrap();
        let k = 1.0 / (8.0 - 1.0 / 3.0);
        assert!((found.grand - 4.0).abs() < 1e-12 && (found.within - 1.0).abs() < 1e-12);
        assert!((found.k.unwrap() - k).abs() < 1e-12);
        assert!((found.blend(2.0) - (4.0 - 2.0 * 3.0 / (3.0 + k))).abs() < 1e-12);
    }

    #[test]
    fn places_that_do_not_differ_are_given_the_mean_of_all() {
        let found = Credibility::of(&[vec![0.0, 1.0], vec![1.0, 0.0]]).unwrap();
        assert_eq!((found.k, found.weight.to_bits()), (None, 0.0_f64.to_bits()));
        assert!((found.blend(0.9) - 0.5).abs() < 1e-12);
    }

    #[test]
    fn records_that_cannot_be_compared_are_refused() {
        assert_eq!(Credibility::of(&[]), None);
        assert_eq!(Credibility::of(&[vec![1.0, 2.0]]), None);
        assert_eq!(Credibility::of(&[vec![1.0], vec![2.0]]), None);
        assert_eq!(Credibility::of(&[vec![1.0, 2.0], vec![2.0]]), None);
    }
}
