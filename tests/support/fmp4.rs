//! Samples of fragmented MP4 (ISO/IEC 14496-12), read box by box.

use super::Result;

/// One sample.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    /// Decode time in the track's timescale.
    pub dts: i64,
    /// Duration in the track's timescale.
    pub duration: i64,
    /// Its bytes.
    pub data: Vec<u8>,
}

/// A box: type, position, body.
type Found<'a> = ([u8; 4], usize, &'a [u8]);

/// The boxes of `data`: type, position of the box, and its body.
fn boxes(data: &[u8]) -> Result<Vec<Found<'_>>> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(head) = data.get(at..at + 8) {
        let size = u32::from_be_bytes([head[0], head[1], head[2], head[3]]) as usize;
        let body = data.get(at + 8..at + size).ok_or("a box is cut off")?;
        found.push(([head[4], head[5], head[6], head[7]], at, body));
        at += size;
    }
    if at == data.len() { Ok(found) } else { Err("bytes after the last box".into()) }
}

fn find<'a>(data: &'a [u8], path: &[&[u8; 4]]) -> Result<&'a [u8]> {
    let mut body = data;
    for name in path {
        let found = boxes(body)?.into_iter().find(|(kind, _, _)| kind == *name);
        body = found.ok_or_else(|| format!("no {}", String::from_utf8_lossy(*name)))?.2;
    }
    Ok(body)
}

fn u32_at(data: &[u8], at: usize) -> Result<u32> {
    let bytes = data.get(at..at + 4).ok_or("a field is cut off")?;
    Ok(u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
}

/// Units of time in one second (mdhd, 8.4.2) of the init section's only track.
pub fn timescale(init: &[u8]) -> Result<i64> {
    let mdhd = find(init, &[b"moov", b"trak", b"mdia", b"mdhd"])?;
    let at = if mdhd.first() == Some(&1) { 20 } else { 12 };
    Ok(i64::from(u32_at(mdhd, at)?))
}

/// All samples of a segment, in order.
pub fn samples(init: &[u8], segment: &[u8]) -> Result<Vec<Sample>> {
    let trex = find(init, &[b"moov", b"mvex", b"trex"])?;
    let mut found = Vec::new();
    for (kind, position, moof) in boxes(segment)? {
        if &kind != b"moof" {
            continue;
        }
        let traf = find(moof, &[b"traf"])?;
        // 8.8.7: optional fields stand in the order of their flags.
        let tfhd = find(traf, &[b"tfhd"])?;
        let flags = u32_at(tfhd, 0)? & 0xFF_FFFF;
        let mut at = 8 + if flags & 1 != 0 { 8 } else { 0 } + if flags & 2 != 0 { 4 } else { 0 };
        let mut optional = |flag: u32, otherwise: u32| -> Result<u32> {
            if flags & flag == 0 {
                return Ok(otherwise);
            }
            at += 4;
            u32_at(tfhd, at - 4)
        };
        let (duration, size) = (optional(8, u32_at(trex, 12)?)?, optional(16, u32_at(trex, 16)?)?);
        let tfdt = find(traf, &[b"tfdt"])?;
        let mut dts = match tfdt.first() {
            Some(1) => i64::from(u32_at(tfdt, 4)?) << 32 | i64::from(u32_at(tfdt, 8)?),
            _ => i64::from(u32_at(tfdt, 4)?),
        };
        for (_, _, trun) in boxes(traf)?.into_iter().filter(|(kind, _, _)| kind == b"trun") {
            let (flags, count) = (u32_at(trun, 0)? & 0xFF_FFFF, u32_at(trun, 4)?);
            if flags & 1 == 0 {
                return Err("a trun without data offset".into());
            }
            let mut data_at = position + u32_at(trun, 8)? as usize;
            let mut at = 12 + if flags & 4 != 0 { 4 } else { 0 };
            for _ in 0..count {
                let mut own = |flag: u32, otherwise: u32| -> Result<u32> {
                    if flags & flag == 0 {
                        return Ok(otherwise);
                    }
                    at += 4;
                    u32_at(trun, at - 4)
                };
                let (duration, size) = (i64::from(own(0x100, duration)?), own(0x200, size)? as usize);
                own(0x400, 0)?;
                own(0x800, 0)?;
                let data = segment.get(data_at..data_at + size).ok_or("a sample is cut off")?;
                found.push(Sample { dts, duration, data: data.to_vec() });
                (data_at, dts) = (data_at + size, dts + duration);
            }
        }
    }
    Ok(found)
}
