//! The tests of the workers: each role on a real database, against pretended providers and, where
//! it matters, a real broker. One binary, so that it links once; must hold no test itself.

mod amqp;
mod consumer;
mod damage;
mod notify;
mod outbound;
mod payout;
mod premium;
mod relay;
mod satellite;
mod support;
mod sweeps;
mod weather;
