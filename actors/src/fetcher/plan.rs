//! Which segment comes next: pure decisions over what the source lists.
//!
//! A source may leave segments out, list them late, list an older state of itself (another edge of its CDN),
//! or begin again with its numbers. Whatever it does, each segment is wanted once, in order, under a number
//! that only grows; what cannot be had any more is named as lost.

use std::collections::VecDeque;

use overdub_media::hls::{MediaPlaylist, Segment};

use super::ResumeAt;
use crate::settings::StartAt;

/// Losses named one by one; more are added up in the last.
const MAX_LOSSES: u64 = 10_000;

/// A leap of media sequence numbers beyond this is a source with a new numbering, not one that was away.
const MAX_LEAP: u64 = 100_000;

/// Listed segments whose identity is kept, to recognise a source that began again with the same numbers.
const REMEMBERED: usize = 8;

/// Target durations of media taken from before the end of a source that began again.
const RESTART_TARGETS: i64 = 10;

/// Target durations from the end at which to begin (rfc8216bis 6.3.3), and to go on when we fell behind.
const LIVE_TARGETS: i64 = 3;

/// Who has not come nearer to the source's end while it listed so many target durations is fetching too slowly.
const PATIENT_TARGETS: i64 = 6;

/// A segment that cannot be had any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Lost {
    pub media_sequence: u64,
    /// 0 where it was never listed.
    pub duration_us: i64,
    pub reason: String,
}

/// The next segment to fetch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wanted {
    pub segment: Segment,
    pub number: u64,
    /// The tag's, a lost predecessor's, or a restarted source's.
    pub discontinuity: bool,
}

/// What a playlist changed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Observed {
    /// What can no longer be had, in order.
    pub lost: Vec<Lost>,
    /// The source lists something it did not list before.
    pub advanced: bool,
    /// The source began again.
    pub restarted: bool,
}

/// What tells one segment from another of the same number.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Identity {
    media_sequence: u64,
    name: String,
    duration_us: i64,
    program_date_time: Option<i64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Position {
    sequence: u64,
    number: u64,
}

/// Where the fetcher stands in the source.
#[derive(Debug)]
pub(super) struct Plan {
    start: StartAt,
    lowest_number: u64,
    /// The next segment; none before the first playlist.
    position: Option<Position>,
    /// Listed and not yet had, contiguous, beginning at `position`.
    pending: VecDeque<Segment>,
    /// One past the newest segment ever listed since the source began.
    listed_end: u64,
    remembered: Vec<Identity>,
    /// A discontinuity that the next segment stored must bear.
    discontinuity: bool,
    ended: bool,
    pace: Pace,
}

/// Whether fetching keeps up with what is listed.
#[derive(Debug, Default)]
struct Pace {
    /// The least backlog since it was last within the live edge, microseconds.
    least_us: Option<i64>,
    /// What has been listed since, microseconds.
    listed_us: i64,
    /// Something other than the pace of fetching held it up since the last playlist.
    held_up: bool,
}

impl Plan {
    pub(super) fn new(start: StartAt, resume: Option<ResumeAt>, lowest_number: u64) -> Self {
        Self {
            start,
            lowest_number,
            position: resume.map(|at| Position { sequence: at.next_media_sequence, number: at.next_number }),
            pending: VecDeque::new(),
            listed_end: resume.map_or(0, |at| at.next_media_sequence),
            remembered: Vec::new(),
            discontinuity: false,
            ended: false,
            pace: Pace::default(),
        }
    }

    /// The source or the disk was not to be had: what is listed meanwhile is no sign of slow fetching.
    pub(super) fn held_up(&mut self) {
        self.pace.held_up = true;
    }

