//! What a person is told of explanations, and what `--json` prints of them.
use super::words::shortest;
use crate::support::metrics::number;
use crate::support::text::lines;
use mayfly_forecast::{ExplainMethod, Explained, Explanation, Explanations, Importance, InputKind};
use mayfly_format::figure;
use serde_json::{Value, json};

/// Inputs that are listed, and the longest bar.
const LISTED: usize = 12;
const BAR: f64 = 30.0;
/// A gap that is worth a word, as a share of what was given out.
const WIDE: f64 = 2e-3;

/// For each model its inputs, the most important first.
pub(super) fn text(explanations: &Explanations) -> String {
    let mut out: Vec<String> = explanations.models.iter().map(of_model).collect();
    out.push(match (explanations.method, explanations.largest_gap()) {
        (ExplainMethod::IntegratedGradients, Some(gap)) if gap > WIDE => format!(
            "Shares of all attributions, without their signs. Up to {} % of them are missing from a forecast: try more --points. Where a model jumps from one choice to another (Informer, Autoformer) no number is enough; --method permutation explains it.\n",
            figure(gap * 100.0)
        ),
        (ExplainMethod::IntegratedGradients, Some(gap)) => format!(
            "Shares of all attributions, without their signs. They add up to the forecasts; no more than {} % of them is missing.\n",
            figure(gap * 100.0)
        ),
        (ExplainMethod::Permutation, _) => "Shares of what changes where an input has another value, without signs.\n".into(),
        _ => "Shares of inputs times gradients, without their signs.\n".into(),
    });
    out.join("\n")
}

fn of_model(explanation: &Explanation) -> String {
    let summary = explanation.summary();
    let (listed, rest) = summary.split_at(summary.len().min(LISTED));
    let rows: Vec<(String, f64, f64)> = listed.iter().map(|one| (lines(&label(one)), one.share, one.mean)).collect();
    let others = format!("{} others", rest.len());
    let wide = rows.iter().map(|(label, ..)| label.chars().count()).fold(others.len(), usize::max);
    let most = rows.first().map_or(0.0, |(_, share, _)| *share);
    let mut out = format!("{}: what {} are made of\n", lines(&explanation.model), counted(&explanation.forecasts));
    let mut row = |label: &str, bar: usize, share: f64, mean: f64| {
        let bar = format!("{:<width$}", "█".repeat(bar), width = BAR as usize);
        out += &format!("  {label:<wide$}  {bar} {:>5.1} %  {}\n", share * 100.0, figure(mean));
    };
    for (label, share, mean) in &rows {
        row(label, if most > 0.0 { (share / most * BAR).round() as usize } else { 0 }, *share, *mean);
    }
    if !rest.is_empty() {
        // Many that matter little would have the longest bar together.
        let sum = |of: fn(&Importance) -> f64| rest.iter().map(of).sum();
        row(&others, 0, sum(|one| one.share), sum(|one| one.mean));
    }
    out
}

/// A column says what kind it is of.
fn label(one: &Importance) -> String {
    match (one.lag, one.kind) {
        (None, InputKind::Hist | InputKind::Futr | InputKind::Static) => format!("{one} ({})", one.kind.name()),
        _ => one.to_string(),
    }
}

fn counted(forecasts: &[Explained]) -> String {
    let mut ids: Vec<&str> = forecasts.iter().map(|one| one.id.as_str()).collect();
    ids.dedup();
    let steps = forecasts.len() / ids.len().max(1);
    let plural = |n: usize| if n == 1 { "" } else { "s" };
    let series = if ids.len() == 1 { "1 series".to_owned() } else { format!("each of {} series", ids.len()) };
    format!("{steps} forecast{} of {series}", plural(steps))
}

/// What `--json` prints.
pub(super) fn json(explanations: &Explanations) -> Value {
    let model = |explanation: &Explanation| {
        let input = |input: &mayfly_forecast::Input| json!({ "kind": input.kind.name(), "column": input.column, "of": input.of, "ahead": input.ahead });
        let forecast = |one: &Explained| {
            json!({
                "id": one.id,
                "step": one.step,
                "ds": explanations.written(one.ds),
                "forecast": shortest(one.forecast),
                "baseline": one.baseline.map(shortest),
                "gap": one.gap.map(shortest),
                "attributions": one.attributions.iter().map(|a| shortest(*a)).collect::<Vec<_>>(),
            })
        };
        let importance = |one: &Importance| {
            let (kind, mean, share) = (one.kind.name(), number(one.mean), number(one.share));
            json!({ "kind": kind, "column": one.column, "of": one.of, "lag": one.lag, "mean": mean, "share": share })
        };
        json!({
            "name": explanation.model,
            "input_size": explanation.input_size,
            "inputs": explanation.inputs.iter().map(input).collect::<Vec<_>>(),
            "forecasts": explanation.forecasts.iter().map(forecast).collect::<Vec<_>>(),
            "summary": explanation.summary().iter().map(importance).collect::<Vec<_>>(),
        })
    };
    json!({
        "method": explanations.method.name(),
        "models": explanations.models.iter().map(model).collect::<Vec<_>>(),
    })
}
