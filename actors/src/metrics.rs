//! What the tree counts for Prometheus.

use prometheus::{
    GaugeVec, HistogramOpts, HistogramVec, IntCounterVec, IntGaugeVec, Opts, Registry, core::Collector,
};

use crate::requests::StreamState;

/// The tree's metrics. Cloning shares them.
#[derive(Debug, Clone)]
pub struct Metrics {
    /// Segments stored.
    pub segments: IntCounterVec,
    /// Bytes of segments stored.
    pub segment_bytes: IntCounterVec,
    /// Segments that could not be had.
    pub lost_segments: IntCounterVec,
    /// Batches by how a rendition's slot was filled: `processed` or `fallback`.
    pub batches: IntCounterVec,
    /// Fallbacks by reason.
    pub fallbacks: IntCounterVec,
    /// Replies after the deadline, for unknown batches, and twice.
    pub stray_replies: IntCounterVec,
    /// Batches that did not go on air.
    pub skipped_batches: IntCounterVec,
    /// Batches aired by output.
    pub published: IntCounterVec,
    /// Samples that an output could not send.
    pub missed_samples: IntCounterVec,
    /// Whether an output is up.
    pub output_up: IntGaugeVec,
    /// Whether a processor is connected.
    pub processor_connected: IntGaugeVec,
    /// Whether the source delivers.
    pub source_up: IntGaugeVec,
    /// 1 for the state that a stream is in.
    pub state: IntGaugeVec,
    /// Children replaced, by actor and cause.
    pub restarts: IntCounterVec,
    /// Jumps of the air clock.
    pub clock_jumps: IntCounterVec,
    /// Leniencies in reading the source, by kind.
    pub leniencies: IntCounterVec,
    /// Time from a batch's completion to its slot being filled, the processor's own time excluded.
    pub turnaround: HistogramVec,
    /// Time from sending a fragment to its reply.
    pub round_trip: HistogramVec,
    /// Latest departure of a batch's samples after their air time.
    pub publish_lateness: HistogramVec,
    /// Seconds from a segment's arrival to its air time at least: the fixed delay.
    pub delay: GaugeVec,
}

const STREAM: &[&str] = &["stream"];
const SHORT_SECONDS: &[f64] = &[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0];
const LONG_SECONDS: &[f64] = &[0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0];

