//! A client of a few lines, so that tests can send what a proper one would not.

use std::net::SocketAddr;
use std::time::Duration;

use actix_web::dev::ServerHandle;
use overdub_web::{Deadlines, Registry, SettingsCell, WebSettings};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::fake::{Fake, FakeRegistry};

/// A server on a free port in front of a fake registry; both end with the test.
pub struct Service {
    pub address: SocketAddr,
    pub fake: Fake,
    handle: ServerHandle,
}

pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut found = self.headers.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name));
        let first = found.next().map(|(_, value)| value.as_str());
        assert!(found.next().is_none(), "{name} stands there twice");
        first
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {:?}", self.body))
    }

    /// The body of a problem, after checking that it is one and agrees with the status.
    pub fn problem(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", String::from_utf8_lossy(&self.body));
        assert_eq!(self.header("content-type"), Some("application/problem+json"));
        let problem = self.json();
        assert_eq!(problem["status"], status);
        for member in ["type", "title", "detail"] {
            assert!(problem[member].as_str().is_some_and(|text| !text.is_empty()), "{member}: {problem}");
        }
        problem
    }
}

impl Service {
    pub fn start() -> Self {
        Self::with(WebSettings::default())
    }

    pub fn with(settings: WebSettings) -> Self {
        Self::launch(settings, Deadlines::default())
    }

    /// One that does not wait long for its registry, for tests in which that one is mute.
    pub fn impatient() -> Self {
        let short = Deadlines {
            query: Duration::from_millis(200),
            command: Duration::from_millis(300),
            drain: Duration::from_millis(400),
        };
        Self::launch(WebSettings::default(), short)
    }

    fn launch(settings: WebSettings, deadlines: Deadlines) -> Self {
        let settings = WebSettings { port: 0, workers: 1, ..settings };
        Self::run(settings.into(), deadlines)
    }

    /// One whose settings the test can change.
    pub fn of(settings: SettingsCell) -> Self {
        Self::run(settings, Deadlines::default())
    }

    fn run(settings: SettingsCell, deadlines: Deadlines) -> Self {
        let (fake, addr) = FakeRegistry::start();
        let registry = Registry::new(&addr).with_deadlines(deadlines);
        let bound = overdub_web::bind(&settings.get()).unwrap();
        let (server, address) = overdub_web::server(registry, settings, bound).unwrap();
        let handle = server.handle();
        actix_rt::spawn(server);
        Self { address, fake, handle }
    }

    pub async fn stop(&self) {
        self.handle.stop(true).await;
    }

    /// Sends `head` (request line and headers, lines ended by `\n`) and `body` as they are.
    pub async fn raw(&self, head: &str, body: &[u8]) -> Answer {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let head =
            format!("{}\r\nHost: {}\r\nConnection: close\r\n\r\n", head.replace('\n', "\r\n"), self.address);
        let exchange = async {
            stream.write_all(head.as_bytes()).await.unwrap();
            // The server may answer, and hang up, before it has everything.
            let _ = stream.write_all(body).await;
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).await.map(|_| answer)
        };
        let answer =
            tokio::time::timeout(Duration::from_secs(20), exchange).await.expect("an answer in time");
        parse(&answer.unwrap(), head.starts_with("HEAD"))
    }

    pub async fn get(&self, target: &str) -> Answer {
        self.raw(&format!("GET {target} HTTP/1.1"), b"").await
    }

    pub async fn send(&self, method: &str, target: &str) -> Answer {
        self.raw(&format!("{method} {target} HTTP/1.1\nContent-Length: 0"), b"").await
    }

    pub async fn post(&self, target: &str, body: &Value) -> Answer {
        self.post_text(target, &body.to_string()).await
    }

    pub async fn post_text(&self, target: &str, body: &str) -> Answer {
        let length = body.len();
        let head =
            format!("POST {target} HTTP/1.1\nContent-Type: application/json\nContent-Length: {length}");
        self.raw(&head, body.as_bytes()).await
    }
}

fn parse(answer: &[u8], head_only: bool) -> Answer {
    let split = answer.windows(4).position(|window| window == b"\r\n\r\n").expect("a whole head");
    let head = std::str::from_utf8(&answer[..split]).unwrap();
    let body = answer[split + 4..].to_vec();
    let mut lines = head.split("\r\n");
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let headers = lines
        .map(|line| line.split_once(':').unwrap())
        .map(|(name, value)| (name.to_lowercase(), value.trim().to_owned()))
        .collect();
    let answer = Answer { status, headers, body };
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "on every answer");
    if head_only || matches!(status, 204 | 304) {
        assert!(answer.body.is_empty(), "no body belongs to this answer");
    } else {
        let length: usize = answer.header("content-length").expect("a length").parse().unwrap();
        assert_eq!(answer.body.len(), length, "the body is whole");
    }
    answer
}
