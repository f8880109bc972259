//! What a source's media is, in words for the stream's view.

use crate::messages::BatchMedia;

/// What became of the source's sound in the newest batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SoundNote {
    /// As it came.
    Copied,
    /// AAC was made of it.
    Transcoded,
    /// It could be neither copied nor transcoded.
    LeftOut,
}

/// What became of a batch's source beside what was demuxed of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct MediaNote {
    sound: SoundNote,
    /// Pictures came, and none that a decoder could begin with.
    no_keyframe: bool,
}

impl MediaNote {
    /// What a batch's leniencies say.
    pub(super) fn of(media: &BatchMedia, leniencies: &[(&'static str, u64)]) -> Self {
        let has = |wanted: &str| leniencies.iter().any(|(name, count)| *name == wanted && *count > 0);
        let sound = match (has("audio_left_out"), has("audio_frames_transcoded")) {
            (true, _) => SoundNote::LeftOut,
            (_, true) => SoundNote::Transcoded,
            _ => SoundNote::Copied,
        };
        Self { sound, no_keyframe: media.video.is_none() && has("video_before_first_sync") }
    }

    /// What a viewer lacks, where there is something.
    pub(super) fn lack(self) -> Option<&'static str> {
        if self.no_keyframe {
            return Some("source's pictures are left out: no keyframe with its parameter sets has come");
        }
        let left_out = self.sound == SoundNote::LeftOut;
        left_out.then_some("source's audio is left out: its codec can be neither copied nor transcoded")
    }
}

/// Both tracks of a batch, and what there is to process; `note` is there once this process has demuxed a batch.
pub(super) fn described(media: &BatchMedia, note: Option<MediaNote>) -> String {
    let video = match &media.video {
        Some(video) => {
            let config = &video.config;
            format!("{} {}x{}", config.codec.name(), config.width, config.height)
        }
        None if note.is_some_and(|note| note.no_keyframe) => "video left out: no keyframe yet".to_owned(),
        None => "no video".to_owned(),
    };
    let audio = match (&media.audio, note.map(|note| note.sound)) {
        (Some(audio), sound) => {
            let (rate, channels) = (audio.config.output_rate(), audio.config.channels);
            let made =
                if sound == Some(SoundNote::Transcoded) { ", transcoded from the source's" } else { "" };
            format!("AAC {rate} Hz, channels: {channels}{made}")
        }
        (None, Some(SoundNote::LeftOut)) => {
            "audio left out: its codec can be neither copied nor transcoded; nothing to process".to_owned()
        }
        (None, Some(_)) => "no audio: nothing to process".to_owned(),
        (None, None) => "no audio".to_owned(),
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
        let note = |media: &BatchMedia, counts: &[(&'static str, u64)]| Some(MediaNote::of(media, counts));
        let transcoded = note(&both, &[("audio_frames_transcoded", 9)]);
        assert_eq!(
            described(&both, transcoded),
            "H.264 2x2; AAC 48000 Hz, channels: 2, transcoded from the source's"
        );
        both.video = None;
        let alone = note(&both, &[]);
        assert_eq!(described(&both, alone), "no video; AAC 48000 Hz, channels: 2");
        assert_eq!(alone.and_then(MediaNote::lack), None);
        let waits = note(&both, &[("video_before_first_sync", 50)]);
        assert!(described(&both, waits).starts_with("video left out: no keyframe yet; AAC"));
        assert!(waits.and_then(MediaNote::lack).is_some_and(|lack| lack.contains("keyframe")));
        both.audio = None;
        assert_eq!(described(&both, alone), "no video; no audio: nothing to process");
        let left_out = note(&both, &[("audio_left_out", 1)]);
        assert!(described(&both, left_out).contains("left out"));
        assert!(left_out.and_then(MediaNote::lack).is_some_and(|lack| lack.contains("audio")));
        // After a restart of the service it is not known why.
        assert_eq!(described(&both, None), "no video; no audio");
    }
}
