//! The product's processes as one system: migrated, started, watched, killed, restarted, stopped.
//! Never restarts a process silently: an exit nobody asked for is an error or a counted fault.
//! Called by demo and up, on the main thread.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};

use crate::clock::{clock_start, write_clock};
use crate::context::Context;
use crate::environment::{Addresses, Facts, OWNER_URL, shared};
use crate::http;
use crate::ports::{Ports, random_hex};
use crate::process::{Launch, Lifetime, Process, StopBy, dies_with_us, output};
use crate::progress::tail;
use crate::record::{Record, Recorded};
use crate::servers::Urls;

pub(crate) mod turns;

/// A process that does not answer by then never will.
const READY_SECONDS_MAX: u64 = 60;
/// A killed process comes back after this, as an orchestrator would bring it back.
const RESTART_AFTER: Duration = Duration::from_millis(500);
/// A command of the product that takes this long hangs: a hundred thousand farmers are seeded in one.
const COMMAND_SECONDS_MAX: u64 = 1_200;
/// Under chaos a process may end by itself when its servers go, but not for ever.
const UNEXPECTED_EXITS_MAX: u32 = 5;

/// A process of the system.
struct Role {
    /// Name in logs, ports and `@kill`.
    name: &'static str,
    args: &'static [&'static str],
    /// Its port for /metrics and /health by default (one pod shares one network).
    metrics_port: u16,
}

