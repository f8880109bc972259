//! What the playlists list, over long batches, stops and restarts.

use overdub_media::sample::{AudioConfig, VideoConfig};

use super::*;
use crate::messages::{AirClock, AudioMedia, BatchMedia, ListedRendition, VideoMedia};
use crate::settings::StreamId;

const TICKS: i64 = 90_000;

/// A batch of `count` segments of 6 s from `start_s` on, which airs at Unix time 0 + its position.
fn batch(number: u64, start_s: i64, count: usize) -> ListBatch {
    let cuts = |timescale: i64| -> Vec<Cut> {
        let lengths = (0..i64::try_from(count).unwrap()).map(|n| Cut {
            offset: 700 + n.unsigned_abs() * 1000,
            len: 1000,
            start: (start_s + n * 6) * timescale,
            duration: (6 * timescale).unsigned_abs(),
            samples: 150,
        });
        lengths.collect()
    };
    let length_s = i64::try_from(count).unwrap() * 6;
    let media = BatchMedia {
        epoch: 0,
        discontinuity: false,
        start_90k: start_s * TICKS,
        end_90k: (start_s + length_s) * TICKS,
        video: Some(VideoMedia {
            begins_inside_gop: false,
            config: VideoConfig {
                sps: vec![vec![0x67, 0x64, 0, 0x1f].into()],
                pps: vec![],
                width: 2,
                height: 2,
                ..VideoConfig::default()
            },
            init_len: 700,
            cuts: cuts(TICKS),
        }),
        audio: Some(AudioMedia {
            config: AudioConfig {
                audio_specific_config: vec![0x11, 0x90].into(),
                sample_rate: 48_000,
                channels: 2,
                object_type: 2,
                frame_samples: 1024,
                ..AudioConfig::default()
            },
            init_len: 700,
            start: start_s * 48_000,
            duration: (length_s * 48_000).unsigned_abs(),
            access_units: 100,
            cuts: cuts(48_000),
        }),
        program_date_time: None,
        date_ranges: Vec::new(),
    };
    ListBatch {
        batch: number,
        clock: AirClock { anchor: UnixMicros(0) },
        media: Arc::new(media),
        sequence: u64::try_from(start_s / 6).unwrap(),
        discontinuities: 0,
        segments: count,
        target_duration_s: 6,
        renditions: vec![ListedRendition { name: "main".into(), language: None, cuts: cuts(48_000) }],
    }
}

fn at(seconds: i64) -> UnixMicros {
    UnixMicros(seconds * 1_000_000)
}

fn video(listing: &Listing) -> String {
    render::playlists(listing)["video.m3u8"].clone()
}

#[test]
fn a_batch_longer_than_the_playlist_leaves_it_segment_by_segment() {
    let mut listing = Listing::default();
    for number in 0..3 {
        listing.insert(batch(number, i64::try_from(number).unwrap() * 120, 20));
    }
    listing.advance(at(119));
    listing.advance(at(120));
    for second in (126..=360).step_by(6) {
        listing.advance(at(second));
        let text = video(&listing);
        assert_eq!(text.matches("#EXTINF").count(), 6, "at {second} s:\n{text}");
        let first = second / 6 - 6;
        assert!(text.contains(&format!("#EXT-X-MEDIA-SEQUENCE:{first}\n")), "at {second} s:\n{text}");
    }
}

#[test]
fn files_stay_reachable_for_the_playlists_length_after_they_left_it() {
    let live = LiveOutput::new(StreamFiles::new("/s".as_ref(), &StreamId::new("a").unwrap()));
    let mut listing = Listing::default();
    for number in 0..10 {
        listing.insert(batch(number, i64::try_from(number).unwrap() * 12, 2));
    }
    listing.advance(at(12 + 72));
    live.publish(&listing);
    assert!(live.resource("batch-0/video.m4s").is_some());
    listing.advance(at(12 + 78));
    live.publish(&listing);
    assert!(live.resource("batch-0/video.m4s").is_none());
    assert!(live.resource("batch-1/audio-main.m4s").is_some());
    assert!(live.resource("batch-1/../batch-2/video.m4s").is_none());
}

