//! `moov`: the tracks of a file and what their samples have in common.

use bytes::Bytes;

use super::boxes::{BoxBody, words};
use super::entry::{Description, read_stsd};
use super::error::{FourCc, Mp4Error};
use super::gapless;
use crate::audio::{ForeignCodec, opus};
use crate::language;
use crate::sample::{AudioConfig, VideoConfig};
use crate::time::rescale;

/// Longest language tag kept (RFC 5646 4.4.1 asks for 35 at least).
const MAX_LANGUAGE: usize = 64;

/// Tracks are looked up one by one; no sound file has more.
const MAX_TRACKS: usize = 64;

/// What `ftyp` and `moov` say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Movie {
    /// The tracks in the file's order.
    pub tracks: Vec<Track>,
}

/// One track.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Track {
    /// Its id.
    pub id: u32,
    /// Units a second of its times; never 0.
    pub timescale: u32,
    /// What its samples are.
    pub kind: TrackKind,
    /// What it is for: `vide`, `soun`, `text`, ... (ISO/IEC 14496-12 8.4.3).
    pub handler: FourCc,
    /// Its language (8.4.6 `elng`, else `mdhd`'s), where it says one.
    pub language: Option<String>,
    /// Codec of audio that is not AAC but can become it.
    pub foreign: Option<ForeignCodec>,
    /// Channels of Opus.
    pub opus: Option<opus::Layout>,
    /// Where presentation begins in the media, in the track's timescale: encoder priming in audio, the first
    /// composition offset in video. 0 without an edit list.
    pub edit_media_time: i64,
    /// How much later than the movie the track begins (empty edits), in the track's timescale. A sample is
    /// presented at `dts + cts_offset - edit_media_time + edit_delay`.
    pub edit_delay: i64,
    /// Encoder priming as iTunes notes it (`iTunSMPB`), in samples. The edit list comes first.
    pub priming_samples: Option<u32>,
    /// Bytes of a NAL unit's length field in video samples: 1, 2 or 4. Ours have 4.
    pub nal_length_size: u8,
    /// What fragments need not repeat.
    pub defaults: SampleDefaults,
    /// Sample entries in `stsd`; only the first is read.
    pub(super) descriptions: u32,
}

/// Codec of a track.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TrackKind {
    /// H.264 or H.265.
    Video(VideoConfig),
    /// AAC.
    Audio(AudioConfig),
    /// Anything else; its samples are not read.
    Other {
        /// The sample entry's code, e.g. `av01`, `Opus`, `encv`.
        fourcc: FourCc,
    },
}

/// Defaults of a track's fragments (`trex`, ISO/IEC 14496-12 8.8.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SampleDefaults {
    /// Sample entry, counted from 1; 0 when there is no `trex`.
    pub description: u32,
    /// Duration in the track's timescale.
    pub duration: u32,
    /// Size in bytes.
    pub size: u32,
    /// Sample flags (8.8.3.1).
    pub flags: u32,
}

impl Movie {
    /// The first track of H.264 or H.265.
    #[must_use]
    pub fn video(&self) -> Option<(&Track, &VideoConfig)> {
        self.tracks.iter().find_map(|track| match &track.kind {
            TrackKind::Video(config) => Some((track, config)),
            _ => None,
        })
    }

    /// The tracks of sound, whatever their codec; only those of `language` where there are any.
    #[must_use]
    pub fn sound(&self, language: Option<&str>) -> Vec<&Track> {
        let speaks = |track: &&Track| {
            track
                .language
                .as_deref()
                .zip(language)
                .is_some_and(|(told, wanted)| language::speaks(told, wanted))
        };
        let mut tracks: Vec<&Track> =
            self.tracks.iter().filter(|track| &track.handler.0 == b"soun").collect();
        if tracks.iter().any(speaks) {
            tracks.retain(speaks);
        }
        tracks
    }

    /// The first AAC track.
    #[must_use]
    pub fn audio(&self) -> Option<(&Track, &AudioConfig)> {
        self.tracks.iter().find_map(|track| match &track.kind {
            TrackKind::Audio(config) => Some((track, config)),
            _ => None,
        })
    }
}

