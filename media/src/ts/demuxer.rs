//! Packets of one program to PES headers and payload.

use super::framer::Framer;
use super::packet::{PACKET_LEN, Packet, PacketError};
use super::pes::{HeaderParse, MAX_HEADER_LEN, PesHeader, parse_header};
use super::psi::{Codec, PAT_PID, Program, SectionBuffer, parse_pat, parse_pmt};
use crate::counters::Counters;

/// What a [`Demuxer`] calls.
pub trait Sink {
    /// A program's map was read, or has changed. Answers the PIDs to follow; none leaves the program alone.
    ///
    /// The first program of which a PID is followed is the one that is demultiplexed.
    fn program(&mut self, program: &Program) -> Vec<u16>;
    /// A PES packet starts; the one before it on this PID has ended.
    fn pes(&mut self, pid: u16, header: PesHeader);
    /// Payload of the PES packet that started last on this PID.
    fn payload(&mut self, pid: u16, data: &[u8]);
    /// A section of a followed stream that consists of sections (SCTE 35) is complete; its CRC is right.
    fn section(&mut self, _pid: u16, _section: &[u8]) {}
}

/// Demultiplexes pushed bytes. PES packets may go on over pushes and over [`Demuxer::end_segment`].
#[derive(Debug, Default)]
pub struct Demuxer {
    framer: Framer,
    tables: Tables,
    /// Whether anything in the current segment was a packet.
    packets: u64,
}

/// Most programs that are noted of a segment, counting each version of a map.
const MOST_PROGRAMS: usize = 256;

/// Notes programs and takes none.
#[derive(Default)]
struct Programs(Vec<Program>);

impl Sink for Programs {
    fn program(&mut self, program: &Program) -> Vec<u16> {
        if self.0.len() < MOST_PROGRAMS && !self.0.contains(program) {
            self.0.push(program.clone());
        }
        Vec::new()
    }

    fn pes(&mut self, _: u16, _: PesHeader) {}

    fn payload(&mut self, _: u16, _: &[u8]) {}
}

#[derive(Debug, Default)]
struct Tables {
    pat: SectionBuffer,
    pat_crc: Option<u32>,
    maps: Vec<Map>,
    /// The program that is demultiplexed.
    chosen: Option<Program>,
    streams: Vec<Stream>,
}

/// A program of the PAT.
#[derive(Debug)]
struct Map {
    number: u16,
    pid: u16,
    sections: SectionBuffer,
    crc: Option<u32>,
}

/// A followed PID.
#[derive(Debug)]
struct Stream {
    pid: u16,
    continuity: Option<u8>,
    fingerprint: Fingerprint,
    state: PesState,
    /// Of the PES packet: what lies beyond its length is its own. Pictures are larger than the length can say, and
    /// some multiplexers write it all the same, modulo 65536 (13818-1 2.4.3.7 wants 0).
    is_video: bool,
}

#[derive(Debug)]
enum PesState {
    /// Sections instead of PES packets.
    Sections(Box<SectionBuffer>),
    /// No PES packet has started, or its header was unusable.
    Idle,
    /// The header's bytes so far.
    Header(Vec<u8>),
    /// Payload; how much is still to come where the header said so.
    Payload(Option<usize>),
}

/// Enough of a packet's payload to tell a repeated packet from another one with the same counter.
#[derive(Debug, Default, PartialEq, Eq, Clone, Copy)]
struct Fingerprint {
    len: usize,
    head: [u8; 16],
    tail: [u8; 16],
}

impl Fingerprint {
    fn of(payload: &[u8]) -> Self {
        let mut print = Self { len: payload.len(), ..Self::default() };
        let part = payload.len().min(16);
        print.head[..part].copy_from_slice(&payload[..part]);
        print.tail[..part].copy_from_slice(&payload[payload.len() - part..]);
        print
    }
}

impl Demuxer {
    /// A demultiplexer that knows a program from before, so that packets ahead of the next PMT are not lost.
    pub fn with_program(program: Program, sink: &mut impl Sink) -> Self {
        let mut demuxer = Self::default();
        let map = Map {
            number: program.number,
            pid: program.pmt_pid,
            sections: SectionBuffer::default(),
            crc: None,
        };
        demuxer.tables.maps.push(map);
        demuxer.tables.adopt(program, sink);
        demuxer
    }

    /// The program that is demultiplexed, once known.
    #[must_use]
    pub fn program(&self) -> Option<&Program> {
        self.tables.chosen.as_ref()
    }

