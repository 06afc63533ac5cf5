//! The servers of a drill: a PostgreSQL that keeps what it acknowledged and archives its changes, a
//! Redis, and a stand-in for S3. Never one that was given, since they are destroyed. Called by drill.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use rustix::process::Signal;

use crate::context::Context;
use crate::http;
use crate::process::{Launch, Lifetime, Process, StopBy, wait_gone, which};
use crate::progress::tail;
use crate::record::{Record, Recorded};
use crate::servers::{database, hand_to_postgres, postgres_programs, redis_answers};

/// A recovery reads a segment of 16 MiB in a second or two; one that takes this long hangs.
const READY_SECONDS_MAX: u64 = 240;

/// A running server; dropping it ends it at once, whatever it holds.
pub(super) struct Server {
    process: Process,
    end_by: Signal,
}

impl Server {
    /// Starts it and waits until it answers.
    pub(super) fn start(
        context: &Context,
        record: &mut Record,
        launch: &Launch,
        answers: &dyn Fn() -> bool,
    ) -> anyhow::Result<Self> {
        let process = launch.launch()?;
        record.add_process(Recorded {
            name: launch.name.clone(),
            identity: process.identity.clone(),
            stop: launch.stop,
        })?;
        let mut server = Self {
            process,
            // PostgreSQL's immediate shutdown: no checkpoint, nothing more archived; others just end
            end_by: match launch.stop {
                StopBy::Int => Signal::QUIT,
                StopBy::Term | StopBy::Kill => Signal::KILL,
            },
        };
        let began = Instant::now();
        while !answers() {
            if let Some(status) = server.process.ended() {
                bail!(
                    "{} ended ({status}); its log ends:\n{}",
                    launch.name,
                    tail(&launch.log, 15)
                );
            }
            ensure!(
                began.elapsed() < Duration::from_secs(READY_SECONDS_MAX),
                "{} is not ready after {READY_SECONDS_MAX} s; its log ends:\n{}",
                launch.name,
                tail(&launch.log, 15)
            );
            context.interrupt.sleep(Duration::from_millis(100))?;
        }
        Ok(server)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.process.identity.signal(self.end_by);
        let identity = std::slice::from_ref(&self.process.identity);
        if !wait_gone(identity, Duration::from_secs(15)) {
            self.process.kill_now();
        }
        let _ = self.process.child.wait();
    }
}

/// Where a PostgreSQL of the drill lives, whether or not it runs.
pub(super) struct Postgres {
    launch: Launch,
    /// Its data folder.
    pub(super) data: PathBuf,
    port: u16,
}

impl Postgres {
    /// An empty one, with the settings of `archive_conf` included.
    pub(super) fn make(
        context: &Context,
        home: &Path,
        archive_conf: &Path,
        port: u16,
        env: &[(String, String)],
    ) -> anyhow::Result<Self> {
        let postgres = Self::at(home, port, env)?;
        let bin = postgres_programs().context("PostgreSQL is not installed")?;
        let log = fs::File::create(&postgres.launch.log)?;
        let mut initdb = postgres.as_its_user(bin.join("initdb"));
        initdb
            .arg("-D")
            .arg(&postgres.data)
            .args([
                "-U",
                "postgres",
                "-A",
                "trust",
                "-E",
                "UTF8",
                "--locale=C.UTF-8",
            ])
            .stdout(log.try_clone()?)
            .stderr(log);
        let status = context.run(&mut initdb)?;
        ensure!(
            status.success(),
            "initdb failed:\n{}",
            tail(&postgres.launch.log, 15)
        );
        let file = postgres.data.join("postgresql.conf");
        let settings = fs::read_to_string(&file)?;
        let included = format!("{settings}\ninclude = '{}'\n", archive_conf.display());
        fs::write(&file, included)?;
        Ok(postgres)
    }

