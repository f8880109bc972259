//! Filling a slot: exactly the original's access units in number and place, whatever came.

use std::path::Path;

use bytes::Bytes;
use overdub_media::aac;
use overdub_media::mp4;
use overdub_media::sample::AudioSample;

use super::received::Units;
use crate::ledger::Fill;
use crate::messages::{AudioMedia, FitReport};

/// A slot's samples on the output timeline.
pub(super) struct Fitted {
    pub samples: Vec<AudioSample>,
    pub report: FitReport,
}

/// Fills the slot that `audio.fmp4` in `folder` describes.
pub(super) fn fill_slot(
    folder: &Path,
    audio: &AudioMedia,
    fill: Fill,
    processed: Option<(Units, bool)>,
) -> Result<Fitted, String> {
    let mut samples = read_slot(&folder.join("audio.fmp4"), audio)?;
    let frame = u64::from(audio.config.frame_samples);
    let mut report = FitReport { slot_samples: samples.len() as u64 * frame, ..FitReport::default() };
    report.received_samples = report.slot_samples;
    match (fill, processed) {
        (Fill::Processed, Some((units, converted))) => {
            report.received_samples = units.data.len() as u64 * frame;
            report.priming_samples = units.priming_samples;
            report.converted = converted;
            replace(&mut samples, units.data, || silence(audio))?;
        }
        (Fill::Silence, _) => replace(&mut samples, Vec::new(), || silence(audio))?,
        _ => {}
    }
    Ok(Fitted { samples, report })
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
fn read_slot(path: &Path, audio: &AudioMedia) -> Result<Vec<AudioSample>, String> {
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
