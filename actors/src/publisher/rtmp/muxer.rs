//! Samples to RTMP messages: timestamps, headers, configurations.

use std::sync::Arc;

use bytes::Bytes;
use overdub_media::flv;
use overdub_media::rtmp::amf0::Value;
use overdub_media::rtmp::chunk::MessageHeader;
use overdub_media::rtmp::message::{self, chunk_stream, type_id};
use overdub_media::sample::{AudioConfig, VideoConfig};

use super::sample::{Sample, Track};
use super::schedule::{Configs, Departure};

/// One message: its header and the parts of its payload.
pub type Message = (MessageHeader, [Bytes; 2]);

/// What one connection has been told so far.
#[derive(Debug)]
pub struct Muxer {
    stream_id: u32,
    told: Option<Configs>,
    /// The configurations that were found to be told in full.
    settled: Option<Arc<Configs>>,
    last_video_ms: Option<i64>,
    last_audio_ms: Option<i64>,
}

/// Milliseconds from `base_90k` to `time`, rounded to the nearest (halves up); computed anew from the timeline each
/// time, so that no error accumulates.
fn millis(time: i64, timescale: u32, base_90k: i64) -> i64 {
    let scale = i128::from(timescale.max(1));
    let ticks = i128::from(time) * 90_000 - i128::from(base_90k) * scale;
    let rounded = (2 * ticks + 90 * scale).div_euclid(2 * 90 * scale);
    i64::try_from(rounded).unwrap_or(if rounded < 0 { i64::MIN } else { i64::MAX })
}

impl Muxer {
    /// Begins a connection, on which media goes over message stream `stream_id`.
    pub fn new(stream_id: u32) -> Self {
        Self { stream_id, told: None, settled: None, last_video_ms: None, last_audio_ms: None }
    }

    /// Appends the messages of one departure, behind what the server must know before it. The last message is the
    /// sample itself; nothing is appended for a sample of a track without a usable configuration.
    pub fn messages(&mut self, departure: &Departure, base_90k: i64, out: &mut Vec<Message>) {
        let Departure { configs, sample, .. } = departure;
        let timestamp_ms = self.timestamp(sample, base_90k);
        let wrapped = timestamp_ms as u32;
        let body = match (sample.track, &configs.video) {
            (Track::Video, Some(config)) => {
                let pts = sample.time.saturating_add(i64::from(sample.cts_offset));
                let composition_ms = millis(pts, sample.timescale, base_90k).saturating_sub(timestamp_ms);
                let composition_ms = i32::try_from(composition_ms).unwrap_or(0);
                flv::video_header(config.codec, sample.sync, composition_ms)
            }
            (Track::Audio, _) if configs.audio.is_some() => Bytes::from_static(&flv::AAC_RAW_HEADER),
            _ => return,
        };
        if !self.tell(configs, sample.track, wrapped, out) {
            return;
        }
        out.push((self.media(sample.track, wrapped), [body, sample.data.clone()]));
    }

    /// The timestamp before it is cut to 32 bits; never negative, strictly increasing within a track.
    fn timestamp(&mut self, sample: &Sample, base_90k: i64) -> i64 {
        let exact = millis(sample.time, sample.timescale, base_90k).max(0);
        let last = match sample.track {
            Track::Video => &mut self.last_video_ms,
            Track::Audio => &mut self.last_audio_ms,
        };
        // Two pictures within one millisecond happen in broken sources; servers want times that increase.
        let timestamp = last.map_or(exact, |last| exact.max(last.saturating_add(1)));
        *last = Some(timestamp);
        timestamp
    }

