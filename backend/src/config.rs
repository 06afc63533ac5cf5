//! Every setting of the backend: flags that are environment variables that are the manual.
//! Must never print a secret, and reports all faults of a configuration together.
//! Parsed by `main`; read through `App::config`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Args, FromArgMatches};
use runtime::config::{Common, Environment, Faults, Need, Secret};

/// Shortest secret that is taken, bytes: 256 bits of the usual hexadecimal or base64 text.
const SECRET_BYTES_MIN: usize = 32;
/// Shortest callback token that is taken, characters.
const TOKEN_CHARS_MIN: usize = 16;

/// Settings of the backend.
#[derive(Debug, Clone, Args)]
pub struct Config {
    /// Servers, time, logs, keys.
    #[command(flatten)]
    pub common: Common,
    /// Ceilings.
    #[command(flatten)]
    pub ceilings: Ceilings,
    /// Port of every public route.
    #[arg(long, env = "PORT", default_value_t = 3000)]
    pub port: u16,
    /// Key that signs operators' tokens; at least 32 characters.
    #[arg(
        long,
        env = "JWT_SECRET",
        default_value = "",
        hide_env_values = true,
        hide_default_value = true
    )]
    pub jwt_secret: Secret,
    /// How long a token of `backend operator token` is good: a number with s, m, h or d. Outside
    /// production only; people who sign in get fifteen minutes at a time.
    #[arg(long, env = "JWT_EXPIRES_IN", default_value = "12h", value_parser = span)]
    pub jwt_expires_in: Duration,
    /// Secret part of Africa's Talking's callback paths; without it USSD has no token and no
    /// report is taken, which production refuses.
    #[arg(
        long,
        env = "AT_CALLBACK_TOKEN",
        default_value = "",
        hide_env_values = true,
        hide_default_value = true
    )]
    pub at_callback_token: Secret,
    /// Secret part of M-Pesa's callback paths; without it no result is taken.
    #[arg(
        long,
        env = "MPESA_CALLBACK_TOKEN",
        default_value = "",
        hide_env_values = true,
        hide_default_value = true
    )]
    pub mpesa_callback_token: Secret,
    /// Key mixed into PINs and passwords before they are hashed; at least 32 characters.
    #[arg(
        long,
        env = "PIN_PEPPER",
        default_value = "",
        hide_env_values = true,
        hide_default_value = true
    )]
    pub pin_pepper: Secret,
    /// Whether farmers may dial; off answers every dial with a notice.
    #[arg(long, env = "ENABLE_USSD", default_value_t = true, action = ArgAction::Set)]
    pub enable_ussd: bool,
    /// Whether stored callbacks are processed; off only stores them.
    #[arg(long, env = "ENABLE_WEBHOOKS", default_value_t = true, action = ArgAction::Set)]
    pub enable_webhooks: bool,
    /// Folder of product documents and wards.csv, instead of those built in.
    #[arg(long, env = "PRODUCTS_DIR")]
    pub products_dir: Option<PathBuf>,
}

/// Ceilings of one process: sustained rate and burst of each class of routes.
#[derive(Debug, Clone, Args)]
pub struct Ceilings {
    /// USSD hops a second.
    #[arg(long, env = "USSD_RATE_PER_SECOND", default_value_t = 600)]
    pub ussd_rate_per_second: u32,
    /// USSD hops at once above that.
    #[arg(long, env = "USSD_RATE_BURST", default_value_t = 60)]
    pub ussd_rate_burst: u32,
    /// USSD hops a second of one phone.
    #[arg(long, env = "USSD_PHONE_RATE_PER_SECOND", default_value_t = 5)]
    pub ussd_phone_rate_per_second: u32,
    /// USSD hops of one phone at once above that; registering and buying takes about thirty.
    #[arg(long, env = "USSD_PHONE_RATE_BURST", default_value_t = 60)]
    pub ussd_phone_rate_burst: u32,
    /// Requests a second of one key under /api/v1.
    #[arg(long, env = "API_RATE_PER_SECOND", default_value_t = 100)]
    pub api_rate_per_second: u32,
    /// Requests at once above that.
    #[arg(long, env = "API_RATE_BURST", default_value_t = 20)]
    pub api_rate_burst: u32,
    /// Callbacks a second that carry a token we do not know.
    #[arg(long, env = "WEBHOOK_RATE_PER_SECOND", default_value_t = 50)]
    pub webhook_rate_per_second: u32,
    /// Such callbacks at once above that.
    #[arg(long, env = "WEBHOOK_RATE_BURST", default_value_t = 20)]
    pub webhook_rate_burst: u32,
}

