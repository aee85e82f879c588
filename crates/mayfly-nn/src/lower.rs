//! The loss behind a network's outputs.
use crate::activation::Activation;
use crate::error::{NnError, Result};
use crate::layers::Build;
use crate::loss::{FannError, Loss};
use mayfly_graph::{Act, Graph, NodeId, ReduceKind, Shape};
use mayfly_kernels::{self as k, FannSpan};

/// Adds targets, row weights and the loss; returns the scalar. The graph's outputs are `prediction`, what the loss compares with the targets, and `loss`.
pub(crate) fn attach_loss(build: &mut Build, y: NodeId, loss: &Loss) -> Result<NodeId> {
    loss.check()?;
    let prediction = compared(build, y, loss)?;
    let further = further_inputs(build, loss)?;
    let g = &mut build.graph;
    let shape = g.shape(prediction)?;
    let t = g.input("t", shape)?;
    let w = g.input("w", Shape::batched(&[])?)?;
    let rows = match loss {
        Loss::CrossEntropy { smoothing } if shape.rank() > 2 => sequence_cross_entropy(g, prediction, t, *smoothing)?,
        Loss::Custom(custom) => g.custom(custom.op()?, &[&[prediction, t], &further[..]].concat())?,
        other => g.loss_rows(kernel_loss(other, output_span(build.last_act, y))?, prediction, t)?,
    };
    let g = &mut build.graph;
    let loss = g.weighted_sum(rows, w)?;
    g.output("prediction", prediction)?;
    g.output("loss", loss)?;
    Ok(loss)
}

/// What a loss of the user's own reads besides prediction and target.
fn further_inputs(build: &Build, loss: &Loss) -> Result<Vec<NodeId>> {
    let Loss::Custom(custom) = loss else { return Ok(Vec::new()) };
    custom.inputs().iter().map(|name| build.extra(name)).collect()
}

/// What the loss compares with the targets: the sums before a softmax or sigmoid where the loss has that inside, else the outputs.
fn compared(build: &Build, y: NodeId, loss: &Loss) -> Result<NodeId> {
    let ends_in = build.last_act.filter(|(_, _, out)| *out == y);
    let inside = match loss {
        Loss::CrossEntropy { .. } => Activation::Softmax,
        Loss::BinaryCrossEntropy => Activation::Act(Act::Sigmoid),
        _ => return Ok(y),
    };
    match ends_in {
        Some((act, sums, _)) if act == inside => Ok(sums),
        None | Some((Activation::IDENTITY, ..)) => Ok(y),
        Some((act, ..)) => {
            let want = format!("a network that ends in {inside} or in plain sums (identity) is needed");
            Err(NnError::option(
                "loss",
                format!(
                    "{} behind {act}",
                    if inside == Activation::Softmax { "cross_entropy" } else { "binary_cross_entropy" }
                ),
                want,
            ))
        }
    }
}

/// The activation that the outputs go through and what the loss compares does not.
pub(crate) fn inside(build: &Build, y: NodeId, loss: &Loss) -> Result<Option<Activation>> {
    let before = compared(build, y, loss)?;
    Ok(build.last_act.map(|(act, ..)| act).filter(|_| before != y))
}

/// The loss as the kernels know it. FANN's depends on the span of the output function.
pub(crate) fn kernel_loss(loss: &Loss, span: FannSpan) -> Result<k::Loss> {
    Ok(match loss {
        Loss::Mse => k::Loss::Mse,
        Loss::Mae => k::Loss::Mae,
        Loss::Huber { delta } => k::Loss::Huber { delta: *delta },
        Loss::CrossEntropy { smoothing } => k::Loss::SoftmaxCrossEntropy { smoothing: *smoothing },
        Loss::BinaryCrossEntropy => k::Loss::BceWithLogits,
        Loss::Hinge => k::Loss::Hinge,
        Loss::Quantile { taus } => k::Loss::Quantile { taus: taus.clone() },
        Loss::Fann { error } => {
            let error = match error {
                FannError::Linear => k::FannError::Linear,
                FannError::Tanh => k::FannError::Tanh,
            };
            k::Loss::Fann { error, span }
        }
        Loss::Custom(custom) => {
            return Err(NnError::Unregistered { kind: "loss", name: custom.op()?.name().to_owned() });
        }
    })
}

/// How wide FANN takes the range of the output function to be.
pub(crate) fn output_span(last_act: Option<(Activation, NodeId, NodeId)>, y: NodeId) -> FannSpan {
    match last_act {
        Some((Activation::Act(Act::Fann(function, _)), _, out)) if out == y => function.span(),
        Some((Activation::Act(Act::Tanh), _, out)) if out == y => FannSpan::Symmetric,
        _ => FannSpan::Unit,
    }
}

/// Cross-entropy at each position of `[time, classes]`, the mean over positions: `−Σ t·log softmax(p) / time`.
fn sequence_cross_entropy(g: &mut Graph, prediction: NodeId, t: NodeId, smoothing: f32) -> Result<NodeId> {
    let shape = g.shape(prediction)?;
    let positions = shape.row_len() / shape.last();
    let t = g.act(t, Act::Affine { mul: 1.0 - smoothing, add: smoothing / shape.last() as f32 })?;
    let log = g.log_softmax(prediction)?;
    let product = g.mul(log, t)?;
    let flat = g.reshape(product, Shape::batched(&[shape.row_len()])?)?;
    let sum = g.reduce(flat, ReduceKind::Sum, 1)?;
    Ok(g.act(sum, Act::Affine { mul: -1.0 / positions as f32, add: 0.0 })?)
}
