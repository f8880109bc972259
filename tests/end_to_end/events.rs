//! What happens beside the pictures: it reaches the HLS output, once, or is counted as dropped.

use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::json;
use tokio::process::Command;

use crate::kit::hls::{Watch, media_playlists};
use crate::kit::overdub::Overdub;
use crate::kit::rtmp::{Manner, RtmpPeer};
use crate::kit::site::{Reply, Site};
use crate::kit::{folder, free_port, root, wait};

const LIMIT: Duration = Duration::from_secs(60);

/// What a later playlist says of a range that has begun, and of one whose segment is long taken.
const LATER: &str = "#EXT-X-DATERANGE:ID=\"break-1\",DURATION=3.5\n\
                     #EXT-X-DATERANGE:ID=\"late\",START-DATE=\"2026-01-31T12:00:01Z\",CLASS=\"show\"\n";

const SCHEME: &str = "https://aomedia.org/emsg/ID3";
/// An ID3v2.4 tag with a text frame.
const ID3: &[u8] = b"ID3\x04\0\0\0\0\0\x0fTIT2\0\0\0\x05\0\0\x03gong";

/// An event message half a second into the segment that it stands before (ISO/IEC 23009-1 5.10.3.3, version 0).
fn emsg() -> Vec<u8> {
    let mut body = b"emsg\0\0\0\0".to_vec();
    body.extend([SCHEME.as_bytes(), b"\0\0"].concat());
    for number in [1000_u32, 500, 0, 7] {
        body.extend(number.to_be_bytes());
    }
    body.extend(ID3);
    [&(body.len() as u32 + 4).to_be_bytes()[..], &body].concat()
}

fn playlist(text: &str) -> Reply {
    Reply::Whole(200, "application/vnd.apple.mpegurl", text.as_bytes().to_vec())
}

fn count(data: &[u8], wanted: &[u8]) -> usize {
    data.windows(wanted.len()).filter(|window| *window == wanted).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn event_messages_and_date_ranges_reach_hls_also_late_and_cue_tags_are_counted() {
    let folder = folder();
    let source = folder.path().join("source");
    std::fs::create_dir(&source).unwrap();
    let made = Command::new("ffmpeg")
        .args(["-v", "error", "-i"])
        .arg(root().join("fixtures/live/index.m3u8"))
        .args([
            "-c",
            "copy",
            "-bsf:a",
            "aac_adtstoasc",
            "-f",
            "hls",
            "-hls_time",
            "2",
            "-hls_segment_type",
            "fmp4",
        ])
        .args(["-hls_playlist_type", "vod", "-hls_segment_filename"])
        .arg(source.join("%d.m4s"))
        .arg(source.join("list.m3u8"))
        .status()
        .await
        .unwrap();
    assert!(made.success());
    let third = std::fs::read(source.join("3.m4s")).unwrap();
    std::fs::write(source.join("3.m4s"), [emsg(), third].concat()).unwrap();
    let list = std::fs::read_to_string(source.join("list.m3u8")).unwrap();
    let (head, segments) = list.split_once("#EXTINF").unwrap();
    let ranges = "#EXT-X-DATERANGE:ID=\"break-1\",START-DATE=\"2026-01-31T12:00:05Z\",PLANNED-DURATION=4,\
                  SCTE35-OUT=0xFC300A,X-SHOP=\"a,b\"\n#EXT-X-DATERANGE:ID=\"elsewhere\",START-DATE=\"2026-01-31T13:00:00Z\"\n";
    let list = format!("{head}{ranges}#EXT-X-PROGRAM-DATE-TIME:2026-01-31T12:00:00Z\n#EXTINF{segments}");
    let list = list
        .replace("4.m4s\n", "4.m4s\n#EXT-X-CUE-OUT:DURATION=2\n")
        .replace("5.m4s\n", "5.m4s\n#EXT-X-CUE-IN\n");
    std::fs::write(source.join("list.m3u8"), &list).unwrap();
    // While the source is at its third segment the break is not over, and nobody has said when a show began.
    let begun: String = list.split_inclusive(".m4s\n").take(3).collect();
    let says_more = list.replace(ranges, &[ranges, LATER].concat());
    assert_ne!(says_more, list);
    let first = std::sync::atomic::AtomicBool::new(true);
    let site = Site::start(move |path| match path {
        "/list.m3u8" if first.swap(false, Ordering::Relaxed) => playlist(&begun),
        "/list.m3u8" => playlist(&says_more),
        file => Reply::file(&source, file),
    })
    .await;
    let peer = RtmpPeer::start(Manner::Accept).await;
    let overdub = Overdub::start(folder.path()).await.unwrap();
    overdub
        .create(&json!({
            "streamId": "s", "sourceUrl": site.url("/list.m3u8"), "bufferDuration": 4, "delay": 1, "start": "window",
            "srsRtmpUrl": peer.url("s"), "audioProcessorUrl": format!("ws://127.0.0.1:{}", free_port()),
        }))
        .await;
    let watch = Watch::start(&overdub.hls_url("s"));
    overdub.stream_until("s", "all of it has aired", LIMIT, |stream| stream["state"] == "ended").await;
    wait::until("all of it is watched", LIMIT, async || {
        (watch.recorded("video").entries.len() >= 8).then_some(())
    })
    .await;
    assert_eq!(watch.seen().faults, Vec::<String>::new());
    let recorded = watch.recorded("video");
    let with_id3: Vec<u64> = recorded
        .entries
        .iter()
        .filter(|(_, _, data)| count(data, ID3) == 1 && count(data, SCHEME.as_bytes()) == 1)
        .map(|(entry, _, _)| entry.sequence)
        .collect();
    assert_eq!(with_id3, [3], "beside the pictures that it came with");
    let index = overdub.send("GET", "/live/s/index.m3u8", b"").await.text();
    let (_, uri) = media_playlists(&index).into_iter().find(|(name, _)| name == "video").unwrap();
    let of_video = overdub.send("GET", &format!("/live/s/{uri}"), b"").await.text();
    let tags: Vec<&str> = of_video.lines().filter(|line| line.contains("DATERANGE")).collect();
    assert_eq!(tags.len(), 2, "{of_video}");
    for part in [
        "ID=\"break-1\"",
        "12:00:05",
        "PLANNED-DURATION=4",
        "SCTE35-OUT=0xFC300A",
        "X-SHOP=\"a,b\"",
        "DURATION=3.5",
    ] {
        assert!(tags[0].contains(part), "{part}: {tags:?}");
    }
    assert!(tags[1].contains("ID=\"late\""), "{tags:?}");
    let metrics = overdub.send("GET", "/metrics", b"").await.text();
    for figure in [
        "cue_tags_dropped\",stream=\"s\"} 2",
        "events_passed_on\",stream=\"s\"} 1",
        "date_ranges_passed_on\",stream=\"s\"} 3",
        "events_dropped_by_rtmp\",stream=\"s\"} 4",
    ] {
        assert!(metrics.contains(figure), "{figure}: {metrics}");
    }
}
