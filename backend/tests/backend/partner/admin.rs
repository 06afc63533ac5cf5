//! Administrators add partners, give them keys, suspend them; other people do not.
//! Asks as people of every role do, over the routes they use.

use axum::body::Body;
use axum::http::{Request, StatusCode};
use serde_json::{Value, json};
use sqlx::PgPool;

use super::house::{Answer, House};

const ORGANISATIONS: &str = "/api/v1/operator/organisations";

async fn token(house: &House, role: &str) -> String {
    let (app, now) = (&house.app, house.app.clock.now());
    backend::operator::issue_token(&app.pool, now, &app.ids, &app.config, role, role)
        .await
        .unwrap()
}

async fn send(house: &House, token: &str, method: &str, path: &str, body: &Value) -> Answer {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("authorization", format!("Bearer {token}"));
    house
        .send(request.body(Body::from(body.to_string())).unwrap())
        .await
}

#[sqlx::test(migrations = "../migrations")]
async fn an_administrator_brings_a_partner_in_and_shuts_it_out(pool: PgPool) {
    let house = House::new(pool).await;
    let admin = token(&house, "administrator").await;
    let wanted = json!({ "name": "Saku Growers", "kind": "cooperative" });
    let made = send(&house, &admin, "POST", ORGANISATIONS, &wanted).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text());
    let again = send(&house, &admin, "POST", ORGANISATIONS, &wanted).await;
    assert_eq!(again.code(), "name_taken");
    let id = made.member("id");
    let keys = format!("{ORGANISATIONS}/{id}/keys");
    let wanted = json!({ "name": "first", "scopes": ["organisation:read"] });
    let issued = send(&house, &admin, "POST", &keys, &wanted).await;
    let secret = issued.member("secret");
    let ask = async || {
        let request = Request::get("/api/v1/organisation").header("x-api-key", &secret);
        house.send(request.body(Body::empty()).unwrap()).await
    };
    assert_eq!(ask().await.member("id"), id);
    let state = format!("{ORGANISATIONS}/{id}/state");
    for (word, status) in [
        ("suspended", StatusCode::FORBIDDEN),
        ("active", StatusCode::OK),
    ] {
        let set = send(&house, &admin, "POST", &state, &json!({ "state": word })).await;
        assert_eq!(set.member("state"), word);
        assert_eq!(ask().await.status, status);
    }
    let key = issued.member("id");
    let end = format!("{keys}/{key}/end");
    let ended = send(&house, &admin, "POST", &end, &json!({})).await;
    assert_eq!(ended.status, StatusCode::NO_CONTENT);
    assert_eq!(ask().await.status, StatusCode::UNAUTHORIZED);
    let listed = send(&house, &admin, "GET", &keys, &json!({})).await;
    assert!(!listed.text().contains(&secret) && listed.text().contains(&key));
    let unknown = format!("{ORGANISATIONS}/org_{}/keys", "0".repeat(32));
    let unknown = send(&house, &admin, "GET", &unknown, &json!({})).await;
    assert_eq!(unknown.status, StatusCode::NOT_FOUND);
}

#[sqlx::test(migrations = "../migrations")]
async fn nobody_else_brings_partners_in(pool: PgPool) {
    let house = House::new(pool).await;
    let wanted = json!({ "name": "Saku Growers", "kind": "cooperative" });
    for role in ["operator", "approver", "auditor"] {
        let token = token(&house, role).await;
        let refused = send(&house, &token, "POST", ORGANISATIONS, &wanted).await;
        assert_eq!(refused.status, StatusCode::FORBIDDEN, "{role}");
    }
    let partner = house.partner("Ours").await;
    let refused = send(&house, &partner.secret, "GET", ORGANISATIONS, &json!({})).await;
    assert_eq!(
        refused.status,
        StatusCode::UNAUTHORIZED,
        "a key is no token"
    );
    let made = "select count(*) from organisations";
    assert_eq!(house.count(made).await, 1);
}
