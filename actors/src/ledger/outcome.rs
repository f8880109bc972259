//! What children made of their commands.

use std::sync::Arc;

use super::event::{Action, Note};
use super::records::{FallbackReason, OutputTotals, RenditionState, SkipReason};
use super::{KEPT_RECORDS, Ledger, MAX_TRIES};
use crate::clock::UnixMicros;
use crate::messages::{AudioFormat, BatchMedia, ChildId, Cut, FitReport, OutputFragment};

/// A source that is fetched too late for its clock for so many batches, without catching up, gets a later clock.
const LATE_IN_A_ROW: u32 = 3;
/// Target durations from the source's end that count as its live edge; a longer backlog that does not shrink is
/// skipped by the fetcher.
const LIVE_EDGE_TARGETS: i64 = 3;
/// Bytes of a reply's metadata that are kept with a batch.
const MAX_METADATA: usize = 4096;

impl Ledger {
    pub(super) fn batch_demuxed(
        &mut self,
        number: u64,
        media: BatchMedia,
        carry: String,
        now: UnixMicros,
        actions: &mut Vec<Action>,
    ) {
        if self.issued.demux == Some(number) {
            self.issued.demux = None;
        }
        let Some(batch) = self.batches.get(&number) else { return };
        if batch.media.is_some() || batch.skipped.is_some() {
            return;
        }
        let (completed, length_us) = (batch.collected_at, batch.listed_duration_us());
        let backlog_us = batch.segments.last().map_or(0, |segment| segment.backlog_us);
        let plan = self.delay_plan();
        let next_gap_us = match self.batches.get(&(number + 1)) {
            Some(next) => next.gap_us,
            None => self.header.open_gap_us,
        };
        // What was lost behind it, or lies in wait, shows that the source has gone on without us.
        let source_went_on = next_gap_us > 0;
        let header = self.header_mut();
        let clock = match header.clock {
            None => plan.first_clock(media.start_90k, length_us, completed),
            Some(clock) => {
                let step = header.pace.observe(media.end_90k, completed);
                let mut clock = clock;
                clock.anchor = clock.anchor.plus_micros(step);
                // Content that the source itself gave too late is the one case in which the output waits. Where
                // we were the late one, the source has more: the batch airs late, and what follows catches up.
                let deadline = clock.air_time(media.start_90k).plus_micros(-super::REMUX_MARGIN_US);
                let late_us = completed.micros_since(deadline);
                let is_late = late_us >= 0 && !source_went_on;
                // While the backlog shrinks we catch up; one beyond the live edge is the fetcher's to skip.
                let keeps_up = backlog_us < header.late_backlog_us;
                header.late_in_a_row = if is_late && !keeps_up { header.late_in_a_row + 1 } else { 0 };
                header.late_backlog_us = if is_late { backlog_us } else { 0 };
                let never =
                    header.late_in_a_row > LATE_IN_A_ROW && backlog_us <= LIVE_EDGE_TARGETS * plan.target_us;
                if is_late && (late_us >= backlog_us || never) {
                    header.late_in_a_row = 0;
                    header.late_backlog_us = 0;
                    let jumped = plan.first_clock(media.start_90k, length_us, now);
                    let by_us = jumped.anchor.micros_since(clock.anchor);
                    actions.push(Action::Note(Note::ClockJumped { batch: number, by_us }));
                    header.totals.clock_jumps += 1;
                    header.pace = Default::default();
                    clock = jumped;
                }
                clock
            }
        };
        header.clock = Some(clock);
        header.carry = Some(carry);
        if media.discontinuity {
            header.hls_discontinuities += 1;
        }
        let (hls_sequence, hls_discontinuities) = (header.hls_sequence, header.hls_discontinuities);
        let cuts = media.cut_count();
        header.hls_sequence += cuts as u64;
        header.hls_target_s = header.hls_target_s.max(longest_cut_s(&media));
        if let Some(batch) = self.batch_mut(number) {
            batch.media = Some(media);
            batch.clock = Some(clock);
            batch.demuxed_at = Some(now);
            batch.hls_sequence = hls_sequence;
            batch.hls_discontinuities = hls_discontinuities;
            batch.hls_segments = u32::try_from(cuts).unwrap_or(u32::MAX);
        }
    }

