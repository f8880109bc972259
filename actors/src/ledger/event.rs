//! What the ledger is told and what it tells to do.

use std::path::PathBuf;
use std::sync::Arc;

use super::records::{FallbackReason, SkipReason};
use crate::demuxer::DemuxBatch;
use crate::files::NewestFiles;
use crate::messages::{
    AirClock, AudioFormat, BatchMedia, ChildId, Cut, FitReport, FragmentFault, OutputFragment, StoredSegment,
};

/// Something that happened.
#[derive(Debug, Clone)]
pub enum Event {
    /// The source's playlist gives this target duration.
    TargetDurationRead {
        /// Seconds.
        seconds: u32,
    },
    /// A segment lies on disk.
    SegmentStored(StoredSegment),
    /// A segment could not be had.
    SegmentLost {
        /// The source's media sequence number.
        media_sequence: u64,
        /// Its length in microseconds, 0 where unknown.
        duration_us: i64,
    },
    /// The source has ended.
    SourceEnded,
    /// A batch is demuxed.
    BatchDemuxed {
        /// Its number.
        batch: u64,
        /// What it holds.
        media: Box<BatchMedia>,
        /// What demuxing the next batch must know.
        carry: String,
    },
    /// A batch could not be demuxed.
    DemuxFailed {
        /// Its number.
        batch: u64,
        /// The error.
        detail: String,
        /// Whether the disk is full: no fault of the batch, which is tried again without counting.
        no_space: bool,
    },
    /// The processor is connected, or not.
    LinkChanged {
        /// The rendition's index.
        rendition: usize,
        /// Whether fragments can go.
        connected: bool,
    },
    /// The processor's audio is on disk.
    FragmentProcessed {
        /// The batch.
        batch: u64,
        /// The rendition's index.
        rendition: usize,
        /// What it is.
        format: AudioFormat,
        /// Its metadata, JSON.
        metadata: Option<String>,
    },
    /// The processor will give none.
    FragmentFailed {
        /// The batch.
        batch: u64,
        /// The rendition's index.
        rendition: usize,
        /// Why.
        fault: FragmentFault,
    },
    /// A slot is filled.
    BatchRemuxed {
        /// The batch.
        batch: u64,
        /// The rendition's index.
        rendition: usize,
        /// Fragments of the fitted audio.
        audio_cuts: Vec<Cut>,
        /// Fragments of the output file.
        output: Vec<OutputFragment>,
        /// How.
        fit: FitReport,
    },
    /// A slot could not be filled.
    RemuxFailed {
        /// The batch.
        batch: u64,
        /// The rendition's index.
        rendition: usize,
        /// The error.
        detail: String,
        /// Whether the disk is full: no fault of the batch, which is tried again without counting.
        no_space: bool,
    },
    /// An output has aired a batch.
    BatchAired {
        /// The batch.
        batch: u64,
        /// The output.
        output: Arc<str>,
        /// Samples sent.
        sent: u64,
        /// Samples that could not be sent.
        missed: u64,
        /// Latest departure after air time, microseconds.
        max_lateness_us: i64,
        /// Bytes sent.
        bytes: u64,
    },
    /// A child has been replaced and knows nothing: it must be told again.
    ChildReplaced(ChildId),
    /// A batch's files are gone.
    BatchCleaned {
        /// The batch.
        batch: u64,
    },
    /// What lies on disk at the start of a run.
    FilesFound(NewestFiles),
    /// The user stopped the stream and its outputs have ended: what has not aired never will.
    RunEnded,
    /// A deadline may have come.
    TimePassed,
}

/// Something to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Demux a batch, or what there is of the open one.
    Demux(DemuxBatch),
    /// Send a batch's audio to a processor.
    Send {
        /// The batch.
        batch: u64,
        /// The rendition's index.
        rendition: usize,
    },
    /// Do not send it again.
    CancelSend {
        /// The batch.
        batch: u64,
        /// The rendition's index.
        rendition: usize,
    },
    /// Fill a rendition's slot.
    Remux {
        /// The batch.
        batch: u64,
        /// The rendition's index.
        rendition: usize,
        /// With what.
        fill: Fill,
    },
    /// Give a batch to an output.
    Publish {
        /// The batch.
        batch: u64,
        /// The output's index.
        output: usize,
        /// When its samples go on air.
        clock: AirClock,
    },
    /// All has aired and the source has ended: end the outputs.
    EndOutputs,
    /// Remove a batch's files.
    Clean {
        /// The batch.
        batch: u64,
        /// Its segments' files.
        segments: Vec<PathBuf>,
    },
    /// Tell people.
    Note(Note),
}

/// What fills a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fill {
    /// The processor's audio.
    Processed,
    /// The source's own audio.
    Original,
    /// Silence.
    Silence,
    /// Nothing.
    Nothing,
}

/// Something that people and metrics want to know.
#[derive(Debug, Clone, PartialEq)]
pub enum Note {
    /// A batch is complete.
    BatchCollected {
        /// The batch.
        batch: u64,
        /// How many segments.
        segments: usize,
    },
    /// A processor delivered in time, and its audio fits.
    Processed {
        /// The batch.
        batch: u64,
        /// The rendition.
        rendition: Arc<str>,
    },
    /// A slot is filled by the fallback.
    FellBack {
        /// The batch.
        batch: u64,
        /// The rendition.
        rendition: Arc<str>,
        /// Why.
        reason: FallbackReason,
    },
    /// A reply came after its deadline.
    LateReply {
        /// The batch.
        batch: u64,
        /// The rendition.
        rendition: Arc<str>,
        /// Microseconds after the deadline.
        late_us: i64,
    },
    /// Media before this batch is lost: the timeline has a hole.
    GapBegan {
        /// The batch.
        batch: u64,
    },
    /// A batch does not go on air.
    BatchSkipped {
        /// The batch.
        batch: u64,
        /// Why.
        reason: SkipReason,
    },
    /// The source came too late and the output waits for it.
    ClockJumped {
        /// The first batch on the new clock.
        batch: u64,
        /// By how many microseconds.
        by_us: i64,
    },
    /// All outputs have aired a batch.
    BatchPublished {
        /// The batch.
        batch: u64,
    },
    /// The newest part of the ledger is lost: it goes on after what lies on disk.
    RolledBack {
        /// The batch that was open by the ledger.
        from: u64,
        /// The batch that is open now.
        to: u64,
    },
}
