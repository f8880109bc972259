//! A batch's segments to frames.

use std::sync::Arc;

use bytes::Bytes;

use super::plan::{Place, TimedFrame, plan};
use super::{ForeignCarry, Transcode};
use crate::aac::adts;
use crate::assemble::packed::split_tags;
use crate::assemble::{AssembleError, Input};
use crate::assemble::{content, streams};
use crate::audio::frames::Family;
use crate::audio::{ForeignCodec, Frame, Frames, ac3, mpeg, opus};
use crate::counters::Counters;
use crate::mp4::{self, Movie, ReadSample, Track};
use crate::sniff::{self, Container};
use crate::time::{TICKS_PER_SECOND, rescale};
use crate::ts::{Codec, Demuxer, PesHeader, Program, Sink, Timestamps};

/// Reads a batch's audio.
#[derive(Debug)]
pub struct ForeignReader {
    carry: ForeignCarry,
    demuxer: Demuxer,
    stream: Stream,
    counters: Counters,
    init: Option<(Bytes, Arc<Movie>)>,
    /// Frames of fMP4, which have whole times of their own.
    samples: Vec<Frame>,
    place: Place,
}

/// The elementary stream, with the frames so far.
#[derive(Debug, Default)]
struct Stream {
    pid: Option<u16>,
    overrides: Vec<content::Override>,
    frames: Option<Frames>,
    /// Language of the audio asked for.
    language: Option<String>,
    /// Channels of Opus.
    opus: Option<opus::Layout>,
    out: Vec<Frame>,
    counters: Counters,
}

fn family(codec: Codec) -> Option<Family> {
    match codec {
        Codec::MpegAudio => Some(Family::Mpeg),
        Codec::Ac3 | Codec::EAc3 => Some(Family::Ac3),
        Codec::AacLatm => Some(Family::Latm),
        Codec::Opus => Some(Family::Opus),
        Codec::AacAdts => Some(Family::Adts),
        _ => None,
    }
}

impl Sink for Stream {
    fn program(&mut self, program: &Program) -> Vec<u16> {
        let mut program = streams::corrected(program, &self.overrides);
        streams::keep_language(&mut program, self.language.as_deref());
        let found = program.streams.iter().find_map(|stream| Some((stream, family(stream.codec)?)));
        let Some((stream, family)) = found else { return Vec::new() };
        let pid = stream.pid;
        self.opus = stream.opus_channels.and_then(opus::Layout::of_config_code);
        self.pid = Some(pid);
        if let Some(mut before) = self.frames.take_if(|frames| frames.family() != family) {
            before.finish(&mut self.counters, &mut self.out);
        }
        self.frames.get_or_insert_with(|| Frames::new(family));
        vec![pid]
    }

    fn pes(&mut self, _: u16, header: PesHeader) {
        if let Some(frames) = &mut self.frames {
            frames.begin_pes(header.stamp);
        }
    }

    fn payload(&mut self, _: u16, data: &[u8]) {
        if let Some(frames) = &mut self.frames {
            frames.push(data, &mut self.counters, &mut self.out);
        }
    }
}

impl ForeignReader {
    /// Goes on where the batch before ended.
    #[must_use]
    pub fn new(mut carry: ForeignCarry) -> Self {
        let stream = Stream { overrides: std::mem::take(&mut carry.overrides), ..Stream::default() };
        Self {
            carry,
            demuxer: Demuxer::default(),
            stream,
            counters: Counters::default(),
            init: None,
            samples: Vec::new(),
            place: Place::default(),
        }
    }

    /// Takes the audio of this language where there is any.
    pub fn prefer_language(&mut self, language: Option<String>) {
        self.stream.language = language;
    }

    /// No batch comes after this one: nothing of it is left for later.
    pub fn expect_end(&mut self) {
        self.place.is_last = true;
    }

    /// The end of the batch before comes again in this one, whose access units are to lie on the same grid:
    /// [`crate::assemble::Assembler::audio_end_90k`] tells where it ended.
    pub fn fall_in_with(&mut self, end_90k: Option<i64>) {
        self.place.grid_90k = end_90k;
    }

