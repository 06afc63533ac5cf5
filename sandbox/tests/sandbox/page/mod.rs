//! The page's routes as a browser uses them: phones that dial and pay, a clock that is played and
//! paused, the weather, and what the page may tell. The product behind it is a pretended one.
//! No test here sleeps. Run by the test command like any other.

#![expect(clippy::unwrap_used, reason = "tests may fail loudly")]

mod town;

use std::sync::atomic::Ordering;

use axum::body::Body;
use chrono::{DateTime, Utc};
use http::{Request, StatusCode, header};
use sandbox::page::Played;
use serde_json::{Value, json};

use town::{START, town};

#[tokio::test]
async fn every_file_the_document_names_is_served_and_none_comes_from_elsewhere() {
    let town = town(false).await;
    let (status, headers, bytes) = town.get("/").await;
    assert_eq!(status, StatusCode::OK);
    let policy = headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
    assert!(policy.starts_with("default-src 'none'") && !policy.contains("http"));
    let document = String::from_utf8(bytes).unwrap();
    let mut named = 0;
    for part in document.split('"').filter(|part| part.starts_with('/')) {
        named += 1;
        let (status, headers, file) = town.get(part).await;
        assert_eq!(status, StatusCode::OK, "{part}");
        assert!(!file.is_empty() && headers.contains_key(header::CONTENT_TYPE));
    }
    assert!(named >= 5, "{named}");
    let (status, _, _) = town.get("/page/assets/NOTICE").await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert!(document.contains("geoBoundaries") && document.contains("CC BY 4.0"));
    let (_, _, land) = town.get("/page/assets/kenya.geojson").await;
    assert!(land.len() < 150 * 1_024);
    let land: Value = serde_json::from_slice(&land).unwrap();
    assert_eq!(land["features"].as_array().unwrap().len(), 47);
}

#[tokio::test]
async fn a_phone_dials_answers_and_hangs_up() {
    let town = town(false).await;
    let (status, wrong) = town.phone("dial", &json!({"code": "*100#"})).await;
    assert_eq!((status, &wrong["open"]), (StatusCode::OK, &json!(false)));
    assert!(wrong["error"].as_str().unwrap().contains("MMI code"));
    let (_, first) = town.phone("dial", &json!({"code": "*384*57#"})).await;
    assert_eq!(first["text"], "Welcome\n1. Go on");
    assert_eq!(first["open"], true);
    // a page that is loaded anew finds its call again
    assert_eq!(
        town.state().await["phones"][0]["screen"],
        "Welcome\n1. Go on"
    );
    let (status, _) = town.phone("input", &json!({"text": "1*2"})).await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "the gateway joins by *");
    let (_, last) = town.phone("input", &json!({"text": "1"})).await;
    assert_eq!(
        (&last["text"], &last["open"]),
        (&json!("Goodbye"), &json!(false))
    );
    let (status, _) = town.phone("input", &json!({"text": "1"})).await;
    assert_eq!(status, StatusCode::CONFLICT, "no session is open");

    town.phone("dial", &json!({"code": "*384*57#"})).await;
    let (_, ended) = town.phone("hangup", &json!({})).await;
    assert_eq!(ended["ended"], true);
    let (_, ended) = town.phone("hangup", &json!({})).await;
    assert_eq!(ended["ended"], false);
    let (status, _) = town
        .post(
            "/page/phones/254799999999/dial",
            &json!({"code": "*384*57#"}),
        )
        .await;
    assert_eq!(status, StatusCode::NOT_FOUND, "only the page's own phones");
}

#[tokio::test]
async fn a_prompt_waits_for_its_owner_who_pays_once_or_refuses() {
    let town = town(false).await;
    let order = town.ring(844).await;
    town.world.step().await;
    let shown = town.state().await["phones"][0].clone();
    assert_eq!(shown["prompt"]["amount_minor"], 84_400);
    assert_eq!(town.world.totals(), (0, 0), "nobody pays by itself");
    for pin in ["12", "abcd", "12345"] {
        let (status, _) = town
            .phone("prompt", &json!({"order_id": order, "pin": pin}))
            .await;
        assert_eq!(status, StatusCode::BAD_REQUEST);
    }
    let paying = json!({"order_id": order, "pin": "1234"});
    let (_, paid) = town.phone("prompt", &paying).await;
    assert_eq!(paid["state"], "paid");
    let (status, _) = town.phone("prompt", &paying).await;
    assert_eq!(status, StatusCode::CONFLICT, "answered already");
    assert_eq!(town.world.totals(), (84_400, 0));
    let shown = town.state().await["phones"][0].clone();
    assert_eq!(shown["prompt"], Value::Null);
    assert_eq!(shown["balance_minor"], 500_000 - 84_400);

    let order = town.ring(900).await;
    let (_, refused) = town.phone("prompt", &json!({"order_id": order})).await;
    assert_eq!(refused["state"], "cancelled");
    let order = town.ring(9_999).await;
    let (_, short) = town
        .phone("prompt", &json!({"order_id": order, "pin": "1234"}))
        .await;
    assert_eq!(short["state"], "short");
    assert_eq!(town.world.totals(), (84_400, 0));
}