    /// Packets seen since the last [`Self::end_segment`].
    #[must_use]
    pub fn packets(&self) -> u64 {
        self.packets
    }

    /// Takes the next bytes.
    pub fn push(&mut self, data: &[u8], sink: &mut impl Sink, counters: &mut Counters) {
        let Self { framer, tables, packets } = self;
        framer.push(data, counters, |packet, counters| {
            *packets += 1;
            tables.packet(packet, sink, counters);
        });
    }

    /// A segment ends: the next bytes start with a packet. PES packets that are open stay open.
    /// Returns how many packets the segment had.
    pub fn end_segment(&mut self, sink: &mut impl Sink, counters: &mut Counters) -> u64 {
        let Self { framer, tables, packets } = self;
        framer.finish(counters, |packet, counters| {
            *packets += 1;
            tables.packet(packet, sink, counters);
        });
        // Segments are often muxed one by one, each with counters of its own.
        for stream in &mut tables.streams {
            stream.continuity = None;
        }
        std::mem::take(packets)
    }

    /// The programs of a whole segment, whose tables may come after the media, in the PAT's order.
    #[must_use]
    pub fn programs(segment: &[u8]) -> Vec<Program> {
        let (mut found, mut demuxer, mut counters) =
            (Programs::default(), Self::default(), Counters::default());
        demuxer.push(segment, &mut found, &mut counters);
        demuxer.end_segment(&mut found, &mut counters);
        let place = |program: &Program| {
            demuxer
                .tables
                .maps
                .iter()
                .position(|map| (map.number, map.pid) == (program.number, program.pmt_pid))
        };
        found.0.sort_by_key(|program| place(program).unwrap_or(usize::MAX));
        found.0
    }
}

impl Tables {
    fn packet(&mut self, bytes: &[u8; PACKET_LEN], sink: &mut impl Sink, counters: &mut Counters) {
        let packet = match Packet::parse(bytes) {
            Ok(packet) => packet,
            Err(PacketError::TransportError) => return counters.add("ts_transport_errors", 1),
            Err(PacketError::AdaptationField) => return counters.add("ts_invalid_packets", 1),
        };
        if packet.pid == PAT_PID {
            self.pat_packet(&packet, counters);
        } else if let Some(stream) = self.streams.iter_mut().find(|stream| stream.pid == packet.pid) {
            stream.packet(&packet, sink, counters);
        } else if self.maps.iter().any(|map| map.pid == packet.pid) {
            self.pmt_packet(&packet, sink, counters);
        }
    }

    /// Continuity counters of tables are not looked at: some muxers never count them, and a section that
    /// comes twice or damaged is known by its CRC.
    fn pat_packet(&mut self, packet: &Packet<'_>, counters: &mut Counters) {
        let Some(payload) = packet.payload.filter(|_| !packet.scrambled) else { return };
        let (pat_crc, maps) = (&mut self.pat_crc, &mut self.maps);
        self.pat.push(payload, packet.unit_start, counters, |section, _| {
            let crc = section.last_chunk::<4>().copied().map(u32::from_be_bytes);
            // A PAT of several sections alternates here, which costs a parse a section and no state.
            if *pat_crc == crc {
                return;
            }
            let Some(programs) = parse_pat(section) else { return };
            *pat_crc = crc;
            let several_sections = section.get(7).is_some_and(|last| *last > 0);
            if !several_sections {
                maps.retain(|map| programs.contains(&(map.number, map.pid)));
            }
            for (number, pid) in programs {
                if maps.len() < 64 && !maps.iter().any(|map| (map.number, map.pid) == (number, pid)) {
                    maps.push(Map { number, pid, sections: SectionBuffer::default(), crc: None });
                }
            }
        });
    }

    fn pmt_packet(&mut self, packet: &Packet<'_>, sink: &mut impl Sink, counters: &mut Counters) {
        let Some(payload) = packet.payload.filter(|_| !packet.scrambled) else { return };
        let mut found = Vec::new();
        // Several programs may share a PMT PID (2.4.4.8); each takes its own sections.
        for map in self.maps.iter_mut().filter(|map| map.pid == packet.pid) {
            map.sections.push(payload, packet.unit_start, counters, |section, counters| {
                let crc = section.last_chunk::<4>().copied().map(u32::from_be_bytes);
                if map.crc == crc {
                    return;
                }
                match parse_pmt(section, packet.pid) {
                    Some(program) if program.number == map.number => {
                        map.crc = crc;
                        found.push(program);
                    }
                    Some(_) => {}
                    None if section.first() == Some(&0x02) && section.get(5).is_some_and(|b| b & 1 == 1) => {
                        counters.add("psi_invalid_sections", 1);
                    }
                    None => {}
                }
            });
        }
        for program in found {
            match &self.chosen {
                Some(chosen) if *chosen == program => {}
                Some(chosen) if chosen.number == program.number => {
                    counters.add("pmt_changes", 1);
                    self.adopt(program, sink);
                }
                // The chosen program has left the PAT: the next one that fits takes its place.
                Some(chosen) if self.maps.iter().any(|map| map.number == chosen.number) => {}
                Some(_) => {
                    counters.add("pmt_changes", 1);
                    self.adopt(program, sink);
                }
                None => self.adopt(program, sink),
            }
        }
    }

