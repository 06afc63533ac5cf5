//! `cargo xtask test`: every test on real servers, with the counts at the end.
//! Never skips a test because a server is missing: it brings the servers. Called by main.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Command, ExitStatus, Stdio};

use anyhow::{Context as _, bail};

use crate::cargo::cargo;
use crate::context::Context;
use crate::progress::print_line;
use crate::servers::{Servers, Wanted};
use crate::tools::ensure_python;

/// What a person may ask of `test`.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Options {
    /// Profile of .config/nextest.toml
    #[arg(long, default_value = "default")]
    profile: String,
    /// Passed on to nextest (or cargo test), as in `-p domain a_repeated_callback_pays_once`
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<String>,
}

/// Numbers of tests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counts {
    passed: u64,
    failed: u64,
    skipped: u64,
}

impl Counts {
    fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

/// Runs the tests, then the doc tests.
pub(crate) fn run(context: &Context, options: &Options) -> anyhow::Result<()> {
    // webhooks are verified by the public library of another language
    ensure_python(context)?;
    let mut servers = Servers::for_command(context, Wanted::ALL)?;
    let database = servers.fresh_database("test")?;
    let urls = servers.urls.clone();
    let with_servers = |mut command: Command| {
        command
            .env("DATABASE_URL", &database)
            .env("REDIS_URL", &urls.redis)
            .env("RABBITMQ_URL", &urls.rabbitmq);
        command
    };
    let nextest = cargo(context)
        .args(["nextest", "--version"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    let mut command = with_servers(cargo(context));
    if nextest {
        command.args(["nextest", "run", "--profile", &options.profile]);
    } else {
        context.say("test", "cargo-nextest is not installed; using cargo test");
        command.arg("test");
    }
    let narrowed = options.args.iter().any(|arg| {
        arg == "-p" || arg.starts_with("--package") || arg.starts_with("--manifest-path")
    });
    if !narrowed {
        command.arg("--workspace");
    }
    if !nextest {
        // doc tests have their own turn below
        command.args(["--lib", "--bins", "--tests", "--no-fail-fast"]);
    }
    command.args(&options.args);
    let (status, mut counts) = run_counted(context, command).context("the tests did not run")?;

    let mut doc_status = None;
    if options.args.is_empty() {
        context.say("test", "doc tests");
        let mut command = with_servers(cargo(context));
        command.args(["test", "--workspace", "--doc", "--quiet"]);
        let (status, doc_counts) = run_counted(context, command)?;
        counts.add(doc_counts);
        doc_status = Some(status);
    } else {
        context.say("test", "doc tests left out because the run was narrowed");
    }
    drop(servers);
    print_line(format!(
        "tests: {} passed, {} failed, {} skipped in {:.0} s",
        counts.passed,
        counts.failed,
        counts.skipped,
        context.progress.seconds()
    ));
    if !status.success() || doc_status.is_some_and(|status| !status.success()) {
        bail!("the tests failed");
    }
    Ok(())
}

/// Runs a command, showing what it prints and adding up the summaries in it.
fn run_counted(context: &Context, mut command: Command) -> anyhow::Result<(ExitStatus, Counts)> {
    use std::io::IsTerminal as _;
    if std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none() {
        command.env("CARGO_TERM_COLOR", "always");
    }
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().context("cannot run cargo")?;
    let out = child.stdout.take().context("no stdout")?;
    let err = child.stderr.take().context("no stderr")?;
    let out = std::thread::spawn(move || tee(out, std::io::stdout()));
    let err = std::thread::spawn(move || tee(err, std::io::stderr()));
    let status = context.wait(child)?;
    let mut counts = out.join().unwrap_or_default();
    counts.add(err.join().unwrap_or_default());
    Ok((status, counts))
}

fn tee(from: impl Read, mut to: impl Write) -> Counts {
    let mut counts = Counts::default();
    let mut reader = BufReader::new(from);
    let mut line = Vec::new();
    while reader
        .read_until(b'\n', &mut line)
        .is_ok_and(|read| read > 0)
    {
        let _ = to.write_all(&line);
        if let Some(found) = count(&String::from_utf8_lossy(&line)) {
            counts.add(found);
        }
        line.clear();
    }
    let _ = to.flush();
    counts
}

/// The counts in a summary line of nextest or of cargo test.
fn count(line: &str) -> Option<Counts> {
    let plain = without_colour(line);
    let text = plain.trim();
    // nextest shows what a failed test printed indented, with a result line of its own in it
    let rest = if let Some(rest) = plain.trim_end().strip_prefix("test result: ") {
        rest
    } else if text.starts_with("Summary [") {
        text.split_once(']')?.1
    } else {
        return None;
    };
    let mut counts = Counts::default();
    let mut before: Option<u64> = None;
    for word in rest.split([' ', ',', ';', ':', '(', ')', '.']) {
        if let Ok(number) = word.parse() {
            before = Some(number);
            continue;
        }
        if let Some(number) = before {
            match word {
                "passed" => counts.passed = number,
                "failed" => counts.failed = number,
                "skipped" | "ignored" => counts.skipped = number,
                "" => continue,
                // "3 timed out" counts as failed; "exec failed" follows its own number
                "timed" => counts.failed += number,
                _ => {}
            }
            before = None;
        }
    }
    Some(counts)
}

fn without_colour(line: &str) -> String {
    let mut text = String::new();
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        if c == '\u{1b}' {
            for end in chars.by_ref() {
                if end.is_ascii_alphabetic() {
                    break;
                }
            }
        } else {
            text.push(c);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn summaries_of_both_runners_are_counted() {
        let nextest = "     \u{1b}[32;1mSummary\u{1b}[0m [   0.103s] 12 tests run: 10 passed (1 slow), 2 failed, 3 skipped";
        assert_eq!(
            count(nextest),
            Some(Counts {
                passed: 10,
                failed: 2,
                skipped: 3
            })
        );
        let cargo = "test result: ok. 4 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s";
        assert_eq!(
            count(cargo),
            Some(Counts {
                passed: 4,
                failed: 0,
                skipped: 1
            })
        );
        assert_eq!(count(&format!("    {cargo}")), None);
        assert_eq!(count("   Compiling x"), None);
    }
}
