//! From [`FannFile`] to text.

use std::fmt::{self, Write as _};
use std::path::Path;

use super::{FannFile, FannScale, FannVersion, MAX_DECIMAL_POINT};
use crate::atomic;
use crate::error::{FormatError, Result};

impl FannFile {
    /// Writes a `.net` file that the C library reads; a file that FANN wrote is written back byte for byte.
    /// An existing file is replaced atomically, see [`crate::atomic`].
    ///
    /// # Errors
    /// I/O errors, and what [`FannFile::to_text`] refuses.
    pub fn write(&self, path: impl AsRef<Path>) -> Result<()> {
        let text = self.to_text()?;
        atomic::write(path.as_ref(), |file| file.write_all(text.as_bytes()))
    }

    /// The text of the `.net` file.
    ///
    /// # Errors
    /// What [`FannFile::check`] refuses, and [`FormatError::FixedPointRange`] for a value that does not fit a fixed-point file.
    pub fn to_text(&self) -> Result<String> {
        self.check()?;
        let number = Number { version: self.version };
        number.check_all(self)?;
        let mut text = String::new();
        // Writing to a String cannot fail, so there is no error to name.
        let _ = write_file(&mut text, self, number);
        Ok(text)
    }
}

/// Writes network numbers, which are integers in a fixed-point file.
#[derive(Clone, Copy)]
struct Number {
    version: FannVersion,
}

impl Number {
    /// The integer of a fixed-point file, rounded as FANN rounds; `None` in floating-point files.
    fn integer(self, value: f64) -> Option<f64> {
        let point = self.version.decimal_point()?.min(MAX_DECIMAL_POINT);
        Some((value * f64::from(1_u32 << point) + 0.5).floor())
    }

    fn check(self, what: impl FnOnce() -> String, value: f64) -> Result<()> {
        match self.integer(value) {
            Some(k) if !(f64::from(i32::MIN)..=f64::from(i32::MAX)).contains(&k) => Err(FormatError::FixedPointRange {
                what: what(),
                value,
                decimal_point: self.version.decimal_point().unwrap_or(0),
            }),
            _ => Ok(()),
        }
    }

    fn check_all(self, file: &FannFile) -> Result<()> {
        self.check(|| "bit_fail_limit".into(), file.training.bit_fail_limit)?;
        self.check(|| "cascade_candidate_limit".into(), file.cascade.candidate_limit)?;
        self.check(|| "cascade_weight_multiplier".into(), file.cascade.weight_multiplier)?;
        for (i, &s) in file.cascade.activation_steepnesses.iter().enumerate() {
            self.check(|| format!("cascade_activation_steepnesses[{i}]"), s)?;
        }
        for (i, n) in file.neurons.iter().enumerate() {
            self.check(|| format!("steepness of neuron {i}"), n.steepness)?;
        }
        for (i, c) in file.connections.iter().enumerate() {
            self.check(|| format!("weight of connection {i}"), c.weight)?;
        }
        Ok(())
    }

    fn text(self, value: f64) -> NumberText {
        match self.integer(value) {
            Some(k) => NumberText::Fixed(k),
            None => NumberText::Float(value),
        }
    }
}

enum NumberText {
    Fixed(f64),
    Float(f64),
}

impl fmt::Display for NumberText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Fixed(k) => write!(f, "{k:.0}"),
            Self::Float(x) => exponent(f, x),
        }
    }
}

/// C's `%.20e`: Rust writes the same digits, but `e0` where C writes `e+00`.
fn exponent(f: &mut fmt::Formatter<'_>, x: f64) -> fmt::Result {
    let rust = format!("{x:.20e}");
    match rust.split_once('e') {
        Some((digits, power)) => {
            let (sign, power) = power.strip_prefix('-').map_or(('+', power), |p| ('-', p));
            write!(f, "{digits}e{sign}{power:0>2}")
        }
        None => f.write_str(&rust),
    }
}

fn write_file(out: &mut String, file: &FannFile, number: Number) -> fmt::Result {
    header(out, file)?;
    parameters(out, file, number)?;
    list(out, "layer_sizes", &file.layer_sizes)?;
    match (&file.scaling, file.version) {
        (Some(scaling), FannVersion::Float21) => {
            writeln!(out, "scale_included=1")?;
            scale(out, "in", &scaling.input)?;
            scale(out, "out", &scaling.output)?;
        }
        (None, FannVersion::Float21) => writeln!(out, "scale_included=0")?,
        _ => {}
    }
    nodes(out, file, number)
}

