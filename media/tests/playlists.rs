//! Every playlist of a collection from the field is read or refused, none makes reading panic.
//!
//! The collection is found by `OVERDUB_PLAYLISTS`, or beside the workspace; without it the test says so.

use std::path::{Path, PathBuf};

use overdub_media::hls::{Playlist, read_playlist, write_media, write_multivariant};

fn collection() -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/playlists");
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

#[test]
fn every_playlist_from_the_field_is_read_or_refused() {
    let Some(directory) = collection() else {
        println!("skipped: no collection of playlists at OVERDUB_PLAYLISTS");
        return;
    };
    let mut paths = Vec::new();
    playlists_below(&directory, &mut paths);
    paths.sort();
    assert!(!paths.is_empty(), "{} holds no playlist", directory.display());
    let (mut media, mut multivariant, mut refused) = (0, 0, 0);
    for path in &paths {
        let name = path.strip_prefix(&directory).unwrap_or(path).display();
        match read_playlist(&std::fs::read(path).expect("a readable file")) {
            Ok(Playlist::Media(playlist)) => {
                media += 1;
                if !playlist.leniencies.is_empty() {
                    println!("{name}: {:?}", playlist.leniencies);
                }
                // What was read can be written, and reads back with the same segments.
                let again = read_playlist(write_media(&playlist).as_bytes());
                let Ok(Playlist::Media(again)) = again else { panic!("{name}: {again:?}") };
                assert_eq!(again.segments.len(), playlist.segments.len(), "{name}");
            }
            Ok(Playlist::Multivariant(playlist)) => {
                multivariant += 1;
                if !playlist.leniencies.is_empty() {
                    println!("{name}: {:?}", playlist.leniencies);
                }
                let again = read_playlist(write_multivariant(&playlist).as_bytes());
                let Ok(Playlist::Multivariant(again)) = again else { panic!("{name}: {again:?}") };
                assert_eq!(again.variants.len(), playlist.variants.len(), "{name}");
            }
            Err(error) => {
                refused += 1;
                println!("{name}: refused, {error}");
            }
        }
    }
    println!("{} playlists: {media} media, {multivariant} multivariant, {refused} refused", paths.len());
    assert!(refused * 20 <= paths.len(), "{refused} of {} refused", paths.len());
}
