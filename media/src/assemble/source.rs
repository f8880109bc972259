//! One source of a batch: segments of any container to access units.

use bytes::Bytes;

use super::carry::{AdtsRest, SourceCarry};
use super::fmp4::Fmp4;
use super::packed::Packed;
use super::streams::{self, Streams};
use super::unit::{AudioUnit, RawEvent, Unit};
use super::{AssembleError, Input, Take};
use crate::aac::AdtsReader;
use crate::counters::Counters;
use crate::foreign::{AAC_FRAME, Stretch};
use crate::sample::{AudioConfig, VideoConfig};
use crate::sniff::{self, Container};
use crate::time::{TICKS_PER_SECOND, rescale};
use crate::ts::{Codec, Demuxer, Timestamps};

/// A source, and how far it has been read.
#[derive(Debug)]
pub struct Source {
    take: Take,
    demuxer: Demuxer,
    streams: Streams,
    fmp4: Fmp4,
    packed: Packed,
    carry: SourceCarry,
    known_audio: Option<AudioConfig>,
    /// Whether the source has video and audio.
    has: [bool; 2],
    /// Transport stream packets seen.
    pub packets: u64,
    /// Access units that wait to be placed.
    pub units: Vec<Unit>,
    /// Events that wait to be placed.
    pub events: Vec<RawEvent>,
}

impl Source {
    /// Goes on where the batch before ended.
    #[must_use]
    pub fn new(
        take: Take,
        carry: SourceCarry,
        video: Option<VideoConfig>,
        audio: Option<AudioConfig>,
    ) -> Self {
        Self {
            take,
            demuxer: Demuxer::default(),
            streams: Streams::new(take, &carry, video.clone(), audio.clone()),
            fmp4: Fmp4::new(video, carry.fragment_ends.clone()),
            packed: Packed::default(),
            known_audio: audio,
            has: carry.has,
            carry,
            packets: 0,
            units: Vec::new(),
            events: Vec::new(),
        }
    }

    /// Takes the audio of this language where there is any.
    pub fn prefer_language(&mut self, language: Option<String>) {
        self.fmp4.language.clone_from(&language);
        self.streams.language = language;
    }

    /// Whether it has video and audio, as far as is known.
    #[must_use]
    pub fn has(&self) -> [bool; 2] {
        self.has
    }

    /// Whether a program has been found in a transport stream.
    #[must_use]
    pub fn found_program(&self) -> bool {
        self.demuxer.program().is_some()
    }

    /// Takes one whole segment: number `segment` of the batch. `hint` is the time of audio that says none.
    pub fn segment(
        &mut self,
        input: &Input<'_>,
        segment: u32,
        hint: i64,
        counters: &mut Counters,
    ) -> Result<(), AssembleError> {
        if input.take != self.take {
            self.retake(input.take);
        }
        let data = input.data;
        let origin = segment.saturating_add(1);
        match sniff::sniff(data) {
            Container::MpegTs { .. } => self.transport_stream(data, segment, counters),
            Container::Mp4 => {
                let label = (segment, origin);
                let (units, events) = (&mut self.units, &mut self.events);
                self.has = self.fmp4.segment(data, input.init, input.take, label, counters, units, events)?;
                Ok(())
            }
            Container::Packed(sniff::Packed::Adts) if input.take != Take::Video => {
                let known = self.known_audio.as_ref();
                let (units, events) = (&mut self.units, &mut self.events);
                let read = self.packed.segment(data, origin, known, hint, counters, units, events);
                self.has = [false, true];
                read.map_err(|cause| AssembleError::UnsupportedAac { segment, cause })
            }
            Container::Packed(sniff::Packed::Adts) => {
                Err(AssembleError::NoTrack { segment, wanted: input.take.name() })
            }
            Container::Packed(packed) => Err(AssembleError::UnsupportedCodec {
                segment,
                codec: match packed {
                    sniff::Packed::Ac3 => "AC-3",
                    _ => "MPEG audio (MP1/MP2/MP3)",
                }
                .to_owned(),
                place: "packed audio".to_owned(),
                transcodable: true,
            }),
            container @ (Container::WebVtt | Container::Unknown) => Err(AssembleError::NotMedia {
                segment,
                what: container.name(),
                len: data.len(),
                first_bytes: describe_first_bytes(data),
            }),
        }
    }

