//! Times as text.

/// Unix microseconds of an RFC 3339 (or ISO 8601 as in HLS) time; panics on anything else.
pub fn unix_micros(text: &str) -> i64 {
    parse(text).unwrap_or_else(|| panic!("'{text}' is not a time"))
}

fn parse(text: &str) -> Option<i64> {
    let (date, time) = text.split_once('T')?;
    let mut date = date.split('-').map(str::parse::<i64>);
    let (year, month, day) = (date.next()?.ok()?, date.next()?.ok()?, date.next()?.ok()?);
    let zone = time.find(['Z', '+', '-'])?;
    let (clock, zone) = time.split_at(zone);
    let mut clock = clock.split(':');
    let (hours, minutes) = (clock.next()?.parse::<i64>().ok()?, clock.next()?.parse::<i64>().ok()?);
    let (seconds, fraction) = clock.next().map(|s| s.split_once('.').unwrap_or((s, "0")))?;
    let micros: i64 = format!("{fraction:0<6}").get(..6)?.parse().ok()?;
    let zone_minutes = match zone.replace(':', "").as_str() {
        "Z" => 0,
        offset => {
            let sign = if offset.starts_with('-') { -1 } else { 1 };
            sign * (offset.get(1..3)?.parse::<i64>().ok()? * 60 + offset.get(3..5)?.parse::<i64>().ok()?)
        }
    };
    // Days since 1970-01-01, with years that begin in March.
    let (year, month) = if month <= 2 { (year - 1, month + 9) } else { (year, month - 3) };
    let era = year.div_euclid(400);
    let in_era = year.rem_euclid(400) * 365 + year.rem_euclid(400) / 4 - year.rem_euclid(400) / 100;
    let days = era * 146_097 + in_era + (153 * month + 2) / 5 + day - 1 - 719_468;
    let seconds = ((days * 24 + hours) * 60 + minutes - zone_minutes) * 60 + seconds.parse::<i64>().ok()?;
    Some(seconds * 1_000_000 + micros)
}

#[test]
fn times_are_read_with_zone_and_fraction() {
    assert_eq!(unix_micros("1970-01-01T00:00:01Z"), 1_000_000);
    assert_eq!(unix_micros("2000-02-29T00:00:00.000Z"), 951_782_400_000_000);
    assert_eq!(unix_micros("2026-07-01T02:00:00.25+0200"), 1_782_864_000_250_000);
    assert_eq!(unix_micros("2026-06-30T19:30:00.250-04:30"), 1_782_864_000_250_000);
}
