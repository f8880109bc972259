//! Who may use `/api`: bearer tokens, or, without tokens, anyone on this host but foreign web pages.

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::{Method, header};
use actix_web::middleware::Next;
use actix_web::{Error, ResponseError, web};
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};

use crate::problem::Problem;
use crate::server::Shared;
use crate::settings::TokenHash;

/// Middleware of `/api`.
pub(crate) async fn guard(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let shared = request.app_data::<web::Data<Shared>>().cloned();
    let verdict = match shared {
        Some(shared) => admit(&request, &shared.settings.auth_tokens),
        None => Err(Problem::internal("the server is not configured")),
    };
    match verdict {
        Ok(()) => Ok(next.call(request).await?.map_into_left_body()),
        // A response, not an error: an error would pass by the middlewares further out.
        Err(problem) => Ok(request.into_response(problem.error_response()).map_into_right_body()),
    }
}

fn admit(request: &ServiceRequest, tokens: &[TokenHash]) -> Result<(), Problem> {
    if tokens.is_empty() {
        return same_origin(request);
    }
    let header = request.headers().get(header::AUTHORIZATION);
    if is_accepted(header.map(header::HeaderValue::as_bytes), tokens) {
        return Ok(());
    }
    Err(Problem::unauthorized(if header.is_some() {
        "the token is not accepted; send `Authorization: Bearer TOKEN` with one of the configured tokens"
    } else {
        "send `Authorization: Bearer TOKEN` with one of the configured tokens"
    }))
}

/// Whether an Authorization header bears one of `tokens`.
pub(crate) fn is_accepted(header: Option<&[u8]>, tokens: &[TokenHash]) -> bool {
    let Some((scheme, token)) = header.and_then(|value| value.split_at_checked(7)) else {
        return false;
    };
    if !scheme.eq_ignore_ascii_case(b"bearer ") {
        return false;
    }
    let token = token.trim_ascii();
    if token.is_empty() {
        return false;
    }
    let hash: [u8; 32] = Sha256::digest(token).into();
    // All are compared, so that the time tells nothing about which one was near.
    let found = tokens.iter().fold(Choice::from(0), |found, known| found | known.0.ct_eq(&hash));
    found.into()
}

/// Without tokens the API is open to this host, but a page from elsewhere in a browser on this host is not
/// this host: its `Origin` (RFC 6454) gives it away on every request that changes something.
fn same_origin(request: &ServiceRequest) -> Result<(), Problem> {
    if matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS) {
        return Ok(());
    }
    let Some(origin) = request.headers().get(header::ORIGIN) else {
        return Ok(());
    };
    let authority = origin.to_str().ok().and_then(|text| text.split_once("://")).map(|(_, rest)| rest);
    let info = request.connection_info();
    if authority.is_some_and(|authority| authority.eq_ignore_ascii_case(info.host())) {
        return Ok(());
    }
    Err(Problem::forbidden(
        "web pages of another origin may not change streams; configure auth.tokens and send one",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash_of(token: &str) -> TokenHash {
        TokenHash(Sha256::digest(token.as_bytes()).into())
    }

    #[test]
    fn one_of_the_tokens_behind_the_bearer_scheme_is_accepted() {
        let tokens = [hash_of("first"), hash_of("second")];
        for good in ["Bearer first", "bearer second", "BEARER  second "] {
            assert!(is_accepted(Some(good.as_bytes()), &tokens), "{good}");
        }
        for bad in ["", "Bearer", "Bearer ", "Bearer third", "Basic first", "first", "Bearer first second"] {
            assert!(!is_accepted(Some(bad.as_bytes()), &tokens), "{bad}");
        }
        assert!(!is_accepted(None, &tokens));
        assert!(!is_accepted(Some(b"Bearer first"), &[]));
        assert!(!is_accepted(Some(b"Bearer "), &[hash_of("")]), "an empty token is none");
    }
}
