//! What is done to a fragment's audio.

use std::num::NonZero;
use std::time::Duration;

use bytes::Bytes;
use overdub_actors::link::sniff;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::ffmpeg;

/// What the processor does.
#[derive(Debug)]
pub enum Work {
    /// Sends the same bytes back.
    Echo,
    /// Runs an FFmpeg audio filter.
    Filter(String),
}

/// Does the work, so many at a time as there are cores.
#[derive(Debug)]
pub struct Worker {
    work: Work,
    delay: Duration,
    children: Semaphore,
}

/// What a fragment says of its sound; the answer has the same rate and channels.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Sound {
    /// Samples a second.
    #[serde(default)]
    pub sample_rate: Option<u32>,
    /// Number of channels.
    #[serde(default)]
    pub channels: Option<u8>,
}

/// A fragment's answer.
#[derive(Debug)]
pub struct Done {
    /// The audio.
    pub audio: Bytes,
    /// What was done, for `metadata`.
    pub metadata: Value,
}

/// Why there is none.
#[derive(Debug)]
pub struct Refusal {
    /// For people.
    pub error: String,
    /// For programs.
    pub code: &'static str,
}

impl Refusal {
    /// The fragment's data is not audio.
    pub fn not_audio(detail: String) -> Self {
        Self { error: detail, code: "NOT_AUDIO" }
    }

    /// Too much is in hand.
    pub fn busy() -> Self {
        Self { error: "too many fragments at once".to_owned(), code: "BUSY" }
    }
}

impl Worker {
    /// A worker that answers `delay` later than it could.
    pub fn new(work: Work, delay: Duration) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
        Self { work, delay, children: Semaphore::new(cores) }
    }

    /// Works on one fragment's audio.
    pub async fn work(&self, audio: Bytes, sound: Sound) -> Result<Done, Refusal> {
        let began = Instant::now();
        let (audio, mut metadata) = match &self.work {
            Work::Echo => (audio, json!({ "processor": "overdub", "mode": "echo" })),
            Work::Filter(filter) => {
                let Some(format) = sniff::sniff(&audio) else {
                    return Err(Refusal::not_audio(format!(
                        "data is not audio: {}",
                        sniff::describe(&audio)
                    )));
                };
                let _permit = self.children.acquire().await.map_err(|_| Refusal::busy())?;
                let audio = ffmpeg::filter(filter, audio, format, sound)
                    .await
                    .map_err(|error| Refusal { error: error.to_string(), code: "FILTER_FAILED" })?;
                (audio, json!({ "processor": "overdub", "mode": "af", "filter": filter }))
            }
        };
        tokio::time::sleep_until(began + self.delay).await;
        metadata["processingMs"] = json!(u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX));
        Ok(Done { audio, metadata })
    }
}
