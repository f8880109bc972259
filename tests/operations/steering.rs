//! The program as it runs: what happens is told over `/api/events` as it happens, and SIGHUP is obeyed and said.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::kit::live::LiveSource;
use crate::kit::overdub::Overdub;
use crate::kit::processor::EchoProcessor;
use crate::kit::{folder, wait};
use crate::listener::Listener;

const LIMIT: Duration = Duration::from_secs(60);

/// Reads events until `accept` takes one; each must be of the version of today.
async fn heard<T>(listener: &mut Listener, what: &str, mut accept: impl FnMut(&Value) -> Option<T>) -> T {
    let hears = async {
        loop {
            let event = listener.next().await.expect("the service still serves");
            assert_eq!(event["v"], 1, "{event}");
            if let Some(found) = accept(&event) {
                return found;
            }
        }
    };
    tokio::time::timeout(LIMIT, hears).await.unwrap_or_else(|_| panic!("waited in vain: {what}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happens_is_told_as_it_happens_and_sighup_changes_what_can_change() {
    let folder = folder();
    let config = folder.path().join("config.toml");
    let configure = |delay: u32| {
        let text = format!("[stream]\ndelay = {delay}\n[log]\nfile = \"service.log\"\n");
        std::fs::write(&config, text).unwrap();
    };
    configure(4);
    let mut overdub = Overdub::start(folder.path()).await.unwrap();
    let address = overdub.base.strip_prefix("http://").unwrap().parse().unwrap();
    let mut listener = Listener::connect(address, "/api/events", "").await.unwrap();
    assert_eq!(listener.event("snapshot").await["streams"], json!([]), "a snapshot comes first");

    let source = LiveSource::start(6).await.unwrap();
    let processor = EchoProcessor::start(folder.path(), Duration::ZERO).await.unwrap();
    overdub
        .create(&json!({
            "streamId": "news", "sourceUrl": source.url(), "audioProcessorUrl": processor.url(),
            "bufferDuration": 2, "srsRtmpUrl": null, "sourceHeaders": {"X-Key": "hunter2"},
        }))
        .await;
    heard(&mut listener, "the stream runs", |event| {
        (event["type"] == "stream" && event["stream"]["state"] == "running").then_some(())
    })
    .await;
    let mut states = Vec::new();
    heard(&mut listener, "a batch goes all the way", |event| {
        if event["type"] == "batch" && event["batch"]["batch"] == 1 {
            assert_eq!(event["streamId"], "news");
            let state = event["batch"]["state"].as_str().unwrap().to_owned();
            if states.last() != Some(&state) {
                states.push(state);
            }
        }
        states.iter().any(|state| state == "published").then_some(())
    })
    .await;
    assert_eq!(states, ["collected", "demuxed", "publishing", "published"]);

    let log_size = "overdub_storage_bytes{kind=\"log\",stream=\"news\"}";
    wait::until("the size of its own log is counted", LIMIT, async || {
        let metrics = overdub.send("GET", "/metrics", b"").await.text();
        let line = metrics.lines().find_map(|line| line.strip_prefix(log_size)).map(str::to_owned);
        line.filter(|bytes| bytes.trim().parse::<u64>().unwrap() > 0)
    })
    .await;

    // A change by the API is told, logged, and shows no secret.
    let change = json!({"sourceHeaders": {"x-key": "hunter3"}, "fallback": "silence"});
    let answer = overdub.send("PATCH", "/api/streams/news", change.to_string().as_bytes()).await;
    assert_eq!(
        (answer.status, answer.json()["restarted"].as_bool()),
        (200, Some(false)),
        "{}",
        answer.text()
    );
    assert_eq!(answer.json()["changed"]["sourceHeaders"], json!([{"X-Key": "***"}, {"x-key": "***"}]));
    let line = heard(&mut listener, "the change is logged", |event| {
        let is_it = event["type"] == "log" && event["fields"]["field"] == "sourceHeaders";
        is_it.then(|| event.clone())
    })
    .await;
    assert_eq!((line["level"].as_str(), line["streamId"].as_str()), (Some("info"), Some("news")), "{line}");
    wait::until("the source is asked with the new header", LIMIT, async || {
        source.heads().iter().any(|head| head.contains("hunter3")).then_some(())
    })
    .await;

    configure(6);
    let [log, moved] = ["service.log", "service.log.1"].map(|name| folder.path().join(name));
    std::fs::rename(&log, &moved).unwrap();
    overdub.process.signal("HUP").await;
    let line = heard(&mut listener, "the new configuration is said", |event| {
        (event["type"] == "log" && event["fields"]["key"] == "stream.delay").then(|| event.clone())
    })
    .await;
    assert_eq!((&line["fields"]["was"], &line["fields"]["is"]), (&json!("4.0"), &json!("6.0")), "{line}");
    let said = |path: &Path| std::fs::read_to_string(path).unwrap_or_default().contains("SIGHUP");
    wait::until("its log goes on in a new file", LIMIT, async || said(&log).then_some(())).await;
    assert!(!said(&moved), "who moved it away has all of it");
    configure(0);
    overdub.process.signal("HUP").await;
    let line = heard(&mut listener, "a wrong configuration is refused", |event| {
        (event["type"] == "log" && event["level"] == "error").then(|| event.clone())
    })
    .await;
    assert!(line["message"].as_str().unwrap().contains("nothing has changed"), "{line}");
    let later = json!({"streamId": "later", "sourceUrl": source.url(), "autostart": false});
    overdub.create(&later).await;
    assert_eq!(overdub.stream("later").await["settings"]["delay"], 6.0, "new streams have the new default");

    // What is deleted is told, and nothing of it is left to be seen.
    assert!(overdub.get("/api/streams/news/batches").await["batches"][0].is_object());
    let deleted = overdub.send("DELETE", "/api/streams/news?purge=true", b"").await;
    assert_eq!(deleted.status, 200, "{}", deleted.text());
    heard(&mut listener, "the deletion is told", |event| {
        (event["type"] == "deleted" && event["streamId"] == "news").then_some(())
    })
    .await;
    assert_eq!(overdub.send("GET", "/api/streams/news/batches", b"").await.status, 404);
    let metrics = overdub.send("GET", "/metrics", b"").await.text();
    assert!(metrics.contains("stream=\"later\""), "{metrics}");
    let left: Vec<&str> = metrics.lines().filter(|line| line.contains("\"news\"")).collect();
    assert!(left.is_empty(), "{left:#?}");
    assert!(overdub.files_ending_in(&[".ts", ".fmp4", ".log"]).is_empty(), "its files are gone");

    overdub.process.signal("TERM").await;
    heard(&mut listener, "the end is told", |event| (event["type"] == "closing").then_some(())).await;
    assert!(overdub.process.ended(LIMIT).await.success());
    for log in [log, moved] {
        let text = std::fs::read_to_string(log).unwrap();
        assert!(text.contains("news") && !text.contains("hunter"), "a secret is in the log");
    }
}

/// Events beyond those that the service keeps for a listener, and bytes beyond those that the kernel does.
const MANY_EVENTS: usize = 6144;
const MANY_BYTES: usize = 8 << 20;

#[tokio::test(flavor = "multi_thread")]
async fn a_listener_that_does_not_read_is_dropped_with_the_reason_and_costs_nobody_anything() {
    let folder = folder();
    let settings = [("OVERDUB__SERVER__RATE_LIMIT", "0")];
    let mut overdub = Overdub::start_with(folder.path(), &settings).await.unwrap();
    let address = overdub.base.strip_prefix("http://").unwrap().parse().unwrap();
    overdub
        .create(&json!({"streamId": "s", "sourceUrl": "http://127.0.0.1:9/a.m3u8", "autostart": false}))
        .await;
    let mut slow = Listener::connect(address, "/api/events", "").await.unwrap();
    let mut quick = Listener::connect(address, "/api/events", "").await.unwrap();
    assert_eq!(slow.event("snapshot").await["streams"][0]["streamId"], "s");

    let reads = tokio::spawn(async move {
        let (mut events, mut bytes) = (0, 0);
        while events < MANY_EVENTS || bytes < MANY_BYTES {
            let event = quick.next().await.expect("a listener that reads is kept");
            assert_ne!(event["type"], "closing", "{event}");
            (events, bytes) = (events + 1, bytes + event.to_string().len());
        }
        quick
    });
    let before = overdub.resident_bytes();
    let change = async |round: usize| {
        let word = format!("{}", round % 7).repeat(2000);
        let (fallback, language) = if round.is_multiple_of(2) { ("silence", "de") } else { ("drop", "en") };
        let change = json!({
            "sourceUrl": format!("http://127.0.0.1:9/{word}.m3u8"), "delay": 10 + round % 2,
            "bufferDuration": 10 + round % 3, "maxConcurrentBatches": 1 + round % 5, "fallback": fallback,
            "audioLanguage": language,
        });
        let answer = overdub.send("PATCH", "/api/streams/s", change.to_string().as_bytes()).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    };
    // Several at once share a flush: a listener that has been silent for long is dropped for that.
    for round in (0..).step_by(4) {
        if reads.is_finished() {
            break;
        }
        tokio::join!(change(round), change(round + 1), change(round + 2), change(round + 3));
    }
    let mut quick = reads.await.unwrap();
    let grown = overdub.resident_bytes().saturating_sub(before);
    assert!(grown < 64 << 20, "{grown} bytes more are held");
    let mut last = json!(null);
    let reads = async {
        loop {
            match slow.next().await {
                Ok(event) => last = event,
                Err(end) => break end.expect("a close that says why"),
            }
        }
    };
    let end = tokio::time::timeout(LIMIT, reads).await.expect("it is dropped");
    assert_eq!(last["type"], "closing", "{last}");
    assert!(last["reason"].as_str().unwrap().starts_with("too slow: "), "{last}");
    assert!(end.description.unwrap().contains("connect again"));
    // The other one goes on, and a new one is let in.
    overdub.send("DELETE", "/api/streams/s", b"").await;
    heard(&mut quick, "the deletion is told", |event| (event["type"] == "deleted").then_some(())).await;
    let mut again = Listener::connect(address, "/api/events", "").await.unwrap();
    assert_eq!(again.event("snapshot").await["streams"], json!([]));
    assert!(overdub.process.running());
}
