//! The `Range` header against a file's length (RFC 9110 14).

/// What to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// The whole: no range, one that cannot be understood, or several (RFC 9110 14.2 lets a server ignore them).
    Whole,
    /// `len` bytes from `start`; never empty, never past the end.
    Part {
        /// First byte.
        start: u64,
        /// Number of bytes.
        len: u64,
    },
    /// The range lies past the end: 416.
    Unsatisfiable,
}

/// What the header's value `text` wants of a file of `total` bytes.
#[must_use]
pub fn wanted(text: &str, total: u64) -> Wanted {
    // RFC 9110 14.1: range units are case-insensitive.
    let Some((unit, set)) = text.split_once('=') else {
        return Wanted::Whole;
    };
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return Wanted::Whole;
    }
    // An empty list element counts for nothing (RFC 9110 5.6.1.2).
    let mut specs = set.split(',').map(str::trim).filter(|spec| !spec.is_empty());
    let (Some(spec), None) = (specs.next(), specs.next()) else {
        return Wanted::Whole;
    };
    let Some((first, last)) = spec.split_once('-') else {
        return Wanted::Whole;
    };
    match (Number::read(first), Number::read(last)) {
        (Number::Absent, Number::Is(suffix)) => {
            let len = suffix.min(total);
            part(total - len, len)
        }
        (Number::Is(first), Number::Absent) => part(first, total.saturating_sub(first)),
        (Number::Is(first), Number::Is(last)) if first <= last => {
            // `last` is included; the end is never past the file's.
            let end = last.saturating_add(1).min(total);
            part(first, end.saturating_sub(first))
        }
        _ => Wanted::Whole,
    }
}

fn part(start: u64, len: u64) -> Wanted {
    if len == 0 { Wanted::Unsatisfiable } else { Wanted::Part { start, len } }
}

/// A position in a range spec.
enum Number {
    Absent,
    Is(u64),
    Malformed,
}

impl Number {
    fn read(text: &str) -> Self {
        if text.is_empty() {
            return Self::Absent;
        }
        if !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Self::Malformed;
        }
        // Only too many digits can fail now, and such a position is past every file's end.
        Self::Is(text.parse().unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn single_ranges_are_cut_to_the_file() {
        for (text, start, len) in [
            ("bytes=0-0", 0, 1),
            ("bytes=0-99", 0, 100),
            ("bytes=10-19", 10, 10),
            ("bytes=90-", 90, 10),
            ("bytes=0-", 0, 100),
            ("bytes=95-200", 95, 5),
            ("bytes=-1", 99, 1),
            ("bytes=-100", 0, 100),
            ("bytes=-500", 0, 100),
            ("Bytes=5-9", 5, 5),
            ("bytes= 5-9 ", 5, 5),
            ("bytes=5-9,", 5, 5),
            ("bytes=99-99999999999999999999999999", 99, 1),
        ] {
            assert_eq!(wanted(text, 100), Wanted::Part { start, len }, "{text}");
        }
    }

    #[test]
    fn ranges_past_the_end_are_unsatisfiable() {
        for text in ["bytes=100-", "bytes=100-200", "bytes=-0", "bytes=99999999999999999999999999-"] {
            assert_eq!(wanted(text, 100), Wanted::Unsatisfiable, "{text}");
        }
        for text in ["bytes=0-", "bytes=0-0", "bytes=-1"] {
            assert_eq!(wanted(text, 0), Wanted::Unsatisfiable, "{text} of an empty file");
        }
    }

    #[test]
    fn what_is_not_one_byte_range_gets_the_whole() {
        for text in [
            "",
            "bytes",
            "bytes=",
            "bytes=-",
            "bytes=a-b",
            "bytes=5",
            "bytes=9-5",
            "bytes=1-2,5-6",
            "lines=1-2",
            "bytes=+1-2",
            "bytes=1--2",
            "bytes=--1",
            "bytes=1 - 2",
            "bytes=0x1-2",
        ] {
            assert_eq!(wanted(text, 100), Wanted::Whole, "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_part_is_never_empty_and_never_past_the_end(text in "bytes=[0-9]{0,22}-[0-9]{0,22}", total: u64) {
            if let Wanted::Part { start, len } = wanted(&text, total) {
                prop_assert!(len > 0);
                prop_assert!(start.checked_add(len).is_some_and(|end| end <= total));
            }
        }

        #[test]
        fn any_text_is_survived(text in ".*", total: u64) {
            let _ = wanted(&text, total);
        }

        #[test]
        fn a_range_within_the_file_is_sent_as_asked(total in 1u64.., a: u64, b: u64) {
            let (first, last) = ((a % total).min(b % total), (a % total).max(b % total));
            prop_assert_eq!(
                wanted(&format!("bytes={first}-{last}"), total),
                Wanted::Part { start: first, len: last - first + 1 }
            );
        }
    }
}
