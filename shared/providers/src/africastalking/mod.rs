//! Africa's Talking: the USSD gateway and the SMS gateway. There is no signature on anything it
//! sends us, so nothing parsed here ever changes money state; it identifies, it does not prove.
//! Called by the backend (dialled hops, reports) and the notify worker (sending).

pub mod delivery;
pub mod sms;
pub mod ussd;

/// The provider's name in rows and metrics.
pub const NAME: &str = "africastalking";

/// Why a form that claims to come from the gateway was not taken. Shows no value: forms carry
/// phone numbers and PINs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FormError {
    /// Not a urlencoded form, or longer than any real one.
    #[error("body is not a urlencoded form of at most 8 KiB")]
    Malformed,
    /// A field that every such form carries is missing or empty.
    #[error("form field {0} is missing")]
    Missing(&'static str),
    /// A field appears twice.
    #[error("form field {0} appears more than once")]
    Repeated(&'static str),
    /// A field's value is outside what the gateway documents.
    #[error("form field {0} has a value that the gateway does not document")]
    Invalid(&'static str),
}

/// Longest form read: a USSD session of 180 s cannot fill a tenth of it.
const FORM_BYTES_MAX: usize = 8 * 1024;

/// A decoded form whose fields are taken by name, each at most once.
pub(crate) struct Fields(Vec<(String, String)>);

impl Fields {
    pub(crate) fn parse(body: &[u8]) -> Result<Self, FormError> {
        if body.len() > FORM_BYTES_MAX {
            return Err(FormError::Malformed);
        }
        serde_urlencoded::from_bytes(body)
            .map(Self)
            .map_err(|_| FormError::Malformed)
    }

    /// The value of `name` if the form has it.
    pub(crate) fn find(&self, name: &'static str) -> Result<Option<&str>, FormError> {
        let mut found = self
            .0
            .iter()
            .filter(|(key, _)| key == name)
            .map(|(_, value)| value);
        let first = found.next();
        if found.next().is_some() {
            return Err(FormError::Repeated(name));
        }
        Ok(first.map(String::as_str))
    }

    /// The value of `name`, present and not empty.
    pub(crate) fn get(&self, name: &'static str) -> Result<&str, FormError> {
        match self.find(name)? {
            Some(value) if !value.is_empty() => Ok(value),
            _ => Err(FormError::Missing(name)),
        }
    }

    /// The value of `name` as an identifier: printable, bounded, no spaces.
    pub(crate) fn id(&self, name: &'static str) -> Result<String, FormError> {
        let value = self.get(name)?;
        let fits = value.len() <= 128 && value.bytes().all(|byte| byte.is_ascii_graphic());
        if fits {
            Ok(value.to_owned())
        } else {
            Err(FormError::Invalid(name))
        }
    }

    /// The value of `name` as a Kenyan mobile number.
    pub(crate) fn phone(&self, name: &'static str) -> Result<domain::msisdn::Msisdn, FormError> {
        let value = self.get(name)?;
        domain::msisdn::Msisdn::parse(value).map_err(|_| FormError::Invalid(name))
    }
}
