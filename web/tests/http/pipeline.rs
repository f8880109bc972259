//! The five plain endpoints.

use overdub_actors::requests::{ActorView, OutputView, RenditionView, StreamState};
use overdub_actors::settings::{OutputSettings, StreamId};
use serde_json::json;

use crate::client::Service;
use crate::fake::Mood;

fn start_body() -> serde_json::Value {
    json!({
        "sourceUrl": "http://host/x.m3u8", "streamId": "news", "audioProcessorUrl": "ws://p:5000",
        "srsRtmpUrl": "rtmp://h/live/{streamId}", "bufferDuration": 6,
    })
}

#[actix_rt::test]
async fn a_plain_start_hands_the_checked_settings_to_the_registry() {
    let service = Service::start();
    let answer = service.post("/api/pipeline/start", &start_body()).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let body = answer.json();
    assert_eq!(body["success"], true);
    assert_eq!(body["streamId"], "news");
    assert!(body["message"].is_string());
    assert_eq!(body.as_object().unwrap().len(), 3);
    let settings = service.fake.with(|state| state.settings[&StreamId::new("news").unwrap()].clone());
    assert_eq!(settings.buffer_duration, 6.0);
    let url = "rtmp://h/live/news".to_owned();
    assert_eq!(settings.renditions[0].outputs, [OutputSettings::rtmp(url)]);
}

#[actix_rt::test]
async fn starting_a_running_stream_is_a_conflict_with_advice() {
    let service = Service::start();
    service.post("/api/pipeline/start", &start_body()).await;
    let problem = service.post("/api/pipeline/start", &start_body()).await.problem(409);
    assert_eq!(problem["detail"], "stream news is already running; stop it first");
}

#[actix_rt::test]
async fn a_plain_stop_answers_for_known_streams_only() {
    let service = Service::start();
    service.post("/api/pipeline/start", &start_body()).await;
    for _ in 0..2 {
        let answer = service.post("/api/pipeline/stop", &json!({ "streamId": "news" })).await;
        assert_eq!((answer.status, answer.json()["success"].as_bool()), (200, Some(true)));
    }
    service.post("/api/pipeline/stop", &json!({ "streamId": "other" })).await.problem(404);
    let problem = service.post("/api/pipeline/stop", &json!({})).await.problem(400);
    assert_eq!(problem["field"], "streamId");
}

#[actix_rt::test]
async fn a_wrong_start_names_every_wrong_field_and_reaches_no_registry() {
    let service = Service::start();
    let body =
        json!({ "sourceUrl": "file:///etc/passwd", "streamId": "a b", "bufferDuration": 1, "color": 1 });
    let problem = service.post("/api/pipeline/start", &body).await.problem(400);
    assert_eq!(problem["field"], "streamId");
    assert_eq!(problem["allowed"], "[A-Za-z0-9][A-Za-z0-9_-]{0,63}");
    let fields: Vec<&str> =
        problem["errors"].as_array().unwrap().iter().map(|error| error["field"].as_str().unwrap()).collect();
    assert_eq!(fields, ["streamId", "sourceUrl", "bufferDuration", "color"]);
    assert_eq!(service.fake.asked(), Vec::<String>::new());
}

#[actix_rt::test]
async fn the_status_has_exactly_the_plain_shape_and_adds_up_renditions() {
    let service = Service::start();
    service.fake.add("news", |view| {
        view.state = StreamState::Degraded;
        view.reason = Some("processor is away".to_owned());
        view.actors =
            vec![ActorView { name: "fetcher".to_owned(), running: true, restarts: 0, last_fault: None }];
        view.source.segments = 12;
        view.source.accumulated_duration = 4.5;
        view.source.current_batch = 3;
        let rendition =
            RenditionView { processed: 2, pending: 1, remuxed: 4, pending_remux: 5, ..Default::default() };
        view.renditions = vec![rendition.clone(), rendition];
        view.outputs = vec![
            OutputView { name: "hls".to_owned(), up: false, published: 9, ..Default::default() },
            OutputView {
                name: "main/rtmp-0".to_owned(),
                up: true,
                published: 2,
                connection_status: "connected".to_owned(),
                ..Default::default()
            },
        ];
    });
    let expected = json!({
        "isRunning": true, "streamId": "news",
        "modules": {
            "streamFetcher": { "isRunning": true, "segmentsDownloaded": 12, "accumulatedDuration": 4.5, "currentBatchNumber": 3 },
            "audioProcessor": { "batchesProcessed": 4, "pendingBatches": 2 },
            "remuxer": { "batchesRemuxed": 8, "pendingRemux": 10 },
            "streamPublisher": { "isPublishing": true, "fragmentsPublished": 2, "connectionStatus": "connected" },
        },
    });
    for target in ["/api/pipeline/status", "/api/pipeline/status?streamId=news"] {
        let answer = service.get(target).await;
        assert_eq!((answer.status, answer.json()), (200, expected.clone()));
        assert_eq!(answer.header("cache-control"), Some("no-store"));
    }
}

