//! Moving MPEG-TS segments along their clock, so that a loop of them goes on as one unbroken stream.
//!
//! Pure: bytes in, bytes out. Payloads stay as they are; only PTS, DTS, PCR, OPCR and the continuity
//! counters change (ISO/IEC 13818-1 2.4.3.2 to 2.4.3.7).

use std::collections::BTreeMap;

use overdub_media::time::unwrap_near;

/// Bytes of a transport packet (ISO/IEC 13818-1 2.4.3.2).
const PACKET: usize = 188;
/// Bytes of a PES header up to the end of its DTS (ISO/IEC 13818-1 2.4.3.6).
const PES_STAMPS: usize = 19;
const CLOCK_MASK: u64 = (1 << 33) - 1;
/// A step between two stamps of one PID beyond this is no longer one clock.
const MAX_STEP_90K: i64 = 10 * 90_000;

/// Why segments cannot be looped.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotLoopable {
    /// There is nothing to measure.
    #[error("no PES packet with a timestamp in the segments; are they MPEG-TS?")]
    NoTimestamps,
    /// The segments are not on one clock.
    #[error("decode time jumps by {step_90k} ticks of 90 kHz in segment {segment} (PID {pid})")]
    Jump {
        /// Index of the segment.
        segment: usize,
        /// The PID whose time jumps.
        pid: u16,
        /// By how much.
        step_90k: i64,
    },
}

/// What a whole loop is: how long, and how far each continuity counter gets in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoopShape {
    /// From the first decode time to where the next loop's first has to be.
    pub duration_90k: i64,
    /// Duration of each segment, measured between their first decode times.
    pub segment_durations_90k: Vec<i64>,
    counter_steps: BTreeMap<u16, u8>,
}

/// By how much to move a segment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Shift {
    ticks_90k: u64,
    counters: BTreeMap<u16, u8>,
}

impl LoopShape {
    /// Measures the segments of a loop, in order.
    ///
    /// The first video PID is the measure (its PES packets hold one picture each), else the first PID that
    /// bears timestamps. Other tracks should last as long; if they do not, the seam has their difference.
    pub fn measure<'a>(segments: impl IntoIterator<Item = &'a [u8]>) -> Result<Self, NotLoopable> {
        let mut counters: BTreeMap<u16, (u8, u8)> = BTreeMap::new();
        let mut stamps: Vec<(usize, Stamp)> = Vec::new();
        let mut segment_count = 0;
        for (index, segment) in segments.into_iter().enumerate() {
            segment_count = index + 1;
            for (_, packet) in packets(segment) {
                if has_payload(packet) && pid_of(packet) != 0x1FFF {
                    let counter = packet[3] & 0x0F;
                    counters.entry(pid_of(packet)).or_insert((counter, counter)).1 = counter;
                }
            }
            stamps.extend(stamps_of(segment).into_iter().map(|stamp| (index, stamp)));
        }
        let reference = stamps
            .iter()
            .find(|(_, stamp)| stamp.video)
            .or_else(|| stamps.first())
            .map(|(_, stamp)| stamp.pid)
            .ok_or(NotLoopable::NoTimestamps)?;

        let mut times: Vec<(usize, i64)> = Vec::new();
        for (segment, stamp) in stamps.iter().filter(|(_, stamp)| stamp.pid == reference) {
            let time = match times.last() {
                None => stamp.dts as i64,
                Some(&(_, last)) => {
                    let time = unwrap_near(stamp.dts.cast_signed(), last);
                    if !(0..=MAX_STEP_90K).contains(&(time - last)) {
                        return Err(NotLoopable::Jump {
                            segment: *segment,
                            pid: reference,
                            step_90k: time - last,
                        });
                    }
                    time
                }
            };
            times.push((*segment, time));
        }
        let first = times.first().map_or(0, |&(_, time)| time);
        let last = times.last().map_or(0, |&(_, time)| time);
        let last_step = match times.as_slice() {
            [.., (_, before), (_, last)] => last - before,
            _ => 0,
        };
        let duration_90k = last + last_step - first;
        if duration_90k <= 0 {
            return Err(NotLoopable::NoTimestamps);
        }
        let starts: Vec<i64> = (0..segment_count)
            .map(|index| {
                times.iter().find(|(segment, _)| *segment >= index).map_or(first + duration_90k, |&(_, t)| t)
            })
            .chain([first + duration_90k])
            .collect();
        Ok(Self {
            duration_90k,
            segment_durations_90k: starts.windows(2).map(|pair| pair[1] - pair[0]).collect(),
            counter_steps: counters
                .into_iter()
                .map(|(pid, (first, last))| (pid, last.wrapping_add(1).wrapping_sub(first) & 0x0F))
                .collect(),
        })
    }

    /// The shift of every segment of loop `number`, counted from 0.
    #[must_use]
    pub fn shift(&self, number: u64) -> Shift {
        let counter = |step: &u8| ((number % 16) * u64::from(*step) % 16) as u8;
        Shift {
            ticks_90k: number.wrapping_mul(self.duration_90k.unsigned_abs()) & CLOCK_MASK,
            counters: self.counter_steps.iter().map(|(pid, step)| (*pid, counter(step))).collect(),
        }
    }
}

