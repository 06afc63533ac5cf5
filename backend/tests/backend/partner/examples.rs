//! The examples of the API's description, sent in their order to a real server: every request must
//! succeed, and every answer must have the form that is described and say what its example says, but
//! for what is drawn anew each time (ids, times, secrets). Must never leave an example out.

use std::collections::BTreeMap;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use backend::migrate::{self, Documents};
use backend::openapi::{document, examples};
use chrono::TimeDelta;
use serde_json::{Value, json};
use sqlx::PgPool;
use totp_rs::{Builder, Secret};

use super::house::{Answer, House};

/// What follows a season, as the contract's world has it: its ids stand in the examples.
const SEASON: &str = include_str!("../../../../tests/contract/world.sql");

/// Texts of the examples and what they are in this run.
#[derive(Default)]
struct Learned(BTreeMap<String, String>);

impl Learned {
    /// A text of an example in this run's words.
    fn here(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (example, here) in &self.0 {
            text = text.replace(example, here);
        }
        text
    }

    /// Holds an answer against its example, and learns what is drawn anew.
    fn hold(&mut self, place: &str, example: &Value, answer: &Value) {
        match (example, answer) {
            (Value::Object(wanted), Value::Object(got)) => {
                let names = |of: &serde_json::Map<String, Value>| -> Vec<String> {
                    of.keys().cloned().collect()
                };
                assert_eq!(names(wanted), names(got), "{place}");
                for (name, wanted) in wanted {
                    self.hold(&format!("{place}.{name}"), wanted, &got[name]);
                }
            }
            (Value::Array(wanted), Value::Array(got)) => {
                assert_eq!(wanted.len(), got.len(), "{place}: {answer}");
                for (wanted, got) in wanted.iter().zip(got) {
                    self.hold(&format!("{place}[]"), wanted, got);
                }
            }
            (Value::String(wanted), Value::String(got)) if is_drawn(place) => {
                self.0.insert(wanted.clone(), got.clone());
            }
            (Value::String(wanted), Value::String(_)) => {
                assert_eq!(json!(self.here(wanted)), *answer, "{place}");
            }
            _ => assert_eq!(example, answer, "{place}"),
        }
    }
}

/// Whether what stands here is drawn anew or is a time of this run.
fn is_drawn(place: &str) -> bool {
    let name = place.rsplit('.').next().unwrap_or_default();
    let drawn = [
        "id",
        "hint",
        "secret",
        "short_code",
        "token",
        "refresh_token",
        "access_token",
        "totp_secret",
        "otpauth_uri",
        "event_id",
        "delivery_id",
        "invitation",
        "version",
        "subject",
        "timestamp",
    ];
    drawn.contains(&name) || name.ends_with("_at")
}

/// The schema of an operation's successful answer, with everything it refers to.
fn schema_of(operation: &str, status: StatusCode) -> Option<Value> {
    let document = document();
    let paths = document["paths"].as_object().unwrap();
    let operations = paths
        .values()
        .flat_map(|item| item.as_object().unwrap().values());
    let found = operations
        .into_iter()
        .find(|o| o["operationId"] == operation)
        .unwrap_or_else(|| panic!("no operation is called {operation}"));
    let response = &found["responses"][status.as_str()];
    assert!(
        response.is_object(),
        "{operation} is not said to answer {status}"
    );
    let schema = response["content"]["application/json"].get("schema")?;
    Some(json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "allOf": [schema],
        "components": document["components"]
    }))
}

struct Sender<'a> {
    house: &'a House,
    bearers: BTreeMap<&'static str, String>,
    drawn: u32,
}

impl Sender<'_> {
    async fn send(&mut self, example: &Value, path: &str, body: &Value) -> Answer {
        self.drawn += 1;
        let mut request = Request::builder()
            .method(example["method"].as_str().unwrap())
            .uri(path)
            .header("content-type", "application/json")
            .header("idempotency-key", format!("example-{}", self.drawn));
        if let Some(bearer) = self.bearers.get(example["as"].as_str().unwrap()) {
            request = request.header("authorization", format!("Bearer {bearer}"));
        }
        if let Some(version) = example["if_match"].as_str() {
            request = request.header("if-match", version);
        }
        let body = match body {
            Value::Null => Body::empty(),
            body => Body::from(body.to_string()),
        };
        self.house.send(request.body(body).unwrap()).await
    }
}

