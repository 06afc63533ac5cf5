//! Every route of the backend in one table: method, path, who may call it and which ceiling holds.
//! A route cannot exist without saying both. Holds no handler: each surface lists its own.
//! Read by `app::build`; the coverage test walks it.

use axum::routing::{MethodFilter, MethodRouter};

use crate::app::App;
use crate::{health, idle, operator, ussd, version, webhooks};

/// Who may call a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Auth {
    /// Anybody: it shows nothing and changes nothing that matters, or identifies farmers by PIN.
    Public,
    /// Who knows the secret part of the path; anybody else gets 404.
    PathToken,
    /// A person with an operator's token; anybody else gets 401 or 403.
    Operator,
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
        ussd::routes(),
        webhooks::routes(),
        operator::routes(),
    ];
    surfaces.into_iter().flatten().collect()
}
