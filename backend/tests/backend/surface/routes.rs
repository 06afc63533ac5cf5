//! The table of routes keeps its word, whatever is asked; ceilings answer as their class does; and
//! nothing of a request but its template is counted.

use std::path::Path;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use backend::routes::{Auth, Limit, table};
use sqlx::PgPool;

use super::house::{House, TOKEN};

/// The only routes that anybody may call.
const PUBLIC: [&str; 16] = [
    "/api/ussd", // outside production, where no token is configured
    "/api/version",
    // the API's own description
    "/api/openapi.json",
    "/api/docs",
    "/api/docs/",
    "/api/docs/{file}",
    "/health/live",
    "/health/ready",
    "/health/db",
    "/health/redis",
    "/health/rabbitmq",
    // who has no bearer token yet: they show a password and a code, or a secret token
    "/api/v1/sessions",
    "/api/v1/sessions/refresh",
    "/api/v1/sessions/sign-out",
    "/api/v1/invitations/accept",
    "/api/v1/invitations/confirm",
];

#[sqlx::test(migrations = "../migrations")]
async fn every_route_checks_what_its_row_says(pool: PgPool) {
    let house = House::in_real_time(pool);
    let routes = table();
    assert!(routes.len() >= 14, "{routes:?}");
    for route in routes {
        let path = route.path.replace(['{', '}'], "");
        let request = Request::builder().method(route.method).uri(&path);
        let answer = house.send(request.body(Body::from("{}")).unwrap()).await;
        match route.auth {
            Auth::Public => assert!(PUBLIC.contains(&route.path), "{route:?} is open"),
            Auth::PathToken | Auth::ManualClock => {
                assert_eq!(answer.status, StatusCode::NOT_FOUND, "{route:?}");
            }
            Auth::Operator | Auth::Partner(_) => {
                assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{route:?}");
            }
        }
        let expected = match route.path {
            path if path.starts_with("/api/ussd") => Limit::Ussd,
            path if path.starts_with("/api/webhooks/") => Limit::Webhook,
            path if path.starts_with("/api/") => Limit::Api,
            _ => Limit::None,
        };
        assert_eq!(route.limit, expected, "{route:?}");
    }
}

/// A route made anywhere else would be outside the table.
#[test]
fn routes_are_made_in_one_place() {
    fn files(folder: &Path, found: &mut Vec<std::path::PathBuf>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                files(&path, found);
            } else {
                found.push(path);
            }
        }
    }
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    files(&source, &mut found);
    let makers: Vec<_> = found
        .into_iter()
        .filter(|path| {
            let text = std::fs::read_to_string(path).unwrap();
            [".route(", ".nest(", ".merge(", ".route_service("]
                .iter()
                .any(|call| text.contains(call))
        })
        .collect();
    assert_eq!(makers, [source.join("app.rs")]);
}

