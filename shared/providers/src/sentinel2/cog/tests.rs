//! Reading files that another program wrote (GDAL through rasterio, and tifffile), part by part,
//! and files that lie. Never reads more than was asked for.

use super::*;

/// 10 m, 96 × 64 pixels in tiles of 32 with overviews, deflate, predictor 2, uint16, written by
/// GDAL's COG driver; the pixel in column c and row r is (c * 7 + r * 131) % 60000 + 1 but 0 in the
/// first ten columns. Overviews by nearest.
const COG: &[u8] = include_bytes!("../../../testdata/sentinel2/cog.tif");
/// The same pixels at 20 m in one image of a BigTIFF, big-endian, 16-pixel tiles, by tifffile.
const BIG: &[u8] = include_bytes!("../../../testdata/sentinel2/big.tif");
/// Classes (uint8) at 20 m, deflate without predictor: (c + r) % 12.
const CLASSES: &[u8] = include_bytes!("../../../testdata/sentinel2/classes.tif");

fn asked(west: f64, east: f64, south: f64, north: f64, pixel_m: u16) -> Asked {
    Asked {
        west,
        east,
        south,
        north,
        pixel_m,
    }
}

/// Reads from a file in memory as from a server; also how many bytes were asked for.
fn fetch(file: &[u8], asked: &Asked) -> Result<(Raster, u64), Fault> {
    let mut parts = Parts::default();
    let mut total = 0;
    for _ in 0..8 {
        match read(&mut parts, asked)? {
            Tried::Read(raster) => return Ok((raster, total)),
            Tried::Missing(ranges) => {
                for range in ranges {
                    let end = range.end.min(file.len().try_into().unwrap());
                    assert!(range.start < end, "asked beyond the end");
                    total += end - range.start;
                    let (start, end) = (range.start.try_into().unwrap(), end.try_into().unwrap());
                    let (start, end): (usize, usize) = (start, end);
                    parts.add(range.start, file[start..end].to_vec());
                }
            }
        }
    }
    panic!("never satisfied");
}

fn pixel(column: u16, row: u16) -> u16 {
    if column < 10 {
        return 0;
    }
    u16::try_from((u32::from(column) * 7 + u32::from(row) * 131) % 60_000 + 1).unwrap()
}

/// 200 m from the corner, 10 m pixels: columns 20 to 59, rows 15 to 44 cross six tiles.
#[test]
fn a_rectangle_over_several_tiles_is_read_as_it_was_written() {
    let asked = asked(500_200.5, 500_599.0, 9_999_551.0, 9_999_849.5, 10);
    let (raster, _) = fetch(COG, &asked).unwrap();
    assert_eq!((raster.west_m, raster.north_m), (500_200, 9_999_850));
    assert_eq!((raster.width, raster.height), (40, 30));
    for row in 0..30_u16 {
        for column in 0..40_u16 {
            let at = usize::from(row) * 40 + usize::from(column);
            assert_eq!(
                raster.values[at],
                pixel(column + 20, row + 15),
                "{column} {row}"
            );
        }
    }
}

#[test]
fn the_overview_is_read_where_coarser_pixels_are_asked_for() {
    let asked = asked(500_000.0, 500_960.0, 9_999_360.0, 10_000_000.0, 20);
    let (raster, _) = fetch(COG, &asked).unwrap();
    assert_eq!((raster.width, raster.height), (48, 32));
    // nearest: one of the four pixels below
    for row in 0..32_u16 {
        for column in 0..48_u16 {
            let value = raster.values[usize::from(row) * 48 + usize::from(column)];
            let below = [(0, 0), (1, 0), (0, 1), (1, 1)]
                .map(|(right, down)| pixel(column * 2 + right, row * 2 + down));
            assert!(below.contains(&value), "{column} {row}: {value}");
        }
    }
}

#[test]
fn a_big_tiff_of_either_byte_order_and_bytes_without_predictor_are_read() {
    let all = asked(500_000.0, 500_960.0, 9_999_360.0, 10_000_000.0, 20);
    let (raster, _) = fetch(BIG, &all).unwrap();
    assert_eq!(raster.values[48 * 5 + 30], pixel(30, 5));
    let (raster, _) = fetch(CLASSES, &all).unwrap();
    assert_eq!(raster.values[48 * 5 + 30], 35 % 12);
}

#[test]
fn beyond_the_edge_there_is_no_data() {
    let asked = asked(499_940.0, 500_060.0, 9_999_900.0, 10_000_040.0, 20);
    let (raster, _) = fetch(CLASSES, &asked).unwrap();
    assert_eq!((raster.west_m, raster.north_m), (499_940, 10_000_040));
    assert_eq!((raster.width, raster.height), (6, 7));
    assert!(raster.values[..12].iter().all(|value| *value == 0));
    assert_eq!(raster.values[6 * 2 + 3], 0, "class of the first pixel");
    assert_eq!(raster.values[6 * 4 + 5], 4);
}

#[test]
fn what_does_not_fit_is_refused_with_its_reason() {
    let inside = |pixel_m| asked(500_200.0, 500_300.0, 9_999_500.0, 9_999_600.0, pixel_m);
    for (file, asked, reason) in [
        (COG, inside(25), "pixels of another size"),
        (BIG, inside(40), "no overview"),
        (BIG, inside(10), "pixels of another size"),
        (COG, asked(0.0, 100.0, 0.0, 100.0, 20), "outside"),
        (&COG[..60], inside(20), "ends too early"),
        (b"<html>no such key</html>", inside(20), "not a readable"),
    ] {
        let error = fetch(file, &asked).unwrap_err().to_string();
        assert!(error.contains(reason), "{error} for {reason}");
    }
}

#[test]
fn only_the_tiles_that_are_crossed_are_asked_for() {
    let mut parts = Parts::default();
    let asked = asked(500_400.0, 500_500.0, 9_999_800.0, 9_999_900.0, 10);
    parts.add(0, COG[..1_500].to_vec());
    let Tried::Missing(ranges) = read(&mut parts, &asked).unwrap() else {
        panic!("the tile is not here yet");
    };
    assert_eq!(ranges.len(), 1, "one tile of six");
}
