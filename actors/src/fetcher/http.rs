//! Requests with every limit that a hostile server needs: size, time to the head, time between bytes, time in
//! all, redirects, schemes, addresses.

use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::Duration;

use actix_service::ServiceExt;
use actix_tls::connect::Connection;
use awc::error::PayloadError;
use awc::http::{StatusCode, Version, header};
use awc::{Client, ClientResponse, Connector};
use bytes::Bytes;
use futures_util::StreamExt;
use overdub_media::hls::ByteRange;
use tokio::time::Instant;
use url::Url;

use super::FetchLimits;
use super::address::{Refuses, Resolver, check_literal};
use super::unframed::Unframed;
use super::watched::{Ends, Watched};
use super::work::Pulse;
use crate::clock;

mod cookies;
mod error;
mod headers;
mod inflate;
use cookies::Jar;
pub(super) use error::{FetchError, Subject};
use error::{classify, classify_io, is_stale};
pub(super) use headers::Headers;
use inflate::{InflateError, Inflater};

/// Authorities after which the client is replaced: its pool keeps idle connections by authority and never
/// forgets one, so a playlist that names a new host for each segment would collect sockets.
const MAX_AUTHORITIES: usize = 32;

/// A client with its limits; one a fetcher.
pub(super) struct Http {
    client: Client,
    authorities: BTreeSet<String>,
    limits: FetchLimits,
    refuses: Refuses,
    headers: Headers,
    cookies: Jar,
    pulse: Rc<Pulse>,
    ends: Ends,
}

/// What an answer said of its own age, to ask whether there is a newer one (RFC 9110 8.8).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Validators {
    etag: Option<String>,
    last_modified: Option<String>,
}

impl Http {
    /// A client that sends `headers` along.
    pub(super) fn new(limits: FetchLimits, refuses: Refuses, headers: Headers, pulse: Rc<Pulse>) -> Self {
        let ends = Ends::default();
        let client = client(&limits, refuses, &ends);
        let cookies = Jar::default();
        Self { client, authorities: BTreeSet::new(), limits, refuses, headers, cookies, pulse, ends }
    }

    /// Asks for `url`, following redirects; the answer is good when this returns, its body still to be read.
    /// The whole of it, body included, may take `total`, if that is less than the limit.
    pub(super) async fn get(
        &mut self,
        url: &Url,
        range: Option<ByteRange>,
        subject: Subject,
        total: Duration,
    ) -> Result<Body, FetchError> {
        let unchanged = FetchError::Status(StatusCode::NOT_MODIFIED);
        self.ask(url, range, subject, total, None).await?.ok_or(unchanged)
    }

    /// The same for a playlist that was had before; none where it has not changed since.
    pub(super) async fn get_newer(
        &mut self,
        url: &Url,
        known: &Validators,
    ) -> Result<Option<Body>, FetchError> {
        self.ask(url, None, Subject::Playlist, Duration::MAX, Some(known)).await
    }

    async fn ask(
        &mut self,
        url: &Url,
        range: Option<ByteRange>,
        subject: Subject,
        total: Duration,
        known: Option<&Validators>,
    ) -> Result<Option<Body>, FetchError> {
        let total = total.min(self.limits.total_timeout);
        let deadline = Instant::now() + total;
        let mut url = url.clone();
        for _ in 0..=self.limits.redirects {
            self.check(&url)?;
            let asked = Asked { url: &url, range, known, gzip: subject == Subject::Playlist };
            let response =
                self.send(asked, deadline).await?.ok_or(FetchError::TooSlow { subject, limit: total })?;
            self.cookies.store(&url, response.headers(), clock::now());
            if response.status() == StatusCode::NOT_MODIFIED && known.is_some() {
                return Ok(None);
            }
            if is_redirect(response.status()) {
                let location = response.headers().get(header::LOCATION).and_then(|value| value.to_str().ok());
                url = location.and_then(|location| url.join(location).ok()).ok_or(FetchError::BadRedirect)?;
                continue;
            }
            let limit = match subject {
                Subject::Playlist | Subject::Init => self.limits.playlist_bytes,
                Subject::Segment => self.limits.segment_bytes,
                Subject::Key => self.limits.key_bytes,
            };
            let inflater = inflater(&response)?;
            let body = Body {
                url,
                inflater,
                ended: false,
                subject,
                limit,
                idle: self.limits.idle_timeout,
                total,
                deadline,
                length: content_length(&response),
                chunked: response.headers().contains_key(header::TRANSFER_ENCODING),
                response,
                received: 0,
                got: 0,
                skip: 0,
                take: None,
                ends_before: self.ends.count(),
                ends: self.ends.clone(),
                pulse: Rc::clone(&self.pulse),
            };
            return body.checked(range).map(Some);
        }
        Err(FetchError::Redirects(self.limits.redirects))
    }

