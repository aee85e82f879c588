//! The format of FANN 1.1 and 1.2: values without keys, one activation for all hidden neurons and one for the outputs.

use super::read::{BYTES_PER_CONNECTION, BYTES_PER_NUMBER, Number, items};
use super::scan::Scanner;
use super::{FannActivation, FannCascade, FannConnection, FannFile, FannNeuron, FannTopology, FannTraining};
use crate::error::Result;

/// The functions of FANN 1 that have the same number in FANN 2, which went on differently from 8.
const SHARED_ACTIVATIONS: u32 = 8;

/// Everything after the first line, and the decimal point of a fixed-point file. Training parameters are FANN 2's defaults, as in the C library.
pub(super) fn body(scan: &mut Scanner<'_>, number: Number) -> Result<FannFile> {
    let layer_count = scan.unsigned()?;
    let learning_rate = scan.float()?;
    let connection_rate = scan.float()?;
    let topology = scan.code("the network type", FannTopology::from_code)?;
    let activation = |scan: &mut Scanner<'_>| scan.code("an activation function up to 7 (gaussian)", shared);
    let functions = [activation(scan)?, activation(scan)?];
    let steepnesses = [number.read(scan)?, number.read(scan)?];
    let layer_count = scan.check_count("layers", layer_count.into(), BYTES_PER_NUMBER)?;
    let layer_sizes = items(scan, layer_count, |scan| scan.unsigned())?;
    let count = layer_sizes.iter().map(|&n| u64::from(n)).sum();
    let count = scan.check_count("neurons in the layers", count, BYTES_PER_NUMBER)?;
    let inputs = items(scan, count, |scan| scan.unsigned())?;
    let count = inputs.iter().map(|&n| u64::from(n)).sum();
    let count = scan.check_count("connections of the neurons", count, BYTES_PER_CONNECTION)?;
    let connections = items(scan, count, |scan| {
        scan.literal("(")?;
        let source = scan.unsigned()?;
        let weight = number.read(scan)?;
        scan.literal(")")?;
        Ok(FannConnection { source, weight })
    })?;
    let outputs = inputs.len() - layer_sizes.last().map_or(0, |&n| n as usize).min(inputs.len());
    let neuron = |(n, &inputs): (usize, &u32)| {
        let side = usize::from(n >= outputs);
        FannNeuron { inputs, activation: functions[side], steepness: steepnesses[side] }
    };
    Ok(FannFile {
        version: number.version,
        connection_rate,
        topology,
        training: FannTraining { learning_rate, ..FannTraining::default() },
        cascade: FannCascade::default(),
        neurons: inputs.iter().enumerate().map(neuron).collect(),
        layer_sizes,
        scaling: None,
        connections,
    })
}

fn shared(code: u32) -> Option<FannActivation> {
    FannActivation::from_code(code).filter(|_| code < SHARED_ACTIVATIONS)
}
