//! gzip bodies, bounded: what a few bytes may swell to is limited before it is held.

use std::io::{self, Write};

use bytes::Bytes;
use flate2::write::MultiGzDecoder;

/// Compressed bytes taken at a time: deflate swells them at most 1032 times (RFC 1951), to 1 MiB.
const STEP: usize = 1024;

/// Swells a body piece by piece.
pub(super) struct Inflater(MultiGzDecoder<Vec<u8>>);

/// Why a piece could not be swelled.
#[derive(Debug)]
pub(super) enum InflateError {
    /// It is more than allowed.
    TooLarge,
    /// It is not gzip, or cut short.
    Damaged,
}

impl From<io::Error> for InflateError {
    fn from(_: io::Error) -> Self {
        Self::Damaged
    }
}

impl Inflater {
    pub(super) fn new() -> Self {
        Self(MultiGzDecoder::new(Vec::new()))
    }

    /// What `chunk` brings; an error where that is more than `most` bytes.
    pub(super) fn push(&mut self, chunk: &[u8], most: u64) -> Result<Bytes, InflateError> {
        let mut swelled = Vec::new();
        for step in chunk.chunks(STEP) {
            self.0.write_all(step)?;
            swelled.append(self.0.get_mut());
            if swelled.len() as u64 > most {
                return Err(InflateError::TooLarge);
            }
        }
        Ok(swelled.into())
    }

    /// What was still held back; an error where the body ended too early.
    pub(super) fn finish(&mut self) -> Result<Bytes, InflateError> {
        self.0.try_finish()?;
        Ok(std::mem::take(self.0.get_mut()).into())
    }
}

#[cfg(test)]
mod tests {
    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(bytes).expect("memory");
        encoder.finish().expect("memory")
    }

    #[test]
    fn pieces_of_any_size_swell_to_the_same() {
        let clear: Vec<u8> = (0..100_000u32).flat_map(|n| (n / 7).to_le_bytes()).collect();
        let packed = gzip(&clear);
        for size in [1, 100, 5000, packed.len()] {
            let mut inflater = Inflater::new();
            let mut swelled = Vec::new();
            for piece in packed.chunks(size) {
                swelled.extend_from_slice(&inflater.push(piece, 1 << 20).expect("gzip"));
            }
            swelled.extend_from_slice(&inflater.finish().expect("its end"));
            assert_eq!(swelled, clear, "{size}");
        }
    }

    #[test]
    fn a_bomb_is_refused_before_it_is_held_and_garbage_is_named() {
        let bomb = gzip(&vec![0; 64 << 20]);
        assert!(matches!(Inflater::new().push(&bomb, 4 << 20), Err(InflateError::TooLarge)));
        let mut garbage = Inflater::new();
        assert!(garbage.push(b"#EXTM3U\n", 4 << 20).is_err() || garbage.finish().is_err());
        let packed = gzip(b"#EXTM3U\n");
        let mut cut = Inflater::new();
        cut.push(&packed[..packed.len() - 6], 4 << 20).expect("so far");
        assert!(cut.finish().is_err());
    }
}
