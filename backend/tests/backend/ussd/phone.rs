//! A pretend gateway with phones: sends the form Africa's Talking sends, checks the rule of the
//! channel on every answer, and reads what was stored.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode, header};
use backend::app::{App, Parts, build};
use backend::{Config, migrate};
use chrono::{DateTime, TimeDelta, Utc};
use domain::ussd::{SCREEN_MAX, gsm7};
use runtime::clock::Clock;
use runtime::ids::Ids;
use runtime::lifecycle::Lifecycle;
use runtime::metrics::Metrics;
use runtime::redis::Redis;
use sqlx::PgPool;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use store::Pii;
use tower::ServiceExt;

/// Connections a test may hold.
const CONNECTIONS_MAX: u32 = 3;
/// An instant inside the sale window of the long rains.
pub(crate) const IN_SALE: &str = "2026-02-01T09:00:00Z";
/// Registers in Swahili, ward 0234, PIN 2580.
pub(crate) const REGISTER: &str = "2*Wanjiku Kamau*{id}*0234*1*1*2580*2580";
/// Adds a plot of maize in her own ward.
pub(crate) const ADD_PLOT: &str = "4*0.5*1*1503*1";
/// Buys the second cover for 3,000 shillings with the right answers and PIN 2580.
pub(crate) const BUY: &str = "1*2*1*1*2*1*2580";

/// The backend under test.
pub(crate) struct World {
    router: Router,
    /// The test's own, as the owner.
    pub(crate) pool: PgPool,
    /// The backend's.
    pub(crate) process: PgPool,
    pub(crate) clock: Clock,
    pub(crate) redis: Redis,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) pii: Pii,
}

/// What the gateway got back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) text: String,
}

impl World {
    pub(crate) async fn new(options: PgPoolOptions, connect: PgConnectOptions) -> Self {
        Self::with_flags(options, connect, &[]).await
    }

    pub(crate) async fn with_flags(
        options: PgPoolOptions,
        connect: PgConnectOptions,
        extra: &[&str],
    ) -> Self {
        let pool = options
            .max_connections(CONNECTIONS_MAX)
            .connect_with(connect)
            .await
            .unwrap();
        let (encryption, index) = ("ab".repeat(32), "cd".repeat(32));
        let mut flags = vec![
            "--encryption-key",
            &encryption,
            "--pii-index-key",
            &index,
            "--pin-pepper",
            "a pepper of at least thirty-two characters",
            "--at-callback-token",
            "",
            "--ussd-rate-per-second",
            "1000000",
            "--ussd-rate-burst",
            "1000000",
            "--ussd-phone-rate-burst",
            "1000000",
        ];
        for pair in extra.chunks(2) {
            match flags.iter().position(|flag| *flag == pair[0]) {
                Some(place) => flags[place + 1] = pair[1],
                None => flags.extend(pair),
            }
        }
        let config = Config::from_flags(flags).unwrap();
        let clock = Clock::held(IN_SALE.parse().unwrap());
        let (ids, lifecycle, metrics) =
            (Ids::system(), Lifecycle::new(), Metrics::build().unwrap());
        let documents = migrate::Documents::load(None).unwrap();
        migrate::run(&pool, clock.now(), &ids, &documents)
            .await
            .unwrap();
        let prefix = format!("test:{}:", ids.base32(12));
        let url = config.common.redis_url.expose().clone();
        let redis = Redis::open(&url, &prefix, lifecycle.clone(), metrics.clone()).unwrap();
        let pii = Pii::from_hex(&encryption, &index).unwrap();
        let process = store::testing::as_process(&pool);
        let app = App::new(Parts {
            pool: process.clone(),
            redis: redis.clone(),
            clock: clock.clone(),
            ids,
            pii: Arc::new(pii.clone()),
            metrics: metrics.clone(),
            lifecycle,
            config,
        });
        Self {
            router: build(app),
            pool,
            process,
            clock,
            redis,
            metrics,
            pii,
        }
    }

    pub(crate) fn advance(&self, by: TimeDelta) {
        self.clock.held_handle().unwrap().advance(by);
    }

    pub(crate) fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    /// Posts a body as it is.
    pub(crate) async fn post(&self, path: &str, body: impl Into<Body>) -> Answer {
        let request = Request::post(path)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(body.into())
            .unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let status = response.status();
        let bytes = to_bytes(response.into_body(), 64 * 1024).await.unwrap();
        Answer {
            status,
            text: String::from_utf8(bytes.to_vec()).unwrap(),
        }
    }

    /// One request of the gateway; every answer must keep the rule of the channel.
    pub(crate) async fn hop(&self, session: &str, phone: &str, text: &str) -> String {
        let form = [
            ("sessionId", session),
            ("serviceCode", "*384*57#"),
            ("phoneNumber", phone),
            ("text", text),
            ("networkCode", "63902"),
        ];
        let body = serde_urlencoded::to_string(form).unwrap();
        let answer = self.post("/api/ussd", body).await;
        assert_screen(&answer);
        // the session write is not waited for by the handler; a person is slower than it
        self.settle().await;
        answer.text
    }

    /// Waits until no session write is under way.
    pub(crate) async fn settle(&self) {
        self.redis.ping().await.unwrap();
    }

    /// A whole conversation, one hop an input, from the dial; every answer in order.
    pub(crate) async fn talk(&self, session: &str, phone: &str, inputs: &str) -> Vec<String> {
        let mut answers = vec![self.hop(session, phone, "").await];
        let mut text = String::new();
        for input in inputs.split('*').filter(|_| !inputs.is_empty()) {
            if !text.is_empty() {
                text.push('*');
            }
            text.push_str(input);
            answers.push(self.hop(session, phone, &text).await);
        }
        answers
    }

    /// The last answer of a conversation.
    pub(crate) async fn says(&self, session: &str, phone: &str, inputs: &str) -> String {
        self.talk(session, phone, inputs).await.pop().unwrap()
    }

    /// A registered farmer with one plot, spoken to in Swahili.
    pub(crate) async fn farmer(&self, phone: &str) {
        let id = phone.trim_start_matches("+2547");
        let register = REGISTER.replace("{id}", id);
        let said = self
            .says(
                &format!("R{phone}"),
                phone,
                &format!("{register}*{ADD_PLOT}"),
            )
            .await;
        assert!(said.starts_with("CON Shamba limehifadhiwa."), "{said}");
    }

    /// A number out of the database.
    pub(crate) async fn count(&self, sql: &'static str) -> i64 {
        store::testing::number(&self.pool, sql).await.unwrap()
    }

    /// Changes what no store function would.
    pub(crate) async fn change(&self, sql: &'static str) {
        store::testing::change(&self.pool, sql).await.unwrap();
    }

    /// Loses every session, as a flush of Redis would.
    pub(crate) async fn forget(&self, phone: &str) {
        let phone = domain::msisdn::Msisdn::parse(phone).unwrap();
        let index = data_encoding::HEXLOWER.encode(&self.pii.phone_index(&phone));
        self.redis.delete(&format!("ussd:{index}")).await.unwrap();
    }
}

/// The rule of the channel.
pub(crate) fn assert_screen(answer: &Answer) {
    let Answer { status, text } = answer;
    assert_eq!(*status, StatusCode::OK, "{text}");
    assert!(
        text.starts_with("CON ") || text.starts_with("END "),
        "{text:?}"
    );
    assert!(
        gsm7::length(text).is_some_and(|length| length <= SCREEN_MAX),
        "{text:?}"
    );
}