    /// One whose data folder somebody else fills.
    pub(super) fn at(home: &Path, port: u16, env: &[(String, String)]) -> anyhow::Result<Self> {
        let bin = postgres_programs().context("PostgreSQL is not installed")?;
        fs::create_dir_all(home)?;
        let user = hand_to_postgres(home)?;
        let data = home.join("data");
        let mut args = vec!["-D".into(), data.clone().into_os_string()];
        // fsync, synchronous_commit and full_page_writes stay as PostgreSQL ships them: a drill on a
        // server that may lose what it acknowledged would prove nothing
        for setting in [
            "listen_addresses=127.0.0.1".to_owned(),
            format!("port={port}"),
            "unix_socket_directories=".to_owned(),
            "max_connections=100".to_owned(),
            "jit=off".to_owned(),
            "timezone=UTC".to_owned(),
        ] {
            args.push("-c".into());
            args.push(setting.into());
        }
        let name = home
            .file_name()
            .map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        let launch = Launch {
            program: bin.join("postgres"),
            args,
            env: env.to_vec(),
            dir: home.to_owned(),
            user,
            lifetime: Lifetime::WithUs,
            stop: StopBy::Int,
            log: home.with_extension("log"),
            name,
        };
        Ok(Self { launch, data, port })
    }

    /// A command run by the system's user of PostgreSQL, or by us if we are not root.
    pub(super) fn as_its_user(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("setpriv");
        if let Some(user) = &self.launch.user {
            command.args(["--reuid", user, "--regid", user, "--init-groups"]);
        }
        command
            .args(["--pdeathsig", "TERM", "--"])
            .arg(program)
            .current_dir(&self.launch.dir)
            .stdin(Stdio::null());
        command
    }

    /// Starts it and waits until it answers with `ready`.
    pub(super) fn start(
        &self,
        context: &Context,
        record: &mut Record,
        settings: &[&str],
        ready: (&str, &str),
    ) -> anyhow::Result<Server> {
        let mut launch = self.launch.clone();
        for setting in settings {
            launch.args.push("-c".into());
            launch.args.push(setting.into());
        }
        let url = self.url("postgres");
        let (question, answer) = ready;
        let answers = || database::query(&url, question).is_ok_and(|said| said == answer);
        Server::start(context, record, &launch, &answers)
    }

    /// How a database of it is reached as its owner.
    pub(super) fn url(&self, name: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{name}", self.port)
    }

    /// The data folder, gone.
    pub(super) fn destroy(&self) -> anyhow::Result<()> {
        fs::remove_dir_all(&self.data)
            .with_context(|| format!("cannot remove {}", self.data.display()))
    }
}

/// How a plain server of the drill is started.
fn plain(name: &str, program: PathBuf, args: &[&str], dir: &Path) -> Launch {
    Launch {
        name: name.to_owned(),
        program,
        args: args.iter().map(Into::into).collect(),
        env: vec![("LANG".to_owned(), "C.UTF-8".to_owned())],
        dir: dir.to_owned(),
        user: None,
        lifetime: Lifetime::WithUs,
        stop: StopBy::Term,
        log: dir.join(format!("{name}.log")),
    }
}

/// An empty Redis on a port.
pub(super) fn redis(
    context: &Context,
    record: &mut Record,
    dir: &Path,
    port: u16,
) -> anyhow::Result<Server> {
    let program = which("redis-server").context("Redis is not installed")?;
    let port_word = port.to_string();
    let args = [
        "--port",
        &port_word,
        "--bind",
        "127.0.0.1",
        "--save",
        "",
        "--appendonly",
        "no",
    ];
    let launch = plain("redis", program, &args, dir);
    Server::start(context, record, &launch, &|| redis_answers(port))
}

/// A stand-in for S3 on a port, holding everything in memory.
pub(super) fn store(
    context: &Context,
    record: &mut Record,
    dir: &Path,
    programs: &Path,
    port: u16,
) -> anyhow::Result<Server> {
    let port_word = port.to_string();
    let args = ["-H", "127.0.0.1", "-p", &port_word];
    let launch = plain("s3", programs.join("moto_server"), &args, dir);
    Server::start(context, record, &launch, &|| {
        http::status(port, "/moto-api/") == Some(200)
    })
}

/// A session that writes a row of the time it is, once a second, until its server ends.
pub(super) fn ticker(
    context: &Context,
    record: &mut Record,
    dir: &Path,
    url: &str,
) -> anyhow::Result<Server> {
    let file = dir.join("ticks.sql");
    fs::write(
        &file,
        "insert into ticks values (clock_timestamp()) \\watch 1\n",
    )?;
    let program = which("psql").context("psql is not installed")?;
    let file = file.to_string_lossy().into_owned();
    let launch = plain(
        "ticker",
        program,
        &["-X", "-q", "-d", url, "-f", &file],
        dir,
    );
    Server::start(context, record, &launch, &|| {
        database::query(url, "select count(*) > 0 from ticks").is_ok_and(|said| said == "t")
    })
}
