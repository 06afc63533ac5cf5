//! The API's own description: one OpenAPI 3.1 document, assembled from the annotations on handlers
//! and types, dressed with what the table of routes knows (credentials, scopes, headers, refusals).
//! Must never describe by hand what the table or a type can say. Served at `/api/openapi.json` and
//! as a page at `/api/docs/`; `backend openapi` prints it, and docs/openapi.json is that print.
//!
//! Left out on purpose: callbacks of providers and the USSD gateway, whose forms are theirs, and
//! `/internal/idle`, which exists only where time is manual.

mod dress;
pub mod examples;
mod page;
pub mod problems;
mod rules;

use std::sync::OnceLock;

use serde_json::Value;
use utoipa::OpenApi;

use crate::operator::{payout_runs, payouts as operator_payouts, report, wards};
use crate::partner::{
    admin, agents, api_keys, bulk, deliveries, endpoints, evaluations, evidence, exports, farmers,
    groups, input, organisations, payments, payouts, plots, policies, products, quotes,
};
use crate::people::{audit, invitations, persons, sessions};
use crate::{health, version};

pub(crate) use page::routes;

#[derive(OpenApi)]
#[openapi(
    info(title = "MicroCrop", description = include_str!("about.md")),
    paths(
        organisations::show,
        products::list,
        api_keys::list, api_keys::show, api_keys::create, api_keys::rotate, api_keys::end,
        agents::list, agents::show, agents::create, agents::correct,
        groups::list, groups::show, groups::create, groups::correct,
        farmers::list, farmers::show, farmers::enrol, farmers::correct, bulk::enrol,
        plots::list, plots::show, plots::add,
        quotes::ask, quotes::show,
        policies::list, policies::show, policies::buy, policies::cancel,
        payments::list, payments::show,
        evaluations::list, evaluations::show, evidence::show,
        payouts::list, payouts::show,
        endpoints::list, endpoints::show, endpoints::create, endpoints::correct,
        endpoints::rotate, deliveries::test, deliveries::replay_since, endpoints::delete,
        deliveries::list, deliveries::show, deliveries::replay,
        exports::farmers, exports::policies, exports::payouts,
        report::show, payout_runs::list, payout_runs::approve, operator_payouts::retry,
        wards::refine,
        admin::list, admin::create, admin::set_state, admin::list_keys, admin::create_key,
        admin::end_key,
        invitations::accept, invitations::confirm,
        sessions::sign_in, sessions::refresh, sessions::sign_out,
        persons::me, persons::list, persons::set_role, persons::end,
        invitations::list, invitations::invite, invitations::withdraw, audit::list,
        health::live, health::ready, health::db, health::redis, health::rabbitmq,
        version::version,
    ),
    components(schemas(problems::Problem, input::FieldFault)),
)]
struct Annotated;

/// The document, assembled once.
pub fn document() -> &'static Value {
    static DOCUMENT: OnceLock<Value> = OnceLock::new();
    DOCUMENT.get_or_init(|| {
        // texts and numbers alone: it always becomes JSON
        let annotated = serde_json::to_value(Annotated::openapi()).unwrap_or_default();
        dress::dress(annotated)
    })
}

/// The document as it is committed: indented, with a newline at its end.
#[must_use]
pub fn printed() -> String {
    format!("{:#}\n", document())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::routes::{Auth, table};

    fn operations(document: &Value) -> BTreeSet<(String, String)> {
        let paths = document["paths"].as_object().unwrap();
        paths
            .iter()
            .flat_map(|(path, item)| {
                let methods = item.as_object().unwrap().keys();
                methods.map(|method| (method.to_uppercase(), path.clone()))
            })
            .collect()
    }

    /// Whether a route is meant for providers, for the gateway, or for reading this document.
    fn is_left_out(path: &str) -> bool {
        let out = ["/api/ussd", "/api/webhooks/", "/internal/", "/api/docs"];
        out.iter().any(|start| path.starts_with(start)) || path == "/api/openapi.json"
    }

    #[test]
    fn what_is_routed_is_described_and_what_is_described_is_routed() {
        let routed: BTreeSet<_> = table()
            .into_iter()
            .filter(|route| !is_left_out(route.path))
            .map(|route| (route.method.to_owned(), route.path.to_owned()))
            .collect();
        assert!(routed.len() > 70, "{}", routed.len());
        assert_eq!(operations(document()), routed);
    }

    #[test]
    fn every_operation_says_who_may_call_it_and_has_a_name_of_its_own() {
        let document = document();
        let mut names = BTreeSet::new();
        for route in table().into_iter().filter(|r| !is_left_out(r.path)) {
            let operation = &document["paths"][route.path][route.method.to_lowercase()];
            let name = operation["operationId"].as_str().unwrap().to_owned();
            assert!(names.insert(name.clone()), "{name} twice");
            let scheme = &operation["security"][0];
            match route.auth {
                Auth::Partner(scope) => assert_eq!(scheme["partner_key"][0], scope.as_str()),
                Auth::Operator => assert!(!scheme["operator_token"].as_array().unwrap().is_empty()),
                _ => assert_eq!(operation["security"], serde_json::json!([]), "{name}"),
            }
            assert!(operation["summary"].is_string(), "{name}");
        }
    }

    #[test]
    fn every_refusal_is_a_problem_and_every_reference_leads_somewhere() {
        fn walk<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
            match value {
                Value::Object(members) => {
                    if let Some(Value::String(reference)) = members.get("$ref") {
                        found.push(reference);
                    }
                    members.values().for_each(|member| walk(member, found));
                }
                Value::Array(items) => items.iter().for_each(|item| walk(item, found)),
                _ => {}
            }
        }
        let document = document();
        let mut references = Vec::new();
        walk(document, &mut references);
        for reference in references {
            let pointer = reference.strip_prefix('#').unwrap();
            assert!(document.pointer(pointer).is_some(), "{reference}");
        }
        for (method, path) in operations(document) {
            let responses = &document["paths"][&path][method.to_lowercase()]["responses"];
            for (status, response) in responses.as_object().unwrap() {
                let is_refusal = status.as_str() >= "400" && !path.starts_with("/health/");
                let reference = response["$ref"].as_str().unwrap_or_default();
                let shared = document.pointer(reference.trim_start_matches('#'));
                let response = shared.filter(|_| !reference.is_empty()).unwrap_or(response);
                let is_problem = response["content"]["application/problem+json"].is_object();
                assert_eq!(is_refusal, is_problem, "{method} {path} {status}");
            }
        }
    }
}