    pub(super) fn demux_failed(&mut self, number: u64, detail: String, actions: &mut Vec<Action>) {
        if self.issued.demux == Some(number) {
            self.issued.demux = None;
        }
        let Some(batch) = self.batch_mut(number) else { return };
        if batch.media.is_some() || batch.skipped.is_some() {
            return;
        }
        batch.demux_failures += 1;
        if batch.demux_failures >= MAX_TRIES {
            self.skip(number, SkipReason::Unreadable { detail }, actions);
        }
    }

    pub(super) fn skip(&mut self, number: u64, reason: SkipReason, actions: &mut Vec<Action>) {
        let Some(batch) = self.batch_mut(number) else { return };
        batch.skipped = Some(reason.clone());
        if batch.media.is_none() && reason != SkipReason::Stopped {
            // What comes next stands after a hole as long as this, and after whatever change of clock or codec was
            // in it.
            let lost_us = batch.gap_us.saturating_add(batch.listed_duration_us());
            match self.batches.range_mut(number + 1..).next() {
                Some((next, batch)) => {
                    batch.discontinuity = true;
                    let is_new = batch.gap_us == 0;
                    batch.gap_us = batch.gap_us.saturating_add(lost_us);
                    self.dirty.insert(*next);
                    if is_new {
                        let batch = *next;
                        self.gap_began(batch, actions);
                    }
                }
                None => {
                    self.header_mut().open_discontinuity = true;
                    self.widen_open_gap(lost_us, actions);
                }
            }
        }
        self.header_mut().totals.skipped_batches += 1;
        actions.push(Action::Note(Note::BatchSkipped { batch: number, reason }));
    }

    pub(super) fn fragment_processed(
        &mut self,
        number: u64,
        rendition: usize,
        format: AudioFormat,
        metadata: Option<String>,
        now: UnixMicros,
        actions: &mut Vec<Action>,
    ) {
        self.issued.sends.remove(&(number, rendition));
        let deadline = self.batches.get(&number).and_then(|batch| self.deadline(batch));
        let Some(record) = self.batch_mut(number).and_then(|batch| batch.renditions.get_mut(rendition))
        else {
            return;
        };
        let in_time = deadline.is_none_or(|deadline| now <= deadline);
        match record.state {
            RenditionState::Waiting | RenditionState::Sent if in_time => {
                record.state = RenditionState::Processed;
                record.processed_at = Some(now);
                record.format = Some(format);
                record.metadata = metadata.map(|text| shortened(text, MAX_METADATA));
            }
            RenditionState::Processed => {}
            _ if record.late_at.is_some() || record.processed_at.is_some() => {}
            _ => {
                record.late_at = Some(now);
                let name = record.name.clone();
                let late_us = deadline.map_or(0, |deadline| now.micros_since(deadline));
                if let Some(totals) = self.rendition_totals(rendition) {
                    totals.late += 1;
                }
                actions.push(Action::Note(Note::LateReply { batch: number, rendition: name, late_us }));
            }
        }
    }

    pub(super) fn fall_back(
        &mut self,
        number: u64,
        rendition: usize,
        reason: FallbackReason,
        now: UnixMicros,
        actions: &mut Vec<Action>,
    ) {
        let fit_failed = matches!(reason, FallbackReason::FitFailed { .. });
        let was_sent = self.issued.sends.remove(&(number, rendition));
        let Some(record) = self.batch_mut(number).and_then(|batch| batch.renditions.get_mut(rendition))
        else {
            return;
        };
        let open = match record.state {
            RenditionState::Waiting | RenditionState::Sent => true,
            RenditionState::Processed => fit_failed,
            RenditionState::Fallback | RenditionState::Remuxed => false,
        };
        if !open {
            return;
        }
        record.state = RenditionState::Fallback;
        record.fallback_at = Some(now);
        record.fallback = Some(reason.clone());
        let name = record.name.clone();
        if let Some(totals) = self.rendition_totals(rendition) {
            totals.fallbacks += 1;
        }
        if was_sent {
            actions.push(Action::CancelSend { batch: number, rendition });
        }
        actions.push(Action::Note(Note::FellBack { batch: number, rendition: name, reason }));
    }

