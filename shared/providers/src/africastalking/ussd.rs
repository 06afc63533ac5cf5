//! The USSD gateway's forms: one hop of a session, and the notice that a session ended. Parsing is
//! strict and shows nothing: `text` carries PINs. What the farmer typed at the end of a session is
//! dropped before anyone can store it.
//! Called by the backend's USSD and webhook handlers.

use std::fmt;

use domain::msisdn::Msisdn;

use super::{Fields, FormError};

/// Longest `text` accepted, characters: inputs are at most 90 each (Airtel) in a 180 s session.
pub const TEXT_CHARS_MAX: usize = 1_000;

/// One hop of a session.
#[derive(Clone, PartialEq, Eq)]
pub struct Dial {
    /// The same for every hop of a session.
    pub session_id: String,
    /// The dialled code, `*384*57#`.
    pub service_code: String,
    /// Whose phone it is: identification, not authentication.
    pub phone: Msisdn,
    /// All inputs so far joined with `*`; empty on the first hop.
    pub text: String,
    /// Mobile network, MCC and MNC: 63902 Safaricom; `None` when the gateway leaves it out.
    pub network_code: Option<String>,
}

impl Dial {
    /// Reads the gateway's form. Fields it does not document are ignored, documented ones are
    /// checked, and none may appear twice.
    pub fn parse(body: &[u8]) -> Result<Self, FormError> {
        let fields = Fields::parse(body)?;
        let service_code = fields.get("serviceCode")?;
        let dialled = service_code.len() <= 32
            && service_code
                .bytes()
                .all(|b| b.is_ascii_digit() || b == b'*' || b == b'#');
        if !dialled {
            return Err(FormError::Invalid("serviceCode"));
        }
        let text = fields.find("text")?.ok_or(FormError::Missing("text"))?;
        if text.chars().count() > TEXT_CHARS_MAX || text.chars().any(char::is_control) {
            return Err(FormError::Invalid("text"));
        }
        let network_code = match fields.find("networkCode")? {
            None | Some("") => None,
            Some(code) if code.len() <= 8 && code.bytes().all(|b| b.is_ascii_digit()) => {
                Some(code.to_owned())
            }
            Some(_) => return Err(FormError::Invalid("networkCode")),
        };
        Ok(Self {
            session_id: fields.id("sessionId")?,
            service_code: service_code.to_owned(),
            phone: fields.phone("phoneNumber")?,
            text: text.to_owned(),
            network_code,
        })
    }
}

impl fmt::Debug for Dial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dial")
            .field("session_id", &self.session_id)
            .finish_non_exhaustive()
    }
}

/// How a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionStatus {
    /// We closed it.
    Success,
    /// The farmer or the network dropped it while we waited for input.
    Incomplete,
    /// It failed on the way.
    Failed,
}

/// The notice after a session. The typed input and our last answer are left behind on purpose.
#[derive(Clone, PartialEq, Eq)]
pub struct SessionEnded {
    /// The session.
    pub session_id: String,
    /// Whose phone it was.
    pub phone: Msisdn,
    /// How it ended.
    pub status: SessionStatus,
    /// Network code, when told.
    pub network_code: Option<String>,
    /// Length of the session, milliseconds, when told.
    pub duration_ms: Option<u64>,
    /// Number of hops, when told.
    pub hops: Option<u32>,
    /// The gateway's error text, when told; bounded.
    pub error: Option<String>,
}

impl SessionEnded {
    /// Reads the gateway's events form.
    pub fn parse(body: &[u8]) -> Result<Self, FormError> {
        let fields = Fields::parse(body)?;
        let status = match fields.get("status")? {
            "Success" => SessionStatus::Success,
            "Incomplete" => SessionStatus::Incomplete,
            "Failed" => SessionStatus::Failed,
            _ => return Err(FormError::Invalid("status")),
        };
        let number = |name| -> Result<Option<u64>, FormError> {
            Ok(fields.find(name)?.and_then(|text| text.parse().ok()))
        };
        Ok(Self {
            session_id: fields.id("sessionId")?,
            phone: fields.phone("phoneNumber")?,
            status,
            network_code: fields
                .find("networkCode")?
                .map(|code| code.chars().take(8).collect()),
            duration_ms: number("durationInMillis")?,
            hops: number("hopsCount")?.and_then(|hops| u32::try_from(hops).ok()),
            error: fields
                .find("errorMessage")?
                .filter(|text| !text.is_empty())
                .map(crate::error::masked),
        })
    }
}

