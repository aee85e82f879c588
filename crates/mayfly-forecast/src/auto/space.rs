//! What settings may be: a search space.
use crate::error::{ForecastError, Result};
use crate::families::Common;
use crate::forecaster::Model;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// The setting that says how many horizons of the past a model sees; −1 for as many as there are.
pub(super) const MULTIPLIER: &str = "input_size_multiplier";

/// The values that a setting may have.
///
/// ```
/// use mayfly_forecast::Range;
/// let range: Range = serde_json::from_str(r#"{"log": [0.0001, 0.1]}"#)?;
/// assert_eq!(range, Range::Log([1e-4, 0.1]));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum Range {
    /// One of these.
    Choice(Vec<Value>),
    /// A whole number: least, greatest, step.
    Int([i64; 3]),
    /// A number between these.
    Uniform([f64; 2]),
    /// A number between these, as likely in every power of ten.
    Log([f64; 2]),
}

/// The settings of a family that are searched, by NeuralForecast's names and `input_size_multiplier`, horizons of the past that a model sees (−1 for all).
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Space(pub BTreeMap<String, Range>);

impl Range {
    /// Where a point of the range lies: `from`, `to` (not in the range for choices and whole numbers).
    pub(super) fn span(&self) -> [f64; 2] {
        match self {
            Range::Choice(values) => [0.0, values.len() as f64],
            Range::Int([least, most, step]) => [0.0, ((most - least) / step + 1) as f64],
            Range::Uniform(span) => *span,
            Range::Log(span) => span.map(f64::ln),
        }
    }

    /// Whether its values have no order.
    pub(super) fn is_choice(&self) -> bool {
        matches!(self, Range::Choice(_))
    }

    /// The value at a point.
    pub(super) fn value(&self, point: f64) -> Value {
        let [from, to] = self.span();
        let place = point.clamp(from, to).floor().min(to - 1.0).max(0.0);
        match self {
            Range::Choice(values) => values.get(place as usize).cloned().unwrap_or_default(),
            Range::Int([least, _, step]) => json!(least + place as i64 * step),
            Range::Uniform(span) => json!(readable(point).clamp(span[0], span[1])),
            Range::Log(span) => json!(readable(point.exp()).clamp(span[0], span[1])),
        }
    }

    fn check(&self, name: &str) -> Result<()> {
        let is_right = match self {
            Range::Choice(values) => !values.is_empty(),
            Range::Int([least, most, step]) => {
                *step > 0 && least <= most && most.checked_sub(*least).is_some_and(|n| n / step < 1 << 32)
            }
            Range::Uniform([from, to]) => from.is_finite() && to.is_finite() && from < to,
            Range::Log([from, to]) => *from > 0.0 && to.is_finite() && from < to,
        };
        let want = "a choice has values, an int [least, greatest, step], uniform and log [from, to] with from below to, and above 0 for log";
        if is_right { Ok(()) } else { Err(ForecastError::option(name, json!(self), want)) }
    }
}

/// Four significant digits: what a person can write down is what was tried.
fn readable(v: f64) -> f64 {
    format!("{v:.3e}").parse().unwrap_or(v)
}

impl Space {
    /// The same without a setting, which then keeps the value that the model has.
    #[must_use]
    pub fn without(mut self, name: &str) -> Space {
        self.0.remove(name);
        if name == "input_size" {
            self.0.remove(MULTIPLIER);
        }
        self
    }

    /// The same with other values of some settings.
    #[must_use]
    pub fn with(mut self, other: &Space) -> Space {
        self.0.extend(other.0.clone());
        self
    }

