//! A backend over an empty database with wards, and partners that ask it in process. Must hold no
//! test. Never leaves this machine. Run with the crate's tests.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Request, StatusCode};
use backend::Config;
use backend::app::{App, Parts, build};
use backend::partner::{Command, command};
use chrono::{DateTime, Utc};
use domain::id::OrganisationId;
use runtime::clock::{Clock, Held};
use runtime::ids::Ids;
use runtime::lifecycle::Lifecycle;
use runtime::metrics::Metrics;
use runtime::redis::Redis;
use serde_json::Value;
use sqlx::PgPool;
use store::Pii;
use tower::ServiceExt;

/// Karare, in Saku, Marsabit, and two more.
const WARDS: &str = "insert into wards values
    ('0321', 'Karare', 'Saku', 'Marsabit', '887a53a491fffff', 'ward', '2026-01-01'),
    ('0322', 'Marsabit Central', 'Saku', 'Marsabit', '887a53a491fffff', 'ward', '2026-01-01'),
    ('0700', 'Kitui', 'Kitui', 'Kitui', '887a635567fffff', 'ward', '2026-01-01')";

pub(crate) struct House {
    /// Connected as the tables' owner, for what a test prepares and looks at.
    pub(crate) owner: PgPool,
    /// Connected as our processes are, by the login that owns nothing.
    pub(crate) app: App,
    pub(crate) time: Held,
    router: Router,
}

/// An answer, read to its end.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The stable code of a refusal.
    pub(crate) fn code(&self) -> String {
        self.json()["code"].as_str().unwrap_or_default().to_owned()
    }

    /// A text member of the body.
    pub(crate) fn member(&self, name: &str) -> String {
        let body = self.json();
        let text = body[name].as_str();
        text.unwrap_or_else(|| panic!("no text {name} in {body}"))
            .to_owned()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }
}

/// A partner's key in use.
#[derive(Clone)]
pub(crate) struct Key<'a> {
    house: &'a House,
    pub(crate) organisation: OrganisationId,
    pub(crate) secret: String,
}

impl House {
    pub(crate) async fn new(pool: PgPool) -> Self {
        let flags = [
            "--api-rate-per-second",
            "100000",
            "--api-rate-burst",
            "100000",
        ];
        Self::with(pool, &flags).await
    }

    pub(crate) async fn with(owner: PgPool, flags: &[&str]) -> Self {
        let pool = store::testing::as_process(&owner);
        let clock = Clock::held("2026-02-02T09:00:00Z".parse().unwrap());
        let time = clock.held_handle().unwrap();
        let mut all = vec![
            "--jwt-secret",
            "a-secret-of-more-than-32-characters",
            "--pin-pepper",
            "a-pepper-of-more-than-32-characters",
        ];
        all.extend(flags);
        let config = Config::from_flags(all).unwrap();
        let (lifecycle, metrics) = (Lifecycle::new(), Metrics::build().unwrap());
        let url = config.common.redis_url.expose().clone();
        let redis = Redis::open(&url, "partner:", lifecycle.clone(), metrics.clone()).unwrap();
        let app = App::new(Parts {
            pool,
            redis,
            clock,
            ids: Ids::seeded(1),
            pii: Arc::new(Pii::from_hex(&"1f".repeat(32), &"2e".repeat(32)).unwrap()),
            metrics,
            lifecycle,
            config,
        });
        let router = build(app.clone());
        let house = Self {
            owner,
            app,
            time,
            router,
        };
        house.change(WARDS).await;
        house
    }

    /// A request and its answer.
    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        let answer = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = answer.into_parts();
        let body = axum::body::to_bytes(body, 16 << 20).await.unwrap();
        Answer {
            status: parts.status,
            headers: parts.headers,
            body,
        }
    }

    /// A new partner with a key that may do everything.
    pub(crate) async fn partner(&self, name: &str) -> Key<'_> {
        let (name, kind) = (name.to_owned(), "cooperative".to_owned());
        let id = self.command(Command::Create { name, kind }).await;
        self.key(id.parse().unwrap(), "all").await
    }

    /// A new key of a partner with these scopes.
    pub(crate) async fn key(&self, organisation: OrganisationId, scopes: &str) -> Key<'_> {
        let secret = self
            .command(Command::Key {
                organisation,
                name: "test key".to_owned(),
                scopes: scopes.to_owned(),
            })
            .await;
        Key {
            house: self,
            organisation,
            secret,
        }
    }

    pub(crate) async fn command(&self, what: Command) -> String {
        let (app, now) = (&self.app, self.app.clock.now());
        command(&app.pool, now, &app.ids, what).await.unwrap()
    }

    pub(crate) async fn count(&self, sql: &'static str) -> i64 {
        store::testing::number(&self.owner, sql).await.unwrap()
    }

    pub(crate) async fn change(&self, sql: impl Into<String>) {
        store::testing::change(&self.owner, sql).await.unwrap();
    }
}

impl Key<'_> {
    pub(crate) fn now(&self) -> DateTime<Utc> {
        self.house.app.clock.now()
    }

    pub(crate) fn request(&self, method: &str, path: &str) -> axum::http::request::Builder {
        Request::builder()
            .method(method)
            .uri(path)
            .header("authorization", format!("Bearer {}", self.secret))
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        let request = self.request("GET", path).body(Body::empty()).unwrap();
        self.house.send(request).await
    }

    pub(crate) async fn post(&self, path: &str, once: &str, body: &Value) -> Answer {
        self.post_as(path, once, "application/json", body.to_string())
            .await
    }

    pub(crate) async fn post_as(
        &self,
        path: &str,
        once: &str,
        kind: &str,
        body: impl Into<Body>,
    ) -> Answer {
        let request = self
            .request("POST", path)
            .header("idempotency-key", once)
            .header("content-type", kind);
        self.house.send(request.body(body.into()).unwrap()).await
    }

    pub(crate) async fn patch(
        &self,
        path: &str,
        once: &str,
        version: &str,
        body: &Value,
    ) -> Answer {
        let request = self
            .request("PATCH", path)
            .header("idempotency-key", once)
            .header("content-type", "application/json")
            .header("if-match", version);
        let body = Body::from(body.to_string());
        self.house.send(request.body(body).unwrap()).await
    }

    /// Everything on a list, page by page; fails on a page that repeats a row.
    pub(crate) async fn all(&self, path: &str, limit: u16) -> Vec<Value> {
        let (mut items, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = self
                .get(&format!("{path}?limit={limit}{cursor}"))
                .await
                .json();
            let rows = page["items"].as_array().unwrap();
            assert!(rows.len() <= usize::from(limit));
            for row in rows {
                assert!(!items.contains(row), "{row} came twice");
                items.push(row.clone());
            }
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return items,
            }
        }
    }
}
