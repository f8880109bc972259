//! What is asked for and how: variants, headers, cookies, validators, tokens.

use std::collections::BTreeMap;
use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use overdub_actors::fetcher::FetcherConfig;
use overdub_actors::messages::FetcherEvent;
use overdub_actors::settings::{SourceOptions, VariantChoice, VariantEnd};

use crate::run::{Run, config};
use crate::server::{Answer, Server};
use crate::{ended, packets, playlist, serve_segments};

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(text).expect("memory");
    encoder.finish().expect("memory")
}

#[actix::test]
async fn the_variant_asked_for_is_fetched_and_said_with_its_reason() {
    let server = Server::start().await;
    serve_segments(&server, "low/a", 0..1);
    server.text(
        "/master.m3u8",
        "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=900,RESOLUTION=1280x720\nhigh/x.m3u8\n\
         #EXT-X-STREAM-INF:BANDWIDTH=100,RESOLUTION=320x180\nlow/x.m3u8\n",
    );
    server.text("/low/x.m3u8", &ended(playlist("a", 0..1)));
    let options =
        SourceOptions { variant: VariantChoice::End(VariantEnd::Lowest), ..SourceOptions::default() };
    let mut run = Run::of(FetcherConfig { options, ..config(&server.url("/master.m3u8")) });
    assert_eq!(run.chosen().await, ("320x180, 100 bit/s: the lowest of 2".to_owned(), None));
    run.ended().await;
    assert_eq!(run.numbers_stored(), [(0, 0)]);
    assert!(server.requests("/high/x.m3u8").is_empty());
}

#[actix::test]
async fn an_equal_variant_takes_over_when_the_chosen_one_fails() {
    let server = Server::start().await;
    serve_segments(&server, "b", 0..1);
    server.text(
        "/master.m3u8",
        "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=9\na.m3u8\n#EXT-X-STREAM-INF:BANDWIDTH=9\nb.m3u8\n",
    );
    server.text("/b.m3u8", &ended(playlist("b", 0..1)));
    let mut run = Run::of(config(&server.url("/master.m3u8")));
    assert_eq!(run.failed().await, "source answered 404 Not Found");
    run.ended().await;
    assert_eq!(run.numbers_stored(), [(0, 0)]);
}

#[actix::test]
async fn a_playlist_that_has_not_changed_is_not_sent_again_and_packed_ones_are_read() {
    let server = Server::start().await;
    serve_segments(&server, "a", 0..3);
    let answer = |etag: &str, text: String| Answer::With {
        headers: vec![("ETag", format!("\"{etag}\"")), ("Content-Encoding", "gzip".to_owned())],
        body: gzip(text.as_bytes()),
    };
    let first = answer("one", playlist("a", 0..2));
    let last = answer("two", ended(playlist("a", 0..3)));
    server.answer("/live.m3u8", [first.clone(), first.clone(), first, last]);
    let mut run = Run::of(config(&server.url("/live.m3u8")));
    run.ended().await;
    assert_eq!(run.numbers_stored(), [(0, 0), (1, 1), (2, 2)]);
    let asked: Vec<_> =
        server.requests("/live.m3u8").iter().map(|r| r.headers.get("if-none-match").cloned()).collect();
    let one = Some("\"one\"".to_owned());
    assert_eq!(asked, [None, one.clone(), one.clone(), one]);
    assert!(server.requests("/live.m3u8").iter().all(|r| r.headers["accept-encoding"] == "gzip"));
    assert!(server.requests("/a0.ts").iter().all(|r| r.headers["accept-encoding"] == "identity"));
}

