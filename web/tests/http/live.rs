//! The HLS origin.

use std::io::Write as _;
use std::path::PathBuf;

use overdub_actors::requests::LiveResource;
use tempfile::TempDir;

use crate::client::{Answer, Service};

const LEN: usize = 300_000;

/// Bytes that differ at every place where a piece could be cut wrongly.
fn media() -> Vec<u8> {
    (0..LEN).map(|i| (i % 251) as u8).collect()
}

struct Origin {
    service: Service,
    folder: TempDir,
}

impl Origin {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let service = Service::start();
        service.fake.add("news", |_| {});
        let origin = Self { service, folder };
        origin.file("video.mp4", &media(), Vec::new());
        origin
    }

    fn file(&self, name: &str, bytes: &[u8], patches: Vec<(u64, [u8; 8])>) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::File::create(&path).unwrap().write_all(bytes).unwrap();
        self.offer(name, path.clone(), patches);
        path
    }

    fn offer(&self, name: &str, path: PathBuf, patches: Vec<(u64, [u8; 8])>) {
        let resource = LiveResource::File { path, content_type: "video/mp4", patches };
        self.service.fake.with(|state| state.live.insert(name.to_owned(), resource));
    }

    async fn get(&self, name: &str, headers: &str) -> Answer {
        self.service.raw(&format!("GET /live/news/{name} HTTP/1.1{headers}"), b"").await
    }
}

#[actix_rt::test]
async fn a_playlist_is_never_cached_and_open_to_every_page() {
    let origin = Origin::start();
    let text = "#EXTM3U\n#EXT-X-VERSION:7\n";
    origin.service.fake.with(|state| {
        state.live.insert("audio/main.m3u8".to_owned(), LiveResource::Playlist(text.to_owned()));
    });
    let answer = origin.get("audio/main.m3u8", "").await;
    assert_eq!((answer.status, answer.text()), (200, text));
    assert_eq!(answer.header("content-type"), Some("application/vnd.apple.mpegurl"));
    assert_eq!(answer.header("cache-control"), Some("no-cache"));
    assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
    let head = origin.service.raw("HEAD /live/news/audio/main.m3u8 HTTP/1.1", b"").await;
    assert_eq!((head.status, head.header("content-length")), (200, Some("25")));
}

#[actix_rt::test]
async fn a_file_is_sent_whole_over_several_pieces() {
    let origin = Origin::start();
    let answer = origin.get("video.mp4", "").await;
    assert_eq!(answer.status, 200);
    assert!(answer.body == media());
    assert_eq!(answer.header("content-type"), Some("video/mp4"));
    assert_eq!(answer.header("accept-ranges"), Some("bytes"));
    assert!(answer.header("cache-control").unwrap().contains("immutable"));
    assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
    let head = origin.service.raw("HEAD /live/news/video.mp4 HTTP/1.1\nRange: bytes=0-9", b"").await;
    assert_eq!((head.status, head.header("content-length")), (200, Some("300000")));
}

#[actix_rt::test]
async fn a_range_is_sent_as_asked() {
    let origin = Origin::start();
    for (range, first, last) in [
        ("0-0", 0, 0),
        ("100000-250000", 100_000, 250_000),
        ("131072-", 131_072, LEN - 1),
        ("-10", LEN - 10, LEN - 1),
        ("299999-400000", LEN - 1, LEN - 1),
    ] {
        let answer = origin.get("video.mp4", &format!("\nRange: bytes={range}")).await;
        assert_eq!(answer.status, 206, "{range}");
        assert_eq!(answer.header("content-range"), Some(format!("bytes {first}-{last}/{LEN}").as_str()));
        assert!(answer.body == media()[first..=last], "{range}");
    }
    let answer = origin.get("video.mp4", "\nRange: bytes=300000-").await;
    assert_eq!((answer.status, answer.header("content-range")), (416, Some("bytes */300000")));
    for whole in ["bytes=0-1,5-6", "bytes=x", "lines=0-1"] {
        let answer = origin.get("video.mp4", &format!("\nRange: {whole}")).await;
        assert_eq!((answer.status, answer.body.len()), (200, LEN), "{whole}");
    }
}

#[actix_rt::test]
async fn an_empty_file_is_an_empty_answer() {
    let origin = Origin::start();
    origin.file("empty.mp4", b"", Vec::new());
    let answer = origin.get("empty.mp4", "").await;
    assert_eq!((answer.status, answer.body.len()), (200, 0));
    assert_eq!(origin.get("empty.mp4", "\nRange: bytes=0-").await.status, 416);
}

