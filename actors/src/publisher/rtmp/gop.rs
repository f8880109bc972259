//! One GOP of an output file, read in one go. Blocks: for the blocking pool only.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use overdub_media::mp4::{self, Movie, Mp4Error, TrackKind};

use super::sample::{Gop, Sample, Track};
use super::schedule::Place;
use crate::files::read_range;

/// Largest `ftyp` and `moov` that is read; ours have about 1 KiB.
const MAX_INIT: u64 = 1024 * 1024;

/// Largest fragment that is read: 20 s of 100 Mbit/s.
const MAX_FRAGMENT: u64 = 256 * 1024 * 1024;

/// Largest `moof` that is read for its counts.
const MAX_MOOF: u64 = 16 * 1024 * 1024;

/// Why a fragment cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum GopError {
    /// The file system said no, or the file is shorter than it should be.
    #[error("byte {offset}: {source}")]
    File {
        /// Where reading began.
        offset: u64,
        /// What the system said.
        source: io::Error,
    },
    /// Larger than anything that we write.
    #[error("byte {offset}: {len} bytes are more than the limit of {limit}")]
    TooLarge {
        /// Where it begins.
        offset: u64,
        /// Its length.
        len: u64,
        /// The limit.
        limit: u64,
    },
    /// Not the MP4 that we write.
    #[error(transparent)]
    Mp4(#[from] Mp4Error),
    /// What lies there is no `moof`.
    #[error("byte {offset}: no moof box")]
    NoMoof {
        /// Where it should begin.
        offset: u64,
    },
}

/// The `moov` of the batch whose fragments are being read.
#[derive(Debug, Clone)]
pub struct BatchMovie {
    batch: u64,
    movie: Arc<Movie>,
}

/// Reads the fragment at `place`; `known` is what the call before returned.
pub fn read(place: &Place, known: Option<BatchMovie>) -> Result<(Gop, BatchMovie), GopError> {
    let fragment = &place.fragment;
    let file = open(&place.path)?;
    let movie = match known.filter(|known| known.batch == place.batch) {
        Some(known) => known,
        None => {
            let init = read_at(&file, 0, place.init_len, MAX_INIT)?;
            BatchMovie { batch: place.batch, movie: Arc::new(mp4::read_init(&init)?) }
        }
    };
    let data = read_at(&file, fragment.offset, fragment.len, MAX_FRAGMENT)?;
    Ok((gather(&movie.movie, &data)?, movie))
}

/// Counts the samples of the fragment at `place` from its `moof` alone.
pub fn count(place: &Place) -> Result<u64, GopError> {
    let offset = place.fragment.offset;
    let file = open(&place.path)?;
    let head = read_at(&file, offset, 8, 8)?;
    let len = u64::from(be32(&head, 0).unwrap_or(0));
    if &head[4..] != b"moof" || len > place.fragment.len {
        return Err(GopError::NoMoof { offset });
    }
    let moof = read_at(&file, offset, len, MAX_MOOF)?;
    let mut samples = 0;
    for (_, traf) in boxes(moof.get(8..).unwrap_or_default()).filter(|(name, _)| name == b"traf") {
        for (_, trun) in boxes(traf).filter(|(name, _)| name == b"trun") {
            // ISO/IEC 14496-12 8.8.8.2: version and flags, then sample_count.
            samples += u64::from(be32(trun, 4).unwrap_or(0));
        }
    }
    Ok(samples)
}

fn gather(movie: &Movie, data: &Bytes) -> Result<Gop, Mp4Error> {
    let mut gop = Gop::default();
    for fragment in mp4::read_fragment(movie, data)? {
        let Some(of) = movie.tracks.iter().find(|track| track.id == fragment.track_id) else { continue };
        let (track, samples) = match of.kind {
            TrackKind::Video(_) => (Track::Video, &mut gop.video),
            TrackKind::Audio(_) => (Track::Audio, &mut gop.audio),
            _ => continue,
        };
        samples.extend(fragment.samples.into_iter().map(|sample| Sample {
            track,
            time: sample.dts,
            timescale: of.timescale.max(1),
            cts_offset: sample.cts_offset,
            sync: sample.sync,
            data: sample.data,
        }));
    }
    Ok(gop)
}

fn open(path: &Path) -> Result<File, GopError> {
    File::open(path).map_err(|source| GopError::File { offset: 0, source })
}

fn read_at(file: &File, offset: u64, len: u64, limit: u64) -> Result<Bytes, GopError> {
    if len > limit {
        return Err(GopError::TooLarge { offset, len, limit });
    }
    read_range(file, offset, len).map_err(|source| GopError::File { offset, source })
}

