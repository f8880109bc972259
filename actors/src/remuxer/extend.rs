//! Sound continued past its end: linear prediction, for what an encoder must see beyond a batch's borders.

/// Samples that the prediction is made from, a channel.
const LOOK_BACK: usize = 6144;
/// Coefficients: a voice repeats itself after its pitch period, and one of 75 Hz has that many samples at 48 kHz.
const ORDER: usize = 640;
/// Noise that is added, as a part of the sound's level.
const NOISE: f32 = 0.02;
/// Below this nothing can be predicted.
const LEAST: usize = 64;

/// The next `count` samples after `sound`, one channel. Burg's method with
/// weights (Swingler 1979): its filter is stable, so what is predicted
/// dies away and never grows.
pub(super) fn forward(sound: &[f32], count: usize) -> Vec<f32> {
    let sound = &sound[sound.len().saturating_sub(LOOK_BACK)..];
    if sound.len() < LEAST {
        return vec![0.0; count];
    }
    let coefficients = burg(&with_noise(sound), ORDER.min(sound.len() / 4));
    let mut history: Vec<f64> =
        sound[sound.len() - coefficients.len()..].iter().map(|v| f64::from(*v)).collect();
    history.reserve(count);
    for _ in 0..count {
        let past = history.iter().rev();
        let next: f64 = coefficients.iter().zip(past).map(|(c, v)| c * v).sum();
        // Sound is within -1 and 1; a prediction that leaves it is rounding gone astray.
        history.push(if next.is_finite() { next.clamp(-1.5, 1.5) } else { 0.0 });
    }
    history[coefficients.len()..].iter().map(|v| *v as f32).collect()
}

/// The `count` samples before `sound`, one channel.
pub(super) fn backward(sound: &[f32], count: usize) -> Vec<f32> {
    let mut reversed: Vec<f32> = sound.iter().take(LOOK_BACK).copied().collect();
    reversed.reverse();
    let mut before = forward(&reversed, count);
    before.reverse();
    before
}

/// The sound with a little noise, so that the filter is one that does not amplify noise: a coder's last access
/// unit is noisier than those before it, and a filter made for pure tones turns -40 dB there into 0 dB.
fn with_noise(sound: &[f32]) -> Vec<f32> {
    let power = sound.iter().map(|v| v * v).sum::<f32>() / sound.len() as f32;
    // Uniform noise within ±a has a²/3 of power.
    let most = (power * 3.0).sqrt() * NOISE;
    let mut state = 1_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / 8_388_608.0 - 1.0
    };
    sound.iter().map(|v| v + most * next()).collect()
}

/// Prediction coefficients, the newest sample's first (J. P. Burg 1975; Kay, Modern Spectral Estimation, 7.5).
fn burg(sound: &[f32], order: usize) -> Vec<f64> {
    let mut ahead: Vec<f64> = sound.iter().map(|v| f64::from(*v)).collect();
    let mut behind = ahead.clone();
    let mut coefficients: Vec<f64> = Vec::with_capacity(order);
    let mut whole = None;
    for m in 0..order {
        let (f, b) = (&ahead[m + 1..], &behind[m..behind.len() - 1]);
        let count = f.len() as f64;
        let (mut cross, mut energy) = (0.0, 0.0);
        for (n, (f, b)) in f.iter().zip(b).enumerate() {
            // Without weights, a tone's frequency comes out biased by its phase: a chord in a coder's noise is then
            // predicted to -19 dB over one access unit, with this parabola to -45 dB.
            let t = (n as f64 + 0.5) / count;
            let weight = t * (1.0 - t);
            cross += weight * f * b;
            energy += weight * (f * f + b * b);
        }
        let all = *whole.get_or_insert(energy);
        // All is predicted (or all is silence): more coefficients would fit rounding errors.
        if energy <= all * 1e-15 {
            break;
        }
        let reflection = 2.0 * cross / energy;
        let earlier = coefficients.clone();
        for (c, e) in coefficients.iter_mut().zip(earlier.iter().rev()) {
            *c -= reflection * e;
        }
        coefficients.push(reflection);
        for n in (m + 1..ahead.len()).rev() {
            let (f, b) = (ahead[n], behind[n - 1]);
            ahead[n] = f - reflection * b;
            behind[n] = b - reflection * f;
        }
    }
    coefficients
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chord(from: i32, count: i32) -> Vec<f32> {
        (from..from + count)
            .map(|n| {
                let t = f64::from(n) / 48_000.0;
                let tone = |hz: f64| (std::f64::consts::TAU * hz * t).sin();
                (0.3 * tone(220.0) + 0.2 * tone(554.4) + 0.1 * tone(3300.0)) as f32
            })
            .collect()
    }

    fn worst(one: &[f32], other: &[f32]) -> f32 {
        one.iter().zip(other).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
    }

    #[test]
    fn a_chord_goes_on_in_both_directions() {
        let sound = chord(5000, 4096);
        assert!(worst(&forward(&sound, 1024), &chord(9096, 1024)) < 0.03);
        assert!(worst(&backward(&sound, 1024), &chord(3976, 1024)) < 0.03);
    }

    #[test]
    fn silence_stays_silence_and_nothing_predicts_nothing() {
        assert_eq!(forward(&[0.0; 4096], 3), [0.0; 3]);
        assert_eq!(forward(&[], 2), [0.0; 2]);
        assert_eq!(forward(&[0.5; 10], 2), [0.0; 2]);
    }

    #[test]
    fn noise_and_full_scale_never_grow() {
        let mut state = 1_u32;
        let noise: Vec<f32> = (0..4096)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                if state >> 31 == 0 { 1.0 } else { -1.0 }
            })
            .collect();
        assert!(forward(&noise, 20_000).iter().all(|v| v.abs() <= 1.5));
    }
}
