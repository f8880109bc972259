//! `PATCH /api/streams/{id}`.

use std::collections::BTreeMap;

use actix_web::{HttpRequest, HttpResponse, web};
use overdub_actors::requests::{ChangeStream, GetStream, StartStream, StopStream, StreamView};
use overdub_actors::settings::Difference;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::query::Query;
use super::streams::shown;
use super::{body, id_in_path, json};
use crate::problem::Problem;
use crate::registry::Registry;
use crate::server::Shared;
use crate::validate;

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Changed {
    /// The stream as it is now.
    stream: StreamView,
    /// What it was and what it is, by setting; secrets are hidden.
    #[schema(value_type = std::collections::HashMap<String, Vec<Value>>)]
    changed: BTreeMap<String, [Value; 2]>,
    /// Whether the stream was stopped and started for it.
    restarted: bool,
}

/// Changes settings. A running stream follows a change of processors, fallbacks, RTMP addresses and of how many
/// batches a processor has; 409 names what needs a restart.
#[utoipa::path(patch, path = "/api/streams/{id}", tag = "streams", params(
    ("id" = String, Path, description = "The stream's id", example = "news"),
    ("restart" = Option<bool>, Query, description = "Restart the stream where its run cannot follow"),
), request_body = validate::describe::ChangeBody, responses((status = 200, body = Changed)))]
pub(crate) async fn change(
    shared: web::Data<Shared>,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    let id = id_in_path(&request)?;
    let restart = Query::read(&request, &["restart"])?.flag("restart")?;
    let body = body::object(&request, payload).await?;
    let change = validate::change::read(body, &id).map_err(Problem::invalid)?;
    let message = ChangeStream { id: id.clone(), change };
    let (differences, restarted) = match shared.registry.change(message.clone()).await {
        Err(problem) if restart && problem.needs_restart() => {
            let registry = shared.registry.clone();
            // A task of its own: a client that hangs up in between must not leave the stream stopped.
            let all = actix_rt::spawn(change_between_runs(registry, message));
            let broken = |_| Problem::internal("the restart broke off; ask for the stream's state");
            (all.await.map_err(broken)??, true)
        }
        outcome => (outcome?, false),
    };
    let stream = shown(shared.registry.get(GetStream { id }).await?);
    let changed = differences.into_iter().map(|difference| (difference.field, difference.values)).collect();
    Ok(json(HttpResponse::Ok(), &Changed { stream, changed, restarted }))
}

async fn change_between_runs(registry: Registry, message: ChangeStream) -> Result<Vec<Difference>, Problem> {
    let id = message.id.clone();
    registry.stop(StopStream { id: id.clone() }).await?;
    let changed = registry.change(message).await;
    // Whatever became of the change, the stream was running.
    registry.start(StartStream { id }).await?;
    changed
}
