//! Money as partners see it: `{"minor": 950000, "currency": "KES"}`, minor units being cents.
//! Never a decimal. Used by every partner answer with an amount.

use domain::money::Money;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// An amount of money.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"minor": 950_000, "currency": "KES"}))]
pub(crate) struct Amount {
    /// Minor units: cents for KES.
    pub(crate) minor: i64,
    /// `KES`.
    pub(crate) currency: String,
}

impl From<Money> for Amount {
    fn from(money: Money) -> Self {
        Self {
            minor: money.minor,
            currency: money.currency.code().to_owned(),
        }
    }
}
