//! `/api/webhooks` and what hangs below.

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use overdub_actors::requests::{
    AddWebhook, ListWebhooks, RemoveWebhook, TestWebhook, WebhookTest, WebhookView,
};
use serde::Serialize;
use utoipa::ToSchema;

use super::query::Query;
use super::{body, json};
use crate::problem::Problem;
use crate::server::Shared;
use crate::validate;

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct WebhookList {
    webhooks: Vec<WebhookView>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Removed {
    success: bool,
    message: String,
}

/// All webhooks, without their secrets.
#[utoipa::path(get, path = "/api/webhooks", tag = "webhooks", responses(
    (status = 200, body = WebhookList),
))]
pub(crate) async fn list(shared: web::Data<Shared>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    Query::read(&request, &[])?;
    let webhooks = shared.registry.webhooks(ListWebhooks).await?;
    Ok(json(HttpResponse::Ok(), &WebhookList { webhooks }))
}

/// Posts events to a URL from now on, signed where a secret is given.
#[utoipa::path(post, path = "/api/webhooks", tag = "webhooks", request_body = validate::webhook::WebhookBody, responses(
    (status = 201, body = WebhookView, headers(("Location" = String, description = "Path of the webhook"))),
))]
pub(crate) async fn add(
    shared: web::Data<Shared>,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    Query::read(&request, &[])?;
    let body = body::object(&request, payload).await?;
    let wanted: AddWebhook = validate::webhook::read(body).map_err(Problem::invalid)?;
    let view = shared.registry.add_webhook(wanted).await?;
    let mut response = HttpResponse::Created();
    response.insert_header((header::LOCATION, format!("/api/webhooks/{}", view.id)));
    Ok(json(response, &view))
}

/// Forgets a webhook; what waits for it is dropped.
#[utoipa::path(delete, path = "/api/webhooks/{id}", tag = "webhooks", params(("id" = String, Path)), responses(
    (status = 200, body = Removed),
))]
pub(crate) async fn remove(shared: web::Data<Shared>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    Query::read(&request, &[])?;
    let id = id_in_path(&request);
    shared.registry.remove_webhook(RemoveWebhook { id: id.clone() }).await?;
    let message = format!("webhook {id} has been removed");
    Ok(json(HttpResponse::Ok(), &Removed { success: true, message }))
}

/// Posts a notice of the kind `test` once, and says how it went.
#[utoipa::path(post, path = "/api/webhooks/{id}/test", tag = "webhooks", params(("id" = String, Path)), responses(
    (status = 200, body = WebhookTest),
))]
pub(crate) async fn test(shared: web::Data<Shared>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    Query::read(&request, &[])?;
    let id = id_in_path(&request);
    Ok(json(HttpResponse::Ok(), &shared.registry.test_webhook(TestWebhook { id }).await?))
}

fn id_in_path(request: &HttpRequest) -> String {
    request.match_info().get("id").unwrap_or_default().to_owned()
}
