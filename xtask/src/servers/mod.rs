//! Real PostgreSQL, Redis and RabbitMQ for whoever asks: given by the environment, kept by this
//! checkout, or private ones started for one command. Never stops a server it did not start.
//! Called by test, check, sqlx, demo, up and bench.

pub(crate) mod database;
mod given;
pub(crate) mod install;
mod postgres;
mod private;
mod rabbitmq;
mod redis;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::context::{Context, Given};
use crate::ports::random_hex;
use crate::process::Lifetime;
use crate::record::{Made, Record, reap, turn};
use private::Private;

/// Which servers a command needs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted {
    /// PostgreSQL.
    pub(crate) postgres: bool,
    /// Redis.
    pub(crate) redis: bool,
    /// RabbitMQ.
    pub(crate) rabbitmq: bool,
}

impl Wanted {
    /// All three.
    pub(crate) const ALL: Self = Self {
        postgres: true,
        redis: true,
        rabbitmq: true,
    };
    /// PostgreSQL alone, for checking queries.
    pub(crate) const POSTGRES: Self = Self {
        postgres: true,
        redis: false,
        rabbitmq: false,
    };
}

/// Where the servers answer; empty for one that was not wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Urls {
    /// A database to connect to for making others.
    pub(crate) database: String,
    /// Redis.
    pub(crate) redis: String,
    /// RabbitMQ.
    pub(crate) rabbitmq: String,
}

impl Urls {
    /// The same servers, with a database of one's own.
    pub(crate) fn with(&self, database: &str) -> Self {
        Self {
            database: database.to_owned(),
            ..self.clone()
        }
    }
}

/// Servers in use by this command; dropping it stops what this command started.
pub(crate) struct Servers {
    /// Where they answer.
    pub(crate) urls: Urls,
    context: Context,
    record: Record,
    private: Vec<Private>,
    /// Where RabbitMQ tells its own metrics, if it was started to be watched.
    pub(crate) rabbitmq_metrics: Option<u16>,
    /// Whether the PostgreSQL is a private one that goes away with us, databases and all.
    throwaway_postgres: bool,
    stop_on_drop: bool,
}

/// The folder of the newest installed PostgreSQL's programs.
pub(crate) fn postgres_programs() -> Option<PathBuf> {
    postgres::bin_dir()
}

/// Installs whatever of the wanted servers is missing, and starts none.
pub(crate) fn ensure_installed(context: &Context, wanted: Wanted) -> anyhow::Result<()> {
    install::ensure(context, wanted)
}

/// Gives a folder and what is in it to the system's user of PostgreSQL, if we are root; says who that is.
pub(crate) fn hand_to_postgres(dir: &std::path::Path) -> anyhow::Result<Option<String>> {
    let user = crate::process::is_root().then(|| postgres::SYSTEM_USER.to_owned());
    if let Some(user) = &user {
        private::hand_over(dir, user)?;
    }
    Ok(user)
}

/// Whether a Redis answers on a local port.
pub(crate) fn redis_answers(port: u16) -> bool {
    given::redis_answers("127.0.0.1", port, None).is_ok()
}

/// The record of the servers kept running until `down` or `servers stop`.
pub(crate) fn kept_path(context: &Context) -> PathBuf {
    context.state_dir().join("servers.json")
}

/// The URLs of the kept servers, if they run.
pub(crate) fn kept(context: &Context) -> Option<Urls> {
    let record = Record::open(&kept_path(context))?;
    if record.not_in_use().is_err() || !record.all_alive() {
        return None;
    }
    serde_json::from_value(record.contents.facts).ok()
}

/// Stops the kept servers; false when there were none.
pub(crate) fn stop_kept(context: &Context) -> anyhow::Result<bool> {
    let _turn = turn(context)?;
    Ok(match Record::open(&kept_path(context)) {
        Some(mut record) => {
            context.say("servers", "stopping");
            record.stop(context.progress);
            true
        }
        None => false,
    })
}

