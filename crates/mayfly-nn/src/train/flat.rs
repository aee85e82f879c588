//! One row of plain gradient descent through dense layers: a flat list of kernel calls with nothing looked up on the way, in which backward pass and
//! update touch each weight once. A network that learns as rows come in spends more time on finding out what to do than on doing it; here that is
//! settled once. The bits are those of the general way.
use super::config::TrainConfig;
use super::engine::Measuring;
use super::groups::is_plain;
use crate::activation::Activation;
use crate::algorithm::{Algorithm, Sgd};
use crate::layers::{LayerSpec, Reads};
use crate::lower::kernel_loss;
use crate::network::Network;
use crate::optimiser::Stretch;
use crate::spec::Lowered;
use mayfly_kernels::{self as k, Act, Buffer, Epilogue, FannMeasure, Isa, Saves};
use std::ops::Range;

/// The settled list, with the memory of one row.
pub(super) struct Flat {
    isa: Isa,
    layers: Vec<FlatLayer>,
    descent: Sgd,
    loss: k::Loss,
    measuring: Option<Measuring>,
    /// The outputs of all layers, one after another.
    outputs: Buffer<f32>,
    /// The sums that they are functions of, where a derivative is taken from these.
    sums: Buffer<f32>,
    /// The row of the last step.
    x: Buffer<f32>,
    /// The loss's derivatives by the outputs, then by the sums.
    d_outputs: Buffer<f32>,
    d_sums: Buffer<f32>,
    /// Whether a row has gone forward whose step is still to come.
    pub(super) is_due: bool,
}

struct FlatLayer {
    weight: Range<usize>,
    bias: Option<Range<usize>>,
    act: Act,
    /// Where its values lie among those of all layers.
    at: Range<usize>,
}

/// A row, and what it counts.
#[derive(Clone, Copy)]
pub(super) struct Row<'a> {
    pub x: &'a [f32],
    pub t: &'a [f32],
    pub w: f32,
}

impl Flat {
    /// The list for a network of dense layers under plain gradient descent; none where anything else is asked for.
    pub(super) fn new(
        network: &Network,
        config: &TrainConfig,
        lowered: &Lowered,
        stretches: &[Stretch],
        measuring: Option<Measuring>,
    ) -> Option<Flat> {
        let is_asked_for_more = config.clip_norm.is_some()
            || config.class_weights.is_some()
            || network.mask().is_some()
            || !network.extra_inputs().is_empty()
            || network.spec().input.len() != 1
            || !is_plain(stretches, network.params().len());
        let descent = plain_descent(&config.algorithm).filter(|_| !is_asked_for_more)?;
        let layers = layers(network, lowered.inside)?;
        let values = layers.last()?.at.end;
        let room = || Buffer::zeroed(values);
        Some(Flat {
            isa: Isa::detect(),
            descent: descent.clone(),
            loss: kernel_loss(&config.loss, lowered.span).ok()?,
            measuring,
            outputs: room(),
            sums: room(),
            x: Buffer::zeroed(network.input_len()),
            d_outputs: room(),
            d_sums: room(),
            is_due: false,
            layers,
        })
    }

    /// The row's loss, times what it counts, and FANN's figures of it.
    pub(super) fn forward(&mut self, params: &[f32], row: Row<'_>) -> (f32, FannMeasure) {
        let isa = self.isa;
        let mut x = row.x;
        let (mut rest, mut sums) = (&mut self.outputs[..], &mut self.sums[..]);
        for layer in &self.layers {
            let (y, other) = std::mem::take(&mut rest).split_at_mut(layer.at.len());
            let (z, other_sums) = std::mem::take(&mut sums).split_at_mut(layer.at.len());
            layer.forward(isa, params, y, z, x);
            (x, rest, sums) = (y, other, other_sums);
        }
        let mut loss = [0.0];
        k::loss_fwd(isa, &self.loss, &mut loss, x, row.t, 1, x.len());
        (loss[0] * row.w, self.measuring.map(|m| m.of(x, row.t)).unwrap_or_default())
    }