    fn adopt(&mut self, program: Program, sink: &mut impl Sink) {
        let followed = sink.program(&program);
        if followed.is_empty() && self.chosen.is_none() {
            return;
        }
        self.streams.retain(|stream| followed.contains(&stream.pid));
        for pid in followed {
            if !self.streams.iter().any(|stream| stream.pid == pid) {
                let sections =
                    program.streams.iter().any(|stream| stream.pid == pid && stream.codec == Codec::Scte35);
                let state = if sections { PesState::Sections(Box::default()) } else { PesState::Idle };
                let fingerprint = Fingerprint::default();
                self.streams.push(Stream { pid, continuity: None, fingerprint, state, is_video: false });
            }
        }
        self.chosen = Some(program);
    }
}

impl Stream {
    fn packet(&mut self, packet: &Packet<'_>, sink: &mut impl Sink, counters: &mut Counters) {
        if packet.scrambled {
            return counters.add("ts_scrambled_packets", 1);
        }
        // 2.4.3.3: the counter stands still where there is no payload.
        let Some(payload) = packet.payload else { return };
        if let PesState::Sections(sections) = &mut self.state {
            // Counters of sections are not looked at, as with tables.
            let pid = self.pid;
            return sections
                .push(payload, packet.unit_start, counters, |section, _| sink.section(pid, section));
        }
        let fingerprint = Fingerprint::of(payload);
        if let Some(last) = self.continuity.filter(|_| !packet.discontinuity) {
            if packet.continuity == last && fingerprint == self.fingerprint {
                return counters.add("ts_duplicate_packets", 1);
            }
            if packet.continuity != (last + 1) & 0x0f {
                counters.add("ts_continuity_errors", 1);
                // Half a header cannot be completed from after the loss.
                if matches!(self.state, PesState::Header(_)) {
                    self.state = PesState::Idle;
                }
            }
        }
        self.continuity = Some(packet.continuity);
        self.fingerprint = fingerprint;
        if packet.unit_start {
            if matches!(self.state, PesState::Payload(Some(1..))) {
                counters.add("pes_cut_short", 1);
            }
            self.state = PesState::Header(Vec::new());
        }
        self.payload(payload, sink, counters);
    }

    fn payload(&mut self, payload: &[u8], sink: &mut impl Sink, counters: &mut Counters) {
        match &mut self.state {
            PesState::Sections(_) => {}
            PesState::Idle => counters.add("ts_orphan_packets", u64::from(!payload.is_empty())),
            PesState::Payload(left) => {
                let within = match left {
                    Some(left) => {
                        let take = payload.len().min(*left);
                        *left -= take;
                        take
                    }
                    None => payload.len(),
                };
                counters.add("pes_bytes_beyond_length", (payload.len() - within) as u64);
                let payload = if self.is_video { payload } else { &payload[..within] };
                if !payload.is_empty() {
                    sink.payload(self.pid, payload);
                }
            }
            PesState::Header(bytes) => {
                let kept = bytes.len();
                bytes.extend_from_slice(&payload[..payload.len().min(MAX_HEADER_LEN - kept)]);
                match parse_header(bytes) {
                    HeaderParse::NeedMore => {}
                    HeaderParse::Invalid => {
                        counters.add("pes_invalid_headers", 1);
                        self.state = PesState::Idle;
                    }
                    HeaderParse::Complete(header, header_len) => {
                        self.state = PesState::Payload(header.payload_len);
                        self.is_video = matches!(header.stream_id, 0xe0..=0xef);
                        sink.pes(self.pid, header);
                        // The header was not complete before this packet, so it ends inside it.
                        let rest = &payload[header_len - kept..];
                        if !rest.is_empty() {
                            self.payload(rest, sink, counters);
                        }
                    }
                }
            }
        }
    }
}
