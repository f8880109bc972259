//! Reading playlists: a line pass of our own, with m3u8-rs behind it for one block of lines at a time.
//!
//! m3u8-rs reads a clean playlist well, but a byte order mark, a comma in a title, a fractional
//! TARGETDURATION or one odd attribute silently turns the lines behind it into segments that are none. So
//! the line pass decides what each line is, repairs it, and hands m3u8-rs only the few lines of one segment,
//! one variant or one rendition, in strict form: what it cannot read stays in that block and names its line.

use std::borrow::Cow;

use super::{Leniencies, MediaPlaylist, MultivariantPlaylist, Playlist};

mod block;
mod define;
mod media;
mod multivariant;

pub use define::{MAX_VARIABLES, Surroundings};

/// Segments that one playlist may list; at 2 seconds each, more than two days.
pub const MAX_SEGMENTS: usize = 100_000;

/// Variants, and as many renditions, that one playlist may list.
pub const MAX_VARIANTS: usize = 1000;

/// Date ranges that one playlist may list.
pub const MAX_DATE_RANGES: usize = 10_000;

/// Largest media sequence number read: 2^63 (servers exist that number by the nanosecond), so that adding to it stays
/// within 64 bits.
const MAX_SEQUENCE: u64 = 1 << 63;

/// Why bytes are no playlist that can be played.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlaylistError {
    /// Something else came first.
    #[error("line {line}: #EXTM3U is missing")]
    NotAPlaylist {
        /// Line of the first text that is neither empty nor a comment; 1 where there is none.
        line: usize,
    },
    /// Nothing says what kind it is.
    #[error("line {line}: the playlist ends without a segment or a variant")]
    Empty {
        /// Its last line.
        line: usize,
    },
    /// A tag's value cannot be read, and playing on without it would play the wrong bytes.
    #[error("line {line}: {tag} {reason}")]
    Tag {
        /// Where.
        line: usize,
        /// Which tag.
        tag: &'static str,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// More than the limit of something.
    #[error("line {line}: more than {limit} {what}")]
    TooMany {
        /// Where the limit was passed.
        line: usize,
        /// The limit.
        limit: usize,
        /// Of what.
        what: &'static str,
    },
}

/// Reads a playlist of either kind that stands alone.
pub fn read_playlist(bytes: &[u8]) -> Result<Playlist, PlaylistError> {
    read_playlist_in(bytes, Surroundings::default())
}

/// Reads a playlist of either kind.
///
/// What deployed players overlook is overlooked and counted in `leniencies`. An error is left for what is no
/// playlist at all, and for what would make a client fetch or decrypt the wrong bytes.
pub fn read_playlist_in(bytes: &[u8], surroundings: Surroundings<'_>) -> Result<Playlist, PlaylistError> {
    let (text, mut leniencies) = decode(bytes);
    let (text, variables) = define::expand(text, surroundings)?;
    let lines = head_of(&text, &mut leniencies)?;
    match kind_of(lines.clone()) {
        Some(Kind::Media) => media::read(lines, leniencies).map(Playlist::Media),
        Some(Kind::Multivariant) => {
            let playlist = multivariant::read(lines, leniencies)?;
            Ok(Playlist::Multivariant(MultivariantPlaylist { variables, ..playlist }))
        }
        None => Err(PlaylistError::Empty { line: text.lines().count().max(1) }),
    }
}

/// Names of leniencies.
mod lenient {
    pub const BYTE_ORDER_MARK: &str = "byte order mark";
    pub const NOT_UTF8: &str = "not UTF-8";
    pub const LATE_HEADER: &str = "#EXTM3U is not the first line";
    pub const BAD_TARGET_DURATION: &str = "TARGETDURATION missing or unreadable";
    pub const BAD_DURATION: &str = "EXTINF unreadable";
    pub const BAD_SEQUENCE: &str = "sequence number unreadable";
    pub const BAD_DATE: &str = "PROGRAM-DATE-TIME unreadable";
    pub const BAD_KEY: &str = "KEY without a METHOD or a URI";
    pub const BAD_MAP: &str = "MAP without a URI";
    pub const OPEN_RANGE: &str = "BYTERANGE without a range before it";
    pub const NO_EXTINF: &str = "URI without EXTINF";
    pub const NO_URI: &str = "STREAM-INF without a URI";
    pub const BAD_VARIANT: &str = "STREAM-INF unreadable";
    pub const NO_BANDWIDTH: &str = "STREAM-INF without BANDWIDTH";
    pub const BAD_RENDITION: &str = "MEDIA unreadable";
    pub const BAD_DATE_RANGE: &str = "DATERANGE without an ID";
    pub const DELTA_UPDATE: &str = "delta update that was not asked for";
}

/// Counts one leniency.
fn overlook(leniencies: &mut Leniencies, what: &'static str) {
    match leniencies.iter_mut().find(|(name, _)| *name == what) {
        Some((_, count)) => *count += 1,
        None => leniencies.push((what, 1)),
    }
}

