//! Items of the catalogue: what is needed of one to read its pixels, from either form of its
//! projection, and whether its pixels hold the offset of processing baseline 04.00. An item that
//! lacks something is kept, and refused when it is read. Never opens a file.
//! Called by the client of this provider.

use chrono::{DateTime, FixedOffset, NaiveDate, Utc};
use serde::Deserialize;

use super::{COLLECTION, COLLECTION_OLD};

/// Digital numbers added to every pixel since baseline 04.00 (`BOA_ADD_OFFSET` −1000).
pub const OFFSET_DN: u16 = 1_000;
/// Red of the darkest hundredth of the land below this tells pixels that have been shifted back.
/// Ours: no surface is below zero reflectance but for noise, so unshifted pixels lie at 1,000 and
/// above; vegetation and shadow go well below 0.09.
const SHIFTED_BELOW_DN: u16 = 950;
/// Fewest pixels of land for that test; a scene with fewer is of no use either.
const LAND_PIXELS_MIN: usize = 100;

/// One acquisition over one tile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Its id.
    pub id: String,
    /// Which collection has it.
    pub collection: String,
    /// When it was taken.
    pub at: DateTime<Utc>,
    /// `sentinel-2b`.
    pub platform: String,
    /// Processing baseline, `05.11`; empty when it is not told.
    pub baseline: String,
    /// Whether the catalogue says that pixels are shifted back already.
    pub is_shifted: Option<bool>,
    /// EPSG code of its projection.
    pub epsg: Option<u32>,
    /// Red, 10 m.
    pub red: Option<Asset>,
    /// Near infrared, 10 m.
    pub nir: Option<Asset>,
    /// Scene classification, 20 m.
    pub scl: Option<Asset>,
}

/// A file of an item.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Asset {
    /// Its address.
    pub href: String,
    /// Its multihash as the catalogue has it.
    #[serde(rename = "file:checksum", default)]
    pub checksum: Option<String>,
    #[serde(rename = "proj:epsg", default)]
    epsg: Option<u32>,
    #[serde(rename = "proj:code", default)]
    code: Option<String>,
}

#[derive(Deserialize)]
struct WirePage {
    features: Vec<WireItem>,
}

#[derive(Deserialize)]
struct WireItem {
    id: String,
    collection: String,
    properties: Properties,
    #[serde(default)]
    assets: Assets,
}

#[derive(Deserialize)]
struct Properties {
    datetime: DateTime<FixedOffset>,
    #[serde(default)]
    platform: String,
    #[serde(rename = "proj:epsg", default)]
    epsg: Option<u32>,
    #[serde(rename = "proj:code", default)]
    code: Option<String>,
    #[serde(rename = "s2:processing_baseline", default)]
    baseline: Option<String>,
    #[serde(rename = "earthsearch:boa_offset_applied", default)]
    is_shifted: Option<bool>,
}

#[derive(Deserialize, Default)]
struct Assets {
    red: Option<Asset>,
    nir: Option<Asset>,
    scl: Option<Asset>,
}

/// The items of a search's answer, by time and id; the count is of all that came.
pub(super) fn parse_page(body: &[u8]) -> Option<(Vec<Item>, usize)> {
    let page: WirePage = serde_json::from_slice(body).ok()?;
    let count = page.features.len();
    let mut items: Vec<Item> = page.features.into_iter().map(item).collect();
    items.sort_by(|a, b| (a.at, &a.id).cmp(&(b.at, &b.id)));
    Some((items, count))
}

fn item(wire: WireItem) -> Item {
    let (properties, assets) = (wire.properties, wire.assets);
    let of_asset = assets
        .red
        .as_ref()
        .and_then(|red| red.epsg.or_else(|| code(red.code.as_deref())));
    Item {
        id: wire.id,
        collection: wire.collection,
        at: properties.datetime.with_timezone(&Utc),
        platform: properties.platform,
        baseline: properties.baseline.unwrap_or_default(),
        is_shifted: properties.is_shifted,
        epsg: properties
            .epsg
            .or_else(|| code(properties.code.as_deref()))
            .or(of_asset),
        red: assets.red,
        nir: assets.nir,
        scl: assets.scl,
    }
}

/// The number of `EPSG:32737`.
fn code(text: Option<&str>) -> Option<u32> {
    text?.strip_prefix("EPSG:")?.parse().ok()
}

impl Item {
    /// The UTC date it was taken on.
    #[must_use]
    pub fn day(&self) -> NaiveDate {
        self.at.date_naive()
    }

    /// Whether its processing baseline added the offset; `None` when that is not told.
    fn has_offset(&self) -> Option<bool> {
        let (major, _) = self.baseline.split_once('.')?;
        Some(major.parse::<u8>().ok()? >= 4)
    }

