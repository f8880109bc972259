use super::*;
use crate::hls::{ByteRange, KeyMethod, Map, RenditionKind, Segment};

fn media(text: &str) -> MediaPlaylist {
    match read_playlist(text.as_bytes()) {
        Ok(Playlist::Media(playlist)) => playlist,
        other => panic!("not a media playlist: {other:?}"),
    }
}

fn multivariant(text: &str) -> MultivariantPlaylist {
    match read_playlist(text.as_bytes()) {
        Ok(Playlist::Multivariant(playlist)) => playlist,
        other => panic!("not a multivariant playlist: {other:?}"),
    }
}

fn uris(playlist: &MediaPlaylist) -> Vec<&str> {
    playlist.segments.iter().map(|s| s.uri.as_str()).collect()
}

#[test]
fn a_live_window_is_read() {
    let playlist = media(
        "#EXTM3U\r\n#EXT-X-VERSION:3\r\n#EXT-X-TARGETDURATION:6\r\n#EXT-X-MEDIA-SEQUENCE:7\r\n\
         #EXT-X-DISCONTINUITY-SEQUENCE:2\r\n#EXTINF:5.994,\r\na.ts\r\n#EXT-X-DISCONTINUITY\r\n#EXTINF:6,t\r\nb.ts\r\n",
    );
    assert_eq!((playlist.version, playlist.target_duration_s), (3, 6));
    assert_eq!((playlist.media_sequence, playlist.discontinuity_sequence), (7, 2));
    assert!(!playlist.ended && playlist.leniencies.is_empty());
    assert_eq!(
        playlist.segments,
        [
            Segment { uri: "a.ts".into(), media_sequence: 7, duration_us: 5_994_000, ..Segment::default() },
            Segment {
                uri: "b.ts".into(),
                media_sequence: 8,
                duration_us: 6_000_000,
                discontinuity: true,
                ..Segment::default()
            },
        ]
    );
}

#[test]
fn what_m3u8_rs_stumbles_over_makes_no_bogus_segment() {
    let playlist = media(
        "\u{feff}#EXTM3U\n#EXT-X-TARGETDURATION:6.5\n#EXTINF:6.4,Smith, John, live\na.ts\n#EXTINF:6\nb.ts\n\
         #EXT-X-KEY:METHOD=NONE\n#EXTINF:6 ,\nc.ts\n#EXT-X-CUE-OUT:DURATION=30\n#EXT-X-ENDLIST",
    );
    assert_eq!(uris(&playlist), ["a.ts", "b.ts", "c.ts"]);
    assert_eq!(playlist.target_duration_s, 7);
    assert!(playlist.ended, "a tag after the last segment counts");
    assert_eq!(playlist.leniencies, [(lenient::BYTE_ORDER_MARK, 1)]);
}

#[test]
fn cue_tags_of_vendors_are_counted_at_the_segment_that_they_stand_before() {
    let playlist = media(
        "#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\na\n#EXT-OATCLS-SCTE35:/DAl\n#EXT-X-CUE-OUT:15\n#EXTINF:4,\nb\n\
         #EXT-X-CUE-OUT-CONT:4/15\n#EXTINF:4,\nc\n#EXT-X-CUE-IN\n#EXTINF:4,\nd\n",
    );
    assert_eq!(playlist.segments.iter().map(|s| s.cue_tags).collect::<Vec<_>>(), [0, 2, 0, 1]);
}

#[test]
fn keys_and_maps_are_inherited_until_they_change() {
    let playlist = media(
        "#EXTM3U\n#EXT-X-TARGETDURATION:4\n\
         #EXT-X-KEY:METHOD=AES-128,URI=\"k1\",IV=0x0B\n#EXT-X-MAP:URI=\"init.mp4\",BYTERANGE=\"100@8\"\n\
         #EXTINF:4,\na\n#EXTINF:4,\nb\n\
         #EXT-X-KEY:METHOD=SAMPLE-AES,URI=\"skd://x\",KEYFORMAT=\"com.apple.streamingkeydelivery\"\n\
         #EXT-X-KEY:METHOD=AES-128,URI=\"k2\"\n\
         #EXT-X-KEY:METHOD=SAMPLE-AES-CTR,URI=\"data:x\",KEYFORMAT=\"urn:uuid:edef8ba9\"\n#EXTINF:4,\nc\n\
         #EXT-X-KEY:METHOD=NONE\n#EXTINF:4,\nd\n\
         #EXT-X-KEY:METHOD=SAMPLE-AES,URI=\"k3\"\n#EXTINF:4,\ne\n",
    );
    let keys: Vec<_> = playlist
        .segments
        .iter()
        .map(|s| s.key.as_deref().map(|key| (key.method.clone(), key.uri.as_deref().unwrap_or(""))))
        .collect();
    let sample_aes = KeyMethod::Other("SAMPLE-AES".into());
    assert_eq!(
        keys,
        [
            Some((KeyMethod::Aes128, "k1")),
            Some((KeyMethod::Aes128, "k1")),
            Some((KeyMethod::Aes128, "k2")),
            None,
            Some((sample_aes, "k3"))
        ]
    );
    let iv = playlist.segments[1].key.as_ref().and_then(|key| key.iv).expect("an IV");
    assert_eq!(iv, 11u128.to_be_bytes());
    let map = Map { uri: "init.mp4".into(), byte_range: Some(ByteRange { offset: 8, len: 100 }) };
    assert!(playlist.segments.iter().all(|s| s.map.as_deref() == Some(&map)));
}

