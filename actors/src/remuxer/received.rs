//! What a processor sent: access units where it has the stream's own parameters, else what must be done to it.

mod ts;

use std::path::Path;

use bytes::Bytes;
use overdub_media::aac::{AacParams, AdtsReader};
use overdub_media::counters::Counters;
use overdub_media::mp4;
use overdub_media::sample::AudioConfig;
use overdub_media::time::rescale;

use super::fit::Slot;
use super::priming::{self, Evidence};
use crate::link::sniff;
use crate::messages::{AudioFormat, FitTiming};

/// Processed audio.
#[derive(Debug, PartialEq)]
pub(super) enum Received {
    /// AAC with the slot's parameters, without its encoder's priming.
    Same(Units),
    /// Anything else.
    Other(Foreign),
}

/// Access units to be copied.
#[derive(Debug, PartialEq)]
pub(super) struct Units {
    /// Raw access units; may be more than the slot takes.
    pub data: Vec<Bytes>,
    /// Samples of sound in them.
    pub sound_samples: u64,
    /// Samples of priming that were removed from the front.
    pub priming_samples: u64,
    /// How sure that is.
    pub timing: FitTiming,
}

/// What FFmpeg must convert.
#[derive(Debug, PartialEq)]
pub(super) struct Foreign {
    /// What it is.
    pub what: String,
    /// Its container.
    pub format: AudioFormat,
    /// Samples, at its own rate, to leave out at the start. Above 0, FFmpeg must not look for any itself: it would
    /// find some and not others (in FFmpeg 5.1 none that a fragmented file's edit list tells).
    pub skip_samples: u64,
    /// Priming that is left out, by us or by FFmpeg.
    pub priming_samples: u64,
    /// How sure that is.
    pub timing: FitTiming,
}

impl Foreign {
    /// A reply whose container tells FFmpeg what to leave out.
    fn exact(what: impl Into<String>, format: AudioFormat) -> Received {
        let timing = FitTiming::Exact;
        Received::Other(Self { what: what.into(), format, skip_samples: 0, priming_samples: 0, timing })
    }
}

impl Received {
    fn beginning_at(mut self, samples: u64) -> Self {
        if let Self::Other(foreign) = &mut self {
            (foreign.skip_samples, foreign.priming_samples) = (samples, samples);
        }
        self
    }
}

pub(super) fn read(path: &Path, slot: &Slot<'_>) -> Result<Received, String> {
    let bytes =
        std::fs::read(path).map(Bytes::from).map_err(|error| format!("{}: {error}", path.display()))?;
    let format = sniff::sniff(&bytes).ok_or_else(|| format!("no audio: {}", sniff::describe(&bytes)))?;
    Ok(match format {
        AudioFormat::Mp4 => read_mp4(&bytes, slot),
        AudioFormat::Adts => read_adts(&bytes, format, slot),
        AudioFormat::MpegTs => match ts::adts(&bytes) {
            Some(stream) => read_adts(&stream, format, slot),
            None => Foreign::exact("MPEG-TS without AAC in ADTS", format),
        },
        AudioFormat::Mp3 if !priming::mp3_tells_its_priming(&bytes) => Received::Other(Foreign {
            what: "MP3 that does not tell its priming".to_owned(),
            format,
            skip_samples: priming::LAME_PRIMING,
            priming_samples: priming::LAME_PRIMING,
            timing: FitTiming::Assumed,
        }),
        _ => Foreign::exact(format!("{format:?}"), format),
    })
}

fn read_mp4(bytes: &Bytes, slot: &Slot<'_>) -> Received {
    let format = AudioFormat::Mp4;
    let file = match mp4::read_file(bytes) {
        Ok(file) => file,
        Err(error) => return Foreign::exact(format!("an MP4 that cannot be copied from: {error}"), format),
    };
    let Some((track, config)) = file.movie.audio() else {
        return Foreign::exact("an MP4 without an AAC track", format).beginning_at(told_of_other(&file));
    };
    // FFmpeg takes the first audio track of any codec; only where it is this one, what is known of it counts.
    let samples = file.samples(track.id);
    // A media time of 0 is what muxers write that know of no priming, and those that count it into an empty edit.
    let told = match track.edit_media_time {
        media_time @ 1.. => u64::try_from(rescale(media_time, track.timescale, config.sample_rate)).ok(),
        _ => track.priming_samples.map(u64::from).filter(|itunes| *itunes > 0),
    };
    let sound = samples.iter().fold(0_u64, |sum, sample| sum.saturating_add(u64::from(sample.duration)));
    let sound = rescale(i64::try_from(sound).unwrap_or(i64::MAX), track.timescale, config.sample_rate);
    let units = samples.iter().map(|sample| sample.data.clone()).collect();
    // Empty edits are no silence: they say when the track begins beside others, and the slot begins now.
    decide(units, sound.unsigned_abs(), config, told, format, slot)
}

