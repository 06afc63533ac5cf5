//! A backend over a decided season whose payouts are planned. Must hold no test.
//! Never leaves this machine. Run with the crate's tests.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use backend::app::{App, Parts, build};
use backend::webhooks::process::{self, Stepped};
use domain::id::{EvaluationId, LegId, PayoutId};
use domain::money::Money;
use domain::payout::{PayoutState, next_check};
use domain::settle::{Observed, Outcome, settle};
use runtime::clock::{Clock, Held};
use runtime::ids::Ids;
use runtime::lifecycle::Lifecycle;
use runtime::metrics::Metrics;
use runtime::redis::Redis;
use serde_json::Value;
use sqlx::PgPool;
use store::evaluations::{self, Decision, EvaluationState};
use store::fixtures::{self, Plan, Season};
use store::legs::{self, NewLeg};
use store::payouts::{self, NewPayout};
use store::{Pii, Pooled};
use tower::ServiceExt;

pub(crate) const TOKEN: &str = "a-callback-token-0123";

pub(crate) struct House {
    pub(crate) app: App,
    pub(crate) season: Season,
    pub(crate) time: Held,
    pub(crate) evaluation: EvaluationId,
    pub(crate) payouts: Vec<PayoutId>,
    pub(crate) legs: Vec<LegId>,
    router: Router,
}

/// What each payout of the usual plan is: 63.32 % of KES 10,000.
pub(crate) const PAYOUT_KES: i64 = 6_332;

impl House {
    /// A decided season with one payout a policy, released or held.
    pub(crate) async fn new(pool: PgPool, state: EvaluationState) -> Self {
        let app = app(pool);
        let time = app.clock.held_handle().unwrap();
        let mut conn = app.acquire().await.unwrap();
        let plan = Plan::default();
        let season = fixtures::season(&mut conn, &app.pii, plan).await.unwrap();
        time.set(season.closes_at);
        let (evaluation, payouts, legs) = decide(&app, &mut conn, &season, &plan, state).await;
        drop(conn);
        let router = build(app.clone());
        Self {
            app,
            season,
            time,
            evaluation,
            payouts,
            legs,
            router,
        }
    }

    /// A connection.
    pub(crate) async fn conn(&self) -> Pooled {
        self.app.acquire().await.unwrap()
    }

    /// The first leg, given to the rail and acknowledged under this conversation, if any.
    pub(crate) async fn sent(&self, conversation: Option<&str>) -> (LegId, String) {
        let (mut conn, now) = (self.conn().await, self.app.clock.now());
        let leg = self.legs[0];
        legs::mark_sent(&mut conn, now, leg, next_check(now, 0))
            .await
            .unwrap();
        let (payout, row) = legs::lock(&mut conn, leg).await.unwrap().unwrap();
        payouts::refresh(&mut conn, now, &payout).await.unwrap();
        if let Some(conversation) = conversation {
            legs::record_acknowledgement(&mut conn, leg, conversation)
                .await
                .unwrap();
        }
        (leg, row.originator_id)
    }

    /// Posts a callback body to the real route.
    pub(crate) async fn call_back(&self, kind: &str, body: &Value) -> StatusCode {
        let path = format!("/api/webhooks/mpesa/{TOKEN}/{kind}");
        self.send("POST", &path, None, body.to_string()).await.0
    }

    /// One round of processing.
    pub(crate) async fn process(&self) -> Stepped {
        process::step(&self.app).await.unwrap()
    }

    /// A request, its status and its JSON.
    pub(crate) async fn send(
        &self,
        method: &str,
        path: &str,
        token: Option<&str>,
        body: String,
    ) -> (StatusCode, Value) {
        let mut request = Request::builder().method(method).uri(path);
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let request = request.body(Body::from(body)).unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let status = response.status();
        let bytes = axum::body::to_bytes(response.into_body(), 1 << 20)
            .await
            .unwrap();
        (
            status,
            serde_json::from_slice(&bytes).unwrap_or(Value::Null),
        )
    }

    /// A token for an operator of this name.
    pub(crate) async fn token(&self, name: &str, role: &str) -> String {
        let app = &self.app;
        backend::operator::issue_token(
            &app.pool,
            app.clock.now(),
            &app.ids,
            &app.config,
            name,
            role,
        )
        .await
        .unwrap()
    }

