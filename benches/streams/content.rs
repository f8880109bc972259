//! The media that is served: encoded once by FFmpeg, kept below `target/bench`.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, ensure};
use bytes::Bytes;

/// Seconds of a loop. 2,250 access units of 1,024 samples at 48 kHz and 1,200 pictures at 25 a second both last
/// so long to the tick, so a loop has no seam.
const LOOP_S: u32 = 48;
const ACCESS_UNITS: u32 = 2250;

/// Segments of 2 s, each one GOP with B-frames: 2 Mbit/s of H.264, 128 kbit/s of AAC. The film of the corpus where
/// there is one, else the fixture; the noise of grain keeps either at its bit rate.
pub fn full(root: &Path) -> anyhow::Result<PathBuf> {
    let film = corpus(root).map(|corpus| corpus.join("long-source-angel-one"));
    let (name, inputs) = match film {
        Some(film) => {
            let files = ["video_144p_108k_h264.mp4", "audio_en_2c_128k_aac.mp4"];
            ("film", files.map(|file| film.join(file)))
        }
        None => ("fixture", std::array::from_fn(|_| root.join("fixtures/live/index.m3u8"))),
    };
    make(&root.join("target/bench").join(name), &inputs, &Shape { gop: 50, segment_s: "2", width: 1280 })
}

/// The same in segments of 0.2 s at 200 kbit/s, for ten times as many segments and batches an hour.
pub fn short(root: &Path) -> anyhow::Result<PathBuf> {
    let inputs = std::array::from_fn(|_| root.join("fixtures/live/index.m3u8"));
    make(&root.join("target/bench/short"), &inputs, &Shape { gop: 5, segment_s: "0.2", width: 320 })
}

/// The segments of a folder, in order.
pub fn load(folder: &Path) -> anyhow::Result<Vec<Bytes>> {
    let file = |number: usize| folder.join(format!("segment-{number}.ts"));
    let segments: Vec<Bytes> =
        (0..).map_while(|number| std::fs::read(file(number)).ok()).map(Bytes::from).collect();
    ensure!(!segments.is_empty(), "{}: no segments", folder.display());
    Ok(segments)
}

struct Shape {
    gop: u32,
    segment_s: &'static str,
    width: u32,
}

fn corpus(root: &Path) -> Option<PathBuf> {
    let path = std::env::var_os("OVERDUB_CORPUS").map_or_else(|| root.join("../shared/media"), PathBuf::from);
    path.is_dir().then_some(path)
}

fn make(folder: &Path, [video, audio]: &[PathBuf; 2], shape: &Shape) -> anyhow::Result<PathBuf> {
    if folder.join("index.m3u8").is_file() {
        return Ok(folder.to_owned());
    }
    println!("encoding {LOOP_S} s of media, once, into {}", folder.display());
    let work = folder.with_extension("part");
    let _ = std::fs::remove_dir_all(&work);
    std::fs::create_dir_all(&work)?;
    let Shape { gop, segment_s, width } = *shape;
    let rate = if width > 640 { "2000k" } else { "200k" };
    let looped = ["-stream_loop", "-1", "-i"];
    let sound = work.join("sound.aac");
    let mut encode = ffmpeg();
    encode.args(looped).arg(audio).args(["-map", "0:a", "-t", &(LOOP_S + 1).to_string()]);
    encode.args(["-c:a", "aac", "-b:a", "128k", "-ar", "48000", "-ac", "2"]);
    encode.args(["-bsf:a", &format!("noise=drop=gte(n\\,{ACCESS_UNITS})"), "-f", "adts"]).arg(&sound);
    run(encode)?;
    let picture = work.join("picture.mp4");
    let mut encode = ffmpeg();
    encode.args(looped).arg(video).args(["-map", "0:v", "-t", &LOOP_S.to_string()]);
    encode.args(["-vf", &format!("fps=25,scale={width}:-2,noise=alls=14:allf=t,format=yuv420p")]);
    encode.args(["-c:v", "libx264", "-preset", "veryfast", "-bf", "2", "-sc_threshold", "0"]);
    encode.args(["-g", &gop.to_string(), "-keyint_min", &gop.to_string(), "-x264-params", "open-gop=0"]);
    encode.args(["-b:v", rate, "-maxrate", rate, "-bufsize", rate]).arg(&picture);
    run(encode)?;
    let mut mux = ffmpeg();
    mux.arg("-i").arg(&picture).arg("-i").arg(&sound).args(["-map", "0:v", "-map", "1:a", "-c", "copy"]);
    mux.args(["-muxpreload", "0", "-muxdelay", "0", "-f", "hls", "-hls_time", segment_s]);
    mux.args(["-hls_list_size", "0", "-hls_playlist_type", "vod", "-hls_segment_filename"]);
    mux.arg(work.join("segment-%d.ts")).arg(work.join("index.m3u8"));
    run(mux)?;
    std::fs::rename(&work, folder)?;
    Ok(folder.to_owned())
}

fn ffmpeg() -> Command {
    let mut command = Command::new("ffmpeg");
    command.args(["-hide_banner", "-loglevel", "error", "-nostdin", "-y"]).stdin(Stdio::null());
    command
}

fn run(mut command: Command) -> anyhow::Result<()> {
    let status = command.status().context("ffmpeg cannot be started; make setup-media installs it")?;
    ensure!(status.success(), "{command:?}: {status}");
    Ok(())
}
