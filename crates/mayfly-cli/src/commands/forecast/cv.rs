//! `mayfly forecast cv`.
use super::args::CvArgs;
use super::picture::{Wanted, draw, name_of, write_picture};
use super::setup::{check, forecaster, long_enough, series, with_hierarchy};
use super::watch::{Eye, interrupted};
use super::words::{Outcome, as_flags};
use crate::support::output::{Files, PICTURE, TABLE};
use crate::support::ui::Ui;
use anyhow::Result;
use mayfly_forecast::{BacktestOptions, Fitted, Refit};

/// Forecasts the past, and measures.
pub(super) fn run(args: &CvArgs, ui: Ui) -> Result<()> {
    let config = args.models.config.as_deref().map(|path| ("the file of --config", path));
    let statics = args.exogenous.statics.as_deref().map(|path| ("the table of --static", path));
    let hierarchy = args.hierarchy.hierarchy.as_deref().map(|path| ("the table of --hierarchy", path));
    let tables = config.into_iter().chain(statics).chain(hierarchy);
    let mut files = Files::reading([("the data", &*args.data)].into_iter().chain(tables))?;
    let output = args.output.as_deref().map(|path| files.writing("-o", path, TABLE)).transpose()?;
    let plot = args.plot.as_deref().map(|path| files.writing("--plot", path, PICTURE)).transpose()?;
    files.refuse_json(ui)?;
    check(&args.models)?;
    let frame = series(&args.data, &args.series, &args.exogenous, ui)?;
    let h = args.models.h;
    let test = args.windows.saturating_sub(1).saturating_mul(args.step.unwrap_or(h)).saturating_add(h);
    let want = test.saturating_add(args.models.val.unwrap_or(0)).saturating_add(2);
    let frame = long_enough(frame, &args.series, want, ui);
    let options = BacktestOptions {
        windows: args.windows,
        step: args.step,
        refit: args.refit.map_or(Refit::Never, Refit::Every),
    };
    let forecaster = with_hierarchy(forecaster(&args.models, &frame, ui)?, &args.hierarchy, &args.series)?;
    let mut eye = Eye::new(ui)?;
    let backtest = forecaster.cross_validation(&frame, &options, &mut eye);
    eye.finish();
    let backtest = backtest.map_err(as_flags)?;
    if backtest.stopped && backtest.forecasts.is_empty() {
        return Err(interrupted("before the first window was forecast"));
    }
    if backtest.stopped {
        ui.note("interrupted; the figures are those of the windows so far");
    }
    if args.hierarchy.hierarchy.is_some() {
        ui.note(format!(
            "forecasts of the models add up ({}); those of the baselines are as they are",
            args.hierarchy.reconcile
        ));
    }
    match backtest.forecasts.without_scale() {
        0 => {}
        n => ui.note(format!("{n} windows have a past that repeats itself exactly: MASE leaves them out")),
    }
    if let Some(output) = &output {
        output.write(|out| Ok(backtest.forecasts.write(out)?))?;
        ui.note(format!("{} forecasts written to {output}", backtest.forecasts.len()));
    }
    if let Some(plot) = &plot {
        let wanted = Wanted { title: format!("Backtest on {}", name_of(&args.data)), best: best(&backtest.fitted) };
        write_picture(plot, &draw(&frame, &backtest.forecasts, &wanted), ui)?;
    }
    let baselines = backtest.baselines.iter().map(|(name, scores)| (name.clone(), Some(scores.clone()))).collect();
    let outcome =
        Outcome { frame: &frame, h, fitted: &backtest.fitted, ensemble: backtest.ensemble, baselines, model: None };
    files.result(ui, &outcome.text(), &outcome.json())
}

fn best(fitted: &[Fitted]) -> Option<String> {
    let scored = fitted.iter().filter_map(|f| Some((f.scores.as_ref()?.mae, &f.model.alias)));
    scored.min_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, alias)| alias.clone())
}