impl Config {
    /// Settings from flags alone, as `["--port", "0"]`; what is not given comes from the
    /// environment or its default. For tests and the simulation.
    pub fn from_flags<I, T>(flags: I) -> Result<Self, clap::Error>
    where
        I: IntoIterator<Item = T>,
        T: Into<std::ffi::OsString> + Clone,
    {
        let command = Self::augment_args(clap::Command::new("backend").no_binary_name(true));
        Self::from_arg_matches(&command.try_get_matches_from(flags)?)
    }

    /// Everything that keeps the backend from serving with these settings.
    pub fn check(&self) -> Result<(), Faults> {
        let mut faults = Faults::new();
        let needs = [Need::Database, Need::Redis, Need::Broker, Need::Keys];
        self.common.check(&needs, &mut faults);
        for (name, secret) in [
            ("JWT_SECRET", &self.jwt_secret),
            ("PIN_PEPPER", &self.pin_pepper),
        ] {
            let rule = format!("{name} must have at least {SECRET_BYTES_MIN} characters");
            faults.require(secret.expose().len() >= SECRET_BYTES_MIN, &rule);
        }
        let production = self.common.environment == Environment::Production;
        for (name, token) in [
            ("AT_CALLBACK_TOKEN", &self.at_callback_token),
            ("MPESA_CALLBACK_TOKEN", &self.mpesa_callback_token),
        ] {
            if token.is_empty() {
                faults.require(
                    !production,
                    &format!("{name} is missing; production needs it"),
                );
                continue;
            }
            let text = token.expose();
            let is_token = text.len() >= TOKEN_CHARS_MIN
                && text
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
            faults.require(
                is_token,
                &format!("{name} must be at least {TOKEN_CHARS_MIN} letters, digits, - or _"),
            );
        }
        let ceilings = &self.ceilings;
        for (name, value) in [
            ("USSD_RATE_PER_SECOND", ceilings.ussd_rate_per_second),
            ("USSD_RATE_BURST", ceilings.ussd_rate_burst),
            (
                "USSD_PHONE_RATE_PER_SECOND",
                ceilings.ussd_phone_rate_per_second,
            ),
            ("USSD_PHONE_RATE_BURST", ceilings.ussd_phone_rate_burst),
            ("API_RATE_PER_SECOND", ceilings.api_rate_per_second),
            ("API_RATE_BURST", ceilings.api_rate_burst),
            ("WEBHOOK_RATE_PER_SECOND", ceilings.webhook_rate_per_second),
            ("WEBHOOK_RATE_BURST", ceilings.webhook_rate_burst),
        ] {
            faults.require(
                (1..=1_000_000).contains(&value),
                &format!("{name} must be 1 to 1000000"),
            );
        }
        faults.into_result()
    }
}

/// `90s`, `15m`, `12h`, `7d`, or seconds without a unit.
fn span(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is no span of time; write 90s, 15m, 12h or 7d");
    let (digits, unit_seconds) = match text.chars().last() {
        Some('s') => (text.strip_suffix('s'), 1),
        Some('m') => (text.strip_suffix('m'), 60),
        Some('h') => (text.strip_suffix('h'), 3_600),
        Some('d') => (text.strip_suffix('d'), 86_400),
        _ => (Some(text), 1),
    };
    let count: u64 = digits.unwrap_or_default().parse().map_err(|_| wrong())?;
    count
        .checked_mul(unit_seconds)
        .filter(|seconds| (1..=31_536_000).contains(seconds))
        .map(Duration::from_secs)
        .ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_written_as_people_write_them() {
        assert_eq!(span("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(span("12h"), Ok(Duration::from_hours(12)));
        assert_eq!(span("7d"), Ok(Duration::from_hours(168)));
        assert_eq!(span("3600"), Ok(Duration::from_hours(1)));
        for text in ["", "h", "-1h", "0s", "1w", "9999999999999999999d"] {
            assert!(span(text).is_err(), "{text}");
        }
    }

    #[test]
    fn production_refuses_callbacks_without_a_secret_path() {
        let config = Config::from_flags([
            "--environment",
            "production",
            "--at-callback-token",
            "",
            "--mpesa-callback-token",
            "short",
            "--jwt-secret",
            "x",
            "--pin-pepper",
            "",
        ])
        .unwrap();
        let text = config.check().unwrap_err().to_string();
        for named in [
            "AT_CALLBACK_TOKEN",
            "MPESA_CALLBACK_TOKEN",
            "JWT_SECRET",
            "PIN_PEPPER",
        ] {
            assert!(text.contains(named), "{named} is not in: {text}");
        }
    }
}
