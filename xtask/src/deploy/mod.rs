//! `cargo xtask deploy-check`: every artefact under deploy/ through the tool that knows its kind, and
//! what the artefacts say of each other. Never touches a cloud, a cluster or a registry, and never
//! hides what it did not run: such a row says why. Part of `.ci/run`. Called by main.

mod capacity;
mod environment;
mod files;
mod images;
mod kubernetes;
mod manifests;
mod monitoring;
mod policy;
mod reach;
mod secrets;
mod terraform;
mod tools;

use std::fmt;
use std::path::PathBuf;

use anyhow::{bail, ensure};

use crate::context::Context;
use crate::home::Home;
use crate::progress::print_line;

/// What a person may ask of the check.
#[derive(clap::Args, Debug)]
pub(crate) struct Options {
    /// Also what takes minutes to install: the policy scan
    #[arg(long)]
    full: bool,
    /// Only these checks, by name and joined by a comma
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Ask the programs in this folder instead of building them
    #[arg(long, value_name = "FOLDER")]
    binaries: Option<PathBuf>,
}

/// One artefact, the tool that judged it, and what it said.
#[derive(Debug)]
pub(crate) struct Row {
    artefact: String,
    tool: String,
    verdict: Verdict,
}

#[derive(Debug)]
enum Verdict {
    Proven(String),
    NotRun(String),
    Failed(String),
}

impl Row {
    /// The tool accepted it; `shown` says how much was looked at.
    pub(crate) fn proven(
        artefact: impl Into<String>,
        tool: impl Into<String>,
        shown: impl Into<String>,
    ) -> Self {
        Self::new(artefact, tool, Verdict::Proven(shown.into()))
    }

    /// It could not be judged here, and why.
    pub(crate) fn not_run(
        artefact: impl Into<String>,
        tool: impl Into<String>,
        why: impl Into<String>,
    ) -> Self {
        Self::new(artefact, tool, Verdict::NotRun(why.into()))
    }

    /// Proven when `judged` is `Ok`, with its text; else failed, with every fault in the error.
    pub(crate) fn judged(
        artefact: impl Into<String>,
        tool: impl Into<String>,
        judged: anyhow::Result<String>,
    ) -> Self {
        let verdict = match judged {
            Ok(shown) => Verdict::Proven(shown),
            Err(error) => Verdict::Failed(format!("{error:#}")),
        };
        Self::new(artefact, tool, verdict)
    }

    /// Proven when there are no faults.
    pub(crate) fn faultless(
        artefact: impl Into<String>,
        tool: impl Into<String>,
        faults: &[String],
        shown: impl Into<String>,
    ) -> Self {
        let verdict = if faults.is_empty() {
            Verdict::Proven(shown.into())
        } else {
            Verdict::Failed(faults.join("\n"))
        };
        Self::new(artefact, tool, verdict)
    }

    fn new(artefact: impl Into<String>, tool: impl Into<String>, verdict: Verdict) -> Self {
        Self {
            artefact: artefact.into(),
            tool: tool.into(),
            verdict,
        }
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (word, text) = match &self.verdict {
            Verdict::Proven(text) => ("proven", text.as_str()),
            Verdict::NotRun(text) => ("not run here", text.as_str()),
            // the whole of it was printed when it was found
            Verdict::Failed(text) => ("FAILED", text.lines().next().unwrap_or_default()),
        };
        write!(f, "{:44} {:26} {word}: {text}", self.artefact, self.tool)
    }
}

/// What every check is given.
pub(crate) struct Deploy<'a> {
    /// The checkout and who waits.
    pub(crate) context: &'a Context,
    /// What was asked.
    pub(crate) options: &'a Options,
    manifests: manifests::Rendered,
}

impl Deploy<'_> {
    /// A path of the checkout.
    pub(crate) fn path(&self, inside: &str) -> PathBuf {
        self.context.root.join(inside)
    }

    /// Whether what takes minutes was asked for too.
    pub(crate) fn full(&self) -> bool {
        self.options.full
    }
}

/// One kind of artefact.
type Check = fn(&Deploy<'_>) -> anyhow::Result<Vec<Row>>;

/// All of them, in the order in which they are shown. A new kind is a file and a line.
const CHECKS: &[(&str, Check)] = &[
    ("kubernetes", kubernetes::check),
    ("secrets", secrets::check),
    ("environment", environment::check),
    ("images", images::check),
    ("monitoring", monitoring::check),
    ("terraform", terraform::check),
];

/// Runs the checks, prints a row for each artefact, and fails when one failed.
pub(crate) fn run(context: &Context, options: &Options) -> anyhow::Result<()> {
    for wanted in &options.only {
        let names: Vec<&str> = CHECKS.iter().map(|(name, _)| *name).collect();
        ensure!(
            names.contains(&wanted.as_str()),
            "no check is called `{wanted}`; there are {}",
            names.join(", ")
        );
    }
    // manifests are rendered and Terraform's folders copied there: one check at a time
    let _held = Home::fresh(context, "deploy-check", &[])?;
    let deploy = Deploy {
        context,
        options,
        manifests: manifests::Rendered::default(),
    };
    let mut rows = Vec::new();
    for (name, check) in CHECKS {
        if !options.only.is_empty() && !options.only.iter().any(|wanted| wanted == name) {
            continue;
        }
        context.say("deploy-check", name);
        // a check that breaks down is a failed row, so that the others are still seen
        let found = check(&deploy)
            .unwrap_or_else(|error| vec![Row::judged(*name, "the check itself", Err(error))]);
        context.interrupt.check()?;
        for row in &found {
            if let Verdict::Failed(text) = &row.verdict {
                context.say(name, format!("{}: {text}", row.artefact));
            }
        }
        rows.extend(found);
    }
    print_line("");
    for row in &rows {
        print_line(row);
    }
    let count = |of: fn(&Verdict) -> bool| rows.iter().filter(|row| of(&row.verdict)).count();
    let failed = count(|verdict| matches!(verdict, Verdict::Failed(_)));
    print_line(format!(
        "deploy-check: {} proven, {} not run here, {failed} failed",
        count(|verdict| matches!(verdict, Verdict::Proven(_))),
        count(|verdict| matches!(verdict, Verdict::NotRun(_))),
    ));
    if failed > 0 {
        bail!(
            "{failed} of {} artefacts failed (faults are listed above)",
            rows.len()
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_says_what_was_judged_by_what_and_how_it_went() {
        let row = Row::proven("a file", "a tool", "3 objects").to_string();
        assert!(row.starts_with("a file") && row.ends_with("proven: 3 objects"));
        let faults = ["first".to_owned(), "second".to_owned()];
        let row = Row::faultless("a file", "a tool", &faults, "").to_string();
        assert!(row.ends_with("FAILED: first"));
        let row = Row::faultless("a file", "a tool", &[], "all").to_string();
        assert!(row.ends_with("proven: all"));
    }

    #[test]
    fn checks_have_names_of_their_own() {
        let mut names: Vec<&str> = CHECKS.iter().map(|(name, _)| *name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), CHECKS.len());
    }
}
