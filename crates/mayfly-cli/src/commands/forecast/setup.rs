//! From options to a forecaster and its series.
use super::args::{ExogenousArgs, ModelArgs, SeriesArgs};
use super::words::as_flags;
use crate::support::exit::Usage;
use crate::support::input::Input;
use crate::support::ui::{Ui, grouped};
use anyhow::{Context, Result};
use mayfly_forecast::{
    BASELINES, Baseline, Conformal, FAMILIES, Family, ForecastLoss, Forecaster, FrameOptions, Model, Scaler,
    SeriesFrame,
};
use serde_json::{Map, Value};
use std::path::Path;

/// Reads a table of series and says what was found.
pub(super) fn series(path: &Path, args: &SeriesArgs, beside: &ExogenousArgs, ui: Ui) -> Result<SeriesFrame> {
    let input = Input::open(path)?;
    let options = FrameOptions { hist: beside.hist.clone(), futr: beside.futr.clone(), ..args.options()? };
    let mut frame = SeriesFrame::read(&*input, &options).map_err(as_flags)?;
    if let Some(path) = &beside.statics {
        frame = frame.with_static(&*Input::open(path)?, &options).map_err(as_flags)?;
    }
    let (least, most) = (grouped(frame.shortest()), grouped(frame.longest()));
    let lens = if least == most { most } else { format!("{least} to {most}") };
    ui.note(format!("{} series of {lens} values, frequency {}", grouped(frame.len()), frame.freq()));
    frame.notes().iter().for_each(|note| ui.note(note));
    Ok(frame)
}

/// The models with their settings, not trained yet.
pub(super) fn forecaster(args: &ModelArgs) -> Result<Forecaster> {
    if args.h == 0 {
        return Err(Usage("--h 0: at least one step is to be forecast".into()).into());
    }
    let config = args.config.as_deref().map(read_config).transpose()?.unwrap_or_default();
    let families = families(&args.models).map_err(as_flags)?;
    check_tables(&config, &families)?;
    let mut forecaster = Forecaster::new(args.h).threads(args.threads.unwrap_or(0)).level(&args.level);
    for family in families {
        forecaster = forecaster.model(model(family, args, &config).map_err(as_flags)?);
    }
    let none = args.baselines.len() == 1 && args.baselines[0].eq_ignore_ascii_case("none");
    let all = args.baselines.len() == 1 && args.baselines[0].eq_ignore_ascii_case("all");
    if all {
        forecaster = forecaster.baselines(BASELINES);
    } else if !none {
        let named: mayfly_forecast::Result<Vec<_>> =
            args.baselines.iter().map(|name| Baseline::by_name(name)).collect();
        forecaster = forecaster.baselines(named.map_err(as_flags)?);
    }
    if !args.level.is_empty() {
        let method = args.intervals.parse().map_err(as_flags)?;
        forecaster = forecaster.intervals(Conformal { method, windows: args.interval_windows, step: Some(1) });
    }
    forecaster = args.season.into_iter().fold(forecaster, Forecaster::season);
    Ok(args.val.into_iter().fold(forecaster, Forecaster::val_size))
}

fn families(names: &[String]) -> mayfly_forecast::Result<Vec<&'static Family>> {
    match names {
        [all] if all.eq_ignore_ascii_case("all") => Ok(FAMILIES.iter().collect()),
        names => names.iter().map(|name| Family::by_name(name)).collect(),
    }
}

/// One model: the family's defaults, below the file of settings, below the command line.
fn model(family: &Family, args: &ModelArgs, config: &Map<String, Value>) -> mayfly_forecast::Result<Model> {
    let mut model = Model::new(family.name)?;
    let shared: Map<String, Value> =
        config.iter().filter(|(_, v)| !v.is_object()).map(|(k, v)| (k.clone(), v.clone())).collect();
    model = model.with_all(&shared)?;
    if let Some((_, Value::Object(own))) =
        config.iter().find(|(name, v)| v.is_object() && name.eq_ignore_ascii_case(family.name))
    {
        model = model.with_all(own)?;
    }
    let common = &mut model.common;
    common.input_size = args.input_size.or(common.input_size);
    common.max_steps = args.steps.unwrap_or(common.max_steps);
    common.random_seed = args.seed.unwrap_or(common.random_seed);
    common.early_stop_patience_steps = args.patience.map_or(common.early_stop_patience_steps, |n| n as i64);
    if let Some(name) = &args.scaler {
        common.scaler_type = Scaler::by_name(name)?;
    }
    Ok(model.loss(ForecastLoss::by_name(&args.loss, &args.level)?))
}

fn read_config(path: &Path) -> Result<Map<String, Value>> {
    let read = || std::fs::read_to_string(&*Input::open(path)?).map_err(anyhow::Error::from);
    let text = read().with_context(|| format!("cannot read {}", path.display()))?;
    toml::from_str(&text).with_context(|| format!("in {}", path.display()))
}

/// A table for a family that is not trained would change nothing.
fn check_tables(config: &Map<String, Value>, families: &[&'static Family]) -> Result<()> {
    let is_used = |name: &str| families.iter().any(|family| family.name.eq_ignore_ascii_case(name));
    match config.iter().find(|(name, value)| value.is_object() && !is_used(name)) {
        Some((name, _)) => {
            Err(Usage(format!("--config: the table [{name}] is for none of the models that are trained")).into())
        }
        None => Ok(()),
    }
}
