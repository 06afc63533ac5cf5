//! The partner API: the wall between tenants, keys, changes that happen once, farmers alone and in
//! files, plots, exports. Must hold no test itself.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod admin;
mod bulk;
mod endpoints;
mod examples;
mod exports;
mod farmers;
mod house;
mod keys;
mod once;
mod payouts;
mod plots;
mod policies;
mod seed;
mod walls;
