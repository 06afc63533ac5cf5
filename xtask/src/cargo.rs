//! Cargo as a child: building the binaries, reading the workspace's metadata, running checks.
//! Never sets a target directory of its own. Called by demo, up, check, test, docs, sqlx and tidy.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, ensure};
use serde_json::Value;

use crate::context::Context;
use crate::process::dies_with_us;

/// The packages whose binaries make up the running system.
pub(crate) const PRODUCT: [&str; 4] = ["backend", "workers", "data-processor", "sandbox"];

/// The words of clippy over everything, before and after further settings.
pub(crate) const CLIPPY: [&[&str]; 2] = [
    &["clippy", "--workspace", "--all-targets"],
    &["--", "-D", "warnings"],
];

/// Cargo, in the checkout, with queries checked against `.sqlx` rather than a database.
pub(crate) fn cargo(context: &Context) -> Command {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = dies_with_us(program);
    command
        .current_dir(&context.root)
        .env("SQLX_OFFLINE", "true")
        .env_remove("CARGO_MANIFEST_DIR");
    command
}

/// `cargo metadata` of the workspace at `root`.
pub(crate) fn metadata(root: &Path) -> anyhow::Result<Value> {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let out = Command::new(program)
        .args(["metadata", "--format-version", "1", "--all-features"])
        .current_dir(root)
        .stdin(Stdio::null())
        .output()
        .context("cannot run cargo metadata")?;
    ensure!(
        out.status.success(),
        "cargo metadata failed:\n{}",
        String::from_utf8_lossy(&out.stderr)
    );
    serde_json::from_slice(&out.stdout).context("cargo metadata is not JSON")
}

/// If set, programs are built together with every test: what both need is then compiled once and not
/// twice, since tests ask more of some crates. `.ci/run` sets it; what is played with or shipped is
/// built plainly.
const WITH_TESTS: &str = "XTASK_WITH_TESTS";

/// Builds the product's binaries, with cargo's own progress, and says where they are.
pub(crate) fn build_binaries(context: &Context) -> anyhow::Result<PathBuf> {
    context.say(
        "build",
        "backend, workers, data-processor, sandbox (the first time takes some minutes)",
    );
    build(context, "debug", &PRODUCT)
}

/// The folder of release programs: the one that was asked for, else that of the product's programs
/// in these packages, built as they are shipped.
pub(crate) fn release(
    context: &Context,
    asked: Option<&PathBuf>,
    packages: &[&str],
) -> anyhow::Result<PathBuf> {
    if let Some(dir) = asked {
        context.say("build", format!("left out; using {}", dir.display()));
        return dir
            .canonicalize()
            .with_context(|| format!("--bin-dir: there is no folder {}", dir.display()));
    }
    let words = packages.join(", ");
    context.say(
        "build",
        format!("{words}, release (the first time takes many minutes; --bin-dir uses built ones)"),
    );
    build(context, "release", packages)
}

fn build(context: &Context, folder: &str, packages: &[&str]) -> anyhow::Result<PathBuf> {
    let mut command = cargo(context);
    command.args(["build", "--bins"]);
    if folder == "release" {
        command.arg("--release");
    }
    if folder != "release" && std::env::var_os(WITH_TESTS).is_some() {
        command.args(["--tests", "--workspace"]);
    } else {
        for package in packages {
            command.args(["-p", package]);
        }
    }
    context
        .run_ok(&mut command)
        .context("the binaries do not build")?;
    let metadata = metadata(&context.root)?;
    let target = metadata
        .get("target_directory")
        .and_then(Value::as_str)
        .context("cargo metadata names no target directory")?;
    context.say("build", "done");
    Ok(PathBuf::from(target).join(folder))
}

/// The names of the workspace's members' binaries, xtask's own apart.
pub(crate) fn binary_names(metadata: &Value) -> Vec<String> {
    let mut names = Vec::new();
    for package in members(metadata) {
        let name = text(package, "name");
        if !PRODUCT.contains(&name) {
            continue;
        }
        for target in array(package, "targets") {
            let is_binary = array(target, "kind")
                .iter()
                .any(|kind| kind.as_str() == Some("bin"));
            if is_binary {
                names.push(text(target, "name").to_owned());
            }
        }
    }
    names.sort();
    names
}

/// The workspace's own packages in `cargo metadata`.
pub(crate) fn members(metadata: &Value) -> Vec<&Value> {
    let ids: Vec<&str> = array(metadata, "workspace_members")
        .iter()
        .filter_map(Value::as_str)
        .collect();
    array(metadata, "packages")
        .iter()
        .filter(|package| ids.contains(&text(package, "id")))
        .collect()
}

/// A text field, empty if absent.
pub(crate) fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value.get(field).and_then(Value::as_str).unwrap_or_default()
}

/// An array field, empty if absent.
pub(crate) fn array<'a>(value: &'a Value, field: &str) -> &'a [Value] {
    value
        .get(field)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}
