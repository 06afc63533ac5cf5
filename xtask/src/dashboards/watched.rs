//! A season under the eyes of Prometheus, and what every process and server had counted at its end.
//! Never leaves anything running. Called by `dashboards` and `deploy-check`.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};

use super::ask;
use super::watch::{self, Watch};
use crate::context::Context;
use crate::http;
use crate::ports::random_hex;
use crate::servers::{Servers, Wanted, ensure_installed};
use crate::stack::{Plan, Stack};

/// So that nginx has something to count.
const REQUESTS_AT_THE_DOOR: u32 = 20;

/// A season to be watched.
pub(crate) struct Season<'a> {
    /// Farmers who register and buy.
    pub(crate) farmers: u32,
    /// Folder of the logs, with `logs`, `evidence` and `nginx` in it.
    pub(crate) home: &'a Path,
    /// Folder of the programs.
    pub(crate) bin_dir: PathBuf,
}

/// Installs what watches.
pub(super) fn ensure_all_installed(context: &Context) -> anyhow::Result<()> {
    watch::ensure_installed(context)?;
    ensure_installed(context, Wanted::ALL)
}

impl Season<'_> {
    /// Plays it; `then` is given the running system, who watches it, and when that began (Unix
    /// seconds), once the season has come out right.
    pub(super) fn play<T>(
        self,
        context: &Context,
        then: impl FnOnce(&Plan, &Watch, f64) -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        let mut servers = Servers::watched(context)?;
        let database = servers.fresh_database("watched")?;
        let urls = servers.urls.with(&database);
        let plan = Plan::throwaway("watched", self.home, self.bin_dir, &urls)?;
        let state = context.state_dir();
        let record = state.join(format!("watched-{}.json", random_hex(4)));
        let mut stack = Stack::start(context, &plan, record)?;
        let watch = Watch::start(context, self.home, &servers, &plan.ports, &mut stack)?;
        let from = ask::time(watch.port)?;
        crate::demo::play(context, self.farmers, &plan, &mut stack, &mut servers)?;
        // the season dials at the backend: a stranger at the door has limits
        for _ in 0..REQUESTS_AT_THE_DOOR {
            let answered = http::status(watch.door, "/health/live");
            ensure!(
                answered == Some(200),
                "nginx passes nothing on to the backend (answer: {answered:?}); its logs are in {}",
                self.home.join("nginx").display()
            );
        }
        let told = then(&plan, &watch, from)?;
        stack.fail_on_exit()?;
        drop(stack);
        servers.drop_database(&database)?;
        Ok(told)
    }

    /// Plays it and keeps what every process and server tells in `folder`, a file each:
    /// `ROLE.prom` and `server-NAME.prom`.
    pub(crate) fn scrape(self, context: &Context, folder: &Path) -> anyhow::Result<()> {
        ensure_all_installed(context)?;
        self.play(context, |plan, watch, _| keep(plan, watch, folder))
    }
}

fn keep(plan: &Plan, watch: &Watch, folder: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(folder)?;
    let ours = plan.ports.metrics.iter();
    let ours = ours.map(|(role, port)| ((*role).to_owned(), *port));
    let servers = watch.servers.iter();
    let servers = servers.map(|(server, port)| (format!("server-{server}"), *port));
    for (name, port) in ours.chain(servers) {
        let text = http::body(port, "/metrics").with_context(|| {
            format!("{name} at port {port} does not tell its metrics; see its log")
        })?;
        fs::write(folder.join(format!("{name}.prom")), text)?;
    }
    Ok(())
}
