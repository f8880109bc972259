//! What goes wrong, by chance.

use super::{LINK, WORLD, What, World};
use crate::ledger::Event;
use crate::ledger::tests::SECOND;

impl World {
    pub(super) fn plan_fault(&mut self) {
        if let Some(every_us) = self.plan.fault_every_us {
            let after_us = self.random.u64(0..2 * every_us).cast_signed();
            self.later(after_us, What::Fault, WORLD);
        }
    }

    pub(super) fn fault(&mut self) {
        let seconds = self.random.i64(1..90);
        match self.random.u8(0..6) {
            0 => self.away_until = self.now.plus_micros(seconds * SECOND),
            1 if self.link_up => {
                self.link_up = false;
                self.tell(Event::LinkChanged { rendition: 0, connected: false });
                // Answers that were on their way are lost.
                self.generations[LINK] += 1;
                self.later(seconds * SECOND, What::LinkIsUp, WORLD);
            }
            2 if self.paused_since.is_none() => {
                self.paused_since = Some(self.now);
                self.later(seconds * SECOND, What::EncoderIsBack, WORLD);
            }
            3 => _ = self.unreadable.insert(self.produced()),
            4 if self.running => self.crash(seconds * SECOND),
            _ => self.lose_child(),
        }
    }

    /// A child panics or hangs, and is replaced.
    fn lose_child(&mut self) {
        let child = self.random.usize(0..6);
        if self.gone.contains(&child) || !self.running {
            return;
        }
        self.checks.replaced += 1;
        self.checks.excuse_until(self.now.plus_micros(20 * SECOND));
        self.generations[child] += 1;
        self.gone.insert(child);
        let backoff_us = self.random.i64(400_000..5_000_000);
        self.later(backoff_us, What::Back, child);
    }
}
