//! What segments come as: fMP4 behind its init section, keys that change.

use aes::cipher::block_padding::Pkcs7;
use aes::cipher::{BlockModeDecrypt, BlockModeEncrypt, KeyIvInit};
use overdub_actors::fetcher::{FetchLimits, FetcherConfig};

use crate::run::{Run, config, limits};
use crate::server::{Answer, Server};
use crate::{ended, packets, playlist, serve_segments};

const INIT: &[u8] = b"\0\0\0\x0cftypmp42\0\0\0\x08moov";

fn media(seed: u8) -> Vec<u8> {
    [b"\0\0\0\x08moof\0\0\0\x10mdat".as_slice(), &[seed; 8]].concat()
}

fn encrypt(clear: &[u8], key: [u8; 16], iv: [u8; 16]) -> Vec<u8> {
    let mut bytes = [clear, &[0; 16]].concat();
    let encryptor = cbc::Encryptor::<aes::Aes128>::new(&key.into(), &iv.into());
    let len = encryptor.encrypt_padded::<Pkcs7>(&mut bytes, clear.len()).expect("room for padding").len();
    bytes.truncate(len);
    bytes
}

#[actix::test]
async fn fmp4_segments_are_stored_behind_their_init_section_which_is_fetched_once() {
    let server = Server::start().await;
    let resource = [b"junk".as_slice(), INIT].concat();
    server.answer("/init.mp4", [Answer::Ranged(resource)]);
    server.answer("/other.mp4", [Answer::Ok(INIT.to_vec())]);
    for number in 0..3 {
        server.answer(&format!("/a{number}.m4s"), [Answer::Ok(media(number))]);
    }
    server.text(
        "/live.m3u8",
        &format!(
            "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXT-X-MAP:URI=\"init.mp4\",BYTERANGE=\"{}@4\"\n\
             #EXTINF:1,\na0.m4s\n#EXTINF:1,\na1.m4s\n#EXT-X-DISCONTINUITY\n#EXT-X-MAP:URI=\"other.mp4\"\n\
             #EXTINF:1,\na2.m4s\n#EXT-X-ENDLIST\n",
            INIT.len()
        ),
    );
    let mut run = Run::of(config(&server.url("/live.m3u8")));
    for number in 0..3 {
        let stored = run.stored().await;
        assert_eq!(stored.path, run.folder().join(format!("segment-{number}.m4s")));
        let expected = [INIT, &media(number)].concat();
        assert_eq!(std::fs::read(&stored.path).expect("the file"), expected);
        assert_eq!((stored.bytes, stored.discontinuity), (expected.len() as u64, number == 2));
    }
    assert_eq!(server.requests("/init.mp4").len(), 1);
    assert_eq!(server.requests("/init.mp4")[0].range.as_deref(), Some("bytes=4-23"));
}

#[actix::test]
async fn tables_of_a_transport_stream_may_be_the_init_section() {
    let server = Server::start().await;
    serve_segments(&server, "a", 0..1);
    let tables = [vec![0x47; 188], vec![0x47; 188]].concat();
    server.answer("/tables.ts", [Answer::Ok(tables.clone())]);
    let text = ended(playlist("a", 0..1)).replace("#EXTINF", "#EXT-X-MAP:URI=\"tables.ts\"\n#EXTINF");
    server.text("/live.m3u8", &text);
    let mut run = Run::of(config(&server.url("/live.m3u8")));
    let stored = run.stored().await;
    assert_eq!(stored.path, run.folder().join("segment-0.ts"));
    assert_eq!(std::fs::read(&stored.path).expect("the file"), [tables, packets(0)].concat());
}

