//! `mayfly train`: from a data file to a trained, measured, saved network.
mod outcome;
mod settings;
mod watch;

use crate::args::TrainArgs;
use crate::data::TABLE_BYTES;
use crate::metrics::{Metrics, measure, number};
use crate::plot::{Chart, Line, svg};
use crate::ui::{Ui, grouped, seconds};
use anyhow::{Context, Result, bail};
use mayfly_format::data::{EncodedRows, Encoder, LeftOut, OpenOptions, RowOptions, Table, Tables, Want};
use mayfly_nn::{InMemory, Loss, Model, mean_loss};
use outcome::{Curve, Outcome};
use serde_json::{Value, json};
use settings::Settings;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// The rows of a training, encoded.
struct Rows {
    encoder: Encoder,
    training: Table,
    validation: Table,
    test: Table,
}

/// Runs the command.
pub fn train(args: TrainArgs, ui: Ui) -> Result<()> {
    let args = with_config(args)?;
    let settings = Settings::choose(&args)?;
    let rows = read(&args, &settings, ui)?;
    let start = Instant::now();
    let outcome = match settings.cascade(&rows.encoder, &rows.training.targets) {
        None => outcome::fit(&settings, &rows, ui)?,
        Some(cascade) => outcome::grow(&cascade, &rows, ui)?,
    };
    let took = start.elapsed().as_secs_f64();
    let Outcome { network, loss, epochs, ended, curve } = outcome;

    let output = args.output.clone().unwrap_or_else(|| default_output(&args.data));
    let parameters = network.param_count();
    let mut model = Model::new(network);
    let losses = losses(&model, &loss, &rows)?;
    let test = test_metrics(&model, &rows)?;
    let summary = summary(&test, epochs, losses, took, parameters, settings.seed, &output);
    attach(&mut model, &rows.encoder, &test, &summary)?;
    model.save(&output).with_context(|| format!("cannot write the model to {}", output.display()))?;
    if let Some(path) = &args.plot {
        plot(path, curve, &test, &args.data)?;
        ui.note(format!("training curve drawn in {}", path.display()));
    }
    ui.note(format!("{epochs} epochs in {}: {ended}. Model: {}", seconds(took), output.display()));
    ui.result(&format!("test: {}\n\n{}", test.headline(), test.details()), &summary)
}

/// Options of the TOML file beneath those of the command line.
fn with_config(args: TrainArgs) -> Result<TrainArgs> {
    let Some(path) = args.config.clone() else { return Ok(args) };
    let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let file: TrainArgs = toml::from_str(&text).with_context(|| format!("in {}", path.display()))?;
    Ok(args.or(file))
}

/// Reads the training file, and the test file if there is one; otherwise test rows are held out.
fn read(args: &TrainArgs, settings: &Settings, ui: Ui) -> Result<Rows> {
    let mut source = crate::data::open_file(&args.data, &OpenOptions::default())?;
    let encoder = Encoder::fit(source.as_mut(), &settings.fit)?;
    say_left_out(encoder.left_out(), ui);
    let options = RowOptions { want: Want::InputsAndTargets, split: settings.fit.split, ..RowOptions::default() };
    let mut encoded = EncodedRows::new(source, &encoder, &options)?;
    let Tables { training, validation, test } = Tables::read(&mut encoded, TABLE_BYTES)?;
    let test = match &args.test {
        Some(path) => crate::data::table(path, &encoder, Want::InputsAndTargets)?,
        None => test,
    };
    if training.rows == 0 {
        bail!("{}: no rows are left to train on", args.data.display());
    }
    Ok(Rows { encoder, training, validation, test })
}

fn say_left_out(columns: &[LeftOut], ui: Ui) {
    for column in columns {
        ui.note(format!("column {:?} is left out: {:?}", column.name, column.reason));
    }
}

/// What is about to be trained; a network that grows has no number of parameters yet.
fn say_plan(rows: &Rows, parameters: Option<usize>, algorithm: &str, ui: Ui) {
    let task = match rows.encoder.labels() {
        [] => "numbers".to_string(),
        labels => format!("{} classes", labels.len()),
    };
    let held = match rows.validation.rows {
        0 => String::new(),
        n => format!(", {} held out to stop in time", grouped(n)),
    };
    let parameters = parameters.map(|n| format!("{} parameters; ", grouped(n))).unwrap_or_default();
    ui.note(format!(
        "{} rows to train on{held}, {} to test; {} inputs, {task}; {parameters}{algorithm}",
        grouped(rows.training.rows),
        grouped(rows.test.rows),
        rows.encoder.input_width(),
    ));
}

/// The loss over the training and the test rows, of the network as it is now.
fn losses(model: &Model, loss: &Loss, rows: &Rows) -> Result<[f64; 2]> {
    let over = |table: &Table| {
        Ok::<f64, anyhow::Error>(mean_loss(
            &model.network,
            loss,
            &mut InMemory::from_table(table.clone(), &rows.encoder)?,
        )?)
    };
    let test = if rows.test.rows > 0 { over(&rows.test)? } else { f64::NAN };
    Ok([over(&rows.training)?, test])
}

/// Figures on the test rows; without any, on the training rows, which the caller is told.
fn test_metrics(model: &Model, rows: &Rows) -> Result<Metrics> {
    let table = if rows.test.rows > 0 { &rows.test } else { &rows.training };
    let outputs = model.predict(&table.inputs)?;
    Ok(measure(&rows.encoder, &outputs, &table.targets))
}

fn summary(
    test: &Metrics,
    epochs: usize,
    [train_loss, test_loss]: [f64; 2],
    took: f64,
    parameters: usize,
    seed: u64,
    output: &Path,
) -> Value {
    let mut object = test.json();
    object.insert("train_loss".into(), number(train_loss));
    object.insert("test_loss".into(), number(test_loss));
    object.insert("epochs".into(), json!(epochs));
    object.insert("seconds".into(), number(took));
    object.insert("parameters".into(), json!(parameters));
    object.insert("seed".into(), json!(seed));
    object.insert("model".into(), json!(output.display().to_string()));
    Value::Object(object)
}

/// Puts what belongs to the network into its file.
fn attach(model: &mut Model, encoder: &Encoder, test: &Metrics, summary: &Value) -> Result<()> {
    model.encoder = Some(serde_json::to_string(encoder)?);
    model.metrics = Some(Value::Object(test.json()).to_string());
    let mut training = summary.clone();
    if let Some(object) = training.as_object_mut() {
        object.remove("model"); // the place it was first written to is nobody's business later
    }
    model.training = Some(training.to_string());
    Ok(())
}

fn default_output(data: &Path) -> PathBuf {
    let stem = data.file_stem().map_or_else(|| "model".into(), |s| s.to_os_string());
    PathBuf::from(stem).with_extension("mayfly")
}

fn plot(path: &Path, curve: Curve, test: &Metrics, data: &Path) -> Result<()> {
    let Curve { unit, training, validation, best } = curve;
    let mut lines = vec![Line { label: "training".into(), values: training }];
    if validation.iter().any(|v| !v.is_nan()) {
        lines.push(Line { label: "validation".into(), values: validation });
    }
    let name = data.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let chart = Chart {
        title: format!("Training on {name}"),
        subtitle: format!("test: {}", test.headline()),
        x_label: unit.into(),
        y_label: "loss".into(),
        lines,
        mark: (best > 0).then(|| (best as f64, format!("best: {unit} {best}"))),
    };
    mayfly_format::atomic::write(path, |out| out.write_all(svg(&chart).as_bytes()))
        .with_context(|| format!("cannot write {}", path.display()))
}
