//! The conversation on a farmer's phone, as a pure machine: [`open`] answers the dial, [`step`]
//! each later input. The shell loads what a [`Need`] names and asks again, performs the intents,
//! keeps the session.
//!
//! Never does I/O; never holds a PIN between hops. Every reply fits 150 GSM-7 characters with its
//! `CON `/`END ` prefix, in every language, whatever the data.

mod buy;
pub mod gsm7;
mod input;
mod places;
mod register;
mod reply;
mod screen;
mod session;
mod step;
mod text;
mod view;

pub use input::{acres as read_acres, name as read_name, national_id as read_national_id};
pub use places::{Places, WARD_CODE_MAX, Ward, WardCode, WardCodeError};
pub use reply::{Kind, Notice, Reply, bought, notice, refused};
pub use screen::SCREEN_MAX;
pub use session::{
    Caller, Draft, Farmer, Goal, Intent, Need, PLOTS_MAX, Paused, Pin, PinCheck, Plot, Purchase,
    RESUME_HOURS, Refusal, Screen, Session,
};
pub use step::{CONTINUE, Hop, Step, open, step};
pub use text::CONSENT_VERSION;
pub use view::{
    Catalogue, POLICIES_MAX, PolicyStatus, PolicySummary, SeasonSummary, Turn, Version, View,
    cover_name, offers, policy_code,
};

#[cfg(test)]
mod tests;