    /// Takes in what the source lists now.
    pub(super) fn observe(&mut self, playlist: &MediaPlaylist) -> Observed {
        let mut observed = Observed::default();
        self.ended = playlist.ended;
        let (Some(first), Some(last)) = (playlist.segments.first(), playlist.segments.last()) else {
            return observed;
        };
        let (first, end) = (first.media_sequence, last.media_sequence + 1);
        let mut left_unfetched = false;
        match self.position {
            None => {
                let sequence = first + self.start_index(playlist);
                self.position = Some(Position { sequence, number: sequence.max(self.lowest_number) });
            }
            Some(position) if self.has_restarted(position, playlist, first, end) => {
                observed.restarted = true;
                let count = self.pending.len() as u64;
                self.drop_next(count, "the source began again before it was fetched", &mut observed.lost);
                let number = self.position.map_or(position.number, |position| position.number);
                let sequence = first + index_before_end(playlist, RESTART_TARGETS);
                self.position = Some(Position { sequence, number });
                self.discontinuity = true;
                self.listed_end = 0;
            }
            Some(position) => {
                let count = first.saturating_sub(position.sequence);
                left_unfetched = count > 0 && !self.pending.is_empty();
                self.drop_next(
                    count,
                    "it left the source's window before it was fetched",
                    &mut observed.lost,
                );
            }
        }
        observed.advanced = end > self.listed_end;
        let new = playlist.segments.iter().filter(|segment| segment.media_sequence >= self.listed_end);
        let listed_us = new.fold(0, |sum: i64, segment| sum.saturating_add(segment.duration_us));
        self.listed_end = self.listed_end.max(end);
        self.merge(playlist);
        self.remember(playlist);
        if self.fell_behind(playlist, listed_us, left_unfetched) {
            let edge = first + index_before_end(playlist, LIVE_TARGETS);
            let count = self.position.map_or(0, |position| edge.saturating_sub(position.sequence));
            let reason =
                "the source is fetched more slowly than it goes on, so this was skipped to catch up with it";
            self.drop_next(count, reason, &mut observed.lost);
        }
        observed
    }

    /// Whether we are behind the live edge and come no nearer. `listed_us` is new; `left_unfetched`: something left
    /// the window that was listed before and could not be fetched in time.
    fn fell_behind(&mut self, playlist: &MediaPlaylist, listed_us: i64, left_unfetched: bool) -> bool {
        let backlog_us = self.backlog_us();
        let target_us = i64::from(playlist.target_duration_s.max(1)) * 1_000_000;
        let pace = &mut self.pace;
        let held_up = std::mem::take(&mut pace.held_up);
        if held_up || playlist.ended || backlog_us <= LIVE_TARGETS * target_us {
            *pace = Pace::default();
            return false;
        }
        if pace.least_us.is_none_or(|least_us| backlog_us < least_us) {
            *pace = Pace { least_us: Some(backlog_us), ..Pace::default() };
        } else {
            pace.listed_us = pace.listed_us.saturating_add(listed_us);
        }
        let behind = left_unfetched || pace.listed_us >= PATIENT_TARGETS * target_us;
        if behind {
            *pace = Pace::default();
        }
        behind
    }

    /// The next segment, if one is listed.
    pub(super) fn wanted(&self) -> Option<Wanted> {
        let (position, segment) = (self.position?, self.pending.front()?);
        Some(Wanted {
            discontinuity: self.discontinuity || segment.discontinuity,
            segment: segment.clone(),
            number: position.number,
        })
    }

    /// The wanted segment lies on disk.
    pub(super) fn stored(&mut self) {
        if self.pending.pop_front().is_some() {
            self.advance(1);
            self.discontinuity = false;
        }
    }

    /// Microseconds of media that are listed and still to be had.
    pub(super) fn backlog_us(&self) -> i64 {
        self.pending.iter().fold(0, |sum, segment| sum.saturating_add(segment.duration_us))
    }

    /// The wanted segment is given up.
    pub(super) fn lose(&mut self, reason: &str) -> Option<Lost> {
        let segment = self.pending.pop_front()?;
        self.advance(1);
        self.discontinuity |= segment.discontinuity;
        Some(Lost {
            media_sequence: segment.media_sequence,
            duration_us: segment.duration_us,
            reason: reason.to_owned(),
        })
    }

    /// Whether the source has ended and everything of it was had.
    pub(super) fn finished(&self) -> bool {
        self.ended && self.pending.is_empty()
    }

    fn advance(&mut self, by: u64) {
        if let Some(position) = &mut self.position {
            position.sequence = position.sequence.saturating_add(by);
            position.number = position.number.saturating_add(by);
        }
    }

    fn start_index(&self, playlist: &MediaPlaylist) -> u64 {
        match self.start {
            // rfc8216bis 6.3.3 speaks of playlists that go on; one that has ended is played from its start.
            StartAt::Live if !playlist.ended => index_before_end(playlist, LIVE_TARGETS),
            StartAt::Live | StartAt::Window => 0,
        }
    }

