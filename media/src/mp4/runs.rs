//! Movie fragments (ISO/IEC 14496-12 8.8): `moof` to samples.

use bytes::Bytes;

use super::boxes::{BoxBody, SampleBudget};
use super::error::Mp4Error;
use super::movie::{Movie, SampleDefaults, Track, TrackKind};

/// Samples of one track.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrackFragment {
    /// The track's id.
    pub track_id: u32,
    /// Its samples in decode order; never empty.
    pub samples: Vec<ReadSample>,
    /// Whether its first fragment says when it is; else times begin at 0.
    pub timed: bool,
}

/// One sample of a file. Times count in the track's timescale; the edit list is not applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadSample {
    /// Decode time.
    pub dts: i64,
    /// Presentation time minus decode time.
    pub cts_offset: i32,
    /// Time to the next sample's decode time.
    pub duration: u32,
    /// Whether decoding can start here. Always so in audio.
    pub sync: bool,
    /// The sample's bytes, a slice of the input: NAL units behind lengths, or a raw AAC access unit.
    pub data: Bytes,
}

/// Bits of sample flags (8.8.3.1) that mark a sample which needs others: `sample_depends_on` 1 and
/// `sample_is_non_sync_sample`. Some writers set only one of them.
const NOT_SYNC: u32 = 0x0101_0000;

/// Reads one or several fragments (`moof` and `mdat`, with anything between them that is not needed).
/// Gives the H.264 and AAC samples, one entry a track, in the movie's order.
///
/// # Errors
/// When a box is damaged, a sample lies outside `data`, or a fragment is of a track that `movie` lacks.
pub fn read_fragment(movie: &Movie, data: &Bytes) -> Result<Vec<TrackFragment>, Mp4Error> {
    let mut reader = FragmentReader::new(movie, data, SampleBudget::for_input(data.len()));
    let mut top = BoxBody::top(data);
    while let Some(child) = top.next_child()? {
        if &child.name.0 == b"moof" {
            reader.moof(child)?;
        }
    }
    Ok(reader.finish())
}

/// What could be read of a segment, however damaged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadSegment {
    /// Samples as [`read_fragment`] gives them, of all audio and video tracks, whatever the codec.
    pub tracks: Vec<TrackFragment>,
    /// Samples that lie outside the input: the segment is cut.
    pub missing: u64,
    /// Why reading ended before the segment's end.
    pub error: Option<Mp4Error>,
}

/// Reads a segment as far as it goes: what is damaged or cut off costs its own samples alone.
#[must_use]
pub fn read_segment(movie: &Movie, data: &Bytes) -> ReadSegment {
    let mut reader = FragmentReader::new(movie, data, SampleBudget::for_input(data.len()));
    reader.lenient = true;
    let mut error = None;
    let mut top = BoxBody::top(data);
    loop {
        match top.next_child() {
            Ok(Some(child)) if &child.name.0 == b"moof" => {
                if let Err(cause) = reader.moof(child) {
                    error.get_or_insert(cause);
                }
            }
            Ok(Some(_)) => {}
            Ok(None) => break,
            Err(cause) => {
                error.get_or_insert(cause);
                break;
            }
        }
    }
    let missing = reader.missing;
    ReadSegment { tracks: reader.finish(), missing, error }
}

/// Gathers the samples of several fragments.
pub(super) struct FragmentReader<'a> {
    movie: &'a Movie,
    data: &'a Bytes,
    budget: SampleBudget,
    tracks: Vec<Gathered>,
    /// Samples outside the input are counted, fragments of unknown tracks are left out, and samples of foreign audio
    /// are read too.
    lenient: bool,
    missing: u64,
}

#[derive(Default)]
struct Gathered {
    samples: Vec<ReadSample>,
    next_dts: i64,
    /// Whether the first sample's time was told.
    timed: bool,
}

/// What a `tfhd` says, completed from the track's defaults.
struct TrackHeader {
    defaults: SampleDefaults,
    base: u64,
}

impl<'a> FragmentReader<'a> {
    pub fn new(movie: &'a Movie, data: &'a Bytes, budget: SampleBudget) -> Self {
        let tracks = movie.tracks.iter().map(|_| Gathered::default()).collect();
        Self { movie, data, budget, tracks, lenient: false, missing: 0 }
    }

    /// Samples that come before any fragment: those of a sample table.
    pub fn begin(&mut self, track: usize, samples: Vec<ReadSample>) {
        let next_dts = samples.last().map_or(0, |last| last.dts.saturating_add(i64::from(last.duration)));
        self.tracks[track] = Gathered { samples, next_dts, timed: true };
    }

