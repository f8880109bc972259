//! Who may use `/api`: bearer tokens, or, without tokens, anyone on this host but foreign web pages.

use std::net::IpAddr;

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::{Method, header};
use actix_web::middleware::Next;
use actix_web::{Error, HttpRequest, ResponseError, web};
use serde::Serialize;
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};

use crate::problem::Problem;
use crate::server::Shared;
use crate::settings::{TokenHash, WebSettings};
use crate::{cors, events};

/// What an asker may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Access {
    /// Nothing below `/api`.
    None,
    /// Look.
    Read,
    /// Look and change.
    Full,
}

/// Below `/api`, and open all the same: a page must know whether to ask for a token, and the description is no
/// secret.
const OPEN: [&str; 2] = ["/api/session", "/api/openapi.json"];

/// Middleware of `/api`.
pub(crate) async fn guard(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let verdict = match request.app_data::<web::Data<Shared>>() {
        Some(_) if OPEN.contains(&request.path()) => Ok(()),
        Some(shared) => admit(request.request(), &shared.settings()),
        None => Err(Problem::internal("the server is not configured")),
    };
    match verdict {
        Ok(()) => Ok(next.call(request).await?.map_into_left_body()),
        // A response, not an error: an error would pass by the middlewares further out.
        Err(problem) => Ok(request.into_response(problem.error_response()).map_into_right_body()),
    }
}

fn admit(request: &HttpRequest, settings: &WebSettings) -> Result<(), Problem> {
    if !settings.needs_token() {
        return same_origin(request, settings);
    }
    match access(request, settings) {
        Access::Full => Ok(()),
        Access::Read if is_safe(request) => Ok(()),
        Access::Read => Err(Problem::forbidden(
            "the token may look and not change anything; send one of auth.tokens instead",
        )),
        Access::None => Err(Problem::unauthorized(if presented(request).is_some() {
            "the token is not accepted; send `Authorization: Bearer TOKEN` with one of the configured tokens"
        } else {
            "send `Authorization: Bearer TOKEN` with one of the configured tokens"
        })),
    }
}

/// What the bearer of the request's token may do; everyone everything where there are no tokens.
pub(crate) fn access(request: &HttpRequest, settings: &WebSettings) -> Access {
    if !settings.needs_token() {
        return Access::Full;
    }
    let Some(token) = presented(request).filter(|token| !token.is_empty()) else {
        return Access::None;
    };
    let hash: [u8; 32] = Sha256::digest(&token).into();
    // Both lists are gone through, so that the time tells nothing.
    let (full, read) = (is_among(&hash, &settings.auth_tokens), is_among(&hash, &settings.read_tokens));
    match (bool::from(full), bool::from(read)) {
        (true, _) => Access::Full,
        (false, true) => Access::Read,
        (false, false) => Access::None,
    }
}

fn is_safe(request: &HttpRequest) -> bool {
    matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS)
}

/// The token that the request bears: in its Authorization header, or among a WebSocket's subprotocols.
fn presented(request: &HttpRequest) -> Option<Vec<u8>> {
    match request.headers().get(header::AUTHORIZATION) {
        Some(value) => Some(bearer(value.as_bytes()).unwrap_or_default().to_vec()),
        None if events::is_upgrade(request) => events::token_in_protocols(request),
        None => None,
    }
}

/// The token of an Authorization header's value (RFC 6750 2.1).
fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = value.split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then(|| token.trim_ascii())
}

/// All are compared, so that the time tells nothing about which one was near.
fn is_among(hash: &[u8; 32], tokens: &[TokenHash]) -> Choice {
    tokens.iter().fold(Choice::from(0), |found, known| found | known.0.ct_eq(hash))
}

