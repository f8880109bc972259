//! The 90 kHz timeline and the 33-bit clock it is unwrapped from.

/// Ticks of the timeline in one second (ISO/IEC 13818-1 2.4.2.2: PTS and DTS count at 90 kHz).
pub const TICKS_PER_SECOND: i64 = 90_000;

/// The 33-bit clock's period in ticks, about 26.5 hours.
pub const CLOCK_PERIOD: i64 = 1 << 33;

/// Unwraps a 33-bit clock value to the signed 64-bit value nearest to `reference`.
///
/// Going backwards is as ordinary as going forwards: of all values that are equal to `raw` modulo 2^33,
/// the one at most half a period away from `reference` is returned.
#[must_use]
pub fn unwrap_near(raw: i64, reference: i64) -> i64 {
    // 2^64 is a multiple of the period: wrapping changes nothing.
    let distance = raw.wrapping_sub(reference).rem_euclid(CLOCK_PERIOD);
    let step = if distance >= CLOCK_PERIOD / 2 { distance - CLOCK_PERIOD } else { distance };
    reference.saturating_add(step)
}

/// Converts a time or duration between timescales, rounding to the nearest unit (halves away from zero).
#[must_use]
pub fn rescale(value: i64, from_per_second: u32, to_per_second: u32) -> i64 {
    let scaled = i128::from(value) * i128::from(to_per_second);
    let from = i128::from(from_per_second.max(1));
    let half = if scaled < 0 { -(from / 2) } else { from / 2 };
    i64::try_from((scaled + half) / from).unwrap_or(if scaled < 0 { i64::MIN } else { i64::MAX })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_wrap_is_an_ordinary_moment() {
        let before = CLOCK_PERIOD - 10;
        assert_eq!(unwrap_near(5, before), CLOCK_PERIOD + 5);
        assert_eq!(unwrap_near(CLOCK_PERIOD - 3, CLOCK_PERIOD + 5), CLOCK_PERIOD - 3);
        assert_eq!(unwrap_near(CLOCK_PERIOD - 3, 2), -3);
    }

    #[test]
    fn rescaling_rounds_to_the_nearest_unit() {
        assert_eq!(rescale(1920, 90_000, 48_000), 1024);
        assert_eq!(rescale(2090, 90_000, 44_100), 1024);
        assert_eq!(rescale(-1920, 90_000, 48_000), -1024);
        assert_eq!(rescale(-3, 2, 1), -2);
    }

    proptest! {
        #[test]
        fn an_unwrapped_value_is_near_and_equal_modulo_the_period(raw in 0i64..(1 << 33), reference in -(1i64 << 40)..(1i64 << 40)) {
            let value = unwrap_near(raw, reference);
            prop_assert_eq!(value.rem_euclid(CLOCK_PERIOD), raw);
            prop_assert!((value - reference).abs() <= CLOCK_PERIOD / 2);
        }
    }
}
