//! An HTTP server whose answers the test decides, and may change while it runs.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// What a [`Site`] answers.
pub enum Reply {
    /// A whole answer.
    Whole(u16, &'static str, Vec<u8>),
    /// Status 200 and a body that never ends, in chunks.
    Endless(&'static str),
    /// The same, as if the connection's end were the body's.
    EndlessUnframed(&'static str),
    /// A redirect to this URL.
    Redirect(String),
    /// Nothing, with the connection kept open.
    Silence,
    /// Status 200 and the body's length; the connection ends after so many bytes of it.
    Cut(&'static str, usize, Vec<u8>),
    /// Status 200 and the body, so many bytes a second.
    Trickle(&'static str, usize, Vec<u8>),
}

impl Reply {
    /// Status 404.
    pub fn not_found() -> Self {
        Self::Whole(404, "text/plain", b"not found\n".to_vec())
    }

    /// A file of `folder`, by the request's path.
    pub fn file(folder: &Path, path: &str) -> Self {
        let name = path.trim_start_matches('/');
        let content_type =
            if name.ends_with(".m3u8") { "application/vnd.apple.mpegurl" } else { "video/mp2t" };
        match std::fs::read(folder.join(name)) {
            Ok(data) if !name.contains("..") => Self::Whole(200, content_type, data),
            _ => Self::not_found(),
        }
    }
}

type Handler = Box<dyn Fn(&str) -> Reply + Send>;

/// The server; it ends when dropped.
pub struct Site {
    /// Where it listens.
    pub port: u16,
    handler: Arc<Mutex<Handler>>,
    /// Heads of the requests, whole.
    heads: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

impl Site {
    /// Serves what `handler` answers to a path.
    pub async fn start(handler: impl Fn(&str) -> Reply + Send + 'static) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        let port = listener.local_addr().expect("a bound address").port();
        let handler: Arc<Mutex<Handler>> = Arc::new(Mutex::new(Box::new(handler)));
        let heads = Arc::new(Mutex::new(Vec::new()));
        let (answers, log) = (Arc::clone(&handler), Arc::clone(&heads));
        let task = tokio::spawn(async move {
            // A JoinSet, so that open connections end with the site.
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (answers, log) = (Arc::clone(&answers), Arc::clone(&log));
                connections.spawn(async move {
                    // A client that goes away in the middle is its own business.
                    let _ = serve(stream, &answers, &log).await;
                });
            }
        });
        Self { port, handler, heads, task }
    }

    /// Changes the answers from now on.
    pub fn answer(&self, handler: impl Fn(&str) -> Reply + Send + 'static) {
        *self.handler.lock().unwrap() = Box::new(handler);
    }

    /// The paths asked for so far.
    pub fn requests(&self) -> Vec<String> {
        self.heads.lock().unwrap().iter().map(|head| path_of(head).to_owned()).collect()
    }

    /// The heads of the requests so far: request lines and headers.
    pub fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }

    /// The URL of a path.
    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn path_of(head: &str) -> &str {
    head.split(' ').nth(1).unwrap_or_default()
}

async fn serve(
    mut stream: TcpStream,
    handler: &Mutex<Handler>,
    heads: &Mutex<Vec<String>>,
) -> std::io::Result<()> {
    loop {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            if head.len() > 16_384 || stream.read(&mut byte).await? == 0 {
                return Ok(());
            }
            head.push(byte[0]);
        }
        let head = String::from_utf8_lossy(&head);
        let close = head.to_ascii_lowercase().contains("\r\nconnection: close\r\n");
        heads.lock().unwrap().push(head.to_string());
        let reply = handler.lock().unwrap()(path_of(&head).split('?').next().unwrap_or_default());
        match reply {
            Reply::Whole(status, content_type, body) => {
                let head = format!(
                    "HTTP/1.1 {status} -\r\ncontent-type: {content_type}\r\ncontent-length: {}\r\n\r\n",
                    body.len()
                );
                stream.write_all(head.as_bytes()).await?;
                stream.write_all(&body).await?;
            }
            Reply::Redirect(url) => {
                let head = format!("HTTP/1.1 302 -\r\nlocation: {url}\r\ncontent-length: 0\r\n\r\n");
                stream.write_all(head.as_bytes()).await?;
            }
            Reply::Endless(content_type) => {
                let head = format!(
                    "HTTP/1.1 200 -\r\ncontent-type: {content_type}\r\ntransfer-encoding: chunked\r\n\r\n"
                );
                stream.write_all(head.as_bytes()).await?;
                stream.write_all(b"8\r\n#EXTM3U\n\r\n").await?;
                loop {
                    stream.write_all(b"10000\r\n").await?;
                    stream.write_all(&[b'#'; 65_536]).await?;
                    stream.write_all(b"\r\n").await?;
                }
            }
            Reply::EndlessUnframed(content_type) => {
                let head = format!("HTTP/1.1 200 -\r\ncontent-type: {content_type}\r\n\r\n#EXTM3U\n");
                stream.write_all(head.as_bytes()).await?;
                loop {
                    stream.write_all(&[b'#'; 65_536]).await?;
                }
            }
            Reply::Cut(content_type, sent, body) => {
                stream.write_all(head_of(content_type, body.len()).as_bytes()).await?;
                stream.write_all(&body[..sent.min(body.len())]).await?;
                return Ok(());
            }
            Reply::Trickle(content_type, bytes_per_s, body) => {
                stream.write_all(head_of(content_type, body.len()).as_bytes()).await?;
                for part in body.chunks(bytes_per_s.div_ceil(10).max(1)) {
                    stream.write_all(part).await?;
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
            Reply::Silence => loop {
                tokio::time::sleep(Duration::from_secs(3600)).await;
            },
        }
        if close {
            return Ok(());
        }
    }
}

fn head_of(content_type: &str, length: usize) -> String {
    format!("HTTP/1.1 200 -\r\ncontent-type: {content_type}\r\ncontent-length: {length}\r\n\r\n")
}
