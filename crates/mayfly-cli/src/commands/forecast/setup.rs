//! From options to a forecaster and its series.
use super::args::{ExogenousArgs, HierarchyArgs, ModelArgs, SeriesArgs};
use super::words::as_flags;
use crate::support::exit::Usage;
use crate::support::input::Input;
use crate::support::ui::{Ui, grouped};
use anyhow::{Context, Result};
use mayfly_forecast::{
    BASELINES, Baseline, Conformal, FAMILIES, Family, ForecastError, ForecastLoss, Forecaster, FrameOptions, Hierarchy,
    LocalScaler, Model, Reconciliation, Scaler, SeriesFrame, TimeFeature,
};
use serde_json::{Map, Value};
use std::path::Path;

/// Reads a table of series and says what was found.
pub(super) fn series(path: &Path, args: &SeriesArgs, beside: &ExogenousArgs, ui: Ui) -> Result<SeriesFrame> {
    let frame = aligned(read(path, args.options()?, beside)?, args)?;
    tell(&frame, ui);
    Ok(frame)
}

/// The series up to one time, if that was asked for.
pub(super) fn aligned(frame: SeriesFrame, args: &SeriesArgs) -> Result<SeriesFrame> {
    if args.align { frame.with_common_end().map_err(as_flags) } else { Ok(frame) }
}

/// A table of series and what stands beside them.
pub(super) fn read(path: &Path, options: FrameOptions, beside: &ExogenousArgs) -> Result<SeriesFrame> {
    let input = Input::open(path)?;
    let (hist, futr, cat) = (beside.hist.clone(), beside.futr.clone(), beside.cat.clone());
    let options = FrameOptions { hist, futr, cat, ..options };
    let mut frame = SeriesFrame::read(&*input, &options).map_err(as_flags)?;
    if let Some(path) = &beside.statics {
        frame = frame.with_static(&*Input::open(path)?, &options).map_err(as_flags)?;
    }
    check_categories(&beside.cat, &frame)?;
    if !beside.calendar.is_empty() {
        let features = match &beside.calendar[..] {
            [name] if name == "auto" => TimeFeature::of(frame.freq()),
            names => names.iter().map(|name| name.parse()).collect(),
        };
        frame = features.and_then(|features| frame.with_calendar(&features)).map_err(as_flags)?;
    }
    Ok(frame)
}

/// Says what was found.
pub(super) fn tell(frame: &SeriesFrame, ui: Ui) {
    let (least, most) = (grouped(frame.shortest()), grouped(frame.longest()));
    let lens = if least == most { most } else { format!("{least} to {most}") };
    ui.note(format!("{} series of {lens} values, frequency {}", grouped(frame.len()), frame.freq()));
    frame.notes().iter().for_each(|note| ui.note(note));
}

/// A column that is named as a category and is none of the exogenous ones would be ignored.
fn check_categories(named: &[String], frame: &SeriesFrame) -> Result<()> {
    let is_there = |name: &String| frame.exogenous().categories.iter().any(|category| category.name == *name);
    match named.iter().find(|name| !is_there(name)) {
        Some(name) => Err(Usage(format!("--cat {name}: no column of --hist, --futr or --static is called so")).into()),
        None => Ok(()),
    }
}

/// Refuses options that no table of series could make right.
pub(super) fn check(args: &ModelArgs) -> Result<()> {
    let families = families(&args.models).map_err(as_flags)?;
    check_tables(settings(args)?, &families)?;
    built(args, &families).map(drop)
}