#[test]
fn a_key_that_cannot_be_used_is_never_taken_for_clear() {
    for tag in ["#EXT-X-KEY:", "#EXT-X-KEY:URI=\"k\"", "#EXT-X-KEY:METHOD=AES-128", "#EXT-X-KEY:METHOD=none"]
    {
        let playlist = media(&format!("#EXTM3U\n#EXT-X-TARGETDURATION:4\n{tag}\n#EXTINF:4,\na\n"));
        assert!(playlist.segments[0].key.is_some(), "{tag}");
    }
    let error = read_playlist(b"#EXTM3U\n#EXT-X-KEY:METHOD=AES-128,URI=\"k\",IV=0xZZ\n#EXTINF:4,\na\n");
    assert_eq!(
        error.expect_err("a bad IV").to_string(),
        "line 2: EXT-X-KEY has an IV that is not a hexadecimal number of 128 bits"
    );
}

#[test]
fn byte_ranges_go_on_where_the_last_ended() {
    let playlist = media(
        "#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXT-X-BYTERANGE:10@5\n#EXTINF:4,\na\n#EXTINF:4,\n#EXT-X-BYTERANGE:7\na\n\
         #EXTINF:4,\n#EXT-X-BYTERANGE:3\nb\n#EXTINF:4,\nb\n",
    );
    let ranges: Vec<_> = playlist.segments.iter().map(|s| s.byte_range.map(|r| (r.offset, r.len))).collect();
    assert_eq!(ranges, [Some((5, 10)), Some((15, 7)), Some((0, 3)), None]);
    assert_eq!(playlist.leniencies, [(lenient::OPEN_RANGE, 1)]);
    let spaced = "#EXTM3U\n#EXTINF:4,\n#EXT-X-BYTERANGE: 10 @ 5\na\n#EXTINF:4,\n#EXT-X-BYTERANGE:7\n./a\n";
    let ranges: Vec<_> =
        media(spaced).segments.iter().map(|s| s.byte_range.map(|r| (r.offset, r.len))).collect();
    assert_eq!(ranges, [Some((5, 10)), Some((15, 7))]);
    for range in ["18446744073709551615@1", "99999999999999999999", "x", "-1", "1@"] {
        let text = format!("#EXTM3U\n#EXTINF:4,\n#EXT-X-BYTERANGE:{range}\na\n");
        let result = read_playlist(text.as_bytes());
        // `1@` is read as `1` by every player.
        assert!(result.is_err() || range == "1@", "{range}: {result:?}");
    }
}

#[test]
fn line_ends_of_every_kind_may_be_mixed() {
    let playlist = media(
        "#EXTM3U\r#EXT-X-TARGETDURATION:4\r\n#EXT-X-MEDIA-SEQUENCE:1764236000123456789\r#EXTINF:4,\ra\r#EXTINF:4,Song\rby someone\nb\n",
    );
    let uris: Vec<_> = playlist.segments.iter().map(|segment| segment.uri.as_str()).collect();
    assert_eq!((uris, playlist.leniencies), (vec!["a", "b"], Vec::new()));
    assert_eq!(playlist.media_sequence, 1_764_236_000_123_456_789);
}

#[test]
fn dates_are_carried_on_by_durations() {
    let playlist = media(
        "#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\na\n#EXT-X-PROGRAM-DATE-TIME:2026-01-31T13:00:00.5+01:00\n\
         #EXTINF:3.999999,\nb\n#EXTINF:4,\nc\n#EXT-X-PROGRAM-DATE-TIME:yesterday\n#EXTINF:4,\nd\n",
    );
    let dates: Vec<_> = playlist.segments.iter().map(|s| s.program_date_time).collect();
    let b = 1_769_860_800_500_000;
    assert_eq!(dates, [None, Some(b), Some(b + 3_999_999), Some(b + 7_999_999)]);
    assert_eq!(playlist.leniencies, [(lenient::BAD_DATE, 1)]);
}

