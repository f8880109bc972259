//! Sample tables (`stbl`, ISO/IEC 14496-12 8.5 to 8.7): a progressive file's samples.

use bytes::Bytes;

use super::boxes::{BoxBody, SampleBudget, words};
use super::error::Mp4Error;
use super::movie::{Track, TrackKind};
use super::runs::{ReadSample, slice};

/// The samples of an H.264 or AAC track; none of any other, and none when the file is fragmented.
pub(super) fn read_tables(
    stbl: BoxBody<'_>,
    track: &Track,
    data: &Bytes,
    budget: &mut SampleBudget,
) -> Result<Vec<ReadSample>, Mp4Error> {
    let video = match track.kind {
        TrackKind::Video(_) => true,
        TrackKind::Audio(_) => false,
        TrackKind::Other { .. } => return Ok(Vec::new()),
    };
    let sizes = Sizes::read(stbl)?;
    if sizes.count == 0 {
        return Ok(Vec::new());
    }
    budget.spend(sizes.count, &sizes.from)?;
    let stts = stbl.require(b"stts")?;
    let mut durations = Runs::read(stts)?;
    let mut offsets = stbl.find(b"ctts")?.map(Runs::read).transpose()?;
    let mut syncs = match stbl.find(b"stss")? {
        Some(stss) if video => Some(sync_numbers(stss)?.peekable()),
        _ => None,
    };
    let mut chunks = Chunks::read(stbl)?;

    let mut samples = Vec::with_capacity(sizes.count as usize);
    let mut dts: i64 = 0;
    let mut chunk = Chunk { at: 0, samples: 0 };
    for index in 0..sizes.count {
        while chunk.samples == 0 {
            chunk = chunks.next(track)?.ok_or_else(|| chunks.from.invalid("it locates too few samples"))?;
        }
        let size = sizes.get(index);
        let duration = durations.next().ok_or_else(|| stts.invalid("it times too few samples"))?;
        // 8.6.1.3: offsets of version 0 are unsigned by the standard and negative in practice.
        let cts_offset = offsets.as_mut().and_then(Iterator::next).unwrap_or(0).cast_signed();
        let sync = match &mut syncs {
            // 8.6.2: sample numbers count from 1.
            Some(numbers) => numbers.next_if_eq(&(index + 1)).is_some(),
            None => true,
        };
        let data = slice(data, chunk.at, size, &chunks.from)?;
        samples.push(ReadSample { dts, cts_offset, duration, sync, data });
        // 2^32 samples of 2^32 each are 2^64: a saturated time is beyond every real one.
        dts = dts.saturating_add(i64::from(duration));
        chunk.at += u64::from(size);
        chunk.samples -= 1;
    }
    Ok(samples)
}

/// Sample numbers of `stss`. One that does not increase is never reached by the walk above, so it is skipped.
fn sync_numbers(mut stss: BoxBody<'_>) -> Result<impl Iterator<Item = u32> + '_, Mp4Error> {
    stss.full_header()?;
    let count = stss.u32()?;
    let mut highest = 0;
    Ok(words(stss.table(count, 4)?).filter(move |number| {
        let increases = *number > highest;
        highest = highest.max(*number);
        increases
    }))
}

/// `stsz` or `stz2` (8.7.3).
struct Sizes<'a> {
    from: BoxBody<'a>,
    count: u32,
    /// Size of all samples, when it is one.
    constant: u32,
    /// Bits of an entry: 4, 8, 16 or 32.
    width: u8,
    table: &'a [u8],
}

impl<'a> Sizes<'a> {
    fn read(stbl: BoxBody<'a>) -> Result<Self, Mp4Error> {
        if let Some(from) = stbl.find(b"stz2")? {
            let mut body = from;
            body.full_header()?;
            let width = (body.u32()? & 0xff) as u8;
            let count = body.u32()?;
            if !matches!(width, 4 | 8 | 16) {
                return Err(from.invalid("its field size is none of 4, 8 and 16"));
            }
            let table = body.take((u64::from(count) * u64::from(width)).div_ceil(8))?;
            return Ok(Self { from, count, constant: 0, width, table });
        }
        let from = stbl.require(b"stsz")?;
        let mut body = from;
        body.full_header()?;
        let constant = body.u32()?;
        let count = body.u32()?;
        let table = if constant == 0 { body.table(count, 4)? } else { &[] };
        Ok(Self { from, count, constant, width: 32, table })
    }

