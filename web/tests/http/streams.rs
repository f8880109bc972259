//! `/api/streams`, health, metrics.

use overdub_actors::requests::StreamState;
use overdub_web::WebSettings;
use serde_json::json;

use crate::client::Service;
use crate::fake::{Mood, batch_view};

fn create_body() -> serde_json::Value {
    json!({ "streamId": "news", "sourceUrl": "https://u:hunter2@host/x.m3u8", "srsRtmpUrl": "rtmp://h/live/hunter2" })
}

#[actix_rt::test]
async fn a_stream_is_created_shown_listed_and_deleted() {
    let service = Service::start();
    let created = service.post("/api/streams", &create_body()).await;
    assert_eq!(created.status, 201, "{}", created.text());
    assert_eq!(created.header("location"), Some("/api/streams/news"));
    assert_eq!(created.json()["state"], "starting");
    service.post("/api/streams", &create_body()).await.problem(409);

    let shown = service.get("/api/streams/news").await;
    assert_eq!(shown.json()["streamId"], "news");
    assert_eq!(shown.json()["settings"]["bufferDuration"], 30.0);
    let listed = service.get("/api/streams").await.json();
    assert_eq!(listed["streams"].as_array().unwrap().len(), 1);
    assert_eq!(listed["streams"][0]["hlsPath"], "/live/news/index.m3u8");

    assert_eq!(service.send("DELETE", "/api/streams/news?purge=true").await.status, 200);
    service.get("/api/streams/news").await.problem(404);
    service.send("DELETE", "/api/streams/news").await.problem(404);
    assert_eq!(
        service.fake.asked(),
        [
            "create news start=true",
            "get news",
            "create news start=true",
            "get news",
            "delete news purge=true",
            "get news",
            "delete news purge=false",
        ]
    );
}

#[actix_rt::test]
async fn no_answer_shows_a_secret_that_was_given() {
    let service = Service::start();
    let created = service.post("/api/streams", &create_body()).await;
    for answer in [
        created,
        service.get("/api/streams/news").await,
        service.get("/api/streams").await,
        service.get("/plain").await,
    ] {
        assert!(answer.status < 300 && !answer.text().contains("hunter2"), "{}", answer.text());
    }
}

#[actix_rt::test]
async fn a_stream_may_be_created_without_starting_it() {
    let service = Service::start();
    let mut body = create_body();
    body["autostart"] = json!(false);
    assert_eq!(service.post("/api/streams", &body).await.json()["state"], "stopped");
    assert_eq!(service.fake.asked()[0], "create news start=false");
}

#[actix_rt::test]
async fn streams_are_started_stopped_and_restarted() {
    let service = Service::start();
    service.fake.add("news", |view| view.state = StreamState::Stopped);
    assert_eq!(service.send("POST", "/api/streams/news/start").await.json()["success"], true);
    service.send("POST", "/api/streams/news/start").await.problem(409);
    assert_eq!(service.send("POST", "/api/streams/news/restart").await.json()["streamId"], "news");
    assert_eq!(service.send("POST", "/api/streams/news/stop").await.status, 200);
    assert_eq!(service.fake.asked(), ["start news", "start news", "stop news", "start news", "stop news"]);
    for action in ["start", "stop", "restart"] {
        service.send("POST", &format!("/api/streams/other/{action}")).await.problem(404);
        service.send("POST", &format!("/api/streams/.hidden/{action}")).await.problem(400);
    }
}

#[actix_rt::test]
async fn batches_come_in_pages() {
    let service = Service::start();
    service.fake.add("news", |_| {});
    service.fake.with(|state| {
        state.batches = (0..5).rev().map(batch_view).collect();
    });
    let numbers = |answer: &crate::client::Answer| -> Vec<u64> {
        answer.json()["batches"].as_array().unwrap().iter().map(|b| b["batch"].as_u64().unwrap()).collect()
    };
    let all = service.get("/api/streams/news/batches").await;
    assert_eq!((numbers(&all), all.json().get("nextBefore")), (vec![4, 3, 2, 1, 0], None));
    let page = service.get("/api/streams/news/batches?limit=2").await;
    assert_eq!((numbers(&page), page.json()["nextBefore"].as_u64()), (vec![4, 3], Some(3)));
    let page = service.get("/api/streams/news/batches?limit=2&before=3").await;
    assert_eq!(numbers(&page), [2, 1]);
    for bad in ["limit=0", "limit=1001", "limit=x", "before=-1", "after=1", "limit=1&limit=2"] {
        service.get(&format!("/api/streams/news/batches?{bad}")).await.problem(400);
    }
    service.get("/api/streams/other/batches").await.problem(404);
    assert_eq!(service.fake.asked()[0], "batches news limit=50 before=None");
}

