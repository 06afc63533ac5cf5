//! Files of a scene, made as they are asked for: cloud-optimised GeoTIFFs with the real tags, tiles
//! of 1024 pixels (512 at 20 m), deflate, predictor 2. Ground is painted only around the cell a
//! file was made for, at 20 m: the 10 m image holds no data anywhere (sparse tiles), since nobody
//! here reads it. Never more than one cell's picture a file.

use std::io::Write;

use flate2::Compression;
use flate2::write::ZlibEncoder;

use super::utm::Place;

/// Sides of an image at 10 m and at 20 m, pixels.
const FULL: u32 = 10_980;
const HALF: u32 = 5_490;
/// Tiles of a side.
const TILES: u32 = 11;
/// Pixels around the cell that are painted.
const MARGIN: i64 = 8;
/// Side of a tile at 20 m, pixels.
const TILE: u32 = 512;

/// What to paint.
#[derive(Debug, Clone, Copy)]
pub(super) struct Picture {
    /// Seed of the texture.
    pub(super) seed: u32,
    /// NDVI of open ground, 1e-4.
    pub(super) open_e4: i32,
    /// Share of the cell, from the west, under cloud, percent.
    pub(super) cloud_percent: u32,
    /// Whether the western half was not seen at all.
    pub(super) is_edge: bool,
    /// Added to every digital number.
    pub(super) offset_dn: u32,
}

/// One of the three files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Band {
    Red,
    Nir,
    Scl,
}

/// What a pixel of ground is.
struct Pixel {
    class: u16,
    red: u32,
    nir: u32,
}

/// Columns and rows at 20 m from a tile's corner, both ends included.
#[derive(Debug, Clone, Copy)]
struct Frame {
    west: i64,
    east: i64,
    north: i64,
    south: i64,
}

impl Frame {
    fn of(place: &Place) -> Self {
        let pixel = |metres: f64| -> i64 {
            format!("{:.0}", (metres / 20.0).floor())
                .parse()
                .unwrap_or(0)
        };
        let (left, top) = (f64::from(place.corner.0), f64::from(place.corner.1));
        let east = place.corners.iter().map(|corner| pixel(corner.0 - left));
        let south = place.corners.iter().map(|corner| pixel(top - corner.1));
        Self {
            west: east.clone().min().unwrap_or(0),
            east: east.max().unwrap_or(0),
            north: south.clone().min().unwrap_or(0),
            south: south.max().unwrap_or(0),
        }
    }
}

/// A number that looks like chance, for a pixel.
fn grain(seed: u32, column: u32, row: u32) -> u32 {
    let mut value = seed ^ column.wrapping_mul(0x9e37_79b1) ^ row.wrapping_mul(0x85eb_ca77);
    value = (value ^ (value >> 15)).wrapping_mul(0x2c1b_3c6d);
    value = (value ^ (value >> 12)).wrapping_mul(0x297a_2d39);
    value ^ (value >> 15)
}

impl Picture {
    fn pixel(&self, frame: &Frame, column: u32, row: u32) -> Pixel {
        let right = i64::from(column) - frame.west;
        let width = (frame.east - frame.west + 1).max(1);
        let none = Pixel {
            class: 0,
            red: 0,
            nir: 0,
        };
        if self.is_edge && right * 2 < width {
            return none;
        }
        if right >= 0 && right * 100 < width * i64::from(self.cloud_percent) {
            return Pixel {
                class: 9,
                red: 6_200 + self.offset_dn,
                nir: 6_400 + self.offset_dn,
            };
        }
        let grain = grain(self.seed, column, row);
        if grain % 100 < crate::weather::vegetation::TREES_PERCENT {
            // red 0.03, near infrared 0.24: TREES_E4
            return Pixel {
                class: 4,
                red: 300 + self.offset_dn,
                nir: 2_400 + self.offset_dn,
            };
        }
        let rough = i32::try_from(grain / 100 % 601).unwrap_or(300) - 300;
        let ndvi = (self.open_e4 + rough).clamp(0, 9_000);
        let bright = 3_400 + i32::try_from(grain / 60_000 % 401).unwrap_or(0);
        let share = |weight: i32| u32::try_from(bright * weight / 20_000).unwrap_or(0);
        Pixel {
            class: if ndvi < 3_000 { 5 } else { 4 },
            red: share(10_000 - ndvi) + self.offset_dn,
            nir: share(10_000 + ndvi) + self.offset_dn,
        }
    }
}

/// The bytes of a file.
pub(super) fn file(place: &Place, picture: &Picture, band: Band) -> Vec<u8> {
    let frame = Frame::of(place);
    let is_class = band == Band::Scl;
    let mut images = Vec::new();
    if !is_class {
        images.push(Image {
            side: FULL,
            tile: TILE * 2,
            pixel_m: 10.0,
            painted: Vec::new(),
        });
    }
    let near = |at: i64| u32::try_from(at.max(0)).unwrap_or(0).min(HALF - 1) / TILE;
    let mut painted = Vec::new();
    for down in near(frame.north - MARGIN)..=near(frame.south + MARGIN) {
        for right in near(frame.west - MARGIN)..=near(frame.east + MARGIN) {
            let bytes = tile(picture, &frame, band, (right * TILE, down * TILE));
            painted.push((down * TILES + right, deflate(&bytes)));
        }
    }
    images.push(Image {
        side: HALF,
        tile: TILE,
        pixel_m: 20.0,
        painted,
    });
    write(place, &images, if is_class { 8 } else { 16 })
}

