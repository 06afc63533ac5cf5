//! The number work of MicroCrop: from samples of a rain counter to local days, cell days and index
//! runs; the indices, prices and back-tests of contracts; and the recomputation of published evidence.
//!
//! Architecture invariant: the only crate with floats, and none of them leaves it except through
//! a door that checks it; what is missing stays missing. Called by its binary and the simulation.

pub mod batch;
pub mod index;
pub mod process;
pub mod rule;
pub mod science;
pub mod stream;
pub mod validate;
pub mod verify;
pub mod wards;
