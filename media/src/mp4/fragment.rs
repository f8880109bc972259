//! Movie fragments: a `moof` and an `mdat` as chunks for one vectored write.

use bytes::Bytes;

use super::boxes::BoxBody;
use super::error::Mp4Error;
use super::runs::ReadSample;
use crate::sample::{AudioSample, VideoSample};

/// Sample flags (ISO/IEC 14496-12 8.8.3.1): depends on no other sample.
const SYNC: u32 = 0x0200_0000;
/// Depends on others, and decoding cannot start here.
const NOT_SYNC: u32 = 0x0101_0000;

/// Bytes of `tfhd` as written: box header, version and flags, track id, default sample flags.
const TFHD_LEN: u32 = 20;
/// Bytes of a 64-bit `tfdt`.
const TFDT_LEN: u32 = 20;
/// Bytes of `mfhd`.
const MFHD_LEN: u32 = 16;

/// Where the 8 bytes of the first track's decode time begin in a fragment of ours: behind `moof`'s header,
/// `mfhd`, `traf`'s header, `tfhd`, and `tfdt`'s header with version and flags.
pub const FIRST_TFDT_VALUE_OFFSET: usize = 8 + MFHD_LEN as usize + 8 + TFHD_LEN as usize + 12;

/// A `moof` and its `mdat`.
#[derive(Debug, Clone)]
pub struct Fragment {
    /// The bytes in order: first `moof` and `mdat`'s header, then the payload. Payload chunks share the
    /// samples' memory; only the 4-byte lengths between NAL units are new.
    pub chunks: Vec<Bytes>,
    /// Bytes of all chunks together.
    pub len: u64,
}

impl Fragment {
    /// All chunks in one buffer: a copy, for tests and short fragments.
    #[must_use]
    pub fn to_vec(&self) -> Vec<u8> {
        self.chunks.concat()
    }
}

/// Gathers the runs of one fragment, at most one a track. Runs are written in the order they are given in.
#[derive(Debug, Clone)]
pub struct FragmentBuilder<'a> {
    sequence_number: u32,
    runs: Vec<Run<'a>>,
}

#[derive(Debug, Clone)]
struct Run<'a> {
    track_id: u32,
    samples: Samples<'a>,
    time_offset: i64,
}

