//! What every operation of a class has in common, put on from the table of routes: its credential
//! and scope, the headers of changes, ceilings and versions, and the refusals it can answer with.
//! Must never describe what a route does not do. Called once, by `document`.

use serde_json::{Map, Value, json};

use super::{examples, problems, rules};
use crate::people::access;
use crate::routes::{Auth, Limit, Route, table};

/// Response headers, which responses refer to.
const HEADERS: [(&str, &str, &str, bool); 9] = [
    (
        "X-Request-Id",
        "string",
        "The id of the request: yours if you sent one, else drawn.",
        true,
    ),
    (
        "RateLimit-Limit",
        "integer",
        "Requests the key may make at once.",
        true,
    ),
    (
        "RateLimit-Remaining",
        "integer",
        "How many of them are left.",
        true,
    ),
    (
        "RateLimit-Reset",
        "integer",
        "Seconds until all are back.",
        true,
    ),
    ("Retry-After", "integer", "Seconds to wait.", true),
    (
        "ETag",
        "string",
        "The version; send it back as `If-Match` or `If-None-Match`.",
        true,
    ),
    ("Location", "string", "The path of what was made.", true),
    (
        "Idempotent-Replayed",
        "string",
        "`true` when this answer was given before.",
        false,
    ),
    (
        "Allow",
        "string",
        "The methods that the resource has.",
        true,
    ),
];

/// Statuses of refusals.
const REFUSALS: [u16; 14] = [
    400, 401, 403, 404, 405, 409, 412, 413, 415, 422, 428, 429, 500, 503,
];

/// Texts of tags, in the order of the page.
const TAGS: [(&str, &str); 18] = [
    ("organisation", "The partner itself."),
    ("products", "What is on sale, where and for which sums."),
    ("api keys", "Keys: made, rotated and ended by the partner."),
    ("agents", "The partner's field people."),
    ("groups", "Groups of farmers."),
    (
        "farmers",
        "Farmers, enrolled with their consent, alone or in files.",
    ),
    (
        "plots",
        "Plots: by ward, point or outline; only cells are kept.",
    ),
    ("quotes", "What a cover costs and what it would pay."),
    (
        "policies",
        "Covers, bought with consent; only the farmer's money puts one on risk.",
    ),
    ("payments", "Premiums asked of farmers' phones."),
    (
        "evaluations",
        "The decision on each risk, with its numbers.",
    ),
    ("evidence", "The bytes that a decision follows from."),
    ("payouts", "What is owed, and where it stands."),
    ("webhooks", "Endpoints and deliveries."),
    ("exports", "Whole tables as CSV."),
    (
        "operators",
        "For operators: releases, retries, partners, the report.",
    ),
    (
        "people",
        "For people who work here: invitations, sessions, roles, the log.",
    ),
    (
        "health",
        "Whether the service is well, and which build it is.",
    ),
];

/// The document of the annotations with everything that the table of routes says.
pub(super) fn dress(mut document: Value) -> Value {
    rules::apply(&mut document);
    let tags = TAGS.map(|(name, text)| json!({ "name": name, "description": text }));
    document["tags"] = json!(tags);
    document["servers"] = json!([{ "url": "/" }]);
    document["components"]["securitySchemes"] = json!({
        "partner_key": {
            "type": "http", "scheme": "bearer", "bearerFormat": "mck_…",
            "description": "A partner's key. May also be sent as `X-Api-Key`."
        },
        "operator_token": {
            "type": "http", "scheme": "bearer", "bearerFormat": "JWT",
            "description": "An operator's access token, from POST /api/v1/sessions."
        }
    });
    let headers = HEADERS.map(|(name, kind, text, always)| {
        let header = json!({ "description": text, "required": always, "schema": { "type": kind } });
        (name.to_owned(), header)
    });
    document["components"]["headers"] = json!(Map::from_iter(headers));
    for is_partner in [true, false] {
        for status in REFUSALS {
            let said = problems::described(status, is_partner);
            let name = shared_name(status, is_partner);
            let shared = refusal(said, status, is_partner);
            document["components"]["responses"][name] = shared;
        }
    }
    let routes = table();
    for route in &routes {
        let path = document["paths"].get_mut(route.path);
        let operation = path.and_then(|item| item.get_mut(route.method.to_lowercase()));
        if let Some(operation) = operation {
            one(operation, route, &routes);
        }
    }
    document
}

