//! From records to the next actions: everything that may be done and has not been commanded yet.

use std::collections::BTreeMap;

use super::event::{Action, Fill, Note};
use super::records::{BatchRecord, FallbackReason, RenditionState};
use super::{Ledger, MAX_TRIES, Postponed};
use crate::clock::UnixMicros;
use crate::demuxer::DemuxBatch;
use crate::messages::StoredSegment;
use crate::settings::Fallback;

/// Demuxing ahead begins when no more than this part of the buffer, or a segment, is to come.
const AHEAD_PART: i64 = 5;

/// Media that HLS playlists list, beside the six target durations that clients want at least.
const PLAYLIST_US: i64 = 30_000_000;

/// Length of the HLS playlists in 90 kHz ticks.
pub(crate) fn playlist_window_90k(target_s: u32) -> i64 {
    (i64::from(target_s) * 6_000_000).max(PLAYLIST_US) / 100 * 9
}

/// How many of a batch's HLS segments have been on air, to their last frame, by `now`.
pub(crate) fn cuts_on_air(batch: &BatchRecord, now: UnixMicros) -> usize {
    (0..batch.hls_segments as usize)
        .take_while(|index| batch.segment_airs_at(*index).is_some_and(|at| at <= now))
        .count()
}

impl Ledger {
    pub(super) fn advance(&mut self, now: UnixMicros, actions: &mut Vec<Action>) {
        self.resume_postponed(now);
        self.close_overdue(now, actions);
        self.demux_next(actions);
        let open: Vec<u64> = self
            .batches
            .values()
            .filter(|batch| batch.media.is_some() && !batch.is_settled())
            .map(|batch| batch.number)
            .collect();
        for number in open {
            for rendition in 0..self.plan.renditions.len() {
                self.advance_rendition(number, rendition, now, actions);
            }
        }
        self.publish_ready(now, actions);
        self.clean_old(actions);
        if self.is_complete() && !self.issued.end {
            self.issued.end = true;
            actions.push(Action::EndOutputs);
        }
    }

    fn resume_postponed(&mut self, now: UnixMicros) {
        let issued = &mut self.issued;
        self.postponed.retain(|(at, command)| {
            if *at > now {
                return true;
            }
            match command {
                Postponed::Demux => issued.demux = None,
                Postponed::Remux(batch, rendition) => _ = issued.remuxes.remove(&(*batch, *rendition)),
            }
            false
        });
    }

    /// Demuxing goes batch by batch: each needs what the one before left.
    fn demux_next(&mut self, actions: &mut Vec<Action>) {
        if self.issued.demux.is_some() {
            return;
        }
        let next = self.batches.values().find(|batch| batch.media.is_none() && !batch.is_settled());
        let header = &self.header;
        let command = match next {
            Some(batch) => {
                self.issued.demux = Some(batch.number);
                DemuxBatch {
                    batch: batch.number,
                    complete: true,
                    segments: batch.segments.clone(),
                    discontinuity: batch.discontinuity,
                    gap_us: batch.gap_us,
                    carry: header.carry.clone(),
                }
            }
            None => {
                // What there is towards a batch's end, so that little is left to do when it is complete. Sooner it
                // would be work as well, and memory and files held open for longer.
                let ahead = (header.open_batch, header.open_segments.len());
                let collected_us: i64 = header.open_segments.iter().map(|segment| segment.duration_us).sum();
                let most_us = (self.plan.buffer_us / AHEAD_PART).max(header.usual_segment_us);
                if ahead.1 == 0 || ahead == self.issued.ahead || self.plan.buffer_us - collected_us > most_us
                {
                    return;
                }
                self.issued.ahead = ahead;
                DemuxBatch {
                    batch: header.open_batch,
                    complete: false,
                    segments: header.open_segments.clone(),
                    discontinuity: header.open_discontinuity,
                    gap_us: header.open_gap_us,
                    carry: header.carry.clone(),
                }
            }
        };
        actions.push(Action::Demux(command));
    }

