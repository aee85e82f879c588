//! Frequencies: which time follows which. Names are those of pandas, old and new.
use super::civil::{DAY_SECONDS, date_of, days_in, days_of, weekday_of};
use super::stamp::Stamp;
use crate::error::{ForecastError, Result};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// At which end of a month times lie.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Edge {
    /// The first day.
    Start,
    /// The last day.
    End,
}

/// The step from one value of a series to the next. Two are equal whose grids are, wherever the series that they were found in begin.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Freq {
    /// Whole numbers, so far apart.
    Integer(i64),
    /// So many seconds: `s`, `min`, `h` and their multiples.
    Seconds(i64),
    /// So many days of the civil calendar: `D`.
    Days(i64),
    /// So many days from Monday to Friday: `B`.
    Business(i64),
    /// So many weeks, always on one day: `W`, `W-MON`.
    Weeks {
        /// How many.
        every: i64,
        /// The day, 0 for Monday.
        day: i64,
    },
    /// So many months, on their first or last days: `MS`, `ME`, `QS`, `QE`, `YS`, `YE`.
    Months {
        /// How many months.
        every: i64,
        /// First or last days.
        edge: Edge,
        /// A month, from 1, that the grid meets; it says which quarters and years are meant.
        anchor: i64,
    },
}

const DAYS: [&str; 7] = ["MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN"];
const MONTHS: [&str; 12] = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];

/// Months after which the anchors of a grid come again: quarters and years are meant by their months; other steps start anywhere.
fn unit_of(every: i64) -> i64 {
    [12, 3].into_iter().find(|unit| every % unit == 0).unwrap_or(1)
}

impl PartialEq for Freq {
    fn eq(&self, other: &Freq) -> bool {
        // Kind, steps, and what tells grids of equal steps apart.
        let key = |freq: &Freq| match *freq {
            Freq::Integer(n) => (0, n, 0),
            Freq::Seconds(n) => (1, n, 0),
            Freq::Days(n) => (2, n, 0),
            Freq::Business(n) => (3, n, 0),
            Freq::Weeks { every, day } => (4, every, day),
            Freq::Months { every, edge: Edge::Start, anchor } => (5, every, anchor.rem_euclid(unit_of(every))),
            Freq::Months { every, edge: Edge::End, anchor } => (6, every, anchor.rem_euclid(unit_of(every))),
        };
        key(self) == key(other)
    }
}

impl Eq for Freq {}

impl Freq {
    /// How many steps lead from one time of the grid to another; none where `to` is not on the grid of `from`, or `from` on none.
    pub fn steps(&self, from: Stamp, to: Stamp) -> Option<i64> {
        let whole = |difference: i64, every: i64| (difference % every == 0).then_some(difference / every);
        match *self {
            Freq::Integer(n) | Freq::Seconds(n) => whole(to.0 - from.0, n),
            Freq::Days(n) => whole(to.0 - from.0, n * DAY_SECONDS),
            Freq::Weeks { every, day } => {
                let fits = weekday_of(from.0.div_euclid(DAY_SECONDS)) == day;
                whole(to.0 - from.0, every * 7 * DAY_SECONDS).filter(|_| fits)
            }
            Freq::Business(n) => {
                let same_clock = (to.0 - from.0) % DAY_SECONDS == 0;
                whole(business_day(to)? - business_day(from)?, n).filter(|_| same_clock)
            }
            Freq::Months { every, edge, anchor } => {
                let (a, b) = (month_at(from, edge)?, month_at(to, edge)?);
                let same_clock = from.0.rem_euclid(DAY_SECONDS) == to.0.rem_euclid(DAY_SECONDS);
                let anchored = (a - (anchor - 1)).rem_euclid(unit_of(every)) == 0;
                whole(b - a, every).filter(|_| same_clock && anchored)
            }
        }
    }

    /// The time `n` steps from one of the grid.
    pub fn add(&self, stamp: Stamp, n: i64) -> Stamp {
        let (days, clock) = (stamp.0.div_euclid(DAY_SECONDS), stamp.0.rem_euclid(DAY_SECONDS));
        Stamp(match *self {
            Freq::Integer(every) | Freq::Seconds(every) => stamp.0.saturating_add(n.saturating_mul(every)),
            Freq::Days(every) => stamp.0.saturating_add(n.saturating_mul(every * DAY_SECONDS)),
            Freq::Weeks { every, .. } => stamp.0.saturating_add(n.saturating_mul(every * 7 * DAY_SECONDS)),
            Freq::Business(every) => {
                let day = business_day(stamp).unwrap_or(0) + n * every;
                (day.div_euclid(5) * 7 + day.rem_euclid(5) - 3) * DAY_SECONDS + clock
            }
            Freq::Months { every, edge, .. } => {
                let (year, month, _) = date_of(days);
                let month = year * 12 + month - 1 + n * every;
                let (year, month) = (month.div_euclid(12), month.rem_euclid(12) + 1);
                let day = if edge == Edge::Start { 1 } else { days_in(year, month) };
                days_of(year, month, day) * DAY_SECONDS + clock
            }
        })
    }

