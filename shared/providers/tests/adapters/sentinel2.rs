//! The scene client against the twin of the catalogue: what is found, what is read of a file, and
//! what each thing that goes wrong proves. How files of other programs are read is tested beside
//! the reader.

use chrono::{DateTime, Utc};
use domain::cell::RiskCell;
use providers::ProviderError;
use providers::sentinel2::{COLLECTION, COLLECTION_OLD, Capture, Client, Config, Item, OFFSET_DN};
use sandbox::Rates;

use crate::world::{Town, http, lost_replies, town};

/// Karare in Marsabit, ward 0234.
const CELL: &str = "877a5c541ffffff";

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn cell() -> RiskCell {
    CELL.parse().unwrap()
}

fn client(town: &Town) -> Client {
    let config = Config::new(&town.server.url("/earthsearch/v1"));
    Client::new(http(), config)
}

/// The scenes of the month before the world's day, 20 January 2026.
async fn search(town: &Town) -> Result<Vec<Item>, ProviderError> {
    let (from, until) = (at("2025-12-20T00:00:00Z"), at("2026-02-20T00:00:00Z"));
    client(town).search(cell(), from, until).await
}

/// The last clear day and its items.
async fn last(town: &Town) -> (String, Vec<Item>) {
    let items = search(town).await.unwrap();
    let day = items.last().unwrap().day();
    let of_day = items.into_iter().filter(|item| item.day() == day);
    (day.to_string(), of_day.collect())
}

async fn spoil(town: &Town, day: &str, kind: &str) {
    let body = format!(r#"{{"faults":[{{"date":"{day}","kind":"{kind}"}}]}}"#);
    assert_eq!(town.control("scenes", &body).await.0, 200);
}

fn of<'a>(items: &'a [Item], collection: &str) -> &'a Item {
    items
        .iter()
        .find(|item| item.collection == collection)
        .unwrap()
}

/// Mean NDVI of the cell's clear land.
fn ndvi(capture: &Capture) -> f64 {
    let rows = capture.grid.rows_inside(cell()).unwrap();
    let (mut sum, mut count) = (0.0, 0.0);
    let width = usize::from(capture.grid.width);
    for (row, (from, until)) in rows.into_iter().enumerate() {
        for column in from..until {
            let at = row * width + usize::from(column);
            if [4, 5].contains(&capture.pixels.scl[at]) {
                let value = |dn: u16| f64::from(dn) - f64::from(capture.offset_dn);
                let (red, nir) = (value(capture.pixels.red[at]), value(capture.pixels.nir[at]));
                sum += (nir - red) / (nir + red);
                count += 1.0;
            }
        }
    }
    assert!(count > 2_000.0, "{count} pixels");
    sum / count
}

#[tokio::test]
async fn scenes_of_both_collections_are_found_and_none_of_tomorrow() {
    let town = town().await;
    let items = search(&town).await.unwrap();
    assert!((8..=14).contains(&items.len()), "{}", items.len());
    assert!(items.is_sorted_by_key(|item| item.at));
    assert!(
        items
            .iter()
            .all(|item| item.at < at("2026-01-20T09:00:00Z"))
    );
    for collection in [COLLECTION, COLLECTION_OLD] {
        assert_eq!(of(&items, collection).baseline, "05.11");
    }
    assert_eq!(of(&items, COLLECTION_OLD).is_shifted, Some(true));
}

#[tokio::test]
async fn the_ground_is_as_green_in_either_collection_as_the_history_says() {
    let town = town().await;
    let items = search(&town).await.unwrap();
    let clear = |item: &&Item| item.day().to_string().starts_with("2025");
    let day = items.iter().rfind(clear).unwrap().day();
    spoil(&town, &day.to_string(), "clear").await;
    let items: Vec<Item> = items.into_iter().filter(|item| item.day() == day).collect();
    let new = client(&town)
        .capture(of(&items, COLLECTION), cell())
        .await
        .unwrap();
    let old = client(&town)
        .capture(of(&items, COLLECTION_OLD), cell())
        .await
        .unwrap();
    assert_eq!((new.offset_dn, old.offset_dn), (OFFSET_DN, 0));
    assert!((ndvi(&new) - ndvi(&old)).abs() < 1e-6);
    assert_ne!(new.pixels.sha256(), old.pixels.sha256());
    let url = town
        .server
        .url("/control/scenes/history?wards=0234&from=2025&until=2025");
    let table = http().get(url).send().await.unwrap().text().await.unwrap();
    let line = table
        .lines()
        .find(|line| line.starts_with(&day.to_string()));
    let told: f64 = line.unwrap().split_once(',').unwrap().1.parse().unwrap();
    assert!((ndvi(&new) - told).abs() < 0.01, "{} {told}", ndvi(&new));
}