/// Puts on one operation what its route says.
fn one(operation: &mut Value, route: &Route, routes: &[Route]) {
    let name = name_of(operation, route.path);
    operation["operationId"] = json!(name);
    operation["security"] = match route.auth {
        Auth::Partner(scope) => json!([{ "partner_key": [scope.as_str()] }]),
        Auth::Operator => {
            let roles = access::roles(route.method, route.path).iter();
            let roles: Vec<_> = roles.map(|role| role.as_str()).collect();
            json!([{ "operator_token": roles }])
        }
        Auth::Public | Auth::PathToken | Auth::ManualClock => json!([]),
    };
    let is_partner = matches!(route.auth, Auth::Partner(_));
    let is_change = is_partner && route.method != "GET";
    parameters(operation, route, is_change);
    if operation.get("requestBody").is_some() && route.path != "/api/v1/farmers/bulk" {
        // a body that may be left out says so itself
        let is_optional = matches!(
            route.path,
            "/api/v1/api-keys/{key}/rotate" | "/api/v1/payout-runs/{evaluation}/approve"
        );
        operation["requestBody"]["required"] = json!(!is_optional);
    }
    for status in refusals(operation, route, is_change) {
        let response = &mut operation["responses"][status.to_string()];
        let said = response["description"].as_str().unwrap_or_default();
        *response = if said.is_empty() {
            let name = shared_name(status, is_partner);
            json!({ "$ref": format!("#/components/responses/{name}") })
        } else {
            refusal(said, status, is_partner)
        };
    }
    let is_versioned = is_versioned(route, routes);
    let Some(responses) = operation["responses"].as_object_mut() else {
        return;
    };
    for (status, response) in responses.iter_mut() {
        if status.as_str() < "400" || route.limit == Limit::None {
            headers(
                response,
                status,
                route,
                (is_partner, is_change, is_versioned),
            );
        }
    }
    examples::put(operation, &name);
}

/// A name for generators: the resource and what is done with it, as the handler is called.
fn name_of(operation: &Value, path: &str) -> String {
    let handler = operation["operationId"].as_str().unwrap_or_default();
    let mut parts = path
        .split('/')
        .filter(|part| !part.is_empty() && !part.starts_with('{'))
        .filter(|part| !matches!(*part, "api" | "v1"));
    let first = parts.next().unwrap_or_default();
    let resource = match (first, parts.next()) {
        ("operator", Some(second)) => format!("operator_{second}"),
        ("farmers", Some("bulk")) => "farmers_bulk".to_owned(),
        _ => first.to_owned(),
    };
    let resource = resource.replace('-', "_");
    if resource.ends_with(handler) {
        return resource;
    }
    format!("{resource}_{handler}")
}

fn parameters(operation: &mut Value, route: &Route, is_change: bool) {
    let mut more = Vec::new();
    if is_change {
        more.push(json!({
            "name": "Idempotency-Key", "in": "header",
            "required": route.path != "/api/v1/farmers/bulk",
            "description": "1 to 64 visible characters, new for each change: the same key with the \
                            same request answers again what it answered.",
            "schema": { "type": "string", "pattern": "^[!-~]{1,64}$" }
        }));
    }
    if is_change && route.method == "PATCH" {
        more.push(json!({
            "name": "If-Match", "in": "header", "required": true,
            "description": "The `ETag` of the version that is corrected.",
            "schema": { "type": "string", "pattern": "^\"[0-9]{1,9}\"$" }
        }));
    }
    if operation["responses"]["304"].is_object() {
        more.push(json!({
            "name": "If-None-Match", "in": "header", "required": false,
            "description": "An `ETag` that is known: 304 if it is still this one.",
            "schema": { "type": "string" }
        }));
    }
    if more.is_empty() {
        return;
    }
    match operation
        .get_mut("parameters")
        .and_then(Value::as_array_mut)
    {
        Some(known) => known.append(&mut more),
        None => operation["parameters"] = json!(more),
    }
}

