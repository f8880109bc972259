//! The fetcher: polls a live HLS source and lays its segments on disk, in order, once each.
//!
//! | module | what |
//! | --- | --- |
//! | `plan` | which segment comes next, what is lost, whether the source began again (pure) |
//! | `pace` | when to poll and when to retry (pure) |
//! | `health` | which troubles to tell of, once each (pure) |
//! | `address` | which addresses are private |
//! | `http` | requests with every limit that a hostile server needs |
//! | `watched` | sockets that note their end |
//! | `source` | from the configured URL to a media playlist |
//! | `select` | which variant and which audio of a multivariant playlist (pure) |
//! | `decrypt` | AES-128 |
//! | `file` | a segment's file: temporary until it is whole |
//! | `download` | one try at one segment |
//! | `companion` | the audio's own playlist beside the video's |
//! | `work` | the loop that drives them |
//!
//! The actor itself only owns the loop: it begins when the actor starts, and ends with its context.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, AsyncContext, Context, fut};
use url::Url;

use crate::messages::Reporter;
use crate::settings::{SourceOptions, StartAt, StreamId, redact_url};
use crate::space::Space;

mod address;
mod companion;
mod date_ranges;
mod decrypt;
mod download;
mod file;
mod health;
mod http;
mod pace;
mod plan;
mod select;
mod source;
mod unframed;
mod watched;
mod work;

pub(crate) use address::{PrivateAddress, Resolver, check_literal};
pub use address::{Refuses, refusal};

/// What a fetcher is to do.
#[derive(Clone)]
pub struct FetcherConfig {
    /// The stream that it works for.
    pub stream_id: StreamId,
    /// `http` or `https` URL of a media or multivariant playlist; may hold credentials.
    pub source_url: Url,
    /// Which variant and audio to take, and what to say to the server; may hold secrets.
    pub options: SourceOptions,
    /// Where segments go: `original_stream/{streamId}`. Made when it is missing.
    pub directory: PathBuf,
    /// Where an earlier run stopped; none for a stream's first start.
    pub resume: Option<ResumeAt>,
    /// Lowest number that a segment's file may bear without `resume`: an earlier run's files keep theirs.
    pub lowest_number: u64,
    /// Where to begin without `resume`.
    pub start: StartAt,
    /// Sizes and times beyond which a server is refused.
    pub limits: FetchLimits,
    /// Whether there is room for another segment.
    pub space: Arc<Space>,
    /// Addresses that may not be asked, whatever names or redirects lead to them.
    pub refuses: Refuses,
}

impl fmt::Debug for FetcherConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FetcherConfig")
            .field("stream_id", &self.stream_id)
            .field("source_url", &redact_url(self.source_url.as_str()))
            .field("directory", &self.directory)
            .field("resume", &self.resume)
            .finish_non_exhaustive()
    }
}

/// Where an earlier run stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResumeAt {
    /// The source's media sequence number after the last segment stored or lost.
    pub next_media_sequence: u64,
    /// The number after the last segment file's.
    pub next_number: u64,
}

/// Sizes and times beyond which a server is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FetchLimits {
    /// Largest playlist, bytes.
    pub playlist_bytes: u64,
    /// Largest segment, bytes.
    pub segment_bytes: u64,
    /// Largest key, bytes; a good one has 16.
    pub key_bytes: u64,
    /// Redirects followed for one request.
    pub redirects: u32,
    /// Longest wait for an answer's head, connecting included.
    pub header_timeout: Duration,
    /// Longest wait for the next bytes of a body.
    pub idle_timeout: Duration,
    /// Longest that one request may take in all.
    pub total_timeout: Duration,
}

impl Default for FetchLimits {
    fn default() -> Self {
        Self {
            playlist_bytes: 4 << 20,
            segment_bytes: 128 << 20,
            key_bytes: 64,
            redirects: 5,
            header_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(10),
            total_timeout: Duration::from_secs(60),
        }
    }
}

/// Pulls one live HLS source and reports [`FetcherEvent`](crate::messages::FetcherEvent)s.
///
/// Every wait within has a deadline, and [`ChildEvent::Alive`](crate::messages::ChildEvent::Alive) is told at
/// least every two seconds while one lasts; only a disk that does not answer keeps it silent. After
/// `SourceEnded` it idles, alive, until it is stopped.
#[derive(Debug)]
pub struct Fetcher {
    config: FetcherConfig,
    reporter: Reporter,
}

impl Fetcher {
    /// A fetcher that begins its work when it is started.
    #[must_use]
    pub fn new(config: FetcherConfig, reporter: Reporter) -> Self {
        Self { config, reporter }
    }
}

impl Actor for Fetcher {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        let work = work::run(self.config.clone(), self.reporter.clone());
        ctx.spawn(fut::wrap_future(work));
    }
}
