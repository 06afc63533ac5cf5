//! As-if years: a contract evaluated by the product's own evaluator on every season of a daily
//! file, in whole micrometres. A season with a missing day has no number and is reported; no day is
//! ever filled. Called by `backtest`, `price` and `portfolio`.

use std::collections::BTreeMap;

use anyhow::{Context as _, ensure};
use chrono::{Datelike as _, NaiveDate};
use domain::index::{DayRain, Known, PhaseSum, measure};
use domain::measure::from_millimetres;
use domain::money::Money;
use domain::product::{Anchor, Direction, IndexTerms, PayoutTerms, PhaseTerms, Product, Zone};
use domain::season::YearlessWindow;
use domain::settle::{Observed, Outcome, settle};

use crate::science::burn::{Detrend, detrended};
use crate::science::whole;
use crate::validate::series::Table;

mod asked;
mod vegetation;

pub use asked::{Cover, Rain, product, read};
pub(crate) use asked::{WARDS, normalised};
pub use vegetation::{Seen, Vegetation, Years, absent_rule};

/// Micrometres in a millimetre.
const UM_PER_MM: f64 = 1_000.0;

/// A product in one zone.
#[derive(Debug, Clone, PartialEq)]
pub struct Contract {
    /// The version.
    pub product: Product,
    /// Its triggers and price; [`Contract::of`] has those of a place.
    pub zone: Zone,
    /// Day of sowing, a window of one day, where one is declared.
    pub sown: Option<YearlessWindow>,
}

/// One season of one place.
#[derive(Debug, Clone, PartialEq)]
pub struct Season {
    /// Year its cover begins in.
    pub year: i32,
    /// What each phase measured, in the product's order.
    pub phases: Vec<PhaseSum>,
    /// What vegetation was measured as, thousandths of the product's measure; `None` when it is
    /// absent.
    pub vegetation_milli: Option<i64>,
    /// Share of the sum insured that it pays, exact to a float.
    pub share: f64,
    /// What a policy of the asked sum is paid, whole shillings.
    pub payout: Money,
}

impl Season {
    /// Rain over all phases, mm.
    #[must_use]
    pub fn rain_mm(&self) -> f64 {
        self.phases
            .iter()
            .map(|sum| float(sum.rain_um))
            .sum::<f64>()
            / UM_PER_MM
    }
}

/// A season without a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gap {
    /// Year its cover begins in.
    pub year: i32,
    /// Days missing, over all phases.
    pub missing_days: u32,
}

/// All seasons of one place.
#[derive(Debug, Clone, PartialEq)]
pub struct Place {
    /// As the file names it.
    pub name: String,
    /// Seasons with a number, years rising.
    pub seasons: Vec<Season>,
    /// Seasons without.
    pub gaps: Vec<Gap>,
    /// Readings refused at the door: negative or beyond any plausible rain; they count as missing.
    pub refused: usize,
}

impl Contract {
    /// The contract of a place: in the product's zone whose ward it is, by the letters of its name;
    /// in this contract's own where it is a ward of none.
    #[must_use]
    pub fn of(&self, place: &str) -> Self {
        let mut zones = self.product.zones.iter();
        let zone = zones.find(|zone| asked::has_ward(zone, place));
        Self {
            zone: zone.unwrap_or(&self.zone).clone(),
            ..self.clone()
        }
    }

    /// Evaluates a season by the product's own evaluator; `None` when days are missing.
    fn share(
        &self,
        phases: Vec<PhaseSum>,
        vegetation_milli: Option<i64>,
        insured: Money,
    ) -> anyhow::Result<Option<(f64, Money)>> {
        let stations = self.product.settlement.stations_min;
        let observed = Observed {
            vegetation_milli,
            ..Observed::of_rain(phases, stations, 100)
        };
        Ok(match settle(&self.product, &self.zone, &observed)? {
            Outcome::Deferred { .. } => None,
            Outcome::Settled(settled) => Some((
                float(settled.share.numerator()) / float(settled.share.denominator()),
                settled.payout(insured)?,
            )),
        })
    }