    pub(super) fn batch_remuxed(
        &mut self,
        number: u64,
        rendition: usize,
        (audio_cuts, output, fit): (Vec<Cut>, Vec<OutputFragment>, FitReport),
        now: UnixMicros,
        actions: &mut Vec<Action>,
    ) {
        self.issued.remuxes.remove(&(number, rendition));
        let Some(record) = self.batch_mut(number).and_then(|batch| batch.renditions.get_mut(rendition))
        else {
            return;
        };
        if record.state == RenditionState::Remuxed {
            return;
        }
        let processed = record.state == RenditionState::Processed;
        record.state = RenditionState::Remuxed;
        record.remuxed_at = Some(now);
        record.audio_cuts = audio_cuts;
        record.output = output;
        record.fit = Some(fit);
        let name = record.name.clone();
        if let Some(totals) = self.rendition_totals(rendition) {
            totals.remuxed += 1;
            totals.processed += u64::from(processed);
        }
        if processed {
            actions.push(Action::Note(Note::Processed { batch: number, rendition: name }));
        }
    }

    pub(super) fn remux_failed(
        &mut self,
        number: u64,
        rendition: usize,
        detail: String,
        now: UnixMicros,
        actions: &mut Vec<Action>,
    ) {
        self.issued.remuxes.remove(&(number, rendition));
        let Some(batch) = self.batch_mut(number) else { return };
        let Some(record) = batch.renditions.get_mut(rendition) else { return };
        record.remux_failures += 1;
        match record.state {
            RenditionState::Processed => {
                self.fall_back(number, rendition, FallbackReason::FitFailed { detail }, now, actions);
            }
            // The slot was to be left empty in the end, and could not even be that.
            RenditionState::Fallback | RenditionState::Waiting if record.remux_failures > 2 * MAX_TRIES => {
                self.skip(number, SkipReason::Unreadable { detail }, actions);
            }
            _ => {}
        }
    }

    pub(super) fn batch_aired(
        &mut self,
        number: u64,
        output: &Arc<str>,
        aired: &OutputTotals,
        now: UnixMicros,
        actions: &mut Vec<Action>,
    ) {
        let wanted = self.plan.outputs.len();
        let Some(batch) = self.batch_mut(number) else { return };
        if batch.aired.contains_key(output) {
            return;
        }
        batch.aired.insert(output.clone(), now);
        if batch.aired.len() >= wanted && !batch.is_settled() {
            batch.published_at = Some(now);
            actions.push(Action::Note(Note::BatchPublished { batch: number }));
        }
        self.flush = true;
        let totals = self.header_mut().totals.outputs.entry(output.clone()).or_default();
        totals.published += aired.published;
        totals.sent_samples += aired.sent_samples;
        totals.missed_samples += aired.missed_samples;
        totals.bytes += aired.bytes;
        totals.last_lateness_us = aired.last_lateness_us;
    }

    pub(super) fn child_replaced(&mut self, child: &ChildId, now: UnixMicros, actions: &mut Vec<Action>) {
        let rendition_index =
            |name: &Arc<str>, plan: &super::LedgerPlan| plan.renditions.iter().position(|r| r.name == *name);
        match child {
            ChildId::Fetcher => {}
            ChildId::Demuxer => {
                self.issued.ahead = (0, 0);
                // What a demuxer hangs on, or dies of, is likely to do the same to the next one.
                if let Some(batch) = self.issued.demux {
                    self.demux_failed(batch, "the demuxer had to be replaced".to_owned(), actions);
                }
            }
            ChildId::ProcessorLink(name) => {
                if let Some(index) = rendition_index(name, &self.plan) {
                    self.issued.sends.retain(|(_, rendition)| *rendition != index);
                    self.connected[index] = false;
                }
            }
            ChildId::Remuxer(name) => {
                if let Some(index) = rendition_index(name, &self.plan) {
                    let owed: Vec<u64> = self
                        .issued
                        .remuxes
                        .iter()
                        .filter(|(_, r)| *r == index)
                        .map(|(batch, _)| *batch)
                        .collect();
                    for batch in owed {
                        self.remuxer_died(batch, index, now, actions);
                    }
                }
            }
            ChildId::Publisher(name) => {
                if let Some(index) = self.plan.outputs.iter().position(|output| output.name == *name) {
                    self.issued.publishes.retain(|(_, output)| *output != index);
                }
                // The one that replaces it has to be told to end as well.
                self.issued.end = false;
            }
        }
    }

