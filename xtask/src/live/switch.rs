//! `deploy-blue-green.sh nginx` as an operator runs it, on two backends behind the real nginx, while
//! farmers press keys and M-Pesa reports: a good build, one with a wrong setting, one that dies after
//! the switch. Never starts a backend from a script: the script asks us, so that whatever happens
//! nothing of it outlives us. The second part of `blue-green`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};

use super::Ground;
use super::grace::{self, Grace};
use super::load::{Load, Report, dialling, stored};
use crate::ports::Ports;
use crate::process::{Launch, dies_with_us};
use crate::progress::tail;
use crate::rows::Rows;
use crate::stack::Stack;

/// The script.
const SCRIPT: &str = "deploy/ci-cd/scripts/deploy-blue-green.sh";
/// Farmers' key presses and callbacks a second meanwhile: enough that each step of a switch meets some
/// dozens, little enough for two cores with other work.
const USSD_RATE: u32 = 150;
const CALLBACK_RATE: u32 = 40;
/// Numbers between the callbacks of one run of the script and of the next: more than it sends.
const CALLBACKS_APART: u64 = 1_000_000;
/// Conversations open at a time.
const SESSIONS: u32 = 150;
/// No run of the script takes as long.
const SCRIPT_SECONDS_MAX: u32 = 120;
/// What the script waits for, shorter than where people live: watching, and the end of old answers.
const WATCH_SECONDS: &str = "8";
const DRAIN_SECONDS: &str = "3";
/// Most farmers whose answer a build may be writing when it dies: a fifth of a second's.
const CUT_OFF_MAX: u64 = 30;
/// The build that dies does so this long after the switch.
const DIES_AFTER: Duration = Duration::from_secs(1);

/// How often the script is run: two good builds, two bad ones, one that dies.
const RUNS: u32 = 5;

/// Farmers who dial meanwhile.
pub(super) fn farmers_wanted() -> u32 {
    RUNS * dialling(USSD_RATE, SCRIPT_SECONDS_MAX, SESSIONS)
}