#[actix::test]
async fn a_playlist_of_this_very_second_is_asked_for_anew() {
    let server = Server::start().await;
    serve_segments(&server, "a", 0..3);
    // As nginx makes it: of the second and the size, which are the same after another write.
    let answer = |second: u8, text: String| Answer::With {
        headers: vec![
            ("ETag", "\"6a1-f0\"".to_owned()),
            ("Last-Modified", "Fri, 27 Nov 2026 19:20:30 GMT".to_owned()),
            ("Date", format!("Fri, 27 Nov 2026 19:20:{second} GMT")),
        ],
        body: text.into_bytes(),
    };
    let answers = [answer(30, playlist("a", 0..2)), answer(30, ended(playlist("a", 0..3)))];
    server.answer("/live.m3u8", answers);
    let mut run = Run::of(config(&server.url("/live.m3u8")));
    run.ended().await;
    assert_eq!(run.numbers_stored(), [(0, 0), (1, 1), (2, 2)]);
    // A second later nothing of the one before can be written any more.
    server.answer("/later.m3u8", [answer(31, playlist("a", 0..2)), Answer::Status("404 Not Found")]);
    let mut run = Run::of(config(&server.url("/later.m3u8")));
    run.failed().await;
    let asked = server.requests("/later.m3u8");
    assert_eq!(asked[1].headers.get("if-none-match").map(String::as_str), Some("\"6a1-f0\""));
}

#[actix::test]
async fn a_playlist_that_swells_beyond_the_limit_is_refused() {
    let server = Server::start().await;
    let headers = vec![("Content-Encoding", "gzip".to_owned())];
    server.answer("/bomb.m3u8", [Answer::With { headers, body: gzip(&vec![b'#'; 40 << 20]) }]);
    let mut run = Run::of(config(&server.url("/bomb.m3u8")));
    assert_eq!(run.failed().await, "playlist is larger than 4194304 bytes");
    let headers = vec![("Content-Encoding", "aws-chunked, utf-8".to_owned())];
    let listed = ended(playlist("a", 0..1));
    server.answer("/odd.m3u8", [Answer::With { headers, body: listed.into_bytes() }]);
    server.answer("/a0.ts", [Answer::Ok(packets(0))]);
    assert_eq!(Run::of(config(&server.url("/odd.m3u8"))).stored().await.number, 0);
    let headers = vec![("Content-Encoding", "br".to_owned())];
    server.answer("/br.m3u8", [Answer::With { headers, body: b"?".to_vec() }]);
    let mut run = Run::of(config(&server.url("/br.m3u8")));
    assert_eq!(run.failed().await, "answer is packed in a way that was not asked for, or damaged");
}

#[actix::test]
async fn cookies_come_back_and_the_users_headers_stay_with_the_sources_host() {
    let (server, other) = (Server::start().await, Server::start().await);
    server.answer("/s/a0.ts", [Answer::Ok(packets(0))]);
    other.answer("/a1.ts", [Answer::Ok(packets(1))]);
    // The other server is reached by another name of the same machine.
    let elsewhere = format!("http://localhost:{}/a1.ts", other.port);
    let text = format!(
        "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\na0.ts\n#EXTINF:1,\n{elsewhere}\n#EXT-X-ENDLIST\n"
    );
    let headers = vec![("Set-Cookie", "session=7; Path=/s".to_owned())];
    server.answer("/s/live.m3u8", [Answer::With { headers, body: text.into_bytes() }]);
    let given = [("X-Key", "s3cret"), ("User-Agent", "player/1"), ("Referer", "http://page/")];
    let source_headers: BTreeMap<_, _> = given.map(|(n, v)| (n.to_owned(), v.to_owned())).into();
    let options = SourceOptions { source_headers, ..SourceOptions::default() };
    let config = FetcherConfig { options, ..config(&server.url("/s/live.m3u8")) };
    assert!(!format!("{config:?}").contains("s3cret"));
    let mut run = Run::of(config);
    run.ended().await;
    assert_eq!(run.numbers_stored(), [(0, 0), (1, 1)]);

    let header =
        |server: &Server, path: &str, name: &str| server.requests(path)[0].headers.get(name).cloned();
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(header(&server, "/s/live.m3u8", "x-key"), some("s3cret"));
    assert_eq!(header(&server, "/s/live.m3u8", "cookie"), None);
    assert_eq!(header(&server, "/s/a0.ts", "x-key"), some("s3cret"));
    assert_eq!(header(&server, "/s/a0.ts", "cookie"), some("session=7"));
    assert_eq!(header(&server, "/s/a0.ts", "user-agent"), some("player/1"));
    assert_eq!(header(&other, "/a1.ts", "x-key"), None);
    assert_eq!(header(&other, "/a1.ts", "cookie"), None);
    assert_eq!(header(&other, "/a1.ts", "referer"), some("http://page/"));
}

