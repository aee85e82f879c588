//! A family as a layer of a network.
use super::cx::{ForecastCx, Known};
use super::settings::Build;
use crate::windows::{BACK, FUTR, HIST, INPUT_MASK, KNOWN, RowShape, STAT};
use mayfly_graph::NodeId;
use mayfly_nn::{Custom, CustomLayer, LayerCx, NetworkSpec, Result};
use std::sync::Arc;

/// Where a network's one layer stands, before the names of its parameters.
pub(crate) const PLACE: &str = "layers.0.";

#[derive(Debug)]
struct FamilyLayer {
    name: &'static str,
    build: Arc<dyn Build>,
    shape: RowShape,
}

impl CustomLayer for FamilyLayer {
    fn name(&self) -> &str {
        self.name
    }

    fn build(&self, cx: &mut LayerCx<'_>, x: NodeId) -> Result<NodeId> {
        let RowShape { input_size, h, outputs, reads_mask, counts, .. } = self.shape;
        let mask = reads_mask.then(|| cx.input(INPUT_MASK)).transpose()?;
        let columns = |name: &str, count: usize| -> Result<Option<Known>> {
            (count > 0).then(|| Ok(Known { node: cx.input(name)?, count })).transpose()
        };
        let (hist, futr, stat) =
            (columns(HIST, counts.hist)?, columns(FUTR, counts.futr)?, columns(STAT, counts.stat)?);
        self.build.build(&mut ForecastCx { cx, x, mask, hist, futr, stat, input_size, h, outputs })
    }
}

/// What a network is for: training needs inputs that only the loss reads.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Use {
    Training,
    Forecasts,
}

/// The network of a family. Its parameters are the same for both uses.
pub(crate) fn spec(name: &'static str, build: Arc<dyn Build>, shape: RowShape, for_use: Use) -> NetworkSpec {
    let mut spec = NetworkSpec::new(&[shape.input_size]);
    if for_use == Use::Training {
        spec = spec.with_input(KNOWN, &[shape.h]).with_input(BACK, &[2]);
    }
    if shape.reads_mask {
        spec = spec.with_input(INPUT_MASK, &[shape.input_size]);
    }
    let RowShape { input_size, h, counts, .. } = shape;
    for (name, dims, count) in [
        (HIST, vec![input_size, counts.hist], counts.hist),
        (FUTR, vec![input_size + h, counts.futr], counts.futr),
        (STAT, vec![counts.stat], counts.stat),
    ] {
        if count > 0 {
            spec = spec.with_input(name, &dims);
        }
    }
    spec.with(Custom::new(FamilyLayer { name, build, shape }))
}
