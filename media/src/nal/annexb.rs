//! Annex B byte stream format: start codes.

/// Length of the start code prefix 00 00 01.
pub const PREFIX_LEN: usize = 3;

/// Position of the first start code prefix at or after `from`.
#[must_use]
pub fn find_prefix(bytes: &[u8], from: usize) -> Option<usize> {
    // Every byte of a picture passes here, so it is done with vector instructions.
    memchr::memmem::find(bytes.get(from..)?, &[0, 0, 1]).map(|found| from + found)
}

/// The NAL unit without trailing_zero_8bits; a NAL unit itself never ends in zero (7.4.1).
#[must_use]
pub fn trim_trailing_zeros(nal: &[u8]) -> &[u8] {
    let len = nal.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    &nal[..len]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn prefixes_are_found_wherever_they_stand() {
        assert_eq!(find_prefix(&[0, 0, 1], 0), Some(0));
        assert_eq!(find_prefix(&[0, 0, 0, 1, 9], 0), Some(1));
        assert_eq!(find_prefix(&[1, 0, 1, 0, 0, 1], 0), Some(3));
        assert_eq!(find_prefix(&[0, 0, 1, 5, 0, 0, 1], 1), Some(4));
        assert_eq!(find_prefix(&[0, 0], 0), None);
        assert_eq!(find_prefix(&[0, 0, 1], 7), None);
    }

    proptest! {
        #[test]
        fn the_quick_search_finds_what_the_slow_one_does(bytes in proptest::collection::vec(0u8..4, 0..60), from in 0usize..70) {
            let slow = (from..bytes.len()).find(|&at| bytes[at..].starts_with(&[0, 0, 1]));
            prop_assert_eq!(find_prefix(&bytes, from), slow);
        }
    }
}
