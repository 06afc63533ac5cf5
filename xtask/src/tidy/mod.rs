//! `cargo xtask tidy`: the rules of the house that no compiler knows, each fault with its place.
//! Never changes a file. Everything but `bench/` is looked at. Called by tidy, check and sqlx.

mod crates;
mod data;
pub(crate) mod files;
mod history;
pub(crate) mod lexer;
mod names;
mod sources;
mod sql;

use std::fs;
use std::path::Path;

use anyhow::{Context as _, bail};

use crate::cargo::metadata;
use crate::context::Context;

/// Something against a rule, and where.
#[derive(Debug, PartialEq, Eq)]
struct Fault {
    /// Path inside the checkout.
    path: String,
    /// Line, 0 when the whole file or crate is meant.
    line: usize,
    /// The rule and how to keep it.
    rule: String,
}

impl Fault {
    fn new(path: &str, line: usize, rule: impl Into<String>) -> Self {
        Self {
            path: path.to_owned(),
            line,
            rule: rule.into(),
        }
    }
}

/// Looks at everything; an error if any rule is broken.
pub(crate) fn run(context: &Context) -> anyhow::Result<()> {
    let root = &context.root;
    let mut faults = crates::check(&metadata(root)?, root);
    for file in files::all(root)? {
        let path = inside(root, &file);
        faults.extend(names::check(&path));
        let extension = file
            .extension()
            .map(|ext| ext.to_string_lossy().into_owned());
        match extension.as_deref() {
            Some("rs") => {
                let text = fs::read_to_string(&file).with_context(|| path.clone())?;
                let source = lexer::Source::parse(&text);
                faults.extend(sources::check(&path, &text, &source));
                faults.extend(sql::check_source(&path, &source));
            }
            Some("sql") => {
                let text = fs::read_to_string(&file).with_context(|| path.clone())?;
                faults.extend(sql::check_file(&path, &text));
            }
            Some(extension) => faults.extend(data::check(&path, extension, &file)),
            None => {}
        }
    }
    match history::check(root)? {
        history::Verdict::Faults(found) => faults.extend(found),
        history::Verdict::NoHistory(why) => {
            context.say("tidy", format!("merged migrations not compared: {why}"));
        }
    }
    if faults.is_empty() {
        return Ok(());
    }
    for fault in &faults {
        if fault.line == 0 {
            context.say("tidy", format!("{}: {}", fault.path, fault.rule));
        } else {
            context.say(
                "tidy",
                format!("{}:{}: {}", fault.path, fault.line, fault.rule),
            );
        }
    }
    bail!("{} faults (listed above)", faults.len())
}

/// A path inside the checkout with forward slashes.
fn inside(root: &Path, file: &Path) -> String {
    file.strip_prefix(root)
        .unwrap_or(file)
        .to_string_lossy()
        .into_owned()
}
