//! A server that does as it is told: the other side of the handshake, chunks and commands.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use overdub_media::rtmp::amf0::Value;
use overdub_media::rtmp::chunk::{ChunkReader, ChunkWriter, Message, MessageHeader};
use overdub_media::rtmp::handshake::{Handshake, Progress};
use overdub_media::rtmp::message::{self, Command, Received};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

pub struct Peer {
    pub stream: TcpStream,
    input: BytesMut,
    reader: ChunkReader,
    writer: ChunkWriter,
}

impl Peer {
    /// Accepts a publisher and shakes hands.
    pub async fn accept(listener: &TcpListener) -> Self {
        let accepted = tokio::time::timeout(Duration::from_secs(20), listener.accept());
        let (mut stream, _) = accepted.await.expect("a publisher comes").unwrap();
        let mut handshake = Handshake::server(0, &[7; 16]);
        let mut input = BytesMut::new();
        loop {
            match handshake.receive(&mut input).unwrap() {
                Progress::Done => break,
                Progress::Reply(bytes) => stream.write_all(&bytes).await.unwrap(),
                Progress::NeedMore => assert!(stream.read_buf(&mut input).await.unwrap() > 0),
            }
        }
        let reader = ChunkReader::new(16 * 1024 * 1024);
        Self { stream, input, reader, writer: ChunkWriter::default() }
    }

    /// The next message; none at the end.
    pub async fn message(&mut self) -> Option<Message> {
        loop {
            if let Some(message) = self.reader.read(&mut self.input).unwrap() {
                return Some(message);
            }
            if self.stream.read_buf(&mut self.input).await.ok()? == 0 {
                return None;
            }
        }
    }

    /// The next command of this name; what comes before it is passed over.
    pub async fn command(&mut self, name: &str) -> Command {
        loop {
            let message = self.message().await.unwrap_or_else(|| panic!("ended before {name}"));
            if let Ok(Received::Command(command)) = message::parse(&message)
                && command.name == name
            {
                return command;
            }
        }
    }

    pub async fn send(&mut self, (header, payload): (MessageHeader, Bytes)) {
        let mut out = Vec::new();
        self.writer.message(header, &[payload], &mut out).unwrap();
        self.stream.write_all(&out.concat()).await.unwrap();
    }

    pub async fn answer(&mut self, to: &Command, name: &str, argument: Value) {
        let answer = Command::new(name, to.transaction as u32, vec![argument]);
        self.send(message::command(0, &answer)).await;
    }

    pub async fn status(&mut self, level: &str, code: &str, description: &str) {
        let information = Value::object([
            ("level", Value::text(level)),
            ("code", Value::text(code)),
            ("description", Value::text(description)),
        ]);
        self.send(message::command(1, &Command::new("onStatus", 0, vec![information]))).await;
    }

    /// Answers everything up to `publish`, whose answer is the caller's.
    pub async fn up_to_publish(&mut self) -> Command {
        let connect = self.command("connect").await;
        self.answer(
            &connect,
            "_result",
            Value::object([("code", Value::text("NetConnection.Connect.Success"))]),
        )
        .await;
        let create = self.command("createStream").await;
        self.answer(&create, "_result", Value::Number(1.0)).await;
        self.command("publish").await
    }

    /// Accepts a publish.
    pub async fn publishing(listener: &TcpListener) -> Self {
        let mut peer = Self::accept(listener).await;
        peer.up_to_publish().await;
        peer.status("status", "NetStream.Publish.Start", "go on").await;
        peer
    }
}
