//! The driver's only way to the system: HTTP to the backend as farmers and operators, and to the
//! sandbox's control API. An answer that did not come is asked for again within a bound, because
//! under chaos a backend is away for a second; a refusal is an error at once.
//! Used by every stage.

use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use chrono::{DateTime, Utc};
use runtime::http::Client;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// How long a request is repeated while its server is away.
const AWAY_SECONDS_MAX: u64 = 90;
/// Pause between repeats.
const AWAY_PAUSE: Duration = Duration::from_millis(100);
/// A gateway drops a hop that is not answered in this time.
const HOP_SECONDS_MAX: u64 = 10;

/// Who asks.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Operator {
    /// Approves first, reads reports, refines wards.
    Maker,
    /// Approves second.
    Checker,
}

/// What the backend has to do and when.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Idle {
    /// The backend's instant.
    pub(crate) at: DateTime<Utc>,
    /// Nothing is due.
    #[serde(rename = "idle")]
    pub(crate) is_quiet: bool,
    /// What is due, by name.
    #[serde(default)]
    pub(crate) work_now: Value,
    /// When something that should not wait is due next.
    #[serde(default)]
    pub(crate) next_urgent: Option<DateTime<Utc>>,
}

/// What the sandbox will do and when.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct NextDue {
    /// Earliest scheduled event.
    pub(crate) next_due: Option<DateTime<Utc>>,
    /// Events due and not finished.
    pub(crate) overdue: u64,
}

/// An answer as it came.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Value,
}

/// The two servers and who we are to them.
#[derive(Debug)]
pub(crate) struct Net {
    http: Client,
    backend: String,
    sandbox: String,
    ussd: String,
    maker: String,
    checker: String,
}

impl Net {
    pub(crate) fn new(args: &super::SeasonArgs) -> anyhow::Result<Self> {
        let mut tokens = args
            .operator_tokens
            .iter()
            .map(|token| token.trim().to_owned());
        let (Some(maker), Some(checker)) = (tokens.next(), tokens.next()) else {
            bail!("two operators are needed: give --operator-token twice, or OPERATOR_TOKENS=a,b");
        };
        let backend = args.backend.trim_end_matches('/').to_owned();
        let ussd = match args.at_callback_token.as_str() {
            "" => format!("{backend}/api/ussd"),
            token => format!("{backend}/api/ussd/{token}"),
        };
        Self::between(&backend, &args.sandbox, ussd, (maker, checker))
    }

    /// The way between two roots, as these two operators.
    pub(crate) fn between(
        backend: &str,
        sandbox: &str,
        ussd: String,
        (maker, checker): (String, String),
    ) -> anyhow::Result<Self> {
        Ok(Self {
            http: runtime::http::client()?,
            ussd,
            backend: backend.trim_end_matches('/').to_owned(),
            sandbox: sandbox.trim_end_matches('/').to_owned(),
            maker,
            checker,
        })
    }

    /// Posts one hop in the gateway's form; the error says how the network failed.
    pub(crate) async fn hop(&self, form: &[(&str, &str)]) -> Result<String, String> {
        let answer = self
            .http
            .post(&self.ussd)
            .timeout(Duration::from_secs(HOP_SECONDS_MAX))
            .form(form)
            .send()
            .await
            .map_err(|_| "no answer".to_owned())?;
        let status = answer.status().as_u16();
        let body = answer
            .text()
            .await
            .map_err(|_| "the answer broke off".to_owned())?;
        if status == 200 {
            Ok(body)
        } else {
            Err(format!("http {status}"))
        }
    }

    /// What is due in the backend; a backend that is away is an error, not waited for.
    pub(crate) async fn idle(&self) -> anyhow::Result<Idle> {
        let url = format!("{}/internal/idle", self.backend);
        let answer = self.http.get(&url).send().await?;
        let status = answer.status();
        let body = answer.text().await?;
        if !status.is_success() {
            bail!("GET /internal/idle: {status}: {body}");
        }
        serde_json::from_str(&body).context("GET /internal/idle")
    }