    /// Takes one whole segment, whatever of it is asked for: its first audio stream that can become AAC is read.
    pub fn push(&mut self, input: &Input<'_>) -> Result<(), AssembleError> {
        match sniff::sniff(input.data) {
            Container::MpegTs { .. } => {
                self.transport_stream(input.data);
                Ok(())
            }
            Container::Mp4 => self.fmp4(input),
            Container::Packed(sniff::Packed::MpegAudio) => {
                self.packed(input.data, Family::Mpeg);
                Ok(())
            }
            Container::Packed(sniff::Packed::Ac3) => {
                self.packed(input.data, Family::Ac3);
                Ok(())
            }
            Container::Packed(sniff::Packed::Adts) => {
                self.packed(input.data, Family::Adts);
                Ok(())
            }
            _ => Err(AssembleError::NoTrack { segment: 0, wanted: "transcodable audio" }),
        }
    }

    fn resume(&mut self) {
        let Some(frames) = &mut self.stream.frames else { return };
        let rest = std::mem::take(&mut self.carry.rest);
        if !rest.is_empty() {
            let stamp = self.carry.rest_time_90k.take().map(|pts| Timestamps { pts, dts: pts });
            frames.begin_pes(stamp);
            frames.push(&rest, &mut self.stream.counters, &mut self.stream.out);
        }
    }

    fn transport_stream(&mut self, data: &[u8]) {
        if self.demuxer.program().is_none() {
            let program = self.carry.program.take().or_else(|| {
                let found = content::find_foreign(data, |codec| family(codec).is_some());
                self.stream.overrides = found.overrides;
                found.program
            });
            if let Some(program) = program {
                self.demuxer = Demuxer::with_program(program, &mut self.stream);
                self.resume();
            }
        }
        self.demuxer.push(data, &mut self.stream, &mut self.counters);
        self.demuxer.end_segment(&mut self.stream, &mut self.counters);
    }

    fn packed(&mut self, data: &Bytes, family: Family) {
        let (start, body) = split_tags(data, &mut Vec::new());
        let first = self.stream.frames.is_none() && self.carry.tail.is_empty();
        let Stream { frames, out, counters, .. } = &mut self.stream;
        let frames = frames.get_or_insert_with(|| Frames::new(family));
        let start = start.or(first.then_some(0));
        frames.begin_pes(start.map(|pts| Timestamps { pts, dts: pts }));
        frames.push(&body, counters, out);
        // A segment holds whole frames: what is left is damaged.
        let (rest, _) = frames.finish(counters, out);
        counters.add("audio_skipped_bytes", rest.len() as u64);
    }

    fn fmp4(&mut self, input: &Input<'_>) -> Result<(), AssembleError> {
        let source = input.init.unwrap_or(input.data);
        let known = self.init.as_ref().filter(|(init, _)| init == source).map(|(_, movie)| movie.clone());
        let movie = match known {
            Some(movie) => movie,
            None => {
                let movie =
                    mp4::read_init(source).map_err(|cause| AssembleError::Init { segment: 0, cause })?;
                let movie = Arc::new(movie);
                self.init = Some((source.clone(), movie.clone()));
                movie
            }
        };
        let sound = movie.sound(self.stream.language.as_deref());
        let Some((track, codec)) = sound.into_iter().find_map(|track| Some((track, track.foreign?))) else {
            return Err(AssembleError::NoTrack { segment: 0, wanted: "transcodable audio" });
        };
        self.stream.opus = track.opus;
        let read = mp4::read_segment(&movie, input.data);
        self.counters.add("mp4_samples_missing", read.missing);
        for fragment in read.tracks.into_iter().filter(|fragment| fragment.track_id == track.id) {
            for sample in fragment.samples {
                match frame(&sample, track, codec) {
                    Some(frame) => self.samples.push(frame),
                    None => self.counters.add("audio_unreadable_frames", 1),
                }
            }
        }
        Ok(())
    }

