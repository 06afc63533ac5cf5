//! A cloud-optimised GeoTIFF read by parts: its header, then the tiles that a rectangle of ground
//! crosses, as the ranges that are still missing. The format itself (both header forms, deflate,
//! predictors) is the `tiff` crate's. Never fetches, never reads more than a bounded part.
//! Called by the client of this provider, which fetches what is asked for and calls again.

use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;

use tiff::TiffError;
use tiff::decoder::{ChunkType, Decoder, DecodingResult, Limits};
use tiff::tags::Tag;

use super::grid::whole;

/// Length of a header's part: a tile list of 121 tiles and six overviews lie within the first.
const HEADER_BYTES: u64 = 65_536;
/// Largest compressed tile, bytes; a raw one of 1024 × 1024 pixels has 2 MiB.
const TILE_BYTES_MAX: u64 = 4 << 20;
/// Most tiles: a cell's side is five kilometres at most and a tile's ten, but smaller tiles exist.
const TILES_MAX: usize = 16;
/// Largest side of what is read, pixels.
const SIDE_PIXELS_MAX: i64 = 1_024;
/// Most images (overviews and masks) of a file.
const IMAGES_MAX: usize = 16;

/// Parts of a file that are here.
#[derive(Debug, Default)]
pub(super) struct Parts {
    held: Vec<(u64, Vec<u8>)>,
    at: u64,
    missing: Option<u64>,
}

impl Parts {
    pub(super) fn add(&mut self, start: u64, bytes: Vec<u8>) {
        self.held.push((start, bytes));
    }

    /// The bytes held from `at` on.
    fn from(&self, at: u64) -> Option<&[u8]> {
        self.held.iter().find_map(|(start, bytes)| {
            let skipped = usize::try_from(at.checked_sub(*start)?).ok()?;
            bytes.get(skipped..).filter(|rest| !rest.is_empty())
        })
    }

    fn holds(&self, range: &Range<u64>) -> bool {
        let length = range.end.saturating_sub(range.start);
        self.from(range.start)
            .and_then(|rest| u64::try_from(rest.len()).ok())
            .is_some_and(|held| held >= length)
    }
}

impl Read for &mut Parts {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(mut rest) = self.from(self.at) else {
            self.missing = Some(self.at);
            return Err(io::Error::other("not fetched yet"));
        };
        let count = rest.read(buffer)?;
        self.at = self.at.saturating_add(u64::try_from(count).unwrap_or(0));
        Ok(count)
    }
}

impl Seek for &mut Parts {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
            SeekFrom::End(_) => None,
        };
        self.at = at.ok_or_else(|| io::Error::other("no such place"))?;
        Ok(self.at)
    }
}

/// A rectangle of ground in the file's own projection, metres, and the pixels it is wanted in.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked {
    pub(super) west: f64,
    pub(super) east: f64,
    pub(super) south: f64,
    pub(super) north: f64,
    /// Side of a pixel, metres: the file's own, or that of an overview.
    pub(super) pixel_m: u16,
}

/// What was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Raster {
    /// Easting of the western edge, metres.
    pub(super) west_m: i32,
    /// Northing of the northern edge, metres.
    pub(super) north_m: i32,
    pub(super) width: u16,
    pub(super) height: u16,
    /// Row by row; 0 where the image ends or has no data.
    pub(super) values: Vec<u16>,
}

/// One try at reading.
#[derive(Debug)]
pub(super) enum Tried {
    Read(Raster),
    /// These parts are needed first.
    Missing(Vec<Range<u64>>),
}

