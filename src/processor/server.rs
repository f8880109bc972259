//! HTTP: the Engine.IO endpoint, WebSocket only.

use std::collections::HashMap;
use std::net::SocketAddr;

use actix_web::dev::{self, Server};
use actix_web::error::PayloadError;
use actix_web::{App, FromRequest, HttpRequest, HttpResponse, HttpServer, web};
use anyhow::Context;
use futures_util::StreamExt;
use overdub_actors::link::codec::MAX_MESSAGE_BYTES;
use overdub_actors::link::frames::FrameGuard;
use serde_json::json;

use super::connection;
use super::work::Worker;

/// Binds and starts the server.
pub fn bind(host: &str, port: u16, worker: Worker) -> anyhow::Result<(SocketAddr, Server)> {
    let worker = web::Data::new(worker);
    let server = HttpServer::new(move || {
        App::new()
            .app_data(worker.clone())
            .route("/socket.io/", web::get().to(socket))
            .route("/socket.io", web::get().to(socket))
            .default_service(web::to(elsewhere))
    })
    .workers(2)
    .shutdown_timeout(1)
    .disable_signals()
    .bind((host, port))
    .with_context(|| format!("cannot listen on {host}:{port}"))?;
    let address = *server.addrs().first().context("no address was bound")?;
    Ok((address, server.run()))
}

async fn elsewhere() -> HttpResponse {
    HttpResponse::NotFound().body("this is a Socket.IO server; its endpoint is /socket.io/\n")
}

/// The Engine.IO handshake request. The codes of refusals are those of the official server.
async fn socket(
    request: HttpRequest,
    body: web::Payload,
    query: web::Query<HashMap<String, String>>,
    worker: web::Data<Worker>,
) -> actix_web::Result<HttpResponse> {
    let parameter = |name: &str| query.get(name).map(String::as_str);
    let refuse = |code: u8, message: &str| {
        Ok(HttpResponse::BadRequest().json(json!({ "code": code, "message": message })))
    };
    if parameter("transport") != Some("websocket") {
        let message =
            "Transport unknown: this server speaks WebSocket only, so connect with transports: ['websocket']";
        return refuse(0, message);
    }
    if parameter("sid").is_some() {
        return refuse(1, "Session ID unknown");
    }
    if parameter("EIO") != Some("4") {
        return refuse(
            5,
            "Unsupported protocol version: this server speaks Engine.IO 4 (Socket.IO 3 and later)",
        );
    }
    let body = guarded(&request, body).await?;
    let (response, session, messages) = actix_ws::handle(&request, body)?;
    let messages = messages
        .max_frame_size(MAX_MESSAGE_BYTES)
        .aggregate_continuations()
        .max_continuation_size(MAX_MESSAGE_BYTES);
    // Ends with the connection: every wait in it has a deadline, and the arbiter drops it when it stops.
    actix_web::rt::spawn(connection::serve(session, messages, worker.into_inner()));
    Ok(response)
}

/// The client's bytes, up to the first frame that announces more than is taken: the codec behind would
/// look at that only when it holds the whole of it.
async fn guarded(request: &HttpRequest, body: web::Payload) -> actix_web::Result<web::Payload> {
    let mut guard = FrameGuard::default();
    let checked = body.map(move |bytes| match bytes {
        Ok(bytes) if !guard.admits(&bytes) => Err(PayloadError::Overflow),
        other => other,
    });
    web::Payload::from_request(request, &mut dev::Payload::from(checked.boxed_local())).await
}
