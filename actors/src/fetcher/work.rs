//! The loop: poll, take what is listed, wait.

use std::cell::Cell;
use std::future::Future;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use overdub_media::hls::{MediaPlaylist, Segment};
use tokio::time::{Instant, sleep_until};
use url::Url;

use super::FetcherConfig;
use super::companion::{Companion, Covered, Span, Wish, first_time};
use super::date_ranges::{DateRanges, Taken};
use super::download::{Download, DownloadError, Downloaded, Downloader, unsupported};
use super::health::{Health, Trouble};
use super::http::{Headers, Http};
use super::pace::{backoff, poll_delay, retry_budget, stall_patience, try_limit};
use super::plan::{Lost, Plan, Wanted};
use super::source::{Chosen, Loaded, Source};
use crate::clock::UnixMicros;
use crate::messages::{ChildEvent, FetcherEvent, Reporter, StoredAudio, StoredSegment};
use crate::space::Space;

/// How often a fetcher that waits says that it is alive.
const BEAT: Duration = Duration::from_secs(2);

/// Tries at one segment, beside those in which the source was not to be had at all.
const MAX_TRIES: u32 = 4;

/// Says `Alive` while something is waited for.
pub(super) struct Pulse {
    reporter: Reporter,
    next: Cell<Instant>,
}

impl Pulse {
    fn new(reporter: Reporter) -> Self {
        Self { reporter, next: Cell::new(Instant::now()) }
    }

    fn tell(&self, event: FetcherEvent) {
        self.reporter.tell(event);
    }

    /// The future's output, or none when `limit` has passed.
    pub(super) async fn within<F: Future>(&self, limit: Duration, future: F) -> Option<F::Output> {
        let deadline = Instant::now() + limit;
        let mut future = std::pin::pin!(future);
        loop {
            tokio::select! {
                biased;
                output = &mut future => return Some(output),
                () = sleep_until(deadline.min(self.next.get())) => {}
            }
            let now = Instant::now();
            if now >= self.next.get() {
                self.next.set(now + BEAT);
                self.reporter.tell(ChildEvent::Alive);
            }
            if now >= deadline {
                return None;
            }
        }
    }

    async fn sleep(&self, duration: Duration) {
        let _ = self.within(duration, std::future::pending::<()>()).await;
    }

    pub(super) async fn sleep_until(&self, at: Instant) {
        self.sleep(at.saturating_duration_since(Instant::now())).await;
    }
}

/// Failures at the segment wanted.
#[derive(Debug, Default)]
struct Retry {
    tries: u32,
    /// When the first one began.
    since: Option<Instant>,
    /// Not to be tried before.
    not_before: Option<Instant>,
    /// Whether the playlist was read since the first failure: if not, the whole source may be away.
    polled: bool,
    /// Length that ended within a transport packet.
    partial_len: Option<u64>,
    /// Failures to store it, which do not count as tries.
    storage_failures: u32,
    /// The last failure that was the source's own, not our want of time.
    reason: Option<String>,
}

struct Work {
    directory: PathBuf,
    space: Arc<Space>,
    http: Http,
    source: Source,
    plan: Plan,
    health: Health,
    downloader: Downloader,
    companion: Companion,
    date_ranges: DateRanges,
    retry: Retry,
    pulse: Rc<Pulse>,
    target_duration_s: Option<u32>,
    /// The playlist as it was read last.
    listed: Option<Rc<MediaPlaylist>>,
    /// When the source last listed something new.
    advanced_at: Instant,
    /// What is in the way of the audio's own playlist, as told last.
    audio_trouble: Option<String>,
    /// A segment's address has expired: the playlists are to be had anew before the next try.
    expired: bool,
}

/// Works until it is dropped.
pub(super) async fn run(config: FetcherConfig, reporter: Reporter) {
    let pulse = Rc::new(Pulse::new(reporter));
    let directory = config.directory.clone();
    // Leftovers do no harm, so whether this succeeded is of no interest.
    let _ = tokio::task::spawn_blocking(move || super::file::remove_temporary(&directory)).await;
    let headers = Headers::new(&config.source_url, &config.options.source_headers);
    let mut work = Work {
        directory: config.directory,
        space: config.space,
        http: Http::new(config.limits, config.refuses, headers, Rc::clone(&pulse)),
        source: Source::new(config.source_url, config.options),
        plan: Plan::new(config.start, config.resume, config.lowest_number),
        health: Health::default(),
        downloader: Downloader::new(),
        companion: Companion::new(),
        date_ranges: DateRanges::default(),
        retry: Retry::default(),
        pulse,
        target_duration_s: None,
        listed: None,
        advanced_at: Instant::now(),
        audio_trouble: None,
        expired: false,
    };
    work.poll_until_ended().await;
    work.pulse.tell(FetcherEvent::SourceEnded);
    loop {
        work.pulse.sleep(BEAT).await;
    }
}