impl Metrics {
    /// Makes the metrics and registers them.
    pub fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let counter = |name: &str, help: &str, labels: &[&str]| {
            register(registry, IntCounterVec::new(Opts::new(name, help), labels)?)
        };
        let gauge = |name: &str, help: &str, labels: &[&str]| {
            register(registry, IntGaugeVec::new(Opts::new(name, help), labels)?)
        };
        let histogram = |name: &str, help: &str, labels: &[&str], buckets: &[f64]| {
            let opts = HistogramOpts::new(name, help).buckets(buckets.to_vec());
            register(registry, HistogramVec::new(opts, labels)?)
        };
        Ok(Self {
            segments: counter("overdub_segments_total", "Source segments stored.", STREAM)?,
            segment_bytes: counter(
                "overdub_segment_bytes_total",
                "Bytes of source segments stored.",
                STREAM,
            )?,
            lost_segments: counter(
                "overdub_lost_segments_total",
                "Source segments that could not be had.",
                STREAM,
            )?,
            batches: counter(
                "overdub_batches_total",
                "Batches by how the rendition's slot was filled.",
                &["stream", "rendition", "result"],
            )?,
            fallbacks: counter(
                "overdub_fallbacks_total",
                "Slots filled by the fallback, by reason.",
                &["stream", "rendition", "reason"],
            )?,
            stray_replies: counter(
                "overdub_stray_replies_total",
                "Replies that were not used: late, unmatched or duplicate.",
                &["stream", "rendition", "kind"],
            )?,
            skipped_batches: counter(
                "overdub_skipped_batches_total",
                "Batches that did not go on air.",
                STREAM,
            )?,
            published: counter("overdub_published_batches_total", "Batches aired.", &["stream", "output"])?,
            missed_samples: counter(
                "overdub_missed_samples_total",
                "Samples that the output could not send.",
                &["stream", "output"],
            )?,
            output_up: gauge("overdub_output_up", "Whether the output is up.", &["stream", "output"])?,
            processor_connected: gauge(
                "overdub_processor_connected",
                "Whether the rendition's processor is connected.",
                &["stream", "rendition"],
            )?,
            source_up: gauge("overdub_source_up", "Whether the source delivers.", STREAM)?,
            state: gauge(
                "overdub_stream_state",
                "1 for the state that the stream is in.",
                &["stream", "state"],
            )?,
            restarts: counter(
                "overdub_actor_restarts_total",
                "Children replaced, by actor and cause.",
                &["stream", "actor", "cause"],
            )?,
            clock_jumps: counter(
                "overdub_clock_jumps_total",
                "Times that the output waited because the source came too late.",
                STREAM,
            )?,
            leniencies: counter(
                "overdub_source_leniencies_total",
                "Irregularities of the source that were tolerated, by kind.",
                &["stream", "kind"],
            )?,
            turnaround: histogram(
                "overdub_turnaround_seconds",
                "From a batch's completion to its slot being filled, the processor's own time excluded.",
                &["stream", "rendition"],
                SHORT_SECONDS,
            )?,
            round_trip: histogram(
                "overdub_processor_round_trip_seconds",
                "From sending a fragment to its reply.",
                &["stream", "rendition"],
                LONG_SECONDS,
            )?,
            publish_lateness: histogram(
                "overdub_publish_lateness_seconds",
                "Latest departure of a batch's samples after their air time.",
                &["stream", "output"],
                SHORT_SECONDS,
            )?,
            delay: register(
                registry,
                GaugeVec::new(
                    Opts::new(
                        "overdub_batch_delay_seconds",
                        "From the newest batch's completion to its air time.",
                    ),
                    STREAM,
                )?,
            )?,
        })
    }

    /// Shows which state a stream is in.
    pub fn set_state(&self, stream: &str, state: StreamState) {
        for other in StreamState::ALL {
            self.state.with_label_values(&[stream, other.name()]).set(i64::from(other == state));
        }
    }

    /// Forgets a deleted stream's series.
    pub fn forget(&self, stream: &str) {
        macro_rules! forget {
            ($($metric:ident),*) => {$(
                forget_stream(&self.$metric, stream, |labels| _ = self.$metric.remove_label_values(labels));
            )*};
        }
        forget!(
            segments,
            segment_bytes,
            lost_segments,
            batches,
            fallbacks,
            stray_replies,
            skipped_batches,
            published,
            missed_samples,
            output_up,
            processor_connected,
            source_up,
            state,
            restarts,
            clock_jumps,
            leniencies,
            turnaround,
            round_trip,
            publish_lateness,
            delay
        );
    }
}

fn register<C: Collector + Clone + 'static>(registry: &Registry, metric: C) -> Result<C, prometheus::Error> {
    registry.register(Box::new(metric.clone()))?;
    Ok(metric)
}

/// Calls `remove` with the label values of every series of `stream`, in the order that the metric declares.
fn forget_stream(metric: &impl Collector, stream: &str, mut remove: impl FnMut(&[&str])) {
    let declared: Vec<String> =
        metric.desc().first().map(|desc| desc.variable_labels.clone()).unwrap_or_default();
    for family in metric.collect() {
        for series in family.get_metric() {
            let value = |name: &String| {
                series.get_label().iter().find(|pair| pair.name() == name).map_or("", |pair| pair.value())
            };
            let values: Vec<&str> = declared.iter().map(value).collect();
            if series.get_label().iter().any(|pair| pair.name() == "stream" && pair.value() == stream) {
                remove(&values);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deleted_streams_series_are_forgotten() {
        let registry = Registry::new();
        let metrics = Metrics::new(&registry).unwrap();
        for stream in ["a", "b"] {
            metrics.set_state(stream, StreamState::Running);
            metrics.fallbacks.with_label_values(&[stream, "main", "no_reply"]).inc();
        }
        metrics.forget("a");
        let text = prometheus::TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
        assert!(!text.contains("stream=\"a\""), "{text}");
        assert!(
            text.contains("overdub_fallbacks_total{reason=\"no_reply\",rendition=\"main\",stream=\"b\"} 1")
        );
    }
}
