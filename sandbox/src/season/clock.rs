//! The manual clock file, of which this driver is the one writer: one RFC 3339 instant, replaced by
//! rename so that no reader sees half of it, never moved backwards. Moved by the stages only.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use chrono::{DateTime, SecondsFormat, Utc};

/// The file and the instant in it.
#[derive(Debug)]
pub(crate) struct ClockFile {
    path: PathBuf,
    now: DateTime<Utc>,
}

impl ClockFile {
    /// Takes over the file; `text` is a path or `manual:<path>`. A file that is not there yet is
    /// made, holding `otherwise`.
    pub(crate) fn open(text: &str, otherwise: DateTime<Utc>) -> anyhow::Result<Self> {
        let path = PathBuf::from(text.strip_prefix("manual:").unwrap_or(text));
        ensure!(
            text != "system",
            "the season driver needs a manual clock: set --clock FILE or TIME_MODE=manual:<file>"
        );
        let now = match std::fs::read_to_string(&path) {
            Ok(held) => held
                .trim()
                .parse()
                .with_context(|| format!("{} must hold one RFC 3339 instant", path.display()))?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                write(&path, otherwise)?;
                otherwise
            }
            Err(error) => {
                return Err(error).with_context(|| format!("cannot read {}", path.display()));
            }
        };
        Ok(Self { path, now })
    }

    pub(crate) fn now(&self) -> DateTime<Utc> {
        self.now
    }

    /// Moves on to `at`; the present instant is no move.
    pub(crate) fn set(&mut self, at: DateTime<Utc>) -> anyhow::Result<()> {
        ensure!(
            at >= self.now,
            "the clock would go back from {} to {at}",
            self.now
        );
        if at > self.now {
            write(&self.path, at)?;
            self.now = at;
        }
        Ok(())
    }
}

fn write(path: &Path, at: DateTime<Utc>) -> anyhow::Result<()> {
    let fresh = path.with_extension("next");
    let text = at.to_rfc3339_opts(SecondsFormat::AutoSi, true);
    std::fs::write(&fresh, format!("{text}\n"))
        .and_then(|()| std::fs::rename(&fresh, path))
        .with_context(|| format!("cannot write the clock {}", path.display()))
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    #[test]
    fn the_clock_moves_forward_and_never_back() {
        let id = std::process::id();
        let path = std::env::temp_dir().join(format!("season-clock-{id}"));
        let start: DateTime<Utc> = "2026-01-15T06:00:00Z".parse().unwrap();
        let mut clock = ClockFile::open(&format!("manual:{}", path.display()), start).unwrap();
        clock.set(start + TimeDelta::seconds(5)).unwrap();
        assert_eq!(
            std::fs::read_to_string(&path).unwrap(),
            "2026-01-15T06:00:05Z\n"
        );
        assert!(
            clock
                .set(start)
                .unwrap_err()
                .to_string()
                .contains("go back")
        );
        let again = ClockFile::open(&path.display().to_string(), start).unwrap();
        assert_eq!(
            again.now(),
            start + TimeDelta::seconds(5),
            "what it holds stands"
        );
        std::fs::remove_file(path).unwrap();
    }
}
