//! Channel layouts that an access unit describes itself (program_config_element, ISO/IEC 14496-3 4.4.1.1).

/// ID_PCE (table 4.85).
const PROGRAM_CONFIG: u32 = 5;

/// Channels of the layout that a raw data block begins with; `None` where it begins with none.
#[must_use]
pub fn channels(block: &[u8]) -> Option<u8> {
    let mut at = 0;
    let mut take = |count: usize| {
        let value = (at..at + count).try_fold(0u32, |value, bit| {
            let byte = block.get(bit / 8)?;
            Some(value << 1 | u32::from(byte >> (7 - bit % 8) & 1))
        });
        at += count;
        value
    };
    if take(3)? != PROGRAM_CONFIG {
        return None;
    }
    // element_instance_tag, object_type, sampling_frequency_index.
    take(10)?;
    let elements = [take(4)?, take(4)?, take(4)?];
    let low_frequency = take(2)?;
    // num_assoc_data_elements, num_valid_cc_elements.
    take(7)?;
    for bits in [4, 4, 3] {
        // mono_mixdown, stereo_mixdown, matrix_mixdown_idx.
        if take(1)? == 1 {
            take(bits)?;
        }
    }
    let mut channels = low_frequency;
    for _ in 0..elements.iter().sum() {
        channels += 1 + take(1)?;
        take(4)?;
    }
    u8::try_from(channels).ok().filter(|channels| *channels > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_are_counted_by_their_elements() {
        // Two pairs: front and back (the layout "quad").
        let bits = "101 0000 01 0011 0001 0000 0001 00 000 0000 0 0 0 1 0000 1 0001".replace(' ', "");
        let block: Vec<u8> = bits
            .as_bytes()
            .chunks(8)
            .map(|bits| bits.iter().enumerate().fold(0, |byte, (n, bit)| byte | (bit & 1) << (7 - n)))
            .collect();
        assert_eq!(channels(&block), Some(4));
        assert_eq!(channels(&block[..4]), None);
        assert_eq!(channels(&[0x21, 0, 0, 0, 0, 0, 0]), None);
    }
}
