//! Serving a world: the `serve` command, which is the sandbox process, and a loopback server for
//! tests. Refuses production, where pretend money would look real.
//! Called by `main` and by tests.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;
use runtime::clock::Clock;
use runtime::config::{Environment, LogFormat};
use runtime::health::Health;
use runtime::lifecycle::Lifecycle;
use runtime::metrics::Metrics;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::page::{self, Page, PageSettings};
use crate::{CallbackSink, Credentials, Settings, World, router};

/// The sandbox process.
#[derive(Debug, Clone, Args)]
pub struct ServeArgs {
    /// Address to listen on.
    #[arg(long, env = "SANDBOX_HOST", default_value = "127.0.0.1")]
    pub host: String,
    /// Port of every provider and of the control API.
    #[arg(long, env = "SANDBOX_PORT", default_value_t = 4000)]
    pub port: u16,
    /// Decides every fault, delay and synthetic value.
    #[arg(long, env = "SANDBOX_SEED", default_value_t = 7)]
    pub seed: u64,
    /// Where this process runs; production is refused.
    #[arg(long, env = "ENVIRONMENT", value_enum, default_value_t = Environment::Development)]
    pub environment: Environment,
    /// `system`, or `manual:<file>` whose one RFC 3339 instant is the time.
    #[arg(long, env = "TIME_MODE", default_value = "system")]
    pub time_mode: String,
    /// How log lines are written.
    #[arg(long, env = "LOG_FORMAT", value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,
    /// Which log lines are written.
    #[arg(long = "log-filter", env = "RUST_LOG", default_value = "info")]
    pub log_filter: String,
    /// Private port for /metrics and /health.
    #[arg(long, env = "METRICS_PORT", default_value_t = 9098)]
    pub metrics_port: u16,
    /// Root of the product's backend, from which the callback addresses are made.
    #[arg(long, env = "BACKEND_URL", default_value = "http://127.0.0.1:3000")]
    pub backend_url: String,
    /// Path token of the backend's Africa's Talking addresses; none when the backend has none.
    #[arg(
        long,
        env = "AT_CALLBACK_TOKEN",
        default_value = "",
        hide_env_values = true
    )]
    pub at_callback_token: String,
    /// Where USSD hops go; made from BACKEND_URL when left out.
    #[arg(long, env = "USSD_URL")]
    pub ussd_url: Option<String>,
    /// Where SMS delivery reports go; made from BACKEND_URL when left out.
    #[arg(long, env = "AT_DELIVERY_URL")]
    pub at_delivery_url: Option<String>,
    /// Where end-of-session notices go; made from BACKEND_URL when left out.
    #[arg(long, env = "AT_EVENTS_URL")]
    pub at_events_url: Option<String>,
    /// The dialled code.
    #[arg(long, env = "USSD_SERVICE_CODE", default_value = "*384*57#")]
    pub service_code: String,
    /// Folder that keeps pinned objects; memory only when left out.
    #[arg(long, env = "SANDBOX_PINATA_FOLDER")]
    pub pinata_folder: Option<PathBuf>,
    /// Africa's Talking user name the product must show.
    #[arg(long, env = "AT_USERNAME")]
    pub at_username: Option<String>,
    /// Africa's Talking key the product must show.
    #[arg(long, env = "AT_API_KEY", hide_env_values = true)]
    pub at_api_key: Option<String>,
    /// Swypt key the product must show.
    #[arg(long, env = "SWYPT_API_KEY", hide_env_values = true)]
    pub swypt_api_key: Option<String>,
    /// Swypt secret the product must show.
    #[arg(long, env = "SWYPT_SECRET_KEY", hide_env_values = true)]
    pub swypt_secret_key: Option<String>,
    /// M-Pesa app key the product must show.
    #[arg(long, env = "MPESA_CONSUMER_KEY", hide_env_values = true)]
    pub mpesa_consumer_key: Option<String>,
    /// M-Pesa app secret the product must show.
    #[arg(long, env = "MPESA_CONSUMER_SECRET", hide_env_values = true)]
    pub mpesa_consumer_secret: Option<String>,
    /// M-Pesa paying shortcode.
    #[arg(long, env = "MPESA_SHORTCODE")]
    pub mpesa_shortcode: Option<String>,
    /// WeatherXM key the product must show.
    #[arg(long, env = "WEATHERXM_API_KEY", hide_env_values = true)]
    pub weatherxm_api_key: Option<String>,
    /// Pinata token the product must show.
    #[arg(long, env = "PINATA_JWT", hide_env_values = true)]
    pub pinata_jwt: Option<String>,
    /// Serve the page with phones at `/`; it then writes the manual clock, so nobody else may.
    #[arg(long, env = "SANDBOX_PAGE")]
    pub page: bool,
    /// Tokens of the two operators on the page, joined by a comma.
    #[arg(
        long = "operator-token",
        env = "OPERATOR_TOKENS",
        value_delimiter = ',',
        hide_env_values = true
    )]
    pub operator_tokens: Vec<String>,
}

