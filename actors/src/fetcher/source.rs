//! From the configured URL to a media playlist, and to its audio's where that has one of its own.

use std::rc::Rc;
use std::time::Duration;

use overdub_media::hls::{MediaPlaylist, Playlist, PlaylistError, Surroundings, Variables, read_playlist_in};
use url::Url;

use super::http::{Body, FetchError, Http, Subject, Validators};
use super::select::select;
use crate::settings::SourceOptions;

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
    #[error("source's playlist lists single pictures alone (EXT-X-I-FRAMES-ONLY)")]
    IFramesOnly,
    #[error("reading the playlist failed")]
    Panicked,
}

/// A media playlist, and what its URIs are relative to.
#[derive(Debug, Clone)]
pub(super) struct Loaded {
    pub base: Url,
    pub playlist: Rc<MediaPlaylist>,
}

/// What was taken of a multivariant playlist, and why; for people.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Chosen {
    pub variant: String,
    pub audio: Option<String>,
}

/// Finds the media playlist once and stays with it until it fails.
pub(super) struct Source {
    configured: Url,
    options: SourceOptions,
    media: Option<Poller>,
    /// The audio's own playlist, where the choice has one.
    audio: Option<Poller>,
    chosen: Option<Chosen>,
    /// How often the media playlist failed: the next of equal variants is tried then.
    failures: usize,
}

impl Source {
    pub(super) fn new(configured: Url, options: SourceOptions) -> Self {
        Self { configured, options, media: None, audio: None, chosen: None, failures: 0 }
    }

    /// Loads the media playlist. After a failure the next load begins with the configured URL: a variant's
    /// address, or the one that a redirect led to, may have expired.
    pub(super) async fn load(&mut self, http: &mut Http) -> Result<Loaded, SourceError> {
        if let Some(mut known) = self.media.take() {
            let loaded = known.load(http).await;
            match &loaded {
                Ok(_) => self.media = Some(known),
                Err(_) => self.failures += 1,
            }
            return loaded;
        }
        let mut first = Poller::new(self.configured.clone(), Variables::new());
        let (playlist, base) = match first.load_any(http).await? {
            (base, Playlist::Multivariant(playlist)) => (playlist, base),
            (_, Playlist::Media(playlist)) => {
                self.audio = None;
                let loaded = first.keep(playlist);
                self.media = Some(first);
                return loaded;
            }
        };
        let selection = select(&playlist, &self.options).ok_or(SourceError::NoVariant)?;
        let resolve = |uri: &str| base.join(uri).map_err(|_| FetchError::BadUri);
        let variant = &selection.variants[self.failures % selection.variants.len()];
        let (variant, variables) = (resolve(variant)?, playlist.variables);
        let audio = match selection.audio.as_deref() {
            Some(uri) => Some(resolve(uri)?).filter(|audio| *audio != variant),
            None => None,
        };
        let mut media = Poller::new(variant, variables.clone());
        let loaded = media.load(http).await.inspect_err(|_| self.failures += 1)?;
        self.media = Some(media);
        self.audio = audio.map(|url| Poller::new(url, variables));
        self.chosen = Some(Chosen { variant: selection.variant_reason, audio: selection.audio_reason });
        Ok(loaded)
    }

    /// What was chosen and why, once for each choice.
    pub(super) fn take_chosen(&mut self) -> Option<Chosen> {
        self.chosen.take()
    }

    /// The audio's own playlist; none where sound travels beside the pictures.
    pub(super) fn audio(&mut self) -> Option<&mut Poller> {
        self.audio.as_mut()
    }

    /// Begins at the configured URL with the next load: addresses have expired.
    pub(super) fn forget(&mut self) {
        self.media = None;
    }
}

/// One media playlist, asked for again and again.
pub(super) struct Poller {
    url: Url,
    variables: Variables,
    validators: Validators,
    last: Option<Rc<MediaPlaylist>>,
}

impl Poller {
    pub(super) fn new(url: Url, variables: Variables) -> Self {
        Self { url, variables, validators: Validators::default(), last: None }
    }

    /// The playlist as it is now; what it was where the server says that it has not changed.
    pub(super) async fn load(&mut self, http: &mut Http) -> Result<Loaded, SourceError> {
        let body = match &self.last {
            Some(last) => match http.get_newer(&self.url, &self.validators).await? {
                Some(body) => body,
                None => return Ok(Loaded { base: self.url.clone(), playlist: Rc::clone(last) }),
            },
            None => http.get(&self.url, None, Subject::Playlist, Duration::MAX).await?,
        };
        match self.read(body).await? {
            Playlist::Media(playlist) => self.keep(playlist),
            Playlist::Multivariant(_) => Err(SourceError::Nested),
        }
    }

    /// A playlist of either kind, and where it came from.
    async fn load_any(&mut self, http: &mut Http) -> Result<(Url, Playlist), SourceError> {
        let body = http.get(&self.url, None, Subject::Playlist, Duration::MAX).await?;
        let playlist = self.read(body).await?;
        Ok((self.url.clone(), playlist))
    }

    async fn read(&mut self, mut body: Body) -> Result<Playlist, SourceError> {
        let bytes = body.whole().await?;
        if bytes.is_empty() {
            return Err(SourceError::Empty);
        }
        let query: Vec<(String, String)> = body.url.query_pairs().into_owned().collect();
        let variables = self.variables.clone();
        let read = move || read(&bytes, Surroundings { query: &query, variables: &variables });
        let playlist = if body.is_larger_than(LARGE_PLAYLIST) {
            tokio::task::spawn_blocking(read).await.map_err(|_| SourceError::Panicked)??
        } else {
            read()?
        };
        self.validators = body.validators();
        // What a redirect led to is asked from now on, and URIs are relative to it (rfc8216bis 4.1).
        self.url = body.url;
        Ok(playlist)
    }

    fn keep(&mut self, playlist: MediaPlaylist) -> Result<Loaded, SourceError> {
        if playlist.i_frames_only {
            return Err(SourceError::IFramesOnly);
        }
        let playlist = Rc::new(playlist);
        self.last = Some(Rc::clone(&playlist));
        Ok(Loaded { base: self.url.clone(), playlist })
    }
}

fn read(bytes: &[u8], surroundings: Surroundings<'_>) -> Result<Playlist, SourceError> {
    read_playlist_in(bytes, surroundings).map_err(|error| match error {
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
    use super::*;

    #[test]
    fn a_web_page_is_named_by_how_it_begins() {
        let read = |bytes| read(bytes, Surroundings::default());
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
