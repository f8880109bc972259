//! What FFmpeg says of a file.

use std::path::Path;
use std::process::Command;

/// A packet as ffprobe shows it; times are raw, and N/A is `None`.
#[derive(Debug, Clone)]
pub struct Packet {
    pub pts: Option<i64>,
    pub dts: Option<i64>,
}

/// Runs a command to its end; `None` (said on stderr) where the program is not there.
pub fn run(program: &str, args: &[&str]) -> Option<Vec<u8>> {
    match Command::new(program).args(args).output() {
        Ok(output) => {
            let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(output.status.success(), "{program} {args:?}: {complaint}");
            Some(output.stdout)
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            eprintln!("skipped: {program} is not installed");
            None
        }
        Err(error) => panic!("{program}: {error}"),
    }
}

fn path(file: &Path) -> &str {
    file.to_str().unwrap()
}

/// Packets of the first stream of a kind (`v` or `a`), in the file's order.
pub fn packets(file: &Path, kind: &str) -> Option<Vec<Packet>> {
    let entries = "packet=pts,dts";
    let stream = format!("{kind}:0");
    // Without `nofillin`, FFmpeg invents the times that the file does not have.
    let args = ["-v", "error", "-fflags", "+nofillin", "-select_streams", &stream, "-show_entries", entries];
    let shown = run("ffprobe", &[&args[..], &["-of", "compact=p=0", path(file)]].concat())?;
    let text = String::from_utf8(shown).unwrap();
    let field = |line: &str, name: &str| {
        line.split('|').find_map(|part| part.strip_prefix(name)).and_then(|value| value.parse().ok())
    };
    let lines = text.lines().filter(|line| line.contains("pts="));
    Some(lines.map(|line| Packet { pts: field(line, "pts="), dts: field(line, "dts=") }).collect())
}

/// NAL units of the first video stream as FFmpeg copies them out, in a format (`h264` or `hevc`).
pub fn nals(file: &Path, format: &str) -> Option<Vec<Vec<u8>>> {
    let args =
        ["-v", "error", "-i", path(file), "-map", "0:v:0", "-c", "copy", "-copyinkf", "-f", format, "-"];
    let stream = run("ffmpeg", &args)?;
    let starts: Vec<usize> =
        (0..stream.len().saturating_sub(2)).filter(|&at| stream[at..at + 3] == [0, 0, 1]).collect();
    let ends = starts.iter().skip(1).copied().chain([stream.len()]);
    Some(
        starts
            .iter()
            .zip(ends)
            .map(|(&start, end)| {
                let mut nal = stream[start + 3..end].to_vec();
                while nal.last() == Some(&0) {
                    nal.pop();
                }
                nal
            })
            .collect(),
    )
}

/// Raw data blocks of the first audio stream as FFmpeg copies them out.
pub fn raw_data_blocks(file: &Path) -> Option<Vec<Vec<u8>>> {
    let args = ["-v", "error", "-i", path(file), "-map", "0:a:0", "-c", "copy", "-f", "adts", "-"];
    let stream = run("ffmpeg", &args)?;
    let (mut at, mut blocks) = (0, Vec::new());
    while at < stream.len() {
        let head = &stream[at..];
        let len = usize::from(head[3] & 3) << 11 | usize::from(head[4]) << 3 | usize::from(head[5] >> 5);
        let header = if head[1] & 1 == 1 { 7 } else { 9 };
        // FFmpeg copies a cut last frame as it is, its length included.
        blocks.push(head[header..len.min(head.len())].to_vec());
        at += len;
    }
    Some(blocks)
}