impl Work {
    async fn poll_until_ended(&mut self) {
        let mut failures = 0;
        loop {
            let began = Instant::now();
            match self.source.load(&mut self.http).await {
                Ok(loaded) => {
                    failures = 0;
                    self.clear(Trouble::Source);
                    if let Some(Chosen { variant, audio }) = self.source.take_chosen() {
                        self.pulse.tell(FetcherEvent::VariantChosen { variant, audio });
                    }
                    let changed = self.observe(&loaded);
                    let due = began + poll_delay(self.target(), changed, fastrand::f64());
                    self.fetch_until(&loaded.base, due).await;
                    if self.plan.finished() {
                        return;
                    }
                    let retry = self.retry.not_before.filter(|_| std::mem::take(&mut self.expired));
                    self.pulse.sleep_until(retry.map_or(due, |retry| retry.min(due))).await;
                }
                Err(error) => {
                    failures += 1;
                    self.plan.held_up();
                    self.fail(Trouble::Source, error.to_string());
                    // What failed while the whole source was away was not the segment's fault.
                    self.retry = Retry::default();
                    self.pulse.sleep(backoff(failures, self.target(), fastrand::f64())).await;
                }
            }
        }
    }

    /// Takes in a playlist; whether it brought anything new.
    fn observe(&mut self, loaded: &Loaded) -> bool {
        let playlist = &loaded.playlist;
        self.listed = Some(Rc::clone(playlist));
        if self.target_duration_s != Some(playlist.target_duration_s) {
            self.target_duration_s = Some(playlist.target_duration_s);
            self.tell(Some(FetcherEvent::PlaylistRead { target_duration_s: playlist.target_duration_s }));
        }
        let wanted = self.plan.wanted().map(|wanted| wanted.number);
        let observed = self.plan.observe(playlist);
        if observed.restarted {
            self.companion.begin_anew();
        }
        for lost in observed.lost {
            self.tell_lost(lost);
        }
        self.retry.polled = true;
        if self.plan.wanted().map(|wanted| wanted.number) != wanted {
            self.retry = Retry::default();
        }
        let now = Instant::now();
        let patience = stall_patience(self.target());
        if observed.advanced || playlist.ended {
            self.advanced_at = now;
            self.clear(Trouble::Stalled);
        } else if now - self.advanced_at >= patience {
            let reason =
                format!("source's playlist has brought nothing new for {} s", patience.as_secs_f32());
            self.fail(Trouble::Stalled, reason);
        }
        observed.advanced
    }

    /// Fetches what is listed, in order, until the next poll is due or nothing is left.
    async fn fetch_until(&mut self, base: &Url, due: Instant) {
        while let Some(wanted) = self.plan.wanted() {
            if let Some(not_before) = self.retry.not_before {
                if not_before >= due {
                    return;
                }
                self.pulse.sleep_until(not_before).await;
            }
            self.fetch(base, &wanted, due).await;
            if self.expired || Instant::now() >= due {
                return;
            }
        }
    }

    async fn fetch(&mut self, base: &Url, wanted: &Wanted, due: Instant) {
        if wanted.segment.gap {
            return self.lose("the source marks it as missing (EXT-X-GAP)");
        }
        if let Some(reason) = unsupported(&wanted.segment) {
            self.fail(Trouble::Media, reason.clone());
            return self.lose(&reason);
        }
        if let Some(reason) = self.space.refusal() {
            return self.wait_for_storage(reason);
        }
        if wanted.discontinuity {
            self.downloader.forget_init();
        }
        let began = Instant::now();
        let since_first = self.retry.since.map_or(Duration::ZERO, |since| began - since);
        let total = try_limit(self.target(), since_first);
        let name = format!("segment-{}", wanted.number);
        let accepted_len = self.retry.partial_len;
        let download = Download { base, segment: &wanted.segment, name: &name, total, accepted_len };
        match self.downloader.fetch(&mut self.http, &self.directory, download).await {
            Ok(downloaded) => {
                let audio = self.audio_of(wanted, &downloaded).await;
                let date_ranges = self.date_ranges_of(&wanted.segment);
                self.plan.stored();
                let backlog_us = self.plan.backlog_us();
                let is_last = self.is_last(wanted);
                let stored = stored_segment(wanted, downloaded, backlog_us, is_last, audio, date_ranges);
                self.retry = Retry::default();
                self.pulse.tell(FetcherEvent::SegmentStored(stored));
                for trouble in [Trouble::Storage, Trouble::Media] {
                    self.clear(trouble);
                }
            }
            Err(error @ DownloadError::Storage(_)) => self.wait_for_storage(error.to_string()),
            Err(error) if error.is_final() => self.lose(&error.to_string()),
            Err(error) => self.retry_or_lose(&error, began, due),
        }
    }

    /// Whether the playlist says that nothing comes after the segment.
    fn is_last(&self, wanted: &Wanted) -> bool {
        let ended = self.listed.as_ref().filter(|listed| listed.ended);
        let last = ended.and_then(|listed| listed.segments.last());
        last.is_some_and(|last| last.media_sequence == wanted.segment.media_sequence)
    }

