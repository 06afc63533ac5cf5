//! Reading what partners send, and saying what is wrong with it: by field, with a stable code and a
//! way to mend it. Must never repeat personal data in a refusal. Used by every partner handler.

use std::str::FromStr;

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde::de::DeserializeOwned;
use utoipa::ToSchema;

use crate::error::ApiError;

/// Longest name of a group or a key, characters.
pub(crate) const NAME_CHARS_MAX: usize = 120;

/// What is wrong with one field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct FieldFault {
    /// The field, as in the request: `consent.version`.
    pub(crate) field: &'static str,
    /// Stable code.
    pub(crate) code: &'static str,
    /// What is wrong and how to mend it.
    pub(crate) reason: String,
}

impl FieldFault {
    /// A fault.
    pub(crate) fn new(field: &'static str, code: &'static str, reason: impl Into<String>) -> Self {
        Self {
            field,
            code,
            reason: reason.into(),
        }
    }

    /// The field is missing.
    pub(crate) fn missing(field: &'static str) -> Self {
        Self::new(field, "missing", format!("{field} is required"))
    }

    /// As the answer to a request with this one fault.
    pub(crate) fn refuse(self) -> ApiError {
        ApiError::invalid(&[self])
    }
}

/// A body as JSON. What serde says names the place, and at most an unknown field, never a value of
/// a field we know, which may be personal data.
pub(crate) fn json<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    require_storable(body)?;
    serde_json::from_slice(body).map_err(|fault| {
        let text = fault.to_string();
        let is_shape = fault.is_data()
            && (text.starts_with("missing field") || text.starts_with("unknown field"));
        if is_shape {
            return ApiError::malformed(text);
        }
        let place = format!("line {}, column {}", fault.line(), fault.column());
        if fault.is_data() {
            return ApiError::malformed(format!("a value has the wrong type at {place}"));
        }
        ApiError::malformed(format!("the body must be JSON; it is not at {place}"))
    })
}

/// Refuses a body with the character U+0000 in a text: no database keeps it. In JSON it can only be
/// written as an escape.
pub(crate) fn require_storable(body: &[u8]) -> Result<(), ApiError> {
    let unstorable = || {
        let rule = "texts must not have the character U+0000";
        Err(ApiError::refused("unstorable", rule))
    };
    if body.contains(&0) {
        return unstorable();
    }
    let mut rest = body;
    while let Some(at) = rest.iter().position(|byte| *byte == b'\\') {
        let (_, from) = rest.split_at(at);
        if from.starts_with(b"\\u0000") {
            return unstorable();
        }
        // behind the escaped character, which may be a backslash
        rest = from.get(2..).unwrap_or_default();
    }
    Ok(())
}

/// An identifier in a path: one that cannot be read names nothing.
pub(crate) fn id_in_path<T: FromStr>(text: &str) -> Result<T, ApiError> {
    text.parse().map_err(|_| ApiError::not_found())
}

/// An identifier in a body.
pub(crate) fn id_in_body<T: FromStr>(field: &'static str, text: &str) -> Result<T, FieldFault> {
    let fault = || FieldFault::new(field, "malformed", format!("{field} is no such id"));
    text.parse().map_err(|_| fault())
}

/// An instant, RFC 3339.
pub(crate) fn instant(field: &'static str, text: &str) -> Result<DateTime<Utc>, FieldFault> {
    let fault = || {
        let reason = format!("{field} must be a time such as 2026-02-02T09:00:00Z");
        FieldFault::new(field, "malformed", reason)
    };
    DateTime::parse_from_rfc3339(text)
        .map(|at| at.with_timezone(&Utc))
        .map_err(|_| fault())
}

/// A partner's own code: letters, digits and dashes, 1 to 32.
pub(crate) fn code(field: &'static str, text: &str) -> Result<String, FieldFault> {
    let is_code = (1..=32).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    if is_code {
        return Ok(text.to_owned());
    }
    let reason = format!("{field} must be 1 to 32 letters, digits or dashes");
    Err(FieldFault::new(field, "malformed", reason))
}

/// A title: 2 to [`NAME_CHARS_MAX`] characters, none of them a control character.
pub(crate) fn title(field: &'static str, text: &str) -> Result<String, FieldFault> {
    let text = text.trim();
    let is_title =
        (2..=NAME_CHARS_MAX).contains(&text.chars().count()) && !text.chars().any(char::is_control);
    if is_title {
        return Ok(text.to_owned());
    }
    let reason = format!("{field} must have 2 to {NAME_CHARS_MAX} characters");
    Err(FieldFault::new(field, "malformed", reason))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_no_database_keeps_is_refused_and_no_other() {
        for refused in [&br#"{"a": "\u0000"}"#[..], br#""\\\u0000""#, b"a,\0\n"] {
            assert!(require_storable(refused).is_err());
        }
        for taken in [&br#"{"a": "\\u0000"}"#[..], br#""\u0001\n""#, b"", b"\\"] {
            assert!(require_storable(taken).is_ok());
        }
    }
}
