//! From text to [`FannFile`].

use std::borrow::Cow;
use std::path::Path;

use super::scan::Scanner;
use super::{
    FannActivation, FannAlgorithm, FannCascade, FannConnection, FannErrorFunction, FannFile, FannNeuron, FannScale,
    FannScaling, FannStopFunction, FannTopology, FannTraining, FannVersion, MAX_DECIMAL_POINT, MAX_FILE_BYTES,
};
use crate::error::{FormatError, Position, Result};
use crate::whole_file::{file_name, read_whole};

/// The least text that one item of each kind takes.
pub(super) const BYTES_PER_NUMBER: usize = 2;
const BYTES_PER_NEURON: usize = "(0,0,0)".len();
pub(super) const BYTES_PER_CONNECTION: usize = "(0,0)".len();

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
    /// Byte order marks, line ends of Windows and decimal commas are understood.
    ///
    /// # Errors
    /// [`FormatError::Unsupported`] for an unknown version, [`FormatError::Malformed`] with line and column where the text is not as it should be
    /// and with the neuron or connection where the net makes no sense, [`FormatError::TooLarge`] for a count that the text cannot hold.
    pub fn parse(file: &str, text: &[u8]) -> Result<Self> {
        let text = plain(text);
        let scan = &mut Scanner::new(file, &text);
        let net = match version(scan)? {
            Version::Two(version) => body(scan, Number { version })?,
            Version::One(version) => super::read_1::body(scan, Number { version })?,
        };
        scan.end()?;
        net.check_in(file)?;
        Ok(net)
    }

    /// Whether a file that begins like this is a FANN network, whatever its name.
    #[must_use]
    pub fn is_one(head: &[u8]) -> bool {
        let head = plain(head.get(..64).unwrap_or(head));
        let head = head.trim_ascii_start();
        head.starts_with(b"FANN_FLO_") || head.starts_with(b"FANN_FIX_")
    }
}

/// The text without a byte order mark; in UTF-8 if it was in UTF-16.
fn plain(text: &[u8]) -> Cow<'_, [u8]> {
    let wide = |rest: &[u8], unit: fn([u8; 2]) -> u16| {
        let units = rest.as_chunks().0.iter().map(|b| unit(*b));
        let text: String = char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect();
        Cow::Owned(text.into_bytes())
    };
    match text {
        [0xef, 0xbb, 0xbf, rest @ ..] => Cow::Borrowed(rest),
        [0xff, 0xfe, rest @ ..] => wide(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => wide(rest, u16::from_be_bytes),
        _ => Cow::Borrowed(text),
    }
}

/// How the text goes on after its first line.
enum Version {
    /// Keys and values.
    Two(FannVersion),
    /// Values alone, as FANN 1.1 and 1.2 wrote them.
    One(FannVersion),
}

