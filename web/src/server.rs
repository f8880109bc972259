//! Routes put together; the server bound, run and stopped.

use std::any::Any;
use std::future::Future;
use std::io;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use actix_rt::net::TcpStream;
use actix_web::dev::Server;
use actix_web::http::header;
use actix_web::middleware::{DefaultHeaders, from_fn};
use actix_web::{App, HttpResponse, HttpServer, Resource, Route, guard, web};

use socket2::{Domain, SockRef, Socket, Type};

use crate::api::resource;
use crate::limit::{self, Limits};
use crate::metrics::HttpMetrics;
use crate::problem::Problem;
use crate::registry::Registry;
use crate::settings::{SettingsCell, WebSettings};
use crate::{api, auth, cors, docs, health, live, metrics, page, request_id};

/// How long a graceful stop waits for answers under way.
const STOP_GRACE_S: u64 = 5;
/// How long a client may take to send its request's head.
const HEAD_DEADLINE: Duration = Duration::from_secs(10);
/// Open connections of one worker; more wait to be accepted.
const CONNECTIONS_A_WORKER: usize = 4096;

/// What every handler works with.
pub(crate) struct Shared {
    pub(crate) registry: Registry,
    pub(crate) http: HttpMetrics,
    pub(crate) limits: Limits,
    settings: SettingsCell,
}

impl Shared {
    /// The settings that hold for this request.
    pub(crate) fn settings(&self) -> Arc<WebSettings> {
        self.settings.get()
    }
}

/// The routes, for [`App::configure`]. Fails if the metrics registry holds this server's counters already.
pub fn configure(
    registry: Registry,
    settings: impl Into<SettingsCell>,
) -> Result<impl Fn(&mut web::ServiceConfig) + Clone + Send + 'static, prometheus::Error> {
    let settings = settings.into();
    let http = HttpMetrics::register(&settings.get().metrics)?;
    let shared = web::Data::new(Shared { registry, http, limits: Limits::default(), settings });
    Ok(move |config: &mut web::ServiceConfig| {
        let safe = DefaultHeaders::new()
            .add((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
            .add((header::REFERRER_POLICY, "no-referrer"));
        let api = web::scope("/api")
            .wrap(from_fn(auth::guard))
            .wrap(from_fn(limit::hold))
            .wrap(from_fn(cors::share))
            .configure(api::routes)
            .default_service(web::to(unknown_path));
        config.app_data(shared.clone()).service(
            web::scope("")
                .wrap(safe)
                .wrap(from_fn(metrics::count))
                .wrap(from_fn(request_id::name))
                .service(api)
                .service(live::scope())
                .service(readable("/metrics").route(get_or_head().to(metrics::show)))
                .service(readable("/healthz").route(get_or_head().to(health::health)))
                .service(readable("/readyz").route(get_or_head().to(health::ready)))
                .configure(docs::routes)
                .service(readable("/").route(get_or_head().to(page::built::show)))
                .service(readable("/assets/{name}").route(get_or_head().to(page::built::asset)))
                .service(readable("/plain").route(get_or_head().to(page::show)))
                .default_service(web::to(unknown_path)),
        );
    })
}

pub(crate) fn readable(path: &str) -> Resource {
    resource(path, "GET, HEAD")
}

/// HEAD runs the handler too; the answer's body is left out on the wire.
pub(crate) fn get_or_head() -> Route {
    web::route().guard(guard::Any(guard::Get()).or(guard::Head()))
}

async fn unknown_path() -> Result<HttpResponse, Problem> {
    Err(Problem::not_found("there is nothing at this path; GET / lists what there is"))
}

/// Connections that may wait to be accepted.
const BACKLOG: i32 = 1024;

/// Addresses that are bound, and not served yet.
#[derive(Debug)]
pub struct Bound(Vec<TcpListener>);

/// Binds where the settings say, before anything is begun that a taken port would end again.
///
/// Refuses, with [`io::ErrorKind::InvalidInput`], to bind anything but loopback without tokens.
pub fn bind(settings: &WebSettings) -> io::Result<Bound> {
    let addresses: Vec<SocketAddr> = (settings.host.as_str(), settings.port).to_socket_addrs()?.collect();
    if !settings.needs_token() && !addresses.iter().all(|address| address.ip().is_loopback()) {
        let message = format!(
            "binding to {} needs auth.tokens; without any, only 127.0.0.1 and localhost are served",
            settings.host
        );
        return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
    }
    let mut problem = io::Error::new(io::ErrorKind::AddrNotAvailable, "the host has no address");
    let mut listeners = Vec::with_capacity(addresses.len());
    for address in addresses {
        match listener(address) {
            Ok(bound) => listeners.push(bound),
            // `localhost` may have an address of a kind that the machine has not.
            Err(error) => problem = error,
        }
    }
    if listeners.is_empty() { Err(problem) } else { Ok(Bound(listeners)) }
}

fn listener(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    // A service that is started again need not wait for what is left of its old connections.
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// The server of what is bound. It serves once the returned [`Server`] is polled (awaited or spawned) and stops
/// gracefully by [`Server::handle`]. It leaves the signals to the caller.
pub fn server(
    registry: Registry,
    settings: impl Into<SettingsCell>,
    bound: Bound,
) -> io::Result<(Server, SocketAddr)> {
    let cell = settings.into();
    let settings = cell.get();
    let workers = settings.workers.max(1);
    let stalled = settings.stalled;
    let routes = configure(registry, cell).map_err(io::Error::other)?;
    let mut server = HttpServer::new(move || App::new().configure(routes.clone()))
        .on_connect(move |connection, _| limit_stall(connection, stalled))
        .workers(workers)
        .max_connections(CONNECTIONS_A_WORKER)
        .client_request_timeout(HEAD_DEADLINE)
        .shutdown_timeout(STOP_GRACE_S)
        .disable_signals();
    for listener in bound.0 {
        server = server.listen(listener)?;
    }
    let bound = server.addrs().first().copied().ok_or_else(|| io::Error::other("no address was bound"))?;
    Ok((server.run(), bound))
}

/// Cuts the connection if its client takes nothing for so long (RFC 5482): a handler is not asked to go on while
/// the connection's buffer is full, so nobody else would.
fn limit_stall(connection: &dyn Any, limit: Duration) {
    if let Some(stream) = connection.downcast_ref::<TcpStream>()
        && let Err(error) = SockRef::from(stream).set_tcp_user_timeout(Some(limit))
    {
        tracing::debug!(%error, "a connection has no limit for clients that take nothing");
    }
}

/// Serves until `stop` resolves, then lets answers under way finish.
pub async fn serve(
    registry: Registry,
    settings: impl Into<SettingsCell>,
    stop: impl Future<Output = ()>,
) -> io::Result<()> {
    let settings = settings.into();
    let bound = bind(&settings.get())?;
    let (server, address) = server(registry, settings, bound)?;
    tracing::info!(%address, "serving HTTP");
    let handle = server.handle();
    let mut server = std::pin::pin!(server);
    tokio::select! {
        ended = &mut server => return ended,
        () = stop => {}
    }
    tokio::select! {
        () = handle.stop(true) => Ok(()),
        ended = server => ended,
    }
}
