//! Bodies to settings: pure, and every error names its field, what came and what is allowed.
//!
//! | module | what |
//! | --- | --- |
//! | [`fields`] | one JSON object read field by field, all errors gathered |
//! | [`urls`] | the kinds of URL |
//! | [`renditions`] | `renditions` and their outputs |
//! | [`source`] | what to take of the source |
//! | [`change`] | changes of a stream's settings |
//! | [`webhook`] | webhooks |
//! | [`describe`] | the bodies' description |

pub mod change;
pub mod describe;
pub mod fields;
pub mod renditions;
pub mod source;
pub mod urls;
pub mod webhook;

use std::ops::RangeInclusive;

use overdub_actors::settings::{
    Fallback, MAIN_RENDITION, OutputSettings, RenditionSettings, SourceOptions, StartAt, StreamId,
    StreamSettings,
};
use serde_json::{Map, Value};

pub use self::fields::FieldError;
use self::fields::Fields;
use crate::settings::StreamDefaults;

/// Seconds of media in a batch.
pub const BUFFER_DURATION_S: RangeInclusive<f64> = 2.0..=120.0;
/// Seconds that a processor has at least.
pub const DELAY_S: RangeInclusive<f64> = 1.0..=300.0;
/// Batches that may be with one processor at a time.
pub const MAX_CONCURRENT_BATCHES: RangeInclusive<u64> = 1..=64;
/// Published batches that a clean-up may be told to keep.
pub const KEEP_LAST: RangeInclusive<u64> = 0..=1_000_000;
/// Names of the fallbacks.
pub const FALLBACKS: [(&str, Fallback); 3] =
    [("original", Fallback::Original), ("silence", Fallback::Silence), ("drop", Fallback::Drop)];
/// Names of the places to start at.
pub const STARTS: [(&str, StartAt); 2] = [("live", StartAt::Live), ("window", StartAt::Window)];
/// What a stream's id, or a rendition's name, looks like.
pub const ID_FORM: &str = "[A-Za-z0-9][A-Za-z0-9_-]{0,63}";

/// A checked `POST /api/streams`.
#[derive(Debug, Clone, PartialEq)]
pub struct NewStream {
    /// The stream's settings.
    pub settings: StreamSettings,
    /// Whether it is to run at once.
    pub autostart: bool,
}

/// A checked `POST /api/storage/clean`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clean {
    /// Which stream.
    pub id: StreamId,
    /// How many published batches stay at least.
    pub keep_last: u64,
}

/// Checks the body of `POST /api/pipeline/start`: exactly the plain fields.
pub fn plain_start(
    body: Map<String, Value>,
    defaults: &StreamDefaults,
) -> Result<StreamSettings, Vec<FieldError>> {
    let mut fields = Fields::new(body);
    let (id, source_url, buffer_duration) = common(&mut fields, defaults);
    let rendition = main_rendition(&mut fields, &id, defaults, defaults.fallback);
    fields.finish("POST /api/streams takes more settings")?;
    Ok(StreamSettings {
        stream_id: id,
        source_url,
        buffer_duration,
        delay: defaults.delay,
        max_concurrent_batches: defaults.max_concurrent_batches,
        hls_output: defaults.hls_output,
        start: defaults.start,
        source: SourceOptions::default(),
        renditions: vec![rendition],
    })
}

/// Checks the body of `POST /api/streams`.
pub fn new_stream(body: Map<String, Value>, defaults: &StreamDefaults) -> Result<NewStream, Vec<FieldError>> {
    let mut fields = Fields::new(body);
    let (id, source_url, buffer_duration) = common(&mut fields, defaults);
    let delay = fields.number("delay", "seconds", DELAY_S, defaults.delay);
    let concurrent = fields
        .integer("maxConcurrentBatches", MAX_CONCURRENT_BATCHES)
        .unwrap_or(u64::from(defaults.max_concurrent_batches));
    let fallback = fields.choice("fallback", &FALLBACKS, defaults.fallback);
    let hls_output = fields.boolean("hlsOutput", defaults.hls_output);
    let start = fields.choice("start", &STARTS, defaults.start);
    let source = source::read(&mut fields);
    let autostart = fields.boolean("autostart", true);
    let renditions = match fields.take("renditions") {
        Some(list) => {
            for plain in ["audioProcessorUrl", "srsRtmpUrl"] {
                if fields.take(plain).is_some() {
                    let message =
                        format!("{plain} cannot stand beside renditions; put it into each rendition instead");
                    fields.error(plain, message, None);
                }
            }
            renditions::read(&mut fields, list, &id, defaults, fallback)
        }
        None => vec![main_rendition(&mut fields, &id, defaults, fallback)],
    };
    if !hls_output && renditions.iter().all(|rendition| rendition.outputs.is_empty()) && fields.is_clean() {
        let message = "the stream has no output; set hlsOutput to true or give an RTMP URL".to_owned();
        fields.error("hlsOutput", message, None);
    }
    fields.finish("")?;
    Ok(NewStream {
        settings: StreamSettings {
            stream_id: id,
            source_url,
            buffer_duration,
            delay,
            max_concurrent_batches: u32::try_from(concurrent).unwrap_or(u32::MAX),
            hls_output,
            start,
            source,
            renditions,
        },
        autostart,
    })
}

