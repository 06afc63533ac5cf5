//! What a cover costs: the zone's rate on the sum insured, up to the next whole shilling, within
//! the law. Never guesses a rate for a ward outside every zone, and never sells what the buyer
//! cannot be told. Called by USSD and partners, and before a document is published.

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use crate::measure::UM_PER_MM;
use crate::money::{Money, MoneyError, Rounding};
use crate::product::{
    Anchor, Direction, IndexTerms, PREMIUM_KES_PER_DAY_MAX, PhaseTerms, Product, ProductError,
    SUM_INSURED_KES_MAX, Zone,
};
use crate::season::{Window, local_day};

/// How long a quoted price holds: as long as an interrupted dial can be resumed.
pub const QUOTE_HOURS: i64 = 24;

/// Why no price can be given.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QuoteError {
    /// The document says it is a draft.
    #[error(
        "this cover is a draft: it is sold once its document no longer says `status = \"draft\"`"
    )]
    Draft,
    /// A phase that screens, texts and partners cannot be told of: they say a deficit of rain in
    /// whole millimetres, over days of the calendar.
    #[error(
        "phase `{0}` is not a deficit of rain in whole millimetres over days of the calendar, which is \
         all that a buyer is told; keep the document a draft (`status = \"draft\"`)"
    )]
    Untold(String),
    /// The ward lies in no zone of the product.
    #[error("this cover is not sold in that ward")]
    NoZone,
    /// Today is outside the sale window.
    #[error("this cover is on sale from {0} to {1}")]
    NotOnSale(NaiveDate, NaiveDate),
    /// The sum insured is not on the product's menu.
    #[error("sum insured must be one of the amounts on offer")]
    SumInsured,
    /// Above KES 40 per day of cover, or above KES 500,000.
    #[error("premium or sum insured exceeds the legal limit for microinsurance")]
    LegalLimit,
    /// The product's windows cannot be bound to that year.
    #[error(transparent)]
    Product(#[from] ProductError),
    /// The arithmetic does not fit.
    #[error(transparent)]
    Money(#[from] MoneyError),
}

/// A price for one sum insured in one ward.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quote {
    /// Zone whose triggers and rate apply.
    pub zone: String,
    /// Year the cover begins in.
    pub season_year: i32,
    /// Days covered.
    pub cover: Window,
    /// Sum insured.
    pub sum_insured: Money,
    /// Premium, whole shillings.
    pub premium: Money,
    /// Until when the price holds: a day, but never past the close of sale.
    pub expires_at: DateTime<Utc>,
}

/// Whether a document may be sold at all: it is no draft, and every phase is one that a buyer can be
/// told of. What is refused here may still be back-tested and priced.
pub fn may_be_sold(product: &Product) -> Result<(), QuoteError> {
    if product.is_draft() {
        return Err(QuoteError::Draft);
    }
    match product.phases.iter().find(|phase| !is_told(product, phase)) {
        Some(phase) => Err(QuoteError::Untold(phase.code.clone())),
        None => Ok(()),
    }
}

/// Whether "rain of these days below so many millimetres" says how a phase pays.
fn is_told(product: &Product, phase: &PhaseTerms) -> bool {
    let is_whole = |milli: i64| milli.checked_rem(i64::from(UM_PER_MM)) == Some(0);
    *phase.index() == IndexTerms::RainSum
        && phase.direction() == Direction::Deficit
        && phase.anchor() == Anchor::Calendar
        && phase.steps.is_none()
        && product.zones.iter().all(|zone| {
            zone.trigger_of(&phase.code)
                .is_some_and(|at| is_whole(at.trigger_milli()) && is_whole(at.exit_milli()))
        })
}

/// The season year on sale at an instant, or why there is none.
pub fn season_on_sale(product: &Product, now: DateTime<Utc>) -> Result<i32, QuoteError> {
    may_be_sold(product)?;
    let today = local_day(now);
    let this_year = chrono::Datelike::year(&today);
    // cover may begin in the year after its sale opened
    for year in [this_year, this_year.saturating_add(1)] {
        if sale_window_of(product, year)?.contains(today) {
            return Ok(year);
        }
    }
    let sale = sale_window_of(product, this_year)?;
    Err(QuoteError::NotOnSale(sale.start, sale.last_day()))
}

