//! A family's own settings.
use super::cx::ForecastCx;
use super::llm::Prompter;
use crate::error::{ForecastError, Result};
use crate::losses::ForecastLoss;
use mayfly_graph::NodeId;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Arc;

/// Weights by which a network chooses: at each of some times among columns, or other times.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Choice {
    /// What they are of.
    pub kind: ChoiceKind,
    /// Rows of weights.
    pub times: usize,
    /// Weights of a row, which are 1 together.
    pub among: usize,
}

/// What a network chooses among.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum ChoiceKind {
    /// Static columns.
    Static,
    /// Columns known to the cutoff, columns known over the horizon, the series itself: at each time of the past.
    Past,
    /// Columns known over the horizon, at each of its times.
    Future,
    /// Times of past and horizon, at each of them.
    Attention,
}

impl ChoiceKind {
    /// Its name in tables.
    pub fn name(self) -> &'static str {
        match self {
            ChoiceKind::Static => "static",
            ChoiceKind::Past => "past",
            ChoiceKind::Future => "future",
            ChoiceKind::Attention => "attention",
        }
    }
}

/// Sizes on which choices depend.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ChoiceSizes {
    /// Values of the past.
    pub input_size: usize,
    /// Steps of the forecast.
    pub h: usize,
    /// Columns known to the cutoff, over the horizon, and static ones.
    pub columns: [usize; 3],
}

/// A family with its settings: what writes itself into a graph.
pub trait Build: Debug + Send + Sync {
    /// Adds nodes that compute the forecast, `[batch, h · outputs]`, from the inputs of `cx`.
    ///
    /// # Errors
    /// Settings that do not fit the sizes.
    fn build(&self, cx: &mut ForecastCx<'_, '_>) -> mayfly_nn::Result<NodeId>;

    /// The settings, by NeuralForecast's names.
    fn config(&self) -> Value;

    /// Refuses settings that make no sense by themselves.
    ///
    /// # Errors
    /// Those.
    fn check(&self) -> Result<()> {
        Ok(())
    }

    /// What it makes small unless told otherwise.
    fn loss(&self) -> ForecastLoss {
        ForecastLoss::default()
    }

    /// Values of the state that a recurrent forecast carries from step to step; 0 for families that give all steps at once. A network with a state sees one value of the past more, and gives the next step.
    fn states(&self, outputs: usize) -> usize {
        let _ = outputs;
        0
    }

    /// What a forecast is the sum of, the level first; nothing for families whose forecasts are no such sums.
    fn parts(&self) -> Vec<String> {
        Vec::new()
    }

    /// The weights by which it chooses among its inputs, in the order in which it says them.
    fn choices(&self, sizes: ChoiceSizes) -> Vec<Choice> {
        let _ = sizes;
        Vec::new()
    }

    /// What large weights cost, where they are solved for and not trained.
    fn closed_form(&self) -> Option<f64> {
        None
    }

    /// How many paths of the future a recurrent forecast of a distribution draws.
    fn trajectories(&self) -> usize {
        100
    }

    /// What of it is read and not learnt, if anything.
    fn pretrained(&self) -> Option<&dyn Pretrained> {
        None
    }
}

/// Parameters that are given, by name.
pub type Given = BTreeMap<String, Vec<f32>>;

/// A family part of which is another model, which a training reads and does not change.
pub trait Pretrained: Debug {
    /// Whether a setting says where the other model lies.
    fn is_named(&self) -> bool;

    /// Refuses early what a training would fail at: nothing to read.
    ///
    /// # Errors
    /// What is missing, and what to do.
    fn check_ready(&self) -> Result<()>;

    /// The family with sizes and words of the other model.
    ///
    /// # Errors
    /// A folder that lacks something or does not fit the settings.
    fn read(&self) -> Result<Arc<dyn Build>>;

    /// The other model's parameters.
    ///
    /// # Errors
    /// As for [`Pretrained::read`].
    fn parameters(&self) -> Result<Given>;

    /// What writes the sentences that it reads of windows of this size; nothing before it was read.
    fn prompter(&self, input_size: usize, h: usize) -> Option<Arc<Prompter>>;

    /// What a file must hold of it besides parameters and settings.
    fn enclosed(&self) -> Vec<u8>;

    /// The family with what [`Pretrained::enclosed`] gave.
    ///
    /// # Errors
    /// What is wrong with it.
    fn with_enclosed(&self, bytes: &[u8]) -> std::result::Result<Arc<dyn Build>, String>;
}

/// Settings as JSON. Numbers that serde widens from 32 to 64 bits are written with the digits that a person gave: 0.2, not 0.20000000298023224.
pub(crate) fn as_json(settings: &impl Serialize) -> Value {
    shortened(serde_json::to_value(settings).unwrap_or_default())
}

fn shortened(value: Value) -> Value {
    match value {
        Value::Array(all) => all.into_iter().map(shortened).collect(),
        Value::Object(all) => all.into_iter().map(|(name, value)| (name, shortened(value))).collect(),
        Value::Number(n) if n.is_f64() => {
            let wide = n.as_f64().unwrap_or_default();
            let narrow = wide as f32;
            let short = narrow.to_string().parse::<f64>().ok().filter(|_| f64::from(narrow) == wide);
            Value::from(short.unwrap_or(wide))
        }
        other => other,
    }
}

/// Settings that serde reads and writes.
pub trait Settings: Build + Default + Serialize + DeserializeOwned + 'static {}

impl<S: Build + Default + Serialize + DeserializeOwned + 'static> Settings for S {}

/// What a family's entry in the table says of its settings.
pub(super) fn of<S: Settings>(given: &Map<String, Value>) -> Result<Arc<dyn Build>> {
    let settings: S = merge(&S::default(), given)?;
    settings.check()?;
    Ok(Arc::new(settings))
}

/// `base` with what is given in place of its own; a name that it does not have is an error.
pub(crate) fn merge<S: Serialize + DeserializeOwned>(base: &S, given: &Map<String, Value>) -> Result<S> {
    let json = |what: String| move |source| ForecastError::Json { what, source };
    let mut all = match serde_json::to_value(base).map_err(json("settings".into()))? {
        Value::Object(all) => all,
        _ => Map::new(),
    };
    for (name, value) in given {
        if !all.contains_key(name) {
            let known: Vec<&str> = all.keys().map(String::as_str).collect();
            return Err(ForecastError::unknown("setting", name, &known));
        }
        // One at a time, so that an error names the setting.
        let old = all.insert(name.clone(), value.clone());
        if let Err(source) = S::deserialize(Value::Object(all.clone())) {
            return Err(ForecastError::Json {
                what: format!("setting {name:?} is {value}, by default {}", old.unwrap_or_default()),
                source,
            });
        }
    }
    serde_json::from_value(Value::Object(all)).map_err(json("settings".into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn numbers_have_the_digits_that_were_given() {
        assert_eq!(as_json(&(0.2_f32, [0.05_f32, 1e-4], 3, 0.1_f64, "x")), json!([0.2, [0.05, 1e-4], 3, 0.1, "x"]));
        assert_eq!(as_json(&(f32::MAX, 1.0_f64 / 3.0)), json!([3.4028235e38, 1.0 / 3.0]));
    }
}
