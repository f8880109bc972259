//! Demuxed as it comes, or whole when it is complete: a batch is the same, to the byte.

use std::path::{Path, PathBuf};

use super::DemuxBatch;
use super::job::{Attempt, demux, demux_ahead};
use crate::files::StreamFiles;
use crate::messages::StoredSegment;
use crate::settings::StreamId;

/// Segments of a batch.
const BATCH: usize = 3;

fn segments(paths: &[PathBuf]) -> Vec<StoredSegment> {
    let stored = |(number, path): (usize, &PathBuf)| StoredSegment {
        number: number as u64,
        media_sequence: number as u64,
        path: path.clone(),
        bytes: std::fs::metadata(path).unwrap().len(),
        duration_us: 2_000_000,
        discontinuity: false,
        program_date_time: None,
        backlog_us: 0,
        is_last: number + 1 == paths.len(),
        audio: None,
        date_ranges: Vec::new(),
        date_ranges_dropped: 0,
        cue_tags: 0,
    };
    paths.iter().enumerate().map(stored).collect()
}

/// What a batch came to: its files and everything that is reported of it.
fn outcome(
    files: &StreamFiles,
    command: &DemuxBatch,
    open: Option<Attempt>,
) -> (Vec<Vec<u8>>, String, Option<String>) {
    let demuxed = demux(files, command, None, open);
    let folder = files.batch(command.batch);
    let read = |name: &str| std::fs::read(folder.join(name)).unwrap_or_default();
    let written = ["video.fmp4", "audio.fmp4"].map(read).into();
    match demuxed {
        Ok(demuxed) => {
            let begins_inside_gop = demuxed.media.video.as_ref().is_some_and(|video| video.begins_inside_gop);
            let counted =
                demuxed.leniencies.iter().any(|(name, n)| *name == "batch_begins_inside_gop" && *n > 0);
            assert_eq!(begins_inside_gop, counted);
            (written, format!("{:?} {:?}", demuxed.media, demuxed.leniencies), Some(demuxed.carry))
        }
        Err(error) => (written, error.to_string(), command.carry.clone()),
    }
}

/// Compares both ways over a source; gives in how many batches something had been demuxed ahead.
fn compare(paths: &[PathBuf]) -> usize {
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let [whole, pieces] = folders.each_ref().map(|folder| {
        let files = StreamFiles::new(folder.path(), &StreamId::new("s").unwrap());
        files.prepare().unwrap();
        files
    });
    let (mut carry, mut ahead) = (None, 0);
    for (batch, segments) in segments(paths).chunks(BATCH).enumerate() {
        let command = DemuxBatch {
            batch: batch as u64,
            complete: true,
            segments: segments.to_vec(),
            discontinuity: batch % 3 == 2,
            gap_us: if batch % 4 == 3 { 6_000_000 } else { 0 },
            carry: carry.take(),
        };
        let mut open = None;
        for count in 1..segments.len() {
            let so_far =
                DemuxBatch { complete: false, segments: segments[..count].to_vec(), ..command.clone() };
            open = demux_ahead(&pieces, &so_far, None, open).ok();
        }
        ahead += usize::from(open.is_some());
        let (expected, came) = (outcome(&whole, &command, None), outcome(&pieces, &command, open));
        assert!(expected == came, "{}: batch {batch}: {} / {}", paths[0].display(), expected.1, came.1);
        let left = std::fs::read_dir(pieces.batch(batch as u64)).unwrap().flatten();
        let left: Vec<_> = left.map(|file| file.file_name()).collect();
        assert!(left.iter().all(|name| !name.to_string_lossy().ends_with(".tmp")), "{left:?}");
        carry = came.2;
    }
    ahead
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut paths: Vec<PathBuf> = entries
        .map(|entry| entry.path())
        .filter(|path| {
            path.extension().is_some_and(|ending| ["ts", "aac", "mp3"].iter().any(|known| ending == *known))
        })
        .collect();
    paths.sort();
    paths
}

