//! Reading a JSON object from a request, bounded in size and time.

use std::time::Duration;

use actix_web::error::PayloadError;
use actix_web::http::header;
use actix_web::{HttpRequest, web};
use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt};
use serde_json::{Map, Value};

use crate::problem::Problem;

/// Largest body in bytes.
pub(crate) const MAX_BODY_LEN: usize = 256 * 1024;
/// How much of a too large body is read and dropped, so that its sender gets to read the answer.
const MAX_DRAINED_LEN: usize = 8 * MAX_BODY_LEN;
/// How long a body may take.
const BODY_DEADLINE: Duration = Duration::from_secs(10);

/// What a payload yields.
type Piece = Result<Bytes, PayloadError>;

/// The body as a JSON object.
pub(crate) async fn object(
    request: &HttpRequest,
    payload: web::Payload,
) -> Result<Map<String, Value>, Problem> {
    check_type(request)?;
    parse(&collect_in_time(payload).await?)
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

async fn collect_in_time(payload: impl Stream<Item = Piece> + Unpin) -> Result<BytesMut, Problem> {
    tokio::time::timeout(BODY_DEADLINE, collect(payload))
        .await
        .map_err(|_| Problem::slow_body(BODY_DEADLINE))?
}

async fn collect(mut payload: impl Stream<Item = Piece> + Unpin) -> Result<BytesMut, Problem> {
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

    #[tokio::test(start_paused = true)]
    async fn a_body_that_trickles_is_given_up_at_the_deadline() {
        let trickle = futures_util::stream::unfold((), |()| async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            Some((Ok(Bytes::from_static(b" ")), ()))
        });
        let begun = tokio::time::Instant::now();
        let problem = collect_in_time(Box::pin(trickle)).await.unwrap_err();
        assert_eq!((problem.status().as_u16(), begun.elapsed()), (408, BODY_DEADLINE));
    }

    #[tokio::test]
    async fn no_more_of_an_endless_body_is_read_than_is_dropped_for_politeness() {
        let endless = futures_util::stream::repeat_with(|| Ok(Bytes::from_static(&[b' '; 1000])));
        let problem = collect_in_time(endless).await.unwrap_err();
        assert!(problem.to_string().contains("larger than 262144 bytes"), "{problem}");
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
