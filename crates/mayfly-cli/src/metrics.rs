//! Test figures: what a network got right, from its outputs and the encoded targets.
use mayfly_format::data::{Encoder, Outputs};
use serde_json::{Map, Value, json};

/// Figures over some rows.
pub struct Metrics {
    pub rows: usize,
    /// Mean over rows and outputs of the squared difference, as FANN counts it.
    pub mse: f64,
    pub task: TaskMetrics,
}

/// What is counted depends on the task.
pub enum TaskMetrics {
    Classes {
        /// Share of rows whose class is right.
        accuracy: f64,
        /// `[truth][answer]` counts.
        confusion: Vec<Vec<u64>>,
        labels: Vec<String>,
    },
    Values {
        /// Mean absolute error in the target's unit.
        mae: f64,
        /// Root of the mean squared error in the target's unit.
        rmse: f64,
        /// Share of the variance that is explained.
        r2: f64,
        /// With several targets: the share of rows whose largest output is where the largest target is.
        accuracy: Option<f64>,
        /// Errors (answer − truth), in order of rows, of all targets.
        residuals: Vec<f64>,
    },
}

/// Compares `outputs [rows, width]` with `targets [rows, width]`.
pub fn measure(encoder: &Encoder, outputs: &[f32], targets: &[f32]) -> Metrics {
    let width = encoder.target_width().max(1);
    let squares = outputs.iter().zip(targets).map(|(y, t)| (f64::from(*y) - f64::from(*t)).powi(2));
    let mse = squares.sum::<f64>() / outputs.len().max(1) as f64;
    let pairs = outputs.chunks_exact(width).zip(targets.chunks_exact(width));
    let task = if encoder.labels().is_empty() { values(encoder, pairs) } else { classes(encoder, pairs) };
    Metrics { rows: outputs.len() / width, mse, task }
}

fn classes<'a>(encoder: &Encoder, pairs: impl Iterator<Item = (&'a [f32], &'a [f32])>) -> TaskMetrics {
    let labels = encoder.labels().to_vec();
    let mut confusion = vec![vec![0; labels.len()]; labels.len()];
    let (mut rows, mut right) = (0u64, 0u64);
    for (y, t) in pairs {
        rows += 1;
        // An output that is not a number names no class: a wrong answer.
        if let (Some(answer), Some(truth)) = (encoder.class_of(y), encoder.class_of(t)) {
            confusion[truth][answer] += 1;
            right += u64::from(answer == truth);
        }
    }
    TaskMetrics::Classes { accuracy: right as f64 / rows.max(1) as f64, confusion, labels }
}

fn values<'a>(encoder: &Encoder, pairs: impl Iterator<Item = (&'a [f32], &'a [f32])>) -> TaskMetrics {
    let decoded = |v: &[f32]| match encoder.decode(v) {
        Some(Outputs::Values(values)) => values,
        _ => Vec::new(),
    };
    let (mut residuals, mut truths) = (Vec::new(), Vec::new());
    let (mut rows, mut right) = (0u64, 0u64);
    for (y, t) in pairs {
        let (y, t) = (decoded(y), decoded(t));
        rows += 1;
        right += u64::from(largest(&y) == largest(&t));
        residuals.extend(y.iter().zip(&t).map(|(y, t)| y - t));
        truths.extend(t);
    }
    let n = residuals.len().max(1) as f64;
    let squared: f64 = residuals.iter().map(|r| r * r).sum();
    let spread = variance_by_column(&truths, encoder.target_width());
    let mae = residuals.iter().map(|r| r.abs()).sum::<f64>() / n;
    let accuracy = (encoder.target_width() > 1).then(|| right as f64 / rows.max(1) as f64);
    TaskMetrics::Values { mae, rmse: (squared / n).sqrt(), r2: 1.0 - squared / spread, accuracy, residuals }
}

/// Where the largest value is; the first of several.
fn largest(values: &[f64]) -> usize {
    (1..values.len()).fold(0, |best, i| if values[i] > values[best] { i } else { best })
}

