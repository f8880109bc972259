//! Audio in a playlist of its own, from real media.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use overdub_actors::messages::{FetcherEvent, StoredSegment};

use crate::run::{Run, config};
use crate::server::{Answer, Server};
use crate::{playlist, serve_segments};

/// A case of the media corpus, served; none where there is no corpus.
async fn served(case: &str) -> Option<(Server, PathBuf)> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/media");
    let folder = std::env::var_os("OVERDUB_CORPUS").map_or_else(beside, PathBuf::from).join(case);
    if !folder.is_dir() {
        println!("skipped: no media corpus at OVERDUB_CORPUS");
        return None;
    }
    let server = Server::start().await;
    for entry in std::fs::read_dir(&folder).expect("a folder").flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let bytes = std::fs::read(entry.path()).expect("a file of the corpus");
        server.answer(&format!("/{name}"), [Answer::Ok(bytes)]);
    }
    Some((server, folder))
}

fn stored<'a>(run: &'a Run) -> Vec<&'a StoredSegment> {
    let stored = |event: &'a FetcherEvent| match event {
        FetcherEvent::SegmentStored(stored) => Some(stored),
        _ => None,
    };
    run.said.iter().filter_map(stored).collect()
}

#[actix::test]
async fn audio_of_its_own_playlist_comes_with_the_pictures_that_it_overlaps() {
    let Some((server, _)) = served("fmp4-short-segments").await else { return };
    let mut run = Run::of(config(&server.url("/playlist.m3u8")));
    let (_, audio) = run.chosen().await;
    assert!(audio.is_some_and(|why| why.contains("a playlist of its own")));
    run.ended().await;
    let stored = stored(&run);
    assert_eq!(stored.len(), 12);
    let mut numbers = BTreeSet::new();
    for segment in &stored {
        let audio = segment.audio.as_ref().expect("audio apart");
        assert!((1..=4).contains(&audio.len()), "segment {}: {audio:?}", segment.number);
        for audio in audio {
            numbers.insert(audio.media_sequence);
            let expected = format!("segment-{}.audio-{}.m4s", segment.number, audio.media_sequence);
            assert_eq!(audio.path, run.folder().join(expected));
            assert!(audio.path.exists(), "{}", audio.path.display());
        }
    }
    assert_eq!(numbers.len(), 12, "{numbers:?}");
    assert!(
        !run.said.iter().any(|event| matches!(event, FetcherEvent::AudioChanged { .. })),
        "{:?}",
        run.said
    );
    for number in 1..=12 {
        assert_eq!(server.requests(&format!("/audio_{number}.m4s")).len(), 1, "{number}");
    }
}

#[actix::test]
async fn windows_that_begin_elsewhere_are_matched_by_the_times_in_the_media() {
    let Some((server, _)) = served("fmp4-live-window").await else { return };
    let mut run = Run::of(config(&server.url("/index.m3u8")));
    run.ended().await;
    let audio: Vec<Vec<u64>> = stored(&run)
        .iter()
        .map(|segment| segment.audio.iter().flatten().map(|audio| audio.media_sequence).collect())
        .collect();
    // Video begins at 21.56 s and is cut at about 24.1 and 29.1; audio segment n covers 2n - 0.03 s on.
    assert_eq!(audio.len(), 3);
    assert_eq!(audio[0].first(), Some(&11), "{audio:?}");
    assert_eq!(audio[2].last(), Some(&16), "{audio:?}");
    assert!(audio.windows(2).all(|pair| pair[0].last() >= pair[1].first()), "no audio between is left out");
}

#[actix::test]
async fn pictures_go_on_when_their_audio_does_not_come_and_the_reason_is_told() {
    let Some((server, _)) = served("fmp4-short-segments").await else { return };
    server.answer("/stream_0.m3u8", [Answer::Status("404 Not Found")]);
    server.answer("/stream_1.m3u8", [Answer::Status("404 Not Found")]);
    let text = "#EXTM3U\n#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"a\",NAME=\"x\",URI=\"none.m3u8\"\n\
        #EXT-X-STREAM-INF:BANDWIDTH=1,AUDIO=\"a\"\nvideo.m3u8\n";
    server.text("/playlist.m3u8", text);
    server.text(
        "/video.m3u8",
        "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXT-X-MAP:URI=\"video_init.mp4\"\n#EXTINF:0.25,\nvideo_1.m4s\n\
         #EXTINF:0.25,\nvideo_2.m4s\n#EXT-X-ENDLIST\n",
    );
    let mut run = Run::of(config(&server.url("/playlist.m3u8")));
    run.ended().await;
    assert_eq!(run.numbers_stored(), [(0, 0), (1, 1)]);
    assert!(stored(&run).iter().all(|segment| segment.audio.as_ref().is_some_and(Vec::is_empty)));
    let told = |event: &FetcherEvent| matches!(event, FetcherEvent::AudioChanged { trouble: Some(reason) } if reason == "audio playlist: source answered 404 Not Found");
    assert!(run.said.iter().any(told), "{:?}", run.said);
}

#[actix::test]
async fn an_audio_playlist_whose_token_has_expired_is_looked_up_again() {
    let server = Server::start().await;
    serve_segments(&server, "a", 0..12);
    let master = |audio: &str| {
        Answer::Ok(
            format!(
                "#EXTM3U\n#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"a\",NAME=\"en\",DEFAULT=YES,URI=\"{audio}\"\n\
                 #EXT-X-STREAM-INF:BANDWIDTH=1,AUDIO=\"a\"\nvideo.m3u8\n"
            )
            .into_bytes(),
        )
    };
    server.answer("/master.m3u8", [master("old.m3u8"), master("new.m3u8")]);
    server.answer("/old.m3u8", [Answer::Status("403 Forbidden")]);
    server.text("/new.m3u8", &playlist("a", 0..4));
    server.text("/video.m3u8", &playlist("a", 0..4));
    let mut run = Run::of(config(&server.url("/master.m3u8")));
    run.stored().await;
    run.stored().await;
    assert!(!server.requests("/new.m3u8").is_empty(), "the fresh address is asked");
}