#[derive(Debug, Clone, Copy)]
enum Samples<'a> {
    Video(&'a [VideoSample]),
    Audio(&'a [AudioSample]),
    Read(&'a [ReadSample]),
}

/// One row of a `trun`.
struct Row {
    duration: u32,
    size: u32,
    sync: bool,
    cts_offset: i32,
}

/// A run, ready to be written.
struct Table {
    track_id: u32,
    decode_time: u64,
    rows: Vec<Row>,
    /// Whether every row needs its flags (else all are sync samples).
    with_flags: bool,
    with_offsets: bool,
    payload: u64,
}

impl<'a> FragmentBuilder<'a> {
    /// A fragment with this number (`mfhd`).
    #[must_use]
    pub fn new(sequence_number: u32) -> Self {
        Self { sequence_number, runs: Vec::new() }
    }

    /// Adds H.264 access units; the track's timescale is 90000.
    ///
    /// In this and all other runs, a sample's duration is taken from the next one's decode time, so that times
    /// are exact whatever durations say; only the last sample's own duration counts.
    #[must_use]
    pub fn video(self, track_id: u32, samples: &'a [VideoSample]) -> Self {
        self.run(track_id, Samples::Video(samples), 0)
    }

    /// Adds AAC access units; `time_offset` (samples of the sample rate) is added to each time.
    #[must_use]
    pub fn audio(self, track_id: u32, samples: &'a [AudioSample], time_offset: i64) -> Self {
        self.run(track_id, Samples::Audio(samples), time_offset)
    }

    /// Adds samples as another file of ours had them (video with 4-byte NAL unit lengths, same timescale),
    /// each as one chunk; `time_offset` is added to each decode time.
    #[must_use]
    pub fn read_samples(self, track_id: u32, samples: &'a [ReadSample], time_offset: i64) -> Self {
        self.run(track_id, Samples::Read(samples), time_offset)
    }

    fn run(mut self, track_id: u32, samples: Samples<'a>, time_offset: i64) -> Self {
        if samples.len() > 0 {
            self.runs.push(Run { track_id, samples, time_offset });
        }
        self
    }

    /// The fragment. No payload byte is copied.
    ///
    /// # Errors
    /// When there is no sample at all, a time is negative or goes backwards, a composition offset or size does
    /// not fit its field, or the fragment exceeds 2 GiB.
    pub fn build(self) -> Result<Fragment, Mp4Error> {
        let tables = self.runs.iter().map(Run::table).collect::<Result<Vec<_>, _>>()?;
        if tables.is_empty() {
            return Err(Mp4Error::Empty);
        }
        let moof_len = 8 + u64::from(MFHD_LEN) + tables.iter().map(Table::traf_len).sum::<u64>();
        let payload: u64 = tables.iter().map(|table| table.payload).sum();
        let len = moof_len + 8 + payload;
        // trun's data offset is a signed 32-bit number (8.8.8.2), and mdat's size has 32 bits.
        if i32::try_from(len).is_err() {
            return Err(Mp4Error::TooLarge { len });
        }
        let lengths = self.runs.iter().map(|run| run.samples.nal_count()).sum::<usize>() * 4;
        let mut head = Vec::with_capacity((moof_len + 8) as usize + lengths);
        put_header(&mut head, moof_len as u32, b"moof");
        put_header(&mut head, MFHD_LEN, b"mfhd");
        put_words(&mut head, &[0, self.sequence_number]);
        let mut data_offset = moof_len as u32 + 8;
        for table in &tables {
            table.write(&mut head, data_offset);
            data_offset += table.payload as u32;
        }
        put_header(&mut head, (payload + 8) as u32, b"mdat");
        let head_len = head.len();
        debug_assert_eq!(head_len as u64, moof_len + 8);
        for run in &self.runs {
            run.samples.put_nal_lengths(&mut head);
        }
        let head = Bytes::from(head);
        let mut lengths = head.slice(head_len..);
        let mut chunks =
            Vec::with_capacity(1 + self.runs.iter().map(|run| run.samples.chunk_count()).sum::<usize>());
        chunks.push(head.slice(..head_len));
        for run in &self.runs {
            run.samples.push_chunks(&mut lengths, &mut chunks);
        }
        Ok(Fragment { chunks, len })
    }
}

impl Samples<'_> {
    fn len(&self) -> usize {
        match self {
            Self::Video(samples) => samples.len(),
            Self::Audio(samples) => samples.len(),
            Self::Read(samples) => samples.len(),
        }
    }

    /// Decode time, own duration, payload bytes, sync, composition offset.
    fn get(&self, index: usize) -> (i64, u32, usize, bool, i128) {
        match self {
            Self::Video(samples) => {
                let sample = &samples[index];
                let offset = i128::from(sample.pts_90k) - i128::from(sample.dts_90k);
                (sample.dts_90k, sample.duration_90k, sample.avc_len(), sample.sync, offset)
            }
            Self::Audio(samples) => {
                let sample = &samples[index];
                (sample.time, sample.duration, sample.data.len(), true, 0)
            }
            Self::Read(samples) => {
                let sample = &samples[index];
                let offset = i128::from(sample.cts_offset);
                (sample.dts, sample.duration, sample.data.len(), sample.sync, offset)
            }
        }
    }

    fn nal_count(&self) -> usize {
        match self {
            Self::Video(samples) => samples.iter().map(|sample| sample.nals.len()).sum(),
            Self::Audio(_) | Self::Read(_) => 0,
        }
    }

    fn chunk_count(&self) -> usize {
        match self {
            Self::Video(_) => self.nal_count() * 2,
            Self::Audio(_) | Self::Read(_) => self.len(),
        }
    }

    /// Lengths fit: a whole fragment is below 2 GiB.
    fn put_nal_lengths(&self, out: &mut Vec<u8>) {
        if let Self::Video(samples) = self {
            for nal in samples.iter().flat_map(|sample| &sample.nals) {
                put_words(out, &[nal.len() as u32]);
            }
        }
    }

    fn push_chunks(&self, lengths: &mut Bytes, chunks: &mut Vec<Bytes>) {
        match self {
            Self::Video(samples) => {
                for nal in samples.iter().flat_map(|sample| &sample.nals) {
                    chunks.push(lengths.split_to(4));
                    chunks.push(nal.clone());
                }
            }
            Self::Audio(samples) => chunks.extend(samples.iter().map(|sample| sample.data.clone())),
            Self::Read(samples) => chunks.extend(samples.iter().map(|sample| sample.data.clone())),
        }
    }
}

impl Run<'_> {
    fn table(&self) -> Result<Table, Mp4Error> {
        let error = |index, what, value| Mp4Error::Sample { track: self.track_id, index, what, value };
        let count = self.samples.len();
        let mut rows = Vec::with_capacity(count);
        let mut payload: u64 = 0;
        let first = self.samples.get(0).0;
        let start = i128::from(first) + i128::from(self.time_offset);
        // 63 bits, so that every reader can hold it in a signed number.
        let decode_time = i64::try_from(start).ok().and_then(|time| u64::try_from(time).ok());
        let decode_time =
            decode_time.ok_or_else(|| error(0, "decode time is negative or too large", start))?;
        let mut time = first;
        for index in 0..count {
            let (_, own_duration, len, sync, offset) = self.samples.get(index);
            let mut duration = own_duration;
            if index + 1 < count {
                let next = self.samples.get(index + 1).0;
                let step = i128::from(next) - i128::from(time);
                duration = u32::try_from(step)
                    .map_err(|_| error(index + 1, "decode time steps backwards or too far", step))?;
                time = next;
            }
            let size = u32::try_from(len).map_err(|_| error(index, "size is too large", len as i128))?;
            let cts_offset =
                i32::try_from(offset).map_err(|_| error(index, "composition offset is too large", offset))?;
            payload += u64::from(size);
            rows.push(Row { duration, size, sync, cts_offset });
        }
        let with_flags = rows.iter().any(|row| !row.sync);
        let with_offsets = rows.iter().any(|row| row.cts_offset != 0);
        Ok(Table { track_id: self.track_id, decode_time, rows, with_flags, with_offsets, payload })
    }
}

