//! Figures for people and as JSON. What they are is computed in the library.
use mayfly_format::data::Encoder;
use mayfly_format::figure;
use mayfly_nn::{Classification, Figures, Regression};
use serde_json::{Map, Value, json};

/// Which rows the figures are over: they are called so, in words and in JSON.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Over {
    /// Rows that the network was not trained on; or, of a model file, those that it is measured on.
    Test,
    /// The rows that it was trained on, for want of others.
    Training,
}

impl Over {
    /// The word for people.
    pub fn name(self) -> &'static str {
        match self {
            Over::Test => "test",
            Over::Training => "training rows",
        }
    }

    fn prefix(self) -> &'static str {
        match self {
            Over::Test => "test",
            Over::Training => "train",
        }
    }
}

/// Figures over some rows.
pub struct Metrics {
    pub over: Over,
    pub figures: Figures,
    labels: Vec<String>,
    targets: usize,
    positive: bool,
}

/// A number for JSON: what is not finite becomes null rather than breaking the object.
pub fn number(v: f64) -> Value {
    if v.is_finite() { json!(v) } else { Value::Null }
}

impl Metrics {
    /// Figures of a network whose answers `encoder` explains.
    pub fn new(figures: Figures, encoder: &Encoder, over: Over) -> Metrics {
        let (labels, targets) = (encoder.labels().to_vec(), encoder.target_width());
        Metrics { over, figures, labels, targets, positive: encoder.has_positive() }
    }

    /// Rows that were compared.
    pub fn rows(&self) -> usize {
        self.figures.rows()
    }

    /// The keys of the JSON output: `test_…`, or `train_…` for figures over training rows.
    pub fn json(&self) -> Map<String, Value> {
        let mut map = Map::new();
        let mut insert = |name: &str, value: f64| map.insert(format!("{}_{name}", self.over.prefix()), number(value));
        match &self.figures {
            Figures::Classes(classes) => {
                insert("mse", classes.mse);
                insert("accuracy", classes.accuracy);
                if self.positive {
                    let (precision, recall) = classes.precision_and_recall(1);
                    insert("precision", precision);
                    insert("recall", recall);
                    insert("f1", f1(precision, recall));
                }
            }
            Figures::Values { regression, largest_right, .. } => {
                insert("mse", regression.mse);
                if let Some(accuracy) = largest_right {
                    insert("accuracy", *accuracy);
                }
                insert("mae", regression.mae);
                insert("rmse", regression.rmse);
                insert("r2", shown_r2(regression));
            }
        }
        map
    }

    /// One line for a person.
    pub fn headline(&self) -> String {
        match &self.figures {
            _ if self.rows() == 0 => "no rows to measure on".into(),
            Figures::Classes(classes) => self.classes_line(classes),
            Figures::Values { regression, largest_right, .. } => {
                let largest =
                    largest_right.map(|a| format!(", largest output right in {:.2} %", a * 100.0)).unwrap_or_default();
                let Regression { mae, rmse, .. } = regression;
                let r2 = self.r2_words(regression);
                format!("MAE {}, RMSE {}, {r2} over {}{largest}", figure(*mae), figure(*rmse), rows(self.rows()))
            }
        }
    }

    fn classes_line(&self, classes: &Classification) -> String {
        let Classification { accuracy, mse, .. } = classes;
        let wrong = ((1.0 - accuracy) * self.rows() as f64).round();
        let positive = match self.labels.get(1).filter(|_| self.positive) {
            Some(label) => {
                let (precision, recall) = classes.precision_and_recall(1);
                let share = |v: f64| if v.is_nan() { "–".to_owned() } else { format!("{:.2} %", v * 100.0) };
                format!(", {label:?}: precision {}, recall {}", share(precision), share(recall))
            }
            None => String::new(),
        };
        format!(
            "accuracy {:.2} % ({wrong} of {} wrong){positive}, MSE {}",
            accuracy * 100.0,
            rows(self.rows()),
            figure(*mse)
        )
    }

    fn r2_words(&self, regression: &Regression) -> String {
        match (shown_r2(regression), regression.constant) {
            (r2, _) if r2.is_nan() => "R² undefined (the target is the same in every row)".into(),
            (r2, 0) if self.targets > 1 => format!("R² {r2:.4} (mean of {} targets)", self.targets),
            (r2, 0) => format!("R² {r2:.4}"),
            (r2, n) => format!("R² {r2:.4} (mean of {} targets, {n} the same in every row)", self.targets),
        }
    }

    /// A confusion matrix or a summary of the residuals.
    pub fn details(&self) -> String {
        match &self.figures {
            Figures::Classes(classes) => confusion_table(&classes.confusion, &self.labels),
            Figures::Values { residuals, .. } => residual_summary(residuals),
        }
    }
}

