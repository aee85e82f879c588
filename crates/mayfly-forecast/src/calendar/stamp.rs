//! Times: read from text, and written again as the text was.
use super::civil::{DAY_SECONDS, date_of, days_in, days_of};
use super::zone::{NoInstant, Zone};
use serde::{Deserialize, Serialize};

/// A time: seconds since 1970 of the civil clock or of universal time, or a whole number. Which of them, its [`StampForm`] says.
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
    /// `Z`, `+01:00`, nothing, or [`VARYING`].
    offset: String,
    /// Whose clock it is, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    zone: Option<InZone>,
}

/// In place of an offset where every time has that of the zone.
const VARYING: &str = "zone";

/// Times of a zone.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct InZone {
    zone: Zone,
    /// Whether they are seconds of universal time, by which steps of hours and less count; else of the zone's clock, by which days and more do.
    absolute: bool,
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
            zone: None,
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

/// Seconds of an offset, where one is written.
fn seconds_of(offset: &str) -> Option<i64> {
    if offset == "Z" {
        return Some(0);
    }
    let (hours, minutes) = (offset.get(1..3)?.parse::<i64>().ok()?, offset.get(4..6)?.parse::<i64>().ok()?);
    let seconds = hours * 3600 + minutes * 60;
    Some(if offset.starts_with('-') { -seconds } else { seconds })
}

fn offset_text(seconds: i64) -> String {
    let (sign, minutes) = (if seconds < 0 { '-' } else { '+' }, seconds.abs() / 60);
    format!("{sign}{:02}:{:02}", minutes / 60, minutes % 60)
}

impl Civil {
    /// What is written of a time: the clock, and the offset.
    fn shown(&self, stamp: Stamp) -> (i64, String) {
        let Some(InZone { zone, absolute }) = &self.zone else { return (stamp.0, self.offset.clone()) };
        let instant = if *absolute { stamp.0 } else { zone.nearest_instant(stamp.0) };
        if let Some(seconds) = seconds_of(&self.offset) {
            return (instant.saturating_add(seconds), self.offset.clone());
        }
        let civil = if *absolute { zone.civil(instant) } else { stamp.0 };
        // A clock that is shown twice does not say when.
        let is_needed = self.offset == VARYING || (*absolute && zone.instant(civil) == Err(NoInstant::Repeated));
        (civil, if is_needed { offset_text(zone.offset(instant)) } else { String::new() })
    }
}

/// What times of a zone are.
impl StampForm {
    /// A time that was read, and its form, as those of a zone: with an offset it is an instant, without one it stays what the clock shows.
    pub(crate) fn placed(self, stamp: Stamp, zone: &Zone) -> Result<(Stamp, StampForm), NoInstant> {
        let StampForm::Civil(form) = self else { return Ok((stamp, self)) };
        let offset = seconds_of(&form.offset);
        if offset.is_none() && form.clock > Clock::None {
            zone.instant(stamp.0)?;
        }
        let absolute = offset.is_some();
        let form = Civil { zone: Some(InZone { zone: zone.clone(), absolute }), ..form };
        Ok((Stamp(stamp.0.saturating_sub(offset.unwrap_or(0))), StampForm::Civil(form)))
    }

    fn in_zone(&self) -> Option<&InZone> {
        if let StampForm::Civil(form) = self { form.zone.as_ref() } else { None }
    }

    /// Whose clock it is, where that is known.
    pub fn zone(&self) -> Option<&Zone> {
        self.in_zone().map(|zone| &zone.zone)
    }

    /// Whether times are seconds of universal time.
    pub(crate) fn is_absolute(&self) -> bool {
        self.in_zone().is_some_and(|zone| zone.absolute)
    }

    /// What the clock shows at a time.
    pub(crate) fn civil(&self, stamp: Stamp) -> Stamp {
        self.moved(stamp, false)
    }

