//! The database as the commands reach it that write to it: its address, and what time it is.
//! Never a loop, a broker or a port: a command does its work and ends. Used by `import` and
//! `baseline`.

use anyhow::{Context as _, ensure};
use clap::Args;
use runtime::clock::Clock;
use runtime::config::{Environment, Secret};
use store::Pool;

/// Fewest and most connections: one writes, one is spare.
const CONNECTIONS: (u32, u32) = (1, 2);

/// Where to write, and under which time.
#[derive(Debug, Clone, Args)]
pub struct Database {
    /// `PostgreSQL`, as <postgres://user:password@host:port/database>.
    #[arg(
        long,
        env = "DATABASE_URL",
        default_value = "",
        hide_env_values = true,
        hide_default_value = true
    )]
    pub database_url: Secret,
    /// Where this runs.
    #[arg(long, env = "ENVIRONMENT", value_enum, default_value_t = Environment::Development)]
    pub environment: Environment,
    /// `system`; outside production also `system+<seconds>` and `manual:<file>`.
    #[arg(long, env = "TIME_MODE", default_value = "system")]
    pub time_mode: String,
}

impl Database {
    /// The clock that `TIME_MODE` names.
    pub fn clock(&self) -> anyhow::Result<Clock> {
        Ok(Clock::parse(&self.time_mode, self.environment)?)
    }

    /// Opens it; refuses the logins that production refuses.
    pub async fn connect(&self) -> anyhow::Result<Pool> {
        ensure!(
            !self.database_url.is_empty(),
            "DATABASE_URL is missing: set it or give --database-url"
        );
        let (min, max) = CONNECTIONS;
        let pool = store::connect(self.database_url.expose(), min, max)
            .await
            .context("DATABASE_URL cannot be used")?;
        store::login::check(&pool, self.environment == Environment::Production).await?;
        Ok(pool)
    }
}

/// A dataset's or a sensor's name: lower case letters, digits, dots and dashes, with its version.
pub fn name(text: &str) -> Result<String, String> {
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-.".contains(c);
    let is_name = (2..=40).contains(&text.len())
        && text.chars().all(is_plain)
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.ends_with(|c: char| c.is_ascii_alphanumeric());
    if is_name {
        return Ok(text.to_owned());
    }
    Err("lower case letters, digits, dots and dashes, such as chirps-v3 or modis-terra".to_owned())
}

#[cfg(test)]
mod tests {
    use super::name;

    #[test]
    fn names_are_plain_so_that_two_spellings_are_never_two_datasets() {
        for good in ["chirps-v3", "chirps-v3.1", "era5-land", "modis-terra"] {
            assert_eq!(name(good).unwrap(), good);
        }
        for bad in ["CHIRPS-v3", "chirps v3", "3", "", "chirps-", "chirps_v3"] {
            assert!(name(bad).is_err(), "{bad}");
        }
    }
}
