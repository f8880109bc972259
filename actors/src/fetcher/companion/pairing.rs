//! Which segments of the audio's own playlist belong to a segment of video: pure.
//!
//! The two playlists share a clock and nothing else: numbers, lengths and windows differ. So a first guess by
//! dates, or by distance from the end, is corrected by the times in the media itself; from then on audio goes on
//! from segment to segment, and anew where the source's timeline changes.

use std::collections::VecDeque;

use overdub_media::hls::{MediaPlaylist, Segment};

use crate::messages::StoredAudio;

/// The source's clock may have 33 bits (ISO/IEC 13818-1 2.4.3.7): times are compared modulo its wrap.
const WRAP_90K: i64 = 1 << 33;

/// Times of two playlists agree to a frame or two, and EXTINF to the tenth of a second, 90 kHz ticks.
const SLACK_90K: i64 = 18_000;

/// Audio that ends so little before the pictures covers them: about two access units.
const COVERED_90K: i64 = 4500;

/// Corrections of the first guess; a source whose times make no sense is taken as it comes after them.
const MAX_CORRECTIONS: u32 = 5;

/// A segment of video that wants its audio.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::fetcher) struct Span {
    /// Its first time in the source's clock; none where it could not be read.
    pub start_90k: Option<i64>,
    pub duration_us: i64,
    /// Discontinuities before it.
    pub timeline: u64,
    pub program_date_time: Option<i64>,
    /// Media listed from its start to the playlist's end.
    pub before_end_us: i64,
    /// Nothing comes after it, so that it wants all audio that is left.
    pub is_last: bool,
}

/// What to do next for a span.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// Fetch this segment, then call [`Pairing::fetched`] or [`Pairing::lost`].
    Fetch(Box<Segment>),
    /// Nothing to fetch before the playlist lists more.
    Wait,
    /// All that can be had.
    Done,
}

/// An audio segment on disk.
#[derive(Debug, Clone, PartialEq)]
struct Had {
    stored: StoredAudio,
    start_90k: i64,
    end_90k: i64,
}

/// Where the audio stands beside the video.
#[derive(Debug, Default)]
pub(super) struct Pairing {
    /// Number of the next segment to fetch; none before the first guess.
    next: Option<u64>,
    /// The timeline that `next` is on.
    timeline: u64,
    /// Corrections of the guess that are left; none once audio and video have met.
    corrections: Option<u32>,
    had: VecDeque<Had>,
    /// Where the span before ended, for spans whose own time could not be read.
    span_end_90k: i64,
}

impl Pairing {
    /// What to do next to have all audio of `span`.
    pub(super) fn step(&mut self, span: &Span, playlist: &MediaPlaylist) -> Step {
        let (Some(first), Some(last)) = (playlist.segments.first(), playlist.segments.last()) else {
            return if playlist.ended { Step::Done } else { Step::Wait };
        };
        let timelines: Vec<u64> = playlist.timelines().collect();
        // Playlists that know no discontinuity at all number no timelines.
        let numbered = timelines.last().is_some_and(|last| *last > 0);
        // Numbers that fell back are a source that began again, of which nothing that was had is a part.
        let furthest = last.media_sequence.saturating_add(1 + playlist.segments.len() as u64);
        self.next = self.next.filter(|next| *next <= furthest);
        if self.next.is_none() || self.timeline != span.timeline {
            self.had.clear();
            match guess(span, playlist, &timelines, numbered) {
                Some((index, certain)) => {
                    self.next = playlist.segments.get(index).map(|segment| segment.media_sequence);
                    self.timeline = span.timeline;
                    self.corrections = (!certain).then_some(MAX_CORRECTIONS);
                }
                None => return Step::Wait,
            }
        }
        let (_, end) = self.bounds(span);
        let covered = self.had.back().is_some_and(|had| ahead(had.end_90k, end) >= -COVERED_90K);
        let past = self.had.back().is_some_and(|had| ahead(had.start_90k, end) >= 0);
        if self.corrections.is_none() && (covered && !span.is_last || past) {
            return Step::Done;
        }
        if self.next.is_some_and(|next| next < first.media_sequence) {
            // Nothing older is to be had: what there is will do.
            self.corrections = None;
        }
        let mut next = self.next.unwrap_or(first.media_sequence).max(first.media_sequence);
        loop {
            self.next = Some(next);
            if next > last.media_sequence {
                return if playlist.ended || covered { Step::Done } else { Step::Wait };
            }
            let index = usize::try_from(next - first.media_sequence).unwrap_or(usize::MAX);
            let Some(segment) = playlist.segments.get(index) else { return Step::Wait };
            if numbered && timelines[index] > span.timeline {
                return Step::Done;
            }
            if segment.gap || numbered && timelines[index] < span.timeline {
                next += 1;
                continue;
            }
            return Step::Fetch(Box::new(segment.clone()));
        }
    }