    /// The times of the grid around one that is not on it; `from` is on it.
    pub fn around(&self, from: Stamp, stamp: Stamp) -> (Stamp, Stamp) {
        let (mut low, mut high) = (-1, 1);
        while self.add(from, low) > stamp {
            low *= 2;
        }
        while self.add(from, high) < stamp {
            high *= 2;
        }
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            if self.add(from, middle) <= stamp { low = middle } else { high = middle }
        }
        (self.add(from, low), self.add(from, high))
    }

    /// Steps after which such series usually repeat themselves: a day of hours or minutes, a week of days, a year of weeks, months or quarters. 1 where nothing is usual.
    pub fn season(&self) -> usize {
        let part = |whole: i64, part: i64| if part < whole && whole % part == 0 { (whole / part) as usize } else { 1 };
        match *self {
            Freq::Integer(_) => 1,
            Freq::Seconds(n) if n < 60 => part(60, n),
            Freq::Seconds(n) => part(DAY_SECONDS, n),
            Freq::Days(n) => part(7, n),
            Freq::Business(n) => part(5, n),
            Freq::Weeks { every, .. } => part(52, every),
            Freq::Months { every, .. } => part(12, every),
        }
    }
}

/// Number of a day among Mondays to Fridays; none at weekends.
fn business_day(stamp: Stamp) -> Option<i64> {
    let days = stamp.0.div_euclid(DAY_SECONDS);
    (weekday_of(days) < 5).then(|| (days + 3).div_euclid(7) * 5 + weekday_of(days))
}

/// Number of a month, if the time lies on that edge of it.
pub(super) fn month_at(stamp: Stamp, edge: Edge) -> Option<i64> {
    let (year, month, day) = date_of(stamp.0.div_euclid(DAY_SECONDS));
    let want = if edge == Edge::Start { 1 } else { days_in(year, month) };
    (day == want).then_some(year * 12 + month - 1)
}

impl FromStr for Freq {
    type Err = ForecastError;

    fn from_str(text: &str) -> Result<Freq> {
        let unknown = || {
            let want = "s, min, h, D, B, W (W-MON …), MS, ME, QS, QE, YS, YE, a multiple such as 15min, or a whole number are known";
            ForecastError::Frequency { what: format!("the frequency {text:?} is not known; {want}") }
        };
        let text = text.trim();
        let at = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (digits, name) = text.split_at(at);
        let n: i64 = if digits.is_empty() { 1 } else { digits.parse().map_err(|_| unknown())? };
        if !(1..=1_000_000_000).contains(&n) {
            return Err(unknown());
        }
        let (name, suffix) = name.split_once('-').map_or((name, None), |(name, suffix)| (name, Some(suffix)));
        let place = |names: &[&str]| {
            let find = |s: &str| names.iter().position(|n| n.eq_ignore_ascii_case(s)).map(|i| i as i64);
            suffix.map(|s| find(s).ok_or_else(unknown)).transpose()
        };
        let months = |every: i64, edge: Edge, default: i64| {
            let anchor = place(&MONTHS)?.map_or(default, |month| month + 1);
            Ok(Freq::Months { every: every * n, edge, anchor })
        };
        match (name, suffix) {
            ("", None) if !digits.is_empty() => Ok(Freq::Integer(n)),
            ("s" | "S", None) => Ok(Freq::Seconds(n)),
            ("min" | "T", None) => Ok(Freq::Seconds(60 * n)),
            ("h" | "H", None) => Ok(Freq::Seconds(3600 * n)),
            ("D" | "d", None) => Ok(Freq::Days(n)),
            ("B", None) => Ok(Freq::Business(n)),
            ("W", _) => Ok(Freq::Weeks { every: n, day: place(&DAYS)?.unwrap_or(6) }),
            ("M" | "ME", None) => months(1, Edge::End, 12),
            ("MS", None) => months(1, Edge::Start, 1),
            ("Q" | "QE", _) => months(3, Edge::End, 12),
            ("QS", _) => months(3, Edge::Start, 1),
            ("Y" | "YE" | "A", _) => months(12, Edge::End, 12),
            ("YS" | "AS", _) => months(12, Edge::Start, 1),
            _ => Err(unknown()),
        }
    }
}