#[test]
fn what_is_demuxed_already_is_not_read_again() {
    let fixture = sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/live"));
    let folder = tempfile::tempdir().unwrap();
    let files = StreamFiles::new(folder.path(), &StreamId::new("s").unwrap());
    files.prepare().unwrap();
    let first = folder.path().join("first.ts");
    std::fs::copy(&fixture[0], &first).unwrap();
    let mut segments = segments(&[first.clone(), fixture[1].clone(), fixture[2].clone()]);
    segments[2].is_last = false;
    let command =
        DemuxBatch { batch: 0, complete: true, segments, discontinuity: false, gap_us: 0, carry: None };
    let so_far = DemuxBatch { complete: false, segments: command.segments[..2].to_vec(), ..command.clone() };
    let open = demux_ahead(&files, &so_far, None, None).unwrap();
    std::fs::remove_file(first).unwrap();
    let demuxed = demux(&files, &command, None, Some(open)).unwrap();
    assert_eq!(demuxed.media.video.unwrap().cuts.iter().map(|cut| cut.samples).sum::<u32>(), 150);
    // Another order is another batch: what was demuxed for this one is of no use to it.
    let open =
        demux_ahead(&files, &DemuxBatch { segments: command.segments[1..].to_vec(), ..so_far }, None, None);
    assert!(
        demux(&files, &command, None, open.ok()).is_err_and(|error| error.to_string().contains("first.ts"))
    );
}

#[tokio::test]
async fn a_batch_is_the_same_whether_it_is_demuxed_as_it_comes_or_whole() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    tokio::task::spawn_blocking(move || {
        assert_eq!(compare(&sources(&root.join("fixtures/live"))), 3);
        let beside = || root.join("../shared/media");
        let corpus = std::env::var_os("OVERDUB_CORPUS").map_or_else(beside, PathBuf::from);
        if !corpus.is_dir() {
            println!("skipped beyond the fixture: no media corpus at OVERDUB_CORPUS");
        }
        for case in std::fs::read_dir(corpus).into_iter().flatten().flatten() {
            let paths = sources(&case.path());
            if !paths.is_empty() {
                compare(&paths);
            }
        }
    })
    .await
    .unwrap();
}

/// What is counted of a batch, the channels of its sound, its pictures.
type Counts = (Vec<(&'static str, u64)>, u8, u32);

/// Four seconds of pictures and of sound that FFmpeg makes with these arguments, in one batch.
fn demuxed(sound: &[&str]) -> Option<Counts> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("source.ts");
    let pictures = ["-v", "error", "-f", "lavfi", "-i", "testsrc2=size=160x96:rate=25:duration=4"];
    let coded =
        ["-c:v", "libx264", "-preset", "ultrafast", "-g", "25", "-f", "mpegts", file.to_str().unwrap()];
    let args = [&pictures[..], sound, &coded].concat();
    match std::process::Command::new("ffmpeg").args(&args).output() {
        Ok(output) => assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr)),
        Err(_) => return None,
    }
    let files = StreamFiles::new(folder.path(), &StreamId::new("s").unwrap());
    files.prepare().unwrap();
    let segments = segments(&[file]);
    let (batch, complete, discontinuity, gap_us, carry) = (0, true, false, 0, None);
    let command = DemuxBatch { batch, complete, segments, discontinuity, gap_us, carry };
    let demuxed = demux(&files, &command, None, None).unwrap_or_else(|error| panic!("{sound:?}: {error}"));
    let pictures = demuxed.media.video.map_or(0, |video| video.cuts.iter().map(|cut| cut.samples).sum());
    let audio = demuxed.media.audio.unwrap_or_else(|| panic!("{sound:?}: {:?}", demuxed.leniencies));
    Some((demuxed.leniencies, audio.config.channels, pictures))
}

#[tokio::test(flavor = "multi_thread")]
async fn channels_that_aac_has_no_number_for_go_through_the_transcoder() {
    let cases: [(&[&str], u8); 6] = [
        (&["-c:a", "ac3", "3.0"], 3),
        (&["-c:a", "eac3", "2.1"], 3),
        (&["-c:a", "ac3", "5.1(side)"], 6),
        // Layouts that AAC describes in its frames.
        (&["-c:a", "aac", "5.1(side)"], 6),
        (&["-c:a", "aac", "2.1"], 3),
        (&["-c:a", "aac", "quad"], 4),
    ];
    for (case, channels) in cases {
        let [codec @ .., layout] = case else { panic!("{case:?}") };
        let source =
            format!("sine=frequency=440:sample_rate=48000:duration=4,aformat=channel_layouts={layout}");
        let sound: Vec<String> =
            [&["-f", "lavfi", "-i", &source], codec].concat().into_iter().map(str::to_owned).collect();
        let Some((counted, came, pictures)) = tokio::task::spawn_blocking(move || {
            demuxed(&sound.iter().map(String::as_str).collect::<Vec<_>>())
        })
        .await
        .unwrap() else {
            return;
        };
        assert_eq!((came, pictures), (channels, 100), "{case:?}: {counted:?}");
        assert!(
            counted.iter().any(|(name, n)| *name == "audio_frames_transcoded" && *n > 100),
            "{counted:?}"
        );
    }
}
