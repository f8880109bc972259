//! The fetcher against a scripted server: what good servers, bad servers and hostile servers make of it.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures_util::future::join_all;
use overdub_actors::fetcher::{FetchLimits, FetcherConfig, ResumeAt, refusal};
use overdub_actors::messages::FetcherEvent;
use tokio::io::AsyncWriteExt;

#[path = "fetcher/choices.rs"]
mod choices;
#[path = "fetcher/formats.rs"]
mod formats;
#[path = "fetcher/renditions.rs"]
mod renditions;
#[path = "fetcher/run.rs"]
mod run;
#[path = "fetcher/server.rs"]
mod server;
use run::{PATIENCE, Run, config, files, hasty, limits};
use server::{Answer, Server};

/// Transport packets that differ from segment to segment.
fn packets(seed: u64) -> Vec<u8> {
    (0..20u8).flat_map(|n| std::iter::once(0x47).chain(std::iter::repeat_n(n ^ seed as u8, 187))).collect()
}

/// A playlist of one-second segments `{name}{n}.ts`.
fn playlist(name: &str, numbers: std::ops::Range<u64>) -> String {
    let mut text = format!("#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXT-X-MEDIA-SEQUENCE:{}\n", numbers.start);
    for number in numbers {
        let _ = write!(text, "#EXTINF:1,\n{name}{number}.ts\n");
    }
    text
}

fn ended(text: String) -> String {
    text + "#EXT-X-ENDLIST\n"
}

fn serve_segments(server: &Server, name: &str, numbers: std::ops::Range<u64>) {
    for number in numbers {
        server.answer(&format!("/{name}{number}.ts"), [Answer::Ok(packets(number))]);
    }
}

#[actix::test]
async fn a_live_window_is_stored_in_order_and_once_each() {
    let server = Server::start().await;
    serve_segments(&server, "a", 5..12);
    let windows = [5..8, 5..8, 6..9, 8..12].map(|window| Answer::Ok(playlist("a", window).into_bytes()));
    server.answer("/live.m3u8", windows);
    let mut run = Run::of(config(&server.url("/live.m3u8")));
    assert!(matches!(run.next().await, FetcherEvent::PlaylistRead { target_duration_s: 1 }));
    for number in 5..12 {
        let stored = run.stored().await;
        assert_eq!((stored.number, stored.media_sequence, stored.duration_us), (number, number, 1_000_000));
        assert_eq!(stored.path, run.folder().join(format!("segment-{number}.ts")));
        assert_eq!(std::fs::read(&stored.path).expect("the file"), packets(number));
        assert_eq!(stored.bytes, packets(number).len() as u64);
        assert!(!stored.discontinuity);
    }
    assert_eq!(run.said.len(), 8, "{:?}", run.said);
    assert_eq!(run.files().len(), 7);
    assert!(run.alive > 0, "a fetcher that waits says that it is alive");
    assert_eq!(server.requests("/a7.ts").len(), 1);
}

#[actix::test]
async fn the_best_variant_is_found_through_redirects_and_credentials() {
    let server = Server::start().await;
    serve_segments(&server, "a", 0..1);
    let moved = server.url("/b/master.m3u8").replace("://", "://user:p%40ss@");
    server.answer("/master.m3u8", [Answer::Redirect(moved)]);
    server.text(
        "/b/master.m3u8",
        "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nlow.m3u8\n#EXT-X-STREAM-INF:BANDWIDTH=9\nhi/x.m3u8\n",
    );
    server.text("/b/hi/x.m3u8", &ended(playlist("../../a", 0..1)));
    let mut run = Run::of(config(&server.url("/master.m3u8")));
    run.ended().await;
    assert_eq!(run.numbers_stored(), [(0, 0)]);
    let [request] = &server.requests("/b/hi/x.m3u8")[..] else { panic!("asked once") };
    assert_eq!(request.authorization.as_deref(), Some("Basic dXNlcjpwQHNz"));
    assert_eq!(server.requests("/master.m3u8")[0].authorization, None);
}

