//! Explanations as a long table.
use super::explanations::{Explained, Explanations};
use crate::forecaster::forecasts::quoted;
use std::io::{self, Write};

impl Explanations {
    /// What the columns are called: series and time as in the data.
    pub fn columns(&self) -> Vec<String> {
        let names = &self.about.columns;
        let own = ["model", "step", "kind", "column", "of", "lag", "attribution"];
        [&names.id, &names.time].into_iter().cloned().chain(own.map(str::to_owned)).collect()
    }

    /// How many rows there are.
    pub fn rows(&self) -> usize {
        let of_one = |e: &Explained| e.attributions.len() + usize::from(e.baseline.is_some());
        self.models.iter().flat_map(|model| &model.forecasts).map(of_one).sum()
    }

    /// Writes a row for every forecast and input as comma-separated values; the baseline, where there is one, is a row of the kind `baseline`,
    /// so that the rows of a forecast add up to it.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        let header: Vec<String> = self.columns().iter().map(|name| quoted(name)).collect();
        writeln!(out, "{}", header.join(","))?;
        for explanation in &self.models {
            let ends: Vec<String> = explanation
                .inputs
                .iter()
                .map(|input| format!("{},{}", input.kind.name(), quoted(&input.column)))
                .collect();
            for explained in &explanation.forecasts {
                let start = format!(
                    "{},{},{},{}",
                    quoted(&explained.id),
                    self.written(explained.ds),
                    quoted(&explanation.model),
                    explained.step
                );
                if let Some(baseline) = explained.baseline {
                    writeln!(out, "{start},baseline,,,,{}", cell(baseline))?;
                }
                for ((input, named), attribution) in explanation.inputs.iter().zip(&ends).zip(&explained.attributions) {
                    let of = quoted(input.of.as_deref().unwrap_or(&explained.id));
                    let lag = input.lag(explained.step).map(|lag| lag.to_string()).unwrap_or_default();
                    writeln!(out, "{start},{named},{of},{lag},{}", cell(*attribution))?;
                }
            }
        }
        Ok(())
    }

    /// The table as text; see [`Explanations::write`].
    pub fn to_csv(&self) -> String {
        let mut out = Vec::new();
        let _ = self.write(&mut out); // writing to memory does not fail
        String::from_utf8_lossy(&out).into_owned()
    }
}

/// A number, or nothing where there is none.
fn cell(value: f32) -> String {
    if value.is_finite() { value.to_string() } else { String::new() }
}
