//! A house with an insured season, the damage and payout roles, and a pretend outside world, all
//! in one process under one clock. Must hold no test.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use chrono::{DateTime, TimeDelta, Utc};
use runtime::broker::Broker;
use runtime::clock::Held;
use runtime::memory::InMemory;
use sandbox::{Callback, CallbackSink, Credentials, PhoneSetup, World, serve::Local};
use store::Pool;
use store::fixtures::{self, Plan, Season};
use workers::damage::{self, Damage, Decided};
use workers::payout::{self, Payouts};
use workers::role::Context;
use workers::settings::Settings;

/// Everything a test of money out needs.
pub(crate) struct House {
    pub(crate) context: Context,
    pub(crate) season: Season,
    pub(crate) damage: Damage,
    pub(crate) payouts: Payouts,
    pub(crate) world: World,
    pub(crate) time: Held,
    sandbox: Local,
}

impl House {
    /// An insured season whose window has just closed.
    pub(crate) async fn new(pool: Pool, plan: Plan) -> Self {
        Self::with_flags(pool, plan, &[]).await
    }

    /// The same, with more settings.
    pub(crate) async fn with_flags(pool: Pool, plan: Plan, flags: &[&str]) -> Self {
        let mut context = crate::support::context(pool, Broker::InMemory(InMemory::new()));
        let time = context.clock.held_handle().unwrap();
        let world = World::new(
            context.clock.clone(),
            sandbox::Settings {
                seed: 7,
                ..sandbox::Settings::default()
            },
            CallbackSink::in_process(),
        );
        let sandbox = sandbox::serve::local(world.clone()).await.unwrap();
        context.settings = settings(&sandbox.base_url, flags).into();
        let mut conn = context.pool.acquire().await.unwrap();
        let season = fixtures::season(&mut conn, &context.pii, plan)
            .await
            .unwrap();
        drop(conn);
        for phone in &season.phones {
            let msisdn = phone.digits().to_owned();
            world
                .set_up_phone(PhoneSetup {
                    msisdn,
                    ..PhoneSetup::default()
                })
                .unwrap();
        }
        time.set(season.closes_at);
        let (damage, payouts) = (damage::build(&context), payout::build(&context));
        Self {
            context,
            season,
            damage,
            payouts,
            world,
            time,
            sandbox,
        }
    }

    /// The payout role over a rail that nobody listens at.
    pub(crate) fn payouts_to_nowhere(&self) -> Payouts {
        let mut context = self.context.clone();
        context.settings = settings("http://127.0.0.1:1", &[]).into();
        payout::build(&context)
    }

    /// Decides the season and fans it out to its end.
    pub(crate) async fn settle(&self) {
        let decided = self.damage.decide(None, self.season.risk_id).await.unwrap();
        let Decided::Evaluated(id) = decided else {
            panic!("{decided:?}")
        };
        while self.damage.fan_out(None, id).await.unwrap().more {}
    }

    /// Lets time pass; what the world was to do meanwhile is done.
    pub(crate) async fn pass(&self, time: TimeDelta) -> Vec<Callback> {
        self.time.advance(time);
        self.world.step().await;
        self.world.take_callbacks()
    }

    /// How often the wallets' own book pays a phone.
    pub(crate) fn disbursements(&self) -> usize {
        let is_out = |m: &&sandbox::Movement| m.kind == sandbox::MovementKind::Disburse;
        self.world.book().iter().filter(is_out).count()
    }

    /// One number from the database.
    pub(crate) async fn count(&self, sql: &'static str) -> i64 {
        store::testing::number(&self.context.pool, sql)
            .await
            .unwrap()
    }

    /// One text from the database.
    pub(crate) async fn text(&self, sql: &'static str) -> String {
        store::testing::text(&self.context.pool, sql).await.unwrap()
    }

    /// Changes rows behind everybody's back.
    pub(crate) async fn tamper(&self, sql: &'static str) {
        store::testing::change(&self.context.pool, sql)
            .await
            .unwrap();
    }

    /// The first leg.
    pub(crate) async fn leg(&self) -> domain::id::LegId {
        let id = self
            .text("select id::text from payout_legs order by id limit 1")
            .await;
        id.parse::<uuid::Uuid>().unwrap().into()
    }

    /// Posts a body to the sandbox's control API.
    pub(crate) async fn control(&self, path: &str, body: serde_json::Value) {
        let url = self.sandbox.url(&format!("/control/{path}"));
        let answer = self
            .context
            .http
            .post(url)
            .json(&body)
            .send()
            .await
            .unwrap();
        assert!(answer.status().is_success());
    }

    /// Now.
    pub(crate) fn now(&self) -> DateTime<Utc> {
        self.context.clock.now()
    }
}

fn settings(base: &str, more: &[&str]) -> Settings {
    let keys = Credentials::default();
    let mut flags = vec![
        "--mpesa-base-url".to_owned(),
        format!("{base}/mpesa"),
        "--pinata-upload-url".to_owned(),
        format!("{base}/pinata"),
        "--pinata-gateway".to_owned(),
        format!("{base}/gateway"),
    ];
    for (flag, value) in [
        ("--mpesa-consumer-key", keys.mpesa_consumer_key.as_str()),
        ("--mpesa-consumer-secret", &keys.mpesa_consumer_secret),
        ("--mpesa-shortcode", &keys.mpesa_shortcode),
        ("--mpesa-initiator-name", "initiator"),
        ("--mpesa-security-credential", "credential"),
        ("--mpesa-callback-token", "a-callback-token-0123"),
        ("--public-base-url", "http://backend.invalid"),
        ("--pinata-jwt", &keys.pinata_jwt),
    ] {
        flags.extend([flag.to_owned(), value.to_owned()]);
    }
    flags.extend(more.iter().map(|flag| (*flag).to_owned()));
    Settings::from_flags(flags).unwrap()
}
