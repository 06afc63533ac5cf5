//! Prometheus with the configuration of deploy/monitoring, addresses apart, and the exporters of the
//! servers. Never changes what it watches, and outlives nobody. Called by `dashboards`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};

use super::ask;
use crate::context::Context;
use crate::http;
use crate::ports::{Ports, random_hex};
use crate::process::{Launch, Lifetime, Process, StopBy, which};
use crate::progress::tail;
use crate::record::{Record, Recorded};
use crate::servers::{Servers, install};

/// The configuration: the one of docker-compose.yml, whose jobs are the cluster's with names instead
/// of discovery.
const CONFIG: &str = "deploy/monitoring/prometheus/compose.yml";
/// Rules.
const ALERTS: &str = "deploy/monitoring/alerts";
/// Programs and the packages that bring them.
const PROGRAMS: [(&str, &str); 3] = [
    ("prometheus", "prometheus"),
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

/// A running Prometheus and its exporters; dropping it ends them.
pub(crate) struct Watch {
    /// Prometheus' port.
    pub(crate) port: u16,
    /// Ports of the servers' metrics, by the `process` of their targets.
    pub(crate) servers: Targets,
    context: Context,
    record: Record,
    running: Vec<(Launch, Process)>,
}

/// Installs what is missing.
pub(crate) fn ensure_installed(context: &Context) -> anyhow::Result<()> {
    let missing: Vec<&str> = PROGRAMS
        .iter()
        .filter(|(program, _)| which(program).is_none())
        .map(|(_, package)| *package)
        .collect();
    if !missing.is_empty() {
        install::install(context, &missing)?;
    }
    Ok(())
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
    /// Starts the exporters of `servers`, and Prometheus over these and `processes`; waits until all
    /// answer.
    pub(crate) fn start(
        context: &Context,
        home: &Path,
        servers: &Servers,
        processes: &BTreeMap<&'static str, u16>,
    ) -> anyhow::Result<Self> {
        let mut ports = Ports::default();
        let record = context
            .state_dir()
            .join(format!("watch-{}.json", random_hex(4)));
        let mut watch = Self {
            port: ports.free()?,
            servers: Targets::new(),
            context: context.clone(),
            record: Record::create(record, true)?,
            running: Vec::new(),
        };
        let rabbitmq = servers
            .rabbitmq_metrics
            .context("RabbitMQ was not started to be watched")?;
        watch.servers.insert("rabbitmq".to_owned(), rabbitmq);
        let source = format!("{}?sslmode=disable", servers.urls.database);
        watch.exporter(
            home,
            "postgres",
            ports.free()?,
            ("DATA_SOURCE_NAME", &source),
        )?;
        let source = servers.urls.redis.clone();
        watch.exporter(home, "redis", ports.free()?, ("REDIS_ADDR", &source))?;

        let data = home.join("prometheus");
        watch.record.make_dir(&data)?;
        let mut targets = watch.servers.clone();
        targets.insert("prometheus".to_owned(), watch.port);
        for (role, port) in processes {
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
        watch.launch(home, "prometheus", args, Vec::new())?;
        watch.await_ready()?;
        watch.await_scraped(targets.len())?;
        context.say(
            "watch",
            format!("{} targets answer Prometheus, by {CONFIG}", targets.len()),
        );
        Ok(watch)
    }

    fn exporter(
        &mut self,
        home: &Path,
        server: &str,
        port: u16,
        (variable, source): (&str, &str),
    ) -> anyhow::Result<()> {
        self.servers.insert(server.to_owned(), port);
        let args = vec![format!("--web.listen-address=127.0.0.1:{port}")];
        let env = vec![(variable.to_owned(), source.to_owned())];
        self.launch(home, &format!("prometheus-{server}-exporter"), args, env)
    }

    fn launch(
        &mut self,
        home: &Path,
        program: &str,
        args: Vec<String>,
        env: Vec<(String, String)>,
    ) -> anyhow::Result<()> {
        let launch = Launch {
            name: program.to_owned(),
            program: which(program).unwrap_or_else(|| PathBuf::from(program)),
            args: args.into_iter().map(Into::into).collect(),
            env,
            dir: self.context.root.clone(),
            user: None,
            lifetime: Lifetime::WithUs,
            stop: StopBy::Term,
            log: home.join("logs").join(format!("{program}.log")),
        };
        let process = launch.launch()?;
        self.record.add_process(Recorded {
            name: launch.name.clone(),
            identity: process.identity.clone(),
            stop: StopBy::Term,
        })?;
        self.running.push((launch, process));
        Ok(())
    }

    fn await_ready(&mut self) -> anyhow::Result<()> {
        let mut asked: Vec<(u16, &str)> = vec![(self.port, "/-/ready")];
        asked.extend(self.servers.values().map(|port| (*port, "/metrics")));
        let began = Instant::now();
        loop {
            asked.retain(|(port, path)| http::status(*port, path) != Some(200));
            if asked.is_empty() {
                return Ok(());
            }
            for (launch, process) in &mut self.running {
                if let Some(status) = process.ended() {
                    bail!(
                        "{} ended by itself ({status}); its log ends:\n{}",
                        launch.name,
                        tail(&launch.log, 15)
                    );
                }
            }
            ensure!(
                began.elapsed() < Duration::from_secs(READY_SECONDS_MAX),
                "no metrics after {READY_SECONDS_MAX} s from {asked:?}"
            );
            self.context.interrupt.sleep(Duration::from_millis(100))?;
        }
    }
}

impl Watch {
    /// Waits until every target was scraped twice: what happens from then on is an increase.
    fn await_scraped(&mut self, targets: usize) -> anyhow::Result<()> {
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
            self.context.interrupt.sleep(Duration::from_millis(250))?;
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.record.stop(self.context.progress);
    }
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
