//! A live source with scripted faults: the fixture, moved along the timeline as its segments are asked for.
//!
//! No encoder runs and nothing is waited for: which segments exist is a question to the clock. Content is
//! counted from 0, two seconds each, whatever numbers and timestamps the source gives it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use overdub_actors::clock;
use tokio::time::Instant;

use super::site::{Reply, Site};
use super::{Result, root};

/// How long each segment is.
pub const SEGMENT: Duration = Duration::from_secs(2);
const LOOP: u64 = 8;
const SEGMENT_90K: u64 = 180_000;
/// Segments that are there already when the source begins.
const HEAD_START: u64 = 3;
const M3U8: &str = "application/vnd.apple.mpegurl";
const TS: &str = "video/mp2t";

/// What is wrong with one segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SegmentFault {
    /// An error status.
    Status(u16),
    /// The connection ends after so many per cent of what Content-Length announced.
    Cut(usize),
    /// A whole answer of so many per cent of the segment.
    Short(usize),
    /// So many bytes a second.
    Trickle(usize),
}

/// A run of an encoder: numbers (and perhaps timestamps) that begin at 0.
#[derive(Debug, Clone, Copy)]
struct Life {
    first: u64,
    stamps_from: u64,
}

struct Script {
    segments: Vec<Vec<u8>>,
    /// Continuity counters' step from one loop to the next, by PID.
    counters: BTreeMap<u16, u8>,
    began: Instant,
    began_us: i64,
    window: u64,
    life: Life,
    status: Option<u16>,
    frozen_at: Option<u64>,
    faults: BTreeMap<u64, SegmentFault>,
    served: BTreeMap<u64, usize>,
}

/// The source; it ends when dropped.
pub struct LiveSource {
    script: Arc<Mutex<Script>>,
    site: Site,
}

impl LiveSource {
    /// Starts one that lists `window` segments.
    pub async fn start(window: u64) -> Result<Self> {
        let read = |number: u64| std::fs::read(root().join(format!("fixtures/live/segment-{number}.ts")));
        let segments = (0..LOOP).map(read).collect::<std::io::Result<Vec<_>>>()?;
        let script = Arc::new(Mutex::new(Script {
            counters: counters(&segments),
            segments,
            began: Instant::now(),
            began_us: clock::now().0,
            window,
            life: Life { first: 0, stamps_from: 0 },
            status: None,
            frozen_at: None,
            faults: BTreeMap::new(),
            served: BTreeMap::new(),
        }));
        let answers = Arc::clone(&script);
        let site = Site::start(move |path| answers.lock().unwrap().answer(path)).await;
        Ok(Self { script, site })
    }

    /// URL of the playlist.
    pub fn url(&self) -> String {
        self.site.url("/live.m3u8")
    }

    /// How many segments exist by now; the next one's number.
    pub fn produced(&self) -> u64 {
        self.script.lock().unwrap().produced()
    }

    /// The paths asked for so far.
    pub fn requests(&self) -> Vec<String> {
        self.site.requests()
    }

    /// The heads of the requests so far.
    pub fn heads(&self) -> Vec<String> {
        self.site.heads()
    }

    /// How often each segment was asked for.
    pub fn served(&self) -> BTreeMap<u64, usize> {
        self.script.lock().unwrap().served.clone()
    }

    /// Answers everything with this status; the encoder behind it goes on. `None` ends it.
    pub fn answer_all(&self, status: Option<u16>) {
        self.script.lock().unwrap().status = status;
    }

    /// Lists from now on what it lists now, or everything again. Content goes on meanwhile.
    pub fn freeze(&self, frozen: bool) {
        let mut script = self.script.lock().unwrap();
        script.frozen_at = frozen.then(|| script.produced());
    }

