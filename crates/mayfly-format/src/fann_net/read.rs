//! From text to [`FannFile`].

use std::path::Path;

use super::scan::Scanner;
use super::{
    FannActivation, FannCascade, FannConnection, FannFile, FannNeuron, FannScale, FannScaling, FannTopology,
    FannTraining, FannVersion, MAX_DECIMAL_POINT, MAX_FILE_BYTES,
};
use crate::error::{FormatError, Position, Result};
use crate::whole_file::{file_name, read_whole};

/// The least text that one item of each kind takes.
const BYTES_PER_NUMBER: usize = 2;
const BYTES_PER_NEURON: usize = "(0,0,0)".len();
const BYTES_PER_CONNECTION: usize = "(0,0)".len();

impl FannFile {
    /// Reads a `.net` file of at most [`MAX_FILE_BYTES`].
    ///
    /// # Errors
    /// I/O errors and everything that [`FannFile::parse`] refuses.
    pub fn read(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let text = read_whole(path, MAX_FILE_BYTES)?;
        Self::parse(&file_name(path), &text)
    }

    /// Reads the text of a `.net` file; `file` is its name for messages.
    ///
    /// # Errors
    /// [`FormatError::Unsupported`] for FANN 1.x, [`FormatError::Malformed`] with line and column where the text is not as it should be
    /// and with the neuron or connection where the net makes no sense, [`FormatError::TooLarge`] for a count that the text cannot hold.
    pub fn parse(file: &str, text: &[u8]) -> Result<Self> {
        let scan = &mut Scanner::new(file, text);
        let version = version(scan)?;
        let net = body(scan, Number { version })?;
        scan.end()?;
        net.check_in(file)?;
        Ok(net)
    }
}

fn version(scan: &mut Scanner<'_>) -> Result<FannVersion> {
    let wanted = "FANN_FLO_2.0, FANN_FLO_2.1, FANN_FIX_2.0 or FANN_FIX_2.1";
    match scan.first_line() {
        b"FANN_FLO_2.0" => Ok(FannVersion::Float20),
        b"FANN_FLO_2.1" => Ok(FannVersion::Float21),
        b"FANN_FIX_2.0" => decimal_point(scan).map(|decimal_point| FannVersion::Fixed20 { decimal_point }),
        b"FANN_FIX_2.1" => decimal_point(scan).map(|decimal_point| FannVersion::Fixed21 { decimal_point }),
        other if other.starts_with(b"FANN_FLO_1.") || other.starts_with(b"FANN_FIX_1.") => {
            Err(FormatError::Unsupported {
                file: scan.file().to_owned(),
                what: format!("the FANN 1 format ({})", String::from_utf8_lossy(other)),
                instead: "load the net with the FANN 2 library and save it again".into(),
            })
        }
        b"" => Err(FormatError::malformed(scan.file(), Position::Line { line: 1, column: 1 }, wanted, "nothing")),
        other => {
            let line = String::from_utf8_lossy(other.get(..80).unwrap_or(other));
            Err(FormatError::malformed(scan.file(), Position::Line { line: 1, column: 1 }, wanted, &line))
        }
    }
}

fn decimal_point(scan: &mut Scanner<'_>) -> Result<u32> {
    scan.key("decimal_point")?;
    scan.unsigned_at_most(MAX_DECIMAL_POINT)
}

/// Reads network numbers, which are integers in a fixed-point file.
#[derive(Clone, Copy)]
struct Number {
    version: FannVersion,
}

impl Number {
    fn read(self, scan: &mut Scanner) -> Result<f64> {
        match self.version.decimal_point() {
            None => scan.double(),
            Some(point) => Ok(f64::from(scan.integer()?) / f64::from(1_u32 << point.min(MAX_DECIMAL_POINT))),
        }
    }

    fn field(self, scan: &mut Scanner<'_>, key: &str) -> Result<f64> {
        scan.key(key)?;
        self.read(scan)
    }
}

