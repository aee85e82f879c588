//! `mayfly forecast models`.
use super::words::as_flags;
use crate::support::ui::Ui;
use anyhow::Result;
use mayfly_forecast::{BASELINES, Baseline, FAMILIES, Family, Model};
use serde_json::{Value, json};

/// Lists the families, or the settings of one.
pub(super) fn run(name: Option<&str>, ui: Ui) -> Result<()> {
    let Some(name) = name else { return all(ui) };
    if let Ok(baseline) = Baseline::by_name(name) {
        let object = json!({ "baselines": [{ "name": baseline.name, "about": baseline.about }] });
        return ui.result(&format!("{}, a baseline: {}", baseline.name, baseline.about), &object);
    }
    let family = Family::by_name(name).map_err(as_flags)?;
    let config = config(family)?;
    let object = json!({ "models": [entry(family)?] });
    let lines: Vec<String> = match &config {
        Value::Object(settings) => settings.iter().map(|(name, value)| line(name, value)).collect(),
        _ => Vec::new(),
    };
    ui.result(&format!("{}: {}\n{}", family.name, family.paper, lines.join("\n")), &object)
}

/// A setting as a file of settings has it; one without a value as a comment.
fn line(name: &str, value: &Value) -> String {
    if value.is_null() { format!("  # {name} = (none)") } else { format!("  {name} = {value}") }
}

fn all(ui: Ui) -> Result<()> {
    let models = FAMILIES.iter().map(entry).collect::<Result<Vec<_>>>()?;
    let wide = FAMILIES.iter().map(|f| f.name.len()).chain(BASELINES.iter().map(|b| b.name.len())).max().unwrap_or(0);
    let mut text = String::from("models\n");
    for family in FAMILIES {
        let marks = takes(family).join(", ");
        let marks = if marks.is_empty() { String::new() } else { format!(" ({marks})") };
        text += &format!("  {:wide$}  {}{marks}\n", family.name, family.paper);
    }
    text += "baselines\n";
    BASELINES.iter().for_each(|baseline| text += &format!("  {:wide$}  {}\n", baseline.name, baseline.about));
    ui.result(&text, &json!({ "models": models }))
}

/// What a family takes besides the past of one series.
fn takes(family: &Family) -> Vec<&'static str> {
    family.takes.multivariate.then_some("multivariate").into_iter().chain(family.takes.kinds()).collect()
}

fn config(family: &Family) -> Result<Value> {
    Ok(Model::new(family.name).map_err(as_flags)?.config())
}

fn entry(family: &Family) -> Result<Value> {
    Ok(json!({ "name": family.name, "paper": family.paper, "takes": takes(family), "config": config(family)? }))
}
