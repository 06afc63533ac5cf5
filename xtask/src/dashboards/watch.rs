//! Prometheus with the configuration of deploy/monitoring, addresses apart, the real nginx before the
//! backend, and the exporters of the servers, as parts of the system that they watch: an end of theirs
//! fails the season. Never changes what it watches. Called by `dashboards`.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};

use super::ask;
use crate::context::Context;
use crate::live::nginx::Nginx;
use crate::ports::Ports;
use crate::process::{Launch, Lifetime, StopBy, which};
use crate::servers::{Servers, install};
use crate::stack::{PortPlan, Stack};

/// The configuration: the one of docker-compose.yml, whose jobs are the cluster's with names instead
/// of discovery.
const CONFIG: &str = "deploy/monitoring/prometheus/compose.yml";
/// Rules.
const ALERTS: &str = "deploy/monitoring/alerts";
/// Programs and the packages that bring them.
const PROGRAMS: [(&str, &str); 5] = [
    ("nginx", "nginx"),
    ("prometheus", "prometheus"),
    ("prometheus-nginx-exporter", "prometheus-nginx-exporter"),
    (
        "prometheus-postgres-exporter",
        "prometheus-postgres-exporter",
    ),
    ("prometheus-redis-exporter", "prometheus-redis-exporter"),
];
/// Who does not answer by then never will.
const READY_SECONDS_MAX: u64 = 60;

/// Where everything that is scraped answers, by the `process` of its target.
pub(crate) type Targets = BTreeMap<String, u16>;

/// A running Prometheus and its exporters.
pub(crate) struct Watch {
    /// Prometheus' port.
    pub(crate) port: u16,
    /// nginx's public port.
    pub(crate) door: u16,
    /// Ports of the servers' metrics, by the `process` of their targets.
    pub(crate) servers: Targets,
}

/// Installs what is missing.
pub(crate) fn ensure_installed(context: &Context) -> anyhow::Result<()> {
    install::programs(context, &PROGRAMS)
}

/// The configuration with every target where it is here, and the rules where they are.
fn configured(text: &str, targets: &Targets, alerts: &Path) -> anyhow::Result<String> {
    let mut out = Vec::new();
    // a target's line comes before the line that names its process
    for line in text.lines() {
        if line.contains("localhost:9090") {
            out.push(aimed(line, "prometheus", targets)?);
            continue;
        }
        if let Some((_, rest)) = line.split_once("process: ") {
            let process = rest.trim_end_matches('}').trim();
            let target = out.pop().context("a process without a target")?;
            out.push(aimed(&target, process, targets)?);
        }
        // nobody is told of alerts here
        let line = line.replace("[alertmanager:9093]", "[]");
        out.push(line.replace("/etc/prometheus/alerts", &alerts.display().to_string()));
    }
    out.push(String::new());
    Ok(out.join("\n"))
}

/// A line of targets that names this process' address here.
fn aimed(line: &str, process: &str, targets: &Targets) -> anyhow::Result<String> {
    let port = targets
        .get(process)
        .with_context(|| format!("{CONFIG} watches {process}, which does not run here"))?;
    let (before, _) = line
        .split_once("targets: ")
        .with_context(|| format!("{CONFIG} names no target for {process}"))?;
    Ok(format!("{before}targets: [127.0.0.1:{port}]"))
}

