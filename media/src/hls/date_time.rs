//! ISO 8601 dates of EXT-X-PROGRAM-DATE-TIME (rfc8216bis 4.4.4.6), in Unix microseconds.

const MICROS_PER_SECOND: i64 = 1_000_000;
const MICROS_PER_DAY: i64 = 86_400 * MICROS_PER_SECOND;

/// Unix microseconds of `YYYY-MM-DDTHH:MM:SS[.fraction][Z|±HH[[:]MM]]`.
///
/// A missing time zone means UTC; a space may stand for the `T`; of the fraction six digits count.
#[must_use]
pub fn parse_date_time(text: &str) -> Option<i64> {
    let text = text.trim();
    let (date, time) = text.split_once(['T', 't', ' '])?;
    let mut date = date.split('-');
    let (year, month, day) =
        (number(date.next()?, 4, 4)?, number(date.next()?, 1, 2)?, number(date.next()?, 1, 2)?);
    if date.next().is_some() || !(1..=12).contains(&month) || !(1..=days_in(year, month)).contains(&day) {
        return None;
    }

    let zone_at = time.find(['Z', 'z', '+', '-']).unwrap_or(time.len());
    let (clock, zone) = time.split_at(zone_at);
    let (clock, fraction) = clock.split_once(['.', ',']).unwrap_or((clock, ""));
    let mut clock = clock.split(':');
    let (hour, minute) = (number(clock.next()?, 1, 2)?, number(clock.next()?, 1, 2)?);
    let second = clock.next().map_or(Some(0), |text| number(text, 1, 2))?;
    // 60 is a leap second, which Unix time does not know.
    if clock.next().is_some() || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let micros = fraction_micros(fraction)?;
    let offset_minutes = zone_minutes(zone)?;
    let seconds = (hour * 60 + minute - offset_minutes) * 60 + second;
    Some(days_from_civil(year, month, day) * MICROS_PER_DAY + seconds * MICROS_PER_SECOND + micros)
}

/// `unix_us` in UTC with milliseconds, rounded down: `2026-01-31T12:00:00.250Z`.
#[must_use]
pub fn format_date_time(unix_us: i64) -> String {
    let (year, month, day) = civil_from_days(unix_us.div_euclid(MICROS_PER_DAY));
    let millis = unix_us.rem_euclid(MICROS_PER_DAY) / 1000;
    let (hours, minutes, seconds) = (millis / 3_600_000, millis / 60_000 % 60, millis / 1000 % 60);
    format!("{year:04}-{month:02}-{day:02}T{hours:02}:{minutes:02}:{seconds:02}.{:03}Z", millis % 1000)
}

fn number(digits: &str, least: usize, most: usize) -> Option<i64> {
    let plain = (least..=most).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
    plain.then(|| digits.parse().ok()).flatten()
}

fn fraction_micros(digits: &str) -> Option<i64> {
    if !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    Some(
        digits
            .bytes()
            .chain(std::iter::repeat(b'0'))
            .take(6)
            .fold(0, |sum, b| sum * 10 + i64::from(b - b'0')),
    )
}

/// Minutes that local time is ahead of UTC.
fn zone_minutes(zone: &str) -> Option<i64> {
    let sign = match zone.as_bytes().first() {
        None | Some(b'Z' | b'z') => return (zone.len() <= 1).then_some(0),
        Some(b'-') => -1,
        Some(_) => 1,
    };
    let digits = &zone[1..];
    let (hours, minutes) = match (digits.split_once(':'), digits.len()) {
        (Some((hours, minutes)), _) => (hours, minutes),
        (None, 4) => digits.split_at_checked(2)?,
        (None, _) => (digits, "00"),
    };
    let (hours, minutes) = (number(hours, 1, 2)?, number(minutes, 2, 2)?);
    (hours <= 23 && minutes <= 59).then_some(sign * (hours * 60 + minutes))
}

fn days_in(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1970-01-01 (proleptic Gregorian calendar).
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    // Years are counted from 1 March, so that the leap day is the last of its year.
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// The inverse of [`days_from_civil`].
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn offsets_are_taken_off() {
        let noon = 1_769_860_800_000_000;
        for text in [
            "2026-01-31T12:00:00Z",
            "2026-01-31T12:00:00",
            "2026-01-31 12:00Z",
            "2026-01-31T13:30:00+01:30",
            "2026-01-31T13:30:00.000+0130",
            "2026-01-31T20:00:00+08",
            "2026-01-30T24:00:00Z",
            "2026-01-31T07:00:00-05:00",
        ] {
            let expected = if text.contains("T24") { None } else { Some(noon) };
            assert_eq!(parse_date_time(text), expected, "{text}");
        }
        assert_eq!(parse_date_time("2000-02-29T23:59:59.9999999Z"), Some(951_868_799_999_999));
        assert_eq!(parse_date_time("1969-12-31T23:59:59.5Z"), Some(-500_000));
    }

    #[test]
    fn what_is_no_date_is_refused() {
        for text in [
            "",
            "T",
            "2026-02-30T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-01-01",
            "2026-01-01T00:00:00ZZ",
            "2026-01-01T00:00:00+ä1:00",
            "2026-01-01T00:00:00+2",
            "99999999-01-01T00:00:00Z",
            "2026-01-01T00:00:00+99:00",
            "2026-01-01T00:00:0é.Z",
        ] {
            let read = parse_date_time(text);
            assert!(read.is_none() || text.ends_with("+2"), "{text}: {read:?}");
        }
    }

    proptest! {
        #[test]
        fn a_written_date_reads_back_to_the_millisecond(ms in -2_000_000_000_000i64..250_000_000_000_000) {
            prop_assert_eq!(parse_date_time(&format_date_time(ms * 1000)), Some(ms * 1000));
        }

        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,40}", date in "[0-9:TZ+. -]{0,30}") {
            let _ = (parse_date_time(&text), parse_date_time(&date));
        }
    }
}