    fn check(&self, url: &Url) -> Result<(), FetchError> {
        if !matches!(url.scheme(), "http" | "https") {
            return Err(FetchError::Scheme);
        }
        let host = url.host().ok_or(FetchError::BadUri)?;
        Ok(check_literal(&host, self.refuses)?)
    }

    /// The head of the answer; none where the deadline came first.
    async fn send(
        &mut self,
        asked: Asked<'_>,
        deadline: Instant,
    ) -> Result<Option<ClientResponse>, FetchError> {
        self.authorities.insert(asked.url.authority().to_owned());
        if self.authorities.len() > MAX_AUTHORITIES {
            self.authorities.clear();
            self.client = client(&self.limits, self.refuses, &self.ends);
        }
        let mut again = true;
        loop {
            let (wait, left) =
                (self.limits.header_timeout, deadline.saturating_duration_since(Instant::now()));
            match self.pulse.within(wait.min(left), self.request(asked).send()).await {
                None if left < wait => return Ok(None),
                None => return Err(FetchError::NoAnswer(wait)),
                Some(Ok(response)) => return Ok(Some(response)),
                // The server may have closed a kept connection just as it was used again.
                Some(Err(error)) if again && is_stale(&error) => again = false,
                Some(Err(error)) => return Err(classify(error)),
            }
        }
    }

    fn request(&self, asked: Asked<'_>) -> awc::ClientRequest {
        let Asked { url, range, known, gzip } = asked;
        let mut bare = url.clone();
        // Neither fails on a URL with a host, which has been checked.
        let _ = bare.set_username("");
        let _ = bare.set_password(None);
        bare.set_fragment(None);
        let encoding = if gzip { "gzip" } else { "identity" };
        let mut request = self.client.get(bare.as_str()).insert_header((header::ACCEPT_ENCODING, encoding));
        if let Some(cookies) = self.cookies.header(url, clock::now()) {
            request = request.insert_header((header::COOKIE, cookies));
        }
        for (name, value) in self.headers.of(url) {
            request = request.insert_header((name, value));
        }
        if let Some(etag) = known.and_then(|known| known.etag.as_deref()) {
            request = request.insert_header((header::IF_NONE_MATCH, etag));
        }
        if let Some(date) = known.and_then(|known| known.last_modified.as_deref()) {
            request = request.insert_header((header::IF_MODIFIED_SINCE, date));
        }
        if !url.username().is_empty() || url.password().is_some() {
            let (user, password) =
                (percent_decode(url.username()), percent_decode(url.password().unwrap_or("")));
            request = request.basic_auth(user, password);
        }
        if let Some(ByteRange { offset, len }) = range {
            let last = offset.saturating_add(len.saturating_sub(1));
            request = request.insert_header((header::RANGE, format!("bytes={offset}-{last}")));
        }
        request
    }
}

fn client(limits: &FetchLimits, refuses: Refuses, ends: &Ends) -> Client {
    // Does nothing where the process has installed one; without any, building a client panics.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let resolver = actix_tls::connect::Resolver::custom(Resolver { refuses });
    let ends = ends.clone();
    let connect =
        actix_tls::connect::Connector::new(resolver).service().map(move |connection: Connection<_, _>| {
            let (socket, request) = connection.into_parts();
            Connection::new(request, Watched::new(Unframed::new(socket), ends.clone()))
        });
    let connector = Connector::new()
        .connector(connect)
        // Shorter than the wait for the head, so that a host that does not answer at all is told apart.
        .timeout(limits.header_timeout.mul_f64(0.9))
        .handshake_timeout(limits.header_timeout)
        // HTTP/2 buys nothing for one request at a time, and costs a window of megabytes.
        .max_http_version(Version::HTTP_11);
    Client::builder()
        .connector(connector)
        .disable_timeout()
        .disable_redirects()
        .add_default_header((header::USER_AGENT, concat!("overdub/", env!("CARGO_PKG_VERSION"))))
        .finish()
}

/// One request.
#[derive(Clone, Copy)]
struct Asked<'a> {
    url: &'a Url,
    range: Option<ByteRange>,
    known: Option<&'a Validators>,
    /// Whether the body may come as gzip.
    gzip: bool,
}