impl Watch {
    /// Starts nginx, the exporters of it and of `servers`, and Prometheus over these and the processes at
    /// `system`, as parts of `stack`; waits until all answer.
    pub(crate) fn start(
        context: &Context,
        home: &Path,
        servers: &Servers,
        system: &PortPlan,
        stack: &mut Stack,
    ) -> anyhow::Result<Self> {
        let mut ports = Ports::default();
        let rabbitmq = servers
            .rabbitmq_metrics
            .context("RabbitMQ was not started to be watched")?;
        let nginx = Nginx::render(&context.root, home, &mut ports, system.addresses.backend)?;
        stack.add(nginx.launch()?, (nginx.door, "/health/ready"))?;
        // its exporter ends at once when there is nobody to ask
        stack.await_ready()?;
        let mut watch = Self {
            port: ports.free()?,
            door: nginx.door,
            servers: Targets::from([("rabbitmq".to_owned(), rabbitmq)]),
        };
        let source = format!("{}?sslmode=disable", servers.urls.database);
        let exporters = [
            ("postgres", ("DATA_SOURCE_NAME", source)),
            ("redis", ("REDIS_ADDR", servers.urls.redis.clone())),
            (
                "nginx",
                (
                    "SCRAPE_URI",
                    format!("http://127.0.0.1:{}/status", nginx.private),
                ),
            ),
        ];
        for (server, (variable, source)) in exporters {
            let port = ports.free()?;
            watch.servers.insert(server.to_owned(), port);
            let args = vec![format!("--web.listen-address=127.0.0.1:{port}")];
            let mut launch = part(
                context,
                home,
                &format!("prometheus-{server}-exporter"),
                args,
            )?;
            launch.env = vec![(variable.to_owned(), source)];
            stack.add(launch, (port, "/metrics"))?;
        }

        let data = home.join("prometheus");
        stack.make_dir(&data)?;
        let mut targets = watch.servers.clone();
        targets.insert("prometheus".to_owned(), watch.port);
        for (role, port) in &system.metrics {
            targets.insert((*role).to_owned(), *port);
        }
        let text = fs::read_to_string(context.root.join(CONFIG)).context(CONFIG)?;
        let config = data.join("prometheus.yml");
        let alerts = context.root.join(ALERTS);
        fs::write(&config, configured(&text, &targets, &alerts)?)?;
        let args = vec![
            format!("--config.file={}", config.display()),
            format!("--storage.tsdb.path={}", data.join("data").display()),
            format!("--web.listen-address=127.0.0.1:{}", watch.port),
            "--log.level=warn".to_owned(),
        ];
        let launch = part(context, home, "prometheus", args)?;
        stack.add(launch, (watch.port, "/-/ready"))?;
        stack.await_ready()?;
        watch.await_scraped(context, targets.len())?;
        context.say(
            "watch",
            format!("{} targets answer Prometheus, by {CONFIG}", targets.len()),
        );
        Ok(watch)
    }

    /// Waits until every target was scraped twice: what happens from then on is an increase.
    fn await_scraped(&self, context: &Context, targets: usize) -> anyhow::Result<()> {
        let twice = "count(min_over_time(up[1m]) == 1 and count_over_time(up[1m]) > 1)";
        let wanted = f64::from(u32::try_from(targets)?);
        let began = Instant::now();
        loop {
            let answering = ask::number(self.port, twice)?.unwrap_or_default();
            if answering >= wanted {
                return Ok(());
            }
            ensure!(
                began.elapsed() < Duration::from_secs(READY_SECONDS_MAX),
                "{answering} of {targets} targets answer Prometheus"
            );
            context.interrupt.sleep(Duration::from_millis(250))?;
        }
    }
}

/// How a program of the system's packages is started beside the processes.
fn part(
    context: &Context,
    home: &Path,
    program: &str,
    args: Vec<String>,
) -> anyhow::Result<Launch> {
    Ok(Launch {
        name: program.to_owned(),
        program: which(program).with_context(|| format!("{program} is not installed"))?,
        args: args.into_iter().map(Into::into).collect(),
        env: Vec::new(),
        dir: context.root.clone(),
        user: None,
        lifetime: Lifetime::WithUs,
        stop: StopBy::Term,
        log: home.join("logs").join(format!("{program}.log")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_target_is_where_it_is_here() {
        let text = "\
rule_files:
  - /etc/prometheus/alerts/services.yml
        - targets: [alertmanager:9093]
      - targets: [backend:9090]
        labels: {process: backend}
      - targets: [localhost:9090]
";
        let targets = Targets::from([("backend".to_owned(), 1), ("prometheus".to_owned(), 2)]);
        let made = configured(text, &targets, Path::new("/here")).unwrap();
        assert_eq!(
            made,
            "\
rule_files:
  - /here/services.yml
        - targets: []
      - targets: [127.0.0.1:1]
        labels: {process: backend}
      - targets: [127.0.0.1:2]
"
        );
        assert!(configured(text, &Targets::new(), Path::new("/here")).is_err());
    }
}
