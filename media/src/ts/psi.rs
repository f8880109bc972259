//! Program specific information: sections over packets, PAT, PMT (ISO/IEC 13818-1 2.4.4).

use serde::{Deserialize, Serialize};

use crate::counters::Counters;

/// PID of the program association table.
pub const PAT_PID: u16 = 0;

/// PID that no packet of a program bears.
pub const NULL_PID: u16 = 0x1fff;

/// Longest section: 1024 bytes of a PAT or PMT (2.4.4.5, 2.4.4.9), 4096 of a private one such as SCTE 35's.
const MAX_SECTION_LEN: usize = 4096;

/// Programs kept of one PAT; a broadcast multiplex has a few dozen.
const MAX_PROGRAMS: usize = 64;

/// Elementary streams kept of one PMT.
const MAX_STREAMS: usize = 32;

/// What an elementary stream carries, by stream_type and descriptors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names are the codecs' own")]
pub enum Codec {
    H264,
    AacAdts,
    Mpeg2Video,
    Mpeg4Video,
    Hevc,
    Vvc,
    Vc1,
    MpegAudio,
    AacLatm,
    Ac3,
    EAc3,
    Ac4,
    Dts,
    Opus,
    /// Opus whose channels are described one by one.
    OpusMapped,
    EncryptedH264,
    EncryptedAac,
    EncryptedAc3,
    /// Timed metadata as ID3 tags in PES packets (Apple, Timed Metadata for HTTP Live Streaming).
    Id3,
    /// Cue messages of SCTE 35, in sections.
    Scte35,
    /// None of these: captions, teletext, or unknown.
    Data,
}

impl Codec {
    /// The codec's usual name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::H264 => "H.264",
            Self::AacAdts => "AAC",
            Self::Mpeg2Video => "MPEG-1/2 video",
            Self::Mpeg4Video => "MPEG-4 part 2 video",
            Self::Hevc => "H.265",
            Self::Vvc => "H.266",
            Self::Vc1 => "VC-1",
            Self::MpegAudio => "MPEG audio (MP1/MP2/MP3)",
            Self::AacLatm => "AAC in LATM",
            Self::Ac3 => "AC-3",
            Self::EAc3 => "E-AC-3",
            Self::Ac4 => "AC-4",
            Self::Dts => "DTS",
            Self::Opus => "Opus",
            Self::OpusMapped => "Opus with a channel mapping of its own",
            Self::EncryptedH264 => "SAMPLE-AES encrypted H.264",
            Self::EncryptedAac => "SAMPLE-AES encrypted AAC",
            Self::EncryptedAc3 => "SAMPLE-AES encrypted (E-)AC-3",
            Self::Id3 => "ID3",
            Self::Scte35 => "SCTE 35",
            Self::Data => "data",
        }
    }

    /// Whether it is video of any kind.
    #[must_use]
    pub fn is_video(self) -> bool {
        use Codec::{EncryptedH264, H264, Hevc, Mpeg2Video, Mpeg4Video, Vc1, Vvc};
        matches!(self, H264 | Mpeg2Video | Mpeg4Video | Hevc | Vvc | Vc1 | EncryptedH264)
    }

    /// Whether it is audio of any kind.
    #[must_use]
    pub fn is_audio(self) -> bool {
        !self.is_video() && !matches!(self, Self::Id3 | Self::Scte35 | Self::Data)
    }
}

/// One elementary stream of a program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ElementaryStream {
    /// elementary_PID.
    pub pid: u16,
    /// stream_type (table 2-34).
    pub stream_type: u8,
    /// What it carries.
    pub codec: Codec,
    /// ISO_639_language_code of its first language (2.6.18).
    #[serde(default)]
    pub language: Option<String>,
    /// channel_config_code of Opus.
    #[serde(default)]
    pub opus_channels: Option<u8>,
}

/// A program map: what a PMT says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Program {
    /// program_number.
    pub number: u16,
    /// PID of its PMT.
    pub pmt_pid: u16,
    /// Its elementary streams, in the PMT's order.
    pub streams: Vec<ElementaryStream>,
}

/// Gathers sections from the packets of one PID.
#[derive(Debug, Default)]
pub struct SectionBuffer {
    bytes: Vec<u8>,
    /// A section has begun and is not complete.
    open: bool,
}

