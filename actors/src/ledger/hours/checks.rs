//! What must hold at every moment, and at the end.

use std::collections::{BTreeMap, BTreeSet};

use crate::clock::UnixMicros;
use crate::ledger::{BatchRecord, Ledger};

/// A batch is this late at most where nothing excuses it, microseconds.
const PUNCTUAL_US: i64 = 0;

/// Batches that may wait on disk beside those that the delay holds: what came at once after an outage.
const MOST_OPEN: usize = 120;

/// Settled batches that may stay on disk: what playlists list, twice, and what the settings keep.
const MOST_ON_DISK: usize = 60;

/// What happened, and what is known to be right so far.
#[derive(Debug, Default)]
pub struct Checks {
    /// Batches aired by each output, in order.
    pub aired_by: [Vec<u64>; 2],
    /// Batches whose slot has been filled.
    pub filled: BTreeSet<u64>,
    pub fallbacks: u64,
    pub gaps: u64,
    pub crashes: u64,
    pub replaced: u64,
    pub jumps: u64,
    pub skipped: u64,
    /// Until when nothing need be punctual: the process or a child was away, or the source was.
    excused_until: UnixMicros,
    /// Where each batch ended on the timeline.
    ends: BTreeMap<u64, i64>,
}

impl Checks {
    /// Batches that went out.
    pub fn aired(&self) -> u64 {
        self.aired_by[1].len() as u64
    }

    /// Batches that are complete before this need not be in time.
    pub fn excuse_until(&mut self, at: UnixMicros) {
        self.excused_until = self.excused_until.max(at);
    }

    /// A batch is given to an output.
    pub fn published(&self, batch: &BatchRecord, now: UnixMicros) {
        let airs = batch.air_start().expect("a batch that is published has a clock");
        let late_us = now.micros_since(airs);
        let deadline = airs.plus_micros(-super::super::REMUX_MARGIN_US);
        let was_in_time = batch.collected_at < deadline && batch.demuxed_at < Some(deadline);
        let excused = batch.collected_at <= self.excused_until || now <= self.excused_until;
        assert!(
            late_us <= PUNCTUAL_US || !was_in_time || excused,
            "batch {} is ready {late_us} us after its air time: {batch:#?}",
            batch.number
        );
    }

    /// An output has aired a batch.
    pub fn airs(&mut self, output: usize, batch: u64) {
        let aired = &mut self.aired_by[output];
        assert!(
            aired.last().is_none_or(|last| *last < batch),
            "output {output}: {batch} after {:?}",
            aired.last()
        );
        assert!(self.filled.contains(&batch), "the slot of batch {batch} is empty");
        aired.push(batch);
    }

    /// The timeline goes on where it ended, but for what is counted as lost.
    pub fn demuxed(&mut self, batch: &BatchRecord) {
        let Some(media) = &batch.media else { return };
        if let Some(end) = self.ends.range(..batch.number).next_back().map(|(_, end)| *end) {
            let hole = media.start_90k - end;
            let lost = crate::messages::micros_to_ticks(batch.gap_us);
            assert!((hole - lost).abs() <= 1, "{hole} ticks before batch {}, {lost} lost", batch.number);
        }
        self.ends.insert(batch.number, media.end_90k);
    }

    /// What holds at every moment.
    pub fn always(&self, ledger: &Ledger, with_processor: usize) {
        let most = ledger.plan().max_concurrent_batches;
        assert!(with_processor <= most, "{with_processor} batches with a processor that takes {most}");
        let open = ledger.batches().values().filter(|batch| !batch.is_settled()).count();
        assert!(open <= MOST_OPEN, "{open} batches wait");
        let cleaned = ledger.batches().values().filter(|batch| batch.cleaned_at.is_some()).count();
        let on_disk = ledger.batches().len() - cleaned - open;
        assert!(on_disk <= MOST_ON_DISK, "{on_disk} batches stay on disk: {:?}", short(ledger));
    }

    /// All that was collected has aired once, or is counted as skipped; numbers have no holes.
    pub fn at_the_end(&self, ledger: &Ledger) {
        assert!(ledger.is_complete(), "batches are stuck: {:#?}", ledger.batches());
        let collected = ledger.header().open_batch;
        assert_eq!(self.aired_by[0], self.aired_by[1], "the outputs differ");
        assert_eq!(self.aired() + ledger.header().totals.skipped_batches, collected, "batches are missing");
        let mut next = None;
        for batch in ledger.batches().values().filter(|batch| batch.hls_segments > 0) {
            assert!(next.is_none_or(|next| next == batch.hls_sequence), "batch {}", batch.number);
            next = Some(batch.hls_sequence + u64::from(batch.hls_segments));
        }
    }
}

/// Number, state and media of each batch.
fn short(ledger: &Ledger) -> Vec<String> {
    let batches = ledger.batches().values();
    batches
        .map(|batch| {
            let media = batch.media.as_ref().map(|media| (media.start_90k / 90_000, media.end_90k / 90_000));
            format!("{} {} {} {media:?}", batch.number, batch.state_name(), batch.segments.len())
        })
        .collect()
}
