//! The tests of the whole system in one process: premiums and seasons under everything that can go
//! wrong, and the closing table. One binary, so that it links once; must hold no test itself.

mod closing;
mod premiums;
mod seasons;
mod support;
