//! The source, which goes on whatever becomes of us, and the fetcher.

use super::{FETCHER, What, World};
use crate::ledger::Event;
use crate::ledger::tests::{SECOND, segment};
use crate::messages::StoredSegment;

impl World {
    /// Segments that the source has made by now.
    pub(super) fn produced(&self) -> u64 {
        let until = [self.paused_since, self.ends_at].into_iter().flatten().min().unwrap_or(self.now);
        let lived_us = until.min(self.now).micros_since(self.began) - self.paused_us;
        u64::try_from(lived_us / (self.plan.segment_s * SECOND)).unwrap_or(0)
    }

    pub(super) fn fetch(&mut self) {
        let produced = self.produced();
        if self.now < self.away_until {
            return self.later(SECOND, What::Fetch, FETCHER);
        }
        while self.next_sequence < produced.saturating_sub(self.plan.window) {
            self.lose(0);
        }
        if self.next_sequence < produced {
            let faulty = self.plan.fault_every_us.is_some();
            if faulty && self.random.u16(0..2000) == 0 {
                return self.later(2 * self.plan.segment_s * SECOND, What::Lost, FETCHER);
            }
            let slow = faulty && self.random.u16(0..200) == 0;
            let time_us = if slow { self.random.i64(0..6_000_000) } else { self.random.i64(20_000..400_000) };
            self.later(time_us, What::Stored, FETCHER);
        } else if self.ends_at.is_some() {
            self.tell(Event::SourceEnded);
        } else {
            self.later(SECOND, What::Fetch, FETCHER);
        }
    }

    pub(super) fn store(&mut self) {
        let sequence = self.next_sequence;
        let listed_after = self.produced().saturating_sub(sequence + 1).cast_signed();
        let stored = StoredSegment {
            discontinuity: self.discontinuities.contains(&sequence),
            backlog_us: listed_after * self.plan.segment_s * SECOND,
            ..segment(sequence, self.plan.segment_s)
        };
        self.next_sequence += 1;
        self.tell(Event::SegmentStored(stored));
        if self.running {
            self.later(0, What::Fetch, FETCHER);
        }
    }

    pub(super) fn lose(&mut self, duration_us: i64) {
        let media_sequence = self.next_sequence;
        self.next_sequence += 1;
        self.tell(Event::SegmentLost { media_sequence, duration_us });
        if self.running
            && duration_us == 0
            && self.next_sequence >= self.produced().saturating_sub(self.plan.window)
        {
            self.later(0, What::Fetch, FETCHER);
        }
    }
}