/// Boxes with 32-bit sizes, as far as they are whole.
fn boxes(mut rest: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    std::iter::from_fn(move || {
        let size = be32(rest, 0)? as usize;
        let (name, body) = (rest.get(4..8)?, rest.get(8..size)?);
        rest = &rest[size..];
        Some((name, body))
    })
}

fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at.checked_add(4)?).and_then(|b| b.try_into().ok()).map(u32::from_be_bytes)
}

#[cfg(test)]
mod tests {
    use overdub_media::mp4::{FragmentBuilder, TrackConfig, init_segment};
    use overdub_media::sample::{AudioConfig, AudioSample, VideoConfig, VideoSample};

    use super::*;
    use crate::messages::OutputFragment;

    /// An output file of one fragment: three pictures and five audio access units.
    fn file(folder: &Path) -> Place {
        let video = VideoConfig {
            sps: vec![Bytes::from_static(&[0x67, 0x42, 0xC0, 0x1E, 0xD9])],
            pps: vec![Bytes::from_static(&[0x68, 0xCE])],
            width: 320,
            height: 180,
            ..VideoConfig::default()
        };
        let audio = AudioConfig {
            audio_specific_config: Bytes::from_static(&[0x11, 0x90]),
            sample_rate: 48_000,
            channels: 2,
            object_type: 2,
            frame_samples: 1024,
            ..AudioConfig::default()
        };
        let picture = |n: i64| VideoSample {
            dts_90k: n * 3600,
            pts_90k: n * 3600 + 7200,
            duration_90k: 3600,
            sync: n == 0,
            nals: vec![Bytes::from(vec![0x65, n as u8])],
        };
        let unit =
            |n: i64| AudioSample { time: n * 1024, duration: 1024, data: Bytes::from(vec![n as u8; 3]) };
        let pictures: Vec<_> = (0..3).map(picture).collect();
        let units: Vec<_> = (0..5).map(unit).collect();
        let init = init_segment(&[(1, TrackConfig::Video(&video)), (2, TrackConfig::Audio(&audio))]).unwrap();
        let fragment = FragmentBuilder::new(1).video(1, &pictures).audio(2, &units, 0).build().unwrap();
        let path = folder.join("output.fmp4");
        std::fs::write(&path, [init.as_slice(), &fragment.to_vec()].concat()).unwrap();
        let init_len = init.len() as u64;
        let fragment = OutputFragment { offset: init_len, len: fragment.len, start_90k: 0, end_90k: 10_800 };
        Place { batch: 7, path: path.into(), init_len, fragment }
    }

    #[test]
    fn a_fragment_is_read_and_counted() {
        let folder = tempfile::tempdir().unwrap();
        let place = file(folder.path());
        let (gop, movie) = read(&place, None).unwrap();
        assert_eq!((gop.video.len(), gop.audio.len()), (3, 5));
        assert_eq!(count(&place).unwrap(), 8);
        let picture = &gop.video[1];
        assert_eq!(
            (picture.time, picture.timescale, picture.cts_offset, picture.sync),
            (3600, 90_000, 7200, false)
        );
        assert_eq!(picture.data[..], [0, 0, 0, 2, 0x65, 1]);
        assert_eq!(
            (gop.audio[2].time, gop.audio[2].timescale, &gop.audio[2].data[..]),
            (2048, 48_000, &[2; 3][..])
        );
        // The moov is read once a batch: the head of the file does not matter any more.
        let headless = Place { init_len: 0, ..place.clone() };
        assert_eq!(read(&headless, Some(movie.clone())).unwrap().0, gop);
        assert!(read(&Place { batch: 8, ..headless }, Some(movie)).is_err());
    }

    #[test]
    fn what_cannot_be_read_is_an_error_with_its_position() {
        let folder = tempfile::tempdir().unwrap();
        let good = file(folder.path());
        let offset = good.fragment.offset;
        let mut place = good.clone();
        place.fragment.len += 1;
        assert!(matches!(read(&place, None), Err(GopError::File { offset: at, .. }) if at == offset));
        place.fragment.len = u64::MAX;
        assert!(matches!(read(&place, None), Err(GopError::TooLarge { .. })));
        place.fragment.offset += 8;
        assert!(matches!(count(&place), Err(GopError::NoMoof { .. })));
        place.path = folder.path().join("gone.fmp4").into();
        assert!(read(&place, None).is_err() && count(&place).is_err());
    }
}
