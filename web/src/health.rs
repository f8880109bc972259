//! `/healthz` (the process answers and the registry lives) and `/readyz` (it can take work).

use actix_web::{HttpResponse, web};
use overdub_actors::requests::Readiness;
use serde_json::json;

use crate::api;
use crate::server::Shared;

/// `GET /healthz`
pub(crate) async fn health(shared: web::Data<Shared>) -> HttpResponse {
    if shared.registry.is_alive() {
        api::json(HttpResponse::Ok(), &json!({ "status": "ok" }))
    } else {
        let body = json!({ "status": "down", "reason": "the registry has ended" });
        api::json(HttpResponse::ServiceUnavailable(), &body)
    }
}

/// `GET /readyz`
pub(crate) async fn ready(shared: web::Data<Shared>) -> HttpResponse {
    let readiness = match shared.registry.readiness().await {
        Ok(readiness) => readiness,
        Err(problem) => Readiness { ready: false, reason: Some(problem.to_string()) },
    };
    let response = if readiness.ready { HttpResponse::Ok() } else { HttpResponse::ServiceUnavailable() };
    api::json(response, &readiness)
}