    /// Every season of a daily series that touches the contract's days, with the vegetation of its
    /// year where that is known.
    pub fn place(
        &self,
        name: &str,
        (days, column): (&[NaiveDate], &[Option<f64>]),
        vegetation: &BTreeMap<i32, i64>,
        insured: Money,
    ) -> anyhow::Result<Place> {
        let measured = self.product.phases.iter().find(|p| !p.index().is_of_rain());
        if let Some(phase) = measured {
            let (code, phase) = (&self.product.code, &phase.code);
            anyhow::bail!("{code}: the index of phase `{phase}` is not measured in rain");
        }
        let mut refused = 0_usize;
        let rain: Vec<DayRain> = days
            .iter()
            .zip(column)
            .map(|(day, value)| DayRain {
                day: *day,
                rain_um: value.and_then(|mm| {
                    let read = from_millimetres(mm).ok();
                    refused = refused.saturating_add(usize::from(read.is_none()));
                    read
                }),
            })
            .collect();
        let (Some(first), Some(last)) = (days.first(), days.last()) else {
            anyhow::bail!("{name}: no days");
        };
        let (mut seasons, mut gaps) = (Vec::new(), Vec::new());
        for year in first.year().saturating_sub(1)..=last.year() {
            let window = self.product.cover_window(year)?;
            if *last < window.start || window.end <= *first {
                continue;
            }
            // an onset is searched before the cover and confirmed after it, never a year away
            let from = rain.partition_point(|day| day.day.year() < year.saturating_sub(1));
            let until = rain.partition_point(|day| day.day.year() <= year.saturating_add(1));
            let known = Known {
                days: rain.get(from..until).unwrap_or_default(),
                sown: self
                    .sown
                    .map(|day| day.bind(year))
                    .transpose()?
                    .map(|day| day.start),
                values: &[],
            };
            let sums = measure(&self.product, year, &known)?;
            let missing_days = sums.iter().map(|sum| sum.missing_days).sum();
            let vegetation_milli = vegetation.get(&year).copied();
            match self.share(sums.clone(), vegetation_milli, insured)? {
                Some((share, payout)) => seasons.push(Season {
                    year,
                    phases: sums,
                    vegetation_milli,
                    share,
                    payout,
                }),
                None => gaps.push(Gap { year, missing_days }),
            }
        }
        Ok(Place {
            name: name.to_owned(),
            seasons,
            gaps,
            refused,
        })
    }

    /// Shares paid had every season been at the level of the last one: each phase's rain moved by
    /// `method`, then evaluated by the product's own evaluator; vegetation stays. `None` where no trend can be fitted,
    /// and for an index that is no sum of rain.
    pub fn detrended(&self, place: &Place, method: Detrend) -> anyhow::Result<Option<Vec<f64>>> {
        if self
            .product
            .phases
            .iter()
            .any(|p| *p.index() != IndexTerms::RainSum)
        {
            return Ok(None);
        }
        let years: Vec<f64> = place.seasons.iter().map(|s| f64::from(s.year)).collect();
        let mut moved: Vec<Vec<PhaseSum>> = vec![Vec::new(); years.len()];
        for at in 0..self.product.phases.len() {
            let sums = place.seasons.iter().filter_map(|s| s.phases.get(at));
            let totals: Vec<f64> = sums.clone().map(|s| float(s.rain_um) / UM_PER_MM).collect();
            let Some(levelled) = detrended(method, &years, &totals) else {
                return Ok(None);
            };
            for ((season, sum), mm) in moved.iter_mut().zip(sums).zip(levelled) {
                let mut sum = sum.clone();
                sum.rain_um = whole(mm * UM_PER_MM).context("a total that is no number")?;
                season.push(sum);
            }
        }
        let mut shares = Vec::with_capacity(years.len());
        for (phases, season) in moved.into_iter().zip(&place.seasons) {
            match self.share(phases, season.vegetation_milli, Money::ZERO_KES)? {
                Some((share, _)) => shares.push(share),
                None => return Ok(None),
            }
        }
        Ok(Some(shares))
    }

    /// The same contract over other days, every phase of it.
    #[must_use]
    pub fn over(&self, window: YearlessWindow) -> Self {
        let mut moved = self.clone();
        moved.product.season.cover = window;
        for phase in &mut moved.product.phases {
            phase.days = window;
        }
        moved
    }

