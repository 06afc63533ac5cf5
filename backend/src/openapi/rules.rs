//! What a type cannot say of its fields: which texts, how long, between which bounds. Lists of texts
//! come from the types that read them. Must never be narrower than what handlers take, nor wider,
//! but where only the database knows (an id that is nobody's). Called once, by `dress`.

use domain::i18n::{Crop, Language};
use domain::ussd::CONSENT_VERSION;
use domain::webhook::{EventKind, URL_BYTES_MAX};
use serde_json::{Value, json};
use store::api_keys::Scope;
use store::enrolments::ConsentObtained;
use store::operators::OperatorRole;
use store::organisations::OrganisationKind;

use super::problems;

/// Prefixes of printed ids by the field, path part or query that holds one.
const IDS: [(&str, &str); 29] = [
    ("farmer_id", "far"),
    ("plot_id", "plt"),
    ("quote_id", "quo"),
    ("policy_id", "pol"),
    ("risk_id", "rsk"),
    ("evaluation_id", "eva"),
    ("group_id", "grp"),
    ("agent_id", "agt"),
    ("endpoint_id", "whk"),
    ("event_id", "evt"),
    ("delivery_id", "dlv"),
    ("rotated_from", "key"),
    ("farmer", "far"),
    ("plot", "plt"),
    ("quote", "quo"),
    ("policy", "pol"),
    ("payment", "rec"),
    ("evaluation", "eva"),
    ("payout", "pay"),
    ("agent", "agt"),
    ("group", "grp"),
    ("key", "key"),
    ("endpoint", "whk"),
    ("delivery", "dlv"),
    ("organisation", "org"),
    ("operator", "opr"),
    ("invitation", "inv"),
    ("invited_by", "opr"),
    ("obtained_by", "agt"),
];

/// The prefix of `id` in a schema of this name.
const OWN_IDS: [(&str, &str); 15] = [
    ("AgentBody", "agt"),
    ("ApiKeyBody", "key"),
    ("DeliveryBody", "dlv"),
    ("EndpointBody", "whk"),
    ("EvaluationBody", "eva"),
    ("FarmerBody", "far"),
    ("GroupBody", "grp"),
    ("OrganisationBody", "org"),
    ("PaymentBody", "rec"),
    ("PayoutBody", "pay"),
    ("PlotBody", "plt"),
    ("PolicyBody", "pol"),
    ("QuoteBody", "quo"),
    ("EnrolledRow", "far"),
    ("OperatorShown", "opr"),
];

/// What codes of wards look like.
const WARD: &str = "^[0-9]{4}$";
/// What keys of seasons look like, from 1900 to 2200.
const SEASON: &str = "^[A-Z]+-(19[0-9]{2}|2[01][0-9]{2}|2200)$";
/// A Kenyan mobile number, international, national or bare.
const PHONE: &str = "^(\\+?254|0)?[17][0-9]{8}$";
/// Cursors of partners' lists: sixteen bytes, base64url.
const CURSOR: &str = "^[A-Za-z0-9_-]{21}[AQgw]$";

fn id(prefix: &str) -> Value {
    json!({ "pattern": format!("^{prefix}_[0-9a-f]{{32}}$") })
}

fn texts<T: AsRef<str>>(all: impl IntoIterator<Item = T>) -> Value {
    let all: Vec<String> = all
        .into_iter()
        .map(|text| text.as_ref().to_owned())
        .collect();
    json!({ "enum": all })
}

fn pattern(text: &str) -> Value {
    json!({ "pattern": text })
}

fn subscribable() -> Value {
    let kinds = EventKind::ALL.iter().filter(|kind| kind.is_subscribable());
    texts(kinds.map(|kind| kind.as_str()))
}

