//! Which web pages of other origins may use `/api` (Fetch, 3.2): those listed, and no other.

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{Error, HttpResponse, web};

use crate::server::Shared;

const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD, POST, PATCH, DELETE");
const REQUEST_HEADERS: HeaderValue =
    HeaderValue::from_static("Authorization, Content-Type, Range, If-Range, If-None-Match, X-Request-Id");
const RESPONSE_HEADERS: HeaderValue = HeaderValue::from_static(
    "Accept-Ranges, Allow, Content-Length, Content-Range, ETag, Location, Retry-After, X-Request-Id",
);
/// How long a browser may keep an answer to its question, seconds.
const MAX_AGE: HeaderValue = HeaderValue::from_static("600");

/// Middleware of `/api`, outside of the one that wants a token: a browser asks its question without.
pub(crate) async fn share(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let origin = request.headers().get(header::ORIGIN).cloned();
    let listed = origin.filter(|origin| {
        let shared = request.app_data::<web::Data<Shared>>();
        shared.is_some_and(|shared| is_listed(&shared.settings().cors_origins, origin))
    });
    let Some(origin) = listed else {
        return Ok(next.call(request).await?.map_into_left_body());
    };
    let asks = request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    if *request.method() == Method::OPTIONS && asks {
        let mut response = request.into_response(HttpResponse::NoContent().finish());
        let headers = response.headers_mut();
        allow(headers, origin);
        headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, METHODS);
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, REQUEST_HEADERS);
        headers.insert(header::ACCESS_CONTROL_MAX_AGE, MAX_AGE);
        return Ok(response.map_into_right_body());
    }
    let mut response = next.call(request).await?;
    allow(response.headers_mut(), origin);
    Ok(response.map_into_left_body())
}

/// Whether pages of this origin are listed.
pub(crate) fn is_listed(listed: &[String], origin: &HeaderValue) -> bool {
    listed.iter().any(|known| known.as_bytes().eq_ignore_ascii_case(origin.as_bytes()))
}

fn allow(headers: &mut HeaderMap, origin: HeaderValue) {
    let set: [(HeaderName, HeaderValue); 3] = [
        (header::ACCESS_CONTROL_ALLOW_ORIGIN, origin),
        (header::ACCESS_CONTROL_EXPOSE_HEADERS, RESPONSE_HEADERS),
        (header::VARY, HeaderValue::from_static("Origin")),
    ];
    for (name, value) in set {
        headers.insert(name, value);
    }
}
