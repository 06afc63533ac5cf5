//! Which role may call which operator route: the only place that says so. A route that is missing
//! here is nobody's. Must hold no other rule about people.
//! Asked by the check of a bearer token at every request; a test walks it with every role.

use store::operators::OperatorRole::{self, Administrator, Approver, Auditor, Operator};

/// Everybody who works here.
const ALL: &[OperatorRole] = &OperatorRole::ALL;
/// Who proposes a release; that only an approver confirms one is decided where it is confirmed.
const PROPOSE: &[OperatorRole] = &[Operator, Approver, Administrator];
/// Who corrects a ward's point.
const REFINE: &[OperatorRole] = &[Operator, Approver];
/// Who has a refused payout tried again.
const RETRY: &[OperatorRole] = &[Approver];
/// Who looks at what was done and by whom.
const INSPECT: &[OperatorRole] = &[Auditor, Administrator];
/// Who changes people, partners and switches.
const MANAGE: &[OperatorRole] = &[Administrator];

/// A row: method, path template, roles.
pub type Access = (&'static str, &'static str, &'static [OperatorRole]);

/// Every operator route.
pub const TABLE: &[Access] = &[
    ("GET", "/api/v1/operator/report", ALL),
    ("GET", "/api/v1/payout-runs", ALL),
    ("POST", "/api/v1/payout-runs/{evaluation}/approve", PROPOSE),
    ("POST", "/api/v1/payouts/{payout}/retry", RETRY),
    ("PUT", "/api/v1/operator/wards/{code}", REFINE),
    ("GET", "/api/v1/operator/me", ALL),
    ("GET", "/api/v1/operator/people", INSPECT),
    ("POST", "/api/v1/operator/people/{operator}/role", MANAGE),
    ("POST", "/api/v1/operator/people/{operator}/end", MANAGE),
    ("GET", "/api/v1/operator/invitations", INSPECT),
    ("POST", "/api/v1/operator/invitations", MANAGE),
    (
        "POST",
        "/api/v1/operator/invitations/{invitation}/withdraw",
        MANAGE,
    ),
    ("GET", "/api/v1/operator/audit", INSPECT),
    ("GET", "/api/v1/operator/organisations", INSPECT),
    ("POST", "/api/v1/operator/organisations", MANAGE),
    (
        "POST",
        "/api/v1/operator/organisations/{organisation}/state",
        MANAGE,
    ),
    (
        "GET",
        "/api/v1/operator/organisations/{organisation}/keys",
        INSPECT,
    ),
    (
        "POST",
        "/api/v1/operator/organisations/{organisation}/keys",
        MANAGE,
    ),
    (
        "POST",
        "/api/v1/operator/organisations/{organisation}/keys/{key}/end",
        MANAGE,
    ),
];

/// The roles that may call a route; none when it is not in the table.
#[must_use]
pub fn roles(method: &str, path: &str) -> &'static [OperatorRole] {
    // HEAD is answered by the handler of GET
    let method = if method == "HEAD" { "GET" } else { method };
    TABLE
        .iter()
        .find(|(of, at, _)| (*of, *at) == (method, path))
        .map_or(&[], |(_, _, roles)| roles)
}
