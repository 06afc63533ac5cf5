//! `cargo xtask contract`: the running backend held against its own description by schemathesis,
//! with credentials and without, and used by a client that is generated from it. Installs both tools
//! at pinned versions under target/contract; never touches a running `up`. Called by main.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context as _, bail, ensure};
use serde_json::Value;

use crate::cargo::build_binaries;
use crate::clock::clock_start;
use crate::context::Context;
use crate::docs::API;
use crate::home::Home;
use crate::process::dies_with_us;
use crate::progress::{print_line, tail};
use crate::servers::{Servers, Wanted, database};
use crate::stack::{Plan, Stack, run_once};
use crate::tools;

/// The folder of the seeded world and of the settings.
const CONTRACT: &str = "tests/contract";
/// The folder of the program that uses the generated client.
const CLIENT: &str = "tests/client";
/// Above what one machine can ask: ceilings are tested elsewhere.
const CEILING: &str = "1000000";

/// What a person may ask of `contract`.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Options {
    /// Generated requests of each operation and phase, at most
    #[arg(long, default_value_t = 12, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    max_examples: u32,
    /// Decides what is generated
    #[arg(long, default_value_t = 20_260_115)]
    seed: u64,
}

/// Everything a part of the run needs.
struct Run<'a> {
    context: &'a Context,
    options: &'a Options,
    home: PathBuf,
    base_url: String,
    /// Variables of the scripts: credentials, addresses, where to write.
    env: Vec<(String, String)>,
}

/// Runs the client and both runs of the tool, and prints what came of them.
pub(crate) fn run(context: &Context, options: &Options) -> anyhow::Result<()> {
    let held = Home::fresh(context, "contract", &["logs", "evidence"])?;
    let home = held.dir.clone();
    tools::ensure_python(context)?;
    schemathesis(context, &home)?;
    tools::npm_packages(context, &context.root.join(CLIENT), &home.join("client"))?;
    Servers::check_given(context)?;
    let bin_dir = build_binaries(context)?;
    let mut servers = Servers::for_command(context, Wanted::ALL)?;
    let database = servers.fresh_database("contract")?;
    let mut plan = Plan::throwaway("contract", &home, bin_dir, &servers.urls.with(&database))?;
    for name in ["API_RATE_PER_SECOND", "API_RATE_BURST"] {
        plan.set(name, CEILING.to_owned());
    }
    let record = context
        .state_dir()
        .join(format!("contract-{}.json", crate::ports::random_hex(4)));
    let mut stack = Stack::start_some(context, &plan, record, &["backend"])?;
    let kept = Run::new(context, options, home, &plan).and_then(|run| run.whole(&database));
    let stayed_up = stack.fail_on_exit();
    drop(stack);
    servers.drop_database(&database)?;
    stayed_up?;
    kept
}

impl<'a> Run<'a> {
    /// Makes the partner, its key and two operators.
    fn new(
        context: &'a Context,
        options: &'a Options,
        home: PathBuf,
        plan: &Plan,
    ) -> anyhow::Result<Self> {
        let last = |args: &[&str]| -> anyhow::Result<String> {
            let printed = run_once(plan, "backend", args)?;
            Ok(printed.lines().last().unwrap_or_default().to_owned())
        };
        let partner = |name: &str| -> anyhow::Result<String> {
            let create = ["partner", "create", "--name", name, "--kind", "cooperative"];
            let id = last(&create)?;
            last(&[
                "partner",
                "key",
                "--organisation",
                &id,
                "--name",
                "contract",
            ])
        };
        let operator =
            |name: &str, role: &str| last(&["operator", "token", "--name", name, "--role", role]);
        let base_url = format!("http://127.0.0.1:{}", plan.ports.addresses.backend);
        let path = |name: &str| home.join(name).display().to_string();
        let env = [
            ("BASE_URL", base_url.clone()),
            ("PARTNER_KEY", partner("Contract co-operative")?),
            ("CLIENT_KEY", partner("Client co-operative")?),
            ("ADMINISTRATOR", operator("Asha", "administrator")?),
            ("APPROVER", operator("Brian", "approver")?),
            ("NOW", clock_start(None)?),
            ("WORLD", path("world.json")),
        ];
        let env = env.map(|(name, value)| (name.to_owned(), value)).to_vec();
        Ok(Self {
            context,
            options,
            home,
            base_url,
            env,
        })
    }

