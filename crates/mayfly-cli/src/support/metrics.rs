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
        /// Errors (answer − truth) of all targets in order of rows; of very many rows an even sample.
        residuals: Vec<f64>,
    },
}

/// Figures that are gathered batch by batch, so that the rows need not be in memory.
pub struct Tally<'a> {
    encoder: &'a Encoder,
    rows: usize,
    outputs: usize,
    squares: f64,
    right: u64,
    /// `[truth][answer]`; empty when numbers are predicted.
    confusion: Vec<Vec<u64>>,
    absolute: f64,
    squared: f64,
    /// Mean and sum of squared distances from it, of each target column (Welford 1962).
    spread: Vec<(f64, f64)>,
    residuals: Sample,
}

impl<'a> Tally<'a> {
    /// Of nothing yet.
    pub fn new(encoder: &'a Encoder) -> Self {
        let classes = encoder.labels().len();
        Tally {
            encoder,
            rows: 0,
            outputs: 0,
            squares: 0.0,
            right: 0,
            confusion: vec![vec![0; classes]; classes],
            absolute: 0.0,
            squared: 0.0,
            spread: vec![(0.0, 0.0); encoder.target_width()],
            residuals: Sample::default(),
        }
    }

    /// More rows: `outputs [rows, width]`, `targets [rows, width]`.
    pub fn add(&mut self, outputs: &[f32], targets: &[f32]) {
        let width = self.encoder.target_width().max(1);
        let squares = outputs.iter().zip(targets).map(|(y, t)| (f64::from(*y) - f64::from(*t)).powi(2));
        self.squares += squares.sum::<f64>();
        self.outputs += outputs.len();
        for (y, t) in outputs.chunks_exact(width).zip(targets.chunks_exact(width)) {
            self.rows += 1;
            if self.confusion.is_empty() { self.values(y, t) } else { self.classes(y, t) }
        }
    }

    fn classes(&mut self, y: &[f32], t: &[f32]) {
        // An output that is not a number names no class: a wrong answer.
        if let (Some(answer), Some(truth)) = (self.encoder.class_of(y), self.encoder.class_of(t)) {
            self.confusion[truth][answer] += 1;
            self.right += u64::from(answer == truth);
        }
    }

    fn values(&mut self, y: &[f32], t: &[f32]) {
        let decoded = |v: &[f32]| match self.encoder.decode(v) {
            Some(Outputs::Values(values)) => values,
            _ => Vec::new(),
        };
        let (y, t) = (decoded(y), decoded(t));
        self.right += u64::from(largest(&y) == largest(&t));
        for ((y, t), (mean, distances)) in y.iter().zip(&t).zip(&mut self.spread) {
            let residual = y - t;
            self.absolute += residual.abs();
            self.squared += residual * residual;
            let off = t - *mean;
            *mean += off / self.rows as f64;
            *distances += off * (t - *mean);
            self.residuals.push(residual);
        }
    }

    /// The figures.
    pub fn finish(self) -> Metrics {
        let accuracy = self.right as f64 / self.rows.max(1) as f64;
        let n = (self.rows * self.encoder.target_width()).max(1) as f64;
        let task = if self.confusion.is_empty() {
            TaskMetrics::Values {
                mae: self.absolute / n,
                rmse: (self.squared / n).sqrt(),
                r2: 1.0 - self.squared / self.spread.iter().map(|(_, distances)| distances).sum::<f64>(),
                accuracy: (self.encoder.target_width() > 1).then_some(accuracy),
                residuals: self.residuals.values,
            }
        } else {
            TaskMetrics::Classes { accuracy, confusion: self.confusion, labels: self.encoder.labels().to_vec() }
        };
        Metrics { rows: self.rows, mse: self.squares / self.outputs.max(1) as f64, task }
    }
}

/// Residuals that are kept for the quantiles.
const SAMPLE: usize = 1 << 20;

/// Every value while there are at most [`SAMPLE`], then every second, every fourth, …
struct Sample {
    values: Vec<f64>,
    step: u64,
    seen: u64,
}

impl Default for Sample {
    fn default() -> Self {
        Sample { values: Vec::new(), step: 1, seen: 0 }
    }
}

impl Sample {
    fn push(&mut self, value: f64) {
        if self.values.len() == SAMPLE {
            let mut at = 0;
            self.values.retain(|_| {
                at += 1;
                at % 2 == 1
            });
            self.step *= 2;
        }
        if self.seen.is_multiple_of(self.step) {
            self.values.push(value);
        }
        self.seen += 1;
    }
}

/// Where the largest value is; the first of several.
fn largest(values: &[f64]) -> usize {
    (1..values.len()).fold(0, |best, i| if values[i] > values[best] { i } else { best })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_stays_even() {
        let mut sample = Sample::default();
        (0..5 * SAMPLE as u64 / 2).for_each(|i| sample.push(i as f64));
        assert_eq!(sample.step, 4);
        let even = sample.values.iter().enumerate().all(|(i, v)| *v == 4.0 * i as f64);
        assert!(even && sample.values.len() == SAMPLE * 5 / 8, "{}", sample.values.len());
    }
}
