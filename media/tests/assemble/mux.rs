//! A transport stream writer, just enough to say what a test is about.

use std::collections::BTreeMap;

use bytes::Bytes;
use overdub_media::ts::psi::crc32;

pub const VIDEO_PID: u16 = 0x100;
pub const AUDIO_PID: u16 = 0x101;
const PMT_PID: u16 = 0x1000;

/// 1920x1080 (x264).
const SPS: [u8; 27] = [
    0x67, 0xf4, 0x00, 0x28, 0x91, 0x9b, 0x28, 0x0f, 0x00, 0x44, 0xfc, 0x4e, 0x02, 0x20, 0x00, 0x00, 0x03,
    0x00, 0x20, 0x00, 0x00, 0x06, 0x41, 0xe3, 0x06, 0x32, 0xc0,
];
const PPS: [u8; 6] = [0x68, 0xeb, 0xe3, 0xc4, 0x48, 0x44];

#[derive(Default)]
pub struct Mux {
    counters: BTreeMap<u16, u8>,
    out: Vec<u8>,
}

impl Mux {
    /// A segment that starts with PAT and PMT of H.264 and AAC.
    pub fn av() -> Self {
        let mut mux = Self::default();
        mux.tables(&[(0x1b, VIDEO_PID), (0x0f, AUDIO_PID)]);
        mux
    }

    pub fn tables(&mut self, streams: &[(u8, u16)]) {
        self.programs(&[streams]);
    }

    /// PAT and PMTs of programs numbered from 1.
    pub fn programs(&mut self, programs: &[&[(u8, u16)]]) {
        let mut pat = vec![0, 0, 0, 0, 1, 0xc1, 0, 0];
        for number in (1..).take(programs.len()) {
            pat.extend([0, number as u8]);
            pat.extend((0xe000 | (PMT_PID + number - 1)).to_be_bytes());
        }
        self.section(0, pat);
        for (number, streams) in (1..).zip(programs) {
            let mut pmt = vec![2, 0, 0, 0, number as u8, 0xc1, 0, 0, 0xff, 0xff, 0xf0, 0];
            for (kind, pid) in *streams {
                pmt.push(*kind);
                pmt.extend((0xe000 | pid).to_be_bytes());
                pmt.extend([0xf0, 0]);
            }
            self.section(PMT_PID + number - 1, pmt);
        }
    }

    fn section(&mut self, pid: u16, mut section: Vec<u8>) {
        let len = (section.len() + 1) as u16 | 0xb000;
        section[1..3].copy_from_slice(&len.to_be_bytes());
        section.extend(crc32(&section).to_be_bytes());
        section.insert(0, 0);
        section.resize(184, 0xff);
        self.packets(pid, &section);
    }

    /// One PES packet; a length is given where it fits, unless the stream is video.
    pub fn pes(&mut self, pid: u16, pts: i64, dts: Option<i64>, payload: &[u8]) {
        let id = if pid == VIDEO_PID { 0xe0 } else { 0xc0 };
        let time = |prefix: u8, time: i64| {
            let time = time.rem_euclid(1 << 33) as u64;
            [
                prefix << 4 | (time >> 29) as u8 & 0xe | 1,
                (time >> 22) as u8,
                (time >> 14) as u8 | 1,
                (time >> 7) as u8,
                (time << 1) as u8 | 1,
            ]
        };
        let times = match dts {
            Some(dts) => [time(3, pts), time(1, dts)].concat(),
            None => time(2, pts).to_vec(),
        };
        let length = if pid == VIDEO_PID { 0 } else { (3 + times.len() + payload.len()) as u16 };
        let mut pes = vec![0, 0, 1, id];
        pes.extend(length.to_be_bytes());
        pes.extend([0x80, if dts.is_some() { 0xc0 } else { 0x80 }, times.len() as u8]);
        pes.extend(times);
        pes.extend(payload);
        self.packets(pid, &pes);
    }

