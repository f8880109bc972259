//! What happens, told to whoever listens at this moment: typed, versioned JSON.
//!
//! | file | what |
//! | --- | --- |
//! | `hub` | one ring for all listeners; nothing is written while nobody listens |
//! | `log` | lines of the log, and their levels |
//!
//! Every event is one JSON object `{"v":1,"type":…,"at":…, …}`, written once however many listen.

mod hub;
mod log;

pub use hub::{EventHub, Heard, RING, Subscription};
pub use log::{LogLevel, LogLine};

use serde::Serialize;
use serde_json::{Map, Value};

use crate::clock;
use crate::requests::{BatchView, StreamView};
use crate::settings::StreamId;

/// Version of the events' form, member `v`.
pub const EVENTS_VERSION: u32 = 1;

/// One event, ready to be sent.
#[derive(Debug, PartialEq, Eq)]
pub struct Event {
    /// The stream that it is about, if it is about one.
    pub stream: Option<StreamId>,
    /// Level of a log line; none on everything else.
    pub level: Option<LogLevel>,
    /// Why no event will come after this one.
    pub end: Option<String>,
    /// The JSON object.
    pub text: String,
}

/// What an event says, beside its version and time.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "lowercase", rename_all_fields = "camelCase")]
pub enum Happening<'a> {
    /// Everything as it is when a listener comes: always its first event.
    Snapshot {
        /// All streams that it listens to.
        streams: &'a [StreamView],
        /// Newest batches first, of the one stream that it listens to.
        #[serde(skip_serializing_if = "Map::is_empty")]
        batches: Map<String, Value>,
    },
    /// A stream as it is now.
    Stream {
        /// The stream.
        stream: &'a StreamView,
    },
    /// A batch as it is now.
    Batch {
        /// Whose.
        stream_id: &'a StreamId,
        /// The batch.
        batch: &'a BatchView,
    },
    /// A stream is gone.
    Deleted {
        /// Which.
        stream_id: &'a StreamId,
    },
    /// A line of the log.
    Log(&'a LogLine),
    /// No more events will come on this connection.
    Closing {
        /// Why.
        reason: &'a str,
    },
}

#[derive(Serialize)]
struct Envelope<'a> {
    v: u32,
    #[serde(flatten)]
    happening: &'a Happening<'a>,
    at: String,
}

impl Happening<'_> {
    /// The event's JSON.
    #[must_use]
    pub fn text(&self) -> String {
        let at = match self {
            Self::Log(line) => line.at,
            _ => clock::now(),
        };
        let envelope = Envelope { v: EVENTS_VERSION, happening: self, at: clock::rfc3339(at) };
        // Views hold nothing that JSON cannot: their maps' keys are texts.
        serde_json::to_string(&envelope).unwrap_or_default()
    }

    fn event(&self) -> Event {
        let (stream, level) = match self {
            Self::Stream { stream } => (Some(stream.stream_id.clone()), None),
            Self::Batch { stream_id, .. } | Self::Deleted { stream_id } => (Some((*stream_id).clone()), None),
            Self::Log(line) => (line.stream_id.clone(), Some(line.level)),
            Self::Snapshot { .. } | Self::Closing { .. } => (None, None),
        };
        let end = match self {
            Self::Closing { reason } => Some((*reason).to_owned()),
            _ => None,
        };
        Event { stream, level, end, text: self.text() }
    }
}
