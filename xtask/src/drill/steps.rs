//! The order of a drill: servers, a season, a backup, the disaster, the way back, and what else must
//! hold of backups. Decides nothing about the product. Called by drill.

use std::fs;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context as _, ensure};

use super::books::{self, Books};
use super::damage;
use super::moment::{Moments, Recovered};
use super::scripts::{BUCKETS, Scripts, says, untimed};
use super::servers::{Postgres, redis, store};
use super::serving;
use super::{Options, Report};
use crate::context::Context;
use crate::ports::{Ports, random_hex};
use crate::record::Record;
use crate::servers::{Servers, Urls, database};
use crate::stack::{Plan, Stack};

/// The database of the drill.
pub(super) const DATABASE: &str = "microcrop_drill";
/// Everything of ours; the sandbox is the outside world, which no disaster of ours ends.
const OURS: [&str; 8] = [
    "backend",
    "data-processor",
    "weather",
    "satellite",
    "damage",
    "payout",
    "notify",
    "relay",
];
/// When PostgreSQL answers as one that may be written.
pub(super) const WRITABLE: (&str, &str) = ("select pg_is_in_recovery()", "f");
/// A value of bytes that no text is, a hash, and one that runs out: what a Redis may hold.
const KEYS: &str = "redis-cli -u \"$REDIS_URL\" set drill:bytes \"$(printf 'a\\001\\377z')\"; \
    redis-cli -u \"$REDIS_URL\" hset drill:hash field value other 2; \
    redis-cli -u \"$REDIS_URL\" set drill:short value ex 7200";
const KEYS_READ: &str = "for key in drill:bytes drill:short; do \
    redis-cli -u \"$REDIS_URL\" --raw get $key | sha256sum; done; \
    redis-cli -u \"$REDIS_URL\" hgetall drill:hash; \
    redis-cli -u \"$REDIS_URL\" ttl drill:bytes; \
    test \"$(redis-cli -u \"$REDIS_URL\" ttl drill:short)\" -gt 3600";

/// Where a drill takes place.
pub(super) struct Place<'a> {
    /// Who waits.
    pub(super) context: &'a Context,
    /// What was asked.
    pub(super) options: &'a Options,
    /// `target/drill`: logs and evidence.
    pub(super) home: PathBuf,
    /// Folder of the product's binaries.
    pub(super) bin_dir: PathBuf,
    /// Folder of the S3 stand-in's programs.
    pub(super) programs: PathBuf,
    /// Data of the servers; removed at the end.
    pub(super) dir: PathBuf,
}

