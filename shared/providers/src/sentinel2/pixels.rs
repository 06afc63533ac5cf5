//! The pixels of a capture as they are kept: red, near infrared, classification, one after the
//! other, deflated. What is unpacked is exactly what was packed, or nothing.
//! Called by the satellite worker, which keeps them, and by the number work, which reads them.

use std::io::{Read, Write};

use flate2::Compression;
use flate2::read::ZlibDecoder;
use flate2::write::ZlibEncoder;
use sha2::{Digest, Sha256};

use super::Grid;

/// Bytes of a pixel: two of red, two of near infrared, one of classification.
const PIXEL_BYTES: usize = 5;

/// Pixels of a rectangle, row by row from the north-west.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pixels {
    /// Red (B04), digital numbers; 0 is no data.
    pub red: Vec<u16>,
    /// Near infrared (B08), likewise.
    pub nir: Vec<u16>,
    /// Scene classification, 0 to 11.
    pub scl: Vec<u8>,
}

impl Pixels {
    fn bytes(&self) -> Vec<u8> {
        let bands = self.red.iter().chain(&self.nir);
        let mut bytes: Vec<u8> = bands.flat_map(|value| value.to_le_bytes()).collect();
        bytes.extend_from_slice(&self.scl);
        bytes
    }

    /// SHA-256 of the pixels, undeflated.
    #[must_use]
    pub fn sha256(&self) -> [u8; 32] {
        Sha256::digest(self.bytes()).into()
    }

    /// The form in which they are kept, a zlib stream.
    #[must_use]
    pub fn pack(&self) -> Vec<u8> {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
        // writing to memory cannot fail
        let _ = encoder.write_all(&self.bytes());
        encoder.finish().unwrap_or_default()
    }

    /// Reads what was kept of a rectangle; `None` when it is not as long as that.
    #[must_use]
    pub fn unpack(packed: &[u8], grid: &Grid) -> Option<Self> {
        let count = grid.pixels();
        let length = count.checked_mul(PIXEL_BYTES)?;
        let limit = u64::try_from(length).ok()?.checked_add(1)?;
        let mut bytes = Vec::with_capacity(length);
        let mut decoder = ZlibDecoder::new(packed).take(limit);
        decoder.read_to_end(&mut bytes).ok()?;
        if bytes.len() != length {
            return None;
        }
        let (bands, scl) = bytes.split_at(count.checked_mul(4)?);
        let values: Vec<u16> = bands
            .chunks_exact(2)
            .filter_map(|pair| pair.first_chunk().map(|pair| u16::from_le_bytes(*pair)))
            .collect();
        let (red, nir) = values.split_at(count);
        Some(Self {
            red: red.to_vec(),
            nir: nir.to_vec(),
            scl: scl.to_vec(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_unpacked_is_what_was_packed_or_nothing() {
        let grid = Grid {
            epsg: 32_737,
            west_m: 0,
            north_m: 0,
            pixel_m: 20,
            width: 3,
            height: 2,
        };
        let pixels = Pixels {
            red: vec![0, 1, 1_400, 258, 65_535, 7],
            nir: vec![9; 6],
            scl: vec![0, 4, 5, 9, 11, 3],
        };
        let packed = pixels.pack();
        assert_eq!(Pixels::unpack(&packed, &grid), Some(pixels));
        for wrong in [Grid { width: 4, ..grid }, Grid { width: 2, ..grid }] {
            assert_eq!(Pixels::unpack(&packed, &wrong), None);
        }
        assert_eq!(Pixels::unpack(b"no stream", &grid), None);
    }
}
