//! Walking boxes: every size is checked against what surrounds it, every error knows its box and byte.
//!
//! mp4-atom decodes a `moov` whole or not at all, copies its tables and does not say where it failed; that
//! suits what we write (see `init`), not what strangers send.

use super::error::{FourCc, Mp4Error};

/// Name that errors give the top level.
pub(super) const FILE: FourCc = FourCc(*b"file");

/// A box's unread bytes. Copying it copies a position, not bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct BoxBody<'a> {
    pub name: FourCc,
    /// Where the box's header begins.
    pub start: usize,
    /// Next byte to read.
    pub at: usize,
    /// End of the box.
    pub end: usize,
    all: &'a [u8],
}

impl<'a> BoxBody<'a> {
    /// The whole input as one box.
    pub fn top(all: &'a [u8]) -> Self {
        Self { name: FILE, start: 0, at: 0, end: all.len(), all }
    }

    pub fn left(&self) -> usize {
        self.end - self.at
    }

    /// The next child box. Fewer than 8 bytes at the end are padding (QuickTime ends some lists with 4 zeros).
    pub fn next_child(&mut self) -> Result<Option<BoxBody<'a>>, Mp4Error> {
        if self.left() < 8 {
            self.at = self.end;
            return Ok(None);
        }
        let start = self.at;
        let short = self.u32()?;
        let name = FourCc(self.array()?);
        let size = match short {
            // ISO/IEC 14496-12 4.2.2: 0 is "to the end", 1 is "a 64-bit size follows".
            0 => (self.end - start) as u64,
            1 => BoxBody { name, start, ..*self }.u64().inspect(|_| self.at += 8)?,
            size => u64::from(size),
        };
        if size < (self.at - start) as u64 {
            return Err(Mp4Error::Invalid { name, at: start, what: "its size is smaller than its header" });
        }
        let left = self.end - start;
        let end = usize::try_from(size).ok().filter(|size| *size <= left).map(|size| start + size);
        let Some(end) = end else {
            return Err(Mp4Error::Overrun { name, at: start, size, left });
        };
        let child = BoxBody { name, start, at: self.at, end, all: self.all };
        self.at = end;
        Ok(Some(child))
    }

    /// The first child named `name`, from here on; this position stays.
    pub fn find(mut self, name: &[u8; 4]) -> Result<Option<BoxBody<'a>>, Mp4Error> {
        while let Some(child) = self.next_child()? {
            if &child.name.0 == name {
                return Ok(Some(child));
            }
        }
        Ok(None)
    }

    /// The first child named `name`, which must be there.
    pub fn require(self, name: &[u8; 4]) -> Result<BoxBody<'a>, Mp4Error> {
        let missing = Mp4Error::Missing { parent: self.name, at: self.start, name: FourCc(*name) };
        self.find(name)?.ok_or(missing)
    }

    /// Version and flags of a full box (ISO/IEC 14496-12 4.2.2).
    pub fn full_header(&mut self) -> Result<(u8, u32), Mp4Error> {
        let word = self.u32()?;
        Ok(((word >> 24) as u8, word & 0x00ff_ffff))
    }

    /// Checks that a table of `count` rows of `row` bytes is there and returns its bytes.
    pub fn table(&mut self, count: u32, row: usize) -> Result<&'a [u8], Mp4Error> {
        self.take(u64::from(count) * row as u64)
    }

    /// The next `count` bytes.
    pub fn take(&mut self, count: u64) -> Result<&'a [u8], Mp4Error> {
        match usize::try_from(count) {
            Ok(size) if size <= self.left() => {
                let bytes = &self.all[self.at..self.at + size];
                self.at += size;
                Ok(bytes)
            }
            _ => Err(Mp4Error::Short { name: self.name, at: self.at, needed: count, left: self.left() }),
        }
    }

    pub fn skip(&mut self, count: u64) -> Result<(), Mp4Error> {
        self.take(count).map(|_| ())
    }

    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], Mp4Error> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N as u64)?);
        Ok(array)
    }

    pub fn u8(&mut self) -> Result<u8, Mp4Error> {
        self.array().map(u8::from_be_bytes)
    }

    pub fn u16(&mut self) -> Result<u16, Mp4Error> {
        self.array().map(u16::from_be_bytes)
    }

    pub fn u32(&mut self) -> Result<u32, Mp4Error> {
        self.array().map(u32::from_be_bytes)
    }

    pub fn i32(&mut self) -> Result<i32, Mp4Error> {
        self.array().map(i32::from_be_bytes)
    }

    pub fn u64(&mut self) -> Result<u64, Mp4Error> {
        self.array().map(u64::from_be_bytes)
    }

    /// An error about this box.
    pub fn invalid(&self, what: &'static str) -> Mp4Error {
        Mp4Error::Invalid { name: self.name, at: self.start, what }
    }
}

