//! HE-AAC that only its access units tell of: SBR data in fill elements (ISO/IEC 14496-3 4.4.2.7, 4.5.2.8).
//!
//! Fill elements come last in an access unit, so they are found from its end, without decoding what stands before:
//! a run of them, the first with SBR data, that ends exactly where the access unit does. By chance one access unit
//! in a hundred looks like that; all of many do not.

use crate::sample::AudioConfig;

/// Access units that are looked at before the answer stands.
const LOOKED_AT: u32 = 24;

/// Core rates above this do not occur with SBR: 24 kHz become 48 kHz.
const MAX_CORE_RATE: u32 = 24_000;

/// ID_FIL and ID_END (table 4.85).
const FILL: u32 = 6;
const END: u32 = 7;

/// EXT_SBR_DATA and EXT_SBR_DATA_CRC (table 4.121).
const SBR: [u32; 2] = [13, 14];

/// Looks through the first access units of a stream.
#[derive(Debug, Clone, Default)]
pub struct SbrDetector {
    known: bool,
    seen: u32,
    with_sbr: u32,
}

impl SbrDetector {
    /// A detector; `known`: SBR was found before, in the same stream.
    #[must_use]
    pub fn new(known: bool) -> Self {
        Self { known, ..Self::default() }
    }

    /// Looks at the next access unit of AAC LC.
    pub fn look(&mut self, config: &AudioConfig, access_unit: &[u8]) {
        if self.known
            || self.seen >= LOOKED_AT
            || config.sample_rate > MAX_CORE_RATE
            || config.object_type != 2
        {
            return;
        }
        self.seen += 1;
        self.with_sbr += u32::from(ends_in_sbr(access_unit));
    }

    /// Whether there is SBR, as far as has been seen: encoders may leave it out of silence.
    #[must_use]
    pub fn found(&self) -> bool {
        self.known || (self.seen >= 3 && self.with_sbr * 4 >= self.seen * 3)
    }
}

/// Whether fill elements, one of them with SBR data, stand at the end of the access unit.
#[must_use]
pub fn ends_in_sbr(access_unit: &[u8]) -> bool {
    // 269 bytes are the longest fill element, and some more may follow.
    let bytes = &access_unit[access_unit.len().saturating_sub(640)..];
    (0..bytes.len() * 8).any(|at| runs_to_end(bytes, at))
}

fn runs_to_end(bytes: &[u8], mut at: usize) -> bool {
    let mut first = true;
    loop {
        let Some(id) = bits(bytes, at, 3) else { return false };
        if id == END {
            let left = bytes.len() * 8 - (at + 3);
            return !first && left < 8 && bits(bytes, at + 3, left) == Some(0);
        }
        if id != FILL {
            return false;
        }
        at += 3;
        let Some(mut count) = bits(bytes, at, 4) else { return false };
        at += 4;
        if count == 15 {
            let Some(more) = bits(bytes, at, 8) else { return false };
            count = count + more - 1;
            at += 8;
        }
        if first && (count == 0 || !bits(bytes, at, 4).is_some_and(|kind| SBR.contains(&kind))) {
            return false;
        }
        first = false;
        at += count as usize * 8;
    }
}

fn bits(bytes: &[u8], at: usize, count: usize) -> Option<u32> {
    (at..at + count).try_fold(0, |value, bit| {
        let byte = bytes.get(bit / 8)?;
        Some(value << 1 | u32::from(byte >> (7 - bit % 8) & 1))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A fill element of `count` bytes whose first four bits are `kind`, behind `before` bits of ones and zeros.
    fn access_unit(before: usize, kind: u32, count: u32) -> Vec<u8> {
        let mut out: Vec<u8> = (0..before).map(|n| (n % 2) as u8).collect();
        let mut put = |value: u32, bits: u32| out.extend((0..bits).rev().map(|bit| (value >> bit & 1) as u8));
        put(FILL, 3);
        put(count, 4);
        put(kind, 4);
        for _ in 0..count * 8 - 4 {
            put(0, 1);
        }
        put(END, 3);
        out.chunks(8)
            .map(|bits| bits.iter().enumerate().fold(0, |byte, (n, bit)| byte | bit << (7 - n)))
            .collect()
    }

    #[test]
    fn sbr_data_is_found_wherever_it_begins() {
        for before in 30..50 {
            assert!(ends_in_sbr(&access_unit(before, 13, 9)), "{before}");
            assert!(!ends_in_sbr(&access_unit(before, 1, 9)), "{before}");
        }
    }

    #[test]
    fn several_access_units_decide() {
        let config = AudioConfig { sample_rate: 22_050, object_type: 2, ..AudioConfig::default() };
        let mut detector = SbrDetector::default();
        for _ in 0..2 {
            detector.look(&config, &access_unit(33, 14, 9));
        }
        assert!(!detector.found());
        detector.look(&config, &access_unit(33, 14, 9));
        assert!(detector.found());
        let mut detector = SbrDetector::default();
        for _ in 0..9 {
            detector.look(&config, &access_unit(33, 1, 9));
        }
        assert!(!detector.found());
    }
}
