//! The flag scheme of QARTOD (IOOS/UNESCO IODE 54-V3): what each test says of a number, and the
//! worst of it, kept beside the number as it came. A flag never changes, drops or makes a number.
//! Used by every test of quality control and by who reads its outcome.

/// What a test says. Ordered by nothing: see [`Qartod::worst`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Qartod {
    /// Passed: 1.
    Good,
    /// The test could not be made, or was not: 2.
    #[default]
    NotEvaluated,
    /// Odd, and kept: 3.
    Suspect,
    /// Cannot be: 4. Kept too; whoever uses it says so.
    Fail,
    /// There is no number: 9.
    Missing,
}

impl Qartod {
    /// The published number of the flag.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Good => 1,
            Self::NotEvaluated => 2,
            Self::Suspect => 3,
            Self::Fail => 4,
            Self::Missing => 9,
        }
    }

    /// The flag of a published number.
    #[must_use]
    pub const fn from_code(code: u8) -> Option<Self> {
        match code {
            1 => Some(Self::Good),
            2 => Some(Self::NotEvaluated),
            3 => Some(Self::Suspect),
            4 => Some(Self::Fail),
            9 => Some(Self::Missing),
            _ => None,
        }
    }

    /// The name in evidence.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::NotEvaluated => "not evaluated",
            Self::Suspect => "suspect",
            Self::Fail => "fail",
            Self::Missing => "missing",
        }
    }

    /// QARTOD's order of precedence (ioos_qc, `qartod_compare`): missing gives way to not
    /// evaluated, that to good, that to suspect, that to fail.
    const fn precedence(self) -> u8 {
        match self {
            Self::Missing => 0,
            Self::NotEvaluated => 1,
            Self::Good => 2,
            Self::Suspect => 3,
            Self::Fail => 4,
        }
    }

    /// The one that governs.
    #[must_use]
    pub const fn worst(self, other: Self) -> Self {
        if other.precedence() > self.precedence() {
            other
        } else {
            self
        }
    }

    /// The one that governs many; of none, not evaluated.
    #[must_use]
    pub fn aggregate(flags: impl IntoIterator<Item = Self>) -> Self {
        flags
            .into_iter()
            .reduce(Self::worst)
            .unwrap_or(Self::NotEvaluated)
    }

    /// Whether people should look: suspect or fail.
    #[must_use]
    pub const fn is_odd(self) -> bool {
        matches!(self, Self::Suspect | Self::Fail)
    }

    /// Good unless it is odd.
    #[must_use]
    pub const fn suspect_if(is_odd: bool) -> Self {
        if is_odd { Self::Suspect } else { Self::Good }
    }

    /// Good unless it cannot be.
    #[must_use]
    pub const fn fail_if(cannot_be: bool) -> Self {
        if cannot_be { Self::Fail } else { Self::Good }
    }
}

/// The tests, in the order they are run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Test {
    /// Order of instants, duplicates, a clock set back.
    Timestamp,
    /// What an instrument can measure (WMO).
    GrossRange,
    /// What Kenya's climate gives.
    Climatology,
    /// Change since the last number (WMO).
    Step,
    /// No change where there must be some.
    Persistence,
    /// Against the station's other instruments.
    Internal,
    /// The tail of the station's own months.
    Tail,
    /// One of the station's own extremes, to the last digit.
    Repeat,
    /// What several days may have left in one reading.
    Accumulated,
    /// The unit it was sent in.
    Unit,
    /// The counter started anew.
    Counter,
    /// Against stations near by.
    Buddy,
    /// Dry while all around it rains.
    Blocked,
    /// Whether there is a station near by at all.
    Isolation,
    /// Against the satellite, by dekad.
    Satellite,
    /// Provider's score, place of the station.
    Metadata,
}

/// How many tests there are.
const TESTS: usize = 16;

impl Test {
    /// All of them, in order.
    pub const ALL: [Self; TESTS] = [
        Self::Timestamp,
        Self::GrossRange,
        Self::Climatology,
        Self::Step,
        Self::Persistence,
        Self::Internal,
        Self::Tail,
        Self::Repeat,
        Self::Accumulated,
        Self::Unit,
        Self::Counter,
        Self::Buddy,
        Self::Blocked,
        Self::Isolation,
        Self::Satellite,
        Self::Metadata,
    ];

