//! Every route of the backend in one table: method, path, who may call it and which ceiling holds.
//! A route cannot exist without saying both. Holds no handler: each surface lists its own.
//! Read by `app::build`; the coverage test walks it.

use axum::routing::{MethodFilter, MethodRouter};

use store::api_keys::Scope;

use crate::app::App;
use crate::{health, idle, openapi, operator, partner, people, ussd, version, webhooks};

/// Largest body of a route that does not say otherwise, bytes; the largest real one of a provider
/// (an M-Pesa result) has 3 KiB.
pub const BODY_BYTES_MAX: usize = 64 * 1024;
/// Longest a request may take, unless its route says otherwise: the USSD gateway gives up at 10 s.
pub const REQUEST_SECONDS_MAX: u64 = 10;

/// Who may call a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Auth {
    /// Anybody: it shows nothing and changes nothing that matters, or identifies farmers by PIN.
    Public,
    /// Who knows the secret part of the path; anybody else gets 404.
    PathToken,
    /// A person with an operator's token whose role `people::access` names for the route; anybody
    /// else gets 401 or 403.
    Operator,
    /// A partner whose key has this scope; anybody else gets 401 or 403.
    Partner(Scope),
    /// Only where time is manual, which production refuses; elsewhere 404.
    ManualClock,
}

/// Which ceiling holds, and what is answered above it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// Health: asked by supervisors, must answer under load.
    None,
    /// One ceiling for all hops; above it a polite `END`, never 429.
    Ussd,
    /// One ceiling for callbacks that do not know the token; a known provider is never refused by
    /// rate, because what it brings may be evidence about money.
    Webhook,
    /// A ceiling for each credential under /api/v1; 429 above it.
    Api,
}

/// A route.
pub struct Route {
    /// Method, as in HTTP.
    pub method: &'static str,
    /// Path template.
    pub path: &'static str,
    /// Who may call it.
    pub auth: Auth,
    /// Which ceiling holds.
    pub limit: Limit,
    /// Largest body, bytes.
    pub body_bytes_max: usize,
    /// Longest wait for the head of the answer, seconds.
    pub request_seconds_max: u64,
    pub(crate) handler: MethodRouter<App>,
}

impl Route {
    /// A GET route.
    pub fn get<H, T>(path: &'static str, auth: Auth, limit: Limit, handler: H) -> Self
    where
        H: axum::handler::Handler<T, App>,
        T: 'static,
    {
        Self::on("GET", MethodFilter::GET, path, auth, limit, handler)
    }

    /// A POST route.
    pub fn post<H, T>(path: &'static str, auth: Auth, limit: Limit, handler: H) -> Self
    where
        H: axum::handler::Handler<T, App>,
        T: 'static,
    {
        Self::on("POST", MethodFilter::POST, path, auth, limit, handler)
    }

    /// A PUT route.
    pub fn put<H, T>(path: &'static str, auth: Auth, limit: Limit, handler: H) -> Self
    where
        H: axum::handler::Handler<T, App>,
        T: 'static,
    {
        Self::on("PUT", MethodFilter::PUT, path, auth, limit, handler)
    }

    /// A partner's GET route.
    pub(crate) fn partner_get<H, T>(path: &'static str, scope: Scope, handler: H) -> Self
    where
        H: axum::handler::Handler<T, App>,
        T: 'static,
    {
        Self::get(path, Auth::Partner(scope), Limit::Api, handler)
    }

    /// A partner's POST route.
    pub(crate) fn partner_post<H, T>(path: &'static str, scope: Scope, handler: H) -> Self
    where
        H: axum::handler::Handler<T, App>,
        T: 'static,
    {
        Self::post(path, Auth::Partner(scope), Limit::Api, handler)
    }

    /// A partner's PATCH route.
    pub(crate) fn partner_patch<H, T>(path: &'static str, scope: Scope, handler: H) -> Self
    where
        H: axum::handler::Handler<T, App>,
        T: 'static,
    {
        let (auth, limit) = (Auth::Partner(scope), Limit::Api);
        Self::on("PATCH", MethodFilter::PATCH, path, auth, limit, handler)
    }

    /// A partner's DELETE route.
    pub(crate) fn partner_delete<H, T>(path: &'static str, scope: Scope, handler: H) -> Self
    where
        H: axum::handler::Handler<T, App>,
        T: 'static,
    {
        let (auth, limit) = (Auth::Partner(scope), Limit::Api);
        Self::on("DELETE", MethodFilter::DELETE, path, auth, limit, handler)
    }

    /// The same route with another largest body.
    #[must_use]
    pub(crate) fn body_max(self, bytes: usize) -> Self {
        Self {
            body_bytes_max: bytes,
            ..self
        }
    }

    /// The same route with another longest wait.
    #[must_use]
    pub(crate) fn seconds_max(self, seconds: u64) -> Self {
        Self {
            request_seconds_max: seconds,
            ..self
        }
    }

    fn on<H, T>(
        method: &'static str,
        filter: MethodFilter,
        path: &'static str,
        auth: Auth,
        limit: Limit,
        handler: H,
    ) -> Self
    where
        H: axum::handler::Handler<T, App>,
        T: 'static,
    {
        Self {
            method,
            path,
            auth,
            limit,
            body_bytes_max: BODY_BYTES_MAX,
            request_seconds_max: REQUEST_SECONDS_MAX,
            handler: axum::routing::on(filter, handler),
        }
    }
}

impl std::fmt::Debug for Route {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} {} ({:?}, {:?})",
            self.method, self.path, self.auth, self.limit
        )
    }
}

/// Every route there is.
#[must_use]
pub fn table() -> Vec<Route> {
    let surfaces = [
        health::routes(),
        version::routes(),
        idle::routes(),
        openapi::routes(),
        ussd::routes(),
        webhooks::routes(),
        operator::routes(),
        partner::routes(),
        people::routes(),
    ];
    surfaces.into_iter().flatten().collect()
}
