//! What the shell shows the conversation: reference data that stays (wards, products on sale) and
//! what was read for this hop (farmer, policies, season, PIN).
//! Never fetches anything. Filled by the shell, read by steps and screens.

use chrono::{DateTime, NaiveDate, Utc};

use super::places::{Places, WardCode};
use super::session::{Farmer, PinCheck, Plot};
use crate::i18n::{Crop, Language};
use crate::id::{PolicyId, ProductVersionId};
use crate::money::Money;
use crate::product::Product;
use crate::quote::{Quote, QuoteError, quote, terms};
use crate::season::Window;

/// Most policies listed on a phone.
pub const POLICIES_MAX: usize = 9;

/// Characters of a policy's short code.
const POLICY_CODE_CHARS: usize = 8;

/// The short code of a policy, made of 40 random bits of its id: what people read to each other.
#[must_use]
pub fn policy_code(id: PolicyId) -> String {
    let text = data_encoding::BASE32_NOPAD.encode(id.uuid().as_bytes());
    // the end of a UUIDv7 is random; the last character carries three bits only
    let chars: Vec<char> = text.chars().collect();
    let end = chars.len().saturating_sub(1);
    let start = end.saturating_sub(POLICY_CODE_CHARS);
    chars.get(start..end).unwrap_or_default().iter().collect()
}

/// A product version on sale.
#[derive(Debug, Clone)]
pub struct Version {
    /// Its id.
    pub id: ProductVersionId,
    /// Its document.
    pub product: Product,
}

/// Reference data: the same for every caller until wards or products change.
#[derive(Debug, Clone, Default)]
pub struct Catalogue {
    /// Wards.
    pub places: Places,
    /// Current versions, in menu order.
    pub versions: Vec<Version>,
}

impl Catalogue {
    /// A version by id.
    #[must_use]
    pub fn version(&self, id: ProductVersionId) -> Option<&Version> {
        self.versions.iter().find(|version| version.id == id)
    }

    /// Versions that can be bought for a plot now.
    #[must_use]
    pub fn covers(&self, plot: &Plot, now: DateTime<Utc>) -> Vec<&Version> {
        let sold = |v: &&Version| offered(&v.product, plot.ward, now).next().is_some();
        self.for_plot(plot).filter(sold).collect()
    }

    /// When the next sale of a cover for this plot opens, if one is sold there at all.
    #[must_use]
    pub fn sale_opens(&self, plot: &Plot, now: DateTime<Utc>) -> Option<NaiveDate> {
        self.for_plot(plot)
            .find_map(|v| match crate::quote::season_on_sale(&v.product, now) {
                Err(QuoteError::NotOnSale(opens, _)) => Some(opens),
                _ => None,
            })
    }

    fn for_plot<'a>(&'a self, plot: &Plot) -> impl Iterator<Item = &'a Version> + use<'a> {
        let (ward, crop) = (plot.ward.to_string(), plot.crop);
        self.versions.iter().filter(move |version| {
            Crop::parse(&version.product.crop) == Some(crop)
                && version.product.zone_of_ward(&ward).is_some()
        })
    }
}

/// Every sum insured that can be bought in a ward now, with its price; what the law forbids is
/// left out.
#[must_use]
pub fn offers(product: &Product, ward: WardCode, now: DateTime<Utc>) -> Vec<Quote> {
    offered(product, ward, now).collect()
}

/// The offer of one sum insured, if it can be bought in a ward now.
#[must_use]
pub(super) fn chosen_offer(
    product: &Product,
    ward: WardCode,
    sum_insured_kes: Option<i64>,
    now: DateTime<Utc>,
) -> Option<Quote> {
    let sum = Money::kes(sum_insured_kes?).ok()?;
    quote(product, &ward.to_string(), sum, now).ok()
}

fn offered(
    product: &Product,
    ward: WardCode,
    now: DateTime<Utc>,
) -> impl Iterator<Item = Quote> + use<'_> {
    let terms = terms(product, &ward.to_string(), now).ok();
    let sums = product.sums_insured_kes.iter();
    sums.filter_map(move |sum| terms.as_ref()?.quote(Money::kes(*sum).ok()?).ok())
}

/// A product's name on screens.
#[must_use]
pub fn cover_name(product: &Product, language: Language) -> &str {
    match language {
        Language::En => &product.name.en,
        Language::Sw => &product.name.sw,
    }
}

/// Where one of the caller's policies stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PolicyStatus {
    /// Bought, not paid.
    AwaitingPremium,
    /// On risk.
    Active,
    /// Its payout reached her phone.
    Paid {
        /// How much.
        payout: Money,
        /// M-Pesa's receipt number.
        receipt: String,
    },
    /// Its payout is approved or under way.
    Coming(Money),
    /// Its payout waits for people or was refused by the rail.
    UnderReview(Money),
    /// Its season ended above the trigger.
    NoPayout,
    /// Not paid in time.
    Lapsed,
    /// Cancelled.
    Cancelled,
}

/// One of the caller's policies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicySummary {
    /// Its id.
    pub id: PolicyId,
    /// Its short code, see [`policy_code`].
    pub code: String,
    /// Crop of its plot.
    pub crop: Crop,
    /// Ward of its plot.
    pub ward: WardCode,
    /// Sum insured.
    pub sum_insured: Money,
    /// Premium.
    pub premium: Money,
    /// Days covered.
    pub cover: Window,
    /// Where it stands.
    pub status: PolicyStatus,
}

/// The season of an active policy so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeasonSummary {
    /// Ward of the plot.
    pub ward: WardCode,
    /// Days the trigger is about.
    pub window: Window,
    /// Last day with a number; `None` when nothing was measured yet.
    pub measured_until: Option<NaiveDate>,
    /// Rain from the first day to that one, µm.
    pub rain_um: i64,
    /// Normal rain over the same days, µm, if known.
    pub normal_um: Option<i64>,
    /// Rain below which it pays, mm.
    pub trigger_mm: i32,
}

/// What was read for this hop; `None` is "not read", and a step that needs it says so.
#[derive(Debug, Clone, Default)]
pub struct View {
    /// The caller; `Some(None)` when she is not registered.
    pub farmer: Option<Option<Farmer>>,
    /// Her policies, newest first.
    pub policies: Option<Vec<PolicySummary>>,
    /// The season of the plot asked about; `Some(None)` without an active policy.
    pub season: Option<Option<SeasonSummary>>,
    /// How the PIN compared.
    pub pin: Option<PinCheck>,
}

/// Everything a step may look at besides the session and the input.
#[derive(Debug, Clone, Copy)]
pub struct Turn<'a> {
    /// Read for this hop.
    pub view: &'a View,
    /// Reference data.
    pub catalogue: &'a Catalogue,
    /// The instant of the hop.
    pub now: DateTime<Utc>,
}
