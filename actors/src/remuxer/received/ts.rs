//! The AAC stream of an MPEG-TS.

use overdub_media::counters::Counters;
use overdub_media::ts::{Codec, Demuxer, PesHeader, Program, Sink};

#[derive(Default)]
struct Audio {
    pid: Option<u16>,
    stream: Vec<u8>,
}

impl Sink for Audio {
    fn program(&mut self, program: &Program) -> Vec<u16> {
        let aac = program.streams.iter().find(|stream| stream.codec == Codec::AacAdts);
        self.pid = self.pid.or(aac.map(|stream| stream.pid));
        self.pid.into_iter().collect()
    }

    fn pes(&mut self, _: u16, _: PesHeader) {}

    fn payload(&mut self, pid: u16, data: &[u8]) {
        if self.pid == Some(pid) {
            self.stream.extend_from_slice(data);
        }
    }
}

/// The first ADTS stream's bytes; `None` where there is none.
pub(super) fn adts(bytes: &[u8]) -> Option<Vec<u8>> {
    let (mut demuxer, mut audio, mut counters) = (Demuxer::default(), Audio::default(), Counters::default());
    demuxer.push(bytes, &mut audio, &mut counters);
    demuxer.end_segment(&mut audio, &mut counters);
    (!audio.stream.is_empty()).then_some(audio.stream)
}
