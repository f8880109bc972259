//! What supervisor and children say to each other.
//!
//! Commands (imperative) go down as actix messages to one child; everything a child has to say goes up as
//! a [`Report`] through its [`Reporter`]. Messages carry names, numbers and paths, never media.

mod link;
mod media;
mod output;
mod slot;
mod source;

use std::sync::Arc;

use actix::{Message, Recipient};

pub use link::{
    AudioFormat, CancelFragment, Fragment, FragmentFault, FragmentMetadata, LinkEvent, SendFragment,
};
pub use media::{AudioMedia, BatchMedia, Cut, DemuxerEvent, VideoMedia};
pub use output::{
    AirClock, FinishOutput, FinishPlaylists, ListBatch, ListedRendition, PublishBatch, PublisherEvent,
    micros_to_ticks, ticks_to_micros,
};
pub use slot::{FitReport, FitTiming, OutputFragment, RemuxerEvent};
pub use source::{FetcherEvent, StoredAudio, StoredSegment};

use crate::metrics::{Mailbox, Waiting};

/// Which child of a stream.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ChildId {
    /// Playlist polling, downloads, segments to disk.
    Fetcher,
    /// Segments to `video.fmp4` and `audio.fmp4`.
    Demuxer,
    /// The socket to the processor of the rendition named.
    ProcessorLink(Arc<str>),
    /// Fitted audio and `output.fmp4` of the rendition named.
    Remuxer(Arc<str>),
    /// The output named: `hls`, or `{rendition}/rtmp-{index}`.
    Publisher(Arc<str>),
}

/// What a child tells its supervisor.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Report {
    /// Who says it.
    pub child: ChildId,
    /// Which incarnation of the child; the supervisor drops reports of dead ones.
    pub generation: u32,
    /// What it says.
    pub event: ChildEvent,
    /// Counts it as waiting until it has been dealt with.
    pub waiting: Waiting,
}

/// A child's way to its supervisor.
#[derive(Debug, Clone)]
pub struct Reporter {
    /// The supervisor, or a test.
    pub recipient: Recipient<Report>,
    /// Who speaks.
    pub child: ChildId,
    /// Which incarnation speaks.
    pub generation: u32,
    /// Counts what waits for the supervisor.
    pub mailbox: Mailbox,
}

impl Reporter {
    /// Tells the supervisor. What is in flight is bounded by the ledger, so this never waits.
    pub fn tell(&self, event: impl Into<ChildEvent>) {
        self.recipient.do_send(Report {
            child: self.child.clone(),
            generation: self.generation,
            event: event.into(),
            waiting: self.mailbox.enter(),
        });
    }
}

/// Everything a child may say.
#[derive(Debug)]
pub enum ChildEvent {
    /// Still making progress; nothing else to say.
    Alive,
    /// From the fetcher.
    Fetcher(FetcherEvent),
    /// From the demuxer.
    Demuxer(DemuxerEvent),
    /// From a processor link.
    Link(LinkEvent),
    /// From a remuxer.
    Remuxer(RemuxerEvent),
    /// From a publisher.
    Publisher(PublisherEvent),
}

macro_rules! child_event_from {
    ($($variant:ident($event:ty)),*) => {$(
        impl From<$event> for ChildEvent {
            fn from(event: $event) -> Self {
                Self::$variant(event)
            }
        }
    )*};
}
child_event_from!(
    Fetcher(FetcherEvent),
    Demuxer(DemuxerEvent),
    Link(LinkEvent),
    Remuxer(RemuxerEvent),
    Publisher(PublisherEvent)
);
