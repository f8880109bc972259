//! What elementary streams really carry: stream types lie.

use std::collections::BTreeMap;

use super::{Take, source};
use crate::audio::{ac3, latm, mpeg};
use crate::h264;
use crate::h265;
use crate::nal::annexb::{PREFIX_LEN, find_prefix};
use crate::ts::framer::Framer;
use crate::ts::packet::{PACKET_LEN, Packet};
use crate::ts::{Codec, Demuxer, ElementaryStream, PesHeader, Program, Sink};
use crate::{aac, counters::Counters};

/// Payload that is looked at of each stream.
const LOOKED_AT: usize = 16 << 10;

/// Bytes that are demultiplexed before looking whether that is enough.
const PART: usize = 64 << 10;

/// Frames that must follow on each other before they are believed.
const FRAMES: usize = 3;

/// Length of the frame that bytes begin with, where they begin with one.
type FrameLen = fn(&[u8]) -> Option<usize>;

/// A PID with what its stream is declared to carry and what it carries: nothing ([`Codec::Data`]) where another one has
/// to be taken because nothing comes on it.
pub type Override = (u16, Codec, Codec);

/// What a transport stream's segment has for a batch.
#[derive(Debug, Default)]
pub struct Found {
    /// The program to take; none where none is fit for it.
    pub program: Option<Program>,
    /// Which of its streams carry something else than is declared.
    pub overrides: Vec<Override>,
    /// Packets of its video and audio that are scrambled, where all of them are.
    pub scrambled: u64,
}

/// Finds the program to take in a whole segment, whose tables may come after the media.
pub fn find_program(segment: &[u8], take: Take) -> Found {
    let fits = |program: &Program| source::fits(program, take);
    // Beside pictures alone the sound is transcoded: both are taken of one program.
    let foreign = |program: &Program| fits(program) && has(program, super::transcoded::foreign_codec);
    // Radio may stand before television.
    let watched = |program: &Program| fits(program) && has(program, Codec::is_video);
    match take {
        Take::Video => find(segment, &[&foreign, &fits, &any], fits),
        _ => find(segment, &[&watched, &fits, &any], fits),
    }
}

/// The same for sound that is transcoded: of the program whose pictures are taken, where there are any.
pub fn find_foreign(segment: &[u8], transcodable: fn(Codec) -> bool) -> Found {
    let fits = |program: &Program| has(program, transcodable);
    let watched = |program: &Program| fits(program) && source::fits(program, Take::Video);
    find(segment, &[&watched, &fits, &any], fits)
}

fn has(program: &Program, is: fn(Codec) -> bool) -> bool {
    program.streams.iter().any(|stream| is(stream.codec))
}

fn any(program: &Program) -> bool {
    !program.streams.is_empty()
}

/// The first program for which the first wish holds: readable ones, then scrambled ones, then such as do not come.
fn find(segment: &[u8], wishes: &[&dyn Fn(&Program) -> bool], fits: impl Fn(&Program) -> bool) -> Found {
    let packets = Packets::count(segment);
    let kinds: [fn([u64; 2]) -> bool; 3] =
        [|[clear, _]| clear > 0, |[clear, scrambled]| clear == 0 && scrambled > 0, |both| both == [0, 0]];
    let programs = Demuxer::programs(segment);
    let first = |is: fn([u64; 2]) -> bool, wish: &dyn Fn(&Program) -> bool| {
        programs.iter().find(|program| wish(program) && is(packets.of(program))).cloned()
    };
    let Some(program) = kinds.iter().find_map(|is| wishes.iter().find_map(|wish| first(*is, wish))) else {
        return Found::default();
    };
    let overrides = [inspect(segment, &program), packets.silent(&program)].concat();
    let [clear, scrambled] = packets.of(&program);
    let real = super::streams::corrected(&program, &overrides);
    Found {
        program: Some(program).filter(|_| fits(&real)),
        overrides,
        scrambled: if clear == 0 { scrambled } else { 0 },
    }
}

/// How many packets with payload each PID has, clear and scrambled.
struct Packets(BTreeMap<u16, [u64; 2]>);

