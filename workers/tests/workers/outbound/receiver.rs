//! A partner's receiver of webhooks: a real HTTP server that answers as it is told, remembers what
//! came, and can be down. Must hold no test.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// One request that came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) id: String,
    pub(crate) timestamp: String,
    pub(crate) signature: String,
    pub(crate) body: String,
}

impl Seen {
    /// What happened.
    pub(crate) fn kind(&self) -> String {
        self.data()["type"].as_str().unwrap().to_owned()
    }

    /// The body as JSON.
    pub(crate) fn data(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

#[derive(Debug)]
struct Desk {
    status: u16,
    answer_bytes: usize,
    seen: Vec<Seen>,
}

/// The receiver.
pub(crate) struct Receiver {
    address: SocketAddr,
    desk: Arc<Mutex<Desk>>,
    serving: JoinSet<()>,
}

impl Receiver {
    /// Listens on a free port and takes everything.
    pub(crate) async fn open() -> Self {
        let desk = Arc::new(Mutex::new(Desk {
            status: 204,
            answer_bytes: 0,
            seen: Vec::new(),
        }));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut receiver = Self {
            address,
            desk,
            serving: JoinSet::new(),
        };
        receiver.serve(listener);
        receiver
    }

    fn serve(&mut self, listener: TcpListener) {
        let router = Router::new()
            .fallback(any(take))
            .with_state(self.desk.clone());
        self.serving.spawn(async move {
            axum::serve(listener, router).await.unwrap();
        });
    }

    /// Refuses connections.
    pub(crate) async fn go_down(&mut self) {
        self.serving.shutdown().await;
    }

    /// Listens again.
    pub(crate) async fn come_back(&mut self) {
        let listener = TcpListener::bind(self.address).await.unwrap();
        self.serve(listener);
    }

    /// Answers with this status from now on.
    pub(crate) fn answer(&self, status: u16) {
        self.desk.lock().unwrap().status = status;
    }

    /// Answers with a body of this size from now on.
    pub(crate) fn answer_bytes(&self, bytes: usize) {
        self.desk.lock().unwrap().answer_bytes = bytes;
    }

    /// Where it is.
    pub(crate) fn url(&self) -> String {
        format!("http://{}/hooks", self.address)
    }

    /// Its port.
    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// What came since it was last asked.
    pub(crate) fn take(&self) -> Vec<Seen> {
        std::mem::take(&mut self.desk.lock().unwrap().seen)
    }
}

async fn take(State(desk): State<Arc<Mutex<Desk>>>, headers: HeaderMap, body: String) -> Response {
    let header = |name: &str| headers[name].to_str().unwrap().to_owned();
    let mut desk = desk.lock().unwrap();
    desk.seen.push(Seen {
        id: header("webhook-id"),
        timestamp: header("webhook-timestamp"),
        signature: header("webhook-signature"),
        body,
    });
    let status = StatusCode::from_u16(desk.status).unwrap();
    // a redirect leads back here, where following it would be seen
    let location = [("location", "/elsewhere")];
    (status, location, vec![b'x'; desk.answer_bytes]).into_response()
}
