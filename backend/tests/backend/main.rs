//! The tests of the backend over its router, on a real database: farmers, partners, money out,
//! people and the surface as a whole. One binary, so that it links once; must hold no test itself.

mod money_out;
mod partner;
mod people;
mod surface;
mod ussd;
