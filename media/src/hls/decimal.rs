//! Decimal numbers of seconds, in whole microseconds: `f32`, as m3u8-rs has it, loses them at the first minute.

/// Longest duration taken seriously, one day.
const MAX_SECONDS: i64 = 86_400;

/// Microseconds of the decimal number that `text` begins with, rounded to the nearest; none where there is
/// no number, or one that is not between zero and a day.
pub(super) fn leading_micros(text: &str) -> Option<i64> {
    let text = text.trim_start();
    let (whole, rest) = split_digits(text);
    let fraction = rest.strip_prefix('.').map_or("", |rest| split_digits(rest).0);
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let seconds = whole.bytes().try_fold(0i64, |sum, b| {
        let sum = sum * 10 + i64::from(b - b'0');
        (sum <= MAX_SECONDS).then_some(sum)
    })?;
    let mut digits = fraction.bytes().map(|b| i64::from(b - b'0')).chain(std::iter::repeat(0));
    let micros = digits.by_ref().take(6).fold(0, |sum, digit| sum * 10 + digit);
    let round_up = i64::from(digits.next().is_some_and(|digit| digit >= 5));
    Some(seconds * 1_000_000 + micros + round_up)
}

fn split_digits(text: &str) -> (&str, &str) {
    text.split_at(text.bytes().position(|b| !b.is_ascii_digit()).unwrap_or(text.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_keep_their_microseconds() {
        for (text, expected) in [
            ("10", Some(10_000_000)),
            ("6.006,title", Some(6_006_000)),
            ("1.9969160994", Some(1_996_916)),
            ("1.9999995", Some(2_000_000)),
            (".5", Some(500_000)),
            ("5.", Some(5_000_000)),
            (" 4;", Some(4_000_000)),
            ("-1,", None),
            ("NaN", None),
            ("", None),
            (".", None),
            ("86401", None),
            ("99999999999999999999999", None),
        ] {
            assert_eq!(leading_micros(text), expected, "{text}");
        }
    }
}
