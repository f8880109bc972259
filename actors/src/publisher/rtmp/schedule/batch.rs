//! One batch's figures.

use std::path::Path;
use std::sync::Arc;

use super::{Configs, Place};
use crate::clock::UnixMicros;
use crate::messages::{AirClock, OutputFragment, PublishBatch, PublisherEvent};

/// A batch of which something is still to come.
#[derive(Debug)]
pub(super) struct Batch {
    pub number: u64,
    pub clock: AirClock,
    pub configs: Arc<Configs>,
    path: Arc<Path>,
    init_len: u64,
    /// Fragments that are neither sent nor missed altogether.
    pub fragments_left: usize,
    /// Samples that are being written.
    pub in_flight: usize,
    pub sent: u64,
    pub missed: u64,
    pub bytes: u64,
    pub max_lateness_us: i64,
    /// Air time of the latest sample that left.
    pub last_air: Option<UnixMicros>,
}

impl Batch {
    pub fn new(command: PublishBatch) -> (Self, Vec<OutputFragment>) {
        let batch = Self {
            number: command.batch,
            clock: command.clock,
            configs: Arc::new(Configs { video: command.video, audio: command.audio }),
            path: command.path.into(),
            init_len: command.fragments.first().map_or(0, |first| first.offset),
            fragments_left: command.fragments.len(),
            in_flight: 0,
            sent: 0,
            missed: 0,
            bytes: 0,
            max_lateness_us: 0,
            last_air: None,
        };
        (batch, command.fragments)
    }

    pub fn place(&self, fragment: OutputFragment) -> Place {
        Place { batch: self.number, path: self.path.clone(), init_len: self.init_len, fragment }
    }

    pub fn aired(&self) -> PublisherEvent {
        PublisherEvent::BatchAired {
            batch: self.number,
            sent: self.sent,
            missed: self.missed,
            max_lateness_us: self.max_lateness_us,
            bytes: self.bytes,
        }
    }
}
