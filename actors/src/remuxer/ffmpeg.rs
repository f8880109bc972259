//! One FFmpeg child: bounded in time, in output, in words, and in number.

use std::ffi::OsStr;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;
use tokio::sync::Semaphore;

/// A batch's audio is at most a few minutes long; an FFmpeg that takes longer than this hangs. Waiting for a
/// turn counts.
const TIME_LIMIT: Duration = Duration::from_secs(20);
/// Children at the same time, of all streams together: each is busy computing, and takes some 30 MB.
static CHILDREN: Semaphore = Semaphore::const_new(2);
/// What is kept of an FFmpeg's complaints.
const MAX_STDERR: usize = 400;

/// What a child put out.
pub(crate) struct Output {
    /// The first bytes, as many as were asked for at most.
    pub kept: Vec<u8>,
    /// How many there were; counted up to the limit.
    pub total: u64,
}

/// Runs FFmpeg with these arguments, `input` on its standard input. Of its output, `keep` bytes are kept; one that
/// puts out more than `most` is ended.
pub(crate) async fn run<S: AsRef<OsStr>>(
    args: impl IntoIterator<Item = S>,
    input: Vec<u8>,
    keep: usize,
    most: u64,
) -> Result<Output, String> {
    let mut command = Command::new("ffmpeg");
    command.args(["-nostdin", "-hide_banner", "-v", "error", "-threads", "1"]).args(args);
    let work = async {
        let _turn = CHILDREN.acquire().await.expect("the semaphore is never closed");
        run_child(command, input, keep, most).await
    };
    tokio::time::timeout(TIME_LIMIT, work)
        .await
        .map_err(|_| format!("ffmpeg did not end within {} s", TIME_LIMIT.as_secs()))?
}

async fn run_child(mut command: Command, input: Vec<u8>, keep: usize, most: u64) -> Result<Output, String> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| format!("ffmpeg, needed to convert audio, does not start: {error}"))?;
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let feed = async {
        if let Some(mut stdin) = stdin {
            // A child that ends before it has read all says why in its own words.
            let _ = stdin.write_all(&input).await;
        }
    };
    // Ends when the output does, so that an endless one does not wait for the complaints' end.
    let collect = async {
        let collected = collect(stdout, keep, most).await;
        if collected.as_ref().is_ok_and(|output| output.total > most) {
            let _ = child.start_kill();
        }
        collected
    };
    let ((), output, complaint) = tokio::join!(feed, collect, tail(stderr));
    let output = output.map_err(|error| format!("ffmpeg: {error}"))?;
    let status = child.wait().await.map_err(|error| format!("ffmpeg: {error}"))?;
    if status.success() || output.total > most {
        Ok(output)
    } else {
        Err(format!("ffmpeg could not work on the audio: {complaint}"))
    }
}

async fn collect(stdout: Option<impl AsyncRead + Unpin>, keep: usize, most: u64) -> std::io::Result<Output> {
    let mut output = Output { kept: Vec::new(), total: 0 };
    let Some(mut stdout) = stdout else { return Ok(output) };
    let mut buffer = vec![0; 64 << 10];
    loop {
        let read = stdout.read(&mut buffer).await?;
        output.total += read as u64;
        let room = keep - output.kept.len();
        output.kept.extend_from_slice(&buffer[..read.min(room)]);
        if read == 0 || output.total > most {
            return Ok(output);
        }
    }
}

/// The end of what a child says.
async fn tail(stderr: Option<impl AsyncRead + Unpin>) -> String {
    let Some(mut stderr) = stderr else { return String::new() };
    let (mut kept, mut buffer) = (Vec::new(), [0; 1024]);
    // An error here is as good as the end: the words are all there will be.
    while let Ok(read @ 1..) = stderr.read(&mut buffer).await {
        kept.extend_from_slice(&buffer[..read]);
        kept.drain(..kept.len().saturating_sub(MAX_STDERR));
    }
    String::from_utf8_lossy(&kept).trim().replace('\n', "; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn there() -> bool {
        let there = std::process::Command::new("ffmpeg").arg("-version").output().is_ok();
        if !there {
            eprintln!("skipped: no ffmpeg");
        }
        there
    }

    #[tokio::test]
    async fn an_endless_child_is_ended_at_the_limit_and_only_the_beginning_kept() {
        if !there() {
            return;
        }
        let args = ["-f", "lavfi", "-i", "anoisesrc", "-f", "s16le", "pipe:1"];
        let output = run(args, Vec::new(), 1000, 1 << 20).await.unwrap();
        assert_eq!(output.kept.len(), 1000);
        assert!((1 << 20..2 << 20).contains(&output.total));
    }

    #[tokio::test]
    async fn a_failing_child_leaves_its_last_words() {
        if !there() {
            return;
        }
        let error =
            run(["-f", "wav", "-i", "pipe:0", "-f", "s16le", "pipe:1"], b"junk".to_vec(), 10, 10).await;
        assert!(error.err().unwrap().contains("pipe:0"));
    }
}
