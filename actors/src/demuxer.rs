//! The demuxer: a batch's segments to `video.fmp4` and `audio.fmp4`.

mod events;
mod feed;
mod job;
#[cfg(test)]
mod tests;
mod tracks;
mod transcode;

use actix::{Actor, ActorFutureExt, AsyncContext, Context, Handler, Message, WrapFuture};

use job::Attempt;

use crate::files::StreamFiles;
use crate::messages::{DemuxerEvent, Reporter, StoredSegment};

/// Command: demux this batch.
#[derive(Debug, Clone, PartialEq, Message)]
#[rtype(result = "()")]
pub struct DemuxBatch {
    /// The batch's number.
    pub batch: u64,
    /// Whether these are all of its segments. If not, what they hold is written already, without a report.
    pub complete: bool,
    /// Its segments, in order.
    pub segments: Vec<StoredSegment>,
    /// Whether it begins a new epoch.
    pub discontinuity: bool,
    /// Media that was lost right before it, microseconds: the timeline has a hole there.
    pub gap_us: i64,
    /// What the batch before left, as reported.
    pub carry: Option<String>,
}

/// Command: no batch becomes complete any more; leave nothing half written.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub struct DiscardOpen;

/// See the module.
#[derive(Debug)]
pub struct Demuxer {
    files: StreamFiles,
    /// Language of the audio asked for.
    language: Option<String>,
    reporter: Reporter,
    /// What is demuxed of a batch that is not complete.
    open: Option<Attempt>,
    /// Whether the last batch was one that can be demuxed as it comes.
    ahead: bool,
}

impl Demuxer {
    /// A demuxer of the stream whose files these are; of several audio tracks in a segment it takes one of `language`.
    #[must_use]
    pub fn new(files: StreamFiles, language: Option<String>, reporter: Reporter) -> Self {
        Self { files, language, reporter, open: None, ahead: true }
    }

    fn demux(&mut self, command: DemuxBatch, ctx: &mut Context<Self>) {
        let (files, open, batch) = (self.files.clone(), self.open.take(), command.batch);
        let language = self.language.clone();
        let work = crate::pool::run(move || job::demux(&files, &command, language.as_deref(), open));
        ctx.wait(work.into_actor(self).map(move |outcome, this, _| {
            let event = match outcome {
                Ok(Ok(demuxed)) => {
                    this.ahead = demuxed.copied;
                    DemuxerEvent::BatchDemuxed {
                        batch,
                        media: Box::new(demuxed.media),
                        carry: demuxed.carry,
                        leniencies: demuxed.leniencies,
                    }
                }
                Ok(Err(error)) => {
                    let no_space = error.is_for_want_of_space();
                    DemuxerEvent::DemuxFailed { batch, reason: error.to_string(), no_space }
                }
                Err(error) => {
                    let reason = format!("demuxing ended: {error}");
                    DemuxerEvent::DemuxFailed { batch, reason, no_space: false }
                }
            };
            this.reporter.tell(event);
        }));
    }

    /// What cannot be demuxed ahead is told of when the batch is complete, and all of it demuxed then.
    fn demux_ahead(&mut self, command: DemuxBatch, ctx: &mut Context<Self>) {
        let (files, open, batch) = (self.files.clone(), self.open.take(), command.batch);
        let language = self.language.clone();
        let work = crate::pool::run(move || job::demux_ahead(&files, &command, language.as_deref(), open));
        ctx.wait(work.into_actor(self).map(move |outcome, this, _| {
            let problem = match outcome {
                Ok(Ok(open)) => return this.open = Some(open),
                Ok(Err(error)) => error.to_string(),
                Err(error) => error.to_string(),
            };
            tracing::debug!(
                stream = this.files.stream(),
                batch,
                problem,
                "the batch is demuxed when it is complete"
            );
            this.ahead = false;
        }));
    }

    fn discard_open(&mut self) {
        // What is removed with it may lie on a disk that hangs. Without a runtime the process is at its end.
        if let (Some(open), Ok(runtime)) = (self.open.take(), tokio::runtime::Handle::try_current()) {
            runtime.spawn_blocking(move || drop(open));
        }
    }
}

impl Actor for Demuxer {
    type Context = Context<Self>;
}

impl Drop for Demuxer {
    fn drop(&mut self) {
        self.discard_open();
    }
}

impl Handler<DemuxBatch> for Demuxer {
    type Result = ();

    fn handle(&mut self, command: DemuxBatch, ctx: &mut Self::Context) {
        if command.complete {
            self.demux(command, ctx);
        } else if self.ahead {
            self.demux_ahead(command, ctx);
        }
    }
}

impl Handler<DiscardOpen> for Demuxer {
    type Result = ();

    fn handle(&mut self, _: DiscardOpen, _: &mut Self::Context) {
        self.discard_open();
    }
}
