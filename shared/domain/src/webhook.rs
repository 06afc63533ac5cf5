//! What partners are told by webhook: which events there are, what each says, and when a delivery
//! that failed is tried again. A payload carries ids and facts and has no place for a name, a phone
//! number or a national ID.
//! Pure; called by the outbound worker and by partners' routes.

use chrono::{DateTime, NaiveDate, SecondsFormat, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::id::{
    EndpointId, EvaluationId, EventId, FarmerId, IndexRunId, OrganisationId, PayoutId, PlotId,
    PolicyId, RiskId,
};
use crate::index::PhaseSum;
use crate::money::Money;
use crate::season::Window;

/// Waits between attempts, seconds: 5 s, 5 min, 30 min, 2 h, 5 h, 10 h, 14 h, 20 h, 24 h (the
/// schedule that the Standard Webhooks specification recommends, without jitter).
const RETRY_SECONDS: [i64; 9] = [5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400];
/// Attempts until a delivery is given up: the first, and one after each wait.
pub const ATTEMPTS_MAX: u16 = 10;
/// An endpoint that has done nothing but fail for this many days is disabled.
pub const FAILING_DAYS_MAX: i64 = 5;
/// Hours for which the secret before a rotation still signs.
pub const OLD_SECRET_HOURS: i64 = 24;
/// Old secrets that sign beside the newest at most; another rotation waits until one has ended.
pub const OLD_SECRETS_MAX: i32 = 3;
/// Longest address of an endpoint, bytes.
pub const URL_BYTES_MAX: usize = 2_048;
/// Endpoints of one organisation.
pub const ENDPOINTS_MAX: usize = 10;

macro_rules! kinds {
    ($($(#[$doc:meta])* $variant:ident = $text:literal),+ $(,)?) => {
        /// What happened.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum EventKind {
            $($(#[$doc])* #[serde(rename = $text)] $variant),+
        }

        impl EventKind {
            /// All kinds.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// As stored and sent.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }

            /// From storage and from requests.
            #[must_use]
            pub fn parse(text: &str) -> Option<Self> {
                match text { $($text => Some(Self::$variant),)+ _ => None }
            }
        }
    };
}

kinds! {
    /// A policy is on risk.
    PolicyActivated = "policy.activated",
    /// An unpaid policy ended.
    PolicyLapsed = "policy.lapsed",
    /// The index of a risk with policies of the organisation was computed anew.
    IndexUpdated = "index.updated",
    /// A payout is released.
    PayoutApproved = "payout.approved",
    /// A payout arrived.
    PayoutPaid = "payout.paid",
    /// A payout was refused for a reason that concerns the farmer's account.
    PayoutRefused = "payout.refused",
    /// The organisation asked for a test of its endpoint.
    EndpointTested = "endpoint.tested",
    /// Another endpoint of the organisation is no longer told anything, because it failed.
    EndpointDisabled = "endpoint.disabled",
}

impl EventKind {
    /// Whether an endpoint may choose to be told of it; a test is sent on request only, and that
    /// another endpoint is disabled is told to all that are left.
    #[must_use]
    pub fn is_subscribable(self) -> bool {
        !matches!(self, Self::EndpointTested | Self::EndpointDisabled)
    }
}

/// Something to tell, the same for every endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// Follows from what happened, so that telling it again has the same id.
    pub id: EventId,
    /// What happened.
    pub kind: EventKind,
    /// To what. Notices about one subject are delivered in their order.
    pub subject: Uuid,
    /// When.
    pub occurred_at: DateTime<Utc>,
    /// Ids and facts.
    pub data: Value,
}

/// What is told of a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyFacts {
    /// The policy.
    pub policy_id: PolicyId,
    /// Who is insured.
    pub farmer_id: FarmerId,
    /// The insured plot.
    pub plot_id: PlotId,
    /// The risk it belongs to, once active.
    pub risk_id: Option<RiskId>,
    /// Short code the farmer knows.
    pub code: String,
    /// Product code.
    pub product: String,
    /// Season, `MAM-2026`.
    pub season: String,
    /// Days covered.
    pub cover: Window,
    /// Sum insured.
    pub sum_insured: Money,
    /// Premium.
    pub premium: Money,
}

/// What is told of a payout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PayoutFacts {
    /// The payout.
    pub payout_id: PayoutId,
    /// The policy it is for.
    pub policy_id: PolicyId,
    /// Who is paid.
    pub farmer_id: FarmerId,
    /// The decision it follows from.
    pub evaluation_id: EvaluationId,
    /// How much.
    pub amount: Money,
    /// Content address of the evidence.
    pub evidence: String,
}

/// What is told of an index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexFacts {
    /// The computation.
    pub index_run_id: IndexRunId,
    /// The risk.
    pub risk_id: RiskId,
    /// Product code.
    pub product: String,
    /// Season, `MAM-2026`.
    pub season: String,
    /// Risk cell.
    pub cell: String,
    /// The last day it counts.
    pub as_of_day: NaiveDate,
    /// Rain of each phase so far.
    pub phases: Vec<PhaseSum>,
    /// Days without a number so far.
    pub missing_days: i32,
    /// 0 to 100.
    pub confidence: i16,
    /// Whether it will not change any more.
    pub is_final: bool,
}