    /// Sends metadata and sequence headers: all at first, then those that changed for this track. False when this
    /// track's configuration cannot be expressed, so that its samples are of no use to anybody.
    fn tell(
        &mut self,
        configs: &Arc<Configs>,
        track: Track,
        timestamp_ms: u32,
        out: &mut Vec<Message>,
    ) -> bool {
        if self.settled.as_ref().is_some_and(|settled| Arc::ptr_eq(settled, configs)) {
            return true;
        }
        let first = self.told.is_none();
        let told = self.told.get_or_insert_default();
        // Of the other track there may still be samples of the configuration before.
        let video = (first || track == Track::Video) && told.video != configs.video;
        let audio = (first || track == Track::Audio) && told.audio != configs.audio;
        if !video && !audio {
            if *told == **configs {
                self.settled = Some(configs.clone());
            }
            return true;
        }
        let config = configs.video.as_ref().filter(|_| video);
        let video_header = config.and_then(|config| flv::video_sequence_header(config).ok());
        if video && track == Track::Video && video_header.is_none() {
            return false;
        }
        if video_header.is_some() {
            told.video.clone_from(&configs.video);
        }
        if audio {
            told.audio.clone_from(&configs.audio);
        }
        let (header, payload) = message::metadata(self.stream_id, timestamp_ms, metadata(configs));
        out.push((header, [payload, Bytes::new()]));
        if let Some(body) = video_header {
            out.push((self.media(Track::Video, timestamp_ms), [body, Bytes::new()]));
        }
        if let Some(config) = configs.audio.as_ref().filter(|_| audio) {
            let body = flv::aac_sequence_header(config);
            out.push((self.media(Track::Audio, timestamp_ms), [body, Bytes::new()]));
        }
        true
    }

    fn media(&self, track: Track, timestamp_ms: u32) -> MessageHeader {
        let (chunk_stream, type_id) = match track {
            Track::Video => (chunk_stream::VIDEO, type_id::VIDEO),
            Track::Audio => (chunk_stream::AUDIO, type_id::AUDIO),
        };
        MessageHeader { chunk_stream, type_id, timestamp_ms, stream_id: self.stream_id }
    }
}

/// The properties of `onMetaData` (Adobe Flash Video File Format Specification 10.1, E.5).
fn metadata(configs: &Configs) -> Vec<(String, Value)> {
    let mut properties = Vec::new();
    let mut put = |name: &str, value| properties.push((name.to_owned(), value));
    if let Some(VideoConfig { codec, width, height, .. }) = &configs.video {
        put("width", Value::Number(f64::from(*width)));
        put("height", Value::Number(f64::from(*height)));
        put("videocodecid", Value::Number(flv::video_codec_id(*codec)));
    }
    if let Some(AudioConfig { sample_rate, channels, .. }) = &configs.audio {
        put("audiocodecid", Value::Number(10.0));
        put("audiosamplerate", Value::Number(f64::from(*sample_rate)));
        put("audiosamplesize", Value::Number(16.0));
        put("audiochannels", Value::Number(f64::from(*channels)));
        put("stereo", Value::Boolean(*channels == 2));
    }
    put("encoder", Value::text("Overdub"));
    properties
}

#[cfg(test)]
mod tests {
    use super::*;

    fn configs() -> Arc<Configs> {
        Arc::new(Configs {
            video: Some(VideoConfig {
                sps: vec![Bytes::from_static(&[0x67, 0x42, 0xC0, 0x1E, 0xD9])],
                pps: vec![Bytes::from_static(&[0x68, 0xCE])],
                width: 640,
                height: 360,
                ..VideoConfig::default()
            }),
            audio: Some(AudioConfig {
                audio_specific_config: Bytes::from_static(&[0x11, 0x90]),
                sample_rate: 48_000,
                channels: 2,
                object_type: 2,
                frame_samples: 1024,
                ..AudioConfig::default()
            }),
        })
    }

    fn departure(configs: &Arc<Configs>, track: Track, time: i64, cts_offset: i32) -> Departure {
        let timescale = if track == Track::Video { 90_000 } else { 48_000 };
        let data = Bytes::from_static(b"data");
        let sample = Sample { track, time, timescale, cts_offset, sync: true, data };
        Departure { configs: configs.clone(), sample }
    }

    fn kinds(messages: &[Message]) -> Vec<(u8, u32, u8)> {
        messages.iter().map(|(header, [body, _])| (header.type_id, header.timestamp_ms, body[1])).collect()
    }