/// Checks the body of `POST /api/pipeline/stop`.
pub fn stop(body: Map<String, Value>) -> Result<StreamId, Vec<FieldError>> {
    let mut fields = Fields::new(body);
    let id = fields.stream_id();
    fields.finish("")?;
    Ok(id)
}

/// Checks the body of `POST /api/storage/clean`.
pub fn clean(body: Map<String, Value>) -> Result<Clean, Vec<FieldError>> {
    let mut fields = Fields::new(body);
    let id = fields.stream_id();
    let keep_last = fields.integer("keepLast", KEEP_LAST);
    if keep_last.is_none() {
        fields.missing("keepLast", "how many published batches stay", "an integer from 0");
    }
    fields.finish("")?;
    Ok(Clean { id, keep_last: keep_last.unwrap_or(u64::MAX) })
}

/// Checks `[stream]` of the configuration by the API's rules; fields bear the configuration's names.
#[must_use]
pub fn defaults(defaults: &StreamDefaults) -> Vec<FieldError> {
    let mut fields = Fields::new(Map::new());
    fields.check_number("buffer_duration", "seconds", &BUFFER_DURATION_S, defaults.buffer_duration);
    fields.check_number("delay", "seconds", &DELAY_S, defaults.delay);
    if !MAX_CONCURRENT_BATCHES.contains(&u64::from(defaults.max_concurrent_batches)) {
        let message = format!(
            "max_concurrent_batches must be an integer from 1 to 64; got {}",
            defaults.max_concurrent_batches
        );
        fields.error("max_concurrent_batches", message, Some("1 to 64".to_owned()));
    }
    if let Err(wrong) = urls::processor(&defaults.audio_processor_url) {
        fields.wrong_url("audio_processor_url", &wrong);
    }
    let any_id = StreamId::new("id").expect("`id` is an id");
    if !defaults.srs_rtmp_url.is_empty()
        && let Err(wrong) = urls::rtmp(&defaults.srs_rtmp_url, &any_id)
    {
        fields.wrong_url("srs_rtmp_url", &wrong);
    }
    fields.finish("").err().unwrap_or_default()
}

/// What all starts share: id, source, buffer. After an error the values stand in and are not used.
fn common(fields: &mut Fields, defaults: &StreamDefaults) -> (StreamId, String, f64) {
    let id = fields.stream_id();
    let source_url = match fields.text("sourceUrl") {
        Some(text) => fields.url("sourceUrl", urls::source(&text)),
        None => {
            fields.missing("sourceUrl", "the URL of a live HLS playlist", urls::SOURCE_FORM);
            String::new()
        }
    };
    let buffer_duration =
        fields.number("bufferDuration", "seconds", BUFFER_DURATION_S, defaults.buffer_duration);
    (id, source_url, buffer_duration)
}

/// The one rendition that the plain fields make.
fn main_rendition(
    fields: &mut Fields,
    id: &StreamId,
    defaults: &StreamDefaults,
    fallback: Fallback,
) -> RenditionSettings {
    let processor = fields.text("audioProcessorUrl").unwrap_or_else(|| defaults.audio_processor_url.clone());
    let audio_processor_url = fields.url("audioProcessorUrl", urls::processor(&processor));
    // An explicit null or empty text asks for no RTMP output; an absent field for the default one.
    let target = match fields.take("srsRtmpUrl") {
        Some(Value::Null) => String::new(),
        Some(value) => fields.as_text("srsRtmpUrl", value).unwrap_or_default(),
        None => defaults.srs_rtmp_url.clone(),
    };
    let outputs = if target.is_empty() {
        Vec::new()
    } else {
        vec![OutputSettings::rtmp(fields.url("srsRtmpUrl", urls::rtmp(&target, id)))]
    };
    RenditionSettings {
        name: MAIN_RENDITION.to_owned(),
        language: None,
        audio_processor_url,
        fallback,
        outputs,
    }
}

#[cfg(test)]
mod tests;
