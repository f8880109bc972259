//! A batch's sound, and a stream's log.

use actix_web::{HttpRequest, HttpResponse, web};
use overdub_actors::events::LogLevel;
use overdub_actors::requests::{AudioTrack, GetBatchAudio, GetLogs, LiveResource, LogEntry};
use overdub_actors::settings::{MAIN_RENDITION, StreamId};
use serde::Serialize;
use utoipa::ToSchema;

use super::query::Query;
use super::{id_in_path, json};
use crate::live::file;
use crate::problem::Problem;
use crate::server::Shared;

const TRACKS: [(&str, AudioTrack); 3] = [
    ("original", AudioTrack::Original),
    ("processed", AudioTrack::Processed),
    ("fitted", AudioTrack::Fitted),
];
/// Lines in an answer, where the request does not say, and most lines in an answer.
const LINES: (u64, u64) = (200, 1000);

/// The sound of a batch: as it came, as its processor sent it, or as it went on air. Byte ranges are served.
#[utoipa::path(get, path = "/api/streams/{id}/batches/{batch}/audio", tag = "streams", params(
    ("id" = String, Path, description = "The stream's id", example = "news"),
    ("batch" = u64, Path, description = "The batch's number", example = 1),
    ("track" = inline(Option<AudioTrack>), Query, description = "processed where it is left out"),
    ("rendition" = Option<String>, Query, description = "The rendition's name; main where it is left out"),
), responses(
    (status = 200, description = "The sound, as what it is", content(
        (Vec<u8> = "audio/mp4"), (Vec<u8> = "audio/aac"), (Vec<u8> = "audio/wav"), (Vec<u8> = "audio/mpeg"), (Vec<u8> = "audio/ogg"),
        (Vec<u8> = "audio/flac"), (Vec<u8> = "video/mp2t"), (Vec<u8> = "application/octet-stream"),
    )),
    (status = 206, description = "The part that `Range` names", content(
        (Vec<u8> = "audio/mp4"), (Vec<u8> = "audio/aac"), (Vec<u8> = "audio/wav"), (Vec<u8> = "audio/mpeg"), (Vec<u8> = "audio/ogg"),
        (Vec<u8> = "audio/flac"), (Vec<u8> = "video/mp2t"), (Vec<u8> = "application/octet-stream"),
    ), headers(("Content-Range" = String))),
    (status = 304, description = "What `If-None-Match` names is still it"),
))]
pub(crate) async fn audio(shared: web::Data<Shared>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let id = id_in_path(&request)?;
    let query = Query::read(&request, &["track", "rendition"])?;
    let track = query.choice("track", &TRACKS, AudioTrack::Processed)?;
    let rendition = match query.stream_id("rendition")? {
        Some(name) => name,
        None => StreamId::new(MAIN_RENDITION).map_err(|error| Problem::internal(error.to_string()))?,
    };
    let number = request.match_info().get("batch").unwrap_or_default();
    let batch = number.parse().ok().filter(|_| number.bytes().all(|byte| byte.is_ascii_digit())).ok_or_else(
        || Problem::not_found("a batch is named by its number; see GET /api/streams/{id}/batches"),
    )?;
    match shared.registry.audio(GetBatchAudio { id, batch, track, rendition }).await? {
        Some(LiveResource::File { path, content_type, patches }) => {
            file::answer(&request, path, content_type, patches, file::FOR_THE_ASKER).await
        }
        _ => Err(Problem::not_found(
            "this sound is not there: the batch has been cleaned up, its processor sent none, or it is still to come",
        )),
    }
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Lines {
    entries: Vec<LogEntry>,
}

/// The last lines of the stream's own log, the newest last.
#[utoipa::path(get, path = "/api/streams/{id}/logs", tag = "streams", params(
    ("id" = String, Path, description = "The stream's id", example = "news"),
    ("level" = inline(Option<LogLevel>), Query, description = "Lines as grave as this; info where it is left out"),
    ("limit" = Option<u64>, Query, minimum = 1, maximum = 1000, description = "At most this many; 200 where it is left out"),
), responses((status = 200, body = Lines)))]
pub(crate) async fn logs(shared: web::Data<Shared>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let id = id_in_path(&request)?;
    let query = Query::read(&request, &["level", "limit"])?;
    let level = query.choice("level", &LogLevel::ALL.map(|level| (level.name(), level)), LogLevel::Info)?;
    let limit = query.integer("limit", 1..=LINES.1)?.unwrap_or(LINES.0);
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let entries = shared.registry.logs(GetLogs { id, level, limit }).await?;
    Ok(json(HttpResponse::Ok(), &Lines { entries }))
}
