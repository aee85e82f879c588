//! Fully connected networks from scratch, with FANN's defaults.

use super::{
    FannActivation, FannCascade, FannConnection, FannFile, FannNeuron, FannTopology, FannTraining, FannVersion,
};
use crate::error::{FormatError, Result};

/// FANN's default for neurons with connections, and for those without.
const NEURON: FannNeuron = FannNeuron { inputs: 0, activation: FannActivation::SigmoidStepwise, steepness: 0.5 };
const WITHOUT_CONNECTIONS: FannNeuron = FannNeuron { inputs: 0, activation: FannActivation::Linear, steepness: 0.0 };

impl FannFile {
    /// A fully connected layered net; `sizes` without bias neurons. Weights are 0, everything else is FANN's default.
    ///
    /// # Errors
    /// [`FormatError::Malformed`] for fewer than two layers or an empty layer, [`FormatError::TooLarge`] for more than `u32::MAX` connections.
    pub fn layered(sizes: &[u32]) -> Result<Self> {
        Self::fully_connected(FannTopology::Layered, sizes)
    }

    /// A net in which every neuron is connected to all earlier layers; `sizes` without the bias neuron. Otherwise like [`FannFile::layered`].
    ///
    /// # Errors
    /// Like [`FannFile::layered`].
    pub fn shortcut(sizes: &[u32]) -> Result<Self> {
        Self::fully_connected(FannTopology::Shortcut, sizes)
    }

    fn fully_connected(topology: FannTopology, sizes: &[u32]) -> Result<Self> {
        let mut file = Self {
            version: FannVersion::Float21,
            connection_rate: 1.0,
            topology,
            training: FannTraining::default(),
            cascade: FannCascade::default(),
            layer_sizes: Vec::new(),
            scaling: None,
            neurons: Vec::new(),
            connections: Vec::new(),
        };
        check_sizes(sizes)?;
        let mut previous = 0..0;
        for (index, &size) in sizes.iter().enumerate() {
            let sources = if topology == FannTopology::Shortcut { 0..previous.end } else { previous };
            let start = file.neurons.len() as u32; // check_sizes: fits
            file.add_layer(index, size, &sources);
            previous = start..file.neurons.len() as u32;
        }
        file.check()?;
        Ok(file)
    }

    fn add_layer(&mut self, index: usize, size: u32, sources: &std::ops::Range<u32>) {
        for _ in 0..size {
            let neuron =
                if index == 0 { WITHOUT_CONNECTIONS } else { FannNeuron { inputs: sources.len() as u32, ..NEURON } };
            self.neurons.push(neuron);
            self.connections.extend(sources.clone().map(|source| FannConnection { source, weight: 0.0 }));
        }
        let has_bias = index == 0 || self.topology == FannTopology::Layered;
        if has_bias {
            self.neurons.push(WITHOUT_CONNECTIONS);
        }
        self.layer_sizes.push(size + u32::from(has_bias));
    }
}

/// The number of connections, which bounds that of neurons, must fit FANN's `unsigned int` (and memory).
fn check_sizes(sizes: &[u32]) -> Result<()> {
    let mut before: u64 = 0;
    let mut connections: u64 = 0;
    for &size in sizes {
        let size = u64::from(size) + 1;
        connections = connections.saturating_add(size.saturating_mul(before + 1));
        before += size;
    }
    if connections <= u64::from(u32::MAX) && before <= u64::from(u32::MAX) {
        return Ok(());
    }
    Err(FormatError::TooLarge {
        file: "FANN net".into(),
        what: "number of connections".into(),
        got: connections,
        limit: u32::MAX.into(),
    })
}
