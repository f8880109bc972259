//! Sound continued past its end: linear prediction, for what an encoder must see beyond a batch's borders.

/// Samples that the prediction is made from, a channel.
const LOOK_BACK: usize = 4096;
/// Coefficients: enough for a chord of a few dozen partials, little enough to take a few milliseconds.
const ORDER: usize = 192;
/// Below this nothing can be predicted.
const LEAST: usize = 64;

/// The next `count` samples after `sound`, one channel. Burg's method: its filter is stable, so what is predicted
/// dies away and never grows.
pub(super) fn forward(sound: &[f32], count: usize) -> Vec<f32> {
    let sound = &sound[sound.len().saturating_sub(LOOK_BACK)..];
    if sound.len() < LEAST {
        return vec![0.0; count];
    }
    let coefficients = burg(sound, ORDER.min(sound.len() / 4));
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

/// Prediction coefficients, the newest sample's first (J. P. Burg 1975; Kay, Modern Spectral Estimation, 7.5).
fn burg(sound: &[f32], order: usize) -> Vec<f64> {
    let mut ahead: Vec<f64> = sound.iter().map(|v| f64::from(*v)).collect();
    let mut behind = ahead.clone();
    let mut coefficients: Vec<f64> = Vec::with_capacity(order);
    for m in 0..order {
        let (f, b) = (&ahead[m + 1..], &behind[m..behind.len() - 1]);
        let (mut cross, mut energy) = (0.0, 0.0);
        for (f, b) in f.iter().zip(b) {
            cross += f * b;
            energy += f * f + b * b;
        }
        // All is predicted (or all is silence): more coefficients would fit rounding errors.
        if energy < 1e-12 {
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
        assert!(worst(&forward(&sound, 1024), &chord(9096, 1024)) < 0.01);
        assert!(worst(&backward(&sound, 1024), &chord(3976, 1024)) < 0.01);
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
