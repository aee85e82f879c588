//! Scaling of data worked into the weights, so that a network takes and gives raw numbers.
use super::{Extras, KEY};
use crate::error::{NnError, Result};
use crate::model::Model;
use crate::scale::Scale;
use mayfly_format::fann_net::{FannActivation, FannFile, FannScaling};

/// FANN's scaling parameters of a model that came from its file, if it had some.
///
/// Outputs of [`from_file`](super::from_file)'s networks are those of `fann_run`, for which raw inputs must be scaled first and outputs descaled;
/// [`Predictor`](crate::tabular::Predictor) does both.
///
/// # Errors
/// Metadata that is not FANN's, or scaling that does not fit the network.
pub fn scaling(model: &Model) -> Result<Option<FannScaling>> {
    let Some(extras) = model.other.get(KEY) else { return Ok(None) };
    let what = "FANN's training parameters in the model";
    let extras: Extras = serde_json::from_str(extras).map_err(|source| NnError::Json { what, source })?;
    let sides = |s: &FannScaling| [s.input.columns().count(), s.output.columns().count()];
    let want = [model.network.input_len(), model.network.output_len()];
    match extras.scaling {
        Some(scaling) if sides(&scaling) != want => Err(NnError::BadModel {
            file: "the model".to_owned(),
            what: format!("FANN's scaling is for {:?} inputs and outputs, the network has {want:?}", sides(&scaling)),
        }),
        scaling => Ok(scaling),
    }
}

/// FANN cuts off what a neuron sums up: at this over the steepness.
const LIMIT: f64 = 150.0;

/// Works the scaling of the inputs into every connection that starts at one: with `(x − shift) / scale` going in before, `x` may go in after. The constant part
/// goes to the neuron's bias.
///
/// # Errors
/// A scale that does not fit the inputs, and a neuron without a bias.
pub fn fold_inputs(file: &mut FannFile, scale: &Scale) -> Result<()> {
    let inputs = file.input_count();
    if !scale.fits(inputs) {
        return Err(NnError::option("scale of the inputs", scale.scale.len(), "one finite factor, not 0, for each"));
    }
    let is_bias = biases(file);
    let mut rest = file.connections.as_mut_slice();
    for neuron in &file.neurons {
        let (own, after) = rest.split_at_mut(rest.len().min(neuron.inputs as usize));
        rest = after;
        let mut constant = 0.0;
        for connection in own.iter_mut() {
            let source = connection.source as usize;
            if let Some((factor, shift)) = (source < inputs).then(|| scale.column(source)).flatten() {
                connection.weight /= f64::from(factor);
                constant += connection.weight * f64::from(shift);
            }
        }
        if constant != 0.0 {
            let bias = own.iter_mut().find(|c| is_bias(c.source)).ok_or_else(no_bias)?;
            bias.weight -= constant;
        }
    }
    Ok(())
}

/// Works the scaling of the targets into the last layer, so that its outputs are in their units. False, and nothing is changed, unless all outputs are linear:
/// a bounded function has no such weights.
///
/// # Errors
/// A scale that does not fit the outputs, and an output without a bias.
pub fn fold_outputs(file: &mut FannFile, scale: &Scale) -> Result<bool> {
    let Some(last) = file.layers().last() else { return Ok(false) };
    let is_output = |n: usize| last.contains(&n) && file.neurons[n].inputs > 0;
    let outputs: Vec<usize> = (0..file.neurons.len()).filter(|n| is_output(*n)).collect();
    if !scale.fits(outputs.len()) {
        return Err(NnError::option("scale of the outputs", scale.scale.len(), "one finite factor, not 0, for each"));
    }
    if outputs.iter().any(|n| file.neurons[*n].activation != FannActivation::Linear) {
        return Ok(false);
    }
    let is_bias = biases(file);
    let mut rest = file.connections.as_mut_slice();
    for (n, neuron) in file.neurons.iter_mut().enumerate() {
        let (own, after) = rest.split_at_mut(rest.len().min(neuron.inputs as usize));
        rest = after;
        let Some((factor, shift)) = outputs.binary_search(&n).ok().and_then(|at| scale.column(at)) else { continue };
        let (factor, shift) = (f64::from(factor), f64::from(shift));
        // Steepness s gives s · sum, cut off at ±LIMIT / s: as far out, in the target's units, as before.
        let before = neuron.steepness;
        let reach = shift.abs() + factor.abs() * LIMIT / before;
        neuron.steepness = (LIMIT / reach).min(1.0);
        own.iter_mut().for_each(|c| c.weight *= factor * before / neuron.steepness);
        let bias = own.iter_mut().find(|c| is_bias(c.source)).ok_or_else(no_bias)?;
        bias.weight += shift / neuron.steepness;
    }
    Ok(true)
}

/// Tells the neurons whose value is always 1: those behind the inputs that nothing leads to.
fn biases(file: &FannFile) -> impl Fn(u32) -> bool + use<> {
    let inputs = file.input_count();
    let all: Vec<bool> = file.neurons.iter().enumerate().map(|(n, neuron)| n >= inputs && neuron.inputs == 0).collect();
    move |source| all.get(source as usize).copied().unwrap_or(false)
}

fn no_bias() -> NnError {
    NnError::option("scale", "a neuron without a bias", "scaling needs one in every neuron that it reaches")
}
