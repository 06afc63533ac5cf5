//! Webhooks to partners, from the bell to a real receiver, on a real database. `partner` and
//! `receiver` are the other side; must hold no test itself.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod fairness;
mod hearing;
mod partner;
mod receiver;
mod recovery;
mod sending;
