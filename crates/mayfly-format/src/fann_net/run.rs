//! A naive evaluation of a [`FannFile`]: the reference that faster code is compared with.

use super::activation::activate;
use super::{FannConnection, FannFile, FannNeuron, FannScale, FannScaling};
use crate::error::{FormatError, Result};

/// FANN clamps the input of an activation function to ±150 / steepness.
const MAX_SUM: f64 = 150.0;

/// Which build of the C library is followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precision {
    /// `float`: rounded to f32 after every operation, in the order of the C code.
    Single,
    /// `double`.
    Double,
}

impl Precision {
    /// Rounds the f64 result of one operation. Correct for f32 too: with f32 operands the double rounding of `+ - * /` is harmless.
    pub(super) fn round(self, x: f64) -> f64 {
        match self {
            Self::Single => f64::from(x as f32),
            Self::Double => x,
        }
    }
}

impl FannFile {
    /// The outputs for one row of raw inputs, as `fann_run` computes them. Scaling parameters are not applied.
    ///
    /// Slow and simple on purpose; a fixed-point file is run as the real-valued net that it stands for.
    ///
    /// # Errors
    /// [`FormatError::InputCount`] when the number of inputs is wrong, and what [`FannFile::check`] refuses.
    pub fn run(&self, inputs: &[f32], precision: Precision) -> Result<Vec<f32>> {
        let wide: Vec<f64> = inputs.iter().map(|&x| f64::from(x)).collect();
        Ok(self.run_f64(&wide, precision)?.into_iter().map(|y| y as f32).collect())
    }

    /// [`FannFile::run`] with f64 inputs and outputs.
    ///
    /// # Errors
    /// Like [`FannFile::run`].
    pub fn run_f64(&self, inputs: &[f64], precision: Precision) -> Result<Vec<f64>> {
        self.check()?;
        if inputs.len() != self.input_count() {
            return Err(FormatError::InputCount { want: self.input_count(), got: inputs.len() });
        }
        let mut values: Vec<f64> = inputs.iter().map(|&x| precision.round(x)).collect();
        values.push(1.0); // the bias of the input layer
        let given = values.len();
        for (neuron, connections) in self.neurons.iter().zip(self.connections_by_neuron()).skip(given) {
            let value = neuron_value(neuron, connections, &values, precision);
            values.push(value);
        }
        let outputs = self.layers().last().map_or(0..0, |l| l.start..l.start + self.output_count());
        Ok(values.get(outputs).unwrap_or_default().to_vec())
    }

    /// `fann_scale_input`, `fann_run`, `fann_descale_output`: from raw inputs to raw outputs of a net with scaling parameters
    /// (and [`FannFile::run_f64`] for one without).
    ///
    /// # Errors
    /// Like [`FannFile::run`].
    pub fn run_scaled(&self, inputs: &[f64], precision: Precision) -> Result<Vec<f64>> {
        let Some(scaling) = &self.scaling else {
            return self.run_f64(inputs, precision);
        };
        let scaled: Vec<f64> = scaling.input.rows().zip(inputs).map(|(row, &x)| row.scale(x, precision)).collect();
        if inputs.len() != scaled.len() {
            return Err(FormatError::InputCount { want: scaled.len(), got: inputs.len() });
        }
        let outputs = self.run_f64(&scaled, precision)?;
        Ok(scaling.output.rows().zip(outputs).map(|(row, y)| row.descale(y, precision)).collect())
    }
}

fn neuron_value(neuron: &FannNeuron, connections: &[FannConnection], values: &[f64], precision: Precision) -> f64 {
    if connections.is_empty() {
        return 1.0; // a bias neuron
    }
    let steepness = precision.round(neuron.steepness);
    let mut sum = precision.round(steepness * weighted_sum(connections, values, precision));
    let max = precision.round(MAX_SUM / steepness);
    if sum > max {
        sum = max;
    } else if sum < -max {
        sum = -max;
    }
    activate(precision, neuron.activation, sum)
}

/// The sum in the order of the C loop: the first `n mod 4` terms backwards, then groups of four.
fn weighted_sum(connections: &[FannConnection], values: &[f64], precision: Precision) -> f64 {
    let term = |c: &FannConnection| {
        precision.round(precision.round(c.weight) * values.get(c.source as usize).copied().unwrap_or(0.0))
    };
    let (head, groups) = connections.split_at(connections.len() % 4);
    let start = head.iter().rev().fold(0.0, |sum, c| precision.round(sum + term(c)));
    groups.chunks(4).fold(start, |sum, group| {
        let of_group = group.iter().map(term).reduce(|a, b| precision.round(a + b)).unwrap_or(0.0);
        precision.round(sum + of_group)
    })
}

/// The scaling parameters of one input or output.
struct ScaleRow {
    mean: f64,
    deviation: f64,
    new_min: f64,
    factor: f64,
}

impl ScaleRow {
    fn scale(&self, x: f64, precision: Precision) -> f64 {
        let r = |x| precision.round(x);
        if self.deviation == 0.0 {
            return x; // FANN leaves such a column as it is
        }
        r(r(r(r(r(r(x) - self.mean) / self.deviation) + 1.0) * self.factor) + self.new_min)
    }

    fn descale(&self, y: f64, precision: Precision) -> f64 {
        let r = |x| precision.round(x);
        if self.deviation == 0.0 {
            return y;
        }
        r(r(r(r(r(y - self.new_min) / self.factor) - 1.0) * self.deviation) + self.mean)
    }
}

impl FannScaling {
    /// Scales rows of raw inputs as `fann_scale_input` does, in single precision.
    pub fn scale_inputs(&self, rows: &mut [f32]) {
        each(&self.input, rows, |row, x| row.scale(x, Precision::Single));
    }

    /// Turns rows of outputs into the units of the targets as `fann_descale_output` does, in single precision.
    pub fn descale_outputs(&self, rows: &mut [f32]) {
        each(&self.output, rows, |row, y| row.descale(y, Precision::Single));
    }
}

fn each(scale: &FannScale, rows: &mut [f32], f: impl Fn(&ScaleRow, f64) -> f64) {
    let columns: Vec<ScaleRow> = scale.rows().collect();
    for row in rows.chunks_mut(columns.len().max(1)) {
        row.iter_mut().zip(&columns).for_each(|(x, column)| *x = f(column, f64::from(*x)) as f32);
    }
}

impl FannScale {
    /// Mean, deviation, new minimum and factor of each column.
    pub fn columns(&self) -> impl Iterator<Item = [f64; 4]> + '_ {
        self.rows().map(|row| [row.mean, row.deviation, row.new_min, row.factor])
    }

    fn rows(&self) -> impl Iterator<Item = ScaleRow> + '_ {
        let wide = |v: &'_ [f32]| v.iter().map(|&x| f64::from(x)).collect::<Vec<_>>();
        let (mean, deviation) = (wide(&self.mean), wide(&self.deviation));
        let (new_min, factor) = (wide(&self.new_min), wide(&self.factor));
        mean.into_iter()
            .zip(deviation)
            .zip(new_min.into_iter().zip(factor))
            .map(|((mean, deviation), (new_min, factor))| ScaleRow { mean, deviation, new_min, factor })
    }
}