/// The rules of fields that are wherever their name is, unless [`of_schema`] says otherwise.
fn of_name(field: &str) -> Option<Value> {
    Some(match field {
        "ward_code" | "wards" => pattern(WARD),
        "currency" => json!({ "enum": ["KES"] }),
        "season" => pattern(SEASON),
        "crop" => texts(Crop::ALL.map(Crop::code)),
        "language" => texts(Language::ALL.map(Language::as_str)),
        "role" => texts(OperatorRole::ALL.map(OperatorRole::as_str)),
        "scopes" => texts(Scope::ALL.iter().map(|scope| scope.as_str())),
        "confidence" => json!({ "minimum": 0, "maximum": 100 }),
        "created_from" | "created_before" | "since" | "at" | "obtained_at" => {
            json!({ "format": "date-time" })
        }
        bp if bp.ends_with("_bp") => json!({ "minimum": 0, "maximum": 10_000 }),
        "version" => return None,
        _ => id(IDS.iter().find(|(name, _)| *name == field)?.1),
    })
}

/// The rules of one field of one schema.
fn of_schema(schema: &str, field: &str) -> Option<Value> {
    let title = json!({ "minLength": 2, "maxLength": 120 });
    let code = pattern("^[A-Za-z0-9-]{1,32}$");
    let free = json!({});
    let states = |all: &[&str]| texts(all.iter());
    Some(match (schema, field) {
        (_, "id") => id(OWN_IDS.iter().find(|(name, _)| *name == schema)?.1),
        ("Problem", "code") => json!({ "enum": problems::enumeration() }),
        ("Problem", "type") => json!({ "enum": ["about:blank"] }),
        // ids or codes of the partner's own
        ("FarmerInput", "group" | "agent") | ("PurchaseConsentInput", "obtained_by") => {
            json!({ "minLength": 1 })
        }
        ("ReleaseShown", "state") => states(&["made", "approved"]),
        ("RunShown" | "EvaluationBody", "state") => states(&["held", "approved"]),
        ("ApprovalShown", "step") => states(&["made", "checked"]),
        ("ApprovalShown" | "SessionShown", "operator")
        | ("RunShown", "payout")
        | ("ConsentBody" | "PurchaseConsent", "version") => free,
        ("PolicyBody", "state") => states(&[
            "awaiting_premium",
            "active",
            "settled",
            "lapsed",
            "cancelled",
        ]),
        ("PaymentBody", "state") => {
            states(&["requested", "sent", "accepted", "suspended", "refused"])
        }
        ("PaymentBody", "suspense_reason") => states(&["late", "doubled", "mismatched"]),
        ("PayoutBody", "state") => {
            states(&["planned", "held", "approved", "sent", "paid", "refused"])
        }
        ("DeliveryBody", "state") => states(&["pending", "delivered", "failed"]),
        ("DeliveryBody", "event") => texts(EventKind::ALL.iter().map(|kind| kind.as_str())),
        ("StateInput" | "OrganisationBody", "state") => states(&["active", "suspended"]),
        ("EndpointBody", "disabled_by") => states(&["partner", "gone", "failing"]),
        ("EndpointBody" | "EndpointInput" | "EndpointCorrection", "events") => subscribable(),
        ("EndpointInput" | "EndpointCorrection", "url") => {
            json!({ "format": "uri", "pattern": "^https?://", "maxLength": URL_BYTES_MAX })
        }
        ("EndpointInput" | "EndpointCorrection", "description") => json!({ "maxLength": 200 }),
        ("ProductBody", "payout") => states(&["linear", "tiers"]),
        ("ProductBody", "version") => id("prd"),
        ("PlotBody", "located_by") => states(&["ward", "point", "polygon"]),
        ("PlotInput", "acres") => json!({ "minimum": 0.1, "maximum": 100, "multipleOf": 0.01 }),
        ("Point" | "WardPoint", "lat") => json!({ "minimum": -5.0, "maximum": 5.7 }),
        ("Point" | "WardPoint", "lon") => json!({ "minimum": 33.5, "maximum": 42.1 }),
        ("Polygon", "type") => json!({ "enum": ["Polygon"] }),
        ("AgentInput" | "GroupInput", "code") => code,
        ("AgentInput" | "AgentCorrection" | "FarmerInput" | "FarmerCorrection", "name") => {
            json!({ "minLength": 2 })
        }
        ("AgentInput" | "AgentCorrection" | "FarmerInput", "phone") => pattern(PHONE),
        ("FarmerInput", "national_id") => pattern("^[0-9]{6,8}$"),
        ("GroupInput" | "GroupCorrection" | "ApiKeyInput" | "OrganisationInput", "name") => title,
        ("OrganisationInput" | "OrganisationBody", "kind") => {
            texts(OrganisationKind::ALL.map(OrganisationKind::as_str))
        }
        ("ConsentInput" | "PurchaseConsentInput", "version") => {
            json!({ "enum": [CONSENT_VERSION] })
        }
        ("ConsentInput", "obtained") => {
            let ways = ConsentObtained::ALL.into_iter();
            texts(
                ways.filter(|way| *way != ConsentObtained::Ussd)
                    .map(ConsentObtained::as_str),
            )
        }
        ("ConsentBody", "obtained") => texts(ConsentObtained::ALL.map(ConsentObtained::as_str)),
        ("Amount", "minor") => json!({ "minimum": 0, "maximum": i64::MAX }),
        ("Accept", "password") => json!({ "minLength": 12, "maxLength": 128 }),
        ("Confirm" | "SignIn", "totp") => pattern("^[0-9]{6}$"),
        ("Reason", "reason") => json!({ "maxLength": 500 }),
        ("HealthShown", "status") => states(&["ok", "unavailable"]),
        _ => return None,
    })
}

