//! One try at one segment.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use overdub_media::hls::{ByteRange, Key, KeyMethod, Map, Segment};
use overdub_media::sniff::{Container, sniff};
use url::Url;

use super::decrypt::{DecryptError, Decrypter, iv_of};
use super::file::{SegmentFile, is_media, is_mp4};
use super::http::{FetchError, Http, Subject};

/// Lengths of transport packets that begin with the sync byte: bare, and with 16 bytes of parity behind (204).
const TS_PACKETS: [u64; 2] = [188, 204];
const TS_SYNC: u8 = 0x47;

/// Why a try failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum DownloadError {
    #[error(transparent)]
    Segment(FetchError),
    #[error("key: {0}")]
    Key(FetchError),
    #[error("key has {0} bytes instead of 16")]
    KeyLength(usize),
    #[error(transparent)]
    Decrypt(#[from] DecryptError),
    /// One wrong key in 256 gives a valid padding.
    #[error("decryption gives no media, though the key did before: another lies at its address by now")]
    StaleKey,
    #[error("init section: {0}")]
    Init(FetchError),
    #[error("init section (EXT-X-MAP) is neither MP4 nor MPEG-TS")]
    NoInit,
    #[error("segment is empty")]
    Empty,
    #[error("segment is a web page")]
    WebPage,
    /// Likely cut short; a second try of the same length shows that it is no accident.
    #[error("segment of {0} bytes ends within a transport packet")]
    PartialPacket(u64),
    #[error("segment cannot be stored: {0}")]
    Storage(io::Error),
}

impl DownloadError {
    /// Whether the segment's or its key's address has expired.
    pub(super) fn is_expired(&self) -> bool {
        matches!(self, Self::Segment(error) | Self::Key(error) | Self::Init(error) if error.is_expired())
    }

    /// Whether trying again cannot help.
    pub(super) fn is_final(&self) -> bool {
        matches!(self, Self::Segment(error) | Self::Key(error) | Self::Init(error) if error.is_final())
    }

    /// Whether the try ended with the time that it was given.
    pub(super) fn is_want_of_time(&self) -> bool {
        matches!(self, Self::Segment(error) | Self::Key(error) | Self::Init(error)
            if matches!(error, FetchError::TooSlow { .. }))
    }
}

/// Downloads segments; keeps the last key and the last init section, which are usually the next one's too.
pub(super) struct Downloader {
    key: Option<KnownKey>,
    init: Option<(Url, Option<ByteRange>, Bytes)>,
}

struct KnownKey {
    url: Url,
    key: [u8; 16],
    /// Media came out that can be told as such.
    proven: bool,
}

/// Why a segment is not even tried, in words for the stream's state.
pub(super) fn unsupported(segment: &Segment) -> Option<String> {
    let key = segment.key.as_deref()?;
    let shown = |text: &str| text.chars().filter(|c| c.is_ascii_graphic()).take(32).collect::<String>();
    match (&key.method, key.key_format.as_deref()) {
        (KeyMethod::Other(name), _) => {
            Some(format!("segments encrypted by METHOD={} are not supported", shown(name)))
        }
        (KeyMethod::Aes128, Some(format)) if format != "identity" => {
            Some(format!("segments with keys of KEYFORMAT={} are not supported", shown(format)))
        }
        _ => None,
    }
}

/// What is to be downloaded, and under what name.
#[derive(Debug, Clone, Copy)]
pub(super) struct Download<'a> {
    /// What the segment's URIs are relative to.
    pub base: &'a Url,
    pub segment: &'a Segment,
    /// The file's name without an ending.
    pub name: &'a str,
    /// What all of it may take.
    pub total: Duration,
    /// The one length that a segment may have although it ends within a transport packet.
    pub accepted_len: Option<u64>,
}

/// A segment's file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Downloaded {
    pub path: PathBuf,
    pub bytes: u64,
}

impl Downloader {
    pub(super) fn new() -> Self {
        Self { key: None, init: None }
    }

