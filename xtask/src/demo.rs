//! `cargo xtask demo`: real servers, real binaries, a season driven over HTTP by `sandbox season`,
//! and its verdict as our exit code. Never decides whether the season came out right: the driver
//! does. Called by main, drill and dashboards.
//!
//! What the driver may ask of a supervisor (season.rs): `@kill <role>` (SIGKILL, back after 0.5 s),
//! `@rabbit-restart`, `@import <file>`.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};

use crate::cargo::build_binaries;
use crate::clock::{clock_start, write_clock};
use crate::context::Context;
use crate::environment::{Facts, shared};
use crate::home::Home;
use crate::process::Lifetime;
use crate::season::{Driver, Supervisor};
use crate::servers::{Servers, Urls, database};
use crate::stack::{Plan, PortPlan, Stack, run_once};

/// What a person may ask of the demo.
#[derive(clap::Args, Clone, Debug, Default)]
pub(crate) struct Options {
    /// Farmers who register and buy
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=20_000))]
    farmers: u32,
    /// Seed of farmers, weather and faults; equal seeds give equal totals
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Several seeds, one run each on the same servers, as in 7,8,9
    #[arg(long, value_delimiter = ',', conflicts_with = "seed")]
    seeds: Vec<u64>,
    /// The season's weather: drought, good or flood
    #[arg(long, default_value = "drought", value_parser = ["drought", "good", "flood"])]
    scenario: String,
    /// Replay a daily rain file instead: date column, then a column per ward (.csv or .csv.gz)
    #[arg(
        long,
        value_name = "FILE",
        conflicts_with = "scenario",
        requires = "season"
    )]
    weather: Option<PathBuf>,
    /// Points of the replayed wards: name, lat, lon
    #[arg(long, value_name = "FILE", requires = "weather")]
    points: Option<PathBuf>,
    /// County whose wards the file's columns name (default: the one with most matches)
    #[arg(long, value_name = "NAME", requires = "weather")]
    county: Option<String>,
    /// Seasons to replay, one run each, as in MAM-1984,MAM-2007
    #[arg(
        long,
        value_delimiter = ',',
        value_name = "SEASON",
        requires = "weather"
    )]
    season: Vec<String>,
    /// Kill processes, lose replies, repeat callbacks, restart the broker once
    #[arg(long)]
    chaos: bool,
    /// Keep what the run made: a database dump beside the logs, invariants named
    #[arg(long)]
    keep: bool,
}

/// One run of the season.
#[derive(Clone, Debug)]
struct Run {
    seed: u64,
    season: Option<String>,
    label: String,
}

impl Options {
    fn runs(&self) -> anyhow::Result<Vec<Run>> {
        let seeds = if self.seeds.is_empty() {
            vec![self.seed]
        } else {
            self.seeds.clone()
        };
        let mut runs = Vec::new();
        for seed in seeds {
            if self.season.is_empty() {
                runs.push(Run {
                    seed,
                    season: None,
                    label: format!("seed-{seed}"),
                });
            }
            for season in &self.season {
                clock_start(Some(season))?;
                runs.push(Run {
                    seed,
                    season: Some(season.clone()),
                    label: format!("{season}-seed-{seed}"),
                });
            }
        }
        Ok(runs)
    }

    /// The driver's arguments for one run.
    fn driver_args(&self, run: &Run) -> anyhow::Result<Vec<OsString>> {
        let mut args: Vec<OsString> = Vec::new();
        let mut flag = |name: &str, value: OsString| {
            args.push(name.into());
            args.push(value);
        };
        flag("--farmers", self.farmers.to_string().into());
        flag("--seed", run.seed.to_string().into());
        if self.weather.is_none() {
            flag("--scenario", self.scenario.clone().into());
        }
        for (name, file) in [("--weather", &self.weather), ("--points", &self.points)] {
            if let Some(file) = file {
                // the driver runs in the checkout, the person may not
                let whole = fs::canonicalize(file)
                    .with_context(|| format!("{name}: cannot read {}", file.display()))?;
                flag(name, whole.into());
            }
        }
        if let Some(county) = &self.county {
            flag("--county", county.clone().into());
        }
        if let Some(season) = &run.season {
            flag("--season", season.clone().into());
        }
        for (name, set) in [("--chaos", self.chaos), ("--keep", self.keep)] {
            if set {
                args.push(name.into());
            }
        }
        Ok(args)
    }
}

