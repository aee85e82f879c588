//! Pictures of forecasts.
use super::args::PlotArgs;
use super::words::as_flags;
use crate::support::input::Input;
use crate::support::output::{Files, Output, PICTURE};
use crate::support::panels::{Band, Fan, Panel, Picture, svg};
use crate::support::ui::{Ui, grouped};
use anyhow::{Result, bail};
use mayfly_forecast::{Forecaster, Forecasts, FrameOptions, Outlook, Series, SeriesFrame};
use mayfly_format::figure;
use serde_json::json;
use std::path::Path;

/// Series in one picture, and models in a forecast without truth.
const MOST: usize = 3;

/// Draws what a trained model forecasts next.
pub(super) fn run(args: &PlotArgs, ui: Ui) -> Result<()> {
    let futr = args.futr.as_deref().map(|path| ("the table of --futr", path));
    let mut files = Files::reading([("the model", &*args.model)].into_iter().chain(futr))?;
    let output = files.writing("-o", &args.output, PICTURE)?;
    files.refuse_json(ui)?;
    let forecaster = Forecaster::load(&*Input::open(&args.model)?).map_err(as_flags)?;
    let Some(frame) = forecaster.tails() else { bail!("{}: the file has no series to draw", args.model.display()) };
    let future = args.futr.as_deref().map(|path| known_ahead(frame.clone(), path)).transpose()?;
    let forecasts = forecaster.predict(future.as_ref(), args.h).map_err(as_flags)?;
    let ids: Vec<&str> = match &args.ids[..] {
        [] => frame.iter().map(|series| series.id).take(MOST).collect(),
        ids => ids.iter().map(String::as_str).collect(),
    };
    let (mut panels, drawn) = (Vec::new(), ids.clone());
    for id in ids {
        let Some(place) = frame.iter().position(|series| series.id == id) else {
            bail!("--ids: the file has no series {id:?}");
        };
        panels.extend(panel(frame, &forecasts, place, &forecasts.models().collect::<Vec<_>>(), String::new()));
    }
    let more = match frame.len().saturating_sub(drawn.len()) {
        0 => String::new(),
        _ if !args.ids.is_empty() => String::new(),
        more => format!(" {} more series are not drawn: --ids names others.", grouped(more)),
    };
    let shades = forecasts.models().next().map(|model| shades(&forecasts, model)).unwrap_or_default();
    let subtitle = format!("Grey is the past{shades}.{more}");
    let picture = Picture { title: format!("Forecasts of {}", name_of(&args.model)), subtitle, panels };
    write_picture(&output, &svg(&picture), ui)?;
    let models: Vec<&str> = forecasts.models().collect();
    if ui.json {
        ui.result("", &json!({ "picture": output.to_string(), "series": drawn, "models": models }))?;
    }
    Ok(())
}

/// The series with what their future columns will be.
fn known_ahead(frame: SeriesFrame, path: &Path) -> Result<SeriesFrame> {
    frame.with_future(&*Input::open(path)?, &FrameOptions::default()).map_err(as_flags)
}

/// Which intervals the shades are, the narrowest first.
fn shades(forecasts: &Forecasts, model: &str) -> String {
    let outlook = forecasts.outlook(model, 0);
    let levels: Vec<&str> =
        outlook.iter().flat_map(|outlook| &outlook.intervals).map(|(level, ..)| &level[..]).collect();
    if levels.is_empty() { String::new() } else { format!("; shades hold {} %", levels.join(" and ")) }
}

/// What a picture of forecasts beside their truth shows.
pub(super) struct Wanted {
    pub(super) title: String,
    /// The model of the least error; the first without figures.
    pub(super) best: Option<String>,
}

