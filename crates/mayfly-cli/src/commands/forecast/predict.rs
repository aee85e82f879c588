//! `mayfly forecast predict`.
use super::args::PredictArgs;
use super::given::Given;
use super::setup::with_hierarchy;
use super::train::short_inputs;
use super::words::{as_flags, shortest};
use crate::support::input::Input;
use crate::support::output::{Files, TABLE};
use crate::support::ui::{Ui, counted, written};
use anyhow::Result;
use mayfly_forecast::{Dependence, Forecaster, Forecasts, Paths, SimulateOptions};
use serde_json::{Value, json};
use std::io::{self, Write};

/// Forecasts, and writes.
pub(super) fn run(args: &PredictArgs, ui: Ui) -> Result<()> {
    let data = args.data.as_deref().map(|path| ("the data", path));
    let futr = args.futr.as_deref().map(|path| ("the table of --futr", path));
    let statics = args.statics.as_deref().map(|path| ("the table of --static", path));
    let hierarchy = args.hierarchy.hierarchy.as_deref().map(|path| ("the table of --hierarchy", path));
    let tables = data.into_iter().chain(futr).chain(statics).chain(hierarchy);
    let mut files = Files::reading([("the model", &*args.model)].into_iter().chain(tables))?;
    let output = args.output.as_deref().map(|path| files.writing("-o", path, TABLE)).transpose()?;
    files.refuse_json(ui)?;
    let forecaster = Forecaster::load(&*Input::open(&args.model)?).map_err(as_flags)?;
    let given = Given { data: args.data.as_deref(), futr: args.futr.as_deref(), statics: args.statics.as_deref() };
    let frame = given.frame(&forecaster, &args.series, ui)?;
    let forecaster = with_hierarchy(forecaster, &args.hierarchy, &args.series)?;
    frame.iter().for_each(|frame| short_inputs(&forecaster, frame, ui));
    let dependence = Dependence::by_name(&args.dependence).map_err(as_flags)?;
    let table: Box<dyn Table> = match args.paths {
        None if args.decompose => Box::new(forecaster.decompose(frame.as_ref(), args.h).map_err(as_flags)?),
        None => {
            let forecasts = forecaster.predict(frame.as_ref(), args.h).map_err(as_flags)?;
            let is_bound = |name: &String| name.contains("-lo-") || name.contains("-hi-");
            let bounds = forecasts.columns().into_iter().filter(is_bound);
            if bounds.filter_map(|name| forecasts.column(&name)).any(|values| values.iter().any(|v| v.is_nan())) {
                ui.note("intervals are made of errors of a backtest: there are none for series that are new, and none beyond the horizon that was trained");
            }
            Box::new(forecasts)
        }
        Some(paths) => {
            let options = SimulateOptions { paths, dependence, seed: args.seed };
            Box::new(forecaster.simulate(frame.as_ref(), args.h, &options).map_err(as_flags)?)
        }
    };
    if let Some(output) = &output {
        output.write(|out| Ok(table.write_to(out)?))?;
        ui.note(format!("{} written to {output}", counted(table.rows(), "row")));
    }
    match (ui.json, &output) {
        (true, _) => ui.result("", &table.json()),
        (false, Some(_)) => Ok(()),
        (false, None) => {
            let mut out = io::BufWriter::new(io::stdout().lock());
            written(table.write_to(&mut out).and_then(|()| out.flush()))
        }
    }
}

/// What is written: forecasts, or paths.
trait Table {
    fn rows(&self) -> usize;
    fn write_to(&self, out: &mut dyn Write) -> io::Result<()>;
    fn json(&self) -> Value;
}

impl Table for Forecasts {
    fn rows(&self) -> usize {
        self.len()
    }

    fn write_to(&self, out: &mut dyn Write) -> io::Result<()> {
        self.write(out)
    }

    fn json(&self) -> Value {
        let columns = self.columns();
        let values: Vec<&[f32]> = columns.iter().skip(2).filter_map(|name| self.column(name)).collect();
        let keys = self.keys().map(|(id, ds, _)| vec![json!(id), json!(self.written(ds))]);
        rows_of(&columns, keys, &values)
    }
}

impl Table for Paths {
    fn rows(&self) -> usize {
        self.len()
    }

    fn write_to(&self, out: &mut dyn Write) -> io::Result<()> {
        self.write(out)
    }

    fn json(&self) -> Value {
        let values: Vec<&[f32]> = self.models().filter_map(|name| self.of(name)).collect();
        let keys = self.keys().map(|(id, ds, path)| vec![json!(id), json!(self.written(ds)), json!(path)]);
        rows_of(&self.columns(), keys, &values)
    }
}

/// The table as an object.
fn rows_of(columns: &[String], keys: impl Iterator<Item = Vec<Value>>, values: &[&[f32]]) -> Value {
    let row = |(i, mut row): (usize, Vec<Value>)| {
        row.extend(values.iter().map(|column| column.get(i).map_or(Value::Null, |v| shortest(*v))));
        row
    };
    json!({ "columns": columns, "rows": keys.enumerate().map(row).collect::<Vec<_>>() })
}
