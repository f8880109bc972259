//! What the tree counts for Prometheus. docs/METRICS.md has a line on each.
//!
//! | file | what |
//! | --- | --- |
//! | `family` | metrics declared in one line each, registered, and forgotten by stream |
//! | `series` | series looked up once |
//! | `stream` | what one stream counts |
//! | `mailbox` | how many reports wait for a supervisor |
//! | `threads` | how late and how busy the arbiters are |
//!
//! Labels are bounded: streams, renditions and outputs by the configuration, the others by the code. Nothing is
//! counted by the packet; the smallest thing counted is a segment or a batch.

mod family;
mod mailbox;
mod series;
mod stream;
mod threads;

use prometheus::{CounterVec, GaugeVec, HistogramVec, IntCounterVec, IntGauge, IntGaugeVec, Registry};

use family::{SECONDS_LONG, SECONDS_ROOM, SECONDS_SHORT, families};
pub use mailbox::{Mailbox, Waiting};
pub(crate) use stream::StreamMetrics;
pub(crate) use threads::watch;

families! {
    /// The tree's metrics. Cloning shares them.
    pub struct Metrics;

    // ------------------------------------------------------------ streams
    state: IntGaugeVec = "overdub_stream_state" ["stream", "state"]
        "1 for the state that the stream is in, 0 for the others.";
    state_since: GaugeVec = "overdub_stream_state_since_timestamp_seconds" ["stream"]
        "Unix time of the stream's last change of state.";
    failures: IntCounterVec = "overdub_stream_failures_total" ["stream"]
        "Times that the stream could not be kept up and failed.";
    configured_delay: GaugeVec = "overdub_configured_delay_seconds" ["stream"]
        "The stream's setting `delay`: the time that a processor is promised.";

    // ------------------------------------------------------------ source
    source_up: IntGaugeVec = "overdub_source_up" ["stream"]
        "Whether the source delivers.";
    source_failures: IntCounterVec = "overdub_source_failures_total" ["stream"]
        "Times that the source stopped delivering.";
    segments: IntCounterVec = "overdub_segments_total" ["stream"]
        "Source segments stored.";
    segment_bytes: IntCounterVec = "overdub_segment_bytes_total" ["stream"]
        "Bytes of source segments stored.";
    segment_media: CounterVec = "overdub_segment_media_seconds_total" ["stream"]
        "Seconds of media in source segments stored.";
    last_segment: GaugeVec = "overdub_last_segment_timestamp_seconds" ["stream"]
        "Unix time at which the newest segment was stored.";
    lost_segments: IntCounterVec = "overdub_lost_segments_total" ["stream"]
        "Source segments that could not be had.";
    gaps: IntCounterVec = "overdub_gaps_total" ["stream"]
        "Holes in the timeline since the stream was created, as in the API: runs of lost segments, and batches whose media could not be read.";
    gap_media: CounterVec = "overdub_gap_seconds_total" ["stream"]
        "Seconds of media that are missing in the timeline's holes.";
    discontinuities: IntCounterVec = "overdub_discontinuities_total" ["stream"]
        "Batches that began a new run of the source's clock.";
    leniencies: IntCounterVec = "overdub_source_leniencies_total" ["stream", "kind"]
        "Irregularities of the source that were tolerated, by kind.";
    buffer: GaugeVec = "overdub_buffer_seconds" ["stream"]
        "Seconds of media in the batch that is being collected.";

    // ------------------------------------------------------------ batches
    batches: IntCounterVec = "overdub_batches_total" ["stream", "rendition", "result"]
        "Batches by how the rendition's slot was filled.";
    fallbacks: IntCounterVec = "overdub_fallbacks_total" ["stream", "rendition", "reason"]
        "Slots filled by the fallback, by reason.";
    stray_replies: IntCounterVec = "overdub_stray_replies_total" ["stream", "rendition", "kind"]
        "Replies that were not used: late, unmatched or duplicate.";
    skipped_batches: IntCounterVec = "overdub_skipped_batches_total" ["stream", "reason"]
        "Batches that were given up: unreadable, not to be written, or of a stream that was stopped.";
    held_batches: IntGaugeVec = "overdub_held_batches" ["stream", "state"]
        "Batches on disk, by state.";
    slots: IntGaugeVec = "overdub_slots" ["stream", "rendition", "state"]
        "Slots that are not ready to air, by state: the processor's queue, what it has, what waits to be fitted.";
    in_flight: IntGaugeVec = "overdub_commands_in_flight" ["stream", "stage"]
        "Commands that a stage has been given and has not answered.";
    mailbox: IntGaugeVec = "overdub_mailbox_reports" ["stream"]
        "Reports of a stream's children that wait for its supervisor.";
    turnaround: HistogramVec = "overdub_turnaround_seconds" ["stream", "rendition"] SECONDS_SHORT
        "From a batch's completion to its slot being filled, the processor's own time excluded.";
    headroom: HistogramVec = "overdub_headroom_seconds" ["stream", "rendition"] SECONDS_ROOM
        "Time left until a batch airs when its slot has been filled.";
    stage: HistogramVec = "overdub_stage_seconds" ["stage"] SECONDS_SHORT
        "Time that a stage took for a batch, over all streams.";

    // ------------------------------------------------------------ processors
    processor_connected: IntGaugeVec = "overdub_processor_connected" ["stream", "rendition"]
        "Whether the rendition's processor is connected.";
    processor_reconnects: IntCounterVec = "overdub_processor_reconnects_total" ["stream", "rendition"]
        "Connections to the processor after the first.";
    round_trip: HistogramVec = "overdub_processor_round_trip_seconds" ["stream", "rendition"] SECONDS_LONG
        "From sending a fragment to its reply.";
    fragments_sent: IntCounterVec = "overdub_fragments_sent_total" ["stream", "rendition"]
        "Fragments sent, repeats after a reconnect included.";
    fragment_sent_bytes: IntCounterVec = "overdub_fragment_sent_bytes_total" ["stream", "rendition"]
        "Bytes of audio sent to the processor.";
    fragment_received_bytes: IntCounterVec = "overdub_fragment_received_bytes_total" ["stream", "rendition"]
        "Bytes of audio that came back from the processor.";

    // ------------------------------------------------------------ sync
    sync_shift: GaugeVec = "overdub_sync_shift_seconds" ["stream", "rendition"]
        "By how much the newest processed audio was longer than its slot, and cut, or below 0 shorter, and padded.";
    fitted: IntCounterVec = "overdub_fitted_batches_total" ["stream", "rendition", "timing"]
        "Processed batches fitted, by how sure it was where their sound begins.";
    clock_drift: GaugeVec = "overdub_clock_drift_ppm" ["stream"]
        "How much slower the source's clock runs than this machine's, parts per million; 0 until it is known.";
    clock_jumps: IntCounterVec = "overdub_clock_jumps_total" ["stream"]
        "Times that the output waited because the source came too late.";
    clock_jump: CounterVec = "overdub_clock_jump_seconds_total" ["stream"]
        "Seconds that the output waited because the source came too late.";

    // ------------------------------------------------------------ on air
    delay: GaugeVec = "overdub_batch_delay_seconds" ["stream"]
        "From the newest batch's completion to its air time.";
    behind: GaugeVec = "overdub_behind_source_seconds" ["stream"]
        "How far the output is behind the source: the newest batch's length and its delay.";
    output_up: IntGaugeVec = "overdub_output_up" ["stream", "output"]
        "Whether the output is up.";
    output_failing: IntGaugeVec = "overdub_output_failing" ["stream", "output"]
        "Whether the output is down for a reason; one that has not begun yet is not.";
    output_reconnects: IntCounterVec = "overdub_output_reconnects_total" ["stream", "output"]
        "Times that the output came up after the first.";
    published: IntCounterVec = "overdub_published_batches_total" ["stream", "output"]
        "Batches aired.";
    last_published: GaugeVec = "overdub_last_published_timestamp_seconds" ["stream", "output"]
        "Unix time at which the newest batch had aired.";
    sent_samples: IntCounterVec = "overdub_sent_samples_total" ["stream", "output"]
        "Pictures and access units that the output sent.";
    missed_samples: IntCounterVec = "overdub_missed_samples_total" ["stream", "output"]
        "Pictures and access units that the output could not send.";
    output_bytes: IntCounterVec = "overdub_output_bytes_total" ["stream", "output"]
        "Bytes that were pushed to the output.";
    publish_lateness: HistogramVec = "overdub_publish_lateness_seconds" ["stream", "output"] SECONDS_SHORT
        "Latest departure of a batch's samples after their air time.";

    // ------------------------------------------------------------ supervision and threads
    restarts: IntCounterVec = "overdub_actor_restarts_total" ["stream", "actor", "cause"]
        "Actors replaced, by cause.";
    arbiter_lag: HistogramVec = "overdub_arbiter_lag_seconds" ["arbiter"] SECONDS_SHORT
        "How late a thread that runs streams was for a timer, looked at once a second.";

    // ------------------------------------------------------------ storage
    storage: IntGaugeVec = "overdub_storage_bytes" ["stream", "kind"]
        "Bytes on disk: `segments`, `batches` and the stream's own `log`; a few streams are looked at every two seconds.";
    storage_free: IntGauge = "overdub_storage_free_bytes" []
        "Bytes free on the storage's disk.";
    storage_size: IntGauge = "overdub_storage_size_bytes" []
        "Bytes of the storage's disk.";
    storage_reserve: IntGauge = "overdub_storage_reserve_bytes" []
        "Free bytes below which no new segment is stored.";
    storage_quota: IntGauge = "overdub_storage_quota_bytes" []
        "Bytes that all streams together may take; 0 for no quota.";
    storage_refusing: IntGauge = "overdub_storage_refusing" []
        "1 while no new segment is stored for want of room.";
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::requests::StreamState;

    #[test]
    fn a_deleted_streams_series_are_forgotten() {
        let registry = Registry::new();
        let metrics = Metrics::new(&registry).unwrap();
        for stream in ["a", "b"] {
            StreamMetrics::new(&metrics, stream).set_state(StreamState::Running);
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