/// The six digits of this moment.
fn code(house: &House, secret: &str) -> String {
    let totp = Builder::new()
        .with_secret(Secret::try_from_base32(secret).unwrap())
        .build()
        .unwrap();
    let seconds = house.app.clock.now().timestamp().try_into().unwrap();
    totp.generate(seconds).to_string()
}

#[sqlx::test(migrations = "../migrations")]
async fn every_example_is_what_the_server_takes_and_answers(pool: PgPool) {
    let house = House::new(pool).await;
    let documents = Documents::load(None).unwrap();
    let (app, now) = (&house.app, house.app.clock.now());
    migrate::run(&house.owner, now, &app.ids, &documents)
        .await
        .unwrap();
    let token = async |name: &str, role: &str| {
        backend::operator::issue_token(&app.pool, now, &app.ids, &app.config, name, role)
            .await
            .unwrap()
    };
    let bearers = BTreeMap::from([
        ("partner", house.partner("Contract").await.secret),
        ("administrator", token("Asha", "administrator").await),
        ("approver", token("Brian", "approver").await),
    ]);
    let mut sender = Sender {
        house: &house,
        bearers,
        drawn: 0,
    };
    let (mut learned, mut secret) = (Learned::default(), String::new());
    let mut sent = 0;
    for example in examples::all() {
        match example["as"].as_str().unwrap() {
            "season" => {
                house.change(SEASON).await;
                continue;
            }
            "invitation" => {
                let invite = json!({ "method": "POST", "as": "administrator" });
                let body = json!({ "email": "other@example.com", "role": "auditor" });
                let invited = sender
                    .send(&invite, "/api/v1/operator/invitations", &body)
                    .await;
                learned.0.insert(
                    example["invitation"].as_str().unwrap().to_owned(),
                    invited.member("invitation"),
                );
                continue;
            }
            _ => {}
        }
        let name = example["operation"].as_str().unwrap();
        let path = learned.here(example["path"].as_str().unwrap());
        let mut body: Value = match &example["request"] {
            Value::Null => Value::Null,
            request => serde_json::from_str(&learned.here(&request.to_string())).unwrap(),
        };
        if body["totp"].is_string() {
            // a code is good once: signing in needs that of the next half minute
            house.time.advance(TimeDelta::seconds(30));
            body["totp"] = json!(code(&house, &secret));
        }
        let answer = sender.send(&example, &path, &body).await;
        assert!(
            answer.status.is_success(),
            "{name}: {} {}",
            answer.status,
            answer.text()
        );
        sent += 1;
        let schema = schema_of(name, answer.status);
        assert_eq!(schema.is_some(), !answer.body.is_empty(), "{name}");
        if let Some(schema) = schema {
            let validator = jsonschema::validator_for(&schema).unwrap();
            let faults: Vec<String> = validator
                .iter_errors(&answer.json())
                .map(|fault| format!("{} at {}", fault, fault.instance_path()))
                .collect();
            assert!(faults.is_empty(), "{name}: {faults:?}");
            learned.hold(name, &example["response"], &answer.json());
        }
        if name == "invitations_accept" {
            secret = answer.member("totp_secret");
        }
        for more in example["again"].as_array().into_iter().flatten() {
            let body = serde_json::from_str(&learned.here(&more.to_string())).unwrap();
            let answer = sender.send(&example, &path, &body).await;
            assert!(answer.status.is_success(), "{name}: {}", answer.text());
        }
    }
    assert!(sent > 45, "{sent}");
}

#[test]
fn every_change_of_a_partner_has_an_example() {
    let all = examples::all();
    let document = document();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let name = &operation["operationId"];
            if method != "get" {
                assert!(
                    all.iter().any(|e| e["operation"] == *name),
                    "{method} {path}"
                );
            }
        }
    }
}
