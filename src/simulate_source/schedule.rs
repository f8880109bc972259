//! What a live playlist lists at a moment: pure arithmetic over the segments' durations.

use overdub_actors::clock::{UnixMicros, rfc3339};

/// A sliding window over segments that come one after the other, over and over or once.
#[derive(Debug, Clone)]
pub struct Schedule {
    /// Where each segment of a loop ends, microseconds from the loop's start; never empty.
    ends_us: Vec<i64>,
    window: usize,
    repeat: bool,
}

/// Where a segment of the stream comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// How many loops lie before it.
    pub loop_number: u64,
    /// Its index within the loop.
    pub index: usize,
}

impl Schedule {
    /// A schedule of segments that last `durations_us`; `None` without a segment or with one that does not last.
    #[must_use]
    pub fn new(durations_us: &[i64], window: usize, repeat: bool) -> Option<Self> {
        let ends_us: Vec<i64> = durations_us
            .iter()
            .scan(0i64, |end, duration| {
                *end = end.checked_add(*duration).filter(|_| *duration > 0)?;
                Some(*end)
            })
            .collect();
        (!ends_us.is_empty() && ends_us.len() == durations_us.len()).then_some(Self {
            ends_us,
            window: window.max(1),
            repeat,
        })
    }

    /// How long the stream has been on air when a server starts: a looping one begins with a full window,
    /// as a client finds any live stream; one that ends begins with its first segment.
    #[must_use]
    pub fn head_start_us(&self) -> i64 {
        self.start_us(if self.repeat { self.window as u64 } else { 1 })
    }

    /// Which segment of the loop media sequence number `sequence` is; `None` past the end.
    #[must_use]
    pub fn position(&self, sequence: u64) -> Option<Position> {
        let count = self.ends_us.len() as u64;
        let loop_number = sequence / count;
        (self.repeat || loop_number == 0)
            .then_some(Position { loop_number, index: (sequence % count) as usize })
    }

    /// Media sequence numbers that have been listed for the first time after `elapsed_us` on air.
    #[must_use]
    pub fn complete(&self, elapsed_us: i64) -> u64 {
        let elapsed_us = elapsed_us.max(0);
        let count = self.ends_us.len() as u64;
        let loops = if self.repeat { elapsed_us / self.loop_us() } else { 0 };
        let within = elapsed_us - loops * self.loop_us();
        loops.unsigned_abs() * count + self.ends_us.partition_point(|end| *end <= within) as u64
    }

    /// Media sequence numbers listed after `elapsed_us` on air.
    #[must_use]
    pub fn listed(&self, elapsed_us: i64) -> std::ops::Range<u64> {
        let end = self.complete(elapsed_us);
        end.saturating_sub(self.window as u64)..end
    }

    /// Media sequence numbers that can be fetched: a segment stays for one window after it left the list
    /// (RFC 8216 6.2.2).
    #[must_use]
    pub fn servable(&self, elapsed_us: i64) -> std::ops::Range<u64> {
        let end = self.complete(elapsed_us);
        end.saturating_sub(2 * self.window as u64)..end
    }

    /// The media playlist after `elapsed_us` on air, of a stream that went on air at `on_air`.
    #[must_use]
    pub fn playlist(&self, elapsed_us: i64, on_air: UnixMicros) -> String {
        use std::fmt::Write as _;
        let listed = self.listed(elapsed_us);
        let target_s = (0..self.ends_us.len()).map(|index| self.duration_us(index)).max().unwrap_or(0);
        let mut text = format!(
            "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:{}\n#EXT-X-MEDIA-SEQUENCE:{}\n#EXT-X-INDEPENDENT-SEGMENTS\n",
            // RFC 8216 4.3.3.1: EXTINF rounded to the nearest second is at most the target duration.
            (target_s + 999_999) / 1_000_000,
            listed.start
        );
        for sequence in listed.clone() {
            let Some(position) = self.position(sequence) else { break };
            let duration_us = self.duration_us(position.index);
            // Writing to a String cannot fail.
            let _ = write!(
                text,
                "#EXT-X-PROGRAM-DATE-TIME:{}\n#EXTINF:{}.{:06},\nsegment-{sequence}.ts\n",
                rfc3339(on_air.plus_micros(self.start_us(sequence))),
                duration_us / 1_000_000,
                duration_us % 1_000_000,
            );
        }
        if !self.repeat && listed.end == self.ends_us.len() as u64 {
            text.push_str("#EXT-X-ENDLIST\n");
        }
        text
    }

