//! Wall-clock stamps for names and records. Invariant: the only place of this crate that asks for the date.
//!
//! Durations are measured with `Instant`; a stamp is only ever written down.

use std::time::{SystemTime, UNIX_EPOCH};

/// Milliseconds since 1970 in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stamp(u64);

impl Stamp {
    /// The present moment.
    pub fn now() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }

    /// A stamp from milliseconds since 1970.
    pub fn from_unix_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// `2026-11-22T23:15:00.123Z`.
    pub fn iso(self) -> String {
        let (year, month, day) = civil_date(self.0 / 86_400_000);
        let (hour, minute, second) = self.time_of_day();
        format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:03}Z", self.0 % 1000)
    }

    /// `20261122T231500Z`, for names of folders.
    pub fn compact(self) -> String {
        let (year, month, day) = civil_date(self.0 / 86_400_000);
        let (hour, minute, second) = self.time_of_day();
        format!("{year:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}Z")
    }

    fn time_of_day(self) -> (u64, u64, u64) {
        let seconds = self.0 / 1000 % 86_400;
        (seconds / 3600, seconds / 60 % 60, seconds % 60)
    }
}

/// Year, month and day of a day number since 1970-01-01.
///
/// # Source
/// Howard Hinnant, "chrono-compatible low-level date algorithms", `civil_from_days`, for days after 1970.
fn civil_date(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (year_of_era + era * 400 + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_are_utc_dates() {
        let check = |millis, iso: &str, compact: &str| {
            assert_eq!(Stamp::from_unix_millis(millis).iso(), iso);
            assert_eq!(Stamp::from_unix_millis(millis).compact(), compact);
        };
        check(0, "1970-01-01T00:00:00.000Z", "19700101T000000Z");
        check(951_782_399_999, "2000-02-28T23:59:59.999Z", "20000228T235959Z");
        check(951_782_400_000, "2000-02-29T00:00:00.000Z", "20000229T000000Z");
        check(1_735_689_599_001, "2024-12-31T23:59:59.001Z", "20241231T235959Z");
        check(4_107_542_400_000, "2100-03-01T00:00:00.000Z", "21000301T000000Z");
    }
}
