//! What a person is told of models, and what `--json` prints of them.
use crate::support::metrics::number;
use crate::support::ui::{grouped, seconds};
use mayfly_forecast::{Fitted, ForecastError, Scores, SeriesFrame};
use mayfly_format::figure;
use serde_json::{Map, Value, json};

/// An error of the library, with the settings that it names as they are written on the command line.
pub(super) fn as_flags(error: ForecastError) -> anyhow::Error {
    let flag = |option: &str| match option {
        "h" => Some("--h"),
        "val_size" => Some("--val"),
        "max_steps" => Some("--steps"),
        "random_seed" => Some("--seed"),
        "early_stop_patience_steps" => Some("--patience"),
        "windows" => Some("--windows"),
        "step" => Some("--step"),
        "refit" => Some("--refit"),
        "season" => Some("--season"),
        "level" => Some("--level"),
        "windows of intervals" => Some("--interval-windows"),
        "freq" => Some("--freq"),
        "input_size" => Some("--input-size"),
        "models" => Some("--models"),
        "samples" => Some("--samples"),
        "ensemble" => Some("--ensemble"),
        "method" => Some("--method"),
        "steps" => Some("--steps"),
        "points" => Some("--points"),
        "draws" => Some("--draws"),
        "calendar" => Some("--calendar"),
        "cat" => Some("--cat"),
        "tz" => Some("--tz"),
        _ => None,
    };
    match error {
        ForecastError::Option { option, got, want } => {
            let option = flag(&option).map_or(option, str::to_owned);
            let want = want.replace("a val_size", "--val");
            ForecastError::Option { option, got, want }.into()
        }
        other => other.into(),
    }
}

/// The figures of one model or baseline, for JSON; null without such.
pub(super) fn figures(name: &str, scores: Option<&Scores>) -> Map<String, Value> {
    let of = |pick: fn(&Scores) -> f64| scores.map_or(Value::Null, |scores| number(pick(scores)));
    let coverage = scores.filter(|scores| !scores.coverage.is_empty()).map(|scores| {
        scores.coverage.iter().map(|(level, share)| (level.clone(), number(*share))).collect::<Map<_, _>>()
    });
    let mut object = Map::new();
    object.insert("name".into(), json!(name));
    object.insert("mae".into(), of(|s| s.mae));
    object.insert("mse".into(), of(|s| s.mse));
    object.insert("rmse".into(), of(|s| s.rmse));
    object.insert("smape".into(), of(|s| s.smape));
    object.insert("mase".into(), of(|s| s.mase));
    object.insert("coverage".into(), json!(coverage));
    object
}

/// What was trained and measured.
pub(super) struct Outcome<'a> {
    pub(super) frame: &'a SeriesFrame,
    pub(super) h: usize,
    pub(super) fitted: &'a [Fitted],
    /// Of the ensemble of all models.
    pub(super) ensemble: Option<Scores>,
    pub(super) baselines: Vec<(String, Option<Scores>)>,
    /// Where the models are.
    pub(super) model: Option<String>,
}

