//! What a segment is, before a batch is made of it.

use super::carry::SourceCarry;
use super::packed::split_tags;
use super::source::Source;
use super::{AssembleError, Input, Take};
use crate::audio::ForeignCodec;
use crate::counters::Counters;
use crate::foreign::{ForeignCarry, ForeignReader};
use crate::sample::{AudioConfig, VideoConfig};
use crate::sniff::{Container, sniff};

use super::unit::Unit;

/// What a segment begins with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// Its container.
    pub container: Container,
    /// Configuration of its first picture.
    pub video: Option<VideoConfig>,
    /// Its audio.
    pub audio: Option<ProbedAudio>,
    /// Its first time, in 90 kHz ticks of the source's clock: the earlier of video (decode time) and audio.
    pub first_90k: Option<i64>,
}

/// A segment's audio.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProbedAudio {
    /// AAC, which is copied.
    Aac(AudioConfig),
    /// Audio that must be transcoded: codec, rate, channels.
    Foreign(ForeignCodec, u32, u8),
    /// Audio that can be neither copied nor transcoded: its name. The video can be had alone.
    Unsupported(String),
}

impl Probe {
    /// Whether a batch may hold this segment behind `before`: the codecs and their configurations are the same, as far
    /// as both segments tell.
    #[must_use]
    pub fn same_codecs(&self, before: &Self) -> bool {
        let video = self.video.as_ref().zip(before.video.as_ref()).is_none_or(|(new, old)| new == old);
        let audio = self.audio.as_ref().zip(before.audio.as_ref()).is_none_or(|pair| match pair {
            // Implicit SBR may be seen in one segment and not in the next.
            (ProbedAudio::Aac(new), ProbedAudio::Aac(old)) => {
                AudioConfig { sbr: old.sbr, ..new.clone() } == *old
            }
            (new, old) => new == old,
        });
        video && audio
    }
}

/// Bytes of a transport stream segment that are looked at first: several pictures as a rule.
const HEAD: usize = 188 * 1400;

/// Looks into a segment.
///
/// # Errors
/// When it is no media, or its video is of a codec that is not copied.
pub fn probe(input: &Input<'_>) -> Result<Probe, AssembleError> {
    let container = sniff(input.data);
    if matches!(container, Container::MpegTs { .. }) && input.data.len() > HEAD {
        let head = input.data.slice(..HEAD);
        // All that it can have: nothing further on would add to it.
        if let Ok(probe) = look(&Input { data: &head, ..*input }, container)
            && (probe.video.is_some() || input.take == Take::Audio)
            && (probe.audio.is_some() || input.take == Take::Video)
        {
            return Ok(probe);
        }
    }
    look(input, container)
}

fn look(input: &Input<'_>, container: Container) -> Result<Probe, AssembleError> {
    let (units, refused) = match units(input, input.take) {
        Ok(units) => (units, None),
        Err(cause @ (AssembleError::UnsupportedCodec { .. } | AssembleError::UnsupportedAac { .. }))
            if input.take != Take::Video =>
        {
            // The audio may be what is not copied.
            let video = match input.take {
                Take::Audio => Ok(Vec::new()),
                _ => units(input, Take::Video),
            };
            match (video, &cause) {
                (Ok(units), _) => (units, Some(cause)),
                (Err(AssembleError::NoTrack { .. }), _) => (Vec::new(), Some(cause)),
                // Packed audio and programs without video.
                (Err(_), AssembleError::UnsupportedCodec { transcodable: true, .. }) => {
                    (Vec::new(), Some(cause))
                }
                (Err(of_video), _) => return Err(of_video),
            }
        }
        Err(cause) => return Err(cause),
    };
    let video = units.iter().filter_map(Unit::picture).find_map(|unit| unit.config_change.clone());
    let first = |unit: &Unit| match unit {
        Unit::Video(unit) => unit.stamp.map(|stamp| stamp.dts),
        Unit::Audio(unit) => unit.stamp.map(|stamp| stamp.pts),
    };
    let audio = units.iter().find_map(|unit| match unit {
        Unit::Audio(unit) => unit.format.config().ok(),
        Unit::Video(_) => None,
    });
    let first_video = units.iter().filter(|unit| unit.picture().is_some()).find_map(first);
    let first_audio = units.iter().filter(|unit| unit.picture().is_none()).find_map(first);
    let found = refused.as_ref().and_then(|_| foreign(input));
    let first_audio = first_audio.or(found.as_ref().and_then(|(_, first_90k)| *first_90k));
    let found = found.map(|(audio, _)| audio);
    let audio = match refused {
        Some(AssembleError::UnsupportedCodec { codec, transcodable, .. }) => {
            found.filter(|_| transcodable).or(Some(ProbedAudio::Unsupported(codec)))
        }
        Some(cause) => found.or(Some(ProbedAudio::Unsupported(cause.to_string()))),
        None => audio.map(ProbedAudio::Aac),
    };
    let first_90k = match (first_video, first_audio) {
        (Some(video), Some(audio)) => {
            // The clock may wrap between them.
            Some(if crate::time::unwrap_near(audio, video) < video { audio } else { video })
        }
        (video, audio) => video.or(audio),
    };
    Ok(Probe { container, video: video.map(|config| *config), audio, first_90k })
}

fn units(input: &Input<'_>, take: Take) -> Result<Vec<Unit>, AssembleError> {
    let mut source = Source::new(take, SourceCarry::default(), None, None);
    let mut counters = Counters::default();
    source.segment(&input.take(take), 0, 0, &mut counters)?;
    source.finish(&mut counters);
    Ok(std::mem::take(&mut source.units))
}

/// Audio that must be transcoded, and its first time. (Packed audio may have none, and is read as if it were 0.)
fn foreign(input: &Input<'_>) -> Option<(ProbedAudio, Option<i64>)> {
    let mut reader = ForeignReader::new(ForeignCarry::default());
    reader.expect_end();
    reader.push(input).ok()?;
    let found = reader.finish()?;
    let timeless = matches!(sniff(input.data), Container::Packed(_))
        && split_tags(input.data, &mut Vec::new()).0.is_none();
    let first_90k = found.stretches.first().map(|stretch| stretch.pts_90k).filter(|_| !timeless);
    Some((ProbedAudio::Foreign(found.codec, found.sample_rate, found.channels), first_90k))
}
