//! Times: read from text, and written again as the text was.
use super::civil::{DAY_SECONDS, date_of, days_in, days_of};
use serde::{Deserialize, Serialize};

/// A time: seconds of the civil clock since 1970, or a whole number. Which of them, its [`StampForm`] says.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Stamp(pub i64);

/// Whole numbers that are exact in every program: ±2⁵³.
const LARGEST: i64 = 1 << 53;

/// How a file writes its times.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StampForm {
    /// Whole numbers.
    Integer,
    /// Dates, with or without a clock.
    Civil(Civil),
}

/// The parts of a written date.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Civil {
    /// What stands between year, month and day.
    mark: char,
    /// Whether months, days and hours have two digits.
    padded: bool,
    /// Whether there is a day.
    day: bool,
    clock: Clock,
    /// What stands between date and clock.
    between: char,
    /// `Z`, `+01:00`, or nothing.
    offset: String,
}

/// How much of the clock is written.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Clock {
    None,
    Minutes,
    Seconds,
}

impl Stamp {
    /// The time that a text says: a whole number, `2024-02`, `2024-02-29`, `2024/2/29 7:30`, `2024-02-29T07:30:00Z`.
    pub fn parse(text: &str) -> Option<(Stamp, StampForm)> {
        let text = text.trim();
        let digits = text.strip_prefix('-').unwrap_or(text);
        if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) {
            let n: i64 = text.parse().ok()?;
            return (n.abs() <= LARGEST).then_some((Stamp(n), StampForm::Integer));
        }
        let at = text.find(['T', ' ']);
        let (date, clock) = at.map_or((text, None), |at| (&text[..at], Some(text[at + 1..].trim_start())));
        let mark = date.chars().find(|c| !c.is_ascii_digit()).filter(|c| "-/".contains(*c))?;
        let parts: Vec<&str> = date.split(mark).collect();
        let ([year, month], day) = match parts[..] {
            [year, month] => ([year, month], None),
            [year, month, day] => ([year, month], Some(day)),
            _ => return None,
        };
        if year.len() != 4 || parts.iter().skip(1).any(|part| part.is_empty() || part.len() > 2) {
            return None;
        }
        let (year, month) = (number(year)?, number(month)?);
        let of_month = day.map_or(Some(1), number)?;
        if !(1..=12).contains(&month) || !(1..=days_in(year, month)).contains(&of_month) {
            return None;
        }
        let (seconds, written, offset) = clock.map_or(Some((0, Clock::None, "")), clock_of)?;
        let padded = parts.iter().skip(1).all(|part| part.len() == 2);
        let form = Civil {
            mark,
            padded,
            day: day.is_some(),
            clock: written,
            between: if text.contains('T') { 'T' } else { ' ' },
            offset: offset.to_owned(),
        };
        Some((Stamp(days_of(year, month, of_month) * DAY_SECONDS + seconds), StampForm::Civil(form)))
    }
}

fn number(text: &str) -> Option<i64> {
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok())?
}

/// Seconds of the day, what was written, and the offset.
fn clock_of(text: &str) -> Option<(i64, Clock, &str)> {
    let end = text.find(['Z', '+', '-']).unwrap_or(text.len());
    let (clock, offset) = (text[..end].trim_end(), &text[end..]);
    let is_offset = |o: &str| {
        o.len() == 6 && o.is_ascii() && o[1..3].parse::<u8>().is_ok() && &o[3..4] == ":" && o[4..].parse::<u8>().is_ok()
    };
    if !(offset.is_empty() || offset == "Z" || is_offset(offset)) {
        return None;
    }
    let mut parts = clock.split(':');
    let (hour, minute) =
        (number(parts.next().filter(|h| !h.is_empty())?)?, number(parts.next().filter(|m| m.len() == 2)?)?);
    let (second, written) = match parts.next() {
        None => (0, Clock::Minutes),
        Some(text) => {
            let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
            let is_whole = whole.len() == 2 && fraction.bytes().all(|b| b == b'0');
            (if is_whole { number(whole)? } else { return None }, Clock::Seconds)
        }
    };
    let fits = parts.next().is_none() && hour < 24 && minute < 60 && second < 60;
    fits.then_some((hour * 3600 + minute * 60 + second, written, offset))
}

