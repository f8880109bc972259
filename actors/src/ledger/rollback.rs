//! A ledger that has lost its newest part, as a database whose log is damaged does without a word.

use super::event::{Action, Note};
use super::{Header, Ledger};
use crate::files::NewestFiles;

/// Batches that a process that is killed may have begun to write before that was on disk itself: one that it had
/// closed, and the open one.
const UNFLUSHED_BATCHES: u64 = 2;

impl Ledger {
    /// Where the files of batches go on after the ledger's end, they have been on air since: their numbers, and what
    /// players have seen of sequence numbers, must not be used again. All batches that it knows are forgotten, for a
    /// playlist that lists them takes back what players have seen.
    pub(super) fn files_found(&mut self, newest: NewestFiles, actions: &mut Vec<Action>) {
        let from = self.header.open_batch;
        let is_new = self.batches.is_empty() && from == 0;
        let after = |number: u64| number.saturating_add(1);
        let newest_batch = match newest.batch {
            Some(batch) if !is_new && batch >= from.saturating_add(UNFLUSHED_BATCHES) => batch,
            _ => return,
        };
        let to = after(newest_batch);
        // Hardly a batch has more HLS segments than one a second, or than those that are known.
        let most = self.batches.values().map(|batch| u64::from(batch.hls_segments)).max().unwrap_or(0);
        let most = most.max(after(self.plan.buffer_us.unsigned_abs() / 1_000_000));
        let missing = to.saturating_sub(from);
        self.forgotten.extend(std::mem::take(&mut self.batches).into_keys());
        let before = self.header_mut();
        let header = Header {
            open_batch: to,
            open_discontinuity: true,
            next_segment_number: before.next_segment_number.max(newest.segment.map_or(0, after)),
            hls_sequence: before.hls_sequence.saturating_add(missing.saturating_mul(most)),
            hls_discontinuities: before.hls_discontinuities.saturating_add(missing),
            hls_target_s: before.hls_target_s,
            source_target_s: before.source_target_s,
            carry: before.carry.take(),
            totals: std::mem::take(&mut before.totals),
            ..Header::default()
        };
        *before = header;
        self.flush = true;
        actions.push(Action::Note(Note::RolledBack { from, to }));
    }
}
