//! `/api/events` over real sockets: a snapshot first, then changes, and nothing without bound.

use std::time::Duration;

use overdub_actors::events::{EventHub, LogLevel, LogLine, RING};
use overdub_actors::requests::StreamState;
use overdub_actors::settings::StreamId;
use overdub_web::WebSettings;
use serde_json::json;
use socket2::SockRef;

use crate::client::Service;
use crate::fake::{batch_view, settings, view_of};
use crate::listener::Listener;
use crate::safety::HASHES;

fn id(text: &str) -> StreamId {
    StreamId::new(text).unwrap()
}

fn line(level: LogLevel, stream: Option<&str>, message: &str) -> LogLine {
    LogLine {
        at: overdub_actors::clock::now(),
        level,
        target: "overdub_actors::supervisor".to_owned(),
        message: message.to_owned(),
        stream_id: stream.map(id),
        fields: serde_json::Map::new(),
    }
}

fn with_events() -> (Service, EventHub) {
    let events = EventHub::default();
    (Service::with(WebSettings { events: events.clone(), ..WebSettings::default() }), events)
}

/// Waits until the hub has so many listeners.
async fn listeners(events: &EventHub, count: usize) {
    let reached = async {
        while events.listeners() != count {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let reached = tokio::time::timeout(Duration::from_secs(30), reached).await;
    assert!(reached.is_ok(), "{} listeners, not {count}", events.listeners());
}

#[actix_rt::test]
async fn a_snapshot_comes_first_and_then_what_changes() {
    let (service, events) = with_events();
    service.fake.add("news", |_| {});
    service.fake.add("sport", |_| {});
    let mut listener = Listener::connect(service.address, "/api/events", "").await.ok().unwrap();
    let snapshot = listener.event("snapshot").await;
    assert_eq!(snapshot["streams"][0]["streamId"], "news");
    assert_eq!(snapshot["streams"][1]["streamId"], "sport");
    assert_eq!(snapshot.get("batches"), None);
    assert!(!snapshot.to_string().contains("hunter2"), "{snapshot}");

    let mut view = view_of(&settings("news").redacted(), StreamState::Waiting);
    view.reason = Some("source: gone".to_owned());
    events.tell_stream(&view);
    let told = listener.event("stream").await;
    assert_eq!(
        (&told["stream"]["state"], &told["stream"]["reason"]),
        (&json!("waiting"), &json!("source: gone"))
    );
    events.tell_batch(&id("news"), &batch_view(7));
    let told = listener.event("batch").await;
    assert_eq!((&told["streamId"], &told["batch"]["batch"]), (&json!("news"), &json!(7)));
    events.tell_log(&line(LogLevel::Info, Some("news"), "hello"));
    let told = listener.event("log").await;
    assert_eq!(
        (&told["level"], &told["message"], &told["streamId"]),
        (&json!("info"), &json!("hello"), &json!("news"))
    );
    events.tell_deleted(&id("sport"));
    assert_eq!(listener.event("deleted").await["streamId"], "sport");
    listener.close().await;
    listeners(&events, 0).await;
}

#[actix_rt::test]
async fn a_listener_may_ask_for_one_stream_and_for_grave_lines_only() {
    let (service, events) = with_events();
    service.fake.add("news", |_| {});
    service.fake.add("sport", |_| {});
    service.fake.with(|state| state.batches = vec![batch_view(9), batch_view(8)]);
    let target = "/api/events?streamId=news&logs=warn";
    let mut listener = Listener::connect(service.address, target, "").await.ok().unwrap();
    let snapshot = listener.event("snapshot").await;
    assert_eq!(snapshot["streams"].as_array().unwrap().len(), 1);
    assert_eq!(snapshot["batches"]["news"][1]["batch"], 8);
    let silent = Listener::connect(service.address, "/api/events?logs=off", "").await.ok().unwrap();

    events.tell_deleted(&id("sport"));
    events.tell_log(&line(LogLevel::Error, Some("sport"), "of another stream"));
    events.tell_log(&line(LogLevel::Error, None, "of none"));
    events.tell_log(&line(LogLevel::Info, Some("news"), "not grave"));
    events.tell_log(&line(LogLevel::Error, Some("news"), "grave"));
    events.tell_deleted(&id("news"));
    assert_eq!(listener.event("log").await["message"], "grave");
    assert_eq!(listener.event("deleted").await["streamId"], "news");
    let mut silent = silent;
    silent.event("snapshot").await;
    assert_eq!(silent.event("deleted").await["streamId"], "sport");
    assert_eq!(silent.event("deleted").await["streamId"], "news");
}

#[actix_rt::test]
async fn only_a_websocket_that_asks_well_is_let_in() {
    let (service, events) = with_events();
    service.get("/api/events").await.problem(426);
    for (target, status) in [
        ("/api/events?logs=loud", "400"),
        ("/api/events?stream=a", "400"),
        ("/api/events?streamId=..%2Fa", "400"),
        ("/api/events?streamId=unknown", "404"),
    ] {
        let head = Listener::connect(service.address, target, "").await.err().unwrap();
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{target}: {head}");
    }
    let foreign = Listener::connect(service.address, "/api/events", "Origin: http://evil.example\r\n").await;
    assert!(foreign.err().unwrap().starts_with("HTTP/1.1 403 "));
    let own = format!("Origin: http://{}\r\n", service.address);
    assert!(Listener::connect(service.address, "/api/events", &own).await.is_ok());
    listeners(&events, 0).await;
}

#[actix_rt::test]
async fn with_tokens_a_listener_needs_one_and_it_is_not_said_back() {
    let service = Service::with(WebSettings {
        auth_tokens: vec![HASHES[0].parse().unwrap()],
        read_tokens: vec![HASHES[1].parse().unwrap()],
        ..WebSettings::default()
    });
    for headers in
        ["", "Sec-WebSocket-Protocol: overdub.v1, bearer.wrong\r\n", "Authorization: Bearer wrong\r\n"]
    {
        let head = Listener::connect(service.address, "/api/events", headers).await.err().unwrap();
        assert!(head.starts_with("HTTP/1.1 401 "), "{head}");
    }
    for headers in [
        "Sec-WebSocket-Protocol: overdub.v1, bearer.secret\r\n",
        "Sec-WebSocket-Protocol: overdub.v1, bearer.other\r\n",
        "Authorization: Bearer other\r\nSec-WebSocket-Protocol: overdub.v1\r\n",
    ] {
        let mut listener = Listener::connect(service.address, "/api/events", headers).await.ok().unwrap();
        let head = listener.head.to_lowercase();
        assert!(head.contains("sec-websocket-protocol: overdub.v1\r\n"), "{head}");
        assert!(!head.contains("secret") && !head.contains("other"), "{head}");
        listener.event("snapshot").await;
    }
}

#[actix_rt::test]
async fn a_client_that_does_not_read_is_dropped_with_its_reason_and_holds_nobody_up() {
    let (service, events) = with_events();
    let mut slow = Listener::connect(service.address, "/api/events", "").await.ok().unwrap();
    let mut quick = Listener::connect(service.address, "/api/events", "").await.ok().unwrap();
    slow.event("snapshot").await;
    quick.event("snapshot").await;
    // Far more than the kernel's buffers and the ring hold together.
    let text = "x".repeat(16 * 1024);
    let count = RING + 64 * 1024 * 1024 / text.len();
    let buffered = SockRef::from(slow.framed.io_ref()).recv_buffer_size().unwrap();
    assert!(buffered < 64 * 1024);
    for number in 0..count {
        events.tell_log(&line(LogLevel::Info, None, &format!("{number} {text}")));
        let told = quick.event("log").await;
        assert!(told["message"].as_str().unwrap().starts_with(&format!("{number} ")), "in order, none lost");
    }
    let mut last = None;
    let end = loop {
        match slow.next().await {
            Ok(event) => last = Some(event),
            Err(reason) => break reason.expect("a reason"),
        }
    };
    let last = last.unwrap();
    assert_eq!((last["type"].as_str(), u16::from(end.code)), (Some("closing"), 1013));
    assert!(last["reason"].as_str().unwrap().starts_with("too slow: "), "{last}");
    assert_eq!(end.description.as_deref(), last["reason"].as_str());
    listeners(&events, 1).await;
}

#[actix_rt::test]
async fn a_client_that_never_reads_again_loses_its_connection() {
    let events = EventHub::default();
    let service = Service::with(WebSettings {
        events: events.clone(),
        stalled: Duration::from_secs(1),
        ..WebSettings::default()
    });
    let stuck = Listener::connect(service.address, "/api/events", "").await.ok().unwrap();
    listeners(&events, 1).await;
    let text = "x".repeat(64 * 1024);
    let flood = async {
        while events.has_listeners() {
            events.tell_log(&line(LogLevel::Info, None, &text));
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), flood).await.expect("the connection is cut");
    drop(stuck);
}

#[actix_rt::test]
async fn at_shutdown_listeners_are_told_and_let_go() {
    let (service, events) = with_events();
    let mut listener = Listener::connect(service.address, "/api/events", "").await.ok().unwrap();
    listener.event("snapshot").await;
    events.close("the service is shutting down");
    assert_eq!(listener.event("closing").await["reason"], "the service is shutting down");
    let reason = listener.next().await.unwrap_err().expect("a reason");
    assert_eq!(u16::from(reason.code), 1001);
    let head = Listener::connect(service.address, "/api/events", "").await.err().unwrap();
    assert!(head.starts_with("HTTP/1.1 503 "), "{head}");
    service.stop().await;
}

#[actix_rt::test]
async fn a_session_says_what_its_asker_may_do() {
    let service = Service::start();
    let session = service.get("/api/session").await.json();
    assert_eq!((&session["access"], &session["authRequired"]), (&json!("full"), &json!(false)));
    assert_eq!(session["defaults"]["bufferDuration"], 30.0);
    assert_eq!(session["defaults"]["srsRtmpUrl"], "rtmp://localhost/live/{streamId}");

    let defaults = overdub_web::StreamDefaults {
        srs_rtmp_url: "rtmp://localhost/live/hunter2".to_owned(),
        ..overdub_web::StreamDefaults::default()
    };
    let service = Service::with(WebSettings {
        auth_tokens: vec![HASHES[0].parse().unwrap()],
        read_tokens: vec![HASHES[1].parse().unwrap()],
        defaults,
        ..WebSettings::default()
    });
    for (token, access) in [("secret", "full"), ("other", "read"), ("wrong", "none")] {
        let head = format!("GET /api/session HTTP/1.1\nAuthorization: Bearer {token}");
        let answer = service.raw(&head, b"").await;
        assert_eq!((answer.status, &answer.json()["access"]), (200, &json!(access)));
        assert!(answer.json()["authRequired"] == true && !answer.text().contains("hunter2"));
    }
}

#[actix_rt::test]
async fn a_token_for_reading_changes_nothing() {
    let service = Service::with(WebSettings {
        read_tokens: vec![HASHES[1].parse().unwrap()],
        ..WebSettings::default()
    });
    service.fake.add("news", |_| {});
    let authorization = "Authorization: Bearer other";
    assert_eq!(service.raw(&format!("GET /api/streams HTTP/1.1\n{authorization}"), b"").await.status, 200);
    let head = format!("POST /api/streams/news/stop HTTP/1.1\nContent-Length: 0\n{authorization}");
    service.raw(&head, b"").await.problem(403);
    assert_eq!(service.send("POST", "/api/streams/news/stop").await.status, 401);
    assert_eq!(service.fake.asked(), Vec::<String>::new());
}
