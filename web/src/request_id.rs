//! A name for each request: the asker's own, or a new one; in the answer's `x-request-id`, in every problem, and
//! in what is logged of it.

use std::sync::Arc;

use actix_web::Error;
use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::middleware::Next;

/// The header, in requests and answers.
const HEADER: HeaderName = HeaderName::from_static("x-request-id");
/// Longest name that is taken over.
const MAX_LEN: usize = 128;

tokio::task_local! {
    static CURRENT: Arc<str>;
}

/// Middleware: the outermost, so that whatever answers knows the name.
pub(crate) async fn name(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let given = request.headers().get(&HEADER).and_then(|value| value.to_str().ok());
    let id: Arc<str> = match given.filter(|text| is_plain(text)) {
        Some(text) => text.into(),
        None => format!("{:016x}{:016x}", fastrand::u64(..), fastrand::u64(..)).into(),
    };
    let mut response = CURRENT.scope(id.clone(), next.call(request)).await?;
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(HEADER, value);
    }
    Ok(response)
}

/// The name of the request that is being answered.
pub(crate) fn current() -> Option<Arc<str>> {
    CURRENT.try_with(Arc::clone).ok()
}

/// Whether a name can stand in a log as it is.
fn is_plain(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b':');
    (1..=MAX_LEN).contains(&text.len()) && text.bytes().all(plain)
}
