//! Money out at the backend: what M-Pesa calls back with, what operators release, and what the
//! report says; over the router, on a real database.

mod callbacks;
mod house;
mod operators;
mod rail;