/// The models with their settings, not trained yet. All models are those that fit the series.
pub(super) fn forecaster(args: &ModelArgs, frame: &SeriesFrame, ui: Ui) -> Result<Forecaster> {
    let mut families = families(&args.models).map_err(as_flags)?;
    if is_all(&args.models) {
        let config = settings(args)?;
        let made = |family: &Family| model(family, args, config);
        let (there, unnamed): (Vec<_>, Vec<_>) =
            families.into_iter().partition(|family| !made(family).is_ok_and(|model| model.lacks_folder()));
        if !unnamed.is_empty() {
            let names: Vec<&str> = unnamed.iter().map(|family: &&Family| family.name).collect();
            ui.note(format!(
                "without {}, which reads a language model: name its folder, llm, with --config",
                names.join(", ")
            ));
        }
        let takes =
            |family: &Family| made(family).is_ok_and(|model| model.check_loss().and(model.check_local()).is_ok());
        let (there, others): (Vec<_>, Vec<_>) =
            there.into_iter().partition(|family| fits(family, frame) && takes(family));
        let plain = args.val.into_iter().fold(Forecaster::new(args.h), Forecaster::val_size);
        let mut fit = Vec::new();
        for family in there {
            match plain.check_model(&made(family).map_err(as_flags)?, frame) {
                Ok(()) => fit.push(family),
                Err(ForecastError::Option { got, want, .. }) => ui.note(format!("without {got}: {want}")),
                Err(error) => return Err(as_flags(error)),
            }
        }
        families = fit;
        let others: Vec<&str> = others.iter().map(|family: &&Family| family.name).collect();
        if !others.is_empty() {
            let why = "which do not take such columns or this loss, or need series that end together";
            ui.note(format!("without {}, {why}", others.join(", ")));
        }
    }
    built(args, &families)
}

/// Whether a family takes the columns that there are, and can do with series that end at different times.
fn fits(family: &Family, frame: &SeriesFrame) -> bool {
    let names = frame.exogenous();
    let (hist, futr, stat) = (names.hist.len(), names.futr.len(), names.stat.len());
    let kinds = [("hist", hist), ("futr", futr), ("static", stat), ("cat", names.categories.len())];
    let takes_all = kinds.iter().all(|(kind, count)| *count == 0 || family.takes.kinds().contains(kind));
    takes_all && (!family.takes.multivariate || frame.ends_together())
}

fn built(args: &ModelArgs, families: &[&'static Family]) -> Result<Forecaster> {
    if args.patience == Some(0) {
        return Err(Usage("--patience 0: at least 1; without the option a training never stops early".into()).into());
    }
    if let Some(level) = args.level.iter().find(|level| **level > 0.0 && **level < 1.0) {
        let meant = (level * 1e5).round() / 1e3;
        return Err(Usage(format!("--level {level}: levels are per cents: {meant} holds {meant} of 100 values")).into());
    }
    if args.h == 0 {
        return Err(Usage("--h 0: at least one step is to be forecast".into()).into());
    }
    let config = settings(args)?;
    let mut forecaster = Forecaster::new(args.h).threads(args.threads.unwrap_or(0)).level(&args.level);
    for family in families {
        forecaster = forecaster.model(model(family, args, config).map_err(as_flags)?);
    }
    if let Some(name) = &args.ensemble {
        forecaster = forecaster.ensemble(name.parse().map_err(as_flags)?);
    }
    let none = args.baselines.len() == 1 && args.baselines[0].eq_ignore_ascii_case("none");
    if is_all(&args.baselines) {
        forecaster = forecaster.baselines(BASELINES);
    } else if !none {
        let named: mayfly_forecast::Result<Vec<_>> =
            args.baselines.iter().map(|name| Baseline::by_name(name)).collect();
        forecaster = forecaster.baselines(named.map_err(as_flags)?);
    }
    if !args.level.is_empty() {
        let defaults = Conformal::default();
        let method = args.intervals.as_deref().map_or(Ok(defaults.method), str::parse).map_err(as_flags)?;
        let windows = args.interval_windows.unwrap_or(defaults.windows);
        check_intervals(args, &forecaster)?;
        forecaster = forecaster.intervals(Conformal { method, windows, step: Some(1) });
    }
    if let Some(name) = &args.local_scaler {
        forecaster = forecaster.local_scaler(LocalScaler::by_name(name).map_err(as_flags)?);
    }
    forecaster = args.season.into_iter().fold(forecaster, Forecaster::season);
    Ok(args.val.into_iter().fold(forecaster, Forecaster::val_size))
}

/// Options for intervals from a backtest change nothing where all losses have intervals themselves.
fn check_intervals(args: &ModelArgs, forecaster: &Forecaster) -> Result<()> {
    let given = [("--intervals", args.intervals.is_some()), ("--interval-windows", args.interval_windows.is_some())];
    let have_own = forecaster.models().iter().all(|model| model.loss.has_intervals());
    match given.into_iter().find(|(_, given)| *given) {
        Some((name, _)) if have_own => {
            let what = format!(
                "{name} is for intervals from errors in a backtest, and the loss has intervals itself: drop one of them"
            );
            Err(Usage(what).into())
        }
        _ => Ok(()),
    }
}

fn is_all(names: &[String]) -> bool {
    matches!(names, [all] if all.eq_ignore_ascii_case("all"))
}

fn families(names: &[String]) -> mayfly_forecast::Result<Vec<&'static Family>> {
    match names {
        names if is_all(names) => Ok(FAMILIES.iter().collect()),
        names => {
            let mut families: Vec<&'static Family> = Vec::with_capacity(names.len());
            for name in names {
                let family = Family::by_name(name)?;
                if families.iter().any(|other| other.name == family.name) {
                    return Err(ForecastError::Option {
                        option: "models".into(),
                        got: names.join(","),
                        want: format!("{} is there twice", family.name),
                    });
                }
                families.push(family);
            }
            Ok(families)
        }
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
    if args.local {
        model = model.local();
    }
    match &args.loss {
        Some(name) => Ok(model.loss(ForecastLoss::by_name(name, &args.level)?)),
        None => Ok(model.level(&args.level)),
    }
}

/// The forecaster with a hierarchy, if there is one.
pub(super) fn with_hierarchy(forecaster: Forecaster, args: &HierarchyArgs, series: &SeriesArgs) -> Result<Forecaster> {
    let method = Reconciliation::by_name(&args.reconcile).map_err(as_flags)?;
    let Some(path) = &args.hierarchy else { return Ok(forecaster) };
    let hierarchy = Hierarchy::read(&*Input::open(path)?, method, &series.options()?).map_err(as_flags)?;
    Ok(forecaster.hierarchy(hierarchy))
}

/// What the file of settings says, if there is one. It is read once.
pub(super) fn settings(args: &ModelArgs) -> Result<&Map<String, Value>> {
    if let Some(settings) = args.settings.get() {
        return Ok(settings);
    }
    let read = args.config.as_deref().map(read_config).transpose()?.unwrap_or_default();
    Ok(args.settings.get_or_init(|| read))
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
        Some((name, _)) => Err(unused_table("--config", name)),
        None => Ok(()),
    }
}