const fn role(name: &'static str, args: &'static [&'static str], metrics_port: u16) -> Role {
    Role {
        name,
        args,
        metrics_port,
    }
}

/// The outside world first, then whoever asks it.
const ROLES: [Role; 9] = [
    role("sandbox", &["serve"], 9098),
    role("backend", &["serve"], 9090),
    role("data-processor", &["stream"], 9091),
    role("weather", &[], 9092),
    role("satellite", &[], 9093),
    role("damage", &[], 9094),
    role("payout", &[], 9095),
    role("notify", &[], 9096),
    role("relay", &[], 9097),
];

/// One port per role, kept for the whole run.
#[derive(Clone, Debug)]
pub(crate) struct PortPlan {
    /// Where the backend and the sandbox serve.
    pub(crate) addresses: Addresses,
    /// Role to its /metrics and /health port.
    pub(crate) metrics: BTreeMap<&'static str, u16>,
}

impl PortPlan {
    /// Free ports.
    pub(crate) fn free() -> anyhow::Result<Self> {
        let mut ports = Ports::default();
        let addresses = Addresses {
            backend: ports.free()?,
            sandbox: ports.free()?,
        };
        let metrics = ROLES
            .iter()
            .map(|role| Ok((role.name, ports.free()?)))
            .collect::<anyhow::Result<_>>()?;
        Ok(Self { addresses, metrics })
    }

    /// Ports for others beside it.
    pub(crate) fn others(&self) -> Ports {
        let own = [self.addresses.backend, self.addresses.sandbox];
        Ports::other_than(self.metrics.values().copied().chain(own))
    }

    /// The documented ports, or the next free ones.
    pub(crate) fn documented() -> anyhow::Result<Self> {
        let mut ports = Ports::default();
        let addresses = Addresses {
            backend: ports.at_or_after(3000)?,
            sandbox: ports.at_or_after(4000)?,
        };
        let metrics = ROLES
            .iter()
            .map(|role| Ok((role.name, ports.at_or_after(role.metrics_port)?)))
            .collect::<anyhow::Result<_>>()?;
        Ok(Self { addresses, metrics })
    }
}

/// How to run a system.
pub(crate) struct Plan {
    /// Folder of the built binaries.
    pub(crate) bin_dir: PathBuf,
    /// Folder of the logs, one file a role.
    pub(crate) log_dir: PathBuf,
    /// Variables all processes share.
    pub(crate) env: Vec<(String, String)>,
    /// Ports.
    pub(crate) ports: PortPlan,
    /// Whether the system outlives this command.
    pub(crate) lifetime: Lifetime,
}

impl Plan {
    /// A system of throwaway keys on free ports that ends with us, in a sale window of manual time. Its
    /// clock, logs and evidence are in `home`; `name` is in front of its queues.
    pub(crate) fn throwaway(
        name: &str,
        home: &Path,
        bin_dir: PathBuf,
        urls: &Urls,
    ) -> anyhow::Result<Self> {
        let clock = home.join("clock");
        write_clock(&clock, &clock_start(None)?)?;
        let ports = PortPlan::free()?;
        let env = shared(&Facts {
            urls,
            broker_prefix: &format!("{name}-{}.", random_hex(4)),
            addresses: &ports.addresses,
            clock: Some(&clock),
            seed: 1,
            evidence_dir: &home.join("evidence"),
        })?;
        Ok(Self {
            bin_dir,
            log_dir: home.join("logs"),
            env,
            ports,
            lifetime: Lifetime::WithUs,
        })
    }

    /// Gives a variable another value.
    pub(crate) fn set(&mut self, name: &str, value: String) {
        self.env.retain(|(known, _)| known != name);
        self.env.push((name.to_owned(), value));
    }
}

struct Running {
    launch: Launch,
    process: Process,
    /// (port, path) that answers 200 when it can serve.
    ready: (u16, &'static str),
    unexpected_exits: u32,
    /// It was asked to stop, so that its end is no fault.
    is_leaving: bool,
}

/// A running system; dropping it stops it unless it is detached.
pub(crate) struct Stack {
    context: Context,
    record: Record,
    running: Vec<Running>,
    stop_on_drop: bool,
    /// Processes killed on purpose.
    pub(crate) kills: u32,
    /// Exits nobody asked for, tolerated only under chaos.
    pub(crate) unexpected_exits: u32,
    /// Who is replaced in turn while the system works.
    pub(crate) turns: Option<turns::Turns>,
}

/// Runs a binary of the product to its end and returns what it printed.
pub(crate) fn run_once(plan: &Plan, binary: &str, args: &[&str]) -> anyhow::Result<String> {
    let mut command = dies_with_us(plan.bin_dir.join(binary));
    command
        .args(args)
        .env_clear()
        .envs(plan.env.iter().map(|(key, value)| (key, value)));
    // Ctrl-C reaches it by the terminal
    let out = output(
        &mut command,
        Duration::from_secs(COMMAND_SECONDS_MAX),
        &|| false,
    )
    .with_context(|| format!("cannot run {binary}"))?;
    ensure!(
        out.status.success(),
        "`{binary} {}` failed ({}):\n{}{}",
        args.join(" "),
        out.status,
        String::from_utf8_lossy(&out.stdout),
        String::from_utf8_lossy(&out.stderr)
    );
    Ok(String::from_utf8_lossy(&out.stdout).trim().to_owned())
}

impl Stack {
    /// Migrates the database, starts every process and waits until all can serve.
    pub(crate) fn start(context: &Context, plan: &Plan, record: PathBuf) -> anyhow::Result<Self> {
        Self::start_some(context, plan, record, &ROLES.map(|role| role.name))
    }

    /// Like `start`, with some of the processes only.
    pub(crate) fn start_some(
        context: &Context,
        plan: &Plan,
        record: PathBuf,
        names: &[&str],
    ) -> anyhow::Result<Self> {
        fs::create_dir_all(&plan.log_dir)?;
        context.say("migrate", "tables and products");
        run_once(plan, "backend", &["migrate"])?;
        let mut stack = Self {
            context: context.clone(),
            record: Record::create(record, true)?,
            running: Vec::new(),
            stop_on_drop: true,
            kills: 0,
            unexpected_exits: 0,
            turns: None,
        };
        for role in ROLES.iter().filter(|role| names.contains(&role.name)) {
            stack.start_role(plan, role)?;
        }
        stack.await_ready()?;
        if plan.lifetime == Lifetime::Detached {
            stack.record.disown()?;
            stack.stop_on_drop = false;
        }
        Ok(stack)
    }

    fn start_role(&mut self, plan: &Plan, role: &Role) -> anyhow::Result<()> {
        let metrics_port = plan.ports.metrics.get(role.name).copied().unwrap_or(0);
        let mut env = plan.env.clone();
        env.retain(|(name, _)| name != OWNER_URL);
        env.push(("METRICS_PORT".to_owned(), metrics_port.to_string()));
        let ready = match role.name {
            "backend" => {
                env.push(("PORT".to_owned(), plan.ports.addresses.backend.to_string()));
                (plan.ports.addresses.backend, "/health/ready")
            }
            // the sandbox has no servers to be ready for; its control page answering is enough
            "sandbox" => (plan.ports.addresses.sandbox, "/control/next-due"),
            _ => (metrics_port, "/health/ready"),
        };
        let launch = Launch {
            name: role.name.to_owned(),
            program: plan.bin_dir.join(role.name),
            args: role.args.iter().map(Into::into).collect(),
            env,
            dir: self.context.root.clone(),
            user: None,
            lifetime: plan.lifetime,
            stop: if plan.lifetime == Lifetime::WithUs {
                StopBy::Kill
            } else {
                StopBy::Term
            },
            log: plan.log_dir.join(format!("{}.log", role.name)),
        };
        self.add(launch, ready)
    }

    /// A folder that goes with the system.
    pub(crate) fn make_dir(&mut self, dir: &Path) -> anyhow::Result<()> {
        self.record.make_dir(dir)
    }

    /// Starts a process that becomes a part of the system.
    pub(crate) fn add(&mut self, launch: Launch, ready: (u16, &'static str)) -> anyhow::Result<()> {
        let process = launch.launch()?;
        self.record.add_process(Recorded {
            name: launch.name.clone(),
            identity: process.identity.clone(),
            // asked politely when we stop it; killed by the kernel only if we die
            stop: StopBy::Term,
        })?;
        self.running.push(Running {
            launch,
            process,
            ready,
            unexpected_exits: 0,
            is_leaving: false,
        });
        Ok(())
    }

    /// Waits until every part can serve.
    pub(crate) fn await_ready(&mut self) -> anyhow::Result<()> {
        let began = Instant::now();
        let mut ready = vec![false; self.running.len()];
        loop {
            self.fail_on_exit()?;
            for (running, ready) in self.running.iter().zip(&mut ready) {
                if !*ready && http::status(running.ready.0, running.ready.1) == Some(200) {
                    *ready = true;
                }
            }
            let late: Vec<&Running> = self
                .running
                .iter()
                .zip(&ready)
                .filter(|(_, ready)| !**ready)
                .map(|(running, _)| running)
                .collect();
            if late.is_empty() {
                self.context
                    .say("processes", format!("{} ready", self.running.len()));
                return Ok(());
            }
            if began.elapsed() > Duration::from_secs(READY_SECONDS_MAX) {
                let words: Vec<String> = late
                    .iter()
                    .map(|r| {
                        format!(
                            "{} ({}):\n{}",
                            r.launch.name,
                            r.launch.log.display(),
                            tail(&r.launch.log, 10)
                        )
                    })
                    .collect();
                bail!(
                    "not ready after {READY_SECONDS_MAX} s: {}",
                    words.join("\n")
                );
            }
            self.context.interrupt.sleep(Duration::from_millis(100))?;
        }
    }

    /// An error naming the log of any process that has ended by itself.
    pub(crate) fn fail_on_exit(&mut self) -> anyhow::Result<()> {
        for running in self.running.iter_mut().filter(|part| !part.is_leaving) {
            if let Some(status) = running.process.ended() {
                bail!(
                    "{} ended by itself ({status}); its log {} ends:\n{}",
                    running.launch.name,
                    running.launch.log.display(),
                    tail(&running.launch.log, 15)
                );
            }
        }
        Ok(())
    }

    /// Under chaos: brings back whatever ended by itself, up to a bound.
    pub(crate) fn revive(&mut self) -> anyhow::Result<()> {
        for at in 0..self.running.len() {
            let Some(running) = self.running.get_mut(at) else {
                break;
            };
            let Some(status) = running.process.ended() else {
                continue;
            };
            let (name, log) = (running.launch.name.clone(), running.launch.log.clone());
            running.unexpected_exits += 1;
            let exits = running.unexpected_exits;
            self.unexpected_exits += 1;
            self.context.say(
                "chaos",
                format!("{name} ended by itself ({status}); restarting"),
            );
            if exits > UNEXPECTED_EXITS_MAX {
                bail!(
                    "{name} ended by itself {exits} times; its log {} ends:\n{}",
                    log.display(),
                    tail(&log, 15)
                );
            }
            self.context.interrupt.sleep(RESTART_AFTER)?;
            self.relaunch(at)?;
        }
        Ok(())
    }

    /// SIGKILLs a role's process, starts it again on the same port and waits until it serves.
    pub(crate) fn kill_and_restart(&mut self, name: &str) -> anyhow::Result<()> {
        let at = self
            .running
            .iter()
            .position(|running| running.launch.name == name)
            .with_context(|| format!("there is no process called {name:?} to kill"))?;
        ensure!(
            name != "sandbox",
            "the sandbox is the outside world; it cannot be killed"
        );
        if let Some(running) = self.running.get_mut(at) {
            running.process.kill_now();
        }
        self.kills += 1;
        self.context.interrupt.sleep(RESTART_AFTER)?;
        self.relaunch(at)?;
        self.await_live(at)
    }

    fn relaunch(&mut self, at: usize) -> anyhow::Result<()> {
        let Some(running) = self.running.get_mut(at) else {
            return Ok(());
        };
        running.process = running.launch.launch()?;
        let recorded = Recorded {
            name: running.launch.name.clone(),
            identity: running.process.identity.clone(),
            stop: StopBy::Term,
        };
        self.record.add_process(recorded)
    }

    /// Waits until a restarted process answers at all; ready it may become later (a broker may be
    /// on its way up as well).
    fn await_live(&mut self, at: usize) -> anyhow::Result<()> {
        let began = Instant::now();
        loop {
            let Some(running) = self.running.get_mut(at) else {
                return Ok(());
            };
            if http::status(running.ready.0, "/health/live") == Some(200) {
                return Ok(());
            }
            if running.process.ended().is_some() {
                self.revive()?;
            } else if began.elapsed() > Duration::from_secs(READY_SECONDS_MAX) {
                bail!(
                    "{} did not come back; its log {} ends:\n{}",
                    running.launch.name,
                    running.launch.log.display(),
                    tail(&running.launch.log, 15)
                );
            }
            self.context.interrupt.sleep(Duration::from_millis(50))?;
        }
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        if !self.stop_on_drop {
            return;
        }
        self.record.stop(self.context.progress);
    }
}

/// Stops the detached system recorded at `path`; false when there is none.
pub(crate) fn stop_recorded(context: &Context, path: &Path) -> bool {
    match Record::open(path) {
        Some(mut record) => {
            context.say("processes", "stopping");
            record.stop(context.progress);
            true
        }
        None => false,
    }
}
