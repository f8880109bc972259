//! Which of the fixture's pictures and access units an output carries.

use std::collections::BTreeMap;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash as _, Hasher as _};
use std::path::Path;

use super::hls::Recorded;
use super::live::LiveSource;
use super::packets::read_both;
use super::rtmp::Message;
use super::{Result, fmp4, root, source};

/// Pictures of the fixture; it loops after them.
pub const PICTURES: usize = 400;
/// Pictures of one of its segments, and of its GOPs.
pub const GOP: usize = 50;

/// The fixture's pictures and access units by what is in them.
pub struct Content {
    pictures: BTreeMap<u64, usize>,
    units: BTreeMap<u64, usize>,
}

/// One listed segment and what is in it.
#[derive(Debug, Clone, PartialEq)]
pub struct Shown {
    /// Its media sequence number.
    pub sequence: u64,
    /// When it was first listed, Unix microseconds.
    pub listed_us: i64,
    /// The source's content at its PROGRAM-DATE-TIME.
    pub content: Option<i64>,
    /// Whether EXT-X-DISCONTINUITY stands before it.
    pub discontinuity: bool,
    /// EXTINF.
    pub duration_s: f64,
    /// Decode time of its first sample, and the end of its last, in units of the timescale.
    pub time: (i64, i64),
    /// Units of time in one second.
    pub per_second: i64,
    /// Its samples as the fixture numbers them; `None` is nothing of the fixture.
    pub numbers: Vec<Option<usize>>,
}

/// A place at which the output does not go on with what followed in the source.
#[derive(Debug, Clone, PartialEq)]
pub struct Gap {
    /// The segment after it.
    pub sequence: u64,
    /// Source segments that are missing, by their dates; negative for some that came twice.
    pub missing: i64,
    /// Whether it is marked.
    pub marked: bool,
    /// Seconds by which the timeline goes on (0: it continues without a hole).
    pub hole_s: f64,
}

/// How an output did.
#[derive(Debug, Clone, PartialEq)]
pub struct Continuity {
    /// Segments listed.
    pub segments: usize,
    /// Breaks in what was shown.
    pub gaps: Vec<Gap>,
    /// The longest that a listing came later than the one before it demanded, seconds.
    pub stall_s: f64,
}

impl Content {
    /// Reads the fixture; `folder` takes a scratch file.
    pub async fn read(folder: &Path) -> Result<Self> {
        let files = (0..8).map(|number| root().join(format!("fixtures/live/segment-{number}.ts")));
        let (video, audio) = read_both(&source::join(folder, files)?).await?;
        let index = |track: &super::packets::Track| {
            track.packets.iter().enumerate().map(|(index, packet)| (digest(&packet.payload), index)).collect()
        };
        let content = Self { pictures: index(&video), units: index(&audio) };
        if content.pictures.len() != PICTURES {
            return Err("the fixture's pictures do not differ from each other".into());
        }
        Ok(content)
    }

    /// What is in each listed segment of the video playlist, or of an audio one.
    pub fn shown(&self, source: &LiveSource, name: &str, recorded: &Recorded) -> Result<Vec<Shown>> {
        let mut all = Vec::with_capacity(recorded.entries.len());
        for (entry, listed_us, data) in &recorded.entries {
            let (path, range) = entry.map.as_ref().ok_or("a segment without init section")?;
            let init =
                recorded.inits.get(&format!("{path} {range:?}")).ok_or("an init section is missing")?;
            let samples = fmp4::samples(init, data)?;
            let (Some(first), Some(last)) = (samples.first(), samples.last()) else {
                return Err(format!("segment {} is empty", entry.sequence).into());
            };
            let number = |data: &[u8]| {
                if name == "video" {
                    self.pictures.get(&digest(&nals(data))).copied()
                } else {
                    self.units.get(&digest(&[data])).copied()
                }
            };
            all.push(Shown {
                sequence: entry.sequence,
                listed_us: *listed_us,
                content: entry.date_time_us.map(|date| source.content_at(date)),
                discontinuity: entry.discontinuity,
                duration_s: entry.duration_s,
                time: (first.dts, last.dts + last.duration),
                per_second: fmp4::timescale(init)?,
                numbers: samples.iter().map(|sample| number(&sample.data)).collect(),
            });
        }
        Ok(all)
    }

    /// The picture that an RTMP message carries.
    pub fn picture(&self, message: &Message) -> Option<usize> {
        (message.kind == 9 && message.is_media()).then(|| self.pictures.get(&message.digest).copied())?
    }

    /// The access unit that an RTMP message carries.
    pub fn unit(&self, message: &Message) -> Option<usize> {
        (message.kind == 8 && message.is_media()).then(|| self.units.get(&message.digest).copied())?
    }
}

/// What stands for a sample: its parts, whatever separates them in a container.
pub fn digest<T: AsRef<[u8]>>(parts: &[T]) -> u64 {
    let mut hasher = DefaultHasher::new();
    parts.iter().for_each(|part| part.as_ref().hash(&mut hasher));
    hasher.finish()
}

/// NAL units behind lengths of four bytes; what is none of that is one part.
pub fn nals(mut data: &[u8]) -> Vec<&[u8]> {
    let whole = data;
    let mut found = Vec::new();
    while let Some((length, rest)) = data.split_first_chunk::<4>() {
        let Some((nal, rest)) = rest.split_at_checked(u32::from_be_bytes(*length) as usize) else {
            return vec![whole];
        };
        found.push(nal);
        data = rest;
    }
    found
}