#[test]
fn a_rendition_named_original_keeps_its_name_to_itself() {
    let mut listing = Listing::default();
    let mut list = batch(0, 0, 2);
    list.renditions[0].name = "Original".into();
    listing.insert(list);
    listing.advance(at(12));
    let text = &render::playlists(&listing)["index.m3u8"];
    assert_eq!(text.matches("NAME=\"Original\"").count(), 1, "{text}");
}

#[test]
fn a_player_may_choose_by_language_where_languages_differ() {
    let mut listing = Listing::default();
    let mut list = batch(0, 0, 1);
    let named = |name: &str, language: Option<&str>| ListedRendition {
        name: name.into(),
        language: language.map(str::to_owned),
        ..list.renditions[0].clone()
    };
    let renditions = [("main", Some("en")), ("de", Some("de")), ("calm", Some("DE")), ("any", None)];
    list.renditions = renditions.map(|(name, language)| named(name, language)).into();
    listing.insert(list);
    listing.advance(at(6));
    let text = &render::playlists(&listing)["index.m3u8"];
    let chosen = |name: &str| {
        let line = text.lines().find(|line| line.contains(&format!("NAME=\"{name}\"")));
        let line = line.unwrap_or_else(|| panic!("no {name} in {text}"));
        [line.contains(",DEFAULT=YES"), line.contains(",AUTOSELECT=YES")]
    };
    let all = ["main", "de", "calm", "any", "Original"].map(chosen);
    assert_eq!(all, [[true, true], [false, true], [false, false], [false, false], [false, false]]);
}

#[test]
fn what_a_rendition_lacks_is_a_gap() {
    let mut listing = Listing::default();
    let mut list = batch(0, 0, 2);
    list.renditions[0].cuts.clear();
    listing.insert(list);
    listing.insert(batch(1, 12, 2));
    listing.advance(at(24));
    let text = &render::playlists(&listing)["audio-main.m3u8"];
    assert_eq!((text.matches("#EXT-X-GAP").count(), text.matches("#EXTINF").count()), (2, 4), "{text}");
    assert_eq!(text.matches("#EXT-X-MAP").count(), 1, "{text}");
}

#[test]
fn segments_are_called_independent_unless_one_begins_inside_a_gop() {
    let mut listing = Listing::default();
    for number in 0..12 {
        let mut list = batch(number, i64::try_from(number).unwrap() * 12, 2);
        if number == 1
            && let Some(video) = &mut Arc::make_mut(&mut list.media).video
        {
            video.begins_inside_gop = true;
        }
        listing.insert(list);
    }
    let mut independent = |second: i64| {
        listing.advance(at(second));
        let playlists = render::playlists(&listing);
        ["index.m3u8", "video.m3u8"].map(|name| playlists[name].contains("#EXT-X-INDEPENDENT-SEGMENTS"))
    };
    assert_eq!([12, 24, 140].map(&mut independent), [[true; 2], [false; 2], [true; 2]]);
}

#[test]
fn date_ranges_stand_in_the_pictures_playlist_while_their_batch_is_listed() {
    let mut listing = Listing::default();
    let mut list = batch(0, 0, 2);
    let tag = "ID=\"ad\",START-DATE=\"2026-01-31T12:00:01.000Z\",SCTE35-OUT=0xFC30";
    Arc::make_mut(&mut list.media).date_ranges =
        vec![tag.to_owned(), tag.to_owned(), "CLASS=\"none\"".to_owned()];
    listing.insert(list);
    for number in 1..20 {
        listing.insert(batch(number, i64::try_from(number).unwrap() * 12, 2));
    }
    listing.advance(at(12));
    let text = video(&listing);
    assert_eq!(text.matches(&format!("#EXT-X-DATERANGE:{tag}\n")).count(), 1, "{text}");
    assert_eq!(text.matches("DATERANGE").count(), 1, "{text}");
    assert!(!render::playlists(&listing)["audio-main.m3u8"].contains("DATERANGE"));
    listing.advance(at(240));
    assert!(!video(&listing).contains("DATERANGE"));
}
