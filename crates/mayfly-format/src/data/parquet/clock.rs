//! Dates and times as text: `2024-02-29`, `2024-02-29 07:30:00.5Z`.

/// What a stored date or time counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Clock {
    /// Days since 1970.
    Days,
    /// Parts of a second since 1970, and whether they are those of UTC.
    Parts { per_second: i64, utc: bool },
    /// Parts of a second since midnight.
    OfDay { per_second: i64 },
}

const DAY_SECONDS: i64 = 86_400;

impl Clock {
    /// The text that says the stored value.
    pub(super) fn written(self, value: i64) -> String {
        match self {
            Self::Days => date(value),
            Self::Parts { per_second, utc } => {
                let seconds = value.div_euclid(per_second);
                let (day, of_day) = (seconds.div_euclid(DAY_SECONDS), seconds.rem_euclid(DAY_SECONDS));
                let zone = if utc { "Z" } else { "" };
                format!("{} {}{zone}", date(day), time(of_day, value.rem_euclid(per_second), per_second))
            }
            Self::OfDay { per_second } => time(value.div_euclid(per_second), value.rem_euclid(per_second), per_second),
        }
    }
}

fn time(seconds: i64, parts: i64, per_second: i64) -> String {
    let clock = format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
    if parts == 0 {
        return clock;
    }
    let digits = per_second.ilog10() as usize;
    format!("{clock}.{}", format!("{parts:0digits$}").trim_end_matches('0'))
}

/// A day of the proleptic Gregorian calendar by its distance from 1 January 1970 (Hinnant 2013).
fn date(days: i64) -> String {
    let days = i128::from(days) + 719_468; // any value may be stored
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let shifted = (5 * of_year + 2) / 153;
    let (day, month) = (of_year - (153 * shifted + 2) / 5 + 1, (shifted + 2) % 12 + 1);
    format!("{:04}-{month:02}-{day:02}", era * 400 + year + i128::from(month <= 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_by_hand() {
        for (clock, value, want) in [
            (Clock::Days, 0, "1970-01-01"),
            (Clock::Days, 19_782, "2024-02-29"),
            (Clock::Days, -1, "1969-12-31"),
            (Clock::Parts { per_second: 1000, utc: false }, 1_709_191_800_500, "2024-02-29 07:30:00.5"),
            (Clock::Parts { per_second: 1_000_000, utc: true }, -1, "1969-12-31 23:59:59.999999Z"),
            (Clock::Parts { per_second: 1_000_000_000, utc: false }, 86_400_000_000_000, "1970-01-02 00:00:00"),
            (Clock::Parts { per_second: 1000, utc: false }, 5, "1970-01-01 00:00:00.005"),
            (Clock::OfDay { per_second: 1000 }, 27_000_000, "07:30:00"),
        ] {
            assert_eq!(clock.written(value), want);
        }
        for extreme in [i64::MIN, i64::MAX] {
            for clock in [Clock::Days, Clock::Parts { per_second: 1, utc: true }, Clock::OfDay { per_second: 1000 }] {
                assert!(!clock.written(extreme).is_empty());
            }
        }
    }
}
