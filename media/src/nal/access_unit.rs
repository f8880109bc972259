//! Access units out of a pushed Annex B byte stream.

use std::ops::Range;

use bytes::{Bytes, BytesMut};

use super::annexb::{PREFIX_LEN, find_prefix, trim_trailing_zeros};
use super::{Kind, Nal, PictureOrder, Syntax};
use crate::counters::Counters;
use crate::sample::VideoConfig;
use crate::ts::Timestamps;
use crate::ts::marks::Marks;

/// Longest access unit; longer ones are dropped. (Level 6.2's largest picture, hardly compressed, is 4 times this.)
const MAX_ACCESS_UNIT: usize = 16 << 20;

/// Bytes gathered in one allocation; access units are slices of it.
const CHUNK: usize = 256 << 10;

/// One access unit, as it stood in the stream.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AccessUnit {
    /// NAL units in order, without start codes and trailing zeros.
    pub nals: Vec<Bytes>,
    /// Decoding can start here, and nothing after it needs anything before: an IDR or BLA picture.
    pub idr: bool,
    /// Decoding can start here, and shows what comes after in output order: a recovery point with
    /// recovery_frame_cnt 0, or a CRA picture.
    pub recovery_point: bool,
    /// Decoding that starts here shows right pictures some time later: a recovery point with another
    /// recovery_frame_cnt.
    pub gradual_refresh: bool,
    /// Its place in the order of output, as far as it says.
    pub order: Option<PictureOrder>,
    /// Times of the PES packet that it is the first access unit of.
    pub stamp: Option<Timestamps>,
    /// Label of the PES packet in which it commences.
    pub origin: u32,
    /// Configuration of this picture, where it differs from the one before.
    pub config_change: Option<Box<VideoConfig>>,
}

/// Rebuilds access units from an elementary stream.
#[derive(Debug)]
pub struct AccessUnits<S: Syntax> {
    buffer: BytesMut,
    /// Position in the stream of the buffer's first byte.
    base: u64,
    /// Position up to which start codes were looked for.
    scanned: u64,
    /// Position of the start code prefix of the NAL unit that is open.
    nal_start: Option<u64>,
    marks: Marks,
    picture: Picture<S::Slice>,
    syntax: S,
    config: Option<VideoConfig>,
}

/// The access unit that is open.
#[derive(Debug)]
struct Picture<T> {
    /// Whether its first NAL unit was seen; its bytes begin at the buffer's first.
    started: bool,
    stamp: Option<Timestamps>,
    origin: u32,
    nals: Vec<Range<u64>>,
    /// Its first slice, once there.
    slice: Option<T>,
    has_slices: bool,
    idr: bool,
    recovery_point: bool,
    gradual_refresh: bool,
    /// Where a prefix NAL unit stands that belongs to the next slice, whichever picture that is of.
    prefix_start: Option<u64>,
}

impl<T> Default for Picture<T> {
    fn default() -> Self {
        Self {
            started: false,
            stamp: None,
            origin: 0,
            nals: Vec::new(),
            slice: None,
            has_slices: false,
            idr: false,
            recovery_point: false,
            gradual_refresh: false,
            prefix_start: None,
        }
    }
}

impl<S: Syntax> AccessUnits<S> {
    /// Starts with parameter sets known from before.
    #[must_use]
    pub fn with_config(config: Option<VideoConfig>) -> Self {
        let syntax = config.as_ref().map(S::with_config).unwrap_or_default();
        Self {
            buffer: BytesMut::new(),
            base: 0,
            scanned: 0,
            nal_start: None,
            marks: Marks::default(),
            picture: Picture::default(),
            syntax,
            config,
        }
    }

    /// A PES packet starts; `origin` is the caller's label. Gives the access units that are complete.
    pub fn begin_pes(
        &mut self,
        stamp: Option<Timestamps>,
        origin: u32,
        counters: &mut Counters,
        out: &mut Vec<AccessUnit>,
    ) {
        self.scan(counters, out);
        self.marks.put(self.end(), stamp, origin);
    }

    /// Takes the next bytes. Gives access units only where memory demands it.
    pub fn push(&mut self, data: &[u8], counters: &mut Counters, out: &mut Vec<AccessUnit>) {
        if self.buffer.len() + data.len() > MAX_ACCESS_UNIT {
            self.scan(counters, out);
            if self.buffer.len() + data.len() > MAX_ACCESS_UNIT {
                counters.add("video_oversized_access_units", 1);
                self.discard_buffer();
            }
        }
        if self.buffer.capacity() - self.buffer.len() < data.len() {
            self.buffer.reserve(CHUNK.max(self.buffer.len()));
        }
        self.buffer.extend_from_slice(data);
    }

    /// The stream ends, or goes on somewhere else: gives what is there.
    pub fn finish(&mut self, counters: &mut Counters, out: &mut Vec<AccessUnit>) {
        self.scan(counters, out);
        if let Some(start) = self.nal_start.take() {
            self.nal(start..self.end(), counters, out);
        }
        self.emit(self.end(), counters, out);
        self.discard_buffer();
    }

    fn end(&self) -> u64 {
        self.base + self.buffer.len() as u64
    }

    fn discard_buffer(&mut self) {
        self.base = self.end();
        self.buffer.clear();
        self.scanned = self.base;
        self.nal_start = None;
        self.picture = Picture::default();
    }

    fn bytes(&self, range: &Range<u64>) -> &[u8] {
        &self.buffer[self.index(range.start)..self.index(range.end)]
    }

    fn index(&self, position: u64) -> usize {
        usize::try_from(position - self.base).expect("positions inside the buffer fit a usize")
    }

