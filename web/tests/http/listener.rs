//! A listener of `/api/events` that reads only when told to.

use std::net::SocketAddr;
use std::time::Duration;

use actix_codec::Framed;
use actix_http::ws;
use futures_util::{SinkExt, StreamExt};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

/// What a listener waits for at most.
const PATIENCE: Duration = Duration::from_secs(30);

pub struct Listener {
    /// The connection behind its head.
    pub framed: Framed<TcpStream, ws::Codec>,
    /// The head of the server's answer.
    pub head: String,
}

impl Listener {
    /// Connects to `target` with further header lines, each ended by `\r\n`; the answer's head if it is no 101.
    pub async fn connect(address: SocketAddr, target: &str, headers: &str) -> Result<Self, String> {
        let socket = TcpSocket::new_v4().unwrap();
        // A client that does not read shall not be held up by buffers for long.
        socket.set_recv_buffer_size(8 * 1024).unwrap();
        let mut stream = socket.connect(address).await.unwrap();
        let request = format!(
            "GET {target} HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{headers}\r\n"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let byte =
                tokio::time::timeout(PATIENCE, stream.read_u8()).await.expect("a head in time").unwrap();
            head.push(byte);
        }
        let head = String::from_utf8(head).unwrap();
        if !head.starts_with("HTTP/1.1 101 ") {
            return Err(head);
        }
        let codec = ws::Codec::new().client_mode().max_size(1 << 24);
        Ok(Self { framed: Framed::new(stream, codec), head })
    }

    /// The next event or close, pings answered.
    pub async fn next(&mut self) -> Result<Value, Option<ws::CloseReason>> {
        loop {
            let frame = tokio::time::timeout(PATIENCE, self.framed.next()).await.expect("a frame in time");
            match frame.expect("the connection stands").expect("a frame") {
                ws::Frame::Text(text) => return Ok(serde_json::from_slice(&text).unwrap()),
                ws::Frame::Close(reason) => return Err(reason),
                ws::Frame::Ping(bytes) => self.framed.send(ws::Message::Pong(bytes)).await.unwrap(),
                other => panic!("{other:?}"),
            }
        }
    }

    /// The next event, which must be of this type.
    pub async fn event(&mut self, kind: &str) -> Value {
        let event = self.next().await.expect("an event");
        assert_eq!((event["v"].as_u64(), event["type"].as_str()), (Some(1), Some(kind)), "{event}");
        assert!(event["at"].as_str().is_some_and(|at| at.ends_with('Z')), "{event}");
        event
    }

    pub async fn close(mut self) {
        self.framed.send(ws::Message::Close(None)).await.unwrap();
        assert!(self.next().await.is_err());
    }
}
