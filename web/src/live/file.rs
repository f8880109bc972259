//! A file, or a part of it, as an answer: opened and read off the arbiter, in bounded pieces.

use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use actix_web::body::SizedStream;
use actix_web::http::header::{self, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::{HttpRequest, HttpResponse, ResponseError as _};
use bytes::Bytes;
use futures_util::stream::{self, Stream};

use super::patch::{self, Patch};
use super::range::{self, Wanted};
use crate::problem::Problem;

/// How much is read and held at a time.
const PIECE_LEN: u64 = 128 * 1024;

/// What a name stands for never changes while the stream exists. An hour outlives every playlist, and does not
/// outlive for long a stream that was deleted and made anew under the same id.
pub(crate) const FOR_AN_HOUR: &str = "public, max-age=3600, immutable";
/// For whoever asked alone, who asks again whether it has changed.
pub(crate) const FOR_THE_ASKER: &str = "private, no-cache";

struct Opened {
    file: File,
    len: u64,
    etag: String,
}

/// Answers `request` with the file at `path`, `patches` applied, to be kept by caches as `caching` says.
pub(crate) async fn answer(
    request: &HttpRequest,
    path: PathBuf,
    content_type: &'static str,
    patches: Vec<Patch>,
    caching: &'static str,
) -> Result<HttpResponse, Problem> {
    let patches: Arc<[Patch]> = patches.into();
    let Opened { file, len: total, etag } = open_off_thread(path, patches.clone()).await?;
    let wanted = wanted(request, &etag, total);
    let mut response = HttpResponse::Ok();
    response
        .insert_header((header::CONTENT_TYPE, content_type))
        .insert_header((header::ACCEPT_RANGES, "bytes"))
        .insert_header((header::ETAG, etag.as_str()))
        .insert_header((header::CACHE_CONTROL, caching));
    if header_lists(request, header::IF_NONE_MATCH, &etag) {
        return Ok(response.status(StatusCode::NOT_MODIFIED).finish());
    }
    let (start, len) = match wanted {
        Wanted::Whole => (0, total),
        Wanted::Part { start, len } => {
            let last = start + len - 1;
            response.status(StatusCode::PARTIAL_CONTENT);
            response.insert_header((header::CONTENT_RANGE, format!("bytes {start}-{last}/{total}")));
            (start, len)
        }
        Wanted::Unsatisfiable => {
            let mut refusal = Problem::range_not_satisfiable(total).error_response();
            let range = format!("bytes */{total}").parse().map_err(|_| Problem::internal("Content-Range"))?;
            refusal.headers_mut().insert(header::CONTENT_RANGE, range);
            refusal.headers_mut().insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
            refusal.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
            return Ok(refusal);
        }
    };
    Ok(response.body(SizedStream::new(len, pieces(file, start, len, patches))))
}

/// The part that `request` wants. RFC 9110 14.2: Range counts for GET only; 13.1.5: and only if an
/// If-Range names this very file.
fn wanted(request: &HttpRequest, etag: &str, total: u64) -> Wanted {
    let headers = request.headers();
    let same_file = headers.get(header::IF_RANGE).is_none_or(|value| value.as_bytes() == etag.as_bytes());
    match headers.get(header::RANGE).and_then(|value| value.to_str().ok()) {
        Some(text) if same_file && *request.method() == Method::GET => range::wanted(text, total),
        _ => Wanted::Whole,
    }
}

/// Whether the list of entity tags in header `name` holds `etag` or `*`.
fn header_lists(request: &HttpRequest, name: header::HeaderName, etag: &str) -> bool {
    let text = request.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    text.split(',').map(str::trim).any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag)
}

async fn open_off_thread(path: PathBuf, patches: Arc<[Patch]>) -> Result<Opened, Problem> {
    let opened = tokio::task::spawn_blocking(move || open(&path, &patches)).await;
    match opened.map_err(io::Error::other).flatten() {
        Ok(opened) => Ok(opened),
        // Cleaned between the registry's answer and now.
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(Problem::not_found("the resource is no longer there; reload the playlist"))
        }
        Err(error) => Err(Problem::internal(format!("the resource could not be opened: {error}"))),
    }
}

fn open(path: &Path, patches: &[Patch]) -> io::Result<Opened> {
    let file = File::open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    let mut hasher = DefaultHasher::new();
    metadata.modified().ok().hash(&mut hasher);
    patches.hash(&mut hasher);
    let etag = format!("\"{:x}-{:x}\"", metadata.len(), hasher.finish());
    Ok(Opened { file, len: metadata.len(), etag })
}

/// `len` bytes of `file` from `start`, piece by piece. An error, be it that the file has become shorter,
/// ends the connection, so that no client takes a part for the whole.
fn pieces(
    file: File,
    start: u64,
    len: u64,
    patches: Arc<[Patch]>,
) -> impl Stream<Item = io::Result<Bytes>> + 'static {
    stream::try_unfold((file, start, len), move |(file, at, left)| {
        let patches = patches.clone();
        async move {
            if left == 0 {
                return Ok(None);
            }
            let read = tokio::task::spawn_blocking(move || read_piece(file, at, left, &patches));
            let (file, piece) = read.await.map_err(io::Error::other)??;
            let sent = piece.len() as u64;
            Ok(Some((piece, (file, at + sent, left - sent))))
        }
    })
}

fn read_piece(mut file: File, at: u64, left: u64, patches: &[Patch]) -> io::Result<(File, Bytes)> {
    let len = usize::try_from(left.min(PIECE_LEN)).map_err(io::Error::other)?;
    let mut piece = vec![0; len];
    file.seek(SeekFrom::Start(at))?;
    file.read_exact(&mut piece)?;
    patch::apply(&mut piece, at, patches);
    Ok((file, piece.into()))
}
