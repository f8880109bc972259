//! One try at one segment.

use std::io;
use std::path::Path;
use std::time::Duration;

use overdub_media::hls::{Key, KeyMethod, Segment};
use url::Url;

use super::decrypt::{DecryptError, Decrypter, iv_of};
use super::file::SegmentFile;
use super::http::{FetchError, Http, Subject};
use super::plan::Wanted;
use crate::clock::UnixMicros;
use crate::messages::StoredSegment;

/// ISO/IEC 13818-1 2.4.3.2: a transport packet has 188 bytes.
const TS_PACKET: u64 = 188;
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
    /// Whether trying again cannot help.
    pub(super) fn is_final(&self) -> bool {
        matches!(self, Self::Segment(error) | Self::Key(error) if error.is_final())
    }

    /// Whether the try ended with the time that it was given.
    pub(super) fn is_want_of_time(&self) -> bool {
        matches!(self, Self::Segment(FetchError::TooSlow { .. }) | Self::Key(FetchError::TooSlow { .. }))
    }
}

/// Downloads segments; keeps the last key, which is usually the next one's too.
pub(super) struct Downloader {
    key: Option<(Url, [u8; 16])>,
}

/// Why a segment is not even tried, in words for the stream's state.
pub(super) fn unsupported(segment: &Segment) -> Option<String> {
    if let Some(KeyMethod::Other(name)) = segment.key.as_deref().map(|key| &key.method) {
        let name: String = name.chars().filter(|c| c.is_ascii_graphic()).take(32).collect();
        return Some(format!("segments encrypted by METHOD={name} are not supported"));
    }
    segment.map.as_ref().map(|_| "fMP4 segments (EXT-X-MAP) are not supported yet".to_owned())
}

impl Downloader {
    pub(super) fn new() -> Self {
        Self { key: None }
    }

    /// Fetches `wanted`, relative to `base`, into `directory`, within `total`. A segment that ends within a
    /// transport packet is refused unless its length is `accepted_len`.
    pub(super) async fn fetch(
        &mut self,
        http: &mut Http,
        base: &Url,
        wanted: &Wanted,
        directory: &Path,
        total: Duration,
        accepted_len: Option<u64>,
    ) -> Result<StoredSegment, DownloadError> {
        let segment = &wanted.segment;
        let mut decrypter = match segment.key.as_deref() {
            Some(key) => Some(self.decrypter(http, base, key, segment.media_sequence, total).await?),
            None => None,
        };
        let url = base.join(&segment.uri).map_err(|_| DownloadError::Segment(FetchError::BadUri))?;
        let mut body = http
            .get(&url, segment.byte_range, Subject::Segment, total)
            .await
            .map_err(DownloadError::Segment)?;
        let mut file = SegmentFile::new(directory, wanted.number);
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
        }
        check(&file, accepted_len)?;
        let (path, bytes) = (file.path().to_owned(), file.bytes());
        file.finish().await.map_err(DownloadError::Storage)?;
        Ok(StoredSegment {
            number: wanted.number,
            media_sequence: segment.media_sequence,
            path,
            bytes,
            duration_us: segment.duration_us,
            discontinuity: wanted.discontinuity,
            program_date_time: segment.program_date_time.map(UnixMicros),
            backlog_us: 0,
        })
    }

    async fn decrypter(
        &mut self,
        http: &mut Http,
        base: &Url,
        key: &Key,
        media_sequence: u64,
        total: Duration,
    ) -> Result<Decrypter, DownloadError> {
        let uri = key.uri.as_deref().ok_or(DownloadError::Key(FetchError::BadUri))?;
        let url = base.join(uri).map_err(|_| DownloadError::Key(FetchError::BadUri))?;
        let iv = key.iv.unwrap_or_else(|| iv_of(media_sequence));
        if let Some((known, key)) = &self.key
            && *known == url
        {
            return Ok(Decrypter::new(*key, iv));
        }
        let mut body = http.get(&url, None, Subject::Key, total).await.map_err(DownloadError::Key)?;
        let bytes = body.whole().await.map_err(DownloadError::Key)?;
        let key: [u8; 16] =
            bytes.try_into().map_err(|bytes: Vec<u8>| DownloadError::KeyLength(bytes.len()))?;
        self.key = Some((url, key));
        Ok(Decrypter::new(key, iv))
    }
}

/// Refuses what is plainly no segment; anything beyond is the demuxer's to judge.
fn check(file: &SegmentFile, accepted_len: Option<u64>) -> Result<(), DownloadError> {
    let (head, bytes) = (file.head(), file.bytes());
    if bytes == 0 {
        return Err(DownloadError::Empty);
    }
    let text = head.trim_ascii_start().to_ascii_lowercase();
    if text.starts_with(b"<!doctype") || text.starts_with(b"<html") {
        return Err(DownloadError::WebPage);
    }
    if head[0] == TS_SYNC && bytes % TS_PACKET != 0 && accepted_len != Some(bytes) {
        return Err(DownloadError::PartialPacket(bytes));
    }
    Ok(())
}
