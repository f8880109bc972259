//! An RTMP server that notes when each message came, and refuses where told to.
//!
//! As much of Adobe's RTMP 1.0 as a publisher needs: handshake (5.2), chunks (5.3), the answers to `connect`,
//! `createStream` and `publish` (7.2).

use std::sync::{Arc, Mutex};
use std::time::Duration;

use overdub_actors::clock;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

use super::content::{digest, nals};

/// How the server treats a publisher.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// Takes what comes.
    Accept,
    /// Answers `publish` with an error status.
    Refuse,
    /// Closes the connection at once.
    HangUp,
    /// Reads no more once media has begun, and keeps the connection.
    Stall,
}

/// One message that arrived whole.
#[derive(Debug, Clone)]
pub struct Message {
    /// Number of the connection, from 0.
    pub connection: usize,
    /// Message type (8 audio, 9 video, 18 data, 20 command); 0 is the end of the connection.
    pub kind: u8,
    /// Its timestamp, milliseconds.
    pub timestamp_ms: u32,
    /// When its last byte came, Unix microseconds.
    pub arrived_us: i64,
    /// Its first bytes, at most 64.
    pub head: Vec<u8>,
    /// What stands for the sample in it, as [`super::content::digest`] makes it.
    pub digest: u64,
}

impl Message {
    /// Whether it is media, as opposed to a sequence header or anything else.
    pub fn is_media(&self) -> bool {
        // FLV E.4.2.1, E.4.3.1: the second byte tells sequence headers (0) from media (1).
        matches!(self.kind, 8 | 9) && self.head.get(1) == Some(&1)
    }

    /// The name of a command.
    pub fn command(&self) -> Option<String> {
        (self.kind == 20).then(|| command(&self.head)).flatten().map(|(name, _)| name)
    }
}

/// The server; it ends when dropped.
pub struct RtmpPeer {
    /// Where it listens.
    pub port: u16,
    manner: Arc<Mutex<Manner>>,
    messages: Arc<Mutex<Vec<Message>>>,
    task: JoinHandle<()>,
}

impl RtmpPeer {
    /// Starts one on a free port.
    pub async fn start(manner: Manner) -> Self {
        let (manner, messages) = (Arc::new(Mutex::new(manner)), Arc::new(Mutex::new(Vec::new())));
        let (port, task) = listen(0, 0, &manner, &messages).await;
        Self { port, manner, messages, task }
    }

    /// Ends it and all its connections, as a crash would.
    pub async fn kill(&mut self) {
        self.task.abort();
        let _ = (&mut self.task).await;
    }

    /// Starts it again where it was; connections are counted on.
    pub async fn revive(&mut self) {
        let next = self.messages().iter().map(|message| message.connection + 1).max().unwrap_or(0);
        (_, self.task) = listen(self.port, next, &self.manner, &self.messages).await;
    }

    /// Treats publishers so from now on.
    pub fn behave(&self, manner: Manner) {
        *self.manner.lock().unwrap() = manner;
    }

    /// The URL to publish to.
    pub fn url(&self, key: &str) -> String {
        format!("rtmp://127.0.0.1:{}/live/{key}", self.port)
    }

    /// What has come so far.
    pub fn messages(&self) -> Vec<Message> {
        self.messages.lock().unwrap().clone()
    }
}

impl Drop for RtmpPeer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn listen(
    port: u16,
    first: usize,
    manner: &Arc<Mutex<Manner>>,
    messages: &Arc<Mutex<Vec<Message>>>,
) -> (u16, JoinHandle<()>) {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_reuseaddr(true).expect("an option");
    // Small, so that a server that does not read is soon noticed by who writes, as a real one's is.
    socket.set_recv_buffer_size(32 << 10).expect("an option");
    socket.bind((std::net::Ipv4Addr::LOCALHOST, port).into()).expect("a free port");
    let listener = socket.listen(64).expect("a listener");
    let port = listener.local_addr().expect("a bound address").port();
    let (manner, messages) = (Arc::clone(manner), Arc::clone(messages));
    let task = tokio::spawn(async move {
        let mut connections = JoinSet::new();
        for connection in first.. {
            let Ok((stream, _)) = listener.accept().await else { return };
            let (manner, messages) = (Arc::clone(&manner), Arc::clone(&messages));
            connections.spawn(async move {
                let session = Session { connection, manner, messages: Arc::clone(&messages) };
                // Whatever ends a connection, its end is what counts.
                let _ = session.run(stream).await;
                let arrived_us = clock::now().0;
                let (kind, timestamp_ms, head, digest) = (0, 0, Vec::new(), 0);
                messages.lock().unwrap().push(Message {
                    connection,
                    kind,
                    timestamp_ms,
                    arrived_us,
                    head,
                    digest,
                });
            });
        }
    });
    (port, task)
}

