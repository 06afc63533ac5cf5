//! WeatherXM's Pro API: stations of a place, their quality, and one UTC day of samples at a time.
//! Reads only; a reply's raw bytes and their hash go with what was parsed from them, because they
//! are the evidence. A missing value stays missing.
//! Called by the weather worker.

pub mod history;
pub mod station;

use std::time::Duration;

use chrono::NaiveDate;
use domain::cell::RiskCell;
use domain::money::BasisPoints;
use sha2::{Digest, Sha256};

use crate::scalar::Scalar;
use crate::wire::{Effect, Reply, exchange, is_path_segment, join};
use crate::{ProviderError, Secret};

pub use history::{DayHistory, Observation};
pub use station::{Health, Station};

/// The provider's name in rows and metrics.
pub const NAME: &str = "weatherxm";
/// Largest answer read: a day of 16-second samples is about 1.5 MiB.
const BYTES_MAX: usize = 8 << 20;

/// Where and as whom to ask.
#[derive(Debug, Clone)]
pub struct Config {
    /// Live `https://pro.weatherxm.com/api/v1`.
    pub base_url: String,
    /// Header `X-API-KEY`.
    pub api_key: Secret,
    /// Whole-request limit (provider notes: 20 s).
    pub timeout: Duration,
}

impl Config {
    /// With the usual time-out.
    #[must_use]
    pub fn new(base_url: &str, api_key: Secret) -> Self {
        Self {
            base_url: base_url.to_owned(),
            api_key,
            timeout: Duration::from_secs(20),
        }
    }
}

/// What was parsed, with the exact bytes it was parsed from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched<T> {
    /// The parsed form.
    pub value: T,
    /// The reply's body as received.
    pub raw: Vec<u8>,
    /// SHA-256 of `raw`.
    pub sha256: [u8; 32],
}

/// A client of the Pro API.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    config: Config,
}

impl Client {
    /// A client over `http`.
    #[must_use]
    pub fn new(http: reqwest::Client, config: Config) -> Self {
        Self { http, config }
    }

    /// Stations within `radius_m` metres of a point in millionths of a degree.
    pub async fn stations_near(
        &self,
        latitude_udeg: i32,
        longitude_udeg: i32,
        radius_m: u32,
    ) -> Result<Fetched<Vec<Station>>, ProviderError> {
        let query = [
            ("lat", degrees(latitude_udeg)),
            ("lon", degrees(longitude_udeg)),
            ("radius", radius_m.to_string()),
        ];
        self.get("stations/near", &query, station::parse_list).await
    }

    /// Stations in one risk cell.
    pub async fn cell_stations(
        &self,
        cell: RiskCell,
    ) -> Result<Fetched<Vec<Station>>, ProviderError> {
        self.get(&format!("cells/{cell}/stations"), &[], station::parse_list)
            .await
    }

    /// One UTC day of samples of a station.
    pub async fn history(
        &self,
        station_id: &str,
        utc_day: NaiveDate,
    ) -> Result<Fetched<DayHistory>, ProviderError> {
        let query = [("date", utc_day.format("%Y-%m-%d").to_string())];
        let path = station_path(station_id, "history")?;
        let fetched = self.get(&path, &query, history::parse_day).await?;
        if fetched.value.date.is_some_and(|date| date != utc_day) {
            return Err(ProviderError::transient(
                "foreign_day",
                "answer is about another day",
            ));
        }
        Ok(fetched)
    }

    /// Quality of a station's data (of the previous UTC day) and of its location.
    pub async fn health(&self, station_id: &str) -> Result<Fetched<Health>, ProviderError> {
        self.get(
            &station_path(station_id, "health")?,
            &[],
            station::parse_health,
        )
        .await
    }

    async fn get<T>(
        &self,
        path: &str,
        query: &[(&str, String)],
        parse: fn(&[u8]) -> Option<T>,
    ) -> Result<Fetched<T>, ProviderError> {
        let request = self
            .http
            .get(join(&self.config.base_url, path))
            .query(query)
            .header("X-API-KEY", self.config.api_key.expose())
            .timeout(self.config.timeout);
        let reply = exchange(request, Effect::Read, BYTES_MAX).await?;
        if reply.status.as_u16() != 200 {
            return Err(failure(&reply));
        }
        let value = parse(&reply.body)
            .ok_or_else(|| ProviderError::transient("undecodable", "answer was not understood"))?;
        let sha256 = Sha256::digest(&reply.body).into();
        Ok(Fetched {
            value,
            raw: reply.body,
            sha256,
        })
    }
}

/// 400 and 404 will be the same tomorrow for the same question (a day may be asked again by the
/// caller); a key or plan problem, a quota and a server error are not about the question.
fn failure(reply: &Reply) -> ProviderError {
    let code = reply.http_code();
    match reply.status.as_u16() {
        400 | 404 => ProviderError::refused(code, &reply.text()),
        _ => ProviderError::transient(code, &reply.text()),
    }
}

fn station_path(station_id: &str, what: &str) -> Result<String, ProviderError> {
    if is_path_segment(station_id) {
        Ok(format!("stations/{station_id}/{what}"))
    } else {
        Err(ProviderError::refused(
            "station_id",
            "not a station id of this provider",
        ))
    }
}

/// Millionths of a degree as the decimal degrees the API takes.
fn degrees(udeg: i32) -> String {
    let sign = if udeg < 0 { "-" } else { "" };
    let magnitude = udeg.unsigned_abs();
    format!(
        "{sign}{}.{:06}",
        magnitude / 1_000_000,
        magnitude % 1_000_000
    )
}

/// A score from 0 to 1 in basis points; anything else is no score.
pub(crate) fn score(scalar: Option<&Scalar>) -> Option<BasisPoints> {
    let value = scalar?.decimal()?.nearest(4)?;
    BasisPoints::new(u16::try_from(value).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn degrees_are_written_exactly() {
        assert_eq!(degrees(-1_292_100), "-1.292100");
        assert_eq!(degrees(36_821_900), "36.821900");
        assert_eq!(degrees(-46_300), "-0.046300");
    }

    #[test]
    fn station_ids_cannot_leave_their_path() {
        assert!(station_path("df2c0430-512f-11ed", "history").is_ok());
        assert!(station_path("../cells", "history").is_err());
    }
}