/// Sum of squared distances from each column's mean.
fn variance_by_column(values: &[f64], width: usize) -> f64 {
    let rows = values.len() / width.max(1);
    let column = |c: usize| values.iter().skip(c).step_by(width.max(1));
    (0..width)
        .map(|c| {
            let mean = column(c).sum::<f64>() / rows.max(1) as f64;
            column(c).map(|v| (v - mean).powi(2)).sum::<f64>()
        })
        .sum()
}

/// A number for JSON: what is not finite becomes null rather than breaking the object.
pub fn number(v: f64) -> Value {
    if v.is_finite() { json!(v) } else { Value::Null }
}

impl Metrics {
    /// The test keys of the JSON output.
    pub fn json(&self) -> Map<String, Value> {
        let mut map = Map::new();
        map.insert("test_mse".into(), number(self.mse));
        match &self.task {
            TaskMetrics::Classes { accuracy, .. } => {
                map.insert("test_accuracy".into(), number(*accuracy));
            }
            TaskMetrics::Values { mae, rmse, r2, accuracy, .. } => {
                if let Some(accuracy) = accuracy {
                    map.insert("test_accuracy".into(), number(*accuracy));
                }
                map.insert("test_mae".into(), number(*mae));
                map.insert("test_rmse".into(), number(*rmse));
                map.insert("test_r2".into(), number(*r2));
            }
        }
        map
    }

    /// One line for a person.
    pub fn headline(&self) -> String {
        match &self.task {
            TaskMetrics::Classes { accuracy, .. } => {
                let wrong = ((1.0 - accuracy) * self.rows as f64).round();
                format!("accuracy {:.2} % ({wrong} of {} rows wrong), MSE {:.5}", accuracy * 100.0, self.rows, self.mse)
            }
            TaskMetrics::Values { mae, rmse, r2, accuracy, .. } => {
                let largest =
                    accuracy.map(|a| format!(", largest output right in {:.2} %", a * 100.0)).unwrap_or_default();
                format!("MAE {mae:.4}, RMSE {rmse:.4}, R² {r2:.4} over {} rows{largest}", self.rows)
            }
        }
    }

    /// A confusion matrix or a summary of the residuals.
    pub fn details(&self) -> String {
        match &self.task {
            TaskMetrics::Classes { confusion, labels, .. } => confusion_table(confusion, labels),
            TaskMetrics::Values { residuals, .. } => residual_summary(residuals),
        }
    }
}

/// More classes than this do not fit across a terminal.
const TABLE_CLASSES: usize = 12;

fn confusion_table(confusion: &[Vec<u64>], labels: &[String]) -> String {
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
        let total: u64 = row.iter().sum();
        let recall = row[truth] as f64 / total.max(1) as f64 * 100.0;
        out.push_str(&format!("{:>wide$}  ", names[truth]));
        row.iter()
            .for_each(|n| out.push_str(&if *n == 0 { format!("{:>cell$} ", "·") } else { format!("{n:>cell$} ") }));
        out.push_str(&if total == 0 { format!("{:>8}\n", "–") } else { format!("{recall:>6.1} %\n") });
    }
    out
}

fn worst_confusions(confusion: &[Vec<u64>], labels: &[String]) -> String {
    let mut wrong: Vec<(u64, usize, usize)> = Vec::new();
    for (t, row) in confusion.iter().enumerate() {
        wrong.extend(row.iter().enumerate().filter(|(a, n)| *a != t && **n > 0).map(|(a, n)| (*n, t, a)));
    }
    wrong.sort_by(|a, b| b.cmp(a));
    let line = |(n, t, a): &(u64, usize, usize)| format!("  {n:>6}  {} taken for {}\n", labels[*t], labels[*a]);
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
    let at = |q: f64| sorted[(q * last as f64).round() as usize];
    let names = ["least", "5 %", "25 %", "median", "75 %", "95 %", "largest"];
    let values = [0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0].map(at);
    let head: String = names.iter().map(|n| format!("{n:>10}")).collect();
    let body: String = values.iter().map(|v| format!("{v:>10.4}")).collect();
    format!("residuals (answer − truth)\n{head}\n{body}\n")
}
