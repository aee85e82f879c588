//! `mayfly info` of a forecaster.
use super::words::{as_flags, figures, shown};
use crate::support::text::lines;
use crate::support::ui::{Ui, grouped};
use anyhow::Result;
use mayfly_forecast::{Exogenous, Fitted, Forecaster, SeriesFrame};
use serde_json::{Value, json};
use std::path::Path;

/// Settings that are shown on a line, at most.
const SHOWN: usize = 100;
/// Series that are named.
const NAMED: usize = 5;

/// Says what a forecaster's file holds: `name` is what a person called it.
pub fn info(name: &str, path: &Path, bytes: u64, ui: Ui) -> Result<()> {
    let forecaster = Forecaster::load(path).map_err(as_flags)?;
    let mut object = json(&forecaster);
    object["file"] = json!(name);
    object["bytes"] = json!(bytes);
    let head = format!("{}  {} bytes, a forecaster\n", lines(name), grouped(bytes as usize));
    ui.result(&(head + &text(&forecaster)), &object)
}

/// Columns by what they are, those of the calendar apart.
fn columns(exogenous: &Exogenous) -> [(&'static str, Vec<String>); 5] {
    let calendar: Vec<String> = exogenous.calendar.iter().map(|feature| feature.name().to_owned()).collect();
    let futr = exogenous.futr.iter().filter(|name| !calendar.contains(name)).cloned().collect();
    let cat = exogenous.categories.iter().map(|category| category.name.clone()).collect();
    [
        ("hist", exogenous.hist.clone()),
        ("futr", futr),
        ("calendar", calendar),
        ("static", exogenous.stat.clone()),
        ("cat", cat),
    ]
}

fn json(forecaster: &Forecaster) -> Value {
    let model = |fitted: &Fitted| {
        let mut object = figures(&fitted.model.alias, fitted.scores.as_ref());
        let mut config = fitted.model.config();
        config["input_size"] = json!(fitted.input_size);
        object.extend([
            ("family".to_owned(), json!(fitted.model.family.name)),
            ("parameters".to_owned(), json!(fitted.parameters())),
            ("local".to_owned(), json!(fitted.model.local)),
            ("seconds".to_owned(), json!(fitted.seconds)),
            ("steps".to_owned(), json!(fitted.steps)),
            ("windows".to_owned(), json!(fitted.windows)),
            ("config".to_owned(), config),
        ]);
        Value::Object(object)
    };
    let names = forecaster.exogenous().map(columns).into_iter().flatten();
    json!({
        "format": "mayfly",
        "kind": "forecaster",
        "runs": true,
        "h": forecaster.h(),
        "freq": forecaster.freq().map(|freq| freq.to_string()),
        "tz": forecaster.zone().map(|zone| zone.name().to_owned()),
        "columns": forecaster.columns().map(|columns| json!({"id": columns.id, "time": columns.time, "target": columns.target})),
        "exogenous": names.map(|(kind, names)| (kind.to_owned(), json!(names))).collect::<serde_json::Map<_, _>>(),
        "local_scaler": forecaster.scaled_by().map(|scaler| scaler.name()),
        "series": forecaster.tails().map(SeriesFrame::len),
        "ids": forecaster.tails().map(|tails| tails.iter().map(|series| series.id).collect::<Vec<_>>()),
        "ensemble": forecaster.combined_by().map(|how| format!("{how:?}").to_lowercase()),
        "models": forecaster.fitted().iter().map(model).collect::<Vec<_>>(),
    })
}

fn text(forecaster: &Forecaster) -> String {
    let freq = forecaster.freq().map_or_else(String::new, |freq| format!(" of frequency {freq}"));
    let zone = forecaster.zone().map_or_else(String::new, |zone| format!(", on the clock of {}", zone.name()));
    let mut out = format!("forecasts {} steps{freq}{zone}\n", forecaster.h());
    out += &match forecaster.tails() {
        Some(tails) => {
            let named: Vec<&str> = tails.iter().take(NAMED).map(|series| series.id).collect();
            let more = if tails.len() > NAMED { ", …" } else { "" };
            let names = lines(&named.join(", "));
            let (count, kept) = (grouped(tails.len()), tails.longest());
            format!("goes on with {count} series ({names}{more}), of which it keeps the last {kept} values\n")
        }
        None => "keeps no series (--no-tails): predict needs data\n".to_owned(),
    };
    for (kind, names) in forecaster.exogenous().map(columns).into_iter().flatten() {
        if !names.is_empty() {
            out += &format!("{kind} columns: {}\n", lines(&names.join(", ")));
        }
    }
    if let Some(scaler) = forecaster.scaled_by() {
        out += &format!("whole series are scaled by {}\n", scaler.name());
    }
    if let Some(how) = forecaster.combined_by() {
        out += &format!("an ensemble of the models: {how:?}\n").to_lowercase();
    }
    forecaster.fitted().iter().for_each(|fitted| out += &model(fitted));
    out
}

fn model(fitted: &Fitted) -> String {
    let alias = &fitted.model.alias;
    let of =
        if *alias == fitted.model.family.name { String::new() } else { format!(" ({})", fitted.model.family.name) };
    let each = if fitted.model.is_local() { ", a network for each series" } else { "" };
    let mut out = format!(
        "\n{}{of}{each}: {} parameters, {} steps of training, sees {} values\n",
        lines(alias),
        grouped(fitted.parameters()),
        grouped(fitted.steps),
        fitted.input_size
    );
    if let Some(scores) = &fitted.scores {
        out += &format!(
            "  on what was held out: MAE {}, RMSE {}, MASE {}\n",
            shown(scores.mae),
            shown(scores.rmse),
            shown(scores.mase)
        );
    }
    let Value::Object(config) = fitted.model.config() else { return out };
    let settings = config.iter().filter(|(name, value)| *name != "input_size" && !value.is_null());
    out += &wrapped(settings.map(|(name, value)| format!("{name} {}", plain(value))));
    out
}

/// A value without the quotes of JSON.
fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), |text| lines(text).to_string())
}

/// Settings in lines of about equal length.
fn wrapped(settings: impl Iterator<Item = String>) -> String {
    let (mut out, mut line) = (String::new(), String::new());
    for setting in settings {
        if !line.is_empty() && line.len() + setting.len() > SHOWN {
            out += &format!("  {line}\n");
            line.clear();
        }
        line += if line.is_empty() { "" } else { ", " };
        line += &setting;
    }
    if line.is_empty() { out } else { out + &format!("  {line}\n") }
}