fn float_field(scan: &mut Scanner<'_>, key: &str) -> Result<f32> {
    scan.key(key)?;
    scan.float()
}

fn unsigned_field(scan: &mut Scanner<'_>, key: &str) -> Result<u32> {
    scan.key(key)?;
    scan.unsigned()
}

fn code_field<T>(scan: &mut Scanner<'_>, key: &str, from_code: fn(u32) -> Option<T>) -> Result<T> {
    scan.key(key)?;
    scan.code(key, from_code)
}

/// Everything after the header, in the order of the file.
fn body(scan: &mut Scanner<'_>, number: Number) -> Result<FannFile> {
    let layer_count = unsigned_field(scan, "num_layers")?;
    let learning_rate = float_field(scan, "learning_rate")?;
    let connection_rate = float_field(scan, "connection_rate")?;
    let topology = code_field(scan, "network_type", FannTopology::from_code)?;
    let (training, cascade) = parameters(scan, number, learning_rate)?;
    let layer_sizes = layer_sizes(scan, layer_count)?;
    let mut file = FannFile {
        version: number.version,
        connection_rate,
        topology,
        training,
        cascade,
        layer_sizes,
        scaling: None,
        neurons: Vec::new(),
        connections: Vec::new(),
    };
    if number.version == FannVersion::Float21 {
        file.scaling = scaling(scan, file.input_count(), file.output_count())?;
    }
    file.neurons = neurons(scan, number, &file.layer_sizes)?;
    file.connections = connections(scan, number, &file.neurons)?;
    Ok(file)
}

/// The file mixes the two groups, so they are read together, one line after the other.
fn parameters(scan: &mut Scanner<'_>, number: Number, learning_rate: f32) -> Result<(FannTraining, FannCascade)> {
    let mut t = FannTraining { learning_rate, ..FannTraining::default() };
    let mut c = FannCascade::default();
    t.learning_momentum = float_field(scan, "learning_momentum")?;
    t.algorithm = code_field(scan, "training_algorithm", super::FannAlgorithm::from_code)?;
    t.error_function = code_field(scan, "train_error_function", super::FannErrorFunction::from_code)?;
    t.stop_function = code_field(scan, "train_stop_function", super::FannStopFunction::from_code)?;
    c.output_change_fraction = float_field(scan, "cascade_output_change_fraction")?;
    t.quickprop_decay = float_field(scan, "quickprop_decay")?;
    t.quickprop_mu = float_field(scan, "quickprop_mu")?;
    t.rprop_increase_factor = float_field(scan, "rprop_increase_factor")?;
    t.rprop_decrease_factor = float_field(scan, "rprop_decrease_factor")?;
    t.rprop_delta_min = float_field(scan, "rprop_delta_min")?;
    t.rprop_delta_max = float_field(scan, "rprop_delta_max")?;
    t.rprop_delta_zero = float_field(scan, "rprop_delta_zero")?;
    c.output_stagnation_epochs = unsigned_field(scan, "cascade_output_stagnation_epochs")?;
    c.candidate_change_fraction = float_field(scan, "cascade_candidate_change_fraction")?;
    c.candidate_stagnation_epochs = unsigned_field(scan, "cascade_candidate_stagnation_epochs")?;
    c.max_out_epochs = unsigned_field(scan, "cascade_max_out_epochs")?;
    c.min_out_epochs = unsigned_field(scan, "cascade_min_out_epochs")?;
    c.max_cand_epochs = unsigned_field(scan, "cascade_max_cand_epochs")?;
    c.min_cand_epochs = unsigned_field(scan, "cascade_min_cand_epochs")?;
    c.num_candidate_groups = unsigned_field(scan, "cascade_num_candidate_groups")?;
    t.bit_fail_limit = number.field(scan, "bit_fail_limit")?;
    c.candidate_limit = number.field(scan, "cascade_candidate_limit")?;
    c.weight_multiplier = number.field(scan, "cascade_weight_multiplier")?;
    c.activation_functions = counted(scan, "cascade_activation_functions", |scan| {
        scan.code("an activation function", FannActivation::from_code)
    })?;
    c.activation_steepnesses = counted(scan, "cascade_activation_steepnesses", |scan| number.read(scan))?;
    Ok((t, c))
}

