//! What modules say of themselves: every variable and output is described, every variable is used,
//! every module is called. Terraform itself judges what is passed to them. Reads text as
//! `terraform fmt` leaves it; called by the check above.

use std::collections::BTreeSet;
use std::fs;

use super::super::kubernetes::with_extension;
use super::super::{Deploy, Row};
use super::FOLDER;

/// Modules that no environment uses, on purpose.
const UNUSED: [&str; 1] = ["modules/rabbitmq"];

/// One row over all folders.
pub(super) fn check(deploy: &Deploy<'_>, folders: &[String]) -> Row {
    let judged = judge(deploy, folders);
    let (faults, shown) = match judged {
        Ok(found) => found,
        Err(error) => {
            return Row::judged(
                "modules: what they take and give",
                "this program",
                Err(error),
            );
        }
    };
    Row::faultless(
        "modules: what they take and give",
        "this program",
        &faults,
        shown,
    )
}

fn judge(deploy: &Deploy<'_>, folders: &[String]) -> anyhow::Result<(Vec<String>, String)> {
    let mut faults = Vec::new();
    let mut called = BTreeSet::new();
    let (mut variables, mut outputs) = (0, 0);
    for folder in folders {
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
            if !body.contains("\n  description = ") && !body.contains("\n  description ") {
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
        "{variables} variables used, {outputs} outputs, all described, in {} folders",
        folders.len()
    );
    Ok((faults, shown))
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
    fn blocks_end_where_their_brace_does() {
        let text =
            "variable \"a\" {\n  type = object({\n    b = string\n  })\n}\nvariable \"c\" {\n}\n";
        let found = blocks(text, "variable");
        assert_eq!(found.len(), 2);
        assert!(found[0].1.contains("b = string") && found[1].0 == "c");
    }
}