/// The sale window that precedes the cover of a season year.
pub fn sale_window_of(product: &Product, season_year: i32) -> Result<Window, QuoteError> {
    let cover = product.cover_window(season_year)?;
    let same_year = product.sale_window(season_year)?;
    if same_year.start <= cover.start {
        Ok(same_year)
    } else {
        Ok(product.sale_window(season_year.saturating_sub(1))?)
    }
}

/// The premium of a sum insured at a zone's rate, with every legal check.
pub fn premium(product: &Product, zone: &str, sum_insured: Money) -> Result<Money, QuoteError> {
    let zone = product.zone(zone).ok_or(QuoteError::NoZone)?;
    let on_menu = product
        .sums_insured_kes
        .iter()
        .any(|amount| Money::kes(*amount).is_ok_and(|menu| menu == sum_insured));
    if !on_menu {
        return Err(QuoteError::SumInsured);
    }
    let premium = sum_insured.share_in_shillings(zone.rate_bp.fraction(), Rounding::Ceiling)?;
    let days = i64::from(product.cover_window(2024)?.day_count());
    let per_day_max = Money::kes(days.saturating_mul(PREMIUM_KES_PER_DAY_MAX))?;
    let insured_max = Money::kes(SUM_INSURED_KES_MAX)?;
    if premium.minor > per_day_max.minor || sum_insured.minor > insured_max.minor {
        return Err(QuoteError::LegalLimit);
    }
    Ok(premium)
}

/// What every sum insured of a product has in common in a ward and at an instant.
#[derive(Debug, Clone)]
pub struct Terms<'a> {
    product: &'a Product,
    zone: &'a Zone,
    season_year: i32,
    cover: Window,
    expires_at: DateTime<Utc>,
}

/// The terms of a product for a plot in a ward, now.
pub fn terms<'a>(
    product: &'a Product,
    ward: &str,
    now: DateTime<Utc>,
) -> Result<Terms<'a>, QuoteError> {
    let zone = product.zone_of_ward(ward).ok_or(QuoteError::NoZone)?;
    let season_year = season_on_sale(product, now)?;
    let sale_closes_at = sale_window_of(product, season_year)?.closes_at();
    let day_on = now
        .checked_add_signed(TimeDelta::hours(QUOTE_HOURS))
        .unwrap_or(now);
    Ok(Terms {
        product,
        zone,
        season_year,
        cover: product.cover_window(season_year)?,
        expires_at: day_on.min(sale_closes_at),
    })
}

impl Terms<'_> {
    /// The quote for one sum insured.
    pub fn quote(&self, sum_insured: Money) -> Result<Quote, QuoteError> {
        Ok(Quote {
            premium: premium(self.product, &self.zone.code, sum_insured)?,
            zone: self.zone.code.clone(),
            season_year: self.season_year,
            cover: self.cover,
            sum_insured,
            expires_at: self.expires_at,
        })
    }
}

