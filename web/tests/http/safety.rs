//! Tokens, foreign pages, hostile bodies, binding and stopping.

use overdub_web::{Registry, TokenHash, WebSettings};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::client::Service;
use crate::fake::FakeRegistry;

/// SHA-256 of `secret` and of `other`.
pub const HASHES: [&str; 2] = [
    "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b",
    "d9298a10d1b0735837dc4bd85dac641b0f3cef27a47e5d53a54f2f3f5b2fcffa",
];

fn guarded() -> Service {
    let auth_tokens: Vec<TokenHash> = HASHES.iter().map(|hash| hash.parse().unwrap()).collect();
    Service::with(WebSettings { auth_tokens, ..WebSettings::default() })
}

#[actix_rt::test]
async fn with_tokens_the_api_is_for_their_bearers_alone() {
    let service = guarded();
    service.fake.add("news", |_| {});
    for headers in
        ["", "\nAuthorization: Bearer wrong", "\nAuthorization: Basic secret", "\nAuthorization: secret"]
    {
        for target in ["/api/streams", "/api/pipeline/status", "/api/nothing"] {
            let answer = service.raw(&format!("GET {target} HTTP/1.1{headers}"), b"").await;
            answer.problem(401);
            assert!(answer.header("www-authenticate").unwrap().starts_with("Bearer"), "{target}{headers}");
        }
        let answer = service.raw(&format!("DELETE /api/streams/news HTTP/1.1{headers}"), b"").await;
        answer.problem(401);
    }
    assert_eq!(service.fake.asked(), Vec::<String>::new());
    for token in ["secret", "other"] {
        let head = format!("GET /api/streams HTTP/1.1\nAuthorization: Bearer {token}");
        assert_eq!(service.raw(&head, b"").await.status, 200);
    }
}

#[actix_rt::test]
async fn with_tokens_viewers_and_probes_need_none_and_the_page_tells_nothing() {
    let service = guarded();
    service.fake.add("news", |_| {});
    for target in ["/healthz", "/readyz", "/metrics"] {
        assert_eq!(service.get(target).await.status, 200, "{target}");
    }
    service.get("/live/news/index.m3u8").await.problem(404);
    assert_eq!(service.fake.asked(), ["live news index.m3u8"]);
    assert!(!service.get("/").await.text().contains("news"));
    assert!(!service.get("/plain").await.text().contains("news"));
    let page = service.raw("GET /plain HTTP/1.1\nAuthorization: Bearer secret", b"").await;
    assert!(page.text().contains("/api/streams/news"));
}

#[actix_rt::test]
async fn without_tokens_a_foreign_page_changes_nothing() {
    let service = Service::start();
    service.fake.add("news", |_| {});
    for origin in ["http://evil.example", "null", "http://127.0.0.1:1"] {
        let head = format!("POST /api/streams/news/stop HTTP/1.1\nOrigin: {origin}\nContent-Length: 0");
        service.raw(&head, b"").await.problem(403);
    }
    assert_eq!(service.fake.asked(), Vec::<String>::new());
    let head = format!(
        "POST /api/streams/news/stop HTTP/1.1\nOrigin: http://{}\nContent-Length: 0",
        service.address
    );
    assert_eq!(service.raw(&head, b"").await.status, 200);
    let head = "GET /api/streams HTTP/1.1\nOrigin: http://evil.example";
    assert_eq!(service.raw(head, b"").await.header("access-control-allow-origin"), None);
}

