//! The simulated system: every part of the product in one process, performed one operation at a
//! time. Must never wait for real time to pass and never act between operations.
//! Built by the tests for each list of operations.

use anyhow::ensure;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode};
use backend::App;
use chrono::{DateTime, TimeDelta, Utc};
use domain::invariants::{Breach, ProviderBooks, check};
use providers::webhook;
use runtime::clock::Clock;
use runtime::ids::Ids;
use runtime::memory::InMemory;
use runtime::topology::Role;
use sandbox::serve::Local;
use sandbox::{Callback, CallbackSink, PhoneSetup, Rates, Settings as WorldSettings, World};
use store::Pool;
use store::testing::Scratch;
use tower::ServiceExt;
use workers::consumer::{self, Handler, Outcome};
use workers::role::Context;

use crate::farmer::Farmer;
use crate::op::{Op, ROLES, role};
use crate::processes::{backend_app, context, redis_prefix};
use crate::settings;

/// Most messages one consuming operation handles.
const MESSAGES_MAX: usize = 200;
/// Most rounds of everything after which a system that is not at rest counts as stuck.
const ROUNDS_MAX: usize = 5_000;

/// Where the servers are.
#[derive(Debug, Clone)]
pub struct Servers {
    /// Postgres.
    pub database_url: String,
    /// Redis.
    pub redis_url: String,
}

/// The whole system.
pub struct System {
    pub(crate) scratch: Scratch,
    servers: Servers,
    clock: Clock,
    ids: Ids,
    memory: InMemory,
    pub(crate) world: World,
    pub(crate) sandbox: Local,
    pub(crate) app: App,
    pub(crate) router: Router,
    pub(crate) context: Context,
    webhooks: webhook::Client,
    is_database_down: bool,
    redis_generation: u32,
    name: String,
    pub(crate) farmers: Vec<Farmer>,
    on_their_way: Vec<Callback>,
}

impl std::fmt::Debug for System {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "System({})", self.name)
    }
}

impl System {
    /// A system at `start` with `farmers` farmers in `wards`, everything drawn from `seed`.
    pub async fn build(
        servers: &Servers,
        name: &str,
        seed: u64,
        start: DateTime<Utc>,
        phones: Vec<(Farmer, PhoneSetup)>,
    ) -> anyhow::Result<Self> {
        let scratch = Scratch::create(&servers.database_url, name).await?;
        let clock = Clock::held(start);
        let ids = Ids::seeded(seed);
        let at = |path: &str| format!("http://backend/api/{path}");
        let token = settings::AT_TOKEN;
        let world = World::new(
            clock.clone(),
            WorldSettings {
                seed,
                ussd_url: at(&format!("ussd/{token}")),
                at_delivery_url: at(&format!("webhooks/africastalking/{token}/sms-delivery")),
                at_events_url: at(&format!("webhooks/africastalking/{token}/ussd-events")),
                ..WorldSettings::default()
            },
            CallbackSink::in_process(),
        );
        let sandbox = sandbox::serve::local(world.clone()).await?;
        let memory = InMemory::new();
        let mut farmers = Vec::new();
        for (farmer, setup) in phones {
            world.set_up_phone(setup).map_err(anyhow::Error::msg)?;
            farmers.push(farmer);
        }
        let context = context(&scratch, servers, &sandbox, &clock, &ids, &memory)?;
        let app = backend_app(&scratch, servers, &context, &redis_prefix(name, 0))?;
        let documents = backend::migrate::Documents::load(None)?;
        backend::migrate::run(&scratch.pool, clock.now(), &ids, &documents).await?;
        Ok(Self {
            router: backend::build(app.clone()),
            app,
            context,
            webhooks: webhook::Client::build(webhook::Reach::Public)?,
            scratch,
            servers: servers.clone(),
            clock,
            ids,
            memory,
            world,
            sandbox,
            is_database_down: false,
            redis_generation: 0,
            name: name.to_owned(),
            farmers,
            on_their_way: Vec::new(),
        })
    }