#[test]
fn gaps_are_marked() {
    let playlist = media("#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\n#EXT-X-GAP\na\n#EXTINF:4,\nb\n");
    assert_eq!(playlist.segments.iter().map(|s| s.gap).collect::<Vec<_>>(), [true, false]);
}

#[test]
fn a_multivariant_playlist_is_read() {
    let playlist = multivariant(
        "#EXTM3U\n#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"a\",NAME=\"English, clear\",LANGUAGE=\"en\",DEFAULT=YES,URI=\"en.m3u8\",CHANNELS=\"2\"\n\
         #EXT-X-MEDIA:TYPE=CLOSED-CAPTIONS,GROUP-ID=\"c\",NAME=\"x\",INSTREAM-ID=\"CC1\"\n#EXT-X-MEDIA:TYPE=AUDIO\n\
         #EXT-X-STREAM-INF:BANDWIDTH=2000000,AVERAGE-BANDWIDTH=1500000,CODECS=\"avc1.4d401f,mp4a.40.2\",RESOLUTION=1280x720,FRAME-RATE=29.970,AUDIO=\"a\"\n\
         hi.m3u8\n#EXT-X-STREAM-INF:PROGRAM-ID=1\nlo.m3u8?x=\"1\"\n#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=1,URI=\"i.m3u8\"\n#EXT-X-STREAM-INF:BANDWIDTH=9\n",
    );
    let [hi, lo] = &playlist.variants[..] else { panic!("{playlist:?}") };
    assert_eq!(
        (hi.uri.as_str(), hi.bandwidth, hi.average_bandwidth),
        ("hi.m3u8", 2_000_000, Some(1_500_000))
    );
    assert_eq!((hi.resolution, hi.frame_rate_milli), (Some((1280, 720)), Some(29_970)));
    assert_eq!((hi.codecs.as_deref(), hi.audio_group.as_deref()), (Some("avc1.4d401f,mp4a.40.2"), Some("a")));
    assert_eq!((lo.uri.as_str(), lo.bandwidth), ("lo.m3u8?x=\"1\"", 0));
    let [english, captions] = &playlist.renditions[..] else { panic!("{playlist:?}") };
    assert_eq!((english.name.as_str(), english.uri.as_deref()), ("English, clear", Some("en.m3u8")));
    assert!(english.default && !english.autoselect);
    assert_eq!(captions.kind, RenditionKind::ClosedCaptions);
    assert_eq!(
        playlist.leniencies,
        [(lenient::BAD_RENDITION, 1), (lenient::NO_BANDWIDTH, 1), (lenient::NO_URI, 1)]
    );
}

#[test]
fn what_is_no_playlist_is_refused_with_its_line() {
    for (text, message) in [
        ("", "line 1: #EXTM3U is missing"),
        ("\n\n<!DOCTYPE html>", "line 3: #EXTM3U is missing"),
        ("# only a comment", "line 1: #EXTM3U is missing"),
        ("#EXTINF:1,\na\n", "line 1: #EXTM3U is missing"),
        ("#EXTM3U\n\n# nothing\n", "line 3: the playlist ends without a segment or a variant"),
        (
            "#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:18446744073709551615\n#EXTINF:1,\na\n",
            "line 2: sequence number is larger than 2^63",
        ),
        (
            "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\n",
            "line 2: the playlist ends without a segment or a variant",
        ),
    ] {
        assert_eq!(read_playlist(text.as_bytes()).expect_err(text).to_string(), message);
    }
}

#[test]
fn too_many_segments_are_refused() {
    let text = format!("#EXTM3U\n{}", "#EXTINF:1,\na\n".repeat(MAX_SEGMENTS + 1));
    let limit = MAX_SEGMENTS;
    let error = read_playlist(text.as_bytes()).expect_err("too many");
    assert_eq!(error, PlaylistError::TooMany { line: 2 * limit + 3, limit, what: "segments" });
}

#[test]
fn a_uri_without_extinf_is_left_out_and_counted() {
    let playlist = media("#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXT-X-DISCONTINUITY\nnoise\n#EXTINF:4,\na\n");
    assert_eq!(uris(&playlist), ["a"]);
    assert!(playlist.segments[0].discontinuity);
    assert_eq!(playlist.leniencies, [(lenient::NO_EXTINF, 1)]);
}

#[test]
fn a_missing_target_duration_is_the_longest_segments() {
    let playlist = media("#EXTM3U\n#EXTINF:4.2,\na\n#EXTINF:x,\nb\n");
    assert_eq!(playlist.target_duration_s, 5);
    assert_eq!(playlist.leniencies, [(lenient::BAD_DURATION, 1), (lenient::BAD_TARGET_DURATION, 1)]);
}
