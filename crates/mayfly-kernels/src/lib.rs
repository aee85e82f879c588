//! SIMD kernels for small neural networks: plain functions over slices, chosen at run time by an [`Isa`].
//!
//! Signatures read outputs, inputs, sizes; matrices are row-major; outputs are overwritten unless a name ends in `_acc`.
//! `docs/design/kernels.md` is the contract.
#![no_std]
#![allow(clippy::too_many_arguments)] // outputs, inputs and sizes of a kernel, in that order
extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

mod buffer;
mod isa;
mod simd;

pub use buffer::{Buffer, Element};
pub use isa::{Isa, IsaError};
