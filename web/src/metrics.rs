//! `/metrics`, and the server's own counters.

use actix_web::body::{BodySize, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::{Method, StatusCode, header};
use actix_web::middleware::Next;
use actix_web::{Error, HttpResponse, web};
use overdub_actors::clock;
use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, Opts, TextEncoder};

use crate::problem::Problem;
use crate::request_id;
use crate::server::Shared;

/// Bounds of an answer's time; stopping a stream drains it first.
const ANSWER_SECONDS: &[f64] = &[0.001, 0.005, 0.025, 0.1, 0.5, 2.5, 10.0];

/// Counters of the server. Labels are bounded: routes are patterns, unknown methods are `other`.
pub(crate) struct HttpMetrics {
    requests: IntCounterVec,
    seconds: HistogramVec,
    bytes: IntCounterVec,
}

impl HttpMetrics {
    /// Makes the counters and registers them.
    pub(crate) fn register(registry: &prometheus::Registry) -> Result<Self, prometheus::Error> {
        let opts = Opts::new("overdub_http_requests_total", "HTTP requests by method, route and status.");
        let requests = IntCounterVec::new(opts, &["method", "route", "status"])?;
        let opts = HistogramOpts::new(
            "overdub_http_request_seconds",
            "Time from a request's head to its answer's head, by route.",
        );
        let seconds = HistogramVec::new(opts.buckets(ANSWER_SECONDS.to_vec()), &["route"])?;
        let opts = Opts::new(
            "overdub_http_response_bytes_total",
            "Bytes of answers' bodies, by route: what HLS players get is in here.",
        );
        let bytes = IntCounterVec::new(opts, &["route"])?;
        registry.register(Box::new(requests.clone()))?;
        registry.register(Box::new(seconds.clone()))?;
        registry.register(Box::new(bytes.clone()))?;
        Ok(Self { requests, seconds, bytes })
    }

    fn count(&self, method: &Method, route: Option<&str>, status: StatusCode, took_us: i64, size: BodySize) {
        let method = match *method {
            Method::GET | Method::HEAD | Method::POST | Method::PATCH | Method::DELETE | Method::OPTIONS => {
                method.as_str()
            }
            _ => "other",
        };
        let status = status.as_u16().to_string();
        let route = route.unwrap_or("none");
        self.requests.with_label_values(&[method, route, &status]).inc();
        self.seconds.with_label_values(&[route]).observe(took_us.max(0) as f64 / 1e6);
        if let BodySize::Sized(bytes) = size {
            self.bytes.with_label_values(&[route]).inc_by(bytes);
        }
    }
}

/// Middleware that counts every request once it is answered.
pub(crate) async fn count(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let begun = clock::now();
    let response = next.call(request).await?;
    let took_us = clock::now().micros_since(begun);
    let request = response.request();
    if let Some(shared) = request.app_data::<web::Data<Shared>>() {
        let route = request.match_pattern();
        tracing::debug!(
            method = %request.method(),
            route = route.as_deref().unwrap_or("none"),
            status = response.status().as_u16(),
            request = request_id::current().as_deref(),
            "request answered"
        );
        let size = response.response().body().size();
        shared.http.count(request.method(), route.as_deref(), response.status(), took_us, size);
    }
    Ok(response)
}

/// `GET /metrics` in the Prometheus text format. With hundreds of streams it is some megabytes: they are written
/// off the thread that serves players.
pub(crate) async fn show(shared: web::Data<Shared>) -> Result<HttpResponse, Problem> {
    let registry = shared.settings().metrics.clone();
    let written = web::block(move || TextEncoder::new().encode_to_string(&registry.gather())).await;
    let text = match written {
        Ok(Ok(text)) => text,
        Ok(Err(error)) => return Err(unwritten(&error)),
        Err(error) => return Err(unwritten(&error)),
    };
    Ok(HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, prometheus::TEXT_FORMAT))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .body(text))
}

fn unwritten(error: &dyn std::fmt::Display) -> Problem {
    Problem::internal(format!("the metrics could not be written: {error}"))
}