fn version(scan: &mut Scanner<'_>) -> Result<Version> {
    let wanted = "FANN_FLO_2.0, FANN_FLO_2.1, FANN_FIX_2.0, FANN_FIX_2.1, FANN_FLO_1.1 or FANN_FIX_1.1";
    match scan.first_line() {
        b"FANN_FLO_1.1" => Ok(Version::One(FannVersion::Float21)),
        b"FANN_FIX_1.1" => {
            scan.unsigned_at_most(MAX_DECIMAL_POINT).map(|p| Version::One(FannVersion::Fixed21 { decimal_point: p }))
        }
        b"FANN_FLO_2.0" => Ok(Version::Two(FannVersion::Float20)),
        b"FANN_FLO_2.1" => Ok(Version::Two(FannVersion::Float21)),
        b"FANN_FIX_2.0" => {
            decimal_point(scan).map(|decimal_point| Version::Two(FannVersion::Fixed20 { decimal_point }))
        }
        b"FANN_FIX_2.1" => {
            decimal_point(scan).map(|decimal_point| Version::Two(FannVersion::Fixed21 { decimal_point }))
        }
        other if other.starts_with(b"FANN_FLO_1.") || other.starts_with(b"FANN_FIX_1.") => {
            Err(FormatError::Unsupported {
                file: scan.file().to_owned(),
                what: format!("the format of FANN 1.0 ({})", String::from_utf8_lossy(other)),
                instead: "load the net with FANN 1.1 or later and save it again".into(),
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
pub(super) struct Number {
    pub(super) version: FannVersion,
}

impl Number {
    pub(super) fn read(self, scan: &mut Scanner) -> Result<f64> {
        match self.version.decimal_point() {
            None => scan.double(),
            Some(point) => Ok(f64::from(scan.integer()?) / f64::from(1_u32 << point.min(MAX_DECIMAL_POINT))),
        }
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
    if number.version.decimal_point().is_none() && scan.is_at_key("scale_included") {
        file.scaling = scaling(scan, file.input_count(), file.output_count())?;
        if file.scaling.is_some() {
            file.version = FannVersion::Float21; // the C library takes scaling from a file of 2.0 as well
        }
    }
    file.neurons = neurons(scan, number, &file.layer_sizes)?;
    file.connections = connections(scan, number, &file.neurons)?;
    Ok(file)
}

/// The file mixes the two groups, so they are read together, one line after the other. What a file lacks has FANN's default: 2.0 wrote no
/// `rprop_delta_zero`, 2.0 and 2.1 neither of the fewest epochs.
fn parameters(scan: &mut Scanner<'_>, number: Number, learning_rate: f32) -> Result<(FannTraining, FannCascade)> {
    let mut t = FannTraining { learning_rate, ..FannTraining::default() };
    let mut c = FannCascade::default();
    let code = "train_error_function";
    maybe(scan, "learning_momentum", &mut t.learning_momentum, Scanner::float)?;
    maybe(scan, "training_algorithm", &mut t.algorithm, |s| s.code("training_algorithm", FannAlgorithm::from_code))?;
    maybe(scan, code, &mut t.error_function, |s| s.code(code, FannErrorFunction::from_code))?;
    maybe(scan, "train_stop_function", &mut t.stop_function, |s| {
        s.code("train_stop_function", FannStopFunction::from_code)
    })?;
    maybe(scan, "cascade_output_change_fraction", &mut c.output_change_fraction, Scanner::float)?;
    maybe(scan, "quickprop_decay", &mut t.quickprop_decay, Scanner::float)?;
    maybe(scan, "quickprop_mu", &mut t.quickprop_mu, Scanner::float)?;
    maybe(scan, "rprop_increase_factor", &mut t.rprop_increase_factor, Scanner::float)?;
    maybe(scan, "rprop_decrease_factor", &mut t.rprop_decrease_factor, Scanner::float)?;
    maybe(scan, "rprop_delta_min", &mut t.rprop_delta_min, Scanner::float)?;
    maybe(scan, "rprop_delta_max", &mut t.rprop_delta_max, Scanner::float)?;
    maybe(scan, "rprop_delta_zero", &mut t.rprop_delta_zero, Scanner::float)?;
    maybe(scan, "cascade_output_stagnation_epochs", &mut c.output_stagnation_epochs, Scanner::unsigned)?;
    maybe(scan, "cascade_candidate_change_fraction", &mut c.candidate_change_fraction, Scanner::float)?;
    maybe(scan, "cascade_candidate_stagnation_epochs", &mut c.candidate_stagnation_epochs, Scanner::unsigned)?;
    maybe(scan, "cascade_max_out_epochs", &mut c.max_out_epochs, Scanner::unsigned)?;
    maybe(scan, "cascade_min_out_epochs", &mut c.min_out_epochs, Scanner::unsigned)?;
    maybe(scan, "cascade_max_cand_epochs", &mut c.max_cand_epochs, Scanner::unsigned)?;
    maybe(scan, "cascade_min_cand_epochs", &mut c.min_cand_epochs, Scanner::unsigned)?;
    maybe(scan, "cascade_num_candidate_groups", &mut c.num_candidate_groups, Scanner::unsigned)?;
    maybe(scan, "bit_fail_limit", &mut t.bit_fail_limit, |s| number.read(s))?;
    maybe(scan, "cascade_candidate_limit", &mut c.candidate_limit, |s| number.read(s))?;
    maybe(scan, "cascade_weight_multiplier", &mut c.weight_multiplier, |s| number.read(s))?;
    if scan.is_at_key("cascade_activation_functions_count") {
        c.activation_functions = counted(scan, "cascade_activation_functions", |scan| {
            scan.code("an activation function", FannActivation::from_code)
        })?;
    }
    if scan.is_at_key("cascade_activation_steepnesses_count") {
        c.activation_steepnesses = counted(scan, "cascade_activation_steepnesses", |scan| number.read(scan))?;
    }
    if !scan.is_at_key("layer_sizes") {
        return Err(scan.expected("a parameter that FANN writes at this place, or `layer_sizes=`"));
    }
    Ok((t, c))
}

/// Reads `key=value` into `slot`, if that comes next.
fn maybe<'a, T>(
    scan: &mut Scanner<'a>,
    key: &str,
    slot: &mut T,
    read: impl FnOnce(&mut Scanner<'a>) -> Result<T>,
) -> Result<()> {
    if scan.is_at_key(key) {
        scan.key(key)?;
        *slot = read(scan)?;
    }
    Ok(())
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
pub(super) fn items<T>(
    scan: &mut Scanner<'_>,
    count: usize,
    item: impl Fn(&mut Scanner<'_>) -> Result<T>,
) -> Result<Vec<T>> {
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
