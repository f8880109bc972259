//! Every playlist of a collection from the field is read right or refused with line and reason.
//!
//! `playlists/snapshot.txt` holds what each gave, a line a playlist; `OVERDUB_BLESS=1` writes it anew, to be read
//! through before it is committed. The collection is found by `OVERDUB_PLAYLISTS`, beside `OVERDUB_CORPUS`, or
//! beside the workspace; without it the test says so.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use overdub_media::hls::{
    Leniencies, MediaPlaylist, MultivariantPlaylist, Playlist, RenditionKind, read_playlist, write_media,
    write_multivariant,
};

fn collection() -> Option<PathBuf> {
    let beside = || match std::env::var_os("OVERDUB_CORPUS") {
        Some(corpus) => Path::new(&corpus).join("../playlists"),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/playlists"),
    };
    let directory = std::env::var_os("OVERDUB_PLAYLISTS").map_or_else(beside, PathBuf::from);
    directory.is_dir().then_some(directory)
}

fn playlists_below(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).expect("a readable directory").flatten() {
        let path = entry.path();
        if path.is_dir() {
            playlists_below(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "m3u8") {
            found.push(path);
        }
    }
}

/// What reading one playlist gave, in one line.
fn outcome(bytes: &[u8]) -> String {
    match read_playlist(bytes) {
        Ok(Playlist::Media(playlist)) => of_media(&playlist),
        Ok(Playlist::Multivariant(playlist)) => of_multivariant(&playlist),
        Err(error) => format!("refused: {error}"),
    }
}

fn of_media(playlist: &MediaPlaylist) -> String {
    let segments = &playlist.segments;
    let total_us: i64 = segments.iter().map(|segment| segment.duration_us).sum();
    let mut text = format!(
        "media target {} from {} segments {} seconds {}.{:03}",
        playlist.target_duration_s,
        segments.first().map_or(playlist.media_sequence, |segment| segment.media_sequence),
        segments.len(),
        total_us / 1_000_000,
        total_us / 1000 % 1000,
    );
    let count = |what: &dyn Fn(usize) -> bool| (0..segments.len()).filter(|n| what(*n)).count();
    let changes = |different: &dyn Fn(usize, usize) -> bool| {
        (0..segments.len()).filter(|n| *n == 0 || different(n - 1, *n)).count()
    };
    let timelines: Vec<u64> = playlist.timelines().collect();
    let keys = changes(&|a, b| segments[a].key != segments[b].key);
    let maps = changes(&|a, b| segments[a].map != segments[b].map);
    let figures = [
        ("discontinuities", count(&|n| segments[n].discontinuity)),
        ("timeline", timelines.last().map_or(0, |last| usize::try_from(*last).unwrap_or(usize::MAX))),
        ("ranges", count(&|n| segments[n].byte_range.is_some())),
        ("encrypted", count(&|n| segments[n].key.is_some())),
        ("keys", keys - usize::from(segments.first().is_some_and(|first| first.key.is_none()))),
        ("mapped", count(&|n| segments[n].map.is_some())),
        ("maps", maps - usize::from(segments.first().is_some_and(|first| first.map.is_none()))),
        ("dated", count(&|n| segments[n].program_date_time.is_some())),
        ("gaps", count(&|n| segments[n].gap)),
        ("dateranges", playlist.date_ranges.len()),
    ];
    for (name, count) in figures.iter().filter(|(_, count)| *count > 0) {
        let _ = write!(text, " {name} {count}");
    }
    for (name, holds) in [("i-frames-only", playlist.i_frames_only), ("ended", playlist.ended)] {
        text.push_str(if holds { " " } else { "" });
        text.push_str(if holds { name } else { "" });
    }
    if let (Some(first), Some(last)) = (segments.first(), segments.last()) {
        let _ = write!(text, " | {} .. {}", short(&first.uri), short(&last.uri));
    }
    text + &overlooked(&playlist.leniencies)
}