/// `segment` moved by `shift`. Bytes that are not transport packets stay as they are.
#[must_use]
pub fn restamp(segment: &[u8], shift: &Shift) -> Vec<u8> {
    let mut moved = segment.to_vec();
    for (start, packet) in packets(segment) {
        let counter = shift.counters.get(&pid_of(packet)).copied().unwrap_or(0);
        moved[start + 3] = (packet[3] & 0xF0) | (packet[3].wrapping_add(counter) & 0x0F);
        for offset in clock_references(packet) {
            let field = &mut moved[start + offset..start + offset + 6];
            let base = pcr_base(field).wrapping_add(shift.ticks_90k) & CLOCK_MASK;
            write_pcr_base(field, base);
        }
    }
    for header in pes_headers(segment) {
        for offset in header.stamps(segment) {
            // A header may lie across packets, so each byte has a place of its own.
            let places: [usize; 5] = std::array::from_fn(|i| header.places[offset + i]);
            let raw = places.map(|place| segment[place]);
            let time = stamp_value(raw).wrapping_add(shift.ticks_90k) & CLOCK_MASK;
            for (place, byte) in places.into_iter().zip(stamp_bytes(raw, time)) {
                moved[place] = byte;
            }
        }
    }
    moved
}

struct Stamp {
    pid: u16,
    video: bool,
    dts: u64,
}

fn stamps_of(segment: &[u8]) -> Vec<Stamp> {
    let stamp = |header: &PesHeader| {
        // The last stamp is the DTS where there are two, else the PTS, which then is the DTS too.
        let offset = header.stamps(segment).last()?;
        let raw = std::array::from_fn(|i| segment[header.places[offset + i]]);
        let stream_id = segment[header.places[3]];
        Some(Stamp { pid: header.pid, video: stream_id & 0xF0 == 0xE0, dts: stamp_value(raw) })
    };
    pes_headers(segment).iter().filter_map(stamp).collect()
}

/// Transport packets and where they start; bytes without sync byte in place are passed over.
fn packets(segment: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let mut position = 0;
    std::iter::from_fn(move || {
        while let Some(packet) = segment.get(position..position + PACKET) {
            let next_in_sync = segment.get(position + PACKET).is_none_or(|byte| *byte == 0x47);
            if packet[0] == 0x47 && next_in_sync {
                position += PACKET;
                return Some((position - PACKET, packet));
            }
            position += 1;
        }
        None
    })
}

fn pid_of(packet: &[u8]) -> u16 {
    u16::from(packet[1] & 0x1F) << 8 | u16::from(packet[2])
}

fn has_payload(packet: &[u8]) -> bool {
    packet[3] & 0x10 != 0
}

fn payload_start(packet: &[u8]) -> usize {
    if packet[3] & 0x20 != 0 { (5 + usize::from(packet[4])).min(PACKET) } else { 4 }
}

