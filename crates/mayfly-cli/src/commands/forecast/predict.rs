//! `mayfly forecast predict`.
use super::args::{ExogenousArgs, PredictArgs};
use super::setup::series;
use super::words::as_flags;
use crate::support::exit::Usage;
use crate::support::input::Input;
use crate::support::metrics::number;
use crate::support::output::{Files, TABLE};
use crate::support::ui::{Ui, written};
use anyhow::Result;
use mayfly_forecast::{Forecaster, Forecasts};
use serde_json::{Value, json};
use std::io::{self, Write};

/// Forecasts, and writes.
pub(super) fn run(args: &PredictArgs, ui: Ui) -> Result<()> {
    let data = args.data.as_deref().map(|path| ("the data", path));
    let futr = args.futr.as_deref().map(|path| ("the table of --futr", path));
    let statics = args.statics.as_deref().map(|path| ("the table of --static", path));
    let mut files = Files::reading([("the model", &*args.model)].into_iter().chain(data).chain(futr).chain(statics))?;
    let output = args.output.as_deref().map(|path| files.writing("-o", path, TABLE)).transpose()?;
    files.refuse_json(ui)?;
    let forecaster = Forecaster::load(&*Input::open(&args.model)?).map_err(as_flags)?;
    let trained = forecaster.exogenous().cloned().unwrap_or_default();
    let beside = ExogenousArgs { hist: trained.hist, futr: trained.futr, statics: args.statics.clone() };
    let mut frame = args.data.as_deref().map(|path| series(path, &args.series, &beside, ui)).transpose()?;
    if let Some(path) = &args.futr {
        let past = frame.or_else(|| forecaster.tails().cloned());
        let Some(past) = past else {
            return Err(
                Usage("--futr: the model was saved without its series (--no-tails): give DATA as well".into()).into()
            );
        };
        let future = past.with_future(&*Input::open(path)?, &args.series.options()?).map_err(as_flags)?;
        frame = Some(future);
    }
    let forecasts = forecaster.predict(frame.as_ref(), args.h).map_err(as_flags)?;
    if let Some(output) = &output {
        output.write(|out| Ok(forecasts.write(out)?))?;
        ui.note(format!("{} forecasts written to {output}", forecasts.len()));
    }
    match (ui.json, &output) {
        (true, _) => ui.result("", &json(&forecasts)),
        (false, Some(_)) => Ok(()),
        (false, None) => {
            let mut out = io::BufWriter::new(io::stdout().lock());
            written(forecasts.write(&mut out).and_then(|()| out.flush()))
        }
    }
}

/// The table as an object.
fn json(forecasts: &Forecasts) -> Value {
    let columns = forecasts.columns();
    let values: Vec<&[f32]> = columns.iter().skip(2).filter_map(|name| forecasts.column(name)).collect();
    let row = |(i, (id, ds, _)): (usize, (&str, mayfly_forecast::Stamp, mayfly_forecast::Stamp))| {
        let numbers = values.iter().map(|column| column.get(i).map_or(Value::Null, |v| shortest(*v)));
        [json!(id), json!(forecasts.written(ds))].into_iter().chain(numbers).collect::<Vec<Value>>()
    };
    json!({ "columns": columns, "rows": forecasts.keys().enumerate().map(row).collect::<Vec<_>>() })
}

/// The f64 that prints as the f32 does: 0.1 rather than 0.10000000149011612.
fn shortest(v: f32) -> Value {
    number(v.to_string().parse().unwrap_or(f64::from(v)))
}
