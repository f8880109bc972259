//! Processed audio of any other form to the slot's parameters: FFmpeg decodes, the sound is cut to the slot, and
//! FFmpeg encodes. One child at a time: between them lies the one place where the sound's length is known exactly,
//! and where it can be continued beyond the batch's borders (see `border`).

use std::ffi::OsString;
use std::path::Path;

use super::ffmpeg;
use super::pcm::{LEAD, Pcm, TRAIL};
use super::received::{Foreign, Units};
use crate::messages::{AudioFormat, AudioMedia};

/// A reply this much longer than the slot is no longer counted.
const MOST_SECONDS_OVER: u64 = 600;
/// Fewer samples than this make no sound.
const LEAST: usize = 64;

/// Decodes what lies at `path` and encodes exactly the slot's access units.
pub(super) async fn to_slot_parameters(
    path: &Path,
    foreign: &Foreign,
    slot: &AudioMedia,
) -> Result<Units, String> {
    let config = &slot.config;
    let (frame, units) = (config.frame_samples as usize, slot.access_units as usize);
    let slot_samples = frame * units;
    let sample_len = usize::from(config.channels) * 2;
    let keep = (slot_samples + TRAIL * frame) * sample_len;
    let most = keep as u64 + MOST_SECONDS_OVER * u64::from(config.sample_rate) * sample_len as u64;
    let decoded = ffmpeg::run(decode_args(path, foreign, slot), Vec::new(), keep, most).await?;
    let sound_samples = decoded.total / sample_len as u64;
    let (kept, parameters) = (decoded.kept, config.clone());
    let sound =
        super::blocking(move || cut(Pcm::from_bytes(&kept, &parameters), frame, slot_samples)).await?;
    let bytes: u64 = slot.cuts.iter().map(|cut| cut.len).sum();
    let seconds = slot.duration as f64 / f64::from(config.sample_rate.max(1));
    let bits_per_second = (bytes as f64 * 8.0 / seconds.max(0.1)).clamp(64_000.0, 512_000.0) as u64;
    let made = sound.encode(config, bits_per_second).await?;
    let data: Vec<_> = made.into_iter().skip(LEAD + 1).take(units).collect();
    let (priming_samples, timing) = (foreign.priming_samples, foreign.timing);
    Ok(Units { data, sound_samples, priming_samples, timing })
}

/// The slot's samples, continued at both ends as far as the encoder sees.
fn cut(sound: Pcm, frame: usize, slot_samples: usize) -> Result<Pcm, String> {
    if sound.len() < LEAST {
        return Err(format!("the processed audio decodes to {} samples", sound.len()));
    }
    let received = sound.len();
    let lacking = (slot_samples + TRAIL * frame).saturating_sub(received);
    let mut sound = sound.with_trail(lacking.min(TRAIL * frame));
    // A block more or less is a resampler's; what is shorter has ended.
    if received + frame < slot_samples {
        sound.fade_from(received);
    }
    sound.resize(slot_samples + TRAIL * frame);
    Ok(sound.with_lead())
}

fn decode_args(path: &Path, foreign: &Foreign, slot: &AudioMedia) -> Vec<OsString> {
    // The container is named and only a file may be read: no input makes FFmpeg open an address.
    let mut args: Vec<OsString> =
        ["-protocol_whitelist", "file", "-f", demuxer(foreign.format)].map(OsString::from).to_vec();
    if foreign.skip_samples > 0 {
        args.extend(["-flags2", "+skip_manual"].map(OsString::from));
        if foreign.format == AudioFormat::Mp4 {
            args.extend(["-ignore_editlist", "1"].map(OsString::from));
        }
    }
    args.push("-i".into());
    args.push(path.into());
    args.extend(["-map", "0:a:0", "-vn", "-sn", "-dn"].map(OsString::from));
    if foreign.skip_samples > 0 {
        let trim = format!("atrim=start_sample={},asetpts=N/SR/TB", foreign.skip_samples);
        args.extend(["-af".into(), trim.into()]);
    }
    let (rate, channels) = (slot.config.sample_rate.to_string(), slot.config.channels.to_string());
    args.extend(
        ["-ar", &rate, "-ac", &channels, "-c:a", "pcm_s16le", "-f", "s16le", "pipe:1"].map(OsString::from),
    );
    args
}

fn demuxer(format: AudioFormat) -> &'static str {
    match format {
        AudioFormat::Mp4 => "mov",
        AudioFormat::MpegTs => "mpegts",
        AudioFormat::Adts => "aac",
        AudioFormat::Wav => "wav",
        AudioFormat::Mp3 => "mp3",
        AudioFormat::Ogg => "ogg",
        AudioFormat::Flac => "flac",
    }
}
