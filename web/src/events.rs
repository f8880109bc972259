//! `GET /api/events`: who may listen, to what, and what comes first.
//!
//! | file | what |
//! | --- | --- |
//! | `socket` | one WebSocket: the actor |

mod socket;

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use overdub_actors::events::{Happening, LogLevel};
use overdub_actors::requests::{GetBatches, GetStream};
use overdub_actors::settings::StreamId;
use serde_json::Map;

use crate::api::query::Query;
use crate::problem::{Problem, ProblemBody};
use crate::server::Shared;
use socket::Socket;

/// Subprotocol of version 1.
pub(crate) const PROTOCOL: &str = "overdub.v1";
/// Most listeners at a time.
const MAX_LISTENERS: usize = 256;
/// Most batches in a snapshot.
const SNAPSHOT_BATCHES: usize = 200;

/// A WebSocket (subprotocol `overdub.v1`): a snapshot, then what changes. docs/API.md describes the events.
#[utoipa::path(get, path = "/api/events", tag = "events", params(
    ("streamId" = Option<String>, Query, description = "Events of this stream alone"),
    ("logs" = Option<String>, Query, description = "Log lines as grave as this: error, warn, info, debug, off"),
), responses((status = 101, description = "Events follow"), (status = 426, description = "Not asked by a WebSocket", body = ProblemBody, content_type = "application/problem+json")))]
pub(crate) async fn listen(
    shared: web::Data<Shared>,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    let query = Query::read(&request, &["streamId", "logs"])?;
    let stream = query.stream_id("streamId")?;
    let levels = LogLevel::ALL.map(|level| (level.name(), Some(level)));
    let logs = query.choice("logs", &[&levels[..], &[("off", None)]].concat(), Some(LogLevel::Info))?;
    if !is_upgrade(&request) {
        return Err(Problem::not_a_websocket());
    }
    let settings = shared.settings();
    let hub = &settings.events;
    if hub.listeners() >= MAX_LISTENERS {
        return Err(Problem::unavailable(format!(
            "{MAX_LISTENERS} listeners are connected already; close one and connect again"
        )));
    }
    // It listens before the snapshot is taken, so that nothing falls between the two.
    let Some(subscription) = hub.subscribe(logs) else {
        return Err(Problem::unavailable("the service is shutting down; connect again after its next start"));
    };
    let snapshot = snapshot(&shared, stream.as_ref()).await?;
    socket::accept(Socket::new(subscription, stream, snapshot), &request, payload)
}

/// Whether the request asks for a WebSocket (RFC 6455 4.2.1).
pub(crate) fn is_upgrade(request: &HttpRequest) -> bool {
    let upgrade = request.headers().get(header::UPGRADE).and_then(|value| value.to_str().ok());
    upgrade.is_some_and(|value| value.eq_ignore_ascii_case("websocket"))
}

async fn snapshot(shared: &Shared, stream: Option<&StreamId>) -> Result<String, Problem> {
    let mut batches = Map::new();
    let mut streams = match stream {
        Some(id) => {
            let question = GetBatches { id: id.clone(), limit: SNAPSHOT_BATCHES, before: None };
            let views = shared.registry.batches(question).await?;
            let views = serde_json::to_value(views)
                .map_err(|error| Problem::internal(format!("the batches could not be written: {error}")))?;
            batches.insert(id.to_string(), views);
            vec![shared.registry.get(GetStream { id: id.clone() }).await?]
        }
        None => shared.registry.list().await?,
    };
    for view in &mut streams {
        view.settings = view.settings.redacted();
    }
    Ok(Happening::Snapshot { streams: &streams, batches }.text())
}

/// The token among the subprotocols, as a browser gives it that cannot set headers: `bearer.TOKEN`.
pub(crate) fn token_in_protocols(request: &HttpRequest) -> Option<Vec<u8>> {
    let values = request.headers().get_all(header::SEC_WEBSOCKET_PROTOCOL);
    let mut offered = values.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
    offered.find_map(|protocol| Some(protocol.trim().strip_prefix("bearer.")?.as_bytes().to_vec()))
}