/// The refusals that a route can answer with, beside those that its handler names.
fn refusals(operation: &Value, route: &Route, is_change: bool) -> Vec<u16> {
    let named = operation["responses"].as_object();
    let mut statuses: Vec<u16> = named
        .into_iter()
        .flat_map(|responses| responses.keys())
        .filter_map(|status| status.parse().ok())
        .filter(|status| *status >= 400)
        .collect();
    if route.limit == Limit::None {
        return Vec::new(); // health answers 503 in its own form
    }
    let has = |place: &str| {
        let parameters = operation["parameters"].as_array();
        let mut all = parameters.into_iter().flatten();
        all.any(|parameter| parameter["in"] == place)
    };
    let filters = operation["parameters"].as_array().into_iter().flatten();
    let filters = filters.filter(|parameter| {
        let name = parameter["name"].as_str().unwrap_or_default();
        parameter["in"] == "query" && !matches!(name, "limit" | "cursor" | "dry_run")
    });
    let has_filters = filters.count() > 0;
    let has_body = operation.get("requestBody").is_some();
    let mut add = |holds: bool, more: &[u16]| {
        if holds {
            statuses.extend_from_slice(more);
        }
    };
    add(true, &[405, 429, 500, 503]);
    add(
        matches!(route.auth, Auth::Partner(_) | Auth::Operator),
        &[401, 403],
    );
    add(has("path") || has("query") || has_body || is_change, &[400]);
    add(
        has_filters && route.path != "/api/v1/operator/report",
        &[422],
    );
    // people's lists say 422 where partners' say 400
    add(
        has("query")
            && route.path.starts_with("/api/v1/operator/")
            && operation["tags"][0] == "people",
        &[422],
    );
    add(has_body || is_change, &[413]);
    add(has_body, &[422]);
    add(is_change, &[409, 422]);
    add(is_change && route.method == "PATCH", &[412, 428]);
    add(route.path == "/api/v1/farmers/bulk", &[415]);
    statuses.sort_unstable();
    statuses.dedup();
    statuses
}

/// Whether what a route answers with has an `ETag`: it can be corrected, or it is asked for by it.
fn is_versioned(route: &Route, routes: &[Route]) -> bool {
    let is_corrected = |path: &str| routes.iter().any(|r| r.method == "PATCH" && r.path == path);
    match (route.method, route.path) {
        ("GET", "/api/v1/policies/{policy}" | "/api/v1/evidence/{evidence}")
        | (
            "POST",
            "/api/v1/policies"
            | "/api/v1/policies/{policy}/cancel"
            | "/api/v1/endpoints/{endpoint}/rotate-secret",
        ) => true,
        ("GET" | "PATCH", path) => is_corrected(path),
        ("POST", path) => {
            let item = path
                .strip_suffix('s')
                .and_then(|stem| stem.rsplit_once('/'));
            item.is_some_and(|(_, noun)| is_corrected(&format!("{path}/{{{noun}}}")))
        }
        _ => false,
    }
}

fn headers(
    response: &mut Value,
    status: &str,
    route: &Route,
    (is_partner, is_change, is_versioned): (bool, bool, bool),
) {
    if response["description"].as_str().is_none_or(str::is_empty) {
        let text = match status {
            "201" => "Made",
            "202" => "Taken on",
            "204" => "Done",
            "304" => "Not changed since",
            _ => "As asked",
        };
        response["description"] = json!(text);
    }
    let is_done = status.starts_with('2');
    let mut names = always(is_partner);
    if is_done && is_change && !route.path.ends_with("/bulk") {
        names.push("Idempotent-Replayed");
    }
    if is_versioned && (is_done || status == "304") {
        names.push("ETag");
    }
    if is_partner && status == "201" {
        names.push("Location");
    }
    response["headers"] = references(names);
}

/// Headers of every answer.
fn always(is_partner: bool) -> Vec<&'static str> {
    let mut names = vec!["X-Request-Id"];
    if is_partner {
        names.extend(["RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset"]);
    }
    names
}

fn references(names: Vec<&str>) -> Value {
    let references = names.into_iter().map(|name| {
        let reference = format!("#/components/headers/{name}");
        (name.to_owned(), json!({ "$ref": reference }))
    });
    Value::Object(references.collect())
}

/// The name under which operations share a refusal.
fn shared_name(status: u16, is_partner: bool) -> String {
    let of = if is_partner { "Partner" } else { "" };
    format!("{of}Refused{status}")
}

/// A refusal with its headers.
fn refusal(said: &str, status: u16, is_partner: bool) -> Value {
    let mut names = always(is_partner);
    match status {
        405 => names.push("Allow"),
        429 | 503 => names.push("Retry-After"),
        _ => {}
    }
    let schema = json!({ "$ref": "#/components/schemas/Problem" });
    json!({
        "description": said,
        "content": { "application/problem+json": { "schema": schema } },
        "headers": references(names)
    })
}
