//! Every adapter against its provider's twin on a real loopback socket: what works, what each
//! failure proves, and what a repeated call does. No test here sleeps; time is a held clock.
//! Run by the test command like any other.

#![expect(clippy::unwrap_used, reason = "tests may fail loudly")]

mod africastalking;
mod mpesa;
mod pinata;
mod sentinel2;
mod swypt;
mod weatherxm;
mod wire;
mod world;
