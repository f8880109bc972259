//! Audio that is no AAC: FFmpeg makes it AAC before the batch is assembled, one bounded child at a time.

use bytes::Bytes;
use overdub_media::assemble::{AssembleError, Input, Take};
use overdub_media::foreign::{ForeignCarry, ForeignReader, Stretch, Transcode};
use tokio::runtime::Handle;

use super::job::DemuxError;
use crate::remuxer::ffmpeg;

/// Bits a second of AAC for each channel.
const BITS_PER_CHANNEL: u64 = 80_000;

/// FFmpeg's names of the layouts that channel_configuration 1 to 6 stand for (ISO/IEC 14496-3 table 1.19). (Of a mere
/// number it makes others, such as 2.1, which AAC has no number for.)
const LAYOUTS: [&str; 6] = ["mono", "stereo", "3.0", "4.0", "5.0", "5.1"];

/// Largest that one stretch may become: minutes at several times the rate asked for.
const MAX_ADTS: usize = 32 << 20;

/// Foreign audio as AAC, ready to be assembled.
#[derive(Debug)]
pub(super) struct Transcoded {
    /// ADTS, and what of it is used.
    pub stretches: Vec<(Vec<u8>, Stretch)>,
    /// What the next batch's reader must know.
    pub carry: ForeignCarry,
    /// Frames that came.
    pub frames: u64,
    /// What was overlooked: name and how often.
    pub counters: Vec<(&'static str, u64)>,
}

/// Transcodes the audio of a batch's segments, on a thread that may block; none where not one frame came.
pub(super) fn transcode(
    mut reader: ForeignReader,
    segments: impl Iterator<Item = Result<Bytes, DemuxError>>,
    take: Take,
) -> Result<Option<Transcoded>, DemuxError> {
    for segment in segments {
        match reader.push(&Input::whole(&segment?).take(take)) {
            Ok(()) | Err(AssembleError::NoTrack { .. }) => {}
            Err(error) => return Err(DemuxError::Transcode(error.to_string())),
        }
    }
    let Some(plan) = reader.finish() else { return Ok(None) };
    let Transcode { codec, sample_rate, channels, stretches, carry, frames, counters } = plan;
    let mut done = Vec::with_capacity(stretches.len());
    for stretch in stretches {
        let args = args(codec.ffmpeg_format(), stretch.trim_start_samples, sample_rate, channels);
        let child = ffmpeg::run(args, stretch.stream.concat(), MAX_ADTS, MAX_ADTS as u64);
        let output = Handle::current()
            .block_on(child)
            .map_err(|error| DemuxError::Transcode(format!("{}: {error}", codec.name())))?;
        done.push((output.kept, stretch));
    }
    Ok(Some(Transcoded { stretches: done, carry, frames, counters }))
}

fn args(format: &str, trim_samples: u64, sample_rate: u32, channels: u8) -> Vec<String> {
    let rate = sample_rate.to_string();
    let bits = BITS_PER_CHANNEL * u64::from(channels.clamp(1, 8));
    // The container is named and nothing but the pipe may be read: no input makes FFmpeg open an address.
    let input = ["-protocol_whitelist", "pipe", "-f", format, "-i", "pipe:0"];
    let layout = LAYOUTS[usize::from(channels.clamp(1, 6)) - 1];
    let filter = format!(
        "aresample={rate},aformat=channel_layouts={layout},atrim=start_sample={trim_samples},asetpts=N/SR/TB"
    );
    let bits = bits.to_string();
    let output =
        ["-map", "0:a:0", "-af", &filter, "-ar", &rate, "-c:a", "aac", "-b:a", &bits, "-f", "adts", "pipe:1"];
    input.into_iter().chain(output).map(str::to_owned).collect()
}
