//! The page: phones that a visitor uses, beside the world they live in, served by the sandbox
//! because only the pretend outside world has phones, wallets and weather. It reads the product as
//! an operator would and never changes what it shows of it; it asks nothing of other hosts.
//! Mounted by `serve` when asked for, beside the providers and the control API.

mod assets;
mod calendar;
mod clock;
mod events;
mod land;
mod phones;
mod requests;
mod view;
mod watch;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use axum::Router;
use axum::routing::{get, post};
use domain::msisdn::Msisdn;

use crate::World;
use crate::season::net::Net;
pub use clock::Played;
use clock::Player;
use land::Skies;
use watch::Watch;

/// How the page reaches the product and the time.
#[derive(Debug, Clone)]
pub struct PageSettings {
    /// Root of the backend.
    pub backend_url: String,
    /// Root of this sandbox, for what is due in it.
    pub sandbox_url: String,
    /// Tokens of the two operators whose buttons release held payouts; the first reads the report.
    pub operator_tokens: Vec<String>,
    /// The manual clock's file, of which the page is the one writer; `None` on the system's time.
    pub clock_file: Option<String>,
}

#[derive(Debug)]
struct Inner {
    world: World,
    net: Net,
    phones: Mutex<Vec<Msisdn>>,
    skies: Mutex<Skies>,
    watch: Watch,
    player: Option<Player>,
}

/// The page's own state; clones share it.
#[derive(Debug, Clone)]
pub struct Page(Arc<Inner>);

impl Page {
    /// A page with one phone on it and a drought overhead. Fails without two operators, or when the
    /// clock file cannot be read.
    pub fn new(world: World, settings: &PageSettings) -> anyhow::Result<Self> {
        let tokens: Vec<&str> = settings
            .operator_tokens
            .iter()
            .map(|token| token.trim())
            .filter(|token| !token.is_empty())
            .collect();
        ensure!(
            tokens.len() >= 2,
            "the page needs two operators' tokens: set OPERATOR_TOKENS=a,b"
        );
        let net = || {
            let operators = match tokens.as_slice() {
                [maker, checker, ..] => ((*maker).to_owned(), (*checker).to_owned()),
                _ => Default::default(),
            };
            // the page's phones dial through the gateway, never past it
            Net::between(
                &settings.backend_url,
                &settings.sandbox_url,
                String::new(),
                operators,
            )
        };
        let player = match &settings.clock_file {
            Some(file) => Some(Player::new(net()?, file).context("the page's clock")?),
            None => None,
        };
        let page = Self(Arc::new(Inner {
            net: net()?,
            phones: Mutex::default(),
            skies: Mutex::new(Skies::default()),
            watch: Watch::default(),
            player,
            world,
        }));
        page.add_phone()
            .map_err(|message| anyhow::anyhow!(message))?;
        page.apply_sky();
        Ok(page)
    }

    /// Lets the clock do one bounded thing: a step of the season that plays, or the moment a phone
    /// asked for.
    pub async fn step(&self) -> Played {
        match &self.0.player {
            Some(player) => player.step(&self.0.world).await,
            None => Played::Nothing,
        }
    }

    /// Steps until `pause` says to stop: it must wait and say whether to continue.
    pub async fn run<P, F>(&self, pause: P)
    where
        P: Fn(Duration) -> F,
        F: Future<Output = bool>,
    {
        loop {
            let wait = self.step().await.wait();
            if !pause(wait).await {
                return;
            }
        }
    }

    fn phones(&self) -> Vec<Msisdn> {
        let phones = self.0.phones.lock();
        phones.unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The page at `/` and everything it asks for under `/page`.
pub fn router(page: Page) -> Router {
    Router::new()
        .route("/", get(assets::index))
        .route("/page/assets/{name}", get(assets::asset))
        .route("/page/map", get(view::map))
        .route("/page/state", get(view::state))
        .route("/page/phones", post(phones::add))
        .route("/page/phones/{msisdn}/dial", post(phones::dial))
        .route("/page/phones/{msisdn}/input", post(phones::input))
        .route("/page/phones/{msisdn}/hangup", post(phones::hang_up))
        .route("/page/phones/{msisdn}/prompt", post(phones::answer))
        .route("/page/clock", post(requests::clock))
        .route("/page/weather", post(requests::weather))
        .route(
            "/page/releases/{evaluation}/approve",
            post(requests::approve),
        )
        .with_state(page)
}