    fn whole(&self, database: &str) -> anyhow::Result<()> {
        self.use_client()?;
        self.context.say("contract", "making the world");
        self.node(&self.context.root.join(CONTRACT).join("world.mjs"))?;
        let after_season = self.context.root.join(CONTRACT).join("world.sql");
        database::run_file(database, &after_season)?;
        let with = self.held("with-key")?;
        let without = self.held("without-key")?;
        self.judge(&with, &without)
    }

    /// A script of ours, to its end.
    fn node(&self, script: &Path) -> anyhow::Result<()> {
        let mut command = dies_with_us("node");
        command
            .arg(script)
            .current_dir(&self.home)
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null());
        self.context.run_ok(&mut command)
    }

    /// Generates the client from the committed document, compiles it with the program that uses it,
    /// and runs that.
    fn use_client(&self) -> anyhow::Result<()> {
        self.context.say("client", "generated, compiled and used");
        let (from, to) = (self.context.root.join(CLIENT), self.home.join("client"));
        for name in ["use.ts", "tsconfig.json"] {
            fs::copy(from.join(name), to.join(name))?;
        }
        let tool = |name: &str| to.join("node_modules/.bin").join(name);
        let document = self.context.root.join(API);
        let mut generate = dies_with_us(tool("openapi-typescript"));
        generate.arg(document).args(["--output", "schema.d.ts"]);
        for command in [&mut generate, &mut dies_with_us(tool("tsc"))] {
            command
                .current_dir(&to)
                .stdin(Stdio::null())
                .stdout(std::io::stderr());
            self.context.run_ok(command)?;
        }
        self.node(&to.join("out/use.js"))
    }

    /// One run of the tool: what every operation answered.
    fn held(&self, name: &str) -> anyhow::Result<Answers> {
        self.context.say("contract", name);
        let folder = self.home.join(name);
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        fs::create_dir_all(&folder)?;
        let settings = folder.join("schemathesis.toml");
        fs::write(&settings, self.settings(name)?)?;
        let seen = folder.join("seen.json");
        let log = folder.join("report.txt");
        let mut command = dies_with_us(self.home.join("venv/bin/schemathesis"));
        command
            .arg("--no-color")
            .arg("--config-file")
            .arg(&settings)
            .args(["run", &format!("{}/api/openapi.json", self.base_url)])
            .args(["--max-examples", &self.options.max_examples.to_string()])
            .args(["--seed", &self.options.seed.to_string()])
            .args(["--report", "junit,ndjson"])
            .arg("--report-dir")
            .arg(&folder)
            .current_dir(&folder)
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .env("SEEN", &seen)
            .stdin(Stdio::null())
            .stdout(fs::File::create(&log)?);
        let status = self.context.run(&mut command)?;
        if !status.success() {
            print_line(fs::read_to_string(&log).unwrap_or_default());
            bail!(
                "schemathesis found faults {name}; its report is {}",
                log.display()
            );
        }
        let text = fs::read_to_string(&seen)
            .with_context(|| format!("nothing was asked {name}:\n{}", tail(&log, 20)))?;
        Ok(serde_json::from_str(&text)?)
    }

    /// The committed settings with the credentials of the run and the ids of the world.
    fn settings(&self, name: &str) -> anyhow::Result<String> {
        let folder = self.context.root.join(CONTRACT);
        let hooks = format!("hooks = \"{}\"", folder.join("hooks.py").display());
        let settings = fs::read_to_string(folder.join("schemathesis.toml"))?;
        let mut settings = settings.replace("hooks = \"hooks.py\"", &hooks);
        if name == "with-key" {
            settings.push_str(&fs::read_to_string(folder.join("with-key.toml"))?);
        }
        let world: Value =
            serde_json::from_str(&fs::read_to_string(self.home.join("world.json"))?)?;
        let ids = world["ids"].as_object().context("world.json has no ids")?;
        for (name, values) in ids {
            // a JSON array of texts is a TOML array of texts
            write!(settings, "\n[dictionaries.{name}]\nvalues = {values}\n")?;
        }
        settings.push_str("\n[parameters]\n");
        for name in ids.keys() {
            let half = "probability = 0.5";
            writeln!(
                settings,
                "\"path.{name}\" = {{ dictionary = \"{name}\", {half} }}"
            )?;
        }
        Ok(settings)
    }

    /// The closing table, and whether every operation answered as it must.
    fn judge(&self, with: &Answers, without: &Answers) -> anyhow::Result<()> {
        let document = fs::read_to_string(self.context.root.join(API))?;
        let document: Value = serde_json::from_str(&document)?;
        let operations = operations(&document);
        print_line(table(&operations, with, without));
        let never: Vec<&str> = operations
            .iter()
            .filter(|(label, _)| count(with, label, '2') == 0)
            .map(|(label, _)| label.as_str())
            .collect();
        ensure!(
            never.is_empty(),
            "with the key, these never answered 2xx: {}",
            never.join(", ")
        );
        let let_in: Vec<&str> = operations
            .iter()
            .filter(|(label, is_open)| !is_open && count(without, label, '2') > 0)
            .map(|(label, _)| label.as_str())
            .collect();
        ensure!(
            let_in.is_empty(),
            "without a key, these answered 2xx: {}",
            let_in.join(", ")
        );
        Ok(())
    }
}

