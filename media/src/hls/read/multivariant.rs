//! Multivariant playlists.

use super::super::{Leniencies, MultivariantPlaylist};
use super::{Common, Lines, MAX_VARIANTS, PlaylistError, block, lenient, overlook, tag_of};

pub(super) fn read(lines: Lines<'_>, leniencies: Leniencies) -> Result<MultivariantPlaylist, PlaylistError> {
    let mut playlist = MultivariantPlaylist { version: 1, leniencies, ..MultivariantPlaylist::default() };
    let mut variant: Option<&str> = None;
    let mut last_line = 1;
    for (line, text) in lines {
        last_line = line;
        match tag_of(text) {
            Some(("-X-STREAM-INF", value)) => {
                if variant.replace(value).is_some() {
                    overlook(&mut playlist.leniencies, lenient::NO_URI);
                }
            }
            Some(("-X-MEDIA", value)) => {
                if playlist.renditions.len() >= MAX_VARIANTS {
                    return Err(PlaylistError::TooMany { line, limit: MAX_VARIANTS, what: "renditions" });
                }
                match block::rendition(value) {
                    Some(rendition) => playlist.renditions.push(rendition),
                    None => overlook(&mut playlist.leniencies, lenient::BAD_RENDITION),
                }
            }
            Some((name, value)) => playlist.read_common(name, value),
            None if text.starts_with('#') => {}
            None => {
                // A URI that no STREAM-INF announced says nothing of what it is.
                let Some(value) = variant.take() else { continue };
                if playlist.variants.len() >= MAX_VARIANTS {
                    return Err(PlaylistError::TooMany { line, limit: MAX_VARIANTS, what: "variants" });
                }
                if !block::has_bandwidth(value) {
                    overlook(&mut playlist.leniencies, lenient::NO_BANDWIDTH);
                }
                match block::variant(value, text) {
                    Some(variant) => playlist.variants.push(variant),
                    None => overlook(&mut playlist.leniencies, lenient::BAD_VARIANT),
                }
            }
        }
    }
    if variant.is_some() {
        overlook(&mut playlist.leniencies, lenient::NO_URI);
    }
    if playlist.variants.is_empty() && playlist.renditions.is_empty() {
        return Err(PlaylistError::Empty { line: last_line });
    }
    Ok(playlist)
}