    /// One number from the database.
    pub(crate) async fn count(&self, sql: &'static str) -> i64 {
        store::testing::number(&self.app.pool, sql).await.unwrap()
    }

    /// One text from the database.
    pub(crate) async fn text(&self, sql: &'static str) -> String {
        store::testing::text(&self.app.pool, sql).await.unwrap()
    }

    /// Changes rows behind everybody's back.
    pub(crate) async fn tamper(&self, sql: &'static str) {
        store::testing::change(&self.app.pool, sql).await.unwrap();
    }

    /// The first leg's state.
    pub(crate) async fn leg_state(&self) -> String {
        let legs = legs::list(&mut *self.conn().await, self.payouts[0])
            .await
            .unwrap();
        legs[0].state.as_str().to_owned()
    }
}

fn app(pool: PgPool) -> App {
    let config = backend::Config::from_flags([
        "--jwt-secret",
        "0123456789abcdef0123456789abcdef",
        "--jwt-expires-in",
        "12h",
        "--mpesa-callback-token",
        TOKEN,
        "--webhook-rate-per-second",
        "1000",
    ])
    .unwrap();
    let (lifecycle, metrics) = (Lifecycle::new(), Metrics::build().unwrap());
    // nothing here speaks to Redis: it connects when it is first asked
    let redis = Redis::open(
        "redis://127.0.0.1:1",
        "",
        lifecycle.clone(),
        metrics.clone(),
    )
    .unwrap();
    App::new(Parts {
        pool,
        redis,
        clock: Clock::held("2026-02-01T09:00:00Z".parse().unwrap()),
        ids: Ids::seeded(5),
        pii: Arc::new(Pii::from_hex(&"1f".repeat(32), &"2e".repeat(32)).unwrap()),
        metrics,
        lifecycle,
        config,
    })
}

async fn decide(
    app: &App,
    conn: &mut Pooled,
    season: &Season,
    plan: &Plan,
    state: EvaluationState,
) -> (EvaluationId, Vec<PayoutId>, Vec<LegId>) {
    let now = app.clock.now();
    let product = &season.version.product;
    let observed: Observed = serde_json::from_value(serde_json::json!({
        "phases": [{ "phase": "season", "rain_um": plan.rain_um, "missing_days": 0 }],
        "vegetation_bp": null, "stations": 2, "confidence": 95,
    }))
    .unwrap();
    let Ok(Outcome::Settled(settlement)) = settle(product, &product.zones[0], &observed) else {
        panic!("the season does not settle");
    };
    let held = state == EvaluationState::Held;
    let holds = if held {
        vec![domain::settle::HoldReason::AboveLimit]
    } else {
        Vec::new()
    };
    let amount = Money::kes(PAYOUT_KES).unwrap();
    let decision = Decision {
        id: app.ids.mint(now),
        risk_id: season.risk_id,
        index_run_id: season.run_id,
        observed: &observed,
        settlement: &settlement,
        holds: &holds,
        policies: 3,
        total: Money {
            minor: amount.minor * 3,
            ..amount
        },
        state,
        cid: "bafk",
        short_code: "SHORTCOD",
        bundle: b"{}",
    };
    assert!(evaluations::record(conn, now, &decision).await.unwrap());
    let (mut made, mut parts) = (Vec::new(), Vec::new());
    for policy_id in &season.policies {
        let payout_state = if held {
            PayoutState::Held
        } else {
            PayoutState::Approved
        };
        let payout = NewPayout {
            id: app.ids.mint(now),
            policy_id: *policy_id,
            evaluation_id: decision.id,
            amount,
            state: payout_state,
        };
        assert!(payouts::plan(conn, now, &payout).await.unwrap());
        let leg = app.ids.mint(now);
        let originator_id = format!("MC{}", app.ids.base32(18));
        let new = NewLeg {
            id: leg,
            payout_id: payout.id,
            leg: 1,
            attempt: 1,
            originator_id: &originator_id,
            amount,
        };
        legs::plan(conn, now, &new).await.unwrap();
        made.push(payout.id);
        parts.push(leg);
    }
    evaluations::settle_policies(conn, now, &season.policies)
        .await
        .unwrap();
    evaluations::mark_fanned_out(conn, now, decision.id)
        .await
        .unwrap();
    (decision.id, made, parts)
}
