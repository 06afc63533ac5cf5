//! Every operator route with every role, as docs/people.md says.
//! The table of routes is enumerated: a route without a row here fails.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeMap;

use axum::http::StatusCode;
use backend::people::access;
use backend::routes::{Auth, table};
use serde_json::Value;
use sqlx::PgPool;
use store::operators::OperatorRole;

use super::house::House;

const ROLES: [&str; 4] = ["operator", "approver", "auditor", "administrator"];

/// Rows of the table in docs/people.md: method and path, and whether each role may.
fn documented() -> BTreeMap<(String, String), [bool; 4]> {
    let text = include_str!("../../../../docs/people.md");
    let mut rows = BTreeMap::new();
    for line in text.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let (method, path) = cells[0].trim_matches('`').split_once(' ').unwrap();
        let may = |cell: &str| match cell {
            "yes" => true,
            "no" => false,
            other => panic!("{line}: {other}"),
        };
        let row = [may(cells[1]), may(cells[2]), may(cells[3]), may(cells[4])];
        rows.insert((method.to_owned(), path.to_owned()), row);
    }
    rows
}

#[test]
fn every_operator_route_is_in_the_table_of_roles_and_in_the_documents() {
    let mut routes: Vec<_> = table()
        .into_iter()
        .filter(|route| route.auth == Auth::Operator)
        .map(|route| (route.method.to_owned(), route.path.to_owned()))
        .collect();
    routes.sort();
    let documented = documented();
    let known: Vec<_> = documented.keys().cloned().collect();
    assert_eq!(routes, known, "the routes, and docs/people.md");
    let mut listed: Vec<_> = access::TABLE
        .iter()
        .map(|(method, path, _)| ((*method).to_owned(), (*path).to_owned()))
        .collect();
    listed.sort();
    assert_eq!(routes, listed, "the routes, and people::access");
    for ((method, path), may) in documented {
        let roles = access::roles(&method, &path);
        let listed = ROLES.map(|role| roles.contains(&OperatorRole::parse(role).unwrap()));
        assert_eq!(listed, may, "{method} {path}");
    }
    assert!(access::roles("GET", "/api/v1/nothing").is_empty());
}

#[sqlx::test(migrations = "../migrations")]
async fn every_route_lets_in_whom_its_row_names_and_nobody_else(pool: PgPool) {
    let house = House::new(pool);
    let documented = documented();
    assert!(documented.len() >= 13);
    for (place, role) in ROLES.into_iter().enumerate() {
        let app = &house.app;
        let now = house.now();
        let token =
            backend::operator::issue_token(&app.pool, now, &app.ids, &app.config, role, role)
                .await
                .unwrap();
        for ((method, path), may) in &documented {
            let path = path.replace(['{', '}'], "");
            let (status, problem) = house.send(method, &path, Some(&token), &Value::Null).await;
            let refused = status == StatusCode::FORBIDDEN && problem["code"] == "forbidden";
            assert_eq!(
                !refused, may[place],
                "{role}: {method} {path}: {status} {problem}"
            );
            // let in means answered by the handler, whatever it makes of an empty request
            assert!(
                !status.is_server_error(),
                "{role}: {method} {path}: {status}"
            );
            assert_ne!(status, StatusCode::UNAUTHORIZED, "{role}: {method} {path}");
        }
    }
    for (method, path) in documented.keys() {
        let path = path.replace(['{', '}'], "");
        for token in [None, Some("a.b.c")] {
            let (status, _) = house.send(method, &path, token, &Value::Null).await;
            assert_eq!(status, StatusCode::UNAUTHORIZED, "{method} {path}");
        }
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn a_head_request_asks_for_the_same_role(pool: PgPool) {
    let house = House::new(pool);
    let approver = house.enrol("Brian", "approver").await;
    let auditor = house.enrol("Chebet", "auditor").await;
    let head = async |bearer: &str| {
        let path = "/api/v1/operator/audit";
        house.send("HEAD", path, Some(bearer), &Value::Null).await.0
    };
    assert_eq!(head(&approver.bearer).await, StatusCode::FORBIDDEN);
    assert_eq!(head(&auditor.bearer).await, StatusCode::OK);
}