    #[test]
    fn a_connection_begins_with_metadata_and_both_sequence_headers() {
        let configs = configs();
        let mut muxer = Muxer::new(1);
        let mut out = Vec::new();
        muxer.messages(&departure(&configs, Track::Video, 90_000, 7200), 90_000, &mut out);
        muxer.messages(&departure(&configs, Track::Audio, 48_000 + 1024, 0), 90_000, &mut out);
        assert_eq!(kinds(&out), [(18, 0, 0), (9, 0, 0), (8, 0, 0), (9, 0, 1), (8, 21, 1)]);
        assert_eq!(out[3].1[0][..], [0x17, 1, 0, 0, 80]);
    }

    #[test]
    fn a_changed_configuration_is_told_before_its_tracks_first_sample() {
        let first = configs();
        let mut second = Configs { video: first.video.clone(), audio: first.audio.clone() };
        second.video.as_mut().unwrap().width = 320;
        second.audio.as_mut().unwrap().channels = 1;
        let second = Arc::new(second);
        let mut muxer = Muxer::new(1);
        let mut out = Vec::new();
        muxer.messages(&departure(&first, Track::Video, 0, 0), 0, &mut out);
        out.clear();
        muxer.messages(&departure(&second, Track::Video, 90_000, 0), 0, &mut out);
        muxer.messages(&departure(&first, Track::Audio, 48_000 + 48, 0), 0, &mut out);
        muxer.messages(&departure(&second, Track::Audio, 48_000 + 1072, 0), 0, &mut out);
        let expected = [(18, 1000, 0), (9, 1000, 0), (9, 1000, 1), (8, 1001, 1)];
        assert_eq!(kinds(&out)[..4], expected);
        assert_eq!(kinds(&out)[4..], [(18, 1022, 0), (8, 1022, 0), (8, 1022, 1)]);
    }

    #[test]
    fn rounding_does_not_accumulate_over_days() {
        // 30000/1001 pictures a second: 3003 ticks each.
        let base = 12_345;
        for n in (0..10_000_000i64).step_by(999_983) {
            let exact = n as f64 * 3003.0 / 90.0;
            let ms = millis(base + n * 3003, 90_000, base);
            assert!((ms as f64 - exact).abs() <= 0.5, "{n}");
        }
        assert_eq!(millis(1024, 48_000, 0), 21);
        assert_eq!(millis(1536 + 48_000, 48_000, 90_000), 32);
        assert_eq!(millis(45, 90_000, 0), 1);
        assert_eq!(millis(i64::MAX, 1, i64::MIN), i64::MAX);
    }

    #[test]
    fn times_wrap_after_32_bits_and_increase_within_a_millisecond() {
        let configs = configs();
        let mut muxer = Muxer::new(1);
        let mut out = Vec::new();
        let wrap = (1i64 << 32) * 90;
        for time in [wrap - 90, wrap, wrap + 1, wrap + 2, wrap + 900] {
            muxer.messages(&departure(&configs, Track::Video, time, 0), 0, &mut out);
        }
        let times: Vec<u32> = out[3..].iter().map(|(header, _)| header.timestamp_ms).collect();
        assert_eq!(times, [u32::MAX, 0, 1, 2, 10]);
        // What was moved is presented when it should be.
        assert_eq!(out[6].1[0][..], [0x17, 1, 0xFF, 0xFF, 0xFE]);
    }

    #[test]
    fn a_video_that_cannot_be_described_does_not_keep_the_audio_back() {
        let mut broken = Configs { video: configs().video.clone(), audio: configs().audio.clone() };
        broken.video.as_mut().unwrap().sps.clear();
        let broken = Arc::new(broken);
        let mut muxer = Muxer::new(1);
        let mut out = Vec::new();
        muxer.messages(&departure(&broken, Track::Audio, 0, 0), 0, &mut out);
        muxer.messages(&departure(&broken, Track::Video, 0, 0), 0, &mut out);
        muxer.messages(&departure(&broken, Track::Audio, 1024, 0), 0, &mut out);
        assert_eq!(kinds(&out), [(18, 0, 0), (8, 0, 0), (8, 0, 1), (8, 21, 1)]);
    }

    #[test]
    fn a_sample_without_configuration_is_no_message() {
        let configs = Arc::new(Configs { video: None, audio: None });
        let mut out = Vec::new();
        Muxer::new(1).messages(&departure(&configs, Track::Video, 0, 0), 0, &mut out);
        assert!(out.is_empty());
    }
}
