//! Africa's Talking's twin: the SMS gateway in its form-encoded shape, and the USSD gateway that
//! acts for a phone. Texts land in the phone's inbox; reports come by the clock. Never answers an
//! SMS request in a shape the real one does not use.
//! Nested under `/at`; the dialler is used by the control API and by the page.

mod dial;
mod sms;

use axum::Router;
use axum::routing::{get, post};

use crate::World;

pub(crate) use dial::SERVICE_CODE;
pub use dial::Screen;

/// What this twin keeps: texts taken so far, for message ids.
#[derive(Debug, Default)]
pub(crate) struct Messages {
    pub(crate) taken: u64,
}

/// The provider's name in faults and callbacks.
pub(crate) const NAME: &str = "africastalking";

/// The provider's endpoints, relative to its base address.
pub(crate) fn router() -> Router<World> {
    Router::new()
        .route("/version1/messaging", post(sms::send))
        .route("/version1/user", get(sms::balance))
}