    /// Refuses ranges that hold nothing, and settings that the model does not have.
    pub(super) fn check(&self, model: &Model) -> Result<()> {
        if self.0.is_empty() {
            return Err(ForecastError::option("space", "empty", format!("{} has no setting to search", model.alias)));
        }
        for (name, range) in &self.0 {
            range.check(name)?;
            let [from, to] = range.span();
            if name != MULTIPLIER {
                // Values of a wrong kind are found in the trial; here the name is looked at.
                let known = model.clone().with(name, range.value(f64::midpoint(from, to)));
                if let Err(error @ ForecastError::UnknownName { .. }) = known {
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// The model with the settings at a point, one coordinate a setting. `most` is how much of the past there is.
    pub(super) fn model(&self, base: &Model, point: &[f64], h: usize, most: usize) -> Result<Model> {
        let mut settings: Map<String, Value> =
            self.0.iter().zip(point).map(|((name, range), at)| (name.clone(), range.value(*at))).collect();
        let horizons = settings.remove(MULTIPLIER).and_then(|value| value.as_i64());
        let mut model = base.clone().with_all(&settings)?;
        if let Some(horizons) = horizons {
            let wanted = usize::try_from(horizons).map_or(most, |n| n.saturating_mul(h)).min(most);
            model.common = Common { input_size: Some(whole_patches(&model, wanted)), ..model.common };
        }
        Ok(model)
    }
}

/// Values of the past that a family which cuts them into patches can take.
fn whole_patches(model: &Model, wanted: usize) -> usize {
    let patch = model.config()["patch_len"].as_u64().map_or(1, |n| n.max(1) as usize);
    wanted.max(1).next_multiple_of(patch)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::families::FAMILIES;

    #[test]
    fn points_have_values_within_their_range() {
        let int = Range::Int([500, 1500, 100]);
        assert_eq!([0.0, 0.99, 5.5, 10.9, 11.0].map(|p| int.value(p)), [500, 500, 1000, 1500, 1500].map(Value::from));
        let choice = Range::Choice(vec![json!("a"), json!([1, 2])]);
        assert_eq!([0.2, 1.7, 2.0].map(|p| choice.value(p)), [json!("a"), json!([1, 2]), json!([1, 2])]);
        let log = Range::Log([1e-4, 1e-1]);
        assert_eq!(log.value((2.345_678e-3_f64).ln()), json!(0.002_346));
        assert_eq!(log.value(0.1_f64.ln()), json!(0.1));
        assert_eq!(Range::Uniform([0.0, 0.5]).value(0.123_456), json!(0.1235));
    }

    /// Both ends of every range are settings that the family takes.
    #[test]
    fn every_family_has_a_space_of_settings_that_it_has() {
        for family in FAMILIES {
            let (base, space) = (Model::new(family.name).unwrap(), Space::of(family));
            space.check(&base).unwrap();
            let rate = if family.name == "Ridge" { "alpha" } else { "learning_rate" };
            assert!(space.0.contains_key(rate) && space.0.contains_key(MULTIPLIER), "{family:?}");
            // Besides what all search, everyone but these has settings of its own.
            let plain = ["NLinear", "NBEATS", "NBEATSx"].contains(&family.name);
            let shared = [
                "learning_rate",
                MULTIPLIER,
                "random_seed",
                "max_steps",
                "batch_size",
                "scaler_type",
                "windows_batch_size",
            ];
            assert_eq!(space.0.keys().all(|name| shared.contains(&name.as_str())), plain, "{family:?}");
            for end in 0..2 {
                let point: Vec<f64> = space.0.values().map(|range| range.span()[end]).collect();
                let model = space.model(&base, &point, 12, 400).unwrap();
                assert!(model.common.input_size.is_some_and(|l| (12..=400).contains(&l)), "{family:?}");
            }
        }
    }

    #[test]
    fn what_is_no_range_or_no_setting_is_refused() {
        let base = Model::new("MLP").unwrap();
        let said = |text: &str| {
            let space: Space = serde_json::from_str(text).unwrap();
            space.check(&base).unwrap_err().to_string()
        };
        assert!(said(r#"{"hiden_size": {"choice": [8]}}"#).contains("did you mean hidden_size?"));
        for text in [r#"{"uniform": [1, 0]}"#, r#"{"log": [0, 1]}"#, r#"{"int": [1, 5, 0]}"#, r#"{"choice": []}"#] {
            assert!(said(&format!(r#"{{"hidden_size": {text}}}"#)).contains("hidden_size is"), "{text}");
        }
        assert!(said("{}").contains("no setting to search"));
    }

    #[test]
    fn the_past_is_a_multiple_of_the_horizon_that_there_is() {
        let space = |n: i64| Space(BTreeMap::from([(MULTIPLIER.to_owned(), Range::Choice(vec![json!(n)]))]));
        let sees = |name: &str, n: i64| {
            let model = space(n).model(&Model::new(name).unwrap(), &[0.0], 10, 55).unwrap();
            model.common.input_size.unwrap()
        };
        assert_eq!((sees("MLP", 3), sees("MLP", 9), sees("MLP", -1), sees("TimeXer", 3)), (30, 55, 55, 32));
    }
}
