//! A segment as it is given.

use bytes::Bytes;

/// Which tracks of a segment to take.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Take {
    /// Video and audio, whichever are there.
    #[default]
    All,
    /// Video alone: the audio comes from a source of its own, or is left out.
    Video,
    /// Audio alone: a rendition beside the video's.
    Audio,
}

impl Take {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::All => "video or audio",
            Self::Video => "video",
            Self::Audio => "audio",
        }
    }
}

/// One whole media segment.
#[derive(Debug, Clone, Copy)]
pub struct Input<'a> {
    /// Its bytes, decrypted.
    pub data: &'a Bytes,
    /// The init section of an fMP4 segment.
    pub init: Option<&'a Bytes>,
    /// Which of its tracks to take.
    pub take: Take,
}

impl<'a> Input<'a> {
    /// A segment that needs nothing else, with all its tracks.
    #[must_use]
    pub fn whole(data: &'a Bytes) -> Self {
        Self { data, init: None, take: Take::All }
    }

    /// With an init section.
    #[must_use]
    pub fn with_init(self, init: &'a Bytes) -> Self {
        Self { init: Some(init), ..self }
    }

    /// With these tracks alone.
    #[must_use]
    pub fn take(self, take: Take) -> Self {
        Self { take, ..self }
    }
}
