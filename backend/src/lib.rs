//! The backend of MicroCrop: farmers' USSD, partners' API, providers' webhooks, operators' routes
//! and health, all over one HTTP port.
//!
//! Architecture invariant: no SQL here (it is in `store`), no rule here (it is in `domain`), and no
//! route exists outside the table in `routes`, which names its authentication and its limit.
//! Called by `main`, by tests and by the simulation.

pub mod app;
mod auth;
pub mod config;
pub mod door;
pub mod error;
mod health;
mod idle;
pub mod limits;
pub mod migrate;
pub mod openapi;
pub mod operator;
pub mod partner;
pub mod people;
mod record;
pub mod routes;
mod ussd;
mod version;
pub mod webhooks;

pub use app::{App, build};
pub use config::Config;
