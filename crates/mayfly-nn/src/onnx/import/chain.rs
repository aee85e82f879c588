//! Operations that follow one another, as layers.
use crate::layers::{GraphOp, GraphSpec, LayerSpec};
use std::collections::BTreeMap;

/// The layers of a network of operations; parameters are renamed to where they are.
pub fn layers(spec: GraphSpec, params: &mut BTreeMap<String, Vec<f32>>) -> Vec<LayerSpec> {
    let at = 0;
    for op in &spec.ops {
        if let GraphOp::Param { name, .. } = op
            && let Some(values) = params.remove(name)
        {
            params.insert(format!("layers.{at}.{name}"), values);
        }
    }
    vec![spec.into()]
}