impl SectionBuffer {
    /// Takes a packet's payload; gives each section that is complete, with a valid CRC, to `section`.
    pub fn push(
        &mut self,
        payload: &[u8],
        unit_start: bool,
        counters: &mut Counters,
        mut section: impl FnMut(&[u8], &mut Counters),
    ) {
        if !unit_start {
            if self.open {
                self.append(payload, counters, &mut section);
            }
            return;
        }
        // 2.4.4.2: pointer_field counts the bytes of the section before.
        let Some((&pointer, rest)) = payload.split_first() else { return };
        let Some((before, after)) = rest.split_at_checked(usize::from(pointer)) else {
            counters.add("psi_invalid_sections", 1);
            self.open = false;
            return;
        };
        if self.open {
            self.append(before, counters, &mut section);
        }
        self.bytes.clear();
        self.open = true;
        self.append(after, counters, &mut section);
    }

    fn append(
        &mut self,
        data: &[u8],
        counters: &mut Counters,
        section: &mut impl FnMut(&[u8], &mut Counters),
    ) {
        self.bytes.extend_from_slice(data);
        loop {
            // 2.4.4: 0xff fills the packet after the last section.
            if self.bytes.first() == Some(&0xff) {
                self.open = false;
            }
            let Some(head) = self.bytes.first_chunk::<3>().filter(|_| self.open) else { return };
            let len = 3 + usize::from(u16::from_be_bytes([head[1] & 0x0f, head[2]]));
            if len > MAX_SECTION_LEN {
                counters.add("psi_invalid_sections", 1);
                self.open = false;
                return;
            }
            let Some(complete) = self.bytes.get(..len) else { return };
            if crc32(complete) == 0 {
                section(complete, counters);
            } else {
                counters.add("psi_crc_errors", 1);
            }
            self.bytes.drain(..len);
        }
    }
}

/// The long header that PAT and PMT share, and the body between it and the CRC.
struct Section<'a> {
    id_extension: u16,
    body: &'a [u8],
}

/// Checks table id, syntax and that the section is in force; `None` otherwise.
fn long_section(section: &[u8], table_id: u8) -> Option<Section<'_>> {
    let head = section.first_chunk::<8>()?;
    let current = head[5] & 1 == 1;
    (head[0] == table_id && head[1] & 0x80 != 0 && current).then_some(())?;
    let body = section.get(8..section.len().checked_sub(4)?)?;
    Some(Section { id_extension: u16::from_be_bytes([head[3], head[4]]), body })
}

/// Program numbers and PMT PIDs of a PAT section; `None` where it is none or not yet in force.
#[must_use]
pub fn parse_pat(section: &[u8]) -> Option<Vec<(u16, u16)>> {
    let Section { body, .. } = long_section(section, 0x00)?;
    let entries = body.chunks_exact(4).map(|entry| {
        (u16::from_be_bytes([entry[0], entry[1]]), u16::from_be_bytes([entry[2] & 0x1f, entry[3]]))
    });
    // Program 0 is the network PID.
    let programs = entries.filter(|&(number, pid)| number != 0 && pid != PAT_PID && pid != NULL_PID);
    Some(programs.take(MAX_PROGRAMS).collect())
}

/// The program map of a PMT section that came on `pmt_pid`; `None` where it is none, not yet in force, or
/// its lengths contradict each other.
#[must_use]
pub fn parse_pmt(section: &[u8], pmt_pid: u16) -> Option<Program> {
    let Section { id_extension, body } = long_section(section, 0x02)?;
    let (head, rest) = body.split_at_checked(4)?;
    let (program_info, mut rest) = split_length(rest, [head[2], head[3]])?;
    let program_registration = registration(program_info);
    let mut streams = Vec::new();
    while !rest.is_empty() && streams.len() < MAX_STREAMS {
        let (head, after) = rest.split_at_checked(5)?;
        let (info, after) = split_length(after, [head[3], head[4]])?;
        rest = after;
        let (codec, opus_channels) = match codec(head[0], info, program_registration) {
            Codec::Opus => opus(info),
            codec => (codec, None),
        };
        let pid = u16::from_be_bytes([head[1] & 0x1f, head[2]]);
        let language = language(info);
        streams.push(ElementaryStream { pid, stream_type: head[0], codec, language, opus_channels });
    }
    Some(Program { number: id_extension, pmt_pid, streams })
}

fn split_length(bytes: &[u8], length: [u8; 2]) -> Option<(&[u8], &[u8])> {
    bytes.split_at_checked(usize::from(u16::from_be_bytes([length[0] & 0x0f, length[1]])))
}

