//! A slice of a list: what comes after a row, and how many. Lists are ordered by id, which is the
//! order of creation. Never an offset: rows that arrive meanwhile would shift it.
//! Taken by every `list` of what partners see.

use uuid::Uuid;

/// Most rows of one slice.
pub const ROWS_MAX: u16 = 1_000;

/// Which part of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slice {
    /// The last row that was seen, if any.
    pub after: Option<Uuid>,
    /// How many rows.
    pub limit: u16,
}

impl Slice {
    /// From the start.
    #[must_use]
    pub fn first(limit: u16) -> Self {
        Self { after: None, limit }
    }

    /// Rows to ask the database for: one more than wanted tells whether there is another slice.
    #[must_use]
    pub fn rows(&self) -> i64 {
        i64::from(self.limit.clamp(1, ROWS_MAX)).saturating_add(1)
    }
}
