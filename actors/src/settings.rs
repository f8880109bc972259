//! Per-stream settings, stream ids, and URLs shown without their secrets.

mod change;

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use url::Url;
use utoipa::ToSchema;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};

pub use change::{Difference, ImpossibleChange, RenditionChange, SettingsChange, SourceChange, differences};

mod source;

pub use source::{MAX_HEADERS, SourceOptions, VariantChoice, VariantEnd, VariantLimits};

/// Name of the rendition that the plain API's one processor and one RTMP URL make.
pub const MAIN_RENDITION: &str = "main";

/// A stream's id: `[A-Za-z0-9][A-Za-z0-9_-]{0,63}`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct StreamId(Arc<str>);

/// Why a text is not a stream id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a stream id is 1 to 64 characters of A-Z, a-z, 0-9, '_' and '-', the first a letter or digit")]
pub struct InvalidStreamId;

impl StreamId {
    /// Checks `text` and makes it an id.
    pub fn new(text: &str) -> Result<Self, InvalidStreamId> {
        let bytes = text.as_bytes();
        let first_ok = bytes.first().is_some_and(u8::is_ascii_alphanumeric);
        let rest_ok = bytes.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'));
        if first_ok && rest_ok && bytes.len() <= 64 { Ok(Self(text.into())) } else { Err(InvalidStreamId) }
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl utoipa::PartialSchema for StreamId {
    fn schema() -> RefOr<Schema> {
        let form = "^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$";
        ObjectBuilder::new().schema_type(Type::String).pattern(Some(form)).into()
    }
}

impl ToSchema for StreamId {}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for StreamId {
    type Error = InvalidStreamId;
    fn try_from(text: String) -> Result<Self, InvalidStreamId> {
        Self::new(&text)
    }
}

impl From<StreamId> for String {
    fn from(id: StreamId) -> Self {
        id.0.as_ref().to_owned()
    }
}

/// What fills a rendition's slot when its processor did not deliver in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Fallback {
    /// The source's own audio.
    #[default]
    Original,
    /// Silent access units.
    Silence,
    /// No audio at all.
    Drop,
}

/// Where a stream's first segment is taken from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum StartAt {
    /// Three target durations from the end of the playlist (RFC 8216bis 6.3.3).
    #[default]
    Live,
    /// The oldest segment that the playlist lists.
    Window,
}

/// One place a rendition goes, beside HLS.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "lowercase", deny_unknown_fields)]
pub enum OutputSettings {
    /// RTMP push; `{streamId}` in the URL stands for the stream's id.
    Rtmp {
        /// `rtmp://` or `rtmps://` URL: host, application and stream key.
        url: String,
        /// Whether H.265 is sent, as Enhanced RTMP, to a server that does not say that it takes it.
        #[serde(rename = "takesH265", default, skip_serializing_if = "std::ops::Not::not")]
        takes_h265: bool,
    },
}

impl OutputSettings {
    /// RTMP push to `url`; the server says itself whether it takes H.265.
    #[must_use]
    pub fn rtmp(url: String) -> Self {
        Self::Rtmp { url, takes_h265: false }
    }

    /// Where it goes; holds a secret.
    #[must_use]
    pub fn url(&self) -> &str {
        match self {
            Self::Rtmp { url, .. } => url,
        }
    }

    /// The same with the stream key hidden.
    #[must_use]
    pub fn redacted(&self) -> Self {
        match self {
            Self::Rtmp { url, takes_h265 } => Self::Rtmp { url: redact_url(url), takes_h265: *takes_h265 },
        }
    }
}

impl fmt::Debug for OutputSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rtmp { url, takes_h265: false } => write!(f, "Rtmp({})", redact_url(url)),
            Self::Rtmp { url, takes_h265: true } => write!(f, "Rtmp({}, takes H.265)", redact_url(url)),
        }
    }
}

/// One output audio track of a stream.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RenditionSettings {
    /// Unique name within the stream, of a stream id's characters.
    pub name: String,
    /// BCP 47 language tag of the processed audio.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// `ws://`, `wss://`, `http://` or `https://` URL of the processor's Socket.IO server.
    pub audio_processor_url: String,
    /// What fills a slot that the processor did not fill.
    #[serde(default)]
    pub fallback: Fallback,
    /// Where the rendition goes beside HLS.
    #[serde(default)]
    pub outputs: Vec<OutputSettings>,
}

