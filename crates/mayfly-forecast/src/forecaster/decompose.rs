//! Forecasts as sums: for models made of stacks what each of them adds to the level.
use super::fit::Forecaster;
use super::fitted::Fitted;
use super::forecasts::Forecasts;
use super::group::{Column, Cut, Group};
use super::seen::Seen;
use crate::error::{ForecastError, Result};
use crate::families::{FAMILIES, Use, spec};
use crate::windows::{Fitted as Scale, Way};
use mayfly_nn::Network;
use serde_json::Map;

/// Windows that are run at a time.
const RUN: usize = 256;

impl Forecaster {
    /// The next `h` values, at most as many as it was trained for, as [`Forecaster::predict`] has them, with what they are sums of: `<alias>-level`, and a column for each stack. Models that are not made of stacks have their point forecast alone.
    ///
    /// # Errors
    /// As for [`Forecaster::predict`]; where no model is made of stacks, or its loss or scaler makes no sum of what they add.
    pub fn decompose(&self, frame: Option<&crate::frame::SeriesFrame>, h: Option<usize>) -> Result<Forecasts> {
        if self.hierarchy.is_some() {
            let want = "forecasts that are made to add up over a hierarchy are not the sums of their models' parts";
            return Err(ForecastError::option("decompose", "hierarchy", want));
        }
        let known = self.known_ahead(frame, h)?;
        let (frame, fitted, h) = self.ready(known.as_ref().or(frame), h)?;
        if h > self.h {
            let want = format!("at most {}, as trained: what is fed back beyond has no parts of its own", self.h);
            return Err(ForecastError::option("h", h, want));
        }
        if fitted.iter().all(|fitted| fitted.model.own.parts().is_empty()) {
            let names: Vec<&str> = fitted.iter().map(|fitted| fitted.model.family.name).collect();
            let has_parts = |settings: &dyn crate::families::Build| !settings.parts().is_empty();
            let takers = FAMILIES.iter().filter(|f| (f.settings)(&Map::new()).is_ok_and(|own| has_parts(&*own)));
            let takers: Vec<&str> = takers.map(|family| family.name).collect();
            let want = format!("their forecasts are no sums of stacks; those of {} are", takers.join(", "));
            return Err(ForecastError::option("decompose", names.join(", "), want));
        }
        let cuts: Vec<Cut<'_>> = frame.iter().map(|series| (series, series.y.len())).collect();
        let mut forecasts = Forecasts::new(frame, &cuts, h, 1, false);
        for fitted in fitted {
            let mut group = fitted.at(&cuts, h)?;
            group.columns.truncate(1);
            group.intervals.clear();
            fitted.add_parts(&mut group, &cuts, h)?;
            forecasts.groups.push(group);
        }
        Ok(forecasts)
    }
}

impl Fitted {
    /// Adds a column for each part, where its forecasts are sums.
    fn add_parts(&self, group: &mut Group, cuts: &[Cut<'_>], h: usize) -> Result<()> {
        let names = self.model.own.parts();
        if names.is_empty() {
            return Ok(());
        }
        let mut columns: Vec<Column> = names
            .iter()
            .map(|name| Column { name: format!("{}-{name}", self.model.alias), values: Vec::new() })
            .collect();
        match &self.locals {
            None => self.parts(&mut columns, cuts, h)?,
            Some(locals) => {
                for cuts in cuts.chunk_by(|a, b| a.0.id == b.0.id) {
                    let id = cuts.first().map_or("", |(series, _)| series.id);
                    self.of_series(locals, id)?.parts(&mut columns, cuts, h)?;
                }
            }
        }
        group.columns.extend(columns);
        Ok(())
    }

    /// Appends the parts of the first `h` steps of every cut to their columns.
    fn parts(&self, columns: &mut [Column], cuts: &[Cut<'_>], h: usize) -> Result<()> {
        let (shape, model) = (self.shape(), &self.model);
        let (outputs, len) = (model.loss.outputs(), self.h * model.loss.outputs());
        let network =
            Network::from_parts(spec(model.family, model.build(), shape, Use::Parts), self.network.params(), None)?;
        for cuts in cuts.chunks(RUN) {
            let seen = Seen::new(shape, cuts);
            let y = network.predict_named(&seen.x, &seen.extras())?;
            for (row, scale) in y.chunks_exact(len * columns.len()).zip(&seen.scales) {
                let [level, rest] = self.way_of_parts(*scale)?;
                for step in 0..h {
                    let of = |part: usize, output: usize| row[part * len + step * outputs + output];
                    let sum = |output: usize| (0..columns.len()).map(|part| of(part, output)).sum::<f32>();
                    let sums: Vec<f32> = (0..outputs).map(sum).collect();
                    let output = model.loss.point_output(&sums).unwrap_or(0);
                    for (part, column) in columns.iter_mut().enumerate() {
                        let back = if part == 0 { level } else { rest };
                        column.values.push(back.undo(row[part * len + step * outputs + output]));
                    }
                }
            }
        }
        Ok(())
    }

    /// How the level, and what is added to it, goes back to the scale of the data.
    fn way_of_parts(&self, scale: Scale) -> Result<[Scale; 2]> {
        let Way { shift, scale, bends } = scale.way();
        let refuse = |what: &str, value: &str, want: &str| {
            Err(ForecastError::option(what, value, format!("{}: {want}", self.model.alias)))
        };
        if bends {
            return refuse(
                "scaler_type",
                "invariant",
                "it bends, so that what stacks add up to on one scale they do not on another",
            );
        }
        if self.model.loss.point_output(&vec![0.0; self.model.loss.outputs()]).is_none() {
            return refuse(
                "loss",
                "a distribution or iq",
                "its stacks add up to parameters, of which the forecast is no sum",
            );
        }
        Ok([Scale::line(shift, scale), Scale::line(0.0, scale)])
    }
}
