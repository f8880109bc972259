//! The borders between batches that a processor encoded one by one.

use bytes::Bytes;

use super::super::border::{Borders, smooth};
use super::super::fit::Slot;
use super::super::received::{self, Received};
use super::kit::{BLOCK, Stream, UNITS, config, has_ffmpeg};
use crate::ledger::Fill;

const GAIN: f32 = 0.9;
const AAC: [&str; 8] = [
    "-af",
    "volume=0.9",
    "-c:a",
    "aac",
    "-b:a",
    "192k",
    "-movflags",
    "+frag_keyframe+delay_moov+default_base_moof",
];

/// How a border sounds.
#[derive(Debug, Clone, Copy)]
struct Border {
    /// Largest step from sample to sample within 64 samples of the border, as a part of the largest within 200 ms.
    step: f32,
    /// Level of the 20 ms after the border against the processed original's, in dB.
    level_db: f32,
    /// Level of the difference to the processed original in the 60 ms around, against the latter, in dB.
    error_db: f32,
}

fn largest_step(sound: &[f32]) -> f32 {
    sound.windows(2).map(|pair| (pair[1] - pair[0]).abs()).fold(0.0, f32::max)
}

fn power(sound: impl Iterator<Item = f32>) -> f32 {
    sound.map(|v| v * v).sum::<f32>().max(1e-12)
}

fn measure(heard: &[f32], original: &[f32], at: usize) -> Border {
    let around = 9600;
    let neighbourhood =
        largest_step(&heard[at - around..at - 1500]).max(largest_step(&heard[at + 1500..at + around]));
    let near = at - 1400..at + 1500;
    let difference = near.clone().map(|n| heard[n] - GAIN * original[n]);
    let after = at..at + 960;
    let decibels = |one: f32, other: f32| 10.0 * (one / other).log10();
    Border {
        step: largest_step(&heard[at - 64..at + 64]) / neighbourhood,
        level_db: decibels(power(after.clone().map(|n| heard[n])), power(after.map(|n| GAIN * original[n]))),
        error_db: decibels(power(difference), power(near.map(|n| GAIN * original[n]))),
    }
}

fn worst(borders: &[Border]) -> Border {
    let most = |value: fn(&Border) -> f32| {
        borders.iter().map(value).max_by(|a, b| a.abs().total_cmp(&b.abs())).unwrap()
    };
    Border {
        step: most(|border| border.step),
        level_db: most(|border| border.level_db),
        error_db: borders.iter().map(|border| border.error_db).fold(f32::MIN, f32::max),
    }
}

/// A chord: nothing hides a click.
fn chord(n: usize) -> f64 {
    let t = n as f64 / 48_000.0;
    [(220.0, 0.25), (554.37, 0.15), (1318.5, 0.08)]
        .iter()
        .map(|(hz, level)| level * (std::f64::consts::TAU * hz * t).sin())
        .sum()
}

/// Something like a voice: a pitch that moves, formants, syllables, breath.
fn voice(n: usize) -> f64 {
    let t = n as f64 / 48_000.0;
    let phase = std::f64::consts::TAU * (130.0 * t + 4.0 * (1.7 * t).sin());
    let voiced: f64 = (1..24)
        .map(|k| {
            let hz = 130.0 * f64::from(k);
            let formant = |at: f64, width: f64| (-((hz - at) / width).powi(2)).exp();
            let level = formant(500.0, 200.0) + 0.6 * formant(1500.0, 300.0) + 0.4 * formant(2500.0, 400.0);
            level * (f64::from(k) * phase).sin()
        })
        .sum();
    let syllable = 0.35 + 0.65 * (std::f64::consts::PI * 3.3 * t).sin().powi(2);
    let noise = f64::from((n as u32).wrapping_mul(2_654_435_761) >> 16 & 0xff) / 255.0 - 0.5;
    0.18 * voiced * syllable + 0.01 * noise
}

/// What a reply's access units are with these borders smoothed.
fn copied(stream: &Stream, batch: usize, borders: Borders) -> Vec<Bytes> {
    let own = &stream.units[batch * UNITS..][..UNITS];
    let config = config();
    let slot = Slot { config: &config, first: own.first(), units: UNITS as u32 };
    let path = stream.path(batch, "processed_audio.fmp4");
    let Received::Same(mut units) = received::read(&path, &slot).unwrap() else { panic!("not copied") };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    units.data.truncate(UNITS);
    runtime.block_on(smooth(&mut units.data, borders, &config)).unwrap();
    units.data
}

fn borders_of(heard: &[f32], original: &[f32], batches: usize) -> Border {
    let all: Vec<Border> =
        (1..batches).map(|batch| measure(heard, original, batch * UNITS * BLOCK)).collect();
    worst(&all)
}

#[test]
fn a_processor_that_encodes_each_batch_by_itself_makes_no_click() {
    if !has_ffmpeg() {
        return;
    }
    const BATCHES: usize = 3;
    let mut failed = Vec::new();
    for (name, sound) in [("chord", chord as fn(usize) -> f64), ("voice", voice)] {
        let stream = Stream::new(BATCHES, sound);
        let original = stream.decode(&stream.units);
        let quieter: Vec<f32> = original.iter().map(|sample| sample * GAIN).collect();
        eprintln!("{name}, original: {:.2?}", borders_of(&quieter, &original, BATCHES));
        (0..BATCHES).for_each(|batch| stream.process(batch, &[&AAC[..], &["-f", "mp4"]].concat()));
        for (option, head, tail) in [
            ("as received", false, false),
            ("tail", false, true),
            ("head", true, false),
            ("both", true, true),
        ] {
            let units: Vec<Bytes> =
                (0..BATCHES).flat_map(|batch| copied(&stream, batch, Borders { head, tail })).collect();
            let heard = stream.decode(&units);
            eprintln!("{name}, aac, {option}: {:.2?}", borders_of(&heard, &original, BATCHES));
        }
        let fitted = || {
            let units: Vec<Bytes> = (0..BATCHES)
                .flat_map(|batch| {
                    let report = stream.remux(batch, Fill::Processed).unwrap().fit;
                    assert!(report.converted || report.border_units >= 2, "{report:?}");
                    stream.fitted(batch)
                })
                .collect();
            borders_of(&stream.decode(&units), &original, BATCHES)
        };
        let aac = fitted();
        (0..BATCHES).for_each(|batch| stream.process(batch, &["-af", "volume=0.9", "-f", "wav"]));
        let wav = fitted();
        eprintln!("{name}, as aired: aac {aac:.2?}, wav {wav:.2?}");
        for border in [aac, wav] {
            if border.step > 1.5 || border.level_db.abs() > 2.0 {
                failed.push((name, border));
            }
        }
    }
    assert!(failed.is_empty(), "{failed:?}");
}
