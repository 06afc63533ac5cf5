//! The farmers' channel over the real router, a real database and a real Redis: whole
//! conversations in both languages, repeats, losses, hostile input, and what a purchase writes.

#![expect(
    clippy::unwrap_used,
    reason = "what a test cannot set up, it cannot go on without"
)]

mod crowd;
mod hostile;
mod money;
mod phone;
mod random;
mod transcripts;
