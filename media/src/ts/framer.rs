//! Finds packets in pushed bytes: sync, loss of sync, resync after junk.

use super::packet::{PACKET_LEN, SYNC_BYTE};
use crate::counters::Counters;

/// Distances of packet starts: packets alone (all that RFC 8216 3.2 knows), with 4 bytes of arrival time before
/// each (Blu-ray, recorders), with 16 bytes of parity behind each (ETSI EN 300 429).
const STRIDES: [usize; 3] = [PACKET_LEN, PACKET_LEN + 4, PACKET_LEN + 16];

/// The longest of them.
const LONGEST_STRIDE: usize = PACKET_LEN + 16;

/// Sync bytes that must stand a stride apart before a position is taken for a packet's start.
const SYNCS_TO_LOCK: usize = 3;

/// Splits pushed bytes into packets, however they are chunked.
#[derive(Debug)]
pub struct Framer {
    locked: bool,
    stride: usize,
    /// Bytes that did not make up a decision yet, fewer than [`SYNCS_TO_LOCK`] strides.
    tail: Vec<u8>,
}

impl Default for Framer {
    fn default() -> Self {
        Self { locked: false, stride: PACKET_LEN, tail: Vec::new() }
    }
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
            let lent = data.len().min((SYNCS_TO_LOCK + 1) * LONGEST_STRIDE);
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
                let rest = &data[at..];
                let Some(bytes) = rest.first_chunk::<PACKET_LEN>() else { return at };
                // What stands behind the packet must be there too, or be the end.
                if rest.len() < self.stride && !last {
                    return at;
                }
                if bytes[0] == SYNC_BYTE {
                    packet(bytes, counters);
                    at += self.stride.min(rest.len());
                    continue;
                }
                self.locked = false;
                counters.add("ts_sync_losses", 1);
            }
            let start = at;
            loop {
                match lock(&data[at..], last) {
                    Lock::Here(stride) => {
                        (self.locked, self.stride) = (true, stride);
                        break;
                    }
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
    /// A packet starts here, and the next so many bytes later.
    Here(usize),
    NotHere,
    Undecided,
}

fn lock(data: &[u8], last: bool) -> Lock {
    if data.first().is_some_and(|byte| *byte != SYNC_BYTE) {
        return Lock::NotHere;
    }
    let mut undecided = false;
    for stride in STRIDES {
        match lock_at(data, stride, last) {
            Lock::NotHere => {}
            // A shorter stride that more bytes may bear out comes first.
            found if !undecided => match found {
                Lock::Undecided => undecided = true,
                found => return found,
            },
            _ => {}
        }
    }
    if undecided { Lock::Undecided } else { Lock::NotHere }
}

fn lock_at(data: &[u8], stride: usize, last: bool) -> Lock {
    for sync in 0..SYNCS_TO_LOCK {
        match data.get(sync * stride) {
            Some(&SYNC_BYTE) => {}
            Some(_) => return Lock::NotHere,
            None if !last || data.is_empty() => return Lock::Undecided,
            // The end of the data is evidence too: fewer packets than asked for must end exactly there, with what
            // stands behind the last one or without (an arrival time stands before it, and the first was skipped).
            None if data.len().is_multiple_of(stride) || data.len() % stride == PACKET_LEN => {
                return Lock::Here(stride);
            }
            None => return Lock::NotHere,
        }
    }
    Lock::Here(stride)
}

/// Distance of packet starts in `data`, which is all there is (`last`) or the beginning; `None` where there is no
/// packet.
#[must_use]
pub fn find_stride(data: &[u8], last: bool) -> Option<u16> {
    for at in 0..data.len() {
        match lock(&data[at..], last) {
            Lock::Here(stride) => return u16::try_from(stride).ok(),
            Lock::Undecided => return None,
            Lock::NotHere => {}
        }
    }
    None
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
    fn packets_may_stand_further_apart() {
        for (before, behind) in [(4, 0), (0, 16)] {
            let bytes: Vec<u8> = stream(5)
                .chunks(188)
                .flat_map(|packet| [&vec![0x40; before], packet, &vec![0x47; behind]].concat())
                .collect();
            let (seen, counters) = frame(&[&bytes]);
            assert_eq!(seen, [0, 1, 2, 3, 4], "{before} {behind}");
            assert_eq!(counters.get("ts_skipped_bytes"), before as u64);
            let (seen, _) = frame(&[&bytes[..700], &bytes[700..]]);
            assert_eq!(seen, [0, 1, 2, 3, 4]);
            assert_eq!(find_stride(&bytes, true), Some(188 + before as u16 + behind as u16));
        }
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
