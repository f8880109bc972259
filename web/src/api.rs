//! Handlers below `/api`, and what they share: bodies, queries, ids in the path.

pub(crate) mod body;
pub(crate) mod change;
pub(crate) mod media;
pub(crate) mod pipeline;
pub(crate) mod query;
pub(crate) mod session;
pub(crate) mod storage;
pub(crate) mod streams;
pub(crate) mod webhooks;

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, Resource, web};
use overdub_actors::settings::StreamId;
use serde::Serialize;

use crate::problem::Problem;
use crate::validate::fields::shown_text;
use crate::validate::{FieldError, ID_FORM};
use crate::{docs, events};

/// Routes below `/api`.
pub(crate) fn routes(config: &mut web::ServiceConfig) {
    config
        .service(resource("/pipeline/start", "POST").route(web::post().to(pipeline::start)))
        .service(resource("/pipeline/stop", "POST").route(web::post().to(pipeline::stop)))
        .service(resource("/pipeline/status", "GET").route(web::get().to(pipeline::status)))
        .service(resource("/events", "GET").route(web::get().to(events::listen)))
        .service(resource("/session", "GET").route(web::get().to(session::show)))
        .service(resource("/storage/stats", "GET").route(web::get().to(storage::stats)))
        .service(resource("/storage/clean", "POST").route(web::post().to(storage::clean)))
        .service(
            resource("/streams", "GET, POST")
                .route(web::get().to(streams::list))
                .route(web::post().to(streams::create)),
        )
        .service(
            resource("/streams/{id}", "GET, PATCH, DELETE")
                .route(web::get().to(streams::show))
                .route(web::patch().to(change::change))
                .route(web::delete().to(streams::delete)),
        )
        .service(resource("/streams/{id}/start", "POST").route(web::post().to(streams::start)))
        .service(resource("/streams/{id}/stop", "POST").route(web::post().to(streams::stop)))
        .service(resource("/streams/{id}/restart", "POST").route(web::post().to(streams::restart)))
        .service(resource("/streams/{id}/batches", "GET").route(web::get().to(streams::batches)))
        .service(
            resource("/streams/{id}/batches/{batch}/audio", "GET, HEAD")
                .route(web::get().to(media::audio))
                .route(web::head().to(media::audio)),
        )
        .service(resource("/streams/{id}/logs", "GET").route(web::get().to(media::logs)))
        .service(
            resource("/webhooks", "GET, POST")
                .route(web::get().to(webhooks::list))
                .route(web::post().to(webhooks::add)),
        )
        .service(resource("/webhooks/{id}", "DELETE").route(web::delete().to(webhooks::remove)))
        .service(resource("/webhooks/{id}/test", "POST").route(web::post().to(webhooks::test)))
        .service(resource("/openapi.json", "GET").route(web::get().to(docs::description)));
}

/// A resource that answers methods it has no route for with 405 and `allow`.
pub(crate) fn resource(path: &str, allow: &'static str) -> Resource {
    web::resource(path).default_service(web::to(move || async move {
        Err::<HttpResponse, Problem>(Problem::method_not_allowed(allow))
    }))
}

/// What most commands answer.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Done {
    success: bool,
    message: String,
    stream_id: StreamId,
}

impl Done {
    fn answer(id: StreamId, what: &str) -> HttpResponse {
        let message = format!("stream {id} {what}");
        json(HttpResponse::Ok(), &Self { success: true, message, stream_id: id })
    }
}

/// `body` as a JSON answer that no cache keeps.
pub(crate) fn json(mut response: HttpResponseBuilder, body: &impl Serialize) -> HttpResponse {
    response.insert_header((header::CACHE_CONTROL, "no-store")).json(body)
}

/// The stream id in the path, checked.
fn id_in_path(request: &HttpRequest) -> Result<StreamId, Problem> {
    id_from("id", request.match_info().get("id").unwrap_or_default())
}

fn id_from(field: &str, text: &str) -> Result<StreamId, Problem> {
    StreamId::new(text).map_err(|form| {
        let message = format!("{field} {} is not an id; {form}", shown_text(text));
        Problem::invalid(vec![FieldError {
            field: field.to_owned(),
            message,
            allowed: Some(ID_FORM.to_owned()),
        }])
    })
}
