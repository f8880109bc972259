//! A source of fragmented MP4: segments to access units.

use std::sync::Arc;

use bytes::Bytes;

use super::unit::{AudioFormat, AudioUnit, EventKind, RawEvent, Unit};
use super::{AssembleError, Take};
use crate::counters::Counters;
use crate::h264::{self, H264};
use crate::h265::{self, H265};
use crate::mp4::{self, Movie, ReadSample, Track, TrackFragment, TrackKind};
use crate::nal::{AccessUnit, Kind, Syntax};
use crate::sample::{AudioConfig, VideoCodec, VideoConfig};
use crate::time::{CLOCK_PERIOD, TICKS_PER_SECOND, rescale};
use crate::ts::Timestamps;

/// A source of fMP4.
#[derive(Debug, Default)]
pub struct Fmp4 {
    init: Option<(Bytes, Arc<Movie>)>,
    /// Configuration of the last picture.
    config: Option<VideoConfig>,
    /// Formats of the movie's audio tracks, by track id.
    formats: Vec<(u32, AudioFormat)>,
    /// Language of the audio asked for.
    pub language: Option<String>,
    /// Where tracks ended, by track id, for fragments that do not say when they are.
    pub ends: Vec<(u32, i64)>,
}

/// A track of each kind, as far as the movie has it and it is wanted.
pub(super) struct Chosen<'a> {
    pub video: Option<&'a Track>,
    pub audio: Option<&'a Track>,
}

impl Fmp4 {
    /// Goes on with the video configuration known from before, and where the tracks ended.
    #[must_use]
    pub fn new(config: Option<VideoConfig>, ends: Vec<(u32, i64)>) -> Self {
        Self { config, ends, ..Self::default() }
    }

    /// Puts a fragment that does not say when it is behind the one before.
    fn go_on(&mut self, fragment: &mut TrackFragment) {
        let known = self.ends.iter().position(|(id, _)| *id == fragment.track_id);
        if let Some(index) = known.filter(|_| !fragment.timed) {
            for sample in &mut fragment.samples {
                sample.dts = sample.dts.saturating_add(self.ends[index].1);
            }
        }
        let Some(last) = fragment.samples.last() else { return };
        let end = last.dts.saturating_add(i64::from(last.duration));
        match known {
            Some(index) => self.ends[index].1 = end,
            None => self.ends.push((fragment.track_id, end)),
        }
    }

    /// The movie of an init section, or of the segment itself where it is a whole file.
    pub fn movie(
        &mut self,
        data: &Bytes,
        init: Option<&Bytes>,
        segment: u32,
    ) -> Result<Arc<Movie>, AssembleError> {
        let source = init.unwrap_or(data);
        if let Some((known, movie)) = &self.init
            && (init.is_none_or(|init| init == known))
            && (init.is_some() || mp4::read_init(data).is_err())
        {
            return Ok(movie.clone());
        }
        let movie = mp4::read_init(source).map_err(|cause| match init {
            None => AssembleError::NoInit { segment },
            Some(_) => AssembleError::Init { segment, cause },
        })?;
        let movie = Arc::new(movie);
        self.formats.clear();
        self.init = init.map(|init| (init.clone(), movie.clone()));
        Ok(movie)
    }

    /// Takes a whole segment; gives whether it has video and audio.
    #[expect(clippy::too_many_arguments, reason = "what goes in and the three that it comes out to")]
    pub fn segment(
        &mut self,
        data: &Bytes,
        init: Option<&Bytes>,
        take: Take,
        label: (u32, u32),
        counters: &mut Counters,
        units: &mut Vec<Unit>,
        events: &mut Vec<RawEvent>,
    ) -> Result<[bool; 2], AssembleError> {
        let (segment, origin) = label;
        let movie = self.movie(data, init, segment)?;
        let chosen = choose(&movie, take, self.language.as_deref(), segment)?;
        let read = mp4::read_segment(&movie, data);
        counters.add("mp4_samples_missing", read.missing);
        if let Some(cause) = read.error {
            if read.tracks.is_empty() {
                return Err(AssembleError::Damaged { segment, cause });
            }
            counters.add("mp4_damaged_boxes", 1);
        }
        let mut earliest = None;
        for mut fragment in read.tracks {
            self.go_on(&mut fragment);
            if let Some(track) = chosen.video.filter(|track| track.id == fragment.track_id)
                && let TrackKind::Video(config) = &track.kind
            {
                // Where all are marked as sync samples, nothing is: some writers leave the flags out.
                let marked =
                    fragment.samples.len() == 1 || fragment.samples.iter().any(|sample| !sample.sync);
                for sample in fragment.samples {
                    let stamp = stamp(&sample, track);
                    earliest = earliest.min(Some(stamp.pts)).or(Some(stamp.pts));
                    match self.picture(&sample, track, config, stamp, (origin, marked)) {
                        Some(unit) => units.push(Unit::Video(unit)),
                        None => counters.add("mp4_unreadable_samples", 1),
                    }
                }
            } else if let Some(track) = chosen.audio.filter(|track| track.id == fragment.track_id) {
                let Some(format) = self.format(track) else { continue };
                for sample in fragment.samples {
                    let stamp = stamp(&sample, track);
                    earliest = earliest.min(Some(stamp.pts)).or(Some(stamp.pts));
                    let format = format.clone();
                    let stamp = Some(stamp);
                    units.push(Unit::Audio(AudioUnit {
                        data: sample.data,
                        format,
                        stamp,
                        origin,
                        left_out: 0,
                    }));
                }
            }
        }
        let (messages, damaged) = mp4::event_messages(data);
        counters.add("mp4_damaged_messages", damaged);
        for message in messages {
            let raw_90k = match message.time {
                mp4::MessageTime::Absolute(time) => {
                    Some(rescale(time.cast_signed(), message.timescale, TICKS))
                }
                mp4::MessageTime::Delta(delta) => {
                    earliest.map(|earliest| earliest + rescale(i64::from(delta), message.timescale, TICKS))
                }
            };
            events.push(RawEvent { raw_90k: raw_90k.map(near_zero), kind: EventKind::Message(message) });
        }
        Ok([chosen.video.is_some(), chosen.audio.is_some()])
    }

