//! Every code that a refusal can bear, with its status and what to do: the closed list behind the
//! schema `Problem` and the table of docs/api.md. Must never lack a code that a handler uses: a test
//! reads the source for them. Used by the document and by `backend openapi --problems`.

use serde_json::{Value, json};

/// A refusal, RFC 9457: what is wrong, for programs by `code` and for people by `detail`.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "only its schema is used; `ApiError` writes it")]
pub(crate) struct Problem {
    /// `about:blank`: `code` says which problem it is.
    r#type: String,
    /// The status in words.
    title: String,
    /// HTTP status.
    status: u16,
    /// Stable, for programs.
    code: String,
    /// What is wrong and how to mend it, for people; not shown for a fault of ours.
    #[schema(nullable = false)]
    detail: Option<String>,
    /// What to tell us about a fault of ours.
    #[schema(nullable = false)]
    request_id: Option<String>,
    /// With `invalid`: what is wrong with each field.
    #[schema(value_type = Option<Vec<crate::partner::input::FieldFault>>, nullable = false)]
    errors: Option<Value>,
    /// With `already_insured`: the policy that stands.
    #[schema(nullable = false)]
    policy_id: Option<String>,
}

/// A line for each code: its name, its status, what is wrong, what to do.
const CODES: &str = include_str!("problems.txt");

/// Every code, by status: its name, its status, what is wrong, what to do.
fn codes() -> impl Iterator<Item = [&'static str; 4]> {
    CODES.lines().filter_map(|line| {
        let parts: Vec<&str> = line.split(" | ").collect();
        parts.try_into().ok()
    })
}

/// What a refusal of a status says, in words.
pub(super) fn described(status: u16, is_partner: bool) -> &'static str {
    match (status, is_partner) {
        (400, true) => "`malformed`, or without a usable `Idempotency-Key`",
        (400, false) => "`malformed`",
        (401, true) => "`unauthorised`",
        (401, false) => "`unauthorised` or `token_expired`",
        (403, true) => "`missing_scope`, `organisation_suspended` or `forbidden`",
        (403, false) => "`forbidden`",
        (404, true) => "`not_found`",
        (405, _) => "`method_not_allowed`",
        (412, _) => "`precondition_failed`",
        (413, _) => "`too_large`",
        (415, _) => "`unsupported_media_type`",
        (428, _) => "`precondition_required`",
        (429, _) => "`too_many_requests`",
        (500, _) => "`internal`: a fault of ours",
        (503, _) => "`unavailable`",
        _ => "Refused; `code` says why",
    }
}

/// The codes as an enumeration.
pub(super) fn enumeration() -> Value {
    let names: Vec<&str> = codes().map(|[name, ..]| name).collect();
    json!(names)
}

/// The codes as the table of docs/api.md.
#[must_use]
pub fn table() -> String {
    let mut lines = vec![
        "| Status | `code` | What is wrong | What to do |".to_owned(),
        "|---|---|---|---|".to_owned(),
    ];
    lines.extend(
        codes().map(|[name, status, wrong, what]| {
            format!("| {status} | `{name}` | {wrong} | {what} |")
        }),
    );
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    /// The first text after each call that makes a refusal.
    fn codes_in(source: &str) -> BTreeSet<String> {
        let calls = [
            "ApiError::refused(",
            "ApiError::conflict(",
            "ApiError::new(",
            "Self::new(",
            "Self::refused(",
            "Self::conflict(",
            " refused(",
        ];
        let mut found = BTreeSet::new();
        for call in calls {
            for (at, _) in source.match_indices(call) {
                let rest = source.get(at + call.len()..).unwrap_or_default();
                let head = rest.get(..120).unwrap_or(rest);
                let text = head.split('"').nth(1).unwrap_or_default();
                let before = head.split('"').next().unwrap_or_default();
                let is_code = text.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
                if is_code && !text.is_empty() && !before.contains(['{', ';', '|']) {
                    found.insert(text.to_owned());
                }
            }
        }
        found
    }

    #[test]
    fn every_code_in_the_source_is_on_the_list() {
        fn walk(folder: &Path, found: &mut BTreeSet<String>) {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    walk(&path, found);
                } else if !path.ends_with("problems.rs") && !path.ends_with("input.rs") {
                    let text = std::fs::read_to_string(&path).unwrap();
                    let code = text.split("#[cfg(test)]").next().unwrap_or_default();
                    found.extend(codes_in(code));
                }
            }
        }
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let mut found = BTreeSet::new();
        for part in ["partner", "people", "operator", "error.rs", "auth.rs"] {
            let path = source.join(part);
            if path.is_dir() {
                walk(&path, &mut found);
            } else {
                found.extend(codes_in(&std::fs::read_to_string(path).unwrap()));
            }
        }
        let known: BTreeSet<String> = codes().map(|[name, ..]| name.to_owned()).collect();
        assert_eq!(
            known.len(),
            CODES.lines().count(),
            "a code stands twice, or a line is none"
        );
        assert!(found.len() > 40, "{found:?}");
        // said on the command line alone
        found.remove("scopes");
        let missing: Vec<_> = found.difference(&known).collect();
        assert!(missing.is_empty(), "{missing:?}");
    }
}