    /// The audio of a segment of video, where it lies in a playlist of its own.
    async fn audio_of(&mut self, wanted: &Wanted, video: &Downloaded) -> Option<Vec<StoredAudio>> {
        self.source.audio()?;
        let listed = self.listed.clone()?;
        let index = listed.segments.iter().position(|s| s.media_sequence == wanted.segment.media_sequence);
        let span = Span {
            start_90k: first_time(video.path.clone()).await,
            duration_us: wanted.segment.duration_us,
            timeline: index.and_then(|index| listed.timelines().nth(index)).unwrap_or(0),
            program_date_time: wanted.segment.program_date_time,
            before_end_us: listed.segments[index.unwrap_or(0)..].iter().map(|s| s.duration_us).sum(),
            is_last: self.is_last(wanted),
        };
        let patience = retry_budget(self.target());
        let wish = Wish { span, number: wanted.number, directory: &self.directory, patience };
        let poller = self.source.audio()?;
        let covered = self.companion.cover(poller, &mut self.http, &self.pulse, wish).await;
        if self.companion.take_expired() {
            self.source.forget();
            self.expired = true;
        }
        let Covered { audio, trouble } = covered;
        if self.audio_trouble != trouble {
            self.audio_trouble.clone_from(&trouble);
            self.pulse.tell(FetcherEvent::AudioChanged { trouble });
        }
        Some(audio)
    }

    fn date_ranges_of(&mut self, segment: &Segment) -> Taken {
        let begin = segment.program_date_time;
        let span = begin.map(|begin| begin..begin.saturating_add(segment.duration_us));
        let listed = self.listed.as_ref().map_or(&[][..], |listed| &listed.date_ranges);
        self.date_ranges.take(listed, span)
    }

    /// The segment waits in the source's window until it can be stored.
    fn wait_for_storage(&mut self, reason: String) {
        self.plan.held_up();
        self.retry.storage_failures = self.retry.storage_failures.saturating_add(1);
        let wait = backoff(self.retry.storage_failures, self.target(), fastrand::f64());
        self.retry.not_before = Some(Instant::now() + wait);
        self.fail(Trouble::Storage, reason);
    }

    fn retry_or_lose(&mut self, error: &DownloadError, began: Instant, due: Instant) {
        let now = Instant::now();
        let since = *self.retry.since.get_or_insert(began);
        if self.retry.tries == 0 {
            self.retry.polled = false;
        }
        self.retry.tries += 1;
        if error.is_expired() {
            // Token URLs: a fresh one stands in the playlists, from the configured one on.
            self.source.forget();
            self.expired = true;
        }
        if let DownloadError::PartialPacket(len) = error {
            self.retry.partial_len = Some(*len);
        }
        // The last try has only what the others left of their time. That it ran out says less than why they failed.
        if self.retry.reason.is_none() || !error.is_want_of_time() {
            self.retry.reason = Some(error.to_string());
        }
        let spent = self.retry.tries >= MAX_TRIES || now - since >= retry_budget(self.target());
        if spent && self.retry.polled {
            let reason = self.retry.reason.take().unwrap_or_default();
            return self.lose(&reason);
        }
        let wait = backoff(self.retry.tries, self.target(), fastrand::f64());
        // When all tries are spent, one more follows the next poll, unless that finds the whole source away.
        self.retry.not_before = Some(if spent { due.max(now) } else { now + wait });
    }

    fn lose(&mut self, reason: &str) {
        self.retry = Retry::default();
        if let Some(lost) = self.plan.lose(reason) {
            self.tell_lost(lost);
        }
    }

    fn tell_lost(&self, lost: Lost) {
        let Lost { media_sequence, duration_us, reason } = lost;
        self.pulse.tell(FetcherEvent::SegmentLost { media_sequence, duration_us, reason });
    }

    fn fail(&mut self, trouble: Trouble, reason: String) {
        let news = self.health.failed(trouble, reason);
        self.tell(news);
    }

    fn clear(&mut self, trouble: Trouble) {
        let news = self.health.cleared(trouble);
        self.tell(news);
    }

    fn tell(&self, event: Option<FetcherEvent>) {
        if let Some(event) = event {
            self.pulse.tell(event);
        }
    }

    /// The source's target duration in seconds, 1 to 3600; 4 before it is known.
    fn target(&self) -> u32 {
        self.target_duration_s.unwrap_or(4).clamp(1, 3600)
    }
}

fn stored_segment(
    wanted: &Wanted,
    downloaded: Downloaded,
    backlog_us: i64,
    is_last: bool,
    audio: Option<Vec<StoredAudio>>,
    date_ranges: Taken,
) -> StoredSegment {
    let segment = &wanted.segment;
    StoredSegment {
        number: wanted.number,
        media_sequence: segment.media_sequence,
        path: downloaded.path,
        bytes: downloaded.bytes,
        duration_us: segment.duration_us,
        discontinuity: wanted.discontinuity,
        program_date_time: segment.program_date_time.map(UnixMicros),
        backlog_us,
        is_last,
        audio,
        date_ranges: date_ranges.values,
        date_ranges_dropped: date_ranges.dropped,
        cue_tags: segment.cue_tags,
    }
}
