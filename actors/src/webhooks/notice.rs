//! What webhooks are told.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::clock::{UnixMicros, now, rfc3339};
use crate::settings::StreamId;

/// Kinds of notices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum HookEvent {
    /// A stream's state has changed.
    #[serde(rename = "stream.state")]
    StreamState,
    /// A rendition's slots are filled by the fallback from now on.
    #[serde(rename = "fallback.started")]
    FallbackStarted,
    /// A rendition's processor delivers again.
    #[serde(rename = "fallback.ended")]
    FallbackEnded,
    /// An output is connected.
    #[serde(rename = "output.up")]
    OutputUp,
    /// An output is not connected any more.
    #[serde(rename = "output.down")]
    OutputDown,
    /// Somebody pressed the button.
    #[serde(rename = "test")]
    Test,
}

impl HookEvent {
    /// Every kind that a webhook can ask for.
    pub const ALL: [Self; 5] =
        [Self::StreamState, Self::FallbackStarted, Self::FallbackEnded, Self::OutputUp, Self::OutputDown];

    /// The kind's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::StreamState => "stream.state",
            Self::FallbackStarted => "fallback.started",
            Self::FallbackEnded => "fallback.ended",
            Self::OutputUp => "output.up",
            Self::OutputDown => "output.down",
            Self::Test => "test",
        }
    }
}

/// One thing that happened.
#[derive(Debug, Clone, PartialEq)]
pub struct Notice {
    /// Unique to it; the same in each attempt to deliver it.
    pub id: String,
    /// What happened.
    pub event: HookEvent,
    /// When.
    pub at: UnixMicros,
    /// To which stream.
    pub stream: Option<StreamId>,
    /// Everything else, by the kind.
    pub data: Value,
}

impl Notice {
    /// A notice of this moment.
    #[must_use]
    pub fn new(event: HookEvent, stream: StreamId, data: Value) -> Self {
        Self { stream: Some(stream), data, ..Self::bare(event) }
    }

    /// What the test button sends.
    #[must_use]
    pub fn test() -> Self {
        Self::bare(HookEvent::Test)
    }

    fn bare(event: HookEvent) -> Self {
        Self {
            id: format!("{:016x}{:016x}", fastrand::u64(..), fastrand::u64(..)),
            event,
            at: now(),
            stream: None,
            data: json!({}),
        }
    }

    /// The body that is posted.
    pub(super) fn body(&self) -> String {
        let body = json!({
            "id": self.id,
            "event": self.event,
            "at": rfc3339(self.at),
            "streamId": self.stream,
            "data": self.data,
        });
        body.to_string()
    }
}
