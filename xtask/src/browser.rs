//! `cargo xtask browser`: the page driven by a visitor without hands, in a headless browser against
//! a private system. Installs what it drives with where that is possible and says exactly what is
//! missing where it is not; never touches a running `up`. Called by main.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::Context as _;

use crate::cargo::build_binaries;
use crate::context::Context;
use crate::home::Home;
use crate::process::{dies_with_us, which};
use crate::servers::{Servers, install};
use crate::stack::{Plan, Stack};
use crate::tools::npm_packages;
use crate::up::with_page;

/// Names under which systems know the browser.
const CHROMIUMS: [&str; 4] = [
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
];
/// The folder of the script and of the versions it is written for.
const SCRIPTS: &str = "tests/browser";

/// What a person may ask of `browser`.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Options {
    /// Decides the sandbox's weather and ids
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// Drives the page and fails if anything a visitor would mind happened.
pub(crate) fn run(context: &Context, options: &Options) -> anyhow::Result<()> {
    let held = Home::fresh(context, "browser", &["logs", "evidence", "screens"])?;
    let home = held.dir.clone();
    let chromium = chromium(context)?;
    npm_packages(context, &context.root.join(SCRIPTS), &home)?;
    Servers::check_given(context)?;
    let bin_dir = build_binaries(context)?;
    let mut servers = Servers::for_command(context, crate::servers::Wanted::ALL)?;
    let database = servers.fresh_database("browser")?;
    let mut plan = Plan::throwaway("browser", &home, bin_dir, &servers.urls.with(&database))?;
    plan.set("SANDBOX_SEED", options.seed.to_string());
    let page = with_page(&mut plan)?;
    let record = context
        .state_dir()
        .join(format!("browser-{}.json", crate::ports::random_hex(4)));
    let mut stack = Stack::start(context, &plan, record)?;
    let visited = visit(context, &home, &chromium, &page);
    let stayed_up = stack.fail_on_exit();
    drop(stack);
    servers.drop_database(&database)?;
    visited?;
    stayed_up?;
    let screens = home.join("screens");
    context.say(
        "browser",
        format!("all well; screenshots in {}", screens.display()),
    );
    Ok(())
}

/// The script, to its end.
fn visit(context: &Context, home: &Path, chromium: &Path, page: &str) -> anyhow::Result<()> {
    context.say("browser", format!("visiting {page}"));
    let mut command = dies_with_us("node");
    command
        .arg(context.root.join(SCRIPTS).join("visit.mjs"))
        .current_dir(&context.root)
        .env("PAGE_URL", page)
        .env("BROWSER", chromium)
        .env("MODULES", home)
        .env("SCREENS", home.join("screens"))
        .stdin(Stdio::null());
    context.run_ok(&mut command).with_context(|| {
        format!(
            "the visit failed; logs are in {}",
            home.join("logs").display()
        )
    })
}

/// The installed browser, or one from the system's packages.
fn chromium(context: &Context) -> anyhow::Result<PathBuf> {
    let find = || CHROMIUMS.iter().find_map(|name| which(name));
    if let Some(found) = find() {
        return Ok(found);
    }
    install::install(context, &["chromium"]).context(
        "no Chromium is installed and it could not be; install the package `chromium` by hand",
    )?;
    find().context("the package `chromium` brought no program of that name")
}
