//! `mayfly eval` and `mayfly predict`.
use super::args::{EvalArgs, PredictArgs};
use crate::support::answers::Answers;
use crate::support::input::Input;
use crate::support::metrics::{details, headline, object};
use crate::support::model::{Loaded, Rows};
use crate::support::output::{Files, TABLE};
use crate::support::signals::Signals;
use crate::support::ui::Ui;
use anyhow::Result;
use serde_json::{Value, json};
use std::io;
use std::path::Path;

/// Measures a model on a file.
pub fn eval(args: &EvalArgs, ui: Ui) -> Result<()> {
    Files::reading([("the model", &*args.model), ("the data", &*args.data)])?;
    let (model, data) = (Input::open(&args.model)?, Input::open(&args.data)?);
    let rows = Rows { path: &data, files: &args.files, columns: &args.columns };
    let measured = Loaded::read_with(&model, &args.open.options())?.measure(rows, ui)?;
    let mut object = object(&measured);
    object.insert("rows".into(), json!(measured.rows()));
    ui.result(&format!("{}\n\n{}", headline(&measured), details(&measured)), &Value::Object(object))
}

/// Runs a model over a file.
pub fn predict(args: &PredictArgs, ui: Ui) -> Result<()> {
    let mut files = Files::reading([("the model", &*args.model), ("the data", &*args.data)])?;
    let to = match &args.output {
        Some(path) => Some(files.writing("-o", path, TABLE)?),
        None if ui.json => None,
        None => Some(files.writing("standard output", Path::new("-"), TABLE)?),
    };
    files.refuse_json(ui)?;
    let (model, data) = (Input::open(&args.model)?, Input::open(&args.data)?);
    let loaded = Loaded::read_with(&model, &args.open.options())?;
    let rows = Rows { path: &data, files: &args.files, columns: &args.columns };
    let encoder = loaded.encoder_for(rows, ui)?;
    let mut answers = Answers::new(&loaded, &encoder, ui.json);
    if to.as_ref().is_some_and(|output| !output.is_stdout()) {
        answers.signals = Some(Signals::listen()?);
    }
    match &to {
        Some(output) => output.write(|out| answers.run(rows, out))?,
        None => answers.run(rows, &mut io::sink())?,
    }
    match &to {
        Some(output) if !output.is_stdout() => ui.note(format!("{} rows written to {output}", answers.rows)),
        _ => {}
    }
    if ui.json { ui.result("", &answers.json()) } else { Ok(()) }
}
