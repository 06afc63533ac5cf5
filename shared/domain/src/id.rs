//! Typed identifiers: a UUIDv7 per kind of thing, printed with a prefix people can recognise
//! (`pol_0190…`). Never mints one by itself: the instant and the random bits are handed in.
//! Used at every layer; `runtime::ids` does the minting.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// What is wrong with a text that should have been an identifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// The prefix belongs to another kind of thing, or is missing.
    #[error("identifier must start with `{0}_`")]
    Prefix(&'static str),
    /// What follows the prefix is not a UUID.
    #[error("identifier is not a uuid after its prefix")]
    Uuid,
}

/// What every typed identifier can do; lets `runtime::ids` mint any of them.
pub trait Id: From<Uuid> + Copy {
    /// The prefix in front of the underscore.
    const PREFIX: &'static str;
}

macro_rules! id {
    ($($(#[$doc:meta])* $name:ident = $prefix:literal),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl $name {
            /// A UUIDv7 from milliseconds since 1970 and 74 bits of randomness.
            #[must_use]
            pub fn from_parts(unix_ms: u64, random: [u8; 10]) -> Self {
                Self(uuid::Builder::from_unix_timestamp_millis(unix_ms, &random).into_uuid())
            }

            /// The bare UUID, as the database stores it.
            #[must_use]
            pub fn uuid(self) -> Uuid {
                self.0
            }
        }

        impl Id for $name {
            const PREFIX: &'static str = $prefix;
        }

        impl From<Uuid> for $name {
            fn from(uuid: Uuid) -> Self {
                Self(uuid)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}_{}", $prefix, self.0.simple())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                let bare = text
                    .strip_prefix($prefix)
                    .and_then(|rest| rest.strip_prefix('_'))
                    .ok_or(IdError::Prefix($prefix))?;
                Uuid::try_parse(bare).map(Self).map_err(|_| IdError::Uuid)
            }
        }
    )+};
}

id! {
    /// A farmer.
    FarmerId = "far",
    /// A plot of land.
    PlotId = "plt",
    /// An offer made at a price, good until it expires.
    QuoteId = "quo",
    /// A policy: one plot, one product version, one season.
    PolicyId = "pol",
    /// One asking for a premium and what came of it.
    ReceiptId = "rec",
    /// An immutable version of a product.
    ProductVersionId = "prd",
    /// A risk: product version × cell × season window.
    RiskId = "rsk",
    /// One computation of a risk's index.
    IndexRunId = "idx",
    /// The one decision on a closed window of a risk.
    EvaluationId = "eva",
    /// What one policy is owed by one evaluation.
    PayoutId = "pay",
    /// One attempt to move one part of a payout over a rail.
    LegId = "leg",
    /// A ledger transfer.
    TransferId = "trf",
    /// A text message.
    SmsId = "sms",
    /// An operator.
    OperatorId = "opr",
    /// A stored provider callback.
    ProviderEventId = "pev",
    /// An invitation to become an operator.
    InvitationId = "inv",
    /// A signed-in session of an operator.
    SessionId = "ses",
    /// A message on the broker.
    MessageId = "msg",
    /// Where a partner's webhooks go.
    EndpointId = "whk",
    /// One webhook on its way to one endpoint.
    DeliveryId = "dlv",
    /// Something a partner is told; the same at every endpoint.
    EventId = "evt",
    /// An organisation: a partner and its own farmers.
    OrganisationId = "org",
    /// A partner's key to the API.
    ApiKeyId = "key",
    /// A partner's field person.
    AgentId = "agt",
    /// A partner's group of farmers.
    GroupId = "grp",
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_reads_back_what_it_prints_and_refuses_another_kind() {
        let id = PolicyId::from_parts(1_700_000_000_000, [7; 10]);
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(
            id.to_string().parse::<FarmerId>(),
            Err(IdError::Prefix("far"))
        );
        assert_eq!("pol_zz".parse::<PolicyId>(), Err(IdError::Uuid));
    }

    #[test]
    fn later_instants_sort_later() {
        let early = PolicyId::from_parts(1, [255; 10]);
        let late = PolicyId::from_parts(2, [0; 10]);
        assert!(early < late);
    }
}
