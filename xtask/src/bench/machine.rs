//! What the figures were measured on, and which cores whom. Never leaves a setting changed: the
//! pinning is this process's own and ends with it. Called by the bench.

use std::fs;
use std::process::Command;

use anyhow::{Context as _, ensure};

use super::Ground;
use crate::context::Context;
use crate::process::which;
use crate::servers::Urls;

/// Who runs on which cores.
#[derive(Clone, Debug)]
pub(super) struct Pinning {
    /// The contestants' core; none where there is one core only or no `taskset`.
    pub(super) contestant: Option<u32>,
    /// In words, for the page.
    pub(super) words: String,
    /// Every core we may use, in the kernel's notation.
    all: String,
}

/// Name and value, in the order they are shown.
pub(super) type Facts = Vec<(&'static str, String)>;

impl Pinning {
    /// Moves this process, and so every child it starts from now on, off the first core.
    pub(super) fn apply(context: &Context) -> anyhow::Result<Self> {
        let status = fs::read_to_string("/proc/self/status")?;
        let list = status
            .lines()
            .find_map(|line| line.strip_prefix("Cpus_allowed_list:"))
            .context("the kernel does not say which cores we may use")?;
        let cores = cores(list.trim());
        let Some((first, rest)) = cores.split_first().filter(|(_, rest)| !rest.is_empty()) else {
            return Ok(Self::none("one core for everything", list.trim()));
        };
        if which("taskset").is_none() {
            return Ok(Self::none(
                "nothing pinned: taskset (util-linux) is not installed",
                list.trim(),
            ));
        }
        let others: Vec<String> = rest.iter().map(ToString::to_string).collect();
        let others = others.join(",");
        move_to(&others)?;
        let words = format!(
            "each contestant alone on core {first}; generator, PostgreSQL and Redis on core(s) {others}; \
             nights and ingest on all"
        );
        context.say("pinning", &words);
        Ok(Self {
            contestant: Some(*first),
            words,
            all: list.trim().to_owned(),
        })
    }

    /// Gives every core back to this process and to what it starts from now on.
    pub(super) fn lift(&self) -> anyhow::Result<()> {
        match self.contestant {
            Some(_) => move_to(&self.all),
            None => Ok(()),
        }
    }

    fn none(words: &str, all: &str) -> Self {
        Self {
            contestant: None,
            words: words.to_owned(),
            all: all.to_owned(),
        }
    }
}

/// Moves this process to some cores.
fn move_to(cores: &str) -> anyhow::Result<()> {
    let done = Command::new("taskset")
        .args(["-a", "-p", "-c", cores, &std::process::id().to_string()])
        .output()?;
    ensure!(
        done.status.success(),
        "taskset: {}",
        String::from_utf8_lossy(&done.stderr).trim()
    );
    Ok(())
}

/// The cores in the kernel's notation, as `0-3,8`.
fn cores(list: &str) -> Vec<u32> {
    let mut cores = Vec::new();
    for part in list.split(',') {
        let (from, to) = part.split_once('-').unwrap_or((part, part));
        if let (Ok(from), Ok(to)) = (from.trim().parse::<u32>(), to.trim().parse::<u32>()) {
            cores.extend(from..=to);
        }
    }
    cores
}

/// Of the machine and of who takes part.
pub(super) fn facts(ground: &Ground) -> Facts {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let field = |text: &str, name: &str| {
        text.lines()
            .find(|line| line.starts_with(name))
            .and_then(|line| line.split_once(':'))
            .map_or_else(String::new, |(_, value)| value.trim().to_owned())
    };
    let cpuinfo = read("/proc/cpuinfo");
    let count = cpuinfo
        .lines()
        .filter(|line| line.starts_with("processor"))
        .count();
    let memory_kib: u64 = field(&read("/proc/meminfo"), "MemTotal")
        .split_whitespace()
        .next()
        .and_then(|kib| kib.parse().ok())
        .unwrap_or_default();
    let load = read("/proc/loadavg");
    let load: Vec<&str> = load.split_whitespace().take(3).collect();
    let commit = said(
        Command::new("git")
            .args(["describe", "--always", "--dirty", "--abbrev=8"])
            .current_dir(&ground.context.root),
    );
    let node = ground.peer_dir.as_ref().map_or_else(
        || "none".to_owned(),
        |_| said(Command::new("node").arg("--version")),
    );
    vec![
        (
            "cores",
            format!("{count} × {}", field(&cpuinfo, "model name")),
        ),
        ("memory", format!("{} MiB", memory_kib / 1_024)),
        (
            "kernel",
            read("/proc/sys/kernel/osrelease").trim().to_owned(),
        ),
        ("rustc", said(Command::new("rustc").arg("--version"))),
        ("node", node),
        (
            "Python",
            ground
                .python
                .as_ref()
                .map_or_else(|_| "none".to_owned(), |python| python.words.clone()),
        ),
        ("source", commit),
        ("pinning", ground.pinning.words.clone()),
        (
            "load average before",
            format!(
                "{} (other work on the machine makes every figure worse)",
                load.join(" ")
            ),
        ),
    ]
}

/// Of the servers that were used.
pub(super) fn servers(urls: &Urls) -> Facts {
    let mut facts = vec![(
        "PostgreSQL",
        crate::servers::database::query(&urls.database, "show server_version").unwrap_or_default(),
    )];
    if !urls.redis.is_empty() {
        let said = said(Command::new("redis-server").arg("--version"));
        let version = said
            .split_whitespace()
            .find_map(|word| word.strip_prefix("v="));
        facts.push(("Redis", version.unwrap_or_default().to_owned()));
    }
    if !urls.rabbitmq.is_empty() {
        facts.push(("RabbitMQ", rabbitmq_version()));
    }
    facts
}

/// In the name of its folder; asking it would start another Erlang.
fn rabbitmq_version() -> String {
    let entries = fs::read_dir("/usr/lib/rabbitmq/lib").into_iter().flatten();
    entries
        .flatten()
        .find_map(|entry| {
            let name = entry.file_name().to_string_lossy().into_owned();
            name.strip_prefix("rabbitmq_server-").map(str::to_owned)
        })
        .unwrap_or_else(|| "unknown".to_owned())
}

/// The first line a command prints, empty if it cannot run.
fn said(command: &mut Command) -> String {
    command
        .output()
        .map(|out| {
            let text = String::from_utf8_lossy(&out.stdout).into_owned();
            text.lines().next().unwrap_or_default().trim().to_owned()
        })
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_list_of_cores_is_read() {
        assert_eq!(cores("0-3,8"), [0, 1, 2, 3, 8]);
        assert_eq!(cores("5"), [5]);
    }
}
