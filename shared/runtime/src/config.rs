//! Configuration every binary shares: flags that are environment variables that are the manual.
//! Must never print a secret, and must report all faults of a configuration together.
//! Flattened into the `Config` of each binary; `check-config` runs the same checks and exits.

use std::fmt;
use std::str::FromStr;

use clap::{Args, ValueEnum};

use crate::clock::Clock;

/// A value that never shows itself in logs or help.
///
/// Written directly, or as `file:<path>` to be read from a mounted secret (one trailing line
/// feed is dropped).
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Secret<T = String>(T);

impl<T> Secret<T> {
    /// Wraps a value.
    pub const fn new(value: T) -> Self {
        Self(value)
    }

    /// The value itself, for the one place that needs it.
    pub const fn expose(&self) -> &T {
        &self.0
    }
}

impl Secret<String> {
    /// Whether nothing was given.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<T> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl FromStr for Secret<String> {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.strip_prefix("file:") {
            None => Ok(Self(text.to_owned())),
            Some(path) => std::fs::read_to_string(path)
                .map(|content| Self(content.trim_end_matches(['\n', '\r']).to_owned()))
                .map_err(|error| format!("secret file {path} cannot be read: {error}")),
        }
    }
}

/// Where a process runs; production refuses what only development may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Environment {
    /// A developer's machine, tests, the demo.
    Development,
    /// A rehearsal of production with pretend money.
    Staging,
    /// Real farmers, real money.
    Production,
}

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// One JSON object a line, for machines.
    Json,
    /// For people.
    Text,
}

/// What a binary cannot run without; [`Common::check`] reports each that is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// PostgreSQL.
    Database,
    /// Redis.
    Redis,
    /// RabbitMQ.
    Broker,
    /// The keys that encrypt and index personal data.
    Keys,
}

/// Everything wrong with a configuration, gathered before anything is said.
#[derive(Debug, Default, thiserror::Error)]
pub struct Faults(Vec<String>);

impl Faults {
    /// An empty list.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one fault: which setting, and how to mend it.
    pub fn add(&mut self, fault: impl Into<String>) {
        self.0.push(fault.into());
    }

    /// Adds a fault unless `holds`.
    pub fn require(&mut self, holds: bool, fault: &str) {
        if !holds {
            self.add(fault);
        }
    }

    /// Adds a fault when a text setting was left empty.
    pub fn require_set(&mut self, name: &str, value: &str) {
        if value.is_empty() {
            self.add(format!("{name} is missing"));
        }
    }

    /// The faults so far.
    #[must_use]
    pub fn list(&self) -> &[String] {
        &self.0
    }

    /// `Err` with all of them if there is any.
    pub fn into_result(self) -> Result<(), Self> {
        if self.0.is_empty() { Ok(()) } else { Err(self) }
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "configuration has {} fault(s)", self.0.len())?;
        self.0
            .iter()
            .try_for_each(|fault| write!(f, "\n  - {fault}"))
    }
}

/// Settings that every binary understands.
#[derive(Debug, Clone, Args)]
pub struct Common {
    /// PostgreSQL, as postgres://user:password@host:port/database.
    #[arg(
        long,
        env = "DATABASE_URL",
        default_value = "",
        hide_env_values = true,
        hide_default_value = true
    )]
    pub database_url: Secret,
    /// Fewest open database connections.
    #[arg(long, env = "DB_POOL_MIN", default_value_t = 2)]
    pub db_pool_min: u32,
    /// Most open database connections.
    #[arg(long, env = "DB_POOL_MAX", default_value_t = 10)]
    pub db_pool_max: u32,
    /// Redis, as redis://host:port/database.
    #[arg(
        long,
        env = "REDIS_URL",
        default_value = "",
        hide_env_values = true,
        hide_default_value = true
    )]
    pub redis_url: Secret,
    /// RabbitMQ, as amqp://user:password@host:port/vhost.
    #[arg(
        long,
        env = "RABBITMQ_URL",
        default_value = "",
        hide_env_values = true,
        hide_default_value = true
    )]
    pub rabbitmq_url: Secret,
    /// In front of every queue and exchange name, so that several systems can share a broker.
    #[arg(long, env = "BROKER_PREFIX", default_value = "")]
    pub broker_prefix: String,
    /// How long a failed message waits before it is tried again, in milliseconds.
    #[arg(long, env = "RABBITMQ_RETRY_DELAY_MS", default_value_t = 30_000)]
    pub rabbitmq_retry_delay_ms: u32,
    /// Messages a consumer holds unacknowledged, and handles at once.
    #[arg(long, env = "RABBITMQ_PREFETCH", default_value_t = 10)]
    pub rabbitmq_prefetch: u16,
    /// Where this process runs.
    #[arg(long, env = "ENVIRONMENT", value_enum, default_value_t = Environment::Development)]
    pub environment: Environment,
    /// `system`; outside production also `system+<seconds>` (or `-`), the machine's time so much later,
    /// and `manual:<file>`, whose one RFC 3339 instant is the time.
    #[arg(long, env = "TIME_MODE", default_value = "system")]
    pub time_mode: String,
    /// How log lines are written.
    #[arg(long, env = "LOG_FORMAT", value_enum, default_value_t = LogFormat::Json)]
    pub log_format: LogFormat,
    /// Which log lines are written, in the language of `tracing-subscriber`'s `EnvFilter`.
    #[arg(
        long = "log-filter",
        env = "RUST_LOG",
        default_value = "info,lapin=warn,sqlx=warn"
    )]
    pub log_filter: String,
    /// Private port for /metrics, /health/live and /health/ready.
    #[arg(long, env = "METRICS_PORT", default_value_t = 9090)]
    pub metrics_port: u16,
    /// How often due work is looked for, in milliseconds of real time.
    #[arg(long, env = "SWEEP_INTERVAL_MS", default_value_t = 5_000)]
    pub sweep_interval_ms: u32,
    /// Key that encrypts personal data at rest: 64 hexadecimal digits.
    #[arg(
        long,
        env = "ENCRYPTION_KEY",
        default_value = "",
        hide_env_values = true,
        hide_default_value = true
    )]
    pub encryption_key: Secret,
    /// Key of the blind index over phone numbers and national ids: 64 hexadecimal digits.
    #[arg(
        long,
        env = "PII_INDEX_KEY",
        default_value = "",
        hide_env_values = true,
        hide_default_value = true
    )]
    pub pii_index_key: Secret,
}

