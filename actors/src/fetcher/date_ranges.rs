//! Which date ranges of the playlist go along with a segment: each once, and again when it was changed.

use std::collections::HashMap;
use std::ops::Range;

use overdub_media::hls::{DateRange, merge_date_ranges};

/// Date ranges that go along with one segment; more wait for the next.
const MAX_PER_SEGMENT: usize = 100;

/// What was passed on of the ranges that the playlist lists.
#[derive(Debug, Default)]
pub(super) struct DateRanges {
    /// The tag's value, by ID.
    told: HashMap<String, String>,
    begun: bool,
}

/// What goes along with a segment.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Taken {
    /// Values of tags.
    pub(super) values: Vec<String>,
    /// Ranges that go nowhere, because they, or the source, do not say what time it is.
    pub(super) dropped: u32,
}

impl DateRanges {
    /// The ranges that have begun by the end of a segment and are new or have changed. `span` is the segment's time
    /// by the source's clock, in Unix microseconds.
    ///
    /// What ended before the first segment of all has nothing to do with what is aired.
    pub(super) fn take(&mut self, listed: &[DateRange], span: Option<Range<i64>>) -> Taken {
        let listed = merge_date_ranges(listed.iter().cloned());
        let mut before = std::mem::take(&mut self.told);
        let mut taken = Taken::default();
        for range in listed {
            let value = range.to_text();
            let known = before.remove(&range.id);
            if known.as_ref() != Some(&value) {
                let is_over =
                    |span: &Range<i64>| !self.begun && range.end_us().is_some_and(|end| end <= span.start);
                match (&span, range.start_us) {
                    (Some(span), Some(_)) if is_over(span) => {}
                    (Some(span), Some(start))
                        if start >= span.end || taken.values.len() == MAX_PER_SEGMENT =>
                    {
                        continue;
                    }
                    (Some(_), Some(_)) => taken.values.push(value.clone()),
                    _ => taken.dropped += u32::from(known.is_none()),
                }
            }
            self.told.insert(range.id, value);
        }
        self.begun |= span.is_some();
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ranges(values: &[&str]) -> Vec<DateRange> {
        values.iter().map(|value| DateRange::read(value).expect("a range")).collect()
    }

    fn second(n: i64) -> i64 {
        1_769_860_800_000_000 + n * 1_000_000
    }

    #[test]
    fn ranges_go_with_the_segment_in_which_they_begin_and_again_when_they_change() {
        let mut state = DateRanges::default();
        let planned = r#"ID="a",START-DATE="2026-01-31T12:00:05.000Z",PLANNED-DURATION=30"#;
        let listed = ranges(&[planned]);
        let mut take = |listed: &[DateRange], from: i64| {
            let taken = state.take(listed, Some(second(from)..second(from + 4)));
            assert_eq!(taken.dropped, 0);
            taken.values
        };
        assert!(take(&listed, 0).is_empty(), "it has not begun");
        assert_eq!(take(&listed, 4), [planned]);
        assert!(take(&listed, 8).is_empty(), "it was passed on");
        let ended = ranges(&[planned, r#"ID="a",DURATION=6,SCTE35-IN=0xFC"#]);
        assert_eq!(take(&ended, 12), [format!("{planned},DURATION=6,SCTE35-IN=0xFC")], "it was changed");
        let late = r#"ID="late",START-DATE="2026-01-31T12:00:03.000Z""#;
        let listed = [ended.clone(), ranges(&[late])].concat();
        assert_eq!(take(&listed, 16), [late], "it came after its segment was stored");
        assert!(take(&listed, 20).is_empty());
        assert!(take(&[], 24).is_empty());
    }

    #[test]
    fn what_ended_before_the_first_segment_stays_behind() {
        let listed = ranges(&[
            r#"ID="over",START-DATE="2026-01-31T12:00:00Z",DURATION=4"#,
            r#"ID="ended",START-DATE="2026-01-31T12:00:00Z",END-DATE="2026-01-31T12:00:09Z""#,
            r#"ID="lasts",START-DATE="2026-01-31T12:00:00Z",DURATION=60"#,
            r#"ID="open",START-DATE="2026-01-31T12:00:00Z""#,
        ]);
        let mut state = DateRanges::default();
        let taken = state.take(&listed, Some(second(10)..second(14)));
        let ids: Vec<String> =
            taken.values.iter().filter_map(|value| DateRange::read(value)).map(|range| range.id).collect();
        assert_eq!(ids, ["lasts", "open"]);
        assert_eq!(state.take(&listed, Some(second(14)..second(18))), Taken::default());
    }

    #[test]
    fn without_the_sources_time_they_are_dropped_and_counted_once() {
        let listed = ranges(&[r#"ID="a",START-DATE="2026-01-31T12:00:00Z""#, r#"ID="b""#]);
        let mut state = DateRanges::default();
        assert_eq!(state.take(&listed, None).dropped, 2);
        assert_eq!(state.take(&listed, None), Taken::default());
    }

    #[test]
    fn many_at_once_go_with_several_segments() {
        let listed: Vec<DateRange> = (0..250)
            .map(|n| DateRange { id: n.to_string(), start_us: Some(second(0)), ..DateRange::default() })
            .collect();
        let mut state = DateRanges::default();
        let mut counts = (0..4).map(|n| state.take(&listed, Some(second(n)..second(n + 1))).values.len());
        assert_eq!(counts.by_ref().collect::<Vec<_>>(), [100, 100, 50, 0]);
    }
}