#[tokio::test]
async fn phones_are_added_until_the_page_is_full() {
    let town = town(false).await;
    for nth in 2..=6 {
        let (status, added) = town.post("/page/phones", &json!({})).await;
        assert_eq!(status, StatusCode::OK);
        assert_eq!(added["msisdn"], format!("25471200000{nth}"));
    }
    let (status, full) = town.post("/page/phones", &json!({})).await;
    assert_eq!(status, StatusCode::CONFLICT);
    assert!(full["error"].as_str().unwrap().contains("room for 6"));
    assert_eq!(town.state().await["phones"].as_array().unwrap().len(), 6);
}

#[tokio::test]
async fn the_season_plays_in_steps_and_pause_stops_it() {
    let town = town(true).await;
    town.product.0.is_insured.store(true, Ordering::SeqCst);
    assert_eq!(town.page.step().await, Played::Nothing, "paused at first");
    assert_eq!(town.world.now(), START.parse::<DateTime<Utc>>().unwrap());
    let (_, ordered) = town
        .post("/page/clock", &json!({"playing": true, "pace": "slow"}))
        .await;
    assert_eq!(ordered, json!({"playing": true, "pace": "slow"}));
    assert!(matches!(town.page.step().await, Played::Moved(_)));
    assert_eq!(town.world.now().to_rfc3339(), "2026-01-16T06:00:00+00:00");
    town.post("/page/clock", &json!({"pace": "fast"})).await;
    town.page.step().await;
    assert_eq!(town.world.now().to_rfc3339(), "2026-01-21T06:00:00+00:00");
    town.post("/page/clock", &json!({"playing": false})).await;
    assert_eq!(town.page.step().await, Played::Nothing);

    // whoever picks up a phone stops the season
    town.post("/page/clock", &json!({"playing": true})).await;
    town.phone("dial", &json!({"code": "*384*57#"})).await;
    assert_eq!(town.page.step().await, Played::Nothing);
    let clock = town.state().await["clock"].clone();
    assert_eq!(
        (&clock["playing"], &clock["note"]),
        (&json!(false), &json!("phone_in_use"))
    );
}

/// Begins a leg of play, does something after its first move, and gives the clock as it stands then.
async fn in_the_middle_of_a_leg(town: &town::Town, what: impl Future<Output = ()>) -> Value {
    let start: DateTime<Utc> = START.parse().unwrap();
    town.product.0.is_busy.store(true, Ordering::SeqCst);
    let gate = town.product.0.gate.write().await;
    let meanwhile = async {
        while town.world.now() == start {
            tokio::task::yield_now().await;
        }
        what.await;
        drop(gate);
    };
    let (played, ()) = tokio::join!(town.page.step(), meanwhile);
    assert!(matches!(played, Played::Moved(_)));
    town.state().await["clock"].clone()
}

#[tokio::test]
async fn a_leg_under_way_stops_where_it_is_for_pause_a_call_and_a_prompt() {
    let after_one_day = "2026-01-16T06:00:00+00:00";
    for what in ["pause", "dial", "prompt"] {
        let town = town(true).await;
        town.product.0.is_insured.store(true, Ordering::SeqCst);
        town.post("/page/clock", &json!({"playing": true, "pace": "steady"}))
            .await;
        let clock = in_the_middle_of_a_leg(&town, async {
            match what {
                "pause" => drop(town.post("/page/clock", &json!({"playing": false})).await),
                "dial" => drop(town.phone("dial", &json!({"code": "*384*57#"})).await),
                _ => drop(town.ring(844).await),
            }
        })
        .await;
        assert_eq!(town.world.now().to_rfc3339(), after_one_day, "{what}");
        let note = match what {
            "dial" => json!("phone_in_use"),
            _ => Value::Null,
        };
        assert_eq!(clock["note"], note, "{what}");
        assert_eq!(clock["playing"], json!(what == "prompt"), "{what}");
        let then = town.page.step().await;
        let stays = match what {
            "prompt" => Played::Waiting,
            _ => Played::Nothing,
        };
        assert_eq!(then, stays, "{what}");
    }
}

#[tokio::test]
async fn play_waits_for_an_open_prompt_and_its_answer_lets_a_minute_pass() {
    let town = town(true).await;
    let order = town.ring(844).await;
    town.post("/page/clock", &json!({"playing": true})).await;
    assert_eq!(town.page.step().await, Played::Waiting);
    assert_eq!(town.state().await["clock"]["note"], "prompt_open");
    town.post("/page/clock", &json!({"playing": false})).await;
    town.phone("prompt", &json!({"order_id": order, "pin": "1234"}))
        .await;
    assert!(matches!(town.page.step().await, Played::Moved(_)));
    assert_eq!(town.world.now().to_rfc3339(), "2026-01-15T06:01:10+00:00");
    assert_eq!(town.page.step().await, Played::Nothing, "and no longer");
}

