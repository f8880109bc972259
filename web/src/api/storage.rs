//! `/api/storage/{stats,clean}`.

use actix_web::{HttpRequest, HttpResponse, web};
use overdub_actors::requests::{CleanStorage, CleanView, GetStorage};
use serde::Serialize;

use super::query::Query;
use super::{body, json};
use crate::problem::Problem;
use crate::server::Shared;
use crate::validate;

/// `GET /api/storage/stats?streamId=`; without an id all streams together.
pub(crate) async fn stats(shared: web::Data<Shared>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let id = Query::read(&request, &["streamId"])?.stream_id("streamId")?;
    Ok(json(HttpResponse::Ok(), &shared.registry.storage(GetStorage { id }).await?))
}

#[derive(Debug, Serialize)]
struct Cleaned {
    success: bool,
    #[serde(flatten)]
    view: CleanView,
}

/// `POST /api/storage/clean`
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
