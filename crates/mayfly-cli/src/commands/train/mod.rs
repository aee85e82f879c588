//! `mayfly train`: from a data file to a trained, measured, saved network. What is decided on the way, the library decides.
pub mod args;
mod places;
mod watch;
pub mod words;

use crate::support::config::over_file;
use crate::support::input::Input;
use crate::support::metrics::{details, headline, over};
use crate::support::output::Output;
use crate::support::plot::svg;
use crate::support::ui::{Ui, seconds};
use anyhow::{Context, Result};
use args::TrainArgs;
use mayfly_nn::tabular::{Opened, Summary, TrainOptions, Trained};
use places::Places;
use serde_json::{Value, json};
use std::path::Path;
use watch::Watch;
use words::{as_flags, chart, ended, say_decisions, say_plan};

/// Runs the command.
pub fn train(args: TrainArgs, ui: Ui) -> Result<()> {
    let args = with_config(args)?;
    let places = Places::of(&args)?;
    places.files.refuse_json(ui)?;
    let mut options = args.options()?;
    options.check().map_err(as_flags)?;
    let kept = Kept::of(&args, &mut options)?;
    let trained = run(&kept.data, &options, &places, ui)?;
    let headline = headline(&trained.measured);
    let ended = ended(&trained.course);
    let chart = chart(&trained, &headline, &kept.data);
    let Trained { predictor, measured, summary, .. } = trained;
    places.save(predictor, ui)?;
    if let Some(output) = &places.plot {
        output.write(|out| Ok(out.write_all(svg(&chart).as_bytes())?))?;
        ui.note(format!("training curve drawn in {output}"));
    }
    let Summary { epochs, seconds: took, .. } = summary;
    ui.note(format!("{epochs} epochs in {}: {ended}. Model: {}", seconds(took), places.model));
    let text = format!("{}: {headline}\n\n{}", over(measured.over), details(&measured));
    places.files.result(ui, &text, &object(&summary, &places.model)?)
}

/// Trains, and says on the way what is decided.
fn run(data: &Path, options: &TrainOptions, places: &Places, ui: Ui) -> Result<Trained> {
    let opened = Opened::open(data, options).map_err(as_flags)?;
    say_decisions(&opened, options, ui);
    let training = opened.read().map_err(as_flags)?;
    if let Some(network) = training.network() {
        places.check_format(network.clone())?;
    }
    say_plan(&training, options, ui);
    let mut watch = Watch::new(ui, &training)?;
    let trained = training.train(&mut watch);
    watch.finish();
    trained.map_err(as_flags)
}

/// The files that are read. Standard input and pipes are kept in files for as long as this lives.
struct Kept {
    data: Input,
    _others: Vec<Input>,
}

impl Kept {
    /// Opens what the options name, which then name what is kept.
    fn of(args: &TrainArgs, options: &mut TrainOptions) -> Result<Kept> {
        let data = Input::open(&args.data)?;
        let mut others = Vec::new();
        for path in [&mut options.test, &mut options.from].into_iter().flatten() {
            let input = Input::open(path)?;
            *path = input.to_path_buf();
            others.push(input);
        }
        Ok(Kept { data, _others: others })
    }
}

/// Options of the TOML file beneath those of the command line.
fn with_config(args: TrainArgs) -> Result<TrainArgs> {
    let Some(path) = args.config.clone() else { return Ok(args) };
    let read = || std::fs::read_to_string(&*Input::open(&path)?).map_err(anyhow::Error::from);
    let text = read().with_context(|| format!("cannot read {}", path.display()))?;
    let all = over_file(&args, &text).with_context(|| format!("in {}", path.display()))?;
    Ok(TrainArgs { data: args.data, config: args.config, ..all })
}

/// What `--json` prints.
fn object(summary: &Summary, model: &Output) -> Result<Value> {
    let mut object = serde_json::to_value(summary)?;
    if let Some(object) = object.as_object_mut() {
        object.insert("model".into(), json!(model.to_string()));
    }
    Ok(object)
}
