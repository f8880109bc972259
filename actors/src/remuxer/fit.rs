//! Filling a slot: exactly the original's access units in number and place, whatever came.

use std::path::Path;

use bytes::Bytes;
use overdub_media::aac;
use overdub_media::mp4;
use overdub_media::sample::{AudioConfig, AudioSample};

use super::received::Units;
use crate::ledger::Fill;
use crate::messages::{AudioMedia, FitReport};

/// What a reply must fill.
#[derive(Debug, Clone, Copy)]
pub(super) struct Slot<'a> {
    pub config: &'a AudioConfig,
    /// The original's first access unit.
    pub first: Option<&'a Bytes>,
    /// Access units.
    pub units: u32,
}

impl Slot<'_> {
    /// Length in samples.
    pub fn samples(&self) -> u32 {
        self.units.saturating_mul(self.config.frame_samples)
    }
}

/// Processed audio with the slot's parameters.
pub(super) struct Replacement {
    pub units: Units,
    pub converted: bool,
    pub border_units: u32,
}

/// Fills the slot whose original access units these are.
pub(super) fn fill_slot(
    samples: &mut [AudioSample],
    audio: &AudioMedia,
    fill: Fill,
    processed: Option<Replacement>,
) -> Result<FitReport, String> {
    let slot_samples = samples.len() as u64 * u64::from(audio.config.frame_samples);
    let mut report = FitReport { slot_samples, received_samples: slot_samples, ..FitReport::default() };
    match (fill, processed) {
        (Fill::Processed, Some(replacement)) => {
            let units = replacement.units;
            report.received_samples = units.sound_samples;
            report.difference_samples = difference(units.sound_samples, slot_samples);
            report.priming_samples = units.priming_samples;
            report.timing = units.timing;
            report.converted = replacement.converted;
            report.border_units = replacement.border_units;
            replace(samples, units.data, || silence(audio))?;
        }
        (Fill::Silence, _) => replace(samples, Vec::new(), || silence(audio))?,
        _ => {}
    }
    Ok(report)
}

fn difference(received: u64, slot: u64) -> i64 {
    i64::try_from(i128::from(received) - i128::from(slot)).unwrap_or(i64::MAX)
}

/// Puts `units` into the slot one by one from its start; what lacks at the end is silent, what is over is cut.
fn replace(
    samples: &mut [AudioSample],
    units: Vec<Bytes>,
    silence: impl FnOnce() -> Result<Bytes, String>,
) -> Result<(), String> {
    let received = units.len();
    for (sample, unit) in samples.iter_mut().zip(units) {
        sample.data = unit;
    }
    if received < samples.len() {
        let silent = silence()?;
        for sample in &mut samples[received..] {
            sample.data = silent.clone();
        }
    }
    Ok(())
}

fn silence(audio: &AudioMedia) -> Result<Bytes, String> {
    aac::silent_access_unit(&audio.config)
        .ok_or_else(|| format!("no silent access unit is known for {} channels", audio.config.channels))
}

/// The original's access units, moved from zero to their place on the output timeline.
pub(super) fn read_slot(path: &Path, audio: &AudioMedia) -> Result<Vec<AudioSample>, String> {
    let bytes =
        std::fs::read(path).map(Bytes::from).map_err(|error| format!("{}: {error}", path.display()))?;
    let file = mp4::read_file(&bytes).map_err(|error| format!("{}: {error}", path.display()))?;
    let samples: Vec<AudioSample> = file
        .tracks
        .into_iter()
        .flat_map(|fragment| fragment.samples)
        .map(|sample| AudioSample {
            time: sample.dts + audio.start,
            duration: sample.duration,
            data: sample.data,
        })
        .collect();
    if samples.len() != audio.access_units as usize {
        let found = samples.len();
        return Err(format!("{}: {found} access units instead of {}", path.display(), audio.access_units));
    }
    Ok(samples)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slot(count: i64) -> Vec<AudioSample> {
        (0..count)
            .map(|n| AudioSample { time: n * 1024, duration: 1024, data: Bytes::from(format!("o{n}")) })
            .collect()
    }

    fn fitted(count: i64, units: &[&'static str]) -> Vec<String> {
        let mut samples = slot(count);
        let units = units.iter().map(|unit| Bytes::from_static(unit.as_bytes())).collect();
        replace(&mut samples, units, || Ok(Bytes::from_static(b"-"))).unwrap();
        assert!(samples.iter().zip(slot(count)).all(|(a, b)| (a.time, a.duration) == (b.time, b.duration)));
        samples.iter().map(|sample| String::from_utf8(sample.data.to_vec()).unwrap()).collect()
    }

    #[test]
    fn a_short_reply_is_filled_up_with_silence_and_a_long_one_cut() {
        assert_eq!(fitted(3, &["a", "b", "c"]), ["a", "b", "c"]);
        assert_eq!(fitted(3, &["a"]), ["a", "-", "-"]);
        assert_eq!(fitted(2, &["a", "b", "c"]), ["a", "b"]);
        assert_eq!(fitted(2, &[]), ["-", "-"]);
    }
}
