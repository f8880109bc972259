//! The demuxer: a batch's segments to `video.fmp4` and `audio.fmp4`.

mod events;
mod feed;
mod job;
mod transcode;

use actix::{Actor, ActorFutureExt, AsyncContext, Context, Handler, Message, WrapFuture};

use crate::files::StreamFiles;
use crate::messages::{DemuxerEvent, Reporter, StoredSegment};

/// Command: demux this batch.
#[derive(Debug, Clone, Message)]
#[rtype(result = "()")]
pub struct DemuxBatch {
    /// The batch's number.
    pub batch: u64,
    /// Its segments, in order.
    pub segments: Vec<StoredSegment>,
    /// Whether it begins a new epoch.
    pub discontinuity: bool,
    /// Media that was lost right before it, microseconds: the timeline has a hole there.
    pub gap_us: i64,
    /// What the batch before left, as reported.
    pub carry: Option<String>,
}

/// See the module.
#[derive(Debug)]
pub struct Demuxer {
    files: StreamFiles,
    reporter: Reporter,
}

impl Demuxer {
    /// A demuxer of the stream whose files these are.
    #[must_use]
    pub fn new(files: StreamFiles, reporter: Reporter) -> Self {
        Self { files, reporter }
    }
}

impl Actor for Demuxer {
    type Context = Context<Self>;
}

impl Handler<DemuxBatch> for Demuxer {
    type Result = ();

    fn handle(&mut self, command: DemuxBatch, ctx: &mut Self::Context) {
        let files = self.files.clone();
        let batch = command.batch;
        let work = crate::pool::run(move || job::demux(&files, &command));
        ctx.wait(work.into_actor(self).map(move |outcome, this, _| {
            let event = match outcome {
                Ok(Ok(demuxed)) => DemuxerEvent::BatchDemuxed {
                    batch,
                    media: Box::new(demuxed.media),
                    carry: demuxed.carry,
                    leniencies: demuxed.leniencies,
                },
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
}
