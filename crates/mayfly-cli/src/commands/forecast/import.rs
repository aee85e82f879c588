//! `mayfly forecast import`.
use super::words::as_flags;
use crate::support::output::{Files, NATIVE_MODEL};
use crate::support::ui::Ui;
use anyhow::Result;
use mayfly_forecast::Forecaster;
use serde_json::json;
use std::path::Path;

/// Takes over what NeuralForecast saved.
pub(super) fn run(folder: &Path, output: &Path, ui: Ui) -> Result<()> {
    let mut files = Files::reading([("the folder", folder)])?;
    let output = files.writing("-o", output, NATIVE_MODEL)?;
    files.refuse_json(ui)?;
    let (forecaster, notes) = Forecaster::import_neuralforecast(folder).map_err(as_flags)?;
    notes.iter().for_each(|note| ui.note(note));
    let bytes = forecaster.to_bytes().map_err(as_flags)?;
    output.write(|out| Ok(out.write_all(&bytes)?))?;
    let models: Vec<&str> = forecaster.fitted().iter().map(|fitted| fitted.model.alias.as_str()).collect();
    let series = forecaster.tails().map_or(0, |tails| tails.len());
    let text = format!("{} of NeuralForecast, with the ends of {series} series. Model: {output}\n", models.join(", "));
    files.result(ui, &text, &json!({ "models": models, "series": series, "notes": notes, "model": output.to_string() }))
}
