//! A scripted HTTP server: each path gives its answers in turn, the last again and again.

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::rc::Rc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

#[derive(Debug, Clone)]
pub enum Answer {
    /// 200 with a length.
    Ok(Vec<u8>),
    /// 206 of a body, by the request's own Range; 200 without one.
    Ranged(Vec<u8>),
    /// Another status, with an empty body.
    Status(&'static str),
    /// 200 with headers of the script's own; 304 to whoever names the ETag among them.
    With { headers: Vec<(&'static str, String)>, body: Vec<u8> },
    /// 302 to an address.
    Redirect(String),
    /// A length, fewer bytes, and the end of the connection.
    Cut { length: usize, bytes: Vec<u8> },
    /// A length, fewer bytes, and silence.
    Stall { length: usize, bytes: Vec<u8> },
    /// One chunk, but not the last, and the end of the connection.
    CutChunks(Vec<u8>),
    /// The whole in one chunk, and the last.
    Chunked(Vec<u8>),
    /// Chunks for ever.
    Endless,
    /// These bytes, then the end of the connection.
    Raw(&'static [u8]),
    /// Nothing at all.
    Silence,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    pub path: String,
    pub range: Option<String>,
    pub authorization: Option<String>,
    /// Names in lower case.
    pub headers: HashMap<String, String>,
}

#[derive(Default)]
struct Script {
    answers: HashMap<String, VecDeque<Answer>>,
    requests: Vec<Request>,
}

#[derive(Clone)]
pub struct Server {
    script: Rc<RefCell<Script>>,
    pub port: u16,
}

impl Server {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("a bound address").port();
        let server = Self { script: Rc::default(), port };
        let accepting = server.clone();
        actix_rt::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                actix_rt::spawn(accepting.clone().serve(stream));
            }
        });
        server
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// From now on, `path` answers so.
    pub fn answer(&self, path: &str, answers: impl IntoIterator<Item = Answer>) {
        self.script.borrow_mut().answers.insert(path.to_owned(), answers.into_iter().collect());
    }

    pub fn text(&self, path: &str, text: &str) {
        self.answer(path, [Answer::Ok(text.as_bytes().to_vec())]);
    }

    pub fn requests(&self, path: &str) -> Vec<Request> {
        self.script.borrow().requests.iter().filter(|request| request.path == path).cloned().collect()
    }

    async fn serve(self, mut stream: TcpStream) {
        let mut head = Vec::new();
        loop {
            while !head.ends_with(b"\r\n\r\n") {
                match stream.read_u8().await {
                    Ok(byte) => head.push(byte),
                    Err(_) => return,
                }
            }
            let text = String::from_utf8_lossy(&std::mem::take(&mut head)).into_owned();
            let header = |name: &str| {
                let lines = text.lines().filter_map(|line| line.split_once(": "));
                lines.filter(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_owned()).next()
            };
            let path = text.split(' ').nth(1).unwrap_or("/").to_owned();
            let lines = text.lines().filter_map(|line| line.split_once(": "));
            let headers = lines.map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())).collect();
            let (range, authorization) = (header("range"), header("authorization"));
            let request = Request { path, range, authorization, headers };
            let answer = self.next_answer(&request);
            self.script.borrow_mut().requests.push(request.clone());
            if send(&mut stream, answer, &request).await.is_none() {
                return;
            }
        }
    }

    fn next_answer(&self, request: &Request) -> Answer {
        let mut script = self.script.borrow_mut();
        match script.answers.get_mut(&request.path) {
            Some(answers) if answers.len() > 1 => answers.pop_front().expect("more than one"),
            Some(answers) => answers.front().expect("a script is never empty").clone(),
            None => Answer::Status("404 Not Found"),
        }
    }
}

/// None where the connection ends with this answer.
async fn send(stream: &mut TcpStream, answer: Answer, request: &Request) -> Option<()> {
    let range = request.range.as_deref();
    let ok = |status: &str, body: &[u8]| {
        let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n", body.len());
        [head.as_bytes(), body].concat()
    };
    let partial = |length: usize, bytes: &[u8]| {
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n");
        [head.as_bytes(), bytes].concat()
    };
    match answer {
        Answer::Ok(body) => stream.write_all(&ok("200 OK", &body)).await.ok(),
        Answer::Ranged(body) => {
            let bounds = range.and_then(|range| range.strip_prefix("bytes=")?.split_once('-'));
            let bounds = bounds.and_then(|(a, b)| Some((a.parse().ok()?, b.parse::<usize>().ok()?)));
            let bytes = match bounds {
                Some((first, last)) => ok("206 Partial Content", body.get(first..=last)?),
                None => ok("200 OK", &body),
            };
            stream.write_all(&bytes).await.ok()
        }
        Answer::Status(status) => stream.write_all(&ok(status, b"")).await.ok(),
        Answer::With { headers, body } => {
            let known = request.headers.get("if-none-match");
            let unchanged = headers.iter().any(|(name, value)| *name == "ETag" && known == Some(value));
            let (status, body) =
                if unchanged { ("304 Not Modified", &[][..]) } else { ("200 OK", &body[..]) };
            let mut head = format!("HTTP/1.1 {status}\r\n");
            for (name, value) in headers {
                head += &format!("{name}: {value}\r\n");
            }
            if !unchanged {
                head += &format!("Content-Length: {}\r\n", body.len());
            }
            stream.write_all(&[head.as_bytes(), b"\r\n", body].concat()).await.ok()
        }
        Answer::Redirect(to) => {
            let head = format!("HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n");
            stream.write_all(head.as_bytes()).await.ok()
        }
        Answer::Cut { length, bytes } => {
            let _ = stream.write_all(&partial(length, &bytes)).await;
            None
        }
        Answer::Stall { length, bytes } => {
            let _ = stream.write_all(&partial(length, &bytes)).await;
            until_closed(stream).await
        }
        Answer::CutChunks(bytes) => {
            let _ = stream.write_all(&chunked(&bytes)).await;
            None
        }
        Answer::Chunked(bytes) => {
            let _ = stream.write_all(&[chunked(&bytes).as_slice(), b"0\r\n\r\n"].concat()).await;
            None
        }
        Answer::Endless => {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").await;
            let chunk = [b"10000\r\n".as_slice(), &[b'x'; 0x10000], b"\r\n"].concat();
            while stream.write_all(&chunk).await.is_ok() {}
            None
        }
        Answer::Raw(bytes) => {
            let _ = stream.write_all(bytes).await;
            None
        }
        Answer::Silence => until_closed(stream).await,
    }
}

async fn until_closed(stream: &mut TcpStream) -> Option<()> {
    let mut rest = [0; 64];
    let wait = Duration::from_secs(60);
    while matches!(tokio::time::timeout(wait, stream.read(&mut rest)).await, Ok(Ok(count)) if count > 0) {}
    None
}

fn chunked(bytes: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n", bytes.len());
    [head.as_bytes(), bytes, b"\r\n"].concat()
}
