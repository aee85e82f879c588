//! `mayfly forecast explain --method weights`: what networks say they look at.
use crate::support::text::lines;
use mayfly_forecast::{ChoiceKind, InputWeights, Weights};
use serde_json::{Value, json};

/// The method's name on the command line.
pub(super) const METHOD: &str = "weights";
/// Rows of a choice that are listed, and the longest bar.
const LISTED: usize = 8;
const BAR: f32 = 30.0;

/// What one model chooses among, over all series: mean weights, the largest first.
struct Mean {
    model: String,
    kind: ChoiceKind,
    weights: Vec<(String, f32)>,
}

pub(super) fn text(weights: &InputWeights) -> String {
    let mut out = String::new();
    let mut model = "";
    let means = means(weights);
    for mean in &means {
        if mean.model != model {
            model = &mean.model;
            out += &format!("{}: what it looks at\n", lines(model));
        }
        out += &format!("  {}\n", title(mean.kind));
        let listed = &mean.weights[..mean.weights.len().min(LISTED)];
        let wide = listed.iter().map(|(of, _)| of.chars().count()).max().unwrap_or(0);
        let most = listed.first().map_or(0.0, |(_, weight)| *weight);
        for (of, weight) in listed {
            let bar = if most > 0.0 { (weight / most * BAR).round() as usize } else { 0 };
            let bar = format!("{:<width$}", "█".repeat(bar), width = BAR as usize);
            out += &format!("    {:<wide$}  {bar} {:>5.1} %\n", lines(of), weight * 100.0);
        }
    }
    out + "Weights say where a network looks, not how much a forecast owes to it: --method integrated_gradients is for that.\n"
}

fn title(kind: ChoiceKind) -> &'static str {
    match kind {
        ChoiceKind::Static => "static columns",
        ChoiceKind::Past => "columns in the past",
        ChoiceKind::Future => "columns over the horizon",
        _ => "times, from the steps of the forecast",
    }
}

pub(super) fn json(weights: &InputWeights) -> Value {
    let one = |mean: &Mean| {
        let all = mean.weights.iter().map(|(of, weight)| json!({"of": of, "weight": weight}));
        json!({"model": mean.model, "kind": mean.kind.name(), "weights": all.collect::<Vec<_>>()})
    };
    json!({"method": METHOD, "choices": means(weights).iter().map(one).collect::<Vec<_>>()})
}

/// Means over the series, model by model and choice by choice.
fn means(weights: &InputWeights) -> Vec<Mean> {
    let mut out: Vec<Mean> = Vec::new();
    let mut counts: Vec<f32> = Vec::new();
    for one in &weights.forecasts {
        for choice in &one.choices {
            let at = out.iter().position(|mean| mean.model == one.model && mean.kind == choice.kind);
            let at = at.unwrap_or_else(|| {
                out.push(Mean { model: one.model.clone(), kind: choice.kind, weights: Vec::new() });
                counts.push(0.0);
                out.len() - 1
            });
            counts[at] += 1.0;
            for (place, (of, weight)) in of_choice(choice).into_iter().enumerate() {
                match out[at].weights.get_mut(place) {
                    Some((_, sum)) => *sum += weight,
                    None => out[at].weights.push((of, weight)),
                }
            }
        }
    }
    for (mean, count) in out.iter_mut().zip(counts) {
        mean.weights.iter_mut().for_each(|(_, weight)| *weight /= count);
        mean.weights.sort_by(|a, b| b.1.total_cmp(&a.1));
    }
    out
}

/// The mean weight of each column; of attention that of each lag, from the steps of the forecast.
fn of_choice(choice: &Weights) -> Vec<(String, f32)> {
    if choice.kind != ChoiceKind::Attention {
        return choice.among.iter().cloned().zip(choice.means()).collect();
    }
    let times = choice.among.len();
    let ahead = choice.times.len().saturating_sub(choice.past());
    let weight = |lag: usize| {
        let seen = (times - ahead..times).filter_map(|at| Some(choice.values[at * times + at.checked_sub(lag)?]));
        seen.sum::<f32>() / ahead.max(1) as f32
    };
    let name = |lag: usize| match lag {
        0 => "the step itself".to_owned(),
        1 => "1 step before".to_owned(),
        lag => format!("{lag} steps before"),
    };
    (0..times).map(|lag| (name(lag), weight(lag))).collect()
}
