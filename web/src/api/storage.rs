//! `/api/storage/{stats,clean}`.

use actix_web::{HttpRequest, HttpResponse, web};
use overdub_actors::requests::{CleanStorage, CleanView, GetStorage, StorageView};
use serde::Serialize;
use utoipa::ToSchema;

use super::query::Query;
use super::{body, json};
use crate::problem::Problem;
use crate::server::Shared;
use crate::validate;

/// How much a stream, or all together, stores.
#[utoipa::path(get, path = "/api/storage/stats", tag = "storage", params(("streamId" = Option<String>, Query, description = "Without it all streams together")), responses((status = 200, body = StorageView)))]
pub(crate) async fn stats(shared: web::Data<Shared>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let id = Query::read(&request, &["streamId"])?.stream_id("streamId")?;
    Ok(json(HttpResponse::Ok(), &shared.registry.storage(GetStorage { id }).await?))
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Cleaned {
    success: bool,
    #[serde(flatten)]
    view: CleanView,
}

/// Removes published batches but the newest; what is unpublished or listed stays.
#[utoipa::path(post, path = "/api/storage/clean", tag = "storage", request_body = validate::describe::CleanBody, responses((status = 200, body = Cleaned)))]
pub(crate) async fn clean(
    shared: web::Data<Shared>,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    let body = body::object(&request, payload).await?;
    let validate::Clean { id, keep_last } = validate::clean(body).map_err(Problem::invalid)?;
    let view = shared.registry.clean(CleanStorage { id, keep_last }).await?;
    Ok(json(HttpResponse::Ok(), &Cleaned { success: true, view }))
}