/// R², where there is any variance to explain.
fn shown_r2(regression: &Regression) -> f64 {
    if regression.constant == regression.outputs { f64::NAN } else { regression.r2 }
}

fn f1(precision: f64, recall: f64) -> f64 {
    if precision + recall > 0.0 { 2.0 * precision * recall / (precision + recall) } else { 0.0 }
}

fn rows(count: usize) -> String {
    if count == 1 { "1 row".into() } else { format!("{count} rows") }
}

/// More classes than this do not fit across a terminal.
const TABLE_CLASSES: usize = 12;

fn confusion_table(confusion: &[Vec<usize>], labels: &[String]) -> String {
    if labels.len() > TABLE_CLASSES {
        return worst_confusions(confusion, labels);
    }
    let short = |s: &String| s.chars().take(14).collect::<String>();
    let names: Vec<String> = labels.iter().map(short).collect();
    let largest = confusion.iter().flatten().max().copied().unwrap_or(0).to_string().len();
    let wide = names.iter().map(|n| n.chars().count()).max().unwrap_or(0);
    let cell = wide.max(largest).max(5);
    let mut out = format!("{:>wide$}   answered\n{:>wide$}  ", "", "truth");
    names.iter().for_each(|n| out.push_str(&format!("{n:>cell$} ")));
    out.push_str(&format!("{:>8}\n", "recall"));
    for (truth, row) in confusion.iter().enumerate() {
        let total: usize = row.iter().sum();
        let recall = row[truth] as f64 / total.max(1) as f64 * 100.0;
        out.push_str(&format!("{:>wide$}  ", names[truth]));
        row.iter()
            .for_each(|n| out.push_str(&if *n == 0 { format!("{:>cell$} ", "·") } else { format!("{n:>cell$} ") }));
        out.push_str(&if total == 0 { format!("{:>8}\n", "–") } else { format!("{recall:>6.1} %\n") });
    }
    out
}

fn worst_confusions(confusion: &[Vec<usize>], labels: &[String]) -> String {
    let mut wrong: Vec<(usize, usize, usize)> = Vec::new();
    for (t, row) in confusion.iter().enumerate() {
        wrong.extend(row.iter().enumerate().filter(|(a, n)| *a != t && **n > 0).map(|(a, n)| (*n, t, a)));
    }
    wrong.sort_by(|a, b| b.cmp(a));
    let line = |(n, t, a): &(usize, usize, usize)| format!("  {n:>6}  {} taken for {}\n", labels[*t], labels[*a]);
    format!(
        "most frequent confusions of {} classes:\n{}",
        labels.len(),
        wrong.iter().take(10).map(line).collect::<String>()
    )
}

fn residual_summary(residuals: &[f64]) -> String {
    let mut sorted: Vec<f64> = residuals.iter().copied().filter(|r| r.is_finite()).collect();
    sorted.sort_by(f64::total_cmp);
    let Some(last) = sorted.len().checked_sub(1) else { return "no finite residuals\n".into() };
    let at = |q: f64| figure(sorted[(q * last as f64).round() as usize]);
    let names = ["least", "5 %", "25 %", "median", "75 %", "95 %", "largest"];
    let values = [0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0].map(at);
    let width = names.iter().map(|n| n.len()).chain(values.iter().map(String::len)).max().unwrap_or(0) + 2;
    let head: String = names.iter().map(|n| format!("{n:>width$}")).collect();
    let body: String = values.iter().map(|v| format!("{v:>width$}")).collect();
    format!("residuals (answer − truth)\n{head}\n{body}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn residuals_never_run_together() {
        for scale in [1e-27, 1.0, 123_456_789.0, 1e300] {
            let residuals: Vec<f64> = (0..99).map(|i| (f64::from(i) - 49.0) * scale).collect();
            let text = residual_summary(&residuals);
            let body = text.lines().nth(2).unwrap();
            assert_eq!(body.split_whitespace().count(), 7, "{text}");
            assert!(body.split_whitespace().all(|word| word.parse::<f64>().is_ok()), "{text}");
        }
    }

    #[test]
    fn nothing_is_claimed_of_nothing() {
        let regression = Regression { rows: 5, mae: 0.1, rmse: 0.1, r2: 0.0, mse: 0.01, constant: 1, outputs: 1 };
        let figures = Figures::Values { regression, largest_right: None, residuals: Vec::new() };
        let metrics = Metrics { over: Over::Test, figures, labels: Vec::new(), targets: 1, positive: false };
        assert!(metrics.headline().contains("R² undefined"), "{}", metrics.headline());
        assert_eq!(metrics.json()["test_r2"], Value::Null);
    }
}
