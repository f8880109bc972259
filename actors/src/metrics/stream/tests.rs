use prometheus::{Registry, TextEncoder};

use super::*;
use crate::messages::FitTiming;
use crate::settings::{Fallback, RenditionSettings, StartAt, StreamId};

struct Bench {
    registry: Registry,
    stream: StreamMetrics,
    main: Arc<str>,
}

impl Bench {
    fn new() -> Self {
        let registry = Registry::new();
        let all = Metrics::new(&registry).unwrap();
        let mut stream = StreamMetrics::new(&all, "a");
        let settings = StreamSettings {
            stream_id: StreamId::new("a").unwrap(),
            source_url: String::new(),
            buffer_duration: 6.0,
            delay: 10.0,
            max_concurrent_batches: 2,
            hls_output: true,
            start: StartAt::Live,
            source: crate::settings::SourceOptions::default(),
            renditions: vec![RenditionSettings {
                name: "main".to_owned(),
                language: None,
                audio_processor_url: String::new(),
                fallback: Fallback::Original,
                outputs: Vec::new(),
            }],
        };
        let actors = [("fetcher".to_owned(), ["panicked", "hung"].as_slice())];
        stream.begin(&settings, [&"hls".into()], &actors);
        Self { registry, stream, main: "main".into() }
    }

    fn text(&self) -> String {
        TextEncoder::new().encode_to_string(&self.registry.gather()).unwrap()
    }

    fn value(&self, series: &str) -> f64 {
        let text = self.text();
        let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("no {series} in {text}")).parse().unwrap()
    }
}

#[test]
fn what_may_be_counted_is_there_at_0_from_the_start() {
    let bench = Bench::new();
    for reason in FallbackReason::LABELS {
        let series =
            format!("overdub_fallbacks_total{{reason=\"{reason}\",rendition=\"main\",stream=\"a\"}}");
        assert_eq!(bench.value(&series), 0.0);
    }
    assert_eq!(
        bench.value("overdub_actor_restarts_total{actor=\"fetcher\",cause=\"hung\",stream=\"a\"}"),
        0.0
    );
    assert_eq!(bench.value("overdub_published_batches_total{output=\"hls\",stream=\"a\"}"), 0.0);
}

#[test]
fn a_stream_has_fewer_than_200_series() {
    let series = Bench::new().text().lines().filter(|line| line.contains("stream=\"a\"")).count();
    assert!((100..200).contains(&series), "{series}");
}

#[test]
fn only_what_comes_back_is_a_reconnect() {
    let mut bench = Bench::new();
    let main = bench.main.clone();
    for connected in [true, true, false, false, true, false, true] {
        bench.stream.set_connected(&main, connected);
    }
    let labels = "{rendition=\"main\",stream=\"a\"}";
    assert_eq!(bench.value(&format!("overdub_processor_reconnects_total{labels}")), 2.0);
    assert_eq!(bench.value(&format!("overdub_processor_connected{labels}")), 1.0);
}

#[test]
fn what_came_and_what_is_missing_is_counted_in_seconds_of_media() {
    let mut bench = Bench::new();
    let stored = StoredSegment {
        number: 1,
        media_sequence: 1,
        path: Default::default(),
        bytes: 1880,
        duration_us: 2_000_000,
        discontinuity: false,
        program_date_time: None,
        backlog_us: 0,
        is_last: false,
        audio: None,
        date_ranges: Vec::new(),
        date_ranges_dropped: 0,
        cue_tags: 0,
    };
    bench.stream.segment_stored(&stored);
    bench.stream.segment_lost();
    bench.stream.segment_lost();
    bench.stream.demuxed(10_000, true, 3_500_000);
    bench.stream.skipped(&SkipReason::Stopped);
    let value = |name: &str| bench.value(&format!("{name}{{stream=\"a\"}}"));
    assert_eq!(value("overdub_segment_media_seconds_total"), 2.0);
    assert_eq!(value("overdub_segment_bytes_total"), 1880.0);
    assert_eq!(value("overdub_lost_segments_total"), 2.0);
    assert_eq!(value("overdub_gap_seconds_total"), 3.5);
    assert_eq!(value("overdub_discontinuities_total"), 1.0);
    let skipped = "overdub_skipped_batches_total{reason=\"stopped\",stream=\"a\"}";
    assert_eq!(bench.value(skipped), 1.0);
}

#[test]
fn a_source_that_gives_several_reasons_has_failed_once() {
    let mut bench = Bench::new();
    bench.stream.source_failed();
    bench.stream.source_failed();
    bench.stream.source_recovered();
    bench.stream.source_failed();
    assert_eq!(bench.value("overdub_source_failures_total{stream=\"a\"}"), 2.0);
}

#[test]
fn a_reply_that_is_too_long_shows_by_how_much() {
    let mut bench = Bench::new();
    let main = bench.main.clone();
    let fit = FitReport { difference_samples: -4_800, timing: FitTiming::Assumed, ..FitReport::default() };
    bench.stream.fitted(&main, &fit, 48_000);
    assert_eq!(bench.value("overdub_sync_shift_seconds{rendition=\"main\",stream=\"a\"}"), -0.1);
    let fitted = "overdub_fitted_batches_total{rendition=\"main\",stream=\"a\",timing=\"assumed\"}";
    assert_eq!(bench.value(fitted), 1.0);
}

#[test]
fn a_slot_filled_after_its_air_time_is_in_the_lowest_bucket() {
    let mut bench = Bench::new();
    let main = bench.main.clone();
    bench.stream.filled(&main, Some(40_000), Some(-1), Some(60_000));
    bench.stream.filled(&main, None, Some(3_000_000), None);
    let bucket = "overdub_headroom_seconds_bucket{rendition=\"main\",stream=\"a\",le=\"0\"}";
    assert_eq!(bench.value(bucket), 1.0);
    assert_eq!(bench.value("overdub_turnaround_seconds_count{rendition=\"main\",stream=\"a\"}"), 1.0);
}

#[test]
fn the_state_is_one_of_all_and_failing_is_counted() {
    let mut bench = Bench::new();
    for state in [StreamState::Running, StreamState::Failed, StreamState::Failed, StreamState::Running] {
        bench.stream.set_state(state);
    }
    assert_eq!(bench.value("overdub_stream_state{state=\"running\",stream=\"a\"}"), 1.0);
    assert_eq!(bench.value("overdub_stream_state{state=\"failed\",stream=\"a\"}"), 0.0);
    assert_eq!(bench.value("overdub_stream_failures_total{stream=\"a\"}"), 1.0);
}

#[test]
fn other_renditions_leave_no_series_of_the_old_ones() {
    let mut bench = Bench::new();
    bench.stream.begin_anew();
    let text = bench.text();
    assert!(!text.contains("rendition=\"main\"") && !text.contains("output=\"hls\""), "{text}");
    assert!(text.contains("overdub_source_up{stream=\"a\"} 0"), "{text}");
}