impl StampForm {
    /// The form that writes all that both write; none for a date and a number, or for two offsets.
    pub fn merged(&self, other: &StampForm) -> Option<StampForm> {
        match (self, other) {
            (StampForm::Integer, StampForm::Integer) => Some(StampForm::Integer),
            (StampForm::Civil(a), StampForm::Civil(b)) => {
                let has_offset = a.clock > Clock::None && b.clock > Clock::None;
                let between = if a.clock > Clock::None { a.between } else { b.between };
                let offset = if a.clock > Clock::None { &a.offset } else { &b.offset };
                (!has_offset || a.offset == b.offset).then(|| {
                    StampForm::Civil(Civil {
                        mark: a.mark,
                        padded: a.padded && b.padded,
                        day: a.day || b.day,
                        clock: a.clock.max(b.clock),
                        between,
                        offset: offset.clone(),
                    })
                })
            }
            _ => None,
        }
    }

    /// The time as text. What the form leaves out and the time needs is written all the same.
    pub fn write(&self, stamp: Stamp) -> String {
        let StampForm::Civil(form) = self else { return stamp.0.to_string() };
        let (days, seconds) = (stamp.0.div_euclid(DAY_SECONDS), stamp.0.rem_euclid(DAY_SECONDS));
        let ((year, month, day), m) = (date_of(days), form.mark);
        let two = |n: i64| if form.padded { format!("{n:02}") } else { n.to_string() };
        let needed = match (seconds, seconds % 60) {
            (0, _) => Clock::None,
            (_, 0) => Clock::Minutes,
            _ => Clock::Seconds,
        };
        let clock = form.clock.max(needed);
        let mut text = format!("{year:04}{m}{}", two(month));
        if form.day || day != 1 || clock > Clock::None {
            text += &format!("{m}{}", two(day));
        }
        if clock > Clock::None {
            text += &format!("{}{}:{:02}", form.between, two(seconds / 3600), seconds / 60 % 60);
        }
        if clock == Clock::Seconds {
            text += &format!(":{:02}", seconds % 60);
        }
        if clock > Clock::None { text + &form.offset } else { text }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_come_back_as_they_were_written() {
        for (text, seconds) in [
            ("1949-01", -662_688_000),
            ("1970-01-02", 86_400),
            ("2013/1/1 0:00", 1_356_998_400),
            ("2016-07-01 01:00:00", 1_467_334_800),
            ("2016-07-01T01:00:00Z", 1_467_334_800),
            ("2016-07-01T01:00+02:00", 1_467_334_800),
            ("17", 17),
            ("-3", -3),
        ] {
            let (stamp, form) = Stamp::parse(text).unwrap();
            assert_eq!((stamp, form.write(stamp).as_str()), (Stamp(seconds), text));
        }
        assert_eq!(Stamp::parse("2020-01-01 00:00:00.000000").unwrap().0, Stamp(1_577_836_800));
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "-",
            "2023-02-29",
            "2023-13-01",
            "1.2.2023",
            "23-01-01",
            "2023-01-01 25:00",
            "2023-01-01 1:5",
            "2023-01-01 00:00:00.5",
            "2023-01-01T00:00+1",
            "2023-1-1-1",
            "x",
        ] {
            assert_eq!(Stamp::parse(text), None, "{text}");
        }
    }

    #[test]
    fn forms_merge_to_what_writes_both() {
        let form = |text: &str| Stamp::parse(text).unwrap().1;
        let both = form("2020-01-01").merged(&form("2020-01-01 06:00:00")).unwrap();
        assert_eq!(both.write(Stamp(0)), "1970-01-01 00:00:00");
        assert_eq!(form("2020-01-01T00:00Z").merged(&form("2020-01-01T00:00+01:00")), None);
        assert_eq!(form("3").merged(&form("2020-01-01")), None);
        assert_eq!(form("2020-01").write(Stamp(3600)), "1970-01-01 01:00");
    }
}
