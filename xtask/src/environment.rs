//! The environment of a private system: every variable the binaries read, with throwaway secrets.
//! Never takes anything from the caller's environment, so no real key reaches a demo.
//! Called by stack; the names are those of `.env.example` and docs/config.md.

use std::path::Path;

use crate::ports::random_hex;
use crate::servers::Urls;
use crate::servers::database::app_url;

/// The database as its owner reaches it, which only `backend migrate` may.
pub(crate) const OWNER_URL: &str = "MIGRATE_DATABASE_URL";

/// Where the processes of one system listen.
#[derive(Clone, Debug)]
pub(crate) struct Addresses {
    /// The backend's own port.
    pub(crate) backend: u16,
    /// The sandbox's.
    pub(crate) sandbox: u16,
}

/// What differs from system to system.
pub(crate) struct Facts<'a> {
    /// The servers, with the database of this run.
    pub(crate) urls: &'a Urls,
    /// In front of every queue's and exchange's name.
    pub(crate) broker_prefix: &'a str,
    /// Ports.
    pub(crate) addresses: &'a Addresses,
    /// The file that holds the time; none = the system's.
    pub(crate) clock: Option<&'a Path>,
    /// Decides the sandbox's faults and delays.
    pub(crate) seed: u64,
    /// Where evidence bundles are left for whoever wants to recompute them.
    pub(crate) evidence_dir: &'a Path,
}

/// Every variable all processes share; per-role ones (PORT, METRICS_PORT) are added by the stack.
pub(crate) fn shared(facts: &Facts<'_>) -> anyhow::Result<Vec<(String, String)>> {
    let backend = format!("http://127.0.0.1:{}", facts.addresses.backend);
    let sandbox = format!("http://127.0.0.1:{}", facts.addresses.sandbox);
    let time_mode = facts.clock.map_or_else(
        || "system".to_owned(),
        |file| format!("manual:{}", file.display()),
    );
    let token = || random_hex(16);
    let key = || random_hex(32);
    let variables = [
        ("DATABASE_URL", app_url(&facts.urls.database)?),
        (OWNER_URL, facts.urls.database.clone()),
        ("REDIS_URL", facts.urls.redis.clone()),
        ("RABBITMQ_URL", facts.urls.rabbitmq.clone()),
        ("BROKER_PREFIX", facts.broker_prefix.to_owned()),
        ("ENVIRONMENT", "development".to_owned()),
        ("TIME_MODE", time_mode),
        ("LOG_FORMAT", "json".to_owned()),
        ("RUST_LOG", "info,lapin=warn,sqlx=warn".to_owned()),
        ("RUST_BACKTRACE", "1".to_owned()),
        // a season in a minute: provider faults and broker retries may not wait half a minute
        ("RABBITMQ_RETRY_DELAY_MS", "1000".to_owned()),
        ("SWEEP_INTERVAL_MS", "300".to_owned()),
        ("ENCRYPTION_KEY", key()),
        ("PII_INDEX_KEY", key()),
        ("PIN_PEPPER", key()),
        ("JWT_SECRET", key()),
        // our clock passes half a year in a demo, and tokens expire by it
        ("JWT_EXPIRES_IN", "365d".to_owned()),
        ("AT_CALLBACK_TOKEN", token()),
        ("MPESA_CALLBACK_TOKEN", token()),
        ("ENABLE_USSD", "true".to_owned()),
        ("ENABLE_WEBHOOKS", "true".to_owned()),
        ("ENABLE_AUTO_PAYOUTS", "true".to_owned()),
        // the one phone gateway of a demo is the driver, which types faster than a county
        ("USSD_RATE_PER_SECOND", "5000".to_owned()),
        ("USSD_RATE_BURST", "5000".to_owned()),
        ("API_RATE_PER_SECOND", "1000".to_owned()),
        ("API_RATE_BURST", "1000".to_owned()),
        ("WEBHOOK_RATE_PER_SECOND", "2000".to_owned()),
        ("WEBHOOK_RATE_BURST", "2000".to_owned()),
        ("PUBLIC_BASE_URL", backend.clone()),
        ("BACKEND_URL", backend),
        ("SANDBOX_URL", sandbox.clone()),
        ("SANDBOX_PORT", facts.addresses.sandbox.to_string()),
        ("SANDBOX_SEED", facts.seed.to_string()),
        ("EVIDENCE_DIR", facts.evidence_dir.display().to_string()),
        ("AT_BASE_URL", format!("{sandbox}/at")),
        ("AT_USERNAME", "sandbox".to_owned()),
        ("AT_API_KEY", token()),
        ("SWYPT_API_URL", format!("{sandbox}/swypt/api")),
        ("SWYPT_API_KEY", token()),
        ("SWYPT_SECRET_KEY", token()),
        ("SWYPT_USER_ADDRESS", format!("0x{}", random_hex(20))),
        // USDC's contract on Polygon; the sandbox holds no money of any kind
        (
            "SWYPT_TOKEN_ADDRESS",
            "0x3c499c542cEF5E3811e1192ce70d8cC03d5c3359".to_owned(),
        ),
        ("MPESA_BASE_URL", format!("{sandbox}/mpesa")),
        ("MPESA_CONSUMER_KEY", token()),
        ("MPESA_CONSUMER_SECRET", token()),
        ("MPESA_SHORTCODE", "600000".to_owned()),
        ("MPESA_INITIATOR_NAME", "microcrop".to_owned()),
        ("MPESA_SECURITY_CREDENTIAL", token()),
        ("WEATHERXM_API_URL", format!("{sandbox}/weatherxm/api/v1")),
        ("WEATHERXM_API_KEY", token()),
        ("SENTINEL2_API_URL", format!("{sandbox}/earthsearch/v1")),
        ("PINATA_UPLOAD_URL", format!("{sandbox}/pinata")),
        ("PINATA_JWT", token()),
        ("PINATA_GATEWAY", format!("{sandbox}/gateway")),
    ];
    Ok(variables
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect())
}

/// The value of a variable in a list.
pub(crate) fn value<'a>(env: &'a [(String, String)], name: &str) -> &'a str {
    env.iter()
        .find(|(key, _)| key == name)
        .map_or("", |(_, value)| value.as_str())
}
