//! Leaves: inputs, parameters and constants. They have a place in memory and nothing to compute.
use super::{Ins, Op, Rule, RunCx, arity};
use crate::{GraphError, Shape};

impl Rule for Op {
    fn name(&self) -> &'static str {
        match self {
            Op::Input(_) => "input",
            Op::Param(..) => "param",
            _ => "constant",
        }
    }

    fn shape(&self, ins: &[Shape]) -> Result<Shape, GraphError> {
        let [] = arity(Rule::name(self), ins)?;
        match self {
            Op::Input(s) | Op::Param(_, s) | Op::Constant(_, s) => Ok(*s),
            _ => Err(super::bad_attribute("leaf", "not a leaf")),
        }
    }

    fn run(&self, _: &RunCx<'_>, _: &mut [f32], _: &Ins<'_>, _: &mut [f32]) {}
}
