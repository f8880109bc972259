//! What a source's media is, in words for the stream's view.

use crate::messages::BatchMedia;

/// What became of the source's sound in the newest batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum SoundNote {
    /// As it came.
    #[default]
    Copied,
    /// AAC was made of it.
    Transcoded,
    /// It could be neither copied nor transcoded.
    LeftOut,
}

impl SoundNote {
    /// What a batch's leniencies say.
    pub(super) fn of(leniencies: &[(&'static str, u64)]) -> Self {
        let has = |wanted: &str| leniencies.iter().any(|(name, count)| *name == wanted && *count > 0);
        match (has("audio_left_out"), has("audio_frames_transcoded")) {
            (true, _) => Self::LeftOut,
            (_, true) => Self::Transcoded,
            _ => Self::Copied,
        }
    }
}

/// Both tracks of a batch, and what there is to process.
pub(super) fn described(media: &BatchMedia, sound: SoundNote) -> String {
    let video = match &media.video {
        Some(video) => {
            let config = &video.config;
            format!("{} {}x{}", config.codec.name(), config.width, config.height)
        }
        None => "no video".to_owned(),
    };
    let audio = match (&media.audio, sound) {
        (Some(audio), sound) => {
            let (rate, channels) = (audio.config.output_rate(), audio.config.channels);
            let made = if sound == SoundNote::Transcoded { ", transcoded from the source's" } else { "" };
            format!("AAC {rate} Hz, channels: {channels}{made}")
        }
        (None, SoundNote::LeftOut) => {
            "audio left out: its codec can be neither copied nor transcoded; nothing to process".to_owned()
        }
        (None, _) => "no audio: nothing to process".to_owned(),
    };
    format!("{video}; {audio}")
}

#[cfg(test)]
mod tests {
    use overdub_media::sample::{AudioConfig, VideoConfig};

    use super::*;
    use crate::messages::{AudioMedia, VideoMedia};

    fn media() -> BatchMedia {
        let video = VideoConfig { width: 2, height: 2, ..VideoConfig::default() };
        let audio = AudioConfig { sample_rate: 48_000, channels: 2, ..AudioConfig::default() };
        BatchMedia {
            epoch: 0,
            discontinuity: false,
            start_90k: 0,
            end_90k: 0,
            video: Some(VideoMedia {
                config: video,
                init_len: 0,
                cuts: Vec::new(),
                begins_inside_gop: false,
            }),
            audio: Some(AudioMedia {
                config: audio,
                init_len: 0,
                start: 0,
                duration: 0,
                access_units: 0,
                cuts: Vec::new(),
            }),
            program_date_time: None,
            date_ranges: Vec::new(),
        }
    }

    #[test]
    fn tracks_that_are_missing_are_said_to_be() {
        let mut both = media();
        let transcoded = SoundNote::of(&[("audio_frames_transcoded", 9)]);
        assert_eq!(
            described(&both, transcoded),
            "H.264 2x2; AAC 48000 Hz, channels: 2, transcoded from the source's"
        );
        both.video = None;
        assert_eq!(described(&both, SoundNote::of(&[])), "no video; AAC 48000 Hz, channels: 2");
        both.audio = None;
        assert_eq!(described(&both, SoundNote::Copied), "no video; no audio: nothing to process");
        let left_out = SoundNote::of(&[("audio_left_out", 1)]);
        assert!(described(&both, left_out).contains("left out"));
    }
}