/// Offsets of PCR and OPCR in the packet (ISO/IEC 13818-1 2.4.3.4).
fn clock_references(packet: &[u8]) -> impl Iterator<Item = usize> {
    let flags = if packet[3] & 0x20 != 0 && packet[4] > 0 { packet[5] } else { 0 };
    let end = payload_start(packet);
    let pcr = (flags & 0x10 != 0).then_some(6);
    let opcr = (flags & 0x08 != 0).then_some(if pcr.is_some() { 12 } else { 6 });
    pcr.into_iter().chain(opcr).filter(move |offset| offset + 6 <= end)
}

fn pcr_base(field: &[u8]) -> u64 {
    let high = field[..4].iter().fold(0, |value, byte| value << 8 | u64::from(*byte));
    high << 1 | u64::from(field[4] >> 7)
}

fn write_pcr_base(field: &mut [u8], base: u64) {
    field[..4].copy_from_slice(&((base >> 1) as u32).to_be_bytes());
    field[4] = (field[4] & 0x7F) | (((base & 1) as u8) << 7);
}

/// The first bytes of a PES packet, by where they lie in the segment.
struct PesHeader {
    pid: u16,
    places: Vec<usize>,
}

impl PesHeader {
    /// Where in the header PTS and DTS stand, as far as they are there.
    fn stamps(&self, segment: &[u8]) -> impl Iterator<Item = usize> {
        let byte = |index: usize| self.places.get(index).map_or(0, |place| segment[*place]);
        let is_pes = byte(0) == 0 && byte(1) == 0 && byte(2) == 1;
        // ISO/IEC 13818-1 table 2-21: these stream ids have no optional header.
        let has_header = !matches!(byte(3), 0xBC | 0xBE | 0xBF | 0xF0 | 0xF1 | 0xF2 | 0xF8 | 0xFF);
        let flags = if is_pes && has_header && byte(6) & 0xC0 == 0x80 { byte(7) } else { 0 };
        let length = usize::from(byte(8));
        let count = self.places.len();
        let pts = (flags & 0x80 != 0 && length >= 5 && count >= 14).then_some(9);
        let dts = (flags & 0xC0 == 0xC0 && length >= 10 && count >= PES_STAMPS).then_some(14);
        pts.into_iter().chain(dts)
    }
}

fn pes_headers(segment: &[u8]) -> Vec<PesHeader> {
    let mut headers: Vec<PesHeader> = Vec::new();
    let mut open: BTreeMap<u16, usize> = BTreeMap::new();
    for (start, packet) in packets(segment).filter(|(_, packet)| has_payload(packet)) {
        let pid = pid_of(packet);
        if packet[1] & 0x40 != 0 {
            open.insert(pid, headers.len());
            headers.push(PesHeader { pid, places: Vec::with_capacity(PES_STAMPS) });
        }
        if let Some(header) = open.get(&pid).and_then(|index| headers.get_mut(*index)) {
            let missing = PES_STAMPS - header.places.len();
            header.places.extend((start + payload_start(packet)..start + PACKET).take(missing));
            if header.places.len() == PES_STAMPS {
                open.remove(&pid);
            }
        }
    }
    headers
}

/// Value of a 33-bit stamp in its five bytes with marker bits (ISO/IEC 13818-1 2.4.3.7).
fn stamp_value(raw: [u8; 5]) -> u64 {
    let [a, b, c, d, e] = raw.map(u64::from);
    (a >> 1 & 0x07) << 30 | b << 22 | (c >> 1) << 15 | d << 7 | e >> 1
}

/// `raw` with its value replaced, prefix and marker bits kept.
fn stamp_bytes(raw: [u8; 5], value: u64) -> [u8; 5] {
    [
        (raw[0] & 0xF1) | ((value >> 30 & 0x07) << 1) as u8,
        (value >> 22 & 0xFF) as u8,
        (raw[2] & 0x01) | ((value >> 15 & 0x7F) << 1) as u8,
        (value >> 7 & 0xFF) as u8,
        (raw[4] & 0x01) | ((value & 0x7F) << 1) as u8,
    ]
}

#[cfg(test)]
#[path = "restamp_tests.rs"]
mod tests;