    /// What is due in the sandbox.
    pub(crate) async fn next_due(&self) -> anyhow::Result<NextDue> {
        self.control("/control/next-due").await
    }

    /// Reads from the sandbox.
    pub(crate) async fn control<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<T> {
        let url = format!("{}{path}", self.sandbox);
        let answer = self.patiently(|| self.http.get(&url)).await?;
        decode(path, answer)
    }

    /// Reads a text from the sandbox.
    pub(crate) async fn read(&self, path: &str) -> anyhow::Result<String> {
        let url = format!("{}{path}", self.sandbox);
        let answer = self.http.get(&url).send().await?;
        let (status, body) = (answer.status(), answer.text().await?);
        if !status.is_success() {
            bail!("GET {path}: {status}: {body}");
        }
        Ok(body)
    }

    /// Asks something of the sandbox.
    pub(crate) async fn set(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        let url = format!("{}{path}", self.sandbox);
        let answer = self.patiently(|| self.http.post(&url).json(body)).await?;
        decode(path, answer)
    }

    /// Bytes the sandbox's gateway has under a content id.
    pub(crate) async fn pinned(&self, cid: &str) -> anyhow::Result<Vec<u8>> {
        let url = format!("{}/gateway/ipfs/{cid}", self.sandbox);
        let answer = self.http.get(&url).send().await?;
        let status = answer.status();
        if !status.is_success() {
            bail!("bundle {cid} is not at the gateway: {status}");
        }
        Ok(answer.bytes().await?.to_vec())
    }

    /// Reads as an operator.
    pub(crate) async fn ask<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<T> {
        let url = format!("{}{path}", self.backend);
        let answer = self
            .patiently(|| self.http.get(&url).bearer_auth(&self.maker))
            .await?;
        decode(path, answer)
    }

    /// Changes something as an operator; any answer but a server's failure is returned.
    pub(crate) async fn order(
        &self,
        operator: Operator,
        method: &str,
        path: &str,
        body: &Value,
    ) -> anyhow::Result<Answer> {
        let url = format!("{}{path}", self.backend);
        let token = match operator {
            Operator::Maker => &self.maker,
            Operator::Checker => &self.checker,
        };
        self.patiently(|| {
            let request = if method == "PUT" {
                self.http.put(&url)
            } else {
                self.http.post(&url)
            };
            request.bearer_auth(token).json(body)
        })
        .await
    }

    /// Sends a request, again and again while its server is away or overloaded.
    async fn patiently<R>(&self, request: R) -> anyhow::Result<Answer>
    where
        R: Fn() -> reqwest::RequestBuilder,
    {
        let began = Instant::now();
        loop {
            let trouble = match request().send().await {
                Err(error) => error.without_url().to_string(),
                Ok(answer) => {
                    let status = answer.status();
                    match answer.text().await {
                        Err(error) => error.without_url().to_string(),
                        Ok(text) if status.is_server_error() || status.as_u16() == 429 => {
                            format!("{status}: {text}")
                        }
                        Ok(text) => {
                            let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
                            return Ok(Answer {
                                status: status.as_u16(),
                                body,
                            });
                        }
                    }
                }
            };
            if began.elapsed() > Duration::from_secs(AWAY_SECONDS_MAX) {
                bail!("still failing after {AWAY_SECONDS_MAX} s: {trouble}");
            }
            tokio::time::sleep(AWAY_PAUSE).await;
        }
    }
}

fn decode<T: DeserializeOwned>(path: &str, answer: Answer) -> anyhow::Result<T> {
    if answer.status != 200 {
        bail!("{path}: {}: {}", answer.status, answer.body);
    }
    serde_json::from_value(answer.body).with_context(|| format!("cannot read the answer of {path}"))
}
