//! What several worker tests need: a context over a test database, messages, and a TCP proxy that
//! breaks the connection to a real broker on demand. Must hold no test and no rule.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up must fail")]

pub(crate) mod market;
pub(crate) mod season;
pub(crate) mod site;

use std::net::SocketAddr;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use runtime::broker::{Broker, Message};
use runtime::clock::Clock;
use runtime::health::Health;
use runtime::http;
use runtime::ids::Ids;
use runtime::lifecycle::Lifecycle;
use runtime::metrics::Metrics;
use store::Pii;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use uuid::Uuid;
use workers::role::Context;
use workers::settings::Settings;

/// Settings of the environment.
pub(crate) fn settings() -> Settings {
    let no_flags: [&str; 0] = [];
    Settings::from_flags(no_flags).unwrap()
}

/// A fixed instant: the day the long rains begin.
pub(crate) fn morning() -> DateTime<Utc> {
    DateTime::parse_from_rfc3339("2026-03-01T06:00:00Z")
        .unwrap()
        .to_utc()
}

/// A context over `pool` and `broker` with a held clock and seeded ids.
pub(crate) fn context(pool: store::Pool, broker: Broker) -> Context {
    Context {
        clock: Clock::held(morning()),
        ids: Ids::seeded(1),
        pool,
        pii: Arc::new(Pii::from_hex(&"1f".repeat(32), &"2e".repeat(32)).unwrap()),
        broker,
        http: http::client().unwrap(),
        metrics: Metrics::build().unwrap(),
        health: Health::new(),
        lifecycle: Lifecycle::new(),
        settings: Arc::new(settings()),
    }
}

/// A message about nothing.
pub(crate) fn message(number: u128, topic: &str) -> Message {
    Message {
        id: Uuid::from_u128(number),
        topic: topic.to_owned(),
        body: br#"{"risk_id":"00000000-0000-0000-0000-000000000001"}"#.to_vec(),
        traceparent: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned()),
    }
}

/// Stands between a client and a server and cuts them apart on demand.
pub(crate) struct Proxy {
    address: SocketAddr,
    up: watch::Sender<bool>,
    _tasks: JoinSet<()>,
}

impl Proxy {
    /// Listens on a free port and passes everything to `target` (host:port).
    pub(crate) async fn to(target: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, target) = (listener.local_addr().unwrap(), target.to_owned());
        let (up, state) = watch::channel(true);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((inward, _)) = listener.accept().await {
                if *state.borrow() {
                    connections.spawn(pass(inward, target.clone(), state.clone()));
                }
            }
        });
        Self {
            address,
            up,
            _tasks: tasks,
        }
    }

    /// Where to connect instead of the target.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Breaks all connections and refuses new ones.
    pub(crate) fn cut(&self) {
        self.up.send_replace(false);
    }

    /// Lets new connections through again.
    pub(crate) fn mend(&self) {
        self.up.send_replace(true);
    }
}

async fn pass(mut inward: TcpStream, target: String, mut state: watch::Receiver<bool>) {
    let Ok(mut outward) = TcpStream::connect(target).await else {
        return;
    };
    tokio::select! {
        _ = tokio::io::copy_bidirectional(&mut inward, &mut outward) => (),
        _ = state.wait_for(|up| !up) => (),
    }
}