/// Why a file cannot be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    #[error("not a readable tiff: {0}")]
    Format(#[from] TiffError),
    #[error("{0}")]
    Layout(&'static str),
}

/// Reads what is asked for from the parts held so far, or says which are needed.
pub(super) fn read(parts: &mut Parts, asked: &Asked) -> Result<Tried, Fault> {
    (parts.at, parts.missing) = (0, None);
    match read_held(parts, asked) {
        Err(Fault::Format(TiffError::IoError(_))) if parts.missing.is_some() => {
            let at = parts.missing.unwrap_or(0) / HEADER_BYTES * HEADER_BYTES;
            // the same part again would never be longer: the file ends within it
            if parts.held.iter().any(|(start, _)| *start == at) {
                return Err(Fault::Layout("file ends too early"));
            }
            Ok(Tried::Missing(
                std::iter::once(at..at + HEADER_BYTES).collect(),
            ))
        }
        other => other,
    }
}

fn read_held(parts: &mut Parts, asked: &Asked) -> Result<Tried, Fault> {
    let mut limits = Limits::default();
    limits.decoding_buffer_size = 16 << 20;
    let mut decoder = Decoder::new(&mut *parts)?.with_limits(limits);
    let place = place(&mut decoder)?;
    let (columns, rows) = decoder.dimensions()?;
    let times = u32::from(asked.pixel_m) / place.pixel_m;
    if times == 0 || !times.is_power_of_two() || place.pixel_m * times != u32::from(asked.pixel_m) {
        return Err(Fault::Layout("pixels of another size"));
    }
    let (columns, rows) = (columns.div_ceil(times), rows.div_ceil(times));
    let mut images = 0;
    while decoder.dimensions()? != (columns, rows) {
        images += 1;
        if !decoder.more_images() || images > IMAGES_MAX {
            return Err(Fault::Layout("no overview of this pixel size"));
        }
        decoder.next_image()?;
    }
    let frame = Frame::of(asked, &place, (columns, rows))?;
    let (tile_width, tile_height) = decoder.chunk_dimensions();
    if decoder.get_chunk_type() != ChunkType::Tile || tile_width == 0 || tile_height == 0 {
        return Err(Fault::Layout("not in tiles"));
    }
    let offsets = decoder.get_tag_u64_vec(Tag::TileOffsets)?;
    let lengths = decoder.get_tag_u64_vec(Tag::TileByteCounts)?;
    let across = columns.div_ceil(tile_width);
    let tiles = frame.tiles((tile_width, tile_height), (columns, rows), across);
    if tiles.len() > TILES_MAX {
        return Err(Fault::Layout("too many tiles"));
    }
    let mut wanted = Vec::new();
    for tile in &tiles {
        let at = usize::try_from(tile.index).unwrap_or(usize::MAX);
        let (Some(offset), Some(length)) = (offsets.get(at), lengths.get(at)) else {
            return Err(Fault::Layout("fewer tiles than its size needs"));
        };
        if *length > TILE_BYTES_MAX {
            return Err(Fault::Layout("a tile is larger than the agreed limit"));
        }
        // a tile of no length holds no data, by GDAL's convention
        if *length > 0 {
            wanted.push((tile, *offset..offset.saturating_add(*length)));
        }
    }
    let held = decoder.inner();
    let missing: Vec<Range<u64>> = wanted
        .iter()
        .map(|(_, range)| range.clone())
        .filter(|range| !held.holds(range))
        .collect();
    if !missing.is_empty() {
        return Ok(Tried::Missing(missing));
    }
    let mut raster = frame.empty();
    for (tile, _) in wanted {
        let (width, _) = decoder.chunk_data_dimensions(tile.index);
        match decoder.read_chunk(tile.index)? {
            DecodingResult::U16(values) => frame.copy(&mut raster, tile, width, &values),
            DecodingResult::U8(values) => {
                let values: Vec<u16> = values.into_iter().map(u16::from).collect();
                frame.copy(&mut raster, tile, width, &values);
            }
            _ => return Err(Fault::Layout("values of another type")),
        }
    }
    Ok(Tried::Read(raster))
}

/// Where the first pixel lies, and how large it is.
struct Place {
    west: f64,
    north: f64,
    pixel_m: u32,
}

fn place(decoder: &mut Decoder<&mut Parts>) -> Result<Place, Fault> {
    let scale = decoder.get_tag_f64_vec(Tag::ModelPixelScaleTag)?;
    let tie = decoder.get_tag_f64_vec(Tag::ModelTiepointTag)?;
    let (Some([across, down]), Some([column, row, _, west, north])) =
        (scale.first_chunk::<2>(), tie.first_chunk::<5>())
    else {
        return Err(Fault::Layout("no place on the ground"));
    };
    let is_plain = (across - down).abs() < 1e-6 && column.abs() < 1e-9 && row.abs() < 1e-9;
    let pixel_m = whole(*across).and_then(|metres| u32::try_from(metres).ok());
    let pixel_m = pixel_m.filter(|metres| {
        is_plain && (1..=60).contains(metres) && (f64::from(*metres) - across).abs() < 1e-6
    });
    Ok(Place {
        west: *west,
        north: *north,
        pixel_m: pixel_m.ok_or(Fault::Layout("pixels are not whole metres"))?,
    })
}

/// The pixels asked for, in columns and rows of the chosen image; they may reach beyond it.
struct Frame {
    column: i64,
    row: i64,
    width: u16,
    height: u16,
    west_m: i32,
    north_m: i32,
}

/// A tile and where its first pixel lies.
struct Tile {
    index: u32,
    column: u32,
    row: u32,
}

impl Frame {
    fn of(asked: &Asked, place: &Place, (columns, rows): (u32, u32)) -> Result<Self, Fault> {
        let side = f64::from(asked.pixel_m);
        let outside = Fault::Layout("cell lies outside the image");
        let edges = [
            whole(((asked.west - place.west) / side).floor()),
            whole(((asked.east - place.west) / side).ceil()),
            whole(((place.north - asked.north) / side).floor()),
            whole(((place.north - asked.south) / side).ceil()),
        ];
        let [Some(column), Some(column_end), Some(row), Some(row_end)] = edges else {
            return Err(outside);
        };
        let meets = |from: i64, until: i64, size: u32| from < i64::from(size) && until > 0;
        if !meets(column, column_end, columns) || !meets(row, row_end, rows) {
            return Err(outside);
        }
        let (width, height) = (column_end - column, row_end - row);
        if width > SIDE_PIXELS_MAX || height > SIDE_PIXELS_MAX {
            return Err(Fault::Layout("more pixels than the agreed limit"));
        }
        let metres = |origin: f64, by: i64| {
            let origin = whole(origin).filter(|w| whole(origin * 1e3) == Some(w * 1_000))?;
            i32::try_from(origin + by * i64::from(asked.pixel_m)).ok()
        };
        let (Some(west_m), Some(north_m)) = (metres(place.west, column), metres(place.north, -row))
        else {
            return Err(Fault::Layout("its corner is not at whole metres"));
        };
        Ok(Self {
            column,
            row,
            width: u16::try_from(width).unwrap_or(0),
            height: u16::try_from(height).unwrap_or(0),
            west_m,
            north_m,
        })
    }

    /// The tiles that hold a pixel of this frame.
    fn tiles(
        &self,
        (tile_width, tile_height): (u32, u32),
        (columns, rows): (u32, u32),
        across: u32,
    ) -> Vec<Tile> {
        let span = |from: i64, length: u16, size: u32, tile: u32| {
            let last = from + i64::from(length) - 1;
            let last = last.clamp(0, i64::from(size) - 1) / i64::from(tile);
            let first = from.clamp(0, i64::from(size) - 1) / i64::from(tile);
            let number = |value: i64| u32::try_from(value).unwrap_or(0);
            number(first)..=number(last)
        };
        let mut tiles = Vec::new();
        for down in span(self.row, self.height, rows, tile_height) {
            for right in span(self.column, self.width, columns, tile_width) {
                tiles.push(Tile {
                    index: down * across + right,
                    column: right * tile_width,
                    row: down * tile_height,
                });
            }
        }
        tiles
    }

    fn empty(&self) -> Raster {
        Raster {
            west_m: self.west_m,
            north_m: self.north_m,
            width: self.width,
            height: self.height,
            values: vec![0; usize::from(self.width) * usize::from(self.height)],
        }
    }

    /// Copies the part of a tile (rows of `width`) that lies in this frame.
    fn copy(&self, raster: &mut Raster, tile: &Tile, width: u32, values: &[u16]) {
        let frame_width = usize::from(self.width);
        let Ok(width) = usize::try_from(width) else {
            return;
        };
        if width == 0 || frame_width == 0 {
            return;
        }
        let shift = i64::from(tile.column) - self.column;
        // the first pixel of the tile in the frame, and of the frame in the tile
        let into = usize::try_from(shift.max(0)).unwrap_or(usize::MAX);
        let from = usize::try_from((-shift).max(0)).unwrap_or(usize::MAX);
        let first = i64::from(tile.row) - self.row;
        for (row, line) in (first..).zip(values.chunks_exact(width)) {
            let place = usize::try_from(row)
                .ok()
                .and_then(|row| raster.values.chunks_exact_mut(frame_width).nth(row));
            if let Some(target) = place
                && let (Some(target), Some(source)) = (target.get_mut(into..), line.get(from..))
            {
                for (target, source) in target.iter_mut().zip(source) {
                    *target = *source;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
