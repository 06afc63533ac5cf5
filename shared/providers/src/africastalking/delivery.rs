//! What the SMS gateway tells us afterwards: delivery reports and opt-outs. Reports repeat and
//! arrive out of order, so a status has a rank and only moves forward.
//! Called by the backend's webhook handlers and their processing step.

use std::fmt;

use domain::msisdn::Msisdn;

use super::{Fields, FormError};

/// How far a text got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DeliveryStatus {
    /// Left the gateway.
    Sent,
    /// Handed to the mobile network.
    Submitted,
    /// The network keeps it until the phone is on.
    Buffered,
    /// On the phone. Final.
    Delivered,
    /// Not delivered. Final.
    Failed,
    /// Refused by the network. Final.
    Rejected,
    /// The phone stayed away. Final.
    AbsentSubscriber,
    /// Too old to deliver. Final.
    Expired,
}

impl DeliveryStatus {
    /// The status of the gateway's word, or `None` for a word it does not document.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Some(match word {
            "Sent" => Self::Sent,
            "Submitted" => Self::Submitted,
            "Buffered" => Self::Buffered,
            "Success" => Self::Delivered,
            "Failed" => Self::Failed,
            "Rejected" => Self::Rejected,
            "AbsentSubscriber" => Self::AbsentSubscriber,
            "Expired" => Self::Expired,
            _ => return None,
        })
    }

    /// Place in the only order reports may move: a report of a lower or equal rank is old news.
    #[must_use]
    pub fn rank(self) -> u8 {
        match self {
            Self::Sent => 1,
            Self::Submitted => 2,
            Self::Buffered => 3,
            Self::Delivered
            | Self::Failed
            | Self::Rejected
            | Self::AbsentSubscriber
            | Self::Expired => 4,
        }
    }

    /// Whether nothing more will come.
    #[must_use]
    pub fn is_final(self) -> bool {
        self.rank() == 4
    }

    /// Whether a report of `self` changes a text that stands at `current`.
    #[must_use]
    pub fn advances(self, current: Self) -> bool {
        self.rank() > current.rank()
    }
}

/// A delivery report.
#[derive(Clone, PartialEq, Eq)]
pub struct Report {
    /// The id given when the text was taken.
    pub message_id: String,
    /// How far it got.
    pub status: DeliveryStatus,
    /// Whose phone, when told.
    pub phone: Option<Msisdn>,
    /// The gateway's reason, when it failed; not sent on all networks.
    pub failure_reason: Option<String>,
}

impl Report {
    /// Reads a delivery report; an unknown status is an error, not a failure.
    pub fn parse(body: &[u8]) -> Result<Self, FormError> {
        let fields = Fields::parse(body)?;
        let status =
            DeliveryStatus::parse(fields.get("status")?).ok_or(FormError::Invalid("status"))?;
        Ok(Self {
            message_id: fields.id("id")?,
            status,
            phone: fields
                .find("phoneNumber")?
                .and_then(|text| Msisdn::parse(text).ok()),
            failure_reason: fields
                .find("failureReason")?
                .filter(|reason| !reason.is_empty())
                .map(crate::error::masked),
        })
    }

    /// What makes this report the same as a repeated one: `id` and status.
    #[must_use]
    pub fn event_key(&self) -> String {
        format!("{}:{:?}", self.message_id, self.status)
    }
}

impl fmt::Debug for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Report")
            .field("message_id", &self.message_id)
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}

/// A farmer asked for no more texts.
#[derive(Clone, PartialEq, Eq)]
pub struct OptOut {
    /// The sender id she left.
    pub sender_id: String,
    /// Her number.
    pub phone: Msisdn,
}

impl OptOut {
    /// Reads an opt-out notice.
    pub fn parse(body: &[u8]) -> Result<Self, FormError> {
        let fields = Fields::parse(body)?;
        Ok(Self {
            sender_id: fields.id("senderId")?,
            phone: fields.phone("phoneNumber")?,
        })
    }
}

impl fmt::Debug for OptOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OptOut")
            .field("sender_id", &self.sender_id)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_read() {
        let body = b"id=ATXid_1&status=Failed&phoneNumber=%2B254711000111&networkCode=63902&failureReason=UserIsInactive";
        let report = Report::parse(body).unwrap();
        assert_eq!(report.status, DeliveryStatus::Failed);
        assert_eq!(report.failure_reason.as_deref(), Some("UserIsInactive"));
        assert_eq!(report.event_key(), "ATXid_1:Failed");
    }

    #[test]
    fn a_status_the_gateway_does_not_document_is_an_error() {
        assert_eq!(
            Report::parse(b"id=a&status=Teleported"),
            Err(FormError::Invalid("status"))
        );
    }

    #[test]
    fn reports_only_move_forward() {
        assert!(DeliveryStatus::Delivered.advances(DeliveryStatus::Sent));
        assert!(!DeliveryStatus::Sent.advances(DeliveryStatus::Delivered));
        assert!(!DeliveryStatus::Failed.advances(DeliveryStatus::Delivered));
        assert!(!DeliveryStatus::Submitted.advances(DeliveryStatus::Submitted));
    }

    #[test]
    fn an_opt_out_names_the_phone() {
        let opt_out = OptOut::parse(b"senderId=MICROCROP&phoneNumber=%2B254711000111").unwrap();
        assert_eq!(opt_out.phone.digits(), "254711000111");
        assert_eq!(
            OptOut::parse(b"senderId=M"),
            Err(FormError::Missing("phoneNumber"))
        );
    }
}
