//! A batch's audio from disk, off the arbiter's thread, held against the server's limit.

use std::pin::Pin;

use bytes::Bytes;

use super::fragments;
use crate::messages::{FragmentFault, SendFragment};

/// A batch on its way from disk.
pub type Loading = Pin<Box<dyn Future<Output = Loaded>>>;

/// A batch that was loaded, or why it was not.
#[derive(Debug)]
pub struct Loaded {
    /// The batch's number.
    pub batch: u64,
    /// The text message of its event, and the audio that follows it.
    pub outcome: Result<(String, Bytes), FragmentFault>,
}

/// Begins to load a batch, unless it is larger than `limit`.
#[must_use]
pub fn start(namespace: String, command: SendFragment, limit: Option<u64>) -> Loading {
    Box::pin(async move {
        let outcome = load(&namespace, &command, limit).await;
        Loaded { batch: command.batch, outcome }
    })
}

/// Waits for what is being loaded; for ever while nothing is. Loses nothing when dropped half-way.
pub async fn finish(loading: &mut Option<Loading>) -> Loaded {
    match loading {
        Some(loading) => loading.as_mut().await,
        None => std::future::pending().await,
    }
}

async fn load(
    namespace: &str,
    command: &SendFragment,
    limit: Option<u64>,
) -> Result<(String, Bytes), FragmentFault> {
    let path = &command.audio_path;
    let fault = |what: String| FragmentFault::File { detail: format!("{}: {what}", path.display()) };
    let header = fragments::encode_data(namespace, &command.fragment).map_err(|e| fault(e.to_string()))?;
    // Servers hold every WebSocket message against their limit, and the audio is one by itself.
    let check = |audio_len: u64| {
        let size = audio_len.max(header.len() as u64);
        match limit {
            Some(limit) if size > limit => Err(FragmentFault::TooLarge { size, limit }),
            _ => Ok(()),
        }
    };
    let metadata = tokio::fs::metadata(path).await.map_err(|error| fault(error.to_string()))?;
    check(metadata.len())?;
    let audio = tokio::fs::read(path).await.map_err(|error| fault(error.to_string()))?;
    check(audio.len() as u64)?;
    Ok((header, audio.into()))
}
