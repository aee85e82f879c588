//! Figures with what they are of, in the form in which files and programs exchange them.
use super::Figures;
use mayfly_format::data::Encoder;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// Which rows figures are over.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Over {
    /// Rows that the network was not trained on; or, of a model file, those that it is measured on.
    #[default]
    Test,
    /// The rows that it was trained on, for want of others.
    Training,
}

impl Over {
    /// What the names of figures begin with.
    fn prefix(self) -> &'static str {
        match self {
            Over::Test => "test_",
            Over::Training => "train_",
        }
    }
}

/// Figures over some rows, and what they are of.
#[derive(Clone, PartialEq, Debug)]
pub struct Measured {
    /// Which rows.
    pub over: Over,
    /// The figures.
    pub figures: Figures,
    /// What the classes are called; empty when numbers are predicted.
    pub labels: Vec<String>,
    /// Target values a row.
    pub targets: usize,
    /// Whether the second of two classes is the one that is looked for.
    pub has_positive: bool,
}

/// The figures in short, under one name each. In serde they are a map: `test_accuracy`, or `train_accuracy` for figures over the rows of the training.
///
/// A figure that there is not is left out; one that is not finite, such as R² of a target that never varies, is null.
///
/// ```
/// use mayfly_nn::Scores;
/// let scores = Scores { mse: 0.25, accuracy: Some(0.5), ..Scores::default() };
/// let json = serde_json::to_string(&scores)?;
/// assert_eq!(json, r#"{"test_accuracy":0.5,"test_mse":0.25}"#);
/// assert_eq!(serde_json::from_str::<Scores>(&json)?, scores);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(into = "BTreeMap<String, Option<f64>>", from = "BTreeMap<String, Value>")]
pub struct Scores {
    /// Which rows they are over.
    pub over: Over,
    /// Mean squared error: of classes as FANN counts it, of numbers in the units of the file.
    pub mse: f64,
    /// Share of rows whose class was named right, or whose largest output is where the largest target is.
    pub accuracy: Option<f64>,
    /// Of the rows that were taken for the class that is looked for, the share that are of it.
    pub precision: Option<f64>,
    /// Of the rows of the class that is looked for, the share that were found.
    pub recall: Option<f64>,
    /// The harmonic mean of precision and recall.
    pub f1: Option<f64>,
    /// Mean absolute error.
    pub mae: Option<f64>,
    /// Root of the mean squared error.
    pub rmse: Option<f64>,
    /// Share of the variance that is explained; NaN where there is none to explain.
    pub r2: Option<f64>,
}

impl Measured {
    /// Figures of a network whose answers `encoder` explains.
    pub fn new(figures: Figures, encoder: &Encoder, over: Over) -> Measured {
        let (labels, targets) = (encoder.labels().to_vec(), encoder.target_width());
        Measured { over, figures, labels, targets, has_positive: encoder.has_positive() }
    }

    /// Rows that were compared.
    pub fn rows(&self) -> usize {
        self.figures.rows()
    }

    /// The figures in short.
    pub fn scores(&self) -> Scores {
        let scores = Scores { over: self.over, ..Scores::default() };
        match &self.figures {
            Figures::Classes(classes) => {
                let scores = Scores { mse: classes.mse, accuracy: Some(classes.accuracy), ..scores };
                if !self.has_positive {
                    return scores;
                }
                let (precision, recall) = classes.precision_and_recall(1);
                let f1 = f1(precision, recall);
                Scores { precision: Some(precision), recall: Some(recall), f1: Some(f1), ..scores }
            }
            Figures::Values { regression, largest_right, .. } => {
                let r2 = if regression.constant == regression.outputs { f64::NAN } else { regression.r2 };
                Scores {
                    mse: regression.mse,
                    accuracy: *largest_right,
                    mae: Some(regression.mae),
                    rmse: Some(regression.rmse),
                    r2: Some(r2),
                    ..scores
                }
            }
        }
    }
}

fn f1(precision: f64, recall: f64) -> f64 {
    if precision + recall > 0.0 { 2.0 * precision * recall / (precision + recall) } else { 0.0 }
}

impl From<Scores> for BTreeMap<String, Option<f64>> {
    fn from(scores: Scores) -> Self {
        let Scores { over, mse, accuracy, precision, recall, f1, mae, rmse, r2 } = scores;
        let all = [
            ("mse", Some(mse)),
            ("accuracy", accuracy),
            ("precision", precision),
            ("recall", recall),
            ("f1", f1),
            ("mae", mae),
            ("rmse", rmse),
            ("r2", r2),
        ];
        let named = |(name, value): (&str, Option<f64>)| {
            value.map(|value| (format!("{}{name}", over.prefix()), value.is_finite().then_some(value)))
        };
        all.into_iter().filter_map(named).collect()
    }
}

/// Other names are passed over: figures stand among others in the record of a training.
impl From<BTreeMap<String, Value>> for Scores {
    fn from(map: BTreeMap<String, Value>) -> Self {
        let is_test = map.keys().any(|name| name == "test_mse");
        let over = if is_test { Over::Test } else { Over::Training };
        let figure = |name: &str| {
            let value = map.get(&format!("{}{name}", over.prefix()))?;
            Some(value.as_f64().unwrap_or(f64::NAN))
        };
        Scores {
            over,
            mse: figure("mse").unwrap_or(f64::NAN),
            accuracy: figure("accuracy"),
            precision: figure("precision"),
            recall: figure("recall"),
            f1: figure("f1"),
            mae: figure("mae"),
            rmse: figure("rmse"),
            r2: figure("r2"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::{Classification, Regression};

    fn measured(figures: Figures, labels: &[&str]) -> Measured {
        let labels: Vec<String> = labels.iter().map(|&label| label.to_owned()).collect();
        Measured { over: Over::Training, figures, has_positive: !labels.is_empty(), labels, targets: 1 }
    }

    #[test]
    fn nothing_is_claimed_of_nothing() {
        let regression = Regression { rows: 5, mae: 0.1, rmse: 0.1, r2: 0.0, mse: 0.01, constant: 1, outputs: 1 };
        let figures = Figures::Values { regression, largest_right: None, residuals: Vec::new() };
        let json = serde_json::to_value(measured(figures, &[]).scores()).unwrap();
        let want = serde_json::json!({ "train_mae": 0.1, "train_mse": 0.01, "train_r2": null, "train_rmse": 0.1 });
        assert_eq!(json, want);
        assert!(serde_json::from_value::<Scores>(json).unwrap().r2.unwrap().is_nan());
    }

    #[test]
    fn the_class_that_is_looked_for_has_figures_of_its_own() {
        let confusion = vec![vec![5, 1], vec![2, 4]];
        let classes = Classification { rows: 12, accuracy: 0.75, confusion, mse: 0.2 };
        let scores = measured(Figures::Classes(classes), &["well", "ill"]).scores();
        assert_eq!((scores.precision, scores.recall), (Some(0.8), Some(4.0 / 6.0)));
        assert!((scores.f1.unwrap() - 8.0 / 11.0).abs() < 1e-12, "{scores:?}");
        let json = serde_json::to_value(&scores).unwrap();
        assert_eq!(json["train_precision"], 0.8);
        assert_eq!(serde_json::from_value::<Scores>(json).unwrap(), scores);
    }
}