    /// The segment lies on disk; `start_90k` is its first time, where it could be read. Returns the file to be
    /// removed if it turned out to be another's.
    pub(super) fn fetched(
        &mut self,
        span: &Span,
        segment: &Segment,
        stored: StoredAudio,
        start_90k: Option<i64>,
    ) -> Option<StoredAudio> {
        let (start, _) = self.bounds(span);
        let begins = start_90k.or_else(|| self.had.back().map(|had| had.end_90k)).unwrap_or(start);
        let length = ticks(segment.duration_us).max(1);
        let had = Had { stored, start_90k: begins, end_90k: begins + length };
        if let Some(left) = self.corrections {
            let early = ahead(begins, start);
            let steps = |distance: i64| u64::try_from(distance / length).unwrap_or(0) + 1;
            let wanted = if early > SLACK_90K {
                segment.media_sequence.saturating_sub(steps(early - SLACK_90K - 1))
            } else if ahead(had.end_90k, start) <= 0 {
                segment.media_sequence + steps(-ahead(had.end_90k, start))
            } else {
                segment.media_sequence
            };
            if wanted != segment.media_sequence && left > 0 {
                self.corrections = Some(left - 1);
                self.next = Some(wanted);
                return Some(had.stored);
            }
            self.corrections = None;
        }
        self.next = Some(segment.media_sequence + 1);
        self.had.push_back(had);
        None
    }

    /// The segment cannot be had.
    pub(super) fn lost(&mut self, segment: &Segment) {
        self.next = Some(segment.media_sequence + 1);
    }

    /// The audio of `span`, as far as it was had. What the next span may want too is kept.
    pub(super) fn take(&mut self, span: &Span) -> Vec<StoredAudio> {
        let (start, end) = self.bounds(span);
        self.span_end_90k = end;
        let overlaps =
            |had: &&Had| ahead(had.end_90k, start) > -SLACK_90K && ahead(had.start_90k, end) < SLACK_90K;
        let taken = self.had.iter().filter(overlaps).map(|had| had.stored.clone()).collect();
        self.had.retain(|had| ahead(had.end_90k, end) > -SLACK_90K);
        taken
    }

    /// The file of an audio segment has another name now: the newest span's.
    pub(super) fn renamed(&mut self, stored: &StoredAudio) {
        if let Some(had) = self.had.iter_mut().find(|had| had.stored.media_sequence == stored.media_sequence)
        {
            had.stored = stored.clone();
        }
    }

    fn bounds(&self, span: &Span) -> (i64, i64) {
        let start = span.start_90k.unwrap_or(self.span_end_90k);
        (start, start + ticks(span.duration_us))
    }
}

/// How far `a` lies ahead of `b`, below 0 where it lies behind, whatever wraps between.
fn ahead(a: i64, b: i64) -> i64 {
    (a - b + WRAP_90K / 2).rem_euclid(WRAP_90K) - WRAP_90K / 2
}

fn ticks(us: i64) -> i64 {
    us.saturating_mul(9) / 100
}

/// Index of the audio segment to begin with, and whether that is certain; none where it is not listed yet.
fn guess(span: &Span, playlist: &MediaPlaylist, timelines: &[u64], numbered: bool) -> Option<(usize, bool)> {
    let segments = &playlist.segments;
    let of_timeline = |index: &usize| !numbered || timelines[*index] == span.timeline;
    if numbered && !(0..segments.len()).any(|index| of_timeline(&index)) {
        // Not listed yet; or gone, and then the oldest is as good as any.
        return timelines.first().is_some_and(|first| *first > span.timeline).then_some((0, true));
    }
    let first = (0..segments.len()).find(of_timeline)?;
    if let Some(date) = span.program_date_time
        && segments.iter().all(|segment| segment.program_date_time.is_some())
    {
        let begun =
            |index: &usize| segments[*index].program_date_time.is_some_and(|begins| begins <= date + 100_000);
        let found = (first..segments.len()).filter(of_timeline).rfind(begun);
        return Some((found.unwrap_or(first), false));
    }
    let mut before_end_us = 0i64;
    for index in (first..segments.len()).rev() {
        before_end_us = before_end_us.saturating_add(segments[index].duration_us);
        if before_end_us >= span.before_end_us && of_timeline(&index) {
            return Some((index, false));
        }
    }
    Some((first, false))
}

#[cfg(test)]
mod tests;