    pub fn budget(&mut self) -> &mut SampleBudget {
        &mut self.budget
    }

    pub fn finish(self) -> Vec<TrackFragment> {
        let ids = self.movie.tracks.iter().map(|track| track.id);
        ids.zip(self.tracks)
            .filter(|(_, gathered)| !gathered.samples.is_empty())
            .map(|(track_id, Gathered { samples, timed, .. })| TrackFragment { track_id, samples, timed })
            .collect()
    }

    pub fn moof(&mut self, moof: BoxBody<'_>) -> Result<(), Mp4Error> {
        // 8.8.7.1: without a base of its own, a track fragment's data follows that of the one before it.
        let mut data_end = moof.start as u64;
        let cut_off = self.cut_off(moof)?;
        let mut children = moof;
        while let Some(child) = children.next_child()? {
            if &child.name.0 == b"traf" {
                data_end = self.traf(child, moof.start as u64, data_end, cut_off)?;
            }
        }
        Ok(())
    }

    /// How much of the file lies before the input, for bases that count from the file's beginning (8.8.7.1): more than
    /// none where the first run's data is that of the box behind the `moof` only if its base is the `moof`.
    fn cut_off(&self, moof: BoxBody<'_>) -> Result<u64, Mp4Error> {
        let Some(traf) = moof.find(b"traf")? else { return Ok(0) };
        let mut tfhd = traf.require(b"tfhd")?;
        let (_, flags) = tfhd.full_header()?;
        let Some(mut trun) = traf.find(b"trun")?.filter(|_| flags & 0x1 != 0) else { return Ok(0) };
        tfhd.skip(4)?;
        let (base, start) = (tfhd.u64()?, moof.start as u64);
        let (_, flags) = trun.full_header()?;
        trun.skip(4)?;
        let offset = if flags & 0x1 != 0 { i64::from(trun.i32()?) } else { 0 };
        let mut behind = BoxBody::top(self.data);
        behind.at = moof.end;
        let next = behind.next_child()?.filter(|next| &next.name.0 == b"mdat");
        let begins = next.is_some_and(|mdat| start.checked_add_signed(offset) == Some(mdat.at as u64));
        Ok(if begins { base.saturating_sub(start) } else { 0 })
    }

    fn traf(
        &mut self,
        traf: BoxBody<'_>,
        moof_start: u64,
        data_end: u64,
        cut_off: u64,
    ) -> Result<u64, Mp4Error> {
        let mut tfhd = traf.require(b"tfhd")?;
        let (_, flags) = tfhd.full_header()?;
        let id = tfhd.u32()?;
        let Some(index) = self.movie.tracks.iter().position(|track| track.id == id) else {
            if self.lenient {
                return Ok(data_end);
            }
            return Err(Mp4Error::UnknownTrack { at: tfhd.start, track: id });
        };
        let track = &self.movie.tracks[index];
        let mut header = read_tfhd(tfhd, flags, track, moof_start, data_end)?;
        if flags & 0x1 != 0 {
            header.base = header.base.saturating_sub(cut_off);
        }
        if let Some(mut tfdt) = traf.find(b"tfdt")? {
            let (version, _) = tfdt.full_header()?;
            let time = if version == 1 { tfdt.u64()? } else { u64::from(tfdt.u32()?) };
            let gathered = &mut self.tracks[index];
            gathered.next_dts =
                i64::try_from(time).map_err(|_| tfdt.invalid("the decode time is beyond 63 bits"))?;
            gathered.timed |= gathered.samples.is_empty();
        }
        let mut run_start = header.base;
        let mut children = traf;
        while let Some(child) = children.next_child()? {
            if &child.name.0 == b"trun" {
                run_start = self.trun(child, index, &header, run_start)?;
            }
        }
        Ok(run_start)
    }

