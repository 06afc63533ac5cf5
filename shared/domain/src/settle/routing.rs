//! Why a settlement goes to two people before money moves: too few to trust, too near a cliff, too
//! little seen. Decides speed, never an amount. Called by `settle` alone.

use super::{CONFIDENCE_AUTO_MIN, CONFIDENCE_MARGIN_MIN, HoldReason, MARGIN_SE, Observed, Paid};
use crate::money::BasisPoints;
use crate::product::{PayoutTerms, Product, VegetationAbsent};

/// The reasons of what was measured, in the order they are told.
pub(super) fn holds(
    product: &Product,
    observed: &Observed,
    vegetation_bp: Option<BasisPoints>,
    paid: &Paid,
) -> Vec<HoldReason> {
    let mut holds = Vec::new();
    if !is_trusted(product, observed, paid) {
        holds.push(HoldReason::LowConfidence);
    }
    if observed.stations < product.settlement.stations_min {
        holds.push(HoldReason::FewStations);
    }
    if paid.is_borderline || is_within_error(product, observed, paid) {
        holds.push(HoldReason::Borderline);
    }
    let is_tiered = matches!(product.payout, PayoutTerms::Tiers { .. });
    let looks_then = product
        .vegetation
        .as_ref()
        .is_some_and(|terms| terms.absent == VegetationAbsent::TwoPeople);
    if is_tiered && looks_then && vegetation_bp.is_none() {
        holds.push(HoldReason::VegetationAbsent);
    }
    holds
}

/// Whether the confidence suffices alone; in schema 2 a lesser one does, far from every turn.
fn is_trusted(product: &Product, observed: &Observed, paid: &Paid) -> bool {
    if observed.confidence >= CONFIDENCE_AUTO_MIN {
        return true;
    }
    let may_lean_on_margin = product.schema >= 2 && observed.confidence >= CONFIDENCE_MARGIN_MIN;
    may_lean_on_margin && errors_away(observed, paid, MARGIN_SE).is_some_and(|is_beyond| is_beyond)
}

/// Whether the index lies within the product's multiple of its standard error of a turn.
fn is_within_error(product: &Product, observed: &Observed, paid: &Paid) -> bool {
    let within = product
        .settlement
        .borderline_se
        .and_then(|k| errors_away(observed, paid, u32::from(k)));
    within.is_some_and(|is_beyond| !is_beyond)
}

/// Whether the distance exceeds so many standard errors; `None` when either is not known.
fn errors_away(observed: &Observed, paid: &Paid, errors: u32) -> Option<bool> {
    let se = u32::from(observed.index_se_bp?);
    Some(u32::from(paid.distance_bp?) > se.saturating_mul(errors))
}
