//! Series looked up once.
//!
//! Every series that may be there is there from the stream's start, at 0: `increase()` does not see the first event
//! of a series that begins with it. Only what has no meaningful 0, such as a time, appears with its first value.

use prometheus::{Counter, Gauge, Histogram, IntCounter, IntGauge};

use super::Metrics;
use crate::ledger::{FallbackReason, Figures};
use crate::messages::FitTiming;
use crate::requests::StreamState;

/// Series of a stream as a whole.
#[derive(Debug)]
pub(super) struct StreamSeries {
    pub states: [IntGauge; 8],
    pub state_since: Gauge,
    pub failures: IntCounter,
    pub configured_delay: Gauge,
    pub source_up: IntGauge,
    pub source_failures: IntCounter,
    pub segments: IntCounter,
    pub segment_bytes: IntCounter,
    pub segment_media: Counter,
    pub lost_segments: IntCounter,
    pub gaps: IntCounter,
    pub gap_media: Counter,
    pub discontinuities: IntCounter,
    pub buffer: Gauge,
    pub skipped_stopped: IntCounter,
    pub skipped_unreadable: IntCounter,
    pub held: [IntGauge; Figures::HELD.len()],
    pub in_flight: [IntGauge; Figures::STAGES.len()],
    pub mailbox: IntGauge,
    pub demux_stage: Histogram,
    pub process_stage: Histogram,
    pub remux_stage: Histogram,
    pub clock_drift: Gauge,
    pub clock_jumps: IntCounter,
    pub clock_jump: Counter,
}

impl StreamSeries {
    pub(super) fn of(all: &Metrics, stream: &str) -> Self {
        let own = &[stream];
        let skipped = |reason| all.skipped_batches.with_label_values(&[stream, reason]);
        Self {
            states: StreamState::ALL.map(|state| all.state.with_label_values(&[stream, state.name()])),
            state_since: all.state_since.with_label_values(own),
            failures: all.failures.with_label_values(own),
            configured_delay: all.configured_delay.with_label_values(own),
            source_up: all.source_up.with_label_values(own),
            source_failures: all.source_failures.with_label_values(own),
            segments: all.segments.with_label_values(own),
            segment_bytes: all.segment_bytes.with_label_values(own),
            segment_media: all.segment_media.with_label_values(own),
            lost_segments: all.lost_segments.with_label_values(own),
            gaps: all.gaps.with_label_values(own),
            gap_media: all.gap_media.with_label_values(own),
            discontinuities: all.discontinuities.with_label_values(own),
            buffer: all.buffer.with_label_values(own),
            skipped_stopped: skipped("stopped"),
            skipped_unreadable: skipped("unreadable"),
            held: Figures::HELD.map(|state| all.held_batches.with_label_values(&[stream, state])),
            in_flight: Figures::STAGES.map(|stage| all.in_flight.with_label_values(&[stream, stage])),
            mailbox: all.mailbox.with_label_values(own),
            demux_stage: all.stage.with_label_values(&["demux"]),
            process_stage: all.stage.with_label_values(&["process"]),
            remux_stage: all.stage.with_label_values(&["remux"]),
            clock_drift: all.clock_drift.with_label_values(own),
            clock_jumps: all.clock_jumps.with_label_values(own),
            clock_jump: all.clock_jump.with_label_values(own),
        }
    }
}

/// Whether something is connected, and how often it came back.
#[derive(Debug)]
pub(super) struct ConnectionSeries {
    up: IntGauge,
    reconnects: IntCounter,
    was_ever_up: bool,
}

impl ConnectionSeries {
    fn of(up: IntGauge, reconnects: IntCounter) -> Self {
        Self { up, reconnects, was_ever_up: false }
    }

    pub(super) fn set(&mut self, up: bool) {
        if up && self.up.get() == 0 {
            let again = std::mem::replace(&mut self.was_ever_up, true);
            self.reconnects.inc_by(u64::from(again));
        }
        self.up.set(i64::from(up));
    }
}

/// Series of a rendition.
#[derive(Debug)]
pub(super) struct RenditionSeries {
    pub connection: ConnectionSeries,
    pub processed: IntCounter,
    pub fallback: IntCounter,
    pub slots: [IntGauge; Figures::SLOTS.len()],
    pub turnaround: Histogram,
    pub headroom: Histogram,
    pub round_trip: Histogram,
    pub fragments_sent: IntCounter,
    pub sent_bytes: IntCounter,
    pub received_bytes: IntCounter,
    pub sync_shift: Gauge,
    fitted: [IntCounter; 3],
}

impl RenditionSeries {
    pub(super) fn of(all: &Metrics, stream: &str, rendition: &str) -> Self {
        let own = &[stream, rendition];
        for reason in FallbackReason::LABELS {
            all.fallbacks.with_label_values(&[stream, rendition, reason]);
        }
        for kind in ["late", "unmatched", "duplicate"] {
            all.stray_replies.with_label_values(&[stream, rendition, kind]);
        }
        let batches = |result| all.batches.with_label_values(&[stream, rendition, result]);
        let fitted = |timing| all.fitted.with_label_values(&[stream, rendition, timing]);
        Self {
            connection: ConnectionSeries::of(
                all.processor_connected.with_label_values(own),
                all.processor_reconnects.with_label_values(own),
            ),
            processed: batches("processed"),
            fallback: batches("fallback"),
            slots: Figures::SLOTS.map(|state| all.slots.with_label_values(&[stream, rendition, state])),
            turnaround: all.turnaround.with_label_values(own),
            headroom: all.headroom.with_label_values(own),
            round_trip: all.round_trip.with_label_values(own),
            fragments_sent: all.fragments_sent.with_label_values(own),
            sent_bytes: all.fragment_sent_bytes.with_label_values(own),
            received_bytes: all.fragment_received_bytes.with_label_values(own),
            sync_shift: all.sync_shift.with_label_values(own),
            fitted: ["exact", "assumed", "unknown"].map(fitted),
        }
    }

    pub(super) fn fitted(&self, timing: FitTiming) -> &IntCounter {
        match timing {
            FitTiming::Exact => &self.fitted[0],
            FitTiming::Assumed => &self.fitted[1],
            FitTiming::Unknown => &self.fitted[2],
        }
    }
}

/// Series of an output.
#[derive(Debug)]
pub(super) struct OutputSeries {
    pub connection: ConnectionSeries,
    pub failing: IntGauge,
    pub published: IntCounter,
    pub sent_samples: IntCounter,
    pub missed_samples: IntCounter,
    pub bytes: IntCounter,
    pub lateness: Histogram,
}

impl OutputSeries {
    pub(super) fn of(all: &Metrics, stream: &str, output: &str) -> Self {
        let own = &[stream, output];
        Self {
            connection: ConnectionSeries::of(
                all.output_up.with_label_values(own),
                all.output_reconnects.with_label_values(own),
            ),
            failing: all.output_failing.with_label_values(own),
            published: all.published.with_label_values(own),
            sent_samples: all.sent_samples.with_label_values(own),
            missed_samples: all.missed_samples.with_label_values(own),
            bytes: all.output_bytes.with_label_values(own),
            lateness: all.publish_lateness.with_label_values(own),
        }
    }
}
