use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::hls::{Key, Map, Playlist, Rendition, Variant, read_playlist};

#[test]
fn a_multivariant_playlist_says_all_that_players_ask_for() {
    let playlist = MultivariantPlaylist {
        version: 7,
        independent_segments: true,
        variants: vec![Variant {
            uri: "video.m3u8".into(),
            bandwidth: 2_200_000,
            average_bandwidth: Some(2_000_000),
            resolution: Some((1280, 720)),
            frame_rate_milli: Some(25_000),
            codecs: Some("avc1.4d401f,mp4a.40.2".into()),
            audio_group: Some("audio".into()),
        }],
        renditions: vec![Rendition {
            group_id: "audio".into(),
            name: "Deutsch".into(),
            language: Some("de".into()),
            uri: Some("audio-main.m3u8".into()),
            default: true,
            autoselect: true,
            channels: Some("2".into()),
            ..Rendition::default()
        }],
        ..MultivariantPlaylist::default()
    };
    assert_eq!(
        write_multivariant(&playlist),
        "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-INDEPENDENT-SEGMENTS\n\
         #EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"audio\",NAME=\"Deutsch\",LANGUAGE=\"de\",DEFAULT=YES,AUTOSELECT=YES,CHANNELS=\"2\",URI=\"audio-main.m3u8\"\n\
         #EXT-X-STREAM-INF:BANDWIDTH=2200000,AVERAGE-BANDWIDTH=2000000,CODECS=\"avc1.4d401f,mp4a.40.2\",RESOLUTION=1280x720,FRAME-RATE=25.000,AUDIO=\"audio\"\n\
         video.m3u8\n"
    );
}

#[test]
fn a_media_playlist_writes_what_changes_where_it_changes() {
    let map = |uri: &str| {
        Some(Arc::new(Map { uri: uri.into(), byte_range: Some(ByteRange { offset: 0, len: 700 }) }))
    };
    let segment = |offset, map, discontinuity| Segment {
        uri: "batch-3/video.fmp4".into(),
        duration_us: 6_006_000,
        byte_range: Some(ByteRange { offset, len: 1000 }),
        map,
        discontinuity,
        ..Segment::default()
    };
    let playlist = MediaPlaylist {
        version: 7,
        target_duration_s: 6,
        media_sequence: 41,
        discontinuity_sequence: 3,
        independent_segments: true,
        ended: true,
        segments: vec![
            Segment {
                program_date_time: Some(1_769_860_800_250_000),
                ..segment(700, map("init-0.mp4"), false)
            },
            Segment { gap: true, ..segment(1700, map("init-0.mp4"), false) },
            segment(700, map("init-1.mp4"), true),
        ],
        ..MediaPlaylist::default()
    };
    assert_eq!(
        write_media(&playlist),
        "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-INDEPENDENT-SEGMENTS\n#EXT-X-TARGETDURATION:6\n#EXT-X-MEDIA-SEQUENCE:41\n\
         #EXT-X-DISCONTINUITY-SEQUENCE:3\n\
         #EXT-X-MAP:URI=\"init-0.mp4\",BYTERANGE=\"700@0\"\n#EXT-X-PROGRAM-DATE-TIME:2026-01-31T12:00:00.250Z\n\
         #EXTINF:6.006000,\n#EXT-X-BYTERANGE:1000@700\nbatch-3/video.fmp4\n\
         #EXT-X-GAP\n#EXTINF:6.006000,\n#EXT-X-BYTERANGE:1000@1700\nbatch-3/video.fmp4\n\
         #EXT-X-DISCONTINUITY\n#EXT-X-MAP:URI=\"init-1.mp4\",BYTERANGE=\"700@0\"\n\
         #EXTINF:6.006000,\n#EXT-X-BYTERANGE:1000@700\nbatch-3/video.fmp4\n#EXT-X-ENDLIST\n"
    );
}

#[test]
fn hostile_strings_stay_in_their_place() {
    let evil = "x\"\r\n#EXT-X-ENDLIST\n\",URI=\"http://evil/";
    let text = write_multivariant(&MultivariantPlaylist {
        version: 7,
        variants: vec![Variant { uri: format!("#{evil}"), codecs: Some(evil.into()), ..Variant::default() }],
        renditions: vec![Rendition {
            group_id: evil.into(),
            name: evil.into(),
            language: Some(evil.into()),
            uri: Some(evil.into()),
            ..Rendition::default()
        }],
        ..MultivariantPlaylist::default()
    });
    assert_eq!(text.lines().count(), 5, "{text}");
    let media = write_media(&MediaPlaylist {
        version: 7,
        target_duration_s: 1,
        segments: vec![Segment {
            uri: evil.into(),
            map: Some(Arc::new(Map { uri: evil.into(), byte_range: None })),
            ..Segment::default()
        }],
        ..MediaPlaylist::default()
    });
    let Ok(Playlist::Media(read)) = read_playlist(media.as_bytes()) else { panic!("{media}") };
    assert!(!read.ended);
    assert_eq!(read.segments.len(), 1);
    assert_eq!(read.segments[0].uri, uri(evil));
    assert_eq!(read.segments[0].map.as_ref().map(|map| map.uri.clone()), Some(uri(evil)));
}

