//! A town for the page's tests: a pretended product, a world, and the page over both on loopback.
//! Decides nothing about what is right. Made anew by every test.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::State;
use axum::routing::{get, post};
use chrono::{DateTime, TimeDelta, Utc};
use http::{Request, StatusCode};
use runtime::config::Environment;
use sandbox::page::{self, Page, PageSettings};
use sandbox::{CallbackSink, Clock, Settings, World, router};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tower::ServiceExt;

pub(crate) const PHONE: &str = "254712000001";
pub(crate) const START: &str = "2026-01-15T06:00:00Z";

/// What the pretended product was asked and what it says.
#[derive(Clone, Default)]
pub(crate) struct Product(pub(crate) Arc<Inner>);

#[derive(Default)]
pub(crate) struct Inner {
    clock: Mutex<Option<Clock>>,
    pub(crate) approvals: Mutex<Vec<String>>,
    pub(crate) is_insured: AtomicBool,
    pub(crate) is_held: AtomicBool,
    pub(crate) tokens: Mutex<Vec<String>>,
    /// Whether something is due every day.
    pub(crate) is_busy: AtomicBool,
    /// While somebody holds this for writing, the product is not idle once time has moved.
    pub(crate) gate: tokio::sync::RwLock<()>,
}

impl Product {
    fn now(&self) -> DateTime<Utc> {
        self.0.clock.lock().unwrap().as_ref().unwrap().now()
    }

    fn report(&self) -> Value {
        let is_insured = self.0.is_insured.load(Ordering::SeqCst);
        let is_held = self.0.is_held.load(Ordering::SeqCst);
        let risks = if is_insured {
            json!([{"cell": "877a63556ffffff", "state": "open", "season": "MAM-2026",
                    "product": "KE-MZ-PD-LR", "policies": 1,
                    "wards": [{"code": "0331", "name": "Kyangwithya"}]}])
        } else {
            json!([])
        };
        json!({"farmers": 1, "policies": {"active": i64::from(is_insured)},
               "premiums": {"posted_minor": 0}, "collected_minor": 0, "disbursed_minor": 0,
               "risks": risks, "payouts": {"held": i64::from(is_held)},
               "ledger": {"balanced": true, "accounts": [
                   {"account": "premiums", "currency": "KES", "balance_minor": -84_400}]},
               "invariants": {"checked": 40, "broken": 0}})
    }
}

pub(crate) struct Town {
    pub(crate) product: Product,
    pub(crate) world: World,
    pub(crate) page: Page,
    app: Router,
    clock_file: Option<PathBuf>,
    _tasks: JoinSet<()>,
}

impl Drop for Town {
    fn drop(&mut self) {
        if let Some(file) = &self.clock_file {
            let _ = std::fs::remove_file(file);
        }
    }
}

fn product_router(product: Product) -> Router {
    async fn hop(form: String) -> &'static str {
        if form.contains("text=1&") || form.contains("text=1*") {
            "END Goodbye"
        } else {
            "CON Welcome\n1. Go on"
        }
    }
    Router::new()
        .route("/api/ussd", post(hop))
        .route(
            "/internal/idle",
            get(async |State(product): State<Product>| {
                let now = product.now();
                if now > START.parse::<DateTime<Utc>>().unwrap() {
                    drop(product.0.gate.read().await);
                }
                let is_busy = product.0.is_busy.load(Ordering::SeqCst);
                axum::Json(json!({"at": now, "idle": true, "work_now": {},
                                  "next_urgent": is_busy.then(|| now + TimeDelta::days(1))}))
            }),
        )
        .route(
            "/api/v1/operator/report",
            get(
                async |State(product): State<Product>, headers: http::HeaderMap| {
                    let shown = headers.get("authorization").unwrap().to_str().unwrap();
                    product.0.tokens.lock().unwrap().push(shown.to_owned());
                    axum::Json(product.report())
                },
            ),
        )
        .route(
            "/api/v1/payout-runs",
            get(async || {
                axum::Json(json!({"runs": [{"evaluation": "eva_1", "payouts": 2,
                    "total_minor": 600_000, "holds": ["over_limit"], "approvals": []}]}))
            }),
        )
        .route(
            "/api/v1/payout-runs/{evaluation}/approve",
            post(
                async |State(product): State<Product>, headers: http::HeaderMap| {
                    let shown = headers.get("authorization").unwrap().to_str().unwrap();
                    let mut given = product.0.approvals.lock().unwrap();
                    if given.iter().any(|token| token == shown) {
                        let refused = json!({"detail": "another operator must confirm it"});
                        return (StatusCode::CONFLICT, axum::Json(refused));
                    }
                    given.push(shown.to_owned());
                    (StatusCode::OK, axum::Json(json!({"state": "made"})))
                },
            ),
        )
        .with_state(product)
}