/// How a slot's command reaches us: a file with what is asked, and one with the answer.
const ASK: &str = "#!/bin/sh
# asks the supervisor to start or stop a slot, and ends as that went
set -eu
cd \"$(dirname \"$0\")\"
printf '%s\\n' \"$*\" >draft
mv draft request
tries=0
until [ -e answer ]; do
    tries=$((tries + 1))
    [ \"$tries\" -lt 1200 ] || exit 1
    sleep 0.1
done
answer=$(cat answer)
rm answer
exit \"$answer\"
";

/// A slot and where it serves.
#[derive(Clone, Copy, Debug)]
struct Slot {
    /// As the script calls it.
    name: &'static str,
    /// As the stack calls it.
    part: &'static str,
    port: u16,
    metrics_port: u16,
}

/// A backend that was asked to stop.
#[derive(Clone, Debug)]
struct Stopped {
    slot: &'static str,
    code: Option<i32>,
    seconds: f32,
}

/// Both slots and everything that belongs to switching them.
struct Switch<'a, 'b> {
    ground: &'a Ground<'b>,
    stack: &'a mut Stack,
    slots: [Slot; 2],
    /// The backend as it is started, but for its ports.
    launch: Launch,
    grace: Grace,
    stopped: Vec<Stopped>,
    /// Settings of the next build to be started that differ from those of the others.
    wrong: Vec<(&'static str, String)>,
    /// The next build that is switched to is killed a moment later.
    dies: bool,
    callbacks_from: u64,
}

/// The script while it runs; dropping it ends it.
struct Script(Child);

impl Drop for Script {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What came of one run of the script under load.
struct Deployed {
    status: ExitStatus,
    log: String,
    farmers: Report,
    callbacks: Report,
    stored: u64,
    seconds: f32,
}

impl Deployed {
    fn numbers(&self) -> String {
        format!(
            "in {:.0} s; farmers: {}; callbacks: {} of {} answered, {} stored",
            self.seconds,
            self.farmers,
            self.callbacks.requests - self.callbacks.bad(),
            self.callbacks.requests,
            self.stored
        )
    }

    /// Every request was answered as it must be, and every callback that was answered is kept.
    fn lost_nothing(&self) -> bool {
        self.farmers.is_right()
            && self.callbacks.is_right()
            && self.stored == self.callbacks.requests
    }

    fn says(&self, words: &str) -> anyhow::Result<()> {
        ensure!(
            self.log.contains(words),
            "the script does not say {words:?}; it says:\n{}",
            self.log
        );
        Ok(())
    }
}

/// Shows the switch, the refusal and the way back.
pub(super) fn show(ground: &Ground<'_>, rows: &mut Rows, stack: &mut Stack) -> anyhow::Result<()> {
    let mut ports = Ports::default();
    let metrics = ground.plan.ports.metrics.get("backend").copied();
    let slots = [
        Slot {
            name: "blue",
            part: "backend",
            port: ground.plan.ports.addresses.backend,
            metrics_port: metrics.context("the backend has no port for metrics")?,
        },
        Slot {
            name: "green",
            part: "backend-green",
            port: ports.free()?,
            metrics_port: ports.free()?,
        },
    ];
    let ask = ground.home.join("ask/ask.sh");
    fs::write(&ask, ASK)?;
    let mut switch = Switch {
        launch: stack.launch_of("backend")?.clone(),
        grace: grace::of(&ground.context.root, "backend")?,
        ground,
        stack,
        slots,
        stopped: Vec::new(),
        wrong: Vec::new(),
        dies: false,
        callbacks_from: 0,
    };
    switch.good_build(rows, "green")?;
    let nobody = ports.free()?;
    switch.wrong = vec![("REDIS_URL", format!("redis://127.0.0.1:{nobody}/0"))];
    switch.refused(rows, "a wrong address of Redis", "redis")?;
    switch.wrong = vec![("PIN_PEPPER", "short".to_owned())];
    switch.refused(rows, "a setting that is refused", "not ready after")?;
    switch.wrong.clear();
    switch.taken_back(rows)?;
    switch.good_build(rows, "blue")?;
    switch.drained(rows);
    Ok(())
}

impl Switch<'_, '_> {
    /// A build that is well takes over, and nobody notices.
    fn good_build(&mut self, rows: &mut Rows, to: &str) -> anyhow::Result<()> {
        let run = self.deploy()?;
        let judged = run.says(&format!("{to} serves")).and_then(|()| {
            ensure!(
                run.status.success(),
                "the script ended with {}:\n{}",
                run.status,
                run.log
            );
            ensure!(self.serving()? == to, "{} serves", self.serving()?);
            ensure!(run.lost_nothing(), "{}", run.numbers());
            Ok(run.numbers())
        });
        rows.judge(
            &format!("a good build: switched to {to}, the old one ended, nothing lost"),
            judged,
        );
        Ok(())
    }

    /// A build that is not well is never switched to, and nobody notices.
    fn refused(&mut self, rows: &mut Rows, fault: &str, words: &str) -> anyhow::Result<()> {
        let before = self.serving()?;
        let run = self.deploy()?;
        let judged = run.says(words).and_then(|()| {
            ensure!(
                run.status.code() == Some(1),
                "the script ended with {}",
                run.status
            );
            ensure!(
                !run.log.contains("switched to"),
                "it was switched to:\n{}",
                run.log
            );
            ensure!(self.serving()? == before, "{} serves", self.serving()?);
            ensure!(run.lost_nothing(), "{}", run.numbers());
            Ok(run.numbers())
        });
        rows.judge(
            &format!("a build with {fault}: refused, {before} serves on, nothing lost"),
            judged,
        );
        Ok(())
    }

    /// A build that dies once it serves is taken back from; meanwhile the old one stands in, so that
    /// only what it was answering at that moment is lost.
    fn taken_back(&mut self, rows: &mut Rows) -> anyhow::Result<()> {
        let before = self.serving()?;
        self.dies = true;
        let run = self.deploy()?;
        self.dies = false;
        let judged = run.says("ROLLBACK").and_then(|()| {
            ensure!(
                run.status.code() == Some(1),
                "the script ended with {}",
                run.status
            );
            ensure!(self.serving()? == before, "{} serves", self.serving()?);
            let (lasted, bad) = (run.farmers.bad_seconds(), run.farmers.bad());
            let numbers = format!(
                "{bad} farmers were told to dial again, within {lasted:.1} s, {}",
                run.numbers()
            );
            // told in words, each of them
            ensure!(
                bad <= CUT_OFF_MAX && run.farmers.wrong == 0 && run.farmers.failed == 0,
                "{numbers}"
            );
            // a callback that was answered was kept; the others come again, or are asked for
            ensure!(
                run.stored >= run.callbacks.requests - run.callbacks.bad(),
                "{numbers}"
            );
            Ok(numbers)
        });
        rows.judge(
            "a build that dies after the switch: taken back from by itself",
            judged,
        );
        Ok(())
    }

    /// Every backend that was asked to stop did so in time, with nothing under way cut short.
    fn drained(&self, rows: &mut Rows) {
        let limit = self.grace.drain.as_secs_f32();
        let all = &self.stopped;
        let slowest = all.iter().map(|one| one.seconds).fold(0.0, f32::max);
        let bad: Vec<String> = all
            .iter()
            .filter(|one| one.code != Some(0) || one.seconds > limit)
            .map(|one| format!("{}: {:?} after {:.1} s", one.slot, one.code, one.seconds))
            .collect();
        rows.check(
            "backends asked to stop under load end with 0 within the manifest's grace period",
            !all.is_empty() && bad.is_empty(),
            format!(
                "{} ended, the slowest in {slowest:.2} s of {limit:.0} s; {}",
                all.len(),
                bad.join(", ")
            ),
        );
    }

    /// Which slot nginx points at.
    fn serving(&self) -> anyhow::Result<&'static str> {
        let text = fs::read_to_string(self.ground.nginx.upstream_file())?;
        // the old one may stand in beside it
        let line = text
            .lines()
            .find(|line| line.trim_start().starts_with("server ") && !line.contains(" backup;"));
        let line = line.context("the upstream names nobody")?;
        let mut slots = self.slots.iter();
        let found = slots.find(|slot| line.contains(&format!("127.0.0.1:{} ", slot.port)));
        Ok(found.context("the upstream names neither slot")?.name)
    }

    /// Runs the script to its end under load.
    fn deploy(&mut self) -> anyhow::Result<Deployed> {
        let ground = self.ground;
        let before = stored(ground)?;
        // far from those of earlier runs
        let first = 1_000_000 + self.callbacks_from;
        self.callbacks_from += CALLBACKS_APART;
        let mut farmers = Load::ussd(ground, USSD_RATE, SCRIPT_SECONDS_MAX, SESSIONS)?
            .until_told()
            .start(ground)?;
        let mut callbacks = Load::callbacks(ground, CALLBACK_RATE, SCRIPT_SECONDS_MAX, first)
            .until_told()
            .start(ground)?;
        let log = self.log();
        let began = Instant::now();
        let mut script = Script(
            self.command(&log)?
                .spawn()
                .context("cannot run the script")?,
        );
        let mut switched_at = None;
        let from = self.serving()?;
        let status = loop {
            if let Some(status) = script.0.try_wait()? {
                break status;
            }
            self.serve()?;
            if self.dies && switched_at.is_none() && self.serving()? != from {
                switched_at = Some(Instant::now());
            }
            if self.dies && switched_at.is_some_and(|at: Instant| at.elapsed() > DIES_AFTER) {
                let part = self.slot(self.serving()?)?.part;
                ground.say("switch", format!("kill -9 {part}, which serves"));
                self.stack.kill(part)?;
                self.dies = false;
            }
            farmers.still_runs()?;
            callbacks.still_runs()?;
            self.stack.fail_on_exit()?;
            if began.elapsed() > Duration::from_secs(SCRIPT_SECONDS_MAX.into()) {
                bail!("the script did not end:\n{}", tail(&log, 20));
            }
            ground.context.interrupt.sleep(Duration::from_millis(20))?;
        };
        let (farmers, callbacks) = (farmers.end(ground)?, callbacks.end(ground)?);
        Ok(Deployed {
            status,
            log: fs::read_to_string(&log)?,
            farmers,
            callbacks,
            stored: stored(ground)? - before,
            seconds: began.elapsed().as_secs_f32(),
        })
    }

    fn log(&self) -> PathBuf {
        let nth = self.callbacks_from / CALLBACKS_APART;
        self.ground.plan.log_dir.join(format!("deploy-{nth}.log"))
    }

    /// The script as its header says, with what is shorter here.
    fn command(&self, log: &Path) -> anyhow::Result<Command> {
        let ground = self.ground;
        let ask = format!("sh '{}'", ground.home.join("ask/ask.sh").display());
        let address = |slot: &Slot| format!("127.0.0.1:{}", slot.port);
        let [blue, green] = &self.slots;
        let out = fs::File::create(log)?;
        let mut command = dies_with_us(ground.context.root.join(SCRIPT));
        command
            .arg("nginx")
            .env("UPSTREAM_FILE", ground.nginx.upstream_file())
            .env("BLUE", address(blue))
            .env("GREEN", address(green))
            .env("START", format!("{ask} start"))
            .env("STOP", format!("{ask} stop"))
            .env("RELOAD", ground.nginx.reload_command()?)
            .env("PUBLIC", format!("http://127.0.0.1:{}", ground.nginx.door))
            .env("WATCH_SECONDS", WATCH_SECONDS)
            .env("WATCH_PAUSE_SECONDS", "0.5")
            .env("DRAIN_SECONDS", DRAIN_SECONDS)
            .env("TRIES", "10")
            .env("PAUSE_SECONDS", "0.5")
            .stdin(Stdio::null())
            .stdout(out.try_clone()?)
            .stderr(out);
        Ok(command)
    }

    /// Does what the script asks, if it asks anything.
    fn serve(&mut self) -> anyhow::Result<()> {
        let folder = self.ground.home.join("ask");
        let Ok(request) = fs::read_to_string(folder.join("request")) else {
            return Ok(());
        };
        fs::remove_file(folder.join("request"))?;
        let mut words = request.split_whitespace();
        let (verb, name) = (
            words.next().unwrap_or_default(),
            words.next().unwrap_or_default(),
        );
        let slot = self.slot(name)?;
        let went = match verb {
            "start" => self.start(slot),
            "stop" => self.stop(slot),
            _ => bail!("the script asks for {request:?}"),
        };
        if let Err(error) = &went {
            self.ground
                .say("switch", format!("{}: {error:#}", request.trim()));
        }
        let answer = folder.join("draft-answer");
        fs::write(&answer, if went.is_ok() { "0" } else { "1" })?;
        fs::rename(answer, folder.join("answer"))?;
        Ok(())
    }

    fn slot(&self, name: &str) -> anyhow::Result<Slot> {
        let found = self.slots.iter().find(|slot| slot.name == name);
        found
            .copied()
            .with_context(|| format!("there is no slot {name:?}"))
    }

    /// Brings a slot up; whether it is well is for the script to find out.
    fn start(&mut self, slot: Slot) -> anyhow::Result<()> {
        let mut launch = self.launch.clone();
        slot.part.clone_into(&mut launch.name);
        launch.log = self.ground.plan.log_dir.join(format!("{}.log", slot.part));
        let mut settings = vec![
            ("PORT", slot.port.to_string()),
            ("METRICS_PORT", slot.metrics_port.to_string()),
        ];
        settings.extend(self.wrong.iter().cloned());
        for (name, value) in settings {
            launch.env.retain(|(known, _)| known != name);
            launch.env.push((name.to_owned(), value));
        }
        let went = self.stack.add(launch, (slot.port, "/health/ready"));
        // a build that cannot even start is the script's finding, not an accident of ours
        if self.wrong.is_empty() {
            return went;
        }
        if went.is_ok() {
            self.stack.may_end(slot.part)?;
        }
        Ok(())
    }

    /// SIGTERM, and how long until it ended; a build that has ended already is not counted.
    fn stop(&mut self, slot: Slot) -> anyhow::Result<()> {
        let is_gone =
            self.stack.launch_of(slot.part).is_err() || self.stack.exit_of(slot.part)?.is_some();
        if is_gone {
            self.stack.forget(slot.part);
            return Ok(());
        }
        let began = Instant::now();
        self.stack.ask_to_stop(slot.part)?;
        let code = loop {
            if let Some(status) = self.stack.exit_of(slot.part)? {
                break status.code();
            }
            if began.elapsed() > self.grace.drain {
                self.stack.kill(slot.part)?;
                break None;
            }
            self.ground
                .context
                .interrupt
                .sleep(Duration::from_millis(20))?;
        };
        self.stopped.push(Stopped {
            slot: slot.name,
            code,
            seconds: began.elapsed().as_secs_f32(),
        });
        self.stack.forget(slot.part);
        Ok(())
    }
}