fn header(out: &mut String, file: &FannFile) -> fmt::Result {
    match file.version {
        FannVersion::Float20 => writeln!(out, "FANN_FLO_2.0"),
        FannVersion::Float21 => writeln!(out, "FANN_FLO_2.1"),
        FannVersion::Fixed20 { decimal_point } => {
            writeln!(out, "FANN_FIX_2.0\ndecimal_point={decimal_point}")
        }
        FannVersion::Fixed21 { decimal_point } => {
            writeln!(out, "FANN_FIX_2.1\ndecimal_point={decimal_point}")
        }
    }
}

fn parameters(out: &mut String, file: &FannFile, number: Number) -> fmt::Result {
    let (t, c) = (&file.training, &file.cascade);
    writeln!(out, "num_layers={}", file.layer_sizes.len())?;
    writeln!(out, "learning_rate={:.6}", t.learning_rate)?;
    writeln!(out, "connection_rate={:.6}", file.connection_rate)?;
    writeln!(out, "network_type={}", file.topology.code())?;
    writeln!(out, "learning_momentum={:.6}", t.learning_momentum)?;
    writeln!(out, "training_algorithm={}", t.algorithm.code())?;
    writeln!(out, "train_error_function={}", t.error_function.code())?;
    writeln!(out, "train_stop_function={}", t.stop_function.code())?;
    writeln!(out, "cascade_output_change_fraction={:.6}", c.output_change_fraction)?;
    writeln!(out, "quickprop_decay={:.6}", t.quickprop_decay)?;
    writeln!(out, "quickprop_mu={:.6}", t.quickprop_mu)?;
    writeln!(out, "rprop_increase_factor={:.6}", t.rprop_increase_factor)?;
    writeln!(out, "rprop_decrease_factor={:.6}", t.rprop_decrease_factor)?;
    writeln!(out, "rprop_delta_min={:.6}", t.rprop_delta_min)?;
    writeln!(out, "rprop_delta_max={:.6}", t.rprop_delta_max)?;
    writeln!(out, "rprop_delta_zero={:.6}", t.rprop_delta_zero)?;
    writeln!(out, "cascade_output_stagnation_epochs={}", c.output_stagnation_epochs)?;
    writeln!(out, "cascade_candidate_change_fraction={:.6}", c.candidate_change_fraction)?;
    writeln!(out, "cascade_candidate_stagnation_epochs={}", c.candidate_stagnation_epochs)?;
    writeln!(out, "cascade_max_out_epochs={}", c.max_out_epochs)?;
    writeln!(out, "cascade_min_out_epochs={}", c.min_out_epochs)?;
    writeln!(out, "cascade_max_cand_epochs={}", c.max_cand_epochs)?;
    writeln!(out, "cascade_min_cand_epochs={}", c.min_cand_epochs)?;
    writeln!(out, "cascade_num_candidate_groups={}", c.num_candidate_groups)?;
    writeln!(out, "bit_fail_limit={}", number.text(t.bit_fail_limit))?;
    writeln!(out, "cascade_candidate_limit={}", number.text(c.candidate_limit))?;
    writeln!(out, "cascade_weight_multiplier={}", number.text(c.weight_multiplier))?;
    writeln!(out, "cascade_activation_functions_count={}", c.activation_functions.len())?;
    list(out, "cascade_activation_functions", c.activation_functions.iter().map(|f| f.code()))?;
    writeln!(out, "cascade_activation_steepnesses_count={}", c.activation_steepnesses.len())?;
    list(out, "cascade_activation_steepnesses", c.activation_steepnesses.iter().map(|&s| number.text(s)))
}

/// `key=` and the items, each followed by a space, as FANN does.
fn list<T: fmt::Display>(out: &mut String, key: &str, items: impl IntoIterator<Item = T>) -> fmt::Result {
    write!(out, "{key}=")?;
    for item in items {
        write!(out, "{item} ")?;
    }
    writeln!(out)
}

fn scale(out: &mut String, side: &str, scale: &FannScale) -> fmt::Result {
    for (name, values) in
        [("mean", &scale.mean), ("deviation", &scale.deviation), ("new_min", &scale.new_min), ("factor", &scale.factor)]
    {
        list(out, &format!("scale_{name}_{side}"), values.iter().map(|x| format!("{x:.6}")))?;
    }
    Ok(())
}

fn nodes(out: &mut String, file: &FannFile, number: Number) -> fmt::Result {
    write!(out, "neurons (num_inputs, activation_function, activation_steepness)=")?;
    for n in &file.neurons {
        write!(out, "({}, {}, {}) ", n.inputs, n.activation.code(), number.text(n.steepness))?;
    }
    write!(out, "\nconnections (connected_to_neuron, weight)=")?;
    for c in &file.connections {
        write!(out, "({}, {}) ", c.source, number.text(c.weight))?;
    }
    writeln!(out)
}
