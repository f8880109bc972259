//! What stands between an asker and the handlers: names of requests, other origins, limits.

use overdub_web::{SettingsCell, WebSettings};
use serde_json::json;

use crate::client::Service;
use crate::safety::HASHES;

#[actix_rt::test]
async fn every_answer_names_its_request_and_a_problem_does_so_too() {
    let service = Service::start();
    let given = service.raw("GET /api/streams/none HTTP/1.1\nX-Request-Id: page-7.1", b"").await;
    assert_eq!(given.header("x-request-id"), Some("page-7.1"));
    assert_eq!(given.problem(404)["requestId"], "page-7.1");
    let one = service.get("/healthz").await;
    let other = service.raw("GET /nothing HTTP/1.1\nX-Request-Id: a b<script>", b"").await;
    let name = other.header("x-request-id").unwrap();
    assert_eq!((name.len(), other.problem(404)["requestId"].as_str()), (32, Some(name)));
    assert_ne!(one.header("x-request-id"), Some(name));
}

#[actix_rt::test]
async fn pages_of_listed_origins_may_use_the_api_and_no_others() {
    let settings = WebSettings {
        auth_tokens: vec![HASHES[0].parse().unwrap()],
        cors_origins: vec!["https://page.example".to_owned()],
        ..WebSettings::default()
    };
    let service = Service::with(settings);
    service.fake.add("news", |_| {});
    let ask = |origin: &str| {
        format!("OPTIONS /api/streams/news HTTP/1.1\nOrigin: {origin}\nAccess-Control-Request-Method: PATCH")
    };
    let asked = service.raw(&ask("https://page.example"), b"").await;
    assert_eq!(
        (asked.status, asked.header("access-control-allow-origin")),
        (204, Some("https://page.example"))
    );
    assert!(asked.header("access-control-allow-methods").unwrap().contains("PATCH"));
    assert!(asked.header("access-control-allow-headers").unwrap().contains("Authorization"));
    let other = service.raw(&ask("https://evil.example"), b"").await;
    assert_eq!((other.status, other.header("access-control-allow-origin")), (401, None));

    let head = "GET /api/streams HTTP/1.1\nOrigin: https://page.example\nAuthorization: Bearer secret";
    let answer = service.raw(head, b"").await;
    assert_eq!(
        (answer.status, answer.header("access-control-allow-origin")),
        (200, Some("https://page.example"))
    );
    assert_eq!(answer.header("vary"), Some("Origin"));
    let refused = service.raw("GET /api/streams HTTP/1.1\nOrigin: https://page.example", b"").await;
    assert_eq!(
        refused.header("access-control-allow-origin"),
        Some("https://page.example"),
        "so that it can be read"
    );
    refused.problem(401);
}

#[actix_rt::test]
async fn without_tokens_a_listed_origin_may_change_streams() {
    let cors_origins = vec!["https://page.example".to_owned()];
    let service = Service::with(WebSettings { cors_origins, ..WebSettings::default() });
    service.fake.add("news", |_| {});
    let stop =
        |origin: &str| format!("POST /api/streams/news/stop HTTP/1.1\nOrigin: {origin}\nContent-Length: 0");
    assert_eq!(service.raw(&stop("https://page.example"), b"").await.status, 200);
    service.raw(&stop("https://evil.example"), b"").await.problem(403);
}

#[actix_rt::test]
async fn an_address_that_asks_too_often_is_told_when_to_ask_again() {
    let service = Service::with(WebSettings { rate_limit: 2, ..WebSettings::default() });
    let mut refused = None;
    for _ in 0..100 {
        let answer = service.get("/api/streams").await;
        if answer.status != 200 {
            refused = Some(answer);
            break;
        }
    }
    let refused = refused.expect("a refusal");
    let wait: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=2).contains(&wait));
    refused.problem(429);
    assert_eq!(service.get("/healthz").await.status, 200, "only /api is limited");
}

#[actix_rt::test]
async fn settings_may_change_while_it_serves() {
    let cell = SettingsCell::from(WebSettings { port: 0, workers: 1, ..WebSettings::default() });
    let service = Service::of(cell.clone());
    assert_eq!(service.get("/api/streams").await.status, 200);
    let tokens = vec![HASHES[0].parse().unwrap()];
    let mut new = (*cell.get()).clone();
    new.auth_tokens = tokens;
    new.defaults.delay = 25.0;
    cell.replace(new);
    service.get("/api/streams").await.problem(401);
    let session = service.get("/api/session").await.json();
    assert_eq!((&session["authRequired"], &session["defaults"]["delay"]), (&json!(true), &json!(25.0)));
}