/// Without tokens the API is open to this host, but a page from elsewhere in a browser on this host is not
/// this host: its `Origin` (RFC 6454) gives it away on every request that changes something, and on every
/// WebSocket, which no other rule keeps a foreign page from reading.
///
/// A name that a foreign page's owner lets point here (DNS rebinding) makes both agree, so the name that the request
/// goes to is checked first: an address, `localhost`, or one that the settings know.
fn same_origin(request: &HttpRequest, settings: &WebSettings) -> Result<(), Problem> {
    if !is_known_host(request, settings) {
        return Err(Problem::forbidden(
            "without auth.tokens the API is served to addresses and localhost alone; set tokens, or list the origin with this name in server.cors_origins",
        ));
    }
    if is_safe(request) && !events::is_upgrade(request) {
        return Ok(());
    }
    let Some(origin) = request.headers().get(header::ORIGIN) else {
        return Ok(());
    };
    if cors::is_listed(&settings.cors_origins, origin) {
        return Ok(());
    }
    let authority = origin.to_str().ok().and_then(|text| text.split_once("://")).map(|(_, rest)| rest);
    let info = request.connection_info();
    if authority.is_some_and(|authority| authority.eq_ignore_ascii_case(info.host())) {
        return Ok(());
    }
    Err(Problem::forbidden(
        "web pages of another origin may not change streams or hear events; list the origin in server.cors_origins",
    ))
}

fn is_known_host(request: &HttpRequest, settings: &WebSettings) -> bool {
    // Browsers always say it.
    let Some(host) = request.headers().get(header::HOST) else { return true };
    let Ok(host) = host.to_str() else { return false };
    let name = match host.strip_prefix('[') {
        Some(address) => address.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    let is = |known: &str| name.eq_ignore_ascii_case(known);
    let of_origin = |origin: &String| {
        let authority = origin.split_once("://").map_or("", |(_, authority)| authority);
        is(authority.split(':').next().unwrap_or_default())
    };
    name.parse::<IpAddr>().is_ok()
        || is("localhost")
        || is(&settings.host)
        || settings.cors_origins.iter().any(of_origin)
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn settings() -> WebSettings {
        let hash_of = |token: &str| TokenHash(Sha256::digest(token.as_bytes()).into());
        WebSettings {
            auth_tokens: vec![hash_of("first"), hash_of("second"), hash_of("")],
            read_tokens: vec![hash_of("reader")],
            ..WebSettings::default()
        }
    }

    fn access_with(header: &str) -> Access {
        let request = TestRequest::default().insert_header((header::AUTHORIZATION, header)).to_http_request();
        access(&request, &settings())
    }

    #[test]
    fn one_of_the_tokens_behind_the_bearer_scheme_is_accepted() {
        for good in ["Bearer first", "bearer second", "BEARER  second "] {
            assert_eq!(access_with(good), Access::Full, "{good}");
        }
        assert_eq!(access_with("Bearer reader"), Access::Read);
        for bad in ["", "Bearer", "Bearer ", "Bearer third", "Basic first", "first", "Bearer first second"] {
            assert_eq!(access_with(bad), Access::None, "{bad}");
        }
        assert_eq!(access(&TestRequest::default().to_http_request(), &settings()), Access::None);
    }

    #[test]
    fn without_tokens_a_name_that_a_foreign_page_lets_point_here_is_refused() {
        let open = WebSettings {
            host: "studio.example".to_owned(),
            cors_origins: vec!["https://page.example:8443".to_owned()],
            ..WebSettings::default()
        };
        let asked = |host: &str| {
            let request = TestRequest::default()
                .method(Method::POST)
                .insert_header((header::HOST, host))
                .insert_header((header::ORIGIN, format!("http://{host}")))
                .to_http_request();
            same_origin(&request, &open)
        };
        for good in
            ["127.0.0.1:3000", "[::1]:3000", "localhost:3000", "LocalHost", "studio.example", "page.example"]
        {
            assert!(asked(good).is_ok(), "{good}");
        }
        for bad in ["evil.example:3000", "localhost.evil.example", "127.0.0.1.evil.example", ""] {
            assert!(asked(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_socket_may_bear_its_token_among_the_subprotocols() {
        let request = |protocols: &str, upgrade: &str| {
            TestRequest::default()
                .insert_header((header::SEC_WEBSOCKET_PROTOCOL, protocols))
                .insert_header((header::UPGRADE, upgrade))
                .to_http_request()
        };
        for (protocols, upgrade, expected) in [
            ("overdub.v1, bearer.first", "websocket", Access::Full),
            ("bearer.reader,overdub.v1", "WebSocket", Access::Read),
            ("overdub.v1, bearer.third", "websocket", Access::None),
            ("overdub.v1, bearer.", "websocket", Access::None),
            ("overdub.v1, first", "websocket", Access::None),
            ("overdub.v1, bearer.first", "h2c", Access::None),
        ] {
            assert_eq!(access(&request(protocols, upgrade), &settings()), expected, "{protocols}");
        }
    }
}