    /// Begins again with number 0 at the content that comes next, as a restarted encoder does; its timestamps
    /// begin again too if `stamps`. Gives that content's number.
    pub fn reset(&self, stamps: bool) -> u64 {
        let mut script = self.script.lock().unwrap();
        // Its first segment is there when the list is first seen.
        let first = script.produced().saturating_sub(1);
        script.life.first = first;
        if stamps {
            script.life.stamps_from = first;
        }
        first
    }

    /// Makes a segment bad.
    pub fn spoil(&self, content: u64, fault: SegmentFault) {
        self.script.lock().unwrap().faults.insert(content, fault);
    }

    /// Makes a segment good again.
    pub fn repair(&self, content: u64) {
        self.script.lock().unwrap().faults.remove(&content);
    }

    /// The PROGRAM-DATE-TIME of content, Unix microseconds.
    pub fn date_of(&self, content: i64) -> i64 {
        self.script.lock().unwrap().began_us + content * SEGMENT.as_micros() as i64
    }

    /// The content that a PROGRAM-DATE-TIME belongs to.
    pub fn content_at(&self, date_us: i64) -> i64 {
        let since = date_us - self.script.lock().unwrap().began_us;
        (since + SEGMENT.as_micros() as i64 / 2).div_euclid(SEGMENT.as_micros() as i64)
    }
}

impl Script {
    fn produced(&self) -> u64 {
        HEAD_START + (self.began.elapsed().as_micros() / SEGMENT.as_micros()) as u64
    }

    fn answer(&mut self, path: &str) -> Reply {
        if let Some(status) = self.status {
            return Reply::Whole(status, "text/plain", b"not now\n".to_vec());
        }
        let end = self.frozen_at.unwrap_or_else(|| self.produced());
        if path == "/live.m3u8" {
            return Reply::Whole(200, M3U8, self.playlist(end).into_bytes());
        }
        let number = path.strip_prefix("/segment-").and_then(|rest| rest.strip_suffix(".ts"));
        let Some(content) = number.and_then(|n| n.parse::<u64>().ok()).map(|n| n + self.life.first) else {
            return Reply::not_found();
        };
        // A segment stays for its window's length after it has left the list (RFC 8216 6.2.2).
        if content >= end || content + 2 * self.window < end {
            return Reply::not_found();
        }
        *self.served.entry(content).or_default() += 1;
        let body = self.segment(content);
        let part = |percent: usize| body.len() / 188 * percent / 100 * 188 + 50;
        match self.faults.get(&content) {
            None => Reply::Whole(200, TS, body),
            Some(SegmentFault::Status(status)) => Reply::Whole(*status, "text/plain", b"no\n".to_vec()),
            Some(SegmentFault::Short(percent)) => Reply::Whole(200, TS, body[..part(*percent)].to_vec()),
            Some(SegmentFault::Cut(percent)) => Reply::Cut(TS, part(*percent), body),
            Some(SegmentFault::Trickle(bytes_per_s)) => Reply::Trickle(TS, *bytes_per_s, body),
        }
    }

    fn playlist(&self, end: u64) -> String {
        let first = end.saturating_sub(self.window).max(self.life.first);
        let mut text = format!(
            "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:{}\n#EXT-X-MEDIA-SEQUENCE:{}\n",
            SEGMENT.as_secs(),
            first - self.life.first
        );
        for content in first..end {
            let date = rfc3339(self.began_us + content as i64 * SEGMENT.as_micros() as i64);
            let number = content - self.life.first;
            text += &format!("#EXT-X-PROGRAM-DATE-TIME:{date}\n#EXTINF:2.000000,\nsegment-{number}.ts\n");
        }
        text
    }

    fn segment(&self, content: u64) -> Vec<u8> {
        let (index, round) = ((content % LOOP) as usize, content / LOOP);
        let at = (content - self.life.stamps_from) * SEGMENT_90K;
        let shift = at as i64 - (index as u64 * SEGMENT_90K) as i64;
        let mut data = self.segments[index].clone();
        for packet in data.chunks_exact_mut(188) {
            let pid = u16::from_be_bytes([packet[1] & 0x1F, packet[2]]);
            let step = self.counters.get(&pid).copied().unwrap_or(0);
            let counter = (packet[3] & 0x0F).wrapping_add((u64::from(step) * round % 16) as u8) & 0x0F;
            packet[3] = packet[3] & 0xF0 | counter;
            move_stamps(packet, shift);
        }
        data
    }
}