    /// Ends the batch; `None` where not one frame came.
    #[must_use]
    pub fn finish(self) -> Option<Transcode> {
        let Self { carry, demuxer, stream, mut counters, samples, mut place, .. } = self;
        let program = demuxer.program().cloned().or_else(|| carry.program.clone());
        let Stream { overrides, frames, opus, mut out, counters: of_stream, .. } = stream;
        place.opus = opus.unwrap_or_default();
        counters.merge(&of_stream);
        let (rest, rest_stamp) = match frames {
            // The frame that is cut goes on in the next batch; the last whole one is whole.
            Some(mut frames) => frames.finish(&mut counters, &mut out),
            None => (Bytes::new(), None),
        };
        out.extend(samples);
        let first = usual(&out)?;
        let mut layout = carry.layout.clone();
        let mut known_samples = first.samples;
        let count = out.len() as u64;
        let mut timed = Vec::with_capacity(out.len());
        for mut frame in out {
            let mut header = frame.header;
            let mut decodable = true;
            if header.codec == ForeignCodec::Adts && adts::has_own_layout(&frame.data) {
                let told = adts::put_layout(&mut frame.data, &mut layout);
                decodable = told.is_some();
                header.channels = told.unwrap_or(0);
            }
            if header.codec != first.codec
                || (header.sample_rate > 0 && header.sample_rate != first.sample_rate)
            {
                // One batch has one codec.
                counters.add("audio_config_change_dropped", 1);
                continue;
            }
            let goes_by_earlier = header.sample_rate == 0;
            if !goes_by_earlier && header.samples > 0 {
                known_samples = header.samples;
            }
            let samples = if goes_by_earlier { known_samples } else { header.samples };
            timed.push(TimedFrame {
                data: frame.data,
                samples,
                channels: header.channels,
                entry: samples > 0 && !goes_by_earlier && decodable,
                time_90k: frame.stamp.map(|stamp| stamp.pts),
            });
        }
        let channels = timed.iter().map(|frame| frame.channels).find(|channels| *channels > 0).unwrap_or(0);
        let same = carry.codec.is_none_or(|codec| codec == first.codec)
            && (carry.sample_rate == 0 || carry.sample_rate == first.sample_rate);
        let carry = if same { carry } else { ForeignCarry::default() };
        let (stretches, next, jumps) = plan((first.codec, first.sample_rate), carry, timed, place);
        counters.add("audio_jumps", jumps);
        let carry = ForeignCarry {
            rest,
            rest_time_90k: rest_stamp.map(|stamp| stamp.pts),
            overrides,
            program,
            layout,
            ..next
        };
        Some(Transcode {
            codec: first.codec,
            sample_rate: first.sample_rate,
            // AAC has a configuration of its own for up to six channels and for eight.
            channels: if first.codec == ForeignCodec::Opus { place.opus.channels } else { channels }.min(6),
            stretches,
            carry,
            frames: count,
            counters: counters.to_vec(),
        })
    }
}

/// The first frame of the codec and the rate that most of the frames have.
fn usual(frames: &[Frame]) -> Option<crate::audio::Header> {
    let mut kinds: Vec<(crate::audio::Header, usize)> = Vec::new();
    for header in frames.iter().map(|frame| frame.header).filter(|header| header.sample_rate > 0) {
        let same = |(of, _): &&mut (crate::audio::Header, usize)| {
            (of.codec, of.sample_rate) == (header.codec, header.sample_rate)
        };
        match kinds.iter_mut().find(same) {
            Some((_, count)) => *count += 1,
            None => kinds.push((header, 1)),
        }
    }
    kinds.into_iter().rev().max_by_key(|(_, count)| *count).map(|(header, _)| header)
}

/// A sample of fMP4 as a frame.
fn frame(sample: &ReadSample, track: &Track, codec: ForeignCodec) -> Option<Frame> {
    let header = match codec {
        ForeignCodec::Ac3 | ForeignCodec::EAc3 => whole_ac3(&sample.data)?,
        ForeignCodec::Opus => crate::audio::Header {
            codec,
            len: sample.data.len(),
            sample_rate: 48_000,
            channels: 2,
            samples: opus::packet_samples(&sample.data)?,
        },
        _ => mpeg::parse(&sample.data)?,
    };
    let time = sample.dts.saturating_sub(track.edit_media_time).saturating_add(track.edit_delay);
    let time = rescale(time, track.timescale, TICKS_PER_SECOND as u32);
    let stamp = Some(Timestamps { pts: time, dts: time });
    // Copied: the frame may outlive the segment as the next batch's pre-roll.
    Some(Frame { data: Bytes::copy_from_slice(&sample.data), header, stamp })
}

/// All frames of a sample: of E-AC-3 with fewer than six blocks a frame there are several, and substreams (ETSI TS 102
/// 366, F.4).
fn whole_ac3(sample: &[u8]) -> Option<crate::audio::Header> {
    let mut whole = ac3::parse(sample)?;
    while let Some(next) = sample.get(whole.len..).and_then(ac3::parse) {
        whole.len += next.len;
        whole.samples += next.samples;
    }
    Some(whole)
}
