//! Weather's rows against a real database: stations frozen once, days fetched once, samples
//! immutable, days and runs unique by what they say, nothing changed under a decided risk.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on should stop there"
)]
#![expect(
    clippy::disallowed_methods,
    reason = "rows of others are made straight in SQL"
)]

mod days;
mod observed;
mod runs;
mod sources;