/// Judges the video playlist: every picture the source's, in order; breaks are listed. An error is what no
/// fault of the source excuses: pictures that are not the source's, or that come out of order in a segment.
pub fn continuity(shown: &[Shown]) -> Result<Continuity> {
    let mut gaps = Vec::new();
    let mut stall_us = 0;
    let mut before: Option<(&Shown, usize)> = None;
    for segment in shown {
        let numbers: Option<Vec<usize>> = segment.numbers.iter().copied().collect();
        let numbers = numbers
            .ok_or_else(|| format!("segment {} has pictures that are not the source's", segment.sequence))?;
        if let Some(pair) = numbers.windows(2).find(|pair| pair[1] != (pair[0] + 1) % PICTURES) {
            return Err(format!(
                "within segment {} picture {} follows {}",
                segment.sequence, pair[1], pair[0]
            )
            .into());
        }
        if let Some((previous, last)) = before {
            if segment.sequence != previous.sequence + 1 {
                return Err(format!("{} follows {}", segment.sequence, previous.sequence).into());
            }
            let hole_s = segment.time.0 as f64 / segment.per_second as f64
                - previous.time.1 as f64 / previous.per_second as f64;
            let segments = (previous.numbers.len() / GOP) as i64;
            let missing = match (segment.content, previous.content) {
                (Some(now), Some(then)) => now - then - segments,
                _ => 0,
            };
            let follows = numbers[0] == (last + 1) % PICTURES;
            if !follows || missing != 0 || segment.discontinuity || hole_s.abs() > 0.001 {
                gaps.push(Gap { sequence: segment.sequence, missing, marked: segment.discontinuity, hole_s });
            }
            let due_us = previous.listed_us + (segment.duration_s * 1e6) as i64;
            stall_us = stall_us.max(segment.listed_us - due_us);
        }
        before = Some((segment, numbers[numbers.len() - 1]));
    }
    Ok(Continuity { segments: shown.len(), gaps, stall_s: stall_us as f64 / 1e6 })
}

/// Checks that two renditions fill the same slots to the frame: the same times and as many access units.
pub fn same_slots(original: &[Shown], processed: &[Shown]) -> Result<usize> {
    let mut compared = 0;
    for segment in processed {
        let Some(other) = original.iter().find(|other| other.sequence == segment.sequence) else { continue };
        if (segment.time, segment.numbers.len()) != (other.time, other.numbers.len()) {
            return Err(format!(
                "segment {}: {:?} with {} access units, the original's slot is {:?} with {}",
                segment.sequence,
                segment.time,
                segment.numbers.len(),
                other.time,
                other.numbers.len()
            )
            .into());
        }
        compared += 1;
    }
    if compared == 0 { Err("nothing to compare".into()) } else { Ok(compared) }
}

/// One RTMP connection's pictures.
#[derive(Debug, Clone, PartialEq)]
pub struct Pushed {
    /// Number of the connection.
    pub connection: usize,
    /// The first picture's number and its timestamp, milliseconds.
    pub first: (usize, u32),
    /// The last one's.
    pub last: (usize, u32),
    /// How many came.
    pub pictures: usize,
    /// How many access units came.
    pub units: usize,
    /// When the first and the last picture came, Unix microseconds.
    pub arrived_us: (i64, i64),
}

/// Judges what an RTMP server got: each connection begins at a keyframe and carries on without a hole, its
/// timestamps as far apart as the source's.
pub fn pushed(content: &Content, messages: &[Message]) -> Result<Vec<Pushed>> {
    let mut all: Vec<Pushed> = Vec::new();
    for message in messages.iter().filter(|message| message.is_media()) {
        let connection = message.connection;
        let known = all.iter().position(|pushed| pushed.connection == connection);
        if message.kind == 8 {
            if let Some(at) = known {
                all[at].units += 1;
            }
            continue;
        }
        let here = format!("connection {connection} at {} ms", message.timestamp_ms);
        let number = content.picture(message).ok_or_else(|| format!("{here}: not the source's picture"))?;
        let stamp = message.timestamp_ms;
        match known {
            None if number % GOP != 0 => return Err(format!("{here} begins with picture {number}").into()),
            None => all.push(Pushed {
                connection,
                first: (number, stamp),
                last: (number, stamp),
                pictures: 1,
                units: 0,
                arrived_us: (message.arrived_us, message.arrived_us),
            }),
            Some(at) => {
                let pushed = &mut all[at];
                let step = (number + PICTURES - pushed.last.0) % PICTURES;
                let expected_ms = step as i64 * 40;
                let passed_ms = i64::from(stamp) - i64::from(pushed.last.1);
                if step != 1 && number % GOP != 0 {
                    return Err(format!("{here}: picture {number} follows {}", pushed.last.0).into());
                }
                if step != 1 || (passed_ms - expected_ms).abs() > 1 {
                    return Err(format!("{here}: {step} pictures and {passed_ms} ms on").into());
                }
                (pushed.last, pushed.pictures) = ((number, stamp), pushed.pictures + 1);
                pushed.arrived_us.1 = message.arrived_us;
            }
        }
    }
    // A server that had not read may come to an older connection's first picture last.
    all.sort_by_key(|pushed| pushed.connection);
    Ok(all)
}