#[actix::test]
async fn an_init_section_of_the_same_name_is_fetched_anew_behind_a_discontinuity() {
    let server = Server::start().await;
    let other = [INIT, b"\0\0\0\x08free"].concat();
    server.answer("/init.mp4", [Answer::Ok(INIT.to_vec()), Answer::Ok(other.clone())]);
    for number in 0..2 {
        server.answer(&format!("/a{number}.m4s"), [Answer::Ok(media(number))]);
    }
    let text = "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXT-X-MAP:URI=\"init.mp4\"\n#EXTINF:1,\na0.m4s\n\
                #EXT-X-DISCONTINUITY\n#EXTINF:1,\na1.m4s\n#EXT-X-ENDLIST\n";
    server.text("/live.m3u8", text);
    let mut run = Run::of(config(&server.url("/live.m3u8")));
    for (number, init) in [(0, INIT), (1, &other)] {
        let stored = run.stored().await;
        assert_eq!(std::fs::read(&stored.path).expect("the file"), [init, &media(number)].concat());
    }
}

#[actix::test]
async fn packets_with_parity_behind_them_are_whole_at_the_first_try() {
    let server = Server::start().await;
    let packet = [vec![0x47; 188], vec![0xff; 16]].concat();
    server.answer("/a0.ts", [Answer::Ok(packet.repeat(20))]);
    server.text("/live.m3u8", &ended(playlist("a", 0..1)));
    let mut run = Run::of(config(&server.url("/live.m3u8")));
    assert_eq!(run.stored().await.bytes, 20 * 204);
    assert_eq!(server.requests("/a0.ts").len(), 1);
}

#[actix::test]
async fn an_init_section_that_is_none_or_too_large_loses_its_segments_by_name() {
    let server = Server::start().await;
    serve_segments(&server, "a", 0..1);
    server.answer("/page", [Answer::Ok(b"<!doctype html>".to_vec())]);
    server.answer("/large", [Answer::Endless]);
    for (map, reason) in [
        ("page", "init section (EXT-X-MAP) is neither MP4 nor MPEG-TS"),
        ("large", "init section: init section is larger than 10000 bytes"),
        ("none", "init section: source answered 404 Not Found"),
    ] {
        let text = ended(playlist("a", 0..1));
        let text = text.replace("#EXTINF", &format!("#EXT-X-MAP:URI=\"{map}\"\n#EXTINF"));
        server.text("/live.m3u8", &text);
        let limits = FetchLimits { playlist_bytes: 10_000, ..limits() };
        let mut run = Run::of(FetcherConfig { limits, ..config(&server.url("/live.m3u8")) });
        assert_eq!(run.lost().await.2, reason);
        run.ended().await;
        assert!(run.files().is_empty());
    }
}

#[actix::test]
async fn keys_rotate_and_ivs_are_derived_where_none_is_given() {
    let server = Server::start().await;
    let (one, two, iv) = ([1; 16], [2; 16], [9; 16]);
    server.answer("/k1", [Answer::Ok(one.to_vec())]);
    server.answer("/k2", [Answer::Ok(two.to_vec())]);
    let derived = |sequence: u64| u128::from(sequence).to_be_bytes();
    for (number, body) in [
        (300, encrypt(&packets(0), one, derived(300))),
        (301, encrypt(&packets(1), one, derived(301))),
        (302, packets(2)),
        (303, encrypt(&packets(3), two, iv)),
        (304, encrypt(&packets(4), one, derived(304))),
    ] {
        server.answer(&format!("/a{number}.ts"), [Answer::Ok(body)]);
    }
    server.text(
        "/live.m3u8",
        "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXT-X-MEDIA-SEQUENCE:300\n\
         #EXT-X-KEY:METHOD=AES-128,URI=\"k1\"\n#EXTINF:1,\na300.ts\n#EXTINF:1,\na301.ts\n\
         #EXT-X-KEY:METHOD=NONE\n#EXTINF:1,\na302.ts\n\
         #EXT-X-KEY:METHOD=AES-128,URI=\"k2\",IV=0x09090909090909090909090909090909\n#EXTINF:1,\na303.ts\n\
         #EXT-X-KEY:METHOD=AES-128,URI=\"k1\",KEYFORMAT=\"identity\"\n#EXTINF:1,\na304.ts\n#EXT-X-ENDLIST\n",
    );
    let mut run = Run::of(config(&server.url("/live.m3u8")));
    for seed in 0..5 {
        assert_eq!(std::fs::read(run.stored().await.path).expect("the file"), packets(seed), "{seed}");
    }
    assert_eq!((server.requests("/k1").len(), server.requests("/k2").len()), (2, 1));
}

