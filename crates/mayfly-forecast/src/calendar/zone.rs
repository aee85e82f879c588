//! Time zones: whose clock the civil times of a table are.
use super::civil::DAY_SECONDS;
use crate::error::{ForecastError, Result};
use jiff::Timestamp;
use jiff::tz::{AmbiguousOffset, Offset, TimeZone};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A time zone of the IANA database, which is built in.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Zone {
    name: String,
    rules: TimeZone,
}

/// Why a civil time is no instant.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum NoInstant {
    /// Clocks went over it.
    Skipped,
    /// Clocks showed it twice.
    Repeated,
}

impl Zone {
    /// What it is called.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Seconds that its clocks are ahead of universal time.
    pub(super) fn offset(&self, instant: i64) -> i64 {
        self.rules.to_offset(timestamp(instant)).seconds().into()
    }

    /// What its clocks show.
    pub(super) fn civil(&self, instant: i64) -> i64 {
        instant.saturating_add(self.offset(instant))
    }

    /// When its clocks show a time.
    pub(super) fn instant(&self, civil: i64) -> std::result::Result<i64, NoInstant> {
        match self.offset_of(civil) {
            AmbiguousOffset::Unambiguous { offset } => Ok(civil.saturating_sub(offset.seconds().into())),
            AmbiguousOffset::Gap { .. } => Err(NoInstant::Skipped),
            AmbiguousOffset::Fold { .. } => Err(NoInstant::Repeated),
        }
    }

    /// The same of a time that may not be: one that is skipped by the clock of before, one that is repeated the first time.
    pub(super) fn nearest_instant(&self, civil: i64) -> i64 {
        let (AmbiguousOffset::Unambiguous { offset: before }
        | AmbiguousOffset::Gap { before, .. }
        | AmbiguousOffset::Fold { before, .. }) = self.offset_of(civil);
        civil.saturating_sub(before.seconds().into())
    }

    fn offset_of(&self, civil: i64) -> AmbiguousOffset {
        let shown = Offset::UTC.to_datetime(timestamp(civil));
        self.rules.to_ambiguous_timestamp(shown).offset()
    }
}

/// Times beyond the years −9999 to 9999 have the rules of the last of them.
fn timestamp(seconds: i64) -> Timestamp {
    let edge = DAY_SECONDS * 2; // civil times of the edge lie within a day of it
    let (least, most) = (Timestamp::MIN.as_second() + edge, Timestamp::MAX.as_second() - edge);
    Timestamp::from_second(seconds.clamp(least, most)).unwrap_or(Timestamp::UNIX_EPOCH)
}

impl FromStr for Zone {
    type Err = ForecastError;

    fn from_str(text: &str) -> Result<Zone> {
        let rules = TimeZone::get(text.trim()).map_err(|_| {
            ForecastError::option(
                "tz",
                format!("{text:?}"),
                "a name of the IANA database is known, such as Europe/Berlin or UTC",
            )
        })?;
        let name = rules.iana_name().unwrap_or(text.trim()).to_owned();
        Ok(Zone { name, rules })
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl fmt::Debug for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl TryFrom<String> for Zone {
    type Error = ForecastError;

    fn try_from(text: String) -> Result<Zone> {
        text.parse()
    }
}

impl From<Zone> for String {
    fn from(zone: Zone) -> String {
        zone.name
    }
}

#[cfg(test)]
mod tests {
    use super::super::Stamp;
    use super::*;

    fn at(text: &str) -> i64 {
        Stamp::parse(text).unwrap().0.0
    }

    #[test]
    fn clocks_of_berlin() {
        let zone: Zone = "europe/berlin".parse().unwrap();
        assert_eq!(zone.name(), "Europe/Berlin");
        assert_eq!(zone.instant(at("2024-01-01 12:00")), Ok(at("2024-01-01 11:00")));
        assert_eq!(zone.instant(at("2024-07-01 12:00")), Ok(at("2024-07-01 10:00")));
        assert_eq!(zone.instant(at("2024-03-31 02:30")), Err(NoInstant::Skipped));
        assert_eq!(zone.instant(at("2024-10-27 02:30")), Err(NoInstant::Repeated));
        assert_eq!(zone.nearest_instant(at("2024-03-31 02:30")), at("2024-03-31 01:30"));
        assert_eq!(zone.nearest_instant(at("2024-10-27 02:30")), at("2024-10-27 00:30"));
        assert_eq!(zone.civil(at("2024-03-31 01:00")), at("2024-03-31 03:00"));
        // Rules go on for ever.
        assert_eq!(zone.instant(at("2124-07-03 12:00")), Ok(at("2124-07-03 10:00")));
        assert_eq!(zone.offset(i64::MAX), zone.offset(i64::MAX - 1));
        assert_eq!(zone.civil(i64::MAX), i64::MAX);
    }

    #[test]
    fn names_are_those_of_the_database() {
        let said = "Europe/Berlinn".parse::<Zone>().unwrap_err().to_string();
        assert!(said.contains("Berlinn") && said.contains("such as Europe/Berlin"), "{said}");
        assert_eq!("UTC".parse::<Zone>().unwrap().offset(0), 0);
    }
}
