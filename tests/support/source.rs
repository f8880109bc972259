//! Live sources.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::process::Command;

use super::process::{self, Process};
use super::site::{Reply, Site};
use super::{Result, corpus, hls, root, wait};

/// The film of the corpus (B-frames, speech), looped by FFmpeg as a sliding window of six segments.
///
/// Every segment is kept, so that an output can be compared with all of it. At each seam of 60 s the audio
/// steps by half an access unit, as real sources do.
pub struct LoopedFilm {
    folder: PathBuf,
    site: Site,
    ffmpeg: Process,
}

impl LoopedFilm {
    /// Starts the stream; it ends with ENDLIST after `seconds`. `None` where there is no corpus.
    pub async fn start(folder: &Path, seconds: u32) -> Result<Option<Self>> {
        let Some(corpus) = corpus() else { return Ok(None) };
        let film = corpus.join("long-source-angel-one");
        let folder = folder.join("source");
        std::fs::create_dir_all(&folder)?;
        let looped = folder.join("loop.mp4");
        process::output(
            Command::new("ffmpeg")
                .args(["-v", "error", "-i"])
                .arg(film.join("video_144p_108k_h264.mp4"))
                .arg("-i")
                .arg(film.join("audio_en_2c_128k_aac.mp4"))
                .args(["-map", "0:v", "-map", "1:a", "-t", "60", "-c", "copy"])
                .arg(&looped),
        )
        .await?;
        let mut command = Command::new("ffmpeg");
        command.args(["-v", "error", "-re", "-stream_loop", "-1", "-i"]).arg(&looped);
        command.args(["-t", &seconds.to_string(), "-map", "0", "-c", "copy", "-f", "hls", "-hls_time", "4"]);
        // Without `delete_segments`: the list slides, the files stay.
        command.args(["-hls_list_size", "6", "-hls_flags", "program_date_time+temp_file"]);
        command.arg("-hls_segment_filename").arg(folder.join("segment-%d.ts")).arg(folder.join("live.m3u8"));
        let ffmpeg = Process::start("ffmpeg", command, &folder.join("ffmpeg.log"))?;
        let served = folder.clone();
        let site = Site::start(move |path| Reply::file(&served, path)).await;
        let source = Self { folder, site, ffmpeg };
        wait::until("the source lists three segments", Duration::from_secs(40), async || {
            let playlist = std::fs::read_to_string(source.folder.join("live.m3u8")).ok()?;
            (playlist.matches("#EXTINF").count() >= 3).then_some(())
        })
        .await;
        Ok(Some(source))
    }

    /// URL of the playlist.
    pub fn url(&self) -> String {
        self.site.url("/live.m3u8")
    }

    /// The media sequence number after the last segment made so far.
    pub fn segments(&self) -> u64 {
        (0..).find(|number| !self.segment_path(*number).exists()).unwrap_or(0)
    }

    /// Whether the last segment has been made.
    pub fn has_ended(&mut self) -> bool {
        !self.ffmpeg.running()
    }

    /// PROGRAM-DATE-TIME of the playlist's first segment, which must still be segment 0.
    pub fn program_date_time_us(&self) -> Result<i64> {
        let text = std::fs::read_to_string(self.folder.join("live.m3u8"))?;
        let url = url::Url::parse(&self.url())?;
        let playlist = hls::parse(&text, &url)?;
        let first = playlist.entries.first().filter(|entry| entry.sequence == 0);
        Ok(first
            .and_then(|entry| entry.date_time_us)
            .ok_or("segment 0 is no longer listed, or bears no date")?)
    }

    /// Segments `first` to `last` in one file.
    pub fn joined(&self, first: u64, last: u64) -> Result<PathBuf> {
        join(&self.folder, (first..=last).map(|number| self.segment_path(number)))
    }

    fn segment_path(&self, number: u64) -> PathBuf {
        self.folder.join(format!("segment-{number}.ts"))
    }
}

/// The files one after the other, in one file of `folder`.
pub fn join(folder: &Path, files: impl Iterator<Item = PathBuf>) -> Result<PathBuf> {
    let mut all = Vec::new();
    for file in files {
        all.extend(std::fs::read(&file).map_err(|error| format!("{}: {error}", file.display()))?);
    }
    let joined = folder.join("joined.ts");
    std::fs::write(&joined, all)?;
    Ok(joined)
}

/// The fixture (2 s segments, loops exactly), served by `overdub simulate-source`.
pub struct Fixture {
    process: Process,
    url: String,
}

impl Fixture {
    /// Starts the stream with a window of `window` segments.
    pub async fn start(folder: &Path, window: u16) -> Result<Self> {
        Self::start_at(folder, window, 0).await
    }

    /// The same on a port of the caller's choice; 0 takes a free one.
    pub async fn start_at(folder: &Path, window: u16, port: u16) -> Result<Self> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_overdub"));
        command.arg("simulate-source").arg(root().join("fixtures/live"));
        command.args(["--port", &port.to_string(), "--window", &window.to_string()]);
        let mut process = Process::start("simulate-source", command, &folder.join("simulate-source.log"))?;
        let line = process.line_after("serving ", Duration::from_secs(10)).await;
        let url = line.split_whitespace().last().ok_or("no URL")?.to_owned();
        Ok(Self { process, url })
    }

    /// URL of the playlist.
    pub fn url(&self) -> String {
        self.url.clone()
    }

    /// Ends the source, as a crash would.
    pub async fn kill(mut self) {
        self.process.kill().await;
    }
}