/// The raw bytes of a tile, rows differenced where values have two bytes.
fn tile(picture: &Picture, frame: &Frame, band: Band, (left, top): (u32, u32)) -> Vec<u8> {
    let mut bytes = Vec::new();
    let is_near =
        |at: u32, from: i64, until: i64| (from - MARGIN..=until + MARGIN).contains(&i64::from(at));
    for row in top..top + TILE {
        let mut before = 0_u16;
        for column in left..left + TILE {
            let is_painted =
                is_near(column, frame.west, frame.east) && is_near(row, frame.north, frame.south);
            let value = if is_painted {
                let pixel = picture.pixel(frame, column, row);
                match band {
                    Band::Red => u16::try_from(pixel.red).unwrap_or(u16::MAX),
                    Band::Nir => u16::try_from(pixel.nir).unwrap_or(u16::MAX),
                    Band::Scl => pixel.class,
                }
            } else {
                0
            };
            if band == Band::Scl {
                bytes.push(u8::try_from(value).unwrap_or(0));
            } else {
                bytes.extend(value.wrapping_sub(before).to_le_bytes());
                before = value;
            }
        }
    }
    bytes
}

fn deflate(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
    // writing to memory cannot fail
    let _ = encoder.write_all(bytes);
    encoder.finish().unwrap_or_default()
}

struct Image {
    side: u32,
    tile: u32,
    pixel_m: f64,
    /// Tiles that hold data; the others have no bytes, which is no data.
    painted: Vec<(u32, Vec<u8>)>,
}

/// One entry of a directory: tag, type, count, bytes.
type Entry = (u16, u16, u32, Vec<u8>);

fn shorts(tag: u16, values: &[u16]) -> Entry {
    let bytes = values
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect();
    (tag, 3, length(values.len()), bytes)
}

fn longs(tag: u16, values: &[u32]) -> Entry {
    let bytes = values
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect();
    (tag, 4, length(values.len()), bytes)
}

fn doubles(tag: u16, values: &[f64]) -> Entry {
    let bytes = values
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect();
    (tag, 12, length(values.len()), bytes)
}

fn length(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(0)
}

fn entries(
    place: &Place,
    image: &Image,
    bits: u16,
    is_first: bool,
    tiles: (&[u32], &[u32]),
) -> Vec<Entry> {
    let epsg = u16::try_from(place.epsg).unwrap_or(0);
    let mut list = vec![
        longs(254, &[u32::from(!is_first)]),
        longs(256, &[image.side]),
        longs(257, &[image.side]),
        shorts(258, &[bits]),
        shorts(259, &[8]),
        shorts(262, &[1]),
        shorts(277, &[1]),
        shorts(284, &[1]),
        shorts(317, &[if bits == 16 { 2 } else { 1 }]),
        longs(322, &[image.tile]),
        longs(323, &[image.tile]),
        longs(324, tiles.0),
        longs(325, tiles.1),
        shorts(339, &[1]),
    ];
    if is_first {
        let (left, top) = (f64::from(place.corner.0), f64::from(place.corner.1));
        list.push(doubles(33_550, &[image.pixel_m, image.pixel_m, 0.0]));
        list.push(doubles(33_922, &[0.0, 0.0, 0.0, left, top, 0.0]));
        list.push(shorts(
            34_735,
            &[1, 1, 0, 2, 1_024, 0, 1, 1, 3_072, 0, 1, epsg],
        ));
    }
    list.push((42_113, 2, 2, b"0\0".to_vec()));
    list
}

/// Directories first, then the tiles: what a reader of the first part of the file needs.
fn write(place: &Place, images: &[Image], bits: u16) -> Vec<u8> {
    let count = usize::try_from(TILES * TILES).unwrap_or(0);
    let empty = (vec![0_u32; count], vec![0_u32; count]);
    let sized: Vec<u32> = images
        .iter()
        .enumerate()
        .map(|(nth, image)| {
            let list = entries(place, image, bits, nth == 0, (&empty.0, &empty.1));
            let beside: usize = list
                .iter()
                .map(|entry| entry.3.len())
                .filter(|size| *size > 4)
                .sum();
            length(2 + 12 * list.len() + 4 + beside)
        })
        .collect();
    let mut data_at = 8 + sized.iter().sum::<u32>();
    let mut file = b"II*\0\x08\0\0\0".to_vec();
    let mut data = Vec::new();
    let mut start = 8;
    for (nth, (image, size)) in images.iter().zip(&sized).enumerate() {
        let (mut offsets, mut lengths) = empty.clone();
        for (index, bytes) in &image.painted {
            let at = usize::try_from(*index).unwrap_or(usize::MAX);
            if let (Some(offset), Some(held)) = (offsets.get_mut(at), lengths.get_mut(at)) {
                (*offset, *held) = (data_at, length(bytes.len()));
                data_at += length(bytes.len());
                data.extend_from_slice(bytes);
            }
        }
        let list = entries(place, image, bits, nth == 0, (&offsets, &lengths));
        let mut beside_at = start + length(2 + 12 * list.len() + 4);
        let mut beside = Vec::new();
        file.extend(u16::try_from(list.len()).unwrap_or(0).to_le_bytes());
        for (tag, kind, values, bytes) in list {
            file.extend(tag.to_le_bytes());
            file.extend(kind.to_le_bytes());
            file.extend(values.to_le_bytes());
            if bytes.len() > 4 {
                file.extend(beside_at.to_le_bytes());
                beside_at += length(bytes.len());
                beside.extend(bytes);
            } else {
                let mut short = [0; 4];
                for (target, byte) in short.iter_mut().zip(bytes) {
                    *target = byte;
                }
                file.extend(short);
            }
        }
        start += size;
        let next = if nth + 1 < images.len() { start } else { 0 };
        file.extend(next.to_le_bytes());
        file.extend(beside);
    }
    file.extend(data);
    file
}
