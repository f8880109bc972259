//! What is measured for those who look at the stream, from the ledger's records where they suffice.

use std::array;
use std::collections::BTreeMap;
use std::sync::Arc;

use crate::clock::{UnixMicros, rfc3339};
use crate::ledger::{BatchRecord, FallbackReason, Ledger, Note};
use crate::requests::{FallbackView, HistoryView};

/// Length of a history's bucket, and how many there are: an hour.
const BUCKET_S: u32 = 120;
const BUCKETS: usize = 30;
/// Segments that the bitrate is measured over.
const BITRATE_SEGMENTS: usize = 5;

/// What the ledger forgets with its batches: how slots were filled in the last hour.
#[derive(Debug, Default)]
pub(super) struct Shown {
    renditions: BTreeMap<Arc<str>, RenditionShown>,
}

#[derive(Debug, Default)]
struct RenditionShown {
    history: History,
    last_fallback: Option<FallbackView>,
}

/// Counts of batches and of fallbacks among them, by bucket of time.
#[derive(Debug)]
struct History {
    /// Number of the newest bucket since 1970.
    newest: i64,
    /// Bucket `n` lies at `n` modulo their number.
    counts: [(u32, u32); BUCKETS],
}

impl Default for History {
    fn default() -> Self {
        Self { newest: 0, counts: [(0, 0); BUCKETS] }
    }
}

impl History {
    fn bucket(at: UnixMicros) -> i64 {
        at.0.div_euclid(i64::from(BUCKET_S) * 1_000_000)
    }

    fn slot(bucket: i64) -> usize {
        // Never negative, and below 30.
        bucket.rem_euclid(BUCKETS as i64) as usize
    }

    fn count(&mut self, at: UnixMicros, fell_back: bool) {
        let bucket = Self::bucket(at);
        if bucket > self.newest {
            let passed = (bucket - self.newest).min(BUCKETS as i64);
            for emptied in 0..passed {
                self.counts[Self::slot(bucket - emptied)] = (0, 0);
            }
            self.newest = bucket;
        } else if self.newest - bucket >= BUCKETS as i64 {
            return;
        }
        let (batches, fallbacks) = &mut self.counts[Self::slot(bucket)];
        *batches = batches.saturating_add(1);
        *fallbacks = fallbacks.saturating_add(u32::from(fell_back));
    }

    fn view(&self, now: UnixMicros) -> HistoryView {
        let oldest = Self::bucket(now) - BUCKETS as i64 + 1;
        let counts: [(u32, u32); BUCKETS] = array::from_fn(|index| {
            let bucket = oldest + index as i64;
            let held = bucket <= self.newest && self.newest - bucket < BUCKETS as i64;
            if held { self.counts[Self::slot(bucket)] } else { (0, 0) }
        });
        HistoryView {
            bucket_seconds: BUCKET_S,
            batches: counts.iter().map(|(batches, _)| *batches).collect(),
            fallbacks: counts.iter().map(|(_, fallbacks)| *fallbacks).collect(),
        }
    }
}

impl Shown {
    /// What the records that are still there say of the time before.
    pub(super) fn of<'a>(batches: impl Iterator<Item = &'a BatchRecord>) -> Self {
        let mut shown = Self::default();
        for record in batches.flat_map(|batch| &batch.renditions) {
            match (&record.fallback, record.fallback_at, record.remuxed_at) {
                (Some(reason), Some(at), _) => shown.fell_back(&record.name, reason, at),
                (None, _, Some(at)) => shown.of_rendition(&record.name).history.count(at, false),
                _ => {}
            }
        }
        shown
    }

    pub(super) fn noted(&mut self, note: &Note, now: UnixMicros) {
        match note {
            Note::FellBack { rendition, reason, .. } => self.fell_back(rendition, reason, now),
            Note::Processed { rendition, .. } => self.of_rendition(rendition).history.count(now, false),
            _ => {}
        }
    }

    /// Forgets the renditions whose names are not to be kept.
    pub(super) fn keep(&mut self, is_kept: impl Fn(&str) -> bool) {
        self.renditions.retain(|name, _| is_kept(name));
    }

    fn fell_back(&mut self, rendition: &Arc<str>, reason: &FallbackReason, at: UnixMicros) {
        let own = self.of_rendition(rendition);
        own.history.count(at, true);
        own.last_fallback =
            Some(FallbackView { reason: reason.label(), message: reason.to_string(), at: rfc3339(at) });
    }

    fn of_rendition(&mut self, name: &Arc<str>) -> &mut RenditionShown {
        self.renditions.entry(name.clone()).or_default()
    }

    pub(super) fn history(&self, rendition: &str, now: UnixMicros) -> HistoryView {
        self.renditions.get(rendition).map_or_else(|| History::default().view(now), |r| r.history.view(now))
    }

    pub(super) fn last_fallback(&self, rendition: &str) -> Option<FallbackView> {
        self.renditions.get(rendition)?.last_fallback.clone()
    }
}