    /// The step of the row that went forward last, at the learning rate times `rate`.
    pub(super) fn descend(&mut self, params: &mut [f32], row: Row<'_>, rate: f32) {
        self.is_due = false;
        self.x.copy_from_slice(row.x);
        let (isa, step) = (self.isa, self.descent.kernel(rate));
        let Some(last) = self.layers.last() else { return };
        let y = &self.outputs[last.at.clone()];
        k::loss_bwd(isa, &self.loss, &mut self.d_outputs[last.at.clone()], &[row.w], y, row.t, 1, y.len());
        for (number, layer) in self.layers.iter().enumerate().rev() {
            let (before, here) = self.d_outputs.split_at_mut(layer.at.start);
            let (dy, dz) = (&here[..layer.at.len()], &mut self.d_sums[layer.at.clone()]);
            let saved = if layer.act.saves() == Saves::Input { &self.sums } else { &self.outputs };
            match layer.act {
                Act::Identity => dz.copy_from_slice(dy),
                act => k::act_bwd(isa, act, dz, dy, &saved[layer.at.clone()]),
            }
            let below = number.checked_sub(1).map(|below| self.layers[below].at.clone());
            let x = below.clone().map_or(row.x, |below| &self.outputs[below]);
            layer.descend(isa, params, below.map(|below| &mut before[below]), x, dz, &step);
        }
    }
}

impl Flat {
    /// The gradient of the last step, which the step itself never wrote down.
    pub(super) fn write_gradient(&self, grads: &mut [f32]) {
        let mut x = &self.x[..];
        for layer in &self.layers {
            let dz = &self.d_sums[layer.at.clone()];
            if let Some(bias) = &layer.bias {
                grads[bias.clone()].copy_from_slice(dz);
            }
            k::linear_bwd_w(self.isa, &mut grads[layer.weight.clone()], dz, x, &mut [], 1, x.len(), dz.len());
            x = &self.outputs[layer.at.clone()];
        }
    }
}

impl FlatLayer {
    fn forward(&self, isa: Isa, params: &[f32], y: &mut [f32], z: &mut [f32], x: &[f32]) {
        let (w, b) = (&params[self.weight.clone()], self.bias.clone().map(|b| &params[b]));
        let (i, o) = (x.len(), y.len());
        if self.act.saves() == Saves::Input {
            k::linear_fwd(isa, z, x, w, b, Epilogue::default(), &mut [], 1, i, o);
            k::act_fwd(isa, self.act, y, z);
        } else {
            let end = Epilogue { act: self.act, residual: None };
            k::linear_fwd(isa, y, x, w, b, end, &mut [], 1, i, o);
        }
    }

    fn descend(&self, isa: Isa, params: &mut [f32], dx: Option<&mut [f32]>, x: &[f32], dz: &[f32], step: &k::Sgd) {
        if let Some(bias) = &self.bias {
            k::sgd(isa, &mut params[bias.clone()], dz, None, step);
        }
        k::linear_sgd_row(isa, &mut params[self.weight.clone()], dx, x, dz, step.lr);
    }
}

/// The settings, where they are of plain gradient descent.
fn plain_descent(algorithm: &Algorithm) -> Option<&Sgd> {
    match algorithm {
        Algorithm::Sgd(sgd) if sgd.momentum == 0.0 && sgd.weight_decay == 0.0 && !sgd.nesterov => Some(sgd),
        _ => None,
    }
}

/// The dense layers of a network that has nothing else. What the loss has `inside` is left off the last.
fn layers(network: &Network, inside: Option<Activation>) -> Option<Vec<FlatLayer>> {
    let (specs, mut params, mut at) = (&network.spec().layers, network.layout().iter(), 0);
    let mut layers = Vec::with_capacity(specs.len());
    for (number, spec) in specs.iter().enumerate() {
        let LayerSpec::Dense(dense) = spec else { return None };
        if dense.reads != Reads::Previous {
            return None;
        }
        let is_last = number + 1 == specs.len();
        let act = match dense.activation {
            _ if is_last && inside.is_some() => Act::Identity,
            Activation::Act(act) => act,
            _ => return None,
        };
        let weight = params.next()?.range();
        let bias = if dense.bias { Some(params.next()?.range()) } else { None };
        layers.push(FlatLayer { weight, bias, act, at: at..at + dense.units });
        at += dense.units;
    }
    params.next().is_none().then_some(layers)
}
