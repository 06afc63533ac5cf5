//! Every rule a document must satisfy before it may be sold, each fault naming its field and what
//! would satisfy it: form, names, windows, payout, price and law, zones. Never mends a document.
//! Called wherever one is read; the rules of indices and of season starts have files of their own.

use std::collections::BTreeSet;

use super::rules_index::validate_rain_triggers;
use super::{
    Combine, PREMIUM_KES_PER_DAY_MAX, PayoutTerms, Product, ProductError, SUM_INSURED_KES_MAX,
    TERM_DAYS_MAX, VegetationMeasure, fault,
};
use crate::money::{BASIS_POINTS_WHOLE, BasisPoints, Currency};
use crate::season::Window;

/// Most phases of one product.
const PHASES_MAX: usize = 6;
/// The leap year that schema 1 is checked in. Schema 2 is checked in [`YEARS`].
const YEAR: i32 = 2024;
/// A leap year and its neighbours: windows that cross the new year meet 29 February on either side.
pub(super) const YEARS: [i32; 3] = [2023, 2024, 2025];
/// Fewest seasons of a vegetation baseline; the 20th percentile of fewer is a guess.
const BASELINE_SEASONS_MIN: i32 = 10;
/// First year of any satellite's vegetation record (AVHRR).
const BASELINE_FIRST_MIN: i32 = 1981;
/// First multiple of the standard error that no borderline may be: four cover all but 1 in 15,000.
const BORDERLINE_SE_OVER: u8 = 5;

impl Product {
    /// Every rule a document must satisfy before it may be sold.
    pub fn validate(&self) -> Result<(), ProductError> {
        match self.schema {
            1 => self.validate_is_first_form()?,
            2 => {}
            _ => return Err(fault("schema", "must be 1 or 2")),
        }
        if self.currency != Currency::Kes {
            return Err(fault(
                "currency",
                "must be KES: farmers are paid in shillings",
            ));
        }
        for (field, text) in [("name.en", &self.name.en), ("name.sw", &self.name.sw)] {
            if text.is_empty() || text.chars().count() > 20 {
                return Err(fault(
                    field,
                    "must have 1 to 20 characters, to fit a phone's screen",
                ));
            }
        }
        let cover = self.cover_window(YEAR)?;
        let sale = self.sale_window(YEAR)?;
        if cover.day_count() == 0 || cover.day_count() > TERM_DAYS_MAX {
            return Err(fault("season.cover", "must last 1 to 365 days"));
        }
        if sale.end > cover.start {
            return Err(fault("season.sale", "must end before cover begins"));
        }
        self.validate_phases(cover)?;
        self.validate_payout()?;
        self.validate_price(cover)?;
        self.validate_zones()?;
        if self.schema == 1 {
            return Ok(());
        }
        self.validate_terms()?;
        self.validate_sources()?;
        self.validate_vegetation()?;
        self.validate_starts()?;
        self.validate_indices()
    }

    /// A document of schema 1 has none of schema 2's fields: what was sold keeps its meaning.
    fn validate_is_first_form(&self) -> Result<(), ProductError> {
        let mut found = vec![
            ("status".to_owned(), self.status.is_some()),
            ("terms".to_owned(), self.terms.is_some()),
            ("vegetation".to_owned(), self.vegetation.is_some()),
            ("season.sowing".to_owned(), self.season.sowing.is_some()),
            ("season.onset".to_owned(), self.season.onset.is_some()),
            (
                "settlement.borderline_se".to_owned(),
                self.settlement.borderline_se.is_some(),
            ),
            (
                "settlement.variogram".to_owned(),
                self.settlement.variogram.is_some(),
            ),
        ];
        for phase in &self.phases {
            for (name, is_there) in [
                ("index", phase.index.is_some()),
                ("direction", phase.direction.is_some()),
                ("anchor", phase.anchor.is_some()),
                ("steps", phase.steps.is_some()),
            ] {
                found.push((format!("phases.{}.{name}", phase.code), is_there));
            }
        }
        match found.into_iter().find(|(_, is_there)| *is_there) {
            Some((field, _)) => Err(fault(field, "needs schema = 2")),
            None => Ok(()),
        }
    }

    fn validate_phases(&self, cover: Window) -> Result<(), ProductError> {
        if self.phases.is_empty() || self.phases.len() > PHASES_MAX {
            return Err(fault("phases", "must name 1 to 6 phases"));
        }
        let mut codes = BTreeSet::new();
        for phase in &self.phases {
            if !codes.insert(phase.code.as_str()) {
                return Err(fault(
                    "phases.code",
                    format!("`{}` stands twice", phase.code),
                ));
            }
            let days = phase
                .days
                .bind(YEAR)
                .map_err(|e| fault(format!("phases.{}.days", phase.code), e.to_string()))?;
            if days.start < cover.start || days.end > cover.end {
                return Err(fault(
                    format!("phases.{}.days", phase.code),
                    "must lie inside season.cover",
                ));
            }
            if phase
                .daily_cap_mm
                .is_some_and(|cap| !(1..=1_000).contains(&cap))
            {
                return Err(fault(
                    format!("phases.{}.daily_cap_mm", phase.code),
                    "must be 1 to 1000 mm",
                ));
            }
        }
        self.validate_weights()
    }