/// `key_count=n`, then `key=` and n items.
fn counted<T>(
    scan: &mut Scanner<'_>,
    key: &'static str,
    item: impl Fn(&mut Scanner<'_>) -> Result<T>,
) -> Result<Vec<T>> {
    let count = unsigned_field(scan, &format!("{key}_count"))?;
    scan.key(key)?;
    let count = scan.check_count(key, count.into(), BYTES_PER_NUMBER)?;
    items(scan, count, item)
}

/// `count` items; the count has been checked against the text.
fn items<T>(scan: &mut Scanner<'_>, count: usize, item: impl Fn(&mut Scanner<'_>) -> Result<T>) -> Result<Vec<T>> {
    let mut all = Vec::with_capacity(count);
    for _ in 0..count {
        all.push(item(scan)?);
    }
    Ok(all)
}

fn layer_sizes(scan: &mut Scanner<'_>, layer_count: u32) -> Result<Vec<u32>> {
    scan.key("layer_sizes")?;
    let count = scan.check_count("layers", layer_count.into(), BYTES_PER_NUMBER)?;
    items(scan, count, |scan| scan.unsigned())
}

fn scaling(scan: &mut Scanner<'_>, inputs: usize, outputs: usize) -> Result<Option<FannScaling>> {
    scan.key("scale_included")?;
    let included = scan.code("scale_included (0 or 1)", |code| [false, true].get(code as usize).copied())?;
    if !included {
        return Ok(None);
    }
    let input = scale(scan, "in", inputs)?;
    let output = scale(scan, "out", outputs)?;
    Ok(Some(FannScaling { input, output }))
}

fn scale(scan: &mut Scanner<'_>, side: &str, count: usize) -> Result<FannScale> {
    let mut row = |name: &str| {
        scan.key(&format!("{name}_{side}"))?;
        let count = scan.check_count("scaling parameters", count as u64, BYTES_PER_NUMBER)?;
        items(scan, count, |scan| scan.float())
    };
    Ok(FannScale {
        mean: row("scale_mean")?,
        deviation: row("scale_deviation")?,
        new_min: row("scale_new_min")?,
        factor: row("scale_factor")?,
    })
}

fn neurons(scan: &mut Scanner<'_>, number: Number, layer_sizes: &[u32]) -> Result<Vec<FannNeuron>> {
    scan.key("neurons (num_inputs, activation_function, activation_steepness)")?;
    let count = layer_sizes.iter().map(|&n| u64::from(n)).sum();
    let count = scan.check_count("neurons in layer_sizes", count, BYTES_PER_NEURON)?;
    items(scan, count, |scan| {
        scan.literal("(")?;
        let inputs = scan.unsigned()?;
        scan.literal(",")?;
        let activation = scan.code("an activation function", FannActivation::from_code)?;
        scan.literal(",")?;
        let steepness = number.read(scan)?;
        scan.literal(")")?;
        Ok(FannNeuron { inputs, activation, steepness })
    })
}

fn connections(scan: &mut Scanner<'_>, number: Number, neurons: &[FannNeuron]) -> Result<Vec<FannConnection>> {
    scan.key("connections (connected_to_neuron, weight)")?;
    let count = neurons.iter().map(|n| u64::from(n.inputs)).sum();
    let count = scan.check_count("connections in num_inputs", count, BYTES_PER_CONNECTION)?;
    items(scan, count, |scan| {
        scan.literal("(")?;
        let source = scan.unsigned()?;
        scan.literal(",")?;
        let weight = number.read(scan)?;
        scan.literal(")")?;
        Ok(FannConnection { source, weight })
    })
}
