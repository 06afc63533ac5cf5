//! The API's description as a stranger finds it: the document, and a page that loads nothing from
//! another host. Run with the crate's tests.

use axum::body::Body;
use axum::http::{Request, StatusCode};
use sqlx::PgPool;

use super::house::House;

#[sqlx::test(migrations = "../migrations")]
async fn the_document_is_the_committed_one(pool: PgPool) {
    let house = House::new(pool);
    let answer = house.get("/api/openapi.json").await;
    assert_eq!(answer.status, StatusCode::OK);
    let document = answer.json();
    assert_eq!(document["openapi"], "3.1.0");
    let committed = include_str!("../../../../docs/openapi.json");
    let committed: serde_json::Value = serde_json::from_str(committed).unwrap();
    assert!(document == committed, "run `cargo xtask docs`");
}

#[sqlx::test(migrations = "../migrations")]
async fn the_page_loads_from_here_alone(pool: PgPool) {
    let house = House::new(pool);
    let moved = house.get("/api/docs").await;
    assert_eq!(moved.header("location"), "/api/docs/");
    let page = house.get("/api/docs/").await;
    assert_eq!(page.status, StatusCode::OK);
    assert_eq!(page.header("content-type"), "text/html");
    let policy = page.header("content-security-policy");
    assert!(
        policy.starts_with("default-src 'none'; script-src 'self'"),
        "{policy}"
    );
    assert!(!policy.contains("http"), "{policy}");
    let text = page.text();
    let mut parts = 0;
    for mark in ["src=\"", "href=\""] {
        for (_, rest) in text
            .match_indices(mark)
            .map(|(at, _)| text.split_at(at + mark.len()))
        {
            let name = rest.split('"').next().unwrap();
            assert!(!name.contains("//"), "{name}");
            let path = format!("/api/docs/{}", name.trim_start_matches("./"));
            let head = Request::head(&path).body(Body::empty()).unwrap();
            assert_eq!(house.send(head).await.status, StatusCode::OK, "{path}");
            parts += 1;
        }
    }
    assert!(parts >= 5, "{text}");
    let settings = house.get("/api/docs/swagger-initializer.js").await;
    assert!(settings.text().contains("/api/openapi.json"));
    assert!(settings.text().contains(r#""validatorUrl": "none""#));
    assert!(!settings.text().contains("http"), "{}", settings.text());
    let nothing = house.get("/api/docs/nothing.js").await;
    assert_eq!(nothing.json()["code"], "not_found");
}

#[sqlx::test(migrations = "../migrations")]
async fn what_layers_refuse_is_a_problem_like_any_other(pool: PgPool) {
    let house = House::new(pool);
    for (method, path, status, code) in [
        (
            "PATCH",
            "/api/version",
            StatusCode::METHOD_NOT_ALLOWED,
            "method_not_allowed",
        ),
        (
            "TRACE",
            "/api/v1/sessions",
            StatusCode::METHOD_NOT_ALLOWED,
            "method_not_allowed",
        ),
        (
            "POST",
            "/api/v1/sessions",
            StatusCode::PAYLOAD_TOO_LARGE,
            "too_large",
        ),
    ] {
        let request = Request::builder().method(method).uri(path);
        let large = "x".repeat(70_000);
        let answer = house.send(request.body(Body::from(large)).unwrap()).await;
        assert_eq!(answer.status, status, "{method} {path}");
        assert_eq!(answer.header("content-type"), "application/problem+json");
        assert_eq!(answer.json()["code"], code, "{method} {path}");
        assert_eq!(
            answer.header("allow").is_empty(),
            code == "too_large",
            "{method} {path}"
        );
    }
}
