//! Days of the proleptic Gregorian calendar (Hinnant 2013, "chrono-compatible low-level date algorithms").

pub(super) const DAY_SECONDS: i64 = 86_400;

/// Days from 1 January 1970 to a date.
pub(super) fn days_of(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// Year, month and day that lie so many days behind 1 January 1970.
pub(super) fn date_of(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let (day, month) = (day_of_year - (153 * shifted + 2) / 5 + 1, (shifted + 2) % 12 + 1);
    (era * 400 + year_of_era + i64::from(month <= 2), month, day)
}

/// How many days a month has; months beyond 1 to 12 count on into other years.
pub(super) fn days_in(year: i64, month: i64) -> i64 {
    let (next_year, next) = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
    days_of(next_year, next, 1) - days_of(year, month, 1)
}

/// 0 for Monday.
pub(super) fn weekday_of(days: i64) -> i64 {
    (days + 3).rem_euclid(7)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 800 years, walked a day at a time by the rules of the calendar.
    #[test]
    fn a_walk_through_the_calendar() {
        let (mut year, mut month, mut day, mut weekday) = (1600, 1, 1, 5); // a Saturday
        for days in days_of(1600, 1, 1)..days_of(2400, 1, 1) {
            assert_eq!((date_of(days), days_of(year, month, day)), ((year, month, day), days));
            assert_eq!(weekday_of(days), weekday);
            let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
            let length = match month {
                2 => 28 + i64::from(leap),
                4 | 6 | 9 | 11 => 30,
                _ => 31,
            };
            assert_eq!(days_in(year, month), length);
            weekday = (weekday + 1) % 7;
            (year, month, day) = match (day == length, month) {
                (true, 12) => (year + 1, 1, 1),
                (true, _) => (year, month + 1, 1),
                _ => (year, month, day + 1),
            };
        }
        assert_eq!((date_of(0), weekday_of(0)), ((1970, 1, 1), 3));
    }
}
