//! FANN networks: the text format of the FANN C library, 1.1 to 2.2 and what came after, read; that of 2.2 written.
//!
//! [`FannFile`] holds every field of a file and interprets none, so a file that FANN wrote is written back byte for byte.
//! The layout, the limits and what is refused are in `docs/formats/fann-net.md`.
//!
//! ```
//! use mayfly_format::fann_net::{FannActivation, FannFile, Precision};
//!
//! # fn main() -> Result<(), mayfly_format::FormatError> {
//! let mut net = FannFile::layered(&[2, 1])?;
//! net.neurons[3].activation = FannActivation::Linear;
//! net.neurons[3].steepness = 1.0;
//! net.connections[0].weight = 2.0;
//! net.connections[2].weight = -1.0; // the bias
//!
//! let text = net.to_text()?;
//! let back = FannFile::parse("small.net", text.as_bytes())?;
//! assert_eq!(back.run(&[3.0, 7.0], Precision::Single)?, [5.0]);
//! # Ok(())
//! # }
//! ```

mod activation;
mod build;
mod check;
mod codes;
mod read;
mod read_1;
mod run;
mod scan;
mod write;

use serde::{Deserialize, Serialize};
use std::ops::Range;

pub use codes::{FannActivation, FannAlgorithm, FannErrorFunction, FannStopFunction, FannTopology};
pub use run::Precision;

/// The largest `.net` file that [`FannFile::read`] opens, in bytes.
pub const MAX_FILE_BYTES: u64 = 1 << 30;

/// The largest `decimal_point` of a fixed-point file: `1 << decimal_point` must be a positive `i32`.
pub const MAX_DECIMAL_POINT: u32 = 30;

/// The first line of a file, and with it how numbers are written.
///
/// The float and the double build of the C library write the same header and the same text, so a reader cannot tell them apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FannVersion {
    /// `FANN_FLO_2.0`: floating point, before scaling parameters were stored.
    Float20,
    /// `FANN_FLO_2.1`: floating point.
    Float21,
    /// `FANN_FIX_2.0`: integers that stand for `integer / 2^decimal_point`.
    Fixed20 {
        /// Binary digits after the point, at most [`MAX_DECIMAL_POINT`].
        decimal_point: u32,
    },
    /// `FANN_FIX_2.1`: read by the C library exactly like 2.0.
    Fixed21 {
        /// Binary digits after the point, at most [`MAX_DECIMAL_POINT`].
        decimal_point: u32,
    },
}

impl FannVersion {
    /// Binary digits after the point; `None` in floating-point files.
    #[must_use]
    pub fn decimal_point(self) -> Option<u32> {
        match self {
            Self::Float20 | Self::Float21 => None,
            Self::Fixed20 { decimal_point } | Self::Fixed21 { decimal_point } => Some(decimal_point),
        }
    }
}

/// A FANN network, field by field as the file has it.
///
/// Neurons of all layers, bias neurons included, are numbered through in file order; a connection names its source by that number,
/// and belongs to the neuron whose turn it is: the first neuron owns the first [`FannNeuron::inputs`] connections, and so on.
/// Fixed-point values are held as the real numbers that they stand for.
#[derive(Debug, Clone, PartialEq)]
pub struct FannFile {
    /// Header and number format.
    pub version: FannVersion,
    /// Share of the possible connections that exist, 0 to 1. Below 1 the net is sparse and the sources of connections are free.
    pub connection_rate: f32,
    /// Connections to the previous layer only, or to all earlier layers.
    pub topology: FannTopology,
    /// Training parameters.
    pub training: FannTraining,
    /// Cascade training parameters.
    pub cascade: FannCascade,
    /// Neurons per layer, input layer first, bias neurons included.
    pub layer_sizes: Vec<u32>,
    /// Scaling of inputs and outputs ([`FannVersion::Float21`] only).
    pub scaling: Option<FannScaling>,
    /// All neurons, layer by layer.
    pub neurons: Vec<FannNeuron>,
    /// All connections, in the order of the neurons that receive them.
    pub connections: Vec<FannConnection>,
}

/// One neuron.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FannNeuron {
    /// Number of connections that end here. None, after the input layer, marks a bias neuron: its value is 1.
    pub inputs: u32,
    /// Activation function.
    pub activation: FannActivation,
    /// Steepness: the factor on the sum before the activation function.
    pub steepness: f64,
}

/// One connection.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FannConnection {
    /// Index of the neuron that it starts from.
    pub source: u32,
    /// Weight.
    pub weight: f64,
}

/// Training parameters of a file. The defaults are FANN's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FannTraining {
    /// Step size of incremental, batch and Quickprop training.
    pub learning_rate: f32,
    /// Share of the previous step that is added in incremental training.
    pub learning_momentum: f32,
    /// Algorithm.
    pub algorithm: FannAlgorithm,
    /// What is done to the error of an output before it is propagated.
    pub error_function: FannErrorFunction,
    /// What decides that training may stop.
    pub stop_function: FannStopFunction,
    /// Largest error of an output that does not count as a failed bit.
    pub bit_fail_limit: f64,
    /// Quickprop: weight decay, negative.
    pub quickprop_decay: f32,
    /// Quickprop: largest growth of a step.
    pub quickprop_mu: f32,
    /// RPROP: growth of a step while the sign of the slope stays.
    pub rprop_increase_factor: f32,
    /// RPROP: shrinking of a step when the sign changed.
    pub rprop_decrease_factor: f32,
    /// RPROP: smallest step.
    pub rprop_delta_min: f32,
    /// RPROP: largest step.
    pub rprop_delta_max: f32,
    /// RPROP: first step.
    pub rprop_delta_zero: f32,
}

