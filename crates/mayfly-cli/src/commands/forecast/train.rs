//! `mayfly forecast train`.
use super::args::{ModelArgs, TrainArgs};
use super::picture::{Wanted, draw, name_of, write_picture};
use super::setup::{check, forecaster, long_enough, series};
use super::watch::{Eye, interrupted};
use super::words::{Outcome, as_flags};
use crate::support::exit::Usage;
use crate::support::input::is_dash;
use crate::support::output::{Files, NATIVE_MODEL, Output, PICTURE};
use crate::support::ui::{Ui, grouped};
use anyhow::Result;
use mayfly_forecast::{Forecaster, Report, SeriesFrame};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// Trains, measures and saves.
pub(super) fn run(args: &TrainArgs, ui: Ui) -> Result<()> {
    let config = args.models.config.as_deref().map(|path| ("the file of --config", path));
    let statics = args.exogenous.statics.as_deref().map(|path| ("the table of --static", path));
    let mut files = Files::reading([("the data", &*args.data)].into_iter().chain(config).chain(statics))?;
    let path = args.output.clone().map_or_else(|| default_model(&args.data), Ok)?;
    let output = files.writing("-o", &path, NATIVE_MODEL)?;
    let plot = args.plot.as_deref().map(|path| files.writing("--plot", path, PICTURE)).transpose()?;
    files.refuse_json(ui)?;
    check(&args.models)?;
    let frame = trainable(args, ui)?;
    let mut forecaster = forecaster(&args.models, &frame, ui)?;
    let mut eye = Eye::new(ui)?;
    let report = forecaster.fit(&frame, &mut eye);
    eye.finish();
    let report = report.map_err(as_flags)?;
    let wrote = Wrote { frame: &frame, args: &args.models, output, plot, data: &args.data, no_tails: args.no_tails };
    let (text, object) = write_model(forecaster, report, wrote, ui)?;
    files.result(ui, &text, &object)
}

/// The series, without those that are too short to learn from once values are held out, if that was asked for.
pub(super) fn trainable(args: &TrainArgs, ui: Ui) -> Result<SeriesFrame> {
    let frame = series(&args.data, &args.series, &args.exogenous, ui)?;
    // As a fit does where nothing is said.
    let h = args.models.h;
    let held = args.models.val.unwrap_or(if frame.longest() >= 2 * h + 2 { h } else { 0 });
    Ok(long_enough(frame, &args.series, held.saturating_add(2), ui))
}

/// Where a trained model goes, and what belongs to it.
pub(super) struct Wrote<'a> {
    pub(super) frame: &'a SeriesFrame,
    pub(super) args: &'a ModelArgs,
    pub(super) output: Output,
    pub(super) plot: Option<Output>,
    pub(super) data: &'a Path,
    pub(super) no_tails: bool,
}

/// Writes the model and its picture. Returns what a person and a machine are told of it.
pub(super) fn write_model(
    mut forecaster: Forecaster,
    report: Report,
    to: Wrote<'_>,
    ui: Ui,
) -> Result<(String, Value)> {
    let Wrote { frame, args, output, plot, data, no_tails } = to;
    report.notes.iter().for_each(|note| ui.note(note));
    if forecaster.fitted().is_empty() {
        // A local model that was interrupted is none, and a file without models would take the place of what is there.
        return Err(interrupted("before the first model was trained"));
    }
    if no_tails {
        forecaster.forget_series();
    }
    let bytes = forecaster.to_bytes().map_err(as_flags)?;
    output.write(|out| Ok(out.write_all(&bytes)?))?;
    short_inputs(&forecaster, frame, ui);
    if report.stopped {
        ui.note("interrupted; the best weights so far are kept");
        let is_there = |alias: &String| forecaster.fitted().iter().any(|fitted| fitted.model.alias == *alias);
        let names = forecaster.models().iter().map(|model| &model.alias);
        let missing: Vec<&str> = names.filter(|alias| !is_there(alias)).map(String::as_str).collect();
        if !missing.is_empty() {
            ui.note(format!("{} had not begun and is not in the file", missing.join(", ")));
        }
        if !args.level.is_empty() {
            ui.note("models that were interrupted have no intervals from a backtest");
        }
    }
    if let (Some(plot), Some(held)) = (&plot, &report.held) {
        let wanted = Wanted { title: format!("Forecasts of {}", name_of(data)), best: best(&forecaster) };
        write_picture(plot, &draw(frame, held, &wanted), ui)?;
    } else if plot.is_some() {
        ui.note("nothing was held out, so that there is no forecast to draw: see mayfly forecast plot");
    }
    let outcome = Outcome {
        frame,
        h: args.h,
        fitted: forecaster.fitted(),
        ensemble: report.ensemble,
        baselines: report.baselines,
        model: Some(output.to_string()),
    };
    ui.note(match report.val_size {
        0 if args.val.is_none() => format!(
            "nothing was held out, so that nothing is measured: no series has the {} values that it takes (two horizons and two). Model: {output}",
            grouped(2 * args.h + 2)
        ),
        0 => format!("nothing was held out. Model: {output}"),
        n => format!("measured on the last {n} values of each series, by which the networks chose their weights; mayfly forecast cv measures without that. Model: {output}"),
    });
    let mut object = outcome.json();
    if report.stopped {
        object["stopped"] = Value::Bool(true);
    }
    Ok((outcome.text(), object))
}

/// Says which series have fewer values than the models see.
pub(super) fn short_inputs(forecaster: &Forecaster, frame: &SeriesFrame, ui: Ui) {
    let most = forecaster.fitted().iter().map(|fitted| fitted.input_size).max().unwrap_or(0);
    let short = frame.iter().filter(|series| series.y.len() < most).count();
    if short > 0 {
        ui.note(format!("{short} series have fewer values than the {most} that the models see: what lies before them counts as unknown"));
    }
}

/// The model of the least error.
fn best(forecaster: &Forecaster) -> Option<String> {
    let scored = forecaster.fitted().iter().filter_map(|f| Some((f.scores.as_ref()?.mae, &f.model.alias)));
    scored.min_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, alias)| alias.clone())
}

/// The data's name with the extension of a model, in the current folder.
pub(super) fn default_model(data: &Path) -> Result<PathBuf> {
    if is_dash(data) {
        return Err(Usage("with data from standard input, say where the models go: -o MODEL".into()).into());
    }
    let plain = if data.extension().is_some_and(|e| e == "gz") { data.with_extension("") } else { data.to_owned() };
    let mut name = plain.file_stem().unwrap_or("model".as_ref()).to_os_string();
    name.push(".mayfly");
    Ok(PathBuf::from(name))
}