    fn has_restarted(&self, position: Position, playlist: &MediaPlaylist, first: u64, end: u64) -> bool {
        // An edge that lags shows an older state, but seldom older than all that it lists.
        let window = (end - first).max(3);
        let fell_back = self.listed_end.saturating_sub(end) > window;
        let leapt = first.saturating_sub(position.sequence) > MAX_LEAP;
        fell_back || leapt || self.shows_other_segments(playlist, first)
    }

    /// Whether every remembered segment that is listed has become another one.
    fn shows_other_segments(&self, playlist: &MediaPlaylist, first: u64) -> bool {
        let mut compared = false;
        for known in &self.remembered {
            let index = known.media_sequence.checked_sub(first).and_then(|index| usize::try_from(index).ok());
            if let Some(listed) = index.and_then(|index| playlist.segments.get(index)) {
                compared = true;
                if known.is(listed) {
                    return false;
                }
            }
        }
        compared
    }

    /// Names the next `count` segments as lost, listed or not.
    fn drop_next(&mut self, count: u64, reason: &str, lost: &mut Vec<Lost>) {
        let Some(position) = self.position else { return };
        let listed = usize::try_from(count).unwrap_or(usize::MAX).min(self.pending.len());
        let mut known = self.pending.drain(..listed);
        let mut discontinuity = false;
        for sequence in position.sequence..position.sequence.saturating_add(count.min(MAX_LOSSES)) {
            let segment = known.next();
            discontinuity |= segment.as_ref().is_some_and(|segment| segment.discontinuity);
            lost.push(Lost {
                media_sequence: sequence,
                duration_us: segment.map_or(0, |segment| segment.duration_us),
                reason: reason.to_owned(),
            });
        }
        if count > MAX_LOSSES
            && let Some(last) = lost.last_mut()
        {
            for segment in known {
                discontinuity |= segment.discontinuity;
                last.duration_us = last.duration_us.saturating_add(segment.duration_us);
            }
            last.reason = format!("{reason}, as {} after it", count - MAX_LOSSES);
        } else {
            drop(known);
        }
        self.discontinuity |= discontinuity;
        self.advance(count);
    }

    /// Adds what is newly listed, and takes over what is listed anew: its URI may bear a fresh token.
    fn merge(&mut self, playlist: &MediaPlaylist) {
        let Some(Position { sequence, .. }) = self.position else { return };
        for segment in &playlist.segments {
            let Some(index) = segment.media_sequence.checked_sub(sequence) else { continue };
            match usize::try_from(index).ok().and_then(|index| self.pending.get_mut(index)) {
                Some(known) => known.clone_from(segment),
                None => self.pending.push_back(segment.clone()),
            }
        }
    }

    fn remember(&mut self, playlist: &MediaPlaylist) {
        self.remembered.clear();
        self.remembered.extend(playlist.segments.iter().rev().take(REMEMBERED).map(|segment| Identity {
            media_sequence: segment.media_sequence,
            name: file_name(&segment.uri).to_owned(),
            duration_us: segment.duration_us,
            program_date_time: segment.program_date_time,
        }));
    }
}

impl Identity {
    /// Dates decide where both bear one; else the file's name, since tokens change around it, and the duration. Of
    /// the same name and duration, dates may differ as the clocks of redundant origins do: by less than a segment.
    fn is(&self, segment: &Segment) -> bool {
        let same_file = self.name == file_name(&segment.uri) && self.duration_us == segment.duration_us;
        match (self.program_date_time, segment.program_date_time) {
            (Some(a), Some(b)) if same_file => {
                a.abs_diff(b) < segment.duration_us.unsigned_abs().max(1_000_000)
            }
            (Some(a), Some(b)) => a.abs_diff(b) < 1_000_000,
            _ => same_file,
        }
    }
}

fn file_name(uri: &str) -> &str {
    let path = uri.split(['?', '#']).next().unwrap_or(uri);
    path.rsplit('/').next().unwrap_or(path)
}

/// Index of the segment that begins at least `targets` target durations before the end, or of the oldest.
fn index_before_end(playlist: &MediaPlaylist, targets: i64) -> u64 {
    let wanted_us = i64::from(playlist.target_duration_s).saturating_mul(targets * 1_000_000);
    let mut total_us = 0i64;
    for (index, segment) in playlist.segments.iter().enumerate().rev() {
        total_us = total_us.saturating_add(segment.duration_us);
        if total_us >= wanted_us {
            return index as u64;
        }
    }
    0
}

#[cfg(test)]
mod tests;