    /// Takes the access units of an encoder's output that a stretch consists of; gives how many there are.
    pub fn transcoded(
        &mut self,
        adts: &[u8],
        stretch: &Stretch,
        segment: u32,
        counters: &mut Counters,
    ) -> Result<usize, AssembleError> {
        let (mut reader, mut frames) = (AdtsReader::default(), Vec::new());
        reader.push(adts, counters, &mut frames);
        reader.finish(counters, &mut frames);
        self.has = [false, true];
        let used = frames.into_iter().skip(stretch.skip_access_units).take(stretch.take_access_units);
        let before = self.units.len();
        for (index, frame) in used.enumerate() {
            let config = frame.params.config();
            let config = config.map_err(|cause| AssembleError::UnsupportedAac { segment, cause })?;
            let mut unit = AudioUnit::from(frame);
            unit.origin = segment.saturating_add(1);
            let samples = (index as i64).saturating_mul(AAC_FRAME as i64);
            let since = rescale(samples, config.sample_rate, TICKS_PER_SECOND as u32);
            let pts = stretch.pts_90k.saturating_add(since);
            unit.stamp = Some(Timestamps { pts, dts: pts });
            self.units.push(Unit::Audio(unit));
        }
        Ok(self.units.len() - before)
    }

    /// The caller wants other tracks from now on.
    fn retake(&mut self, take: Take) {
        self.take = take;
        if self.demuxer.program().is_none() {
            return self.streams.set_take(take);
        }
        let carry = SourceCarry {
            overrides: self.carry.overrides.clone(),
            fragment_ends: self.fmp4.ends.clone(),
            ..SourceCarry::default()
        };
        let (audio, language) = (self.known_audio.clone(), self.streams.language.clone());
        let mut before = std::mem::replace(self, Self::new(take, carry, None, audio));
        self.prefer_language(language);
        before.streams.finish();
        self.units = before.take_all();
        self.events = before.events;
        self.packets = before.packets;
    }

    fn take_all(&mut self) -> Vec<Unit> {
        let mut units = std::mem::take(&mut self.units);
        units.extend(self.streams.take_units());
        units
    }

    fn transport_stream(
        &mut self,
        data: &Bytes,
        segment: u32,
        counters: &mut Counters,
    ) -> Result<(), AssembleError> {
        let Self { demuxer, streams, .. } = self;
        streams.origin = segment.saturating_add(1);
        let mut scrambled = 0;
        if demuxer.program().is_none() {
            if let Some(program) = self.carry.program.take() {
                *demuxer = Demuxer::with_program(program, streams);
            } else {
                let found = super::content::find_program(data, streams.take());
                let lies = found.overrides.iter().filter(|(.., real)| *real != Codec::Data).count();
                counters.add("ts_wrong_stream_types", lies as u64);
                streams.overrides = found.overrides;
                scrambled = found.scrambled;
                if let Some(program) = found.program {
                    *demuxer = Demuxer::with_program(program, streams);
                }
            }
        }
        demuxer.push(data, streams, counters);
        let packets = demuxer.end_segment(streams, counters);
        streams.end_segment();
        self.packets = self.packets.saturating_add(packets);
        if streams.refused.is_some() && scrambled > 0 {
            // Of which codec it would be matters to nobody.
            return Err(AssembleError::Scrambled { segments: 1, scrambled, packets });
        }
        if let Some(refused) = &streams.refused {
            return Err(AssembleError::UnsupportedCodec {
                segment,
                codec: refused.codec.name().to_owned(),
                place: format!("stream_type {:#04x}, PID {:#x}", refused.stream_type, refused.pid),
                transcodable: super::transcoded::foreign_codec(refused.codec),
            });
        }
        if let Some(cause) = streams.unsupported_aac {
            return Err(AssembleError::UnsupportedAac { segment, cause });
        }
        self.has = streams.has();
        self.units.extend(streams.take_units());
        self.events.append(&mut streams.events);
        Ok(())
    }

    /// The batch ends: completes what is open, and gives what the next batch must know.
    pub fn finish(&mut self, counters: &mut Counters) -> SourceCarry {
        let adts: AdtsRest = self.streams.finish();
        self.units.extend(self.streams.take_units());
        counters.merge(&self.streams.counters);
        SourceCarry {
            program: self.demuxer.program().cloned().or(self.carry.program.take()),
            adts,
            overrides: self.streams.overrides.clone(),
            has: self.has,
            fragment_ends: std::mem::take(&mut self.fmp4.ends),
        }
    }
}

/// Whether the segment has a program that fits.
pub(super) fn fits(program: &crate::ts::Program, take: Take) -> bool {
    streams::fits(program, take)
}

fn describe_first_bytes(bytes: &[u8]) -> String {
    use std::fmt::Write;
    let head = &bytes[..bytes.len().min(16)];
    let mut text = String::new();
    for byte in head {
        let _ = write!(text, "{byte:02x}");
    }
    let printable =
        head.iter().map(|b| if b.is_ascii_graphic() || *b == b' ' { char::from(*b) } else { '.' });
    let _ = write!(text, " \"{}\"", printable.collect::<String>());
    text
}