impl Default for FannTraining {
    fn default() -> Self {
        Self {
            learning_rate: 0.7,
            learning_momentum: 0.0,
            algorithm: FannAlgorithm::Rprop,
            error_function: FannErrorFunction::Tanh,
            stop_function: FannStopFunction::Mse,
            bit_fail_limit: f64::from(0.35_f32),
            quickprop_decay: -0.0001,
            quickprop_mu: 1.75,
            rprop_increase_factor: 1.2,
            rprop_decrease_factor: 0.5,
            rprop_delta_min: 0.0,
            rprop_delta_max: 50.0,
            rprop_delta_zero: 0.1,
        }
    }
}

/// Cascade training parameters of a file. The defaults are FANN's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FannCascade {
    /// Relative change of the output error that counts as progress.
    pub output_change_fraction: f32,
    /// Epochs without progress after which training of the outputs ends.
    pub output_stagnation_epochs: u32,
    /// Relative change of a candidate's score that counts as progress.
    pub candidate_change_fraction: f32,
    /// Epochs without progress after which training of the candidates ends.
    pub candidate_stagnation_epochs: u32,
    /// Most epochs for the outputs.
    pub max_out_epochs: u32,
    /// Fewest epochs for the outputs.
    pub min_out_epochs: u32,
    /// Most epochs for the candidates.
    pub max_cand_epochs: u32,
    /// Fewest epochs for the candidates.
    pub min_cand_epochs: u32,
    /// Candidates for each pair of activation function and steepness.
    pub num_candidate_groups: u32,
    /// Score at which a candidate is good enough.
    pub candidate_limit: f64,
    /// Factor on a candidate's output weights when it is installed.
    pub weight_multiplier: f64,
    /// Activation functions that candidates try.
    pub activation_functions: Vec<FannActivation>,
    /// Steepnesses that candidates try.
    pub activation_steepnesses: Vec<f64>,
}

impl Default for FannCascade {
    fn default() -> Self {
        use FannActivation::{
            Cos, CosSymmetric, Elliot, ElliotSymmetric, Gaussian, GaussianSymmetric, Sigmoid, SigmoidSymmetric, Sin,
            SinSymmetric,
        };
        Self {
            output_change_fraction: 0.01,
            output_stagnation_epochs: 12,
            candidate_change_fraction: 0.01,
            candidate_stagnation_epochs: 12,
            max_out_epochs: 150,
            min_out_epochs: 50,
            max_cand_epochs: 150,
            min_cand_epochs: 50,
            num_candidate_groups: 2,
            candidate_limit: 1000.0,
            weight_multiplier: f64::from(0.4_f32),
            activation_functions: vec![
                Sigmoid,
                SigmoidSymmetric,
                Gaussian,
                GaussianSymmetric,
                Elliot,
                ElliotSymmetric,
                SinSymmetric,
                CosSymmetric,
                Sin,
                Cos,
            ],
            activation_steepnesses: vec![0.25, 0.5, 0.75, 1.0],
        }
    }
}

/// Scaling of the inputs and outputs of a network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FannScaling {
    /// One value per input.
    pub input: FannScale,
    /// One value per output.
    pub output: FannScale,
}

/// Scaling parameters of one side: `scaled = ((x - mean) / deviation + 1) · factor + new_min`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct FannScale {
    /// Mean of the data.
    pub mean: Vec<f32>,
    /// Standard deviation of the data.
    pub deviation: Vec<f32>,
    /// Lower end of the new range.
    pub new_min: Vec<f32>,
    /// Half the width of the new range.
    pub factor: Vec<f32>,
}

impl FannFile {
    /// Number of inputs (the bias not counted).
    #[must_use]
    pub fn input_count(&self) -> usize {
        self.layer_sizes.first().map_or(0, |&n| n as usize).saturating_sub(1)
    }

    /// Number of outputs (the unused bias of a layered net not counted).
    #[must_use]
    pub fn output_count(&self) -> usize {
        let last = self.layer_sizes.last().map_or(0, |&n| n as usize);
        match self.topology {
            FannTopology::Layered => last.saturating_sub(1),
            FannTopology::Shortcut => last,
        }
    }

    /// The neuron indices of each layer, input layer first, bias neurons included.
    pub fn layers(&self) -> impl Iterator<Item = Range<usize>> + '_ {
        self.layer_sizes.iter().scan(0_usize, |next, &size| {
            let start = *next;
            *next = start.saturating_add(size as usize);
            Some(start..*next)
        })
    }

    /// The connections that end in each neuron, in neuron order. Shorter than it should be where [`FannNeuron::inputs`] claims
    /// more connections than there are, which [`FannFile::check`] refuses.
    pub fn connections_by_neuron(&self) -> impl Iterator<Item = &[FannConnection]> + '_ {
        let mut rest = self.connections.as_slice();
        self.neurons.iter().map(move |neuron| {
            let (own, after) = rest.split_at(rest.len().min(neuron.inputs as usize));
            rest = after;
            own
        })
    }
}
