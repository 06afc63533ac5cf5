//! Outgoing HTTP: the one place where clients are built, so that none lacks a time-out.
//! Must never retry by itself: whether a call may be repeated is a question of money.
//! Called by `main` once a process; `providers` receives the client by value.

use std::time::Duration;

pub use reqwest::Client;

/// Longest wait for a connection.
pub const CONNECT_SECONDS_MAX: u64 = 5;
/// Longest wait for a whole exchange: above the 20 s that M-Pesa takes on a bad day.
pub const TOTAL_SECONDS_MAX: u64 = 25;
/// Idle connections kept a host.
const IDLE_PER_HOST_MAX: usize = 16;

/// A client with time-outs and rustls, following no redirect (a redirected payment order is a
/// fault, not a detour).
pub fn client() -> Result<Client, reqwest::Error> {
    Client::builder()
        .connect_timeout(Duration::from_secs(CONNECT_SECONDS_MAX))
        .timeout(Duration::from_secs(TOTAL_SECONDS_MAX))
        .pool_max_idle_per_host(IDLE_PER_HOST_MAX)
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("microcrop/", env!("CARGO_PKG_VERSION")))
        .build()
}

/// Asks `url` and says whether it answered 2xx: container health checks.
pub async fn is_healthy(url: &str) -> bool {
    let Ok(client) = client() else { return false };
    let asked = client
        .get(url)
        .timeout(Duration::from_secs(CONNECT_SECONDS_MAX))
        .send()
        .await;
    asked.is_ok_and(|response| response.status().is_success())
}