#[actix_rt::test]
async fn the_status_of_a_stream_that_does_not_run_says_so() {
    let service = Service::start();
    for (state, running) in [
        (StreamState::Stopped, false),
        (StreamState::Ended, false),
        (StreamState::Failed, false),
        (StreamState::Waiting, true),
        (StreamState::Stopping, true),
    ] {
        service.fake.add("news", |view| view.state = state);
        assert_eq!(service.get("/api/pipeline/status").await.json()["isRunning"], running, "{state:?}");
    }
}

#[actix_rt::test]
async fn the_status_asks_which_stream_unless_there_is_exactly_one() {
    let service = Service::start();
    service.get("/api/pipeline/status").await.problem(404);
    service.fake.add("a", |_| {});
    service.fake.add("b", |_| {});
    let problem = service.get("/api/pipeline/status").await.problem(400);
    assert_eq!(problem["field"], "streamId");
    assert!(problem["detail"].as_str().unwrap().contains("there are 2 streams"));
    service.get("/api/pipeline/status?streamId=c").await.problem(404);
    service.get("/api/pipeline/status?streamId=..").await.problem(400);
    service.get("/api/pipeline/status?id=a").await.problem(400);
}

#[actix_rt::test]
async fn storage_is_told_and_cleaned() {
    let service = Service::start();
    service.fake.add("news", |_| {});
    let stats = json!({
        "originalStreamSize": 1, "processedFragmentsSize": 2, "totalSize": 3, "oldestBatch": 4, "newestBatch": null,
    });
    assert_eq!(service.get("/api/storage/stats").await.json(), stats);
    assert_eq!(service.get("/api/storage/stats?streamId=news").await.json(), stats);
    service.get("/api/storage/stats?streamId=other").await.problem(404);
    let answer = service.post("/api/storage/clean", &json!({ "streamId": "news", "keepLast": 2 })).await;
    assert_eq!(answer.json(), json!({ "success": true, "removedBatches": 7, "freedBytes": 8 }));
    service.post("/api/storage/clean", &json!({ "streamId": "news" })).await.problem(400);
    service.post("/api/storage/clean", &json!({ "streamId": "other", "keepLast": 2 })).await.problem(404);
    assert_eq!(
        service.fake.asked(),
        [
            "storage None",
            "storage Some(\"news\")",
            "storage Some(\"other\")",
            "clean news keep=2",
            "clean other keep=2"
        ]
    );
}

#[actix_rt::test]
async fn a_registry_in_trouble_is_told_from_a_wrong_request() {
    let service = Service::impatient();
    service.fake.add("news", |_| {});
    service.fake.set_mood(Mood::ShuttingDown);
    let answer = service.post("/api/pipeline/start", &start_body()).await;
    assert!(answer.problem(503)["detail"].as_str().unwrap().contains("shutting down"));
    assert!(answer.header("retry-after").is_some());
    service.fake.set_mood(Mood::FullDisk);
    let problem = service.post("/api/pipeline/start", &start_body()).await.problem(500);
    assert!(problem["detail"].as_str().unwrap().contains("no space left"));
    service.fake.set_mood(Mood::Mute);
    for target in [
        "/api/pipeline/status",
        "/api/pipeline/status?streamId=news",
        "/api/streams",
        "/live/news/index.m3u8",
    ] {
        service.get(target).await.problem(503);
    }
    let problem = service.post("/api/pipeline/stop", &json!({ "streamId": "news" })).await.problem(503);
    assert!(problem["detail"].as_str().unwrap().contains("no answer within 0.4 s"));
    service.fake.addr.send(crate::fake::Die).await.unwrap();
    service.post("/api/pipeline/start", &start_body()).await.problem(503);
    assert_eq!(service.get("/healthz").await.status, 503);
}
