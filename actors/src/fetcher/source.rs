//! From the configured URL to a media playlist.

use std::time::Duration;

use overdub_media::hls::{MediaPlaylist, MultivariantPlaylist, Playlist, PlaylistError, read_playlist};
use url::Url;

use super::http::{FetchError, Http, Subject};

/// Playlists larger than this are read on the blocking pool: parsing one takes milliseconds.
const LARGE_PLAYLIST: usize = 64 << 10;

/// Why there is no media playlist.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum SourceError {
    #[error(transparent)]
    Fetch(#[from] FetchError),
    #[error("source answered with an empty body")]
    Empty,
    #[error("source is not an HLS playlist: {error}; it begins with '{begins}'")]
    NotAPlaylist { error: PlaylistError, begins: String },
    #[error("source's playlist cannot be read: {0}")]
    Unreadable(PlaylistError),
    #[error("source's multivariant playlist lists no variant")]
    NoVariant,
    #[error("source's variant is itself a multivariant playlist")]
    Nested,
    #[error("reading the playlist failed")]
    Panicked,
}

/// A media playlist, and what its URIs are relative to.
pub(super) struct Loaded {
    pub base: Url,
    pub playlist: MediaPlaylist,
}

/// Finds the media playlist once and stays with it until it fails.
pub(super) struct Source {
    configured: Url,
    media: Option<Url>,
}

impl Source {
    pub(super) fn new(configured: Url) -> Self {
        Self { configured, media: None }
    }

    /// Loads the media playlist. After a failure the next load begins with the configured URL: a variant's
    /// address, or the one that a redirect led to, may have expired.
    pub(super) async fn load(&mut self, http: &mut Http) -> Result<Loaded, SourceError> {
        let begin_at = self.media.take();
        let url = begin_at.as_ref().unwrap_or(&self.configured);
        let (base, playlist) = load_any(http, url).await?;
        let loaded = match playlist {
            Playlist::Media(playlist) => Loaded { base, playlist },
            Playlist::Multivariant(playlist) => {
                let variant = best_variant(&playlist).ok_or(SourceError::NoVariant)?;
                let url = base.join(variant).map_err(|_| FetchError::BadUri)?;
                match load_any(http, &url).await? {
                    (base, Playlist::Media(playlist)) => Loaded { base, playlist },
                    (_, Playlist::Multivariant(_)) => return Err(SourceError::Nested),
                }
            }
        };
        self.media = Some(loaded.base.clone());
        Ok(loaded)
    }
}

/// The variant of the highest bandwidth, the first of equals.
fn best_variant(playlist: &MultivariantPlaylist) -> Option<&str> {
    let best = playlist.variants.iter().rev().max_by_key(|variant| variant.bandwidth);
    best.map(|variant| variant.uri.as_str())
}

async fn load_any(http: &mut Http, url: &Url) -> Result<(Url, Playlist), SourceError> {
    let mut body = http.get(url, None, Subject::Playlist, Duration::MAX).await?;
    let bytes = body.whole().await?;
    if bytes.is_empty() {
        return Err(SourceError::Empty);
    }
    let read = if bytes.len() > LARGE_PLAYLIST {
        tokio::task::spawn_blocking(move || read(&bytes)).await.map_err(|_| SourceError::Panicked)?
    } else {
        read(&bytes)
    };
    Ok((body.url, read?))
}

fn read(bytes: &[u8]) -> Result<Playlist, SourceError> {
    read_playlist(bytes).map_err(|error| match error {
        PlaylistError::NotAPlaylist { .. } => {
            let head = String::from_utf8_lossy(&bytes[..bytes.len().min(64)]);
            let begins = head.trim_start().chars().take_while(|c| !c.is_control()).take(16).collect();
            SourceError::NotAPlaylist { error, begins }
        }
        error => SourceError::Unreadable(error),
    })
}

#[cfg(test)]
mod tests {
    use overdub_media::hls::Variant;

    use super::*;

    #[test]
    fn the_highest_bandwidth_is_taken_and_the_first_of_equals() {
        let variants = [("a", 1), ("b", 3), ("c", 3), ("d", 2)].map(|(uri, bandwidth)| Variant {
            uri: uri.into(),
            bandwidth,
            ..Variant::default()
        });
        let playlist = MultivariantPlaylist { variants: variants.into(), ..MultivariantPlaylist::default() };
        assert_eq!(best_variant(&playlist), Some("b"));
        assert_eq!(best_variant(&MultivariantPlaylist::default()), None);
    }

    #[test]
    fn a_web_page_is_named_by_how_it_begins() {
        let error = read(b"\n  <!DOCTYPE html><html>").expect_err("a web page");
        assert_eq!(
            error.to_string(),
            "source is not an HLS playlist: line 2: #EXTM3U is missing; it begins with '<!DOCTYPE html><'"
        );
        let error = read(b"#EXTM3U\n").expect_err("nothing in it");
        assert_eq!(
            error.to_string(),
            "source's playlist cannot be read: line 1: the playlist ends without a segment or a variant"
        );
    }
}
