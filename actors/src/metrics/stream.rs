//! What one stream counts.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Metrics;
use super::series::{OutputSeries, RenditionSeries, StreamSeries};
use crate::clock::{self, UnixMicros};
use crate::ledger::{FallbackReason, Figures, SkipReason};
use crate::messages::{FitReport, StoredSegment};
use crate::requests::StreamState;
use crate::settings::StreamSettings;

/// One stream's figures. Counting takes no lock but where a label is known only then.
#[derive(Debug)]
pub(crate) struct StreamMetrics {
    all: Metrics,
    stream: String,
    own: StreamSeries,
    renditions: BTreeMap<Arc<str>, RenditionSeries>,
    outputs: BTreeMap<Arc<str>, OutputSeries>,
    state: Option<StreamState>,
    /// Whether the source has failed and not come back.
    source_failing: bool,
}

fn seconds(micros: i64) -> f64 {
    micros as f64 / 1e6
}

fn unix_seconds(at: UnixMicros) -> f64 {
    seconds(at.0)
}

impl StreamMetrics {
    pub(crate) fn new(all: &Metrics, stream: &str) -> Self {
        Self {
            own: StreamSeries::of(all, stream),
            all: all.clone(),
            stream: stream.to_owned(),
            renditions: BTreeMap::new(),
            outputs: BTreeMap::new(),
            state: None,
            source_failing: false,
        }
    }

