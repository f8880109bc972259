//! `GET /api/session`: what the asker may do, and what it needs before it asks for more. Open to all.

use actix_web::{HttpRequest, HttpResponse, web};
use overdub_actors::settings::{Fallback, StartAt, redact_url};
use serde::Serialize;
use utoipa::ToSchema;

use super::json;
use super::query::Query;
use crate::auth::{self, Access};
use crate::problem::Problem;
use crate::server::Shared;
use crate::settings::StreamDefaults;

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Session {
    access: Access,
    auth_required: bool,
    version: &'static str,
    defaults: Defaults,
}

/// What a stream is made with where its request does not say, without credentials.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Defaults {
    buffer_duration: f64,
    delay: f64,
    max_concurrent_batches: u32,
    fallback: Fallback,
    audio_processor_url: String,
    srs_rtmp_url: String,
    hls_output: bool,
    start: StartAt,
}

impl From<&StreamDefaults> for Defaults {
    fn from(defaults: &StreamDefaults) -> Self {
        let shown = |url: &str| match url {
            "" => String::new(),
            url if is_plain(url) => url.to_owned(),
            url => redact_url(url),
        };
        Self {
            buffer_duration: defaults.buffer_duration,
            delay: defaults.delay,
            max_concurrent_batches: defaults.max_concurrent_batches,
            fallback: defaults.fallback,
            audio_processor_url: shown(&defaults.audio_processor_url),
            srs_rtmp_url: shown(&defaults.srs_rtmp_url),
            hls_output: defaults.hls_output,
            start: defaults.start,
        }
    }
}

/// Whether the URL's last part is the placeholder for the stream's id, and nothing else of it can be a secret.
fn is_plain(url: &str) -> bool {
    url.ends_with("/{streamId}") && !url.contains(['@', '?', '#'])
}

/// What the asker may do, and the settings that a new stream gets. Open to all.
#[utoipa::path(get, path = "/api/session", tag = "service", responses((status = 200, body = Session)))]
pub(crate) async fn show(shared: web::Data<Shared>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    Query::read(&request, &[])?;
    let settings = shared.settings();
    let session = Session {
        access: auth::access(&request, &settings),
        auth_required: settings.needs_token(),
        version: env!("CARGO_PKG_VERSION"),
        defaults: Defaults::from(&settings.defaults),
    };
    Ok(json(HttpResponse::Ok(), &session))
}