impl Notice {
    /// Of a policy that came on risk or lapsed.
    #[must_use]
    pub fn of_policy(kind: EventKind, occurred_at: DateTime<Utc>, facts: &PolicyFacts) -> Self {
        let data = json!({
            "policy_id": facts.policy_id.to_string(),
            "farmer_id": facts.farmer_id.to_string(),
            "plot_id": facts.plot_id.to_string(),
            "risk_id": facts.risk_id.map(|id| id.to_string()),
            "code": facts.code,
            "product": facts.product,
            "season": facts.season,
            "cover": { "start": facts.cover.start, "end": facts.cover.end },
            "sum_insured": money(facts.sum_insured),
            "premium": money(facts.premium),
        });
        Self::new(kind, facts.policy_id.uuid(), 1, occurred_at, data)
    }

    /// Of a payout. `round` counts how often it was released: a refused payout that is tried again
    /// is released, and paid or refused, once more.
    #[must_use]
    pub fn of_payout(
        kind: EventKind,
        round: u16,
        occurred_at: DateTime<Utc>,
        facts: &PayoutFacts,
    ) -> Self {
        let data = json!({
            "payout_id": facts.payout_id.to_string(),
            "policy_id": facts.policy_id.to_string(),
            "farmer_id": facts.farmer_id.to_string(),
            "evaluation_id": facts.evaluation_id.to_string(),
            "amount": money(facts.amount),
            "round": round,
            "evidence": facts.evidence,
        });
        Self::new(kind, facts.payout_id.uuid(), round, occurred_at, data)
    }

    /// Of an index; `policies` counts those of the organisation that is told.
    #[must_use]
    pub fn of_index(occurred_at: DateTime<Utc>, facts: &IndexFacts, policies: i64) -> Self {
        let data = json!({
            "index_run_id": facts.index_run_id.to_string(),
            "risk_id": facts.risk_id.to_string(),
            "product": facts.product,
            "season": facts.season,
            "cell": facts.cell,
            "as_of_day": facts.as_of_day,
            "phases": facts.phases,
            "missing_days": facts.missing_days,
            "confidence": facts.confidence,
            "final": facts.is_final,
            "policies": policies,
        });
        let kind = EventKind::IndexUpdated;
        Self {
            id: event_id(kind, facts.index_run_id.uuid(), 1),
            kind,
            subject: facts.risk_id.uuid(),
            occurred_at,
            data,
        }
    }

    /// Of a test; `id` is fresh, because each test is its own.
    #[must_use]
    pub fn of_test(id: EventId, occurred_at: DateTime<Utc>, endpoint: EndpointId) -> Self {
        Self {
            id,
            kind: EventKind::EndpointTested,
            subject: endpoint.uuid(),
            occurred_at,
            data: json!({ "endpoint_id": endpoint.to_string() }),
        }
    }

    /// Of an endpoint that was disabled for `reason`; `id` is fresh, because it may happen again.
    /// The organisation is the subject: what becomes of its endpoints is told in one order.
    #[must_use]
    pub fn of_disabled(
        id: EventId,
        occurred_at: DateTime<Utc>,
        (organisation, endpoint): (OrganisationId, EndpointId),
        reason: &str,
    ) -> Self {
        Self {
            id,
            kind: EventKind::EndpointDisabled,
            subject: organisation.uuid(),
            occurred_at,
            data: json!({ "endpoint_id": endpoint.to_string(), "disabled_by": reason }),
        }
    }

    fn new(
        kind: EventKind,
        subject: Uuid,
        round: u16,
        occurred_at: DateTime<Utc>,
        data: Value,
    ) -> Self {
        Self {
            id: event_id(kind, subject, round),
            kind,
            subject,
            occurred_at,
            data,
        }
    }

    /// The exact text that is stored, signed and sent.
    #[must_use]
    pub fn body(&self) -> String {
        json!({
            "type": self.kind.as_str(),
            "timestamp": self.occurred_at.to_rfc3339_opts(SecondsFormat::Micros, true),
            "data": self.data,
        })
        .to_string()
    }
}

fn money(amount: Money) -> Value {
    json!({ "minor": amount.minor, "currency": amount.currency.code() })
}

/// The id of what happened: the same however often and by whomever it is heard.
fn event_id(kind: EventKind, subject: Uuid, round: u16) -> EventId {
    let mut hash = Sha256::new();
    hash.update(kind.as_str());
    hash.update([0]);
    hash.update(subject.as_bytes());
    hash.update(round.to_be_bytes());
    let mut bytes = [0; 16];
    for (byte, hashed) in bytes.iter_mut().zip(hash.finalize()) {
        *byte = hashed;
    }
    EventId(uuid::Builder::from_custom_bytes(bytes).into_uuid())
}