/// Tag and content of each descriptor (2.6.1), as far as the lengths hold.
fn descriptors(mut bytes: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    std::iter::from_fn(move || {
        let (head, rest) = bytes.split_at_checked(2)?;
        let (content, rest) = rest.split_at_checked(usize::from(head[1]))?;
        bytes = rest;
        Some((head[0], content))
    })
}

/// format_identifier of the registration descriptor (2.6.8).
fn registration(info: &[u8]) -> Option<[u8; 4]> {
    descriptors(info).find(|(tag, _)| *tag == 0x05).and_then(|(_, content)| content.first_chunk().copied())
}

fn codec(stream_type: u8, info: &[u8], program_registration: Option<[u8; 4]>) -> Codec {
    match stream_type {
        0x01 | 0x02 => Codec::Mpeg2Video,
        0x03 | 0x04 => Codec::MpegAudio,
        0x0f => Codec::AacAdts,
        0x10 => Codec::Mpeg4Video,
        0x11 | 0x1c => Codec::AacLatm,
        0x15 => Codec::Id3,
        0x1b => Codec::H264,
        0x24 => Codec::Hevc,
        0x33 => Codec::Vvc,
        // ATSC A/53 and A/52 annex A.
        0x81 => Codec::Ac3,
        0x87 => Codec::EAc3,
        // Blu-ray's numbers; 0x86 is SCTE 35's unless the program is registered as HDMV.
        0x82 | 0x85 | 0x8a => Codec::Dts,
        0x86 if program_registration == Some(*b"HDMV") => Codec::Dts,
        0x86 => Codec::Scte35,
        0xea => Codec::Vc1,
        // Apple, MPEG-2 Stream Encryption Format for HTTP Live Streaming.
        0xdb => Codec::EncryptedH264,
        0xcf => Codec::EncryptedAac,
        0xc1 | 0xc2 => Codec::EncryptedAc3,
        0x06 => private_codec(info),
        _ => Codec::Data,
    }
}

/// PES private data says what it is by its descriptors (ETSI EN 300 468 6.2 and annex D, or a registration).
fn private_codec(info: &[u8]) -> Codec {
    for (tag, content) in descriptors(info) {
        match (tag, content) {
            (0x05, [b'A', b'C', b'-', b'3', ..]) | (0x6a, _) => return Codec::Ac3,
            (0x05, [b'E', b'A', b'C', b'3', ..]) | (0x7a, _) => return Codec::EAc3,
            (0x05, [b'A', b'C', b'-', b'4', ..]) | (0x7f, [0x15, ..]) => return Codec::Ac4,
            (0x05, [b'D', b'T', b'S', b'1'..=b'3', ..]) | (0x7b, _) => return Codec::Dts,
            (0x05, [b'O', b'p', b'u', b's', ..]) => return Codec::Opus,
            (0x05, [b'H', b'E', b'V', b'C', ..]) => return Codec::Hevc,
            (0x05, [b'V', b'C', b'-', b'1', ..]) => return Codec::Vc1,
            (0x7c, _) => return Codec::AacLatm,
            _ => {}
        }
    }
    Codec::Data
}

/// ISO_639_language_descriptor (2.6.18).
fn language(info: &[u8]) -> Option<String> {
    let code = descriptors(info).find(|(tag, _)| *tag == 0x0a)?.1.first_chunk::<3>()?;
    code.is_ascii().then(|| String::from_utf8_lossy(code).into_owned())
}

/// The channel_config_code of Opus: in an extension descriptor with extension tag 0x80 (the Opus in MPEG-TS draft, 4.2).
fn opus(info: &[u8]) -> (Codec, Option<u8>) {
    let found = descriptors(info).find_map(|(tag, content)| match (tag, content) {
        (0x7f, [0x80, code, ..]) => Some(*code),
        _ => None,
    });
    // Beyond 8 are pairs that are not coupled, and layouts of which the descriptor goes on to tell.
    if found.is_some_and(|code| code > 8) { (Codec::OpusMapped, found) } else { (Codec::Opus, found) }
}

const CRC_TABLE: [u32; 256] = {
    let mut table = [0u32; 256];
    let mut index = 0;
    while index < 256 {
        let mut value = (index as u32) << 24;
        let mut bit = 0;
        while bit < 8 {
            value = if value & 0x8000_0000 != 0 { value << 1 ^ 0x04c1_1db7 } else { value << 1 };
            bit += 1;
        }
        table[index] = value;
        index += 1;
    }
    table
};

