//! Why a loss is not finite: the first thing on its way that is not.
use crate::error::{Divergence, Result};
use crate::network::Network;
use crate::spec::Mode;
use mayfly_graph::{ParamInfo, Plan, PlanOptions, Session};

/// Rows that are run at a time in the search.
const ROWS: usize = 64;

/// Looks for the cause in the rows of the step: data, parameters, outputs layer by layer, gradient, loss.
pub(super) fn find(network: &Network, parts: &[&[f32]], grads: &[f32], loss: f32) -> Divergence {
    let (x, t) = (parts.first().copied().unwrap_or_default(), parts.last().copied().unwrap_or_default());
    if let Some((at, value)) = first_bad(x) {
        let n = network.input_len().max(1);
        return Divergence::Input { row: at / n, column: at % n, value };
    }
    if let Some((at, value)) = first_bad(t) {
        let n = network.output_len().max(1);
        return Divergence::Target { row: at / n, column: at % n, value };
    }
    if let Some((name, index, value)) = first_bad_param(network.layout(), network.params()) {
        return Divergence::Parameter { name, index, value };
    }
    if let Ok(Some(found)) = first_bad_layer(network, parts) {
        return found;
    }
    match first_bad_param(network.layout(), grads) {
        Some((name, index, value)) => Divergence::Gradient { name, index, value },
        None => Divergence::Loss { value: loss },
    }
}

fn first_bad(values: &[f32]) -> Option<(usize, f32)> {
    values.iter().copied().enumerate().find(|(_, v)| !v.is_finite())
}

/// The name of the first parameter with such a value, its position and the value.
pub(super) fn first_bad_param(layout: &[ParamInfo], values: &[f32]) -> Option<(String, usize, f32)> {
    layout.iter().find_map(|info| {
        let (at, value) = first_bad(values.get(info.range())?)?;
        Some((info.name.clone(), at, value))
    })
}

/// Runs the network with every layer's output in view.
fn first_bad_layer(network: &Network, parts: &[&[f32]]) -> Result<Option<Divergence>> {
    let mut lowered = network.spec().lower(Mode::Inference)?;
    for (layer, output) in &lowered.taps {
        lowered.graph.output(layer, *output)?;
    }
    let lens: Vec<usize> =
        [network.input_len()].into_iter().chain(network.extra_inputs().iter().map(|(_, len)| *len)).collect();
    let rows = parts.first().map_or(0, |x| x.len() / network.input_len().max(1));
    let mut session: Option<Session> = None;
    for start in (0..rows).step_by(ROWS) {
        let batch = (rows - start).min(ROWS); // the last rows may be fewer
        if session.as_ref().is_none_or(|s| s.plan().batch() != batch) {
            session = Some(Session::new(Plan::new(&lowered.graph, &PlanOptions::batch(batch))?, network.params())?);
        }
        let Some(session) = &mut session else { continue };
        for (i, (values, len)) in parts.iter().zip(&lens).enumerate() {
            session.input_mut(i).copy_from_slice(&values[start * len..(start + batch) * len]);
        }
        session.run();
        for (i, (layer, _)) in lowered.taps.iter().enumerate() {
            // Output 0 is the network's own.
            if let Some((_, value)) = first_bad(session.output(i + 1)) {
                return Ok(Some(Divergence::Activation { layer: layer.clone(), value }));
            }
        }
    }
    Ok(None)
}
