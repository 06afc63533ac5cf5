//! An example of each change and each main reading: what is sent and what comes back, put into the
//! document. Must never show what the server would not answer: a test sends every request in the
//! order of the file and holds every answer against its example and its schema.
//! Called by `dress`; read by tests.

use serde_json::{Value, json};

/// Operations in an order in which they can be done, each with `request` (its body, where it has
/// one) and `response` (the body that comes back).
const EXAMPLES: &str = include_str!("examples.json");

/// All of them.
#[must_use]
pub fn all() -> Vec<Value> {
    // a test reads the file; what is no JSON shows no example
    serde_json::from_str(EXAMPLES).unwrap_or_default()
}

/// Puts the example of an operation into it.
pub(super) fn put(operation: &mut Value, name: &str) {
    let Some(example) = all().into_iter().find(|e| e["operation"] == name) else {
        return;
    };
    if example["request"].is_object() {
        let content = &mut operation["requestBody"]["content"]["application/json"];
        content["examples"] = json!({ "usual": { "value": example["request"] } });
    }
    let Some(responses) = operation["responses"].as_object_mut() else {
        return;
    };
    let done = responses
        .iter_mut()
        .find(|(status, _)| status.starts_with('2'));
    if let (Some((_, response)), Value::Object(_)) = (done, &example["response"]) {
        let content = &mut response["content"]["application/json"];
        content["examples"] = json!({ "usual": { "value": example["response"] } });
    }
}
