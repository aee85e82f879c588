//! The frequency that times show.
use super::civil::DAY_SECONDS;
use super::civil::weekday_of;
use super::freq::{Edge, Freq, month_at};
use super::stamp::{Stamp, StampForm};
use crate::error::{ForecastError, Result};
use std::collections::BTreeMap;

/// Share of the differences that must agree.
const AGREED: f64 = 0.95;

/// The one step behind at least 95 % of the differences between neighbours. Months are asked for first, since no number of days is a month.
///
/// # Errors
/// No such step; the message names the three commonest differences.
pub fn infer<'a>(series: impl Iterator<Item = &'a [Stamp]> + Clone, form: &StampForm) -> Result<Freq> {
    let pairs = || series.clone().flat_map(|stamps| stamps.windows(2)).filter(|pair| pair[0] != pair[1]);
    if pairs().next().is_none() {
        let what = "no series has two times, so the frequency does not show: give it with --freq".to_owned();
        return Err(ForecastError::Frequency { what });
    }
    let differences = count(pairs().map(|pair| pair[1].0 - pair[0].0));
    if *form == StampForm::Integer {
        return agreed(&differences).map(Freq::Integer).ok_or_else(|| unclear(&differences, |d| d.to_string()));
    }
    let all = || series.clone().flatten();
    let found = months(all, pairs, Edge::Start)
        .or_else(|| months(all, pairs, Edge::End))
        .or_else(|| agreed(&differences).map(|seconds| fixed(seconds, all().next().copied())))
        .or_else(|| business(all, pairs));
    found.ok_or_else(|| unclear(&differences, words))
}

fn count(differences: impl Iterator<Item = i64>) -> BTreeMap<i64, usize> {
    let mut counts = BTreeMap::new();
    differences.for_each(|difference| *counts.entry(difference).or_default() += 1);
    counts
}

fn agreed(counts: &BTreeMap<i64, usize>) -> Option<i64> {
    let total: usize = counts.values().sum();
    let (difference, n) = counts.iter().max_by_key(|(_, n)| **n)?;
    (*n as f64 >= AGREED * total as f64).then_some(*difference)
}

/// Steps of months, where all times lie on that edge of theirs.
fn months<'a, A: Iterator<Item = &'a Stamp>, P: Iterator<Item = &'a [Stamp]>>(
    all: impl Fn() -> A,
    pairs: impl Fn() -> P,
    edge: Edge,
) -> Option<Freq> {
    let first = all().next().and_then(|stamp| month_at(*stamp, edge))?;
    if !all().all(|stamp| month_at(*stamp, edge).is_some()) {
        return None;
    }
    let month = |stamp: Stamp| month_at(stamp, edge).unwrap_or(0);
    let every = agreed(&count(pairs().map(|pair| month(pair[1]) - month(pair[0]))))?;
    (every > 0).then_some(Freq::Months { every, edge, anchor: first.rem_euclid(12) + 1 })
}

fn fixed(seconds: i64, first: Option<Stamp>) -> Freq {
    match (seconds % (7 * DAY_SECONDS), seconds % DAY_SECONDS) {
        (0, _) => {
            let day = weekday_of(first.unwrap_or_default().0.div_euclid(DAY_SECONDS));
            Freq::Weeks { every: seconds / (7 * DAY_SECONDS), day }
        }
        (_, 0) => Freq::Days(seconds / DAY_SECONDS),
        _ => Freq::Seconds(seconds),
    }
}

fn business<'a, A: Iterator<Item = &'a Stamp>, P: Iterator<Item = &'a [Stamp]>>(
    all: impl Fn() -> A,
    pairs: impl Fn() -> P,
) -> Option<Freq> {
    let is_weekday = |stamp: &Stamp| weekday_of(stamp.0.div_euclid(DAY_SECONDS)) < 5;
    if !all().all(is_weekday) {
        return None;
    }
    let steps = count(pairs().map(|pair| Freq::Business(1).steps(pair[0], pair[1]).unwrap_or(0)));
    agreed(&steps).filter(|n| *n == 1).map(Freq::Business)
}

