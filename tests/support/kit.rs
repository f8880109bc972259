//! The end-to-end tests' kit: real peers to talk to, and independent eyes to look with.
//!
//! | module | what |
//! | --- | --- |
//! | [`wait`] | conditions with a deadline |
//! | [`process`] | child processes that die with the test, and proof that one has no children |
//! | [`http`] | a small HTTP client |
//! | [`site`] | an HTTP server that misbehaves on demand |
//! | [`source`] | live sources: the looped film, the fixture |
//! | [`nginx`] | an RTMP server that records what it gets |
//! | [`ffmpeg_server`] | an RTMP server that takes H.265 |
//! | [`rtmp`] | an RTMP server that notes when each message came, or refuses |
//! | [`processor`] | npm's socket.io as an echoing processor |
//! | [`overdub`] | the program under test and its API |
//! | [`hls`] | watches an HLS output live and keeps what it lists |
//! | [`time`] | times as text |
//! | [`air`] | the air clock of a stream, over time |
//! | [`packets`] | packet lists of media files, as ffprobe sees them |
//! | [`live`] | a live source with scripted faults |
//! | [`proxy`] | bytes on their way delayed, throttled, stalled or cut off |
//! | [`fmp4`] | samples of fragmented MP4 |
//! | [`content`] | which of the fixture's samples an output carries |
//! | [`compare`] | whether an output carries a source's packets unaltered |
//!
//! Nothing here uses the program's own parsers: what it gets wrong, they would get wrong too.

pub mod air;
pub mod compare;
pub mod content;
pub mod ffmpeg_server;
pub mod fmp4;
pub mod hls;
pub mod http;
pub mod live;
pub mod nginx;
pub mod overdub;
pub mod packets;
pub mod process;
pub mod processor;
pub mod proxy;
pub mod rtmp;
pub mod site;
pub mod source;
pub mod time;
pub mod wait;

use std::path::{Path, PathBuf};

/// Any failure of the kit; tests unwrap it, which fails them.
pub type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// A folder that goes away with the test. `OVERDUB_KEEP=1` keeps it, to look into after a failure.
pub fn folder() -> tempfile::TempDir {
    let mut folder = tempfile::Builder::new().prefix("overdub-test-").tempdir().expect("a temporary folder");
    if std::env::var_os("OVERDUB_KEEP").is_some() {
        folder.disable_cleanup(true);
        eprintln!("keeping {}", folder.path().display());
    }
    folder
}

/// The root of the source tree.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The media corpus, or a message and `None` where there is none.
pub fn corpus() -> Option<PathBuf> {
    let path =
        std::env::var_os("OVERDUB_CORPUS").map_or_else(|| root().join("../shared/media"), PathBuf::from);
    if path.is_dir() {
        return Some(path);
    }
    eprintln!("skipped: no media corpus at {} (OVERDUB_CORPUS)", path.display());
    None
}

/// A port of 127.0.0.1 that was free a moment ago.
pub fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    listener.local_addr().expect("a bound address").port()
}
