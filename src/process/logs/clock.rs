//! Times as text: UTC, since processes of one topology may one day be on several hosts.

use std::fmt;

/// Microseconds of Unix time, shown as `HH:MM:SS.mmm`.
pub(super) struct TimeOfDay(pub(super) u64);

/// Microseconds of Unix time, shown as RFC 3339 with microseconds.
pub(super) struct Rfc3339(pub(super) u64);

const MICROS: u64 = 1_000_000;
const DAY_SECONDS: u64 = 86_400;

impl fmt::Display for TimeOfDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0 / MICROS % DAY_SECONDS;
        let millis = self.0 % MICROS / 1000;
        write!(f, "{:02}:{:02}:{:02}.{millis:03}", seconds / 3600, seconds / 60 % 60, seconds % 60)
    }
}

impl fmt::Display for Rfc3339 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = date(self.0 / MICROS / DAY_SECONDS);
        let seconds = self.0 / MICROS % DAY_SECONDS;
        write!(f, "{year:04}-{month:02}-{day:02}T")?;
        write!(f, "{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)?;
        write!(f, ".{:06}Z", self.0 % MICROS)
    }
}

/// The Gregorian date of a day since 1970, by counting in eras of 400 years that begin on a first of March, so
/// that the leap day is the last of its year.
fn date(days_since_1970: u64) -> (u64, u64, u64) {
    const DAYS_TO_1970: u64 = 719_468; // From the first of March of the year 0.
    const ERA_DAYS: u64 = 146_097;
    let days = days_since_1970 + DAYS_TO_1970;
    let (era, day_of_era) = (days / ERA_DAYS, days % ERA_DAYS);
    let leaps = day_of_era / 1460 + day_of_era / 146_096 - day_of_era / 36_524;
    let year_of_era = (day_of_era - leaps) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_times_read_as_they_should() {
        let cases = [
            (0, "1970-01-01T00:00:00.000000Z"),
            (951_782_400, "2000-02-29T00:00:00.000000Z"),
            (1_709_251_199, "2024-02-29T23:59:59.000000Z"),
            (4_102_444_800, "2100-01-01T00:00:00.000000Z"),
            (4_107_542_400, "2100-03-01T00:00:00.000000Z"),
        ];
        for (seconds, text) in cases {
            assert_eq!(Rfc3339(seconds * MICROS).to_string(), text);
        }
        assert_eq!(TimeOfDay(1_709_251_199_042_999).to_string(), "23:59:59.042");
    }
}