/// Reads the movie at the head of a file or in an init segment; what follows `moov` is not looked at.
///
/// # Errors
/// When there is no `moov`, or a box in it is damaged. Codecs that are not ours are no error.
pub fn read_init(data: &Bytes) -> Result<Movie, Mp4Error> {
    let moov = BoxBody::top(data).require(b"moov")?;
    Ok(read_moov(moov)?.movie)
}

/// A movie and, for each of its tracks, the sample table.
pub(super) struct MovieAndTables<'a> {
    pub movie: Movie,
    pub tables: Vec<BoxBody<'a>>,
}

pub(super) fn read_moov(moov: BoxBody<'_>) -> Result<MovieAndTables<'_>, Mp4Error> {
    let movie_timescale = read_timescale(moov.require(b"mvhd")?)?;
    let priming = gapless::priming_samples(moov);
    let mut tracks: Vec<Track> = Vec::new();
    let mut tables = Vec::new();
    let mut children = moov;
    while let Some(child) = children.next_child()? {
        if &child.name.0 != b"trak" {
            continue;
        }
        let (mut track, stbl) = read_trak(child, movie_timescale)?;
        if tracks.iter().any(|known| known.id == track.id) {
            return Err(child.invalid("another track has its id"));
        }
        if tracks.len() == MAX_TRACKS {
            return Err(child.invalid("there are more than 64 tracks"));
        }
        if matches!(track.kind, TrackKind::Audio(_)) {
            track.priming_samples = track.priming_samples.or(priming);
        }
        tracks.push(track);
        tables.push(stbl);
    }
    if let Some(mut mvex) = moov.find(b"mvex")? {
        while let Some(child) = mvex.next_child()? {
            if &child.name.0 == b"trex" {
                read_trex(child, &mut tracks)?;
            }
        }
    }
    if tracks.is_empty() {
        return Err(Mp4Error::Missing { parent: moov.name, at: moov.start, name: FourCc(*b"trak") });
    }
    Ok(MovieAndTables { movie: Movie { tracks }, tables })
}

fn read_trak(trak: BoxBody<'_>, movie_timescale: u32) -> Result<(Track, BoxBody<'_>), Mp4Error> {
    let id = read_track_id(trak.require(b"tkhd")?)?;
    let mdia = trak.require(b"mdia")?;
    let mdhd = mdia.require(b"mdhd")?;
    let timescale = read_timescale(mdhd)?;
    if timescale == 0 {
        return Err(mdhd.invalid("its timescale is 0"));
    }
    let mut hdlr = mdia.require(b"hdlr")?;
    hdlr.skip(8)?;
    let handler = FourCc(hdlr.array()?);
    let stbl = mdia.require(b"minf")?.require(b"stbl")?;
    let description = if matches!(&handler.0, b"vide" | b"soun") {
        read_stsd(stbl.require(b"stsd")?)?
    } else {
        Description {
            kind: TrackKind::Other { fourcc: handler },
            nal_length_size: 4,
            entries: 0,
            foreign: None,
            opus: None,
        }
    };
    let elst = match trak.find(b"edts")? {
        Some(edts) => edts.find(b"elst")?,
        None => None,
    };
    let edit = elst.map(read_elst).transpose()?.unwrap_or_default();
    let edit_delay = match i64::try_from(edit.empty) {
        Ok(empty) if movie_timescale > 0 => rescale(empty, movie_timescale, timescale),
        Ok(_) => 0,
        Err(_) => return Err(trak.invalid("its empty edits are too long")),
    };
    let track = Track {
        id,
        timescale,
        kind: description.kind,
        handler,
        // A damaged one is none.
        language: read_language(mdia, mdhd).ok().flatten(),
        foreign: description.foreign,
        opus: description.opus,
        edit_media_time: edit.media_time,
        edit_delay,
        priming_samples: gapless::priming_samples(trak),
        nal_length_size: description.nal_length_size,
        defaults: SampleDefaults::default(),
        descriptions: description.entries,
    };
    Ok((track, stbl))
}

/// ISO/IEC 14496-12 8.4.6, 8.4.2.
fn read_language(mdia: BoxBody<'_>, mut mdhd: BoxBody<'_>) -> Result<Option<String>, Mp4Error> {
    if let Some(mut elng) = mdia.find(b"elng")? {
        elng.full_header()?;
        let len = elng.left() as u64;
        let tag = elng.take(len)?.split(|byte| *byte == 0).next().unwrap_or_default();
        let usable = !tag.is_empty() && tag.len() <= MAX_LANGUAGE && tag.is_ascii();
        return Ok(usable.then(|| String::from_utf8_lossy(tag).into_owned()));
    }
    let (version, _) = mdhd.full_header()?;
    mdhd.skip(if version == 1 { 28 } else { 16 })?;
    let packed = mdhd.u16()?;
    // Three letters of five bits, each less 0x60.
    let letters = [packed >> 10, packed >> 5, packed].map(|letter| 0x60 + (letter & 0x1f) as u8);
    let usable = letters.iter().all(u8::is_ascii_lowercase) && letters != *b"und";
    Ok(usable.then(|| String::from_utf8_lossy(&letters).into_owned()))
}

/// ISO/IEC 14496-12 8.2.2 and 8.4.2: `mvhd` and `mdhd` have the timescale at the same place.
fn read_timescale(mut header: BoxBody<'_>) -> Result<u32, Mp4Error> {
    let (version, _) = header.full_header()?;
    header.skip(if version == 1 { 16 } else { 8 })?;
    header.u32()
}

fn read_track_id(mut tkhd: BoxBody<'_>) -> Result<u32, Mp4Error> {
    let (version, _) = tkhd.full_header()?;
    tkhd.skip(if version == 1 { 16 } else { 8 })?;
    match tkhd.u32()? {
        0 => Err(tkhd.invalid("track ids begin at 1")),
        id => Ok(id),
    }
}

#[derive(Default)]
struct Edit {
    media_time: i64,
    /// Length of the empty edits before it, in the movie's timescale.
    empty: u64,
}

/// ISO/IEC 14496-12 8.6.6. Only the first edit of media counts: later ones cut and splice, which live media
/// does not do.
fn read_elst(mut elst: BoxBody<'_>) -> Result<Edit, Mp4Error> {
    let (version, _) = elst.full_header()?;
    let count = elst.u32()?;
    let mut edit = Edit::default();
    for _ in 0..count {
        let (duration, media_time) = if version == 1 {
            (elst.u64()?, elst.u64()?.cast_signed())
        } else {
            (u64::from(elst.u32()?), i64::from(elst.i32()?))
        };
        elst.skip(4)?;
        match media_time {
            0.. => {
                edit.media_time = media_time;
                break;
            }
            -1 => edit.empty = edit.empty.saturating_add(duration),
            _ => return Err(elst.invalid("a media time is below -1")),
        }
    }
    Ok(edit)
}

fn read_trex(mut trex: BoxBody<'_>, tracks: &mut [Track]) -> Result<(), Mp4Error> {
    trex.full_header()?;
    let table = trex.table(5, 4)?;
    let mut fields = words(table);
    let mut next = || fields.next().unwrap_or_default();
    let id = next();
    // A default for a track that is not there harms nobody.
    if let Some(track) = tracks.iter_mut().find(|track| track.id == id) {
        track.defaults =
            SampleDefaults { description: next(), duration: next(), size: next(), flags: next() };
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_edit_delays_and_the_first_media_edit_counts() {
        let mut elst = b"\0\0\0\0\0\0\0\x03".to_vec();
        for (duration, time) in [(500u32, -1i32), (2000, 1024), (1, 9)] {
            elst.extend_from_slice(&duration.to_be_bytes());
            elst.extend_from_slice(&time.to_be_bytes());
            elst.extend_from_slice(&[0, 1, 0, 0]);
        }
        let edit = read_elst(BoxBody::top(&elst)).unwrap();
        assert_eq!((edit.media_time, edit.empty), (1024, 500));
        elst.truncate(19);
        assert!(read_elst(BoxBody::top(&elst)).is_err());
    }

    #[test]
    fn a_file_without_a_movie_is_an_error() {
        let data = Bytes::from_static(b"\0\0\0\x08ftyp");
        assert_eq!(read_init(&data).unwrap_err().to_string(), "box file at byte 0 holds no moov");
    }
}