    fn advance_rendition(
        &mut self,
        number: u64,
        rendition: usize,
        now: UnixMicros,
        actions: &mut Vec<Action>,
    ) {
        let Some(batch) = self.batches.get(&number) else { return };
        let Some(record) = batch.renditions.get(rendition) else { return };
        let has_audio = batch.media.as_ref().is_some_and(|media| media.audio.is_some());
        let late = self.deadline(batch).is_some_and(|deadline| deadline <= now);
        let undecided = matches!(record.state, RenditionState::Waiting | RenditionState::Sent);
        if undecided && !has_audio {
            // Nothing to process: the picture goes on alone.
            self.remux(number, rendition, Fill::Nothing, actions);
            return;
        }
        if undecided && late {
            let demuxed_late = batch.demuxed_at >= self.deadline(batch);
            let reason = if demuxed_late {
                FallbackReason::TooLate
            } else if !self.connected.get(rendition).copied().unwrap_or(false) {
                FallbackReason::NotConnected
            } else if record.state == RenditionState::Sent {
                FallbackReason::NoReply
            } else {
                FallbackReason::Busy
            };
            self.fall_back(number, rendition, reason, now, actions);
        } else if undecided {
            self.send(number, rendition, now, actions);
        }
        let state =
            self.batches.get(&number).and_then(|batch| batch.renditions.get(rendition)).map(|r| r.state);
        match state {
            Some(RenditionState::Processed) => self.remux(number, rendition, Fill::Processed, actions),
            Some(RenditionState::Fallback) => {
                let fallback = self.plan.renditions.get(rendition).map(|plan| plan.fallback);
                let fill = match fallback {
                    // The picture goes on alone where its own sound, or silence, cannot be written.
                    _ if self.cannot_fill(number, rendition) => Fill::Nothing,
                    Some(Fallback::Silence) => Fill::Silence,
                    Some(Fallback::Drop) => Fill::Nothing,
                    Some(Fallback::Original) | None => Fill::Original,
                };
                self.remux(number, rendition, fill, actions);
            }
            _ => {}
        }
    }

    fn cannot_fill(&self, number: u64, rendition: usize) -> bool {
        let record = self.batches.get(&number).and_then(|batch| batch.renditions.get(rendition));
        record.is_some_and(|record| record.remux_failures > MAX_TRIES)
    }

    fn send(&mut self, number: u64, rendition: usize, now: UnixMicros, actions: &mut Vec<Action>) {
        if self.issued.sends.contains(&(number, rendition)) {
            return;
        }
        let in_flight = self.issued.sends.iter().filter(|(_, sent)| *sent == rendition).count();
        if in_flight >= self.plan.max_concurrent_batches {
            return;
        }
        self.issued.sends.insert((number, rendition));
        if let Some(record) = self.batch_mut(number).and_then(|batch| batch.renditions.get_mut(rendition)) {
            record.state = RenditionState::Sent;
            record.sent_at.get_or_insert(now);
        }
        self.flush = true;
        actions.push(Action::Send { batch: number, rendition });
    }

    fn remux(&mut self, number: u64, rendition: usize, fill: Fill, actions: &mut Vec<Action>) {
        if self.issued.remuxes.insert((number, rendition)) {
            actions.push(Action::Remux { batch: number, rendition, fill });
        }
    }