fn of_multivariant(playlist: &MultivariantPlaylist) -> String {
    let mut text = format!("multivariant variants {}", playlist.variants.len());
    let kinds = [
        ("audio", RenditionKind::Audio),
        ("video", RenditionKind::Video),
        ("subtitles", RenditionKind::Subtitles),
        ("captions", RenditionKind::ClosedCaptions),
    ];
    for (name, kind) in kinds {
        let count = playlist.renditions.iter().filter(|rendition| rendition.kind == kind).count();
        if count > 0 {
            let _ = write!(text, " {name} {count}");
        }
    }
    if !playlist.variables.is_empty() {
        let _ = write!(text, " variables {}", playlist.variables.len());
    }
    let by_bandwidth = |best: fn(u64, u64) -> bool| {
        playlist.variants.iter().reduce(|a, b| if best(b.bandwidth, a.bandwidth) { b } else { a })
    };
    for (name, variant) in [("high", by_bandwidth(|b, a| b > a)), ("low", by_bandwidth(|b, a| b < a))] {
        let Some(variant) = variant else { continue };
        let (width, height) = variant.resolution.unwrap_or_default();
        let _ = write!(text, " | {name} {} {width}x{height} {}", variant.bandwidth, short(&variant.uri));
    }
    text + &overlooked(&playlist.leniencies)
}

fn overlooked(leniencies: &Leniencies) -> String {
    leniencies.iter().fold(String::new(), |mut text, (name, count)| {
        let _ = write!(text, " | overlooked {count}: {name}");
        text
    })
}

/// The end of a URI: enough to tell one from another.
fn short(uri: &str) -> String {
    let skipped = uri.chars().count().saturating_sub(24);
    uri.chars().skip(skipped).map(|c| if c.is_ascii_graphic() { c } else { '?' }).collect()
}

#[test]
fn every_playlist_from_the_field_is_read_or_refused_as_recorded() {
    let Some(directory) = collection() else {
        println!("skipped: no collection of playlists at OVERDUB_PLAYLISTS");
        return;
    };
    let mut paths = Vec::new();
    playlists_below(&directory, &mut paths);
    paths.sort();
    assert!(!paths.is_empty(), "{} holds no playlist", directory.display());
    let mut given = String::new();
    for path in &paths {
        let name = path.strip_prefix(&directory).unwrap_or(path).display();
        let _ = writeln!(given, "{name}: {}", outcome(&std::fs::read(path).expect("a readable file")));
    }
    let snapshot = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/playlists/snapshot.txt");
    if std::env::var_os("OVERDUB_BLESS").is_some() {
        std::fs::write(&snapshot, &given).expect("a writable snapshot");
    }
    let expected = std::fs::read_to_string(&snapshot).expect("the snapshot");
    let known: std::collections::BTreeMap<_, _> =
        expected.lines().filter_map(|line| line.split_once(": ")).collect();
    let mut differences = String::new();
    for (name, outcome) in given.lines().filter_map(|line| line.split_once(": ")) {
        // Another collection may hold more; what is known must read as it did.
        if let Some(expected) = known.get(name).filter(|expected| **expected != outcome) {
            let _ = writeln!(differences, "{name}\n  was {expected}\n  is  {outcome}");
        }
    }
    assert!(differences.is_empty(), "{differences}");
}

#[test]
fn what_was_read_of_the_field_is_written_and_reads_back() {
    let Some(directory) = collection() else {
        println!("skipped: no collection of playlists at OVERDUB_PLAYLISTS");
        return;
    };
    let mut paths = Vec::new();
    playlists_below(&directory, &mut paths);
    for path in &paths {
        match read_playlist(&std::fs::read(path).expect("a readable file")) {
            Ok(Playlist::Media(playlist)) => {
                let again = read_playlist(write_media(&playlist).as_bytes());
                let Ok(Playlist::Media(again)) = again else { panic!("{}: {again:?}", path.display()) };
                assert_eq!(again.segments.len(), playlist.segments.len(), "{}", path.display());
                assert_eq!(again.date_ranges, playlist.date_ranges, "{}", path.display());
            }
            Ok(Playlist::Multivariant(playlist)) => {
                let again = read_playlist(write_multivariant(&playlist).as_bytes());
                let Ok(Playlist::Multivariant(again)) = again else {
                    panic!("{}: {again:?}", path.display())
                };
                assert_eq!(again.variants.len(), playlist.variants.len(), "{}", path.display());
            }
            Err(_) => {}
        }
    }
}