    fn picture(
        &mut self,
        sample: &ReadSample,
        track: &Track,
        init: &VideoConfig,
        stamp: Timestamps,
        (origin, marked): (u32, bool),
    ) -> Option<AccessUnit> {
        let nals = mp4::split_nals(&sample.data, track.nal_length_size).ok()?;
        if nals.is_empty() {
            return None;
        }
        let looked = match init.codec {
            VideoCodec::H264 => look::<H264>(&nals, init, self.config.as_ref()),
            VideoCodec::H265 => look::<H265>(&nals, init, self.config.as_ref()),
        };
        if let Some(config) = &looked.config_change {
            self.config = Some(VideoConfig::clone(config));
        }
        Some(AccessUnit {
            gradual_refresh: false,
            order: None,
            nals,
            idr: looked.idr,
            // A sync sample without an IDR picture begins an open GOP.
            recovery_point: (marked && sample.sync) || looked.cra,
            stamp: Some(stamp),
            origin,
            config_change: looked.config_change,
        })
    }

    fn format(&mut self, track: &Track) -> Option<AudioFormat> {
        if let Some((_, format)) = self.formats.iter().find(|(id, _)| *id == track.id) {
            return Some(format.clone());
        }
        let TrackKind::Audio(config) = &track.kind else { return None };
        let format = AudioFormat::of(&core_of(config));
        self.formats.push((track.id, format.clone()));
        Some(format)
    }
}

const TICKS: u32 = TICKS_PER_SECOND as u32;

/// What a sample's NAL units say.
struct Looked {
    idr: bool,
    /// A CRA picture of H.265.
    cra: bool,
    config_change: Option<Box<VideoConfig>>,
}

/// `known` is the configuration of the picture before, `init` that of the sample entry.
fn look<S: Syntax>(nals: &[Bytes], init: &VideoConfig, known: Option<&VideoConfig>) -> Looked {
    let is_idr = |nal: &Bytes| match init.codec {
        VideoCodec::H264 => nal[0] & 0x1f == h264::nal_type::IDR_SLICE,
        VideoCodec::H265 => {
            let kind = nal[0] >> 1 & 0x3f;
            (h265::nal_type::BLA_W_LP..=h265::nal_type::IDR_N_LP).contains(&kind)
        }
    };
    let idr = nals.iter().any(is_idr);
    let cra = init.codec == VideoCodec::H265
        && nals.iter().any(|nal| h265::kind_of(nal) == Some(h265::nal_type::CRA));
    let listed = |config: &VideoConfig, nal: &Bytes| {
        config.sps.contains(nal) || config.pps.contains(nal) || config.vps.contains(nal)
    };
    let empty = init.sps.is_empty() || init.pps.is_empty();
    let current = known.filter(|known| known.codec == init.codec);
    let is_set = |nal: &&Bytes| is_parameter_set(init.codec, nal[0]);
    let in_band: Vec<&Bytes> = nals.iter().filter(is_set).collect();
    // The sample entry's sets are in force unless the stream itself brings others (avc3, hev1, or against the rules).
    let base = if empty { current.unwrap_or(init) } else { init };
    let config_change = if in_band.iter().all(|nal| listed(base, nal)) {
        // What came in band stays in force until the next key picture.
        let new = !base.sps.is_empty() && current != Some(base) && (current.is_none() || idr);
        new.then(|| Box::new(base.clone()))
    } else {
        let mut syntax = S::with_config(base);
        for nal in in_band {
            syntax.put_parameter_set(nal);
        }
        let slice = nals.iter().find_map(|nal| syntax.read(nal).filter(|nal| nal.kind == Kind::Slice)?.slice);
        let config = slice.and_then(|slice| syntax.config(&slice));
        config.filter(|config| current != Some(config)).map(Box::new)
    };
    Looked { idr, cra, config_change }
}

