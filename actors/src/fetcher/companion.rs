//! The audio's own playlist beside the video's: each segment of video gets the audio that overlaps it in time.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use overdub_media::assemble::{Input, probe};
use overdub_media::hls::Segment;
use tokio::time::Instant;

use super::download::{Download, DownloadError, Downloader, unsupported};
use super::http::Http;
use super::pace::{backoff, poll_delay};
use super::source::{Loaded, Poller, SourceError};
use super::work::Pulse;
use crate::messages::StoredAudio;

mod pairing;
pub(super) use pairing::Span;
use pairing::{Pairing, Step};

/// Tries at one audio segment.
const MAX_TRIES: u32 = 3;

/// The audio of one segment of video.
#[derive(Debug, Default)]
pub(super) struct Covered {
    pub audio: Vec<StoredAudio>,
    /// What was in the way, if anything; the segment goes on without what is missing.
    pub trouble: Option<String>,
}

/// What a segment of video wants its audio for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wish<'a> {
    pub span: Span,
    /// Number of the segment of video: its audio files bear it.
    pub number: u64,
    pub directory: &'a Path,
    /// How long it may wait.
    pub patience: Duration,
}

/// Fetches audio beside video.
pub(super) struct Companion {
    pairing: Pairing,
    downloader: Downloader,
    loaded: Option<Loaded>,
    /// Not to be asked for again before.
    next_poll: Instant,
    /// Failures in a row of the playlist.
    failures: u32,
    /// Number of the newest segment listed, to see whether the playlist changes.
    newest: Option<u64>,
    /// The last segment of video got no audio although it waited.
    overdue: bool,
    /// Length of a segment that seemed cut short, which is taken the second time.
    partial_len: Option<u64>,
    /// An address of the audio has expired: a fresh one stands in the multivariant playlist.
    expired: bool,
}

impl Companion {
    pub(super) fn new() -> Self {
        Self {
            pairing: Pairing::default(),
            downloader: Downloader::new(),
            loaded: None,
            next_poll: Instant::now(),
            failures: 0,
            newest: None,
            overdue: false,
            partial_len: None,
            expired: false,
        }
    }

    /// Whether an address has expired since the last call. What was loaded from it is forgotten.
    pub(super) fn take_expired(&mut self) -> bool {
        if self.expired {
            (self.loaded, self.next_poll) = (None, Instant::now());
        }
        std::mem::take(&mut self.expired)
    }

    /// The source has begun anew: neither times, numbers, playlist nor init section of before are of any use.
    pub(super) fn begin_anew(&mut self) {
        self.pairing = Pairing::default();
        self.downloader.forget_init();
        (self.loaded, self.newest, self.next_poll) = (None, None, Instant::now());
    }

    /// All audio of a segment of video, or what of it was to be had in time.
    pub(super) async fn cover(
        &mut self,
        poller: &mut Poller,
        http: &mut Http,
        pulse: &Pulse,
        wish: Wish<'_>,
    ) -> Covered {
        // Pictures that wait each time for audio that does not come would fall behind their source.
        let patience = if self.overdue { wish.patience / 8 } else { wish.patience };
        let deadline = Instant::now() + patience;
        let mut trouble = None;
        let mut tries = 0;
        while Instant::now() < deadline {
            let step = match &self.loaded {
                Some(loaded) => self.pairing.step(&wish.span, &loaded.playlist),
                None => Step::Wait,
            };
            match step {
                Step::Done => break,
                Step::Wait => {
                    pulse.sleep_until(self.next_poll.min(deadline)).await;
                    if Instant::now() < deadline {
                        trouble = self.poll(poller, http).await.err();
                    }
                }
                Step::Fetch(segment) => {
                    let left = deadline.saturating_duration_since(Instant::now());
                    let Err(reason) = self.fetch(http, &wish, &segment, left).await else {
                        tries = 0;
                        continue;
                    };
                    tries += 1;
                    trouble = Some(format!("audio segment {}: {reason}", segment.media_sequence));
                    if tries >= MAX_TRIES || unsupported(&segment).is_some() {
                        tries = 0;
                        self.pairing.lost(&segment);
                    } else {
                        let wait = backoff(tries, self.target(), fastrand::f64());
                        pulse.sleep_until((Instant::now() + wait).min(deadline)).await;
                    }
                }
            }
        }
        let taken = self.pairing.take(&wish.span);
        let mut covered = Covered { audio: Vec::with_capacity(taken.len()), trouble };
        for stored in taken {
            match self.name(&wish, stored).await {
                Ok(stored) => covered.audio.push(stored),
                Err(error) => covered.trouble = Some(format!("audio segment cannot be kept: {error}")),
            }
        }
        self.overdue = covered.audio.is_empty();
        if covered.audio.is_empty() && covered.trouble.is_none() {
            covered.trouble = Some("the audio's own playlist lists nothing for these pictures".to_owned());
        }
        covered
    }

