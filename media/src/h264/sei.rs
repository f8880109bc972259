//! Supplemental enhancement information: recovery points (D.1.8), nothing else.

use std::io::Read;

use h264_reader::rbsp::{BitRead, BitReader, ByteReader};

/// payloadType of a recovery point.
const RECOVERY_POINT: usize = 6;

/// Bytes of an SEI NAL unit that are looked through; messages behind large user data are not found.
const LOOKED_AT: usize = 1024;

/// recovery_frame_cnt of the NAL unit's recovery point, if there is one: 0 where decoding that starts at
/// this picture shows it, and every one after it in output order, as it should.
#[must_use]
pub fn recovery_frame_count(nal: &[u8]) -> Option<u32> {
    let mut rbsp = Vec::with_capacity(nal.len().min(LOOKED_AT));
    let head = &nal[..nal.len().min(LOOKED_AT)];
    // A malformed tail ends the reading; what came before it stands.
    let _ = ByteReader::skipping_h264_header(head).read_to_end(&mut rbsp);
    let mut rest = rbsp.as_slice();
    loop {
        let (kind, after) = read_ff_coded(rest)?;
        let (len, after) = read_ff_coded(after)?;
        let (payload, after) = after.split_at_checked(len)?;
        if kind == RECOVERY_POINT {
            return BitReader::new(payload).read_ue("recovery_frame_cnt").ok();
        }
        rest = after;
    }
}

/// 7.3.2.3.1: a number as a run of 0xff, each worth 255, and a last byte.
fn read_ff_coded(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let run = bytes.iter().take_while(|byte| **byte == 0xff).count();
    let last = bytes.get(run)?;
    Some((run * 255 + usize::from(*last), &bytes[run + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recovery_point_is_found_behind_other_messages() {
        assert_eq!(recovery_frame_count(&[6, 6, 1, 0xc4, 0x80]), Some(0));
        assert_eq!(recovery_frame_count(&[6, 1, 2, 9, 9, 6, 1, 0x44, 0x80]), Some(1));
        assert_eq!(recovery_frame_count(&[6, 1, 2, 9, 9, 0x80]), None);
        // The size runs past the NAL unit.
        assert_eq!(recovery_frame_count(&[6, 4, 0xff, 0xff, 9, 9]), None);
        assert_eq!(recovery_frame_count(&[6]), None);
    }
}
