//! The API's description, made from the code, and the page that shows it. Nothing on it comes from elsewhere.

use std::sync::LazyLock;

use actix_web::http::header;
use actix_web::{HttpResponse, web};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{ContentBuilder, OpenApi as Document, Ref, RefOr, Response, ResponseBuilder};
use utoipa::{Modify, OpenApi};

use crate::api::{change, media, pipeline, session, storage, streams, webhooks};
use crate::events;
use crate::problem::{Problem, ProblemBody};
use crate::server::{get_or_head, readable};

const PAGE: &str = include_str!("docs/page.html");
const SCRIPT: &str = include_str!("docs/page.js");
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'self'; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Overdub",
        description = "Live streams in, audio through external processors, back beside the untouched picture on a fixed delay."
    ),
    paths(
        pipeline::start, pipeline::stop, pipeline::status,
        storage::stats, storage::clean,
        streams::list, streams::create, streams::show, change::change, streams::delete,
        streams::start, streams::stop, streams::restart, streams::batches,
        media::audio, media::logs,
        events::listen,
        webhooks::list, webhooks::add, webhooks::remove, webhooks::test,
        session::show,
    ),
    components(schemas(ProblemBody)),
    modifiers(&Problems, &Tokens),
)]
struct Description;

/// Every call may be answered by a problem.
struct Problems;

impl Modify for Problems {
    fn modify(&self, document: &mut Document) {
        let problem = Ref::from_schema_name("ProblemBody");
        let content = ContentBuilder::new().schema(Some(problem)).build();
        let response: Response = ResponseBuilder::new()
            .description("What is wrong, and what to do about it")
            .content("application/problem+json", content)
            .build();
        for (path, item) in &mut document.paths.paths {
            let operations = [
                ("get", &mut item.get),
                ("post", &mut item.post),
                ("patch", &mut item.patch),
                ("delete", &mut item.delete),
            ];
            for (method, operation) in operations {
                let Some(operation) = operation else { continue };
                operation.operation_id = Some(operation_id(method, path));
                operation.responses.responses.insert("default".to_owned(), RefOr::T(response.clone()));
            }
        }
    }
}

/// Unique, as OpenAPI wants it: the names of functions are not.
fn operation_id(method: &str, path: &str) -> String {
    let words = path.trim_start_matches("/api").split(|c: char| !c.is_ascii_alphanumeric());
    words.filter(|word| !word.is_empty()).fold(method.to_owned(), |id, word| format!("{id}_{word}"))
}

/// Every call may need a token.
struct Tokens;

impl Modify for Tokens {
    fn modify(&self, document: &mut Document) {
        let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
        if let Some(components) = &mut document.components {
            components.add_security_scheme("token", SecurityScheme::Http(scheme));
        }
        // Without tokens in the configuration none is needed.
        document.security = Some(vec![
            utoipa::openapi::security::SecurityRequirement::default(),
            utoipa::openapi::security::SecurityRequirement::new("token", Vec::<String>::new()),
        ]);
    }
}

static DESCRIPTION: LazyLock<Result<String, String>> =
    LazyLock::new(|| Description::openapi().to_json().map_err(|error| error.to_string()));

/// `GET /api/openapi.json`
pub(crate) async fn description() -> Result<HttpResponse, Problem> {
    match &*DESCRIPTION {
        Ok(text) => Ok(HttpResponse::Ok()
            .insert_header((header::CONTENT_TYPE, "application/json"))
            .insert_header((header::CACHE_CONTROL, "no-cache"))
            .body(text.as_str())),
        Err(error) => Err(Problem::internal(format!("the description could not be written: {error}"))),
    }
}

/// `GET /docs/` and its script.
pub(crate) fn routes(config: &mut web::ServiceConfig) {
    config
        .service(
            readable("/docs/").route(get_or_head().to(|| async { shown("text/html; charset=utf-8", PAGE) })),
        )
        .service(
            readable("/docs/page.js")
                .route(get_or_head().to(|| async { shown("text/javascript; charset=utf-8", SCRIPT) })),
        )
        .service(readable("/docs").route(get_or_head().to(|| async {
            HttpResponse::PermanentRedirect().insert_header((header::LOCATION, "/docs/")).finish()
        })));
}

fn shown(content_type: &'static str, text: &'static str) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, content_type))
        .insert_header((header::CONTENT_SECURITY_POLICY, POLICY))
        .insert_header((header::CACHE_CONTROL, "no-cache"))
        .body(text)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn operations() -> Vec<(String, String)> {
        let document: Value = serde_json::from_str(DESCRIPTION.as_ref().unwrap()).unwrap();
        assert_eq!(document["openapi"], "3.1.0");
        let paths = document["paths"].as_object().unwrap();
        let all = paths.iter().flat_map(|(path, item)| {
            item.as_object().unwrap().keys().map(move |method| (method.to_uppercase(), path.clone()))
        });
        all.collect()
    }

    #[test]
    fn every_call_is_described_and_stands_in_the_manual() {
        let manual = include_str!("../../docs/API.md");
        let operations = operations();
        assert_eq!(operations.len(), 22, "{operations:?}");
        for (method, path) in &operations {
            assert!(manual.contains(&format!("`{method} {path}`")), "docs/API.md lacks {method} {path}");
        }
    }

    #[test]
    fn every_route_below_api_is_described() {
        let source = include_str!("api.rs");
        let described: Vec<String> = operations().into_iter().map(|(_, path)| path).collect();
        let routes: Vec<&str> =
            source.split("resource(\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
        assert!(routes.len() > 15, "{routes:?}");
        for route in routes.into_iter().filter(|route| *route != "/openapi.json") {
            assert!(described.contains(&format!("/api{route}")), "{route} is not described");
        }
    }

    #[test]
    fn nothing_in_the_description_or_on_its_page_comes_from_elsewhere() {
        for text in [PAGE, SCRIPT] {
            assert!(!text.contains("http://") && !text.contains("https://"));
        }
    }
}