/// What is said of a table of settings that nothing would read.
pub(super) fn unused_table(option: &str, name: &str) -> anyhow::Error {
    let why =
        Family::by_name(name).err().map_or_else(|| "it is none of --models".to_owned(), |error| error.to_string());
    Usage(format!("{option}: the table [{name}] would change nothing: {why}")).into()
}

/// The series without those that are too short for so many values, if short ones are to be left out and not all are.
pub(super) fn long_enough(frame: SeriesFrame, args: &SeriesArgs, want: usize, ui: Ui) -> SeriesFrame {
    if !args.skip_short {
        return frame;
    }
    let (kept, dropped) = frame.long_enough(want);
    if dropped == 0 || kept.is_empty() {
        return frame;
    }
    ui.note(format!("{dropped} series of fewer than {want} values are left out"));
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use mayfly_forecast::Table;

    fn frame(ends: [usize; 2], futr: bool) -> SeriesFrame {
        let rows = ends.iter().enumerate().flat_map(|(s, end)| (0..*end).map(move |t| (s.to_string(), t.to_string())));
        let (ids, ds): (Vec<String>, Vec<String>) = rows.unzip();
        let y: Vec<f32> = (0..ids.len()).map(|i| i as f32).collect();
        let futr: &[(&str, &[f32])] = if futr { &[("price", &y)] } else { &[] };
        SeriesFrame::from_table(&Table { ids: &ids, ds: &ds, y: &y, hist: &[], futr }, &FrameOptions::default())
            .unwrap()
    }

    #[test]
    fn all_models_are_those_that_fit_the_series() {
        let fit = |ends, futr| {
            let frame = frame(ends, futr);
            let names = FAMILIES.iter().filter(|family| fits(family, &frame)).map(|family| family.name);
            names.collect::<Vec<_>>()
        };
        assert_eq!(fit([9, 9], false).len(), FAMILIES.len());
        let apart = fit([9, 8], false);
        assert!(apart.contains(&"NLinear") && !apart.contains(&"TSMixer") && !apart.contains(&"TSMixerx"), "{apart:?}");
        let priced = fit([9, 9], true);
        assert!(
            priced.contains(&"NHITS") && priced.contains(&"TSMixerx") && !priced.contains(&"NLinear"),
            "{priced:?}"
        );
    }
}
