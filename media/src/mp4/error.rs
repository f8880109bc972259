//! What can be wrong with a file, and where.

use std::fmt;

/// A box type or sample entry code.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct FourCc(pub [u8; 4]);

impl fmt::Display for FourCc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.escape_ascii())
    }
}

impl fmt::Debug for FourCc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Why an MP4 file could not be read or written. Byte positions count from the start of the input.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Mp4Error {
    /// A box claims more bytes than its surroundings hold.
    #[error("box {name} at byte {at} claims {size} bytes, {left} are left")]
    Overrun {
        /// The box.
        name: FourCc,
        /// Where its header begins.
        at: usize,
        /// What it claims.
        size: u64,
        /// What is there.
        left: usize,
    },
    /// A field or table runs past the end of its box.
    #[error("box {name} ends early: {needed} bytes are needed at byte {at}, {left} are left")]
    Short {
        /// The box.
        name: FourCc,
        /// Where the field begins.
        at: usize,
        /// How long it is.
        needed: u64,
        /// What is there.
        left: usize,
    },
    /// A box that must be there is not.
    #[error("box {parent} at byte {at} holds no {name}")]
    Missing {
        /// Where it should be; `file` for the top level.
        parent: FourCc,
        /// Where that begins.
        at: usize,
        /// What is missing.
        name: FourCc,
    },
    /// A field holds what it must not.
    #[error("box {name} at byte {at}: {what}")]
    Invalid {
        /// The box.
        name: FourCc,
        /// Where its header, or the field, begins.
        at: usize,
        /// What is wrong.
        what: &'static str,
    },
    /// A sample lies outside the input.
    #[error(
        "box {name} at byte {at}: a sample of {size} bytes at byte {start} is outside the {total} bytes given"
    )]
    Outside {
        /// The box that locates the sample.
        name: FourCc,
        /// Where its header begins.
        at: usize,
        /// Where the sample should begin.
        start: u64,
        /// The sample's size.
        size: u32,
        /// Bytes given.
        total: usize,
    },
    /// More samples than the input's length can justify.
    #[error("box {name} at byte {at}: {count} samples are more than the input can hold")]
    TooManySamples {
        /// The box that counts them.
        name: FourCc,
        /// Where its header begins.
        at: usize,
        /// How many it claims.
        count: u64,
    },
    /// A fragment of a track that the movie does not have.
    #[error("box tfhd at byte {at}: the movie has no track {track}")]
    UnknownTrack {
        /// Where the box begins.
        at: usize,
        /// The track it names.
        track: u32,
    },
    /// A NAL unit claims more bytes than its sample holds.
    #[error("nal unit at byte {at} of a sample claims {size} bytes, {left} are left")]
    Nal {
        /// Where its length field begins in the sample.
        at: usize,
        /// What it claims.
        size: u64,
        /// What is there.
        left: usize,
    },
    /// A track that cannot be described in a file.
    #[error("track {track}: {what}")]
    Track {
        /// The track's id.
        track: u32,
        /// What is wrong.
        what: &'static str,
    },
    /// A codec configuration that cannot be written.
    #[error("codec configuration: {0}")]
    Config(&'static str),
    /// A sample that cannot be described in a fragment.
    #[error("track {track}, sample {index}: {what} ({value})")]
    Sample {
        /// The track's id.
        track: u32,
        /// The sample's index in what was given.
        index: usize,
        /// What is wrong.
        what: &'static str,
        /// The value that is.
        value: i128,
    },
    /// A fragment whose samples do not fit the 31 bits that a data offset has.
    #[error("a fragment of {len} bytes is too large")]
    TooLarge {
        /// Bytes it would have.
        len: u64,
    },
    /// A fragment without samples.
    #[error("a fragment must hold a sample")]
    Empty,
    /// The box encoder refused.
    #[error("could not encode the movie: {0}")]
    Encode(String),
}