#[actix::test]
async fn resuming_goes_on_where_it_stopped_and_names_what_is_gone() {
    let server = Server::start().await;
    serve_segments(&server, "a", 0..20);
    server.text("/live.m3u8", &ended(playlist("a", 10..13)));
    let resume = Some(ResumeAt { next_media_sequence: 8, next_number: 108 });
    let mut run = Run::of(FetcherConfig { resume, ..config(&server.url("/live.m3u8")) });
    assert_eq!(run.lost().await.0, 8);
    assert_eq!(run.lost().await.0, 9);
    run.ended().await;
    assert_eq!(run.numbers_stored(), [(10, 110), (11, 111), (12, 112)]);

    let resume = Some(ResumeAt { next_media_sequence: 12, next_number: 112 });
    let mut run = Run::of(FetcherConfig { resume, ..config(&server.url("/live.m3u8")) });
    run.ended().await;
    assert_eq!(run.numbers_stored(), [(12, 112)]);
}

#[actix::test]
async fn each_bad_source_is_called_by_its_name_once_and_recovers() {
    let cases: [(Answer, &str); 10] = [
        (Answer::Status("404 Not Found"), "source answered 404 Not Found"),
        (Answer::Status("503 Service Unavailable"), "source answered 503 Service Unavailable"),
        (
            Answer::Ok(b"<!DOCTYPE html><p>hello</p>".to_vec()),
            "source is not an HLS playlist: line 1: #EXTM3U is missing; it begins with '<!DOCTYPE html><'",
        ),
        (Answer::Ok(Vec::new()), "source answered with an empty body"),
        (Answer::Endless, "playlist is larger than 4194304 bytes"),
        (Answer::Stall { length: 100, bytes: b"#EXTM3U".to_vec() }, "no data for 1 s"),
        (Answer::Cut { length: 100, bytes: b"#EXTM3U\n".to_vec() }, "playlist ends after 8 bytes of 100"),
        (Answer::CutChunks(b"#EXTM3U\n".to_vec()), "playlist ends after 8 bytes of an unknown number"),
        (Answer::Silence, "no answer for 1 s"),
        (Answer::Raw(b"SSH-2.0-OpenSSH\r\n\r\n"), "answer is not HTTP"),
    ];
    // Side by side: some of them take their time.
    let checks = cases.map(|(answer, expected)| async move {
        let server = Server::start().await;
        serve_segments(&server, "a", 0..1);
        server.answer(
            "/live.m3u8",
            [answer.clone(), answer.clone(), Answer::Ok(ended(playlist("a", 0..1)).into_bytes())],
        );
        let mut run = Run::of(FetcherConfig { limits: hasty(), ..config(&server.url("/live.m3u8")) });
        run.ended().await;
        let [failed, recovered, ..] = &run.said[..] else { panic!("{answer:?}: {:?}", run.said) };
        let FetcherEvent::SourceFailed { reason } = failed else { panic!("{answer:?}: {:?}", run.said) };
        assert_eq!(reason, expected);
        assert!(matches!(recovered, FetcherEvent::SourceRecovered), "{:?}", run.said);
        assert_eq!(run.numbers_stored(), [(0, 0)]);
    });
    join_all(checks).await;
}

#[actix::test]
async fn a_source_that_is_not_there_is_tried_again_until_it_is() {
    let server = Server::start().await;
    let mut run = Run::of(config("http://127.0.0.1:9/live.m3u8"));
    assert_eq!(run.failed().await, "connection refused");
    let mut run = Run::of(config("http://no-such-host.invalid/live.m3u8"));
    assert_eq!(run.failed().await, "host name does not resolve");
    let plain = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let mut run = Run::of(config(&format!("https://{}/", plain.local_addr().expect("a bound address"))));
    let (mut stream, _) = plain.accept().await.expect("a connection");
    stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.expect("a write");
    let reason = run.failed().await;
    assert!(reason.starts_with("TLS failed: "), "{reason}");
    server.answer("/loop.m3u8", [Answer::Redirect("/loop.m3u8".into())]);
    let mut run = Run::of(config(&server.url("/loop.m3u8")));
    assert_eq!(run.failed().await, "more than 5 redirects");
    assert!(server.requests("/loop.m3u8").len() >= 6);
    server.answer("/file.m3u8", [Answer::Redirect("file:///etc/passwd".into())]);
    let mut run = Run::of(config(&server.url("/file.m3u8")));
    assert_eq!(run.failed().await, "address is neither http nor https");
}

