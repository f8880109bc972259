//! Replies to disk, one at a time, off the arbiter's thread.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use tokio::sync::mpsc;

use crate::messages::{AudioFormat, FragmentFault, LinkEvent, Reporter};

/// A reply's audio on its way to disk.
#[derive(Debug)]
pub struct Storing {
    /// The batch's number.
    pub batch: u64,
    /// Where it goes.
    pub path: PathBuf,
    /// The audio.
    pub audio: Bytes,
    /// What it is.
    pub format: AudioFormat,
    /// The reply's metadata.
    pub metadata: Option<String>,
}

/// Stores what comes and reports each, until the sender is gone.
pub async fn run(mut replies: mpsc::Receiver<Storing>, reporter: Reporter) {
    while let Some(Storing { batch, path, audio, format, metadata }) = replies.recv().await {
        let bytes = audio.len() as u64;
        let shown = path.display().to_string();
        let stored = tokio::task::spawn_blocking(move || store(&path, &audio)).await;
        let event = match stored.map_err(io::Error::other).and_then(|stored| stored) {
            Ok(()) => LinkEvent::FragmentProcessed { batch, bytes, format, metadata },
            Err(error) => {
                let detail = format!("{shown}: {error}");
                LinkEvent::FragmentFailed { batch, fault: FragmentFault::File { detail } }
            }
        };
        reporter.tell(event);
    }
}

/// Writes `data` beside `path` and renames it into place, so that `path` is whole or not there.
fn store(path: &Path, data: &[u8]) -> io::Result<()> {
    // A link that was just replaced may still be writing the same reply: names are never shared.
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(format!(".{}.part", NEXT.fetch_add(1, Ordering::Relaxed)));
    let temporary = PathBuf::from(temporary);
    let stored = std::fs::write(&temporary, data).and_then(|()| std::fs::rename(&temporary, path));
    if stored.is_err() {
        // Nothing is to be done about a file that cannot be removed either; its folder goes in time.
        let _ = std::fs::remove_file(&temporary);
    }
    stored
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_is_whole_or_not_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("processed_audio.fmp4");
        store(&path, b"one").unwrap();
        store(&path, b"two").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"two");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        assert!(store(&folder.path().join("missing/x"), b"").is_err());
        // A folder in the way: the rename fails, and nothing is left behind.
        std::fs::create_dir(folder.path().join("taken")).unwrap();
        std::fs::write(folder.path().join("taken/file"), b"").unwrap();
        assert!(store(&folder.path().join("taken"), b"x").is_err());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
    }
}
