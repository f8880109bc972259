//! The built page (`web/ui`), embedded: `/` and what it loads. A program that was built without it serves
//! the plain page instead.

use std::borrow::Cow;

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use bytes::Bytes;
use rust_embed::{EmbeddedFile, RustEmbed};

use super::show as show_plain;
use crate::problem::Problem;
use crate::server::Shared;

const INDEX: &str = "index.html";

/// Only what this service serves itself; nothing inline, nothing evaluated, in nobody's frame. Media come from
/// the player's buffers (`blob:`).
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
    media-src 'self' blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
    require-trusted-types-for 'script'; trusted-types 'none'";

/// Names with a dash bear a hash of the content behind it: what has been fetched once stays true.
const FOR_EVER: &str = "public, max-age=31536000, immutable";

#[derive(RustEmbed)]
#[folder = "ui/dist/page"]
#[allow_missing = true]
struct Files;

/// `GET /`
pub(crate) async fn show(shared: web::Data<Shared>, request: HttpRequest) -> HttpResponse {
    let Some((file, encoding)) = pick(INDEX, accepted(&request)) else {
        return show_plain(shared, request).await;
    };
    let hash: String =
        file.metadata.sha256_hash().iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    let tag = format!("\"{hash}\"");
    let known =
        request.headers().get(header::IF_NONE_MATCH).is_some_and(|given| given.as_bytes() == tag.as_bytes());
    let mut response = if known { HttpResponse::NotModified() } else { HttpResponse::Ok() };
    response
        .insert_header((header::CONTENT_TYPE, content_type(INDEX)))
        .insert_header((header::CONTENT_SECURITY_POLICY, POLICY))
        .insert_header((header::CACHE_CONTROL, "no-cache"))
        .insert_header((header::ETAG, tag))
        .insert_header((header::VARY, "Accept-Encoding"));
    if known {
        return response.finish();
    }
    if let Some(encoding) = encoding {
        response.insert_header((header::CONTENT_ENCODING, encoding));
    }
    response.body(contents(file))
}

/// `GET /assets/{name}`
pub(crate) async fn asset(request: HttpRequest) -> Result<HttpResponse, Problem> {
    let name = request.match_info().get("name").unwrap_or_default();
    let (file, encoding) = pick(&format!("assets/{name}"), accepted(&request))
        .ok_or_else(|| Problem::not_found("the page has no such part (any more); load / again"))?;
    let mut response = HttpResponse::Ok();
    response
        .insert_header((header::CONTENT_TYPE, content_type(name)))
        .insert_header((header::CACHE_CONTROL, if name.contains('-') { FOR_EVER } else { "no-cache" }))
        .insert_header((header::VARY, "Accept-Encoding"));
    if let Some(encoding) = encoding {
        response.insert_header((header::CONTENT_ENCODING, encoding));
    }
    Ok(response.body(contents(file)))
}

/// The file in the best encoding that the client takes and that there is.
fn pick(name: &str, accepted: &str) -> Option<(EmbeddedFile, Option<&'static str>)> {
    let packed = [("br", "br"), ("gzip", "gz")]
        .into_iter()
        .filter(|(encoding, _)| takes(accepted, encoding))
        .find_map(|(encoding, ending)| Some((Files::get(&format!("{name}.{ending}"))?, Some(encoding))));
    packed.or_else(|| Some((Files::get(name)?, None)))
}

fn accepted(request: &HttpRequest) -> &str {
    request.headers().get(header::ACCEPT_ENCODING).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// Whether `Accept-Encoding` (RFC 9110 12.5.3) names `encoding`, and not to refuse it.
fn takes(accepted: &str, encoding: &str) -> bool {
    accepted.split(',').any(|item| {
        let mut parts = item.split(';').map(str::trim);
        let named = parts.next().is_some_and(|name| name.eq_ignore_ascii_case(encoding));
        let refused =
            parts.filter_map(|part| part.strip_prefix("q=")).any(|weight| weight.parse() == Ok(0.0_f32));
        named && !refused
    })
}

fn content_type(name: &str) -> &'static str {
    match name.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("txt") => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

fn contents(file: EmbeddedFile) -> Bytes {
    match file.data {
        Cow::Borrowed(bytes) => Bytes::from_static(bytes),
        Cow::Owned(bytes) => Bytes::from(bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_encoding_is_taken_when_it_is_named_and_not_refused() {
        for good in ["br", "gzip, deflate, br", "gzip;q=0.5,BR;q=1.0", "br ; q=0.1"] {
            assert!(takes(good, "br"), "{good}");
        }
        for bad in ["", "gzip", "brotli", "br;q=0", "br; q=0.000, gzip", "x-br"] {
            assert!(!takes(bad, "br"), "{bad}");
        }
    }

    #[test]
    fn every_kind_of_file_that_the_page_is_built_of_has_its_type() {
        let unknown = Files::iter()
            .filter(|name| !name.ends_with(".br") && !name.ends_with(".gz"))
            .find(|name| content_type(name) == "application/octet-stream");
        assert_eq!(unknown, None);
        assert_eq!(content_type("x.js"), "text/javascript; charset=utf-8");
    }
}
