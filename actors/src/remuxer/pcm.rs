//! Sound as samples, and its way into access units.

use bytes::Bytes;
use overdub_media::aac::{AacParams, AdtsReader};
use overdub_media::counters::Counters;
use overdub_media::sample::AudioConfig;

use super::{extend, ffmpeg};

/// Bytes of a sample of one channel.
const SAMPLE_LEN: usize = 2;
/// Blocks that an encoder sees before the first one that counts, so that its first access units are not a start's.
pub(super) const LEAD: usize = 3;
/// Blocks that it sees after the last one that counts: the second half of its window, and its look ahead.
pub(super) const TRAIL: usize = 3;

/// Interleaved 16-bit samples; a block is one access unit's worth.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Pcm {
    samples: Vec<i16>,
    channels: usize,
    /// Samples of one channel in a block.
    frame: usize,
}

impl Pcm {
    /// From what FFmpeg puts out (`s16le`); an odd rest is left out.
    pub fn from_bytes(bytes: &[u8], config: &AudioConfig) -> Self {
        let samples =
            bytes.as_chunks::<SAMPLE_LEN>().0.iter().map(|sample| i16::from_le_bytes(*sample)).collect();
        Self::new(samples, config)
    }

    pub fn new(samples: Vec<i16>, config: &AudioConfig) -> Self {
        let channels = usize::from(config.channels.max(1));
        Self { samples, channels, frame: config.frame_samples.max(1) as usize }
    }

    /// Samples of one channel.
    pub fn len(&self) -> usize {
        self.samples.len() / self.channels
    }

    /// Whole blocks.
    pub fn blocks(&self) -> usize {
        self.len() / self.frame
    }

    /// Some of its blocks.
    pub fn slice(&self, from: usize, to: usize) -> Self {
        let block = self.frame * self.channels;
        Self { samples: self.samples[from * block..to * block].to_vec(), ..*self }
    }

    /// The sound with its first block predicted from those after it, behind [`LEAD`] more of the same kind.
    ///
    /// What a processor decodes lacks the access unit before the batch's first one, and so its first block is
    /// half a window of time-domain aliasing that fades in (ISO/IEC 14496-3 4.6.11); and its own encoder begins
    /// in silence. Predicted backwards, this block overlaps with what the batch before predicted forwards.
    pub fn with_lead(&self) -> Self {
        let first = self.frame.min(self.len());
        self.between(first, self.frame * LEAD + first, 0)
    }

    /// The sound continued by so many samples.
    pub fn with_trail(&self, samples: usize) -> Self {
        self.between(0, 0, samples)
    }

    fn between(&self, cut: usize, before: usize, after: usize) -> Self {
        let len = before + self.len() - cut + after;
        let mut samples = vec![0; len * self.channels];
        for channel in 0..self.channels {
            let sound: Vec<f32> = self.samples[cut * self.channels..]
                .iter()
                .skip(channel)
                .step_by(self.channels)
                .map(|sample| f32::from(*sample) / 32_768.0)
                .collect();
            let ahead = extend::backward(&sound, before);
            let behind = extend::forward(&sound, after);
            let whole = ahead.iter().chain(&sound).chain(&behind);
            for (target, value) in samples.iter_mut().skip(channel).step_by(self.channels).zip(whole) {
                *target = (value * 32_768.0).round() as i16;
            }
        }
        Self { samples, ..*self }
    }

    /// Fades out the samples from `from` on over one block; silence follows.
    pub fn fade_from(&mut self, from: usize) {
        for (at, sample) in self.samples.iter_mut().enumerate().skip(from * self.channels) {
            let into = (at / self.channels - from).min(self.frame);
            *sample = (i64::from(*sample) * (self.frame - into) as i64 / self.frame as i64) as i16;
        }
    }

    /// Cut or filled up with silence to this length.
    pub fn resize(&mut self, samples: usize) {
        self.samples.resize(samples * self.channels, 0);
    }

    pub fn append(&mut self, other: &Self) {
        self.samples.extend_from_slice(&other.samples);
    }