/// Bits a second over the last segments.
pub(super) fn source_bitrate(ledger: &Ledger) -> Option<f64> {
    let open = ledger.header().open_segments.iter().rev();
    let batches = ledger.batches().values().rev().flat_map(|batch| batch.segments.iter().rev());
    let (mut bytes, mut duration_us) = (0, 0);
    for segment in open.chain(batches).take(BITRATE_SEGMENTS) {
        bytes += segment.bytes;
        duration_us += segment.duration_us;
    }
    (duration_us > 0).then(|| (bytes as f64 * 8e6 / duration_us as f64).round())
}

/// From the arrival of the newest demuxed batch's last segment, which completed it, to that segment's air time.
pub(super) fn end_to_end_s(ledger: &Ledger) -> Option<f64> {
    ledger.batches().values().rev().find_map(|batch| {
        let last_us = batch.segments.last()?.duration_us;
        Some(batch.air_end()?.plus_micros(-last_us).micros_since(batch.collected_at) as f64 / 1e6)
    })
}

/// From the completion of the newest processed batch to its slot being filled, its processor's time excluded.
pub(super) fn last_turnaround_s(ledger: &Ledger) -> Option<f64> {
    ledger.batches().values().rev().find_map(|batch| {
        batch.renditions.iter().find_map(|record| {
            let (sent, answered, filled) = (record.sent_at?, record.processed_at?, record.remuxed_at?);
            let own_us = filled.micros_since(batch.collected_at) - answered.micros_since(sent);
            Some(own_us.max(0) as f64 / 1e6)
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUCKET_US: i64 = BUCKET_S as i64 * 1_000_000;

    fn at(bucket: i64) -> UnixMicros {
        UnixMicros((14_000_000 + bucket) * BUCKET_US + 7)
    }

    #[test]
    fn a_history_holds_the_last_hour_and_nothing_older() {
        let mut history = History::default();
        for (bucket, fell_back) in [(0, false), (0, true), (29, false), (30, true), (0, true)] {
            history.count(at(bucket), fell_back);
        }
        let view = history.view(at(30));
        assert_eq!((view.batches.len(), view.fallbacks.len()), (30, 30));
        assert_eq!((view.batches[28], view.batches[29], view.batches.iter().sum()), (1, 1, 2));
        assert_eq!((view.fallbacks[29], view.fallbacks.iter().sum::<u32>()), (1, 1));
        assert_eq!(history.view(at(58)).batches.iter().sum::<u32>(), 2);
        assert_eq!(history.view(at(59)).batches[0], 1);
        assert_eq!(history.view(at(60)).batches.iter().sum::<u32>(), 0);
        history.count(at(500), false);
        assert_eq!(history.view(at(500)).batches.iter().sum::<u32>(), 1);
    }

    #[test]
    fn a_fallback_is_remembered_with_its_name_and_time() {
        let mut shown = Shown::default();
        let rendition: Arc<str> = "main".into();
        shown.noted(&Note::Processed { batch: 0, rendition: rendition.clone() }, at(0));
        assert_eq!(shown.last_fallback("main"), None);
        let note = Note::FellBack { batch: 1, rendition, reason: FallbackReason::NoReply };
        shown.noted(&note, at(1));
        let last = shown.last_fallback("main").unwrap();
        assert_eq!((last.reason, last.at), ("no_reply", rfc3339(at(1))));
        let view = shown.history("main", at(1));
        assert_eq!((&view.batches[28..], &view.fallbacks[28..]), (&[1, 1][..], &[0, 1][..]));
        assert_eq!(shown.history("other", at(1)).batches.len(), 30);
    }
}
