//! The tests of the data processor's public functions, from samples to seasons and back from a
//! bundle of evidence. One binary, so that it links once; must hold no test itself.

mod days;
mod house;
mod import;
mod properties;
mod seasons;
mod sources;
mod stream;
mod vegetation;
mod verify;