    /// Encodes it as AAC LC. Of the access units, the one with index `n + 1` covers blocks `n` and `n + 1`: the
    /// first is FFmpeg's priming (1024 samples).
    pub async fn encode(&self, config: &AudioConfig, bits_per_second: u64) -> Result<Vec<Bytes>, String> {
        let params = AacParams::like(config).filter(|params| params.object_type == 2);
        let params =
            params.ok_or_else(|| format!("no encoder for AAC object type {}", config.object_type))?;
        let (rate, channels) = (config.sample_rate.to_string(), config.channels.to_string());
        let bit_rate = bits_per_second.to_string();
        let args = [
            "-f", "s16le", "-ar", &rate, "-ac", &channels, "-i", "pipe:0", "-c:a", "aac", "-b:a", &bit_rate,
            "-f", "adts", "pipe:1",
        ];
        let input: Vec<u8> = self.samples.iter().flat_map(|sample| sample.to_le_bytes()).collect();
        // AAC never needs more than the samples themselves do.
        let most = input.len() + (64 << 10);
        let output = ffmpeg::run(args, input, most, most as u64).await?;
        let (mut reader, mut counters, mut frames) = (AdtsReader::default(), Counters::default(), Vec::new());
        reader.push(&output.kept, &mut counters, &mut frames);
        reader.finish(&mut counters, &mut frames);
        if frames.len() <= self.blocks() || frames.iter().any(|frame| frame.params != params) {
            return Err(format!(
                "ffmpeg made {} access units of {} blocks, or of another kind",
                frames.len(),
                self.blocks()
            ));
        }
        Ok(frames.into_iter().map(|frame| frame.data).collect())
    }
}

/// Decodes access units; one block comes of each, the first of which lacks its predecessor.
pub(super) async fn decode(units: &[Bytes], config: &AudioConfig) -> Result<Pcm, String> {
    let params = AacParams::like(config).ok_or("parameters that ADTS cannot say")?;
    let mut input = Vec::new();
    for unit in units {
        input.extend(params.adts_header(unit.len()).ok_or("an access unit too long for ADTS")?);
        input.extend_from_slice(unit);
    }
    let wanted = units.len() * config.frame_samples as usize * usize::from(config.channels) * SAMPLE_LEN;
    let args = ["-f", "aac", "-i", "pipe:0", "-f", "s16le", "-c:a", "pcm_s16le", "pipe:1"];
    let output = ffmpeg::run(args, input, wanted, wanted as u64).await?;
    // HE-AAC whose header does not say so doubles the rate.
    if output.total != wanted as u64 {
        return Err(format!(
            "{} access units decode to {} bytes instead of {wanted}",
            units.len(),
            output.total
        ));
    }
    Ok(Pcm::from_bytes(&output.kept, config))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> AudioConfig {
        AacParams { object_type: 2, rate_index: 3, channel_config: 2 }.config().unwrap()
    }

    fn tone(blocks: usize) -> Pcm {
        let value = |n: usize| ((n as f64 * 0.05).sin() * 10_000.0) as i16;
        Pcm::new((0..blocks * 1024).flat_map(|n| [value(n), -value(n)]).collect(), &config())
    }

    #[test]
    fn lead_and_trail_go_on_in_each_channel() {
        let sound = tone(12);
        let long = sound.slice(0, 8).with_trail(1024);
        assert_eq!(long.blocks(), 9);
        let near = |a: &Pcm, b: &Pcm| a.samples.iter().zip(&b.samples).all(|(a, b)| a.abs_diff(*b) < 300);
        assert!(near(&long, &sound));
        let led = sound.slice(3, 12).with_lead();
        assert_eq!(led.blocks(), 12);
        assert!(near(&led.slice(2, 12), &sound.slice(2, 12)));
    }

    #[test]
    fn a_fade_ends_in_silence() {
        let mut sound = tone(4);
        sound.fade_from(1024);
        assert_eq!(sound.slice(0, 1), tone(1));
        assert!(sound.slice(2, 4).samples.iter().all(|sample| *sample == 0));
        sound.resize(100);
        assert_eq!(sound.len(), 100);
    }
}
