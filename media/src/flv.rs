//! FLV: bodies of audio and video tags, which are also bodies of RTMP media messages, and FLV files.
//!
//! Headers are small arrays to be sent before the sample's own bytes: AAC access units as they are, H.264 in
//! AVC format (each NAL unit behind a 4-byte length), which is what our MP4 files hold. So nothing is copied.
//! (Adobe Flash Video File Format Specification 10.1, annex E; H.265 as in Veovera's Enhanced RTMP v1.)

mod tag;

pub use tag::{FlvError, Tag, TagKind, put_file_header, put_tag, read_tags};

use bytes::Bytes;

use crate::mp4::{Mp4Error, decoder_configuration};
use crate::sample::{AudioConfig, VideoCodec, VideoConfig};

/// Codec id of AVC in the first byte of a video body.
const AVC: u8 = 7;
/// First byte of an AAC body (E.4.2.1): AAC is marked as 44 kHz, 16 bit, stereo whatever it is.
const AAC: u8 = 0xaf;

/// Comes before an AAC access unit.
pub const AAC_RAW_HEADER: [u8; 2] = [AAC, 1];

/// A video body that says there will be no more pictures.
pub const AVC_END_OF_SEQUENCE: [u8; 5] = [0x10 | AVC, 2, 0, 0, 0];

/// The video body that explains the H.264 pictures behind it.
///
/// # Errors
/// When the configuration cannot be written as an AVCDecoderConfigurationRecord.
pub fn avc_sequence_header(config: &VideoConfig) -> Result<Bytes, Mp4Error> {
    let mut body = vec![0x10 | AVC, 0, 0, 0, 0];
    body.extend(decoder_configuration(config)?);
    Ok(body.into())
}

/// Comes before a picture in AVC format. `composition_time_ms` is presentation minus decode time; it has 24
/// bits (2 hours and 19 minutes), and beyond them it is the nearest value that they can hold.
#[must_use]
pub fn avc_nalu_header(sync: bool, composition_time_ms: i32) -> [u8; 5] {
    // E.4.3.1: frame type 1 is a picture to seek to, 2 any other; packet type 1 is NAL units.
    let frame_type = if sync { 0x10 } else { 0x20 };
    let [_, a, b, c] = composition_time_ms.clamp(-(1 << 23), (1 << 23) - 1).to_be_bytes();
    [frame_type | AVC, 1, a, b, c]
}

/// FourCC of H.265 in Enhanced RTMP.
pub const HEVC_FOURCC: [u8; 4] = *b"hvc1";

// Enhanced RTMP v1, "Extended VideoTagHeader": the highest bit says that a packet type and a FourCC follow.
const EXTENDED: u8 = 0x80;
const SEQUENCE_START: u8 = 0;
const CODED_FRAMES: u8 = 1;
const SEQUENCE_END: u8 = 2;

/// The video body that explains the pictures behind it, in the codec's own form: FLV's for H.264, Enhanced
/// RTMP's for H.265.
///
/// # Errors
/// When the configuration cannot be written as a decoder configuration record.
pub fn video_sequence_header(config: &VideoConfig) -> Result<Bytes, Mp4Error> {
    match config.codec {
        VideoCodec::H264 => avc_sequence_header(config),
        VideoCodec::H265 => {
            let mut body = extended(0x10, SEQUENCE_START).to_vec();
            body.extend(decoder_configuration(config)?);
            Ok(body.into())
        }
    }
}

/// Comes before a picture whose NAL units stand behind 4-byte lengths; see [`avc_nalu_header`].
#[must_use]
pub fn video_header(codec: VideoCodec, sync: bool, composition_time_ms: i32) -> Bytes {
    let avc = avc_nalu_header(sync, composition_time_ms);
    match codec {
        VideoCodec::H264 => Bytes::copy_from_slice(&avc),
        VideoCodec::H265 => [&extended(avc[0] & 0x30, CODED_FRAMES)[..], &avc[2..]].concat().into(),
    }
}

