//! The tests of the whole system in one process: premiums and seasons under everything that can go
//! wrong, the closing table, and vegetation. One binary, so that it links once; must hold no test itself.

mod closing;
mod premiums;
mod seasons;
mod support;
mod vegetation;
