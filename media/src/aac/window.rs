//! What an access unit says of its window, as far as it lies at a known place.

/// The window of an access unit's first channel element. A decoder shapes the left half of each window by the
/// access unit before it (ISO/IEC 14496-3 4.6.11.3.2), so where two streams are joined these two must agree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// window_sequence (table 4.124): 0 long, 1 start, 2 eight short, 3 stop.
    pub sequence: u8,
    /// window_shape: 0 sine, 1 Kaiser-Bessel derived.
    pub shape: u8,
}

struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Bits<'_> {
    fn take(&mut self, count: usize) -> Option<u32> {
        let mut value = 0;
        for _ in 0..count {
            let byte = *self.bytes.get(self.at / 8)?;
            value = value << 1 | u32::from(byte >> (7 - self.at % 8) & 1);
            self.at += 1;
        }
        Some(value)
    }

    fn skip_fill(&mut self) -> Option<()> {
        // Table 4.11: esc_count counts itself.
        let count = match self.take(4)? {
            15 => 14 + self.take(8)?,
            count => count,
        };
        self.at += count as usize * 8;
        Some(())
    }
}

/// The window of the first single or pair element of an AAC LC access unit; `None` where it begins with
/// something else or is too short. In a pair without a common window, the first channel's.
#[must_use]
pub fn window(access_unit: &[u8]) -> Option<Window> {
    let mut bits = Bits { bytes: access_unit, at: 0 };
    loop {
        match bits.take(3)? {
            // ID_SCE: element_instance_tag, global_gain.
            0 => bits.take(12)?,
            // ID_CPE: element_instance_tag, common_window; without it ics_info follows a global_gain.
            1 => match bits.take(5)? & 1 {
                1 => 0,
                _ => bits.take(8)?,
            },
            6 => {
                bits.skip_fill()?;
                continue;
            }
            _ => return None,
        };
        // ics_reserved_bit.
        bits.take(1)?;
        let sequence = u8::try_from(bits.take(2)?).ok()?;
        let shape = u8::try_from(bits.take(1)?).ok()?;
        return Some(Window { sequence, shape });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aac::{AacParams, silent_access_unit};
    use proptest::prelude::*;

    #[test]
    fn silence_has_a_long_sine_window_and_fill_is_skipped() {
        for channel_config in 1..=7 {
            let config = AacParams { object_type: 2, rate_index: 3, channel_config }.config().unwrap();
            let unit = silent_access_unit(&config).unwrap();
            assert_eq!(window(&unit), Some(Window { sequence: 0, shape: 0 }));
        }
        // ID_FIL of 1 byte, then ID_CPE with a common window: start window, Kaiser-Bessel.
        // 110 0001 xxxxxxxx | 001 0000 1 | 0 01 1
        let bits = "110".to_owned() + "0001" + "10101010" + "001" + "0000" + "1" + "0" + "01" + "1" + "00";
        let bytes: Vec<u8> = bits
            .as_bytes()
            .chunks(8)
            .map(|byte| byte.iter().enumerate().fold(0, |sum, (at, bit)| sum | (bit - b'0') << (7 - at)))
            .collect();
        assert_eq!(window(&bytes), Some(Window { sequence: 1, shape: 1 }));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = window(&bytes);
        }
    }
}