    /// A time as seconds of universal time, or of the zone's clock.
    pub(crate) fn moved(&self, stamp: Stamp, absolute: bool) -> Stamp {
        match self.in_zone() {
            Some(from) if from.absolute && !absolute => Stamp(from.zone.civil(stamp.0)),
            Some(from) if !from.absolute && absolute => Stamp(from.zone.nearest_instant(stamp.0)),
            _ => stamp,
        }
    }

    /// The form of times that were moved so.
    #[must_use]
    pub(crate) fn on_clock(mut self, absolute: bool) -> StampForm {
        if let StampForm::Civil(Civil { zone: Some(zone), .. }) = &mut self {
            zone.absolute = absolute;
        }
        self
    }
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
                let (offset, fits) = match &a.zone {
                    None => (offset.clone(), !has_offset || a.offset == b.offset),
                    // Instants can be told apart whatever their offsets are; a clock and an instant do not go together.
                    Some(_) if a.offset == b.offset => (a.offset.clone(), a.zone == b.zone),
                    Some(_) => (VARYING.to_owned(), a.zone == b.zone),
                };
                fits.then(|| {
                    StampForm::Civil(Civil {
                        mark: a.mark,
                        padded: a.padded && b.padded,
                        day: a.day || b.day,
                        clock: a.clock.max(b.clock),
                        between,
                        offset,
                        zone: a.zone.clone(),
                    })
                })
            }
            _ => None,
        }
    }

    /// The time as text. What the form leaves out and the time needs is written all the same.
    pub fn write(&self, stamp: Stamp) -> String {
        let StampForm::Civil(form) = self else { return stamp.0.to_string() };
        let (shown, offset) = form.shown(stamp);
        let (days, seconds) = (shown.div_euclid(DAY_SECONDS), shown.rem_euclid(DAY_SECONDS));
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
        if clock > Clock::None { text + &offset } else { text }
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

    /// Text, read in Berlin, and written again on both clocks, where they can.
    #[test]
    fn zones_write_what_they_read() {
        let zone: Zone = "Europe/Berlin".parse().unwrap();
        let placed = |text: &str| {
            let (stamp, form) = Stamp::parse(text).unwrap();
            form.placed(stamp, &zone).unwrap()
        };
        for text in ["2024-07-01 12:00", "2024-07-01T12:00:00Z", "2024-01-01T00:00+05:30", "2024-03-31"] {
            let (stamp, form) = placed(text);
            for absolute in [true, false] {
                assert_eq!(form.clone().on_clock(absolute).write(form.moved(stamp, absolute)), text);
            }
        }
        // In summer and in winter: each time has its own offset.
        let (summer, form) = placed("2024-07-01 12:00+02:00");
        let form = form.merged(&placed("2024-01-01 12:00+01:00").1).unwrap();
        assert_eq!(form.write(summer), "2024-07-01 12:00+02:00");
        assert_eq!(form.write(Stamp(summer.0 + 184 * 86_400)), "2025-01-01 11:00+01:00");
        assert_eq!(form.civil(summer).0, summer.0 + 7200);
        // What a clock without offsets shows twice is told apart by them.
        let form = placed("2024-07-01 12:00").1.on_clock(true);
        let night = Stamp::parse("2024-10-26 23:00").unwrap().0;
        let hours: Vec<String> = (0..4).map(|h| form.write(Stamp(night.0 + h * 3600))).collect();
        assert_eq!(hours, ["2024-10-27 01:00", "2024-10-27 02:00+02:00", "2024-10-27 02:00+01:00", "2024-10-27 03:00"]);
        assert_eq!(placed("2024-07-01 12:00").1.merged(&placed("2024-07-01 12:00Z").1), None);
        let odd = |text: &str| Stamp::parse(text).map(|(stamp, form)| form.placed(stamp, &zone)).unwrap();
        assert_eq!(odd("2024-03-31 02:30"), Err(NoInstant::Skipped));
        assert_eq!(odd("2024-10-27 02:30"), Err(NoInstant::Repeated));
        assert!(odd("2024-10-27 02:30+02:00").is_ok());
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