    /// Each output gets batches strictly by number. HLS gets those already aired as well after a restart:
    /// its playlist still lists them.
    fn publish_ready(&mut self, now: UnixMicros, actions: &mut Vec<Action>) {
        for (index, output) in self.plan.outputs.iter().enumerate() {
            for batch in self.batches.values() {
                if batch.cleaned_at.is_some() {
                    continue;
                }
                // What was skipped when its HLS segments had been counted is listed all the same, as gaps where
                // a rendition has nothing: media sequence numbers leave no holes.
                let lists_gaps =
                    output.rendition.is_none() && batch.media.is_some() && batch.hls_segments > 0;
                if batch.skipped.is_some() && !lists_gaps {
                    continue;
                }
                let remuxed = |rendition: usize| {
                    batch.renditions.get(rendition).is_some_and(|r| r.state == RenditionState::Remuxed)
                };
                let ready = batch.media.is_some()
                    && match output.rendition {
                        Some(rendition) => remuxed(rendition),
                        None => batch.skipped.is_some() || (0..batch.renditions.len()).all(remuxed),
                    };
                if !ready {
                    break;
                }
                if output.rendition.is_some()
                    && (batch.aired.contains_key(&output.name) || batch.is_settled())
                {
                    continue;
                }
                let Some(clock) = batch.clock else { break };
                if self.issued.publishes.insert((batch.number, index)) {
                    self.flush = true;
                    actions.push(Action::Publish { batch: batch.number, output: index, clock });
                }
            }
        }
        if self.plan.outputs.is_empty() {
            let aired: Vec<u64> = self
                .batches
                .values()
                .filter(|batch| !batch.is_settled() && batch.state_name() == "publishing")
                .filter(|batch| batch.air_end().is_some_and(|end| end <= now))
                .map(|batch| batch.number)
                .collect();
            for number in aired {
                if let Some(batch) = self.batch_mut(number) {
                    batch.published_at = Some(now);
                }
                actions.push(Action::Note(Note::BatchPublished { batch: number }));
            }
        }
    }

    /// Batches leave the disk when newer ones have been published and no playlist lists them, nor did within
    /// its own length.
    fn clean_old(&mut self, actions: &mut Vec<Action>) {
        let Some(keep) = self.plan.keep_batches else { return };
        for number in self.cleanable(keep) {
            if let Some(batch) = self.batches.get(&number)
                && self.issued.cleans.insert(number)
            {
                let segments = batch.segments.iter().flat_map(StoredSegment::paths).cloned().collect();
                actions.push(Action::Clean { batch: number, segments });
            }
        }
    }

    /// Settled batches whose files may go while the newest `keep` published ones stay. Of batches that were
    /// skipped unlisted the newest `keep` stay as well; without a limit of their own a source that can never be
    /// read would fill the disk.
    #[must_use]
    pub fn cleanable(&self, keep: u64) -> Vec<u64> {
        let keep = usize::try_from(keep).unwrap_or(usize::MAX);
        // What was skipped after it had been numbered is listed as well.
        let has_aired = |batch: &BatchRecord| {
            batch.published_at.is_some()
                || batch.skipped.is_some()
                    && batch.hls_segments > 0
                    && batch.air_end().is_some_and(|end| end <= self.now)
        };
        let published: Vec<&BatchRecord> = self.batches.values().filter(|batch| has_aired(batch)).collect();
        // What was published after a batch, by its own length: the timeline between them may have holes.
        let (mut total_90k, mut published_after_90k) = (0_i64, BTreeMap::new());
        for batch in self.batches.values().rev() {
            published_after_90k.insert(batch.number, total_90k);
            if let Some(media) = batch.media.as_ref().filter(|_| has_aired(batch)) {
                total_90k = total_90k.saturating_add(media.end_90k - media.start_90k);
            }
        }
        let window = playlist_window_90k(self.header.hls_target_s);
        // At least the newest stays, since the playlist lists it.
        let published_before = nth_newest(&published, keep.max(1));
        let is_unlisted = |batch: &BatchRecord| batch.skipped.is_some() && batch.hls_segments == 0;
        let unlisted: Vec<&BatchRecord> =
            self.batches.values().filter(|batch| is_unlisted(batch) && batch.cleaned_at.is_none()).collect();
        let unlisted_before = nth_newest(&unlisted, keep);
        let may_go = |batch: &&BatchRecord| {
            if is_unlisted(batch) {
                return batch.number < unlisted_before;
            }
            batch.number < published_before && published_after_90k[&batch.number] > 2 * window
        };
        let settled = self.batches.values().filter(|batch| batch.is_settled() && batch.cleaned_at.is_none());
        settled.filter(may_go).map(|batch| batch.number).collect()
    }
}

/// Number of the `n`th newest of the batches; 0 when there are fewer, since then none is older.
fn nth_newest(batches: &[&BatchRecord], n: usize) -> u64 {
    match n {
        0 => u64::MAX,
        n => batches.len().checked_sub(n).and_then(|at| batches.get(at)).map_or(0, |batch| batch.number),
    }
}
