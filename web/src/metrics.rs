//! `/metrics`, and the server's own counters.

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::{Method, StatusCode, header};
use actix_web::middleware::Next;
use actix_web::{Error, HttpResponse, web};
use prometheus::{Encoder, IntCounterVec, Opts, TextEncoder};

use crate::problem::Problem;
use crate::server::Shared;

/// Counters of the server. Labels are bounded: routes are patterns, unknown methods are `other`.
pub(crate) struct HttpMetrics {
    requests: IntCounterVec,
}

impl HttpMetrics {
    /// Makes the counters and registers them.
    pub(crate) fn register(registry: &prometheus::Registry) -> Result<Self, prometheus::Error> {
        let opts = Opts::new("overdub_http_requests_total", "HTTP requests by method, route and status.");
        let requests = IntCounterVec::new(opts, &["method", "route", "status"])?;
        registry.register(Box::new(requests.clone()))?;
        Ok(Self { requests })
    }

    fn count(&self, method: &Method, route: Option<&str>, status: StatusCode) {
        let method = match *method {
            Method::GET | Method::HEAD | Method::POST | Method::DELETE | Method::OPTIONS => method.as_str(),
            _ => "other",
        };
        let status = status.as_u16().to_string();
        self.requests.with_label_values(&[method, route.unwrap_or("none"), &status]).inc();
    }
}

/// Middleware that counts every request once it is answered.
pub(crate) async fn count(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let response = next.call(request).await?;
    let request = response.request();
    if let Some(shared) = request.app_data::<web::Data<Shared>>() {
        let route = request.match_pattern();
        tracing::debug!(
            method = %request.method(),
            route = route.as_deref().unwrap_or("none"),
            status = response.status().as_u16(),
            "request answered"
        );
        shared.http.count(request.method(), route.as_deref(), response.status());
    }
    Ok(response)
}

/// `GET /metrics` in the Prometheus text format.
pub(crate) async fn show(shared: web::Data<Shared>) -> Result<HttpResponse, Problem> {
    let encoder = TextEncoder::new();
    let mut text = Vec::new();
    encoder
        .encode(&shared.settings.metrics.gather(), &mut text)
        .map_err(|error| Problem::internal(format!("the metrics could not be written: {error}")))?;
    Ok(HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, encoder.format_type()))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .body(text))
}
