//! What modules say of themselves: every variable and output is described, every variable is used,
//! every module is called, and all want the same versions. Terraform itself judges what is passed to
//! them. Reads text as `terraform fmt` leaves it; called by the check above.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use anyhow::Context as _;

use super::super::files::with_extension;
use super::super::{Deploy, Row};
use super::FOLDER;

/// Modules that no environment uses, on purpose.
const UNUSED: [&str; 1] = ["modules/rabbitmq"];
/// Where each folder says which versions it wants; the pipeline finds folders by it.
const VERSIONS: &str = "versions.tf";

/// One row over all folders.
pub(super) fn check(deploy: &Deploy<'_>, folders: &[String]) -> Row {
    let (artefact, tool) = ("modules: what they take and give", "this program");
    match judge(deploy, folders) {
        Ok((faults, shown)) => Row::faultless(artefact, tool, &faults, shown),
        Err(error) => Row::judged(artefact, tool, Err(error)),
    }
}

fn judge(deploy: &Deploy<'_>, folders: &[String]) -> anyhow::Result<(Vec<String>, String)> {
    let mut faults = Vec::new();
    let mut called = BTreeSet::new();
    let (mut variables, mut outputs) = (0, 0);
    let mut agreed = BTreeMap::new();
    for folder in folders {
        let versions = fs::read_to_string(deploy.path(FOLDER).join(folder).join(VERSIONS))
            .with_context(|| format!("{folder} has no {VERSIONS}"))?;
        for (of, version) in versions_of(&versions) {
            let held = agreed.entry(of.clone()).or_insert_with(|| version.clone());
            if *held != version {
                faults.push(format!("{folder} wants {of} {version}, others want {held}"));
            }
        }
        let mut text = String::new();
        for file in with_extension(&deploy.path(FOLDER).join(folder), "tf")? {
            text.push_str(&fs::read_to_string(file)?);
            text.push('\n');
        }
        for name in texts_after(&text, "source", "= \"") {
            if let Some((_, module)) = name.split_once("modules/") {
                called.insert(format!("modules/{module}"));
            } else if let Some(module) = name.strip_prefix("../") {
                called.insert(format!("modules/{module}"));
            }
        }
        for (name, body) in blocks(&text, "variable") {
            variables += 1;
            if !body.contains("\n  description ") {
                faults.push(format!("{folder}: variable {name} says nothing of itself"));
            }
            if !body.contains("\n  type ") {
                faults.push(format!("{folder}: variable {name} has no type"));
            }
            let others = text.replace(&body, "");
            if !uses(&others, &format!("var.{name}")) {
                faults.push(format!("{folder}: nobody uses variable {name}"));
            }
        }
        for (name, body) in blocks(&text, "output") {
            outputs += 1;
            if !body.contains("\n  description ") {
                faults.push(format!("{folder}: output {name} says nothing of itself"));
            }
        }
    }
    for folder in folders.iter().filter(|f| f.starts_with("modules/")) {
        let unused = UNUSED.contains(&folder.as_str());
        if called.contains(folder) == unused {
            faults.push(if unused {
                format!("{folder} is used, though it is said not to be")
            } else {
                format!("nobody uses {folder}")
            });
        }
    }
    let shown = format!(
        "{variables} variables used, {outputs} outputs, all described, in {} folders; {} versions agreed on",
        folders.len(),
        agreed.len()
    );
    Ok((faults, shown))
}

/// Terraform itself and each provider, with the version that is wanted.
fn versions_of(text: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut of = None;
    for line in text.lines() {
        let Some((name, value)) = line.split_once('=') else {
            continue;
        };
        let value = value.trim().trim_matches('"').to_owned();
        match name.trim() {
            "required_version" => found.push(("terraform".to_owned(), value)),
            "source" => of = Some(value),
            "version" => found.extend(of.take().map(|of| (of, value))),
            _ => {}
        }
    }
    found
}

/// Name and text of every block of a kind.
fn blocks(text: &str, kind: &str) -> Vec<(String, String)> {
    let begin = format!("{kind} \"");
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(at) = find_line(rest, &begin) {
        let Some(block) = rest.get(at..) else { break };
        let end = block.find("\n}").map_or(block.len(), |end| end + 2);
        let (Some(body), Some(after)) = (block.get(..end), block.get(end..)) else {
            break;
        };
        let name = body.split('"').nth(1).unwrap_or_default();
        found.push((name.to_owned(), body.to_owned()));
        rest = after;
    }
    found
}

/// Where a line begins with a text.
fn find_line(text: &str, begin: &str) -> Option<usize> {
    if text.starts_with(begin) {
        return Some(0);
    }
    text.find(&format!("\n{begin}")).map(|at| at + 1)
}

/// The quoted texts of lines `NAME… = "TEXT"`.
fn texts_after<'a>(text: &'a str, name: &str, between: &str) -> Vec<&'a str> {
    text.lines()
        .filter_map(|line| {
            let line = line.trim().strip_prefix(name)?.trim_start();
            line.strip_prefix(between)?.split('"').next()
        })
        .collect()
}

/// Whether a name occurs that does not go on.
fn uses(text: &str, name: &str) -> bool {
    text.match_indices(name).any(|(at, _)| {
        let after = text
            .get(at + name.len()..)
            .and_then(|rest| rest.chars().next());
        !after.is_some_and(|c| c.is_ascii_alphanumeric() || c == '_')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_goes_on_is_another_name() {
        assert!(uses("x = var.zone\n", "var.zone"));
        assert!(!uses("x = var.zones", "var.zone"));
    }

    #[test]
    fn versions_are_read_with_what_they_are_of() {
        let text = "  required_version = \">= 1.11\"\n  aws = {\n    source  = \"hashicorp/aws\"\n    version = \">= 5.1, < 7.0\"\n";
        let wanted = [("terraform", ">= 1.11"), ("hashicorp/aws", ">= 5.1, < 7.0")];
        assert_eq!(
            versions_of(text),
            wanted.map(|(of, v)| (of.to_owned(), v.to_owned()))
        );
    }

    #[test]
    fn blocks_end_where_their_brace_does() {
        let text =
            "variable \"a\" {\n  type = object({\n    b = string\n  })\n}\nvariable \"c\" {\n}\n";
        let found = blocks(text, "variable");
        assert_eq!(found.len(), 2);
        assert!(found[0].1.contains("b = string") && found[1].0 == "c");
    }
}
