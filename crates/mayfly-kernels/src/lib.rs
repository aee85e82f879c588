//! SIMD kernels for small neural networks: plain functions over slices, chosen at run time by an [`Isa`].
//!
//! Signatures read outputs, inputs, sizes; matrices are row-major; outputs are overwritten unless a name ends in `_acc`.
//! `docs/design/kernels.md` is the contract.
#![no_std]
extern crate alloc;
#[cfg(any(feature = "std", test))]
extern crate std;

mod act;
mod act_vec;
mod attention;
mod batch_norm;
mod buffer;
mod conv;
mod conv_slide;
mod copy;
mod dropout;
mod elementwise;
mod embed;
mod fann;
mod fft;
mod isa;
mod linear;
mod linear_sgd;
mod loss;
mod math;
mod matmul;
mod norm;
mod optim;
mod optim_fann;
mod packed;
mod packed_bf16;
mod packed_i8;
mod peak;
mod pieces;
mod pool;
mod recurrent;
mod reduce;
pub mod reference;
mod simd;
mod simd_ext;
mod size;
mod softmax;
mod tile;

pub use act::*;
pub use attention::{Causal, attention_bwd, attention_fwd, attention_scratch_len};
pub use batch_norm::*;
pub use buffer::{Buffer, Element};
pub use conv::{Conv2d, conv2d_bwd_b, conv2d_bwd_w, conv2d_bwd_x, conv2d_fwd};
pub use copy::*;
pub use dropout::*;
pub use elementwise::*;
pub use embed::*;
pub use fft::*;
pub use isa::{Isa, IsaError};
pub use linear::{Epilogue, linear_bwd_w, linear_bwd_x, linear_fwd, linear_scratch_len};
pub use linear_sgd::linear_sgd_row;
pub use loss::*;
pub use matmul::{MatMul, Trans, matmul, matmul_acc};
pub use norm::*;
pub use optim::*;
pub use optim_fann::*;
pub use packed::{Sweep, pack, packed_fwd, packed_fwd_swept, packed_len};
pub use packed_bf16::{pack_bf16, packed_bf16_fwd, packed_bf16_len};
pub use packed_i8::{I8_MAX_INPUTS, pack_i8, packed_i8_fwd, packed_i8_len, packed_i8_scratch_len, quantize_i8};
pub use peak::fma_peak;
pub use pool::{Pool2d, PoolKind, pool2d_bwd, pool2d_fwd};
pub use recurrent::*;
pub use reduce::*;
pub use softmax::*;
