//! Lines a person reads while waiting: what is happening and how long it has taken.
//! Never prints secrets (URLs are shown without their password); every xtask command calls it.

use std::fmt::Display;
use std::io::Write;
use std::path::Path;
use std::time::Instant;

/// A stopwatch that prefixes every line with the seconds since the command began.
#[derive(Clone, Copy)]
pub(crate) struct Progress {
    started: Instant,
}

impl Progress {
    /// Starts the stopwatch.
    pub(crate) fn start() -> Self {
        Self {
            started: Instant::now(),
        }
    }

    /// One line on stderr: `[   3.2s] postgres: ready`.
    pub(crate) fn say(self, part: &str, text: impl Display) {
        eprintln!(
            "[{:6.1}s] {part}: {text}",
            self.started.elapsed().as_secs_f32()
        );
    }

    /// Seconds since the command began.
    pub(crate) fn seconds(self) -> f32 {
        self.started.elapsed().as_secs_f32()
    }
}

/// One line on stdout: results, as opposed to progress. A closed pipe is not an error here.
pub(crate) fn print_line(text: impl Display) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{text}");
    let _ = out.flush();
}

/// The last `count` lines of a file, indented, for error messages.
pub(crate) fn tail(path: &Path, count: usize) -> String {
    let Ok(bytes) = std::fs::read(path) else {
        return format!("    (no log at {})", path.display());
    };
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().collect();
    if lines.is_empty() {
        return "    (empty)".to_owned();
    }
    let from = lines.len().saturating_sub(count);
    lines
        .get(from..)
        .unwrap_or_default()
        .iter()
        .map(|line| format!("    {line}"))
        .collect::<Vec<_>>()
        .join("\n")
}

/// A URL without its password, fit for a terminal.
pub(crate) fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.to_owned();
    };
    let Some((login, host)) = rest.rsplit_once('@') else {
        return url.to_owned();
    };
    let user = login.split(':').next().unwrap_or_default();
    format!("{scheme}://{user}@{host}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_never_shown() {
        assert_eq!(
            without_password("postgres://u:secret@db:5432/x"),
            "postgres://u@db:5432/x"
        );
        assert_eq!(
            without_password("redis://127.0.0.1:1/0"),
            "redis://127.0.0.1:1/0"
        );
    }
}