#[tokio::test]
async fn only_the_parts_that_cover_the_cell_are_read() {
    let town = town().await;
    let (_, items) = last(&town).await;
    let capture = client(&town)
        .capture(of(&items, COLLECTION), cell())
        .await
        .unwrap();
    let bytes: u64 = capture.reads.iter().map(|read| read.length).sum();
    assert!(bytes < 1 << 20, "{bytes} bytes");
    assert_eq!(capture.grid.pixel_m, 20);
    assert!(
        (100..200).contains(&capture.grid.width),
        "{:?}",
        capture.grid
    );
    assert_eq!(capture.pixels.red.len(), capture.grid.pixels());
    assert!(capture.reads.iter().all(|read| read.sha256 != [0; 32]));
}

#[tokio::test]
async fn a_flag_that_lies_about_the_offset_is_refused() {
    let town = town().await;
    let (day, _) = last(&town).await;
    spoil(&town, &day, "wrong_flag").await;
    let (same, items) = last(&town).await;
    assert_eq!(
        (same, items.len()),
        (day, 1),
        "only the older collection has it"
    );
    let error = client(&town)
        .capture(&items[0], cell())
        .await
        .map(drop)
        .unwrap_err();
    assert_eq!((error.kind(), error.code()), ("refused", "offset"));
}

#[tokio::test]
async fn a_hole_in_the_newer_collection_is_filled_by_the_older() {
    let town = town().await;
    let (day, _) = last(&town).await;
    spoil(&town, &day, "gap").await;
    let (_, items) = last(&town).await;
    assert_eq!(items.len(), 1);
    let capture = client(&town).capture(&items[0], cell()).await.unwrap();
    assert_eq!(capture.offset_dn, 0);
}

#[tokio::test]
async fn two_tiles_of_one_pass_are_told_apart_by_what_they_show() {
    let town = town().await;
    let (day, _) = last(&town).await;
    spoil(&town, &day, "edge").await;
    let (_, items) = last(&town).await;
    let new: Vec<&Item> = items
        .iter()
        .filter(|i| i.collection == COLLECTION)
        .collect();
    assert_eq!(new.len(), 2);
    let mut land = Vec::new();
    for item in new {
        land.push(
            client(&town)
                .capture(item, cell())
                .await
                .unwrap()
                .land_pixels(),
        );
    }
    let (least, most) = (land.iter().min().unwrap(), land.iter().max().unwrap());
    assert!(least * 3 < most * 2, "{land:?}");
}

#[tokio::test]
async fn what_is_broken_for_good_is_refused_and_what_may_mend_is_not() {
    let town = town().await;
    let (day, items) = last(&town).await;
    for (kind, expected) in [
        ("missing", ("refused", "http_404")),
        ("corrupt", ("refused", "unreadable")),
        ("truncated", ("transient", "truncated")),
        ("absent", ("refused", "http_404")),
    ] {
        spoil(&town, &day, kind).await;
        let error = client(&town)
            .capture(of(&items, COLLECTION), cell())
            .await
            .map(drop)
            .unwrap_err();
        assert_eq!((error.kind(), error.code()), expected, "{kind}");
    }
}

#[tokio::test]
async fn a_server_in_trouble_is_asked_again_later() {
    let town = town().await;
    let (_, items) = last(&town).await;
    assert_eq!(town.control("scenes", r#"{"status":502}"#).await.0, 200);
    assert_eq!(search(&town).await.unwrap_err().code(), "http_502");
    let item = of(&items, COLLECTION);
    let error = client(&town)
        .capture(item, cell())
        .await
        .map(drop)
        .unwrap_err();
    assert_eq!((error.kind(), error.code()), ("transient", "http_502"));
    assert_eq!(town.control("scenes", r#"{"status":0}"#).await.0, 200);
    let often = Rates {
        http_429: 1.0,
        ..Rates::default()
    };
    for (rates, code) in [(often, "http_429"), (lost_replies(), "broken")] {
        town.faults(rates);
        let error = client(&town)
            .capture(item, cell())
            .await
            .map(drop)
            .unwrap_err();
        assert_eq!((error.kind(), error.code()), ("transient", code));
    }
    town.faults(Rates::default());
    assert!(client(&town).capture(item, cell()).await.is_ok());
}

#[tokio::test]
async fn a_file_elsewhere_without_encryption_is_never_fetched() {
    let town = town().await;
    let (_, mut items) = last(&town).await;
    let scl = items[0].scl.as_mut().unwrap();
    scl.href = "http://127.0.0.1:1/SCL.tif".to_owned();
    let error = client(&town)
        .capture(&items[0], cell())
        .await
        .map(drop)
        .unwrap_err();
    assert_eq!((error.kind(), error.code()), ("refused", "address"));
}
