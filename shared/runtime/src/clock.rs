//! The one place where the product learns what time it is. A clock is handed down from `main`;
//! business rules receive instants as values and must never read one themselves.
//! Called by every binary, the simulation and tests.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};

use crate::config::Environment;

/// Why a `TIME_MODE` cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ClockError {
    /// None of the modes.
    #[error("TIME_MODE is `{0}`; set it to `system`, `system+<seconds>` or `manual:<file>`")]
    Mode(String),
    /// Another time than the machine's was asked for in production.
    #[error("TIME_MODE=`{0}` is refused in production; set TIME_MODE=system")]
    Production(String),
    /// The file does not exist or holds no instant.
    #[error("clock file {path} must hold one RFC 3339 instant: {reason}")]
    File {
        /// The file of `TIME_MODE`.
        path: PathBuf,
        /// What was wrong with it.
        reason: String,
    },
}

/// A source of instants; cloning it is cheap and all clones agree.
///
/// Every instant is cut to whole microseconds, the resolution of the database, so that a value
/// read back equals the value written.
#[derive(Debug, Clone)]
pub enum Clock {
    /// The machine's own time.
    System,
    /// The machine's time so much later or earlier: a rehearsal in another season at real speed.
    Shifted(TimeDelta),
    /// One RFC 3339 instant in a file that a season driver replaces by `rename`.
    Manual(Arc<ManualFile>),
    /// An instant held in memory and moved by its owner: tests and simulation.
    Held(Held),
}

/// Changes of a file closer together than this may carry the same time stamp: the kernel's tick is
/// 10 ms at most. What was read sooner after a change is read again.
const STAMP_NANOS: i128 = 50_000_000;

/// A clock looked at in a file at every call, never going backwards within a process. Its content is
/// read again only when the file is another one or has changed.
#[derive(Debug)]
pub struct ManualFile {
    path: PathBuf,
    last_micros: AtomicI64,
    /// The file as it was when its content was last read; `None` when it may change unnoticed.
    seen: Mutex<Option<Stamp>>,
}

/// What tells one content of the file from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    inode: u64,
    bytes: u64,
    modified_nanos: i128,
    changed_nanos: i128,
}

/// A clock in memory; clones share the instant.
#[derive(Debug, Clone)]
pub struct Held {
    micros: Arc<AtomicI64>,
}

impl Clock {
    /// Reads `TIME_MODE`: `system`, or what production refuses: `system+<seconds>`,
    /// `system-<seconds>` and `manual:<file>`.
    pub fn parse(mode: &str, environment: Environment) -> Result<Self, ClockError> {
        if mode == "system" {
            return Ok(Self::System);
        }
        if environment == Environment::Production {
            return Err(ClockError::Production(mode.to_owned()));
        }
        let unknown = || ClockError::Mode(mode.to_owned());
        if let Some(shift) = mode.strip_prefix("system") {
            let is_signed = shift.starts_with(['+', '-']);
            let seconds = shift.parse().ok().filter(|_| is_signed);
            let shift = seconds
                .and_then(TimeDelta::try_seconds)
                .ok_or_else(unknown)?;
            return Ok(Self::Shifted(shift));
        }
        let path = mode
            .strip_prefix("manual:")
            .filter(|path| !path.is_empty())
            .ok_or_else(unknown)?;
        let path = PathBuf::from(path);
        match read(&path) {
            Ok(instant) => Ok(Self::Manual(Arc::new(ManualFile {
                path,
                last_micros: AtomicI64::new(instant.timestamp_micros()),
                seen: Mutex::new(None),
            }))),
            Err(reason) => Err(ClockError::File { path, reason }),
        }
    }

    /// A clock that stands at `instant` until its owner moves it (see [`Clock::held_handle`]).
    #[must_use]
    pub fn held(instant: DateTime<Utc>) -> Self {
        Self::Held(Held::new(instant))
    }

    /// The handle that moves a held clock; `None` for the other kinds.
    #[must_use]
    pub fn held_handle(&self) -> Option<Held> {
        match self {
            Self::Held(held) => Some(held.clone()),
            Self::System | Self::Shifted(_) | Self::Manual(_) => None,
        }
    }

    /// The present instant, in whole microseconds.
    #[must_use]
    pub fn now(&self) -> DateTime<Utc> {
        match self {
            Self::System => system_now(),
            Self::Shifted(shift) => system_now().checked_add_signed(*shift).unwrap_or_default(),
            Self::Manual(file) => file.now(),
            Self::Held(held) => held.now(),
        }
    }

    /// Whether someone other than the machine decides the time.
    #[must_use]
    pub fn is_manual(&self) -> bool {
        !matches!(self, Self::System | Self::Shifted(_))
    }
}

impl ManualFile {
    /// The file's instant, or the last one seen when the file is unreadable or went backwards.
    fn now(&self) -> DateTime<Utc> {
        let stamp = Stamp::of(&self.path);
        let seen = *self.seen();
        if stamp.is_none() || stamp != seen {
            if let Ok(instant) = read(&self.path) {
                self.last_micros
                    .fetch_max(instant.timestamp_micros(), Ordering::AcqRel);
            }
            // taken before the reading: what changed in between is noticed at the next call
            *self.seen() = stamp.filter(Stamp::is_settled);
        }
        instant_of(self.last_micros.load(Ordering::Acquire))
    }