/// A quote for a plot in a ward, now.
pub fn quote(
    product: &Product,
    ward: &str,
    sum_insured: Money,
    now: DateTime<Utc>,
) -> Result<Quote, QuoteError> {
    terms(product, ward, now)?.quote(sum_insured)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::product::tests::{phase_deficit, shipped, two_zone};
    use crate::product::{Decimal, Status, ZoneTrigger};

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn in_units(trigger: &str, exit: &str) -> Vec<ZoneTrigger> {
        vec![ZoneTrigger {
            trigger_mm: None,
            exit_mm: None,
            trigger: Some(trigger.parse().unwrap()),
            exit: Some(exit.parse().unwrap()),
            ..ZoneTrigger::of_rain("season", 0, 0)
        }]
    }

    /// The same cover as [`phase_deficit`] in a document of schema 2.
    fn second_form() -> Product {
        let mut product = phase_deficit();
        product.schema = 2;
        product.zones[0].triggers = in_units("278", "95.0");
        product.validate().unwrap();
        product
    }

    #[test]
    fn a_premium_is_rounded_up_to_a_whole_shilling() {
        let product = phase_deficit(); // 28.13 % in its zone
        let quote = quote(
            &product,
            "0321",
            Money::kes(3_000).unwrap(),
            at("2026-02-01T09:00:00Z"),
        );
        assert_eq!(quote.unwrap().premium, Money::kes(844).unwrap()); // 843.90
    }

    #[test]
    fn nothing_is_sold_outside_its_ward_its_window_or_its_menu() {
        let product = two_zone();
        let sum = Money::kes(5_000).unwrap();
        let open = at("2026-02-01T09:00:00Z");
        assert_eq!(quote(&product, "9999", sum, open), Err(QuoteError::NoZone));
        assert!(matches!(
            quote(&product, "0321", sum, at("2026-03-02T00:00:00Z")),
            Err(QuoteError::NotOnSale(_, _))
        ));
        assert_eq!(
            quote(&product, "0321", Money::kes(4_999).unwrap(), open),
            Err(QuoteError::SumInsured)
        );
    }

    #[test]
    fn a_draft_has_a_premium_and_is_not_sold() {
        let mut product = second_form();
        product.status = Some(Status::Draft);
        product.validate().unwrap();
        let (sum, open) = (Money::kes(3_000).unwrap(), at("2026-02-01T09:00:00Z"));
        assert_eq!(quote(&product, "0321", sum, open), Err(QuoteError::Draft));
        assert_eq!(season_on_sale(&product, open), Err(QuoteError::Draft));
        let priced = premium(&product, "marsabit", sum).unwrap();
        product.status = None;
        let sold = quote(&product, "0321", sum, open).unwrap();
        assert_eq!(sold.premium, priced);
    }

    #[test]
    fn what_is_no_deficit_of_rain_in_whole_millimetres_is_not_sold() {
        let untold = Err(QuoteError::Untold("season".to_owned()));
        let product = second_form();
        assert_eq!(may_be_sold(&product), Ok(()));

        let mut finer = product.clone();
        finer.zones[0].triggers = in_units("278", "95.5");
        finer.validate().unwrap();
        assert_eq!(may_be_sold(&finer), untold);

        let mut excess = product.clone();
        excess.phases[0].direction = Some(Direction::Excess);
        excess.zones[0].triggers = in_units("95", "278");
        excess.validate().unwrap();
        assert_eq!(may_be_sold(&excess), untold);

        let mut spell = product;
        spell.phases[0].index = Some(IndexTerms::LongestDrySpell {
            wet_day_mm: Decimal::whole(1).unwrap(),
        });
        spell.phases[0].direction = Some(Direction::Excess);
        spell.zones[0].triggers = in_units("10", "30");
        spell.validate().unwrap();
        assert_eq!(may_be_sold(&spell), untold);
        let (sum, open) = (Money::kes(3_000).unwrap(), at("2026-02-01T09:00:00Z"));
        assert_eq!(quote(&spell, "0321", sum, open).map(|_| ()), untold);
    }

    #[test]
    fn every_shipped_document_is_sold_or_says_that_it_is_a_draft() {
        let mut sold = Vec::new();
        for product in shipped() {
            match may_be_sold(&product) {
                Ok(()) => sold.push(product.code),
                Err(fault) => assert_eq!(fault, QuoteError::Draft, "{}", product.code),
            }
        }
        assert_eq!(sold, ["KE-MZ-DI-LR", "KE-MZ-PD-LR"]);
    }

    #[test]
    fn the_last_minute_of_sale_is_local_time() {
        let product = phase_deficit();
        let sum = Money::kes(3_000).unwrap();
        // sale 01-15..02-28 closes at local midnight, 21:00Z
        assert!(quote(&product, "0321", sum, at("2026-02-28T20:59:59Z")).is_ok());
        assert!(quote(&product, "0321", sum, at("2026-02-28T21:00:00Z")).is_err());
    }
}