    /// Makes the series that a run with these settings may count, at 0; nothing is connected yet.
    pub(crate) fn begin<'a>(
        &mut self,
        settings: &StreamSettings,
        outputs: impl IntoIterator<Item = &'a Arc<str>>,
        actors: &[(String, &[&str])],
    ) {
        for rendition in &settings.renditions {
            self.set_connected(&rendition.name.as_str().into(), false);
        }
        for output in outputs {
            self.set_output(output, false, false);
        }
        for (actor, causes) in actors {
            for cause in *causes {
                self.all.restarts.with_label_values(&[&self.stream, actor, *cause]);
            }
        }
        self.source_failing = false;
        // They are the last run's until its own first batch; that they may not be there is well.
        for gauge in [&self.all.delay, &self.all.behind] {
            _ = gauge.remove_label_values(&[&self.stream]);
        }
    }

    /// Forgets all series, since the renditions or outputs are no longer the same.
    pub(crate) fn begin_anew(&mut self) {
        self.all.forget(&self.stream);
        *self = Self::new(&self.all, &self.stream);
    }

    fn rendition(&mut self, name: &Arc<str>) -> &mut RenditionSeries {
        let make = || RenditionSeries::of(&self.all, &self.stream, name);
        self.renditions.entry(name.clone()).or_insert_with(make)
    }

    fn output(&mut self, name: &Arc<str>) -> &mut OutputSeries {
        let make = || OutputSeries::of(&self.all, &self.stream, name);
        self.outputs.entry(name.clone()).or_insert_with(make)
    }

    pub(crate) fn set_state(&mut self, state: StreamState) {
        if self.state == Some(state) {
            return;
        }
        self.state = Some(state);
        for (other, series) in StreamState::ALL.iter().zip(&self.own.states) {
            series.set(i64::from(*other == state));
        }
        self.own.state_since.set(unix_seconds(clock::now()));
        self.own.failures.inc_by(u64::from(state == StreamState::Failed));
    }

    /// What the ledger holds, and what waits for the supervisor.
    pub(crate) fn show(&mut self, figures: &Figures, mailbox: usize) {
        let as_gauge = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        self.own.mailbox.set(as_gauge(mailbox));
        self.own.configured_delay.set(seconds(figures.delay_us));
        self.own.buffer.set(seconds(figures.buffer_us));
        self.own.clock_drift.set(figures.clock_drift_ppm.unwrap_or_default());
        // Fewer than before are a ledger that was lost, which is a counter's reset.
        if figures.gaps < self.own.gaps.get() {
            self.own.gaps.reset();
        }
        self.own.gaps.inc_by(figures.gaps - self.own.gaps.get());
        for (series, count) in self.own.held.iter().zip(figures.held) {
            series.set(as_gauge(count));
        }
        for (series, count) in self.own.in_flight.iter().zip(figures.in_flight) {
            series.set(as_gauge(count));
        }
        for (name, counts) in &figures.slots {
            for (series, count) in self.rendition(name).slots.iter().zip(counts) {
                series.set(as_gauge(*count));
            }
        }
    }

    // ------------------------------------------------------------ source

    pub(crate) fn set_source_up(&self, up: bool) {
        self.own.source_up.set(i64::from(up));
    }

    pub(crate) fn source_failed(&mut self) {
        let news = !std::mem::replace(&mut self.source_failing, true);
        self.own.source_failures.inc_by(u64::from(news));
    }

    pub(crate) fn source_recovered(&mut self) {
        self.source_failing = false;
    }

    pub(crate) fn segment_stored(&mut self, segment: &StoredSegment) {
        self.source_failing = false;
        self.own.segments.inc();
        self.own.segment_bytes.inc_by(segment.bytes);
        self.own.segment_media.inc_by(seconds(segment.duration_us.max(0)));
        let last = self.all.last_segment.with_label_values(&[self.stream.as_str()]);
        last.set(unix_seconds(clock::now()));
    }

    pub(crate) fn segment_lost(&self) {
        self.own.lost_segments.inc();
    }

    pub(crate) fn tolerated(&self, kind: &str, count: u64) {
        self.all.leniencies.with_label_values(&[self.stream.as_str(), kind]).inc_by(count);
    }

    // ------------------------------------------------------------ batches

    /// A batch was demuxed in `took_us`; its media may begin a new run of the source's clock, after a hole.
    pub(crate) fn demuxed(&self, took_us: i64, discontinuity: bool, gap_us: i64) {
        self.own.gap_media.inc_by(seconds(gap_us.max(0)));
        self.own.demux_stage.observe(seconds(took_us.max(0)));
        self.own.discontinuities.inc_by(u64::from(discontinuity));
    }

    /// The newest batch airs so long after its completion; it is so long.
    pub(crate) fn scheduled(&self, delay_us: i64, length_us: i64) {
        let own = &[self.stream.as_str()];
        self.all.delay.with_label_values(own).set(seconds(delay_us));
        self.all.behind.with_label_values(own).set(seconds(delay_us + length_us));
    }

    pub(crate) fn skipped(&self, reason: &SkipReason) {
        match reason {
            SkipReason::Unreadable { .. } => self.own.skipped_unreadable.inc(),
            SkipReason::Stopped => self.own.skipped_stopped.inc(),
        }
    }

    pub(crate) fn processed(&mut self, rendition: &Arc<str>) {
        self.rendition(rendition).processed.inc();
    }

    pub(crate) fn fell_back(&mut self, rendition: &Arc<str>, reason: &FallbackReason) {
        self.rendition(rendition).fallback.inc();
        let labels = [self.stream.as_str(), rendition, reason.label()];
        self.all.fallbacks.with_label_values(&labels).inc();
    }

    pub(crate) fn stray_reply(&self, rendition: &str, kind: &str) {
        self.all.stray_replies.with_label_values(&[self.stream.as_str(), rendition, kind]).inc();
    }

    /// A slot was filled: how long fitting took, the time that is left until it airs, and where a processor had
    /// delivered, the turnaround without its own time.
    pub(crate) fn filled(
        &mut self,
        rendition: &Arc<str>,
        took_us: Option<i64>,
        left_us: Option<i64>,
        turnaround_us: Option<i64>,
    ) {
        if let Some(took_us) = took_us {
            self.own.remux_stage.observe(seconds(took_us.max(0)));
        }
        let series = self.rendition(rendition);
        if let Some(left_us) = left_us {
            series.headroom.observe(seconds(left_us));
        }
        if let Some(turnaround_us) = turnaround_us {
            series.turnaround.observe(seconds(turnaround_us.max(0)));
        }
    }

    /// A processor's audio was fitted into its slot at so many samples a second.
    pub(crate) fn fitted(&mut self, rendition: &Arc<str>, fit: &FitReport, sample_rate: u32) {
        let series = self.rendition(rendition);
        series.sync_shift.set(fit.difference_samples as f64 / f64::from(sample_rate.max(1)));
        series.fitted(fit.timing).inc();
    }

    pub(crate) fn clock_jumped(&self, by_us: i64) {
        self.own.clock_jumps.inc();
        self.own.clock_jump.inc_by(seconds(by_us.max(0)));
    }

    // ------------------------------------------------------------ processors

    pub(crate) fn set_connected(&mut self, rendition: &Arc<str>, connected: bool) {
        self.rendition(rendition).connection.set(connected);
    }

    pub(crate) fn fragment_sent(&mut self, rendition: &Arc<str>, bytes: u64) {
        let series = self.rendition(rendition);
        series.fragments_sent.inc();
        series.sent_bytes.inc_by(bytes);
    }

    pub(crate) fn replied(&mut self, rendition: &Arc<str>, bytes: u64, round_trip_us: Option<i64>) {
        if let Some(round_trip_us) = round_trip_us {
            self.own.process_stage.observe(seconds(round_trip_us.max(0)));
        }
        let series = self.rendition(rendition);
        series.received_bytes.inc_by(bytes);
        if let Some(round_trip_us) = round_trip_us {
            series.round_trip.observe(seconds(round_trip_us.max(0)));
        }
    }

    // ------------------------------------------------------------ outputs

    /// An output is up; or down, and failing if that has a reason.
    pub(crate) fn set_output(&mut self, output: &Arc<str>, up: bool, failing: bool) {
        let series = self.output(output);
        series.connection.set(up);
        series.failing.set(i64::from(failing));
    }

    /// An output has aired a batch for the first time.
    pub(crate) fn aired(&mut self, output: &Arc<str>, sent: u64, missed: u64, bytes: u64) {
        let series = self.output(output);
        series.published.inc();
        series.sent_samples.inc_by(sent);
        series.missed_samples.inc_by(missed);
        series.bytes.inc_by(bytes);
        let last = self.all.last_published.with_label_values(&[self.stream.as_str(), output]);
        last.set(unix_seconds(clock::now()));
    }

    pub(crate) fn left_late_by(&mut self, output: &Arc<str>, lateness_us: i64) {
        self.output(output).lateness.observe(seconds(lateness_us.max(0)));
    }

    // ------------------------------------------------------------ supervision

    pub(crate) fn replaced(&self, actor: &str, cause: &str) {
        self.all.restarts.with_label_values(&[self.stream.as_str(), actor, cause]).inc();
    }
}

#[cfg(test)]
mod tests;
