//! Lines of the log.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::clock::UnixMicros;
use crate::settings::StreamId;

/// How grave a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// Something is broken.
    Error,
    /// Something is amiss.
    Warn,
    /// Something worth knowing.
    Info,
    /// Everything else.
    Debug,
}

impl LogLevel {
    /// Every level, the gravest first.
    pub const ALL: [Self; 4] = [Self::Error, Self::Warn, Self::Info, Self::Debug];

    /// The level's name in API and files.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
        }
    }

    /// The level of this name.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|level| level.name() == name)
    }
}

impl From<&tracing::Level> for LogLevel {
    fn from(level: &tracing::Level) -> Self {
        match *level {
            tracing::Level::ERROR => Self::Error,
            tracing::Level::WARN => Self::Warn,
            tracing::Level::INFO => Self::Info,
            _ => Self::Debug,
        }
    }
}

/// One line, without secrets.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LogLine {
    /// When; the event bears it as its own time.
    #[serde(skip)]
    pub at: UnixMicros,
    /// How grave.
    pub level: LogLevel,
    /// The module that wrote it.
    pub target: String,
    /// What it says.
    pub message: String,
    /// The stream that it is about, if it is about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream_id: Option<StreamId>,
    /// Everything else that it says.
    pub fields: Map<String, Value>,
}
