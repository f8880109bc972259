//! What a processor sent, as access units where it has the stream's own parameters.

use std::path::Path;

use bytes::Bytes;
use overdub_media::aac::AdtsReader;
use overdub_media::counters::Counters;
use overdub_media::mp4::{self, TrackKind};
use overdub_media::sample::AudioConfig;

/// Processed audio.
#[derive(Debug, PartialEq)]
pub(super) enum Received {
    /// AAC with the slot's parameters, without its encoder's priming.
    Same(Units),
    /// Anything else, and what it is.
    Other(String),
}

/// Access units to be copied.
#[derive(Debug, PartialEq)]
pub(super) struct Units {
    /// Raw access units.
    pub data: Vec<Bytes>,
    /// Samples of priming that were removed from the front.
    pub priming_samples: u64,
}

pub(super) fn read(path: &Path, slot: &AudioConfig) -> Result<Received, String> {
    let bytes =
        std::fs::read(path).map(Bytes::from).map_err(|error| format!("{}: {error}", path.display()))?;
    if bytes.len() > 7 && bytes[0] == 0xff && bytes[1] & 0xf6 == 0xf0 {
        return Ok(read_adts(&bytes, slot));
    }
    if bytes.get(4..8).is_some_and(|name| matches!(name, b"ftyp" | b"styp" | b"moov" | b"moof")) {
        return Ok(read_mp4(&bytes, slot));
    }
    Ok(Received::Other("neither MP4 nor ADTS".to_owned()))
}

fn read_mp4(bytes: &Bytes, slot: &AudioConfig) -> Received {
    let file = match mp4::read_file(bytes) {
        Ok(file) => file,
        Err(error) => return Received::Other(format!("an MP4 that cannot be copied from: {error}")),
    };
    let Some(track) = file.movie.tracks.iter().find(|track| matches!(track.kind, TrackKind::Audio(_))) else {
        return Received::Other("an MP4 without an AAC track".to_owned());
    };
    let TrackKind::Audio(config) = &track.kind else {
        return Received::Other("an MP4 without an AAC track".to_owned());
    };
    if !same_parameters(config, slot) {
        return Received::Other(describe(config));
    }
    let frame = i64::from(slot.frame_samples.max(1));
    let priming = overdub_media::time::rescale(track.edit_media_time, track.timescale, slot.sample_rate);
    if priming < 0 || priming % frame != 0 {
        return Received::Other(format!("AAC with {priming} samples of priming, not whole access units"));
    }
    let skipped = usize::try_from(priming / frame).unwrap_or(usize::MAX);
    let data = file
        .tracks
        .iter()
        .filter(|fragment| fragment.track_id == track.id)
        .flat_map(|fragment| fragment.samples.iter().map(|sample| sample.data.clone()))
        .skip(skipped)
        .collect();
    Received::Same(Units { data, priming_samples: priming.unsigned_abs() })
}

fn read_adts(bytes: &Bytes, slot: &AudioConfig) -> Received {
    let (mut reader, mut counters, mut frames) = (AdtsReader::default(), Counters::default(), Vec::new());
    reader.push(bytes, &mut counters, &mut frames);
    reader.finish(&mut counters, &mut frames);
    let Some(first) = frames.first() else { return Received::Other("ADTS without a frame".to_owned()) };
    match first.params.config() {
        Ok(config) if same_parameters(&config, slot) && frames.iter().all(|f| f.params == first.params) => {
            let data = frames.into_iter().map(|frame| frame.data).collect();
            Received::Same(Units { data, priming_samples: 0 })
        }
        Ok(config) => Received::Other(describe(&config)),
        Err(error) => Received::Other(error.to_string()),
    }
}

fn same_parameters(one: &AudioConfig, other: &AudioConfig) -> bool {
    (one.sample_rate, one.channels, one.object_type, one.frame_samples)
        == (other.sample_rate, other.channels, other.object_type, other.frame_samples)
}

fn describe(config: &AudioConfig) -> String {
    format!("AAC object type {}, {} Hz, {} channels", config.object_type, config.sample_rate, config.channels)
}
