//! The one place that asks for the time.
//!
//! The process reads the wall clock once; from then on Unix time goes on with tokio's clock, so a stepped
//! wall clock moves no deadline and a paused test sees paused Unix time.

use std::sync::OnceLock;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

/// Microseconds since 1970-01-01 UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Default)]
#[serde(transparent)]
pub struct UnixMicros(pub i64);

impl UnixMicros {
    /// This moment plus `micros`, which may be negative.
    #[must_use]
    pub fn plus_micros(self, micros: i64) -> Self {
        Self(self.0.saturating_add(micros))
    }

    /// Microseconds from `earlier` to this moment, negative when `earlier` is later.
    #[must_use]
    pub fn micros_since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }

    /// Whole milliseconds since 1970-01-01 UTC.
    #[must_use]
    pub fn as_millis(self) -> i64 {
        self.0.div_euclid(1000)
    }
}

struct Base {
    instant: Instant,
    unix: UnixMicros,
}

static BASE: OnceLock<Base> = OnceLock::new();

#[expect(clippy::disallowed_methods, reason = "this is the clock module")]
fn base() -> &'static Base {
    BASE.get_or_init(|| {
        let since_epoch =
            std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or(Duration::ZERO);
        Base {
            instant: Instant::now(),
            unix: UnixMicros(i64::try_from(since_epoch.as_micros()).unwrap_or(i64::MAX)),
        }
    })
}

/// Unix time now.
#[must_use]
pub fn now() -> UnixMicros {
    let base = base();
    let now = Instant::now();
    let elapsed = match now.checked_duration_since(base.instant) {
        Some(after) => i64::try_from(after.as_micros()).unwrap_or(i64::MAX),
        None => -i64::try_from(base.instant.duration_since(now).as_micros()).unwrap_or(i64::MAX),
    };
    base.unix.plus_micros(elapsed)
}

/// The tokio instant at which Unix time `at` comes; now when `at` has passed.
#[must_use]
pub fn instant_at(at: UnixMicros) -> Instant {
    let wait = at.micros_since(now()).max(0);
    Instant::now() + Duration::from_micros(wait.unsigned_abs())
}

/// RFC 3339 in UTC with milliseconds, e.g. `2026-01-31T12:00:00.250Z`.
#[must_use]
pub fn rfc3339(at: UnixMicros) -> String {
    let millis = at.as_millis();
    let days = millis.div_euclid(86_400_000);
    let in_day = millis.rem_euclid(86_400_000);
    let (year, month, day) = civil_from_days(days);
    let (hours, minutes, seconds, ms) =
        (in_day / 3_600_000, in_day / 60_000 % 60, in_day / 1000 % 60, in_day % 1000);
    format!("{year:04}-{month:02}-{day:02}T{hours:02}:{minutes:02}:{seconds:02}.{ms:03}Z")
}

/// Year, month and day of a day number that counts from 1970-01-01 (proleptic Gregorian calendar).
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    // Years are counted from 1 March, so that the leap day is the last of its year.
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_rfc_3339() {
        assert_eq!(rfc3339(UnixMicros(0)), "1970-01-01T00:00:00.000Z");
        assert_eq!(rfc3339(UnixMicros(951_782_399_999_000)), "2000-02-28T23:59:59.999Z");
        assert_eq!(rfc3339(UnixMicros(951_782_400_000_000)), "2000-02-29T00:00:00.000Z");
        assert_eq!(rfc3339(UnixMicros(1_782_864_000_250_999)), "2026-07-01T00:00:00.250Z");
        assert_eq!(rfc3339(UnixMicros(-1)), "1969-12-31T23:59:59.999Z");
    }

    #[tokio::test(start_paused = true)]
    async fn paused_time_moves_unix_time() {
        let start = now();
        tokio::time::advance(Duration::from_secs(90)).await;
        assert_eq!(now().micros_since(start), 90_000_000);
        assert_eq!(instant_at(start), Instant::now());
    }
}