    fn loop_us(&self) -> i64 {
        self.ends_us.last().copied().unwrap_or(1)
    }

    fn duration_us(&self, index: usize) -> i64 {
        self.ends_us[index] - index.checked_sub(1).map_or(0, |before| self.ends_us[before])
    }

    /// When segment `sequence` starts, microseconds on air.
    fn start_us(&self, sequence: u64) -> i64 {
        let count = self.ends_us.len() as u64;
        let loops = i64::try_from(sequence / count).unwrap_or(i64::MAX);
        let index = (sequence % count) as usize;
        let within = index.checked_sub(1).map_or(0, |before| self.ends_us[before]);
        loops.saturating_mul(self.loop_us()).saturating_add(within)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: i64 = 1_000_000;

    fn schedule(repeat: bool) -> Schedule {
        Schedule::new(&[2 * S, 3 * S, 2_500_000], 2, repeat).unwrap()
    }

    #[test]
    fn a_segment_is_listed_once_its_time_has_passed() {
        let schedule = schedule(true);
        assert_eq!(schedule.listed(2 * S - 1), 0..0);
        assert_eq!(schedule.listed(2 * S), 0..1);
        assert_eq!(schedule.listed(5 * S), 0..2);
        assert_eq!(schedule.listed(7_500_000), 1..3);
        assert_eq!(schedule.listed(9_499_999), 1..3);
        assert_eq!(schedule.listed(9_500_000), 2..4);
        assert_eq!(schedule.listed(75 * S), 28..30);
        assert_eq!(schedule.servable(75 * S), 26..30);
    }

    #[test]
    fn a_looping_stream_begins_with_a_full_window_and_an_ending_one_with_one_segment() {
        assert_eq!(schedule(true).listed(schedule(true).head_start_us()), 0..2);
        assert_eq!(schedule(false).listed(schedule(false).head_start_us()), 0..1);
    }

    #[test]
    fn positions_go_round_the_loop_or_end() {
        assert_eq!(schedule(true).position(7), Some(Position { loop_number: 2, index: 1 }));
        assert_eq!(schedule(false).position(2), Some(Position { loop_number: 0, index: 2 }));
        assert_eq!(schedule(false).position(3), None);
    }

    #[test]
    fn the_playlist_says_what_is_listed() {
        let text = schedule(true).playlist(9_600_000, UnixMicros(0));
        assert_eq!(
            text,
            "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:3\n#EXT-X-MEDIA-SEQUENCE:2\n\
             #EXT-X-INDEPENDENT-SEGMENTS\n\
             #EXT-X-PROGRAM-DATE-TIME:1970-01-01T00:00:05.000Z\n#EXTINF:2.500000,\nsegment-2.ts\n\
             #EXT-X-PROGRAM-DATE-TIME:1970-01-01T00:00:07.500Z\n#EXTINF:2.000000,\nsegment-3.ts\n"
        );
    }

    #[test]
    fn a_stream_that_does_not_loop_ends_with_endlist() {
        assert!(!schedule(false).playlist(7 * S, UnixMicros(0)).contains("ENDLIST"));
        let text = schedule(false).playlist(100 * S, UnixMicros(0));
        assert!(text.ends_with("segment-2.ts\n#EXT-X-ENDLIST\n"), "{text}");
    }

    #[test]
    fn segments_without_duration_make_no_schedule() {
        assert!(Schedule::new(&[], 3, true).is_none());
        assert!(Schedule::new(&[S, 0], 3, true).is_none());
        assert!(Schedule::new(&[i64::MAX, 1], 3, true).is_none());
    }
}