impl fmt::Debug for SessionEnded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionEnded")
            .field("session_id", &self.session_id)
            .field("status", &self.status)
            .field("hops", &self.hops)
            .finish_non_exhaustive()
    }
}

/// The events form without the fields that may hold a PIN (`input`, `lastAppResponse`): what may
/// be stored as evidence. Refuses what is not a form.
pub fn storable_event(body: &[u8]) -> Result<Vec<u8>, FormError> {
    let Fields(pairs) = Fields::parse(body)?;
    let kept: Vec<_> = pairs
        .into_iter()
        .filter(|(key, _)| key != "input" && key != "lastAppResponse")
        .collect();
    serde_urlencoded::to_string(kept)
        .map(String::into_bytes)
        .map_err(|_| FormError::Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOP: &[u8] = b"sessionId=ATUid_0b1f&serviceCode=%2A384%2A57%23&phoneNumber=%2B254711000111&text=1%2A2&networkCode=63902";

    #[test]
    fn a_hop_is_read_as_the_gateway_writes_it() {
        let dial = Dial::parse(HOP).unwrap();
        assert_eq!(dial.session_id, "ATUid_0b1f");
        assert_eq!(dial.service_code, "*384*57#");
        assert_eq!(dial.phone.digits(), "254711000111");
        assert_eq!(dial.text, "1*2");
        assert_eq!(dial.network_code.as_deref(), Some("63902"));
    }

    #[test]
    fn an_empty_text_is_a_first_hop_but_a_missing_one_is_an_error() {
        let first = b"sessionId=a&serviceCode=%2A1%23&phoneNumber=%2B254711000111&text=";
        assert_eq!(Dial::parse(first).unwrap().text, "");
        let without = b"sessionId=a&serviceCode=%2A1%23&phoneNumber=%2B254711000111";
        assert_eq!(Dial::parse(without), Err(FormError::Missing("text")));
    }

    #[test]
    fn doubled_foreign_and_wild_values_are_refused() {
        let base = "sessionId=a&serviceCode=%2A1%23&phoneNumber=%2B254711000111&text=";
        let parse = |body: String| Dial::parse(body.as_bytes());
        assert_eq!(
            parse(format!("{base}&text=1")),
            Err(FormError::Repeated("text"))
        );
        assert_eq!(
            parse(base.replace("%2B254711000111", "%2B15550001111")),
            Err(FormError::Invalid("phoneNumber"))
        );
        assert_eq!(
            parse(base.replace("%2A1%23", "x")),
            Err(FormError::Invalid("serviceCode"))
        );
        assert_eq!(parse(format!("{base}%0A")), Err(FormError::Invalid("text")));
        assert_eq!(
            parse(format!("{base}{}", "1".repeat(1_001))),
            Err(FormError::Invalid("text"))
        );
        assert_eq!(parse("x".repeat(9_000)), Err(FormError::Malformed));
        assert_eq!(
            parse(format!("{base}&sessionId=b")),
            Err(FormError::Repeated("sessionId"))
        );
    }

    #[test]
    fn debug_shows_neither_phone_nor_input() {
        let shown = format!("{:?}", Dial::parse(HOP).unwrap());
        assert!(
            !shown.contains("254711") && !shown.contains("1*2"),
            "{shown}"
        );
    }

    #[test]
    fn the_end_of_a_session_leaves_the_pin_behind() {
        let body = b"date=2026-03-04+09%3A15%3A22&sessionId=ATUid_1&serviceCode=%2A384%23&networkCode=63902&phoneNumber=%2B254711000111&status=Incomplete&cost=KES+0.10&durationInMillis=21000&hopsCount=4&input=1%2A2%2A4321&lastAppResponse=CON+PIN%3F";
        let ended = SessionEnded::parse(body).unwrap();
        assert_eq!(ended.status, SessionStatus::Incomplete);
        assert_eq!((ended.duration_ms, ended.hops), (Some(21_000), Some(4)));
        let kept = String::from_utf8(storable_event(body).unwrap()).unwrap();
        assert!(kept.contains("hopsCount=4") && !kept.contains("4321") && !kept.contains("PIN"));
    }

    #[test]
    fn an_unknown_session_status_is_an_error() {
        let body = b"sessionId=a&phoneNumber=%2B254711000111&status=Exploded";
        assert_eq!(SessionEnded::parse(body), Err(FormError::Invalid("status")));
    }
}
