//! `/api/streams` and what hangs below.

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use overdub_actors::requests::{
    BatchView, CreateStream, DeleteStream, ErrorView, GetBatches, GetStream, HistoryView, StartStream,
    StopStream, StreamState, StreamView,
};
use overdub_actors::settings::StreamId;
use serde::Serialize;
use utoipa::ToSchema;

use super::query::Query;
use super::{Done, body, id_in_path, json};
use crate::problem::Problem;
use crate::server::Shared;
use crate::validate;

/// Batches in an answer, where the request does not say.
const DEFAULT_LIMIT: u64 = 50;
/// Most batches in an answer.
const MAX_LIMIT: u64 = 1000;

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct StreamList {
    streams: Vec<Headline>,
}

/// A stream in the list: state and headline figures.
#[derive(Debug, Serialize, ToSchema)]
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
    /// Bits a second over the last segments; null while the source is down.
    bitrate: Option<f64>,
    /// How full the open batch is, 0 to 1.
    buffer_progress: f64,
    /// Seconds that processors have at least.
    delay: f64,
    last_turnaround: Option<f64>,
    /// Of all renditions together.
    history: HistoryView,
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
            bitrate: view.source.bitrate,
            buffer_progress: progress(&view),
            delay: view.delay,
            last_turnaround: view.last_turnaround,
            history: history(&view),
            stream_id: view.stream_id,
            reason: view.reason,
            since: view.since,
            last_error: view.last_error,
            hls_path: view.hls_path,
        }
    }
}

fn progress(view: &StreamView) -> f64 {
    let (full, there) = (view.source.buffer_duration, view.source.accumulated_duration);
    if full > 0.0 { (there / full).clamp(0.0, 1.0) } else { 0.0 }
}

fn history(view: &StreamView) -> HistoryView {
    let mut sum = HistoryView::default();
    for own in view.renditions.iter().map(|rendition| &rendition.history) {
        sum.bucket_seconds = own.bucket_seconds;
        for (sum, own) in [(&mut sum.batches, &own.batches), (&mut sum.fallbacks, &own.fallbacks)] {
            sum.resize(sum.len().max(own.len()), 0);
            sum.iter_mut().zip(own).for_each(|(sum, own)| *sum = sum.saturating_add(*own));
        }
    }
    sum
}

/// All streams with their headline figures.
#[utoipa::path(get, path = "/api/streams", tag = "streams", responses((status = 200, body = StreamList)))]
pub(crate) async fn list(shared: web::Data<Shared>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    Query::read(&request, &[])?;
    let streams = shared.registry.list().await?.into_iter().map(Headline::from).collect();
    Ok(json(HttpResponse::Ok(), &StreamList { streams }))
}

/// Creates a stream, and starts it unless `autostart` is false. 409 on a known id.
#[utoipa::path(post, path = "/api/streams", tag = "streams", request_body = validate::describe::NewStreamBody, responses((status = 201, body = StreamView, headers(("Location" = String, description = "Path of the stream"))), (status = 200, description = "It is created; how it is cannot be told yet", body = Done)))]
pub(crate) async fn create(
    shared: web::Data<Shared>,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    let body = body::object(&request, payload).await?;
    let validate::NewStream { settings, autostart } =
        validate::new_stream(body, &shared.settings().defaults).map_err(Problem::invalid)?;
    let id = settings.stream_id.clone();
    shared.registry.create(CreateStream { settings, start: autostart }).await?;
    let mut response = HttpResponse::Created();
    response.insert_header((header::LOCATION, format!("/api/streams/{id}")));
    // It stands, whatever becomes of the second question: that one's failure must not read as the first's.
    match shared.registry.get(GetStream { id: id.clone() }).await {
        Ok(view) => Ok(json(response, &shown(view))),
        Err(_) => Ok(Done::answer(id, "has been created; how it is cannot be told yet")),
    }
}

/// A stream: settings, state, actors, figures.
#[utoipa::path(get, path = "/api/streams/{id}", tag = "streams", params(("id" = String, Path, description = "The stream's id", example = "news")), responses((status = 200, body = StreamView)))]
pub(crate) async fn show(shared: web::Data<Shared>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let id = id_in_path(&request)?;
    Query::read(&request, &[])?;
    Ok(json(HttpResponse::Ok(), &shown(shared.registry.get(GetStream { id }).await?)))
}

/// The registry hides secrets already; redacting twice changes nothing, forgetting once would leak.
pub(super) fn shown(mut view: StreamView) -> StreamView {
    view.settings = view.settings.redacted();
    view
}

/// Stops a stream and forgets it.
#[utoipa::path(delete, path = "/api/streams/{id}", tag = "streams", params(("id" = String, Path, description = "The stream's id", example = "news"), ("purge" = Option<bool>, Query, description = "Remove its files too")), responses((status = 200, body = Done)))]
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

/// Starts a stopped, failed or ended stream.
#[utoipa::path(post, path = "/api/streams/{id}/start", tag = "streams", params(("id" = String, Path, description = "The stream's id", example = "news")), responses((status = 200, body = Done)))]
pub(crate) async fn start(shared: web::Data<Shared>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let id = id_in_path(&request)?;
    shared.registry.start(StartStream { id: id.clone() }).await?;
    Ok(Done::answer(id, "has been started"))
}

/// Drains a stream and stops it; answers when it has stopped.
#[utoipa::path(post, path = "/api/streams/{id}/stop", tag = "streams", params(("id" = String, Path, description = "The stream's id", example = "news")), responses((status = 200, body = Done)))]
pub(crate) async fn stop(shared: web::Data<Shared>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let id = id_in_path(&request)?;
    shared.registry.stop(StopStream { id: id.clone() }).await?;
    Ok(Done::answer(id, "has stopped"))
}

/// Stops a stream and starts it again.
#[utoipa::path(post, path = "/api/streams/{id}/restart", tag = "streams", params(("id" = String, Path, description = "The stream's id", example = "news")), responses((status = 200, body = Done)))]
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

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct BatchList {
    stream_id: StreamId,
    batches: Vec<BatchView>,
    /// What to give as `before` for the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_before: Option<u64>,
}

/// A stream's batches, newest first, with the times of their transitions.
#[utoipa::path(get, path = "/api/streams/{id}/batches", tag = "streams", params(("id" = String, Path, description = "The stream's id", example = "news"), ("limit" = Option<u64>, Query, minimum = 1, maximum = 1000, description = "At most this many; 50 where it is left out"), ("before" = Option<u64>, Query, description = "Only batches with a lower number")), responses((status = 200, body = BatchList)))]
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
