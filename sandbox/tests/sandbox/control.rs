//! The world as its users see it: the phone that dials, the control API, and a lost answer without
//! a network. No test here sleeps. Run by the test command like any other.

#![expect(clippy::unwrap_used, reason = "tests may fail loudly")]

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Form, State};
use axum::routing::post;
use chrono::{DateTime, TimeDelta, Utc};
use domain::msisdn::Msisdn;
use http::{Request, StatusCode};
use sandbox::{CallbackSink, Clock, Rates, Settings, World, router};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tower::ServiceExt;

type Forms = Arc<Mutex<Vec<HashMap<String, String>>>>;

struct Backend {
    url: String,
    hops: Forms,
    ended: Forms,
    _tasks: JoinSet<()>,
}

/// A product that asks for two inputs, answers nonsense to `9` and counts what it is sent.
async fn backend() -> Backend {
    async fn hop(
        State((hops, _)): State<(Forms, Forms)>,
        Form(form): Form<HashMap<String, String>>,
    ) -> String {
        let text = form.get("text").cloned().unwrap_or_default();
        hops.lock().unwrap().push(form);
        match text.as_str() {
            "1*2" => "END done".to_owned(),
            "9" => "no prefix".to_owned(),
            _ => format!("CON you typed {text}"),
        }
    }
    async fn ended(
        State((_, ended)): State<(Forms, Forms)>,
        Form(form): Form<HashMap<String, String>>,
    ) {
        ended.lock().unwrap().push(form);
    }
    let (hops, notices) = (Forms::default(), Forms::default());
    let app = Router::new()
        .route("/ussd", post(hop))
        .route("/ended", post(ended))
        .with_state((hops.clone(), notices.clone()));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let mut tasks = JoinSet::new();
    tasks.spawn(async move { axum::serve(listener, app).await.unwrap() });
    Backend {
        url,
        hops,
        ended: notices,
        _tasks: tasks,
    }
}

fn clock() -> Clock {
    Clock::held("2026-01-20T09:00:00Z".parse::<DateTime<Utc>>().unwrap())
}

async fn dialling_world() -> (Backend, World, Clock) {
    let backend = backend().await;
    let settings = Settings {
        ussd_url: format!("{}/ussd", backend.url),
        at_events_url: format!("{}/ended", backend.url),
        ..Settings::default()
    };
    let clock = clock();
    let sink = CallbackSink::Http(runtime::http::client().unwrap());
    let world = World::new(clock.clone(), settings, sink);
    (backend, world, clock)
}

fn phone() -> Msisdn {
    Msisdn::parse("0711000111").unwrap()
}

async fn call(world: &World, method: &str, path: &str, body: &str) -> (StatusCode, Value) {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("content-type", "application/json")
        .body(Body::from(body.to_owned()))
        .unwrap();
    let answer = router(world.clone()).oneshot(request).await.unwrap();
    let status = answer.status();
    let bytes = to_bytes(answer.into_body(), 1 << 20).await.unwrap();
    (
        status,
        serde_json::from_slice(&bytes).unwrap_or(Value::Null),
    )
}

#[tokio::test]
async fn a_conversation_joins_its_inputs_and_ends_with_a_notice() {
    let (backend, world, clock) = dialling_world().await;
    let body = json!({"msisdn": "0711000111", "inputs": ["1", "2", "never asked"]}).to_string();
    let (status, answer) = call(&world, "POST", "/control/dial", &body).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(answer["screen"], "END done");
    assert_eq!(answer["screens"].as_array().map(Vec::len), Some(3));
    let hops = backend.hops.lock().unwrap().clone();
    let texts: Vec<_> = hops.iter().map(|form| form["text"].as_str()).collect();
    assert_eq!(texts, ["", "1", "1*2"]);
    assert!(
        hops.iter()
            .all(|form| form["sessionId"] == hops[0]["sessionId"])
    );
    assert_eq!(hops[0]["phoneNumber"], "+254711000111");
    assert_eq!(hops[0]["serviceCode"], "*384*57#");

    clock.held_handle().unwrap().advance(TimeDelta::seconds(1));
    assert_eq!(world.step().await.delivered, 1);
    let ended = backend.ended.lock().unwrap().clone();
    assert_eq!(
        (ended[0]["status"].as_str(), ended[0]["hopsCount"].as_str()),
        ("Success", "3")
    );
}

#[tokio::test]
async fn a_bad_answer_ends_the_session_as_the_network_would() {
    let (_backend, world, _) = dialling_world().await;
    assert!(world.dial(&phone(), "").await.unwrap().is_open);
    let screen = world.dial(&phone(), "9").await.unwrap();
    assert_eq!((screen.screen, screen.is_open), (None, false));
    assert!(
        world.dial(&phone(), "1").await.is_err(),
        "the session is over"
    );
    let again = world.dial(&phone(), "").await.unwrap();
    assert_ne!(again.session_id, screen.session_id);
}

