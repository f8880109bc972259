//! Playlists.
#![no_main]

use libfuzzer_sys::fuzz_target;
use overdub_media::hls::read_playlist;

fuzz_target!(|bytes: &[u8]| {
    let _ = read_playlist(bytes);
});