fn decode(bytes: &[u8]) -> (Cow<'_, str>, Leniencies) {
    let mut leniencies = Leniencies::new();
    let stripped = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    if stripped.len() != bytes.len() {
        overlook(&mut leniencies, lenient::BYTE_ORDER_MARK);
    }
    let text = String::from_utf8_lossy(stripped);
    if matches!(text, Cow::Owned(_)) {
        overlook(&mut leniencies, lenient::NOT_UTF8);
    }
    let text = if text.contains('\r') { Cow::Owned(line_feeds(&text)) } else { text };
    (text, leniencies)
}

/// Ancient Mac line ends, throughout or among others: one inside a title ends no line.
fn line_feeds(text: &str) -> String {
    let mac = !text.contains('\n');
    let mut before = ' ';
    let mut characters = text.chars().peekable();
    let mut out = String::with_capacity(text.len());
    while let Some(character) = characters.next() {
        let ends = mac || before == ',' || characters.peek() == Some(&'#');
        out.push(if character == '\r' && ends { '\n' } else { character });
        before = character;
    }
    out
}

/// Numbered lines, trimmed, without empty ones.
type Lines<'a> = std::iter::Filter<
    std::iter::Map<std::iter::Enumerate<std::str::Split<'a, char>>, fn((usize, &'a str)) -> (usize, &'a str)>,
    fn(&(usize, &'a str)) -> bool,
>;

fn lines(text: &str) -> Lines<'_> {
    fn numbered((index, line): (usize, &str)) -> (usize, &str) {
        (index + 1, line.trim())
    }
    fn filled(line: &(usize, &str)) -> bool {
        !line.1.is_empty()
    }
    text.split('\n').enumerate().map(numbered as fn(_) -> _).filter(filled as fn(&_) -> _)
}

/// The lines behind `#EXTM3U`, which only comments and empty lines may precede.
fn head_of<'a>(text: &'a str, leniencies: &mut Leniencies) -> Result<Lines<'a>, PlaylistError> {
    let mut lines = lines(text);
    let mut first = true;
    loop {
        match lines.next() {
            Some((number, line)) if line.starts_with("#EXTM3U") => {
                if !first || number != 1 {
                    overlook(leniencies, lenient::LATE_HEADER);
                }
                return Ok(lines);
            }
            Some((_, line)) if line.starts_with('#') && !line.starts_with("#EXT") => first = false,
            Some((line, _)) => return Err(PlaylistError::NotAPlaylist { line }),
            None => return Err(PlaylistError::NotAPlaylist { line: 1 }),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Media,
    Multivariant,
}

/// A segment's or a variant's own tag decides at once; without any, a tag that only one kind may bear does.
fn kind_of(lines: Lines<'_>) -> Option<Kind> {
    let mut hint = None;
    for (_, line) in lines {
        if line.starts_with("#EXTINF") || line.starts_with("#EXT-X-TARGETDURATION") {
            return Some(Kind::Media);
        }
        if line.starts_with("#EXT-X-STREAM-INF") {
            return Some(Kind::Multivariant);
        }
        const MULTIVARIANT: [&str; 4] =
            ["#EXT-X-MEDIA:", "#EXT-X-I-FRAME-STREAM-INF", "#EXT-X-SESSION-", "#EXT-X-CONTENT-STEERING"];
        const MEDIA: [&str; 5] = [
            "#EXT-X-MEDIA-SEQUENCE",
            "#EXT-X-PLAYLIST-TYPE",
            "#EXT-X-ENDLIST",
            "#EXT-X-KEY",
            "#EXT-X-DISCONTINUITY",
        ];
        if hint.is_none() && MULTIVARIANT.iter().any(|tag| line.starts_with(tag)) {
            hint = Some(Kind::Multivariant);
        }
        if hint.is_none() && MEDIA.iter().any(|tag| line.starts_with(tag)) {
            hint = Some(Kind::Media);
        }
    }
    hint
}

/// A line split into the tag's name and its value; none where it is no tag.
fn tag_of(line: &str) -> Option<(&str, &str)> {
    let tag = line.strip_prefix("#EXT")?;
    let (name, value) = tag.split_once(':').unwrap_or((tag, ""));
    Some((name.trim_end(), value.trim()))
}

/// Tags that both kinds may bear (rfc8216bis 4.4.2).
trait Common {
    fn common(&mut self) -> (&mut u32, &mut bool);

    fn read_common(&mut self, name: &str, value: &str) {
        let (version, independent) = self.common();
        match name {
            "-X-VERSION" => *version = value.parse().unwrap_or(1),
            "-X-INDEPENDENT-SEGMENTS" => *independent = true,
            _ => {}
        }
    }
}

impl Common for MediaPlaylist {
    fn common(&mut self) -> (&mut u32, &mut bool) {
        (&mut self.version, &mut self.independent_segments)
    }
}

impl Common for MultivariantPlaylist {
    fn common(&mut self) -> (&mut u32, &mut bool) {
        (&mut self.version, &mut self.independent_segments)
    }
}

#[cfg(test)]
mod tests;
