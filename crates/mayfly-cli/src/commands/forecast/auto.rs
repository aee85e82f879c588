//! `mayfly forecast auto`.
use super::args::AutoArgs;
use super::setup::{check, forecaster, settings, unused_table};
use super::train::{Wrote, default_model, trainable, write_model};
use super::watch::Eye;
use super::words::{as_flags, shown};
use crate::support::exit::Usage;
use crate::support::input::Input;
use crate::support::output::{Files, NATIVE_MODEL, PICTURE};
use crate::support::ui::{Ui, counted};
use anyhow::{Context, Result};
use mayfly_forecast::{AutoOptions, Forecaster, Model, Space, Trial};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

/// Settings that are shown of a trial, at most.
const SHOWN: usize = 60;

/// Tries settings, trains with the best, and saves.
pub(super) fn run(args: &AutoArgs, ui: Ui) -> Result<()> {
    let config = args.train.models.config.as_deref().map(|path| ("the file of --config", path));
    let space = args.space.as_deref().map(|path| ("the file of --space", path));
    let statics = args.train.exogenous.statics.as_deref().map(|path| ("the table of --static", path));
    let reads = [("the data", &*args.train.data)].into_iter().chain(config).chain(space).chain(statics);
    let mut files = Files::reading(reads)?;
    let path = args.train.output.clone().map_or_else(|| default_model(&args.train.data), Ok)?;
    let output = files.writing("-o", &path, NATIVE_MODEL)?;
    let plot = args.train.plot.as_deref().map(|path| files.writing("--plot", path, PICTURE)).transpose()?;
    // It is read as well as written: a search goes on from it.
    args.log.as_deref().map(|path| files.writing("--log", path, LOG)).transpose()?;
    files.refuse_json(ui)?;
    check(&args.train.models)?;
    let options = options(args)?;
    let frame = trainable(&args.train, ui)?;
    let mut forecaster = forecaster(&args.train.models, &frame, ui)?;
    let spaces = spaces(args, &forecaster)?;
    let wanted: Vec<String> = forecaster.models().iter().map(|model| model.alias.clone()).collect();
    let mut eye = Eye::new(ui)?;
    let report = forecaster.auto(&frame, &spaces, &options, &mut eye);
    eye.finish();
    let report = report.map_err(as_flags)?;
    let wrote = Wrote {
        frame: &frame,
        args: &args.train.models,
        output,
        plot,
        data: &args.train.data,
        no_tails: args.train.no_tails,
    };
    let trials: Vec<Trial> = report.trials.into_iter().map(usable).collect();
    let is_there = |alias: &&String| forecaster.models().iter().any(|model| model.alias == **alias);
    let missing: Vec<&str> = wanted.iter().filter(|alias| !is_there(alias)).map(String::as_str).collect();
    if !missing.is_empty() {
        let log =
            args.log.as_ref().map_or(String::new(), |log| format!("; the search goes on with --log {}", log.display()));
        ui.note(format!("{} was not searched to its end and is not in the file{log}", missing.join(", ")));
    }
    let (text, mut object) = write_model(forecaster, report.fit, wrote, ui)?;
    ui.note("settings were chosen by what the figures are measured on: mayfly forecast cv with the settings shown measures without that");
    if let Value::Object(object) = &mut object {
        object.insert("trials".into(), trials.iter().map(as_json).collect());
    }
    files.result(ui, &format!("{}\n{text}", table(&trials)), &object)
}

const LOG: crate::support::output::Extensions =
    crate::support::output::Extensions::Only { what: "a log, a JSON object a line", are: &["jsonl", "ndjson", "log"] };

fn options(args: &AutoArgs) -> Result<AutoOptions> {
    let time = args.minutes.map(|minutes| Duration::try_from_secs_f64(minutes * 60.0));
    let time = time.transpose().map_err(|e| Usage(format!("--minutes: {e}")))?;
    Ok(AutoOptions {
        samples: args.samples,
        search: args.search.parse().map_err(as_flags)?,
        seed: args.train.models.seed.unwrap_or(1),
        time,
        log: args.log.clone(),
    })
}