impl Place<'_> {
    /// Plays it; an error ends it, with the row that was begun.
    pub(super) fn play(&self, report: &mut Report, record: &mut Record) -> anyhow::Result<()> {
        let context = self.context;
        report.begin("servers that keep what they acknowledge")?;
        let mut ports = Ports::default();
        let (s3_port, postgres_port, redis_port) = (ports.free()?, ports.free()?, ports.free()?);
        let _store = store(context, record, &self.dir, &self.programs, s3_port)?;
        let scripts = Scripts::new(context, &self.dir, &self.home.join("logs"), s3_port)?;
        for (bucket, region) in BUCKETS {
            let words = format!(
                "aws --region {region} --endpoint-url \"$S3_ENDPOINT_URL\" s3 mb s3://{bucket}"
            );
            scripts.shell("make a bucket", &words)?;
        }
        let conf = scripts.archive_conf()?;
        let make = |name: &str| {
            Postgres::make(
                context,
                &self.dir.join(name),
                &conf,
                postgres_port,
                scripts.env(),
            )
        };
        let lost = make("postgres")?;
        let running = lost.start(context, record, &[], WRITABLE)?;
        let cache = redis(context, record, &self.dir, redis_port)?;
        let redis_url = format!("redis://127.0.0.1:{redis_port}/0");
        let mut given = context.clone();
        given.given.database_url = Some(lost.url("postgres"));
        given.given.redis_url = Some(redis_url.clone());
        let mut broker = Servers::own(&given)?;
        let settings = "select string_agg(name || ' ' || setting, ', ' order by name) from pg_settings \
             where name in ('fsync', 'full_page_writes', 'archive_mode', 'archive_timeout')";
        let settings = database::query(&lost.url("postgres"), settings)?;
        report.shown(format!(
            "PostgreSQL ({settings}), Redis, RabbitMQ, two buckets"
        ));

        report.begin("base-backup.sh: where archived changes begin")?;
        let first = BaseBackup::take(&scripts, &lost)?;
        report.shown(&first.said);

        report.begin("a season: insured, paid, evidence kept apart")?;
        let url = lost.url(DATABASE);
        database::create(&lost.url("postgres"), DATABASE)?;
        let urls = Urls {
            database: url.clone(),
            redis: redis_url.clone(),
            rabbitmq: broker.urls.rabbitmq.clone(),
        };
        let mut plan = Plan::throwaway("drill", &self.home, self.bin_dir.clone(), &urls)?;
        let world = self.stack(&plan, &["sandbox"])?;
        let mut ours = self.stack(&plan, &OURS)?;
        crate::demo::play(context, self.options.farmers, &plan, &mut ours, &mut broker)?;
        drop(ours);
        let before = Books::read(&url)?;
        let chain = books::audit(&plan)?;
        let bundles = self.keep_evidence()?;
        let evidence = books::recomputed(&plan, &bundles)?;
        books::holds_bundles(&url, &bundles)?;
        let env = [
            ("DATABASE_URL", url.as_str()),
            ("REDIS_URL", redis_url.as_str()),
        ];
        let keys = |name: &str, text: &str| {
            scripts.shell(name, &format!("export REDIS_URL='{redis_url}'; {text}"))
        };
        keys("fill Redis", KEYS)?;
        let held = keys("read Redis", KEYS_READ)?;
        report.shown(books::shown(&url)?);

        let mut moments = Moments::begin(context, record, &self.dir, &lost, report)?;
        report.begin("base-backup.sh again, as every week")?;
        let second = BaseBackup::take(&scripts, &lost)?;
        report.shown(&second.said);
        damage::back_up(&scripts, &env, report)?;
        moments.await_archived(context, report)?;

        report.begin("the disaster: PostgreSQL's data and Redis gone")?;
        let disaster = Instant::now();
        let disaster_at = moments.last_look()?;
        drop(running);
        lost.destroy()?;
        drop(cache);
        ensure!(
            database::query(&lost.url("postgres"), "select 1").is_err() && !lost.data.exists(),
            "PostgreSQL survived its disaster"
        );
        report.shown(format!("at {disaster_at}; RabbitMQ is emptied too"));

        report.begin("new, empty servers")?;
        let fresh = make("postgres-new")?;
        let running = fresh.start(context, record, &[], WRITABLE)?;
        let cache = redis(context, record, &self.dir, redis_port)?;
        // a broker of which nothing is known any more: rows are the work, messages are bells
        plan.set("BROKER_PREFIX", format!("drill-{}.", random_hex(4)));
        report.shown("PostgreSQL, Redis");

        report.begin("restore.sh primary latest")?;
        let said = scripts.run(
            0,
            "scripts/restore/restore.sh",
            &["primary", "latest"],
            &env,
        )?;
        report.shown(parts(&said)?);

        report.begin("books, audit chain and evidence are equal")?;
        let equal = Books::read(&url)?.equal(&before)?;
        ensure!(books::audit(&plan)? == chain, "the audit chain differs");
        let count = books::holds_bundles(&url, &bundles)?;
        ensure!(
            books::recomputed(&plan, &bundles)? == evidence,
            "the old bundles recompute differently"
        );
        ensure!(
            keys("read Redis again", KEYS_READ)? == held,
            "the keys of Redis differ"
        );
        let chain = chain.lines().nth_back(1).unwrap_or_default().to_owned();
        report.shown(format!(
            "{equal}; {chain}; {count} old bundles recompute equal"
        ));

        report.begin("everything serves again: smoke-tests.sh, health-check.sh")?;
        let ours = self.stack(&plan, &OURS)?;
        let said = serving::well(&scripts, plan.ports.addresses.backend)?;
        report.restored_in = Some(disaster.elapsed());
        report.shown(said);
        let servers = serving::Servers {
            context,
            postgres: &fresh,
            dir: &self.dir,
            redis_port,
            backend: plan.ports.addresses.backend,
        };
        let again = servers.away_and_back(&scripts, record, report, (running, cache), ours)?;
        drop(world);

        let port = ports.free()?;
        let recovered = Recovered {
            context,
            home: self.dir.join("postgres-moment"),
            port,
            scripts: &scripts,
        };
        recovered.inside(report, &fresh, [&first.stamp, &second.stamp])?;
        recovered.show(record, report, &moments, &before, &disaster_at)?;
        damage::refuse_damaged(&scripts, &fresh, report)?;
        damage::lose_the_primary(&scripts, &fresh, &env, &before, report)?;
        drop(again);
        report.not_run(
            "the cluster's objects; the list of pins",
            "there is neither a cluster nor Pinata on this machine",
        );
        report.not_run(
            "RDS to a moment, ElastiCache, S3's own replication",
            "no cloud is asked; deploy/terraform declares them",
        );
        Ok(())
    }

    fn stack(&self, plan: &Plan, names: &[&str]) -> anyhow::Result<Stack> {
        let record = self
            .context
            .state_dir()
            .join(format!("drill-{}.json", random_hex(4)));
        Stack::start_some(self.context, plan, record, names)
    }

    /// Copies the bundles away from everything that is about to be lost.
    fn keep_evidence(&self) -> anyhow::Result<Vec<PathBuf>> {
        let mut kept = Vec::new();
        for entry in fs::read_dir(self.home.join("evidence"))? {
            let from = entry?.path();
            let name = from.file_name().context("a bundle without a name")?;
            let to = self.home.join("kept").join(name);
            fs::copy(&from, &to)?;
            kept.push(to);
        }
        kept.sort();
        Ok(kept)
    }
}

/// A base backup that was taken.
struct BaseBackup {
    stamp: String,
    said: String,
}

impl BaseBackup {
    fn take(scripts: &Scripts, postgres: &Postgres) -> anyhow::Result<Self> {
        let url = postgres.url("postgres");
        let said = scripts.run(
            0,
            "scripts/backup/wal/base-backup.sh",
            &[],
            &[("BASE_BACKUP_URL", &url)],
        )?;
        let said = untimed(says(&said, "in both regions")?).to_owned();
        let (_, after) = said
            .split_once("/base/")
            .context("it names no base backup")?;
        let stamp = after.split(',').next().unwrap_or_default().to_owned();
        Ok(Self { stamp, said })
    }
}

/// The rows that restore.sh printed, in one line.
pub(super) fn parts(said: &str) -> anyhow::Result<String> {
    let rows: Vec<String> = said
        .lines()
        .filter(|line| line.contains(" s  ") && !line.contains("RTO"))
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect();
    ensure!(!rows.is_empty(), "restore.sh printed no row");
    Ok(rows.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rows_of_a_restore_are_joined() {
        let said = "02:00:01  checksums hold\nfetched         2 s  drill 2026\n\
                    postgres        3 s  47 tables\nall             5 s  RTO is 1800 s\n";
        assert_eq!(
            parts(said).unwrap(),
            "fetched 2 s drill 2026; postgres 3 s 47 tables"
        );
        assert!(parts("nothing").is_err());
    }
}
