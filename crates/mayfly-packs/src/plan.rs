//! What calls of the same shapes share: sizes, places in a guest's memory and the descriptor, worked out once.

use crate::abi::{Layout, Needs};
use crate::error::Result;
use crate::tensor::{DType, Tensor, TensorView};
use std::sync::Arc;

/// An input as a call gives it, without its content.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Given<'a> {
    pub(crate) dtype: DType,
    pub(crate) shape: &'a [usize],
    pub(crate) bytes: u64,
}

impl<'a> From<&TensorView<'a>> for Given<'a> {
    fn from(view: &TensorView<'a>) -> Self {
        Self { dtype: view.dtype, shape: view.shape, bytes: view.data.len() as u64 }
    }
}

impl std::fmt::Display for Given<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {:?} in {} bytes", self.dtype.name(), self.shape, self.bytes)
    }
}

/// The tensors of a call with all sizes known.
#[derive(Debug)]
pub(crate) struct Resolved {
    /// Of the inputs, then of the outputs.
    pub(crate) dims: Vec<Vec<u64>>,
    /// As `dims`.
    pub(crate) dtypes: Vec<DType>,
    /// Bytes of everything.
    pub(crate) needs: Needs,
}

impl Resolved {
    /// Was it made for inputs of these types and shapes?
    pub(crate) fn fits<'a>(&self, inputs: impl ExactSizeIterator<Item = Given<'a>>) -> bool {
        let known = self.dims.iter().zip(&self.dtypes).zip(&self.needs.inputs);
        let same = |(given, ((dims, dtype), bytes)): (Given<'_>, ((&Vec<u64>, &DType), &u64))| {
            given.dtype == *dtype
                && given.bytes == *bytes
                && given.shape.len() == dims.len()
                && given.shape.iter().zip(dims).all(|(a, b)| *a as u64 == *b)
        };
        inputs.len() == self.needs.inputs.len() && inputs.zip(known).all(same)
    }

    /// The backward call: the inputs, then the gradients of the outputs, give the gradients of the inputs.
    pub(crate) fn backward(&self) -> Self {
        let inputs = self.needs.inputs.len();
        let again = |i: usize| i % self.dims.len();
        let all = 0..self.dims.len() + inputs;
        let needs = Needs {
            inputs: self.needs.inputs.iter().chain(&self.needs.outputs).copied().collect(),
            outputs: self.needs.inputs.clone(),
            ..self.needs.clone()
        };
        let dims = all.clone().map(|i| self.dims[again(i)].clone()).collect();
        Self { dims, dtypes: all.map(|i| self.dtypes[again(i)]).collect(), needs }
    }

    /// Outputs of the right types and shapes, all zero.
    pub(crate) fn empty_outputs(&self) -> Vec<Tensor> {
        let shapes = self.dims.iter().zip(&self.dtypes).skip(self.needs.inputs.len());
        let tensor = |((dims, dtype), bytes): ((&Vec<u64>, &DType), &u64)| Tensor {
            dtype: *dtype,
            shape: dims.iter().map(|d| *d as usize).collect(),
            data: vec![0; *bytes as usize],
        };
        shapes.zip(&self.needs.outputs).map(tensor).collect()
    }
}

/// Where the tensors of such calls lie in one instance, and the descriptor that says so.
pub(crate) struct Placement {
    pub(crate) resolved: Arc<Resolved>,
    pub(crate) layout: Layout,
    pub(crate) descriptor: Vec<u8>,
}

impl Placement {
    /// Checks the layout against the memory that it is for.
    pub(crate) fn new(resolved: &Arc<Resolved>, layout: Layout, memory: &mut [u8]) -> Result<Self> {
        layout.check(memory.len() as u64)?;
        let dims = resolved.dims.iter().map(|dims| &dims[..]);
        let tensors: Vec<(DType, &[u64])> = resolved.dtypes.iter().copied().zip(dims).collect();
        layout.write_descriptor(resolved.needs.abi_version, &tensors, memory)?;
        let descriptor = layout.descriptor.of(memory)?.to_vec();
        Ok(Self { resolved: resolved.clone(), layout, descriptor })
    }
}
