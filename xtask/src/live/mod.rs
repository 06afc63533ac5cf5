//! Live proofs of what stands in front of the backends and of how they are replaced: the real nginx,
//! the real processes, traffic meanwhile. Never rents a machine, never leaves loopback, and stops what
//! it started. Called by main.
//!
//! `blue-green`: limits and headers of nginx, the target of farmers through it, the switch and the way
//! back under load. `drain`: a season during which every process is replaced again and again.

mod client;
pub(crate) mod drain;
mod grace;
mod limits;
mod load;
pub(crate) mod nginx;
mod switch;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};

use crate::cargo::{cargo, metadata, release, text};
use crate::clock::clock_start;
use crate::context::Context;
use crate::home::Home;
use crate::ports::{Ports, random_hex};
use crate::rows::Rows;
use crate::servers::{Servers, install};
use crate::stack::{Plan, Stack, run_once};
use nginx::Nginx;

/// Parts of `target/blue-green` and `target/drain`.
const PARTS: [&str; 4] = ["logs", "nginx", "evidence", "ask"];

/// What a person may ask of `blue-green`.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Options {
    /// Use the backend in this folder, a release build, instead of building one
    #[arg(long, value_name = "DIR")]
    bin_dir: Option<PathBuf>,
    /// Farmers' key presses a second through nginx
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u32).range(10..=2_000))]
    rate: u32,
    /// Seconds of that
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(3..=120))]
    seconds: u32,
}

/// What every part of the proof is given.
struct Ground<'a> {
    context: &'a Context,
    options: &'a Options,
    home: PathBuf,
    plan: Plan,
    /// The load generator; any build of it is fast enough.
    generator: PathBuf,
    /// The database as its owner reaches it.
    database: String,
    nginx: Nginx,
    /// Addresses of gateways, as nginx knows them.
    gateways: Vec<String>,
    /// Farmers who can dial, each once in a run.
    farmers: u32,
    /// How many of them have dialled already.
    dialled: std::cell::Cell<u32>,
}

impl Ground<'_> {
    fn say(&self, part: &str, text: impl std::fmt::Display) {
        self.context.say(part, text);
    }

    /// Farmers who have not dialled yet; the number before the first of them.
    fn fresh_farmers(&self, count: u32) -> anyhow::Result<u32> {
        let skip = self.dialled.get();
        ensure!(
            skip + count <= self.farmers,
            "there are no more farmers who have not dialled"
        );
        self.dialled.set(skip + count);
        Ok(skip)
    }
}

/// Shows everything, a row each, and fails when one thing was otherwise.
pub(crate) fn run(context: &Context, options: &Options) -> anyhow::Result<()> {
    let held = Home::fresh(context, "blue-green", &PARTS)?;
    let home = held.dir.clone();
    tools(context)?;
    Servers::check_given(context)?;
    let (bin_dir, generator) = build(context, options)?;
    let mut servers = Servers::own(context)?;
    let database = servers.fresh_database("live")?;
    let mut plan = Plan::throwaway("live", &home, bin_dir, &servers.urls.with(&database))?;
    // the ceilings behind nginx are as shipped; callbacks are about money nobody asked for, so they are
    // stored, which is what a provider waits for, and left at that
    plan.env.retain(|(name, _)| !name.contains("_RATE_"));
    plan.set("ENABLE_WEBHOOKS", "false".to_owned());
    let blue = plan.ports.addresses.backend;
    let farmers =
        load::farmers_wanted(options.rate, options.seconds) + switch::farmers_wanted() + 1;
    let record = context
        .state_dir()
        .join(format!("live-{}.json", random_hex(4)));
    let mut stack = Stack::start_some(context, &plan, record, &["backend"])?;
    seed(context, &plan, &generator, (farmers, &database))?;
    let nginx = Nginx::render(&context.root, &home, &mut Ports::default(), blue)?;
    stack.add(nginx.launch()?, (nginx.door, "/health/ready"))?;
    stack.await_ready()?;
    let gateways = nginx.gateways()?;
    let ground = Ground {
        context,
        options,
        home,
        plan,
        generator,
        database: database.clone(),
        nginx,
        gateways,
        farmers,
        dialled: std::cell::Cell::new(0),
    };
    let mut rows = Rows::new("blue-green");
    let shown = show(&ground, &mut rows, &mut stack);
    let stayed_up = stack.fail_on_exit().and(servers.check_alive());
    drop(stack);
    servers.drop_database(&database)?;
    context.interrupt.check()?;
    if let Err(error) = shown.and(stayed_up) {
        rows.judge("the proof itself", Err(error));
    }
    rows.close("")
}

fn show(ground: &Ground<'_>, rows: &mut Rows, stack: &mut Stack) -> anyhow::Result<()> {
    limits::show(ground, rows)?;
    load::target(ground, rows)?;
    stack.fail_on_exit()?;
    switch::show(ground, rows, stack)?;
    ground.nginx.no_secret_in_the_log(ground, rows)
}

/// The programs of the system that are needed beside the servers.
fn tools(context: &Context) -> anyhow::Result<()> {
    install::programs(context, &[("nginx", "nginx"), ("curl", "curl")])
}

/// The backend as it is shipped, and the generator as it comes.
fn build(context: &Context, options: &Options) -> anyhow::Result<(PathBuf, PathBuf)> {
    let metadata = metadata(&context.root)?;
    let target = PathBuf::from(text(&metadata, "target_directory"));
    context.say("build", "the load generator");
    let mut command = cargo(context);
    command.args(["build", "-p", "bench", "--bin", "bench"]);
    context
        .run_ok(&mut command)
        .context("the load generator does not build")?;
    let bin_dir = release(context, options.bin_dir.as_ref(), &["backend"])?;
    Ok((bin_dir, target.join("debug/bench")))
}

/// Registered farmers who may dial.
fn seed(
    context: &Context,
    plan: &Plan,
    generator: &Path,
    (farmers, database): (u32, &str),
) -> anyhow::Result<()> {
    context.say(
        "seed",
        format!("{farmers} farmers with a plot each, by COPY"),
    );
    let (folder, name) = (
        generator.parent().context("the generator has no folder")?,
        generator.file_name().context("the generator has no name")?,
    );
    let seeder = Plan {
        bin_dir: folder.to_owned(),
        log_dir: plan.log_dir.clone(),
        env: plan.env.clone(),
        ports: plan.ports.clone(),
        lifetime: plan.lifetime,
    };
    let (count, at) = (farmers.to_string(), clock_start(None)?);
    // the owner's: nobody may copy rows in under row-level security
    let args = [
        "seed",
        "--farmers",
        &count,
        "--at",
        &at,
        "--database-url",
        database,
    ];
    run_once(&seeder, &name.to_string_lossy(), &args).map(drop)
}