impl Servers {
    /// Servers for one command, preferring those this checkout keeps; gone when dropped.
    pub(crate) fn for_command(context: &Context, wanted: Wanted) -> anyhow::Result<Self> {
        let turn = turn(context)?;
        reap(&context.state_dir(), context.progress);
        drop(turn);
        let mut context = context.clone();
        if let Some(urls) = kept(&context) {
            context.say("servers", "using the ones this checkout keeps running");
            context.given.database_url.get_or_insert(urls.database);
            context.given.redis_url.get_or_insert(urls.redis);
            context.given.rabbitmq_url.get_or_insert(urls.rabbitmq);
        }
        Self::start(&context, wanted, Lifetime::WithUs)
    }

    /// Servers of our own, even if this checkout keeps some (chaos restarts the broker).
    pub(crate) fn own(context: &Context) -> anyhow::Result<Self> {
        let turn = turn(context)?;
        reap(&context.state_dir(), context.progress);
        drop(turn);
        Self::start(context, Wanted::ALL, Lifetime::WithUs)
    }

    /// Servers of our own whatever is given or kept, and only the wanted ones: the bench decides
    /// which cores they run on.
    pub(crate) fn own_only(context: &Context, wanted: Wanted) -> anyhow::Result<Self> {
        let turn = turn(context)?;
        reap(&context.state_dir(), context.progress);
        drop(turn);
        let mut context = context.clone();
        context.given = Given::default();
        Self::start(&context, wanted, Lifetime::WithUs)
    }

    /// All three, our own whatever is given or kept, and with what dashboards ask for: RabbitMQ
    /// tells its metrics, PostgreSQL archives its changes.
    pub(crate) fn watched(context: &Context) -> anyhow::Result<Self> {
        let turn = turn(context)?;
        reap(&context.state_dir(), context.progress);
        drop(turn);
        let mut context = context.clone();
        context.given = Given::default();
        Self::start_as(&context, Wanted::ALL, Lifetime::WithUs, true)
    }

    /// Servers that stay after this command; a second start finds them and does nothing.
    pub(crate) fn keep(context: &Context) -> anyhow::Result<Urls> {
        // held until they run: a second start waits, and then finds them
        let _turn = turn(context)?;
        reap(&context.state_dir(), context.progress);
        if let Some(urls) = kept(context) {
            context.say("servers", "already running");
            return Ok(urls);
        }
        if let Some(mut half_dead) = Record::open(&kept_path(context)) {
            context.say("servers", "some of the kept servers died; starting afresh");
            half_dead.stop(context.progress);
        }
        let mut servers = Self::start(context, Wanted::ALL, Lifetime::Detached)?;
        servers.record.contents.facts = serde_json::to_value(&servers.urls)?;
        servers.record.save()?;
        servers.stop_on_drop = false;
        let urls = servers.urls.clone();
        if servers.record.contents.processes.is_empty() {
            // all given: nothing of ours runs, so there is nothing to keep a record of
            servers.record.stop(context.progress);
        }
        Ok(urls)
    }

    fn start(context: &Context, wanted: Wanted, lifetime: Lifetime) -> anyhow::Result<Self> {
        Self::start_as(context, wanted, lifetime, false)
    }

    fn start_as(
        context: &Context,
        wanted: Wanted,
        lifetime: Lifetime,
        watched: bool,
    ) -> anyhow::Result<Self> {
        let id = random_hex(4);
        let path = match lifetime {
            Lifetime::WithUs => context.state_dir().join(format!("run-{id}.json")),
            Lifetime::Detached => kept_path(context),
        };
        let mut servers = Self {
            urls: Urls::default(),
            context: context.clone(),
            // owned while starting, so that a kill half-way is cleaned up too
            record: Record::create(path, true)?,
            private: Vec::new(),
            rabbitmq_metrics: None,
            throwaway_postgres: false,
            stop_on_drop: true,
        };
        let missing = servers.use_given(wanted)?;
        if missing.postgres || missing.redis || missing.rabbitmq {
            private::start_all(&mut servers, missing, lifetime, &id, watched)?;
        }
        if wanted.postgres {
            database::make_app_login(&servers.urls.database)?;
        }
        if lifetime == Lifetime::Detached {
            servers.record.disown()?;
        }
        Ok(servers)
    }