#[tokio::test]
async fn a_hop_posted_twice_reaches_the_product_twice() {
    let (backend, world, _) = dialling_world().await;
    world
        .set_faults(
            None,
            Rates {
                repeat_callback: 1.0,
                ..Rates::default()
            },
        )
        .unwrap();
    assert!(world.dial(&phone(), "").await.unwrap().is_open);
    assert_eq!(backend.hops.lock().unwrap().len(), 2);
    assert_eq!(world.counters().get("ussd_repeat_differs"), None);
    assert_eq!(world.counters()["repeats"], 1);
}

#[tokio::test]
async fn a_world_without_a_network_says_so() {
    let world = World::new(clock(), Settings::default(), CallbackSink::in_process());
    let (status, answer) = call(
        &world,
        "POST",
        "/control/dial",
        r#"{"msisdn":"0711000111"}"#,
    )
    .await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(answer["error"].as_str().unwrap().contains("no network"));
}

#[tokio::test]
async fn the_next_event_is_told_and_wallets_are_shown() {
    let clock = clock();
    let world = World::new(
        clock.clone(),
        Settings::default(),
        CallbackSink::in_process(),
    );
    let setup = r#"[{"msisdn":"0711000111","balance_kes":500,"stk":"pay"}]"#;
    assert_eq!(
        call(&world, "POST", "/control/phones", setup).await.0,
        StatusCode::OK
    );
    assert_eq!(
        call(&world, "GET", "/control/next-due", "").await.1,
        json!({"next_due": null, "overdue": 0})
    );
    let order = Request::builder()
        .method("POST")
        .uri("/swypt/api/onramp-orders")
        .header("x-api-key", "sandbox-swypt-key")
        .header("x-api-secret", "sandbox-swypt-secret")
        .body(Body::from(
            json!({"partyA": "254711000111", "amount": "250", "side": "onramp",
                   "userAddress": "0x1", "tokenAddress": "0x2"})
            .to_string(),
        ))
        .unwrap();
    let answer = router(world.clone()).oneshot(order).await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    let (_, due) = call(&world, "GET", "/control/next-due", "").await;
    assert!(due["next_due"].is_string() && due["overdue"] == 0, "{due}");
    clock.held_handle().unwrap().advance(TimeDelta::seconds(30));
    assert_eq!(
        call(&world, "GET", "/control/next-due", "").await.1["overdue"],
        1
    );
    assert_eq!(
        call(&world, "POST", "/control/step", "").await.1["fired"],
        1
    );
    let (_, wallets) = call(&world, "GET", "/control/wallets", "").await;
    assert_eq!(wallets["collected_minor"], 25_000);
    assert_eq!(wallets["phones"][0]["balance_minor"], 25_000);
    assert_eq!(wallets["book"][0]["kind"], "collect");
    let (_, phone) = call(&world, "GET", "/control/phones/254711000111", "").await;
    assert_eq!(phone["prompts"][0]["state"], "paid");
}

#[tokio::test]
async fn a_lost_answer_breaks_off_in_process_too() {
    let world = World::new(clock(), Settings::default(), CallbackSink::in_process());
    world
        .set_faults(
            Some(1),
            Rates {
                lost_reply: 1.0,
                ..Rates::default()
            },
        )
        .unwrap();
    let request = Request::builder()
        .uri("/gateway/ipfs/bafkreid7qoywk77r7rj3slobqfekdvs57qwuwh5d2z3sqsw52iabe3mqne")
        .body(Body::empty())
        .unwrap();
    let answer = router(world).oneshot(request).await.unwrap();
    assert!(to_bytes(answer.into_body(), 1_000).await.is_err());
}

#[test]
fn a_token_is_needed_for_the_backends_paths() {
    use clap::Parser;
    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        serve: sandbox::serve::ServeArgs,
    }
    let parse = |arguments: &[&str]| {
        Cli::parse_from(std::iter::once(&"x").chain(arguments))
            .serve
            .settings()
    };
    let bare = parse(&["--backend-url", "http://b/", "--at-callback-token", ""]);
    assert_eq!(
        (bare.ussd_url.as_str(), bare.at_delivery_url.as_str()),
        ("http://b/api/ussd", "")
    );
    let with = parse(&["--backend-url", "http://b", "--at-callback-token", "t"]);
    assert_eq!(with.ussd_url, "http://b/api/ussd/t");
    assert_eq!(
        with.at_events_url,
        "http://b/api/webhooks/africastalking/t/ussd-events"
    );
}
