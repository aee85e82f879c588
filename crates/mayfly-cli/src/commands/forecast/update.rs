//! `mayfly forecast update`.
use super::args::UpdateArgs;
use super::given::known;
use super::watch::Eye;
use super::words::as_flags;
use crate::support::input::Input;
use crate::support::output::{Files, NATIVE_MODEL};
use crate::support::ui::{Ui, counted, grouped};
use anyhow::Result;
use mayfly_forecast::{Appended, Forecaster, UpdateOptions, Updated};
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
    let frame = known(&args.data, &forecaster, &args.series, args.statics.as_deref(), ui)?;
    let before: Vec<usize> = forecaster.fitted().iter().map(|fitted| fitted.steps).collect();
    let fill = args.series.options()?.fill;
    let mut eye = Eye::new(ui)?;
    let updated =
        forecaster.update(&frame, &UpdateOptions { fill, align: args.series.align, steps: args.steps }, &mut eye);
    eye.finish();
    let Updated { appended, stopped } = updated.map_err(as_flags)?;
    let bytes = forecaster.to_bytes().map_err(as_flags)?;
    output.write(|out| Ok(out.write_all(&bytes)?))?;
    if stopped {
        ui.note("interrupted; the weights so far are kept");
    }
    // An interrupted training has fewer than were asked for.
    let after = forecaster.fitted().iter().zip(before).map(|(fitted, before)| fitted.steps - before);
    let steps: Vec<usize> = after.collect();
    let steps = [steps.iter().min(), steps.iter().max()].map(|n| n.copied().unwrap_or(0));
    let object = json!({
        "rows": appended.rows,
        "revised": appended.revised,
        "new_series": appended.series,
        "series_without_new_rows": appended.silent,
        "old_rows": appended.old,
        "steps": steps[1],
        "model": output.to_string(),
    });
    files.result(ui, &said(&appended, steps, args.series.align, &output.to_string()), &object)
}

/// What was done, for a person.
fn said(done: &Appended, [least, most]: [usize; 2], aligned: bool, output: &str) -> String {
    let mut text = format!("{} appended", counted(done.rows, "value"));
    if done.revised > 0 {
        text += &format!(", {} replaced", grouped(done.revised));
    }
    if done.series > 0 {
        text += &format!(", {} series new", grouped(done.series));
    }
    if most > 0 {
        let between = if least == most { String::new() } else { format!("{} to ", grouped(least)) };
        text += &format!(", {between}{} of training each", counted(most, "step"));
    }
    text += &format!(". Model: {output}\n");
    if done.silent > 0 {
        let but = match aligned {
            true => "what they lack up to the last time of all counts as unknown",
            false => "their forecasts begin where they did",
        };
        text += &format!("{} series without new values: {but}\n", grouped(done.silent));
    }
    if done.old > 0 {
        text += &format!("{} values lie before what the model keeps of their series\n", grouped(done.old));
    }
    text
}