#[tokio::test]
async fn without_a_policy_play_stops_on_the_last_day_of_sale() {
    let town = town(true).await;
    town.post("/page/clock", &json!({"playing": true, "pace": "fast"}))
        .await;
    for _ in 0..10 {
        town.page.step().await;
    }
    assert_eq!(town.world.now().to_rfc3339(), "2026-02-28T06:00:00+00:00");
    assert_eq!(town.state().await["clock"]["note"], "last_call");
}

#[tokio::test]
async fn the_weather_is_chosen_before_the_season_and_never_in_it() {
    let town = town(true).await;
    assert_eq!(
        town.state().await["sky"],
        json!({"scenario": "drought", "is_free": true})
    );
    let (status, _) = town
        .post("/page/weather", &json!({"scenario": "flood"}))
        .await;
    assert_eq!(status, StatusCode::OK);
    let (status, _) = town
        .post("/page/weather", &json!({"scenario": "snow"}))
        .await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    town.product.0.is_insured.store(true, Ordering::SeqCst);
    town.post("/page/clock", &json!({"playing": true, "pace": "fast"}))
        .await;
    for _ in 0..7 {
        town.page.step().await;
    }
    assert_eq!(town.world.now().to_rfc3339(), "2026-03-21T06:00:00+00:00");
    let (status, _) = town
        .post("/page/weather", &json!({"scenario": "good"}))
        .await;
    assert_eq!(status, StatusCode::CONFLICT);
    let state = town.state_when(|state| state["cells"] != json!([])).await;
    assert_eq!(state["sky"], json!({"scenario": "flood", "is_free": false}));

    let cell = &state["cells"][0];
    assert_eq!(cell["place"], "Kyangwithya");
    assert_eq!(cell["hexagon"].as_array().unwrap().len(), 6);
    assert_eq!(cell["dekads"].as_array().unwrap().len(), 3);
    assert!(cell["rain_um"].as_i64().unwrap() > 0);
    let told: Vec<&str> = state["events"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|line| line["text"].as_str())
        .collect();
    assert!(
        told.iter()
            .any(|text| text.starts_with("Kyangwithya, 1 to 10 March: ")),
        "{told:?}"
    );
}

#[tokio::test]
async fn two_operators_release_what_is_held_and_play_waits_for_them() {
    let town = town(true).await;
    town.product.0.is_held.store(true, Ordering::SeqCst);
    town.post("/page/clock", &json!({"playing": true})).await;
    town.page.step().await;
    let state = town.state().await;
    assert_eq!(state["clock"]["note"], "held");
    assert_eq!(state["held"][0]["evaluation"], "eva_1");
    let path = "/page/releases/eva_1/approve";
    let (status, _) = town.post(path, &json!({"operator": "first"})).await;
    assert_eq!(status, StatusCode::OK);
    let (status, refused) = town.post(path, &json!({"operator": "first"})).await;
    assert_eq!(
        status,
        StatusCode::CONFLICT,
        "the product refuses one person twice"
    );
    assert_eq!(refused["error"], "another operator must confirm it");
    let (status, _) = town.post(path, &json!({"operator": "second"})).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(
        *town.product.0.approvals.lock().unwrap(),
        ["Bearer maker-token", "Bearer checker-token"]
    );
    let (status, _) = town
        .post(
            "/page/releases/a%2F..%2Fb/approve",
            &json!({"operator": "first"}),
        )
        .await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn no_secret_reaches_the_page_and_no_other_site_can_order_it_about() {
    let town = town(true).await;
    let state = town.state().await.to_string();
    assert_eq!(
        *town.product.0.tokens.lock().unwrap(),
        ["Bearer maker-token"]
    );
    assert!(!state.contains("token") && !state.contains("sandbox-"));
    for path in ["/page/phones", "/page/clock", "/page/weather"] {
        // what a form on another site can send
        let request = Request::builder()
            .method("POST")
            .uri(path)
            .header("content-type", "text/plain")
            .body(Body::from("{}"))
            .unwrap();
        let (status, _, _) = town.ask(request).await;
        assert_eq!(status, StatusCode::UNSUPPORTED_MEDIA_TYPE, "{path}");
    }
}

#[tokio::test]
async fn on_real_time_the_page_serves_and_its_clock_cannot_be_played() {
    let town = town(false).await;
    assert_eq!(town.state().await["clock"]["is_manual"], false);
    let (status, _) = town.post("/page/clock", &json!({"playing": true})).await;
    assert_eq!(status, StatusCode::CONFLICT);
    assert_eq!(town.page.step().await, Played::Nothing);
}