impl Packets {
    fn count(segment: &[u8]) -> Self {
        let (mut framer, mut packets) = (Framer::default(), BTreeMap::<u16, [u64; 2]>::new());
        let mut look = |bytes: &[u8; PACKET_LEN], _: &mut Counters| {
            if let Ok(Packet { pid, scrambled, payload: Some(_), .. }) = Packet::parse(bytes) {
                packets.entry(pid).or_default()[usize::from(scrambled)] += 1;
            }
        };
        let mut counters = Counters::default();
        framer.push(segment, &mut counters, &mut look);
        framer.finish(&mut counters, &mut look);
        Self(packets)
    }

    /// Streams on which nothing comes, though it does on others of their kind.
    fn silent(&self, program: &Program) -> Vec<Override> {
        let comes = |stream: &&ElementaryStream| self.0.contains_key(&stream.pid);
        let kinds: [fn(Codec) -> bool; 2] = [Codec::is_video, Codec::is_audio];
        let of_kind = kinds.map(|is| program.streams.iter().filter(move |stream| is(stream.codec)));
        of_kind
            .into_iter()
            .filter(|streams| streams.clone().any(|stream| comes(&stream)))
            .flat_map(|streams| streams.filter(|stream| !comes(stream)))
            .map(|stream| (stream.pid, stream.codec, Codec::Data))
            .collect()
    }

    /// Those of a program's video and audio.
    fn of(&self, program: &Program) -> [u64; 2] {
        let media =
            program.streams.iter().filter(|stream| stream.codec.is_video() || stream.codec.is_audio());
        let counts = media.filter_map(|stream| self.0.get(&stream.pid));
        counts.fold([0, 0], |sum, count| [sum[0] + count[0], sum[1] + count[1]])
    }
}

/// The head of each stream's payload.
struct Heads(Vec<(u16, Vec<u8>)>);

impl Sink for Heads {
    fn program(&mut self, program: &Program) -> Vec<u16> {
        let looked_at = |stream: &&ElementaryStream| {
            stream.codec.is_video()
                || stream.codec.is_audio()
                || (stream.codec == Codec::Data && matches!(stream.stream_type, 0x06 | 0x80..))
        };
        let pids: Vec<u16> = program.streams.iter().filter(looked_at).map(|stream| stream.pid).collect();
        if self.0.is_empty() {
            self.0 = pids.iter().map(|pid| (*pid, Vec::new())).collect();
        }
        pids
    }

    fn pes(&mut self, _: u16, _: PesHeader) {}

    fn payload(&mut self, pid: u16, data: &[u8]) {
        if let Some((_, head)) = self.0.iter_mut().find(|(of, _)| *of == pid) {
            head.extend_from_slice(&data[..data.len().min(LOOKED_AT - head.len().min(LOOKED_AT))]);
        }
    }
}

fn inspect(segment: &[u8], program: &Program) -> Vec<Override> {
    let mut heads = Heads(Vec::new());
    let mut demuxer = Demuxer::with_program(program.clone(), &mut heads);
    let mut counters = Counters::default();
    for part in segment.chunks(PART) {
        demuxer.push(part, &mut heads, &mut counters);
        if heads.0.iter().all(|(_, head)| head.len() >= LOOKED_AT) {
            break;
        }
    }
    let declared =
        |pid: u16| program.streams.iter().find(|stream| stream.pid == pid).map(|stream| stream.codec);
    let real = heads.0.iter().filter_map(|(pid, head)| {
        let declared = declared(*pid)?;
        let real = identify(head, declared)?;
        Some((*pid, declared, real))
    });
    real.collect()
}

