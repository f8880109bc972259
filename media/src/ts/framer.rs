//! Finds packets in pushed bytes: sync, loss of sync, resync after junk.

use super::packet::{PACKET_LEN, SYNC_BYTE};
use crate::counters::Counters;

/// Distance of packet starts. (192 and 204 bytes exist elsewhere; HLS has 188 alone, RFC 8216 3.2.)
const STRIDE: usize = PACKET_LEN;

/// Sync bytes that must stand a stride apart before a position is taken for a packet's start.
const SYNCS_TO_LOCK: usize = 3;

/// Splits pushed bytes into packets, however they are chunked.
#[derive(Debug, Default)]
pub struct Framer {
    locked: bool,
    /// Bytes that did not make up a decision yet, fewer than [`SYNCS_TO_LOCK`] strides.
    tail: Vec<u8>,
}

impl Framer {
    /// Gives each packet that `data` completes to `packet`.
    pub fn push(
        &mut self,
        mut data: &[u8],
        counters: &mut Counters,
        mut packet: impl FnMut(&[u8; PACKET_LEN], &mut Counters),
    ) {
        if !self.tail.is_empty() {
            // A stride more than any decision looks ahead, so that either all of the tail is decided or all of
            // `data` is in it.
            let kept = self.tail.len();
            let lent = data.len().min((SYNCS_TO_LOCK + 1) * STRIDE);
            let mut joined = std::mem::take(&mut self.tail);
            joined.extend_from_slice(&data[..lent]);
            let used = self.consume(&joined, false, counters, &mut packet);
            if used < kept || lent == data.len() {
                joined.drain(..used);
                self.tail = joined;
                self.tail.extend_from_slice(&data[lent..]);
                return;
            }
            data = &data[used - kept..];
        }
        let used = self.consume(data, false, counters, &mut packet);
        self.tail.extend_from_slice(&data[used..]);
    }

    /// No more bytes belong to what was pushed: decides about the rest and starts afresh.
    pub fn finish(
        &mut self,
        counters: &mut Counters,
        mut packet: impl FnMut(&[u8; PACKET_LEN], &mut Counters),
    ) {
        let rest = std::mem::take(&mut self.tail);
        let used = self.consume(&rest, true, counters, &mut packet);
        counters.add("ts_truncated_bytes", (rest.len() - used) as u64);
        self.locked = false;
    }

    fn consume(
        &mut self,
        data: &[u8],
        last: bool,
        counters: &mut Counters,
        packet: &mut impl FnMut(&[u8; PACKET_LEN], &mut Counters),
    ) -> usize {
        let mut at = 0;
        loop {
            if self.locked {
                let Some(bytes) = data[at..].first_chunk::<PACKET_LEN>() else { return at };
                if bytes[0] == SYNC_BYTE {
                    packet(bytes, counters);
                    at += STRIDE;
                    continue;
                }
                self.locked = false;
                counters.add("ts_sync_losses", 1);
            }
            let start = at;
            loop {
                match lock(&data[at..], last) {
                    Lock::Here => break self.locked = true,
                    Lock::NotHere => at += 1,
                    Lock::Undecided => break,
                }
            }
            counters.add("ts_skipped_bytes", (at - start) as u64);
            if !self.locked {
                return at;
            }
        }
    }
}

enum Lock {
    Here,
    NotHere,
    Undecided,
}

fn lock(data: &[u8], last: bool) -> Lock {
    for sync in 0..SYNCS_TO_LOCK {
        match data.get(sync * STRIDE) {
            Some(&SYNC_BYTE) => {}
            Some(_) => return Lock::NotHere,
            None if !last || data.is_empty() => return Lock::Undecided,
            // The end of the data is evidence too: fewer packets than asked for must end exactly there.
            None if data.len().is_multiple_of(STRIDE) => return Lock::Here,
            None => return Lock::NotHere,
        }
    }
    Lock::Here
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn stream(packets: u8) -> Vec<u8> {
        (0..packets).flat_map(|n| std::iter::once(SYNC_BYTE).chain(std::iter::repeat_n(n, 187))).collect()
    }

    fn frame(chunks: &[&[u8]]) -> (Vec<u8>, Counters) {
        let (mut framer, mut counters, mut seen) = (Framer::default(), Counters::default(), Vec::new());
        for chunk in chunks {
            framer.push(chunk, &mut counters, |packet, _| seen.push(packet[1]));
        }
        framer.finish(&mut counters, |packet, _| seen.push(packet[1]));
        (seen, counters)
    }

    #[test]
    fn junk_between_packets_is_skipped() {
        let mut bytes = b"GG junk".to_vec();
        bytes.extend(stream(3));
        bytes.extend(b"more");
        bytes.extend(stream(4));
        let (seen, counters) = frame(&[&bytes]);
        assert_eq!(seen, [0, 1, 2, 0, 1, 2, 3]);
        assert_eq!(counters.get("ts_skipped_bytes"), 11);
        assert_eq!(counters.get("ts_sync_losses"), 1);
    }

    #[test]
    fn a_single_packet_and_a_cut_last_packet_are_known() {
        assert_eq!(frame(&[&stream(1)]).0, [0]);
        let bytes = stream(5);
        let (seen, counters) = frame(&[&bytes[..4 * 188 + 100]]);
        assert_eq!(seen, [0, 1, 2, 3]);
        assert_eq!(counters.get("ts_truncated_bytes"), 100);
    }

    #[test]
    fn text_is_not_a_transport_stream() {
        assert!(frame(&["<html>GGG not found</html>".repeat(200).as_bytes()]).0.is_empty());
        assert!(frame(&["G".repeat(187).as_bytes()]).0.is_empty());
    }

    proptest! {
        #[test]
        fn chunking_changes_nothing(
            junk in proptest::collection::vec(any::<u8>(), 0..400),
            cuts in proptest::collection::vec(0usize..2500, 0..20),
        ) {
            let mut bytes = stream(4);
            bytes.extend(&junk);
            bytes.extend(stream(6));
            let whole = frame(&[&bytes]);
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let chunks: Vec<&[u8]> = cuts.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect();
            prop_assert_eq!(frame(&chunks), whole);
        }
    }
}
