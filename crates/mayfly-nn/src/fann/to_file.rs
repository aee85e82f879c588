//! From a network to a FANN file.
use super::{Extras, KEY};
use crate::activation::Activation;
use crate::error::{NnError, Result};
use crate::layers::{Dense, LayerSpec, Reads};
use crate::model::Model;
use mayfly_format::fann_net::{FannActivation, FannConnection, FannFile, FannTopology};
use mayfly_graph::{Act, FannAct};
use std::path::Path;

/// Writes a `.net` file that FANN 2.1 and 2.2 read.
///
/// # Errors
/// As for [`to_file`], and what the operating system refuses.
pub fn write(model: &Model, path: impl AsRef<Path>) -> Result<()> {
    Ok(to_file(model)?.write(path)?)
}

/// The model's network as FANN has it. What the encoder does to raw data is not part of it.
///
/// # Errors
/// Layers and activations that FANN has not: it knows dense layers, connected to the layer before or to all before, with its own functions.
pub fn to_file(model: &Model) -> Result<FannFile> {
    let dense = layers(model)?;
    let shortcut = dense.len() > 1 && dense[1..].iter().all(|d| d.reads == Reads::AllPrevious);
    if let Some(odd) = dense.iter().skip(1).find(|d| (d.reads == Reads::AllPrevious) != shortcut) {
        return Err(refused(odd.at, "FANN connects either every layer to the one before or every layer to all before"));
    }
    let sizes: Vec<u32> =
        [model.network.input_len()].into_iter().chain(dense.iter().map(|d| d.acts.len())).map(|n| n as u32).collect();
    let mut file = if shortcut { FannFile::shortcut(&sizes)? } else { FannFile::layered(&sizes)? };
    fill(&mut file, model, &dense);
    if let Some(extras) = model.other.get(KEY) {
        let what = "FANN's training parameters in the model";
        let extras: Extras = serde_json::from_str(extras).map_err(|source| NnError::Json { what, source })?;
        (file.training, file.cascade) = (extras.training, extras.cascade);
        let fits = |s: &mayfly_format::fann_net::FannScaling| {
            s.input.mean.len() == model.network.input_len() && s.output.mean.len() == model.network.output_len()
        };
        file.scaling = extras.scaling.filter(fits);
    }
    file.check()?;
    Ok(file)
}

/// A layer as FANN has it.
struct FannLayer {
    /// Its place in the network.
    at: usize,
    reads: Reads,
    bias: bool,
    /// Function and steepness of each neuron.
    acts: Vec<(FannActivation, f32)>,
}

fn refused(at: usize, what: impl Into<String>) -> NnError {
    NnError::LayerSpec { layer: format!("layers.{at}"), what: format!("cannot be a FANN network: {}", what.into()) }
}

fn layers(model: &Model) -> Result<Vec<FannLayer>> {
    let spec = model.network.spec();
    if spec.input.len() != 1 {
        let what = format!("it takes rows of numbers, this network rows of shape {:?}", spec.input);
        return Err(refused(0, what));
    }
    let mut found: Vec<FannLayer> = Vec::new();
    for (at, layer) in spec.layers.iter().enumerate() {
        match layer {
            LayerSpec::Dense(dense) => found.push(dense_layer(at, dense)?),
            LayerSpec::ColumnActivations(columns) => columns_of(&mut found, at, &columns.0)?,
            LayerSpec::Activation(activation) => {
                let units = found.last().map_or(0, |l| l.acts.len());
                columns_of(&mut found, at, &vec![*activation; units])?;
            }
            LayerSpec::Dropout(_) => {} // only there in training
            _ => return Err(refused(at, "it has dense layers only")),
        }
    }
    if found.is_empty() {
        return Err(refused(0, "it needs at least one dense layer"));
    }
    Ok(found)
}

fn dense_layer(at: usize, dense: &Dense) -> Result<FannLayer> {
    let act = fann_act(at, dense.activation)?;
    Ok(FannLayer { at, reads: dense.reads, bias: dense.bias, acts: vec![act; dense.units] })
}

