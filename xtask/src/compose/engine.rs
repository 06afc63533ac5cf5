//! A container engine of our own: podman with runc, its storage, networks and socket in a folder that
//! goes away with it. Never touches another engine's containers or images, and puts back what it
//! changed on the machine: forwarding, and the chains of its networks. Called by compose-up.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};

use crate::context::{Context, shown};
use crate::ports::random_hex;
use crate::process::{Identity, Launch, Lifetime, StopBy, dies_with_us, which};
use crate::record::{Record, Recorded};
use crate::servers::install;

/// Programs and the packages that bring them; the last two are looked for where podman does.
const PROGRAMS: [(&str, &str); 7] = [
    ("podman", "podman"),
    ("runc", "runc"),
    ("debootstrap", "debootstrap"),
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

/// The engine; dropping it removes everything that it made.
pub(super) struct Engine {
    context: Context,
    home: PathBuf,
    socket: PathBuf,
    compose: PathBuf,
    record: Record,
    forwarding: String,
    had_chains: bool,
    had_state: bool,
}

/// Installs what is missing.
pub(super) fn ensure_installed(context: &Context) -> anyhow::Result<()> {
    let missing: Vec<&str> = PROGRAMS
        .iter()
        .filter(|(program, _)| which(program).is_none() && !Path::new(program).is_file())
        .map(|(_, package)| *package)
        .collect();
    if !missing.is_empty() {
        install::install(context, &missing)?;
    }
    Ok(())
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
            forwarding: fs::read_to_string(FORWARDING).unwrap_or_default(),
            had_chains: !chains("filter").is_empty() || !chains("nat").is_empty(),
            had_state: Path::new(STATE).exists(),
        };
        engine.configure()?;
        // what a killed command left behind
        engine.remove_containers();
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
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .envs(self.env())
            .current_dir(&self.context.root)
            .stdin(Stdio::null());
        command
    }

    /// Runs a command to its end and answers what it printed.
    pub(super) fn said(&self, command: &mut Command) -> anyhow::Result<String> {
        self.context.interrupt.check()?;
        said(command)
    }

    /// Asks every container whose health is not known to be good how it is: what an engine under
    /// systemd does by timers.
    pub(super) fn ask_health(&self) -> anyhow::Result<()> {
        for state in ["starting", "unhealthy"] {
            let filter = format!("health={state}");
            let listed = self.said(&mut self.podman(["ps", "--quiet", "--filter", &filter]))?;
            for id in listed.split_whitespace() {
                // its answer is kept by the engine; ours is only to have asked
                let _ = self.podman(["healthcheck", "run", id]).output();
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
        said(&mut self.compose(args)).map(drop)
    }

    fn remove_containers(&self) {
        let _ = self
            .podman(["rm", "--all", "--force", "--time", "0"])
            .output();
        let _ = self.podman(["network", "prune", "--force"]).output();
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
        if self.had_chains {
            return;
        }
        for table in ["filter", "nat"] {
            let rules = chains(table);
            for (from, to) in [("-A ", "-D "), ("-N ", "-X ")] {
                for rule in rules.iter().filter(|rule| rule.starts_with(from)) {
                    let rule = rule.replacen(from, to, 1);
                    let mut command = Command::new("iptables");
                    command.args(["-w", "-t", table]).args(words(&rule));
                    let _ = command.output();
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
        if fs::read_to_string(FORWARDING).unwrap_or_default() != self.forwarding {
            let _ = fs::write(FORWARDING, &self.forwarding);
        }
        for part in ["storage", "run", "networks", "context"] {
            let _ = fs::remove_dir_all(self.home.join(part));
        }
        if !self.had_state {
            let _ = fs::remove_dir_all(STATE);
        }
        let _ = fs::remove_file(&self.socket);
    }
}

fn said(command: &mut Command) -> anyhow::Result<String> {
    let out = command
        .output()
        .with_context(|| format!("cannot run `{}`", shown(command)))?;
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

/// The rules of a table that are a container network's.
fn chains(table: &str) -> Vec<String> {
    let out = Command::new("iptables")
        .args(["-w", "-t", table, "-S"])
        .stdin(Stdio::null())
        .output();
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
