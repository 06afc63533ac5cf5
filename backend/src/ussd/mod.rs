//! The farmer's phone: Africa's Talking's USSD callback over the pure conversation in
//! `domain::ussd`. Answers 200 with `CON `/`END ` whatever happens.
//!
//! Must never call a provider inside a hop, never limit by address, never log what was typed.
//! Its routes are listed in `crate::routes`; its state is held by the app.

mod call;
mod callers;
mod catalogue;
mod handler;
mod intents;
mod limits;
mod needs;
mod pins;
mod session;

pub(crate) use call::{PLAIN, call, hop};
// a purchase that a partner makes asks for its premium exactly as one by phone does
pub(crate) use intents::{ask_for_premium, planned};

use std::sync::Arc;

use runtime::lifecycle::Lifecycle;
use store::{Pii, Pool};

use crate::config::Config;
use crate::routes::{Auth, Limit, Route};

/// What the channel holds besides what every handler shares.
pub(crate) struct Channel {
    shelf: catalogue::Shelf,
    callers: callers::Callers,
    pins: pins::Pins,
    phones: limits::Phones,
}

impl Channel {
    /// With an empty shelf, filled at the first hop.
    pub(crate) fn new(config: &Config, lifecycle: &Lifecycle, pool: &Pool, pii: &Arc<Pii>) -> Self {
        Self {
            shelf: catalogue::Shelf::default(),
            callers: callers::Callers::new(lifecycle, pool, pii),
            pins: pins::Pins::new(&config.pin_pepper),
            phones: limits::Phones::new(&config.ceilings),
        }
    }
}

/// The channel's routes.
pub(crate) fn routes() -> Vec<Route> {
    vec![
        Route::post(call::ROUTE, Auth::Public, Limit::Ussd, call::without_token),
        Route::post(
            call::ROUTE_WITH_TOKEN,
            Auth::PathToken,
            Limit::Ussd,
            call::with_token,
        ),
    ]
}
