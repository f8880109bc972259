//! `/api/streams` and what hangs below.

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use overdub_actors::requests::{
    BatchView, CreateStream, DeleteStream, ErrorView, GetBatches, GetStream, StartStream, StopStream,
    StreamState, StreamView,
};
use overdub_actors::settings::StreamId;
use serde::Serialize;

use super::query::Query;
use super::{Done, body, id_in_path, json};
use crate::problem::Problem;
use crate::server::Shared;
use crate::validate;

/// Batches in an answer, where the request does not say.
const DEFAULT_LIMIT: u64 = 50;
/// Most batches in an answer.
const MAX_LIMIT: u64 = 1000;

#[derive(Debug, Serialize)]
struct StreamList {
    streams: Vec<Headline>,
}

/// A stream in the list: state and headline figures.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Headline {
    stream_id: StreamId,
    state: StreamState,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    since: String,
    source_url: String,
    segments_downloaded: u64,
    current_batch_number: u64,
    batches_processed: u64,
    fallbacks: u64,
    late: u64,
    fragments_published: u64,
    outputs_up: usize,
    outputs: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_error: Option<ErrorView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hls_path: Option<String>,
}

impl From<StreamView> for Headline {
    fn from(view: StreamView) -> Self {
        let sum = |figure: fn(&overdub_actors::requests::RenditionView) -> u64| {
            view.renditions.iter().map(figure).fold(0, u64::saturating_add)
        };
        Self {
            state: view.state,
            source_url: view.settings.redacted().source_url,
            segments_downloaded: view.source.segments,
            current_batch_number: view.source.current_batch,
            batches_processed: sum(|rendition| rendition.processed),
            fallbacks: sum(|rendition| rendition.fallbacks),
            late: sum(|rendition| rendition.late),
            fragments_published: view.outputs.iter().map(|output| output.published).max().unwrap_or(0),
            outputs_up: view.outputs.iter().filter(|output| output.up).count(),
            outputs: view.outputs.len(),
            stream_id: view.stream_id,
            reason: view.reason,
            since: view.since,
            last_error: view.last_error,
            hls_path: view.hls_path,
        }
    }
}

/// `GET /api/streams`
pub(crate) async fn list(shared: web::Data<Shared>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    Query::read(&request, &[])?;
    let streams = shared.registry.list().await?.into_iter().map(Headline::from).collect();
    Ok(json(HttpResponse::Ok(), &StreamList { streams }))
}

/// `POST /api/streams`: 201 with the stream as `GET` shows it.
pub(crate) async fn create(
    shared: web::Data<Shared>,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    let body = body::object(&request, payload).await?;
    let validate::NewStream { settings, autostart } =
        validate::new_stream(body, &shared.settings.defaults).map_err(Problem::invalid)?;
    let id = settings.stream_id.clone();
    shared.registry.create(CreateStream { settings, start: autostart }).await?;
    let mut response = HttpResponse::Created();
    response.insert_header((header::LOCATION, format!("/api/streams/{id}")));
    // It stands, whatever becomes of the second question: that one's failure must not read as the first's.
    match shared.registry.get(GetStream { id: id.clone() }).await {
        Ok(view) => Ok(json(response, &shown(view))),
        Err(_) => Ok(json(response, &serde_json::json!({ "streamId": id }))),
    }
}

/// `GET /api/streams/{id}`
pub(crate) async fn show(shared: web::Data<Shared>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let id = id_in_path(&request)?;
    Query::read(&request, &[])?;
    Ok(json(HttpResponse::Ok(), &shown(shared.registry.get(GetStream { id }).await?)))
}

/// The registry hides secrets already; redacting twice changes nothing, forgetting once would leak.
fn shown(mut view: StreamView) -> StreamView {
    view.settings = view.settings.redacted();
    view
}

/// `DELETE /api/streams/{id}?purge=true`
pub(crate) async fn delete(shared: web::Data<Shared>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let id = id_in_path(&request)?;
    let purge = Query::read(&request, &["purge"])?.flag("purge")?;
    shared.registry.delete(DeleteStream { id: id.clone(), purge }).await?;
    Ok(Done::answer(
        id,
        if purge {
            "has been deleted with its files"
        } else {
            "has been deleted; its files stay in the storage folder"
        },
    ))
}

/// `POST /api/streams/{id}/start`
pub(crate) async fn start(shared: web::Data<Shared>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let id = id_in_path(&request)?;
    shared.registry.start(StartStream { id: id.clone() }).await?;
    Ok(Done::answer(id, "has been started"))
}

/// `POST /api/streams/{id}/stop`
pub(crate) async fn stop(shared: web::Data<Shared>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let id = id_in_path(&request)?;
    shared.registry.stop(StopStream { id: id.clone() }).await?;
    Ok(Done::answer(id, "has stopped"))
}

/// `POST /api/streams/{id}/restart`
pub(crate) async fn restart(
    shared: web::Data<Shared>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let id = id_in_path(&request)?;
    let target = id.clone();
    // A task of its own: a client that hangs up in between must not leave the stream stopped.
    let both = actix_rt::spawn(async move {
        shared.registry.stop(StopStream { id: target.clone() }).await?;
        shared.registry.start(StartStream { id: target }).await
    });
    both.await.map_err(|_| Problem::internal("the restart broke off; ask for the stream's state"))??;
    Ok(Done::answer(id, "has been restarted"))
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct BatchList {
    stream_id: StreamId,
    batches: Vec<BatchView>,
    /// What to give as `before` for the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_before: Option<u64>,
}

/// `GET /api/streams/{id}/batches?limit=&before=`
pub(crate) async fn batches(
    shared: web::Data<Shared>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let id = id_in_path(&request)?;
    let query = Query::read(&request, &["limit", "before"])?;
    let limit = query.integer("limit", 1..=MAX_LIMIT)?.unwrap_or(DEFAULT_LIMIT);
    let before = query.integer("before", 0..=u64::MAX)?;
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let batches = shared.registry.batches(GetBatches { id: id.clone(), limit, before }).await?;
    let next_before = batches.last().map(|oldest| oldest.batch).filter(|_| batches.len() >= limit);
    Ok(json(HttpResponse::Ok(), &BatchList { stream_id: id, batches, next_before }))
}
