//! A graph of neural network operations: built once, differentiated by rewriting, planned once, run many times.
//!
//! ```
//! use mayfly_graph::{Graph, Plan, PlanOptions, Session, Shape, Act};
//! # fn main() -> Result<(), mayfly_graph::GraphError> {
//! let mut g = Graph::new();
//! let x = g.input("x", Shape::batched(&[4])?)?;
//! let w = g.param("layer.weight", &[3, 4])?;
//! let b = g.param("layer.bias", &[3])?;
//! let z = g.linear(x, w, Some(b))?;
//! let y = g.act(z, Act::Tanh)?;
//! g.output("y", y)?;
//!
//! let plan = Plan::new(&g, &PlanOptions::batch(1))?;
//! let mut session = Session::new(plan, &[0.5; 15])?;
//! assert_eq!(session.infer(&[1.0, 0.0, 0.0, 0.0])?.len(), 3);
//! # Ok(()) }
//! ```
//!
//! - [`Graph`] is a list of nodes in topological order; every shape is checked when a node is added.
//! - [`gradient`] rewrites a graph with a scalar loss into one that also computes every parameter's gradient, [`input_gradient`] one into one that computes those of its inputs.
//! - [`Plan`] is immutable data: fused steps over one arena whose offsets were chosen from the lifetimes of the values.
//! - [`Session`] owns the memory; [`Session::run`] allocates nothing and cannot fail, and dropping it zeroises everything it held.
//! - [`Weights`] are the parameters as sessions of one graph share them, whatever their batch: packed once.
//! - [`interpret`] evaluates a forward graph naively in f64: the reference that tests hold plans against.
#![cfg_attr(not(feature = "std"), no_std)]
#![forbid(unsafe_code)]
extern crate alloc;

mod custom;
mod error;
mod grad;
mod ir;
pub mod ops;
mod plan;
mod reference;
mod session;
mod shape;
mod weights;

pub use custom::{CustomActivation, CustomOp};
pub use error::GraphError;
pub use grad::{gradient, input_gradient};
pub use ir::{Graph, Node, NodeId, ParamId, ParamInfo, Role};
pub use mayfly_kernels::{Act, Causal, FannAct, Isa, PoolKind, ReduceKind};
pub use ops::{Binary, Conv2dSpec, Loss, Op, Pool2dSpec};
pub use plan::{LayerPrecision, Plan, PlanOptions, Precision, PrecisionReason};
pub use reference::interpret;
pub use session::{Session, WipedBytes};
pub use shape::{Dims, Shape};
pub use weights::Weights;
