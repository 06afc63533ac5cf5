//! Interpreters of other languages that some commands need beside the Rust toolchain: found, else
//! installed from the system's packages, else named with the package that brings them.
//! Never upgrades what is there. Called by whatever needs one of them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, ensure};

use crate::context::Context;
use crate::process::{dies_with_us, which};
use crate::servers::install;

/// A package index answers within minutes, or not at all.
const LIMIT: Duration = Duration::from_mins(20);
/// Oldest Node.js that the scripts under tests/ are written for, major version.
const NODE_MAJOR_MIN: u32 = 18;

/// Python 3 with its venv and pip, by which pinned packages are had without touching the system's.
pub(crate) fn ensure_python(context: &Context) -> anyhow::Result<()> {
    let works = || {
        Command::new("python3")
            .args(["-c", "import venv, ensurepip"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
    };
    if !works() {
        install::install(context, &["python3", "python3-venv"])?;
    }
    ensure!(
        works(),
        "python3 cannot make virtual environments; install the packages python3 and python3-venv"
    );
    Ok(())
}

/// The packages of a requirements file, in an environment of its own in `home`; answers the folder of
/// their programs.
pub(crate) fn python_packages(
    context: &Context,
    requirements: &Path,
    home: &Path,
) -> anyhow::Result<PathBuf> {
    let bin = home.join("venv/bin");
    let text = fs::read_to_string(requirements)
        .with_context(|| format!("{} cannot be read", requirements.display()))?;
    fs::create_dir_all(home)?;
    // another command may be installing the same just now
    let lock = fs::File::create(home.join("lock"))?;
    while lock.try_lock().is_err() {
        context.interrupt.sleep(Duration::from_millis(50))?;
    }
    // written last: half an installation must not pass for one the next time
    let stamp = home.join("requirements.txt");
    if fs::read_to_string(&stamp).is_ok_and(|held| held == text) {
        return Ok(bin);
    }
    ensure_python(context)?;
    context.say(
        "install",
        format!("{} into {}", requirements.display(), home.display()),
    );
    let mut make = dies_with_us("python3");
    make.args(["-m", "venv", "--clear"]).arg(home.join("venv"));
    let mut fill = dies_with_us(bin.join("pip"));
    fill.args(["install", "--quiet", "--disable-pip-version-check", "-r"])
        .arg(requirements);
    for command in [&mut make, &mut fill] {
        command.stdin(Stdio::null()).stdout(std::io::stderr());
        context
            .run_long("install", command, LIMIT)
            .with_context(|| {
                format!(
                    "{} could not be installed; a package index is needed once",
                    requirements.display()
                )
            })?;
    }
    fs::write(&stamp, text)?;
    Ok(bin)
}

/// Node.js and npm.
fn ensure_node(context: &Context) -> anyhow::Result<()> {
    if which("node").is_none() || which("npm").is_none() {
        install::install(context, &["nodejs", "npm"])?;
    }
    let version = Command::new("node")
        .arg("--version")
        .stdin(Stdio::null())
        .output()
        .context("node cannot be run; install Node.js and npm")?;
    let version = String::from_utf8_lossy(&version.stdout).trim().to_owned();
    let major = version
        .trim_start_matches('v')
        .split('.')
        .next()
        .and_then(|text| text.parse().ok());
    ensure!(
        major.is_some_and(|major: u32| major >= NODE_MAJOR_MIN),
        "Node.js {NODE_MAJOR_MIN} or newer is needed; `node --version` says {version:?}"
    );
    Ok(())
}

/// The packages of `from`/package.json, at exactly the versions it names, in `folder`.
pub(crate) fn npm_packages(context: &Context, from: &Path, folder: &Path) -> anyhow::Result<()> {
    ensure_node(context)?;
    let wanted = from.join("package.json");
    let text = fs::read_to_string(&wanted)?;
    fs::create_dir_all(folder)?;
    // written last: half an installation must not pass for one the next time
    let stamp = folder.join("installed.json");
    let is_there = folder.join("node_modules").is_dir();
    if is_there && fs::read_to_string(&stamp).is_ok_and(|held| held == text) {
        return Ok(());
    }
    context.say(
        "install",
        format!("{} into {} by npm", wanted.display(), folder.display()),
    );
    fs::write(folder.join("package.json"), &text)?;
    let mut command = dies_with_us("npm");
    command
        .args([
            "install",
            "--ignore-scripts",
            "--no-audit",
            "--no-fund",
            "--no-package-lock",
            "--loglevel=error",
        ])
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(std::io::stderr());
    context.run_long("install", &mut command, LIMIT).with_context(|| {
        format!(
            "npm could not install the packages of {}; it needs a registry once, and {} keeps them",
            wanted.display(),
            folder.display()
        )
    })?;
    fs::write(&stamp, text)?;
    Ok(())
}