/// The rules of a query of one operation.
fn of_query(path: &str, name: &str) -> Option<Value> {
    let states = |all: &[&str]| texts(all.iter());
    Some(match (path, name) {
        (path, "cursor") if path.starts_with("/api/v1/operator/") && !path.contains("organ") => {
            json!({ "pattern": "^[A-Za-z0-9_-]+$" })
        }
        (_, "cursor") => pattern(CURSOR),
        (_, "limit") => json!({ "minimum": 1, "maximum": 200 }),
        ("/api/v1/policies", "state") => states(&[
            "awaiting_premium",
            "active",
            "settled",
            "lapsed",
            "cancelled",
        ]),
        ("/api/v1/payments", "state") => {
            states(&["requested", "sent", "accepted", "suspended", "refused"])
        }
        ("/api/v1/payouts", "state") => {
            states(&["planned", "held", "approved", "sent", "paid", "refused"])
        }
        ("/api/v1/deliveries", "state") => states(&["pending", "delivered", "failed"]),
        ("/api/v1/deliveries", "event") => texts(EventKind::ALL.iter().map(|kind| kind.as_str())),
        ("/api/v1/payout-runs", "state") => states(&["held", "approved"]),
        ("/api/v1/operator/wards/{code}", "code") => pattern(WARD),
        ("/api/v1/evidence/{evidence}", "evidence") => pattern("^[A-Za-z0-9]{1,64}$"),
        _ => return of_name(name),
    })
}

/// Puts the rules on.
pub(super) fn apply(document: &mut Value) {
    if let Some(schemas) = document["components"]["schemas"].as_object_mut() {
        for (schema, body) in schemas.iter_mut() {
            fields(schema, body);
        }
        extremes(schemas);
        shorten(schemas);
    }
    let Some(paths) = document["paths"].as_object_mut() else {
        return;
    };
    for (path, item) in paths.iter_mut() {
        let operations = item.as_object_mut().into_iter().flatten();
        for (_, operation) in operations {
            let parameters = operation
                .get_mut("parameters")
                .and_then(Value::as_array_mut);
            for parameter in parameters.into_iter().flatten() {
                let name = parameter["name"].as_str().unwrap_or_default().to_owned();
                let Some(schema) = parameter.get_mut("schema") else {
                    continue;
                };
                // a query that is left out is no null
                if let Some([first, ..]) = schema["type"].as_array().map(Vec::as_slice) {
                    schema["type"] = first.clone();
                }
                if let Some(rule) = of_query(path, &name) {
                    add(schema, rule);
                }
            }
        }
    }
    report(document);
}

/// The rules of a schema's fields, and of those it is put together from.
fn fields(schema: &str, body: &mut Value) {
    let name = schema.rsplit('_').next().unwrap_or(schema).to_owned();
    if let Some(parts) = body.get_mut("allOf").and_then(Value::as_array_mut) {
        for part in parts {
            fields(schema, part);
        }
    }
    if let Some(listed) = body.pointer_mut("/properties/items/items") {
        fields(&name, listed);
    }
    let properties = body.get_mut("properties").and_then(Value::as_object_mut);
    for (field, property) in properties.into_iter().flatten() {
        let rule = of_schema(schema, field).or_else(|| of_name(field));
        if let Some(rule) = rule {
            add(property, rule);
        }
        fields("", property);
    }
}

