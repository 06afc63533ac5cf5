//! What every MicroCrop process needs before it can do its own work: time, identity, randomness,
//! configuration, logs, metrics, health, orderly life and death, HTTP, Redis and the broker.
//!
//! Architecture invariant: nothing here knows a farmer, a policy or a payout, and nothing here
//! speaks SQL. Called by every binary and by the simulation; calls none of our other crates.

pub mod amqp;
pub mod broker;
pub mod clock;
pub mod config;
pub mod health;
pub mod http;
pub mod ids;
pub mod lifecycle;
pub mod memory;
pub mod metrics;
pub mod redis;
pub mod telemetry;
pub mod together;
pub mod topology;
