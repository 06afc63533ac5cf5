//! Log lines and trace identity. One subscriber a process, JSON in production; trace context is
//! carried as a W3C `traceparent` text through the outbox and the broker.
//! Must never be handed a phone number, a name, a PIN, a key or a raw body. Called by `main`.

use tracing_subscriber::EnvFilter;

use crate::config::LogFormat;
use crate::ids::Ids;

/// Why logging could not be started.
#[derive(Debug, thiserror::Error)]
#[error("logging cannot start: {0}")]
pub struct TelemetryError(String);

/// Starts logging to standard error; call once, first thing in `main`.
pub fn init(format: LogFormat, filter: &str) -> Result<(), TelemetryError> {
    let filter = EnvFilter::try_new(filter).map_err(|error| TelemetryError(error.to_string()))?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_target(true);
    match format {
        LogFormat::Json => builder
            .json()
            .flatten_event(true)
            .with_current_span(true)
            .with_span_list(false)
            .try_init(),
        LogFormat::Text => builder.try_init(),
    }
    .map_err(|error| TelemetryError(error.to_string()))
}

/// A new trace: `00-<trace>-<span>-01`.
#[must_use]
pub fn new_trace(ids: &Ids) -> String {
    format!(
        "00-{}-{}-01",
        hex(&ids.bytes::<16>()),
        hex(&ids.bytes::<8>())
    )
}

/// The next step of the trace `parent`, or a new trace when there is none or it is malformed.
#[must_use]
pub fn continue_trace(parent: Option<&str>, ids: &Ids) -> String {
    match parent.and_then(trace_id) {
        Some(trace) => format!("00-{trace}-{}-01", hex(&ids.bytes::<8>())),
        None => new_trace(ids),
    }
}

/// The 32-digit trace id inside a `traceparent`; `None` when it is not well formed.
#[must_use]
pub fn trace_id(traceparent: &str) -> Option<&str> {
    let mut parts = traceparent.split('-');
    let (version, trace, span, flags) =
        (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let lower_hex = |text: &str, length| {
        text.len() == length
            && text
                .bytes()
                .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    };
    let well_formed = version == "00"
        && parts.next().is_none()
        && lower_hex(trace, 32)
        && lower_hex(span, 16)
        && lower_hex(flags, 2)
        && trace.bytes().any(|b| b != b'0')
        && span.bytes().any(|b| b != b'0');
    well_formed.then_some(trace)
}

fn hex(bytes: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_keeps_its_id_from_step_to_step() {
        let ids = Ids::seeded(3);
        let first = new_trace(&ids);
        let second = continue_trace(Some(&first), &ids);
        assert_eq!(trace_id(&first), trace_id(&second));
        assert_ne!(first, second);
    }

    #[test]
    fn a_malformed_parent_starts_a_new_trace() {
        let ids = Ids::seeded(3);
        for bad in [
            "",
            "00-zz-11-01",
            "00-00000000000000000000000000000000-0000000000000001-01",
        ] {
            assert_eq!(trace_id(bad), None);
            assert!(trace_id(&continue_trace(Some(bad), &ids)).is_some());
        }
    }
}