    /// Checks the given servers, and installs what is missing of the others, before minutes are spent on
    /// a build.
    pub(crate) fn check_given(context: &Context) -> anyhow::Result<()> {
        let given = &context.given;
        ensure_installed(
            context,
            Wanted {
                postgres: given.database_url.is_none(),
                redis: given.redis_url.is_none(),
                rabbitmq: given.rabbitmq_url.is_none(),
            },
        )?;
        if let Some(url) = &given.database_url {
            given::check_postgres(context, url)?;
        }
        if let Some(url) = &given.redis_url {
            given::check_redis(context, url)?;
        }
        if let Some(url) = &given.rabbitmq_url {
            given::check_rabbitmq(context, url)?;
        }
        Ok(())
    }

    /// Checks the given servers; returns those that are wanted but not given.
    fn use_given(&mut self, wanted: Wanted) -> anyhow::Result<Wanted> {
        let mut missing = wanted;
        let given = self.context.given.clone();
        if let Some(url) = given.database_url.filter(|_| wanted.postgres) {
            given::check_postgres(&self.context, &url)?;
            self.urls.database = url;
            missing.postgres = false;
        }
        if let Some(url) = given.redis_url.filter(|_| wanted.redis) {
            given::check_redis(&self.context, &url)?;
            self.urls.redis = url;
            missing.redis = false;
        }
        if let Some(url) = given.rabbitmq_url.filter(|_| wanted.rabbitmq) {
            given::check_rabbitmq(&self.context, &url)?;
            self.urls.rabbitmq = url;
            missing.rabbitmq = false;
        }
        Ok(missing)
    }

    /// A new, empty database named after `purpose`; dropped at the end. Returns its URL.
    pub(crate) fn fresh_database(&mut self, purpose: &str) -> anyhow::Result<String> {
        let name = format!("microcrop_{purpose}_{}", random_hex(4));
        if !self.throwaway_postgres {
            // recorded before it exists, so that it is dropped even if we are killed now
            self.record.add_database(Made {
                admin_url: self.urls.database.clone(),
                name: name.clone(),
            })?;
        }
        database::create(&self.urls.database, &name)?;
        database::url_of(&self.urls.database, &name)
    }

    /// Drops a database made by `fresh_database` now rather than at the end.
    pub(crate) fn drop_database(&mut self, url: &str) -> anyhow::Result<()> {
        let name = database::name_of(url)?;
        database::drop_quietly(&self.urls.database, &name)?;
        self.record.forget_database(&name)
    }

    /// Leaves a database made by `fresh_database` behind; false if its server goes away with us.
    pub(crate) fn keep_database(&mut self, url: &str) -> anyhow::Result<bool> {
        if self.throwaway_postgres {
            return Ok(false);
        }
        self.record.forget_database(&database::name_of(url)?)?;
        Ok(true)
    }

    /// Stops and starts the private RabbitMQ once, keeping its data and port; false if the broker
    /// was given and so is not ours to stop.
    pub(crate) fn restart_rabbitmq(&mut self) -> anyhow::Result<bool> {
        let Some(at) = self.private.iter().position(|p| p.name() == rabbitmq::NAME) else {
            return Ok(false);
        };
        let mut broker = self.private.remove(at);
        broker.restart(&self.context, &mut self.record)?;
        self.private.push(broker);
        Ok(true)
    }

    /// An error naming a private server that ended by itself.
    pub(crate) fn check_alive(&mut self) -> anyhow::Result<()> {
        for server in &mut self.private {
            server.check_alive()?;
        }
        Ok(())
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        if self.stop_on_drop {
            if !self.private.is_empty() {
                self.context.say("servers", "stopping");
            }
            self.record.stop(self.context.progress);
            if !self.private.is_empty() {
                self.context
                    .say("servers", "stopped, nothing of them is left");
            }
        }
    }
}
