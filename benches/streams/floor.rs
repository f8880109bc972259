//! The floor: receives each segment, writes it once, and sends its bytes on. No less can be done for a stream.

use std::fs::File;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use bytes::BytesMut;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::sink::RAW;

/// Segments that stay on disk.
const KEPT: u64 = 8;

/// What the floor needs.
#[derive(Debug, Clone)]
pub struct FloorOptions {
    /// Where the live source listens.
    pub source: SocketAddr,
    /// Where the sink listens.
    pub sink: SocketAddr,
    /// How many streams.
    pub streams: u32,
    /// Where segments go.
    pub folder: PathBuf,
}

/// Relays until the process ends, or one stream fails.
pub fn run(options: &FloorOptions) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let tasks = tokio::task::LocalSet::new();
    tasks.block_on(&runtime, async {
        let mut running = tokio::task::JoinSet::new();
        for stream in 0..options.streams {
            running.spawn_local(relay(options.clone(), stream));
        }
        while let Some(ended) = running.join_next().await {
            ended??;
        }
        Ok(())
    })
}

async fn relay(options: FloorOptions, stream: u32) -> anyhow::Result<()> {
    let folder = options.folder.join(stream.to_string());
    std::fs::create_dir_all(&folder)?;
    let mut http = Http { stream: TcpStream::connect(options.source).await?, input: BytesMut::new() };
    let mut sink = TcpStream::connect(options.sink).await?;
    sink.set_nodelay(true)?;
    sink.write_all(&[RAW]).await?;
    let mut next = None;
    loop {
        let playlist = String::from_utf8(http.get(&format!("/{stream}/index.m3u8")).await?.to_vec())?;
        let listed: Vec<u64> =
            playlist.lines().filter_map(|line| line.strip_suffix(".ts")?.parse().ok()).collect();
        let from = next.unwrap_or_else(|| listed.last().copied().unwrap_or(0));
        let new: Vec<u64> = listed.into_iter().filter(|number| *number >= from).collect();
        for number in &new {
            let segment = http.get(&format!("/{stream}/{number}.ts")).await?;
            store(&folder, *number, &segment)?;
            sink.write_all(&segment).await?;
            next = Some(number + 1);
        }
        tokio::time::sleep(Duration::from_millis(if new.is_empty() { 1000 } else { 2000 })).await;
    }
}

fn store(folder: &Path, number: u64, segment: &[u8]) -> std::io::Result<()> {
    File::create(folder.join(format!("{}.ts", number % KEPT)))?.write_all(segment)
}

struct Http {
    stream: TcpStream,
    input: BytesMut,
}

impl Http {
    async fn get(&mut self, path: &str) -> anyhow::Result<BytesMut> {
        self.stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: source\r\n\r\n").as_bytes()).await?;
        let end = loop {
            if let Some(end) = self.input.windows(4).position(|window| window == b"\r\n\r\n") {
                break end + 4;
            }
            ensure!(self.stream.read_buf(&mut self.input).await? > 0, "the source closed the connection");
        };
        let head = self.input.split_to(end);
        let head = std::str::from_utf8(&head)?;
        ensure!(head.starts_with("HTTP/1.1 200"), "{path}: {head}");
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let length: usize = length.context("an answer without length")?.parse()?;
        self.input.reserve(length.saturating_sub(self.input.len()));
        while self.input.len() < length {
            ensure!(self.stream.read_buf(&mut self.input).await? > 0, "the source closed the connection");
        }
        Ok(self.input.split_to(length))
    }
}