    fn target(&self) -> u32 {
        self.loaded.as_ref().map_or(4, |loaded| loaded.playlist.target_duration_s).clamp(1, 3600)
    }

    async fn poll(&mut self, poller: &mut Poller, http: &mut Http) -> Result<(), String> {
        let began = Instant::now();
        match poller.load(http).await {
            Ok(loaded) => {
                self.failures = 0;
                let newest = loaded.playlist.segments.last().map(|segment| segment.media_sequence);
                let changed = newest != self.newest;
                self.newest = newest;
                self.loaded = Some(loaded);
                // Whoever waits does so for what is about to be listed: half the usual wait.
                let delay = poll_delay(self.target(), false, fastrand::f64());
                self.next_poll = began + if changed { delay } else { delay / 2 };
                Ok(())
            }
            Err(error) => {
                self.failures += 1;
                self.expired |= matches!(&error, SourceError::Fetch(error) if error.is_expired());
                self.next_poll = Instant::now() + backoff(self.failures, self.target(), fastrand::f64());
                Err(format!("audio playlist: {error}"))
            }
        }
    }

    async fn fetch(
        &mut self,
        http: &mut Http,
        wish: &Wish<'_>,
        segment: &Segment,
        total: Duration,
    ) -> Result<(), String> {
        if let Some(reason) = unsupported(segment) {
            return Err(reason);
        }
        let Some(base) = self.loaded.as_ref().map(|loaded| loaded.base.clone()) else { return Ok(()) };
        let name = file_name(wish.number, segment.media_sequence);
        let accepted_len = self.partial_len;
        let download = Download { base: &base, segment, name: &name, total, accepted_len };
        let fetched = self.downloader.fetch(http, wish.directory, download).await;
        self.partial_len = match &fetched {
            Err(DownloadError::PartialPacket(len)) => Some(*len),
            _ => None,
        };
        self.expired |= fetched.as_ref().is_err_and(DownloadError::is_expired);
        let done = fetched.map_err(|error| error.to_string())?;
        let start_90k = first_time(done.path.clone()).await;
        let stored = StoredAudio { media_sequence: segment.media_sequence, path: done.path };
        if let Some(other) = self.pairing.fetched(&wish.span, segment, stored, start_90k) {
            // A file of no use; whether it goes matters to the disk alone.
            let _ = tokio::task::spawn_blocking(move || std::fs::remove_file(other.path)).await;
        }
        Ok(())
    }

    /// Gives an audio segment that overlaps two of video a name of the later one, beside the earlier one's.
    async fn name(&mut self, wish: &Wish<'_>, stored: StoredAudio) -> io::Result<StoredAudio> {
        let ending = stored.path.extension().unwrap_or_default().to_owned();
        let mut path = wish.directory.join(file_name(wish.number, stored.media_sequence));
        path.as_mut_os_string().push(".");
        path.as_mut_os_string().push(ending);
        if path == stored.path {
            return Ok(stored);
        }
        let named = StoredAudio { path: path.clone(), ..stored.clone() };
        tokio::task::spawn_blocking(move || link(&stored.path, &path)).await.map_err(io::Error::other)??;
        self.pairing.renamed(&named);
        Ok(named)
    }
}

/// Name without an ending.
fn file_name(number: u64, audio_sequence: u64) -> String {
    format!("segment-{number}.audio-{audio_sequence}")
}

/// A second name for a file; a copy where the file system has no such thing.
fn link(from: &Path, to: &Path) -> io::Result<()> {
    match std::fs::hard_link(from, to) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(error),
        Err(_) => std::fs::copy(from, to).map(|_| ()),
    }
}

/// First time in a segment's media, 90 kHz ticks of the source's clock.
pub(super) async fn first_time(path: PathBuf) -> Option<i64> {
    let read = move || {
        let bytes = Bytes::from(std::fs::read(path).ok()?);
        probe(&Input::whole(&bytes)).ok()?.first_90k
    };
    tokio::task::spawn_blocking(read).await.ok().flatten()
}