#[actix_rt::test]
async fn patches_are_applied_wherever_the_range_cuts_them() {
    let origin = Origin::start();
    // One lies across the border of two pieces of 128 KiB.
    let patches = vec![(50, *b"ABCDEFGH"), (131_068, *b"abcdefgh")];
    let mut expected = media();
    for (position, bytes) in &patches {
        expected[*position as usize..*position as usize + 8].copy_from_slice(bytes);
    }
    let path = origin.file("audio.mp4", &media(), patches);
    assert!(origin.get("audio.mp4", "").await.body == expected);
    for (first, last) in [(0, 53), (52, 60), (57, 57), (131_070, 131_080), (60, 131_067)] {
        let answer = origin.get("audio.mp4", &format!("\nRange: bytes={first}-{last}")).await;
        assert!(answer.body == expected[first..=last], "{first}-{last}");
    }
    assert!(std::fs::read(path).unwrap() == media(), "the file itself stays as it is");
}

#[actix_rt::test]
async fn entity_tags_tell_files_apart() {
    let origin = Origin::start();
    let etag = origin.get("video.mp4", "").await.header("etag").unwrap().to_owned();
    let again = origin.get("video.mp4", &format!("\nIf-None-Match: \"x\", {etag}")).await;
    assert_eq!((again.status, again.header("etag")), (304, Some(etag.as_str())));
    let part = origin.get("video.mp4", &format!("\nRange: bytes=0-9\nIf-Range: {etag}")).await;
    assert_eq!(part.status, 206);
    let whole = origin.get("video.mp4", "\nRange: bytes=0-9\nIf-Range: \"other\"").await;
    assert_eq!((whole.status, whole.body.len()), (200, LEN));
    let path = origin.folder.path().join("video.mp4");
    origin.offer("patched.mp4", path, vec![(0, [0; 8])]);
    assert_ne!(origin.get("patched.mp4", "").await.header("etag"), Some(etag.as_str()));
}

#[actix_rt::test]
async fn what_is_not_there_is_not_found_and_says_so_to_every_page() {
    let origin = Origin::start();
    std::fs::remove_file(origin.file("gone.mp4", b"x", Vec::new())).unwrap();
    for target in
        ["/live/news/nothing.mp4", "/live/news/gone.mp4", "/live/other/index.m3u8", "/live/_bad/index.m3u8"]
    {
        let answer = origin.service.get(target).await;
        answer.problem(404);
        assert_eq!(answer.header("access-control-allow-origin"), Some("*"), "{target}");
    }
    origin.offer("folder", origin.folder.path().to_owned(), Vec::new());
    let problem = origin.get("folder", "").await.problem(500);
    assert!(!problem.to_string().contains(origin.folder.path().to_str().unwrap()), "{problem}");
}

#[actix_rt::test]
async fn no_path_leads_out_of_the_origin() {
    let origin = Origin::start();
    for path in [
        "../../etc/passwd",
        "..%2f..%2fetc%2fpasswd",
        "%2e%2e/%2e%2e/etc/passwd",
        "a/../../x",
        "a//b",
        "/etc/passwd",
        "a%00b",
        "a%5c..%5cb",
        "a%0ab",
        "./x",
        "x/",
        "%252e%252e/x",
        "%c3%a4/..",
    ] {
        origin.get(path, "").await.problem(404);
    }
    assert_eq!(origin.service.fake.asked(), Vec::<String>::new(), "none of these is even asked for");
}

#[actix_rt::test]
async fn a_browser_may_ask_before_it_sends_a_range() {
    let origin = Origin::start();
    let head = "OPTIONS /live/news/video.mp4 HTTP/1.1\nOrigin: http://page\nAccess-Control-Request-Method: GET\nAccess-Control-Request-Headers: range";
    let answer = origin.service.raw(head, b"").await;
    assert_eq!(answer.status, 204);
    assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
    assert!(answer.header("access-control-allow-headers").unwrap().contains("Range"));
    assert!(answer.header("access-control-allow-methods").unwrap().contains("GET"));
}

#[actix_rt::test]
async fn a_file_that_becomes_shorter_breaks_the_answer_instead_of_the_service() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let origin = Origin::start();
    let path = origin.file("long.mp4", &vec![7; 64 * 1024 * 1024], Vec::new());
    let mut stream = tokio::net::TcpStream::connect(origin.service.address).await.unwrap();
    stream.write_all(b"GET /live/news/long.mp4 HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let mut first = [0; 1000];
    stream.read_exact(&mut first).await.unwrap();
    // The buffers between server and test hold far less than the file.
    std::fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(1000).unwrap();
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest).await;
    assert!(rest.len() < 64 * 1024 * 1024 - 1000, "the connection ended early");
    assert_eq!(origin.get("video.mp4", "").await.status, 200);
}