    /// Trigger and exit, mm, where the contract is one deficit phase on a sum of rain, paid in
    /// proportion and without limits of its own; `None` for every other form.
    #[must_use]
    pub fn single(&self) -> Option<(f64, f64)> {
        let ([phase], [terms]) = (
            self.product.phases.as_slice(),
            self.zone.triggers.as_slice(),
        ) else {
            return None;
        };
        let is_line = matches!(self.product.payout, PayoutTerms::Linear)
            && self.product.terms.is_none()
            && is_plain(phase);
        let mm = |milli| float(milli) / UM_PER_MM;
        is_line.then(|| (mm(terms.trigger_milli()), mm(terms.exit_milli())))
    }

    /// [`Self::single`] where all places have the same, for lines in pictures.
    #[must_use]
    pub fn shared(&self) -> Option<(f64, f64)> {
        self.single().filter(|_| self.product.zones.len() == 1)
    }

    /// Codes of its zones.
    #[must_use]
    pub fn zones(&self) -> String {
        let zones = self.product.zones.iter().map(|zone| zone.code.as_str());
        zones.collect::<Vec<_>>().join(", ")
    }

    /// Name for heads of tables and pictures.
    #[must_use]
    pub fn title(&self) -> String {
        if self.product.zones.len() > 1 {
            return format!(
                "{}, each place in its zone of {}",
                self.product.code,
                self.zones()
            );
        }
        let terms = self.product.phases.iter().filter_map(|phase| {
            let terms = self.zone.trigger_of(&phase.code)?;
            let units = |milli| float(milli) / UM_PER_MM;
            let (trigger, exit) = (units(terms.trigger_milli()), units(terms.exit_milli()));
            let is_rain = *phase.index() == IndexTerms::RainSum;
            let unit = if is_rain { " mm" } else { "" };
            Some(format!("{} {trigger}/{exit}{unit}", phase.code))
        });
        let (code, zone) = (&self.product.code, &self.zone.code);
        let terms = terms.collect::<Vec<_>>().join(", ");
        format!("{code}, zone {zone} ({terms})")
    }
}

/// Evaluates the chosen places, each in its zone and with the vegetation that was seen there. A place without a single season is an error.
pub fn places(
    contract: &Contract,
    table: &Table,
    chosen: &[usize],
    seen: Option<&Seen>,
    insured: Money,
) -> anyhow::Result<Vec<Place>> {
    let mut found = Vec::with_capacity(chosen.len());
    for at in chosen {
        let (name, column) = table
            .names
            .get(*at)
            .zip(table.columns.get(*at))
            .context("a place that is none")?;
        let vegetation = match seen {
            Some(seen) => seen.of(name)?,
            None => BTreeMap::new(),
        };
        let series = (table.days.as_slice(), column.as_slice());
        let place = contract
            .of(name)
            .place(name, series, &vegetation, insured)?;
        ensure!(
            !place.seasons.is_empty(),
            "{name}: no season has all its days; nothing can be said of it"
        );
        found.push(place);
    }
    Ok(found)
}

/// Years in which every place has a number, and each place's shares in just those.
#[must_use]
pub fn common(places: &[Place]) -> (Vec<i32>, Vec<Vec<f64>>) {
    let share = |place: &Place, year: i32| {
        let mut seasons = place.seasons.iter();
        seasons.find(|s| s.year == year).map(|s| s.share)
    };
    let all = places.first().map(|place| place.seasons.as_slice());
    let years: Vec<i32> = all
        .unwrap_or_default()
        .iter()
        .map(|season| season.year)
        .filter(|year| places.iter().all(|place| share(place, *year).is_some()))
        .collect();
    let rows = places.iter().map(|place| {
        let shares = years.iter().filter_map(|year| share(place, *year));
        shares.collect()
    });
    (years.clone(), rows.collect())
}

fn is_plain(phase: &PhaseTerms) -> bool {
    *phase.index() == IndexTerms::RainSum
        && phase.direction() == Direction::Deficit
        && phase.anchor() == Anchor::Calendar
        && phase.daily_cap_mm.is_none()
        && phase.steps.is_none()
}

/// A whole number as a float, exact below 2^53.
#[must_use]
pub fn float(value: i64) -> f64 {
    let high = i32::try_from(value >> 32).unwrap_or(0);
    let low = u32::try_from(value & 0xFFFF_FFFF).unwrap_or(0);
    f64::from(high) * 4_294_967_296.0 + f64::from(low)
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