    /// Fetches a segment into `directory`.
    pub(super) async fn fetch(
        &mut self,
        http: &mut Http,
        directory: &Path,
        download: Download<'_>,
    ) -> Result<Downloaded, DownloadError> {
        let Download { base, segment, name, total, accepted_len } = download;
        let mut decrypter = match segment.key.as_deref() {
            Some(key) => {
                let iv = key.iv.unwrap_or_else(|| iv_of(segment.media_sequence));
                Some(Decrypter::new(self.key(http, base, key, total).await?, iv))
            }
            None => None,
        };
        let mut file = SegmentFile::new(directory, name);
        if let Some(map) = segment.map.as_deref() {
            file.begin_with(self.init(http, download, map).await?);
        }
        let url = base.join(&segment.uri).map_err(|_| DownloadError::Segment(FetchError::BadUri))?;
        let mut body = http
            .get(&url, segment.byte_range, Subject::Segment, total)
            .await
            .map_err(DownloadError::Segment)?;
        while let Some(chunk) = body.chunk().await.map_err(DownloadError::Segment)? {
            let clear = match &mut decrypter {
                Some(decrypter) => decrypter.push(&chunk),
                None => chunk,
            };
            file.push(clear).await.map_err(DownloadError::Storage)?;
        }
        if let Some(decrypter) = decrypter {
            let last = decrypter.finish().inspect_err(|_| self.key = None)?;
            file.push(last).await.map_err(DownloadError::Storage)?;
            self.judge_key(file.head())?;
        }
        check(&file, accepted_len)?;
        let (path, bytes) = (file.path(), file.bytes());
        file.finish().await.map_err(DownloadError::Storage)?;
        Ok(Downloaded { path, bytes })
    }

    /// Judges the key by the first bytes that it gave. A source may put another at the same address.
    fn judge_key(&mut self, head: &[u8]) -> Result<(), DownloadError> {
        let is_media = is_media(head);
        match &mut self.key {
            Some(key) if is_media => key.proven = true,
            Some(key) if key.proven => {
                self.key = None;
                return Err(DownloadError::StaleKey);
            }
            _ => {}
        }
        Ok(())
    }

    async fn key(
        &mut self,
        http: &mut Http,
        base: &Url,
        key: &Key,
        total: Duration,
    ) -> Result<[u8; 16], DownloadError> {
        let uri = key.uri.as_deref().ok_or(DownloadError::Key(FetchError::BadUri))?;
        let url = base.join(uri).map_err(|_| DownloadError::Key(FetchError::BadUri))?;
        if let Some(known) = self.key.as_ref().filter(|known| known.url == url) {
            return Ok(known.key);
        }
        let mut body = http.get(&url, None, Subject::Key, total).await.map_err(DownloadError::Key)?;
        let bytes = body.whole().await.map_err(DownloadError::Key)?;
        let key: [u8; 16] =
            bytes.try_into().map_err(|bytes: Vec<u8>| DownloadError::KeyLength(bytes.len()))?;
        self.key = Some(KnownKey { url, key, proven: false });
        Ok(key)
    }

    /// Forgets the init section: a source that begins anew may have another at the same address.
    pub(super) fn forget_init(&mut self) {
        self.init = None;
    }

    /// The init section that EXT-X-MAP names.
    async fn init(
        &mut self,
        http: &mut Http,
        download: Download<'_>,
        map: &Map,
    ) -> Result<Bytes, DownloadError> {
        let Download { base, segment, total, .. } = download;
        let url = base.join(&map.uri).map_err(|_| DownloadError::Init(FetchError::BadUri))?;
        if let Some((known, range, init)) = &self.init
            && (known, range) == (&url, &map.byte_range)
        {
            return Ok(init.clone());
        }
        let mut body =
            http.get(&url, map.byte_range, Subject::Init, total).await.map_err(DownloadError::Init)?;
        let mut init = Bytes::from(body.whole().await.map_err(DownloadError::Init)?);
        if let Some(key) = segment.key.as_deref().filter(|_| !is_init(&init)) {
            // rfc8216bis 4.4.4.5: encrypted like the segments, and then the KEY must bear an IV.
            let iv = key.iv.unwrap_or_else(|| iv_of(segment.media_sequence));
            let mut decrypter = Decrypter::new(self.key(http, base, key, total).await?, iv);
            let first = decrypter.push(&init);
            init = [first, decrypter.finish()?].concat().into();
        }
        if !is_init(&init) {
            return Err(DownloadError::NoInit);
        }
        self.init = Some((url, map.byte_range, init.clone()));
        Ok(init)
    }
}

/// Whether these are boxes of an MP4, or the tables of a transport stream.
fn is_init(init: &[u8]) -> bool {
    is_mp4(init) || matches!(sniff(init), Container::MpegTs { .. })
}

/// Refuses what is plainly no segment; anything beyond is the demuxer's to judge.
fn check(file: &SegmentFile, accepted_len: Option<u64>) -> Result<(), DownloadError> {
    let (head, bytes) = (file.head(), file.media_bytes());
    if bytes == 0 {
        return Err(DownloadError::Empty);
    }
    let text = head.trim_ascii_start().to_ascii_lowercase();
    if text.starts_with(b"<!doctype") || text.starts_with(b"<html") {
        return Err(DownloadError::WebPage);
    }
    let whole_packets = TS_PACKETS.iter().any(|len| bytes % len == 0);
    if head[0] == TS_SYNC && !whole_packets && accepted_len != Some(bytes) {
        return Err(DownloadError::PartialPacket(bytes));
    }
    Ok(())
}