impl fmt::Debug for RenditionSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RenditionSettings")
            .field("name", &self.name)
            .field("audio_processor_url", &redact_url(&self.audio_processor_url))
            .field("outputs", &self.outputs)
            .finish_non_exhaustive()
    }
}

/// Everything that one stream is configured with. Holds secrets: show [`StreamSettings::redacted`] instead.
#[derive(Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct StreamSettings {
    /// The stream's id.
    pub stream_id: StreamId,
    /// `http://` or `https://` URL of a live HLS playlist.
    pub source_url: String,
    /// Seconds of media in a batch, 2 to 120.
    pub buffer_duration: f64,
    /// Seconds that a processor has at least, 1 to 300.
    pub delay: f64,
    /// Batches that may be with one processor at a time, 1 to 64.
    pub max_concurrent_batches: u32,
    /// Whether the HLS output is published.
    pub hls_output: bool,
    /// Where the first segment is taken from.
    pub start: StartAt,
    /// What to take of the source, and what to say to its server.
    #[serde(flatten)]
    pub source: SourceOptions,
    /// The output audio tracks, at least one; the first is heard by default.
    pub renditions: Vec<RenditionSettings>,
}

impl StreamSettings {
    /// The same settings with credentials and stream keys hidden.
    #[must_use]
    pub fn redacted(&self) -> Self {
        let mut shown = self.clone();
        shown.source_url = redact_url(&shown.source_url);
        shown.source = shown.source.redacted();
        for rendition in &mut shown.renditions {
            rendition.audio_processor_url = redact_url(&rendition.audio_processor_url);
            for output in &mut rendition.outputs {
                *output = output.redacted();
            }
        }
        shown
    }
}

impl fmt::Debug for StreamSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamSettings")
            .field("stream_id", &self.stream_id)
            .field("source_url", &redact_url(&self.source_url))
            .field("renditions", &self.renditions)
            .finish_non_exhaustive()
    }
}

/// `text` as it may be shown: user name, password, query values and an RTMP stream key become `***`.
#[must_use]
pub fn redact_url(text: &str) -> String {
    let Ok(mut url) = Url::parse(text) else {
        return "***".to_owned();
    };
    if !url.username().is_empty() {
        // Neither can fail on a URL that bears a user name already.
        let _ = url.set_username("***");
    }
    if url.password().is_some() {
        let _ = url.set_password(Some("***"));
    }
    if let Some(query) = url.query() {
        // What is no name and value may all be secret.
        let hidden = |pair: &str| match pair.split_once('=') {
            Some((name, _)) => format!("{name}=***"),
            None => "***".to_owned(),
        };
        let hidden: Vec<String> = query.split('&').map(hidden).collect();
        url.set_query(Some(&hidden.join("&")));
    }
    url.set_fragment(None);
    if matches!(url.scheme(), "rtmp" | "rtmps") {
        let path = url.path().to_owned();
        if let Some((application, _key)) = path.rsplit_once('/') {
            url.set_path(&format!("{application}/***"));
        }
    }
    url.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_checked() {
        for good in ["a", "A9_-", "0", &"x".repeat(64)] {
            assert!(StreamId::new(good).is_ok(), "{good}");
        }
        for bad in ["", "_a", "-a", "a/b", "a.b", "..", "ä", "a b", "a\0", &"x".repeat(65)] {
            assert!(StreamId::new(bad).is_err(), "{bad}");
        }
        assert!(serde_json::from_str::<StreamId>("\"../x\"").is_err());
    }

    #[test]
    fn shown_urls_bear_no_secret() {
        assert_eq!(redact_url("rtmp://host/live/key?a=1"), "rtmp://host/live/***?a=***");
        assert_eq!(
            redact_url("https://u:p@host/x.m3u8?token=s3cret&b"),
            "https://***:***@host/x.m3u8?token=***&***"
        );
        assert_eq!(redact_url("http://host/x.m3u8"), "http://host/x.m3u8");
        assert_eq!(redact_url("no url with s3cret"), "***");
    }
}
