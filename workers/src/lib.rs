//! The workers of MicroCrop, one binary each: they hear bells, read rows, call providers and
//! record what came of it.
//!
//! Architecture invariant: no SQL here (it is in `store`), no rule here (it is in `domain`), and
//! no handler trusts a message for more than the id of the row to read.
//! Called by `src/bin/*.rs` and by the simulation.

pub mod consumer;
pub mod damage;
pub mod docs;
pub mod notify;
pub mod outbound;
pub mod payout;
pub mod premium;
pub mod relay;
pub mod role;
pub mod satellite;
pub mod settings;
pub mod sweeps;
pub mod weather;
