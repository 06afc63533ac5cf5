//! The rules of MicroCrop: what is insured, what it costs, what a season pays, and where each
//! shilling is booked. Everything here is a pure function over plain values.
//!
//! Architecture invariant: nothing in this crate performs I/O, awaits, reads a clock, draws a
//! random number or computes with floats (the one door for floats is [`measure::from_millimetres`]).
//! Called by every other crate; calls none of them.
#![deny(clippy::float_arithmetic, clippy::arithmetic_side_effects)]
#![cfg_attr(
    test,
    allow(clippy::arithmetic_side_effects, reason = "tests may overflow loudly")
)]

pub mod address;
pub mod cell;
pub mod damage;
pub mod event;
pub mod evidence;
pub mod i18n;
pub mod id;
pub mod index;
pub mod invariants;
pub mod ledger;
pub mod measure;
pub mod money;
pub mod msisdn;
pub mod payout;
pub mod policy;
pub mod premium;
pub mod product;
pub mod quote;
pub mod season;
pub mod settle;
pub mod sms;
pub mod ussd;
pub mod webhook;
