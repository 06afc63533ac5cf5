//! What this checkout has running, on disk under `target/xtask/`, so that a later command finds and
//! ends what a killed one left behind. Never signals a process or removes a folder it has not
//! recorded. Called by servers, stack, up and down.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use rustix::process::Signal;
use serde::{Deserialize, Serialize};

use crate::context::Context;
use crate::process::{Identity, StopBy, wait_gone};
use crate::progress::Progress;
use crate::servers::database;

/// A folder is removed only if it holds this file, which only we write.
const MARKER: &str = ".microcrop-xtask";

/// RabbitMQ takes about six seconds to stop.
const STOP_SECONDS_MAX: u64 = 20;

/// One recorded process.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Recorded {
    /// What it is.
    pub(crate) name: String,
    /// Who it is.
    pub(crate) identity: Identity,
    /// How it is asked to end.
    pub(crate) stop: StopBy,
}

/// A database made on a server, to be dropped at the end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Made {
    /// Where to connect to drop it.
    pub(crate) admin_url: String,
    /// Its name.
    pub(crate) name: String,
}

/// The contents of a record.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Contents {
    /// Boot id: after a reboot pids and ticks mean nothing.
    boot: String,
    /// The command that owns all this; none = kept until `down`.
    owner: Option<Identity>,
    /// Processes in the order they were started.
    pub(crate) processes: Vec<Recorded>,
    /// Folders to remove at the end.
    dirs: Vec<PathBuf>,
    /// Databases to drop at the end.
    databases: Vec<Made>,
    /// Free-form facts for whoever reads the record (URLs, ports).
    pub(crate) facts: serde_json::Value,
}

/// A record and its file; every change is written at once.
pub(crate) struct Record {
    path: PathBuf,
    /// What it says.
    pub(crate) contents: Contents,
}

fn boot_id() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .unwrap_or_default()
        .trim()
        .to_owned()
}

impl Record {
    /// A new record at `path`; `owned` ones belong to this very process.
    pub(crate) fn create(path: PathBuf, owned: bool) -> anyhow::Result<Self> {
        let record = Self {
            path,
            contents: Contents {
                boot: boot_id(),
                owner: owned.then(|| Identity::of(std::process::id())).flatten(),
                ..Contents::default()
            },
        };
        record.save()?;
        Ok(record)
    }

    /// The record at `path`, if there is one that can be read.
    pub(crate) fn open(path: &Path) -> Option<Self> {
        let bytes = fs::read(path).ok()?;
        let contents = serde_json::from_slice(&bytes).ok()?;
        Some(Self {
            path: path.to_owned(),
            contents,
        })
    }

    /// Writes it, by rename, readable by its owner only (URLs may hold passwords).
    pub(crate) fn save(&self) -> anyhow::Result<()> {
        if let Some(parent) = self.path.parent() {
            fs::create_dir_all(parent)?;
        }
        let fresh = self.path.with_extension("tmp");
        fs::write(&fresh, serde_json::to_vec_pretty(&self.contents)?)
            .with_context(|| format!("cannot write {}", fresh.display()))?;
        fs::set_permissions(&fresh, fs::Permissions::from_mode(0o600))?;
        fs::rename(&fresh, &self.path)?;
        Ok(())
    }

    /// Adds a process, replacing an earlier one of the same name.
    pub(crate) fn add_process(&mut self, process: Recorded) -> anyhow::Result<()> {
        self.contents.processes.retain(|p| p.name != process.name);
        self.contents.processes.push(process);
        self.save()
    }

    /// Makes a folder that is removed with the record.
    pub(crate) fn make_dir(&mut self, dir: &Path) -> anyhow::Result<()> {
        // recorded before it exists: a folder without a record would stay for ever
        self.contents.dirs.push(dir.to_owned());
        self.save()?;
        fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
        fs::write(dir.join(MARKER), "made by cargo xtask; removed by it\n")?;
        Ok(())
    }

    /// Adds a database to drop at the end.
    pub(crate) fn add_database(&mut self, made: Made) -> anyhow::Result<()> {
        self.contents.databases.push(made);
        self.save()
    }

    /// Forgets a database (it was dropped, or is to be kept).
    pub(crate) fn forget_database(&mut self, name: &str) -> anyhow::Result<()> {
        self.contents.databases.retain(|made| made.name != name);
        self.save()
    }

    /// Whether every recorded process still runs.
    pub(crate) fn all_alive(&self) -> bool {
        self.contents.boot == boot_id()
            && !self.contents.processes.is_empty()
            && self
                .contents
                .processes
                .iter()
                .all(|p| p.identity.is_alive())
    }

    /// Lets what is recorded outlive this command, until somebody stops it.
    pub(crate) fn disown(&mut self) -> anyhow::Result<()> {
        self.contents.owner = None;
        self.save()
    }

    /// An error while another command is still at work on what is recorded here.
    pub(crate) fn not_in_use(&self) -> anyhow::Result<()> {
        let owner = self
            .contents
            .owner
            .as_ref()
            .filter(|owner| owner.is_alive());
        if let Some(owner) = owner.filter(|_| self.contents.boot == boot_id()) {
            anyhow::bail!(
                "another command (pid {}) is starting these just now; wait for it or end it",
                owner.pid
            );
        }
        Ok(())
    }