impl fmt::Display for Freq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let many = |n: i64| if n == 1 { String::new() } else { n.to_string() };
        match *self {
            Freq::Integer(n) => write!(f, "{n}"),
            Freq::Seconds(n) if n % 3600 == 0 => write!(f, "{}h", many(n / 3600)),
            Freq::Seconds(n) if n % 60 == 0 => write!(f, "{}min", many(n / 60)),
            Freq::Seconds(n) => write!(f, "{}s", many(n)),
            Freq::Days(n) => write!(f, "{}D", many(n)),
            Freq::Business(n) => write!(f, "{}B", many(n)),
            Freq::Weeks { every, day } => write!(f, "{}W-{}", many(every), DAYS[day.rem_euclid(7) as usize]),
            Freq::Months { every, edge, anchor } => {
                let (unit, count, usual) = match every {
                    n if n % 12 == 0 => ("Y", n / 12, 12),
                    n if n % 3 == 0 => ("Q", n / 3, 3),
                    n => ("M", n, 1),
                };
                let (letter, default) = if edge == Edge::Start { ("S", 1) } else { ("E", 12) };
                write!(f, "{}{unit}{letter}", many(count))?;
                let is_usual = unit == "M" || (anchor - default).rem_euclid(usual) == 0;
                if is_usual { Ok(()) } else { write!(f, "-{}", MONTHS[(anchor - 1).rem_euclid(12) as usize]) }
            }
        }
    }
}

impl TryFrom<String> for Freq {
    type Error = ForecastError;

    fn try_from(text: String) -> Result<Freq> {
        text.parse()
    }
}

impl From<Freq> for String {
    fn from(freq: Freq) -> String {
        freq.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Stamp {
        Stamp::parse(text).unwrap().0
    }

    fn freq(text: &str) -> Freq {
        text.parse().unwrap()
    }

    /// Steps that a person counts on a calendar.
    #[test]
    fn steps_by_hand() {
        for (name, from, n, to) in [
            ("ME", "2023-01-31", 1, "2023-02-28"),
            ("ME", "2023-01-31", 2, "2023-03-31"),
            ("ME", "2024-01-31", 1, "2024-02-29"),
            ("MS", "1960-12-01", 1, "1961-01-01"),
            ("QE", "2023-03-31", 1, "2023-06-30"),
            ("QS", "2023-01-01", -1, "2022-10-01"),
            ("YE", "2023-12-31", 2, "2025-12-31"),
            ("2MS", "2023-01-01", 3, "2023-07-01"),
            ("B", "2024-03-01", 1, "2024-03-04"),
            ("B", "2024-03-04", -1, "2024-03-01"),
            ("W-MON", "2024-03-04", 2, "2024-03-18"),
            ("D", "2024-02-28", 2, "2024-03-01"),
            ("15min", "2024-02-28 23:45", 1, "2024-02-29 00:00"),
            ("h", "2024-02-28 23:00", 2, "2024-02-29 01:00"),
            ("5", "10", 3, "25"),
        ] {
            let freq = freq(name);
            assert_eq!(freq.add(at(from), n), at(to), "{name}");
            assert_eq!(freq.steps(at(from), at(to)), Some(n), "{name}");
        }
    }

    #[test]
    fn what_is_off_the_grid_has_no_steps() {
        for (name, from, to) in [
            ("ME", "2023-01-31", "2023-02-27"),
            ("MS", "2023-01-02", "2023-02-02"),
            ("QE", "2023-03-31", "2023-05-31"),
            ("QE", "2023-02-28", "2023-05-31"),
            ("B", "2024-03-01", "2024-03-02"),
            ("W", "2024-03-04", "2024-03-11"),
            ("h", "2024-03-04 00:00", "2024-03-04 00:30"),
            ("D", "2024-03-04 00:00", "2024-03-05 01:00"),
        ] {
            assert_eq!(freq(name).steps(at(from), at(to)), None, "{name}");
        }
        let (before, after) = freq("ME").around(at("2023-01-31"), at("2023-04-12"));
        assert_eq!((before, after), (at("2023-03-31"), at("2023-04-30")));
        assert_eq!(freq("D").around(at("2023-01-31"), at("2023-01-12 08:00")), (at("2023-01-12"), at("2023-01-13")));
    }

    #[test]
    fn names_are_read_and_written() {
        for (name, written) in [
            ("T", "min"),
            ("30T", "30min"),
            ("H", "h"),
            ("M", "ME"),
            ("A", "YE"),
            ("W", "W-SUN"),
            ("QE-NOV", "QE-NOV"),
            ("QS-APR", "QS"),
            ("7", "7"),
            ("3600s", "h"),
            ("BOGUS", ""),
        ] {
            assert_eq!(name.parse::<Freq>().map(|f| f.to_string()).unwrap_or_default(), written, "{name}");
        }
        for name in ["", "0D", "W-XYZ", "D-MON", "99999999999D"] {
            assert!(name.parse::<Freq>().is_err(), "{name}");
        }
    }

    /// Adding and counting are inverse for every frequency, over 400 years.
    #[test]
    fn adding_and_counting_are_inverse() {
        for name in ["ME", "MS", "QE", "QS", "YE", "YS", "B", "W-THU", "D", "h"] {
            let freq = freq(name);
            let start = match name {
                "ME" | "QE" | "YE" => at("1969-12-31"),
                _ => at("1970-01-01"),
            };
            let mut before = start;
            for n in 1..4800 {
                let next = freq.add(start, n);
                assert_eq!((freq.add(before, 1), freq.steps(start, next)), (next, Some(n)), "{name} {n}");
                assert!(next > before);
                before = next;
            }
        }
    }
}
