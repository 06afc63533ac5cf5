//! A backend over an empty database, and people who enrol in it. Must hold no test.
//! Never leaves this machine. Run with the crate's tests.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use backend::app::{App, Parts, build};
use backend::people;
use chrono::{DateTime, Utc};
use runtime::clock::{Clock, Held};
use runtime::ids::Ids;
use runtime::lifecycle::Lifecycle;
use runtime::metrics::Metrics;
use runtime::redis::Redis;
use serde_json::{Value, json};
use sqlx::PgPool;
use store::Pii;
use totp_rs::{Builder, Secret};
use tower::ServiceExt;

pub(crate) const PASSWORD: &str = "korosho na maziwa";

pub(crate) struct House {
    /// Connected as the tables' owner, for what a test looks at and damages.
    pub(crate) owner: PgPool,
    pub(crate) app: App,
    pub(crate) time: Held,
    router: Router,
}

/// Somebody who has enrolled.
#[derive(Debug, Clone)]
pub(crate) struct Person {
    pub(crate) id: String,
    pub(crate) name: String,
    /// Base32 secret of their authenticator app.
    pub(crate) secret: String,
    pub(crate) bearer: String,
    pub(crate) refresh: String,
}

impl House {
    pub(crate) fn new(pool: PgPool) -> Self {
        Self::in_environment(pool, "development")
    }

    pub(crate) fn in_environment(owner: PgPool, environment: &str) -> Self {
        let config = backend::Config::from_flags([
            "--environment",
            environment,
            "--jwt-secret",
            "0123456789abcdef0123456789abcdef",
            "--jwt-expires-in",
            "12h",
            "--pin-pepper",
            "a-pepper-of-more-than-32-characters",
            "--api-rate-per-second",
            "1000000",
            "--api-rate-burst",
            "1000000",
        ])
        .unwrap();
        let (lifecycle, metrics) = (Lifecycle::new(), Metrics::build().unwrap());
        // nothing here speaks to Redis: it connects when it is first asked
        let url = "redis://127.0.0.1:1";
        let redis = Redis::open(url, "", lifecycle.clone(), metrics.clone()).unwrap();
        let clock = Clock::held("2026-02-02T09:00:00Z".parse().unwrap());
        let time = clock.held_handle().unwrap();
        let app = App::new(Parts {
            pool: store::testing::as_process(&owner),
            redis,
            clock,
            ids: Ids::seeded(11),
            pii: Arc::new(Pii::from_hex(&"1f".repeat(32), &"2e".repeat(32)).unwrap()),
            metrics,
            lifecycle,
            config,
        });
        let router = build(app.clone());
        Self {
            owner,
            app,
            time,
            router,
        }
    }

    /// A request, its status and its JSON.
    pub(crate) async fn send(
        &self,
        method: &str,
        path: &str,
        bearer: Option<&str>,
        body: &Value,
    ) -> (StatusCode, Value) {
        let mut request = Request::builder().method(method).uri(path);
        if let Some(bearer) = bearer {
            request = request.header("authorization", format!("Bearer {bearer}"));
        }
        let body = if body.is_null() {
            Body::empty()
        } else {
            Body::from(body.to_string())
        };
        let response = self
            .router
            .clone()
            .oneshot(request.body(body).unwrap())
            .await
            .unwrap();
        let status = response.status();
        let bytes = axum::body::to_bytes(response.into_body(), 1 << 20)
            .await
            .unwrap();
        (
            status,
            serde_json::from_slice(&bytes).unwrap_or(Value::Null),
        )
    }

    pub(crate) async fn get(&self, path: &str, bearer: &str) -> (StatusCode, Value) {
        self.send("GET", path, Some(bearer), &Value::Null).await
    }

    /// Posts without a bearer token.
    pub(crate) async fn post(&self, path: &str, body: &Value) -> (StatusCode, Value) {
        self.send("POST", path, None, body).await
    }

