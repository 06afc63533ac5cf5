//! Stations and their quality, from either wrapper and under each alias seen in the wild. Degrees
//! become whole millionths, scores become basis points; a score that is absent stays absent.
//! Called by the client of this provider.

use domain::cell::RiskCell;
use domain::money::BasisPoints;
use serde::Deserialize;

use super::score;
use crate::scalar::Scalar;

/// A weather station.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Station {
    /// The provider's id.
    pub id: String,
    /// Its display name.
    pub name: Option<String>,
    /// The provider's cell, H3 resolution 7.
    pub cell: Option<RiskCell>,
    /// Latitude, millionths of a degree.
    pub latitude_udeg: i32,
    /// Longitude, millionths of a degree.
    pub longitude_udeg: i32,
    /// Elevation, whole metres.
    pub elevation_m: Option<i32>,
    /// Quality of the previous day's data, where the list carries it.
    pub data_quality: Option<BasisPoints>,
}

/// Quality of a station.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// Data quality of the previous UTC day; absent until the provider has scored it.
    pub data_quality: Option<BasisPoints>,
    /// Location quality; 0 for some days after the station moves.
    pub location_quality: Option<BasisPoints>,
    /// The provider's word about the location, `LOCATION_NOT_VERIFIED`; `None` for `-`.
    pub location_reason: Option<String>,
}

#[derive(Deserialize)]
struct WireStation {
    id: String,
    #[serde(default)]
    name: Option<String>,
    #[serde(default, alias = "cellIndex", alias = "cellId")]
    cell_index: Option<String>,
    location: Location,
    #[serde(default, rename = "lastDayQod", alias = "last_day_qod")]
    last_day_qod: Option<Scalar>,
}

#[derive(Deserialize)]
struct Location {
    lat: Scalar,
    lon: Scalar,
    #[serde(default)]
    elevation: Option<Scalar>,
}

#[derive(Deserialize)]
struct Wrapped {
    stations: Vec<WireStation>,
}

/// Health as it appears alone, in latest and in history.
#[derive(Deserialize, Default)]
pub(super) struct WireHealth {
    #[serde(default)]
    data_quality: Option<Quality>,
    #[serde(default)]
    location_quality: Option<Quality>,
}

#[derive(Deserialize)]
struct Quality {
    #[serde(default)]
    score: Option<Scalar>,
    #[serde(default)]
    reason: Option<String>,
}

/// A station list under either wrapper.
pub(super) fn parse_list(body: &[u8]) -> Option<Vec<Station>> {
    let wire = match serde_json::from_slice::<Vec<WireStation>>(body) {
        Ok(list) => list,
        Err(_) => serde_json::from_slice::<Wrapped>(body).ok()?.stations,
    };
    wire.into_iter().map(station).collect()
}

fn station(wire: WireStation) -> Option<Station> {
    Some(Station {
        id: wire.id,
        name: wire.name,
        cell: wire.cell_index.and_then(|cell| cell.parse().ok()),
        latitude_udeg: udeg(&wire.location.lat, 90)?,
        longitude_udeg: udeg(&wire.location.lon, 180)?,
        elevation_m: wire
            .location
            .elevation
            .and_then(|metres| i32::try_from(metres.decimal()?.nearest(0)?).ok()),
        data_quality: score(wire.last_day_qod.as_ref()),
    })
}

fn udeg(degrees: &Scalar, degrees_max: i32) -> Option<i32> {
    let udeg = i32::try_from(degrees.decimal()?.nearest(6)?).ok()?;
    let limit = degrees_max.checked_mul(1_000_000)?;
    (-limit..=limit).contains(&udeg).then_some(udeg)
}

/// The health endpoint's answer, bare or under `health`.
pub(super) fn parse_health(body: &[u8]) -> Option<Health> {
    #[derive(Deserialize)]
    struct Wrapper {
        health: WireHealth,
    }
    let wire = match serde_json::from_slice::<Wrapper>(body) {
        Ok(wrapper) => wrapper.health,
        Err(_) => serde_json::from_slice::<WireHealth>(body).ok()?,
    };
    Some(health(wire))
}

pub(super) fn health(wire: WireHealth) -> Health {
    let location = wire.location_quality;
    Health {
        data_quality: score(
            wire.data_quality
                .as_ref()
                .and_then(|quality| quality.score.as_ref()),
        ),
        location_quality: score(location.as_ref().and_then(|quality| quality.score.as_ref())),
        location_reason: location
            .and_then(|quality| quality.reason)
            .filter(|reason| !reason.is_empty() && reason != "-"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BARE: &str = r#"[{"id":"df2c0430-512f-11ed-9972-4f669f2d96bd","name":"Calm Almond Sky","cellIndex":"871eda664ffffff","location":{"lat":37.98,"lon":23.72,"elevation":88.5},"createdAt":"2022-10-21T09:30:00Z"}]"#;

    #[test]
    fn both_wrappers_and_every_alias_read_alike() {
        let bare = parse_list(BARE.as_bytes()).unwrap();
        assert_eq!(bare[0].latitude_udeg, 37_980_000);
        assert_eq!(bare[0].elevation_m, Some(89));
        assert_eq!(
            bare[0].cell.map(|c| c.to_string()).as_deref(),
            Some("871eda664ffffff")
        );
        for alias in ["cellId", "cell_index"] {
            let wrapped = format!(r#"{{"stations":{}}}"#, BARE.replace("cellIndex", alias));
            assert_eq!(
                parse_list(wrapped.as_bytes()),
                Some(bare.clone()),
                "{alias}"
            );
        }
    }

    #[test]
    fn a_missing_score_is_not_a_zero() {
        let body = br#"{"timestamp":"x","data_quality":{"score":0.98},"location_quality":{"score":1.0,"reason":"-"}}"#;
        let good = parse_health(body).unwrap();
        assert_eq!(good.data_quality, BasisPoints::new(9_800).ok());
        assert_eq!(good.location_quality, Some(BasisPoints::WHOLE));
        assert_eq!(good.location_reason, None);
        let young =
            parse_health(br#"{"location_quality":{"score":0,"reason":"LOCATION_NOT_VERIFIED"}}"#);
        let young = young.unwrap();
        assert_eq!(young.data_quality, None);
        assert_eq!(
            young.location_reason.as_deref(),
            Some("LOCATION_NOT_VERIFIED")
        );
    }

    #[test]
    fn what_is_no_station_list_is_nothing() {
        assert_eq!(parse_list(b"{\"message\":\"no\"}"), None);
        assert_eq!(
            parse_list(br#"[{"id":"a","location":{"lat":137.0,"lon":1}}]"#),
            None
        );
    }
}
