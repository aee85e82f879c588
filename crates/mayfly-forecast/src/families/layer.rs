//! A family as a layer of a network.
use super::Family;
use super::cx::{ForecastCx, Known, Parts, States};
use super::settings::Build;
use crate::windows::{BACK, BACK_LEN, FUTR, HIST, INPUT_MASK, KNOWN, PROMPT, RowShape, SHARES, STAT};
use mayfly_graph::NodeId;
use mayfly_nn::{Custom, CustomLayer, LayerCx, NetworkSpec, Result};
use std::sync::Arc;

/// Where a network's one layer stands, before the names of its parameters.
pub(crate) const PLACE: &str = "layers.0.";

#[derive(Debug)]
struct FamilyLayer {
    family: &'static Family,
    build: Arc<dyn Build>,
    shape: RowShape,
    for_use: Use,
}

impl CustomLayer for FamilyLayer {
    fn name(&self) -> &str {
        self.family.name
    }

    fn build(&self, cx: &mut LayerCx<'_>, x: NodeId) -> Result<NodeId> {
        let RowShape { series, input_size, h, outputs, reads_mask, counts, .. } = self.shape;
        let mask = reads_mask.then(|| cx.input(INPUT_MASK)).transpose()?;
        // Families of several series have them as the first dimension of everything, also where it is one.
        let multivariate = self.family.takes.multivariate;
        let placed = |cx: &mut LayerCx<'_>, node: NodeId, of_one: &[usize]| match multivariate {
            true => cx.reshape(node, &[&[series], of_one].concat()),
            false => Ok(node),
        };
        let columns = |cx: &mut LayerCx<'_>, name: &str, times: &[usize], count: usize| -> Result<Option<Known>> {
            let dims = [times, &[count]].concat();
            let node = (count > 0).then(|| cx.input(name).and_then(|node| placed(cx, node, &dims))).transpose()?;
            Ok(node.map(|node| Known { node, count }))
        };
        let x = placed(cx, x, &[input_size])?;
        let mask = mask.map(|mask| placed(cx, mask, &[input_size])).transpose()?;
        let hist = columns(cx, HIST, &[input_size], counts.hist)?;
        let futr = columns(cx, FUTR, &[input_size + h], counts.futr)?;
        let stat = columns(cx, STAT, &[], counts.stat)?;
        let prompt = (self.shape.prompt > 0).then(|| cx.input(PROMPT)).transpose()?;
        let from = match self.for_use {
            Use::Continuing => Some(cx.input(STATES)?),
            _ => None,
        };
        let are_kept = matches!(self.for_use, Use::Beginning | Use::Continuing);
        let states = States { from, are_kept, ..States::default() };
        let parts = Parts { are_wanted: self.for_use == Use::Parts, ..Parts::default() };
        let choices = (self.for_use == Use::Choices).then(Vec::new);
        let mut cx = ForecastCx {
            cx,
            x,
            mask,
            hist,
            futr,
            stat,
            prompt,
            series,
            input_size,
            h,
            outputs,
            states,
            parts,
            choices,
        };
        let y = self.build.build(&mut cx)?;
        if let Some(choices) = cx.choices.take() {
            return cx.joined(&choices, 1);
        }
        match cx.states.are_kept {
            false if cx.parts.are_wanted => {
                let parts = std::mem::take(&mut cx.parts.sums);
                cx.joined(&parts, 1)
            }
            false => Ok(y),
            true => {
                let parts = [&[y], &cx.states.kept[..]].concat();
                cx.joined(&parts, 1)
            }
        }
    }
}

/// What a network is for: training needs inputs that only the loss reads.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Use {
    Training,
    Forecasts,
    /// What forecasts are the sum of, part by part: `[batch, parts · h · outputs]`.
    Parts,
    /// The weights by which it chooses among its inputs, one [`Choice`](super::Choice) behind another: `[batch, values]`.
    Choices,
    /// The first step of a recurrent forecast, with the states of all layers behind its outputs.
    Beginning,
    /// Each further step, from these states.
    Continuing,
}

/// The input with the states that a recurrent forecast goes on from.
pub(crate) const STATES: &str = "states";

/// The network of a family. Its parameters are the same for both uses.
pub(crate) fn spec(family: &'static Family, build: Arc<dyn Build>, shape: RowShape, for_use: Use) -> NetworkSpec {
    let RowShape { series, input_size, h, counts, .. } = shape;
    // Several series are the first dimension of everything.
    let dims = |of_one: &[usize]| match series {
        1 => of_one.to_vec(),
        n => [&[n], of_one].concat(),
    };
    let mut spec = NetworkSpec::new(&dims(&[input_size]));
    if for_use == Use::Training {
        spec = spec.with_input(KNOWN, &dims(&[h])).with_input(BACK, &dims(&[BACK_LEN]));
    }
    if shape.reads_mask {
        spec = spec.with_input(INPUT_MASK, &dims(&[input_size]));
    }
    for (name, of_one, count) in [
        (HIST, vec![input_size, counts.hist], counts.hist),
        (FUTR, vec![input_size + h, counts.futr], counts.futr),
        (STAT, vec![counts.stat], counts.stat),
    ] {
        if count > 0 {
            spec = spec.with_input(name, &dims(&of_one));
        }
    }
    if shape.prompt > 0 {
        spec = spec.with_input(PROMPT, &[shape.prompt]);
    }
    if for_use == Use::Training && shape.asks.shares {
        spec = spec.with_input(SHARES, &dims(&[h]));
    }
    if for_use == Use::Continuing {
        spec = spec.with_input(STATES, &[build.states(shape.outputs)]);
    }
    spec.with(Custom::new(FamilyLayer { family, build, shape, for_use }))
}
