//! The plain API: `/api/pipeline/{start,stop,status}`.

use actix_web::{HttpRequest, HttpResponse, web};
use overdub_actors::requests::{
    GetStream, OutputView, StartWithSettings, StopStream, StreamState, StreamView,
};
use overdub_actors::settings::StreamId;
use serde::Serialize;
use utoipa::ToSchema;

use super::query::Query;
use super::{Done, body, json};
use crate::problem::Problem;
use crate::server::Shared;
use crate::validate::{self, FieldError};

/// Starts a stream with these settings: a new one, or one that does not run.
#[utoipa::path(post, path = "/api/pipeline/start", tag = "plain", request_body = validate::describe::PlainStartBody, responses((status = 200, body = Done)))]
pub(crate) async fn start(
    shared: web::Data<Shared>,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    let body = body::object(&request, payload).await?;
    let settings = validate::plain_start(body, &shared.settings().defaults).map_err(Problem::invalid)?;
    let id = settings.stream_id.clone();
    shared.registry.start_with_settings(StartWithSettings { settings }).await?;
    Ok(Done::answer(id, "has been started"))
}

/// Drains a stream and stops it; answers when it has stopped.
#[utoipa::path(post, path = "/api/pipeline/stop", tag = "plain", request_body = validate::describe::StopBody, responses((status = 200, body = Done)))]
pub(crate) async fn stop(
    shared: web::Data<Shared>,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    let body = body::object(&request, payload).await?;
    let id = validate::stop(body).map_err(Problem::invalid)?;
    shared.registry.stop(StopStream { id: id.clone() }).await?;
    Ok(Done::answer(id, "has stopped"))
}

/// How far a stream's modules are.
#[utoipa::path(get, path = "/api/pipeline/status", tag = "plain", params(("streamId" = Option<String>, Query, description = "May be left out while there is one stream")), responses((status = 200, body = PipelineStatus)))]
pub(crate) async fn status(shared: web::Data<Shared>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let view = match Query::read(&request, &["streamId"])?.stream_id("streamId")? {
        Some(id) => shared.registry.get(GetStream { id }).await?,
        None => only_one(shared.registry.list().await?)?,
    };
    Ok(json(HttpResponse::Ok(), &PipelineStatus::from(view)))
}

fn only_one(mut streams: Vec<StreamView>) -> Result<StreamView, Problem> {
    match (streams.len(), streams.pop()) {
        (1, Some(view)) => Ok(view),
        (0, _) => Err(Problem::not_found("there is no stream; POST /api/pipeline/start starts one")),
        (count, _) => Err(Problem::invalid(vec![FieldError {
            field: "streamId".to_owned(),
            message: format!("there are {count} streams; say which one with ?streamId="),
            allowed: Some("the id of one of GET /api/streams".to_owned()),
        }])),
    }
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PipelineStatus {
    is_running: bool,
    stream_id: StreamId,
    modules: Modules,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Modules {
    stream_fetcher: StreamFetcher,
    audio_processor: AudioProcessor,
    remuxer: Remuxer,
    stream_publisher: StreamPublisher,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct StreamFetcher {
    is_running: bool,
    segments_downloaded: u64,
    accumulated_duration: f64,
    current_batch_number: u64,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct AudioProcessor {
    batches_processed: u64,
    pending_batches: u64,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Remuxer {
    batches_remuxed: u64,
    pending_remux: u64,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct StreamPublisher {
    is_publishing: bool,
    fragments_published: u64,
    connection_status: String,
}

impl From<StreamView> for PipelineStatus {
    /// Renditions are added up. The publisher is the first output beyond HLS, or HLS where it is the only one.
    fn from(view: StreamView) -> Self {
        // A failed stream may be started again, so to this API it does not run.
        let is_running = view.state.is_active() && view.state != StreamState::Failed;
        let publisher = view.outputs.iter().find(|output| output.name != "hls").or(view.outputs.first());
        let sum = |figure: fn(&overdub_actors::requests::RenditionView) -> u64| {
            view.renditions.iter().map(figure).fold(0, u64::saturating_add)
        };
        Self {
            is_running,
            modules: Modules {
                stream_fetcher: StreamFetcher {
                    is_running: view.actors.iter().any(|actor| actor.name == "fetcher" && actor.running),
                    segments_downloaded: view.source.segments,
                    accumulated_duration: view.source.accumulated_duration,
                    current_batch_number: view.source.current_batch,
                },
                audio_processor: AudioProcessor {
                    batches_processed: sum(|rendition| rendition.processed),
                    pending_batches: sum(|rendition| rendition.pending),
                },
                remuxer: Remuxer {
                    batches_remuxed: sum(|rendition| rendition.remuxed),
                    pending_remux: sum(|rendition| rendition.pending_remux),
                },
                stream_publisher: StreamPublisher::from(publisher),
            },
            stream_id: view.stream_id,
        }
    }
}

impl From<Option<&OutputView>> for StreamPublisher {
    fn from(output: Option<&OutputView>) -> Self {
        Self {
            is_publishing: output.is_some_and(|output| output.up),
            fragments_published: output.map_or(0, |output| output.published),
            connection_status: output
                .map_or_else(|| "disconnected".to_owned(), |output| output.connection_status.clone()),
        }
    }
}
