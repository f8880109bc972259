//! One fragment's way from known to gone.

use std::path::Path;
use std::sync::Arc;

use super::FragmentId;
use crate::clock::UnixMicros;
use crate::messages::OutputFragment;
use crate::publisher::rtmp::sample::Gop;

/// Where a fragment lies.
#[derive(Debug, Clone)]
pub struct Place {
    /// The batch it belongs to.
    pub batch: u64,
    /// The file.
    pub path: Arc<Path>,
    /// Bytes of `ftyp` and `moov` at the file's head.
    pub init_len: u64,
    /// The fragment within it.
    pub fragment: OutputFragment,
}

/// A fragment of which something is still to come.
#[derive(Debug)]
pub(super) struct Planned {
    pub id: FragmentId,
    pub batch: u64,
    pub place: Place,
    pub starts: UnixMicros,
    pub ends: UnixMicros,
    pub state: State,
}

#[derive(Debug)]
pub(super) enum State {
    Known,
    Reading,
    /// In memory; `touched` once a sample of it has left.
    Ready {
        gop: Gop,
        touched: bool,
    },
    /// Not to be sent; over when its samples are counted as missed and its time has passed.
    Skipped(Count),
}

/// How many samples a skipped fragment holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Count {
    Unknown,
    Asked,
    Known,
}

impl Planned {
    pub fn is_unread(&self) -> bool {
        matches!(self.state, State::Known | State::Reading)
    }

    pub fn holds_media(&self) -> bool {
        matches!(&self.state, State::Ready { gop, .. } if !gop.is_empty())
    }
}
