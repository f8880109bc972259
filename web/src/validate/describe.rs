//! The bodies of requests as the API's description shows them. What reads them is beside; it says more than a
//! schema can.
#![allow(dead_code, reason = "only described, never made")]

use overdub_actors::settings::{Fallback, StartAt, VariantEnd, VariantLimits};
use utoipa::ToSchema;

/// The plain start: one processor, one RTMP output.
#[derive(serde::Deserialize, ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct PlainStartBody {
    /// URL of a live HLS playlist
    #[schema(example = "https://source.example/live.m3u8", max_length = 4096)]
    source_url: String,
    /// The stream's id
    #[schema(pattern = "^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$", example = "news")]
    stream_id: String,
    /// URL of the processor's Socket.IO server
    #[schema(example = "ws://localhost:5000", max_length = 4096)]
    audio_processor_url: Option<String>,
    /// RTMP push, `{streamId}` standing for the id; null or empty: none
    #[schema(example = "rtmp://localhost/live/{streamId}", max_length = 4096)]
    srs_rtmp_url: Option<String>,
    /// Seconds of media a batch
    #[schema(minimum = 2, maximum = 120)]
    buffer_duration: Option<f64>,
}

/// A new stream.
#[derive(serde::Deserialize, ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct NewStreamBody {
    #[serde(flatten)]
    plain: PlainStartBody,
    /// Seconds that a processor has at least
    #[schema(minimum = 1, maximum = 300)]
    delay: Option<f64>,
    /// Batches with one processor at a time
    #[schema(minimum = 1, maximum = 64)]
    max_concurrent_batches: Option<u32>,
    /// What airs where a processor does not deliver
    #[schema(nullable = false)]
    fallback: Option<Fallback>,
    /// Publish under /live/{streamId}/index.m3u8
    #[schema(nullable = false)]
    hls_output: Option<bool>,
    /// Where the first segment is taken from
    #[schema(nullable = false)]
    start: Option<StartAt>,
    /// Which variant of a multivariant playlist: `highest`, `lowest`, or the highest within limits
    #[schema(nullable = false)]
    variant: Option<VariantBody>,
    /// BCP 47 tag of the audio to take where the source has several
    #[schema(example = "de")]
    audio_language: Option<String>,
    /// Headers that go with every request to the source's host; shown nowhere
    #[schema(nullable = false)]
    source_headers: Option<std::collections::BTreeMap<String, String>>,
    /// Whether it runs at once
    #[schema(nullable = false)]
    autostart: Option<bool>,
    /// Instead of the one processor and the one RTMP output
    #[schema(min_items = 1, max_items = 32, nullable = false)]
    renditions: Option<Vec<RenditionBody>>,
}

/// One end of what a source offers, or limits.
#[derive(serde::Deserialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum VariantBody {
    /// `highest` or `lowest`
    End(VariantEnd),
    /// What a variant may have at most, one of them at least
    Within(VariantLimits),
}

/// One output audio track.
#[derive(serde::Deserialize, ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct RenditionBody {
    /// Unique within the stream; `original` is the source's own
    #[schema(pattern = "^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$", example = "de")]
    name: String,
    /// BCP 47 tag
    #[schema(example = "de")]
    language: Option<String>,
    /// URL of the processor's Socket.IO server
    #[schema(max_length = 4096)]
    audio_processor_url: Option<String>,
    /// What airs where the processor does not deliver
    #[schema(nullable = false)]
    fallback: Option<Fallback>,
    /// Where it goes beside HLS
    #[schema(max_items = 16, nullable = false)]
    outputs: Option<Vec<OutputBody>>,
}

/// One place that a rendition goes.
#[derive(serde::Deserialize, ToSchema)]
pub(crate) struct OutputBody {
    /// `rtmp`
    #[schema(pattern = "^rtmp$", example = "rtmp")]
    r#type: String,
    /// `rtmp://` or `rtmps://` URL: host, application and stream key
    #[schema(max_length = 4096, example = "rtmp://localhost/live/news-de")]
    url: String,
}

/// Other settings; what is left out stays.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct ChangeBody {
    /// URL of a live HLS playlist; needs a restart
    #[schema(max_length = 4096, nullable = false)]
    source_url: Option<String>,
    /// URL of the only rendition's processor
    #[schema(max_length = 4096, nullable = false)]
    audio_processor_url: Option<String>,
    /// The only rendition's RTMP push; null or empty: none
    #[schema(max_length = 4096)]
    srs_rtmp_url: Option<String>,
    /// Seconds of media a batch; needs a restart
    #[schema(minimum = 2, maximum = 120, nullable = false)]
    buffer_duration: Option<f64>,
    /// Seconds that a processor has at least; needs a restart
    #[schema(minimum = 1, maximum = 300, nullable = false)]
    delay: Option<f64>,
    /// Batches with one processor at a time
    #[schema(minimum = 1, maximum = 64, nullable = false)]
    max_concurrent_batches: Option<u32>,
    /// What airs where a processor does not deliver, of all renditions
    #[schema(nullable = false)]
    fallback: Option<Fallback>,
    /// Publish HLS; needs a restart
    #[schema(nullable = false)]
    hls_output: Option<bool>,
    /// Where the next start begins
    #[schema(nullable = false)]
    start: Option<StartAt>,
    /// Which variant of a multivariant playlist; needs a restart
    #[schema(nullable = false)]
    variant: Option<VariantBody>,
    /// BCP 47 tag of the audio to take where the source has several, null: its default; needs a restart
    #[schema(example = "de")]
    audio_language: Option<String>,
    /// Headers by name: a new value, or null for one that is to go; the others stay
    #[schema(nullable = false)]
    source_headers: Option<std::collections::BTreeMap<String, Option<String>>>,
    /// Changes of single renditions, by name
    #[schema(min_items = 1, max_items = 32, nullable = false)]
    renditions: Option<Vec<RenditionBody>>,
}

/// Names a stream.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct StopBody {
    /// The stream's id
    #[schema(pattern = "^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$", example = "news")]
    stream_id: String,
}

/// Which batches may go.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct CleanBody {
    /// The stream's id
    #[schema(pattern = "^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$", example = "news")]
    stream_id: String,
    /// Published batches that stay at least
    #[schema(minimum = 0, maximum = 1000000)]
    keep_last: u64,
}
