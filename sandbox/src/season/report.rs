//! The operators' report as the driver reads it: only what is compared or printed, everything that
//! may be left out defaulted. Never computed here. Read by the close and by the page.

use chrono::{DateTime, Utc};
use serde::Deserialize;

/// Everything the system says about itself.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct Report {
    pub(crate) farmers: i64,
    pub(crate) policies: Policies,
    pub(crate) premiums: Premiums,
    #[serde(default)]
    pub(crate) suspense_minor: i64,
    /// Cents the ledger says were collected.
    pub(crate) collected_minor: i64,
    /// Cents the ledger says were disbursed.
    pub(crate) disbursed_minor: i64,
    #[serde(default)]
    pub(crate) risks: Vec<Risk>,
    pub(crate) payouts: Payouts,
    #[serde(default)]
    pub(crate) sms: Vec<SmsCount>,
    pub(crate) ledger: Ledger,
    pub(crate) invariants: Invariants,
}

/// Policies by state.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Policies {
    pub(crate) awaiting_premium: i64,
    pub(crate) active: i64,
    pub(crate) settled: i64,
    pub(crate) lapsed: i64,
    pub(crate) cancelled: i64,
}

/// Premiums posted.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct Premiums {
    pub(crate) posted_minor: i64,
}

/// One product, cell and season.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct Risk {
    #[serde(default)]
    pub(crate) cell: String,
    pub(crate) state: String,
    pub(crate) season: String,
    pub(crate) product: String,
    #[serde(default)]
    pub(crate) wards: Vec<RiskWard>,
    #[serde(default)]
    pub(crate) policies: i64,
    #[serde(default)]
    pub(crate) evaluation: Option<Evaluation>,
}

/// A ward whose farmers share a risk.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct RiskWard {
    pub(crate) code: String,
    pub(crate) name: String,
}

/// What was decided about a risk.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct Evaluation {
    pub(crate) id: String,
    /// `held` or `approved`.
    #[serde(default)]
    pub(crate) state: String,
    /// What stands in texts about the evidence.
    #[serde(default)]
    pub(crate) short_code: String,
    #[serde(default)]
    pub(crate) evaluated_at: Option<DateTime<Utc>>,
    /// Such as `162.12 mm`.
    pub(crate) rain: String,
    /// Such as `63.32%`.
    pub(crate) weather: String,
    #[serde(default)]
    pub(crate) damage_index: Option<String>,
    pub(crate) payout: String,
    #[serde(default)]
    pub(crate) confidence: i64,
    #[serde(default)]
    pub(crate) stations: i64,
    #[serde(default)]
    pub(crate) payouts: i64,
    #[serde(default)]
    pub(crate) total_minor: i64,
    #[serde(default)]
    pub(crate) cid: Option<String>,
    #[serde(default)]
    pub(crate) pinned: bool,
}

/// Payouts by what became of them.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Payouts {
    pub(crate) planned: i64,
    pub(crate) auto: i64,
    pub(crate) approved: i64,
    pub(crate) held: i64,
    pub(crate) sent: i64,
    pub(crate) paid: i64,
    pub(crate) refused: i64,
    pub(crate) in_doubt: i64,
    pub(crate) planned_minor: i64,
    pub(crate) paid_minor: i64,
}

/// Texts of one kind and state.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct SmsCount {
    pub(crate) kind: String,
    pub(crate) state: String,
    pub(crate) count: i64,
}

/// The ledger's own check.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct Ledger {
    #[serde(default)]
    pub(crate) trial_balance: Vec<Balance>,
    pub(crate) balanced: bool,
    #[serde(default)]
    pub(crate) accounts: Vec<Account>,
    #[serde(default)]
    pub(crate) pending_minor: i64,
}

/// One account.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct Account {
    #[serde(rename = "account")]
    pub(crate) name: String,
    pub(crate) currency: String,
    /// Debits less credits, cents.
    pub(crate) balance_minor: i64,
}

/// Debits against credits of one currency.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct Balance {
    pub(crate) difference_minor: i64,
}

/// The numbered invariants as the system checked them.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct Invariants {
    pub(crate) checked: i64,
    pub(crate) broken: i64,
    #[serde(default)]
    pub(crate) names: Vec<Invariant>,
    #[serde(default)]
    pub(crate) breaches: Vec<Breach>,
}

/// One invariant.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct Invariant {
    pub(crate) number: String,
    pub(crate) statement: String,
    pub(crate) held: bool,
    pub(crate) checked: bool,
}

/// One breach.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct Breach {
    pub(crate) invariant: String,
    #[serde(default)]
    pub(crate) subject: String,
    #[serde(default)]
    pub(crate) fault: String,
}
