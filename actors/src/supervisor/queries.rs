//! What the registry asks of a stream, and cleaning.

use std::io;
use std::path::{Path, PathBuf};

use actix::{ActorFutureExt, AsyncContext, Context, Handler, Message, MessageResult, WrapFuture};
use tokio::sync::oneshot;

use super::StreamSupervisor;
use crate::files::folder_size;
use crate::ledger::{BatchRecord, Event};
use crate::messages::StoredSegment;
use crate::requests::{BatchView, StreamView};

/// The stream as shown.
#[derive(Debug, Message)]
#[rtype(result = "Box<StreamView>")]
pub struct ReadView;

/// Its batches, newest first.
#[derive(Debug, Message)]
#[rtype(result = "Vec<BatchView>")]
pub struct ReadBatches {
    /// At most this many.
    pub limit: usize,
    /// Only batches with a lower number.
    pub before: Option<u64>,
}

/// Remove the files of published batches but the newest `keep`. Answers with one receiver a batch that goes,
/// which is told the bytes freed when its files are gone.
#[derive(Debug, Message)]
#[rtype(result = "Vec<oneshot::Receiver<u64>>")]
pub struct CleanNow {
    /// How many published batches stay at least.
    pub keep: u64,
}

impl Handler<ReadView> for StreamSupervisor {
    type Result = MessageResult<ReadView>;

    fn handle(&mut self, _: ReadView, _: &mut Self::Context) -> Self::Result {
        MessageResult(Box::new(self.view()))
    }
}

impl Handler<ReadBatches> for StreamSupervisor {
    type Result = Vec<BatchView>;

    fn handle(&mut self, query: ReadBatches, _: &mut Self::Context) -> Self::Result {
        self.batch_views(query.limit, query.before)
    }
}

impl Handler<CleanNow> for StreamSupervisor {
    type Result = MessageResult<CleanNow>;

    fn handle(&mut self, command: CleanNow, ctx: &mut Self::Context) -> Self::Result {
        let mut receivers = Vec::new();
        for number in self.ledger.cleanable(command.keep) {
            let Some(batch) = self.ledger.batches().get(&number) else { continue };
            if self.cleaning.contains(&number) {
                continue;
            }
            let segments = batch.segments.iter().flat_map(StoredSegment::paths).cloned().collect();
            let (freed, receiver) = oneshot::channel();
            self.clean(number, segments, Some(freed), ctx);
            receivers.push(receiver);
        }
        MessageResult(receivers)
    }
}

impl StreamSupervisor {
    /// Init sections of the batch's epoch, if no other batch on disk is of it.
    fn unused_init(&self, batch: u64) -> Vec<PathBuf> {
        let epoch_of = |record: &BatchRecord| record.media.as_ref().map(|media| media.epoch);
        let batches = self.ledger.batches();
        let Some(epoch) = batches.get(&batch).and_then(epoch_of) else { return Vec::new() };
        if batches.values().any(|other| other.number != batch && epoch_of(other) == Some(epoch)) {
            return Vec::new();
        }
        vec![self.files.video_init(epoch), self.files.audio_init(epoch)]
    }

    /// Removes a batch's folder and its segments.
    pub(super) fn clean(
        &mut self,
        batch: u64,
        segments: Vec<PathBuf>,
        freed: Option<oneshot::Sender<u64>>,
        ctx: &mut Context<Self>,
    ) {
        if !self.cleaning.insert(batch) {
            return;
        }
        let folder = self.files.batch(batch);
        let mut files = segments;
        files.extend(self.unused_init(batch));
        let removal = tokio::task::spawn_blocking(move || remove(&folder, &files));
        ctx.spawn(removal.into_actor(self).map(move |outcome, this, ctx| {
            this.cleaning.remove(&batch);
            match outcome {
                Ok((bytes, problems)) => {
                    for problem in problems {
                        tracing::warn!(stream = this.id(), batch, problem, "a file could not be removed");
                    }
                    if let Some(freed) = freed {
                        // Nobody may be waiting any more.
                        let _ = freed.send(bytes);
                    }
                }
                Err(error) => tracing::error!(stream = this.id(), batch, %error, "cleaning ended"),
            }
            this.feed(Event::BatchCleaned { batch }, ctx);
        }));
    }
}

/// Removes the folder and the files; returns the bytes freed and what could not be removed.
fn remove(folder: &Path, segments: &[PathBuf]) -> (u64, Vec<String>) {
    let (mut bytes, mut problems) = (0, Vec::new());
    let size = folder_size(folder).unwrap_or(0);
    let mut note = |path: &Path, size: u64, outcome: io::Result<()>| match outcome {
        Ok(()) => bytes += size,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => problems.push(format!("{}: {error}", path.display())),
    };
    note(folder, size, std::fs::remove_dir_all(folder));
    for path in segments {
        let size = std::fs::metadata(path).map_or(0, |metadata| metadata.len());
        note(path, size, std::fs::remove_file(path));
    }
    (bytes, problems)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn freed_bytes_count_the_segments_as_well() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("batch-0");
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(folder.join("video.fmp4"), [0; 300]).unwrap();
        let segments = [root.path().join("segment-0.ts"), root.path().join("segment-1.ts")];
        std::fs::write(&segments[0], [0; 188]).unwrap();
        assert_eq!(remove(&folder, &segments), (488, vec![]));
        assert_eq!(std::fs::read_dir(root.path()).unwrap().count(), 0);
        assert_eq!(remove(&folder, &segments), (0, vec![]));
    }
}