#[actix::test]
async fn when_tokens_expire_the_multivariant_playlist_is_asked_for_anew() {
    let server = Server::start().await;
    let master = |token: &str| {
        Answer::Ok(format!("#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nx.m3u8?t={token}\n").into_bytes())
    };
    let media = |token: &str| {
        let text = "#EXTM3U\n#EXT-X-TARGETDURATION:60\n#EXT-X-DEFINE:QUERYPARAM=\"t\"\n\
            #EXTINF:1,\na0.ts?t={$t}\n#EXTINF:1,\na1.ts?t={$t}\n#EXT-X-ENDLIST\n";
        server.text(&format!("/x.m3u8?t={token}"), text);
    };
    media("old");
    media("new");
    server.answer("/master.m3u8", [master("old"), master("new")]);
    server.answer("/a0.ts?t=old", [Answer::Ok(packets(0))]);
    server.answer("/a1.ts?t=old", [Answer::Status("403 Forbidden")]);
    server.answer("/a1.ts?t=new", [Answer::Ok(packets(1))]);
    let began = tokio::time::Instant::now();
    let mut run = Run::of(config(&server.url("/master.m3u8")));
    run.ended().await;
    assert_eq!(run.numbers_stored(), [(0, 0), (1, 1)]);
    assert_eq!(server.requests("/master.m3u8").len(), 2);
    assert!(began.elapsed().as_secs() < 20, "long before the next poll would have been");
    assert!(!run.said.iter().any(|event| matches!(event, FetcherEvent::SegmentLost { .. })));
}

#[actix::test]
async fn variables_of_the_multivariant_playlist_reach_the_media_playlist() {
    let server = Server::start().await;
    server.answer("/v/a0.ts", [Answer::Ok(packets(0))]);
    server.text(
        "/master.m3u8",
        "#EXTM3U\n#EXT-X-DEFINE:NAME=\"dir\",VALUE=\"v\"\n#EXT-X-STREAM-INF:BANDWIDTH=1\nx.m3u8\n",
    );
    server.text(
        "/x.m3u8",
        "#EXTM3U\n#EXT-X-DEFINE:IMPORT=\"dir\"\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{$dir}/a0.ts\n#EXT-X-ENDLIST\n",
    );
    let mut run = Run::of(config(&server.url("/master.m3u8")));
    run.ended().await;
    assert_eq!(run.numbers_stored(), [(0, 0)]);
}

#[actix::test]
async fn parts_of_low_latency_playlists_are_left_alone_and_single_pictures_refused() {
    let server = Server::start().await;
    serve_segments(&server, "a", 5..6);
    server.text(
        "/ll.m3u8",
        "#EXTM3U\n#EXT-X-VERSION:9\n#EXT-X-TARGETDURATION:1\n#EXT-X-PART-INF:PART-TARGET=0.33\n\
         #EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK=1.0\n#EXT-X-MEDIA-SEQUENCE:5\n\
         #EXT-X-PART:DURATION=0.5,URI=\"a5.1.ts\",INDEPENDENT=YES\n#EXT-X-PART:DURATION=0.5,URI=\"a5.2.ts\"\n\
         #EXTINF:1,\na5.ts\n#EXT-X-PART:DURATION=0.5,URI=\"a6.1.ts\"\n\
         #EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"a6.2.ts\"\n#EXT-X-ENDLIST\n",
    );
    let mut run = Run::of(config(&server.url("/ll.m3u8")));
    run.ended().await;
    assert_eq!(run.numbers_stored(), [(5, 5)]);
    for part in ["/a5.1.ts", "/a6.1.ts", "/a6.2.ts"] {
        assert!(server.requests(part).is_empty(), "{part}");
    }
    server.text("/i.m3u8", "#EXTM3U\n#EXT-X-I-FRAMES-ONLY\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\na\n");
    let mut run = Run::of(config(&server.url("/i.m3u8")));
    assert_eq!(run.failed().await, "source's playlist lists single pictures alone (EXT-X-I-FRAMES-ONLY)");
}
