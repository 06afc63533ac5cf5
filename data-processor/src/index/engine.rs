//! Versions of the number work. Whenever the same inputs would give another number there is a new
//! one, and the old ones stay computable: evidence is verified by the version it was made with.
//! Read by the index, by the stream and by verification.

/// A version of the number work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Engine {
    /// Rain of stations alone; quality is the stations' own flags.
    One,
    /// Gridded rain and vegetation beside stations, tests of stations against each other and the
    /// satellite, standard errors.
    Two,
}

impl Engine {
    /// What new runs are computed with.
    pub const CURRENT: Self = Self::Two;

    /// Its name in runs and bundles.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::One => "microcrop-index-1",
            Self::Two => "microcrop-index-2",
        }
    }

    /// The version of that name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        [Self::One, Self::Two]
            .into_iter()
            .find(|engine| engine.as_str() == name)
    }
}
