//! `mayfly forecast update`.
use super::args::{ExogenousArgs, UpdateArgs};
use super::setup::series_with;
use super::watch::Eye;
use super::words::as_flags;
use crate::support::input::Input;
use crate::support::output::{Files, NATIVE_MODEL};
use crate::support::ui::{Ui, grouped};
use anyhow::Result;
use mayfly_forecast::{Appended, Forecaster, FrameOptions, UpdateOptions, Updated};
use serde_json::json;

/// Appends, trains on if asked, and saves.
pub(super) fn run(args: &UpdateArgs, ui: Ui) -> Result<()> {
    let statics = args.statics.as_deref().map(|path| ("the table of --static", path));
    let model = args.output.as_ref().map(|_| ("the model", &*args.model));
    let mut files = Files::reading([("the data", &*args.data)].into_iter().chain(statics).chain(model))?;
    // Without -o the model takes the place of the one that was read, once it is complete.
    let output = files.writing("-o", args.output.as_deref().unwrap_or(&args.model), NATIVE_MODEL)?;
    files.refuse_json(ui)?;
    let mut forecaster = Forecaster::load(&*Input::open(&args.model)?).map_err(as_flags)?;
    let beside = ExogenousArgs::trained(&forecaster, args.statics.clone());
    let options = args.series.options()?;
    let tz = options.tz.or_else(|| forecaster.zone().cloned());
    let options = FrameOptions { least: 1, freq: options.freq.or(forecaster.freq()), tz, ..options };
    let frame = series_with(&args.data, options, &beside, args.series.align, ui)?;
    let fill = args.series.options()?.fill;
    let mut eye = Eye::new(ui)?;
    let updated = forecaster.update(&frame, &UpdateOptions { fill, steps: args.steps }, &mut eye);
    eye.finish();
    let Updated { appended, stopped } = updated.map_err(as_flags)?;
    let bytes = forecaster.to_bytes().map_err(as_flags)?;
    output.write(|out| Ok(out.write_all(&bytes)?))?;
    if stopped {
        ui.note("interrupted; the weights so far are kept");
    }
    let object = json!({
        "rows": appended.rows,
        "revised": appended.revised,
        "new_series": appended.series,
        "series_without_new_rows": appended.silent,
        "old_rows": appended.old,
        "steps": args.steps,
        "model": output.to_string(),
    });
    files.result(ui, &said(&appended, args, &output.to_string()), &object)
}

/// What was done, for a person.
fn said(done: &Appended, args: &UpdateArgs, output: &str) -> String {
    let mut text = format!("{} values appended", grouped(done.rows));
    if done.revised > 0 {
        text += &format!(", {} replaced", grouped(done.revised));
    }
    if done.series > 0 {
        text += &format!(", {} series new", grouped(done.series));
    }
    if args.steps > 0 {
        text += &format!(", {} steps of training each", grouped(args.steps));
    }
    text += &format!(". Model: {output}\n");
    if done.silent > 0 {
        text += &format!("{} series have no new values: their forecasts begin where they did\n", grouped(done.silent));
    }
    if done.old > 0 {
        text += &format!(
            "{} values lie before what the model keeps of their series, and were left out\n",
            grouped(done.old)
        );
    }
    text
}