prop_compose! {
    fn any_range()(range in proptest::option::of((0u64..1 << 40, 1u64..1 << 30))) -> Option<ByteRange> {
        range.map(|(offset, len)| ByteRange { offset, len })
    }
}

fn any_key() -> impl Strategy<Value = Option<Arc<Key>>> {
    let method = prop_oneof![Just(KeyMethod::Aes128), Just(KeyMethod::Other("SAMPLE-AES".into()))];
    let key = (method, "[a-z/]{1,9}", proptest::option::of(any::<[u8; 16]>()))
        .prop_map(|(method, uri, iv)| Arc::new(Key { method, uri: Some(uri), iv, key_format: None }));
    proptest::option::of(key)
}

prop_compose! {
    fn any_segment()(
        uri in "[a-z0-9/._?=&-]{1,12}", duration_us in 1i64..60_000_000, discontinuity: bool, gap: bool,
        byte_range in any_range(), key in any_key(), map in ("[a-z]{1,3}", any_range()),
        date_ms in 0i64..4_000_000_000_000,
    ) -> Segment {
        Segment {
            uri, media_sequence: 0, duration_us, discontinuity, byte_range, key,
            map: Some(Arc::new(Map { uri: map.0, byte_range: map.1 })),
            program_date_time: Some(date_ms * 1000), gap,
            cue_tags: 0,
        }
    }
}

proptest! {
    #[test]
    fn a_written_media_playlist_reads_back_the_same(
        segments in proptest::collection::vec(any_segment(), 1..8),
        media_sequence in 0u64..1 << 50, discontinuity_sequence in 0u64..1000, ended: bool,
    ) {
        let mut playlist = MediaPlaylist {
            version: 7, target_duration_s: 60, media_sequence, discontinuity_sequence: 0,
            independent_segments: true, ended, segments, ..MediaPlaylist::default()
        };
        for (index, segment) in (0u64..).zip(&mut playlist.segments) {
            segment.media_sequence = media_sequence + index;
        }
        playlist.discontinuity_sequence = discontinuity_sequence;
        let text = write_media(&playlist);
        prop_assert_eq!(read_playlist(text.as_bytes()), Ok(Playlist::Media(playlist)), "{}", text);
    }

    #[test]
    fn a_written_multivariant_playlist_reads_back_the_same(
        names in proptest::collection::vec("[ -~&&[^\"]]{1,20}", 1..4),
        bandwidth in 0u64..1 << 40, resolution in proptest::option::of((1u32..9000, 1u32..9000)),
        frame_rate_milli in proptest::option::of(1u32..240_000),
    ) {
        let renditions = names.iter().map(|name| Rendition {
            group_id: "audio".into(), name: name.clone(), language: Some("en-GB".into()),
            uri: Some("a.m3u8".into()), autoselect: true, ..Rendition::default()
        }).collect();
        let playlist = MultivariantPlaylist {
            version: 7,
            independent_segments: true,
            variants: vec![Variant {
                uri: "v.m3u8".into(), bandwidth, resolution, frame_rate_milli,
                codecs: Some("avc1.4d401f,mp4a.40.2".into()), audio_group: Some("audio".into()), average_bandwidth: None,
            }],
            renditions,
            ..MultivariantPlaylist::default()
        };
        let text = write_multivariant(&playlist);
        prop_assert_eq!(read_playlist(text.as_bytes()), Ok(Playlist::Multivariant(playlist)), "{}", text);
    }

    #[test]
    fn no_bytes_make_reading_panic(
        lines in proptest::collection::vec(prop_oneof![
            "\\PC{0,30}",
            Just("#EXTM3U".to_owned()),
            "#EXTINF:[0-9.,-]{0,8}",
            "#EXT-X-KEY:(METHOD=(AES-128|NONE|),?|URI=\"[a-z]{0,3}\"?|,|IV=0x[0-9a-fg]{0,33}){0,4}",
            "#EXT-X-MAP:(URI=\"[a-z]{0,3}\"?,?|BYTERANGE=\"[0-9@]{0,20}\"){0,3}",
            "#EXT-X-BYTERANGE:[0-9@]{0,42}",
            "#EXT-X-STREAM-INF:(BANDWIDTH=[0-9]{0,22},?|RESOLUTION=[0-9x]{0,9},|CODECS=\"[a-z,]{0,5}\"){0,4}",
            "#EXT-X-MEDIA:(TYPE=(AUDIO|VIDEO|X),|GROUP-ID=\"a?\",|NAME=\"b?\",|URI=\"c?\"){0,4}",
            "#EXT-X-(TARGETDURATION|MEDIA-SEQUENCE|PROGRAM-DATE-TIME|GAP|DISCONTINUITY):?[0-9T:-]{0,24}",
            "[a-z.]{1,9}",
        ], 0..40),
    ) {
        let _ = read_playlist(format!("#EXTM3U\n{}", lines.join("\n")).as_bytes());
    }
}
