//! Figures for people and as JSON. What they are is computed in the library.
use mayfly_format::figure;
use mayfly_nn::{Classification, Figures, Measured, Over, Regression};
use serde_json::{Map, Value, json};

/// The word for the rows that figures are over.
pub fn over(over: Over) -> &'static str {
    match over {
        Over::Test => "test",
        Over::Training => "training rows",
    }
}

/// A number for JSON: what is not finite becomes null rather than breaking the object.
pub fn number(v: f64) -> Value {
    if v.is_finite() { json!(v) } else { Value::Null }
}

/// The figures for JSON: `test_…`, or `train_…` for figures over training rows.
pub fn object(measured: &Measured) -> Map<String, Value> {
    match serde_json::to_value(measured.scores()) {
        Ok(Value::Object(object)) => object,
        _ => Map::new(),
    }
}

/// One line for a person.
pub fn headline(measured: &Measured) -> String {
    match &measured.figures {
        _ if measured.rows() == 0 => "no rows to measure on".into(),
        Figures::Classes(classes) => classes_line(measured, classes),
        Figures::Values { regression, largest_right, .. } => {
            let largest =
                largest_right.map(|a| format!(", largest output right in {:.2} %", a * 100.0)).unwrap_or_default();
            let Regression { mae, rmse, .. } = regression;
            let r2 = r2_words(measured, regression);
            format!("MAE {}, RMSE {}, {r2} over {}{largest}", figure(*mae), figure(*rmse), rows(measured.rows()))
        }
    }
}

fn classes_line(measured: &Measured, classes: &Classification) -> String {
    let Classification { accuracy, mse, .. } = classes;
    let wrong = ((1.0 - accuracy) * measured.rows() as f64).round();
    let positive = match measured.labels.get(1).filter(|_| measured.has_positive) {
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
        rows(measured.rows()),
        figure(*mse)
    )
}

fn r2_words(measured: &Measured, regression: &Regression) -> String {
    match (measured.scores().r2.unwrap_or(f64::NAN), regression.constant, measured.targets) {
        (r2, ..) if r2.is_nan() => "R² undefined (the target is the same in every row)".into(),
        (r2, 0, 1) => format!("R² {r2:.4}"),
        (r2, 0, targets) => format!("R² {r2:.4} (mean of {targets} targets)"),
        (r2, n, targets) => format!("R² {r2:.4} (mean of {targets} targets, {n} the same in every row)"),
    }
}

/// A confusion matrix or a summary of the residuals.
pub fn details(measured: &Measured) -> String {
    match &measured.figures {
        Figures::Classes(classes) => confusion_table(&classes.confusion, &measured.labels),
        Figures::Values { residuals, .. } => residual_summary(residuals),
    }
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
        let labels = Vec::new();
        let measured = Measured { over: Over::Test, figures, labels, targets: 1, has_positive: false };
        assert!(headline(&measured).contains("R² undefined"), "{}", headline(&measured));
        assert_eq!(object(&measured)["test_r2"], Value::Null);
    }
}
