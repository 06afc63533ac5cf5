//! The whole system in one process: the real router, the real handlers, a real Postgres and Redis,
//! the sandbox's providers over real HTTP, an in-memory broker and one clock that only the
//! simulation moves. A list of operations drives it; invariants are checked after each.
//!
//! Architecture invariant: nothing here decides anything the product does not, and nothing runs in
//! the background: a seed and a list of operations are the whole story. Called by its tests.

pub mod farmer;
mod gateway;
pub mod op;
mod outside;
mod people;
mod processes;
pub mod settings;
pub mod system;