impl ServeArgs {
    /// The world these arguments describe.
    #[must_use]
    pub fn settings(&self) -> Settings {
        let token = self.at_callback_token.as_str();
        let root = self.backend_url.trim_end_matches('/');
        let (hops, notices) = if token.is_empty() {
            (format!("{root}/api/ussd"), None)
        } else {
            let notices = format!("{root}/api/webhooks/africastalking/{token}");
            (format!("{root}/api/ussd/{token}"), Some(notices))
        };
        // without a token the backend has no address for reports, so none are sent
        let notice = |given: &Option<String>, kind: &str| {
            let made = notices.as_ref().map(|notices| format!("{notices}/{kind}"));
            given.clone().or(made).unwrap_or_default()
        };
        let or = |given: &Option<String>, otherwise: String| {
            given
                .clone()
                .filter(|text| !text.is_empty())
                .unwrap_or(otherwise)
        };
        let usual = Credentials::default();
        Settings {
            seed: self.seed,
            credentials: Credentials {
                at_username: or(&self.at_username, usual.at_username),
                at_api_key: or(&self.at_api_key, usual.at_api_key),
                swypt_api_key: or(&self.swypt_api_key, usual.swypt_api_key),
                swypt_secret_key: or(&self.swypt_secret_key, usual.swypt_secret_key),
                mpesa_consumer_key: or(&self.mpesa_consumer_key, usual.mpesa_consumer_key),
                mpesa_consumer_secret: or(&self.mpesa_consumer_secret, usual.mpesa_consumer_secret),
                mpesa_shortcode: or(&self.mpesa_shortcode, usual.mpesa_shortcode),
                weatherxm_api_key: or(&self.weatherxm_api_key, usual.weatherxm_api_key),
                pinata_jwt: or(&self.pinata_jwt, usual.pinata_jwt),
            },
            service_code: Some(self.service_code.clone()),
            ussd_url: self.ussd_url.clone().unwrap_or(hops),
            at_delivery_url: notice(&self.at_delivery_url, "sms-delivery"),
            at_events_url: notice(&self.at_events_url, "ussd-events"),
            pinata_folder: self.pinata_folder.clone(),
        }
    }
}

impl ServeArgs {
    /// How the page reaches the backend, this sandbox on its `port`, and the clock.
    fn page_settings(&self, port: u16) -> PageSettings {
        let is_manual = self.time_mode.starts_with("manual:");
        PageSettings {
            backend_url: self.backend_url.clone(),
            sandbox_url: format!("http://127.0.0.1:{port}"),
            operator_tokens: self.operator_tokens.clone(),
            clock_file: is_manual.then(|| self.time_mode.clone()),
        }
    }
}

/// Serves until a signal; fails on a bad configuration, in production, or on a taken port.
pub async fn run(args: ServeArgs) -> anyhow::Result<()> {
    runtime::telemetry::init(args.log_format, &args.log_filter)?;
    if args.environment == Environment::Production {
        anyhow::bail!("the sandbox refuses ENVIRONMENT=production; it moves pretend money");
    }
    if let Some(folder) = &args.pinata_folder {
        std::fs::create_dir_all(folder)?;
    }
    let clock = Clock::parse(&args.time_mode, args.environment)?;
    let life = Lifecycle::new();
    life.obey_signals()?;
    let sink = CallbackSink::Http(runtime::http::client()?);
    let world = World::new(clock, args.settings(), sink);
    let listener = TcpListener::bind((args.host.as_str(), args.port)).await?;
    let health = Health::default();
    runtime::health::serve(args.metrics_port, health.clone(), Metrics::build()?, &life).await?;
    let address = listener.local_addr()?;
    tracing::info!(%address, "sandbox listening");

    let mut serving = router(world.clone());
    if args.page {
        let page = Page::new(world.clone(), &args.page_settings(address.port()))?;
        serving = serving.merge(page::router(page.clone()));
        let pausing = life.clone();
        life.spawn("page clock", async move {
            page.run(|wait| pausing.pause(wait)).await;
            Ok::<(), std::convert::Infallible>(())
        });
    }
    let stopping = life.clone();
    life.spawn("http", async move {
        let stop = async move { stopping.stopping().await };
        axum::serve(listener, serving)
            .with_graceful_shutdown(stop)
            .await
    });
    let pausing = life.clone();
    life.spawn("schedule", async move {
        world.run(|wait| pausing.pause(wait)).await;
        Ok::<(), std::convert::Infallible>(())
    });
    life.finish().await?;
    Ok(())
}

/// A world served on a free loopback port until dropped; nothing fires unless stepped.
#[derive(Debug)]
pub struct Local {
    /// `http://127.0.0.1:port`.
    pub base_url: String,
    _tasks: JoinSet<()>,
}

impl Local {
    /// The address of a path such as `/mpesa`.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base_url)
    }
}

/// Serves `world` on a free loopback port: for clients that need a real socket.
pub async fn local(world: World) -> std::io::Result<Local> {
    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await?;
    let base_url = format!("http://{}", listener.local_addr()?);
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        if let Err(error) = axum::serve(listener, router(world)).await {
            tracing::error!(%error, "loopback server ended");
        }
    });
    Ok(Local {
        base_url,
        _tasks: tasks,
    })
}
