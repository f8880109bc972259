//! What is counted when children report: the figures that take a look at the batch's record.

use std::sync::Arc;

use super::children::{StageFault, wanted};
use super::{HLS_OUTPUT, StreamSupervisor};
use crate::clock;
use crate::ledger::{BatchRecord, RenditionRecord};

impl StreamSupervisor {
    /// Makes the series of a run, so that its first event is seen as one.
    pub(super) fn begin_to_count(&mut self) {
        let actors: Vec<(String, &[&str])> =
            wanted(self).iter().map(|child| (child.name(), StageFault::CAUSES.as_slice())).collect();
        self.metrics.begin(&self.stream.settings, self.condition.outputs.keys(), &actors);
    }

    fn slot(&self, batch: u64, rendition: usize) -> Option<(&BatchRecord, &RenditionRecord)> {
        let record = self.ledger.batches().get(&batch)?;
        Some((record, record.renditions.get(rendition)?))
    }

    pub(super) fn count_demuxed(&mut self, batch: u64) {
        let Some(record) = self.ledger.batches().get(&batch) else { return };
        let (Some(media), Some(demuxed_at)) = (&record.media, record.demuxed_at) else { return };
        let took_us = demuxed_at.micros_since(record.collected_at);
        self.metrics.demuxed(took_us, media.discontinuity, record.gap_us);
        if let (Some(airs), Some(ends)) = (record.air_start(), record.air_end()) {
            self.metrics.scheduled(airs.micros_since(record.collected_at), ends.micros_since(airs));
        }
    }

    pub(super) fn count_sent(&mut self, batch: u64, rendition: &Arc<str>) {
        let media = self.ledger.batches().get(&batch).and_then(|record| record.media.as_ref());
        let Some(audio) = media.and_then(|media| media.audio.as_ref()) else { return };
        let bytes = audio.init_len + audio.cuts.iter().map(|cut| cut.len).sum::<u64>();
        self.metrics.fragment_sent(rendition, bytes);
    }

    pub(super) fn count_reply(&mut self, batch: u64, rendition: usize, bytes: u64) {
        let Some((_, slot)) = self.slot(batch, rendition) else { return };
        let round_trip_us = slot.sent_at.map(|sent_at| clock::now().micros_since(sent_at));
        let name = slot.name.clone();
        self.metrics.replied(&name, bytes, round_trip_us);
    }

    /// A remuxer has filled a slot.
    pub(super) fn count_filled(&mut self, batch: u64, rendition: usize) {
        let now = clock::now();
        let Some((record, slot)) = self.slot(batch, rendition) else { return };
        if slot.remuxed_at.is_some() {
            return;
        }
        let begun = slot.fallback_at.or(slot.processed_at);
        let took_us = begun.map(|begun| now.micros_since(begun));
        let left_us = record.air_start().map(|airs| airs.micros_since(now));
        // The time with the processor is its own.
        let away_us = slot.sent_at.zip(slot.processed_at).map(|(sent, back)| back.micros_since(sent));
        let turnaround_us = away_us.map(|away_us| now.micros_since(record.collected_at) - away_us);
        let name = slot.name.clone();
        self.metrics.filled(&name, took_us, left_us, turnaround_us);
    }

    /// A processor delivered in time, and its audio fits.
    pub(super) fn count_processed(&mut self, batch: u64, rendition: &Arc<str>) {
        self.metrics.processed(rendition);
        let Some(record) = self.ledger.batches().get(&batch) else { return };
        let fit = record.renditions.iter().find(|slot| slot.name == *rendition);
        let rate = record.media.as_ref().and_then(|media| Some(media.audio.as_ref()?.config.sample_rate));
        if let (Some(fit), Some(rate)) = (fit.and_then(|slot| slot.fit.as_ref()), rate) {
            self.metrics.fitted(rendition, fit, rate);
        }
    }

    /// An output has aired a batch: samples that it sent and missed, bytes; how late a sample left at most.
    pub(super) fn count_aired(
        &mut self,
        output: &Arc<str>,
        batch: u64,
        (sent, missed, bytes): (u64, u64, u64),
        max_lateness_us: i64,
    ) {
        let record = self.ledger.batches().get(&batch);
        // A publisher that was replaced lists once more what its playlist needs.
        if record.is_some_and(|record| record.aired.contains_key(output)) {
            return;
        }
        let listed_late_us = record
            .filter(|_| **output == *HLS_OUTPUT)
            .and_then(BatchRecord::air_end)
            .map(|end| clock::now().micros_since(end));
        self.metrics.aired(output, sent, missed, bytes);
        if let Some(lateness_us) = listed_late_us.or((sent > 0).then_some(max_lateness_us)) {
            self.metrics.left_late_by(output, lateness_us);
        }
    }
}
