//! A Socket.IO server that does what the test says, frame by frame.

use actix_codec::Framed;
use actix_http::ws::{self, Codec, Frame, Item, Message};
use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use crate::kit::DEADLINE;

/// Listens on a free port.
pub struct Peer {
    listener: TcpListener,
    pub port: u16,
}

impl Peer {
    pub async fn listen() -> Self {
        Self::listen_on(0).await
    }

    pub async fn listen_on(port: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        Self { listener, port }
    }

    pub fn url(&self) -> String {
        format!("ws://127.0.0.1:{}", self.port)
    }

    /// The next connection and the head of its request.
    pub async fn accept_raw(&self) -> (TcpStream, String) {
        let accept = async {
            let (mut stream, _) = self.listener.accept().await.unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(stream.read_u8().await.unwrap());
            }
            (stream, String::from_utf8(head).unwrap())
        };
        timeout(DEADLINE, accept).await.expect("a connection in time")
    }

    /// The next connection, answered with `response` instead of an upgrade.
    pub async fn answer_http(&self, response: &str) {
        let (mut stream, _) = self.accept_raw().await;
        stream.write_all(response.as_bytes()).await.unwrap();
    }

    /// The next connection, upgraded.
    pub async fn accept(&self) -> Conn {
        let (mut stream, head) = self.accept_raw().await;
        let key = head.lines().find_map(|line| {
            let (name, value) = line.split_once(": ")?;
            name.eq_ignore_ascii_case("sec-websocket-key").then_some(value)
        });
        let accept = ws::hash_key(key.expect("a WebSocket request").as_bytes());
        let accept = std::str::from_utf8(&accept).unwrap();
        let response = format!(
            "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\nsec-websocket-accept: {accept}\r\n\r\n"
        );
        stream.write_all(response.as_bytes()).await.unwrap();
        Conn { framed: Framed::new(stream, Codec::new().max_size(64 << 20)), head }
    }

    /// The next connection, with an ordinary handshake behind it.
    pub async fn accept_joined(&self) -> Conn {
        let mut conn = self.accept().await;
        conn.open(json!({})).await;
        conn.join().await;
        conn
    }
}

/// One connection of the peer's.
pub struct Conn {
    pub framed: Framed<TcpStream, Codec>,
    pub head: String,
}

/// A fragment as the peer got it.
pub struct Received {
    pub fragment: Value,
    pub audio: Bytes,
}

impl Conn {
    /// Sends an Engine.IO handshake, with `changes` to the ordinary one.
    pub async fn open(&mut self, changes: Value) {
        let mut open = json!({ "sid": "peer", "upgrades": [], "pingInterval": 25_000, "pingTimeout": 20_000,
            "maxPayload": 1_000_000 });
        for (name, value) in changes.as_object().unwrap() {
            open[name] = value.clone();
        }
        self.text(&format!("0{open}")).await;
    }

    /// Lets the link into the default namespace.
    pub async fn join(&mut self) {
        self.expect_text("40").await;
        self.text(r#"40{"sid":"peer"}"#).await;
    }

    pub async fn text(&mut self, text: &str) {
        self.framed.send(Message::Text(text.to_owned().into())).await.unwrap();
    }

    pub async fn binary(&mut self, data: &[u8]) {
        self.framed.send(Message::Binary(Bytes::copy_from_slice(data))).await.unwrap();
    }

    pub async fn message(&mut self, message: Message) {
        self.framed.send(message).await.unwrap();
    }

    /// The next frame; none at the end of the connection.
    pub async fn frame(&mut self) -> Option<Frame> {
        timeout(DEADLINE, self.framed.next()).await.expect("a frame in time").and_then(Result::ok)
    }

    pub async fn expect_text(&mut self, expected: &str) {
        assert_eq!(self.frame().await, Some(Frame::Text(Bytes::copy_from_slice(expected.as_bytes()))));
    }

    /// The next `fragment:data`.
    pub async fn fragment(&mut self) -> Received {
        let Some(Frame::Text(header)) = self.frame().await else { panic!("no header") };
        let header = std::str::from_utf8(&header).unwrap();
        let json = header.strip_prefix("451-").unwrap_or_else(|| panic!("{header}"));
        let mut event: Value = serde_json::from_str(json).unwrap();
        assert_eq!(event[0], "fragment:data");
        assert_eq!(event[1]["data"], json!({ "_placeholder": true, "num": 0 }));
        let Some(Frame::Binary(audio)) = self.frame().await else { panic!("no attachment") };
        Received { fragment: event[1]["fragment"].take(), audio }
    }

    /// Sends `fragment:processed` with the audio attached.
    pub async fn processed(&mut self, fragment: &Value, audio: &[u8]) {
        let object = json!({ "fragment": fragment, "data": { "_placeholder": true, "num": 0 } });
        self.text(&format!("451-{}", json!(["fragment:processed", object]))).await;
        self.binary(audio).await;
    }

    /// The same, the audio cut into frames of `len` bytes.
    pub async fn processed_in_pieces(&mut self, fragment: &Value, audio: &[u8], len: usize) {
        let object = json!({ "fragment": fragment, "data": { "_placeholder": true, "num": 0 } });
        self.text(&format!("451-{}", json!(["fragment:processed", object]))).await;
        let pieces: Vec<Bytes> = audio.chunks(len).map(Bytes::copy_from_slice).collect();
        let last = pieces.len() - 1;
        for (index, piece) in pieces.into_iter().enumerate() {
            let item = match index {
                0 => Item::FirstBinary(piece),
                index if index == last => Item::Last(piece),
                _ => Item::Continue(piece),
            };
            // A control frame may come between the pieces (RFC 6455 5.4).
            self.message(Message::Ping(Bytes::from_static(b"x"))).await;
            self.message(Message::Continuation(item)).await;
        }
    }

    pub async fn event(&mut self, name: &str, argument: Value) {
        self.text(&format!("42{}", json!([name, argument]))).await;
    }
}
