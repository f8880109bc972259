//! Media made by ffmpeg, cut into batches as the remuxer would leave them.

use std::path::{Path, PathBuf};
use std::process::Command;

use bytes::Bytes;
use overdub_actors::clock::UnixMicros;
use overdub_actors::messages::{AirClock, OutputFragment, PublishBatch};
use overdub_media::mp4::{self, FragmentBuilder, Movie, TrackConfig, TrackKind};
use overdub_media::sample::{VideoConfig, VideoSample};

/// Batches on disk, and the whole file that they were cut from.
pub struct Media {
    pub whole: PathBuf,
    pub batches: Vec<PublishBatch>,
    /// Samples of each fragment of each batch.
    pub samples: Vec<Vec<u64>>,
}

impl Media {
    /// Samples of all batches.
    pub fn total(&self) -> u64 {
        self.samples.iter().flatten().sum()
    }
}

pub fn has(program: &str) -> bool {
    let found = Command::new(program).arg("-version").output().is_ok();
    if !found {
        println!("skipped: {program} is not installed");
    }
    found
}

/// `seconds` of moving picture with B-frames (one GOP a second) and tone, in batches of `per_batch` GOPs, the first
/// to go on air at `air`.
pub fn make(folder: &Path, seconds: u32, per_batch: usize, air: UnixMicros) -> Media {
    let whole = folder.join("whole.mp4");
    let status = Command::new("ffmpeg")
        .args(["-v", "error", "-y", "-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25"])
        .args(["-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000"])
        .args(["-t", &seconds.to_string(), "-c:v", "libx264", "-preset", "veryfast", "-bf", "2", "-g", "25"])
        .args(["-keyint_min", "25", "-sc_threshold", "0", "-pix_fmt", "yuv420p", "-c:a", "aac"])
        .args(["-b:a", "96k", "-ac", "2", "-video_track_timescale", "90000", "-use_editlist", "0"])
        .args(["-movflags", "frag_keyframe+empty_moov+default_base_moof"])
        .arg(&whole)
        .status()
        .unwrap();
    assert!(status.success());
    cut(folder, &whole, per_batch, air)
}

/// One batch of three pictures of 8 MiB each: more than the kernel's buffers hold.
pub fn make_huge(folder: &Path, air: UnixMicros) -> PublishBatch {
    let config = VideoConfig {
        sps: vec![Bytes::from_static(&[0x67, 0x42, 0xC0, 0x1E, 0xD9])],
        pps: vec![Bytes::from_static(&[0x68, 0xCE])],
        width: 320,
        height: 180,
        ..VideoConfig::default()
    };
    let picture = |number: i64| VideoSample {
        dts_90k: number * 3600,
        pts_90k: number * 3600,
        duration_90k: 3600,
        sync: number == 0,
        nals: vec![vec![0x65; 8 * 1024 * 1024].into()],
    };
    let init = mp4::init_segment(&[(1, TrackConfig::Video(&config))]).unwrap();
    let pictures: Vec<VideoSample> = (0..3).map(picture).collect();
    let fragment = FragmentBuilder::new(1).video(1, &pictures).build().unwrap();
    let path = folder.join("huge.fmp4");
    std::fs::write(&path, [init.as_slice(), &fragment.to_vec()].concat()).unwrap();
    let place =
        OutputFragment { offset: init.len() as u64, len: fragment.len, start_90k: 0, end_90k: 10_800 };
    let (video, clock) = (Some(config), AirClock { anchor: air });
    PublishBatch { batch: 0, clock, path, fragments: vec![place], video, audio: None }
}