    /// Performs one operation.
    pub async fn perform(&mut self, op: Op) -> anyhow::Result<()> {
        match op {
            Op::Advance { seconds } => self.advance(TimeDelta::seconds(i64::from(seconds))),
            Op::Dial { farmer } => self.dial(farmer).await?,
            Op::DialAgain { farmer } => self.dial_again(farmer).await?,
            Op::HangUp { farmer } => self.hang_up(farmer).await?,
            Op::Relay => {
                self.relay().await?;
            }
            Op::Sweep => {
                self.sweep().await?;
                self.reconcile().await?;
            }
            Op::Consume { role: drawn } => {
                self.consume(role(drawn)).await?;
            }
            Op::ConsumeThenCrash { role: drawn } => {
                self.memory.lose_acks(1);
                self.consume(role(drawn)).await?;
            }
            Op::DropMessage { role: drawn } => {
                self.memory.drop_one(role(drawn), &self.ids);
            }
            Op::RepeatMessage { role: drawn } => {
                self.memory.repeat_one(role(drawn), &self.ids);
            }
            Op::ReorderMessages { role: drawn } => self.memory.reorder(role(drawn), &self.ids),
            Op::Providers => self.providers().await,
            Op::CallbacksArrive => self.callbacks(false).await?,
            Op::CallbacksRepeat => self.callbacks(true).await?,
            Op::CallbacksNever => self.on_their_way.clear(),
            Op::Process => {
                self.process().await?;
            }
            Op::ProvidersFail {
                lost_percent,
                broken_percent,
            } => {
                let share = |percent: u8| f64::from(percent) / 100.0;
                let rates = Rates {
                    lost_reply: share(lost_percent),
                    http_500: share(broken_percent),
                    ..Rates::default()
                };
                self.world
                    .set_faults(None, rates)
                    .map_err(anyhow::Error::msg)?;
            }
            Op::ProvidersHeal => {
                self.world
                    .set_faults(None, Rates::default())
                    .map_err(anyhow::Error::msg)?;
            }
            Op::RedisFlush => {
                self.redis_generation += 1;
                self.rebuild()?;
            }
            Op::DatabaseDown => self.set_database_down(true).await?,
            Op::DatabaseUp => self.set_database_down(false).await?,
            Op::Restart => self.rebuild()?,
        }
        Ok(())
    }

    /// Every breach of an invariant that must hold at any moment. What must only hold once the
    /// system had time is left for the rest: providers may know more than we do, and a window that
    /// passed while everything was down (I9) is decided when it is up again.
    pub async fn breaches(&self) -> anyhow::Result<Vec<Breach>> {
        let mut broken = self.breaches_with(ProviderBooks::default()).await?;
        broken.retain(|breach| breach.invariant != "I9");
        Ok(broken)
    }

    async fn breaches_with(&self, books: ProviderBooks) -> anyhow::Result<Vec<Breach>> {
        let mut conn = self.scratch.pool.acquire().await?;
        let facts = store::facts::load(&mut conn, self.clock.now(), books).await?;
        Ok(check(&facts))
    }

    /// Heals every fault and lets the system come to rest, jumping to whatever is due next but not
    /// past `until`. Fails when it does not come to rest.
    pub async fn settle(&mut self, until: DateTime<Utc>) -> anyhow::Result<()> {
        self.perform(Op::ProvidersHeal).await?;
        self.perform(Op::DatabaseUp).await?;
        for _ in 0..ROUNDS_MAX {
            if self.round().await? {
                continue;
            }
            let Some(next) = self.next_due().await? else {
                return Ok(());
            };
            if next > until {
                return Ok(());
            }
            let now = self.clock.now();
            self.advance((next - now).max(TimeDelta::milliseconds(1)));
        }
        anyhow::bail!("{self:?} is not at rest after {ROUNDS_MAX} rounds")
    }

    /// What must be true once the system is at rest: nothing is broken, not even against the
    /// providers' own books.
    pub async fn breaches_at_rest(&self) -> anyhow::Result<Vec<Breach>> {
        let (collected, disbursed) = self.world.totals();
        let books = ProviderBooks {
            collected_minor: Some(collected),
            disbursed_minor: Some(disbursed),
        };
        self.breaches_with(books).await
    }

    /// The farmers.
    #[must_use]
    pub fn farmers(&self) -> &[Farmer] {
        &self.farmers
    }

