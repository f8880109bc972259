//! Changes of settings, logs, sound, webhooks.

use overdub_actors::events::LogLevel;
use overdub_actors::requests::{LiveResource, LogEntry, StreamState};
use serde_json::{Value, json};

use crate::client::{Answer, Service};

async fn patch(service: &Service, target: &str, body: &Value) -> Answer {
    let body = body.to_string();
    let head =
        format!("PATCH {target} HTTP/1.1\nContent-Type: application/json\nContent-Length: {}", body.len());
    service.raw(&head, body.as_bytes()).await
}

#[actix_rt::test]
async fn a_running_stream_follows_what_it_can_and_says_what_needs_a_restart() {
    let service = Service::start();
    service.fake.add("news", |_| {});
    let body =
        json!({ "maxConcurrentBatches": 5, "fallback": "silence", "audioProcessorUrl": "ws://u:hunter2@h" });
    let answer = patch(&service, "/api/streams/news", &body).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let changed = &answer.json()["changed"];
    assert_eq!(changed["maxConcurrentBatches"], json!([3, 5]));
    assert_eq!(changed["renditions[main].fallback"], json!(["original", "silence"]));
    assert_eq!(answer.json()["stream"]["settings"]["maxConcurrentBatches"], 5);
    assert!(!answer.text().contains("hunter2"), "{}", answer.text());

    let problem =
        patch(&service, "/api/streams/news", &json!({ "delay": 20, "bufferDuration": 6 })).await.problem(409);
    assert_eq!(problem["restart"], json!(["bufferDuration", "delay"]));
    service.fake.asked();
    let answer = patch(&service, "/api/streams/news?restart=true", &json!({ "delay": 20 })).await;
    assert_eq!((answer.status, answer.json()["restarted"].clone()), (200, json!(true)));
    assert_eq!(service.fake.asked(), ["change news", "stop news", "change news", "start news", "get news"]);
    assert_eq!(patch(&service, "/api/streams/news", &json!({})).await.json()["changed"], json!({}));
}

#[actix_rt::test]
async fn a_change_that_cannot_be_is_refused_and_a_stopped_stream_takes_any_other() {
    let service = Service::start();
    service.fake.add("news", |view| view.state = StreamState::Stopped);
    patch(&service, "/api/streams/news", &json!({ "delay": 301 })).await.problem(400);
    patch(&service, "/api/streams/news", &json!({ "streamId": "other" })).await.problem(400);
    let none = json!({ "renditions": [{ "name": "fr", "fallback": "drop" }] });
    let problem = patch(&service, "/api/streams/news", &none).await.problem(400);
    assert!(problem["detail"].as_str().unwrap().contains("there are main"), "{problem}");
    patch(&service, "/api/streams/other", &json!({ "delay": 20 })).await.problem(404);
    let answer = patch(&service, "/api/streams/news", &json!({ "delay": 20 })).await;
    assert_eq!(answer.json()["changed"]["delay"], json!([10.0, 20.0]));
    assert_eq!(answer.json()["restarted"], false);
}

#[actix_rt::test]
async fn the_last_lines_of_a_streams_log_are_given() {
    let service = Service::start();
    service.fake.add("news", |_| {});
    let entry = LogEntry {
        at: "2026-01-31T12:00:00.000Z".to_owned(),
        level: LogLevel::Warn,
        message: "fallback".to_owned(),
        fields: serde_json::Map::new(),
    };
    service.fake.with(|state| state.logs = vec![entry]);
    let answer = service.get("/api/streams/news/logs?level=warn&limit=5").await.json();
    assert_eq!(
        (&answer["entries"][0]["level"], &answer["entries"][0]["message"]),
        (&json!("warn"), &json!("fallback"))
    );
    service.get("/api/streams/news/logs").await;
    assert_eq!(service.fake.asked(), ["logs news warn 5", "logs news info 200"]);
    for bad in ["level=loud", "level=off", "limit=0", "limit=1001"] {
        service.get(&format!("/api/streams/news/logs?{bad}")).await.problem(400);
    }
    service.get("/api/streams/other/logs").await.problem(404);
}

#[actix_rt::test]
async fn a_batchs_sound_is_given_with_its_type_and_by_ranges() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("processed_audio.fmp4");
    std::fs::write(&path, b"RIFF....WAVE").unwrap();
    let service = Service::start();
    service.fake.add("news", |_| {});
    let sound = LiveResource::File { path, content_type: "audio/wav", patches: Vec::new() };
    service.fake.with(|state| state.live.insert("audio-7".to_owned(), sound));
    let target = "/api/streams/news/batches/7/audio";
    let whole = service.get(&format!("{target}?track=original&rendition=de")).await;
    assert_eq!(
        (whole.status, whole.header("content-type"), whole.text()),
        (200, Some("audio/wav"), "RIFF....WAVE")
    );
    assert_eq!(whole.header("cache-control"), Some("private, no-cache"));
    let part = service.raw(&format!("GET {target} HTTP/1.1\nRange: bytes=8-"), b"").await;
    assert_eq!((part.status, part.text()), (206, "WAVE"));
    assert_eq!(service.raw(&format!("HEAD {target} HTTP/1.1"), b"").await.status, 200);
    assert_eq!(service.fake.asked()[..2], ["audio news 7 Original de", "audio news 7 Processed main"]);
    service.get("/api/streams/news/batches/8/audio").await.problem(404);
    for bad in ["x", "+7", "-1", "99999999999999999999"] {
        service.get(&format!("/api/streams/news/batches/{bad}/audio")).await.problem(404);
    }
    for bad in ["track=loud", "rendition=..%2Fx", "take=1"] {
        service.get(&format!("{target}?{bad}")).await.problem(400);
    }
}

#[actix_rt::test]
async fn webhooks_are_made_listed_tried_and_removed() {
    let service = Service::start();
    let body =
        json!({ "url": "https://hooks.example/hunter2", "secret": "hunter2", "events": ["output.down"] });
    let made = service.post("/api/webhooks", &body).await;
    assert_eq!((made.status, made.json()["hasSecret"].clone()), (201, json!(true)));
    let target = made.header("location").unwrap().to_owned();
    assert!(!made.text().contains("hunter2"));
    let listed = service.get("/api/webhooks").await.json();
    assert_eq!(listed["webhooks"][0]["events"], json!(["output.down"]));
    let tried = service.send("POST", &format!("{target}/test")).await.json();
    assert_eq!(tried, json!({ "delivered": false, "status": 500, "error": "answered 500" }));
    assert_eq!(service.send("DELETE", &target).await.status, 200);
    service.send("DELETE", &target).await.problem(404);
    let problem =
        service.post("/api/webhooks", &json!({ "url": "ftp://h", "events": ["x"] })).await.problem(400);
    assert_eq!(problem["errors"].as_array().unwrap().len(), 2);
}

#[actix_rt::test]
async fn the_api_describes_itself_and_the_page_that_shows_it_needs_nothing_from_elsewhere() {
    let service = Service::start();
    let document = service.get("/api/openapi.json").await.json();
    assert_eq!(document["openapi"], "3.1.0");
    assert!(
        document["paths"]["/api/streams/{id}"]["patch"]["responses"]["default"].is_object(),
        "{document}"
    );
    let page = service.get("/docs/").await;
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
    assert!(page.header("content-security-policy").unwrap().contains("script-src 'self'"));
    assert_eq!(
        service.get("/docs/page.js").await.header("content-type"),
        Some("text/javascript; charset=utf-8")
    );
    assert_eq!(service.get("/docs").await.header("location"), Some("/docs/"));
}