    /// Size of the sample; `index` is below `count`.
    fn get(&self, index: u32) -> u32 {
        if self.constant != 0 {
            return self.constant;
        }
        let index = index as usize;
        match self.width {
            4 => u32::from(self.table[index / 2] >> (4 * (1 - index % 2)) & 15),
            8 => u32::from(self.table[index]),
            16 => u32::from(u16::from_be_bytes(self.table.as_chunks().0[index])),
            _ => u32::from_be_bytes(self.table.as_chunks().0[index]),
        }
    }
}

/// Values in runs: `stts` (8.6.1.2) and `ctts` (8.6.1.3).
struct Runs<'a> {
    rows: std::slice::Iter<'a, [u8; 8]>,
    left: u32,
    value: u32,
}

impl<'a> Runs<'a> {
    fn read(mut from: BoxBody<'a>) -> Result<Self, Mp4Error> {
        from.full_header()?;
        let count = from.u32()?;
        let rows = from.table(count, 8)?.as_chunks().0.iter();
        Ok(Self { rows, left: 0, value: 0 })
    }
}

impl Iterator for Runs<'_> {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        while self.left == 0 {
            let [a, b, c, d, value @ ..] = *self.rows.next()?;
            self.left = u32::from_be_bytes([a, b, c, d]);
            self.value = u32::from_be_bytes(value);
        }
        self.left -= 1;
        Some(self.value)
    }
}

/// A run of samples that lie one behind the other.
struct Chunk {
    at: u64,
    samples: u32,
}

/// `stco` or `co64` (8.7.5) with `stsc` (8.7.4).
struct Chunks<'a> {
    from: BoxBody<'a>,
    stsc: BoxBody<'a>,
    wide: bool,
    offsets: &'a [u8],
    /// Rows of `stsc` that apply to later chunks: first chunk, samples a chunk, sample entry.
    rows: std::iter::Peekable<std::slice::Iter<'a, [u8; 12]>>,
    samples: u32,
    next: u32,
}

impl<'a> Chunks<'a> {
    fn read(stbl: BoxBody<'a>) -> Result<Self, Mp4Error> {
        let (from, wide) = match stbl.find(b"co64")? {
            Some(co64) => (co64, true),
            None => (stbl.require(b"stco")?, false),
        };
        let mut body = from;
        body.full_header()?;
        let count = body.u32()?;
        let offsets = body.table(count, if wide { 8 } else { 4 })?;
        let stsc = stbl.require(b"stsc")?;
        let mut body = stsc;
        body.full_header()?;
        let count = body.u32()?;
        let rows = body.table(count, 12)?.as_chunks().0.iter().peekable();
        Ok(Self { from, stsc, wide, offsets, rows, samples: 0, next: 0 })
    }

    fn next(&mut self, track: &Track) -> Result<Option<Chunk>, Mp4Error> {
        let index = self.next as usize;
        let at = if self.wide {
            self.offsets.as_chunks().0.get(index).map(|at| u64::from_be_bytes(*at))
        } else {
            self.offsets.as_chunks().0.get(index).map(|at| u64::from(u32::from_be_bytes(*at)))
        };
        let Some(at) = at else { return Ok(None) };
        self.next += 1;
        // Chunks count from 1, so `next` is the number of this one.
        while let Some(row) = self.rows.peek() {
            let mut fields = words(&row[..]);
            let mut field = || fields.next().unwrap_or_default();
            let (first, samples, description) = (field(), field(), field());
            if first > self.next {
                break;
            }
            if first < self.next {
                return Err(self.stsc.invalid("its chunk numbers do not increase from 1"));
            }
            if track.descriptions > 1 && description > 1 {
                return Err(self.stsc.invalid("samples of a second sample entry are not supported"));
            }
            self.samples = samples;
            self.rows.next();
        }
        Ok(Some(Chunk { at, samples: self.samples }))
    }
}
