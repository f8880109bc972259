//! Channel layouts of their own (program_config_element, ISO/IEC 14496-3 4.4.1.1).

/// ID_PCE (table 4.85).
const PROGRAM_CONFIG: u32 = 5;

/// A program_config_element that a raw data block begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProgramConfig {
    /// Channels of the layout.
    pub channels: u8,
    /// Bytes from the block's beginning to the element's end, which is aligned to them.
    pub len: usize,
}

/// The layout that a raw data block begins with; `None` where it begins with none.
#[must_use]
pub fn program_config(block: &[u8]) -> Option<ProgramConfig> {
    let mut bits = Bits { bytes: block, at: 0 };
    if bits.take(3)? != PROGRAM_CONFIG {
        return None;
    }
    let channels = read(&mut bits)?;
    // byte_alignment, comment_field_bytes.
    let comment_at = bits.at.div_ceil(8);
    let len = comment_at + 1 + usize::from(*block.get(comment_at)?);
    (len <= block.len()).then_some(ProgramConfig { channels, len })
}

/// Channels of the layout whose element_instance_tag stands at this bit.
#[must_use]
pub fn channels_at(bytes: &[u8], at: usize) -> Option<u8> {
    read(&mut Bits { bytes, at })
}

struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Bits<'_> {
    fn take(&mut self, count: usize) -> Option<u32> {
        let value = (self.at..self.at + count).try_fold(0u32, |value, bit| {
            let byte = self.bytes.get(bit / 8)?;
            Some(value << 1 | u32::from(byte >> (7 - bit % 8) & 1))
        });
        self.at += count;
        value
    }
}

/// From element_instance_tag to the last element; gives the channels.
fn read(bits: &mut Bits<'_>) -> Option<u8> {
    // element_instance_tag, object_type, sampling_frequency_index.
    bits.take(10)?;
    let elements = [bits.take(4)?, bits.take(4)?, bits.take(4)?];
    let low_frequency = bits.take(2)?;
    let (associated, coupled) = (bits.take(3)?, bits.take(4)?);
    for len in [4, 4, 3] {
        // mono_mixdown, stereo_mixdown, matrix_mixdown_idx.
        if bits.take(1)? == 1 {
            bits.take(len)?;
        }
    }
    let mut channels = low_frequency;
    for _ in 0..elements.iter().sum() {
        channels += 1 + bits.take(1)?;
        bits.take(4)?;
    }
    for _ in 0..low_frequency + associated {
        bits.take(4)?;
    }
    for _ in 0..coupled {
        bits.take(5)?;
    }
    u8::try_from(channels).ok().filter(|channels| *channels > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_are_counted_by_their_elements() {
        // Two pairs: front and back (the layout "quad"), and a comment of two bytes.
        let bits = "101 0000 01 0011 0001 0000 0001 00 000 0000 0 0 0 1 0000 1 0001".replace(' ', "");
        let mut block: Vec<u8> = bits
            .as_bytes()
            .chunks(8)
            .map(|bits| bits.iter().enumerate().fold(0, |byte, (n, bit)| byte | (bit & 1) << (7 - n)))
            .collect();
        let end = block.len();
        block.extend([2, b'h', b'i', 0x21]);
        assert_eq!(program_config(&block), Some(ProgramConfig { channels: 4, len: end + 3 }));
        assert_eq!(channels_at(&block, 3), Some(4));
        assert_eq!(program_config(&block[..4]), None);
        assert_eq!(program_config(&block[..end + 2]), None, "the comment is cut");
        assert_eq!(program_config(&[0x21, 0, 0, 0, 0, 0, 0]), None);
    }
}