    /// Weights sum to the whole, or the document says on purpose what the most is.
    fn validate_weights(&self) -> Result<(), ProductError> {
        let whole = u32::from(BASIS_POINTS_WHOLE);
        let weights = || {
            self.phases
                .iter()
                .map(|phase| u32::from(phase.weight_bp.get()))
        };
        let sum = weights().fold(0_u32, u32::saturating_add);
        let is_linear = matches!(self.payout, PayoutTerms::Linear);
        let stated = self.limits().payout_max_bp.filter(|_| is_linear);
        if self.schema == 1 || !is_linear {
            return if sum == whole {
                Ok(())
            } else {
                let rule = format!("must sum to 10000, found {sum}");
                Err(fault("phases.weight_bp", rule))
            };
        }
        if weights().any(|weight| weight == 0) {
            return Err(fault("phases.weight_bp", "must exceed 0"));
        }
        let (most, what) = match self.limits().combine {
            Some(Combine::Worst) => (weights().max().unwrap_or(0), "the largest must be"),
            Some(Combine::Sum) | None => (sum, "must sum to"),
        };
        match stated {
            None if most != whole => Err(fault(
                "phases.weight_bp",
                format!("{what} 10000, found {most}, or terms.payout_max_bp say what the most is"),
            )),
            Some(max) if u32::from(max.get()) > most => Err(fault(
                "terms.payout_max_bp",
                format!("must not exceed {most}, which the phases can pay"),
            )),
            _ => Ok(()),
        }
    }

    fn validate_payout(&self) -> Result<(), ProductError> {
        let PayoutTerms::Tiers {
            attach_bp,
            attach_pays_bp,
            exhaust_bp,
            exhaust_pays_bp,
            weather_weight_bp,
            ..
        } = &self.payout
        else {
            return Ok(());
        };
        if *attach_bp == BasisPoints::ZERO || exhaust_bp <= attach_bp {
            return Err(fault(
                "payout.exhaust_bp",
                "must exceed attach_bp, and attach_bp exceed 0",
            ));
        }
        if exhaust_pays_bp < attach_pays_bp {
            return Err(fault(
                "payout.exhaust_pays_bp",
                "must not be below attach_pays_bp",
            ));
        }
        if *weather_weight_bp == BasisPoints::ZERO {
            return Err(fault("payout.weather_weight_bp", "must exceed 0"));
        }
        Ok(())
    }

    fn validate_price(&self, cover: Window) -> Result<(), ProductError> {
        let rising = self
            .sums_insured_kes
            .windows(2)
            .all(|pair| pair[0] < pair[1]);
        if self.sums_insured_kes.is_empty() || self.sums_insured_kes.len() > 5 || !rising {
            return Err(fault("sums_insured_kes", "must list 1 to 5 rising amounts"));
        }
        let legal = 1..=SUM_INSURED_KES_MAX;
        if self
            .sums_insured_kes
            .iter()
            .any(|amount| !legal.contains(amount))
        {
            return Err(fault(
                "sums_insured_kes",
                "must lie between 1 and 500000 (law)",
            ));
        }
        if self.release_auto_max_kes < 0 || self.capacity_kes_per_cell <= 0 {
            return Err(fault("capacity_kes_per_cell", "limits must be positive"));
        }
        if self.payout_min_kes < crate::payout::MPESA_LIMITS.min_kes || self.payout_min_kes > 100 {
            return Err(fault(
                "payout_min_kes",
                "must be 10 to 100: M-Pesa moves no less than 10",
            ));
        }
        let Some(smallest) = self.sums_insured_kes.first() else {
            return Ok(());
        };
        let affordable = i64::from(cover.day_count()).saturating_mul(PREMIUM_KES_PER_DAY_MAX);
        for zone in &self.zones {
            let premium = smallest.saturating_mul(i64::from(zone.rate_bp.get()));
            if premium > affordable.saturating_mul(10_000) {
                return Err(fault(
                    format!("zones.{}.rate_bp", zone.code),
                    "even the smallest sum insured costs more than KES 40 a day (law)",
                ));
            }
        }
        Ok(())
    }