#[actix::test]
async fn private_addresses_are_refused_as_literals_names_and_in_segments() {
    let server = Server::start().await;
    serve_segments(&server, "a", 0..1);
    server.text("/live.m3u8", &playlist("a", 0..1));
    for host in ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "0x7f000001", "2130706433"] {
        let url = format!("http://{host}:{}/live.m3u8", server.port);
        let mut run = Run::of(FetcherConfig { refuses: refusal(false), ..config(&url) });
        assert_eq!(run.failed().await, "address is private, and fetch.allow_private is false", "{host}");
    }
    assert!(server.requests("/live.m3u8").is_empty());
}

/// Answers each connection with these bytes, at an address of its own.
async fn stranger(answer: String) -> u16 {
    let listener = tokio::net::TcpListener::bind("127.0.0.2:0").await.expect("another loopback address");
    let port = listener.local_addr().expect("its address").port();
    actix::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let mut request = [0; 4096];
            if tokio::io::AsyncReadExt::read(&mut socket, &mut request).await.is_ok() {
                // A client that has gone wants no answer.
                _ = socket.write_all(answer.as_bytes()).await;
            }
        }
    });
    port
}

#[actix::test]
async fn redirects_and_names_of_an_allowed_server_lead_to_no_refused_address() {
    let server = Server::start().await;
    serve_segments(&server, "a", 0..1);
    server.text("/live.m3u8", &playlist("a", 0..1));
    let refuses = |address: std::net::IpAddr| address != std::net::Ipv4Addr::new(127, 0, 0, 2);
    let of = |url: String| Run::of(FetcherConfig { refuses, ..config(&url) });
    let (port, refused) = (server.port, "address is private, and fetch.allow_private is false");
    for host in ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]"] {
        let target = format!("http://{host}:{port}/live.m3u8");
        let answer = format!(
            "HTTP/1.1 302 Found\r\nLocation: {target}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        );
        let away = stranger(answer).await;
        assert_eq!(of(format!("http://127.0.0.2:{away}/live.m3u8")).failed().await, refused, "{target}");

        let text = format!(
            "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nhttp://{host}:{port}/a0.ts\n#EXT-X-ENDLIST\n"
        );
        let answer =
            format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{text}", text.len());
        let away = stranger(answer).await;
        let (_, _, reason) = of(format!("http://127.0.0.2:{away}/live.m3u8")).lost().await;
        assert_eq!(reason, refused, "{host}");
    }
    assert!(server.requests("/live.m3u8").is_empty() && server.requests("/a0.ts").is_empty());
}

#[actix::test]
async fn a_failing_segment_is_tried_again_and_the_next_waits_for_it() {
    let server = Server::start().await;
    serve_segments(&server, "a", 0..3);
    let good = packets(1);
    server.answer(
        "/a1.ts",
        [
            Answer::Status("404 Not Found"),
            // Cut at packets' ends, so that only the transfer shows it.
            Answer::Cut { length: good.len(), bytes: good[..1880].to_vec() },
            Answer::CutChunks(good[..1880].to_vec()),
            Answer::Chunked(good.clone()),
        ],
    );
    server.text("/live.m3u8", &playlist("a", 0..3));
    let mut run = Run::of(config(&server.url("/live.m3u8")));
    for number in 0..3 {
        let stored = run.stored().await;
        assert_eq!(stored.number, number);
        assert_eq!(std::fs::read(stored.path).expect("the file"), packets(number));
    }
    assert_eq!(run.files(), ["segment-0.ts", "segment-1.ts", "segment-2.ts"]);
}

