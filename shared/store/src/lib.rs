//! All SQL of MicroCrop, one file a noun. Functions take a connection and never begin or commit;
//! who calls them owns the transaction, so that state, ledger, outbox and dedupe row commit as one.
//!
//! Architecture invariant: no other crate speaks SQL, and this one speaks nothing else.

pub mod agents;
pub mod announcements;
pub mod api_keys;
pub mod approvals;
pub mod attempts;
pub mod audit;
pub mod baselines;
pub mod bells;
pub mod bundles;
pub mod capacity;
pub mod collections;
pub mod consumed;
pub mod cover;
pub mod credentials;
mod decode;
pub mod deliveries;
pub mod endpoints;
pub mod enrolments;
pub mod error;
pub mod evaluations;
pub mod exports;
pub mod facts;
pub mod farmers;
#[cfg(feature = "testing")]
pub mod fixtures;
pub mod grids;
pub mod groups;
pub mod idempotency;
pub mod idle;
pub mod imports;
pub mod index_runs;
pub mod invitations;
pub mod ledger;
pub mod legs;
pub mod login;
mod needs_person;
pub mod notices;
pub mod observations;
pub mod operators;
pub mod organisations;
pub mod outbox;
pub mod page;
pub mod partner_views;
pub mod patch;
pub mod payments;
pub mod payouts;
pub mod pii;
pub mod plots;
pub mod policies;
pub mod pool;
pub mod products;
pub mod provider_events;
pub mod quotes;
pub mod receipts;
pub mod report;
pub mod restatements;
pub mod risks;
pub mod scene_checks;
pub mod scene_windows;
pub mod scenes;
pub mod seasons;
pub mod sessions;
pub mod sms;
pub mod sources;
pub mod station_days;
pub mod stations;
pub mod sweeps;
pub mod tenancy;
#[cfg(feature = "testing")]
pub mod testing;
pub mod ussd;
pub mod wards;

pub use error::StoreError;
pub use pii::Pii;
pub use pool::{
    Alone, Connection, DatabaseError, MIGRATOR, Pool, Pooled, Transaction, connect, connect_alone,
};
