//! The HLS origin: `GET /live/{id}/{path}`.
//!
//! | module | what |
//! | --- | --- |
//! | [`range`] | the `Range` header against a file's length, pure |
//! | [`patch`] | overwrites of a few bytes on the way out, pure |
//! | `file` | a file, or a part of it, as an answer |
//!
//! The registry alone knows which resources there are; a path from outside never touches the file system.

pub(crate) mod file;
pub mod patch;
pub mod range;

use actix_web::http::{Method, header};
use actix_web::middleware::DefaultHeaders;
use actix_web::{HttpRequest, HttpResponse, Scope, web};
use overdub_actors::requests::{GetLive, LiveResource};
use overdub_actors::settings::StreamId;

use crate::api::resource;
use crate::problem::Problem;
use crate::server::Shared;

const METHODS: &str = "GET, HEAD, OPTIONS";
/// Longest path below `/live/{id}/`, in bytes.
const MAX_PATH_LEN: usize = 512;

/// Routes below `/live`. Any page may play a stream, so every answer, errors too, bears the CORS headers.
pub(crate) fn scope() -> Scope<
    impl actix_web::dev::ServiceFactory<
        actix_web::dev::ServiceRequest,
        Config = (),
        Response = actix_web::dev::ServiceResponse,
        Error = actix_web::Error,
        InitError = (),
    >,
> {
    let cors = DefaultHeaders::new()
        .add((header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"))
        .add((header::ACCESS_CONTROL_EXPOSE_HEADERS, "Accept-Ranges, Content-Length, Content-Range, ETag"))
        .add(("Cross-Origin-Resource-Policy", "cross-origin"));
    web::scope("/live")
        .wrap(cors)
        .service(
            resource("/{id}/{path:.*}", METHODS)
                .route(web::get().to(serve))
                .route(web::head().to(serve))
                .route(web::method(Method::OPTIONS).to(preflight)),
        )
        .default_service(web::to(|| async { Err::<HttpResponse, Problem>(no_resource()) }))
}

/// Answers what a browser asks before it sends a `Range` header to another origin (Fetch 4.8).
async fn preflight() -> HttpResponse {
    HttpResponse::NoContent()
        .insert_header((header::ACCESS_CONTROL_ALLOW_METHODS, METHODS))
        .insert_header((
            header::ACCESS_CONTROL_ALLOW_HEADERS,
            "Range, If-Range, If-None-Match, Cache-Control",
        ))
        .insert_header((header::ACCESS_CONTROL_MAX_AGE, "86400"))
        .insert_header((header::ALLOW, METHODS))
        .finish()
}

async fn serve(shared: web::Data<Shared>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let parts = request.match_info();
    let path = parts.get("path").unwrap_or_default();
    // An id that cannot exist and a path that no playlist names get the answer of an unknown one.
    let id = StreamId::new(parts.get("id").unwrap_or_default()).map_err(|_| no_resource())?;
    if !is_plain(path) {
        return Err(no_resource());
    }
    let resource = shared.registry.live(GetLive { id, path: path.to_owned() }).await?;
    match resource.ok_or_else(no_resource)? {
        LiveResource::Playlist(text) => Ok(HttpResponse::Ok()
            .insert_header((header::CONTENT_TYPE, "application/vnd.apple.mpegurl"))
            .insert_header((header::CACHE_CONTROL, "no-cache"))
            .body(text)),
        LiveResource::File { path, content_type, patches } => {
            file::answer(&request, path, content_type, patches, file::FOR_AN_HOUR).await
        }
    }
}

fn no_resource() -> Problem {
    Problem::not_found("there is no such stream or resource, or not yet; begin at /live/{id}/index.m3u8")
}

/// Whether `path` is made of plain names: no empty, `.` or `..` component, nothing escaped or invisible.
fn is_plain(path: &str) -> bool {
    path.len() <= MAX_PATH_LEN
        && !path.contains(|c: char| c.is_control() || matches!(c, '\\' | '%'))
        && path.split('/').all(|part| !matches!(part, "" | "." | ".."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_paths_are_asked_for() {
        for good in ["index.m3u8", "audio/main.m3u8", "init-0.mp4", "batch-12/video.fmp4", "a..b", "..."] {
            assert!(is_plain(good), "{good}");
        }
        for bad in
            ["", "/", "..", "a/../b", "a//b", "a/", "/etc/passwd", "./a", "a\\..\\b", "%2e%2e/a", "a\0b"]
        {
            assert!(!is_plain(bad), "{bad:?}");
        }
        assert!(!is_plain(&"x".repeat(513)));
    }
}