/// What the edit list says of a track whose codec has its priming nowhere else; such a track's timescale is its
/// rate. (Opus tells its pre-skip itself.)
fn told_of_other(file: &mp4::File) -> u64 {
    let codecs = [b"mp4a", b".mp3", b"ac-3", b"ec-3"];
    let track = file.movie.tracks.iter().find(|track| match &track.kind {
        mp4::TrackKind::Other { fourcc } => codecs.contains(&&fourcc.0),
        _ => false,
    });
    track.map_or(0, |track| u64::try_from(track.edit_media_time).unwrap_or(0))
}

fn read_adts(bytes: &[u8], format: AudioFormat, slot: &Slot<'_>) -> Received {
    let (mut reader, mut counters, mut frames) = (AdtsReader::default(), Counters::default(), Vec::new());
    reader.push(bytes, &mut counters, &mut frames);
    reader.finish(&mut counters, &mut frames);
    let Some(first) = frames.first() else { return Foreign::exact("ADTS without a frame", format) };
    let config = match first.params.config() {
        Ok(config) if frames.iter().all(|frame| frame.params == first.params) => config,
        Ok(_) => return Foreign::exact("AAC that changes its parameters", format),
        Err(error) => return Foreign::exact(error.to_string(), format),
    };
    let sound = frames.len() as u64 * u64::from(config.frame_samples);
    let units = frames.into_iter().map(|frame| frame.data).collect();
    decide(units, sound, &config, None, format, slot)
}

/// Copies what can be copied; `sound` counts the priming too.
fn decide(
    units: Vec<Bytes>,
    sound: u64,
    config: &AudioConfig,
    told: Option<u64>,
    format: AudioFormat,
    slot: &Slot<'_>,
) -> Received {
    let frame = u64::from(config.frame_samples.max(1));
    let same = same_parameters(config, slot.config);
    // What was sent comes back: then its own beginning is known.
    let echo = if same { slot.first.and_then(|first| position(&units, first)) } else { None };
    let expected = slot_samples_at(config.sample_rate, slot).div_ceil(frame);
    let (priming, timing) = priming::priming(&Evidence {
        told: told.or(echo.map(|at| at as u64 * frame)),
        first: units.first().map_or(&[], |unit| unit),
        units: units.len() as u64,
        expected,
        frame,
    });
    if !same || priming % frame != 0 {
        let what = format!(
            "AAC object type {}, {} Hz, {} channels, {priming} samples of priming",
            config.object_type, config.sample_rate, config.channels
        );
        return Received::Other(Foreign {
            what,
            format,
            skip_samples: priming,
            priming_samples: priming,
            timing,
        });
    }
    let skipped = usize::try_from(priming / frame).unwrap_or(usize::MAX);
    let data: Vec<Bytes> = units.into_iter().skip(skipped).collect();
    let sound_samples = sound.saturating_sub(priming).min(data.len() as u64 * frame);
    Received::Same(Units { data, sound_samples, priming_samples: priming, timing })
}

/// Where among the first few access units this one is. Silence is like silence everywhere, and short.
fn position(units: &[Bytes], first: &Bytes) -> Option<usize> {
    const SILENCE: usize = 24;
    const MOST: usize = 5;
    let told = first.len() > SILENCE;
    told.then(|| units.iter().take(MOST).position(|unit| unit == first)).flatten()
}

fn slot_samples_at(rate: u32, slot: &Slot<'_>) -> u64 {
    let slot_rate = u64::from(slot.config.sample_rate.max(1));
    (u64::from(slot.samples()) * u64::from(rate)).div_ceil(slot_rate)
}

fn same_parameters(one: &AudioConfig, other: &AudioConfig) -> bool {
    (one.sample_rate, one.channels, one.object_type, one.frame_samples)
        == (other.sample_rate, other.channels, other.object_type, other.frame_samples)
        && AacParams::like(one) == AacParams::like(other)
}

#[cfg(test)]
mod tests;
