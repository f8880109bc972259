use super::*;

fn fixture() -> Vec<SourceSegment> {
    load::load(&PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/live"))).unwrap()
}

#[test]
fn the_fixture_loops_exactly() {
    let segments = fixture();
    let shape = LoopShape::measure(segments.iter().map(|segment| &segment.data[..])).unwrap();
    assert_eq!(shape.duration_90k, 16 * 90_000);
    assert_eq!(shape.segment_durations_90k, [180_000; 8]);
    assert_eq!(durations_us(&segments, &shape), [2_000_000; 8]);
}

#[test]
fn a_loop_lasts_as_long_by_the_wall_clock_as_by_its_timestamps() {
    let mut segments = fixture();
    segments[0].duration_us = Some(2_100_000);
    segments[3].duration_us = None;
    let shape = LoopShape::measure(segments.iter().map(|segment| &segment.data[..])).unwrap();
    let durations = durations_us(&segments, &shape);
    assert_eq!(durations[0], 2_100_000);
    assert_eq!(durations[7], 1_900_000);
    assert_eq!(durations.iter().sum::<i64>(), 16_000_000);
}

#[tokio::test(start_paused = true)]
async fn segments_appear_at_the_pace_of_the_clock_and_go_away() {
    let live = Live::new(fixture(), 3, true).unwrap();
    let first_sequence = |text: &str| {
        let line =
            text.lines().find_map(|line| line.strip_prefix("#EXT-X-MEDIA-SEQUENCE:").map(str::to_owned));
        line.unwrap().parse::<u64>().unwrap()
    };
    assert_eq!(first_sequence(&live.playlist()), 0);
    assert!(live.segment(2).is_some(), "the window is full from the start");
    assert!(live.segment(3).is_none(), "the future is not served");
    tokio::time::advance(std::time::Duration::from_secs(14)).await;
    assert_eq!(first_sequence(&live.playlist()), 7);
    assert!(live.segment(3).is_none(), "the past is not served for ever");
    let original = live.segments[0].data.clone();
    let again = live.segment(8).unwrap();
    assert_ne!(again, original);
    assert_eq!(again, restamp::restamp(&original, &live.shape.shift(1)));
}

#[actix_web::test]
async fn a_source_answers_over_http_until_it_is_stopped() {
    let options = SourceOptions { host: "127.0.0.1".to_owned(), port: 0, window: 4, repeat: true };
    let source = start(fixture(), &options).await.unwrap();
    let address = source.address;
    let get = |path: &'static str| async move {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let mut stream = tokio::net::TcpStream::connect(address).await?;
        stream
            .write_all(format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").as_bytes())
            .await?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await?;
        std::io::Result::Ok(answer)
    };
    let playlist = String::from_utf8(get("/index.m3u8").await.unwrap()).unwrap();
    assert!(
        playlist.contains("application/vnd.apple.mpegurl") && playlist.contains("segment-3.ts"),
        "{playlist}"
    );
    let segment = get("/segment-3.ts").await.unwrap();
    assert!(segment.starts_with(b"HTTP/1.1 200") && segment.ends_with(&fixture()[3].data));
    assert!(get("/segment-9.ts").await.unwrap().starts_with(b"HTTP/1.1 404"));
    source.stop().await;
    assert!(get("/index.m3u8").await.is_err());
}
