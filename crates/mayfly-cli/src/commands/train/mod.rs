//! `mayfly train`: from a data file to a trained, measured, saved network.
pub mod args;
mod from;
mod outcome;
mod places;
mod rows;
mod settings;
mod watch;
mod weights;

use crate::support::input::Input;
use crate::support::metrics::{Metrics, Over, number};
use crate::support::output::Output;
use crate::support::plot::{Chart, Line, svg};
use crate::support::ui::{Ui, seconds};
use anyhow::{Context, Result};
use args::TrainArgs;
use mayfly_format::data::Encoder;
use mayfly_nn::{Loss, Model, Tally, mean_loss};
use outcome::{Curve, Outcome};
use places::Places;
use rows::Rows;
use serde_json::{Value, json};
use settings::Settings;
use std::path::Path;
use std::time::Instant;

/// Runs the command.
pub fn train(args: TrainArgs, ui: Ui) -> Result<()> {
    let args = with_config(args)?;
    let places = Places::of(&args)?;
    places.files.refuse_json(ui)?;
    let settings = Settings::choose(&args)?;
    let (args, _kept) = with_inputs(args)?;
    let mut rows = Rows::read(&args, &settings, ui)?;
    let start = Instant::now();
    let range = if settings.needs_target_range(&rows.encoder) { rows.training.target_range()? } else { [0.0; 2] };
    let outcome = match settings.cascade(&rows.encoder, range) {
        None => {
            places.check_format(settings.network(&rows.encoder, range)?)?;
            outcome::fit(&settings, &mut rows, range, ui)?
        }
        Some(cascade) => outcome::grow(&cascade, &rows, ui)?,
    };
    let took = start.elapsed().as_secs_f64();
    let Outcome { network, loss, epochs, ended, curve } = outcome;

    let parameters = network.param_count();
    let mut model = Model::new(network);
    let losses = losses(&model, &loss, &mut rows)?;
    let test = test_metrics(&model, &mut rows)?;
    let summary = summary(&test, epochs, losses, took, parameters, settings.seed, &places.model);
    attach(&mut model, &rows.encoder, &test, &summary)?;
    places.save(model, &rows.encoder, ui)?;
    if let Some(output) = &places.plot {
        plot(output, curve, &test, &args.data)?;
        ui.note(format!("training curve drawn in {output}"));
    }
    ui.note(format!("{epochs} epochs in {}: {ended}. Model: {}", seconds(took), places.model));
    places.files.result(ui, &format!("{}: {}\n\n{}", test.over.name(), test.headline(), test.details()), &summary)
}

/// The same with standard input and pipes kept in files, which live as long as what is returned beside.
fn with_inputs(mut args: TrainArgs) -> Result<(TrainArgs, Vec<Input>)> {
    let mut kept = vec![Input::open(&args.data)?];
    args.data = kept[0].to_path_buf();
    if let Some(test) = &args.test {
        let test = Input::open(test)?;
        args.test = Some(test.to_path_buf());
        kept.push(test);
    }
    Ok((args, kept))
}

/// Options of the TOML file beneath those of the command line.
fn with_config(args: TrainArgs) -> Result<TrainArgs> {
    let Some(path) = args.config.clone() else { return Ok(args) };
    let read = || std::fs::read_to_string(&*Input::open(&path)?).map_err(anyhow::Error::from);
    let text = read().with_context(|| format!("cannot read {}", path.display()))?;
    let file = options_of(&text).with_context(|| format!("in {}", path.display()))?;
    Ok(args.or(file))
}

/// The options in a text; one that there is not is refused by its name.
fn options_of(text: &str) -> Result<TrainArgs> {
    let table: toml::Table = toml::from_str(text)?;
    let known = serde_json::to_value(TrainArgs::default())?;
    let unknown = table.keys().find(|key| known.get(key).is_none());
    match unknown {
        Some(key) => {
            anyhow::bail!("there is no option {key:?}; options are called as on the command line, with underscores")
        }
        None => Ok(toml::from_str(text)?),
    }
}

/// The loss over the training and the test rows, of the network as it is now.
fn losses(model: &Model, loss: &Loss, rows: &mut Rows) -> Result<[f64; 2]> {
    let test = if rows.test.is_empty()? { f64::NAN } else { mean_loss(&model.network, loss, rows.test.data())? };
    Ok([mean_loss(&model.network, loss, rows.training.data())?, test])
}

/// Figures on the test rows; without any, on the training rows, and they are called so.
fn test_metrics(model: &Model, rows: &mut Rows) -> Result<Metrics> {
    let over = if rows.test.is_empty()? { Over::Training } else { Over::Test };
    let part = if over == Over::Test { &mut rows.test } else { &mut rows.training };
    let mut tally = Tally::new(&rows.encoder);
    part.each(|inputs, targets| {
        tally.add(&model.predict(inputs)?, targets);
        Ok(())
    })?;
    Ok(Metrics::new(tally.finish(), &rows.encoder, over))
}

fn summary(
    test: &Metrics,
    epochs: usize,
    [train_loss, test_loss]: [f64; 2],
    took: f64,
    parameters: usize,
    seed: u64,
    output: &Output,
) -> Value {
    let mut object = test.json();
    object.insert("train_loss".into(), number(train_loss));
    object.insert("test_loss".into(), number(test_loss));
    object.insert("epochs".into(), json!(epochs));
    object.insert("seconds".into(), number(took));
    object.insert("parameters".into(), json!(parameters));
    object.insert("seed".into(), json!(seed));
    object.insert("model".into(), json!(output.to_string()));
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

fn plot(output: &Output, curve: Curve, test: &Metrics, data: &Path) -> Result<()> {
    let Curve { unit, training, validation, best } = curve;
    let mut lines = vec![Line { label: "training".into(), values: training }];
    if validation.iter().any(|v| !v.is_nan()) {
        lines.push(Line { label: "validation".into(), values: validation });
    }
    let name = data.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let chart = Chart {
        title: format!("Training on {name}"),
        subtitle: format!("{}: {}", test.over.name(), test.headline()),
        x_label: unit.into(),
        y_label: "loss".into(),
        lines,
        mark: (best > 0).then(|| (best as f64, format!("best: {unit} {best}"))),
    };
    output.write(|out| Ok(out.write_all(svg(&chart).as_bytes())?))
}
