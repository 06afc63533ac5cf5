//! Step schedules: a table of lower bounds and what each pays. Never between two steps: the value
//! of a step holds from its bound, included, up to the next. Used by back-tests of step products.

use super::TermsError;

/// A step table, highest bound first; below the last bound the last step's pay holds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Steps<'a> {
    rows: &'a [(f64, f64)],
}

impl<'a> Steps<'a> {
    /// `(lower bound, included; pays)`: bounds falling, pays never falling.
    pub fn new(rows: &'a [(f64, f64)]) -> Result<Self, TermsError> {
        if rows.is_empty() {
            return Err(TermsError::Zero);
        }
        if rows.iter().any(|(a, b)| !a.is_finite() || !b.is_finite()) {
            return Err(TermsError::NotFinite);
        }
        let is_ordered = |pair: &[(f64, f64)]| matches!(pair, [a, b] if a.0 > b.0 && a.1 <= b.1);
        match rows.windows(2).position(|pair| !is_ordered(pair)) {
            Some(before) => Err(TermsError::Steps {
                position: before.saturating_add(1),
            }),
            None => Ok(Self { rows }),
        }
    }

    /// What an index pays, in the table's unit. Of a table without bounds below it, the last step.
    #[must_use]
    pub fn pays(&self, index: f64) -> f64 {
        self.rows
            .iter()
            .find(|(bound, _)| index >= *bound)
            .or(self.rows.last())
            .map_or(0.0, |(_, pays)| *pays)
    }
}

/// Annual moisture in percent of normal to percent of coverage: the published corn rainfall
/// schedule of the Saskatchewan Crop Insurance Corporation, 25 steps and nothing at 80 or above.
pub const SCIC_CORN_RAIN: [(f64, f64); 26] = [
    (80.0, 0.0),
    (78.0, 3.5),
    (76.0, 7.0),
    (74.0, 10.5),
    (72.0, 14.0),
    (70.0, 17.5),
    (68.0, 21.0),
    (66.0, 24.5),
    (64.0, 28.0),
    (62.0, 31.5),
    (60.0, 35.0),
    (58.0, 39.0),
    (56.0, 43.0),
    (54.0, 47.0),
    (52.0, 51.0),
    (50.0, 55.0),
    (48.0, 59.0),
    (46.0, 63.0),
    (44.0, 67.0),
    (42.0, 71.0),
    (40.0, 75.0),
    (38.0, 80.0),
    (36.0, 85.0),
    (34.0, 90.0),
    (32.0, 95.0),
    (0.0, 100.0),
];

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_bound_belongs_to_its_own_step() {
        let table = Steps::new(&SCIC_CORN_RAIN).unwrap();
        for (moisture, published) in [
            (120.0, 0.0),
            (80.0, 0.0),
            (79.999, 3.5),
            (78.0, 3.5),
            (60.0, 35.0),
            (59.999, 39.0),
            (32.0, 95.0),
            (31.999, 100.0),
            (0.0, 100.0),
        ] {
            let pays = table.pays(moisture);
            assert!(pays.total_cmp(&published).is_eq(), "{moisture}: {pays}");
        }
    }

    #[test]
    fn a_table_out_of_order_is_refused() {
        assert_eq!(
            Steps::new(&[(80.0, 0.0), (82.0, 3.5)]),
            Err(TermsError::Steps { position: 1 })
        );
        assert_eq!(
            Steps::new(&[(80.0, 5.0), (78.0, 3.5)]),
            Err(TermsError::Steps { position: 1 })
        );
        assert_eq!(Steps::new(&[]), Err(TermsError::Zero));
        assert_eq!(Steps::new(&[(f64::NAN, 0.0)]), Err(TermsError::NotFinite));
    }

    proptest! {
        #[test]
        fn more_moisture_never_pays_more(a in 0.0_f64..150.0, more in 0.0_f64..50.0) {
            let table = Steps::new(&SCIC_CORN_RAIN).unwrap();
            prop_assert!(table.pays(a + more) <= table.pays(a));
        }
    }
}