    /// The name in evidence.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Timestamp => "timestamp",
            Self::GrossRange => "gross range",
            Self::Climatology => "climatology",
            Self::Step => "step",
            Self::Persistence => "persistence",
            Self::Internal => "internal",
            Self::Tail => "tail",
            Self::Repeat => "repeat",
            Self::Accumulated => "accumulated",
            Self::Unit => "unit",
            Self::Counter => "counter",
            Self::Buddy => "buddy",
            Self::Blocked => "blocked",
            Self::Isolation => "isolation",
            Self::Satellite => "satellite",
            Self::Metadata => "metadata",
        }
    }
}

/// What each test says of one number. Sixteen bytes; copied freely.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Results {
    flags: [Qartod; TESTS],
}

impl Results {
    /// Of no number at all: missing, whatever is asked.
    pub const MISSING: Self = Self {
        flags: [Qartod::Missing; TESTS],
    };

    /// Adds what a test says; when it has spoken before, the worse of the two stands.
    pub fn record(&mut self, test: Test, flag: Qartod) {
        for (slot, known) in self.flags.iter_mut().zip(Test::ALL) {
            if known == test {
                *slot = slot.worst(flag);
            }
        }
    }

    /// What a test says.
    #[must_use]
    pub fn of(&self, test: Test) -> Qartod {
        self.flags
            .iter()
            .zip(Test::ALL)
            .find(|(_, known)| *known == test)
            .map_or(Qartod::NotEvaluated, |(flag, _)| *flag)
    }

    /// What governs.
    #[must_use]
    pub fn aggregate(&self) -> Qartod {
        Qartod::aggregate(self.flags)
    }

    /// The tests that found it odd.
    pub fn odd(&self) -> impl Iterator<Item = Test> + use<> {
        let flags = self.flags;
        Test::ALL
            .into_iter()
            .zip(flags)
            .filter_map(|(test, flag)| flag.is_odd().then_some(test))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ALL: [Qartod; 5] = [
        Qartod::Good,
        Qartod::NotEvaluated,
        Qartod::Suspect,
        Qartod::Fail,
        Qartod::Missing,
    ];

    #[test]
    fn the_published_numbers_and_order_hold() {
        assert_eq!(ALL.map(Qartod::code), [1, 2, 3, 4, 9]);
        for flag in ALL {
            assert_eq!(Qartod::from_code(flag.code()), Some(flag));
        }
        let mut given_way = Qartod::Missing;
        for next in [2, 1, 3, 4] {
            let next = Qartod::from_code(next).unwrap();
            assert_eq!(given_way.worst(next), next);
            given_way = next;
        }
        assert_eq!(Qartod::aggregate([]), Qartod::NotEvaluated);
    }

    #[test]
    fn tests_are_told_apart_and_the_worse_word_stands() {
        let mut results = Results::default();
        results.record(Test::Tail, Qartod::Suspect);
        results.record(Test::Tail, Qartod::Good);
        results.record(Test::GrossRange, Qartod::Good);
        assert_eq!(results.of(Test::Tail), Qartod::Suspect);
        assert_eq!(results.of(Test::GrossRange), Qartod::Good);
        assert_eq!(results.of(Test::Buddy), Qartod::NotEvaluated);
        assert_eq!(results.aggregate(), Qartod::Suspect);
        assert_eq!(results.odd().collect::<Vec<_>>(), [Test::Tail]);
        assert_eq!(Results::MISSING.aggregate(), Qartod::Missing);
    }

    proptest! {
        #[test]
        fn the_order_of_tests_does_not_matter(codes in proptest::collection::vec(0_usize..5, 1..9)) {
            let flags: Vec<_> = codes.iter().map(|n| ALL[*n]).collect();
            let forwards = Qartod::aggregate(flags.iter().copied());
            prop_assert_eq!(forwards, Qartod::aggregate(flags.iter().rev().copied()));
            prop_assert_eq!(forwards.is_odd(), flags.iter().any(|f| f.is_odd()));
        }
    }
}
