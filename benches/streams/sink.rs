//! The lean sink: an RTMP server that accepts whoever publishes, then reads and drops.
//!
//! A connection that begins with [`RAW`] is read and dropped without a handshake; one that begins with [`TELL`] is
//! answered with what has come so far.

use std::cell::RefCell;
use std::io::Read as _;
use std::net::{SocketAddr, TcpListener};
use std::rc::Rc;

use anyhow::Context as _;
use bytes::{Bytes, BytesMut};
use overdub_media::rtmp::amf0::Value;
use overdub_media::rtmp::chunk::{ChunkReader, ChunkWriter};
use overdub_media::rtmp::handshake::{Handshake, Progress};
use overdub_media::rtmp::message::{self, Command, Received};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// First byte of a connection that only delivers bytes.
pub const RAW: u8 = 0;
const TELL: u8 = 1;

/// Largest read; a sink that is woken for every packet would measure itself.
const READ_BYTES: usize = 64 << 10;

#[derive(Debug, Default)]
struct Totals {
    open: u64,
    bytes: u64,
}

/// What a sink has got.
#[derive(Debug, Clone, Copy, Default)]
pub struct Delivered {
    /// Connections that deliver now.
    pub open: u64,
    /// Bytes of media that have come.
    pub bytes: u64,
}

/// Serves until the process ends.
pub fn serve(listener: TcpListener) -> anyhow::Result<()> {
    let totals = Rc::new(RefCell::new(Totals::default()));
    super::serve::on_one_thread(listener, move |stream| connection(stream, totals.clone()))
}

/// Asks a sink what it has got.
pub fn ask(address: SocketAddr) -> anyhow::Result<Delivered> {
    let mut stream = std::net::TcpStream::connect(address).context("sink")?;
    std::io::Write::write_all(&mut stream, &[TELL])?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    let (open, bytes) = text.trim().split_once(' ').context("the sink's answer")?;
    Ok(Delivered { open: open.parse()?, bytes: bytes.parse()? })
}

async fn connection(mut stream: TcpStream, totals: Rc<RefCell<Totals>>) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut input = BytesMut::with_capacity(4096);
    if stream.read_buf(&mut input).await? == 0 {
        return Ok(());
    }
    match input[0] {
        TELL => {
            let text = format!("{} {}\n", totals.borrow().open, totals.borrow().bytes);
            return stream.write_all(text.as_bytes()).await;
        }
        RAW => {}
        _ => accept(&mut stream, &mut input).await?,
    }
    totals.borrow_mut().open += 1;
    let mut space = vec![0; READ_BYTES];
    loop {
        let read = stream.read(&mut space).await;
        totals.borrow_mut().bytes += read.as_ref().map_or(0, |read| *read as u64);
        if !matches!(read, Ok(1..)) {
            totals.borrow_mut().open -= 1;
            return Ok(());
        }
    }
}

/// Handshake and commands, until something is published.
async fn accept(stream: &mut TcpStream, input: &mut BytesMut) -> std::io::Result<()> {
    let broken = |error: &dyn std::fmt::Display| std::io::Error::other(error.to_string());
    let mut handshake = Handshake::server(0, &[7; 32]);
    loop {
        match handshake.receive(input).map_err(|error| broken(&error))? {
            Progress::Done => break,
            Progress::Reply(reply) => stream.write_all(&reply).await?,
            Progress::NeedMore => more(stream, input).await?,
        }
    }
    let (mut reader, mut writer) = (ChunkReader::new(1 << 20), ChunkWriter::default());
    loop {
        let Some(message) = reader.read(input).map_err(|error| broken(&error))? else {
            more(stream, input).await?;
            continue;
        };
        let Received::Command(command) = message::parse(&message).map_err(|error| broken(&error))? else {
            continue;
        };
        let Some(answer) = answer(&command) else { continue };
        let (header, payload) = message::command(message.stream_id, &answer);
        let mut out: Vec<Bytes> = Vec::new();
        writer.message(header, &[payload], &mut out).map_err(|error| broken(&error))?;
        stream.write_all(&out.concat()).await?;
        if command.name == "publish" {
            return Ok(());
        }
    }
}

async fn more(stream: &mut TcpStream, input: &mut BytesMut) -> std::io::Result<()> {
    match stream.read_buf(input).await? {
        0 => Err(std::io::ErrorKind::UnexpectedEof.into()),
        _ => Ok(()),
    }
}

fn answer(command: &Command) -> Option<Command> {
    let status = |code| Value::object([("level", Value::text("status")), ("code", Value::text(code))]);
    let result = |argument| Command {
        name: "_result".to_owned(),
        transaction: command.transaction,
        object: Value::Null,
        arguments: vec![argument],
    };
    match command.name.as_str() {
        "connect" => Some(result(status("NetConnection.Connect.Success"))),
        "createStream" => Some(result(Value::Number(1.0))),
        "publish" => Some(Command::new("onStatus", 0, vec![status("NetStream.Publish.Start")])),
        _ => None,
    }
}