/// A page over a pretended product; with a manual clock if `is_manual`.
pub(crate) async fn town(is_manual: bool) -> Town {
    let product = Product::default();
    let mut tasks = JoinSet::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let backend_url = format!("http://{}", listener.local_addr().unwrap());
    let serving = product_router(product.clone());
    tasks.spawn(async move { axum::serve(listener, serving).await.unwrap() });

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let clock_file = is_manual.then(|| {
        let name = format!("page-clock-{}-{}", std::process::id(), address.port());
        let file = std::env::temp_dir().join(name);
        std::fs::write(&file, format!("{START}\n")).unwrap();
        file
    });
    let clock = match &clock_file {
        Some(file) => {
            let mode = format!("manual:{}", file.display());
            Clock::parse(&mode, Environment::Development).unwrap()
        }
        None => Clock::held(START.parse().unwrap()),
    };
    *product.0.clock.lock().unwrap() = Some(clock.clone());
    let settings = Settings {
        ussd_url: format!("{backend_url}/api/ussd"),
        ..Settings::default()
    };
    let sink = CallbackSink::Http(runtime::http::client().unwrap());
    let world = World::new(clock, settings, sink);
    let settings = PageSettings {
        backend_url,
        sandbox_url: format!("http://{address}"),
        operator_tokens: vec!["maker-token".to_owned(), "checker-token".to_owned()],
        clock_file: clock_file
            .as_ref()
            .map(|file| format!("manual:{}", file.display())),
    };
    let page = Page::new(world.clone(), &settings).unwrap();
    let app = router(world.clone()).merge(page::router(page.clone()));
    let serving = app.clone();
    tasks.spawn(async move { axum::serve(listener, serving).await.unwrap() });
    Town {
        product,
        world,
        page,
        app,
        clock_file,
        _tasks: tasks,
    }
}

impl Town {
    pub(crate) async fn ask(
        &self,
        request: Request<Body>,
    ) -> (StatusCode, http::HeaderMap, Vec<u8>) {
        let answer = self.app.clone().oneshot(request).await.unwrap();
        let (parts, body) = answer.into_parts();
        let bytes = to_bytes(body, 1 << 20).await.unwrap();
        (parts.status, parts.headers, bytes.to_vec())
    }

    pub(crate) async fn get(&self, path: &str) -> (StatusCode, http::HeaderMap, Vec<u8>) {
        let request = Request::builder().uri(path).body(Body::empty()).unwrap();
        self.ask(request).await
    }

    pub(crate) async fn state(&self) -> Value {
        let (status, _, bytes) = self.get("/page/state").await;
        assert_eq!(status, StatusCode::OK);
        serde_json::from_slice(&bytes).unwrap()
    }

    /// The state once the page has looked at the product again, which it does twice a second.
    pub(crate) async fn state_when(&self, is_seen: impl Fn(&Value) -> bool) -> Value {
        let until = Instant::now() + Duration::from_secs(10);
        loop {
            let state = self.state().await;
            if is_seen(&state) || Instant::now() > until {
                return state;
            }
            tokio::task::yield_now().await;
        }
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> (StatusCode, Value) {
        let request = Request::builder()
            .method("POST")
            .uri(path)
            .header("content-type", "application/json")
            .body(Body::from(body.to_string()))
            .unwrap();
        let (status, _, bytes) = self.ask(request).await;
        (status, serde_json::from_slice(&bytes).unwrap())
    }

    pub(crate) async fn phone(&self, what: &str, body: &Value) -> (StatusCode, Value) {
        self.post(&format!("/page/phones/{PHONE}/{what}"), body)
            .await
    }

    /// The product asks the provider to ring the page's phone; gives the order.
    pub(crate) async fn ring(&self, shillings: i64) -> String {
        let body = json!({"partyA": "0712000001", "amount": shillings.to_string(),
                          "side": "onramp", "userAddress": "0xa", "tokenAddress": "0xb"});
        let request = Request::builder()
            .method("POST")
            .uri("/swypt/api/onramp-orders")
            .header("content-type", "application/json")
            .header("x-api-key", "sandbox-swypt-key")
            .header("x-api-secret", "sandbox-swypt-secret")
            .body(Body::from(body.to_string()))
            .unwrap();
        let (status, _, bytes) = self.ask(request).await;
        assert_eq!(status, StatusCode::OK);
        let answer: Value = serde_json::from_slice(&bytes).unwrap();
        answer["data"]["orderID"].as_str().unwrap().to_owned()
    }
}
