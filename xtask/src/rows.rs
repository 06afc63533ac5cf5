//! What was shown, a row each as it comes, with its numbers, and the closing line. Never counts what was
//! not looked at as shown. Filled by the live proofs and the drill.

use std::fmt::Write as _;

use anyhow::{bail, ensure};

use crate::progress::print_line;

/// Rows of one command.
#[derive(Debug)]
pub(crate) struct Rows {
    command: &'static str,
    shown: usize,
    failed: usize,
    not_run: usize,
}

impl Rows {
    /// None yet.
    pub(crate) fn new(command: &'static str) -> Self {
        Self {
            command,
            shown: 0,
            failed: 0,
            not_run: 0,
        }
    }

    /// Shown when `judged` is `Ok`, with its numbers; else failed, with the reason.
    pub(crate) fn judge(&mut self, what: &str, judged: anyhow::Result<String>) {
        match judged {
            Ok(numbers) => {
                self.shown += 1;
                print_line(format!("shown   {what}: {numbers}"));
            }
            Err(error) => {
                self.failed += 1;
                print_line(format!("FAILED  {what}: {error:#}"));
            }
        }
    }

    /// Shown when `holds`; the numbers are printed either way.
    pub(crate) fn check(&mut self, what: &str, holds: bool, numbers: String) {
        let judged = if holds {
            Ok(numbers)
        } else {
            Err(anyhow::anyhow!(numbers))
        };
        self.judge(what, judged);
    }

    /// What cannot be shown on this machine, and why.
    pub(crate) fn not_run(&mut self, what: &str, why: &str) {
        self.not_run += 1;
        print_line(format!("not run here  {what}: {why}"));
    }

    /// The closing line, with `more` in it if that is not empty; an error when something failed, or
    /// nothing was shown.
    pub(crate) fn close(&self, more: &str) -> anyhow::Result<()> {
        let Self {
            command,
            shown,
            failed,
            not_run,
        } = self;
        let mut words = format!("{command}: {shown} shown, {failed} failed");
        if *not_run > 0 {
            let _ = write!(words, ", {not_run} not run here");
        }
        if !more.is_empty() {
            let _ = write!(words, ", {more}");
        }
        print_line(words);
        if *failed > 0 {
            bail!("{command}: {failed} of {} rows failed", shown + failed);
        }
        ensure!(*shown > 0, "{command}: nothing was shown");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_failed_row_fails_the_command_and_so_does_none_at_all() {
        let mut rows = Rows::new("x");
        assert!(rows.close("").is_err());
        rows.check("a", true, "1".to_owned());
        assert!(rows.close("").is_ok());
        rows.check("b", false, "2".to_owned());
        assert!(rows.close("").is_err());
    }
}
