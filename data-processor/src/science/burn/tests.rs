//! Burn analysis against the published KARARE figures, and what must hold of any record.
//! Reads no file: the 39 totals are printed in the domain notes.

use super::*;
use proptest::prelude::*;

/// Totals of March to May at KARARE, Marsabit, 1981 to 2019, mm (CHIRPS v2 by agrodata).
pub(crate) const KARARE: [f64; 39] = [
    829.50, 584.74, 356.87, 162.12, 584.62, 396.90, 367.26, 703.66, 353.23, 542.43, 217.47, 291.75,
    283.96, 223.71, 373.60, 148.06, 470.80, 380.38, 273.56, 49.16, 365.09, 461.89, 463.37, 389.65,
    336.10, 313.96, 245.77, 237.35, 96.17, 233.74, 80.52, 421.55, 560.93, 309.63, 429.76, 313.38,
    288.94, 650.28, 223.91,
];

/// The years those totals are of.
pub(crate) fn years() -> Vec<f64> {
    (1981..=2019).map(f64::from).collect()
}

/// What 278 mm to 95 mm pays for totals.
pub(crate) fn shares(totals: &[f64]) -> Vec<f64> {
    totals
        .iter()
        .map(|total| deficit_share(*total, 278.0, 95.0))
        .collect()
}

fn close(found: f64, published: f64, within: f64) {
    assert!((found - published).abs() <= within, "{found} {published}");
}

#[test]
fn karare_pays_in_twelve_years_of_39() {
    let paid: Vec<(i32, f64)> = (1981..)
        .zip(shares(&KARARE))
        .filter(|(_, share)| *share > 0.0)
        .collect();
    let published = [
        (1984, 0.6332),
        (1991, 0.3308),
        (1994, 0.2967),
        (1996, 0.7101),
        (1999, 0.0243),
        (2000, 1.0),
        (2007, 0.1761),
        (2008, 0.2221),
        (2009, 0.9936),
        (2010, 0.2419),
        (2011, 1.0),
        (2019, 0.2956),
    ];
    assert_eq!(paid.len(), published.len());
    for ((year, share), (published_year, published)) in paid.into_iter().zip(published) {
        assert_eq!(year, published_year);
        close(share, published, 5e-5);
    }
}

#[test]
fn the_burn_of_karare_is_the_published_one() {
    let burn = Burn::of(&shares(&KARARE)).unwrap();
    assert_eq!((burn.years, burn.paid), (39, 12));
    close(burn.expected, 0.151_904, 5e-7);
    close(burn.sd, 0.299_856, 5e-7);
    close(burn.standard_error, 0.048_015, 5e-7);
    close(burn.frequency(), 0.3077, 5e-5);
    close(burn.largest, 1.0, 0.0);
    // printed 0.196465, of totals with two decimals
    close(recent(&shares(&KARARE), 20, 1.0).unwrap(), 0.196_465, 1e-6);
}

#[test]
fn at_the_level_of_2019_the_same_contract_pays_every_second_year() {
    let line = Line::fit(&years(), &KARARE).unwrap();
    close(line.slope, -4.008, 5e-4);
    close(line.at(2019.0), 283.0, 0.5);
    let moved = detrended(Detrend::Linear, &years(), &KARARE).unwrap();
    let burn = Burn::of(&shares(&moved)).unwrap();
    close(burn.expected, 0.280_05, 5e-6);
    assert_eq!(burn.paid, 20);
}

#[test]
fn a_record_that_has_no_number_yields_none() {
    assert_eq!(Burn::of(&[]), None);
    assert_eq!(Burn::of(&[0.5]), None);
    assert_eq!(Line::fit(&[1.0, 1.0, 1.0], &[1.0, 2.0, 3.0]), None);
    assert_eq!(Line::fit(&[1.0, 2.0], &[1.0, 2.0]), None);
    assert_eq!(detrended(Detrend::Linear, &[2000.0], &[5.0]), None);
    assert_eq!(loess(&[1.0, 2.0, 3.0], &[1.0, 2.0], 0.75), None);
    assert_eq!(recent(&[], 20, 1.0), None);
    assert_eq!(recent(&[0.1], 20, 1.5), None);
}

#[test]
fn older_years_keep_the_weight_they_are_given() {
    let shares = [0.0, 0.0, 1.0, 1.0];
    close(recent(&shares, 2, 0.75).unwrap(), 0.75, 1e-15);
    // a record shorter than the span is its own mean
    close(recent(&shares, 20, 1.0).unwrap(), 0.5, 1e-15);
}

#[test]
fn a_local_line_takes_no_heed_of_what_is_far() {
    // eleven years: the last is an outlier, the first five lie on a line
    let x: Vec<f64> = (0..11).map(f64::from).collect();
    let mut y: Vec<f64> = x.iter().map(|a| 10.0 + 2.0 * a).collect();
    if let Some(last) = y.last_mut() {
        *last = 1_000.0;
    }
    let fitted = loess(&x, &y, 0.5).unwrap();
    close(fitted[0], 10.0, 1e-9);
    close(fitted[3], 16.0, 1e-9);
    assert!(fitted[10] > 500.0);
}

proptest! {
    #[test]
    fn a_straight_trend_is_taken_out_whole_by_either_method(
        slope in -5.0_f64..5.0, level in 500.0_f64..900.0, n in 5_i32..45,
    ) {
        let years: Vec<f64> = (0..n).map(f64::from).collect();
        let totals: Vec<f64> = years.iter().map(|year| level + slope * year).collect();
        let last = totals[totals.len() - 1];
        for method in [Detrend::Linear, Detrend::Loess { span: LOESS_SPAN }] {
            for moved in detrended(method, &years, &totals).unwrap() {
                prop_assert!((moved - last).abs() < 1e-6, "{method:?} {moved} {last}");
            }
        }
    }

    #[test]
    fn more_rain_never_pays_more(total in 0.0_f64..400.0, more in 0.0_f64..100.0) {
        prop_assert!(deficit_share(total + more, 278.0, 95.0) <= deficit_share(total, 278.0, 95.0));
    }

    #[test]
    fn a_burn_lies_between_nothing_and_its_largest_year(
        shares in prop::collection::vec(0.0_f64..=1.0, 2..60),
    ) {
        let burn = Burn::of(&shares).unwrap();
        prop_assert!(0.0 <= burn.expected && burn.expected <= burn.largest + 1e-12);
        prop_assert!(burn.sd <= 0.708);
        prop_assert!(burn.paid <= burn.years);
    }
}
