//! Webhooks to partners, from the bell to a real receiver, on a real database. One binary, so that
//! it links once. `partner` and `receiver` are the other side; must hold no test itself.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod fairness;
mod hearing;
mod partner;
mod receiver;
mod recovery;
#[path = "../support/season.rs"]
mod season;
mod sending;
#[path = "../support/mod.rs"]
mod support;
