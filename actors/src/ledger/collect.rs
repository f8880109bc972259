//! Segments to batches.

use super::event::{Action, Note};
use super::records::{BatchRecord, RenditionRecord};
use super::{Ledger, REMUX_MARGIN_US};
use crate::clock::UnixMicros;
use crate::messages::StoredSegment;

/// Longest target duration that is taken at its word; real ones are 1 to 20 s.
const MAX_TARGET_S: u32 = 60;

/// What a segment may take beyond its usual time before the source counts as stalled.
const STALL_SLACK_US: i64 = 1_000_000;

/// Within this, what was handed to the state is on disk without a flush as well (twice sled's interval, and more).
const UNFLUSHED_US: i64 = 2_000_000;

/// Longest gap that a source's dates are believed to tell: a day. Beyond, they were set anew.
const MAX_DATED_GAP_US: i64 = 86_400_000_000;

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
        if header.open_gap_us > 0
            && let (Some(end), Some(start)) = (header.last_segment_end, segment.program_date_time)
            && (1..=MAX_DATED_GAP_US).contains(&start.micros_since(end))
        {
            // The source's own dates tell better than durations, which never were listed for most of it.
            header.open_gap_us = start.micros_since(end);
        }
        header.last_stored_at = now;
        header.usual_segment_us = segment.duration_us;
        header.last_segment_end =
            segment.program_date_time.map(|start| start.plus_micros(segment.duration_us));
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

    /// A run of lost segments is one gap: the open batch ends before it, the next begins after it.
    pub(super) fn segment_lost(
        &mut self,
        media_sequence: u64,
        duration_us: i64,
        now: UnixMicros,
        actions: &mut Vec<Action>,
    ) {
        if !self.header.open_segments.is_empty() {
            self.close_batch(now, actions);
        }
        let header = self.header_mut();
        header.totals.lost_segments += 1;
        let lost_us = if duration_us > 0 { duration_us } else { header.usual_segment_us };
        self.widen_open_gap(lost_us, actions);
        let header = self.header_mut();
        if header.next_media_sequence == Some(media_sequence) {
            header.next_media_sequence = Some(media_sequence + 1);
            header.next_segment_number += 1;
        }
    }

    pub(super) fn source_ended(&mut self, now: UnixMicros, actions: &mut Vec<Action>) {
        let header = self.header_mut();
        header.source_ended = true;
        if let Some(last) = header.open_segments.last_mut() {
            // EXT-X-ENDLIST may come later than it, or what was listed after it may be lost.
            last.is_last = true;
            self.close_batch(now, actions);
        }
    }

    /// The timeline has a hole before the open batch, longer by this.
    pub(super) fn widen_open_gap(&mut self, by_us: i64, actions: &mut Vec<Action>) {
        if self.header.open_gap_us == 0 {
            self.gap_began(self.header.open_batch, actions);
        }
        let header = self.header_mut();
        // Never 0: a gap is there even where nothing tells how long it is.
        header.open_gap_us = header.open_gap_us.saturating_add(by_us.max(1));
    }

    /// A hole is counted here only.
    pub(super) fn gap_began(&mut self, batch: u64, actions: &mut Vec<Action>) {
        self.header_mut().totals.gaps += 1;
        actions.push(Action::Note(Note::GapBegan { batch }));
    }

    /// From when until when the open batch is to be closed as it is, because the source delivers nothing and its
    /// time to air comes near. Before, whatever the source delivers at its own pace has long been there; after, it
    /// is too late for the processor anyway.
    pub(super) fn open_batch_due(&self) -> Option<(UnixMicros, UnixMicros)> {
        // What the source has listed already is on its way.
        if self.header.open_segments.last()?.backlog_us > 0 {
            return None;
        }
        let (clock, last) = (self.header.clock?, self.batches.values().next_back()?);
        let start_90k = last.media.as_ref()?.end_90k;
        let needs_us = (self.plan.delay_us / 2).max(2 * REMUX_MARGIN_US);
        let airs = clock.air_time(start_90k).plus_micros(self.header.open_gap_us);
        // A source that merely runs late goes on in whole batches, and moves the clock.
        let target_us = i64::from(self.header.source_target_s.max(1)) * 1_000_000;
        let stalled = self.header.last_stored_at.plus_micros(target_us * 3 / 2 + STALL_SLACK_US);
        Some((airs.plus_micros(-needs_us).max(stalled), airs.plus_micros(-REMUX_MARGIN_US)))
    }

    /// Closes the open batch once its time has come.
    pub(super) fn close_overdue(&mut self, now: UnixMicros, actions: &mut Vec<Action>) {
        if self.open_batch_due().is_some_and(|(due, end)| due <= now && now < end) {
            self.close_batch(now, actions);
        }
    }

    pub(super) fn close_batch(&mut self, now: UnixMicros, actions: &mut Vec<Action>) {
        let renditions: Vec<_> =
            self.plan.renditions.iter().map(|plan| RenditionRecord::new(plan.name.clone())).collect();
        // One batch alone may be ahead of the disk, by which a state that lost its newest part is known.
        let before = self.batches.values().next_back();
        self.flush |= before.is_some_and(|before| now.micros_since(before.collected_at) < UNFLUSHED_US);
        let header = self.header_mut();
        let number = header.open_batch;
        header.open_batch += 1;
        let segments = std::mem::take(&mut header.open_segments);
        let discontinuity = std::mem::take(&mut header.open_discontinuity);
        let gap_us = std::mem::take(&mut header.open_gap_us);
        actions.push(Action::Note(Note::BatchCollected { batch: number, segments: segments.len() }));
        self.batches.insert(
            number,
            BatchRecord {
                number,
                segments,
                discontinuity,
                gap_us,
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
