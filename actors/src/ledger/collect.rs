//! Segments to batches.

use super::Ledger;
use super::event::{Action, Note};
use super::records::{BatchRecord, RenditionRecord};
use crate::clock::UnixMicros;
use crate::messages::StoredSegment;

/// Longest target duration that is taken at its word; real ones are 1 to 20 s.
const MAX_TARGET_S: u32 = 60;

impl Ledger {
    pub(super) fn target_duration_read(&mut self, seconds: u32) {
        // What a source claims beyond this would only keep its first batch from ever going on air, and its last
        // from ever leaving the disk. Segments that are longer all the same count by their own length.
        let seconds = seconds.min(MAX_TARGET_S);
        if self.header.source_target_s != seconds {
            let header = self.header_mut();
            header.source_target_s = seconds;
            header.hls_target_s = header.hls_target_s.max(seconds);
        }
    }

    pub(super) fn segment_stored(
        &mut self,
        segment: StoredSegment,
        now: UnixMicros,
        actions: &mut Vec<Action>,
    ) {
        // A fetcher that was replaced may store a segment once more; its file is the same.
        if segment.number < self.header.next_segment_number {
            return;
        }
        if segment.discontinuity && !self.header.open_segments.is_empty() {
            self.close_batch(now, actions);
        }
        let buffer_us = self.plan.buffer_us;
        let header = self.header_mut();
        header.next_media_sequence = Some(segment.media_sequence + 1);
        header.next_segment_number = segment.number + 1;
        header.totals.segments += 1;
        header.totals.segment_bytes += segment.bytes;
        header.open_discontinuity |= segment.discontinuity;
        header.open_segments.push(segment);
        if header.open_segments.iter().map(|s| s.duration_us).sum::<i64>() >= buffer_us {
            self.close_batch(now, actions);
        }
    }

    pub(super) fn segment_lost(&mut self, media_sequence: u64) {
        let header = self.header_mut();
        header.totals.lost_segments += 1;
        if header.next_media_sequence == Some(media_sequence) {
            header.next_media_sequence = Some(media_sequence + 1);
            header.next_segment_number += 1;
        }
    }

    pub(super) fn source_ended(&mut self, now: UnixMicros, actions: &mut Vec<Action>) {
        self.header_mut().source_ended = true;
        if !self.header.open_segments.is_empty() {
            self.close_batch(now, actions);
        }
    }

    fn close_batch(&mut self, now: UnixMicros, actions: &mut Vec<Action>) {
        let renditions: Vec<_> =
            self.plan.renditions.iter().map(|plan| RenditionRecord::new(plan.name.clone())).collect();
        let header = self.header_mut();
        let number = header.open_batch;
        header.open_batch += 1;
        let segments = std::mem::take(&mut header.open_segments);
        let discontinuity = std::mem::take(&mut header.open_discontinuity);
        actions.push(Action::Note(Note::BatchCollected { batch: number, segments: segments.len() }));
        self.batches.insert(
            number,
            BatchRecord {
                number,
                segments,
                discontinuity,
                collected_at: now,
                demuxed_at: None,
                demux_failures: 0,
                media: None,
                clock: None,
                hls_sequence: 0,
                hls_discontinuities: 0,
                hls_segments: 0,
                renditions,
                aired: std::collections::BTreeMap::new(),
                published_at: None,
                cleaned_at: None,
                skipped: None,
            },
        );
        self.dirty.insert(number);
    }
}
