//! What the kernels mean: plain loops in f64, for tests and for interpreters.

mod elementwise;
mod fft;
mod loss;
mod moves;
mod norm;
mod optim;
mod reduce;

pub use elementwise::*;
pub use fft::*;
pub use libm::{cos, exp, log as ln, sin, sqrt, tanh};
pub use loss::*;
pub use moves::*;
pub use norm::*;
pub use optim::*;
pub use reduce::*;
