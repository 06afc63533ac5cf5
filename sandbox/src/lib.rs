//! A pretend outside world: every provider in its own wire shape with faults on demand, M-Pesa
//! wallets with a book of every shilling, and phones that dial, pay and receive texts.
//!
//! Architecture invariant: all business time comes from the world's clock and all chance from its
//! seed; nothing here sleeps to make time pass, and it never runs in production.
//! Called by the demo, the season driver, provider tests and the simulation.

use axum::Router;

mod africastalking;
mod callback;
mod control;
mod draw;
mod earthsearch;
mod faults;
mod mpesa;
pub mod page;
mod pinata;
mod reply;
mod schedule;
pub mod season;
pub mod serve;
mod swypt;
mod wallets;
pub mod weather;
mod weatherxm;
mod world;

pub use africastalking::Screen;
pub use callback::{Callback, CallbackSink};
pub use faults::Rates;
pub use runtime::clock::Clock;
pub use wallets::{B2cBehaviour, Movement, MovementKind, PhoneSetup, StkBehaviour};
pub use world::{Credentials, Settings, Stepped, World};

/// Every provider under its path prefix, and the control API; the same router serves a bound port
/// and in-process calls.
pub fn router(world: World) -> Router {
    Router::new()
        .nest("/at", africastalking::router())
        .nest("/swypt/api", swypt::router())
        .nest("/mpesa", mpesa::router())
        .nest("/weatherxm/api/v1", weatherxm::router())
        .nest("/earthsearch", earthsearch::router())
        .nest("/pinata", pinata::router())
        .nest("/gateway", pinata::gateway())
        .nest(
            "/control",
            control::router()
                .merge(weather::control::router())
                .merge(earthsearch::control::router()),
        )
        .with_state(world)
}
