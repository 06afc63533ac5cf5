//! The outside world over HTTP, each provider in its own wire shape: what is sent, what comes back,
//! and what a failure proves about money and messages.
//!
//! Architecture invariant: no SQL, no clock of ours, no retry of anything that is not idempotent;
//! every client is built from a `reqwest::Client` and a config handed in by value, but [`webhook`]'s,
//! whose addresses come from partners and whose guard is part of its HTTP client.
//! Called by backend (callback parsers), workers and data-processor (clients).

pub mod africastalking;
pub mod error;
pub mod mpesa;
pub mod pinata;
pub mod scalar;
pub mod secret;
pub mod sentinel2;
pub mod swypt;
pub mod weatherxm;
pub mod webhook;
mod wire;

pub use error::ProviderError;
pub use secret::Secret;
