//! Writing fitted audio and the output file.

use std::fs::File;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use overdub_media::mp4::{self, FragmentBuilder, Movie, ReadSample, TrackConfig};
use overdub_media::sample::{AudioConfig, AudioSample};
use overdub_media::time::rescale;

use super::Failure;
use crate::files::{AtomicFile, is_for_want_of_space, read_range};
use crate::messages::{AudioMedia, BatchMedia, Cut, OutputFragment, VideoMedia};

/// Track numbers of the output file.
const VIDEO_TRACK: u32 = 1;
const AUDIO_TRACK: u32 = 2;

fn at(path: &Path) -> impl FnOnce(std::io::Error) -> Failure + use<> {
    let path = path.display().to_string();
    move |error| Failure { reason: format!("{path}: {error}"), no_space: is_for_want_of_space(&error) }
}

fn mp4_error(error: mp4::Mp4Error) -> Failure {
    error.to_string().into()
}

/// Writes the slot's samples with the same cuts as the original's; returns them and the length of the init section.
pub(super) fn write_fitted(
    path: PathBuf,
    audio: &AudioMedia,
    samples: &[AudioSample],
) -> Result<(Vec<Cut>, u64), Failure> {
    let init = mp4::init_segment(&[(1, TrackConfig::Audio(&audio.config))]).map_err(mp4_error)?;
    let init_len = init.len() as u64;
    let mut file = AtomicFile::create(path.clone()).map_err(at(&path))?;
    file.write_chunks(&[Bytes::from(init)]).map_err(at(&path))?;
    let mut cuts = Vec::with_capacity(audio.cuts.len());
    let mut rest = samples;
    for (index, original) in audio.cuts.iter().enumerate() {
        let mut cut = Cut { offset: file.position(), len: 0, ..original.clone() };
        let count = (original.samples as usize).min(rest.len());
        let (own, later) = rest.split_at(count);
        rest = later;
        if !own.is_empty() {
            let sequence = u32::try_from(index + 1).unwrap_or(u32::MAX);
            let fragment = FragmentBuilder::new(sequence).audio(1, own, 0).build().map_err(mp4_error)?;
            file.write_chunks(&fragment.chunks).map_err(at(&path))?;
            cut.len = file.position() - cut.offset;
        }
        cuts.push(cut);
    }
    file.finish().map_err(at(&path))?;
    Ok((cuts, init_len))
}

/// Writes video and fitted audio side by side, a fragment a GOP.
pub(super) fn write_output(
    folder: &Path,
    path: PathBuf,
    media: &BatchMedia,
    audio: &[AudioSample],
) -> Result<Vec<OutputFragment>, Failure> {
    let audio_config = media.audio.as_ref().filter(|_| !audio.is_empty()).map(|audio| &audio.config);
    let mut tracks = Vec::new();
    if let Some(video) = &media.video {
        tracks.push((VIDEO_TRACK, TrackConfig::Video(&video.config)));
    }
    if let Some(config) = audio_config {
        tracks.push((AUDIO_TRACK, TrackConfig::Audio(config)));
    }
    if tracks.is_empty() {
        return Ok(Vec::new());
    }
    let init = mp4::init_segment(&tracks).map_err(mp4_error)?;
    let mut writer = OutputWriter {
        file: AtomicFile::create(path.clone()).map_err(at(&path))?,
        path,
        config: audio_config,
        fragments: Vec::new(),
    };
    writer.file.write_chunks(&[Bytes::from(init)]).map_err(at(&writer.path))?;
    match &media.video {
        Some(video) => write_with_video(&mut writer, folder, video, audio)?,
        None => {
            let mut rest = audio;
            for cut in media.audio.iter().flat_map(|audio| &audio.cuts) {
                let (own, later) = rest.split_at((cut.samples as usize).min(rest.len()));
                rest = later;
                writer.write(&[], own)?;
            }
        }
    }
    writer.finish(media.end_90k)
}

fn write_with_video(
    writer: &mut OutputWriter<'_>,
    folder: &Path,
    video: &VideoMedia,
    audio: &[AudioSample],
) -> Result<(), Failure> {
    let path = folder.join("video.fmp4");
    let file = File::open(&path).map_err(at(&path))?;
    let head = read_range(&file, 0, video.init_len).map_err(at(&path))?;
    let movie = mp4::read_init(&head).map_err(mp4_error)?;
    // One GOP is held back, because where its audio ends is told by the next one's start.
    let mut held: Vec<ReadSample> = Vec::new();
    let mut rest = audio;
    for cut in video.cuts.iter().filter(|cut| cut.len > 0) {
        for sample in read_cut(&file, &path, &movie, cut)? {
            if sample.sync && !held.is_empty() {
                let count = writer.audio_before(rest, sample.dts);
                let (own, later) = rest.split_at(count);
                rest = later;
                writer.write(&std::mem::take(&mut held), own)?;
            }
            held.push(sample);
        }
    }
    writer.write(&held, rest)
}

fn read_cut(file: &File, path: &Path, movie: &Movie, cut: &Cut) -> Result<Vec<ReadSample>, Failure> {
    let bytes = read_range(file, cut.offset, cut.len).map_err(at(path))?;
    let fragments = mp4::read_fragment(movie, &bytes).map_err(mp4_error)?;
    Ok(fragments.into_iter().flat_map(|fragment| fragment.samples).collect())
}

struct OutputWriter<'a> {
    file: AtomicFile,
    path: PathBuf,
    config: Option<&'a AudioConfig>,
    fragments: Vec<OutputFragment>,
}

impl OutputWriter<'_> {
    fn time_90k(&self, samples: i64) -> i64 {
        rescale(samples, self.config.map_or(90_000, |config| config.sample_rate), 90_000)
    }

    /// How many of the samples come before the decode time.
    fn audio_before(&self, samples: &[AudioSample], dts_90k: i64) -> usize {
        samples.partition_point(|sample| self.time_90k(sample.time) < dts_90k)
    }

    fn write(&mut self, video: &[ReadSample], audio: &[AudioSample]) -> Result<(), Failure> {
        let first_video = video.first().map(|sample| sample.dts);
        let first_audio = audio.first().map(|sample| self.time_90k(sample.time));
        let Some(start_90k) = [first_video, first_audio].into_iter().flatten().min() else {
            return Ok(());
        };
        let sequence = u32::try_from(self.fragments.len() + 1).unwrap_or(u32::MAX);
        let mut builder = FragmentBuilder::new(sequence);
        if !video.is_empty() {
            builder = builder.read_samples(VIDEO_TRACK, video, 0);
        }
        if !audio.is_empty() {
            builder = builder.audio(AUDIO_TRACK, audio, 0);
        }
        let fragment = builder.build().map_err(mp4_error)?;
        let offset = self.file.position();
        self.file.write_chunks(&fragment.chunks).map_err(at(&self.path))?;
        if let Some(last) = self.fragments.last_mut() {
            last.end_90k = start_90k;
        }
        let len = self.file.position() - offset;
        self.fragments.push(OutputFragment { offset, len, start_90k, end_90k: start_90k });
        Ok(())
    }

    fn finish(mut self, end_90k: i64) -> Result<Vec<OutputFragment>, Failure> {
        if let Some(last) = self.fragments.last_mut() {
            last.end_90k = end_90k.max(last.start_90k);
        }
        self.file.finish().map_err(at(&self.path))?;
        Ok(self.fragments)
    }
}