/// Runs every asked season and fails if any came out unequal.
pub(crate) fn run(context: &Context, options: &Options) -> anyhow::Result<()> {
    let runs = options.runs()?;
    for run in &runs {
        options.driver_args(run)?;
    }
    let held = Home::fresh(context, "demo", &["logs", "evidence"])?;
    let home = held.dir.clone();
    Servers::check_given(context)?;
    let bin_dir = build_binaries(context)?;
    let mut servers = Servers::own(context)?;
    let mut failed = Vec::new();
    for run in &runs {
        let log_dir = if runs.len() == 1 {
            home.join("logs")
        } else {
            home.join("logs").join(&run.label)
        };
        let season = Season {
            context,
            options,
            run,
            home: &home,
            log_dir,
            bin_dir: bin_dir.clone(),
        };
        let outcome = season.play(&mut servers);
        context.interrupt.check()?;
        if let Err(error) = outcome {
            context.say("demo", format!("{} failed: {error:#}", run.label));
            failed.push(run.label.clone());
        }
    }
    drop(servers);
    if !failed.is_empty() {
        bail!(
            "{} of {} runs failed: {}; logs are in {}",
            failed.len(),
            runs.len(),
            failed.join(", "),
            home.join("logs").display()
        );
    }
    context.say(
        "demo",
        format!("{} of {} runs came out right", runs.len(), runs.len()),
    );
    Ok(())
}

struct Season<'a> {
    context: &'a Context,
    options: &'a Options,
    run: &'a Run,
    home: &'a Path,
    log_dir: PathBuf,
    bin_dir: PathBuf,
}

impl Season<'_> {
    fn play(&self, servers: &mut Servers) -> anyhow::Result<()> {
        let context = self.context;
        context.say("demo", format!("run {}", self.run.label));
        fs::create_dir_all(&self.log_dir)?;
        let clock = self.log_dir.join("clock");
        write_clock(&clock, &clock_start(self.run.season.as_deref())?)?;
        let database = servers.fresh_database("demo")?;
        let ports = PortPlan::free()?;
        let urls = Urls {
            database: database.clone(),
            ..servers.urls.clone()
        };
        let env = shared(&Facts {
            urls: &urls,
            broker_prefix: &format!("demo-{}.", crate::ports::random_hex(4)),
            addresses: &ports.addresses,
            clock: Some(&clock),
            seed: self.run.seed,
            evidence_dir: &self.home.join("evidence"),
        })?;
        let plan = Plan {
            bin_dir: self.bin_dir.clone(),
            log_dir: self.log_dir.clone(),
            env,
            ports,
            lifetime: Lifetime::WithUs,
        };
        let record = context
            .state_dir()
            .join(format!("demo-{}.json", crate::ports::random_hex(4)));
        let mut stack = Stack::start(context, &plan, record)?;
        let verdict = self.drive(&plan, &mut stack, servers);
        if self.options.chaos {
            context.say(
                "chaos",
                format!(
                    "{} processes killed and restarted, {} ended by themselves",
                    stack.kills, stack.unexpected_exits
                ),
            );
        }
        drop(stack);
        if self.options.keep {
            let dump = self.log_dir.join("database.sql");
            database::dump(&database, &dump)?;
            context.say("keep", format!("database dumped to {}", dump.display()));
            if servers.keep_database(&database)? {
                context.say(
                    "keep",
                    format!("database {} left", database::name_of(&database)?),
                );
            }
        } else {
            servers.drop_database(&database)?;
        }
        verdict
    }

    fn drive(&self, plan: &Plan, stack: &mut Stack, servers: &mut Servers) -> anyhow::Result<()> {
        let mut tokens = Vec::new();
        for name in ["Asha", "Brian"] {
            let printed = run_once(
                plan,
                "backend",
                &["operator", "token", "--name", name, "--role", "approver"],
            )?;
            tokens.push(printed.lines().last().unwrap_or_default().to_owned());
        }
        let mut env = plan.env.clone();
        env.push(("OPERATOR_TOKENS".to_owned(), tokens.join(",")));
        let driver = Driver {
            program: &plan.bin_dir.join("sandbox"),
            args: self.options.driver_args(self.run)?,
            env: &env,
            log_dir: &self.log_dir,
        };
        let mut supervised = Supervised {
            context: self.context,
            has_chaos: self.options.chaos,
            plan,
            stack,
            servers,
        };
        driver.play(self.context, &mut supervised)
    }
}

