//! Which PES packet a byte of an elementary stream came in.

use std::collections::VecDeque;

use super::pes::Timestamps;

/// Marks kept at most; more PES packets than this inside one access unit do not occur.
const MAX_MARKS: usize = 4096;

#[derive(Debug, Clone, Copy)]
struct Mark {
    at: u64,
    stamp: Option<Timestamps>,
    origin: u32,
}

/// PES starts along an elementary stream, by byte position.
///
/// ISO/IEC 13818-1 2.4.3.7: a PES packet's timestamps belong to the first access unit that commences in it.
#[derive(Debug, Default)]
pub struct Marks(VecDeque<Mark>);

impl Marks {
    /// A PES packet's payload starts at position `at`. `origin` is the caller's own label.
    pub fn put(&mut self, at: u64, stamp: Option<Timestamps>, origin: u32) {
        // A PES packet without payload: nothing commences in it.
        if self.0.back().is_some_and(|mark| mark.at == at) {
            self.0.pop_back();
        }
        if self.0.len() >= MAX_MARKS {
            self.0.remove(1);
        }
        self.0.push_back(Mark { at, stamp, origin });
    }

    /// An access unit commences at `at`: its timestamps, if it is the first in its PES packet, and the label.
    /// Positions must not go backwards.
    pub fn take(&mut self, at: u64) -> (Option<Timestamps>, u32) {
        self.forget_before(at);
        match self.0.front_mut() {
            Some(mark) if mark.at <= at => (mark.stamp.take(), mark.origin),
            _ => (None, 0),
        }
    }

    /// Forgets the PES packets that ended at or before `at`.
    pub fn forget_before(&mut self, at: u64) {
        while self.0.get(1).is_some_and(|next| next.at <= at) {
            self.0.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_first_unit_that_begins_in_a_pes_packet_gets_its_time() {
        let stamp = |pts| Some(Timestamps { pts, dts: pts });
        let mut marks = Marks::default();
        marks.put(0, stamp(1), 0);
        marks.put(100, stamp(2), 0);
        marks.put(200, stamp(3), 1);
        marks.put(300, stamp(4), 1);
        assert_eq!(marks.take(10), (stamp(1), 0));
        assert_eq!(marks.take(90), (None, 0));
        // None begins in the second.
        assert_eq!(marks.take(200), (stamp(3), 1));
        assert_eq!(marks.take(299), (None, 1));
    }

    #[test]
    fn a_pes_packet_without_payload_gives_its_time_to_nobody() {
        let mut marks = Marks::default();
        marks.put(0, Some(Timestamps { pts: 1, dts: 1 }), 0);
        marks.put(0, Some(Timestamps { pts: 2, dts: 2 }), 0);
        assert_eq!(marks.take(0).0.map(|stamp| stamp.pts), Some(2));
    }
}