/// A segment whose decryption with the wrong key gives no media, but by chance a valid padding.
fn lucky(key: [u8; 16], wrong: [u8; 16], iv: [u8; 16]) -> (Vec<u8>, Vec<u8>) {
    let mut segments =
        (0..=u16::MAX).map(|n| [packets(0), n.to_be_bytes().to_vec(), packets(1)[2..].to_vec()].concat());
    let found = segments.find_map(|clear| {
        let secret = encrypt(&clear, key, iv);
        let decryptor = cbc::Decryptor::<aes::Aes128>::new(&wrong.into(), &iv.into());
        let mut bytes = secret.clone();
        let seen = decryptor.decrypt_padded::<Pkcs7>(&mut bytes).ok()?;
        (!seen.starts_with(b"G")).then_some((clear, secret))
    });
    found.expect("one in 256")
}

#[actix::test]
async fn a_key_that_changes_at_its_address_is_fetched_anew_also_where_the_padding_is_right_by_chance() {
    let server = Server::start().await;
    let (old, new, iv) = ([1; 16], [2; 16], [9; 16]);
    let (clear, secret) = lucky(new, old, iv);
    server.answer("/k", [Answer::Ok(old.to_vec()), Answer::Ok(new.to_vec())]);
    server.answer("/a0.ts", [Answer::Ok(encrypt(&packets(0), old, iv))]);
    server.answer("/a1.ts", [Answer::Ok(secret)]);
    server.text(
        "/live.m3u8",
        "#EXTM3U\n#EXT-X-TARGETDURATION:1\n\
         #EXT-X-KEY:METHOD=AES-128,URI=\"k\",IV=0x09090909090909090909090909090909\n\
         #EXTINF:1,\na0.ts\n#EXTINF:1,\na1.ts\n#EXT-X-ENDLIST\n",
    );
    let mut run = Run::of(config(&server.url("/live.m3u8")));
    for expected in [packets(0), clear] {
        assert_eq!(std::fs::read(run.stored().await.path).expect("the file"), expected);
    }
    assert_eq!(server.requests("/k").len(), 2);
}

#[actix::test]
async fn an_encrypted_init_section_is_decrypted_and_a_clear_one_left_as_it_is() {
    let server = Server::start().await;
    let (key, iv) = ([5; 16], [6; 16]);
    server.answer("/k", [Answer::Ok(key.to_vec())]);
    server.answer("/clear.mp4", [Answer::Ok(INIT.to_vec())]);
    server.answer("/secret.mp4", [Answer::Ok(encrypt(INIT, key, iv))]);
    server.answer("/a0.m4s", [Answer::Ok(encrypt(&media(0), key, iv))]);
    for map in ["clear", "secret"] {
        server.text(
            "/live.m3u8",
            &format!(
                "#EXTM3U\n#EXT-X-TARGETDURATION:1\n\
                 #EXT-X-KEY:METHOD=AES-128,URI=\"k\",IV=0x06060606060606060606060606060606\n\
                 #EXT-X-MAP:URI=\"{map}.mp4\"\n#EXTINF:1,\na0.m4s\n#EXT-X-ENDLIST\n"
            ),
        );
        let mut run = Run::of(config(&server.url("/live.m3u8")));
        let stored = run.stored().await;
        assert_eq!(std::fs::read(stored.path).expect("the file"), [INIT, &media(0)].concat(), "{map}");
    }
}
