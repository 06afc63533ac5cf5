//! A container engine of our own: podman with runc, its storage, networks and socket in a folder that
//! goes away with it. Never touches another engine's containers or images, and puts back what it
//! changed on the machine: forwarding, and the chains of its networks. Called by compose-up.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use serde::{Deserialize, Serialize};

use crate::context::{Context, shown};
use crate::ports::random_hex;
use crate::process::{
    Identity, Launch, Lifetime, StopBy, dies_with_us, output, search_path, which,
};
use crate::record::{Record, Recorded};
use crate::servers::install;

/// Programs and the packages that bring them; the last two are looked for where podman does.
const PROGRAMS: [(&str, &str); 8] = [
    ("podman", "podman"),
    ("runc", "runc"),
    ("debootstrap", "debootstrap"),
    // by which debootstrap knows what it fetched
    ("gpgv", "gpgv"),
    ("iptables", "iptables"),
    ("strip", "binutils"),
    ("/usr/lib/podman/netavark", "netavark"),
    ("/usr/lib/podman/aardvark-dns", "aardvark-dns"),
];
const FORWARDING: &str = "/proc/sys/net/ipv4/ip_forward";
/// Where podman notes which containers ended, wherever its storage is.
const STATE: &str = "/run/libpod";
/// What the network's rules are called.
const CHAINS: &str = "NETAVARK";
/// Containers end by SIGTERM within this many seconds, as docker-compose.yml allows them.
const STOP_SECONDS: &str = "30";
/// The longest command of the engine packs half a gigabyte of files.
const COMMAND_MAX: Duration = Duration::from_mins(10);
/// Taking the stack down: each container has its time to end.
const DOWN_MAX: Duration = Duration::from_mins(3);
/// What the machine was like before, for a command that comes after one that was killed.
const BEFORE: &str = "before.json";

/// The engine; dropping it removes everything that it made.
pub(super) struct Engine {
    context: Context,
    home: PathBuf,
    socket: PathBuf,
    compose: PathBuf,
    record: Record,
    before: Before,
}

/// What of the machine the engine's networks change.
#[derive(Debug, Serialize, Deserialize)]
struct Before {
    forwarding: String,
    had_chains: bool,
    had_state: bool,
}

impl Before {
    /// As it is, unless a command that was killed has left word of how it was before.
    fn look(home: &Path) -> anyhow::Result<Self> {
        let file = home.join(BEFORE);
        let left = fs::read(&file).ok();
        if let Some(left) = left.and_then(|bytes| serde_json::from_slice(&bytes).ok()) {
            return Ok(left);
        }
        let before = Self {
            forwarding: fs::read_to_string(FORWARDING).unwrap_or_default(),
            had_chains: !chains("filter").is_empty() || !chains("nat").is_empty(),
            had_state: Path::new(STATE).exists(),
        };
        fs::write(file, serde_json::to_vec(&before)?)?;
        Ok(before)
    }
}

/// Installs what is missing.
pub(super) fn ensure_installed(context: &Context) -> anyhow::Result<()> {
    install::programs(context, &PROGRAMS)
}

impl Engine {
    /// Starts it in `home`; `compose` is the program of Docker Compose.
    pub(super) fn start(context: &Context, home: &Path, compose: PathBuf) -> anyhow::Result<Self> {
        // a socket's path may not exceed 107 bytes, a checkout's may
        let socket = std::env::temp_dir().join(format!("microcrop-{}.sock", random_hex(4)));
        let record = context
            .state_dir()
            .join(format!("compose-{}.json", random_hex(4)));
        let mut engine = Self {
            context: context.clone(),
            home: home.to_owned(),
            socket,
            compose,
            record: Record::create(record, true)?,
            before: Before::look(home)?,
        };
        // what a killed command left behind, before its ports are looked at
        engine.configure()?;
        engine.remove_containers();
        engine.end_watchers();
        let launch = Launch {
            name: "podman".to_owned(),
            program: which("podman").context("podman is not installed")?,
            args: vec![
                "system".into(),
                "service".into(),
                "--time".into(),
                "0".into(),
                format!("unix://{}", engine.socket.display()).into(),
            ],
            env: engine.env(),
            dir: home.to_owned(),
            user: None,
            lifetime: Lifetime::WithUs,
            stop: StopBy::Term,
            log: home.join("logs/podman.log"),
        };
        let process = launch.launch()?;
        engine.record.add_process(Recorded {
            name: launch.name.clone(),
            identity: process.identity,
            stop: StopBy::Term,
        })?;
        let began = Instant::now();
        while !engine.socket.exists() {
            ensure!(
                began.elapsed() < Duration::from_secs(30),
                "podman does not open its socket; its log is {}",
                launch.log.display()
            );
            context.interrupt.sleep(Duration::from_millis(50))?;
        }
        Ok(engine)
    }

