//! Season starts for the rain families: the three published detectors as a product states them,
//! what `domain` finds by them, and their definitions in plain floats over days without a gap.
//! Never decides anything itself. Called by the families of Karare and of the integers that pay.

use anyhow::{Context, bail};
use chrono::NaiveDate;
use domain::index::{DayRain, Known, StartedBy, measure};
use domain::product::{
    Anchor, Decimal, Detector, EventEnd, IndexTerms, NoOnset, OnsetTerms, Product,
};
use domain::season::{Window, YearlessWindow};

use crate::science::dekad::Dekad;

/// A shipped document of one phase; what its phase measures is put in anew.
const PATTERN: &str = include_str!("../../../../products/KE-MZ-PD-LR.toml");

fn mm(millimetres: i64) -> anyhow::Result<Decimal> {
    Ok(Decimal::whole(millimetres)?)
}

/// AGRHYMET's and FEWS NET's dekad of 25 mm with 20 mm in the two after it.
pub(super) fn dekads_25_20() -> anyhow::Result<Detector> {
    Ok(Detector::Dekads {
        first_mm: mm(25)?,
        next_mm: mm(20)?,
    })
}

/// 20 mm in 3 days, no 7 dry days running in the 21 after them (ICPAC and IRI).
pub(super) fn icpac() -> anyhow::Result<Detector> {
    event(EventEnd::AllDays, 7, 21)
}

/// 20 mm in at most 3 days, no 10 dry days running in the 20 after (Zimbabwe's manual).
pub(super) fn zimbabwe() -> anyhow::Result<Detector> {
    event(EventEnd::RainReached, 10, 20)
}

fn event(event_ends: EventEnd, dry_days: u16, watch_days: u16) -> anyhow::Result<Detector> {
    Ok(Detector::RainEvent {
        event_mm: mm(20)?,
        event_days: 3,
        event_ends,
        wet_day_mm: mm(1)?,
        dry_days,
        watch_days,
    })
}

/// A product of one phase over the days, measured by an index.
pub(super) fn of_index(days: YearlessWindow, index: &IndexTerms) -> anyhow::Result<Product> {
    let mut product = Product::from_toml(PATTERN)?;
    for phase in &mut product.phases {
        phase.days = days;
        phase.index = Some(index.clone());
    }
    Ok(product)
}

/// A product of one phase that begins with the season's start.
pub(super) fn of_start(search: YearlessWindow, detector: Detector) -> anyhow::Result<Product> {
    let mut product = of_index(search, &IndexTerms::RainSum)?;
    product.season.onset = Some(OnsetTerms {
        search,
        detector,
        none: NoOnset::PaysAll,
    });
    for phase in &mut product.phases {
        phase.anchor = Some(Anchor::Onset {
            from_day: 0,
            to_day: 0,
        });
    }
    Ok(product)
}

/// The season's start as the integers find it that pay; `None` when it never started.
///
/// # Errors
/// When days are missing, so that it cannot be told.
pub(super) fn find(
    product: &Product,
    year: i32,
    days: &[DayRain],
) -> anyhow::Result<Option<NaiveDate>> {
    let known = Known {
        days,
        ..Known::default()
    };
    let sums = measure(product, year, &known)?;
    let sum = sums.first().context("a product without a phase")?;
    let Some(start) = sum.start else {
        bail!(
            "{year}: the start is undecided, {} days are missing",
            sum.missing_days
        );
    };
    Ok((start.by == StartedBy::Onset).then_some(start.day))
}

/// The start by its definition alone: rain of each day, mm, by the day.
pub(super) fn by_definition(
    detector: Detector,
    search: Window,
    rain: &impl Fn(NaiveDate) -> Option<f64>,
) -> anyhow::Result<Option<NaiveDate>> {
    for day in search.days() {
        let is_start = match detector {
            Detector::Dekads { first_mm, next_mm } => {
                let dekad = Dekad::of(day);
                let total = |dekad: Dekad| -> Option<f64> { dekad.window().days().map(rain).sum() };
                let (second, third) = (dekad.next(), dekad.next().next());
                let totals = total(dekad).zip(total(second)).zip(total(third));
                let ((now, next), last) = totals.with_context(|| format!("{day}: a gap"))?;
                dekad.first_day() == day
                    && now >= millimetres(first_mm)
                    && next + last >= millimetres(next_mm)
            }
            Detector::RainEvent {
                event_mm,
                event_days,
                event_ends,
                wet_day_mm,
                dry_days,
                watch_days,
            } => {
                let ahead = usize::from(event_days) + usize::from(watch_days);
                let days: Option<Vec<f64>> = day.iter_days().take(ahead).map(rain).collect();
                let days = days.with_context(|| format!("{day}: a gap in the days after it"))?;
                let (wet, least) = (millimetres(wet_day_mm), millimetres(event_mm));
                let reached = (1..=usize::from(event_days))
                    .find(|n| days.iter().take(*n).sum::<f64>() >= least);
                let over = match event_ends {
                    EventEnd::AllDays => reached.map(|_| usize::from(event_days)),
                    EventEnd::RainReached => reached,
                };
                let is_wet = |mm: &f64| *mm >= wet;
                days.first().is_some_and(is_wet)
                    && over.is_some_and(|over| {
                        let watch: Vec<f64> = days
                            .iter()
                            .skip(over)
                            .take(watch_days.into())
                            .copied()
                            .collect();
                        // every run of so many days has a wet one
                        watch
                            .windows(dry_days.into())
                            .all(|run| run.iter().any(is_wet))
                    })
            }
        };
        if is_start {
            return Ok(Some(day));
        }
    }
    Ok(None)
}

fn millimetres(of: Decimal) -> f64 {
    crate::batch::as_if::float(of.milli()) / 1_000.0
}
