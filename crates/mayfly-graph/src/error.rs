//! What can go wrong when a graph is built, differentiated or planned.
use crate::Shape;
use alloc::string::String;

/// Everything this crate refuses, with the numbers that prove it.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum GraphError {
    /// Two shapes that had to agree do not.
    #[error("{op}: shape {got} where {want} was expected")]
    ShapeMismatch {
        /// The operation.
        op: &'static str,
        /// What would have been accepted.
        want: String,
        /// What came.
        got: Shape,
    },
    /// An operation was given the wrong number of inputs.
    #[error("{op}: {got} inputs where {want} were expected")]
    Arity {
        /// The operation.
        op: &'static str,
        /// How many it takes.
        want: &'static str,
        /// How many came.
        got: usize,
    },
    /// A dimension list that no shape can have.
    #[error("a shape with dimensions {dims}: {reason}")]
    BadShape {
        /// The dimensions asked for.
        dims: String,
        /// Why it cannot be.
        reason: &'static str,
    },
    /// A parameter of an operation out of its range.
    #[error("{op}: {what}")]
    BadAttribute {
        /// The operation.
        op: &'static str,
        /// Which one, its value and the allowed range.
        what: String,
    },
    /// A name was used twice.
    #[error("the name {name:?} is taken by another {kind}")]
    DuplicateName {
        /// input, output or parameter.
        kind: &'static str,
        /// The name.
        name: String,
    },
    /// A node id that this graph never gave out.
    #[error("node {id} is not in this graph of {nodes} nodes")]
    UnknownNode {
        /// The id.
        id: usize,
        /// How many nodes there are.
        nodes: usize,
    },
    /// The operation has no gradient rule.
    #[error("{op} has no gradient: it may not stand between a parameter and the loss")]
    NotDifferentiable {
        /// The operation.
        op: String,
    },
    /// A loss must be one number.
    #[error("the loss has shape {got}; it must be a scalar (weighted_sum makes one of per-row losses)")]
    LossNotScalar {
        /// The shape it has.
        got: Shape,
    },
    /// The interpreter is for forward graphs.
    #[error("{op} is a backward operation: the interpreter evaluates forward graphs only")]
    NoReference {
        /// The operation.
        op: &'static str,
    },
    /// A graph without outputs or with a batch of zero rows cannot be planned.
    #[error("nothing to plan: {reason}")]
    EmptyPlan {
        /// What is missing.
        reason: &'static str,
    },
    /// The plan would need more memory than allowed.
    #[error(
        "the plan needs {needed} bytes of arena, more than the limit of {limit} bytes: choose a smaller batch or raise the limit"
    )]
    TooLarge {
        /// Bytes needed.
        needed: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// Sizes whose product no memory holds.
    #[error("{what} of {dims} has more elements than there are addresses: choose a smaller batch")]
    Overflow {
        /// Which value.
        what: String,
        /// Its dimensions.
        dims: String,
    },
    /// Weights that were packed for another plan.
    #[error("these weights were packed for another graph, precision or instruction set than the plan's")]
    ForeignWeights,
    /// A slice handed in has the wrong length.
    #[error("{what} has {got} values where {want} were expected")]
    Length {
        /// Which slice.
        what: String,
        /// How many it must have.
        want: usize,
        /// How many came.
        got: usize,
    },
}
