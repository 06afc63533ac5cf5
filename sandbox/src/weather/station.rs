//! Stations: two in each cell with the same sky over them, a few more 5 to 14 km off. An id says
//! which cell it was made for, so that nothing has to be remembered. Never two ids for one place.
//! Used by the sky and the wire.

use domain::cell::RiskCell;
use h3o::{CellIndex, LatLng, Resolution};

use super::scenario::Dice;
use super::wards::degrees;
use crate::draw;

/// Metres in a degree of latitude.
const METRES_PER_DEGREE: f64 = 111_195.0;
/// Stations in a cell at most.
pub(crate) const IN_CELL_MAX: u8 = 2;
/// Stations around a cell at most.
const AROUND_MAX: u8 = 5;
/// Names as the network gives them: an adjective, a word, a kind of sky.
const NAMES: [[&str; 6]; 3] = [
    ["Calm", "Brave", "Quiet", "Early", "Golden", "Faint"],
    ["Almond", "Acacia", "Sisal", "Sorghum", "Baobab", "Millet"],
    ["Sky", "Cloud", "Breeze", "Drizzle", "Dawn", "Haze"],
];

/// A station.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Station {
    /// The provider's id, in the form of a UUID.
    pub(crate) id: String,
    /// The cell it was made for.
    pub(crate) home: RiskCell,
    /// Whether it stands in that cell, or some kilometres off.
    pub(crate) is_in_cell: bool,
    /// Which of its kind, from 0.
    pub(crate) nth: u8,
    /// Latitude, degrees.
    pub(crate) lat: f64,
    /// Longitude, degrees.
    pub(crate) lon: f64,
    /// Elevation, metres.
    pub(crate) elevation: i64,
}

impl Station {
    /// The station of that kind and number of a cell.
    fn make(home: RiskCell, is_in_cell: bool, nth: u8) -> Self {
        let cell = home.to_string();
        let (kind, number) = (if is_in_cell { "0" } else { "1" }, nth.to_string());
        let mut dice = Dice::new(&["station", &cell, kind, &number]);
        // WeatherXM's ids are UUIDs; this one carries its cell
        let packed = format!("{:016x}", u64::from(home.index()));
        let (a, rest) = packed.split_at(8);
        let (b, c) = rest.split_at(4);
        let check = draw::hex(12, &["station", &cell, kind, &number]);
        let id = format!("{a}-{b}-{c}-8{kind}{nth:02x}-{check}");
        let distance = if is_in_cell {
            dice.between(150, 600)
        } else {
            dice.between(5_000, 14_000)
        };
        let bearing = degrees_of(dice.below(360_000));
        let centre = LatLng::from(home.index());
        let metres = f64::from(i32::try_from(distance).unwrap_or(0));
        let lat = centre.lat() + metres * bearing.cos() / METRES_PER_DEGREE;
        let lon = centre.lng()
            + metres * bearing.sin() / (METRES_PER_DEGREE * centre.lat().to_radians().cos());
        // a plain or a hill by neighbourhood, then the station's own place on it
        let ground = draw::below(1_400, &["ground", &home.accumulation_cell().to_string()]);
        let spread = if is_in_cell { 15 } else { 140 };
        let elevation = 300 + i64::from(ground) + dice.between(-spread, spread);
        Self {
            id,
            home,
            is_in_cell,
            nth,
            lat,
            lon,
            elevation,
        }
    }

    /// Reads an id; `None` for what is no station of this world.
    pub(crate) fn find(id: &str) -> Option<Self> {
        let mut parts = id.split('-');
        let packed = format!("{}{}{}", parts.next()?, parts.next()?, parts.next()?);
        let which = parts.next()?;
        let index = u64::from_str_radix(&packed, 16).ok()?;
        let home = RiskCell::new(CellIndex::try_from(index).ok()?).ok()?;
        let is_in_cell = which.get(1..2)? == "0";
        let nth = u8::from_str_radix(which.get(2..4)?, 16).ok()?;
        let limit = if is_in_cell { IN_CELL_MAX } else { AROUND_MAX };
        let station = Self::make(home, is_in_cell, nth);
        (nth < limit && station.id == id).then_some(station)
    }

    /// The stations in a cell.
    pub(crate) fn in_cell(cell: RiskCell, count: u8) -> Vec<Self> {
        (0..count.min(IN_CELL_MAX))
            .map(|nth| Self::make(cell, true, nth))
            .collect()
    }

    /// The stations around a cell; how many depends on the seed.
    pub(crate) fn around(cell: RiskCell, seed: &str) -> Vec<Self> {
        let count = 3 + draw::below(3, &[seed, "around", &cell.to_string()]);
        let count = u8::try_from(count).unwrap_or(AROUND_MAX).min(AROUND_MAX);
        (0..count).map(|nth| Self::make(cell, false, nth)).collect()
    }

    /// The cell it stands in.
    pub(crate) fn cell(&self) -> RiskCell {
        let here = LatLng::new(self.lat, self.lon).ok();
        let index = here.map(|here| here.to_cell(Resolution::Seven));
        index
            .and_then(|index| RiskCell::new(index).ok())
            .unwrap_or(self.home)
    }

    /// Its name.
    pub(crate) fn name(&self) -> String {
        let words = NAMES.iter().enumerate().map(|(place, words)| {
            let drawn = draw::below(6, &["name", &self.id, &place.to_string()]);
            usize::try_from(drawn)
                .ok()
                .and_then(|at| words.get(at))
                .copied()
                .unwrap_or("Plain")
        });
        words.collect::<Vec<_>>().join(" ")
    }

    /// Metres to a point.
    pub(crate) fn metres_to(&self, lat: f64, lon: f64) -> f64 {
        match (LatLng::new(self.lat, self.lon), LatLng::new(lat, lon)) {
            (Ok(here), Ok(there)) => here.distance_m(there),
            _ => f64::MAX,
        }
    }

    /// Minutes past each quarter at which it samples, 1 to 14.
    pub(crate) fn minute(&self) -> i64 {
        1 + i64::from(draw::below(14, &["minute", &self.id]))
    }
}

/// Thousandths of a degree in radians.
fn degrees_of(thousandths: i64) -> f64 {
    degrees(
        i32::try_from(thousandths)
            .unwrap_or(0)
            .saturating_mul(1_000),
    )
    .to_radians()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell() -> RiskCell {
        "877a63556ffffff".parse().unwrap()
    }

    #[test]
    fn two_stand_in_the_cell_and_the_others_at_some_distance() {
        let centre = LatLng::from(cell().index());
        for station in Station::in_cell(cell(), 2) {
            assert_eq!(station.cell(), cell());
            assert!(station.metres_to(centre.lat(), centre.lng()) < 700.0);
        }
        let around = Station::around(cell(), "7");
        assert!((3..=5).contains(&around.len()));
        for station in around {
            let metres = station.metres_to(centre.lat(), centre.lng());
            assert!((4_900.0..14_200.0).contains(&metres), "{metres}");
        }
    }

    #[test]
    fn an_id_leads_back_to_its_station_and_a_forged_one_nowhere() {
        let stations = Station::in_cell(cell(), 2)
            .into_iter()
            .chain(Station::around(cell(), "7"));
        for station in stations {
            assert_eq!(Station::find(&station.id), Some(station.clone()));
            assert_eq!(Station::find(&station.id.replace("-8", "-9")), None);
        }
        assert_eq!(Station::find("df2c0430-512f-11ed-9972-4f669f2d96bd"), None);
        assert_eq!(Station::find("x"), None);
    }
}
