//! Installing the servers from the system's packages when they are absent, without starting any of
//! them; where that is impossible, saying exactly what to install. Never upgrades what is there and
//! never leaves a policy file it made. Called before private servers are started, and for the browser.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};

use super::{Wanted, postgres, rabbitmq};
use crate::context::Context;
use crate::process::{is_root, which};

/// Debian's maintainer scripts ask this program whether they may start a service; 101 = no.
const POLICY: &str = "/usr/sbin/policy-rc.d";
/// What a machine that has just begun does to its packages by itself is waited for this long.
const LOCK: &str = "DPkg::Lock::Timeout=300";
/// Servers and browsers come from a mirror within minutes, or not at all.
const LIMIT: Duration = Duration::from_mins(30);
/// Read by the PostgreSQL package before it makes its `main` cluster.
const NO_CLUSTER: &str = "/etc/postgresql-common/createcluster.d/microcrop.conf";

/// Installs whatever of the wanted servers is missing.
pub(super) fn ensure(context: &Context, wanted: Wanted) -> anyhow::Result<()> {
    let mut packages = Vec::new();
    if wanted.postgres && postgres::bin_dir().is_none() {
        packages.push("postgresql");
    }
    if wanted.redis && which("redis-server").is_none() {
        packages.push("redis-server");
    }
    if wanted.rabbitmq && rabbitmq::script().is_none() {
        packages.push("rabbitmq-server");
    }
    if which("setpriv").is_none() || which("setsid").is_none() {
        packages.push("util-linux");
    }
    if packages.is_empty() {
        return Ok(());
    }
    install(context, &packages)?;
    let still: Vec<&str> = [
        (wanted.postgres && postgres::bin_dir().is_none()).then_some("PostgreSQL 15 or newer"),
        (wanted.redis && which("redis-server").is_none()).then_some("Redis 7"),
        (wanted.rabbitmq && rabbitmq::script().is_none()).then_some("RabbitMQ 3.10 or newer"),
    ]
    .into_iter()
    .flatten()
    .collect();
    if !still.is_empty() {
        bail!(
            "installed {}, but this system's packages do not bring {}; {}",
            packages.join(" "),
            still.join(", "),
            by_hand(&packages)
        );
    }
    Ok(())
}

/// Installs the client that makes and drops databases, if absent.
pub(super) fn ensure_psql(context: &Context) -> anyhow::Result<()> {
    if postgres::client("psql").is_none() {
        install(context, &["postgresql-client"])?;
    }
    Ok(())
}

fn by_hand(packages: &[&str]) -> String {
    format!(
        "install by hand:\n    sudo apt-get install --no-install-recommends {}\n\
         or give servers of your own by DATABASE_URL, REDIS_URL and RABBITMQ_URL\n\
         (for instance `docker compose up -d --wait`, then `set -a; . ./.env.example`)",
        packages.join(" ")
    )
}

/// How to become root, if we can without asking.
fn root_prefix() -> Option<Vec<&'static str>> {
    if is_root() {
        return Some(Vec::new());
    }
    let allowed = Command::new("sudo")
        .args(["-n", "true"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    allowed.then(|| vec!["sudo", "-n"])
}

fn as_root(prefix: &[&str], program: &str) -> Command {
    let mut words = prefix.iter().copied().chain([program]);
    let mut command = Command::new(words.next().unwrap_or(program));
    command.args(words);
    command
}

/// Two files that keep packages from starting anything; removed again if we made them.
struct Quiet {
    prefix: Vec<&'static str>,
    made: Vec<PathBuf>,
}

impl Quiet {
    fn new(prefix: &[&'static str]) -> anyhow::Result<Self> {
        let mut quiet = Self {
            prefix: prefix.to_vec(),
            made: Vec::new(),
        };
        quiet.write(Path::new(POLICY), "#!/bin/sh\nexit 101\n", "755")?;
        quiet.write(
            Path::new(NO_CLUSTER),
            "create_main_cluster = false\n",
            "644",
        )?;
        Ok(quiet)
    }

    fn write(&mut self, path: &Path, text: &str, mode: &str) -> anyhow::Result<()> {
        if path.exists() {
            return Ok(());
        }
        let draft = std::env::temp_dir().join(format!("microcrop-{}", crate::ports::random_hex(8)));
        fs::write(&draft, text)?;
        fs::set_permissions(&draft, fs::Permissions::from_mode(0o600))?;
        let status = as_root(&self.prefix, "install")
            .args(["-D", "-m", mode])
            .arg(&draft)
            .arg(path)
            .status();
        let _ = fs::remove_file(&draft);
        ensure!(
            status.context("cannot run install")?.success(),
            "cannot write {}",
            path.display()
        );
        self.made.push(path.to_owned());
        Ok(())
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        for path in &self.made {
            let _ = as_root(&self.prefix, "rm").arg("-f").arg(path).status();
        }
    }
}

/// Programs and the packages that bring them: what is missing is installed, and must be there then. A
/// program is a name on PATH, or a whole path.
pub(crate) fn programs(context: &Context, wanted: &[(&str, &str)]) -> anyhow::Result<()> {
    let missing = || {
        let absent = wanted.iter().filter(|(program, _)| !is_there(program));
        absent.copied().collect::<Vec<_>>()
    };
    let absent = missing();
    if absent.is_empty() {
        return Ok(());
    }
    let mut packages: Vec<&str> = absent.iter().map(|(_, package)| *package).collect();
    packages.dedup();
    install(context, &packages)?;
    let still: Vec<String> = missing()
        .iter()
        .map(|(program, package)| format!("the package {package} brings no program `{program}`"))
        .collect();
    ensure!(still.is_empty(), "{}", still.join("; "));
    Ok(())
}

fn is_there(program: &str) -> bool {
    if program.starts_with('/') {
        Path::new(program).is_file()
    } else {
        which(program).is_some()
    }
}

/// The lists of packages, fresh from the mirrors.
pub(crate) fn update(context: &Context) -> anyhow::Result<()> {
    let prefix = root_prefix().context("the lists of packages are root's to renew")?;
    apt(context, &prefix, &["update", "-qq"])
}

fn apt(context: &Context, prefix: &[&str], words: &[&str]) -> anyhow::Result<()> {
    let mut command = as_root(prefix, "env");
    command.args(["DEBIAN_FRONTEND=noninteractive", "apt-get", "-o", LOCK]);
    // the packages' chatter goes to stderr, results own stdout
    command
        .args(words)
        .stdin(Stdio::null())
        .stdout(std::io::stderr());
    context.run_long("install", &mut command, LIMIT)
}

/// Installs packages of the system as root, or says what to type.
pub(crate) fn install(context: &Context, packages: &[&str]) -> anyhow::Result<()> {
    let list = packages.join(" ");
    if which("apt-get").is_none() {
        bail!("this system has no apt-get; {}", by_hand(packages));
    }
    let Some(prefix) = root_prefix() else {
        bail!(
            "{list} missing, and neither root nor passwordless sudo; {}",
            by_hand(packages)
        );
    };
    context.say("install", format!("{list} from the system's packages"));
    let quiet = Quiet::new(&prefix)?;
    let words = ["install", "-y", "-qq", "--no-install-recommends"];
    update(context)
        .and_then(|()| apt(context, &prefix, &[&words[..], packages].concat()))
        .with_context(|| by_hand(packages))?;
    drop(quiet);
    context.say("install", "done; no service was started");
    Ok(())
}