#[sqlx::test(migrations = "../migrations")]
async fn above_its_ceiling_a_credential_hears_429_and_others_do_not(pool: PgPool) {
    let flags = ["--api-rate-per-second", "1", "--api-rate-burst", "2"];
    let house = House::with(pool, &flags);
    let ask_at = async |path: &str, key: &str| {
        let request = Request::get(path).header("authorization", key);
        house.send(request.body(Body::empty()).unwrap()).await
    };
    let ask = async |key: &str| ask_at("/api/v1/operator/me", key).await;
    assert_eq!(ask("Bearer a").await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(ask("Bearer a").await.status, StatusCode::UNAUTHORIZED);
    let busy = ask("Bearer a").await;
    assert_eq!(busy.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(busy.json()["code"], "too_many_requests");
    assert_eq!(busy.header("content-type"), "application/problem+json");
    assert!(!busy.header("retry-after").is_empty());
    assert_eq!(ask("Bearer b").await.status, StatusCode::UNAUTHORIZED);
    // where none is needed, inventing one buys nothing
    for (key, expected) in [("Bearer c", 200), ("Bearer d", 200), ("Bearer e", 429)] {
        let status = ask_at("/api/version", key).await.status;
        assert_eq!(status.as_u16(), expected, "{key}");
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn above_its_ceiling_ussd_hears_a_screen(pool: PgPool) {
    let flags = ["--ussd-rate-per-second", "1", "--ussd-rate-burst", "1"];
    let house = House::with(pool, &flags);
    let path = format!("/api/ussd/{TOKEN}");
    let form = "sessionId=S1&phoneNumber=%2B254712000001&serviceCode=%2A1%23&text=";
    house.post(&path, form).await;
    let busy = house.post(&path, form).await;
    assert_eq!(busy.status, StatusCode::OK);
    assert!(busy.text().starts_with("END "), "{}", busy.text());
}

#[sqlx::test(migrations = "../migrations")]
async fn a_stranger_is_slowed_down_and_a_known_provider_never_is(pool: PgPool) {
    let flags = [
        "--webhook-rate-per-second",
        "1",
        "--webhook-rate-burst",
        "2",
    ];
    let house = House::with(pool, &flags);
    let stranger = "/api/webhooks/africastalking/not-the-token/sms-delivery";
    let mut heard = Vec::new();
    for _ in 0..3 {
        heard.push(
            house
                .post(stranger, "id=a&status=Success")
                .await
                .status
                .as_u16(),
        );
    }
    assert_eq!(heard, [404, 404, 429]);
    for number in 0..20 {
        let body = format!("id=ATXid_{number}&status=Success");
        assert_eq!(house.call_back("sms-delivery", &body).await, StatusCode::OK);
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn errors_carry_a_code_and_an_id_and_metrics_carry_no_token(pool: PgPool) {
    let house = House::new(pool);
    let request = Request::get("/api/nothing").header("x-request-id", "mine-1");
    let missing = house.send(request.body(Body::empty()).unwrap()).await;
    assert_eq!(missing.status, StatusCode::NOT_FOUND);
    assert_eq!(missing.json()["code"], "not_found");
    assert_eq!(missing.header("x-request-id"), "mine-1");
    let wild = Request::get("/api/version").header("x-request-id", "a b\u{7f}".as_bytes());
    let wild = wild.body(Body::empty());
    if let Ok(wild) = wild {
        assert_ne!(house.send(wild).await.header("x-request-id"), "a b");
    }
    house.call_back("sms-delivery", "id=a&status=Success").await;
    let metrics = house.app.metrics.render();
    assert!(metrics.contains(r#"path="/api/webhooks/africastalking/{token}/{kind}",status="200""#));
    assert!(metrics.contains("http_request_duration_seconds_bucket"));
    assert!(!metrics.contains(TOKEN));
}

#[sqlx::test(migrations = "../migrations")]
async fn health_names_the_server_that_is_away(pool: PgPool) {
    let house = House::new(pool.clone());
    for path in [
        "/health/live",
        "/health/ready",
        "/health/db",
        "/health/redis",
    ] {
        assert_eq!(house.get(path).await.status, StatusCode::OK, "{path}");
    }
    pool.close().await;
    assert_eq!(house.get("/health/live").await.status, StatusCode::OK);
    for path in ["/health/ready", "/health/db"] {
        assert_eq!(
            house.get(path).await.status,
            StatusCode::SERVICE_UNAVAILABLE,
            "{path}"
        );
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn a_stored_callback_is_work_and_an_empty_house_is_idle(pool: PgPool) {
    let house = House::new(pool);
    let idle = house.get("/internal/idle").await.json();
    assert_eq!(
        (&idle["idle"], &idle["next_urgent"]),
        (&true.into(), &serde_json::Value::Null)
    );
    house
        .call_back("sms-opt-out", "senderId=M&phoneNumber=%2B254711000111")
        .await;
    let busy = house.get("/internal/idle").await.json();
    assert_eq!(
        (&busy["idle"], &busy["work_now"]["provider_events"]),
        (&false.into(), &1.into())
    );
    assert_eq!(house.process().await, (1, 0));
    assert_eq!(house.get("/internal/idle").await.json()["idle"], true);
}
