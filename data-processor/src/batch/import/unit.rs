//! Units of rain: which one a file declares, and what that is in millimetres. A unit that is not
//! known is refused, and a file whose rain cannot be millimetres is told before anything is
//! written. Never guesses a unit. Used by the readers of `import`.

use anyhow::{bail, ensure};
use chrono::NaiveDate;
use clap::ValueEnum;

use crate::science::count;

/// Millimetres in a metre and in an inch.
const MM_PER_M: f64 = 1_000.0;
const MM_PER_INCH: f64 = 25.4;
/// Mean rain of a year that the wettest place of a file can have, mm: Kenya's driest places have
/// 100 to 200, its wettest 2,700. Metres or inches taken for millimetres fall below, tenths of a
/// millimetre above.
const YEAR_MM: (f64, f64) = (30.0, 6_000.0);
/// Known days below which nothing is said of a year.
const DAYS_MIN: usize = 300;
/// Seconds of a day.
const DAY_SECONDS: f64 = 86_400.0;
/// Days of a year.
const DAYS_PER_YEAR: f64 = 365.25;

/// A unit of a day's rain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Unit {
    /// Millimetres, which are kilograms on a square metre.
    Mm,
    /// Metres of water, as ERA5 has it.
    M,
    /// Inches.
    Inch,
    /// A flux in kilograms on a square metre a second, as climate models have it.
    #[value(name = "kg-m2-s1")]
    Flux,
}

impl Unit {
    /// Reads what a file declares.
    pub(crate) fn parse(text: &str) -> anyhow::Result<Self> {
        let plain: String = text
            .chars()
            .filter(|c| !c.is_whitespace() && !"*^._()".contains(*c))
            .flat_map(char::to_lowercase)
            .collect();
        Ok(match plain.as_str() {
            "mm" | "millimeter" | "millimeters" | "millimetre" | "millimetres" | "mm/day"
            | "mm/d" | "mmday-1" | "mmd-1" | "kgm-2" | "kg/m2" | "kgm-2day-1" | "kgm-2d-1" => {
                Self::Mm
            }
            "m" | "meter" | "meters" | "metre" | "metres" | "m/day" | "mofwaterequivalent" => {
                Self::M
            }
            "in" | "inch" | "inches" | "in/day" | "inch/day" => Self::Inch,
            "kgm-2s-1" | "kg/m2/s" | "kg/m2s" | "mm/s" | "mms-1" => Self::Flux,
            _ => bail!(
                "the file declares the unit `{text}`; known are mm, m, inch and kg m-2 s-1: convert \
                 the file, or correct its head"
            ),
        })
    }

    /// Millimetres of a day's value.
    pub(crate) fn mm(self, value: f64) -> f64 {
        match self {
            Self::Mm => value,
            Self::M => value * MM_PER_M,
            Self::Inch => value * MM_PER_INCH,
            Self::Flux => value * DAY_SECONDS,
        }
    }

    /// As it is written in a report.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Mm => "mm",
            Self::M => "m",
            Self::Inch => "inch",
            Self::Flux => "kg m-2 s-1",
        }
    }
}

/// The unit of a head such as `precipitation_sum (mm)`, if it names one.
pub(crate) fn of_head(head: &str) -> anyhow::Result<Option<Unit>> {
    let named = head
        .split_once('(')
        .and_then(|(_, rest)| rest.split_once(')'));
    named.map(|(unit, _)| Unit::parse(unit)).transpose()
}

/// The unit of a file that may declare one, beside what was asked for.
pub(crate) fn agreed(declared: Option<Unit>, asked: Option<Unit>) -> anyhow::Result<Unit> {
    if let (Some(declared), Some(asked)) = (declared, asked) {
        ensure!(
            declared == asked,
            "the file declares {}, and --unit says {}: leave --unit out",
            declared.as_str(),
            asked.as_str()
        );
    }
    Ok(declared.or(asked).unwrap_or(Unit::Mm))
}

/// Refuses a file without a declared unit whose wettest place has less or more rain in a year than
/// any place of Kenya. `series` are the known and unknown days of each place, mm.
pub(crate) fn check_year<'a>(
    series: impl Iterator<Item = &'a [(NaiveDate, Option<f64>)]>,
) -> anyhow::Result<()> {
    let mut wettest: Option<f64> = None;
    for days in series {
        let known = || days.iter().filter_map(|(_, mm)| *mm);
        let n = known().count();
        if n >= DAYS_MIN {
            let year = known().fold(0.0, |sum, mm| sum + mm) / count(n) * DAYS_PER_YEAR;
            wettest = Some(wettest.map_or(year, |most| most.max(year)));
        }
    }
    let (least, most) = YEAR_MM;
    if let Some(year) = wettest.filter(|year| !(least..=most).contains(year)) {
        bail!(
            "the wettest place of the file would have {year:.1} mm a year, which no place of Kenya \
             has: say what unit the file is in with --unit m, inch or kg-m2-s1 (or --unit mm if it \
             is right as it is)"
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn declared_units_are_converted_and_unknown_ones_refused() {
        for (text, value, mm) in [
            ("mm", 5.3, 5.3),
            ("mm/day", 5.3, 5.3),
            ("kg m**-2", 5.3, 5.3),
            ("m", 0.0053, 5.3),
            ("m of water equivalent", 0.0053, 5.3),
            ("inch", 2.0, 50.8),
            ("kg m-2 s-1", 1e-4, 8.64),
            ("kg m^-2 s^-1", 1e-4, 8.64),
        ] {
            let found = Unit::parse(text).unwrap().mm(value);
            assert!((found - mm).abs() < 1e-9, "{text}: {found}");
        }
        let refused = Unit::parse("°C").unwrap_err().to_string();
        assert!(refused.contains("known are mm, m, inch"), "{refused}");
        assert_eq!(
            of_head("precipitation_sum (inch)").unwrap(),
            Some(Unit::Inch)
        );
        assert_eq!(of_head("rain").unwrap(), None);
    }

    #[test]
    fn what_was_asked_for_must_not_contradict_the_file() {
        assert_eq!(agreed(None, None).unwrap(), Unit::Mm);
        assert_eq!(agreed(None, Some(Unit::M)).unwrap(), Unit::M);
        assert_eq!(agreed(Some(Unit::Inch), None).unwrap(), Unit::Inch);
        assert!(agreed(Some(Unit::Inch), Some(Unit::Mm)).is_err());
    }

    #[test]
    fn metres_taken_for_millimetres_are_noticed_before_anything_is_written() {
        let first: NaiveDate = "2001-01-01".parse().unwrap();
        let year = |mm: f64| -> Vec<(NaiveDate, Option<f64>)> {
            first
                .iter_days()
                .take(365)
                .map(|day| (day, Some(mm)))
                .collect()
        };
        let check = |mm: f64| check_year([year(mm).as_slice()].into_iter());
        assert!(check(2.0).is_ok());
        assert!(check(0.002).unwrap_err().to_string().contains("--unit m"));
        assert!(check(20.0).is_err(), "tenths of a millimetre");
        let few = &year(0.0)[..200];
        assert!(
            check_year([few].into_iter()).is_ok(),
            "a dry half year says nothing"
        );
    }
}