/// A good answer whose body is read piece by piece.
pub(super) struct Body {
    /// Where it came from in the end.
    pub url: Url,
    response: ClientResponse,
    /// Where it comes as gzip; none once its end has been had.
    inflater: Option<Inflater>,
    /// The body's end has been seen.
    ended: bool,
    subject: Subject,
    limit: u64,
    idle: Duration,
    total: Duration,
    deadline: Instant,
    /// Content-Length.
    length: Option<u64>,
    /// Whether its end is told by its last chunk.
    chunked: bool,
    /// Bytes that came.
    received: u64,
    /// Bytes of them that were wanted.
    got: u64,
    /// Bytes before the wanted ones, where a server ignores Range.
    skip: u64,
    /// Bytes wanted, where a range was asked for.
    take: Option<u64>,
    ends_before: u64,
    ends: Ends,
    pulse: Rc<Pulse>,
}

impl Body {
    fn checked(mut self, range: Option<ByteRange>) -> Result<Self, FetchError> {
        let status = self.response.status();
        match (status, range) {
            (StatusCode::PARTIAL_CONTENT, Some(range)) => {
                let starts_right = self.content_range_start().is_none_or(|start| start == range.offset);
                if !starts_right {
                    return Err(FetchError::WrongRange);
                }
                self.take = Some(range.len);
            }
            (_, Some(range)) if status.is_success() => {
                self.skip = range.offset;
                self.take = Some(range.len);
            }
            (StatusCode::PARTIAL_CONTENT, None) => return Err(FetchError::WrongRange),
            _ if !status.is_success() => return Err(FetchError::Status(status)),
            _ => {}
        }
        let size = self.take.or(self.length);
        if size.is_some_and(|size| size > self.limit) {
            return Err(FetchError::TooLarge { subject: self.subject, limit: self.limit });
        }
        // The client takes such a body for an empty one, where RFC 9112 6.3 has it end with the connection.
        let open_ended = self.length.is_none()
            && !self.chunked
            && self.response.version() == Version::HTTP_11
            && status != StatusCode::NO_CONTENT;
        if open_ended { Err(FetchError::NoLength) } else { Ok(self) }
    }

    /// RFC 9110 14.4: `bytes 0-99/1000`.
    fn content_range_start(&self) -> Option<u64> {
        let value = self.response.headers().get(header::CONTENT_RANGE)?.to_str().ok()?;
        value.trim().strip_prefix("bytes ")?.split('-').next()?.trim().parse().ok()
    }

    /// The next piece; none at the body's end. Whole when this says so: a body cut short is an error.
    pub(super) async fn chunk(&mut self) -> Result<Option<Bytes>, FetchError> {
        loop {
            // A client that is asked for more behind the end of a body panics.
            if self.ended || self.take == Some(self.got) {
                return Ok(None);
            }
            let left = self.deadline.saturating_duration_since(Instant::now());
            let wait = self.idle.min(left);
            let Some(next) = self.pulse.within(wait, self.response.next()).await else {
                return Err(if left <= self.idle {
                    FetchError::TooSlow { subject: self.subject, limit: self.total }
                } else {
                    FetchError::Idle(self.idle)
                });
            };
            let mut chunk = match next {
                None if self.was_cut() => return Err(self.truncated()),
                None => {
                    self.ended = true;
                    let Some(mut inflater) = self.inflater.take() else { return Ok(None) };
                    inflater.finish().map_err(|error| self.swell_error(&error))?
                }
                Some(Ok(chunk)) => {
                    self.received += chunk.len() as u64;
                    let most = self.limit.saturating_sub(self.got);
                    match &mut self.inflater {
                        Some(inflater) => {
                            inflater.push(&chunk, most).map_err(|error| self.swell_error(&error))?
                        }
                        None => chunk,
                    }
                }
                Some(Err(PayloadError::Incomplete(_))) => return Err(self.truncated()),
                Some(Err(PayloadError::Io(error))) => return Err(classify_io(&error)),
                Some(Err(_)) => return Err(FetchError::NotHttp),
            };
            let skipped = self.skip.min(chunk.len() as u64);
            self.skip -= skipped;
            // Both fit: they are at most the chunk's length.
            let _ = chunk.split_to(skipped as usize);
            if let Some(take) = self.take {
                chunk.truncate(usize::try_from(take - self.got).unwrap_or(usize::MAX));
            }
            if chunk.is_empty() {
                continue;
            }
            self.got += chunk.len() as u64;
            if self.got > self.limit {
                return Err(FetchError::TooLarge { subject: self.subject, limit: self.limit });
            }
            return Ok(Some(chunk));
        }
    }

