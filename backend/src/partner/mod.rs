//! What partners (co-operatives, lenders, insurers) see and do over REST, behind the wall of their
//! organisation: every request runs in one transaction of `store::tenancy`. Must never answer with
//! another partner's row, nor tell that it exists.
//!
//! Shared by every resource: `gate` (ceiling, key, scope), `caller` (who asks), `change`
//! (Idempotency-Key, If-Match, answers), `page` (lists), `input` (reading and refusing).

pub(crate) mod admin;
pub(crate) mod agents;
pub(crate) mod amount;
pub(crate) mod api_keys;
pub(crate) mod bulk;
pub(crate) mod caller;
pub(crate) mod change;
mod command;
mod credential;
pub(crate) mod deliveries;
pub(crate) mod endpoints;
pub(crate) mod enrolment;
pub(crate) mod evaluations;
pub(crate) mod evidence;
pub(crate) mod exports;
pub(crate) mod farmers;
pub(crate) mod gate;
pub(crate) mod groups;
pub(crate) mod input;
mod issue;
pub(crate) mod organisations;
pub(crate) mod page;
pub(crate) mod payments;
pub(crate) mod payouts;
mod place;
pub(crate) mod plots;
pub(crate) mod policies;
pub(crate) mod products;
pub(crate) mod quotes;
mod rows;

pub use command::{Command, command};

use crate::routes::Route;

/// Every partner route: one line a resource.
pub(crate) fn routes() -> Vec<Route> {
    let resources = [
        organisations::routes(),
        api_keys::routes(),
        farmers::routes(),
        bulk::routes(),
        plots::routes(),
        agents::routes(),
        groups::routes(),
        products::routes(),
        quotes::routes(),
        policies::routes(),
        payments::routes(),
        evaluations::routes(),
        payouts::routes(),
        evidence::routes(),
        endpoints::routes(),
        deliveries::routes(),
        exports::routes(),
        admin::routes(),
    ];
    resources.into_iter().flatten().collect()
}
