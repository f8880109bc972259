//! Access units that decode to silence.

use bytes::Bytes;

use crate::sample::AudioConfig;

/// Syntactic elements of a raw data block (table 4.85).
#[derive(Clone, Copy)]
enum Element {
    Single,
    Pair,
    LowFrequency,
}

/// An access unit of `config` whose spectrum is empty; `None` where the configuration is not AAC Main, LC or LTP, which
/// write one alike (ISO/IEC 14496-3 4.4.2.1), with a numbered channel configuration.
///
/// (An empty spectrum leaves the overlap with the frame before it alone, so sound fades out over one window
/// and is zero from the next frame on.)
#[must_use]
pub fn silent_access_unit(config: &AudioConfig) -> Option<Bytes> {
    use Element::{LowFrequency, Pair, Single};
    if !matches!(config.object_type, 1 | 2 | 4) {
        return None;
    }
    // Table 1.19.
    let elements: &[Element] = match config.channels {
        1 => &[Single],
        2 => &[Pair],
        3 => &[Single, Pair],
        4 => &[Single, Pair, Single],
        5 => &[Single, Pair, Pair],
        6 => &[Single, Pair, Pair, LowFrequency],
        8 => &[Single, Pair, Pair, Pair, LowFrequency],
        _ => return None,
    };
    let mut bits = Bits::default();
    let mut tags = [0u32; 3];
    for element in elements {
        let (id, channels, tag) = match element {
            Single => (0, 1, &mut tags[0]),
            Pair => (1, 2, &mut tags[1]),
            LowFrequency => (3, 1, &mut tags[2]),
        };
        bits.put(id, 3);
        bits.put(*tag, 4);
        *tag += 1;
        if channels == 2 {
            // common_window.
            bits.put(1, 1);
            bits.put_ics_info();
            // ms_mask_present.
            bits.put(0, 2);
        }
        for _ in 0..channels {
            // global_gain: what no scale factor band refers to.
            bits.put(0, 8);
            if channels == 1 {
                bits.put_ics_info();
            }
            // pulse_data_present, tns_data_present, gain_control_data_present.
            bits.put(0, 3);
        }
    }
    // ID_END.
    bits.put(7, 3);
    Some(Bytes::from(bits.bytes))
}

#[derive(Default)]
struct Bits {
    bytes: Vec<u8>,
    used: u32,
}

impl Bits {
    fn put(&mut self, value: u32, count: u32) {
        for bit in (0..count).rev() {
            if self.used.is_multiple_of(8) {
                self.bytes.push(0);
            }
            let last = self.bytes.last_mut().expect("a byte was just made for this bit");
            *last |= ((value >> bit & 1) as u8) << (7 - self.used % 8);
            self.used += 1;
        }
    }

    /// ics_info() of a long window in which no scale factor band is sent (4.4.2.1): reserved bit, window_sequence,
    /// window_shape, max_sfb, predictor_data_present.
    fn put_ics_info(&mut self) {
        self.put(0, 1 + 2 + 1 + 6 + 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aac::AacParams;

    #[test]
    fn every_channel_configuration_of_main_lc_and_ltp_has_a_silence() {
        for (object_type, channel_config) in
            (1..=7).flat_map(|channels| [1, 2, 4].map(|kind| (kind, channels)))
        {
            let params = AacParams { object_type, rate_index: 3, channel_config };
            let unit = silent_access_unit(&params.config().unwrap()).unwrap();
            assert!(unit.len() < 40, "{}", unit.len());
        }
    }

    #[test]
    fn other_object_types_have_none() {
        let config = AacParams { object_type: 2, rate_index: 3, channel_config: 2 }.config().unwrap();
        assert_eq!(silent_access_unit(&AudioConfig { object_type: 3, ..config }), None);
    }
}