/// Big-endian 32-bit words of a checked table.
pub(super) fn words(table: &[u8]) -> impl Iterator<Item = u32> + '_ {
    table.as_chunks::<4>().0.iter().map(|word| u32::from_be_bytes(*word))
}

/// How many more samples the input can justify.
///
/// A table can name samples that cost it no bytes (one default size for all), so counts are held against
/// the input's length: no AAC or H.264 sample, with what describes it, is shorter than 4 bytes on average.
#[derive(Debug)]
pub(super) struct SampleBudget(u64);

/// Samples that one input may have at all: a day of AAC at 48 kHz. They take 56 bytes each.
const MAX_SAMPLES: u64 = 1 << 22;

impl SampleBudget {
    pub fn for_input(len: usize) -> Self {
        Self((len as u64 / 4).min(MAX_SAMPLES))
    }

    /// Takes `count` samples out of the budget; `by` is the box that counts them.
    pub fn spend(&mut self, count: u32, by: &BoxBody<'_>) -> Result<(), Mp4Error> {
        let count = u64::from(count);
        self.0 = self.0.checked_sub(count).ok_or(Mp4Error::TooManySamples {
            name: by.name,
            at: by.start,
            count,
        })?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_of_32_and_64_bits_and_to_the_end_are_read() {
        let mut data = b"\0\0\0\x0aabcd\x01\x02".to_vec();
        data.extend_from_slice(b"\0\0\0\x01efgh\0\0\0\0\0\0\0\x11\x03");
        data.extend_from_slice(b"\0\0\0\0ijkl\x04\x05");
        let mut top = BoxBody::top(&data);
        let names: Vec<_> = std::iter::from_fn(|| top.next_child().unwrap())
            .map(|mut child| {
                let left = child.left() as u64;
                (child.name.to_string(), child.start, child.take(left).unwrap().to_vec())
            })
            .collect();
        assert_eq!(
            names,
            [
                ("abcd".into(), 0, vec![1, 2]),
                ("efgh".to_string(), 10, vec![3]),
                ("ijkl".to_string(), 27, vec![4, 5])
            ]
        );
    }

    #[test]
    fn a_bad_size_names_box_and_byte() {
        let overrun = BoxBody::top(b"\0\0\0\x08free\0\0\0\xffmoov").find(b"none").unwrap_err();
        assert_eq!(overrun.to_string(), "box moov at byte 8 claims 255 bytes, 8 are left");
        let small = BoxBody::top(b"\0\0\0\x07free\0").next_child().unwrap_err();
        assert_eq!(small.to_string(), "box free at byte 0: its size is smaller than its header");
        let huge =
            BoxBody::top(b"\0\0\0\x01\xffdat\xff\xff\xff\xff\xff\xff\xff\xff").next_child().unwrap_err();
        assert_eq!(huge.to_string(), "box \\xffdat at byte 0 claims 18446744073709551615 bytes, 16 are left");
        let short = BoxBody::top(b"\0\0\0\x01mdat\0\0\0").next_child().unwrap_err();
        assert_eq!(short.to_string(), "box mdat ends early: 8 bytes are needed at byte 8, 3 are left");
    }
}