    /// The time.
    #[must_use]
    pub fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    /// The database, for questions a test asks.
    #[must_use]
    pub fn pool(&self) -> &Pool {
        &self.scratch.pool
    }

    /// The providers' world.
    #[must_use]
    pub fn world(&self) -> &World {
        &self.world
    }

    /// Drops everything.
    pub async fn discard(self) -> anyhow::Result<()> {
        self.context.lifecycle.stop();
        drop((self.app, self.router, self.context));
        Ok(self.scratch.discard().await?)
    }

    fn advance(&self, by: TimeDelta) {
        if let Some(held) = self.clock.held_handle() {
            held.advance(by);
        }
    }

    /// One of everything; whether anything happened.
    async fn round(&mut self) -> anyhow::Result<bool> {
        let mut busy = false;
        busy |= self.world.step().await.fired > 0;
        let arrived = self.world.take_callbacks();
        self.on_their_way.extend(arrived);
        busy |= !self.on_their_way.is_empty();
        self.callbacks(false).await?;
        busy |= self.process().await? > 0;
        self.sweep().await?;
        busy |= self.reconcile().await?;
        busy |= self.relay().await? > 0;
        busy |= self.memory.release_retries() > 0;
        for role in ROLES {
            busy |= self.consume(role).await? > 0;
        }
        busy |= self.approve_held().await?;
        Ok(busy)
    }

    async fn next_due(&self) -> anyhow::Result<Option<DateTime<Utc>>> {
        let mut conn = self.scratch.pool.acquire().await?;
        let pairs: Vec<_> = Role::pairs().collect();
        let idle = store::idle::look(&mut conn, self.clock.now(), &pairs).await?;
        let (theirs, _) = self.world.next_due();
        Ok([idle.next_urgent, idle.next_routine, theirs]
            .into_iter()
            .flatten()
            .min())
    }

    async fn relay(&self) -> anyhow::Result<usize> {
        let context = &self.context;
        let stepped = workers::relay::step(
            &context.pool,
            &context.broker,
            self.clock.now(),
            &context.metrics,
        )
        .await;
        match stepped {
            Ok(relayed) => Ok(relayed.published),
            Err(error) if error.is_unavailable() => Ok(0),
            Err(error) => Err(error.into()),
        }
    }