/// Functions that follow a dense layer without any become the layer's own.
fn columns_of(found: &mut [FannLayer], at: usize, acts: &[Activation]) -> Result<()> {
    let linear = (FannActivation::Linear, 1.0);
    let Some(layer) = found.last_mut().filter(|l| l.acts.len() == acts.len() && l.acts.iter().all(|a| *a == linear))
    else {
        return Err(refused(at, "a neuron has one activation function"));
    };
    for (slot, act) in layer.acts.iter_mut().zip(acts) {
        *slot = fann_act(at, *act)?;
    }
    Ok(())
}

/// FANN's function and steepness for an activation: its own, and those that are the same under other names.
fn fann_act(at: usize, activation: Activation) -> Result<(FannActivation, f32)> {
    let unknown = || {
        refused(
            at,
            format!(
                "it has no activation {activation}; it has its own functions, such as sigmoid_symmetric, and tanh and sigmoid"
            ),
        )
    };
    let Activation::Act(act) = activation else { return Err(unknown()) };
    match act {
        Act::Identity => Ok((FannActivation::Linear, 1.0)),
        Act::Tanh => Ok((FannActivation::SigmoidSymmetric, 1.0)),
        Act::Sigmoid => Ok((FannActivation::Sigmoid, 0.5)),
        Act::Sin => Ok((FannActivation::SinSymmetric, 1.0)),
        Act::Cos => Ok((FannActivation::CosSymmetric, 1.0)),
        Act::Fann(function, steepness) => {
            let code = FannAct::ALL.iter().position(|f| *f == function).and_then(|c| u32::try_from(c).ok());
            code.and_then(FannActivation::from_code).map(|f| (f, steepness)).ok_or_else(unknown)
        }
        _ => Err(unknown()),
    }
}

/// Neurons, weights and, for sparse networks, the connections that exist.
fn fill(file: &mut FannFile, model: &Model, dense: &[FannLayer]) {
    let network = &model.network;
    let exists = |i: usize| network.mask().is_none_or(|m| m.values()[i] != 0.0);
    let shortcut = file.topology == FannTopology::Shortcut;
    let ranges: Vec<_> = file.layers().collect();
    let inputs = network.input_len();
    let mut old = std::mem::take(&mut file.connections).into_iter();
    let (mut kept, mut possible) = (Vec::with_capacity(old.len()), 0usize);
    // Place in the flat parameters; columns that a neuron of this layer reads.
    let (mut at, mut read) = (0, inputs);
    for (layer, range) in dense.iter().zip(&ranges[1..]) {
        let units = layer.acts.len();
        for (row, (function, steepness)) in layer.acts.iter().enumerate() {
            let neuron = &mut file.neurons[range.start + row];
            (neuron.activation, neuron.steepness) = (*function, f64::from(*steepness));
            let (mut column, count) = (0, neuron.inputs as usize);
            let before = kept.len();
            for (n, connection) in old.by_ref().take(count).enumerate() {
                // The bias is the last of the layer before; in a shortcut network, of the inputs.
                let is_bias = n == if shortcut { inputs } else { count - 1 };
                let place = if is_bias {
                    layer.bias.then_some(at + units * read + row)
                } else {
                    Some(at + row * read + column)
                };
                column += usize::from(!is_bias);
                possible += 1;
                let weight = place.map_or(0.0, |i| f64::from(network.params()[i]));
                if place.is_none_or(exists) {
                    kept.push(FannConnection { weight, ..connection });
                }
            }
            file.neurons[range.start + row].inputs = (kept.len() - before) as u32;
        }
        at += units * read + if layer.bias { units } else { 0 };
        read = if shortcut { read + units } else { units };
    }
    if kept.len() < possible {
        // Below 1 the sources in the file count; the value itself says nothing else.
        file.connection_rate = (kept.len() as f32 / possible as f32).min(0.999_999);
    }
    file.connections = kept;
}
