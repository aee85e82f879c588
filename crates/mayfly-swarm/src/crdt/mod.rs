//! Replicated data types: replicas that saw the same updates, in any order and any number of times, are equal.
//!
//! Every type is a join semilattice (Shapiro et al. 2011): [`Crdt::merge`] is commutative, associative and idempotent and only ever adds.
//! Updates return a delta (Almeida et al. 2018), a small state of the same type: merging all deltas equals merging the whole.

mod average;
mod cells;
mod clock;
mod counter;
mod map;
mod register;
mod set;
mod tensor;

pub use average::{AverageTensor, Combine, Contribution};
pub use clock::{Clock, MAX_STAMP_MS, Stamp};
pub use counter::{GCounter, PnCounter};
pub use map::LwwMap;
pub use register::LwwRegister;
pub use set::{Dot, OrSet};
pub use tensor::{LwwTensor, TensorClock};

/// State that can be merged.
pub trait Crdt: Clone + PartialEq {
    /// Takes in everything that `other` knows. Tells whether anything was new.
    fn merge(&mut self, other: &Self) -> bool;
}