    /// Handles every NAL unit that the next start code has ended.
    fn scan(&mut self, counters: &mut Counters, out: &mut Vec<AccessUnit>) {
        while let Some(found) = find_prefix(&self.buffer, self.index(self.scanned)) {
            let start = self.base + found as u64;
            self.scanned = start + PREFIX_LEN as u64;
            match self.nal_start.replace(start) {
                Some(previous) => self.nal(previous..start, counters, out),
                None => self.drop_front(start, counters),
            }
        }
        // The last two bytes may be the first of a start code.
        self.scanned = self.scanned.max(self.end().saturating_sub(PREFIX_LEN as u64 - 1));
        if self.nal_start.is_none() {
            self.drop_front(self.scanned, counters);
        }
    }

    /// Drops bytes that no NAL unit holds.
    fn drop_front(&mut self, to: u64, counters: &mut Counters) {
        let junk = self.buffer.split_to(self.index(to));
        counters.add("video_skipped_bytes", junk.iter().filter(|byte| **byte != 0).count() as u64);
        self.base = to;
    }

    /// Takes a NAL unit; `range` begins at its start code prefix.
    fn nal(&mut self, range: Range<u64>, counters: &mut Counters, out: &mut Vec<AccessUnit>) {
        let body_start = range.start + PREFIX_LEN as u64;
        let body = trim_trailing_zeros(self.bytes(&(body_start..range.end)));
        let body = body_start..body_start + body.len() as u64;
        let Some(nal) = self.syntax.read(self.bytes(&body)) else { return };
        if !self.picture.started {
            let starts = match (&nal.slice, nal.kind) {
                (Some(slice), _) => S::is_first(slice),
                (None, kind) => matches!(kind, Kind::Head | Kind::Prefix),
            };
            if !starts {
                // The rest of a picture whose beginning is not there.
                counters.add("video_leading_nals", 1);
                return self.drop_front_nal(range.end);
            }
            self.start_picture(range.start);
        } else if let Some(boundary) = self.boundary_before(&nal, range.start) {
            self.emit(boundary, counters, out);
            self.start_picture(boundary);
        }
        self.take(nal, body, range.start, counters);
    }

    /// Where the open access unit ends, if this NAL unit at `start` is of the next one.
    fn boundary_before(&self, nal: &Nal<S::Slice>, start: u64) -> Option<u64> {
        if !self.picture.has_slices {
            return None;
        }
        let begins = match nal.kind {
            Kind::Head => true,
            Kind::Slice | Kind::Prefix | Kind::Other => {
                let next = nal.slice.as_ref().zip(self.picture.slice.as_ref());
                next.is_some_and(|(slice, first)| S::begins_picture_after(slice, first))
            }
        };
        begins.then(|| self.picture.prefix_start.unwrap_or(start))
    }

    /// Adds a NAL unit to the open access unit.
    fn take(&mut self, nal: Nal<S::Slice>, body: Range<u64>, start: u64, counters: &mut Counters) {
        let bytes = &self.buffer[self.index(body.start)..self.index(body.end)];
        if nal.parameter_set && !self.syntax.put_parameter_set(bytes) {
            counters.add("video_unreadable_parameter_sets", 1);
        }
        let picture = &mut self.picture;
        picture.recovery_point |= nal.recovery_point;
        picture.gradual_refresh |= nal.gradual_refresh;
        if nal.kind == Kind::Slice {
            picture.idr |= nal.idr;
            picture.has_slices = true;
            picture.prefix_start = None;
            picture.slice = picture.slice.take().or(nal.slice);
        } else if nal.kind == Kind::Prefix && picture.has_slices {
            // H.264 7.4.1.2.3 names it among those that begin an access unit, but one stands before every slice.
            picture.prefix_start.get_or_insert(start);
        }
        picture.nals.push(body);
    }

    fn start_picture(&mut self, at: u64) {
        debug_assert!(at >= self.base, "an access unit begins inside the buffer");
        let (stamp, origin) = self.marks.take(at);
        // NAL units of a prefix that turned out to belong to this picture were kept by `emit`.
        self.picture.started = true;
        self.picture.stamp = stamp;
        self.picture.origin = origin;
    }

    /// Ends the open access unit at `end`; NAL units behind it stay for the next.
    fn emit(&mut self, end: u64, counters: &mut Counters, out: &mut Vec<AccessUnit>) {
        let picture = std::mem::take(&mut self.picture);
        let base = self.base;
        let bytes = self.buffer.split_to(self.index(end)).freeze();
        self.base = end;
        let (own, next): (Vec<_>, Vec<_>) = picture.nals.into_iter().partition(|nal| nal.start < end);
        self.picture.nals = next;
        if !picture.has_slices {
            return counters.add("video_nals_without_picture", own.len() as u64);
        }
        let offset = |position: u64| usize::try_from(position - base).expect("positions fit a usize");
        out.push(AccessUnit {
            nals: own.iter().map(|nal| bytes.slice(offset(nal.start)..offset(nal.end))).collect(),
            idr: picture.idr,
            recovery_point: picture.recovery_point,
            gradual_refresh: picture.gradual_refresh,
            order: picture.slice.as_ref().and_then(S::order),
            stamp: picture.stamp,
            origin: picture.origin,
            config_change: picture.slice.and_then(|slice| self.config_change(&slice)),
        });
    }

    fn config_change(&mut self, slice: &S::Slice) -> Option<Box<VideoConfig>> {
        if self.config.as_ref().is_some_and(|config| self.syntax.matches(slice, config)) {
            return None;
        }
        let config = self.syntax.config(slice)?;
        self.config = Some(config.clone());
        Some(Box::new(config))
    }

    fn drop_front_nal(&mut self, to: u64) {
        let _ = self.buffer.split_to(self.index(to));
        self.base = to;
    }
}
