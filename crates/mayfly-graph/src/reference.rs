//! The interpreter: what a forward graph means, naively and in f64. Tests hold plans against it; constant folding uses it.
use crate::ops::{Op, Tensor};
use crate::{Graph, GraphError};
use alloc::string::ToString;
use alloc::vec::Vec;

/// Evaluates every output of a forward graph for a batch of `batch` rows. `params` is the flat array; `inputs` are in order of declaration.
///
/// # Errors
/// Slices of the wrong length, or a graph with backward operations.
pub fn interpret(graph: &Graph, params: &[f64], inputs: &[&[f64]], batch: usize) -> Result<Vec<Vec<f64>>, GraphError> {
    check("the parameter array", graph.param_len(), params.len())?;
    check("the list of inputs", graph.inputs().len(), inputs.len())?;
    let mut values: Vec<Tensor> = Vec::with_capacity(graph.nodes().len());
    let mut next_input = inputs.iter();
    for node in graph.nodes() {
        let dims = node.shape.at(batch);
        let data = match &node.op {
            Op::Input(_) => next_input.next().map(|x| x.to_vec()).unwrap_or_default(),
            Op::Param(id, _) => params[graph.params()[id.0].range()].to_vec(),
            Op::Constant(v, _) => v.iter().map(|x| f64::from(*x)).collect(),
            op => {
                let ins: Vec<&Tensor> = node.inputs.iter().map(|i| &values[i.0]).collect();
                op.rule().reference(&ins, dims)?
            }
        };
        check(node.op.name(), dims.len(), data.len())?;
        values.push(Tensor { dims, data });
    }
    Ok(graph.outputs().iter().map(|(_, id)| values[id.0].data.clone()).collect())
}

fn check(what: &str, want: usize, got: usize) -> Result<(), GraphError> {
    if want == got { Ok(()) } else { Err(GraphError::Length { what: what.to_string(), want, got }) }
}