    /// A remuxer was replaced while it had the batch: its successor gets it again, but not for ever.
    fn remuxer_died(&mut self, number: u64, rendition: usize, now: UnixMicros, actions: &mut Vec<Action>) {
        self.issued.remuxes.remove(&(number, rendition));
        let record = self.batch_mut(number).and_then(|batch| batch.renditions.get_mut(rendition));
        let Some(record) = record else { return };
        if record.remux_failures + 1 >= MAX_TRIES {
            let detail = "the remuxer had to be replaced".to_owned();
            self.remux_failed(number, rendition, detail, now, actions);
        } else {
            record.remux_failures += 1;
        }
    }

    pub(super) fn batch_cleaned(&mut self, number: u64, now: UnixMicros) {
        self.issued.cleans.remove(&number);
        if let Some(batch) = self.batch_mut(number) {
            batch.cleaned_at = Some(now);
            // When it aired is still to be seen.
            if let Some(media) = &mut batch.media {
                media.forget_files();
            }
            for rendition in &mut batch.renditions {
                rendition.audio_cuts.clear();
                rendition.output.clear();
            }
        }
        let excess =
            self.batches.values().filter(|b| b.cleaned_at.is_some()).count().saturating_sub(KEPT_RECORDS);
        let old: Vec<u64> =
            self.batches.values().filter(|b| b.cleaned_at.is_some()).map(|b| b.number).take(excess).collect();
        for number in old {
            self.batches.remove(&number);
            self.dirty.remove(&number);
            self.forgotten.push(number);
        }
        // Commands about batches that are forgotten are, too.
        if let Some(oldest) = self.batches.keys().next() {
            self.issued.publishes = self.issued.publishes.split_off(&(*oldest, 0));
        }
    }

    /// The user's stop: what has not aired by `now` never will. The next run gets a clock of its own.
    pub(super) fn run_ended(&mut self, now: UnixMicros, actions: &mut Vec<Action>) {
        // Segments that are no batch's would stay on the disk for ever.
        if !self.header.open_segments.is_empty() {
            self.close_batch(now, actions);
        }
        let open: Vec<u64> = self.batches.values().filter(|b| !b.is_settled()).map(|b| b.number).collect();
        // Media sequence and discontinuity sequence number that follow what was listed; once a batch was not
        // listed to its end, nothing after it was.
        let mut next = None;
        for number in open {
            let Some(batch) = self.batch_mut(number) else { continue };
            let listed = match next {
                None if batch.state_name() == "publishing" => super::advance::cuts_on_air(batch, now),
                _ => 0,
            };
            let own = u64::from(batch.media.as_ref().is_some_and(|media| media.discontinuity));
            let unlisted = batch.media.is_some() && listed < batch.hls_segments as usize;
            if listed > 0 {
                if unlisted {
                    next.get_or_insert((batch.hls_sequence + listed as u64, batch.hls_discontinuities));
                }
                batch.hls_segments = u32::try_from(listed).unwrap_or(u32::MAX);
                batch.published_at = Some(now);
            } else {
                if unlisted {
                    next.get_or_insert((batch.hls_sequence, batch.hls_discontinuities.saturating_sub(own)));
                }
                batch.hls_segments = 0;
                self.skip(number, SkipReason::Stopped, actions);
            }
        }
        self.issued = super::Issued::default();
        let header = self.header_mut();
        if let Some((sequence, discontinuities)) = next {
            header.hls_sequence = sequence;
            header.hls_discontinuities = discontinuities;
        }
        header.open_discontinuity = true;
        header.open_gap_us = 0;
        header.last_segment_end = None;
        header.clock = None;
        header.pace = Default::default();
        header.source_ended = false;
        header.next_media_sequence = None;
        self.flush = true;
    }
}

fn longest_cut_s(media: &BatchMedia) -> u32 {
    // RFC 8216bis 4.4.3.1: EXTINF rounded to the nearest integer is at most the target duration.
    let longest = |cuts: &[Cut], timescale: u32| {
        cuts.iter().map(|cut| (cut.duration as f64 / f64::from(timescale)).round() as u32).max().unwrap_or(0)
    };
    let video = media.video.as_ref().map_or(0, |video| longest(&video.cuts, 90_000));
    let audio = media.audio.as_ref().map_or(0, |audio| longest(&audio.cuts, audio.config.sample_rate.max(1)));
    video.max(audio)
}

fn shortened(mut text: String, most: usize) -> String {
    if text.len() > most {
        let mut end = most;
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
    }
    text
}
