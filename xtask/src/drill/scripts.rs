//! The scripts of deploy/ as an operator runs them: with an environment of the drill alone, in which no
//! real key or address can be, and with the exit code that is expected. Called by the drill's steps.

use std::cell::Cell;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, ensure};

use crate::context::Context;
use crate::process::search_path;

/// A script that takes this long hangs.
const SECONDS_MAX: &str = "900";
/// Most lines of what a script said that an error carries.
const LINES_MAX: usize = 15;

/// Where backups go in the drill, and the second region; the regions are production's.
pub(super) const BUCKETS: [(&str, &str); 2] = [
    ("microcrop-drill-backups", "af-south-1"),
    ("microcrop-drill-backups-dr", "eu-west-1"),
];

/// How the drill's scripts are run.
pub(super) struct Scripts {
    context: Context,
    /// `deploy/`, copied to where PostgreSQL's own user can read it.
    deploy: PathBuf,
    /// Folder of what each said.
    logs: PathBuf,
    env: Vec<(String, String)>,
    /// How many were run: the number of a log.
    count: Cell<u32>,
}

impl Scripts {
    /// Copies the scripts into `dir` and settles their environment.
    pub(super) fn new(
        context: &Context,
        dir: &Path,
        logs: &Path,
        s3_port: u16,
    ) -> anyhow::Result<Self> {
        let deploy = dir.join("deploy");
        for part in ["scripts", "ci-cd/scripts"] {
            let to = deploy.join(part);
            fs::create_dir_all(&to)?;
            let mut copy = Command::new("cp");
            copy.arg("-R")
                .arg(context.root.join("deploy").join(part).join("."))
                .arg(&to);
            context.run_ok(&mut copy)?;
        }
        // who may make archives of the database is not who may read them
        let work = dir.join("work");
        fs::create_dir_all(&work)?;
        let path = search_path();
        let [(primary, primary_region), (dr, dr_region)] = BUCKETS;
        let work = work.display().to_string();
        let endpoint = format!("http://127.0.0.1:{s3_port}");
        // the system's own clients before others: PostgreSQL's user cannot reach into a home
        let path = format!("/usr/local/bin:/usr/bin:/bin:{}", path.to_string_lossy());
        let env = [
            ("PATH", path.as_str()),
            ("HOME", &work),
            ("LANG", "C.UTF-8"),
            ("ENVIRONMENT", "drill"),
            ("BACKUP_DIR", &work),
            ("S3_BUCKET", primary),
            ("S3_REGION", primary_region),
            ("S3_DR_BUCKET", dr),
            ("S3_DR_REGION", dr_region),
            ("S3_ENDPOINT_URL", &endpoint),
            ("AWS_ACCESS_KEY_ID", "drill"),
            ("AWS_SECRET_ACCESS_KEY", "drill"),
            ("AWS_CONFIG_FILE", "/dev/null"),
            ("AWS_SHARED_CREDENTIALS_FILE", "/dev/null"),
            ("AWS_EC2_METADATA_DISABLED", "true"),
            ("AWS_PAGER", ""),
            ("AWS_MAX_ATTEMPTS", "2"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec();
        Ok(Self {
            context: context.clone(),
            deploy,
            logs: logs.to_owned(),
            env,
            count: Cell::new(0),
        })
    }

    /// The variables that every script of the drill is given.
    pub(super) fn env(&self) -> &[(String, String)] {
        &self.env
    }

    /// A path under `deploy/`.
    pub(super) fn path(&self, inside: &str) -> PathBuf {
        self.deploy.join(inside)
    }

    /// Where archives are made.
    pub(super) fn work(&self) -> PathBuf {
        self.deploy.with_file_name("work")
    }

    /// The settings by which PostgreSQL archives: those that are shipped, with the scripts' real place.
    pub(super) fn archive_conf(&self) -> anyhow::Result<PathBuf> {
        let shipped = self.path("scripts/backup/wal/archive.conf");
        let text = fs::read_to_string(&shipped)?;
        let place = self.path("scripts").display().to_string();
        let settled = text.replace("/opt/microcrop", &place);
        ensure!(settled != text, "archive.conf names no /opt/microcrop");
        fs::write(&shipped, settled)?;
        Ok(shipped)
    }

    /// Runs a script of `deploy/`; answers what it said if it ended with `code`.
    pub(super) fn run(
        &self,
        code: i32,
        script: &str,
        args: &[&str],
        more: &[(&str, &str)],
    ) -> anyhow::Result<String> {
        let mut command = Command::new("setpriv");
        command
            .args(["--pdeathsig", "TERM", "--"])
            .args(["timeout", SECONDS_MAX])
            .arg(self.path(script))
            .args(args);
        self.finish(code, script, command, more)
            .map(|said| said.all())
    }

    /// Runs a piece of shell with the same environment, which must succeed; answers its results, apart
    /// from what was said of them.
    pub(super) fn shell(&self, name: &str, text: &str) -> anyhow::Result<String> {
        let mut command = Command::new("setpriv");
        command
            .args(["--pdeathsig", "TERM", "--"])
            .args(["timeout", SECONDS_MAX, "bash", "-euc"])
            .arg(format!(
                ". '{}'; {text}",
                self.path("scripts/lib.sh").display()
            ));
        self.finish(0, name, command, &[]).map(|said| said.results)
    }

    /// Runs a prepared command to its end and holds its exit code against `code`.
    pub(super) fn finish(
        &self,
        code: i32,
        name: &str,
        mut command: Command,
        more: &[(&str, &str)],
    ) -> anyhow::Result<Said> {
        self.count.set(self.count.get() + 1);
        let name_of_log = name.rsplit('/').next().unwrap_or(name).replace(' ', "-");
        let log = |kind: &str| {
            let number = self.count.get();
            self.logs.join(format!("{number:02}-{name_of_log}{kind}"))
        };
        let (results, words) = (log(".out"), log(".log"));
        command
            .env_clear()
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .envs(more.iter().copied())
            .stdin(Stdio::null())
            .stdout(fs::File::create(&results)?)
            .stderr(fs::File::create(&words)?);
        let status = self.context.run(&mut command)?;
        let read = |file: &Path| -> anyhow::Result<String> {
            let bytes =
                fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
            Ok(String::from_utf8_lossy(&bytes).into_owned())
        };
        let said = Said {
            results: read(&results)?,
            words: read(&words)?,
        };
        ensure!(
            status.code() == Some(code),
            "{name} ended with {status}, wanted exit {code}:\n{}",
            last_lines(&said.all())
        );
        Ok(said)
    }
}

/// What a script printed.
pub(super) struct Said {
    results: String,
    words: String,
}

impl Said {
    /// Results and what was said of them, in no order.
    pub(super) fn all(&self) -> String {
        format!("{}{}", self.results, self.words)
    }
}

fn last_lines(said: &str) -> String {
    let lines: Vec<&str> = said.lines().collect();
    let from = lines.len().saturating_sub(LINES_MAX);
    lines.get(from..).unwrap_or_default().join("\n")
}

/// A line without the time it begins with.
pub(super) fn untimed(line: &str) -> &str {
    line.split_once("  ").map_or(line, |(_, words)| words)
}

/// What was said, if a line of it holds `words`.
pub(super) fn says<'a>(said: &'a str, words: &str) -> anyhow::Result<&'a str> {
    said.lines()
        .find(|line| line.contains(words))
        .map(str::trim)
        .with_context(|| format!("it does not say `{words}`, but:\n{}", last_lines(said)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_is_left_out_of_what_is_shown() {
        assert_eq!(untimed("02:00:01  ready at try 1"), "ready at try 1");
        assert_eq!(untimed("plain"), "plain");
    }

    #[test]
    fn what_a_script_must_say_is_found_or_missed_loudly() {
        let said = "one\nFAIL  redis  /health/redis answered 503\n";
        assert!(says(said, "FAIL  redis").is_ok_and(|line| line.ends_with("503")));
        let missed = says(said, "FAIL  db").unwrap_err().to_string();
        assert!(missed.contains("/health/redis answered 503"));
    }
}
