//! `application/problem+json` answers (RFC 9457): what is wrong, and what to do about it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use actix_web::http::{StatusCode, header};
use actix_web::{HttpResponse, ResponseError};
use overdub_actors::requests::RequestError;
use serde::Serialize;
use utoipa::ToSchema;

use crate::request_id;
use crate::validate::FieldError;

/// An error answer. Its `detail` says what to do and bears no secret.
#[derive(Debug, Clone)]
pub struct Problem {
    status: StatusCode,
    body: Box<ProblemBody>,
    /// Methods for a 405's `Allow`.
    allow: Option<&'static str>,
    /// For a 429's `Retry-After`.
    retry_after_s: Option<u64>,
}

/// Members of the JSON object.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ProblemBody {
    #[serde(rename = "type")]
    kind: &'static str,
    title: &'static str,
    status: u16,
    detail: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    allowed: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<FieldError>,
    /// Settings that need a new run of the stream.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    restart: Vec<String>,
    /// Name of the request, as in `x-request-id`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    request_id: Option<Arc<str>>,
}

impl Problem {
    fn new(status: StatusCode, kind: &'static str, title: &'static str, detail: String) -> Self {
        let body = ProblemBody {
            kind,
            title,
            status: status.as_u16(),
            detail,
            field: None,
            allowed: None,
            errors: vec![],
            restart: vec![],
            request_id: None,
        };
        Self { status, body: Box::new(body), allow: None, retry_after_s: None }
    }

    /// 400: the body as a whole is not what is wanted.
    #[must_use]
    pub fn bad_body(detail: impl Into<String>) -> Self {
        let kind = "urn:overdub:problem:invalid-body";
        Self::new(StatusCode::BAD_REQUEST, kind, "The body cannot be read", detail.into())
    }

    /// 400: fields are wrong; the first one is named at the top, all of them in `errors`.
    #[must_use]
    pub fn invalid(errors: Vec<FieldError>) -> Self {
        let detail = match errors.as_slice() {
            [] => "the request is not valid".to_owned(),
            [only] => only.message.clone(),
            [first, rest @ ..] => format!("{} (and {} more, see errors)", first.message, rest.len()),
        };
        let kind = "urn:overdub:problem:invalid-field";
        let mut problem = Self::new(StatusCode::BAD_REQUEST, kind, "The request is not valid", detail);
        problem.body.field = errors.first().map(|error| error.field.clone());
        problem.body.allowed = errors.first().and_then(|error| error.allowed.clone());
        problem.body.errors = errors;
        problem
    }

    /// 401: no accepted token.
    #[must_use]
    pub fn unauthorized(detail: &str) -> Self {
        let kind = "urn:overdub:problem:unauthorized";
        Self::new(StatusCode::UNAUTHORIZED, kind, "A token is needed", detail.to_owned())
    }

    /// 403: refused whoever asks.
    #[must_use]
    pub fn forbidden(detail: &str) -> Self {
        let kind = "urn:overdub:problem:forbidden";
        Self::new(StatusCode::FORBIDDEN, kind, "Not allowed", detail.to_owned())
    }

    /// 404: there is no such thing.
    #[must_use]
    pub fn not_found(detail: impl Into<String>) -> Self {
        let kind = "urn:overdub:problem:not-found";
        Self::new(StatusCode::NOT_FOUND, kind, "Not found", detail.into())
    }

    /// 405: the path is known, the method is not; `allow` lists those that are.
    #[must_use]
    pub fn method_not_allowed(allow: &'static str) -> Self {
        let kind = "urn:overdub:problem:method-not-allowed";
        let detail = format!("this path answers {allow}");
        let status = StatusCode::METHOD_NOT_ALLOWED;
        Self { allow: Some(allow), ..Self::new(status, kind, "Method not allowed", detail) }
    }

    /// 408: the body did not come in time.
    #[must_use]
    pub fn slow_body(deadline: Duration) -> Self {
        let kind = "urn:overdub:problem:request-timeout";
        let detail = format!("the body did not come within {} s; send it again", deadline.as_secs_f64());
        Self::new(StatusCode::REQUEST_TIMEOUT, kind, "The body came too slowly", detail)
    }

    /// 426: only a WebSocket is served here.
    #[must_use]
    pub fn not_a_websocket() -> Self {
        let kind = "urn:overdub:problem:upgrade-required";
        let detail = "connect to this path with a WebSocket, subprotocol overdub.v1".to_owned();
        Self::new(StatusCode::UPGRADE_REQUIRED, kind, "A WebSocket is needed", detail)
    }

    /// 400: the WebSocket's handshake is wrong.
    #[must_use]
    pub fn bad_handshake(error: &str) -> Self {
        let kind = "urn:overdub:problem:invalid-handshake";
        let detail = format!("the WebSocket handshake is not valid: {error}");
        Self::new(StatusCode::BAD_REQUEST, kind, "The handshake is not valid", detail)
    }

