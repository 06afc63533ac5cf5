//! The generated documents about messages and metrics, from the very tables the code uses.
//! Prints Markdown; never connects to anything. Called by the hidden `docs` command, for xtask.

use std::fmt::Write;

use clap::ValueEnum;
use runtime::metrics::Metrics;
use runtime::topology::{DELIVERY_LIMIT, RETRIES_MAX, Role};

/// A generated document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Part {
    /// Queues and what they hear.
    Queues,
    /// Metrics.
    Metrics,
}

/// The body of a document.
#[must_use]
pub fn markdown(part: Part) -> String {
    match part {
        Part::Queues => queues(),
        Part::Metrics => metrics(),
    }
}

fn queues() -> String {
    let mut out = format!(
        "Each role has a work queue, a retry queue that gives a message back after a delay, and a \
         parked queue for people: a message is parked when it does not decode or after \
         {RETRIES_MAX} retries ({DELIVERY_LIMIT} deliveries are the broker's own limit). All are \
         quorum queues, fed by the topic exchange `events`; names carry `BROKER_PREFIX`.\n\n\
         | Queue | Hears |\n|---|---|\n"
    );
    for role in Role::ALL {
        let topics: Vec<String> = role.topics().iter().map(|t| format!("`{t}`")).collect();
        // writing to a string cannot fail
        let _ = writeln!(out, "| `{}` | {} |", role.name(), topics.join(", "));
    }
    out
}

fn metrics() -> String {
    let mut out = "Served at `/metrics` on each process' private port.\n\n| Name | What it counts \
                   |\n|---|---|\n"
        .to_owned();
    for (name, help) in Metrics::NAMES {
        let _ = writeln!(out, "| `{name}` | {help} |");
    }
    out
}