#[actix_rt::test]
async fn a_body_that_is_no_small_json_object_is_refused() {
    let service = Service::start();
    for (body, said) in [
        (String::new(), "is empty"),
        ("{".to_owned(), "is not JSON"),
        ("[]".to_owned(), "must be a JSON object"),
        ("\"x\"".to_owned(), "must be a JSON object"),
        ("{\"a\":".repeat(1000), "is not JSON"),
        (format!("{{\"sourceUrl\": \"{}\"}}", "x".repeat(256 * 1024)), "larger than 262144 bytes"),
        (" ".repeat(3_000_000), "larger than 262144 bytes"),
    ] {
        for target in ["/api/pipeline/start", "/api/pipeline/stop", "/api/storage/clean", "/api/streams"] {
            let problem = service.post_text(target, &body).await.problem(400);
            assert!(problem["detail"].as_str().unwrap().contains(said), "{target}: {problem}");
        }
    }
    let head = "POST /api/streams HTTP/1.1\nContent-Type: text/plain\nContent-Length: 2";
    let problem = service.raw(head, b"{}").await.problem(400);
    assert!(problem["detail"].as_str().unwrap().contains("Content-Type: application/json"));
    let head = "POST /api/streams HTTP/1.1\nContent-Type: application/json; charset=utf-8\nTransfer-Encoding: chunked";
    service.raw(head, b"5\r\n{\"a\":\r\nZZ\r\n").await.problem(400);
    assert_eq!(service.fake.asked(), Vec::<String>::new());
}

#[actix_rt::test]
async fn bytes_that_are_no_http_end_only_their_own_connection() {
    let service = Service::start();
    for garbage in [&b"\x00\xff\x16\x03\x01\r\n\r\n"[..], b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n"] {
        let mut stream = tokio::net::TcpStream::connect(service.address).await.unwrap();
        stream.write_all(garbage).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        assert_eq!(service.get("/healthz").await.status, 200);
    }
}

#[actix_rt::test]
async fn anything_but_loopback_is_bound_with_tokens_only() {
    let (_fake, addr) = FakeRegistry::start();
    let open = WebSettings { host: "0.0.0.0".to_owned(), port: 0, ..WebSettings::default() };
    let error = overdub_web::bind(&open).expect_err("bound without tokens");
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
    assert!(error.to_string().contains("auth.tokens"), "{error}");
    let tokens = WebSettings { auth_tokens: vec![HASHES[0].parse().unwrap()], ..open };
    let bound = overdub_web::bind(&tokens).unwrap();
    let (server, _) = overdub_web::server(Registry::new(&addr), tokens, bound).unwrap();
    let handle = server.handle();
    actix_rt::spawn(server);
    handle.stop(true).await;
}

#[actix_rt::test]
async fn a_port_that_is_taken_is_an_error_and_not_a_panic() {
    let service = Service::start();
    let settings = WebSettings { port: service.address.port(), ..WebSettings::default() };
    assert_eq!(overdub_web::bind(&settings).unwrap_err().kind(), std::io::ErrorKind::AddrInUse);
}

#[actix_rt::test]
async fn stopping_lets_an_answer_under_way_finish_and_frees_the_port() {
    let service = Service::impatient();
    service.fake.add("news", |_| {});
    service.fake.set_mood(crate::fake::Mood::Mute);
    let body = json!({ "streamId": "news" });
    // The registry never answers, so that this one is under way until its deadline.
    let (answer, ()) = tokio::join!(service.post("/api/pipeline/stop", &body), async {
        while service.fake.asked().is_empty() {
            tokio::task::yield_now().await;
        }
        service.stop().await;
    });
    answer.problem(503);
    assert!(tokio::net::TcpStream::connect(service.address).await.is_err());
}

#[actix_rt::test]
async fn an_idle_connection_does_not_hold_up_the_stop() {
    let service = Service::start();
    let mut stream = tokio::net::TcpStream::connect(service.address).await.unwrap();
    stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let mut some = [0; 16];
    stream.read_exact(&mut some).await.unwrap();
    let begun = tokio::time::Instant::now();
    service.stop().await;
    assert!(begun.elapsed().as_secs() < 3, "{:?}", begun.elapsed());
}

#[actix_rt::test]
async fn serving_ends_when_told_to() {
    let (_fake, addr) = FakeRegistry::start();
    let settings = WebSettings { port: 0, ..WebSettings::default() };
    let stop = std::future::ready(());
    overdub_web::serve(Registry::new(&addr), settings, stop).await.unwrap();
}