/// What the bytes of a stream are, where that is certain and something else than declared.
fn identify(bytes: &[u8], declared: Codec) -> Option<Codec> {
    let audio: [(Codec, FrameLen); 5] = [
        (Codec::AacAdts, aac::adts::frame_len),
        (Codec::MpegAudio, |bytes| mpeg::parse(bytes).map(|header| header.len)),
        (Codec::Ac3, |bytes| {
            ac3::parse(bytes).filter(|h| h.codec == crate::audio::ForeignCodec::Ac3).map(|h| h.len)
        }),
        (Codec::EAc3, |bytes| {
            ac3::parse(bytes).filter(|h| h.codec == crate::audio::ForeignCodec::EAc3).map(|h| h.len)
        }),
        (Codec::AacLatm, |bytes| latm::parse(bytes).map(|header| header.len)),
    ];
    let found = |codec: Codec| match codec {
        Codec::H264 | Codec::Hevc | Codec::Mpeg2Video => video(bytes) == Some(codec),
        _ => audio.iter().any(|(of, len)| *of == codec && has_frames(bytes, *len)),
    };
    if found(declared) {
        return None;
    }
    let real = video(bytes)
        .or_else(|| audio.iter().find(|(_, len)| has_frames(bytes, *len)).map(|(codec, _)| *codec))?;
    // Audio that only resembles another codec's is not believed to be one where it is declared as something that
    // is not looked for.
    let checked = matches!(
        declared,
        Codec::H264
            | Codec::Hevc
            | Codec::Mpeg2Video
            | Codec::AacAdts
            | Codec::MpegAudio
            | Codec::Ac3
            | Codec::EAc3
            | Codec::AacLatm
            | Codec::Data
    );
    (checked && real != declared).then_some(real)
}

/// Whether several frames in a row stand somewhere.
fn has_frames(bytes: &[u8], len: FrameLen) -> bool {
    (0..bytes.len().min(LOOKED_AT / 2)).any(|start| {
        let mut at = start;
        (0..FRAMES).all(|_| {
            let found = bytes.get(at..).and_then(len).filter(|len| *len > 4);
            at += found.unwrap_or(0);
            found.is_some()
        })
    })
}

/// The codec that a byte stream's parameter sets are of.
fn video(bytes: &[u8]) -> Option<Codec> {
    let (mut at, mut hevc) = (0, [false; 3]);
    while let Some(start) = find_prefix(bytes, at) {
        at = start + PREFIX_LEN;
        let end = find_prefix(bytes, at).unwrap_or(bytes.len());
        let nal = crate::nal::annexb::trim_trailing_zeros(&bytes[at..end]);
        match nal {
            // ISO/IEC 13818-2 6.2.2.1: sequence_header_code, then a size that is not 0.
            [0xb3, a, b, ..] if (*a, b >> 4) != (0, 0) => return Some(Codec::Mpeg2Video),
            [header, ..]
                if header & 0x9f == h264::nal_type::SPS
                    && h264::sps::is_usual(nal)
                    && h264::sps::parse(nal).is_ok() =>
            {
                return Some(Codec::H264);
            }
            [header @ (0x40 | 0x42 | 0x44), 1, ..] => {
                hevc[usize::from(*header >> 1 & 3)] =
                    h265::kind_of(nal) != Some(h265::nal_type::SPS) || h265::params::parse_sps(nal).is_some();
                if hevc == [true; 3] {
                    return Some(Codec::Hevc);
                }
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_tell_the_codec_whatever_is_declared() {
        let mp3: Vec<u8> = {
            let mut frame = vec![0xff, 0xfb, 0x14, 0xc4];
            frame.resize(96, 0x55);
            frame.repeat(5)
        };
        let adts = [0xff, 0xf1, 0x4c, 0x80, 0x01, 0x1f, 0xfc, 0].repeat(5);
        assert_eq!(identify(&mp3, Codec::AacAdts), Some(Codec::MpegAudio));
        assert_eq!(identify(&mp3, Codec::MpegAudio), None);
        assert_eq!(identify(&mp3[50..], Codec::Data), Some(Codec::MpegAudio));
        assert_eq!(identify(&adts, Codec::Ac3), Some(Codec::AacAdts));
        assert_eq!(identify(&adts, Codec::Opus), None);
        assert_eq!(identify(&[0x55; 500], Codec::AacAdts), None);
    }

    #[test]
    fn parameter_sets_tell_the_codec() {
        let sps = [&[0, 0, 1][..], &h264::params::tests::SPS].concat();
        assert_eq!(identify(&sps, Codec::Hevc), Some(Codec::H264));
        assert_eq!(identify(&sps, Codec::H264), None);
        assert_eq!(identify(&[0, 0, 1, 0xb3, 0x14, 0x00, 0xf0, 0x23], Codec::H264), Some(Codec::Mpeg2Video));
    }
}
