//! Whether an output carries a source's packets: each once, unaltered, in order, at its time.

use super::packets::Track;

/// What is asked of an output's times.
#[derive(Debug, Clone, Copy)]
pub struct Tolerance {
    /// By how many seconds the distance between a packet's time in the output and in the source may vary,
    /// over all packets of both tracks. What lip sync, drift and rounding may differ by is all in this.
    pub drift_s: f64,
}

/// How an output relates to its source.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Match {
    /// Pictures carried.
    pub pictures: usize,
    /// Audio access units carried.
    pub access_units: usize,
    /// What has to be added to a source time to get the output's, seconds.
    pub offset_s: f64,
    /// By how much that varies over all packets, seconds.
    pub drift_s: f64,
    /// Video's first and last offset less audio's first and last: lip sync at the start and at the end.
    pub lip_sync_s: (f64, f64),
}

/// A source or an output: its two tracks.
#[derive(Debug, Clone, Copy)]
pub struct Pair<'a> {
    /// The video track.
    pub video: &'a Track,
    /// The audio track.
    pub audio: &'a Track,
}

/// Checks that `output` begins with the source's first packets and carries them on without a fault to its
/// own end. Whether that end is late enough is for the caller to judge by the counts.
pub fn compare(source: Pair, output: Pair, tolerance: Tolerance) -> Result<Match, String> {
    let video = track("picture", source.video, output.video)?;
    let audio = track("access unit", source.audio, output.audio)?;
    let all = || video.iter().chain(&audio).copied();
    let (low, high) = (all().fold(f64::MAX, f64::min), all().fold(f64::MIN, f64::max));
    let ends = |offsets: &[f64]| (offsets[0], offsets[offsets.len() - 1]);
    let ((v_first, v_last), (a_first, a_last)) = (ends(&video), ends(&audio));
    let found = Match {
        pictures: output.video.packets.len(),
        access_units: output.audio.packets.len(),
        offset_s: v_first,
        drift_s: high - low,
        lip_sync_s: (v_first - a_first, v_last - a_last),
    };
    if found.drift_s > tolerance.drift_s {
        return Err(format!(
            "times drift against each other by more than {} s: {found:?}",
            tolerance.drift_s
        ));
    }
    Ok(found)
}

/// Offsets of one track's packets, in seconds.
fn track(what: &str, source: &Track, output: &Track) -> Result<Vec<f64>, String> {
    if output.packets.is_empty() {
        return Err(format!("no {what} in the output"));
    }
    if output.packets.len() > source.packets.len() {
        let (output, source) = (output.packets.len(), source.packets.len());
        return Err(format!("{output} {what}s in the output, {source} in the source"));
    }
    let mut offsets = Vec::with_capacity(output.packets.len());
    for (index, (wanted, got)) in source.packets.iter().zip(&output.packets).enumerate() {
        if wanted.payload != got.payload {
            let elsewhere = source.packets.iter().position(|packet| packet.payload == got.payload);
            let sizes = |payload: &[Vec<u8>]| payload.iter().map(Vec::len).collect::<Vec<_>>();
            return Err(format!(
                "{what} {index} is not the source's: parts of {:?} bytes instead of {:?}; the source has it at {elsewhere:?}",
                sizes(&got.payload),
                sizes(&wanted.payload),
            ));
        }
        let seconds = |time: i64, track: &Track| time as f64 / track.per_second as f64;
        offsets.push(seconds(got.dts, output) - seconds(wanted.dts, source));
        offsets.push(seconds(got.pts, output) - seconds(wanted.pts, source));
    }
    steps(what, source, output)?;
    Ok(offsets)
}

/// Decode times must increase, and no step may be longer than the source's longest (and one unit of rounding).
fn steps(what: &str, source: &Track, output: &Track) -> Result<(), String> {
    let longest = |track: &Track| {
        track.packets.windows(2).map(|pair| pair[1].dts - pair[0].dts).max().unwrap_or(0) as f64
            / track.per_second as f64
    };
    let allowed = longest(source) + 1.0 / output.per_second as f64 + 1e-9;
    for (index, pair) in output.packets.windows(2).enumerate() {
        let step = pair[1].dts - pair[0].dts;
        if step <= 0 {
            return Err(format!("decode time does not increase after {what} {index}: {step} units"));
        }
        if step as f64 / output.per_second as f64 > allowed {
            return Err(format!(
                "{step} units pass after {what} {index}, more than the source's {allowed} s"
            ));
        }
    }
    Ok(())
}
