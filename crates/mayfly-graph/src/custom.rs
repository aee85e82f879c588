//! The open door: operations and activations of the user's own, first-class citizens without forking the library.
use crate::grad::GradCx;
use crate::ops::{Ins, Op, Rule, RunCx, Tensor, bad_attribute};
use crate::{Dims, Graph, GraphError, NodeId, Shape};
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::fmt::Debug;

/// An operation of the user's own. It takes up to 8 inputs and gives one output; slices are row-major.
///
/// `forward` and `backward` must write every element of their output; they may not keep state.
pub trait CustomOp: Debug + Send + Sync {
    /// A name for plans and errors.
    fn name(&self) -> &'static str;

    /// The shape of the result, or a message that says what does not fit.
    ///
    /// # Errors
    /// The message ends up in [`GraphError::BadAttribute`].
    fn shape(&self, inputs: &[Shape]) -> Result<Shape, String>;

    /// Computes `y` from the inputs; `dims` are the inputs' concrete dimensions.
    fn forward(&self, y: &mut [f32], inputs: &[&[f32]], dims: &[Dims]);

    /// Computes the gradient of input `which` from `dy`. Called only if [`CustomOp::differentiable`] says so.
    fn backward(&self, which: usize, dx: &mut [f32], dy: &[f32], inputs: &[&[f32]], y: &[f32], dims: &[Dims]);

    /// Whether there is a gradient.
    fn differentiable(&self) -> bool {
        true
    }
}

/// An elementwise activation of the user's own, over slices of equal length.
pub trait CustomActivation: Debug + Send + Sync {
    /// A name for plans and errors.
    fn name(&self) -> &'static str;
    /// `y = f(x)`
    fn forward(&self, y: &mut [f32], x: &[f32]);
    /// `dx = dy · f′(x)`; `y = f(x)` is there for functions that prefer it
    fn backward(&self, dx: &mut [f32], dy: &[f32], x: &[f32], y: &[f32]);
}

#[derive(Debug)]
struct Activation(Arc<dyn CustomActivation>);

impl CustomOp for Activation {
    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn shape(&self, inputs: &[Shape]) -> Result<Shape, String> {
        match inputs {
            [x] => Ok(*x),
            _ => Err("an activation takes one input".to_string()),
        }
    }

    fn forward(&self, y: &mut [f32], inputs: &[&[f32]], _: &[Dims]) {
        self.0.forward(y, inputs[0]);
    }

    fn backward(&self, _: usize, dx: &mut [f32], dy: &[f32], inputs: &[&[f32]], y: &[f32], _: &[Dims]) {
        self.0.backward(dx, dy, inputs[0], y);
    }
}

/// A custom operation in the graph. Two are equal when they are the same object.
#[derive(Clone, Debug)]
pub struct Custom(Arc<dyn CustomOp>);
/// `(dy, inputs.., y) → dx` of one input
#[derive(Clone, Debug, PartialEq)]
pub struct CustomBwd(Custom, usize);

impl PartialEq for Custom {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Graph {
    /// An operation of the user's own.
    ///
    /// # Errors
    /// What the operation says of the shapes.
    pub fn custom(&mut self, op: Arc<dyn CustomOp>, inputs: &[NodeId]) -> Result<NodeId, GraphError> {
        self.push(Op::Custom(Custom(op)), inputs)
    }

    /// An activation of the user's own.
    ///
    /// # Errors
    /// An unknown node.
    pub fn custom_act(&mut self, x: NodeId, act: Arc<dyn CustomActivation>) -> Result<NodeId, GraphError> {
        self.custom(Arc::new(Activation(act)), &[x])
    }
}

impl Rule for Custom {
    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn shape(&self, ins: &[Shape]) -> Result<Shape, GraphError> {
        self.0.shape(ins).map_err(|what| bad_attribute(self.0.name(), what))
    }

    fn grad(&self, cx: &mut GradCx<'_>) -> Result<Vec<Option<NodeId>>, GraphError> {
        if !self.0.differentiable() {
            return Err(GraphError::NotDifferentiable { op: self.name().to_string() });
        }
        let count = cx.input_count();
        let inputs = (0..count).map(|i| cx.input(i));
        let all: Vec<NodeId> = [cx.dy()].into_iter().chain(inputs).chain([cx.output()]).collect();
        (0..count).map(|i| cx.when(i, |g| g.push(Op::CustomBwd(CustomBwd(self.clone(), i)), &all))).collect()
    }

    /// In f32: a user's operation has no other definition.
    fn reference(&self, ins: &[&Tensor], out: Dims) -> Result<Vec<f64>, GraphError> {
        let narrow: Vec<Vec<f32>> = ins.iter().map(|t| t.data.iter().map(|v| *v as f32).collect()).collect();
        let slices: Vec<&[f32]> = narrow.iter().map(Vec::as_slice).collect();
        let dims: Vec<Dims> = ins.iter().map(|t| t.dims).collect();
        let mut y = vec![0.0; out.len()];
        self.0.forward(&mut y, &slices, &dims);
        Ok(y.into_iter().map(f64::from).collect())
    }

    fn run(&self, cx: &RunCx<'_>, y: &mut [f32], ins: &Ins<'_>, _: &mut [f32]) {
        self.0.forward(y, &ins[..cx.ins.len()], cx.ins);
    }
}

impl Rule for CustomBwd {
    fn name(&self) -> &'static str {
        "custom_bwd"
    }

    fn shape(&self, ins: &[Shape]) -> Result<Shape, GraphError> {
        let got = ins.len();
        ins.get(1 + self.1).copied().ok_or(GraphError::Arity { op: "custom_bwd", want: "dy, the inputs and y", got })
    }

    fn run(&self, cx: &RunCx<'_>, dx: &mut [f32], ins: &Ins<'_>, _: &mut [f32]) {
        let n = cx.ins.len() - 2;
        let op = &self.0.0;
        op.backward(self.1, dx, ins[0], &ins[1..=n], ins[n + 1], &cx.ins[1..=n]);
    }
}