/// CRC of annex A; 0 over a section with its own CRC.
#[must_use]
pub fn crc32(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0xffff_ffff, |crc, byte| crc << 8 ^ CRC_TABLE[usize::from((crc >> 24) as u8 ^ byte)])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// PAT of FFmpeg's muxer: program 1 at PID 0x1000.
    const PAT: [u8; 16] = [0, 0xb0, 0x0d, 0, 1, 0xc1, 0, 0, 0, 1, 0xf0, 0, 0x2a, 0xb1, 0x04, 0xb2];

    fn with_crc(mut section: Vec<u8>) -> Vec<u8> {
        let len = section.len() + 4 - 3;
        section[1] = 0xb0 | (len >> 8) as u8;
        section[2] = len as u8;
        let crc = crc32(&section);
        section.extend(crc.to_be_bytes());
        section
    }

    fn pmt(streams: &[&[u8]]) -> Vec<u8> {
        let mut section = vec![2, 0, 0, 0, 1, 0xc1, 0, 0, 0xe1, 0, 0xf0, 0];
        section.extend(streams.concat());
        with_crc(section)
    }

    #[test]
    fn a_pat_names_its_programs() {
        assert_eq!(crc32(&PAT), 0);
        assert_eq!(parse_pat(&PAT), Some(vec![(1, 0x1000)]));
    }

    #[test]
    fn a_pmt_names_codecs_by_type_and_descriptor() {
        let section = pmt(&[
            &[0x1b, 0xe1, 0x00, 0xf0, 0],
            &[0x0f, 0xe1, 0x01, 0xf0, 6, 0x0a, 4, b'd', b'e', b'u', 0],
            &[0x06, 0xe1, 0x02, 0xf0, 8, 0x0a, 1, 0, 0x6a, 3, 0, 0, 0],
            &[0x06, 0xe1, 0x03, 0xf0, 10, 5, 4, b'O', b'p', b'u', b's', 0x7f, 2, 0x80, 6],
            &[0x86, 0xe1, 0x04, 0xf0, 0],
            &[0x15, 0xe1, 0x05, 0xf0, 0],
            &[0x06, 0xe1, 0x06, 0xf0, 10, 5, 4, b'O', b'p', b'u', b's', 0x7f, 2, 0x80, 0x81],
        ]);
        let program = parse_pmt(&section, 0x1000).unwrap();
        let found: Vec<_> = program.streams.iter().map(|stream| (stream.pid, stream.codec)).collect();
        let expected = [
            Codec::H264,
            Codec::AacAdts,
            Codec::Ac3,
            Codec::Opus,
            Codec::Scte35,
            Codec::Id3,
            Codec::OpusMapped,
        ];
        assert_eq!(found, (0x100..).zip(expected).collect::<Vec<_>>());
        assert_eq!(program.streams[3].opus_channels, Some(6));
        assert_eq!(program.streams[1].language.as_deref(), Some("deu"));
    }

    #[test]
    fn a_section_is_gathered_over_packets_and_two_may_share_one() {
        let long = pmt(&[[0x1b, 0xe1, 0x00, 0xf0, 200].as_slice(), &[0x80; 200]]);
        let (mut buffer, mut counters, mut seen) =
            (SectionBuffer::default(), Counters::default(), Vec::<Vec<u8>>::new());
        let mut first = vec![0];
        first.extend(&long[..183]);
        let mut second = vec![(long.len() - 183) as u8];
        second.extend(&long[183..]);
        second.extend(PAT);
        second.extend(PAT);
        second.extend([0xff; 20]);
        for payload in [first, second] {
            buffer.push(&payload, true, &mut counters, |section, _| seen.push(section.to_vec()));
        }
        assert_eq!(seen, [long, PAT.to_vec(), PAT.to_vec()]);
        assert_eq!(counters, Counters::default());
    }

    #[test]
    fn a_damaged_section_is_counted_and_not_used() {
        let mut payload = vec![0];
        payload.extend(PAT);
        payload[9] ^= 1;
        let (mut buffer, mut counters) = (SectionBuffer::default(), Counters::default());
        buffer.push(&payload, true, &mut counters, |_, _| panic!("used"));
        assert_eq!(counters.get("psi_crc_errors"), 1);
    }

    #[test]
    fn a_table_that_is_not_yet_in_force_is_not_used() {
        let section = with_crc(vec![0, 0, 0, 0, 1, 0xc2, 0, 0, 0, 1, 0xf0, 0]);
        assert_eq!(parse_pat(&section), None);
    }

    #[test]
    fn lengths_that_contradict_each_other_are_refused() {
        assert_eq!(parse_pmt(&pmt(&[&[0x1b, 0xe1, 0x00, 0xf0, 9]]), 1), None);
    }
}
