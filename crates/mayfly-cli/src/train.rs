//! `mayfly train`: from a data file to a trained, measured, saved network.
mod settings;
mod watch;

use crate::args::TrainArgs;
use crate::data::TABLE_BYTES;
use crate::metrics::{Metrics, measure, number};
use crate::plot::{Chart, Line, svg};
use crate::ui::{Ui, grouped, seconds};
use anyhow::{Context, Result, bail};
use mayfly_format::data::{EncodedRows, Encoder, LeftOut, OpenOptions, RowOptions, Table, Tables, Want};
use mayfly_nn::{FitReport, InMemory, Loss, Model, Stopped, Trainer, mean_loss};
use serde_json::{Value, json};
use settings::Settings;
use std::path::{Path, PathBuf};
use std::time::Instant;
use watch::Watch;

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
    let network = settings.network(&rows.encoder)?;
    let parameters = network.param_count();
    let config = settings.config(&rows.encoder, rows.training.rows);
    let loss = config.loss.clone();
    say_plan(&rows, &network, &config, ui);

    let start = Instant::now();
    let mut trainer = Trainer::new(network, config)?;
    let report = fit(&mut trainer, &rows, ui)?;
    let took = start.elapsed().as_secs_f64();

    let output = args.output.clone().unwrap_or_else(|| default_output(&args.data));
    let mut model = Model::new(trainer.into_network());
    let losses = losses(&model, &loss, &rows)?;
    let test = test_metrics(&model, &rows)?;
    let summary = summary(&test, &report, losses, took, parameters, settings.seed, &output);
    attach(&mut model, &rows.encoder, &test, &summary)?;
    model.save(&output).with_context(|| format!("cannot write the model to {}", output.display()))?;
    if let Some(path) = &args.plot {
        plot(path, &report, &test, &args.data)?;
        ui.note(format!("training curve drawn in {}", path.display()));
    }
    ui.note(stopped(&report, took, &output));
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

fn say_plan(rows: &Rows, network: &mayfly_nn::Network, config: &mayfly_nn::TrainConfig, ui: Ui) {
    let task = match rows.encoder.labels() {
        [] => "numbers".to_string(),
        labels => format!("{} classes", labels.len()),
    };
    let held = match rows.validation.rows {
        0 => String::new(),
        n => format!(", {} held out to stop in time", grouped(n)),
    };
    ui.note(format!(
        "{} rows to train on{held}, {} to test; {} inputs, {task}; {} parameters; {}",
        grouped(rows.training.rows),
        grouped(rows.test.rows),
        network.input_len(),
        grouped(network.param_count()),
        config.algorithm.name(),
    ));
}

fn dataset(table: &Table, encoder: &Encoder) -> Result<InMemory> {
    Ok(InMemory::new(encoder.input_width(), encoder.target_width(), table.inputs.clone(), table.targets.clone())?)
}

fn fit(trainer: &mut Trainer, rows: &Rows, ui: Ui) -> Result<FitReport> {
    let mut training = dataset(&rows.training, &rows.encoder)?;
    let mut validation = dataset(&rows.validation, &rows.encoder)?;
    let held: Option<&mut dyn mayfly_nn::Dataset> = if rows.validation.rows > 0 { Some(&mut validation) } else { None };
    let mut watch = Watch::new(ui, trainer.config().epochs, rows.training.rows)?;
    let report = trainer.fit(&mut training, held, &mut watch);
    watch.finish();
    Ok(report?)
}

/// The loss over the training and the test rows, of the network as it is now.
fn losses(model: &Model, loss: &Loss, rows: &Rows) -> Result<[f64; 2]> {
    let over =
        |table: &Table| Ok::<f64, anyhow::Error>(mean_loss(&model.network, loss, &mut dataset(table, &rows.encoder)?)?);
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
    report: &FitReport,
    [train_loss, test_loss]: [f64; 2],
    took: f64,
    parameters: usize,
    seed: u64,
    output: &Path,
) -> Value {
    let mut object = test.json();
    object.insert("train_loss".into(), number(train_loss));
    object.insert("test_loss".into(), number(test_loss));
    object.insert("epochs".into(), json!(report.epochs.len()));
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

fn stopped(report: &FitReport, took: f64, output: &Path) -> String {
    let why = match report.stopped {
        Stopped::Epochs => "all epochs run",
        Stopped::Patience => "no better for a while",
        Stopped::Reached => "aim reached",
        Stopped::Requested => "interrupted; the best network so far is kept",
    };
    format!(
        "{} epochs in {}: {why} (best: epoch {}). Model: {}",
        report.epochs.len(),
        seconds(took),
        report.best_epoch,
        output.display()
    )
}

fn plot(path: &Path, report: &FitReport, test: &Metrics, data: &Path) -> Result<()> {
    let mut lines =
        vec![Line { label: "training".into(), values: report.epochs.iter().map(|e| e.train_loss).collect() }];
    if report.epochs.iter().any(|e| e.validation_loss.is_some()) {
        let values = report.epochs.iter().map(|e| e.validation_loss.unwrap_or(f64::NAN)).collect();
        lines.push(Line { label: "validation".into(), values });
    }
    let name = data.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let chart = Chart {
        title: format!("Training on {name}"),
        subtitle: format!("test: {}", test.headline()),
        x_label: "epoch".into(),
        y_label: "loss".into(),
        lines,
        mark: (report.best_epoch > 0).then(|| (report.best_epoch as f64, format!("best: epoch {}", report.best_epoch))),
    };
    mayfly_format::atomic::write(path, |out| out.write_all(svg(&chart).as_bytes()))
        .with_context(|| format!("cannot write {}", path.display()))
}