impl Table {
    fn row_len(&self) -> u64 {
        8 + u64::from(self.with_flags) * 4 + u64::from(self.with_offsets) * 4
    }

    fn trun_len(&self) -> u64 {
        20 + self.rows.len() as u64 * self.row_len()
    }

    fn traf_len(&self) -> u64 {
        8 + u64::from(TFHD_LEN) + u64::from(TFDT_LEN) + self.trun_len()
    }

    /// The `traf`; lengths fit 32 bits, as the caller has checked.
    fn write(&self, out: &mut Vec<u8>, data_offset: u32) {
        put_header(out, self.traf_len() as u32, b"traf");
        put_header(out, TFHD_LEN, b"tfhd");
        // 8.8.7: default-base-is-moof, default sample flags.
        put_words(out, &[0x02_0020, self.track_id, SYNC]);
        put_header(out, TFDT_LEN, b"tfdt");
        // 8.8.12: version 1 has 64 bits.
        put_words(out, &[0x0100_0000, (self.decode_time >> 32) as u32, self.decode_time as u32]);
        put_header(out, self.trun_len() as u32, b"trun");
        // 8.8.8: version 1 has signed offsets; data offset, durations and sizes, then what is needed.
        let sample_flags = if self.with_flags { 0x400 } else { 0 };
        let offsets = if self.with_offsets { 0x800 } else { 0 };
        put_words(out, &[0x0100_0301 | sample_flags | offsets, self.rows.len() as u32, data_offset]);
        for row in &self.rows {
            put_words(out, &[row.duration, row.size]);
            if self.with_flags {
                put_words(out, &[if row.sync { SYNC } else { NOT_SYNC }]);
            }
            if self.with_offsets {
                put_words(out, &[row.cts_offset.cast_unsigned()]);
            }
        }
    }
}

fn put_header(out: &mut Vec<u8>, len: u32, name: &[u8; 4]) {
    out.extend_from_slice(&len.to_be_bytes());
    out.extend_from_slice(name);
}

fn put_words(out: &mut Vec<u8>, words: &[u32]) {
    for word in words {
        out.extend_from_slice(&word.to_be_bytes());
    }
}

/// Where the 8-byte decode time of the track fragment with this index (from 0) begins in a fragment, for
/// shifting it in time; `None` where there is none or it has 32 bits. `fragment` may end after its `moof`.
/// In fragments of ours the first is always at [`FIRST_TFDT_VALUE_OFFSET`].
#[must_use]
pub fn tfdt_value_offset(fragment: &[u8], index: usize) -> Option<usize> {
    let mut moof = BoxBody::top(fragment).find(b"moof").ok()??;
    let mut trafs = std::iter::from_fn(|| moof.next_child().ok().flatten()).filter(|b| &b.name.0 == b"traf");
    let mut tfdt = trafs.nth(index)?.find(b"tfdt").ok()??;
    let (version, _) = tfdt.full_header().ok()?;
    (version == 1 && tfdt.left() >= 8).then_some(tfdt.at)
}
