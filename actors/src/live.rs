//! A stream's HLS output as the origin serves it: playlists by name, and files that they address.
//!
//! The HLS publisher writes it, the registry reads it: serving needs no message to the stream.

mod render;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};

use overdub_media::time::rescale;

use crate::clock::UnixMicros;
use crate::files::{StreamFiles, rendition_file};
use crate::ledger::playlist_window_90k;
use crate::messages::{Cut, ListBatch};
use crate::requests::LiveResource;

/// Segments' names as players see them. Players refuse extensions that they do not know, `.fmp4` among them.
const VIDEO_SEGMENTS: &str = "video.m4s";
/// The original audio, moved to the output timeline.
const ORIGINAL_SEGMENTS: &str = "original.m4s";

/// Name of a rendition's segments. It cannot be one of the two above.
fn rendition_segments(rendition: &str) -> String {
    format!("audio-{rendition}.m4s")
}

/// The HLS output of one stream.
#[derive(Debug)]
pub struct LiveOutput {
    files: StreamFiles,
    served: RwLock<Served>,
}

#[derive(Debug, Default)]
struct Served {
    playlists: BTreeMap<String, String>,
    batches: BTreeMap<u64, Arc<ListBatch>>,
}

/// What the publisher knows of the batches that are or were listed lately.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    batches: VecDeque<ListedBatch>,
    ended: bool,
}

#[derive(Debug)]
pub(crate) struct ListedBatch {
    pub batch: Arc<ListBatch>,
    /// Segments listed so far.
    pub listed: usize,
}

impl LiveOutput {
    /// An output that has listed nothing yet.
    #[must_use]
    pub fn new(files: StreamFiles) -> Self {
        Self { files, served: RwLock::default() }
    }

    /// What lies at `path` below `/live/{id}/`; nothing for a path that no playlist names or named lately.
    #[must_use]
    pub fn resource(&self, path: &str) -> Option<LiveResource> {
        let served = self.served.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(text) = served.playlists.get(path) {
            return Some(LiveResource::Playlist(text.clone()));
        }
        if let Some(rest) = path.strip_prefix("init-") {
            let (epoch, track) = rest.strip_suffix(".mp4")?.split_once('-')?;
            let epoch: u32 = epoch.parse().ok()?;
            if !served.batches.values().any(|batch| batch.media.epoch == epoch) {
                return None;
            }
            return match track {
                "video" => Some(file(self.files.video_init(epoch), "video/mp4", Vec::new())),
                "audio" => Some(file(self.files.audio_init(epoch), "audio/mp4", Vec::new())),
                _ => None,
            };
        }
        let (number, name) = path.strip_prefix("batch-")?.split_once('/')?;
        let number: u64 = number.parse().ok()?;
        let batch = served.batches.get(&number)?;
        let folder = self.files.batch(number);
        if name == VIDEO_SEGMENTS {
            return Some(file(folder.join("video.fmp4"), "video/mp4", Vec::new()));
        }
        if name == ORIGINAL_SEGMENTS {
            let cuts = &batch.media.audio.as_ref()?.cuts;
            return Some(file(folder.join("audio.fmp4"), "audio/mp4", moved_to_timeline(cuts)));
        }
        let rendition =
            batch.renditions.iter().find(|rendition| rendition_segments(&rendition.name) == name)?;
        let fitted = folder.join(rendition_file("fitted_audio", &rendition.name));
        Some(file(fitted, "audio/mp4", Vec::new()))
    }

    /// Serves what is listed.
    pub(crate) fn publish(&self, listing: &Listing) {
        let playlists = render::playlists(listing);
        let batches =
            listing.batches.iter().map(|listed| (listed.batch.batch, listed.batch.clone())).collect();
        let mut served = self.served.write().unwrap_or_else(PoisonError::into_inner);
        *served = Served { playlists, batches };
    }

    /// Whether a playlist is there.
    #[must_use]
    pub fn is_up(&self) -> bool {
        !self.served.read().unwrap_or_else(PoisonError::into_inner).playlists.is_empty()
    }
}

fn file(path: PathBuf, content_type: &'static str, patches: Vec<(u64, [u8; 8])>) -> LiveResource {
    LiveResource::File { path, content_type, patches }
}

/// Base media decode times of the original audio, which counts from zero on disk.
fn moved_to_timeline(cuts: &[Cut]) -> Vec<(u64, [u8; 8])> {
    cuts.iter()
        .filter(|cut| cut.len > 0)
        .map(|cut| {
            let position = cut.offset + overdub_media::mp4::FIRST_TFDT_VALUE_OFFSET as u64;
            (position, cut.start.max(0).cast_unsigned().to_be_bytes())
        })
        .collect()
}

impl ListedBatch {
    /// Length of what is listed, which may be less than the batch, 90 kHz ticks.
    fn listed_90k(&self) -> i64 {
        let cuts = (0..self.listed).filter_map(|index| self.batch.media.timing_cut(index));
        cuts.map(|(cut, timescale)| rescale(cut.duration.cast_signed(), timescale, 90_000)).sum()
    }
}

impl Listing {
    /// Takes a batch; one that is known already is replaced.
    pub(crate) fn insert(&mut self, batch: ListBatch) {
        let batch = Arc::new(batch);
        match self.batches.iter_mut().find(|known| known.batch.batch == batch.batch) {
            Some(known) => known.batch = batch,
            None => {
                let at = self.batches.partition_point(|known| known.batch.batch < batch.batch);
                self.batches.insert(at, ListedBatch { batch, listed: 0 });
            }
        }
    }

    /// Lists what has been on air by `now`, strictly in order. Returns whether anything was added and the
    /// batches that are now wholly listed.
    pub(crate) fn advance(&mut self, now: UnixMicros) -> (bool, Vec<u64>) {
        let (mut added, mut complete) = (false, Vec::new());
        for listed in &mut self.batches {
            while listed.listed < listed.batch.segments
                && listed.batch.segment_airs_at(listed.listed).is_some_and(|at| at <= now)
            {
                listed.listed += 1;
                added = true;
                if listed.listed == listed.batch.segments {
                    complete.push(listed.batch.batch);
                }
            }
            if listed.listed < listed.batch.segments {
                break;
            }
        }
        self.forget_old();
        (added, complete)
    }

    /// When the next segment is to be listed.
    pub(crate) fn next_change(&self) -> Option<UnixMicros> {
        let next = self.batches.iter().find(|listed| listed.listed < listed.batch.segments)?;
        next.batch.segment_airs_at(next.listed)
    }

    pub(crate) fn end(&mut self) {
        self.ended = true;
    }

    /// Files stay reachable for the playlist's length after they left it (RFC 8216bis 6.2.2).
    fn forget_old(&mut self) {
        let Some(newest) = self.batches.iter().rposition(|listed| listed.listed > 0) else { return };
        let window = playlist_window_90k(self.batches[newest].batch.target_duration_s);
        // What is listed after a batch, by its own length: the timeline between them may have holes.
        let (mut listed_after, mut keep_from) = (0_i64, 0);
        for (index, listed) in self.batches.iter().enumerate().take(newest + 1).rev() {
            if listed_after > 2 * window {
                keep_from = index + 1;
                break;
            }
            listed_after = listed_after.saturating_add(listed.listed_90k());
        }
        self.batches.drain(..keep_from);
    }
}