    /// The whole body; for small things only.
    pub(super) async fn whole(&mut self) -> Result<Vec<u8>, FetchError> {
        let mut bytes = Vec::new();
        while let Some(chunk) = self.chunk().await? {
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes)
    }

    /// Whether a body that has ended should have gone on; the client itself does not tell.
    fn was_cut(&self) -> bool {
        let short = self.length.is_some_and(|length| self.received < length);
        let unfinished = self.chunked && self.ends.count() != self.ends_before;
        short || unfinished || self.take.is_some()
    }

    /// Whether more than `len` bytes of it have been had.
    pub(super) fn is_larger_than(&self, len: usize) -> bool {
        self.got > len as u64
    }

    /// What the answer said of its own age.
    pub(super) fn validators(&self) -> Validators {
        let text = |name| self.response.headers().get(name)?.to_str().ok().map(str::to_owned);
        let last_modified = text(header::LAST_MODIFIED);
        // nginx makes its ETag of that second and the size, which a sliding playlist keeps.
        if last_modified.as_ref().is_some_and(|modified| !is_past(modified, text(header::DATE))) {
            return Validators::default();
        }
        Validators { etag: text(header::ETAG), last_modified }
    }

    fn swell_error(&self, error: &InflateError) -> FetchError {
        match error {
            InflateError::TooLarge => FetchError::TooLarge { subject: self.subject, limit: self.limit },
            InflateError::Damaged => FetchError::BadEncoding,
        }
    }

    fn truncated(&self) -> FetchError {
        FetchError::Truncated { subject: self.subject, got: self.got, of: self.take.or(self.length) }
    }
}

/// What swells the body, where it is packed; an error where in a way that was not asked for.
fn inflater(response: &ClientResponse) -> Result<Option<Inflater>, FetchError> {
    const PACKED: [&str; 7] = ["gzip", "x-gzip", "deflate", "br", "zstd", "compress", "x-compress"];
    let encoding = response.headers().get(header::CONTENT_ENCODING).and_then(|value| value.to_str().ok());
    let encoding = encoding.unwrap_or_default().to_ascii_lowercase();
    let mut packed = encoding.split(',').map(str::trim).filter(|coding| PACKED.contains(coding));
    match (packed.next(), packed.next()) {
        // What stands there beside codings (`aws-chunked`, `utf-8`, `none`) changes nothing.
        (None, _) => Ok(None),
        (Some("gzip" | "x-gzip"), None) => Ok(Some(Inflater::new())),
        _ => Err(FetchError::BadEncoding),
    }
}

/// Whether the second of `last_modified` was over at `date`: in the same second the playlist may have been written again,
/// and a server that compares dates would not tell (RFC 9110 8.8.2.2).
fn is_past(last_modified: &str, date: Option<String>) -> bool {
    let read = |text: &str| httpdate::parse_http_date(text.trim()).ok();
    let date = date.and_then(|date| read(&date));
    read(last_modified).zip(date).is_some_and(|(modified, date)| modified < date)
}

fn content_length(response: &ClientResponse) -> Option<u64> {
    response.headers().get(header::CONTENT_LENGTH)?.to_str().ok()?.trim().parse().ok()
}

fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

/// User names and passwords stand percent-encoded in a URL.
fn percent_decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = text.get(at + 1..at + 3).filter(|_| bytes[at] == b'%');
        if let Some(byte) = hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            decoded.push(byte);
            at += 3;
        } else {
            decoded.push(bytes[at]);
            at += 1;
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_of_this_very_second_proves_nothing() {
        let at = |second: u8| format!("Fri, 27 Nov 2026 19:20:{second:02} GMT");
        for (modified, date, past) in [
            (at(29), Some(at(30)), true),
            (at(29), Some(at(29)), false),
            (at(30), Some(at(29)), false),
            (at(29), None, false),
            (at(29), Some("now".to_owned()), false),
            ("yesterday".to_owned(), Some(at(29)), false),
        ] {
            assert_eq!(is_past(&modified, date.clone()), past, "{modified}, {date:?}");
        }
    }

    #[test]
    fn credentials_are_decoded() {
        assert_eq!(percent_decode("a%40b%2Fc%"), "a@b/c%");
        assert_eq!(percent_decode("%zz%4"), "%zz%4");
    }
}