#[actix_rt::test]
async fn unknown_paths_and_methods_are_told_apart() {
    let service = Service::start();
    for target in ["/api", "/api/", "/api/nothing", "/api/streams/a/b/c", "/nothing", "/live", "/live/a"] {
        service.get(target).await.problem(404);
    }
    for (method, target, allow) in [
        ("GET", "/api/pipeline/start", "POST"),
        ("POST", "/api/pipeline/status", "GET"),
        ("PUT", "/api/streams", "GET, POST"),
        ("PUT", "/api/streams/a", "GET, PATCH, DELETE"),
        ("GET", "/api/streams/a/start", "POST"),
        ("POST", "/live/a/index.m3u8", "GET, HEAD, OPTIONS"),
        ("DELETE", "/metrics", "GET, HEAD"),
        ("POST", "/", "GET, HEAD"),
    ] {
        let answer = service.send(method, target).await;
        answer.problem(405);
        assert_eq!(answer.header("allow"), Some(allow), "{method} {target}");
    }
}

#[actix_rt::test]
async fn readiness_follows_the_registry_and_health_does_not() {
    let service = Service::impatient();
    assert_eq!(service.get("/readyz").await.json(), json!({ "ready": true }));
    service.fake.with(|state| state.ready = false);
    let answer = service.get("/readyz").await;
    assert_eq!(answer.status, 503);
    assert_eq!(answer.json(), json!({ "ready": false, "reason": "streams are being restored" }));
    service.fake.set_mood(Mood::Mute);
    let answer = service.get("/readyz").await;
    assert_eq!((answer.status, answer.json()["ready"].as_bool()), (503, Some(false)));
    assert_eq!(service.get("/healthz").await.json(), json!({ "status": "ok" }));
}

#[actix_rt::test]
async fn metrics_show_what_is_registered_and_count_requests_by_pattern() {
    let metrics = prometheus::Registry::new();
    let gauge = prometheus::IntGauge::new("overdub_test_gauge", "a gauge of the test").unwrap();
    metrics.register(Box::new(gauge.clone())).unwrap();
    gauge.set(42);
    let service = Service::with(WebSettings { metrics, ..WebSettings::default() });
    for id in ["a", "b", "c"] {
        service.get(&format!("/api/streams/{id}")).await.problem(404);
        service.get(&format!("/random/{id}")).await.problem(404);
        service.send(&format!("X{}", id.to_uppercase()), "/healthz").await.problem(405);
    }
    let answer = service.get("/metrics").await;
    assert!(answer.header("content-type").unwrap().starts_with("text/plain"));
    let text = answer.text();
    assert!(text.contains("overdub_test_gauge 42"), "{text}");
    let count = "overdub_http_requests_total{method=\"GET\",route=\"/api/streams/{id}\",status=\"404\"} 3";
    assert!(text.contains(count), "{text}");
    assert!(text.contains("{method=\"GET\",route=\"none\",status=\"404\"} 3"), "{text}");
    assert!(text.contains("{method=\"other\",route=\"/healthz\",status=\"405\"} 3"), "{text}");
}

#[actix_rt::test]
async fn head_gets_the_headers_alone() {
    let service = Service::start();
    for target in ["/", "/healthz", "/readyz", "/metrics"] {
        let answer = service.raw(&format!("HEAD {target} HTTP/1.1"), b"").await;
        assert_eq!(answer.status, 200, "{target}");
        assert_ne!(answer.header("content-length"), Some("0"), "{target}");
    }
}
