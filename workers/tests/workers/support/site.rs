//! A risk with one policy and the pretend providers that observe it, at an instant that a test sets:
//! what the tests of weather and of scenes share. Must hold no test and no rule.

use domain::id::RiskId;
use runtime::broker::Broker;
use runtime::clock::Held;
use runtime::memory::InMemory;
use sandbox::{CallbackSink, World, serve::Local};
use serde_json::Value;
use sqlx::PgPool;
use store::fixtures::{self, Plan};
use workers::role::Context;
use workers::settings::Settings;

/// Where the tests of a provider stand.
pub(crate) struct Site {
    pub(crate) context: Context,
    pub(crate) time: Held,
    pub(crate) risk_id: RiskId,
    pub(crate) sandbox: Local,
}

impl Site {
    /// At `now`, with the settings that `flags` says for the providers of the sandbox.
    pub(crate) async fn new(
        pool: PgPool,
        now: &str,
        flags: impl FnOnce(&Local, &sandbox::Settings) -> Vec<String>,
    ) -> Self {
        let mut context = super::context(pool, Broker::InMemory(InMemory::new()));
        let time = context.clock.held_handle().unwrap();
        time.set(now.parse().unwrap());
        let seed = sandbox::Settings {
            seed: 7,
            ..sandbox::Settings::default()
        };
        let sink = CallbackSink::in_process();
        let world = World::new(context.clock.clone(), seed.clone(), sink);
        let sandbox = sandbox::serve::local(world).await.unwrap();
        context.settings = Settings::from_flags(flags(&sandbox, &seed)).unwrap().into();
        let plan = Plan {
            policies: 1,
            is_final: false,
            ..Plan::default()
        };
        let mut conn = context.pool.acquire().await.unwrap();
        let season = fixtures::season(&mut conn, &context.pii, plan).await;
        drop(conn);
        Self {
            risk_id: season.unwrap().risk_id,
            context,
            time,
            sandbox,
        }
    }
}

/// Tells the sandbox how its world is to be.
pub(crate) async fn tell(context: &Context, url: String, setup: &Value) {
    let answer = context.http.post(url).json(setup).send().await.unwrap();
    assert_eq!(answer.status().as_u16(), 200);
}