fn counters(segments: &[Vec<u8>]) -> BTreeMap<u16, u8> {
    let mut ends: BTreeMap<u16, (u8, u8)> = BTreeMap::new();
    for packet in segments.iter().flat_map(|segment| segment.chunks_exact(188)) {
        let pid = u16::from_be_bytes([packet[1] & 0x1F, packet[2]]);
        let counter = packet[3] & 0x0F;
        ends.entry(pid).or_insert((counter, counter)).1 = counter;
    }
    ends.into_iter().map(|(pid, (first, last))| (pid, (last + 1).wrapping_sub(first) & 0x0F)).collect()
}

/// Moves PCR (ISO/IEC 13818-1 2.4.3.5), PTS and DTS (2.4.3.7) of a packet.
fn move_stamps(packet: &mut [u8], shift_90k: i64) {
    let moved = |stamp: u64| (stamp as i64 + shift_90k).rem_euclid(1 << 33) as u64;
    let (mut payload, control) = (4, packet[3] >> 4 & 3);
    if control & 2 != 0 {
        let length = usize::from(packet[4]);
        if length >= 7 && packet[5] & 0x10 != 0 {
            let pcr = (6..10).fold(0, |value, at| value << 8 | u64::from(packet[at]));
            let base = moved(pcr << 1 | u64::from(packet[10] >> 7));
            packet[6..10].copy_from_slice(&((base >> 1) as u32).to_be_bytes());
            packet[10] = packet[10] & 0x7F | ((base & 1) as u8) << 7;
        }
        payload += 1 + length;
    }
    let starts = packet[1] & 0x40 != 0 && control & 1 != 0;
    let Some(pes) = packet.get_mut(payload..).filter(|pes| starts && pes.starts_with(&[0, 0, 1])) else {
        return;
    };
    for (flag, at) in [(0x80, 9), (0x40, 14)] {
        if pes[7] & flag == 0 {
            continue;
        }
        let [a, b, c, d, e] = [0, 1, 2, 3, 4].map(|offset| u64::from(pes[at + offset]));
        let stamp = moved((a >> 1 & 7) << 30 | b << 22 | (c >> 1) << 15 | d << 7 | e >> 1);
        pes[at] = pes[at] & 0xF1 | (stamp >> 29) as u8 & 0x0E;
        pes[at + 1] = (stamp >> 22) as u8;
        pes[at + 2] = (stamp >> 14) as u8 | 1;
        pes[at + 3] = (stamp >> 7) as u8;
        pes[at + 4] = (stamp << 1) as u8 | 1;
    }
}

/// A time as HLS writes it (RFC 8216 4.3.2.6), in UTC.
fn rfc3339(micros: i64) -> String {
    let (seconds, millis) = (micros.div_euclid(1_000_000), micros.rem_euclid(1_000_000) / 1000);
    let (days, of_day) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    // Years that begin in March, as in `time`.
    let shifted = days + 719_468;
    let (era, day) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let of_year = day - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let (day, month_of) =
        (of_year - (153 * month + 2) / 5 + 1, if month < 10 { month + 3 } else { month - 9 });
    let year = year + era * 400 + i64::from(month_of <= 2);
    let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
    format!("{year:04}-{month_of:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z")
}

#[test]
fn dates_are_written_as_they_are_read() {
    for micros in [0, 951_782_400_000_000, 1_782_864_000_250_000, 1_709_164_799_999_000] {
        assert_eq!(super::time::unix_micros(&rfc3339(micros)), micros, "{}", rfc3339(micros));
    }
}
