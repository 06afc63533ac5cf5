//! A backend over an empty database, asked in process. Must hold no test.
//! Never leaves this machine. Run with the crate's tests.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Request, StatusCode};
use backend::app::{App, Parts, build};
use backend::{Config, webhooks};
use domain::msisdn::Msisdn;
use runtime::clock::{Clock, Held};
use runtime::ids::Ids;
use runtime::lifecycle::Lifecycle;
use runtime::metrics::Metrics;
use runtime::redis::Redis;
use serde_json::Value;
use sqlx::PgPool;
use store::Pii;
use tower::ServiceExt;

pub(crate) const TOKEN: &str = "a-callback-token-0123";

pub(crate) struct House {
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

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }
}

impl House {
    pub(crate) fn new(pool: PgPool) -> Self {
        Self::with(pool, &[])
    }

    pub(crate) fn with(pool: PgPool, flags: &[&str]) -> Self {
        let clock = Clock::held("2026-02-02T09:00:00Z".parse().unwrap());
        let time = clock.held_handle().unwrap();
        Self::over(pool, clock, time, flags)
    }

    /// The same on the machine's own time.
    pub(crate) fn in_real_time(pool: PgPool) -> Self {
        let held = Clock::held("2026-02-02T09:00:00Z".parse().unwrap());
        // asks every route once, and strangers share one ceiling
        let flags = ["--api-rate-burst", "10000"];
        Self::over(pool, Clock::System, held.held_handle().unwrap(), &flags)
    }

    fn over(pool: PgPool, clock: Clock, time: Held, flags: &[&str]) -> Self {
        let mut all = vec![
            "--at-callback-token",
            TOKEN,
            "--mpesa-callback-token",
            TOKEN,
            "--jwt-secret",
            "a-secret-of-more-than-32-characters",
            "--pin-pepper",
            "a-pepper-of-more-than-32-characters",
        ];
        all.extend(flags);
        let config = Config::from_flags(all).unwrap();
        let (lifecycle, metrics) = (Lifecycle::new(), Metrics::build().unwrap());
        let url = config.common.redis_url.expose().clone();
        let redis = Redis::open(&url, "surface:", lifecycle.clone(), metrics.clone()).unwrap();
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
        Self { app, time, router }
    }

    /// A request and its answer.
    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        let answer = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = answer.into_parts();
        let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
        Answer {
            status: parts.status,
            headers: parts.headers,
            body,
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(Request::get(path).body(Body::empty()).unwrap())
            .await
    }

    pub(crate) async fn post(&self, path: &str, body: impl Into<Body>) -> Answer {
        let form = "application/x-www-form-urlencoded";
        let request = Request::post(path).header("content-type", form);
        self.send(request.body(body.into()).unwrap()).await
    }

    /// A callback of Africa's Talking.
    pub(crate) async fn call_back(&self, kind: &str, body: &str) -> StatusCode {
        let path = format!("/api/webhooks/africastalking/{TOKEN}/{kind}");
        self.post(&path, body.to_owned()).await.status
    }

    /// One round of processing: callbacks done and postponed.
    pub(crate) async fn process(&self) -> (usize, usize) {
        let stepped = webhooks::process::step(&self.app).await.unwrap();
        (stepped.done, stepped.postponed)
    }

    pub(crate) async fn count(&self, sql: &'static str) -> i64 {
        store::testing::number(&self.app.pool, sql).await.unwrap()
    }

    pub(crate) async fn text(&self, sql: &'static str) -> String {
        store::testing::text(&self.app.pool, sql).await.unwrap()
    }

    /// A farmer with a text that the gateway took as `ATXid_1`.
    pub(crate) async fn texted(&self, phone: &str) {
        let phone_index = data_encoding::HEXLOWER
            .encode(&self.app.pii.phone_index(&Msisdn::parse(phone).unwrap()));
        let sql = format!(
            "insert into wards values ('0234', 'Karare', 'Saku', 'Marsabit', '887a5c5609fffff',
                                       'ward', '2026-01-01');
             insert into farmers (id, phone_index, phone_cipher, name_cipher, national_id_index,
                 national_id_cipher, language, ward_code, consent_version, consented_at, created_at)
             values (gen_random_uuid(), decode('{phone_index}', 'hex'), '', '', '', '', 'en', '0234',
                     '1', '2026-01-01', '2026-01-01');
             insert into sms (id, farmer_id, subject_id, kind, language, text_cipher, segments,
                 state, provider_id, attempts, created_at, sent_at)
             select gen_random_uuid(), id, id, 'registered', 'en', '', 1, 'sent', 'ATXid_1', 1,
                    \'2026-01-01', '2026-01-01' from farmers"
        );
        store::testing::change(&self.app.pool, sql).await.unwrap();
    }
}