/// Operation to status to how often.
type Answers = BTreeMap<String, BTreeMap<String, u64>>;

/// Every operation of the document, and whether anybody may call it.
fn operations(document: &Value) -> Vec<(String, bool)> {
    let paths = document["paths"].as_object();
    let mut found = Vec::new();
    for (path, item) in paths.into_iter().flatten() {
        for (method, operation) in item.as_object().into_iter().flatten() {
            let is_open = operation["security"].as_array().is_none_or(Vec::is_empty);
            found.push((format!("{} {path}", method.to_uppercase()), is_open));
        }
    }
    found
}

/// Answers of an operation whose status begins so.
fn count(answers: &Answers, label: &str, first: char) -> u64 {
    let counts = answers.get(label).into_iter().flatten();
    let counts = counts.filter(|(status, _)| status.starts_with(first));
    counts.map(|(_, count)| count).sum()
}

fn table(operations: &[(String, bool)], with: &Answers, without: &Answers) -> String {
    let mut lines = vec![format!(
        "\n{:68} {:>6} {:>6} {:>6} | {:>9}",
        "operation", "2xx", "4xx", "5xx", "no key"
    )];
    for (label, _) in operations {
        let all: u64 = without
            .get(label)
            .into_iter()
            .flatten()
            .map(|(_, n)| n)
            .sum();
        lines.push(format!(
            "{label:68} {:>6} {:>6} {:>6} | {all:>9}",
            count(with, label, '2'),
            count(with, label, '4'),
            count(with, label, '5'),
        ));
    }
    let total = |answers: &Answers| -> u64 { answers.values().flat_map(BTreeMap::values).sum() };
    lines.push(format!(
        "{} operations, {} requests with the key, {} without",
        operations.len(),
        total(with),
        total(without)
    ));
    lines.join("\n")
}

/// The tool, at exactly the version that is written down.
fn schemathesis(context: &Context, home: &Path) -> anyhow::Result<()> {
    let wanted = context.root.join(CONTRACT).join("requirements.txt");
    let text = fs::read_to_string(&wanted)?;
    let stamp = home.join("requirements.txt");
    let tool = home.join("venv/bin/schemathesis");
    if tool.is_file() && fs::read_to_string(&stamp).is_ok_and(|held| held == text) {
        return Ok(());
    }
    context.say("install", format!("schemathesis into {}", home.display()));
    let mut make = dies_with_us("python3");
    make.args(["-m", "venv", "--clear"]).arg(home.join("venv"));
    let mut fill = dies_with_us(home.join("venv/bin/pip"));
    fill.args(["install", "--quiet", "--disable-pip-version-check", "-r"])
        .arg(&wanted);
    for command in [&mut make, &mut fill] {
        command.stdin(Stdio::null()).stdout(std::io::stderr());
        context.run_ok(command).with_context(|| {
            format!(
                "{} could not be installed; a package index is needed once, and target/contract \
                 keeps it",
                wanted.display()
            )
        })?;
    }
    fs::write(&stamp, text)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operation_is_open_when_it_names_no_credential() {
        let document = serde_json::json!({ "paths": {
            "/a": { "get": { "security": [] }, "post": { "security": [{ "key": [] }] } }
        }});
        assert_eq!(
            operations(&document),
            [("GET /a".to_owned(), true), ("POST /a".to_owned(), false)]
        );
    }

    #[test]
    fn answers_are_counted_by_their_first_digit() {
        let counts = BTreeMap::from([("200".to_owned(), 2), ("404".to_owned(), 3)]);
        let answers = Answers::from([("GET /a".to_owned(), counts)]);
        assert_eq!(count(&answers, "GET /a", '2'), 2);
        assert_eq!(count(&answers, "GET /a", '5'), 0);
        assert_eq!(count(&answers, "GET /b", '2'), 0);
    }
}
