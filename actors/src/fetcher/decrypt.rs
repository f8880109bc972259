//! AES-128 segments (rfc8216bis 5.2): CBC over the whole segment, PKCS#7 padding at its end.

use aes::cipher::consts::U16;
use aes::cipher::{Array, BlockModeDecrypt, KeyIvInit};
use bytes::{Bytes, BytesMut};

const BLOCK: usize = 16;

/// Why a segment could not be decrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum DecryptError {
    #[error("encrypted segment of {0} bytes is not a multiple of 16")]
    Length(u64),
    #[error("decryption gives no valid padding: the key or the IV is wrong")]
    Padding,
}

/// Decrypts a segment piece by piece; holds back one block, since the last is padding.
pub(super) struct Decrypter {
    mode: cbc::Decryptor<aes::Aes128>,
    held: BytesMut,
    taken: u64,
}

impl Decrypter {
    pub(super) fn new(key: [u8; 16], iv: [u8; 16]) -> Self {
        Self { mode: cbc::Decryptor::new(&key.into(), &iv.into()), held: BytesMut::new(), taken: 0 }
    }

    /// Clear bytes that have become certain.
    pub(super) fn push(&mut self, chunk: &[u8]) -> Bytes {
        self.taken += chunk.len() as u64;
        self.held.extend_from_slice(chunk);
        let certain = self.held.len().saturating_sub(1) / BLOCK * BLOCK;
        self.decrypt(certain)
    }

    /// The last clear bytes, padding taken off.
    pub(super) fn finish(mut self) -> Result<Bytes, DecryptError> {
        if self.held.len() != BLOCK {
            return Err(DecryptError::Length(self.taken));
        }
        let mut last = self.decrypt(BLOCK);
        let padding = usize::from(last[BLOCK - 1]);
        let good = (1..=BLOCK).contains(&padding)
            && last[BLOCK - padding..].iter().all(|byte| usize::from(*byte) == padding);
        if !good {
            return Err(DecryptError::Padding);
        }
        last.truncate(BLOCK - padding);
        Ok(last)
    }

    fn decrypt(&mut self, len: usize) -> Bytes {
        let mut bytes = self.held.split_to(len);
        let (blocks, _) = Array::<u8, U16>::slice_as_chunks_mut(&mut bytes);
        self.mode.decrypt_blocks(blocks);
        bytes.freeze()
    }
}

/// rfc8216bis 5.2: without an IV attribute, the media sequence number as a big-endian 128-bit number.
pub(super) fn iv_of(media_sequence: u64) -> [u8; 16] {
    u128::from(media_sequence).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLEAR: &[u8] = b"a segment is sent in blocks of 16.";

    /// `printf 'a segment is sent in blocks of 16.' | openssl enc -aes-128-cbc -K 4242... -iv 2424...`
    const CIPHER: [u8; 48] = [
        0x42, 0x1f, 0xf4, 0x7c, 0xaa, 0x49, 0x32, 0x7f, 0x7b, 0xda, 0x69, 0xe5, 0x84, 0x4e, 0x8d, 0x59, 0x6f,
        0x2a, 0x13, 0x2e, 0xa1, 0x3a, 0xf3, 0x93, 0xab, 0x44, 0x74, 0x78, 0xdc, 0xb0, 0x6e, 0x1e, 0xcd, 0x42,
        0x29, 0x95, 0x3f, 0xcf, 0xa0, 0x34, 0xb6, 0x20, 0x95, 0xac, 0xe6, 0xf7, 0x6a, 0x9a,
    ];

    fn decrypt(pieces: &[&[u8]], key: u8) -> Result<Vec<u8>, DecryptError> {
        let mut decrypter = Decrypter::new([key; 16], [0x24; 16]);
        let mut clear = Vec::new();
        for piece in pieces {
            clear.extend_from_slice(&decrypter.push(piece));
        }
        clear.extend_from_slice(&decrypter.finish()?);
        Ok(clear)
    }

    #[test]
    fn pieces_of_any_size_decrypt_alike() {
        for size in [1, 7, 15, 16, 17, 32, 48] {
            let pieces: Vec<_> = CIPHER.chunks(size).collect();
            assert_eq!(decrypt(&pieces, 0x42).as_deref(), Ok(CLEAR), "{size}");
        }
    }

    #[test]
    fn a_wrong_key_and_a_cut_segment_are_errors() {
        assert_eq!(decrypt(&[&CIPHER], 0x43), Err(DecryptError::Padding));
        assert_eq!(decrypt(&[&CIPHER[..32]], 0x42), Err(DecryptError::Padding));
        assert_eq!(decrypt(&[&CIPHER[..47]], 0x42), Err(DecryptError::Length(47)));
        assert_eq!(decrypt(&[], 0x42), Err(DecryptError::Length(0)));
    }
}