    /// Posts as somebody.
    pub(crate) async fn act(&self, bearer: &str, path: &str, body: &Value) -> (StatusCode, Value) {
        self.send("POST", path, Some(bearer), body).await
    }

    /// An invitation's token, from the command line.
    pub(crate) async fn invite(&self, email: &str, role: &str) -> String {
        let app = &self.app;
        let now = app.clock.now();
        people::invite_from_command_line(&app.pool, now, &app.ids, email, role)
            .await
            .unwrap()
            .token
    }

    /// The first half of accepting.
    pub(crate) async fn accept(&self, token: &str, name: &str) -> (StatusCode, Value) {
        let body = json!({ "token": token, "name": name, "password": PASSWORD });
        self.post("/api/v1/invitations/accept", &body).await
    }

    /// The second half, with the code of now.
    pub(crate) async fn confirm(&self, token: &str, secret: &str) -> (StatusCode, Value) {
        let body = json!({ "token": token, "totp": self.code(secret) });
        self.post("/api/v1/invitations/confirm", &body).await
    }

    /// A person, invited with this token.
    pub(crate) async fn enrol_with(&self, token: &str, name: &str) -> Person {
        let (status, accepted) = self.accept(token, name).await;
        assert_eq!(status, StatusCode::OK, "{accepted}");
        let secret = accepted["totp_secret"].as_str().unwrap().to_owned();
        let (status, session) = self.confirm(token, &secret).await;
        assert_eq!(status, StatusCode::CREATED, "{session}");
        person(&session, secret)
    }

    /// A person, invited from the command line.
    pub(crate) async fn enrol(&self, name: &str, role: &str) -> Person {
        let email = format!("{}@example.com", name.to_lowercase());
        let token = self.invite(&email, role).await;
        self.enrol_with(&token, name).await
    }

    /// What the person's app shows.
    pub(crate) fn code(&self, secret: &str) -> String {
        let totp = Builder::new()
            .with_secret(Secret::try_from_base32(secret).unwrap())
            .build()
            .unwrap();
        let seconds = self.now().timestamp().try_into().unwrap();
        totp.generate(seconds).to_string()
    }

    pub(crate) async fn sign_in(
        &self,
        who: &str,
        password: &str,
        code: &str,
    ) -> (StatusCode, Value) {
        let body = json!({ "name": who, "password": password, "totp": code });
        self.post("/api/v1/sessions", &body).await
    }

    /// A right sign-in, with the code of now.
    pub(crate) async fn sign_in_rightly(&self, person: &Person) -> (StatusCode, Value) {
        let code = self.code(&person.secret);
        self.sign_in(&person.name, PASSWORD, &code).await
    }

    pub(crate) async fn refresh(&self, token: &str) -> (StatusCode, Value) {
        let body = json!({ "refresh_token": token });
        self.post("/api/v1/sessions/refresh", &body).await
    }

    pub(crate) fn now(&self) -> DateTime<Utc> {
        self.app.clock.now()
    }

    pub(crate) fn later(&self, seconds: i64) {
        self.time.advance(chrono::TimeDelta::seconds(seconds));
    }

    /// One number from the database.
    pub(crate) async fn count(&self, sql: &'static str) -> i64 {
        store::testing::number(&self.owner, sql).await.unwrap()
    }

    /// One text from the database.
    pub(crate) async fn text(&self, sql: &'static str) -> String {
        store::testing::text(&self.owner, sql).await.unwrap()
    }

    /// Changes rows behind everybody's back.
    pub(crate) async fn tamper(&self, sql: &str) {
        store::testing::change(&self.owner, sql).await.unwrap();
    }
}

/// The person of an answer that signs somebody in.
pub(crate) fn person(session: &Value, secret: String) -> Person {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    Person {
        id: text(&session["operator"]["id"]),
        name: text(&session["operator"]["name"]),
        secret,
        bearer: text(&session["access_token"]),
        refresh: text(&session["refresh_token"]),
    }
}