    /// Three settings without which nothing runs in a container itself: runc, because crun refuses
    /// its control groups; limits that it may set; netavark, whose networks resolve names.
    fn configure(&self) -> anyhow::Result<()> {
        let at = |part: &str| self.home.join(part).display().to_string();
        fs::create_dir_all(self.home.join("networks"))?;
        fs::write(
            self.home.join("containers.conf"),
            format!(
                "[engine]\nruntime = \"runc\"\ncgroup_manager = \"cgroupfs\"\n\
                 events_logger = \"file\"\ntmp_dir = \"{}\"\n\
                 [containers]\n\
                 default_ulimits = [\"nofile=1024:1024\", \"nproc=1024:1024\"]\n\
                 [network]\nnetwork_backend = \"netavark\"\nnetwork_config_dir = \"{}\"\n",
                at("run/tmp"),
                at("networks")
            ),
        )?;
        fs::write(
            self.home.join("storage.conf"),
            format!(
                "[storage]\ndriver = \"overlay\"\ngraphroot = \"{}\"\nrunroot = \"{}\"\n",
                at("storage"),
                at("run")
            ),
        )?;
        Ok(())
    }

    fn env(&self) -> Vec<(String, String)> {
        let at = |part: &str| self.home.join(part).display().to_string();
        [
            ("CONTAINERS_CONF", at("containers.conf")),
            ("CONTAINERS_STORAGE_CONF", at("storage.conf")),
            ("DOCKER_HOST", format!("unix://{}", self.socket.display())),
            ("HOME", at("run")),
            // the rules that are removed in the end are listed by iptables
            ("NETAVARK_FW", "iptables".to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into()
    }

    /// A command of podman on this engine.
    pub(super) fn podman<const N: usize>(&self, args: [&str; N]) -> Command {
        self.command(Path::new("podman"), &args)
    }

    /// A command of Docker Compose on this engine, on the stack with its ports of this run.
    pub(super) fn compose<const N: usize>(&self, args: [&str; N]) -> Command {
        let mut command = self.command(&self.compose, &["--file", "docker-compose.yml", "--file"]);
        command
            .arg(self.home.join("ports.yml"))
            .args(["--profile", "app"])
            .args(args);
        command
    }

    /// A script of deploy/, which calls Docker Compose by COMPOSE.
    pub(super) fn script(&self, inside: &str) -> Command {
        let mut command = self.command(&self.context.root.join(inside), &[]);
        let (program, ports) = (self.compose.display(), self.home.join("ports.yml"));
        let words = format!(
            "{program} --file docker-compose.yml --file {}",
            ports.display()
        );
        command.env("COMPOSE", words);
        command
    }

    fn command(&self, program: &Path, args: &[&str]) -> Command {
        let mut command = dies_with_us(program);
        command
            .args(args)
            .env_clear()
            .env("PATH", search_path())
            .envs(self.env())
            .current_dir(&self.context.root);
        command
    }

    /// Runs a command to its end and answers what it printed.
    pub(super) fn said(&self, command: &mut Command) -> anyhow::Result<String> {
        let out = self.context.output(command, COMMAND_MAX)?;
        printed(command, &out)
    }

    /// Asks every container whose health is not known to be good how it is: what an engine under
    /// systemd does by timers.
    pub(super) fn ask_health(&self) -> anyhow::Result<()> {
        for state in ["starting", "unhealthy"] {
            let filter = format!("health={state}");
            let listed = self.said(&mut self.podman(["ps", "--quiet", "--filter", &filter]))?;
            for id in listed.split_whitespace() {
                // its answer is kept by the engine; ours is only to have asked
                let mut asked = self.podman(["healthcheck", "run", id]);
                let _ = self.context.output(&mut asked, Duration::from_mins(1));
            }
        }
        Ok(())
    }

    /// Ends the stack as docker-compose.yml says it ends, and removes its volumes.
    pub(super) fn down(&self) -> anyhow::Result<()> {
        let args = [
            "down",
            "--volumes",
            "--remove-orphans",
            "--timeout",
            STOP_SECONDS,
        ];
        let mut command = self.compose(args);
        let out = to_its_end(&mut command, DOWN_MAX)?;
        printed(&command, &out).map(drop)
    }

    fn remove_containers(&self) {
        for args in [
            ["rm", "--all", "--force", "--time=0"].as_slice(),
            &["network", "prune", "--force"],
        ] {
            let mut command = self.command(Path::new("podman"), args);
            let _ = to_its_end(&mut command, DOWN_MAX);
        }
    }

    /// The engine keeps a watcher of each command that ran inside a container for five minutes after
    /// its end. Ours are known by the folder of our storage on their command line.
    fn end_watchers(&self) {
        let storage = self.home.join("storage").display().to_string();
        for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
            let pid = entry.file_name().to_string_lossy().parse::<u32>();
            let words = fs::read(entry.path().join("cmdline")).unwrap_or_default();
            let words = String::from_utf8_lossy(&words);
            let program = words.split('\0').next().unwrap_or_default();
            if let Ok(pid) = pid
                && program.ends_with("/conmon")
                && words.contains(&storage)
                && let Some(identity) = Identity::of(pid)
            {
                identity.signal(StopBy::Kill.signal());
            }
        }
    }

    /// Chains and their uses, unless another engine's were there before.
    fn remove_chains(&self) {
        if self.before.had_chains {
            return;
        }
        for table in ["filter", "nat"] {
            let rules = chains(table);
            for (from, to) in [("-A ", "-D "), ("-N ", "-X ")] {
                for rule in rules.iter().filter(|rule| rule.starts_with(from)) {
                    let rule = rule.replacen(from, to, 1);
                    let _ = iptables(table, &words(&rule));
                }
            }
        }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        let _ = self.down();
        self.remove_containers();
        self.record.stop(self.context.progress);
        self.end_watchers();
        let _ = Command::new("umount")
            .arg("--lazy")
            .arg(self.home.join("storage/overlay"))
            .output();
        self.remove_chains();
        let forwarding = &self.before.forwarding;
        if fs::read_to_string(FORWARDING).unwrap_or_default() != *forwarding {
            let _ = fs::write(FORWARDING, forwarding);
        }
        for part in ["storage", "run", "networks", "context"] {
            let _ = fs::remove_dir_all(self.home.join(part));
        }
        if !self.before.had_state {
            let _ = fs::remove_dir_all(STATE);
        }
        let _ = fs::remove_file(&self.socket);
        let _ = fs::remove_file(self.home.join(BEFORE));
    }
}

/// For what must happen although somebody has asked to stop.
fn to_its_end(command: &mut Command, limit: Duration) -> anyhow::Result<Output> {
    output(command, limit, &|| false).with_context(|| format!("cannot run `{}`", shown(command)))
}

/// What a command printed, if it went well.
fn printed(command: &Command, out: &Output) -> anyhow::Result<String> {
    if !out.status.success() {
        let complaint = String::from_utf8_lossy(&out.stderr);
        let lines: Vec<&str> = complaint.trim().lines().collect();
        let last = lines.get(lines.len().saturating_sub(12)..);
        bail!(
            "`{}` failed ({}):\n{}",
            shown(command),
            out.status,
            last.unwrap_or_default().join("\n")
        );
    }
    Ok(String::from_utf8_lossy(&out.stdout).trim().to_owned())
}

fn iptables(table: &str, words: &[String]) -> anyhow::Result<Output> {
    let program = which("iptables").context("iptables is not installed")?;
    let mut command = Command::new(program);
    command.args(["-w", "-t", table]).args(words);
    to_its_end(&mut command, Duration::from_mins(1))
}

/// The rules of a table that are a container network's.
fn chains(table: &str) -> Vec<String> {
    let out = iptables(table, &["-S".to_owned()]);
    let printed = out.map(|out| String::from_utf8_lossy(&out.stdout).into_owned());
    let printed = printed.unwrap_or_default();
    let lines = printed.lines().filter(|line| line.contains(CHAINS));
    lines.map(str::to_owned).collect()
}

/// The words of a rule as it is listed; a comment is one word in quotes.
fn words(rule: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (at, piece) in rule.split('"').enumerate() {
        if at % 2 == 1 {
            found.push(piece.to_owned());
        } else {
            found.extend(piece.split_whitespace().map(str::to_owned));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comment_is_one_word_of_a_rule() {
        assert_eq!(
            words(r#"-D NETAVARK_FORWARD -m comment --comment "two words" -j ACCEPT"#),
            [
                "-D",
                "NETAVARK_FORWARD",
                "-m",
                "comment",
                "--comment",
                "two words",
                "-j",
                "ACCEPT"
            ]
        );
    }
}