fn unclear(counts: &BTreeMap<i64, usize>, words: impl Fn(i64) -> String) -> ForecastError {
    let total: usize = counts.values().sum();
    let mut common: Vec<_> = counts.iter().map(|(difference, n)| (*n, *difference)).collect();
    common.sort_by(|a, b| b.cmp(a));
    let share = |n: usize| n as f64 / total.max(1) as f64 * 100.0;
    let list: Vec<String> = common.iter().take(3).map(|(n, d)| format!("{} ({:.0} %)", words(*d), share(*n))).collect();
    let what = format!(
        "no frequency fits 95 % of the differences between times; the commonest are {}: give one with --freq",
        list.join(", ")
    );
    ForecastError::Frequency { what }
}

/// A difference as a person says it.
fn words(seconds: i64) -> String {
    let (count, unit) = match seconds {
        s if s % DAY_SECONDS == 0 => (s / DAY_SECONDS, "day"),
        s if s % 3600 == 0 => (s / 3600, "hour"),
        s if s % 60 == 0 => (s / 60, "minute"),
        s => (s, "second"),
    };
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(texts: &[&str]) -> Result<Freq> {
        let stamps: Vec<Stamp> = texts.iter().map(|text| Stamp::parse(text).unwrap().0).collect();
        let form = Stamp::parse(texts[0]).unwrap().1;
        infer([&stamps[..]].into_iter(), &form)
    }

    fn inferred(texts: &[&str]) -> Result<String> {
        times(texts).map(|freq| freq.to_string())
    }

    fn found(texts: &[&str]) -> Freq {
        times(texts).unwrap()
    }

    /// Series that begin in other months have one frequency all the same.
    #[test]
    fn frequencies_are_equal_whose_grids_are() {
        let freq = |text: &str| text.parse::<Freq>().unwrap();
        let months = found(&["2024-01-01", "2024-02-01", "2024-03-01"]);
        assert!(months == found(&["2024-02-01", "2024-03-01", "2024-04-01"]) && months == freq("MS"));
        assert!(months != freq("ME") && months != freq("2MS") && months != freq("QS"));
        assert!(found(&["2024-01-01", "2024-04-01"]) == found(&["2024-07-01", "2024-10-01"]));
        assert!(found(&["2024-01-01", "2024-04-01"]) != found(&["2024-02-01", "2024-05-01"]));
        assert!(found(&["2024-01-01", "2025-01-01"]) != found(&["2024-02-01", "2025-02-01"]));
        assert!(freq("W-MON") != freq("W-TUE") && freq("D") != freq("B") && freq("5") == freq("5"));
    }

    #[test]
    fn frequencies_that_times_show() {
        for (texts, want) in [
            (&["1949-01", "1949-02", "1949-03"][..], "MS"),
            (&["2023-01-31", "2023-02-28", "2023-03-31"], "ME"),
            (&["2023-03-31", "2023-06-30", "2023-09-30"], "QE"),
            (&["2023-02-28", "2023-05-31", "2023-08-31"], "QE-FEB"),
            (&["2021-01-01", "2022-01-01", "2023-01-01"], "YS"),
            (&["2021-12-31", "2022-12-31"], "YE"),
            (&["2024-03-04", "2024-03-11"], "W-MON"),
            (&["2024-03-04", "2024-03-05"], "D"),
            (&["2024-03-01", "2024-03-04", "2024-03-05", "2024-03-06"], "B"),
            (&["2013/1/1 0:00", "2013/1/1 1:00"], "h"),
            (&["2016-07-01 00:00:00", "2016-07-01 00:15:00"], "15min"),
            (&["3", "5", "7"], "2"),
        ] {
            assert_eq!(inferred(texts).unwrap(), want, "{texts:?}");
        }
    }

    #[test]
    fn what_does_not_show_is_asked_for() {
        assert!(inferred(&["2024-03-04"]).unwrap_err().to_string().contains("--freq"));
        let said = inferred(&["2024-03-04", "2024-03-05", "2024-03-06", "2024-03-16"]).unwrap_err().to_string();
        assert!(said.contains("1 day (67 %), 10 days (33 %)"), "{said}");
        let many: Vec<String> = (0..100).filter(|i| *i != 50).map(|i| i.to_string()).collect();
        assert_eq!(inferred(&many.iter().map(String::as_str).collect::<Vec<_>>()).unwrap(), "1");
    }
}
