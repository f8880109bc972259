//! A small HTTP/1.1 client: one request a connection, everything with a deadline.

use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use url::Url;

use super::Result;

const LIMIT: Duration = Duration::from_secs(90);

/// An answer.
#[derive(Debug, Clone)]
pub struct Response {
    /// Status code.
    pub status: u16,
    /// Header fields, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body, whole.
    pub body: Vec<u8>,
}

impl Response {
    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON; `null` if it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }
}

/// `GET`.
pub async fn get(url: &str) -> Result<Response> {
    request("GET", url, &[], None).await
}

/// `GET` of the bytes from `offset` on.
pub async fn get_range(url: &str, offset: u64, length: u64) -> Result<Response> {
    let range = format!("bytes={offset}-{}", offset + length - 1);
    request("GET", url, &[("range", &range)], None).await
}

/// Any request; a body is sent as JSON.
pub async fn request(
    method: &str,
    url: &str,
    headers: &[(&str, &str)],
    body: Option<&[u8]>,
) -> Result<Response> {
    tokio::time::timeout(LIMIT, exchange(method, url, headers, body))
        .await
        .map_err(|_| format!("{method} {url}: no answer in {LIMIT:?}"))?
        .map_err(|error| format!("{method} {url}: {error}").into())
}

async fn exchange(
    method: &str,
    url: &str,
    headers: &[(&str, &str)],
    body: Option<&[u8]>,
) -> Result<Response> {
    let url = Url::parse(url)?;
    let host = url.host_str().ok_or("no host")?;
    let port = url.port_or_known_default().ok_or("no port")?;
    let mut stream = TcpStream::connect((host, port)).await?;
    let target = &url[url::Position::BeforePath..url::Position::AfterQuery];
    let mut head = format!("{method} {target} HTTP/1.1\r\nhost: {host}:{port}\r\nconnection: close\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    if let Some(body) = body {
        head.push_str(&format!("content-type: application/json\r\ncontent-length: {}\r\n", body.len()));
    }
    head.push_str("\r\n");
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body.unwrap_or_default()).await?;
    let mut answer = Vec::new();
    if let Err(error) = stream.read_to_end(&mut answer).await {
        // A server that refuses a body unread resets the connection after its answer.
        if answer.is_empty() {
            return Err(error.into());
        }
    }
    parse(&answer)
}

fn parse(answer: &[u8]) -> Result<Response> {
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n").ok_or("no end of the headers")?;
    let head = String::from_utf8_lossy(&answer[..end]);
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).ok_or("no status")?.parse()?;
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let mut response = Response { status, headers, body: Vec::new() };
    let rest = &answer[end + 4..];
    response.body = if response.header("transfer-encoding") == Some("chunked") {
        unchunk(rest)?
    } else {
        let length = response.header("content-length").map(str::parse::<usize>).transpose()?;
        if length.is_some_and(|length| length > rest.len()) {
            return Err(format!("{} of {} bytes of the body", rest.len(), length.unwrap_or(0)).into());
        }
        rest.to_vec()
    };
    Ok(response)
}

fn unchunk(mut rest: &[u8]) -> Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let line = rest.windows(2).position(|window| window == b"\r\n").ok_or("a chunk without size")?;
        let size = usize::from_str_radix(std::str::from_utf8(&rest[..line])?.trim(), 16)?;
        if size == 0 {
            return Ok(body);
        }
        body.extend(rest.get(line + 2..line + 2 + size).ok_or("a chunk is cut off")?);
        rest = rest.get(line + 4 + size..).ok_or("a chunk is cut off")?;
    }
}
