//! Bytes that no muxer sent.

use bytes::Bytes;
use overdub_media::assemble::{Assembler, Carry};
use overdub_media::counters::Counters;
use overdub_media::ts::{Demuxer, PesHeader, Program, Sink};
use proptest::prelude::*;

use crate::mux::second_by_second;
use crate::support::{corpus, read};

/// Everything that a demultiplexer said, payload joined.
#[derive(Debug, Default, PartialEq, Eq)]
struct Record(Vec<(u16, Option<PesHeader>, Vec<u8>)>);

impl Sink for Record {
    fn program(&mut self, program: &Program) -> Vec<u16> {
        program.streams.iter().map(|stream| stream.pid).collect()
    }

    fn pes(&mut self, pid: u16, header: PesHeader) {
        self.0.push((pid, Some(header), Vec::new()));
    }

    fn payload(&mut self, pid: u16, data: &[u8]) {
        self.0.push((pid, None, data.to_vec()));
    }
}

fn demux(chunks: &[&[u8]]) -> (Record, Counters) {
    let (mut demuxer, mut record, mut counters) =
        (Demuxer::default(), Record::default(), Counters::default());
    for chunk in chunks {
        demuxer.push(chunk, &mut record, &mut counters);
    }
    demuxer.end_segment(&mut record, &mut counters);
    (record, counters)
}

/// Assembles, each segment twice over; what comes out must at least go forward.
fn survive(segments: &[Bytes]) {
    let mut carry = Carry::default();
    let (mut last_dts, mut last_audio) = (None, None);
    for (index, segment) in segments.iter().enumerate() {
        let mut assembler = Assembler::new(carry.clone(), index % 3 == 2);
        let mut cuts = Vec::new();
        for _ in 0..2 {
            cuts.extend(assembler.push_segment(segment).unwrap_or_default());
        }
        if let Ok(end) = assembler.finish() {
            cuts.extend(end.cuts);
            for sample in cuts.iter().flat_map(|cut| &cut.video) {
                assert!(last_dts < Some(sample.dts_90k) && sample.duration_90k > 0);
                last_dts = Some(sample.dts_90k);
            }
            let rate = end.audio.map_or(1, |config| i64::from(config.sample_rate));
            for sample in cuts.iter().flat_map(|cut| &cut.audio) {
                // In ticks: damage may change the rate from batch to batch.
                let time = sample.time * 90_000 / rate;
                assert!(last_audio < Some(time) && sample.duration > 0, "{last_audio:?} {sample:?}");
                last_audio = Some(time);
            }
            carry = serde_json::from_str(&serde_json::to_string(&end.carry).unwrap()).unwrap();
        }
    }
}

fn mutated(mut bytes: Vec<u8>, mutations: &[(usize, u8, u8)]) -> Bytes {
    for &(at, kind, value) in mutations {
        let len = bytes.len();
        if len < 400 {
            break;
        }
        let at = at % (len - 200);
        match kind % 4 {
            0 => bytes[at] = value,
            1 => bytes[at] ^= 1 << (value % 8),
            2 => drop(bytes.drain(at..at + usize::from(value) % 190)),
            // A packet's head, where a bit decides most.
            _ => bytes[at / 188 * 188 + usize::from(value % 20)] ^= value,
        }
    }
    Bytes::from(bytes)
}

#[test]
fn every_prefix_of_a_real_file_is_survived() {
    for file in ["ts-malformed/broken.ts", "ts-tiny-edge-cases/muxed.ts", "ts-tiny-edge-cases/rollover.ts"] {
        let Some(path) = corpus(file) else { return };
        let bytes = read(&path);
        for len in (0..bytes.len()).step_by(61) {
            survive(&[bytes.slice(..len)]);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn chunking_a_transport_stream_changes_nothing(
        cuts in proptest::collection::vec(0usize..40_000, 0..30),
        mutations in proptest::collection::vec((any::<usize>(), any::<u8>(), any::<u8>()), 0..4),
    ) {
        let bytes = mutated(second_by_second(900_000, 1, 47, 0, 0).to_vec(), &mutations);
        let whole = demux(&[&bytes]);
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
        cuts.extend([0, bytes.len()]);
        cuts.sort_unstable();
        let chunks: Vec<&[u8]> = cuts.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect();
        prop_assert_eq!(demux(&chunks), whole);
    }

    #[test]
    fn damaged_streams_never_panic(
        mutations in proptest::collection::vec((any::<usize>(), any::<u8>(), any::<u8>()), 1..60),
        starts in proptest::collection::vec(0i64..(1 << 33), 3),
    ) {
        let segments: Vec<Bytes> = starts
            .iter()
            .map(|start| mutated(second_by_second(*start, 1, 47, 0, 0).to_vec(), &mutations))
            .collect();
        survive(&segments);
    }

    #[test]
    fn noise_never_panics(noise in proptest::collection::vec(any::<u8>(), 0..3000)) {
        survive(&[Bytes::from(noise)]);
    }
}