    async fn sweep(&self) -> anyhow::Result<()> {
        let rung = workers::relay::ring_again(&self.context).await;
        if let Err(error) = rung
            && !error.is_unavailable()
        {
            return Err(error.into());
        }
        match workers::sweeps::step(&self.context.pool, &self.clock, &self.ids).await {
            Ok(_) => Ok(()),
            Err(error) if error.is_unavailable() => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Compares a rail's history with what is booked, when that is due.
    async fn reconcile(&self) -> anyhow::Result<bool> {
        match workers::premium::build(&self.context).reconcile().await {
            Ok(done) => Ok(done.is_some()),
            Err(error) if error.is_unavailable() => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    async fn consume(&mut self, role: Role) -> anyhow::Result<usize> {
        let context = self.context.clone();
        match role {
            Role::Weather => self.drain(&workers::weather::build(&context)).await,
            Role::Satellite => self.drain(&workers::satellite::build(&context)).await,
            Role::Damage => self.drain(&workers::damage::build(&context)).await,
            Role::Premium => self.drain(&workers::premium::build(&context)).await,
            Role::Payout => self.drain(&workers::payout::build(&context)).await,
            Role::Notify => self.drain(&workers::notify::build(&context)).await,
            Role::Outbound => {
                let outbound = workers::outbound::over(&context, self.webhooks.clone());
                self.drain(&outbound).await
            }
            Role::Index => self.index().await,
        }
    }

    async fn drain<H: Handler>(&self, handler: &H) -> anyhow::Result<usize> {
        let mut queue = self.context.broker.consume(H::ROLE, 1).await?;
        let mut handled = 0;
        while handled < MESSAGES_MAX {
            match consumer::step(&mut queue, handler, &self.context).await? {
                None | Some(Outcome::Pause(_)) => break,
                Some(Outcome::Park(reason)) => anyhow::bail!("{} parked: {reason}", H::ROLE.name()),
                Some(Outcome::Done | Outcome::Heard | Outcome::Retry(_)) => handled += 1,
            }
        }
        queue.close().await;
        Ok(handled)
    }

    async fn index(&self) -> anyhow::Result<usize> {
        use data_processor::stream::{Context as Index, Outcome as Indexed, step};
        let context = &self.context;
        let index = Index {
            clock: context.clock.clone(),
            ids: context.ids.clone(),
            pool: context.pool.clone(),
            broker: context.broker.clone(),
            metrics: context.metrics.clone(),
            health: context.health.clone(),
            lifecycle: context.lifecycle.clone(),
        };
        let mut queue = context.broker.consume(Role::Index, 1).await?;
        let mut handled = 0;
        let mut is_away = false;
        while handled < MESSAGES_MAX && !is_away {
            let outcomes = step(&index, &mut queue).await?;
            is_away = outcomes.is_empty();
            for outcome in outcomes {
                match outcome {
                    Indexed::Pause(_) => is_away = true,
                    Indexed::Park(reason) => anyhow::bail!("index parked: {reason}"),
                    Indexed::Done | Indexed::Retry(_) => handled += 1,
                }
            }
        }
        queue.close().await;
        Ok(handled)
    }

    async fn providers(&mut self) {
        self.world.step().await;
        let arrived = self.world.take_callbacks();
        self.on_their_way.extend(arrived);
    }

    async fn callbacks(&mut self, repeat: bool) -> anyhow::Result<()> {
        let mut arriving = std::mem::take(&mut self.on_their_way);
        if repeat {
            let mut again = arriving.clone();
            again.reverse();
            again.append(&mut arriving);
            arriving = again;
        }
        for callback in arriving {
            let path = callback.path().to_owned();
            let (status, answer) = self
                .post(&path, callback.content_type, callback.body.clone())
                .await?;
            if self.is_database_down {
                ensure!(
                    status.is_server_error(),
                    "a callback was taken without a database"
                );
                self.on_their_way.push(callback);
            } else {
                ensure!(status.is_success(), "{path} answered {status}: {answer}");
            }
        }
        Ok(())
    }

    async fn process(&self) -> anyhow::Result<usize> {
        match backend::webhooks::process::step(&self.app).await {
            Ok(stepped) => Ok(stepped.done),
            Err(error) if error.is_unavailable() => Ok(0),
            Err(error) => Err(error.into()),
        }
    }

    pub(crate) async fn post(
        &self,
        path: &str,
        content_type: &str,
        body: Vec<u8>,
    ) -> anyhow::Result<(StatusCode, String)> {
        let request = Request::post(path)
            .header("content-type", content_type)
            .body(Body::from(body))?;
        let response = self.router.clone().oneshot(request).await?;
        let status = response.status();
        let bytes = to_bytes(response.into_body(), 1 << 20).await?;
        Ok((status, String::from_utf8_lossy(&bytes).into_owned()))
    }

    async fn set_database_down(&mut self, down: bool) -> anyhow::Result<()> {
        self.is_database_down = down;
        let pool = if down {
            self.scratch.unavailable().await?
        } else {
            self.scratch.pool.clone()
        };
        self.context.pool = pool;
        self.rebuild_backend()
    }

    /// Ends every process and starts it again: nothing but Postgres, Redis and the broker remains.
    fn rebuild(&mut self) -> anyhow::Result<()> {
        let pool = self.context.pool.clone();
        let world = (&self.scratch, &self.servers, &self.sandbox);
        self.context = context(
            world.0,
            world.1,
            world.2,
            &self.clock,
            &self.ids,
            &self.memory,
        )?;
        self.context.pool = pool;
        self.rebuild_backend()
    }

    /// The backend anew, over the database as it is now, up or down.
    fn rebuild_backend(&mut self) -> anyhow::Result<()> {
        let prefix = redis_prefix(&self.name, self.redis_generation);
        let (scratch, servers) = (&self.scratch, &self.servers);
        self.app = backend_app(scratch, servers, &self.context, &prefix)?;
        self.router = backend::build(self.app.clone());
        Ok(())
    }
}