#[actix::test]
async fn a_segment_that_stays_away_is_lost_with_its_reason_and_the_next_goes_on() {
    let server = Server::start().await;
    serve_segments(&server, "a", 0..3);
    server.answer("/a1.ts", [Answer::Status("404 Not Found")]);
    // Ended: a playlist that brings nothing new for so long is a fault of its own.
    server.text("/live.m3u8", &ended(playlist("a", 0..3)));
    let mut run = Run::of(config(&server.url("/live.m3u8")));
    assert_eq!(run.lost().await, (1, 1_000_000, "source answered 404 Not Found".into()));
    assert_eq!(run.stored().await.number, 2);
    let tries = server.requests("/a1.ts").len();
    assert!((2..=5).contains(&tries), "{tries} tries");
    assert!(!run.said.iter().any(|event| matches!(event, FetcherEvent::SourceFailed { .. })));
}

#[actix::test]
async fn a_segment_is_not_lost_because_the_whole_source_was_away() {
    let server = Server::start().await;
    let away = Answer::Status("503 Service Unavailable");
    let [a, b, c] = [away.clone(), away.clone(), away.clone()];
    server.answer("/a0.ts", [a, b, c, Answer::Ok(packets(0))]);
    let listed = Answer::Ok(playlist("a", 0..1).into_bytes());
    server.answer("/live.m3u8", [listed.clone(), away.clone(), away.clone(), away, listed]);
    let mut run = Run::of(config(&server.url("/live.m3u8")));
    assert_eq!(run.stored().await.number, 0);
    assert!(
        !run.said.iter().any(|event| matches!(event, FetcherEvent::SegmentLost { .. })),
        "{:?}",
        run.said
    );
}

#[actix::test]
async fn hostile_segments_leave_no_file() {
    let cases = [
        (Answer::Endless, "segment is larger than 100000 bytes"),
        (Answer::Stall { length: 10_000, bytes: packets(0) }, "no data for 1 s"),
        (Answer::Ok(b" <!doctype HTML>".to_vec()), "segment is a web page"),
        (Answer::Ok(Vec::new()), "segment is empty"),
        (Answer::Redirect("/a0.ts".into()), "more than 5 redirects"),
    ];
    let checks = cases.map(|(answer, reason)| async move {
        let server = Server::start().await;
        serve_segments(&server, "a", 0..2);
        server.answer("/a0.ts", [answer]);
        server.text("/live.m3u8", &ended(playlist("a", 0..2)));
        let limits = FetchLimits { segment_bytes: 100_000, ..hasty() };
        let mut run = Run::of(FetcherConfig { limits, ..config(&server.url("/live.m3u8")) });
        assert_eq!(run.lost().await.2, reason);
        run.ended().await;
        assert_eq!(run.files(), ["segment-1.ts"]);
    });
    join_all(checks).await;
}

