//! Pictures whose times the source leaves out, against the same pictures with all of them.

use bytes::Bytes;
use overdub_media::assemble::Carry;
use overdub_media::sample::{VideoCodec, VideoSample};

use crate::ffmpeg;
use crate::mux::{Mux, VIDEO_PID};
use crate::support::{Batch, assemble, read};

/// Eight seconds with reordered pictures, in one batch that has every time.
fn truth(encoder: &[&str]) -> Option<Batch> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("all.ts");
    let source = ["-v", "error", "-f", "lavfi", "-i", "testsrc2=size=160x96:rate=30000/1001:duration=8"];
    let args = [&source[..], encoder, &["-g", "60", "-f", "mpegts", file.to_str().unwrap()]].concat();
    ffmpeg::run("ffmpeg", &args)?;
    Some(assemble(&[read(&file)], Carry::default(), false).unwrap())
}

/// The same pictures, so many a PES packet, in segments that begin at sync samples; with decode times or without.
fn segments(truth: &Batch, a_packet: usize, decode_times: bool) -> Vec<Bytes> {
    let config = truth.end.video.as_ref().unwrap();
    let kind = if config.codec == VideoCodec::H265 { 0x24 } else { 0x1b };
    let pictures: Vec<&VideoSample> = truth.video().collect();
    pictures
        .chunk_by(|_, next| !next.sync)
        .map(|group| {
            let mut mux = Mux::default();
            mux.tables(&[(kind, VIDEO_PID)]);
            for packet in group.chunks(a_packet) {
                let mut payload = Vec::new();
                for picture in packet {
                    let sets = [&config.vps, &config.sps, &config.pps].into_iter().flatten();
                    let delimiter =
                        Bytes::from_static(if kind == 0x24 { &[0x46, 1, 0x50] } else { &[9, 0xf0] });
                    let sets = sets.filter(|_| picture.sync);
                    for nal in std::iter::once(&delimiter).chain(sets).chain(&picture.nals) {
                        payload.extend([0, 0, 0, 1]);
                        payload.extend(nal);
                    }
                }
                let (pts, dts) = (packet[0].pts_90k, packet[0].dts_90k);
                mux.pes(VIDEO_PID, pts, (decode_times && dts != pts).then_some(dts), &payload);
            }
            mux.segment()
        })
        .collect()
}

/// In batches of one segment, the pictures come out as they are, with the times that they have.
fn check(truth: &Batch, a_packet: usize, decode_times: bool) {
    let (mut carry, mut seen) = (Carry::default(), Vec::new());
    for segment in segments(truth, a_packet, decode_times) {
        let batch = assemble(&[segment], carry, false).unwrap();
        seen.extend(batch.video().map(|picture| (picture.dts_90k, picture.pts_90k)));
        carry = batch.end.carry;
    }
    let expected: Vec<_> = truth.video().map(|picture| (picture.dts_90k, picture.pts_90k)).collect();
    assert!(expected.iter().any(|(dts, pts)| pts - dts > 6000), "nothing is reordered");
    assert_eq!(seen.len(), expected.len());
    for (index, (seen, expected)) in seen.iter().zip(&expected).enumerate() {
        let near = (seen.0 - expected.0).abs() <= 2 && (seen.1 - expected.1).abs() <= 2;
        assert!(
            near,
            "{a_packet} a packet, decode times {decode_times}, {index}: {seen:?}, not {expected:?}"
        );
    }
}

#[test]
fn pictures_are_shown_in_their_order_whatever_times_are_left_out() {
    let h264 =
        ["-c:v", "libx264", "-preset", "fast", "-bf", "3", "-x264-params", "b-pyramid=normal:scenecut=0"];
    let h265 =
        ["-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "bframes=3:b-pyramid=1:log-level=none"];
    for encoder in [&h264[..], &h265] {
        let Some(truth) = truth(encoder) else { return };
        for a_packet in [1, 2, 3, 7] {
            check(&truth, a_packet, true);
            check(&truth, a_packet, false);
        }
    }
}