/// FLV E.4.2.1 and E.4.3.1: five bytes stand before a picture of AVC, two before an access unit of AAC.
fn sample(kind: u8, payload: &[u8]) -> u64 {
    match kind {
        9 => digest(&nals(payload.get(5..).unwrap_or_default())),
        _ => digest(&[payload.get(2..).unwrap_or_default()]),
    }
}

struct Session {
    connection: usize,
    manner: Arc<Mutex<Manner>>,
    messages: Arc<Mutex<Vec<Message>>>,
}

/// What a chunk stream remembers for the next chunk's header (5.3.1.2).
#[derive(Clone, Default)]
struct ChunkStream {
    timestamp: u32,
    delta: u32,
    extended: bool,
    length: usize,
    kind: u8,
    payload: Vec<u8>,
}

impl Session {
    fn manner(&self) -> Manner {
        *self.manner.lock().unwrap()
    }

    async fn run(&self, stream: TcpStream) -> std::io::Result<()> {
        if self.manner() == Manner::HangUp {
            return Ok(());
        }
        stream.set_nodelay(true)?;
        let (read, mut write) = stream.into_split();
        let mut read = BufReader::new(read);
        let mut hello = vec![0; 1537];
        read.read_exact(&mut hello).await?;
        let mut answer = vec![3];
        answer.resize(1537, 0);
        answer.extend(&hello[1..]);
        write.write_all(&answer).await?;
        read.read_exact(&mut hello[..1536]).await?;

        let mut chunk_size = 128usize;
        let mut streams: std::collections::BTreeMap<u32, ChunkStream> = std::collections::BTreeMap::new();
        loop {
            let first = read.read_u8().await?;
            let id = match first & 0x3F {
                0 => 64 + u32::from(read.read_u8().await?),
                1 => 64 + u32::from(read.read_u16_le().await?),
                id => u32::from(id),
            };
            let chunk = streams.entry(id).or_default();
            header(&mut read, first >> 6, chunk).await?;
            let size = (chunk.length - chunk.payload.len()).min(chunk_size);
            let start = chunk.payload.len();
            chunk.payload.resize(start + size, 0);
            read.read_exact(&mut chunk.payload[start..]).await?;
            if chunk.payload.len() < chunk.length {
                continue;
            }
            let payload = std::mem::take(&mut chunk.payload);
            let (kind, timestamp_ms) = (chunk.kind, chunk.timestamp);
            self.messages.lock().unwrap().push(Message {
                connection: self.connection,
                kind,
                timestamp_ms,
                arrived_us: clock::now().0,
                head: payload[..payload.len().min(64)].to_vec(),
                digest: sample(kind, &payload),
            });
            while self.manner() == Manner::Stall && matches!(kind, 8 | 9) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            match kind {
                1 => chunk_size = u32::from_be_bytes(array(&payload)?) as usize & 0x7FFF_FFFF,
                20 => self.answer(&mut write, &payload).await?,
                _ => {}
            }
        }
    }