    fn owner_is_gone(&self) -> bool {
        self.contents.boot != boot_id()
            || self
                .contents
                .owner
                .as_ref()
                .is_some_and(|owner| !owner.is_alive())
    }

    /// Ends everything recorded and removes the record: databases on other people's servers are
    /// dropped, processes asked and then made to stop (newest first asked), folders removed.
    pub(crate) fn stop(&mut self, progress: Progress) {
        let same_boot = self.contents.boot == boot_id();
        for made in std::mem::take(&mut self.contents.databases) {
            if let Err(error) = database::drop_quietly(&made.admin_url, &made.name) {
                progress.say("database", format!("{} not dropped: {error:#}", made.name));
            }
        }
        if same_boot {
            let mut waiting = Vec::new();
            for recorded in self.contents.processes.iter().rev() {
                if recorded.identity.is_alive() {
                    recorded.identity.signal(recorded.stop.signal());
                    waiting.push(recorded.identity.clone());
                }
            }
            if !wait_gone(&waiting, Duration::from_secs(STOP_SECONDS_MAX)) {
                for identity in &waiting {
                    identity.signal(Signal::KILL);
                }
                if !wait_gone(&waiting, Duration::from_secs(5)) {
                    progress.say("stop", "a process survived SIGKILL; see target/xtask");
                }
            }
        }
        for dir in &self.contents.dirs {
            if dir.join(MARKER).is_file() {
                // a server's last children may still be closing files
                for _ in 0..50 {
                    if fs::remove_dir_all(dir).is_ok() {
                        break;
                    }
                    std::thread::sleep(Duration::from_millis(100));
                }
            }
        }
        let _ = fs::remove_file(&self.path);
    }
}

/// Waits for its turn to change what this checkout keeps running; the turn ends with the value, or
/// with the process, however that ends.
pub(crate) fn turn(context: &Context) -> anyhow::Result<fs::File> {
    fs::create_dir_all(context.state_dir())?;
    let file = fs::File::create(context.state_dir().join("lock"))?;
    let mut said = false;
    while file.try_lock().is_err() {
        if !said {
            context.say("xtask", "waiting for another command of this checkout");
            said = true;
        }
        context.interrupt.sleep(Duration::from_millis(50))?;
    }
    Ok(file)
}

/// Ends whatever commands that no longer run left behind in this checkout. Call it in a turn:
/// two at once would remove each other's fresh records.
pub(crate) fn reap(dir: &Path, progress: Progress) {
    let Ok(entries) = fs::read_dir(dir) else {
        return;
    };
    for entry in entries.flatten() {
        let path = entry.path();
        if path.extension().is_none_or(|ext| ext != "json") {
            continue;
        }
        let Some(mut record) = Record::open(&path) else {
            continue;
        };
        if record.owner_is_gone() {
            progress.say(
                "clean up",
                format!("ending what an earlier command left ({})", path.display()),
            );
            record.stop(progress);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    fn scratch(name: &str) -> PathBuf {
        let dir =
            std::env::temp_dir().join(format!("xtask-{name}-{}", crate::ports::random_hex(4)));
        fs::create_dir_all(&dir).unwrap();
        dir
    }

    #[test]
    fn a_dead_owners_processes_and_folders_are_removed() {
        let dir = scratch("reap");
        let data = dir.join("data");
        let mut child = Command::new("tail")
            .args(["-f", "/dev/null"])
            .spawn()
            .unwrap();
        let mut record = Record::create(dir.join("run.json"), true).unwrap();
        record.make_dir(&data).unwrap();
        record
            .add_process(Recorded {
                name: "tail".into(),
                identity: Identity::of(child.id()).unwrap(),
                stop: StopBy::Term,
            })
            .unwrap();
        reap(&dir, Progress::start());
        assert!(data.is_dir(), "the owner (this test) still runs");
        let owner = record.contents.owner.as_mut().unwrap();
        owner.started_ticks += 1;
        record.save().unwrap();
        reap(&dir, Progress::start());
        assert!(!data.exists());
        assert!(!dir.join("run.json").exists());
        assert!(!child.wait().unwrap().success());
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn a_folder_without_our_marker_is_left_alone() {
        let dir = scratch("marker");
        let theirs = dir.join("theirs");
        let mut record = Record::create(dir.join("run.json"), true).unwrap();
        record.make_dir(&theirs).unwrap();
        fs::remove_file(theirs.join(MARKER)).unwrap();
        record.stop(Progress::start());
        assert!(theirs.is_dir());
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn a_recycled_pid_is_not_signalled() {
        let dir = scratch("recycled");
        let mut child = Command::new("tail")
            .args(["-f", "/dev/null"])
            .spawn()
            .unwrap();
        let mut identity = Identity::of(child.id()).unwrap();
        identity.started_ticks += 1;
        let mut record = Record::create(dir.join("run.json"), true).unwrap();
        record
            .add_process(Recorded {
                name: "tail".into(),
                identity,
                stop: StopBy::Kill,
            })
            .unwrap();
        record.stop(Progress::start());
        assert!(child.try_wait().unwrap().is_none());
        child.kill().unwrap();
        child.wait().unwrap();
        fs::remove_dir_all(dir).unwrap();
    }
}
