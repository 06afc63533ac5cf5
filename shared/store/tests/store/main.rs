//! The tests of the store's queries against a real database: what a purchase writes and what the
//! weather does. One binary, so that it links once; must hold no test itself.

mod purchases;
mod weather;