#[actix::test]
async fn answers_that_end_with_their_connection_are_read_to_their_end() {
    let server = Server::start().await;
    let unframed =
        |body: &[u8]| Answer::Raw([b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", body].concat().leak());
    for number in 0..2 {
        server.answer(&format!("/a{number}.ts"), [unframed(&packets(number))]);
    }
    server.answer("/live.m3u8", [unframed(ended(playlist("a", 0..2)).as_bytes())]);
    let mut run = Run::of(config(&server.url("/live.m3u8")));
    for number in 0..2 {
        assert_eq!(std::fs::read(run.stored().await.path).expect("the file"), packets(number));
    }
    run.ended().await;
}

#[actix::test]
async fn a_segment_whose_own_length_is_odd_is_taken_at_the_second_try() {
    let server = Server::start().await;
    let mut odd = packets(0);
    odd.pop();
    server.answer("/a0.ts", [Answer::Ok(odd.clone())]);
    server.text("/live.m3u8", &ended(playlist("a", 0..1)));
    let mut run = Run::of(config(&server.url("/live.m3u8")));
    assert_eq!(run.stored().await.bytes, odd.len() as u64);
    assert_eq!(server.requests("/a0.ts").len(), 2);
}

#[actix::test]
async fn a_source_that_begins_again_keeps_the_numbers_growing() {
    let server = Server::start().await;
    serve_segments(&server, "a", 0..200);
    let mut windows = vec![Answer::Ok(playlist("a", 100..103).into_bytes())];
    windows.push(Answer::Ok(playlist("a", 0..2).into_bytes()));
    windows.push(Answer::Ok(ended(playlist("a", 0..3)).into_bytes()));
    server.answer("/live.m3u8", windows);
    let mut run = Run::of(config(&server.url("/live.m3u8")));
    run.ended().await;
    assert_eq!(run.numbers_stored(), [(100, 100), (101, 101), (102, 102), (0, 103), (1, 104), (2, 105)]);
    let marks: Vec<_> = run
        .said
        .iter()
        .filter_map(
            |event| if let FetcherEvent::SegmentStored(s) = event { Some(s.discontinuity) } else { None },
        )
        .collect();
    assert_eq!(marks, [false, false, false, true, false, false]);
}

#[actix::test]
async fn gaps_and_what_is_not_supported_are_lost_without_a_request() {
    let server = Server::start().await;
    serve_segments(&server, "a", 0..4);
    server.text(
        "/live.m3u8",
        "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n#EXT-X-GAP\na0.ts\n\
         #EXT-X-KEY:METHOD=SAMPLE-AES,URI=\"k\"\n#EXTINF:1,\na1.ts\n\
         #EXT-X-KEY:METHOD=NONE\n#EXTINF:1,\na2.ts\n\
         #EXT-X-KEY:METHOD=AES-128,URI=\"k\",KEYFORMAT=\"com.apple.streamingkeydelivery\"\n#EXTINF:1,\na3.ts\n\
         #EXT-X-ENDLIST\n",
    );
    let mut run = Run::of(config(&server.url("/live.m3u8")));
    run.ended().await;
    let said: Vec<_> = run
        .said
        .iter()
        .map(|event| match event {
            FetcherEvent::SegmentLost { media_sequence, reason, .. } => {
                format!("lost {media_sequence}: {reason}")
            }
            FetcherEvent::SourceFailed { reason } => format!("failed: {reason}"),
            FetcherEvent::SegmentStored(stored) => format!("stored {}", stored.number),
            other => format!("{other:?}"),
        })
        .collect();
    assert_eq!(
        said,
        [
            "PlaylistRead { target_duration_s: 1 }",
            "lost 0: the source marks it as missing (EXT-X-GAP)",
            "failed: segments encrypted by METHOD=SAMPLE-AES are not supported",
            "lost 1: segments encrypted by METHOD=SAMPLE-AES are not supported",
            "stored 2",
            "SourceRecovered",
            "failed: segments with keys of KEYFORMAT=com.apple.streamingkeydelivery are not supported",
            "lost 3: segments with keys of KEYFORMAT=com.apple.streamingkeydelivery are not supported",
            "SourceEnded",
        ]
    );
    for path in ["/a0.ts", "/a1.ts", "/a3.ts", "/k"] {
        assert!(server.requests(path).is_empty());
    }
}

#[actix::test]
async fn byte_ranges_are_asked_for_and_cut_out_where_a_server_ignores_them() {
    let server = Server::start().await;
    let whole = [packets(0), packets(1)].concat();
    let length = whole.len() / 2;
    server.answer("/all.ts", [Answer::Ranged(whole.clone()), Answer::Ok(whole.clone())]);
    server.text(
        "/live.m3u8",
        &format!(
            "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n#EXT-X-BYTERANGE:{length}@0\nall.ts\n\
             #EXTINF:1,\n#EXT-X-BYTERANGE:{length}\nall.ts\n#EXT-X-ENDLIST\n"
        ),
    );
    let mut run = Run::of(config(&server.url("/live.m3u8")));
    for number in 0..2 {
        assert_eq!(std::fs::read(run.stored().await.path).expect("the file"), packets(number));
    }
    let ranges: Vec<_> = server.requests("/all.ts").into_iter().map(|request| request.range).collect();
    let expected = [format!("bytes=0-{}", length - 1), format!("bytes={length}-{}", 2 * length - 1)];
    assert_eq!(ranges, expected.map(Some));
}

#[actix::test]
async fn aes_128_segments_are_decrypted() {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/media");
    let corpus = std::env::var_os("OVERDUB_CORPUS").map_or_else(beside, PathBuf::from).join("aes128-ts");
    if !corpus.is_dir() {
        println!("skipped: no media corpus at OVERDUB_CORPUS");
        return;
    }
    let read = |name: &str| std::fs::read(corpus.join(name)).expect("a file of the corpus");
    let server = Server::start().await;
    let mut key = read("encryptionKey.key");
    server.answer("/encryptionKey.key", [Answer::Ok(key.clone())]);
    server.answer("/encrypted.ts", [Answer::Ok(read("encrypted.ts"))]);
    server.answer("/live.m3u8", [Answer::Ok(read("playlist.m3u8"))]);
    let mut run = Run::of(config(&server.url("/live.m3u8")));
    let stored = run.stored().await;
    let clear = std::fs::read(&stored.path).expect("the file");
    assert!(clear.len() < read("encrypted.ts").len() && clear.len() % 188 == 0);
    assert!(clear.chunks(188).all(|packet| packet[0] == 0x47), "clear transport packets");

    key[0] ^= 1;
    server.answer("/encryptionKey.key", [Answer::Ok(key)]);
    let mut run = Run::of(config(&server.url("/live.m3u8")));
    assert_eq!(run.lost().await.2, "decryption gives no valid padding: the key or the IV is wrong");
    server.answer("/encryptionKey.key", [Answer::Ok(vec![0; 65])]);
    let mut run = Run::of(config(&server.url("/live.m3u8")));
    assert_eq!(run.lost().await.2, "key: key is larger than 64 bytes");
    assert!(run.files().is_empty());
}

#[actix::test]
async fn a_folder_that_cannot_be_written_fails_the_source_and_heals() {
    let server = Server::start().await;
    serve_segments(&server, "a", 0..1);
    server.text("/live.m3u8", &playlist("a", 0..1));
    let directory = tempfile::tempdir().expect("a directory");
    let in_the_way = directory.path().join("original_stream");
    std::fs::write(&in_the_way, b"a file where a folder must be").expect("a file");
    let folder = in_the_way.join("test");
    let mut run =
        Run::within(FetcherConfig { directory: folder, ..config(&server.url("/live.m3u8")) }, directory);
    let reason = run.failed().await;
    assert!(reason.starts_with("segment cannot be stored: "), "{reason}");
    std::fs::remove_file(in_the_way).expect("removed");
    assert_eq!(run.stored().await.number, 0);
    assert!(matches!(run.next().await, FetcherEvent::SourceRecovered));
    assert_eq!(run.files(), ["segment-0.ts"]);
}

#[actix::test]
async fn a_fetcher_that_is_aborted_leaves_nothing_half_written() {
    let server = Server::start().await;
    server.answer("/a0.ts", [Answer::Stall { length: 3 << 20, bytes: vec![0x47; 2 << 20] }]);
    server.text("/live.m3u8", &playlist("a", 0..1));
    let limits = FetchLimits { idle_timeout: PATIENCE, total_timeout: PATIENCE, ..limits() };
    let run = Run::of(FetcherConfig { limits, ..config(&server.url("/live.m3u8")) });
    let folder = run.folder();
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while files(&folder).is_empty() {
        assert!(tokio::time::Instant::now() < deadline, "nothing was written");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(files(&folder), ["segment-0.ts.tmp"]);
    run.task.abort();
    while !files(&folder).is_empty() {
        assert!(tokio::time::Instant::now() < deadline, "{:?}", files(&folder));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
