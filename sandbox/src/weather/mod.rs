//! The sky over the pretend world: how much it rains where, on each local day, and which stations
//! stand there. Follows from seed, scenario or replayed file alone; never from what was asked
//! before. The wire shapes around it are `weatherxm`'s.

pub(crate) mod control;
pub(crate) mod fault;
pub mod replay;
pub(crate) mod scenario;
pub(crate) mod sky;
pub(crate) mod station;
pub(crate) mod vegetation;
pub(crate) mod wards;
