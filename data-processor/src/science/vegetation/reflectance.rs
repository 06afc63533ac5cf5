//! Sentinel-2 level 2A digital numbers to reflectance and NDVI. The offset of processing baseline
//! 04.00 is taken off once and only where the product has it: forgetting it biases NDVI low, and
//! taking it off twice biases it high. Never a value from a pixel that holds none.

/// Reflectance of one digital number (Sentinel-2 L2A quantification value 10,000).
const REFLECTANCE_PER_DN: f64 = 1e-4;
/// Digital numbers added since baseline 04.00 (`BOA_ADD_OFFSET` −1000, from 25 January 2022).
const OFFSET_DN: f64 = 1_000.0;
/// A baseline without an offset.
const BEFORE_OFFSET: Baseline = Baseline { major: 3, minor: 1 };
/// Reflectance above this is no surface: sun glint, snow edge or a fill value.
const REFLECTANCE_MAX: f64 = 1.2;

/// A processing baseline of the Sentinel-2 ground segment, `04.00`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Baseline {
    /// Before the point.
    pub major: u8,
    /// After it.
    pub minor: u8,
}

impl Baseline {
    /// The first baseline with an offset.
    pub const OFFSET_SINCE: Self = Self { major: 4, minor: 0 };

    /// Reads `04.00`, or `N0400` as in a product's name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (major, minor) = match text.strip_prefix('N') {
            Some(digits) if digits.len() == 4 && digits.is_ascii() => digits.split_at(2),
            Some(_) => return None,
            None => text.split_once('.')?,
        };
        Some(Self {
            major: major.parse().ok()?,
            minor: minor.parse().ok()?,
        })
    }

    /// Digital numbers to take off: 0 before 04.00, 1000 since.
    #[must_use]
    pub fn offset_dn(self) -> f64 {
        if self >= Self::OFFSET_SINCE {
            OFFSET_DN
        } else {
            0.0
        }
    }
}

/// Surface reflectance of a digital number, 0 to 1.2; `None` for the no-data value 0 and for what
/// lies outside after the offset is taken off.
#[must_use]
pub fn reflectance(dn: u16, baseline: Baseline) -> Option<f64> {
    if dn == 0 {
        return None;
    }
    let value = (f64::from(dn) - baseline.offset_dn()) * REFLECTANCE_PER_DN;
    (0.0..=REFLECTANCE_MAX).contains(&value).then_some(value)
}

/// NDVI of red (B04) and near infrared (B08) digital numbers, −1 to 1; `None` where either holds
/// no reflectance or both are zero.
#[must_use]
pub fn ndvi(red: u16, near_infrared: u16, baseline: Baseline) -> Option<f64> {
    let (red, infrared) = (
        reflectance(red, baseline)?,
        reflectance(near_infrared, baseline)?,
    );
    let sum = infrared + red;
    (sum > 0.0).then(|| (infrared - red) / sum)
}

/// NDVI like [`ndvi`], by the digital numbers to take off (0 or 1000) where these are known: a
/// product of a later baseline may have been shifted back already.
#[must_use]
pub fn ndvi_with_offset(red: u16, near_infrared: u16, offset_dn: u16) -> Option<f64> {
    let baseline = if offset_dn == 0 {
        BEFORE_OFFSET
    } else {
        Baseline::OFFSET_SINCE
    };
    ndvi(red, near_infrared, baseline)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const OLD: Baseline = Baseline { major: 3, minor: 1 };
    const NEW: Baseline = Baseline { major: 5, minor: 9 };

    #[test]
    fn the_same_ground_has_the_same_ndvi_before_and_after_the_offset() {
        let old = ndvi(500, 2_500, OLD).unwrap();
        let new = ndvi(1_500, 3_500, NEW).unwrap();
        assert!((old - 2.0 / 3.0).abs() < 1e-12);
        assert!((old - new).abs() < 1e-12);
        // the error that forgetting it would make
        assert!(ndvi(1_500, 3_500, OLD).unwrap() < 0.41);
    }

    #[test]
    fn baselines_are_read_from_both_spellings_and_compared() {
        assert_eq!(Baseline::parse("04.00"), Some(Baseline::OFFSET_SINCE));
        assert_eq!(Baseline::parse("N0509"), Some(NEW));
        assert_eq!(Baseline::parse("N51"), None);
        assert_eq!(Baseline::parse("four"), None);
        let offset = |text| Baseline::parse(text).unwrap().offset_dn() > 0.0;
        assert_eq!(
            ["02.14", "03.01", "04.00", "05.11"].map(offset),
            [false, false, true, true]
        );
    }

    #[test]
    fn no_data_dark_and_glint_hold_no_reflectance() {
        assert_eq!(reflectance(0, OLD), None);
        assert_eq!(reflectance(0, NEW), None);
        assert_eq!(reflectance(999, NEW), None, "below zero");
        assert_eq!(reflectance(1_000, NEW), Some(0.0));
        assert_eq!(reflectance(12_001, OLD), None);
        assert_eq!(reflectance(u16::MAX, NEW), None);
        assert_eq!(ndvi(1_000, 1_000, NEW), None, "nothing to divide by");
        assert_eq!(ndvi(0, 3_000, NEW), None);
    }

    proptest! {
        #[test]
        fn ndvi_lies_between_minus_one_and_one(red: u16, infrared: u16) {
            for baseline in [OLD, NEW] {
                if let Some(value) = ndvi(red, infrared, baseline) {
                    prop_assert!((-1.0..=1.0).contains(&value));
                }
            }
        }
    }
}