    /// Digital numbers to take off every pixel, from the baseline, the collection and the flag,
    /// held against the darkest `land` (red of the pixels of land, in any order). An error says why
    /// they cannot all be true.
    pub(super) fn offset_dn(&self, land: &mut [u16]) -> Result<u16, &'static str> {
        let is_known = [COLLECTION, COLLECTION_OLD].contains(&self.collection.as_str());
        let has_offset = self
            .has_offset()
            .filter(|_| is_known)
            .ok_or("baseline or collection is not known")?;
        if !has_offset {
            return Ok(0);
        }
        // the newer collection is never shifted; in the older one the flag is the truth, when it is
        let is_shifted = self.collection == COLLECTION_OLD && self.is_shifted == Some(true);
        if land.len() >= LAND_PIXELS_MIN {
            land.sort_unstable();
            let dark = land.get(land.len() / 100).copied().unwrap_or(u16::MAX);
            if (dark < SHIFTED_BELOW_DN) != is_shifted {
                return Err("darkest land does not fit the offset that is told");
            }
        }
        Ok(if is_shifted { 0 } else { OFFSET_DN })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The form of an answer, cut to what is asked for.
    const PAGE: &str = r#"{"type":"FeatureCollection","numberMatched":2,"features":[
      {"type":"Feature","stac_version":"1.0.0","id":"S2B_T37MBU_20260311T074159_L2A","collection":"sentinel-2-c1-l2a",
       "properties":{"datetime":"2026-03-11T07:54:22.000000Z","platform":"sentinel-2b","proj:epsg":32737,
        "eo:cloud_cover":14.2,"s2:processing_baseline":"05.11"},
       "assets":{"red":{"href":"https://a.example/B04.tif","file:checksum":"1220aa"},
        "nir":{"href":"https://a.example/B08.tif"},"scl":{"href":"https://a.example/SCL.tif"}}},
      {"type":"Feature","id":"S2A_36MZD_20260306_0_L2A","collection":"sentinel-2-l2a",
       "properties":{"datetime":"2026-03-06T07:54:20Z","platform":"sentinel-2a","proj:code":"EPSG:32736",
        "s2:processing_baseline":"05.11","earthsearch:boa_offset_applied":true},
       "assets":{"red":{"href":"https://b.example/B04.tif"}}}],"links":[]}"#;

    fn items() -> Vec<Item> {
        parse_page(PAGE.as_bytes()).unwrap().0
    }

    #[test]
    fn items_come_by_time_with_either_form_of_projection() {
        let items = items();
        assert_eq!(items[0].id, "S2A_36MZD_20260306_0_L2A");
        assert_eq!((items[0].epsg, items[1].epsg), (Some(32_736), Some(32_737)));
        assert_eq!(items[0].nir, None, "what is not there stays missing");
        let red = items[1].red.as_ref().unwrap();
        assert_eq!(red.checksum.as_deref(), Some("1220aa"));
        assert_eq!(items[1].day().to_string(), "2026-03-11");
        assert_eq!(parse_page(b"{\"message\":\"Internal server error\"}"), None);
    }

    fn decided(item: &Item, dark: u16) -> Result<u16, &'static str> {
        item.offset_dn(&mut vec![dark; 500])
    }

    #[test]
    fn the_offset_is_taken_off_once_and_a_flag_that_lies_is_caught() {
        let items = items();
        let (old, new) = (&items[0], &items[1]);
        assert_eq!(decided(new, 1_400), Ok(OFFSET_DN));
        assert!(
            decided(new, 400).is_err(),
            "cannot be below zero reflectance"
        );
        assert_eq!(decided(old, 400), Ok(0), "shifted, as the flag says");
        assert!(
            decided(old, 1_400).is_err(),
            "flag says shifted, pixels do not"
        );
        for flag in [None, Some(false)] {
            let told = Item {
                is_shifted: flag,
                ..old.clone()
            };
            assert_eq!(decided(&told, 1_400), Ok(OFFSET_DN));
            assert!(decided(&told, 400).is_err());
        }
    }

    #[test]
    fn before_baseline_four_there_is_no_offset_and_without_a_baseline_no_answer() {
        let new = &items()[1];
        let told = |baseline: &str| Item {
            baseline: baseline.to_owned(),
            ..new.clone()
        };
        assert_eq!(decided(&told("03.01"), 400), Ok(0));
        assert_eq!(decided(&told("03.01"), 2_400), Ok(0));
        assert_eq!(decided(&told("04.00"), 1_400), Ok(OFFSET_DN));
        assert!(decided(&told(""), 1_400).is_err());
    }
}