/// The series that the best model forecasts worst, in the middle, and best.
pub(super) fn draw(frame: &SeriesFrame, forecasts: &Forecasts, wanted: &Wanted) -> String {
    let best = wanted.best.clone().or_else(|| forecasts.models().next().map(str::to_owned)).unwrap_or_default();
    let mut errors: Vec<(f64, usize)> = frame
        .iter()
        .enumerate()
        .filter_map(|(place, series)| Some((error(forecasts, &best, series.id)?, place)))
        .collect();
    errors.sort_by(|a, b| b.0.total_cmp(&a.0));
    let mut picked: Vec<(&str, (f64, usize))> = Vec::new();
    match errors[..] {
        [] => {}
        [one] => picked.push(("", one)),
        [one, two] => picked.extend([("worst: ", one), ("best: ", two)]),
        _ => picked.extend([
            ("worst: ", errors[0]),
            ("median: ", errors[errors.len() / 2]),
            ("best: ", errors[errors.len() - 1]),
        ]),
    }
    let panels = picked.into_iter().filter_map(|(word, (error, place))| {
        let id = frame.iter().nth(place)?.id.to_owned();
        let title =
            if error.is_finite() { format!("{word}{id}, MASE {}", figure(error)) } else { format!("{word}{id}") };
        panel(frame, forecasts, place, &[&best], title)
    });
    let subtitle = match forecasts.scores(&best) {
        Some(scores) => format!(
            "{best}: MAE {}, sMAPE {} %, MASE {}{}",
            figure(scores.mae),
            figure(scores.smape),
            figure(scores.mase),
            shades(forecasts, &best)
        ),
        None => best.clone(),
    };
    svg(&Picture { title: wanted.title.clone(), subtitle, panels: panels.collect() })
}

/// Mean scaled error of a series over its windows; that of windows without scale is infinite.
fn error(forecasts: &Forecasts, model: &str, id: &str) -> Option<f64> {
    let of = forecasts.origins().enumerate().filter(|(_, (other, _))| *other == id);
    let all: Vec<f64> = of.filter_map(|(i, _)| Some(forecasts.outlook(model, i)?.mase)).collect();
    (!all.is_empty()).then(|| all.iter().sum::<f64>() / all.len() as f64)
}

/// One series: its last values, and what the models say of each origin.
fn panel(frame: &SeriesFrame, forecasts: &Forecasts, place: usize, models: &[&str], title: String) -> Option<Panel> {
    let series = frame.iter().nth(place)?;
    let origins: Vec<(usize, usize)> = forecasts
        .origins()
        .enumerate()
        .filter(|(_, (id, _))| *id == series.id)
        .filter_map(|(i, (_, cutoff))| Some((i, usize::try_from(frame.freq().steps(series.start, cutoff)?).ok()? + 1)))
        .collect();
    let first = origins.iter().map(|(_, cut)| *cut).min()?;
    let h = forecasts.outlook(models.first()?, origins.first()?.0)?.point.len();
    let start = first.saturating_sub(3 * h.max(8));
    let mut fans = Vec::new();
    for (m, model) in models.iter().enumerate() {
        for (i, cut) in &origins {
            let outlook = forecasts.outlook(model, *i)?;
            fans.push(fan(model, m, *cut - start, &outlook));
        }
    }
    let end = origins.iter().map(|(_, cut)| *cut + h).max()?.max(series.y.len());
    Some(Panel {
        title: if title.is_empty() { series.id.to_owned() } else { title },
        values: values(&series, start),
        cuts: origins.iter().map(|(_, cut)| *cut - start).collect(),
        labels: (start..end).map(|at| frame.written(frame.time(&series, at))).collect(),
        fans,
    })
}

fn values(series: &Series<'_>, start: usize) -> Vec<f64> {
    let value = |at: usize| if series.is_known(at) { f64::from(series.y[at]) } else { f64::NAN };
    (start..series.y.len()).map(value).collect()
}

fn fan(model: &str, colour: usize, start: usize, outlook: &Outlook<'_>) -> Fan {
    let wide = |values: &[f32]| values.iter().map(|v| f64::from(*v)).collect::<Vec<f64>>();
    let bands = outlook.intervals.iter().rev().map(|(_, low, high)| Band { low: wide(low), high: wide(high) });
    Fan { label: model.to_owned(), colour, start, point: wide(outlook.point), bands: bands.collect() }
}

/// What a file is called in titles.
pub(super) fn name_of(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// Writes a picture and says where.
pub(super) fn write_picture(to: &Output, picture: &str, ui: Ui) -> Result<()> {
    to.write(|out| Ok(out.write_all(picture.as_bytes())?))?;
    ui.note(format!("forecasts drawn in {to}"));
    Ok(())
}
