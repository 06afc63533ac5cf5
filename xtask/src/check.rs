//! `cargo xtask check`: everything that must be clean before a change lands, except the tests.
//! Never stops at the first fault: all are listed at the end. Called by main.

use std::cell::RefCell;
use std::process::Stdio;

use anyhow::{Context as _, bail, ensure};

use crate::cargo::{CLIPPY, cargo};
use crate::context::Context;
use crate::progress::print_line;
use crate::{docs, sqlx_cache, tidy};

/// What came of one part.
enum Outcome {
    Clean,
    NotRun(String),
    Faulty(anyhow::Error),
}

/// Runs every part and lists what came of each.
pub(crate) fn run(context: &Context) -> anyhow::Result<()> {
    type Part<'a> = &'a dyn Fn() -> anyhow::Result<Option<String>>;
    // queries are expanded by clippy, which then has nothing left to do
    let passed = RefCell::new(Vec::new());
    let parts: [(&str, Part<'_>); 6] = [
        ("fmt", &|| {
            let mut command = cargo(context);
            command.args(["fmt", "--all", "--check"]);
            context
                .run_ok(&mut command)
                .context("run `cargo fmt --all`")?;
            Ok(None)
        }),
        ("tidy", &|| tidy::run(context).map(|()| None)),
        ("deny", &|| deny(context)),
        ("sqlx", &|| {
            passed.replace(sqlx_cache::check(context)?);
            Ok(None)
        }),
        ("clippy", &|| {
            let [before, after] = CLIPPY;
            let mut command = cargo(context);
            command.args(before).args(passed.take()).args(after);
            context.run_ok(&mut command).map(|()| None)
        }),
        ("docs", &|| docs::check(context).map(|()| None)),
    ];
    let mut outcomes = Vec::new();
    for (name, part) in parts {
        context.say("check", name);
        let outcome = match part() {
            Ok(None) => Outcome::Clean,
            Ok(Some(reason)) => Outcome::NotRun(reason),
            Err(error) => Outcome::Faulty(error),
        };
        context.interrupt.check()?;
        if let Outcome::Faulty(error) = &outcome {
            context.say(name, format!("{error:#}"));
        }
        outcomes.push((name, outcome));
    }
    print_line("");
    let mut faulty = 0;
    for (name, outcome) in &outcomes {
        match outcome {
            Outcome::Clean => print_line(format!("{name:8} clean")),
            Outcome::NotRun(reason) => print_line(format!("{name:8} NOT RUN: {reason}")),
            Outcome::Faulty(error) => {
                faulty += 1;
                // the first line says what and how to mend it; the details are above
                let text = format!("{error:#}");
                print_line(format!(
                    "{name:8} FAULTY: {}",
                    text.lines().next().unwrap_or_default()
                ));
            }
        }
    }
    if faulty > 0 {
        bail!("{faulty} of {} checks are faulty", outcomes.len());
    }
    Ok(())
}

/// cargo-deny, where installed. Advisories need a database from the network and so are left to CI
/// machines that have one.
fn deny(context: &Context) -> anyhow::Result<Option<String>> {
    let installed = cargo(context)
        .args(["deny", "--version"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if !installed {
        return Ok(Some(
            "cargo-deny is not installed; `cargo install --locked cargo-deny` (about five minutes)"
                .to_owned(),
        ));
    }
    let mut command = cargo(context);
    command.args(["deny", "--offline", "check", "bans", "licenses", "sources"]);
    let status = context.run(&mut command)?;
    ensure!(
        status.success(),
        "cargo deny found faults (deny.toml says why each rule is there)"
    );
    Ok(None)
}
