//! What the calendar says of a time, as numbers from −0.5 to 0.5. Names and scales are NeuralForecast's.
use super::civil::{DAY_SECONDS, date_of, days_of, weekday_of};
use super::freq::Freq;
use super::stamp::Stamp;
use crate::error::{ForecastError, Result};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A part of the calendar.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum TimeFeature {
    /// `month`: month of the year.
    Month,
    /// `monthday`: day of the month.
    MonthDay,
    /// `weekday`: day of the week, from Monday.
    WeekDay,
    /// `yearday`: day of the year.
    YearDay,
    /// `yearweek`: week of the year, as ISO 8601 counts them.
    YearWeek,
    /// `dayhour`: hour of the day.
    DayHour,
    /// `hourminute`: minute of the hour.
    HourMinute,
    /// `minutesecond`: second of the minute.
    MinuteSecond,
}

impl TimeFeature {
    /// All that there are.
    pub const ALL: [TimeFeature; 8] = [
        TimeFeature::Month,
        TimeFeature::MonthDay,
        TimeFeature::WeekDay,
        TimeFeature::YearDay,
        TimeFeature::YearWeek,
        TimeFeature::DayHour,
        TimeFeature::HourMinute,
        TimeFeature::MinuteSecond,
    ];

    /// What its column is called.
    pub fn name(self) -> &'static str {
        match self {
            TimeFeature::Month => "month",
            TimeFeature::MonthDay => "monthday",
            TimeFeature::WeekDay => "weekday",
            TimeFeature::YearDay => "yearday",
            TimeFeature::YearWeek => "yearweek",
            TimeFeature::DayHour => "dayhour",
            TimeFeature::HourMinute => "hourminute",
            TimeFeature::MinuteSecond => "minutesecond",
        }
    }

    /// Those that change from step to step and come again, as NeuralForecast chooses them.
    ///
    /// # Errors
    /// Whole numbers, which have no calendar, and years, which are alike.
    pub fn of(freq: Freq) -> Result<Vec<TimeFeature>> {
        use TimeFeature::{DayHour, HourMinute, MinuteSecond, Month, MonthDay, WeekDay, YearDay, YearWeek};
        let days = [WeekDay, MonthDay, YearDay];
        match freq {
            Freq::Integer(_) => Err(no_calendar()),
            Freq::Months { every, .. } if every % 12 == 0 => {
                let want = "times that are whole years apart lie on one day of the calendar: leave it out";
                Err(ForecastError::option("calendar", freq, want))
            }
            Freq::Months { .. } => Ok(vec![Month]),
            Freq::Weeks { .. } => Ok(vec![MonthDay, YearWeek]),
            Freq::Days(_) | Freq::Business(_) => Ok(days.to_vec()),
            Freq::Seconds(n) if n % 3600 == 0 => Ok([&[DayHour], &days[..]].concat()),
            Freq::Seconds(n) if n % 60 == 0 => Ok([&[HourMinute, DayHour], &days[..]].concat()),
            Freq::Seconds(_) => Ok([&[MinuteSecond, HourMinute, DayHour], &days[..]].concat()),
        }
    }

    /// Its value at a time of the civil clock.
    pub fn value(self, at: Stamp) -> f32 {
        let (days, clock) = (at.0.div_euclid(DAY_SECONDS), at.0.rem_euclid(DAY_SECONDS));
        let (year, month, day) = date_of(days);
        let (part, most) = match self {
            TimeFeature::Month => (month - 1, 11),
            TimeFeature::MonthDay => (day - 1, 30),
            TimeFeature::WeekDay => (weekday_of(days), 6),
            TimeFeature::YearDay => (days - days_of(year, 1, 1), 365),
            TimeFeature::YearWeek => (week_of(days), 52),
            TimeFeature::DayHour => (clock / 3600, 23),
            TimeFeature::HourMinute => (clock / 60 % 60, 59),
            TimeFeature::MinuteSecond => (clock % 60, 59),
        };
        (part as f64 / f64::from(most) - 0.5) as f32
    }
}

/// Week of the year, from 0: that of a Thursday is the week of all its days.
fn week_of(days: i64) -> i64 {
    let thursday = days - weekday_of(days) + 3;
    let (year, _, _) = date_of(thursday);
    (thursday - days_of(year, 1, 1)) / 7
}

pub(crate) fn no_calendar() -> ForecastError {
    ForecastError::option("calendar", "asked for", "the times are whole numbers, which have no calendar")
}

impl FromStr for TimeFeature {
    type Err = ForecastError;

    fn from_str(text: &str) -> Result<TimeFeature> {
        let found = TimeFeature::ALL.into_iter().find(|feature| feature.name().eq_ignore_ascii_case(text.trim()));
        let known = TimeFeature::ALL.map(TimeFeature::name);
        found.ok_or_else(|| ForecastError::unknown("part of the calendar", text, &known))
    }
}

impl fmt::Display for TimeFeature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl TryFrom<String> for TimeFeature {
    type Error = ForecastError;

    fn try_from(text: String) -> Result<TimeFeature> {
        text.parse()
    }
}

impl From<TimeFeature> for String {
    fn from(feature: TimeFeature) -> String {
        feature.name().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    /// NeuralForecast's own values at times of 60 years; `bench/python/nf_calendar.py` wrote them.
    #[test]
    fn values_are_neural_forecasts() {
        let text = include_str!("../../tests/calendar.json");
        let all: Value = serde_json::from_str(text).unwrap();
        let times = all["times"].as_array().unwrap();
        assert!(times.len() > 300);
        for feature in TimeFeature::ALL {
            let values = all["values"][feature.name()].as_array().unwrap();
            assert_eq!(values.len(), times.len());
            for (time, want) in times.iter().zip(values) {
                let got = feature.value(Stamp::parse(time.as_str().unwrap()).unwrap().0);
                assert!(
                    (f64::from(got) - want.as_f64().unwrap()).abs() < 1e-6,
                    "{feature} at {time}: {got}, not {want}"
                );
            }
        }
    }

    #[test]
    fn frequencies_have_neural_forecasts_parts() {
        let all: Value = serde_json::from_str(include_str!("../../tests/calendar.json")).unwrap();
        let of = |freq: &str| TimeFeature::of(freq.parse().unwrap());
        for (theirs, ours) in [
            ("Q", &["QS", "QE", "2Q"][..]),
            ("M", &["ME"]),
            ("MS", &["MS", "2MS"]),
            ("W", &["W", "W-WED"]),
            ("D", &["D", "7D"]),
            ("B", &["B"]),
            ("H", &["h", "6h"]),
            ("T", &["min", "15min"]),
            ("S", &["s", "90s"]),
        ] {
            let want: Vec<&str> =
                all["columns"][theirs].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
            for freq in ours {
                let got: Vec<&str> = of(freq).unwrap().into_iter().map(TimeFeature::name).collect();
                assert_eq!(got, want, "{freq}");
            }
        }
        assert!(of("YS").unwrap_err().to_string().contains("leave it out"));
        assert!(of("2").unwrap_err().to_string().contains("whole numbers"));
    }

    #[test]
    fn names_are_read_back() {
        for feature in TimeFeature::ALL {
            assert_eq!(feature.to_string().parse::<TimeFeature>().unwrap(), feature);
        }
        assert!("weekdays".parse::<TimeFeature>().unwrap_err().to_string().contains("did you mean weekday?"));
    }
}