/// A video body that says there will be no more pictures.
#[must_use]
pub fn video_end_of_sequence(codec: VideoCodec) -> Bytes {
    match codec {
        VideoCodec::H264 => Bytes::from_static(&AVC_END_OF_SEQUENCE),
        VideoCodec::H265 => Bytes::copy_from_slice(&extended(0x10, SEQUENCE_END)),
    }
}

/// `videocodecid` of `onMetaData`: FLV's number, or the FourCC as a number (Enhanced RTMP v1, "Metadata").
#[must_use]
pub fn video_codec_id(codec: VideoCodec) -> f64 {
    match codec {
        VideoCodec::H264 => f64::from(AVC),
        VideoCodec::H265 => f64::from(u32::from_be_bytes(HEVC_FOURCC)),
    }
}

fn extended(frame_type: u8, packet_type: u8) -> [u8; 5] {
    let [a, b, c, d] = HEVC_FOURCC;
    [EXTENDED | frame_type | packet_type, a, b, c, d]
}

/// The audio body that explains the AAC access units behind it.
#[must_use]
pub fn aac_sequence_header(config: &AudioConfig) -> Bytes {
    [&[AAC, 0], config.audio_specific_config.as_ref()].concat().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_as_the_format_says() {
        assert_eq!(avc_nalu_header(true, 80), [0x17, 1, 0, 0, 80]);
        assert_eq!(avc_nalu_header(false, -2), [0x27, 1, 0xff, 0xff, 0xfe]);
        assert_eq!(avc_nalu_header(false, i32::MAX), [0x27, 1, 0x7f, 0xff, 0xff]);
        assert_eq!(avc_nalu_header(false, i32::MIN), [0x27, 1, 0x80, 0, 0]);
        assert_eq!(AVC_END_OF_SEQUENCE, [0x17, 2, 0, 0, 0]);
        assert_eq!(AAC_RAW_HEADER, [0xaf, 1]);
    }

    #[test]
    fn h265_is_enhanced_rtmp() {
        let header = video_header(VideoCodec::H265, true, 80);
        assert_eq!(header[..], [0x91, b'h', b'v', b'c', b'1', 0, 0, 80]);
        assert_eq!(video_header(VideoCodec::H265, false, -2)[..], *b"\xa1hvc1\xff\xff\xfe");
        assert_eq!(video_header(VideoCodec::H264, true, 80)[..], [0x17, 1, 0, 0, 80]);
        assert_eq!(video_end_of_sequence(VideoCodec::H265)[..], *b"\x92hvc1");
        assert_eq!(video_codec_id(VideoCodec::H265), 1_752_589_105.0);
    }

    #[test]
    fn sequence_headers_hold_the_configurations() {
        let audio = AudioConfig {
            audio_specific_config: Bytes::from_static(&[0x11, 0x90]),
            sample_rate: 48_000,
            channels: 2,
            object_type: 2,
            frame_samples: 1024,
            ..AudioConfig::default()
        };
        assert_eq!(aac_sequence_header(&audio)[..], [0xaf, 0, 0x11, 0x90]);
        let mut video = VideoConfig {
            sps: vec![Bytes::from_static(&[0x67, 0x42, 0xc0, 0x1e, 0xd9])],
            pps: vec![Bytes::from_static(&[0x68, 0xce])],
            width: 640,
            height: 360,
            ..VideoConfig::default()
        };
        assert_eq!(
            avc_sequence_header(&video).unwrap()[..],
            [
                0x17, 0, 0, 0, 0, 1, 0x42, 0xc0, 0x1e, 0xff, 0xe1, 0, 5, 0x67, 0x42, 0xc0, 0x1e, 0xd9, 1, 0,
                2, 0x68, 0xce
            ]
        );
        video.pps.clear();
        assert!(avc_sequence_header(&video).is_err());
    }
}
