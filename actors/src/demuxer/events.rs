//! Events of a source on their way to HLS: ID3 and SCTE 35 as `emsg` beside the pictures, SCTE 35 as EXT-X-DATERANGE
//! too, where the source says what time it is.

use bytes::Bytes;
use overdub_media::assemble::{Event, EventKind};
use overdub_media::hls::{DateRange, format_date_time};
use overdub_media::mp4::{EventMessage, MessageTime, put_event_message};
use overdub_media::time::rescale;

use crate::clock::UnixMicros;
use crate::messages::ticks_to_micros;

/// Units of time of what is written: those of the video.
const TIMESCALE: u32 = 90_000;
/// "Carriage of ID3 Timed Metadata in the Common Media Application Format", AOM.
const ID3_SCHEME: &str = "https://aomedia.org/emsg/ID3";
/// ANSI/SCTE 214-3 7.3.2.
const SCTE35_SCHEME: &str = "urn:scte:scte35:2013:bin";
/// event_duration of what lasts nobody knows how long.
const UNKNOWN_DURATION: u32 = u32::MAX;
/// Events that may wait for their pictures.
const MAX_WAITING: usize = 10_000;
/// Date ranges of one batch.
const MAX_RANGES: usize = 1000;

/// Events of a batch that wait for the cut they belong to.
#[derive(Debug, Default)]
pub(super) struct Events {
    waiting: Vec<Event>,
    /// SCTE 35 for the playlist: times and sections.
    splices: Vec<(i64, Bytes)>,
    written: u64,
    dropped: u64,
}

impl Events {
    pub(super) fn add(&mut self, events: Vec<Event>) {
        for event in events {
            if let EventKind::Scte35(section) = &event.kind
                && self.splices.len() < MAX_RANGES
            {
                self.splices.push((event.time_90k, section.clone()));
            }
            if self.waiting.len() < MAX_WAITING {
                self.waiting.push(event);
            } else {
                self.dropped += 1;
            }
        }
    }

    /// The boxes that go before a cut that ends at `end_90k`; none where nothing happens in it.
    pub(super) fn before(&mut self, end_90k: i64) -> Option<Bytes> {
        if self.waiting.is_empty() {
            return None;
        }
        let mut boxes = Vec::new();
        self.waiting.retain(|event| {
            let due = event.time_90k < end_90k;
            if due {
                put_event_message(&mut boxes, &message(event));
                self.written += 1;
            }
            !due
        });
        (!boxes.is_empty()).then(|| boxes.into())
    }

    /// What is counted: events that reach HLS, and those that do not.
    pub(super) fn counters(&self) -> [(&'static str, u64); 2] {
        let dropped = self.dropped + self.waiting.len() as u64;
        [("events_passed_on", self.written), ("events_dropped", dropped)]
    }

    /// EXT-X-DATERANGE of the SCTE 35 messages, for a batch that begins at `start_90k` and, by the source's clock, at
    /// `date`.
    pub(super) fn date_ranges(&self, start_90k: i64, date: Option<UnixMicros>) -> Vec<String> {
        let Some(date) = date else { return Vec::new() };
        let range = |(index, (time_90k, section)): (usize, &(i64, Bytes))| {
            let at = date.plus_micros(ticks_to_micros(time_90k - start_90k));
            // One ID is one range (rfc8216bis 4.4.5.1).
            let before = self.splices[..index].iter().filter(|(time, _)| time == time_90k).count();
            let suffix = if before > 0 { format!("-{before}") } else { String::new() };
            let hex = section.iter().fold(String::from("0x"), |hex, byte| format!("{hex}{byte:02X}"));
            let range = DateRange {
                id: format!("scte35-{}{suffix}", format_date_time(at.0)),
                start_us: Some(at.0),
                attributes: vec![("SCTE35-CMD".to_owned(), hex, false)],
            };
            range.to_text()
        };
        self.splices.iter().enumerate().map(range).collect()
    }
}

fn message(event: &Event) -> EventMessage {
    // The timeline begins at zero, or a little before it.
    let time = MessageTime::Absolute(u64::try_from(event.time_90k).unwrap_or(0));
    let own = |scheme: &str, data: &Bytes| EventMessage {
        scheme: scheme.to_owned(),
        value: String::new(),
        timescale: TIMESCALE,
        time,
        duration: UNKNOWN_DURATION,
        id: (event.time_90k & 0x7fff_ffff) as u32,
        data: data.clone(),
    };
    match &event.kind {
        EventKind::Id3(tag) => own(ID3_SCHEME, tag),
        EventKind::Scte35(section) => own(SCTE35_SCHEME, section),
        EventKind::Message(message) => {
            let duration = match message.duration {
                UNKNOWN_DURATION => UNKNOWN_DURATION,
                duration => u32::try_from(rescale(i64::from(duration), message.timescale, TIMESCALE))
                    .unwrap_or(UNKNOWN_DURATION),
            };
            EventMessage { timescale: TIMESCALE, time, duration, ..message.clone() }
        }
    }
}

#[cfg(test)]
mod tests {
    use overdub_media::mp4::event_messages;

    use super::*;

    fn event(time_90k: i64, kind: EventKind) -> Event {
        Event { time_90k, kind }
    }

    #[test]
    fn an_event_goes_before_the_cut_that_it_happens_in() {
        let mut events = Events::default();
        events.add(vec![
            event(100, EventKind::Id3(Bytes::from_static(b"ID3x"))),
            event(90_000, EventKind::Scte35(Bytes::from_static(b"\xfc\x30"))),
            event(999_999_999, EventKind::Id3(Bytes::from_static(b"late"))),
        ]);
        let (first, _) = event_messages(&events.before(90_000).expect("a box"));
        assert_eq!(
            (first.len(), first[0].scheme.as_str(), &first[0].data[..]),
            (1, ID3_SCHEME, &b"ID3x"[..])
        );
        assert_eq!((first[0].timescale, first[0].time), (90_000, MessageTime::Absolute(100)));
        let (second, _) = event_messages(&events.before(180_000).expect("a box"));
        assert_eq!((second.len(), second[0].scheme.as_str()), (1, SCTE35_SCHEME));
        assert_eq!(events.before(270_000), None);
        assert_eq!(events.counters(), [("events_passed_on", 2), ("events_dropped", 1)]);
    }

    #[test]
    fn a_splice_is_a_date_range_where_the_source_says_what_time_it_is() {
        let mut events = Events::default();
        events.add(vec![event(180_000, EventKind::Scte35(Bytes::from_static(b"\xfc\x30\x0a")))]);
        assert!(events.date_ranges(90_000, None).is_empty());
        let noon = UnixMicros(1_769_860_800_000_000);
        let mut two = Events::default();
        two.add(vec![
            event(180_000, EventKind::Scte35(Bytes::from_static(b"\xfc\x30\x0a"))),
            event(180_000, EventKind::Scte35(Bytes::from_static(b"\xfc\x30\x0b"))),
        ]);
        let ranges = two.date_ranges(90_000, Some(noon));
        assert!(ranges[0].starts_with("ID=\"scte35-2026-01-31T12:00:01.000Z\","), "{ranges:?}");
        assert!(ranges[1].starts_with("ID=\"scte35-2026-01-31T12:00:01.000Z-1\","), "{ranges:?}");
        assert_eq!(
            events.date_ranges(90_000, Some(noon)),
            [
                "ID=\"scte35-2026-01-31T12:00:01.000Z\",START-DATE=\"2026-01-31T12:00:01.000Z\",SCTE35-CMD=0xFC300A"
            ]
        );
    }
}
