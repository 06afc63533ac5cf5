//! The tools that judge deploy/: found on the machine, else installed by the clients of the usual
//! package indexes into target/deploy-tools, at the versions written down beside what they judge.
//! Never installs into the checkout. Called by the checks of this folder.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, bail};

use super::Deploy;
use crate::process::which;
use crate::servers::install;
use crate::tools::{npm_packages, python_packages};

/// The longest, a policy scan and the pipeline's scripts, take two minutes on a quiet machine.
const JUDGED_SECONDS_MAX: Duration = Duration::from_mins(15);
/// Most lines of a tool's complaints that a row carries.
const COMPLAINT_LINES_MAX: usize = 40;

/// The programs of a requirements file, in an environment of its own; answers its folder of programs.
pub(super) fn python(
    deploy: &Deploy<'_>,
    name: &str,
    requirements: &str,
) -> anyhow::Result<PathBuf> {
    python_packages(
        deploy.context,
        &deploy.path(requirements),
        &folder(deploy, name),
    )
}

/// The packages of the package.json in `from`, installed by npm; answers the folder they are in.
pub(super) fn node(deploy: &Deploy<'_>, name: &str, from: &str) -> anyhow::Result<PathBuf> {
    let home = folder(deploy, name);
    npm_packages(deploy.context, &deploy.path(from), &home)?;
    Ok(home)
}

/// A program of the system, installed from its packages if absent.
pub(super) fn system(deploy: &Deploy<'_>, program: &str, package: &str) -> anyhow::Result<PathBuf> {
    install::programs(deploy.context, &[(program, package)])?;
    which(program).with_context(|| format!("the package {package} brings no program `{program}`"))
}

/// `target/deploy-tools/NAME`.
fn folder(deploy: &Deploy<'_>, name: &str) -> PathBuf {
    deploy.path("target/deploy-tools").join(name)
}

/// A folder for what is made while checking, empty.
pub(super) fn scratch(deploy: &Deploy<'_>, name: &str) -> anyhow::Result<PathBuf> {
    let made = deploy.path("target/deploy-check").join(name);
    if made.is_dir() {
        fs::remove_dir_all(&made)?;
    }
    fs::create_dir_all(&made)?;
    Ok(made)
}

/// Runs a tool to its end and answers what it printed; a failure is an error with its complaints.
pub(super) fn judge(deploy: &Deploy<'_>, command: &mut Command) -> anyhow::Result<String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let out = deploy.context.output(command, JUDGED_SECONDS_MAX)?;
    let printed = String::from_utf8_lossy(&out.stdout).into_owned();
    if out.status.success() {
        return Ok(printed);
    }
    let complaints = String::from_utf8_lossy(&out.stderr);
    let lines: Vec<&str> = complaints
        .lines()
        .chain(printed.lines())
        .filter(|line| !line.trim().is_empty())
        .take(COMPLAINT_LINES_MAX)
        .collect();
    let name = Path::new(&program)
        .file_name()
        .map_or(program.clone(), |name| name.to_string_lossy().into_owned());
    bail!("{name} ({}):\n{}", out.status, lines.join("\n"))
}

/// The last line that a tool printed, which says how much it looked at.
pub(super) fn last_line(printed: &str) -> String {
    printed.trim().lines().last().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_is_what_a_tool_says_in_the_end() {
        assert_eq!(last_line("a\nb\n\n"), "b");
        assert_eq!(last_line(""), "");
    }
}
