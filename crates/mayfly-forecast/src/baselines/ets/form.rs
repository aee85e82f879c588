//! The thirty forms of exponential smoothing (Hyndman, Koehler, Ord & Snyder 2008, table 2.1).
use crate::error::{ForecastError, Result};
use std::fmt;
use std::str::FromStr;

/// How a part enters a form.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Part {
    None,
    Additive,
    Multiplicative,
}

/// A form of exponential smoothing: how errors, trend and season enter, and whether the trend is damped.
///
/// Written as in the literature without brackets: `ANN` is simple exponential smoothing, `AAA` Holt and Winters' method, `MAdM` has multiplicative errors,
/// an additive damped trend and a multiplicative season.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct EtsForm {
    /// `Additive` or `Multiplicative`.
    pub(super) error: Part,
    pub(super) trend: Part,
    /// Only with a trend.
    pub(super) damped: bool,
    pub(super) season: Part,
}

use Part::{Additive, Multiplicative, None as Without};

impl EtsForm {
    /// All thirty, simple ones first.
    pub fn all() -> impl Iterator<Item = EtsForm> {
        let trends =
            [(Without, false), (Additive, false), (Additive, true), (Multiplicative, false), (Multiplicative, true)];
        let of = move |season| trends.into_iter().map(move |(trend, damped)| (season, trend, damped));
        let parts = [Without, Additive, Multiplicative].into_iter().flat_map(of);
        parts.flat_map(|(season, trend, damped)| {
            [Additive, Multiplicative].into_iter().map(move |error| EtsForm { error, trend, damped, season })
        })
    }

    /// Whether the automatic choice considers it, as R's `ets` does: a multiplicative trend runs away over a long horizon, and additive errors with a
    /// multiplicative season divide by states that may come near to zero.
    pub(super) fn is_candidate(self) -> bool {
        self.trend != Multiplicative && (self.error, self.season) != (Additive, Multiplicative)
    }

    /// Whether all values have to be above zero.
    pub(super) fn needs_positive(self) -> bool {
        [self.error, self.trend, self.season].contains(&Multiplicative)
    }

    /// Whether errors have the unit of the series.
    pub(super) fn needs_scale(self) -> bool {
        self.error == Additive
    }

    pub(super) fn has_season(self) -> bool {
        self.season != Without
    }

    pub(super) fn has_trend(self) -> bool {
        self.trend != Without
    }

    /// How many figures a fit has to find for a season of so many values, the variance not counted.
    pub(super) fn figures(self, season: usize) -> usize {
        let trend = if self.has_trend() { 2 } else { 0 };
        let places = if self.has_season() { season } else { 0 };
        (2 + trend + usize::from(self.damped)).saturating_add(places)
    }
}

impl fmt::Display for EtsForm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let letter = |part| match part {
            Without => "N",
            Additive => "A",
            Multiplicative => "M",
        };
        let damped = if self.damped { "d" } else { "" };
        write!(f, "{}{}{damped}{}", letter(self.error), letter(self.trend), letter(self.season))
    }
}

impl fmt::Debug for EtsForm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for EtsForm {
    type Err = ForecastError;

    fn from_str(name: &str) -> Result<EtsForm> {
        let known: Vec<String> = EtsForm::all().map(|form| form.to_string()).collect();
        let found = EtsForm::all().find(|form| form.to_string().eq_ignore_ascii_case(name.trim()));
        let known: Vec<&str> = known.iter().map(String::as_str).collect();
        found.ok_or_else(|| ForecastError::unknown("form of exponential smoothing", name, &known))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn there_are_thirty_forms_and_fifteen_candidates() {
        let names: BTreeSet<String> = EtsForm::all().map(|form| form.to_string()).collect();
        assert_eq!(names.len(), 30);
        assert!(names.iter().all(|name| name.parse::<EtsForm>().unwrap().to_string() == *name));
        let candidates: Vec<String> =
            EtsForm::all().filter(|form| form.is_candidate()).map(|f| f.to_string()).collect();
        let want = "ANN MNN AAN MAN AAdN MAdN ANA MNA AAA MAA AAdA MAdA MNM MAM MAdM";
        assert_eq!(candidates.join(" "), want);
        assert!("MAdX".parse::<EtsForm>().unwrap_err().to_string().contains("MAd"));
        let figures = |name: &str| name.parse::<EtsForm>().unwrap().figures(12);
        // Of R's `length(fit$par)`: weights, damping, level, slope, and all but one of the season.
        assert_eq!(["ANN", "MAN", "AAdN", "MNM", "AAA", "MAdM"].map(figures), [2, 4, 5, 14, 16, 17]);
    }
}
