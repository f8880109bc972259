//! Where a reply's sound begins: its encoder's priming, as told or as far as it can be inferred.
//!
//! An MDCT codec's encoder begins with samples of its own, and what tells how many (edit list, `iTunSMPB`, LAME
//! tag, Opus pre-skip) has no place in ADTS, MPEG-TS and MP4 without an edit list. There, the length speaks: the
//! processor got a known number of samples, and one that gives back as many access units as that takes has
//! removed the priming (or never stopped its encoder between batches), one that gives back one, two or three
//! more has left it in: 1024 samples (FFmpeg's own encoder, and most others), 2048 (FDK) or 2112 (Apple). A reply
//! of another length, from an encoder that did not leave its name, cannot be known; it begins at its first sample.

use crate::messages::FitTiming;

/// What FFmpeg's AAC encoder writes into the first access unit of each run.
const LAVC: &[u8] = b"Lavc";
/// Its priming.
const LAVC_PRIMING: u64 = 1024;
/// Priming of Apple's encoders (Technical Note TN2258).
const APPLE_PRIMING: u64 = 2112;
/// Samples that an MP3 decoder outputs before the sound when LAME encoded: 576 of the encoder, 529 of the decoder.
pub(super) const LAME_PRIMING: u64 = 576 + 529;

/// What is known of a reply of AAC.
pub(super) struct Evidence<'a> {
    /// What the container says, in samples.
    pub told: Option<u64>,
    /// The first access unit.
    pub first: &'a [u8],
    /// Access units that came.
    pub units: u64,
    /// Access units that the slot's length takes at the reply's rate.
    pub expected: u64,
    /// Samples of one.
    pub frame: u64,
}

/// Samples of priming, and how sure that is.
pub(super) fn priming(evidence: &Evidence<'_>) -> (u64, FitTiming) {
    if let Some(told) = evidence.told {
        return (told, FitTiming::Exact);
    }
    // Before the name: an encoder that never stops leaves it in every 256th access unit.
    if evidence.units == evidence.expected {
        return (0, FitTiming::Assumed);
    }
    if evidence.first.windows(LAVC.len()).take(32).any(|bytes| bytes == LAVC) {
        return (LAVC_PRIMING, FitTiming::Assumed);
    }
    match evidence.units.saturating_sub(evidence.expected) {
        surplus @ 1..=2 => (surplus * evidence.frame, FitTiming::Assumed),
        3 => (APPLE_PRIMING, FitTiming::Assumed),
        _ => (0, FitTiming::Unknown),
    }
}

/// What FFmpeg will drop of an MP3 by itself: `true` where the first frame bears a tag with the encoder's delay
/// ("Xing" or "Info", and behind it the name of an encoder that is known to write one).
pub(super) fn mp3_tells_its_priming(bytes: &[u8]) -> bool {
    // The tag lies within the first frame; an ID3 tag before it may hold a picture.
    let tag = bytes.windows(4).take(MP3_TAG_SEARCH).position(|name| matches!(name, b"Xing" | b"Info"));
    let Some(tag) = tag.and_then(|at| bytes.get(at..)) else { return false };
    // Flags, frames, bytes, 100 bytes of seek table and quality come before the name, each if flagged.
    tag.windows(4).take(132).any(|name| matches!(name, b"LAME" | b"Lavf" | b"Lavc"))
}

const MP3_TAG_SEARCH: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn of(told: Option<u64>, first: &[u8], units: u64) -> (u64, FitTiming) {
        priming(&Evidence { told, first, units, expected: 100, frame: 1024 })
    }

    #[test]
    fn what_is_told_comes_first() {
        assert_eq!(of(Some(2112), b"Lavc", 100), (2112, FitTiming::Exact));
        assert_eq!(of(Some(0), b"", 101), (0, FitTiming::Exact));
    }

    #[test]
    fn an_untold_priming_is_known_by_the_length_and_the_encoders_name() {
        assert_eq!(of(None, b"\xde\x02\0Lavc59.37.100", 100), (0, FitTiming::Assumed));
        assert_eq!(of(None, b"\xde\x02\0Lavc59.37.100", 60), (1024, FitTiming::Assumed));
        assert_eq!(of(None, b"\xde\x02\0Lavc59.37.100", 102), (1024, FitTiming::Assumed));
        assert_eq!(of(None, b"", 101), (1024, FitTiming::Assumed));
        assert_eq!(of(None, b"", 102), (2048, FitTiming::Assumed));
        assert_eq!(of(None, b"", 103), (2112, FitTiming::Assumed));
        assert_eq!(of(None, b"", 60), (0, FitTiming::Unknown));
        assert_eq!(of(None, b"", 240), (0, FitTiming::Unknown));
    }

    #[test]
    fn an_mp3_tag_counts_with_an_encoders_name_only() {
        let tag =
            |name: &[u8]| [&b"\xff\xfb\x90\x64"[..], &[0; 32], b"Info\0\0\0\x0f", &[7; 112], name].concat();
        assert!(mp3_tells_its_priming(&tag(b"LAME3.100")));
        assert!(mp3_tells_its_priming(&tag(b"Lavf")));
        assert!(!mp3_tells_its_priming(&tag(b"GOGO")));
        assert!(!mp3_tells_its_priming(b"\xff\xfb\x90\x64 LAME3.100"));
        assert!(!mp3_tells_its_priming(b""));
    }
}