/// How long to wait after the `attempts`-th attempt has failed; `None` when there is no further one.
#[must_use]
pub fn retry_after(attempts: u16) -> Option<TimeDelta> {
    let place = usize::from(attempts.checked_sub(1)?);
    RETRY_SECONDS.get(place).copied().map(TimeDelta::seconds)
}

/// What an answer means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// Taken.
    Taken,
    /// The receiver says that the endpoint is no more: 410.
    Gone,
    /// Anything else, redirects among it.
    Failed,
}

impl Answer {
    /// By HTTP status.
    #[must_use]
    pub fn of_status(status: u16) -> Self {
        match status {
            200..=299 => Self::Taken,
            410 => Self::Gone,
            _ => Self::Failed,
        }
    }
}

/// Whether an endpoint that has only failed since `failing_since` is disabled at `now`.
#[must_use]
pub fn has_failed_too_long(failing_since: DateTime<Utc>, now: DateTime<Utc>) -> bool {
    now.signed_duration_since(failing_since) >= TimeDelta::days(FAILING_DAYS_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn payout() -> PayoutFacts {
        PayoutFacts {
            payout_id: PayoutId(Uuid::from_u128(1)),
            policy_id: PolicyId(Uuid::from_u128(2)),
            farmer_id: FarmerId(Uuid::from_u128(3)),
            evaluation_id: EvaluationId(Uuid::from_u128(4)),
            amount: Money::kes_minor(633_200),
            evidence: "bafkreib".to_owned(),
        }
    }

    #[test]
    fn an_event_has_one_id_however_often_it_is_told_and_another_in_another_round() {
        let (now, later) = (at("2026-06-01T00:00:00Z"), at("2026-06-02T00:00:00Z"));
        let told =
            |round, when| Notice::of_payout(EventKind::PayoutApproved, round, when, &payout()).id;
        assert_eq!(told(1, now), told(1, later));
        assert_ne!(told(1, now), told(2, now));
        let paid = Notice::of_payout(EventKind::PayoutPaid, 1, now, &payout()).id;
        assert_ne!(told(1, now), paid);
        // an id once given stays, or a partner would hear of old news again
        assert_eq!(
            told(1, now).to_string(),
            "evt_0eb386f629dd886d8e98cd0bbfe10562"
        );
    }

    #[test]
    fn a_body_is_type_timestamp_and_data() {
        let notice = Notice::of_payout(
            EventKind::PayoutPaid,
            1,
            at("2026-06-01T10:00:00Z"),
            &payout(),
        );
        let body: Value = serde_json::from_str(&notice.body()).unwrap();
        assert_eq!(body["type"], "payout.paid");
        assert_eq!(body["timestamp"], "2026-06-01T10:00:00.000000Z");
        assert_eq!(body["data"]["amount"]["minor"], 633_200);
        assert_eq!(
            body["data"]["policy_id"],
            "pol_00000000000000000000000000000002"
        );
        assert_eq!(body.as_object().unwrap().len(), 3);
    }

    #[test]
    fn a_delivery_is_tried_ten_times_over_three_days_and_given_up() {
        assert_eq!(retry_after(1), Some(TimeDelta::seconds(5)));
        assert_eq!(retry_after(4), Some(TimeDelta::hours(2)));
        assert_eq!(retry_after(9), Some(TimeDelta::hours(24)));
        assert_eq!(retry_after(ATTEMPTS_MAX), None);
        assert_eq!(retry_after(0), None);
        let all: TimeDelta = (1..ATTEMPTS_MAX).filter_map(retry_after).sum();
        assert!(all > TimeDelta::days(3) && all < TimeDelta::days(FAILING_DAYS_MAX));
    }

    #[test]
    fn only_2xx_is_taken_and_410_means_gone() {
        assert_eq!(Answer::of_status(204), Answer::Taken);
        assert_eq!(Answer::of_status(410), Answer::Gone);
        for status in [199, 301, 302, 304, 400, 404, 429, 500, 503] {
            assert_eq!(Answer::of_status(status), Answer::Failed);
        }
    }

    #[test]
    fn kinds_read_back_what_they_print_and_a_test_cannot_be_subscribed() {
        for kind in EventKind::ALL {
            assert_eq!(EventKind::parse(kind.as_str()), Some(*kind));
        }
        assert_eq!(EventKind::parse("policy.settled"), None);
        let chosen = EventKind::ALL.iter().filter(|k| k.is_subscribable());
        assert_eq!(chosen.count(), 6);
    }

    #[test]
    fn five_days_of_failure_are_too_long_and_a_second_less_is_not() {
        let since = at("2026-06-01T00:00:00Z");
        assert!(!has_failed_too_long(since, at("2026-06-05T23:59:59Z")));
        assert!(has_failed_too_long(since, at("2026-06-06T00:00:00Z")));
    }
}