    fn packets(&mut self, pid: u16, unit: &[u8]) {
        for (index, chunk) in unit.chunks(184).enumerate() {
            let counter = self.counters.entry(pid).or_insert(15);
            *counter = (*counter + 1) & 0xf;
            let stuffing = 184 - chunk.len();
            let control = if stuffing > 0 { 0x30 } else { 0x10 };
            let start = if index == 0 { 0x40 } else { 0 };
            self.out.extend([0x47, start | (pid >> 8) as u8, pid as u8, control | *counter]);
            if stuffing > 0 {
                self.out.push((stuffing - 1) as u8);
            }
            if stuffing > 1 {
                self.out.push(0);
                self.out.extend(std::iter::repeat_n(0xff, stuffing - 2));
            }
            self.out.extend(chunk);
        }
    }

    /// A picture with delimiter; an IDR picture brings its parameter sets. `number` makes its bytes its own.
    pub fn picture(&mut self, dts: i64, delay: i64, idr: bool, number: u32) {
        let nals = picture_nals(idr, number);
        let payload: Vec<u8> = nals.iter().flat_map(|nal| [&[0, 0, 0, 1], nal.as_slice()].concat()).collect();
        self.pes(VIDEO_PID, dts + delay, (delay != 0).then_some(dts), &payload);
    }

    /// A PES packet of AAC frames, numbered from `first`.
    pub fn frames(&mut self, pts: i64, first: u32, count: u32) {
        let payload: Vec<u8> = (first..first + count).flat_map(frame).collect();
        self.pes(AUDIO_PID, pts, None, &payload);
    }

    pub fn segment(self) -> Bytes {
        Bytes::from(self.out)
    }
}

pub fn picture_nals(idr: bool, number: u32) -> Vec<Vec<u8>> {
    // first_mb_in_slice 0, slice_type 7, pic_parameter_set_id 0, and then anything without start codes.
    let mut slice = vec![if idr { 0x65 } else { 0x41 }, 0x88, 0x80 | (number & 0x3f) as u8];
    slice.extend(number.to_be_bytes().map(|byte| byte | 0x80));
    slice.extend((0..300 + number % 7 * 50).map(|at| (at as u8) | 0x10));
    let mut nals = vec![vec![9, 0xf0]];
    if idr {
        nals.extend([SPS.to_vec(), PPS.to_vec()]);
    }
    nals.push(slice);
    nals
}

/// An ADTS frame of 48 kHz stereo whose payload holds its number.
pub fn frame(number: u32) -> Vec<u8> {
    let mut bytes = vec![0xff, 0xf1, 0x4c, 0x80, 0, 0x1f, 0xfc];
    bytes.extend(number.to_be_bytes());
    bytes.extend(std::iter::repeat_n(0x21, 100 + number as usize % 5 * 20));
    let len = bytes.len();
    bytes[4] = (len >> 3) as u8;
    bytes[5] |= (len << 5) as u8;
    bytes
}

/// Number of a frame made by [`frame`], from its raw data block; `None` for silence.
pub fn frame_number(data: &[u8]) -> Option<u32> {
    (data.len() > 50).then(|| u32::from_be_bytes(data[..4].try_into().unwrap()))
}

/// A segment of 25 pictures a second, the first an IDR picture and then one a second, with two frames of
/// audio a PES packet beside them. Both start at `start`; the audio lasts `frames` frames.
pub fn second_by_second(
    start: i64,
    seconds: u32,
    frames: u32,
    first_picture: u32,
    first_frame: u32,
) -> Bytes {
    let mut mux = Mux::av();
    let mut sent = 0;
    for picture in 0..seconds * 25 {
        let at = i64::from(picture) * 3600;
        mux.picture(start + at, 7200, picture % 25 == 0, first_picture + picture);
        while sent < frames && i64::from(sent) * 1920 <= at {
            let count = (frames - sent).min(2);
            mux.frames(start + i64::from(sent) * 1920, first_frame + sent, count);
            sent += count;
        }
    }
    while sent < frames {
        mux.frames(start + i64::from(sent) * 1920, first_frame + sent, 1);
        sent += 1;
    }
    mux.segment()
}
