//! The lean live source: `/{stream}/index.m3u8` is a sliding window, `/{stream}/{number}.ts` one of its segments.
//!
//! All streams carry the same segments, which are moved in time once for all of them; each is on air a little
//! later than the one before, so that they do not all fetch at the same moment.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::TcpListener;
use std::rc::Rc;
use std::time::Instant;

use bytes::{Buf as _, Bytes, BytesMut};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::restamp::{self, LoopShape};

/// Where one stream after the other begins within a segment: the golden ratio spreads any number of them evenly.
const SPREAD: f64 = 0.618_033_988_749_895;

/// What is served, and how.
#[derive(Debug, Clone)]
pub struct SourceOptions {
    /// One loop of segments.
    pub segments: Vec<Bytes>,
    /// Segments that the playlist lists.
    pub window: u64,
    /// Number of the loop that is served first; timestamps begin so many loops after the content's own.
    pub first_loop: u64,
}

struct Live {
    segments: Vec<Bytes>,
    shape: LoopShape,
    window: u64,
    first_loop: u64,
    segment_s: f64,
    began: Instant,
    moved: RefCell<BTreeMap<u64, Bytes>>,
}

impl Live {
    /// Segments that stream `stream` has listed so far.
    fn complete(&self, stream: u32) -> u64 {
        let phase = (f64::from(stream) * SPREAD).fract();
        let on_air = self.began.elapsed().as_secs_f64() / self.segment_s + self.window as f64 + 1.0 - phase;
        on_air as u64
    }

    fn playlist(&self, stream: u32) -> String {
        let end = self.complete(stream);
        let first = end - self.window;
        let target = self.segment_s.ceil();
        let mut text = format!(
            "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:{target}\n#EXT-X-MEDIA-SEQUENCE:{first}\n"
        );
        for number in first..end {
            // Writing to a String cannot fail.
            let _ = write!(text, "#EXTINF:{:.6},\n{number}.ts\n", self.segment_s);
        }
        text
    }

    fn segment(&self, number: u64) -> Bytes {
        let mut moved = self.moved.borrow_mut();
        if let Some(segment) = moved.get(&number) {
            return segment.clone();
        }
        let count = self.segments.len() as u64;
        let shift = self.shape.shift(self.first_loop + number / count);
        let segment = Bytes::from(restamp::restamp(&self.segments[(number % count) as usize], &shift));
        moved.insert(number, segment.clone());
        // Streams that are a little behind, and clients that are, ask for older ones.
        let oldest = number.saturating_sub(2 * self.window + 4);
        moved.retain(|number, _| *number >= oldest);
        segment
    }

    fn answer(&self, path: &str) -> Option<(&'static str, Bytes)> {
        let (stream, file) = path.strip_prefix('/')?.split_once('/')?;
        let stream: u32 = stream.parse().ok()?;
        if file == "index.m3u8" {
            return Some(("application/vnd.apple.mpegurl", self.playlist(stream).into()));
        }
        let number: u64 = file.strip_suffix(".ts")?.parse().ok()?;
        let end = self.complete(stream);
        (end.saturating_sub(2 * self.window)..end)
            .contains(&number)
            .then(|| ("video/mp2t", self.segment(number)))
    }
}

/// Serves until the process ends.
pub fn serve(listener: TcpListener, options: SourceOptions) -> anyhow::Result<()> {
    let SourceOptions { segments, window, first_loop } = options;
    let shape = LoopShape::measure(segments.iter().map(|segment| &segment[..]))?;
    let segment_s = shape.duration_90k as f64 / 90_000.0 / segments.len() as f64;
    let (began, moved) = (Instant::now(), RefCell::default());
    let live = Rc::new(Live { segments, shape, window, first_loop, segment_s, began, moved });
    super::serve::on_one_thread(listener, move |stream| connection(stream, live.clone()))
}

async fn connection(mut stream: TcpStream, live: Rc<Live>) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut input = BytesMut::with_capacity(1024);
    loop {
        let end = loop {
            if let Some(end) = input.windows(4).position(|window| window == b"\r\n\r\n") {
                break end + 4;
            }
            if stream.read_buf(&mut input).await? == 0 {
                return Ok(());
            }
        };
        let head = input.split_to(end);
        let path = std::str::from_utf8(&head).unwrap_or_default().split(' ').nth(1).unwrap_or_default();
        let (status, (content_type, body)) = match live.answer(path) {
            Some(answer) => ("200 OK", answer),
            None => ("404 Not Found", ("text/plain", Bytes::from_static(b"not there\n"))),
        };
        let length = body.len();
        let head = format!(
            "HTTP/1.1 {status}\r\ncontent-type: {content_type}\r\ncontent-length: {length}\r\nconnection: keep-alive\r\n\r\n"
        );
        stream.write_all_buf(&mut Bytes::from(head).chain(body)).await?;
    }
}