    /// 503: not now.
    #[must_use]
    pub fn unavailable(detail: impl Into<String>) -> Self {
        let kind = "urn:overdub:problem:unavailable";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, kind, "The service cannot take this now", detail.into())
    }

    /// 429: too many requests from one address.
    #[must_use]
    pub fn too_many_requests(wait: Duration) -> Self {
        let kind = "urn:overdub:problem:too-many-requests";
        // Whole seconds, and not too early.
        let seconds = wait.as_millis().div_ceil(1000).max(1);
        let detail = format!("too many requests from this address; ask again in {seconds} s");
        let mut problem = Self::new(StatusCode::TOO_MANY_REQUESTS, kind, "Too many requests", detail);
        problem.retry_after_s = Some(u64::try_from(seconds).unwrap_or(u64::MAX));
        problem
    }

    /// 416: nothing of the range that was asked for is there.
    #[must_use]
    pub fn range_not_satisfiable(total: u64) -> Self {
        let kind = "urn:overdub:problem:range-not-satisfiable";
        let detail = format!("the range lies past the end: there are {total} bytes");
        Self::new(StatusCode::RANGE_NOT_SATISFIABLE, kind, "The range cannot be satisfied", detail)
    }

    /// Whether a new run would do.
    #[must_use]
    pub fn needs_restart(&self) -> bool {
        !self.body.restart.is_empty()
    }

    /// 500: the service's own fault.
    #[must_use]
    pub fn internal(detail: impl Into<String>) -> Self {
        let kind = "urn:overdub:problem:internal";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, kind, "The service failed", detail.into())
    }

    /// 503: the registry did not answer by its deadline.
    #[must_use]
    pub fn unanswered(deadline: Duration) -> Self {
        let kind = "urn:overdub:problem:unavailable";
        let detail = format!(
            "no answer within {} s; the request may still take effect, so ask for the stream's state before trying again",
            deadline.as_secs_f64()
        );
        Self::new(StatusCode::SERVICE_UNAVAILABLE, kind, "The service did not answer", detail)
    }

    /// The status it is answered with.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.status
    }
}

impl From<RequestError> for Problem {
    fn from(error: RequestError) -> Self {
        let detail = error.to_string();
        match error {
            RequestError::Unknown(_) => Self::not_found(detail),
            RequestError::Conflict { .. } => {
                let kind = "urn:overdub:problem:conflict";
                Self::new(StatusCode::CONFLICT, kind, "The stream's state does not allow this", detail)
            }
            RequestError::NeedsRestart { fields, .. } => {
                let kind = "urn:overdub:problem:needs-restart";
                let mut problem = Self::new(StatusCode::CONFLICT, kind, "A new run is needed", detail);
                problem.body.restart = fields;
                problem
            }
            RequestError::Impossible(_) => {
                let kind = "urn:overdub:problem:invalid-field";
                Self::new(StatusCode::BAD_REQUEST, kind, "The request is not valid", detail)
            }
            RequestError::Webhook(_) => {
                Self::invalid(vec![FieldError { field: "url".to_owned(), message: detail, allowed: None }])
            }
            RequestError::UnknownWebhook(_) => Self::not_found(detail),
            RequestError::TooManyWebhooks => {
                let kind = "urn:overdub:problem:conflict";
                Self::new(StatusCode::CONFLICT, kind, "There are too many webhooks", detail)
            }
            RequestError::Storage(_) => {
                let kind = "urn:overdub:problem:storage";
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, kind, "Storage failed", detail)
            }
            RequestError::ShuttingDown => {
                let kind = "urn:overdub:problem:unavailable";
                Self::new(StatusCode::SERVICE_UNAVAILABLE, kind, "The service is shutting down", detail)
            }
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.body.detail)
    }
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        self.status
    }

    fn error_response(&self) -> HttpResponse {
        if self.status.is_server_error() {
            let request = request_id::current();
            let request = request.as_deref();
            tracing::warn!(status = self.status.as_u16(), detail = %self.body.detail, request, "request failed");
        }
        let mut response = HttpResponse::build(self.status);
        response.insert_header((header::CONTENT_TYPE, "application/problem+json"));
        response.insert_header((header::CACHE_CONTROL, "no-store"));
        if let Some(allow) = self.allow {
            response.insert_header((header::ALLOW, allow));
        }
        if let Some(seconds) = self.retry_after_s {
            response.insert_header((header::RETRY_AFTER, seconds));
        }
        if self.status == StatusCode::UPGRADE_REQUIRED {
            response.insert_header((header::UPGRADE, "websocket"));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            response.insert_header((header::WWW_AUTHENTICATE, "Bearer realm=\"overdub\""));
        }
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            response.insert_header((header::RETRY_AFTER, "5"));
        }
        let mut body = self.body.clone();
        body.request_id = request_id::current();
        let text = serde_json::to_string(&body).unwrap_or_else(|_| "{}".to_owned());
        response.body(text)
    }
}
