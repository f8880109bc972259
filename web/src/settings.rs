//! What the server is configured with.

use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use overdub_actors::events::EventHub;
use overdub_actors::settings::{Fallback, StartAt, redact_url};
use serde::{Deserialize, Serialize};

/// Settings of the server.
#[derive(Debug, Clone)]
pub struct WebSettings {
    /// Address or name to bind; anything but loopback needs `auth_tokens`.
    pub host: String,
    /// TCP port; 0 takes a free one.
    pub port: u16,
    /// Threads that serve HTTP.
    pub workers: usize,
    /// What a stream's settings are where a request does not say.
    pub defaults: StreamDefaults,
    /// Accepted bearer tokens, hashed; empty: `/api` is open.
    pub auth_tokens: Vec<TokenHash>,
    /// Accepted tokens that may look and not change, hashed.
    pub read_tokens: Vec<TokenHash>,
    /// Origins, e.g. `https://page.example`, whose pages may use `/api`; the server's own always may.
    pub cors_origins: Vec<String>,
    /// Requests a second that one address may make to `/api`, twice as many at once; 0: no limit.
    pub rate_limit: u32,
    /// What listeners of `/api/events` hear.
    pub events: EventHub,
    /// How long a client may take nothing of what it is sent before its connection is cut.
    pub stalled: Duration,
    /// What `/metrics` shows. The server adds its own counters.
    pub metrics: prometheus::Registry,
}

impl Default for WebSettings {
    fn default() -> Self {
        Self {
            host: "127.0.0.1".to_owned(),
            port: 3000,
            workers: 2,
            defaults: StreamDefaults::default(),
            auth_tokens: Vec::new(),
            read_tokens: Vec::new(),
            cors_origins: Vec::new(),
            rate_limit: 0,
            events: EventHub::default(),
            stalled: Duration::from_secs(60),
            metrics: prometheus::Registry::new(),
        }
    }
}

/// Settings that may be replaced while the server runs. Cloning shares them.
///
/// Where the server listens, and what it counts in, stays as it was at the start.
#[derive(Debug, Clone)]
pub struct SettingsCell(Arc<RwLock<Arc<WebSettings>>>);

impl SettingsCell {
    /// The settings of now.
    #[must_use]
    pub fn get(&self) -> Arc<WebSettings> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Other settings from the next request on.
    pub fn replace(&self, settings: WebSettings) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(settings);
    }
}

impl From<WebSettings> for SettingsCell {
    fn from(settings: WebSettings) -> Self {
        Self(Arc::new(RwLock::new(Arc::new(settings))))
    }
}

impl WebSettings {
    /// Whether `/api` is for bearers of a token alone.
    #[must_use]
    pub fn needs_token(&self) -> bool {
        !self.auth_tokens.is_empty() || !self.read_tokens.is_empty()
    }
}

/// Defaults of a stream, section `[stream]` of the configuration and `fetch.start`.
#[derive(Clone, PartialEq)]
pub struct StreamDefaults {
    /// Seconds of media in a batch.
    pub buffer_duration: f64,
    /// Seconds that a processor has at least.
    pub delay: f64,
    /// Batches that may be with one processor at a time.
    pub max_concurrent_batches: u32,
    /// What fills a slot that the processor did not fill.
    pub fallback: Fallback,
    /// URL of the processor's Socket.IO server.
    pub audio_processor_url: String,
    /// RTMP push URL, `{streamId}` standing for the id; empty: none.
    pub srs_rtmp_url: String,
    /// Whether the HLS output is published.
    pub hls_output: bool,
    /// Where the first segment is taken from.
    pub start: StartAt,
}

impl Default for StreamDefaults {
    fn default() -> Self {
        Self {
            buffer_duration: 30.0,
            delay: 10.0,
            max_concurrent_batches: 3,
            fallback: Fallback::Original,
            audio_processor_url: "ws://localhost:5000".to_owned(),
            srs_rtmp_url: "rtmp://localhost/live/{streamId}".to_owned(),
            hls_output: true,
            start: StartAt::Live,
        }
    }
}

impl fmt::Debug for StreamDefaults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamDefaults")
            .field("buffer_duration", &self.buffer_duration)
            .field("delay", &self.delay)
            .field("audio_processor_url", &redact_url(&self.audio_processor_url))
            .field("srs_rtmp_url", &redact_url(&self.srs_rtmp_url))
            .finish_non_exhaustive()
    }
}

/// SHA-256 of an accepted bearer token, read from 64 hexadecimal digits.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TokenHash(pub(crate) [u8; 32]);

/// Why a text is not a token's hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a token is stored as its SHA-256 in 64 hexadecimal digits, e.g. from: printf %s TOKEN | sha256sum")]
pub struct InvalidTokenHash;

impl FromStr for TokenHash {
    type Err = InvalidTokenHash;

    fn from_str(text: &str) -> Result<Self, InvalidTokenHash> {
        let digits = text.as_bytes();
        if digits.len() != 64 {
            return Err(InvalidTokenHash);
        }
        let mut hash = [0; 32];
        for (byte, pair) in hash.iter_mut().zip(digits.chunks_exact(2)) {
            let high = hex_digit(pair[0]).ok_or(InvalidTokenHash)?;
            let low = hex_digit(pair[1]).ok_or(InvalidTokenHash)?;
            *byte = high << 4 | low;
        }
        Ok(Self(hash))
    }
}

fn hex_digit(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

impl TryFrom<String> for TokenHash {
    type Error = InvalidTokenHash;
    fn try_from(text: String) -> Result<Self, InvalidTokenHash> {
        text.parse()
    }
}

impl From<TokenHash> for String {
    fn from(hash: TokenHash) -> Self {
        hash.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenHash(***)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_hash_is_64_hexadecimal_digits_of_either_case() {
        let text = "9F86D081884C7D659A2FEAA0C55AD015a3bf4f1b2b0b822cd15d6c15b0f00a08";
        let hash: TokenHash = text.parse().unwrap();
        assert_eq!(String::from(hash), text.to_lowercase());
        for bad in ["", "9f", &"g".repeat(64), &"0".repeat(63), &"0".repeat(65), &"ä".repeat(32)] {
            assert_eq!(bad.parse::<TokenHash>(), Err(InvalidTokenHash), "{bad}");
        }
    }

    #[test]
    fn debugging_shows_no_secret() {
        let defaults = StreamDefaults {
            audio_processor_url: "ws://user:hunter2@host".to_owned(),
            srs_rtmp_url: "rtmp://host/live/hunter2".to_owned(),
            ..StreamDefaults::default()
        };
        let settings = WebSettings { defaults, ..WebSettings::default() };
        assert!(!format!("{settings:?}").contains("hunter2"));
    }
}