/// Whether the first byte of a NAL unit is a parameter set's.
pub(super) fn is_parameter_set(codec: VideoCodec, header: u8) -> bool {
    match codec {
        VideoCodec::H264 => matches!(header & 0x1f, h264::nal_type::SPS | h264::nal_type::PPS),
        VideoCodec::H265 => (h265::nal_type::VPS..=h265::nal_type::PPS).contains(&(header >> 1 & 0x3f)),
    }
}

/// Explicit SBR taken back to its core: rate and frame length are the core's, as ADTS has them, so that frames of
/// AAC LC can stand beside them (ISO/IEC 14496-3 1.6.5.2).
fn core_of(config: &AudioConfig) -> AudioConfig {
    if !matches!(config.object_type, 5 | 29) || config.frame_samples != 2048 {
        return config.clone();
    }
    let core = AudioConfig {
        object_type: 2,
        sample_rate: config.sample_rate / 2,
        frame_samples: 1024,
        ..config.clone()
    };
    crate::aac::AacParams::like(&core)
        .and_then(|params| params.config().ok())
        .unwrap_or_else(|| config.clone())
}

/// Presentation and decode time with the edit list applied.
fn stamp(sample: &ReadSample, track: &Track) -> Timestamps {
    let dts = sample.dts.saturating_sub(track.edit_media_time).saturating_add(track.edit_delay);
    let pts = dts.saturating_add(i64::from(sample.cts_offset));
    let [dts, pts] = [dts, pts].map(|time| rescale(time, track.timescale, TICKS));
    // Wall-clock times become such as a transport stream would have, whatever the size.
    let moved = near_zero(dts);
    Timestamps { pts: moved.saturating_add(pts.saturating_sub(dts)), dts: moved }
}

/// Equal modulo the clock's period; as it is where it is small.
fn near_zero(time: i64) -> i64 {
    if (-CLOCK_PERIOD / 2..CLOCK_PERIOD).contains(&time) { time } else { time.rem_euclid(CLOCK_PERIOD) }
}

/// The tracks to take.
pub(super) fn choose<'a>(
    movie: &'a Movie,
    take: Take,
    language: Option<&str>,
    segment: u32,
) -> Result<Chosen<'a>, AssembleError> {
    let of_kind = |handler: &[u8; 4]| {
        let sound = movie.sound(language);
        let sound = sound.into_iter().filter(move |_| handler == b"soun");
        let pictures =
            movie.tracks.iter().filter(move |track| handler == b"vide" && &track.handler.0 == b"vide");
        sound.chain(pictures).collect::<Vec<_>>()
    };
    let pick = |handler: &[u8; 4], wanted: bool| {
        if !wanted {
            return Ok(None);
        }
        let tracks = of_kind(handler);
        let handled = tracks.iter().find(|track| !matches!(track.kind, TrackKind::Other { .. }));
        match (handled.copied(), tracks.first().copied()) {
            (Some(track), _) => Ok(Some(track)),
            (None, Some(track)) => Err(unsupported(track, segment)),
            (None, None) => Ok(None),
        }
    };
    let video = pick(b"vide", take != Take::Audio)?;
    let audio = pick(b"soun", take != Take::Video)?;
    if video.or(audio).is_none() {
        return Err(AssembleError::NoTrack { segment, wanted: take.name() });
    }
    Ok(Chosen { video, audio })
}

fn unsupported(track: &Track, segment: u32) -> AssembleError {
    let TrackKind::Other { fourcc } = track.kind else {
        return AssembleError::NoTrack { segment, wanted: "handled" };
    };
    let codec = match (&fourcc.0, track.foreign) {
        (b"encv" | b"enca", _) => "encrypted media".to_owned(),
        (_, Some(foreign)) => foreign.name().to_owned(),
        (other, None) => other.escape_ascii().to_string(),
    };
    AssembleError::UnsupportedCodec {
        segment,
        codec,
        place: format!("track {}, sample entry {fourcc}", track.id),
        transcodable: track.foreign.is_some(),
    }
}

/// Puts the parameter sets before a picture that a change of configuration begins with, where it does not bring
/// them itself.
pub(super) fn put_parameter_sets(nals: &mut Vec<Bytes>, config: &VideoConfig) {
    let is_set = |nal: &Bytes| nal.first().is_some_and(|header| is_parameter_set(config.codec, *header));
    if nals.iter().any(is_set) {
        return;
    }
    // Behind the delimiter, which comes first where there is one.
    let delimiter = |nal: &Bytes| match config.codec {
        crate::sample::VideoCodec::H264 => nal.first().is_some_and(|header| header & 0x1f == 9),
        crate::sample::VideoCodec::H265 => nal.first().is_some_and(|header| header >> 1 & 0x3f == 35),
    };
    let at = usize::from(nals.first().is_some_and(delimiter));
    let sets = config.vps.iter().chain(&config.sps).chain(&config.pps).cloned();
    nals.splice(at..at, sets.collect::<Vec<_>>());
}
