//! Reading a JSON object from a request, bounded in size and time.

use std::time::Duration;

use actix_web::http::header;
use actix_web::{HttpRequest, web};
use bytes::BytesMut;
use futures_util::StreamExt;
use serde_json::{Map, Value};

use crate::problem::Problem;

/// Largest body in bytes.
pub(crate) const MAX_BODY_LEN: usize = 256 * 1024;
/// How much of a too large body is read and dropped, so that its sender gets to read the answer.
const MAX_DRAINED_LEN: usize = 8 * MAX_BODY_LEN;
/// How long a body may take.
const BODY_DEADLINE: Duration = Duration::from_secs(10);

/// The body as a JSON object.
pub(crate) async fn object(
    request: &HttpRequest,
    payload: web::Payload,
) -> Result<Map<String, Value>, Problem> {
    check_type(request)?;
    let bytes = tokio::time::timeout(BODY_DEADLINE, collect(payload))
        .await
        .map_err(|_| Problem::slow_body(BODY_DEADLINE))??;
    parse(&bytes)
}

fn check_type(request: &HttpRequest) -> Result<(), Problem> {
    let Some(given) = request.headers().get(header::CONTENT_TYPE) else {
        return Ok(());
    };
    let essence = given.to_str().unwrap_or_default().split(';').next().unwrap_or_default().trim();
    let essence = essence.to_ascii_lowercase();
    if essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json")) {
        return Ok(());
    }
    Err(Problem::bad_body("the body is not declared as JSON; send it with Content-Type: application/json"))
}

async fn collect(mut payload: web::Payload) -> Result<BytesMut, Problem> {
    let mut body = BytesMut::new();
    let mut seen = 0_usize;
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|error| {
            Problem::bad_body(format!("the body could not be read to its end ({error}); send it again"))
        })?;
        seen = seen.saturating_add(chunk.len());
        if seen > MAX_DRAINED_LEN {
            break;
        }
        if seen <= MAX_BODY_LEN {
            body.extend_from_slice(&chunk);
        } else {
            body = BytesMut::new();
        }
    }
    if seen > MAX_BODY_LEN {
        return Err(Problem::bad_body(format!(
            "the body is larger than {MAX_BODY_LEN} bytes; send a smaller JSON object"
        )));
    }
    Ok(body)
}

fn parse(bytes: &[u8]) -> Result<Map<String, Value>, Problem> {
    if bytes.trim_ascii().is_empty() {
        return Err(Problem::bad_body("the body is empty; send a JSON object"));
    }
    match serde_json::from_slice(bytes) {
        Ok(Value::Object(map)) => Ok(map),
        Ok(other) => {
            let got = crate::validate::fields::shown(&other);
            Err(Problem::bad_body(format!("the body must be a JSON object; got {got}")))
        }
        // The parser's words name position and cause, never the text itself.
        Err(error) => Err(Problem::bad_body(format!("the body is not JSON: {error}; send a JSON object"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> String {
        parse(text.as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn a_body_that_is_no_json_object_is_refused_with_the_reason() {
        assert!(refusal(" \n").contains("is empty"));
        assert!(refusal("{\"a\": hunter2}").contains("line 1 column 7"));
        assert!(!refusal("{\"a\": hunter2}").contains("hunter2"));
        assert!(refusal("[1,2]").contains("an array of 2"));
        assert!(refusal("\"rtmp://h/live/hunter2\"").contains("rtmp://h/live/***"));
        assert!(refusal("{\"bufferDuration\": NaN}").contains("not JSON"));
        assert!(refusal("{\"bufferDuration\": 1e999}").contains("number out of range"));
        assert!(refusal(&"[".repeat(100_000)).contains("recursion limit"));
        assert!(parse(b"{} trailing").is_err());
        assert!(parse(b"{\"a\":\"\xff\"}").is_err());
        assert_eq!(parse(b" {\"a\":1} ").unwrap().len(), 1);
    }
}