impl Outcome<'_> {
    /// What `--json` prints.
    pub(super) fn json(&self) -> Value {
        let model = |fitted: &Fitted| {
            let mut object = figures(&fitted.model.alias, fitted.scores.as_ref());
            object.insert("seconds".into(), json!(fitted.seconds));
            object.insert("steps".into(), json!(fitted.steps));
            object.insert("parameters".into(), json!(fitted.parameters()));
            object.insert("windows".into(), json!(fitted.windows));
            let mut config = fitted.model.config();
            // Where it was not given it follows from horizon and series.
            config["input_size"] = json!(fitted.input_size);
            object.insert("config".into(), config);
            Value::Object(object)
        };
        let seed = self.fitted.first().map(|fitted| fitted.model.common.random_seed);
        json!({
            "models": self.fitted.iter().map(model).chain(self.ensemble()).collect::<Vec<_>>(),
            "baselines": self.baselines.iter().map(|(name, scores)| figures(name, scores.as_ref())).collect::<Vec<_>>(),
            "h": self.h,
            "input_size": self.fitted.iter().map(|fitted| fitted.input_size).max(),
            "freq": self.frame.freq().to_string(),
            "series": self.frame.len(),
            "rows": self.frame.rows(),
            "seed": seed,
            "model": self.model,
        })
    }

    /// The ensemble as a model among the others: what they took together.
    fn ensemble(&self) -> Option<Value> {
        let mut object = figures("Ensemble", Some(self.ensemble.as_ref()?));
        let sum = |of: fn(&Fitted) -> usize| self.fitted.iter().map(of).sum::<usize>();
        object.insert("seconds".into(), json!(self.fitted.iter().map(|fitted| fitted.seconds).sum::<f64>()));
        object.insert("steps".into(), json!(sum(|fitted| fitted.steps)));
        object.insert("parameters".into(), json!(sum(Fitted::parameters)));
        object.insert("windows".into(), json!(sum(|fitted| fitted.windows)));
        let names: Vec<&str> = self.fitted.iter().map(|fitted| fitted.model.alias.as_str()).collect();
        object.insert("config".into(), json!({ "models": names }));
        Some(Value::Object(object))
    }

    /// A table, the best first, and who beats whom.
    pub(super) fn text(&self) -> String {
        let mut rows: Vec<(&str, Option<&Scores>, String)> = Vec::new();
        for fitted in self.fitted {
            let took = format!(
                "{} parameters, {} steps in {}",
                grouped(fitted.parameters()),
                grouped(fitted.steps),
                seconds(fitted.seconds)
            );
            rows.push((&fitted.model.alias, fitted.scores.as_ref(), took));
        }
        rows.extend(self.ensemble.iter().map(|scores| ("Ensemble", Some(scores), "of the models".to_owned())));
        rows.extend(self.baselines.iter().map(|(name, scores)| (name.as_str(), scores.as_ref(), String::new())));
        if rows.iter().all(|(_, scores, _)| scores.is_none()) {
            return rows.iter().map(|(name, _, took)| format!("{name}  {took}\n")).collect();
        }
        rows.sort_by(|a, b| mae(a.1).total_cmp(&mae(b.1)));
        let wide = rows.iter().map(|row| row.0.len()).max().unwrap_or(0);
        let mut out = format!("{:wide$}  {:>10} {:>10} {:>8} {:>8}  within\n", "", "MAE", "RMSE", "sMAPE", "MASE");
        for (name, scores, took) in &rows {
            let Some(s) = scores else { continue };
            let within: Vec<String> =
                s.coverage.iter().map(|(level, share)| format!("{level}: {:.0} %", share * 100.0)).collect();
            let within = within.join(", ");
            let [mae, rmse, smape, mase] = [s.mae, s.rmse, s.smape, s.mase].map(shown);
            out += format!("{name:wide$}  {mae:>10} {rmse:>10} {smape:>8} {mase:>8}  {within:18} {took}").trim_end();
            out.push('\n');
        }
        out + &self.verdict()
    }

    /// Which model beat the best baseline, and by how much.
    fn verdict(&self) -> String {
        let models = self.fitted.iter().map(|fitted| (fitted.model.alias.as_str(), mae(fitted.scores.as_ref())));
        let models = models.chain(self.ensemble.iter().map(|scores| ("Ensemble", scores.mae)));
        let baselines = self.baselines.iter().map(|(name, scores)| (name.as_str(), mae(scores.as_ref())));
        let least = |a: (&'_ str, f64), b: (&'_ str, f64)| a.1.total_cmp(&b.1);
        let best = models.min_by(|a, b| least(*a, *b));
        let floor = baselines.min_by(|a, b| least(*a, *b));
        match (best, floor) {
            (Some((name, error)), Some((floor, other))) if error < other => {
                format!("\n{name} beats the best baseline, {floor}, by {:.1} % (MAE).\n", (1.0 - error / other) * 100.0)
            }
            (Some((name, _)), Some((floor, other))) if other.is_finite() => {
                format!("\nNo model beats {floor}, the best baseline; the nearest is {name}.\n")
            }
            _ => String::new(),
        }
    }
}

fn mae(scores: Option<&Scores>) -> f64 {
    scores.map_or(f64::INFINITY, |scores| scores.mae)
}

/// A figure, or a dash.
pub(super) fn shown(v: f64) -> String {
    if v.is_finite() { figure(v) } else { "–".into() }
}

/// The f64 that prints as the f32 does: 0.1 rather than 0.10000000149011612.
pub(super) fn shortest(v: f32) -> Value {
    number(v.to_string().parse().unwrap_or(f64::from(v)))
}