    async fn answer(&self, write: &mut OwnedWriteHalf, payload: &[u8]) -> std::io::Result<()> {
        let Some((name, transaction)) = command(payload) else { return Ok(()) };
        let status = |level, code| object(&[("level", level), ("code", code), ("description", "as told")]);
        let mut body = Vec::new();
        match name.as_str() {
            "connect" => {
                // Window acknowledgement size, as real servers send first (5.4.4).
                write.write_all(&message(2, 5, 0, &5_000_000u32.to_be_bytes())).await?;
                string(&mut body, "_result");
                number(&mut body, transaction);
                body.extend(object(&[("fmsVer", "FMS/3,5,7,7009")]));
                body.extend(status("status", "NetConnection.Connect.Success"));
            }
            "createStream" => {
                string(&mut body, "_result");
                number(&mut body, transaction);
                body.push(5);
                number(&mut body, 1.0);
            }
            "publish" => {
                string(&mut body, "onStatus");
                number(&mut body, 0.0);
                body.push(5);
                body.extend(match self.manner() {
                    Manner::Refuse => status("error", "NetStream.Publish.BadName"),
                    _ => status("status", "NetStream.Publish.Start"),
                });
            }
            _ => return Ok(()),
        }
        let stream_id = u32::from(name == "publish");
        write.write_all(&message(3, 20, stream_id, &body)).await
    }
}

/// Reads a chunk's message header of the given format (5.3.1.2) into what the chunk stream remembers.
async fn header(
    read: &mut BufReader<OwnedReadHalf>,
    format: u8,
    chunk: &mut ChunkStream,
) -> std::io::Result<()> {
    let begins = chunk.payload.is_empty();
    let mut time = None;
    if format < 3 {
        time = Some(u24(read).await?);
    }
    if format < 2 {
        chunk.length = u24(read).await? as usize;
        chunk.kind = read.read_u8().await?;
    }
    if format == 0 {
        read.read_u32_le().await?;
    }
    chunk.extended = time.map_or(chunk.extended, |time| time == 0xFF_FFFF);
    if chunk.extended {
        let extended = read.read_u32().await?;
        time = time.map(|_| extended);
    }
    match (format, time) {
        (0, Some(time)) => (chunk.timestamp, chunk.delta) = (time, time),
        (_, Some(delta)) => {
            chunk.delta = delta;
            chunk.timestamp = chunk.timestamp.wrapping_add(delta);
        }
        (_, None) if begins => chunk.timestamp = chunk.timestamp.wrapping_add(chunk.delta),
        _ => {}
    }
    Ok(())
}

async fn u24(read: &mut BufReader<OwnedReadHalf>) -> std::io::Result<u32> {
    Ok(u32::from(read.read_u8().await?) << 16 | u32::from(read.read_u16().await?))
}

/// Name and transaction number of an AMF0 command.
fn command(payload: &[u8]) -> Option<(String, f64)> {
    let (2, rest) = (*payload.first()?, payload.get(3..)?) else { return None };
    let length = usize::from(u16::from_be_bytes([payload[1], payload[2]]));
    let name = String::from_utf8_lossy(rest.get(..length)?).into_owned();
    let number = rest.get(length + 1..length + 9)?;
    Some((name, f64::from_be_bytes(number.try_into().ok()?)))
}

fn array(payload: &[u8]) -> std::io::Result<[u8; 4]> {
    payload.try_into().map_err(|_| std::io::ErrorKind::InvalidData.into())
}

fn string(out: &mut Vec<u8>, text: &str) {
    out.push(2);
    out.extend((text.len() as u16).to_be_bytes());
    out.extend(text.as_bytes());
}

fn number(out: &mut Vec<u8>, value: f64) {
    out.push(0);
    out.extend(value.to_be_bytes());
}

fn object(members: &[(&str, &str)]) -> Vec<u8> {
    let mut out = vec![3];
    for (key, value) in members {
        out.extend((key.len() as u16).to_be_bytes());
        out.extend(key.as_bytes());
        string(&mut out, value);
    }
    out.extend([0, 0, 9]);
    out
}

/// A message in chunks of 128 bytes.
fn message(chunk_stream: u8, kind: u8, stream_id: u32, payload: &[u8]) -> Vec<u8> {
    let mut out = vec![chunk_stream, 0, 0, 0];
    out.extend(&(payload.len() as u32).to_be_bytes()[1..]);
    out.push(kind);
    out.extend(stream_id.to_le_bytes());
    for (index, part) in payload.chunks(128).enumerate() {
        if index > 0 {
            out.push(0xC0 | chunk_stream);
        }
        out.extend(part);
    }
    out
}
