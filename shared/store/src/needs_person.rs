//! Why a person must look at a leg, as stored and as decided on. Never asks one by itself.
//! Named by `legs`, and through it by the payout worker and by operators' routes.

/// Why a person must look at a leg.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NeedsPerson {
    /// The rail will never pay this number: the farmer must give another.
    NumberRefused,
    /// The receiver's wallet or daily limit is full: try another day.
    ReceiverLimit,
    /// Our account is short of funds or barred: sending waits until a person says so.
    SendingPaused,
    /// The rail refused the request itself, or gave it up without moving money.
    RequestRefused,
    /// No evidence for a day.
    Doubt,
    /// The rail says it paid another amount.
    AmountMismatch,
    /// The rail's later evidence contradicts its earlier.
    Contradicted,
}

impl NeedsPerson {
    const ALL: [Self; 7] = [
        Self::NumberRefused,
        Self::ReceiverLimit,
        Self::SendingPaused,
        Self::RequestRefused,
        Self::Doubt,
        Self::AmountMismatch,
        Self::Contradicted,
    ];

    /// As stored.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NumberRefused => "number_refused",
            Self::ReceiverLimit => "receiver_limit",
            Self::SendingPaused => "sending_paused",
            Self::RequestRefused => "request_refused",
            Self::Doubt => "doubt",
            Self::AmountMismatch => "amount_mismatch",
            Self::Contradicted => "contradicted",
        }
    }

    /// From storage.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == text)
    }

    /// Whether the farmer should hear of it: only what concerns her own number or wallet.
    #[must_use]
    pub fn concerns_farmer(self) -> bool {
        matches!(self, Self::NumberRefused | Self::ReceiverLimit)
    }

    /// Whether evidence alone may no longer decide the leg.
    #[must_use]
    pub fn bars_evidence(self) -> bool {
        matches!(self, Self::AmountMismatch | Self::Contradicted)
    }

    /// As stored, the reasons that bar evidence.
    pub(crate) fn contradictions() -> Vec<String> {
        let barring = Self::ALL
            .into_iter()
            .filter(|reason| reason.bars_evidence());
        barring.map(|reason| reason.as_str().to_owned()).collect()
    }
}