    /// Reads a `trun`; gives the end of its data.
    fn trun(
        &mut self,
        mut trun: BoxBody<'_>,
        index: usize,
        header: &TrackHeader,
        after_last: u64,
    ) -> Result<u64, Mp4Error> {
        // 8.8.8.2. Offsets of version 0 are unsigned by the standard and negative in practice.
        let (_, flags) = trun.full_header()?;
        let has = |flag: u32| flags & flag != 0;
        let count = trun.u32()?;
        let mut at = after_last;
        if has(0x1) {
            let offset = i64::from(trun.i32()?);
            at = header
                .base
                .checked_add_signed(offset)
                .ok_or_else(|| trun.invalid("its data would begin before the file"))?;
        }
        let first_flags = if has(0x4) { Some(trun.u32()?) } else { None };
        let columns = [0x100, 0x200, 0x400, 0x800].into_iter().filter(|flag| has(*flag)).count();
        let mut rows = trun;
        trun.table(count, columns * 4)?;

        let track = &self.movie.tracks[index];
        let video = match track.kind {
            TrackKind::Video(_) => true,
            TrackKind::Audio(_) => false,
            TrackKind::Other { .. } if self.lenient && track.foreign.is_some() => false,
            TrackKind::Other { .. } => return skip_run(rows, count, has, at, header),
        };
        self.budget.spend(count, &rows)?;
        let gathered = &mut self.tracks[index];
        gathered.samples.reserve(count as usize);
        for row in 0..count {
            let duration = if has(0x100) { rows.u32()? } else { header.defaults.duration };
            let size = if has(0x200) { rows.u32()? } else { header.defaults.size };
            let own_flags = if has(0x400) { Some(rows.u32()?) } else { None };
            let cts_offset = if has(0x800) { rows.i32()? } else { 0 };
            let flags = match (row, first_flags) {
                (0, Some(first)) => first,
                _ => own_flags.unwrap_or(header.defaults.flags),
            };
            let data = match slice(self.data, at, size, &rows) {
                Err(_) if self.lenient => None,
                data => Some(data?),
            };
            at = at.saturating_add(u64::from(size));
            let dts = gathered.next_dts;
            gathered.next_dts = dts
                .checked_add(i64::from(duration))
                .ok_or_else(|| rows.invalid("a decode time is beyond 63 bits"))?;
            let sync = !video || flags & NOT_SYNC == 0;
            match data {
                Some(data) => gathered.samples.push(ReadSample { dts, cts_offset, duration, sync, data }),
                None => self.missing += 1,
            }
        }
        Ok(at)
    }
}

/// 8.8.7.2.
fn read_tfhd(
    mut tfhd: BoxBody<'_>,
    flags: u32,
    track: &Track,
    moof_start: u64,
    data_end: u64,
) -> Result<TrackHeader, Mp4Error> {
    let has = |flag: u32| flags & flag != 0;
    let mut defaults = track.defaults;
    let base = match (has(0x1), has(0x2_0000)) {
        (true, _) => tfhd.u64()?,
        (false, true) => moof_start,
        (false, false) => data_end,
    };
    for (flag, field) in [
        (0x2, &mut defaults.description),
        (0x8, &mut defaults.duration),
        (0x10, &mut defaults.size),
        (0x20, &mut defaults.flags),
    ] {
        if has(flag) {
            *field = tfhd.u32()?;
        }
    }
    if track.descriptions > 1 && defaults.description > 1 {
        return Err(tfhd.invalid("samples of a second sample entry are not supported"));
    }
    Ok(TrackHeader { defaults, base })
}

/// The end of a run's data whose samples are not wanted.
fn skip_run(
    mut rows: BoxBody<'_>,
    count: u32,
    has: impl Fn(u32) -> bool,
    at: u64,
    header: &TrackHeader,
) -> Result<u64, Mp4Error> {
    let mut total = u64::from(count) * u64::from(header.defaults.size);
    if has(0x200) {
        total = 0;
        let before = if has(0x100) { 4 } else { 0 };
        let after = u64::from(has(0x400)) * 4 + u64::from(has(0x800)) * 4;
        for _ in 0..count {
            rows.skip(before)?;
            total += u64::from(rows.u32()?);
            rows.skip(after)?;
        }
    }
    at.checked_add(total).ok_or_else(|| rows.invalid("its data would end beyond 64 bits"))
}

/// `size` bytes of `data` from `start` on; `by` is the box that locates them.
pub(super) fn slice(data: &Bytes, start: u64, size: u32, by: &BoxBody<'_>) -> Result<Bytes, Mp4Error> {
    let range = usize::try_from(start).ok().and_then(|begin| {
        let end = begin.checked_add(usize::try_from(size).ok()?)?;
        (end <= data.len()).then_some(begin..end)
    });
    range.map(|range| data.slice(range)).ok_or(Mp4Error::Outside {
        name: by.name,
        at: by.start,
        start,
        size,
        total: data.len(),
    })
}