/// What is searched for each model: the family's space, with what --space says in it, without what a person has fixed.
fn spaces(args: &AutoArgs, forecaster: &Forecaster) -> Result<Vec<Space>> {
    let own = args.space.as_deref().map(read_spaces).transpose()?.unwrap_or_default();
    let is_used = |name: &str| forecaster.models().iter().any(|model| model.family.name.eq_ignore_ascii_case(name));
    if let Some(name) = own.keys().find(|name| !is_used(name)) {
        return Err(unused_table("--space", name));
    }
    let config = settings(&args.train.models)?;
    let one = |model: &Model| {
        let of = |name: &String| name.eq_ignore_ascii_case(model.family.name);
        let fixed = fixed(args, config, model);
        let own = own.iter().find(|(name, _)| of(name)).map(|(_, own)| own);
        let both = fixed.iter().find(|name| own.is_some_and(|own| own.0.contains_key(*name)));
        if let Some(name) = both {
            let what = format!(
                "--space searches {name} of {}, which has a value by another option or --config: drop one of them",
                model.family.name
            );
            return Err(Usage(what).into());
        }
        let space = fixed.iter().fold(Space::of(model.family), |space, name| space.without(name));
        Ok(own.map_or_else(|| space.clone(), |own| space.clone().with(own)))
    };
    forecaster.models().iter().map(one).collect()
}

/// Settings that a person gave a value.
fn fixed(args: &AutoArgs, config: &Map<String, Value>, model: &Model) -> Vec<String> {
    let models = &args.train.models;
    let flags = [
        ("input_size", models.input_size.is_some()),
        ("max_steps", models.steps.is_some()),
        ("scaler_type", models.scaler.is_some()),
        ("random_seed", models.seed.is_some()),
    ];
    let given = flags.into_iter().filter(|(_, given)| *given).map(|(name, _)| name.to_owned());
    let shared = config.iter().filter(|(_, value)| !value.is_object()).map(|(name, _)| name.clone());
    let own = config.iter().filter(|(name, _)| name.eq_ignore_ascii_case(model.family.name));
    let own = own.filter_map(|(_, value)| value.as_object()).flat_map(|own| own.keys().cloned());
    given.chain(shared).chain(own).collect()
}

fn read_spaces(path: &Path) -> Result<BTreeMap<String, Space>> {
    let read = || std::fs::read_to_string(&*Input::open(path)?).map_err(anyhow::Error::from);
    let text = read().with_context(|| format!("cannot read {}", path.display()))?;
    toml::from_str(&text).with_context(|| format!("in {}", path.display()))
}

fn as_json(trial: &Trial) -> Value {
    json!({
        "model": trial.model,
        "trial": trial.trial,
        "config": trial.config,
        "mae": trial.mae,
        "failed": trial.failed,
        "seconds": trial.seconds,
    })
}

/// A trial with its settings as `--config` takes them: values of the past, and not how many horizons they are.
fn usable(mut trial: Trial) -> Trial {
    if trial.config.remove("input_size_multiplier").is_some() {
        trial.config.extend(trial.input_size.map(|n| ("input_size".to_owned(), json!(n))));
    }
    trial
}

/// The best trials of each model.
fn table(trials: &[Trial]) -> String {
    let mut out = String::new();
    for group in trials.chunk_by(|a, b| a.model == b.model) {
        let mut best: Vec<&Trial> = group.iter().collect();
        best.sort_by(|a, b| a.mae.unwrap_or(f64::MAX).total_cmp(&b.mae.unwrap_or(f64::MAX)));
        let failed = group.iter().filter(|trial| trial.failed.is_some()).count();
        let first = best.first().map_or("", |trial| trial.model.as_str());
        out += &format!("{first}: {}", counted(group.len(), "trial"));
        out += &if failed > 0 { format!(", {failed} failed\n") } else { "\n".into() };
        for trial in best.iter().take(3) {
            let said = match (&trial.mae, &trial.failed) {
                (Some(mae), _) => format!("MAE {}", shown(*mae)),
                (None, Some(why)) => format!("failed: {why}"),
                (None, None) => String::new(),
            };
            let settings: Vec<String> = trial.config.iter().map(|(name, value)| format!("{name} = {value}")).collect();
            out += &format!("  {:>3}  {said:<14} {}\n", trial.trial, wrapped(&settings.join(", ")));
        }
    }
    out
}

/// A list in lines of about equal length, those behind the first indented.
fn wrapped(text: &str) -> String {
    let (mut lines, mut line) = (Vec::new(), String::new());
    for part in text.split_inclusive(", ") {
        if !line.is_empty() && line.len() + part.len() > SHOWN {
            lines.push(std::mem::take(&mut line).trim_end().to_owned());
        }
        line += part;
    }
    lines.push(line);
    lines.join("\n                       ")
}