    fn validate_zones(&self) -> Result<(), ProductError> {
        if self.zones.is_empty() {
            return Err(fault("zones", "must name at least one zone"));
        }
        let mut wards = BTreeSet::new();
        let mut codes = BTreeSet::new();
        for zone in &self.zones {
            let field = |name: &str| format!("zones.{}.{name}", zone.code);
            if !codes.insert(zone.code.as_str()) {
                return Err(fault(field("code"), "stands twice"));
            }
            for ward in &zone.wards {
                if ward.len() != 4 || !ward.chars().all(|c| c.is_ascii_digit()) {
                    return Err(fault(
                        field("wards"),
                        format!("`{ward}` is not four digits"),
                    ));
                }
                if !wards.insert(ward.as_str()) {
                    return Err(fault(
                        field("wards"),
                        format!("`{ward}` stands in two zones"),
                    ));
                }
            }
            if zone.rate_bp == BasisPoints::ZERO {
                return Err(fault(field("rate_bp"), "must exceed 0"));
            }
            for phase in &self.phases {
                let named = zone
                    .triggers
                    .iter()
                    .filter(|t| t.phase == phase.code)
                    .count();
                if named != 1 {
                    return Err(fault(
                        field("triggers"),
                        format!("must name phase `{}` exactly once", phase.code),
                    ));
                }
            }
            if zone.triggers.len() != self.phases.len() {
                return Err(fault(
                    field("triggers"),
                    "names a phase the product does not have",
                ));
            }
            if self.schema == 1 {
                validate_rain_triggers(zone)?;
            }
        }
        Ok(())
    }

    fn validate_terms(&self) -> Result<(), ProductError> {
        let limits = self.limits();
        if limits.deductible_bp.is_some() && limits.franchise_bp.is_some() {
            return Err(fault(
                "terms.franchise_bp",
                "stands beside deductible_bp: a policy has one of them",
            ));
        }
        if limits.combine == Some(Combine::Worst) && !matches!(self.payout, PayoutTerms::Linear) {
            return Err(fault(
                "terms.combine",
                "must be sum where tiers read the weather index",
            ));
        }
        let most = limits.payout_max_bp.unwrap_or(BasisPoints::WHOLE);
        if most == BasisPoints::ZERO {
            return Err(fault("terms.payout_max_bp", "must exceed 0"));
        }
        for (field, value) in [
            ("terms.deductible_bp", limits.deductible_bp),
            ("terms.franchise_bp", limits.franchise_bp),
        ] {
            let Some(value) = value else { continue };
            if !matches!(self.payout, PayoutTerms::Linear) {
                return Err(fault(
                    field,
                    "is for the linear payout; tiers have payout.attach_bp",
                ));
            }
            if value == BasisPoints::ZERO || value >= most {
                return Err(fault(
                    field,
                    "must exceed 0 and lie below what is paid at most",
                ));
            }
        }
        let waiting = chrono::Days::new(u64::from(limits.waiting_days.unwrap_or(0)));
        for year in YEARS {
            let (sale, cover) = (self.sale_window(year)?, self.cover_window(year)?);
            if sale
                .end
                .checked_add_days(waiting)
                .is_none_or(|end| end > cover.start)
            {
                return Err(fault(
                    "terms.waiting_days",
                    "must pass between the last day of season.sale and the first of season.cover",
                ));
            }
        }
        match self.settlement.borderline_se {
            Some(0 | BORDERLINE_SE_OVER..) => Err(fault(
                "settlement.borderline_se",
                "must be 1 to 4 standard errors",
            )),
            _ => Ok(()),
        }
    }

    fn validate_vegetation(&self) -> Result<(), ProductError> {
        let Some(terms) = &self.vegetation else {
            return Ok(());
        };
        if matches!(self.payout, PayoutTerms::Linear) {
            return Err(fault(
                "vegetation",
                "is for the damage index: payout.function must be tiers",
            ));
        }
        for year in YEARS {
            let days = terms
                .days
                .bind(year)
                .map_err(|e| fault("vegetation.days", e.to_string()))?;
            let cover = self.cover_window(year)?;
            if days.start < cover.start || days.end > cover.end {
                return Err(fault("vegetation.days", "must lie inside season.cover"));
            }
        }
        let (lowest, highest) = match terms.measure {
            VegetationMeasure::Z => (-10_000, 10_000),
            VegetationMeasure::Percentile => (0, 100_000),
        };
        let (all, none) = (terms.all_at.milli(), terms.none_at.milli());
        if !(lowest <= all && all < none && none <= highest) {
            let rule = format!(
                "needs {} <= all_at < none_at <= {}",
                lowest.checked_div(1_000).unwrap_or(0),
                highest.checked_div(1_000).unwrap_or(0)
            );
            return Err(fault("vegetation.none_at", rule));
        }
        if terms.sensor.is_empty() || terms.fallback.contains(&terms.sensor) {
            return Err(fault(
                "vegetation.sensor",
                "must be named, and not be its own fallback",
            ));
        }
        if terms.wait_days > self.settlement.decide_after_days {
            return Err(fault(
                "vegetation.wait_days",
                "must not exceed settlement.decide_after_days",
            ));
        }
        validate_baseline("vegetation", terms.baseline_first, terms.baseline_last)
    }
}

/// A baseline of enough seasons, within the satellites' record.
pub(super) fn validate_baseline(field: &str, first: i32, last: i32) -> Result<(), ProductError> {
    let seasons = last.saturating_sub(first).saturating_add(1);
    if first < BASELINE_FIRST_MIN || seasons < BASELINE_SEASONS_MIN || last > 2_100 {
        return Err(fault(
            format!("{field}.baseline_last"),
            "the baseline must begin in 1981 or later and have at least 10 seasons",
        ));
    }
    Ok(())
}