/// The system of a season, and what may be done to it.
struct Supervised<'a> {
    context: &'a Context,
    has_chaos: bool,
    plan: &'a Plan,
    stack: &'a mut Stack,
    servers: &'a mut Servers,
}

impl Supervisor for Supervised<'_> {
    fn look(&mut self) -> anyhow::Result<()> {
        self.servers.check_alive()?;
        if self.has_chaos {
            self.stack.revive()
        } else {
            self.stack.watch()
        }
    }

    fn serve(&mut self, request: &str) -> anyhow::Result<()> {
        ensure!(
            self.has_chaos || request.starts_with("import "),
            "the driver asked for `@{request}` although there is no --chaos"
        );
        let (verb, rest) = request.split_once(' ').unwrap_or((request, ""));
        match (verb, rest) {
            ("kill", role) if !role.is_empty() => {
                self.context.say("chaos", format!("kill -9 {role}"));
                self.stack.kill_and_restart(role)
            }
            ("import", file) if !file.is_empty() => {
                crate::vegetation::import(self.plan, &self.context.root, file)
            }
            ("rabbit-restart", "") => {
                if !self.servers.restart_rabbitmq()? {
                    self.context
                        .say("chaos", "RabbitMQ was given, so it is not restarted");
                }
                Ok(())
            }
            _ => bail!("the driver asked for `@{request}`, which the supervisor does not know"),
        }
    }
}

/// Plays a drought for `farmers` on a system that runs, and fails unless everything came out equal.
pub(crate) fn play(
    context: &Context,
    farmers: u32,
    plan: &Plan,
    stack: &mut Stack,
    servers: &mut Servers,
) -> anyhow::Result<()> {
    let options = Options {
        farmers,
        scenario: "drought".to_owned(),
        ..Options::default()
    };
    let run = options.runs()?.remove(0);
    let season = Season {
        context,
        options: &options,
        run: &run,
        home: &plan.log_dir,
        log_dir: plan.log_dir.clone(),
        bin_dir: plan.bin_dir.clone(),
    };
    season.drive(plan, stack, servers)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        options: Options,
    }

    fn options(args: &[&str]) -> Options {
        Cli::try_parse_from(["demo"].iter().chain(args))
            .unwrap()
            .options
    }

    #[test]
    fn each_seed_and_each_season_is_a_run_of_its_own() {
        let labels = |args: &[&str]| -> Vec<String> {
            options(args)
                .runs()
                .unwrap()
                .into_iter()
                .map(|run| run.label)
                .collect()
        };
        assert_eq!(labels(&[]), ["seed-1"]);
        assert_eq!(
            labels(&["--seeds", "7,8,9"]),
            ["seed-7", "seed-8", "seed-9"]
        );
        assert_eq!(
            labels(&["--weather", "f.csv", "--season", "MAM-1984,MAM-2007"]),
            ["MAM-1984-seed-1", "MAM-2007-seed-1"]
        );
    }

    #[test]
    fn the_driver_gets_one_seed_and_the_flags_that_concern_it() {
        let options = options(&["--chaos", "--farmers", "150", "--seeds", "7,8"]);
        let run = options.runs().unwrap().pop().unwrap();
        let args = options.driver_args(&run).unwrap();
        assert_eq!(
            args,
            [
                "--farmers",
                "150",
                "--seed",
                "8",
                "--scenario",
                "drought",
                "--chaos"
            ]
        );
    }

    #[test]
    fn a_replay_needs_its_seasons() {
        assert!(Cli::try_parse_from(["demo", "--weather", "f.csv"]).is_err());
        assert!(Cli::try_parse_from(["demo", "--farmers", "0"]).is_err());
    }
}