    fn seen(&self) -> std::sync::MutexGuard<'_, Option<Stamp>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Stamp {
    fn of(path: &Path) -> Option<Self> {
        let file = std::fs::metadata(path).ok()?;
        let nanos =
            |seconds: i64, nanos: i64| i128::from(seconds) * 1_000_000_000 + i128::from(nanos);
        Some(Self {
            inode: file.ino(),
            bytes: file.size(),
            modified_nanos: nanos(file.mtime(), file.mtime_nsec()),
            changed_nanos: nanos(file.ctime(), file.ctime_nsec()),
        })
    }

    /// Whether a later change must carry another stamp.
    fn is_settled(&self) -> bool {
        let now = system_now().timestamp_nanos_opt().map(i128::from);
        let changed = self.changed_nanos.max(self.modified_nanos);
        now.is_some_and(|now| now - changed > STAMP_NANOS)
    }
}

impl Held {
    /// A handle standing at `instant`.
    #[must_use]
    pub fn new(instant: DateTime<Utc>) -> Self {
        Self {
            micros: Arc::new(AtomicI64::new(instant.timestamp_micros())),
        }
    }

    /// The instant it stands at.
    #[must_use]
    pub fn now(&self) -> DateTime<Utc> {
        instant_of(self.micros.load(Ordering::Acquire))
    }

    /// Moves to `instant`; an earlier one is ignored, time never goes backwards.
    pub fn set(&self, instant: DateTime<Utc>) {
        self.micros
            .fetch_max(instant.timestamp_micros(), Ordering::AcqRel);
    }

    /// Moves on by `by`; a negative or absurd step is ignored.
    pub fn advance(&self, by: TimeDelta) {
        if let Some(next) = self.now().checked_add_signed(by) {
            self.set(next);
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the clock")]
fn system_now() -> DateTime<Utc> {
    Utc::now().trunc_subsecs(6)
}

fn read(path: &Path) -> Result<DateTime<Utc>, String> {
    let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
    DateTime::parse_from_rfc3339(text.trim())
        .map(|instant| instant.to_utc())
        .map_err(|error| error.to_string())
}

fn instant_of(micros: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_micros(micros).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        DateTime::parse_from_rfc3339(text).unwrap().to_utc()
    }

    #[test]
    fn a_shifted_clock_runs_with_the_machine_and_never_in_production() {
        let parse = |mode| Clock::parse(mode, Environment::Development);
        let day = TimeDelta::days(1);
        let before = Clock::System.now();
        let (later, earlier) = (
            parse("system+86400").unwrap(),
            parse("system-86400").unwrap(),
        );
        assert!(later.now() >= before + day && earlier.now() < before);
        assert!(earlier.now() + day >= before && !later.is_manual());
        for unknown in ["system+", "system5", "system+1h", "manual:", "clock"] {
            assert!(
                matches!(parse(unknown), Err(ClockError::Mode(_))),
                "{unknown}"
            );
        }
        let refused = Clock::parse("system+86400", Environment::Production);
        assert!(matches!(refused, Err(ClockError::Production(_))));
    }

    #[test]
    fn a_manual_clock_follows_its_file_and_never_goes_back() {
        let path = std::env::temp_dir().join(format!("clock-{}", std::process::id()));
        std::fs::write(&path, "2009-03-01T06:00:00Z\n").unwrap();
        let mode = format!("manual:{}", path.display());
        let clock = Clock::parse(&mode, Environment::Development).unwrap();
        assert_eq!(clock.now(), at("2009-03-01T06:00:00Z"));
        std::fs::write(&path, "2009-05-01T06:00:00+03:00").unwrap();
        assert_eq!(clock.clone().now(), at("2009-05-01T03:00:00Z"));
        std::fs::write(&path, "2008-01-01T00:00:00Z").unwrap();
        assert_eq!(clock.now(), at("2009-05-01T03:00:00Z"));
        std::fs::remove_file(&path).unwrap();
        assert_eq!(clock.now(), at("2009-05-01T03:00:00Z"));
    }

    #[test]
    fn every_change_of_the_file_is_seen_at_once_however_close_to_the_last() {
        let path = std::env::temp_dir().join(format!("clock-close-{}", std::process::id()));
        let next = path.with_extension("next");
        std::fs::write(&path, "2009-03-01T00:00:00Z").unwrap();
        let mode = format!("manual:{}", path.display());
        let clock = Clock::parse(&mode, Environment::Development).unwrap();
        let mut expected = clock.now();
        for _ in 0..500 {
            expected += TimeDelta::seconds(1);
            std::fs::write(&next, expected.to_rfc3339()).unwrap();
            std::fs::rename(&next, &path).unwrap();
            assert_eq!(clock.now(), expected);
            assert_eq!(clock.now(), expected);
        }
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    fn production_refuses_a_manual_clock() {
        let refused = Clock::parse("manual:/tmp/now", Environment::Production);
        assert!(matches!(refused, Err(ClockError::Production(_))));
        assert!(matches!(
            Clock::parse("lunar", Environment::Staging),
            Err(ClockError::Mode(_))
        ));
        assert!(
            !Clock::parse("system", Environment::Production)
                .unwrap()
                .is_manual()
        );
    }

    #[test]
    fn a_held_clock_moves_only_forward_for_all_its_clones() {
        let clock = Clock::held(at("2026-03-01T00:00:00Z"));
        let handle = clock.held_handle().unwrap();
        handle.advance(TimeDelta::days(2));
        handle.set(at("2026-03-02T00:00:00Z"));
        assert_eq!(clock.clone().now(), at("2026-03-03T00:00:00Z"));
    }
}