/// Adds a rule to a text or number, or to the items of an array of them.
fn add(schema: &mut Value, rule: Value) {
    let kinds = schema["type"].clone();
    let is = |kind: &str| {
        kinds == kind
            || kinds
                .as_array()
                .is_some_and(|all| all.iter().any(|k| k == kind))
    };
    if is("array") {
        return add(&mut schema["items"], rule);
    }
    if !is("string") && !is("number") && !is("integer") {
        return;
    }
    let Value::Object(members) = rule else {
        return;
    };
    for (name, mut value) in members {
        if let (true, "enum", Some(all)) = (is("null"), name.as_str(), value.as_array_mut()) {
            all.push(Value::Null);
        }
        // bounds belong to numbers and patterns to texts, whatever the field's name
        let of_number = matches!(name.as_str(), "minimum" | "maximum" | "multipleOf");
        if of_number != is("string") {
            schema[name] = value;
        }
    }
}

/// Lists refer to what they list, rather than say it again.
fn shorten(schemas: &mut serde_json::Map<String, Value>) {
    let mut listed = Vec::new();
    for (name, schema) in schemas.iter_mut() {
        let item = name.strip_prefix("Listed_");
        let items = schema.pointer_mut("/properties/items/items");
        if let (Some(item), Some(items)) = (item, items) {
            let reference = json!({ "$ref": format!("#/components/schemas/{item}") });
            listed.push((item.to_owned(), std::mem::replace(items, reference)));
        }
    }
    for (name, schema) in listed {
        schemas.entry(name).or_insert(schema);
    }
}

/// How many things arrays may hold.
fn extremes(schemas: &mut serde_json::Map<String, Value>) {
    for (pointer, name, value) in [
        ("ApiKeyInput/properties/scopes", "minItems", 1),
        ("EndpointInput/properties/events", "minItems", 1),
        ("EndpointCorrection/properties/events", "minItems", 1),
        ("BulkInput/properties/farmers", "minItems", 1),
        ("BulkInput/properties/farmers", "maxItems", 10_000),
        ("Polygon/properties/coordinates", "minItems", 1),
        ("Polygon/properties/coordinates", "maxItems", 1),
        ("Polygon/properties/coordinates/items", "minItems", 4),
        ("Polygon/properties/coordinates/items", "maxItems", 200),
        ("Polygon/properties/coordinates/items/items", "minItems", 2),
        ("Polygon/properties/coordinates/items/items", "maxItems", 3),
    ] {
        let (schema, rest) = pointer.split_once('/').unwrap_or((pointer, ""));
        let found = schemas.get_mut(schema);
        if let Some(found) = found.and_then(|schema| schema.pointer_mut(&format!("/{rest}"))) {
            found[name] = json!(value);
        }
    }
}

/// The report's shape: its type belongs to the store, which knows no HTTP.
fn report(document: &mut Value) {
    let counts = json!({ "type": "object", "additionalProperties": { "type": "integer" } });
    let (number, list) = (json!({ "type": "integer" }), json!({ "type": "array" }));
    let schema = json!({
        "type": "object",
        "description": "The whole house in numbers, at one instant; names no person.",
        "required": ["at", "farmers", "policies", "premiums", "suspense_minor", "collected_minor",
            "disbursed_minor", "risks", "payouts", "sms", "ledger", "invariants"],
        "properties": {
            "at": { "type": "string", "format": "date-time" },
            "farmers": number, "policies": counts, "premiums": { "type": "object" },
            "suspense_minor": number, "collected_minor": number, "disbursed_minor": number,
            "risks": list, "payouts": counts, "sms": list, "ledger": { "type": "object" },
            "invariants": {}
        }
    });
    document["components"]["schemas"]["Report"] = schema;
    let place = "/paths/~1api~1v1~1operator~1report/get/responses/200/content/application~1json";
    if let Some(content) = document.pointer_mut(place) {
        content["schema"] = json!({ "$ref": "#/components/schemas/Report" });
    }
}