impl Common {
    /// Adds every fault of these settings to `faults`; `needs` says which servers and keys the
    /// binary cannot do without.
    pub fn check(&self, needs: &[Need], faults: &mut Faults) {
        let url = |faults: &mut Faults, name: &str, value: &Secret, schemes: &[&str]| {
            if value.is_empty() {
                faults.add(format!("{name} is missing"));
            } else if !schemes
                .iter()
                .any(|scheme| value.expose().starts_with(scheme))
            {
                faults.add(format!("{name} must start with {}", schemes.join(" or ")));
            }
        };
        for need in needs {
            match need {
                Need::Database => {
                    url(
                        faults,
                        "DATABASE_URL",
                        &self.database_url,
                        &["postgres://", "postgresql://"],
                    );
                }
                Need::Redis => url(
                    faults,
                    "REDIS_URL",
                    &self.redis_url,
                    &["redis://", "rediss://"],
                ),
                Need::Broker => url(
                    faults,
                    "RABBITMQ_URL",
                    &self.rabbitmq_url,
                    &["amqp://", "amqps://"],
                ),
                Need::Keys => {
                    for (name, value) in [
                        ("ENCRYPTION_KEY", &self.encryption_key),
                        ("PII_INDEX_KEY", &self.pii_index_key),
                    ] {
                        if let Err(fault) = key(name, value) {
                            faults.add(fault);
                        }
                    }
                    faults.require(
                        self.encryption_key.is_empty() || self.encryption_key != self.pii_index_key,
                        "ENCRYPTION_KEY and PII_INDEX_KEY must differ",
                    );
                }
            }
        }
        if let Err(error) = Clock::parse(&self.time_mode, self.environment) {
            faults.add(error.to_string());
        }
        if let Err(error) = tracing_subscriber::EnvFilter::try_new(&self.log_filter) {
            faults.add(format!("RUST_LOG is not a filter: {error}"));
        }
        faults.require(self.db_pool_max >= 1, "DB_POOL_MAX must be at least 1");
        faults.require(
            self.db_pool_min <= self.db_pool_max,
            "DB_POOL_MIN must not exceed DB_POOL_MAX",
        );
        faults.require(
            (1..=1000).contains(&self.rabbitmq_prefetch),
            "RABBITMQ_PREFETCH must be 1 to 1000",
        );
        faults.require(
            (10..=86_400_000).contains(&self.rabbitmq_retry_delay_ms),
            "RABBITMQ_RETRY_DELAY_MS must be 10 to 86400000",
        );
        faults.require(
            (10..=3_600_000).contains(&self.sweep_interval_ms),
            "SWEEP_INTERVAL_MS must be 10 to 3600000",
        );
        faults.require(
            self.broker_prefix.len() <= 64
                && self
                    .broker_prefix
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b)),
            "BROKER_PREFIX must be at most 64 letters, digits, `-`, `_` or `.`",
        );
    }
}

/// Decodes a key of 64 hexadecimal digits; the error names the setting, never the value.
pub fn key(name: &str, value: &Secret) -> Result<[u8; 32], String> {
    data_encoding::HEXLOWER_PERMISSIVE
        .decode(value.expose().as_bytes())
        .ok()
        .and_then(|bytes| bytes.try_into().ok())
        .ok_or_else(|| {
            format!("{name} must be 64 hexadecimal digits; make one with `openssl rand -hex 32`")
        })
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        common: Common,
    }

    #[test]
    fn all_faults_are_reported_together() {
        let cli = Cli::try_parse_from([
            "x",
            "--database-url",
            "mysql://x",
            "--rabbitmq-url",
            "",
            "--encryption-key",
            "abc",
            "--pii-index-key",
            "",
            "--db-pool-min",
            "20",
            "--time-mode",
            "manual:/nowhere/at/all",
        ])
        .unwrap();
        let mut faults = Faults::new();
        cli.common
            .check(&[Need::Database, Need::Broker, Need::Keys], &mut faults);
        let text = faults.into_result().unwrap_err().to_string();
        for named in [
            "DATABASE_URL",
            "RABBITMQ_URL",
            "ENCRYPTION_KEY",
            "PII_INDEX_KEY",
            "DB_POOL_MIN",
            "clock file",
        ] {
            assert!(text.contains(named), "{named} is not in: {text}");
        }
    }

    #[test]
    fn a_secret_is_read_from_its_file_and_never_shown() {
        let path = std::env::temp_dir().join(format!("secret-{}", std::process::id()));
        std::fs::write(&path, "s3cret\n").unwrap();
        let secret: Secret = format!("file:{}", path.display()).parse().unwrap();
        std::fs::remove_file(&path).unwrap();
        assert_eq!(secret.expose(), "s3cret");
        assert_eq!(format!("{secret:?}"), "Secret(…)");
    }

    #[test]
    fn keys_are_32_bytes_of_hex() {
        assert_eq!(key("K", &Secret::new("0f".repeat(32))), Ok([15; 32]));
        assert!(key("K", &Secret::new("0f".repeat(31))).is_err());
    }
}