/// Cuts a fragmented file into batches.
fn cut(folder: &Path, whole: &Path, per_batch: usize, air: UnixMicros) -> Media {
    let file = Bytes::from(std::fs::read(whole).unwrap());
    let boxes = top_level(&file);
    let moofs: Vec<usize> = boxes.iter().filter(|(name, _)| name == b"moof").map(|(_, at)| *at).collect();
    let end = boxes.iter().find(|(name, _)| name == b"mfra").map_or(file.len(), |(_, at)| *at);
    let init = file.slice(..moofs[0]);
    let movie = mp4::read_init(&init).unwrap();
    let ends = moofs[1..].iter().copied().chain([end]);
    let fragments: Vec<Bytes> = moofs.iter().zip(ends).map(|(&from, to)| file.slice(from..to)).collect();
    let starts: Vec<i64> = fragments.iter().map(|fragment| start_90k(&movie, fragment)).collect();

    let (mut batches, mut samples) = (Vec::new(), Vec::new());
    for (batch, group) in fragments.chunks(per_batch).enumerate() {
        let path = folder.join(format!("output-{batch}.fmp4"));
        let mut bytes = init.to_vec();
        let mut places = Vec::new();
        for (index, fragment) in group.iter().enumerate() {
            let number = batch * per_batch + index;
            places.push(OutputFragment {
                offset: bytes.len() as u64,
                len: fragment.len() as u64,
                start_90k: starts[number],
                end_90k: starts.get(number + 1).copied().unwrap_or(starts[number] + 90_000),
            });
            bytes.extend_from_slice(fragment);
        }
        std::fs::write(&path, bytes).unwrap();
        let count = |fragment| {
            let tracks = mp4::read_fragment(&movie, fragment).unwrap();
            tracks.iter().map(|track| track.samples.len() as u64).sum()
        };
        samples.push(group.iter().map(count).collect());
        batches.push(PublishBatch {
            batch: batch as u64,
            clock: AirClock { anchor: air },
            path,
            fragments: places,
            video: movie.video().map(|(_, config)| config.clone()),
            audio: movie.audio().map(|(_, config)| config.clone()),
        });
    }
    Media { whole: whole.to_owned(), batches, samples }
}

fn start_90k(movie: &Movie, fragment: &Bytes) -> i64 {
    let tracks = mp4::read_fragment(movie, fragment).unwrap();
    let start = |track: &mp4::TrackFragment| {
        let of = movie.tracks.iter().find(|of| of.id == track.track_id).unwrap();
        assert!(!matches!(of.kind, TrackKind::Other { .. }));
        (track.samples[0].dts * 90_000).div_euclid(i64::from(of.timescale))
    };
    tracks.iter().map(start).min().unwrap()
}

fn top_level(file: &[u8]) -> Vec<([u8; 4], usize)> {
    let (mut at, mut boxes) = (0, Vec::new());
    while at + 8 <= file.len() {
        let size = u32::from_be_bytes(file[at..at + 4].try_into().unwrap()) as usize;
        boxes.push((file[at + 4..at + 8].try_into().unwrap(), at));
        at += size.max(8);
    }
    boxes
}

/// One packet as ffprobe sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packet {
    pub dts_us: i64,
    pub pts_us: i64,
    pub key: bool,
    pub hash: String,
}

/// A track's packets (`v` or `a`).
pub fn packets(file: &Path, track: &str) -> Vec<Packet> {
    let output = Command::new("ffprobe")
        .args(["-v", "error", "-select_streams", track, "-show_packets", "-show_data_hash", "md5"])
        .args(["-show_entries", "packet=pts_time,dts_time,flags,data_hash", "-of", "compact=p=0"])
        .arg(file)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    // Side data breaks a packet's line in two.
    let text = String::from_utf8(output.stdout).unwrap().replace("\n|", "|");
    text.lines()
        .filter(|line| !line.is_empty())
        .map(|line| {
            let field = |name: &str| line.split('|').find_map(|field| field.strip_prefix(name)).unwrap_or("");
            let micros = |name| (field(name).parse::<f64>().unwrap() * 1e6).round() as i64;
            Packet {
                dts_us: micros("dts_time="),
                pts_us: micros("pts_time="),
                key: field("flags=").starts_with('K'),
                hash: field("data_hash=").to_owned(),
            }
        })
        .collect()
}

/// Holds `recorded` to be a run of `published`, sample for sample, with times that agree to RTMP's millisecond;
/// returns where in `published` it begins.
pub fn assert_run_of(published: &[Packet], recorded: &[Packet]) -> usize {
    let begin = published.iter().position(|packet| packet.hash == recorded[0].hash).expect("was published");
    let offset = recorded[0].dts_us - published[begin].dts_us;
    for (index, packet) in recorded.iter().enumerate() {
        let original = &published[begin + index];
        assert_eq!((&packet.hash, packet.key), (&original.hash, original.key), "packet {index}");
        // Half a millisecond of rounding in each of the two times compared, on either side.
        assert!((packet.dts_us - offset - original.dts_us).abs() <= 1500, "{packet:?} {original:?}");
        assert!((packet.pts_us - offset - original.pts_us).abs() <= 1500, "{packet:?} {original:?}");
    }
    assert!(recorded.is_sorted_by(|a, b| a.dts_us < b.dts_us));
    begin
}
